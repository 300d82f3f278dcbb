"""Classes as a table has them and as a network has them: one class a row, or several.

A solution whose outputs are `class` and `probability` (each class) gets them, and their metrics, from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .metrics import Metric, by_class, multiclass, multilabel, operating_point
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
    found = pd.Series([[classes[place] for place in np.flatnonzero(row).tolist()] for row in reached], index=index, dtype=object)
    return pd.DataFrame({"classes": found, **_columns(classes, probability)}, index=index)


def thresholds(truth: np.ndarray, probability: np.ndarray, classes: Sequence[str], chosen_on: str) -> dict[str, JSON]:
    """The operating point of each class that may stand beside others: the threshold of its largest F1.

    A class that no row has, or every row, gets 0.5: nothing can be chosen for it.

    Args:
        truth: 0 or 1, shape `(rows, classes)`.
        probability: calibrated, shape `(rows, classes)`.
    """
    found = {}
    for place, name in enumerate(classes):
        known = 0 < truth[:, place].sum() < len(truth)
        chosen = operating_point.best(truth[:, place], probability[:, place], "f1") if known else {"value": 0.5}
        found[name] = float(chosen["value"])
    return {"rule": "the largest F1 of each class", "value": found, "chosen_on": chosen_on, "rows": len(truth)}


def measure(rows: pd.DataFrame, scored: pd.DataFrame) -> dict[str, Metric]:
    """Accuracy; precision, recall, F1, AUC, average precision as means over classes; log loss, Brier, ECE; class by
    class precision, recall and F1."""
    classes, probability = _probability(scored)
    truth, decided = codes(rows, classes), pd.Index(classes).get_indexer(pd.Index(scored["class"]))
    weight = rows.get("weight")
    return {
        **multiclass(truth, probability, decided, weight),
        **by_class(np.eye(len(classes))[truth], np.eye(len(classes))[decided], classes, weight),
    }


def measure_several(rows: pd.DataFrame, scored: pd.DataFrame) -> dict[str, Metric]:
    """The same where a row may have several classes; accuracy counts rows with exactly the right ones."""
    classes, probability = _probability(scored)
    truth, decided = flags(rows, classes), flags(scored.rename(columns={"classes": "label"}), classes)
    weight = rows.get("weight")
    return {**multilabel(truth, probability, decided, weight), **by_class(truth, decided, classes, weight)}


def _columns(classes: Sequence[str], probability: np.ndarray) -> dict[str, Any]:
    return {PREFIX + name: probability[:, place] for place, name in enumerate(classes)}


def _probability(scored: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    names = [name for name in map(str, scored) if name.startswith(PREFIX)]
    return [name.removeprefix(PREFIX) for name in names], scored[names].to_numpy(np.float64)
