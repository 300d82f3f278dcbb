"""Logistic regression on frozen features: the strong simple model that a network for images is measured against."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from .recipe import Recipe

if TYPE_CHECKING:
    from .finetune import Task

Fold = tuple[np.ndarray, np.ndarray]

__all__ = ["FOLDS", "STRENGTHS", "chances", "learn", "line", "regression"]

STRENGTHS = (0.001, 0.01, 0.1, 1.0)
FOLDS = 5
MANY = 5_000  # training images from which on their choosing ones are many too
NEVER = np.float32(-25)  # the logit of what no row has


def learn(
    recipe: Recipe, task: Task, seed: int, folds: Callable[[], Sequence[Fold]]
) -> Callable[[Sequence[Any]], np.ndarray]:
    """Fit what a network would be fitted to, on the backbone's frozen features, or on small pixels where it has none.

    The strength of its penalty is chosen by the log loss of the training images, each by a line that was learnt from
    the other folds: the choosing images are a tenth of those, and where they are few they choose by chance, which makes
    a rival that is easy to beat. Of many images the choosing ones are enough.

    Args:
        task: `targets` are 0 or 1, one column for each class; not a number where it is not known.
        folds: of the training images the positions that are learnt from and those that are left out, as `split.parts`
            deals them.

    Returns:
        cells of images -> logits `(images, outputs)`: a softmax of them, or a sigmoid of each, is the probability.
    """
    from . import finetune  # whose heads are such lines too

    train = finetune.frozen_features(recipe, task.train, seed)
    scaler = StandardScaler().fit(train)
    scaled = scaler.transform(train)

    def fitted(strength: float) -> Callable[[np.ndarray], np.ndarray]:
        kernel, bias = line(strength, scaled, task.targets, task.weights, task.several)
        return lambda features: np.asarray(scaler.transform(features) @ kernel + bias)

    if len(train) > MANY:
        choosing = finetune.frozen_features(recipe, task.choosing, seed)
        best = min(map(fitted, STRENGTHS), key=lambda logits: _worse(task, logits(choosing)))
    else:
        dealt = folds()
        best = fitted(min(STRENGTHS, key=lambda strength: _unseen_loss(strength, train, task, dealt)))
    return lambda cells: best(finetune.frozen_features(recipe, cells, seed))


def _unseen_loss(strength: float, features: np.ndarray, task: Task, folds: Sequence[Fold]) -> float:
    """The weighted log loss of images that were not learnt from, over all classes that are known of them."""
    total = count = 0.0
    for learnt, held in folds:
        scaler = StandardScaler().fit(features[learnt])
        targets, weights = task.targets[learnt], task.weights[learnt]
        kernel, bias = line(strength, scaler.transform(features[learnt]), targets, weights, task.several)
        logits, truth, weight = scaler.transform(features[held]) @ kernel + bias, task.targets[held], task.weights[held]
        if task.several:
            loss = np.nansum(np.logaddexp(0, logits) - truth * logits, axis=1)
            known = np.sum(~np.isnan(truth), axis=1)
        else:
            loss, known = logsumexp(logits, axis=1) - np.sum(truth * logits, axis=1), np.ones(len(held))
        total, count = total + float(weight @ loss), count + float(weight @ known)
    return total / count


def line(
    strength: float, features: np.ndarray, targets: np.ndarray, weight: np.ndarray, several: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Logistic regression as a dense layer: kernel `(channels, classes)` and bias `(classes,)`.

    Args:
        features: scaled, `(rows, channels)`.
        targets: 0 or 1, shape `(rows, classes)`; not a number where it is not known.
        weight: of the rows, `(rows,)`.
        several: whether a row may have several of the classes.
    """
    kernel, bias = np.zeros((features.shape[1], targets.shape[1]), np.float32), np.full(targets.shape[1], NEVER)
    for column in range(targets.shape[1]) if several else ():
        known = ~np.isnan(targets[:, column])
        own = targets[known, column].astype(int)
        if not len(own):
            bias[column] = 0.0
            continue
        if own.min() == own.max():
            bias[column] = -NEVER if own[0] else NEVER
            continue
        model = _solved(strength, features[known], own, weight[known])
        kernel[:, column], bias[column] = model.coef_[0], model.intercept_[0]
    if not several:
        model = _solved(strength, features, targets.argmax(axis=1), weight)
        if len(model.classes_) == 2:  # one line: what speaks for the one speaks against the other
            kernel[:, model.classes_] = np.stack([-model.coef_[0], model.coef_[0]], axis=1) / 2
            bias[model.classes_] = np.append(-model.intercept_, model.intercept_) / 2
        else:
            kernel[:, model.classes_], bias[model.classes_] = model.coef_.T, model.intercept_
    return kernel, bias


def _solved(
    strength: float, features: np.ndarray, truth: np.ndarray, weight: np.ndarray | None = None
) -> LogisticRegression:
    with warnings.catch_warnings():
        # Weakly bound pixels may need thousands of steps; where it stops is one more candidate, judged like the others.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=strength, max_iter=300).fit(features, truth, weight)


def regression(strength: float, features: np.ndarray, truth: np.ndarray) -> Pipeline:
    """Scaled features, then logistic regression.

    Args:
        truth: 0 or 1, shape `(rows, classes)`.
    """
    scaler = StandardScaler().fit(features)
    return make_pipeline(scaler, _solved(strength, scaler.transform(features), truth.argmax(axis=1)))


def chances(model: Pipeline, features: np.ndarray, classes: int) -> np.ndarray:
    """The probability of each class, shape `(rows, classes)`; that of one without a training row is 0."""
    found = np.zeros((len(features), classes))
    found[:, model.classes_] = model.predict_proba(features)
    return found


def _worse(task: Task, logits: np.ndarray) -> float:
    value = task.measure(logits)[task.goal.metric]
    return -value if task.goal.higher else value
