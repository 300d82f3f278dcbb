"""Classes as a table has them and as a network has them: one class a row, or several.

A solution whose outputs are `class` and `probability` (each class) gets them, and their metrics, from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .metrics import Metric, by_class, multiclass, multilabel, operating_point, row_weights
from .solution import JSON

__all__ = ["codes", "flags", "measure", "measure_several", "outputs", "outputs_several", "thresholds"]

PREFIX = "probability_"


def codes(rows: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """The class of each row as its position in `classes`, shape `(rows,)`."""
    return pd.Index(classes).get_indexer(pd.Index(rows["label"]))


def flags(rows: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """Whether each row has each class, where it may have several: 0 or 1, float32, shape `(rows, classes)`."""
    place = {name: position for position, name in enumerate(classes)}
    found = np.zeros((len(rows), len(classes)), np.float32)
    for row, names in enumerate(rows["label"]):
        found[row, [place[name] for name in names]] = 1
    return found


def outputs(index: pd.Index, classes: Sequence[str], probability: np.ndarray) -> pd.DataFrame:
    """The most probable class, and the probability of each.

    Args:
        probability: shape `(rows, classes)`.
    """
    best = np.asarray(classes, dtype=object)[probability.argmax(axis=1)]
    return pd.DataFrame({"class": best, **_columns(classes, probability)}, index=index)


def outputs_several(
    index: pd.Index, classes: Sequence[str], probability: np.ndarray, cut: Mapping[str, float]
) -> pd.DataFrame:
    """The classes whose probability reaches their threshold, in the order of `classes`, and the probability of each.

    Args:
        probability: shape `(rows, classes)`.
        cut: the threshold of each class.
    """
    reached = probability >= np.array([cut[name] for name in classes])
    found = pd.Series(
        [[classes[place] for place in np.flatnonzero(row).tolist()] for row in reached], index=index, dtype=object
    )
    return pd.DataFrame({"classes": found, **_columns(classes, probability)}, index=index)


def thresholds(
    truth: np.ndarray, probability: np.ndarray, classes: Sequence[str], chosen_on: str, weight: ArrayLike | None = None
) -> dict[str, JSON]:
    """The operating point of each class that may stand beside others: the threshold of its largest F1.

    A class that none of these rows has, or every one, gets 0.5, since nothing can be chosen for it; `not_chosen` names
    these, where there are any.

    Args:
        truth: 0 or 1, shape `(rows, classes)`.
        probability: calibrated, shape `(rows, classes)`.
        weight: of the rows, shape `(rows,)`, not negative; a row of weight 0 is not there.
    """
    counted = row_weights(weight, len(truth))
    unknown = [name for name, own in zip(classes, truth[counted > 0].T, strict=True) if own.all() or not own.any()]
    found = {
        name: 0.5
        if name in unknown
        else operating_point.best(truth[:, place], probability[:, place], "f1", weight=counted)["value"]
        for place, name in enumerate(classes)
    }
    point = {"rule": "the largest F1 of each class", "value": found, "chosen_on": chosen_on, "rows": len(truth)}
    return {**point, "not_chosen": unknown} if unknown else point


def measure(rows: pd.DataFrame, scored: pd.DataFrame) -> dict[str, Metric]:
    """Accuracy; precision, recall, F1, AUC, average precision as means over classes; log loss, Brier, ECE; class by
    class precision, recall and F1."""
    classes, probability = _probability(scored)
    truth, decided = codes(rows, classes), pd.Index(classes).get_indexer(pd.Index(scored["class"]))
    weight, each = rows.get("weight"), np.eye(len(classes))
    over_all = multiclass(truth, probability, decided, weight)
    return {**over_all, **by_class(each[truth], each[decided], classes, weight)}


def measure_several(rows: pd.DataFrame, scored: pd.DataFrame) -> dict[str, Metric]:
    """The same where a row may have several classes; accuracy counts rows with exactly the right ones, and class by
    class there is the average precision too."""
    classes, probability = _probability(scored)
    truth, decided = flags(rows, classes), flags(scored.rename(columns={"classes": "label"}), classes)
    weight = rows.get("weight")
    over_all = multilabel(truth, probability, decided, weight)
    return {**over_all, **by_class(truth, decided, classes, weight, probability)}


def _columns(classes: Sequence[str], probability: np.ndarray) -> dict[str, Any]:
    return {PREFIX + name: probability[:, place] for place, name in enumerate(classes)}


def _probability(scored: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    names = [name for name in map(str, scored) if name.startswith(PREFIX)]
    return [name.removeprefix(PREFIX) for name in names], scored[names].to_numpy(np.float64)
