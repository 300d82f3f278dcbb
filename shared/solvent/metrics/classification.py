"""Metrics of yes or no, of one class among several, and of several classes at once.

Every one is built once from the rows and then valued for the whole and for a thousand resamples alike. Where one is
undefined its value is NaN, never 0: precision with no positive decision, recall with no positive, AUC with one class.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..solution import Sums, Weighted
from .calibration import expected_calibration_error
from .curve import Curve
from .inputs import codes, flags, probabilities, row_weights
from .sums import Metric, mean, quotient, ratio, share

__all__ = ["binary", "by_class", "confusion", "multiclass", "multilabel"]

# As in scikit-learn: the loss of a row that was certain and wrong is 36 nats, not infinite.
_SMALLEST = float(np.finfo(np.float64).eps)
MOST_CLASSES = 30  # that are measured one by one


def binary(
    truth: ArrayLike, probability: ArrayLike, decision: ArrayLike, weight: ArrayLike | None = None
) -> dict[str, Metric]:
    """Metrics of a decision between two classes.

    Args:
        truth: 0 or 1, shape `(rows,)`.
        probability: of 1, in [0, 1], shape `(rows,)`.
        decision: 0 or 1, shape `(rows,)`: the probability against the operating point.
        weight: of the rows, shape `(rows,)`, not negative.

    Returns:
        auc, average_precision, gini, ks (of the probability's order); accuracy, precision, recall, f1 (of the
        decision); log_loss, brier, ece (of the probability itself; 10 bins of equal width).

    Raises:
        ValueError: if a value is missing or out of its range, or lengths differ.
    """
    truth = flags("truth", truth)
    rows = len(truth)
    probability, decision = probabilities("probability", probability, rows), flags("decision", decision, rows)
    weight = row_weights(weight, rows)
    curve = Curve(truth, probability, weight)
    hit = truth * decision
    return {
        "auc": Weighted(rows, curve.auc, (curve.classes,)),
        "average_precision": Weighted(rows, curve.average_precision, (curve.classes,)),
        "gini": Weighted(rows, curve.gini, (curve.classes,), worst=-1),
        "ks": Weighted(rows, curve.ks, (curve.classes,)),
        "accuracy": share(truth == decision, np.ones(rows), weight),
        "precision": share(hit, decision, weight),
        "recall": share(hit, truth, weight),
        "f1": quotient(2 * hit, truth + decision, weight),
        "log_loss": mean(_surprise(np.where(truth == 1, probability, 1 - probability)), weight),
        "brier": mean((probability - truth) ** 2, weight),
        "ece": expected_calibration_error(truth, probability, weight),
    }


def multiclass(
    truth: ArrayLike, probability: ArrayLike, decision: ArrayLike, weight: ArrayLike | None = None
) -> dict[str, Metric]:
    """Metrics of a decision among several classes.

    Args:
        truth: codes from 0 to `classes - 1`, shape `(rows,)`.
        probability: in [0, 1], each row sums to 1, shape `(rows, classes)`.
        decision: codes, shape `(rows,)`.
        weight: of the rows, shape `(rows,)`, not negative.

    Returns:
        Of each class against the rest, the plain mean over classes: auc (over the classes that have rows on both
        sides); average_precision and recall (that have rows); precision (that were called); f1 (that have rows or were
        called). Of all rows: accuracy; log_loss; brier (sum over classes, 0 to 2); ece (of the most probable class, 10
        bins of equal width).

    Raises:
        ValueError: if a value is missing or out of its range, or shapes differ.
    """
    probability = _distributions(probability)
    rows, classes = probability.shape
    truth, decision = codes("truth", truth, classes, rows), codes("decision", decision, classes, rows)
    weight = row_weights(weight, rows)
    is_class, called = np.eye(classes)[truth], np.eye(classes)[decision]
    top_is_right = (probability.argmax(axis=1) == truth).astype(np.float64)
    return {
        **_over_classes(is_class, probability, called, weight),
        "accuracy": share(truth == decision, np.ones(rows), weight),
        "log_loss": mean(_surprise(probability[np.arange(rows), truth]), weight),
        "brier": mean(((probability - is_class) ** 2).sum(axis=1), weight),
        "ece": expected_calibration_error(top_is_right, probability.max(axis=1), weight),
    }


def multilabel(
    truth: ArrayLike, probability: ArrayLike, decision: ArrayLike, weight: ArrayLike | None = None
) -> dict[str, Metric]:
    """Metrics of classes that a row may have several of.

    Args:
        truth: 0 or 1, shape `(rows, classes)`.
        probability: of each class for itself, in [0, 1], shape `(rows, classes)`.
        decision: 0 or 1, shape `(rows, classes)`.
        weight: of the rows, shape `(rows,)`, not negative.

    Returns:
        Means over classes as `multiclass` has them: auc, average_precision, precision, recall, f1; also log_loss,
        brier and ece (each class for itself, 10 bins of equal width). Of all rows: accuracy (exactly the right
        classes).

    Raises:
        ValueError: if a value is missing or out of its range, or shapes differ.
    """
    truth, decision = _table("truth", truth), _table("decision", decision)
    probability = np.asarray(probability, dtype=np.float64)
    if not truth.shape == decision.shape == probability.shape:
        raise ValueError(
            f"Shapes differ: truth {truth.shape}, decision {decision.shape}, probability {probability.shape}. "
            "Give all three a row for each row and a column for each class."
        )
    rows, classes = truth.shape
    probability = probabilities("probability", probability.ravel()).reshape(truth.shape)
    weight = row_weights(weight, rows)
    gaps = [expected_calibration_error(truth[:, code], probability[:, code], weight).rows for code in range(classes)]
    gap_rows = np.hstack([*(gap[:, :-1] for gap in gaps), weight[:, None] * classes])
    return {
        **_over_classes(truth, probability, decision, weight),
        "accuracy": share((truth == decision).all(axis=1), np.ones(rows), weight),
        "log_loss": mean(_surprise(np.where(truth == 1, probability, 1 - probability)).mean(axis=1), weight),
        "brier": mean(((probability - truth) ** 2).mean(axis=1), weight),
        "ece": Sums(gap_rows, lambda sums: ratio(np.abs(sums[..., :-1]).sum(axis=-1), sums[..., -1])),
    }


def by_class(
    truth: ArrayLike,
    decision: ArrayLike,
    names: Sequence[str],
    weight: ArrayLike | None = None,
    probability: ArrayLike | None = None,
) -> dict[str, Metric]:
    """Precision, recall and F1 of each class, as `f1 of NAME`; nothing where there are more than 30 classes.

    Args:
        truth: 0 or 1, shape `(rows, classes)`.
        decision: 0 or 1, shape `(rows, classes)`.
        names: of the classes.
        weight: of the rows, shape `(rows,)`, not negative.
        probability: of each class for itself, in [0, 1], shape `(rows, classes)`; with it `average_precision of NAME`
            is among them.

    Raises:
        ValueError: if a value is missing or out of its range, or shapes differ.
    """
    truth, decision = _table("truth", truth), _table("decision", decision)
    if truth.shape != decision.shape or truth.shape[1] != len(names):
        raise ValueError(
            f"Shapes differ: truth {truth.shape}, decision {decision.shape}, {len(names)} names. "
            "Give both a row for each row and a column for each name."
        )
    if len(names) > MOST_CLASSES:
        return {}
    rows = len(truth)
    weight = row_weights(weight, rows)
    hit = truth * decision
    found: dict[str, Metric] = {}
    for place, name in enumerate(names):
        own, called, both = truth[:, place], decision[:, place], hit[:, place]
        found[f"precision of {name}"] = share(both, called, weight)
        found[f"recall of {name}"] = share(both, own, weight)
        found[f"f1 of {name}"] = quotient(2 * both, own + called, weight)
        if probability is not None:
            likely = probabilities("probability", np.asarray(probability)[:, place], rows)
            curve = Curve(own, likely, weight)
            found[f"average_precision of {name}"] = Weighted(rows, curve.average_precision, (curve.classes,))
    return found


def confusion(truth: ArrayLike, decision: ArrayLike, classes: int, weight: ArrayLike | None = None) -> np.ndarray:
    """How often each class (row) was called each class (column): counts, shape `(classes, classes)`.

    Args:
        truth, decision: codes, shape `(rows,)`.
        weight: what each row counts, shape `(rows,)`, not negative.

    Raises:
        ValueError: if a code is not from 0 to `classes - 1`.
    """
    truth = codes("truth", truth, classes)
    decision = codes("decision", decision, classes, len(truth))
    counted = None if weight is None else row_weights(weight, len(truth))
    return np.bincount(truth * classes + decision, counted, minlength=classes**2).reshape(classes, classes)


def _over_classes(
    is_class: np.ndarray, probability: np.ndarray, called: np.ndarray, weight: np.ndarray
) -> dict[str, Metric]:
    """Plain means over classes of what each is against the rest; all of shape `(rows, classes)`."""
    rows, classes = is_class.shape
    hit = is_class * called
    curves = [Curve(is_class[:, code], probability[:, code], weight) for code in range(classes)]
    orders = tuple(curve.classes for curve in curves)
    return {
        "auc": Weighted(
            rows, lambda weights: _mean_of_defined(np.stack([c.auc(weights) for c in curves], axis=-1)), orders
        ),
        "average_precision": Weighted(
            rows,
            lambda weights: _mean_of_defined(np.stack([c.average_precision(weights) for c in curves], axis=-1)),
            orders,
        ),
        "precision": _macro(hit, called, weight),
        "recall": _macro(hit, is_class, weight),
        "f1": _macro(2 * hit, is_class + called, weight),
    }


def _table(name: str, values: ArrayLike) -> np.ndarray:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"{name}: expected shape (rows, classes), got {table.shape}.")
    return flags(name, table.ravel()).reshape(table.shape)


def _surprise(probability_of_truth: np.ndarray) -> np.ndarray:
    """-log of the probability that the truth was given, in nats."""
    return np.asarray(-np.log(np.clip(probability_of_truth, _SMALLEST, 1 - _SMALLEST)))


def _distributions(probability: ArrayLike) -> np.ndarray:
    table = np.asarray(probability, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(f"probability: expected shape (rows, classes) with at least 2 classes, got {table.shape}.")
    table = probabilities("probability", table.ravel()).reshape(table.shape)
    wrong = np.abs(table.sum(axis=1) - 1) > 1e-3
    if wrong.any():
        first = int(np.argmax(wrong))
        raise ValueError(f"probability[{first}] sums to {table[first].sum():g}: expected 1. Apply a softmax first.")
    return table


def _macro(numerator: np.ndarray, denominator: np.ndarray, weight: np.ndarray) -> Sums:
    """The mean over classes of a quotient of sums; both have the shape `(rows, classes)`."""
    classes = numerator.shape[1]
    rows = np.hstack([numerator, denominator]) * weight[:, None]
    return Sums(rows, lambda sums: _mean_of_defined(ratio(sums[..., :classes], sums[..., classes:])))


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
    """The mean over the last axis of what is not NaN; NaN where all of it is."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0).sum(axis=-1), defined.sum(axis=-1))
