"""Logistic regression on frozen features: the strong simple model that a network for images is measured against."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
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


def regression(strength: float, features: np.ndarray, truth: np.ndarray) -> Pipeline:
    """Scaled features, then logistic regression.

    Args:
        truth: 0 or 1, shape `(rows, classes)`.
    """
    model = LogisticRegression(C=strength, max_iter=300)
    pipeline = make_pipeline(StandardScaler(), model)
    with warnings.catch_warnings():
        # Weakly bound pixels may need thousands of steps; where it stops is one more candidate, judged like the others.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted: Pipeline = pipeline.fit(features, truth.argmax(axis=1))
    return fitted


def chances(model: Pipeline, features: np.ndarray, classes: int) -> np.ndarray:
    """The probability of each class, shape `(rows, classes)`; that of one without a training row is 0."""
    found = np.zeros((len(features), classes))
    found[:, model.classes_] = model.predict_proba(features)
    return found


def _fitted(strength: float, features: np.ndarray, truth: np.ndarray, several: bool) -> Callable[..., np.ndarray]:
    """Features -> logits."""
    if not several:
        model = regression(strength, features, truth)
        return lambda rows: _logits(chances(model, rows, truth.shape[1]), several=False)
    each = [_of_class(strength, features, own) for own in truth.T]
    return lambda rows: _logits(np.column_stack([chance(rows) for chance in each]), several=True)


def _of_class(strength: float, features: np.ndarray, truth: np.ndarray) -> Callable[..., np.ndarray]:
    """Features -> the probability of one class, from the images for which it is known."""
    known = ~np.isnan(truth)
    own = truth[known].astype(int)
    if len(np.unique(own)) < 2:
        return lambda rows: np.full(len(rows), float(own.mean()) if len(own) else 0.5)
    model = regression(strength, features[known], np.eye(2)[own])
    return lambda rows: chances(model, rows, 2)[:, 1]


def _logits(chance: np.ndarray, several: bool) -> np.ndarray:
    inside = np.clip(chance, 1e-12, 1 - 1e-12)
    return np.asarray(np.log(inside) - np.log1p(-inside) if several else np.log(inside))


def _worse(task: finetune.Task, logits: np.ndarray) -> float:
    value = task.measure(logits)[task.goal.metric]
    return -value if task.goal.higher else value
