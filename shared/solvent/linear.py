"""Logistic regression on frozen features: the strong simple model that a network for images is measured against."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from . import finetune
from .recipe import Recipe

__all__ = ["chances", "learn", "regression"]

STRENGTHS = (0.001, 0.01, 0.1, 1.0)


def learn(recipe: Recipe, task: finetune.Task, several: bool, seed: int) -> Callable[[Sequence[Any]], np.ndarray]:
    """Fit what a network would be fitted to, on the backbone's frozen features, or on small pixels where it has none.

    The strength of its penalty is chosen as the network's epochs are, by the task's goal on the choosing images.

    Args:
        task: `targets` are 0 or 1, one column for each class; not a number where it is not known.
        several: whether an image may have several of the classes.

    Returns:
        cells of images -> logits `(images, outputs)`: a softmax of them, or a sigmoid of each, is the probability.
    """
    every = [*task.train, *task.choosing]
    train, choosing = np.split(finetune.frozen_features(recipe, every, seed), [len(task.train)])
    fitted = [_fitted(strength, train, task.targets, several) for strength in STRENGTHS]
    best = min(fitted, key=lambda logits: _worse(task, logits(choosing)))

    def logits(cells: Sequence[Any]) -> np.ndarray:
        return best(finetune.frozen_features(recipe, cells, seed))

    return logits


def regression(strength: float, features: np.ndarray, truth: np.ndarray, several: bool) -> Pipeline:
    """Scaled features, then logistic regression.

    Args:
        truth: 0 or 1, shape `(rows, classes)`.
    """
    model = LogisticRegression(C=strength, max_iter=300)
    pipeline = make_pipeline(StandardScaler(), OneVsRestClassifier(model) if several else model)
    with warnings.catch_warnings():
        # Weakly bound pixels may need thousands of steps; where it stops is one more candidate, judged like the others.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted: Pipeline = pipeline.fit(features, truth if several else truth.argmax(axis=1))
    return fitted


def chances(model: Pipeline, features: np.ndarray, classes: int) -> np.ndarray:
    """The probability of each class, shape `(rows, classes)`; that of one without a training row is 0."""
    found = np.zeros((len(features), classes))
    found[:, model.classes_] = model.predict_proba(features)
    return found


def _fitted(strength: float, features: np.ndarray, truth: np.ndarray, several: bool) -> Callable[..., np.ndarray]:
    """Features -> logits."""
    count, known = truth.shape[1], ~np.isnan(truth)
    if known.all():
        whole = regression(strength, features, truth, several)
        return lambda rows: _logits(chances(whole, rows, count), several)
    models = [  # each class on the images for which it is known
        regression(strength, features[own], np.eye(2)[truth[own, place].astype(int)], several=False)
        for place, own in enumerate(known.T)
    ]
    return lambda rows: _logits(np.column_stack([chances(model, rows, 2)[:, 1] for model in models]), several)


def _logits(chance: np.ndarray, several: bool) -> np.ndarray:
    inside = np.clip(chance, 1e-12, 1 - 1e-12)
    return np.asarray(np.log(inside) - np.log1p(-inside) if several else np.log(inside))


def _worse(task: finetune.Task, logits: np.ndarray) -> float:
    value = task.measure(logits)[task.goal.metric]
    return -value if task.goal.higher else value
