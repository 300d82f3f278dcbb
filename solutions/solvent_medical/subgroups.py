"""Groups of patients side by side: whether the model is worse for some of them than for the others."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from solvent.metrics import Estimate, Metric, Resampling, compare, estimate
from solvent.metrics.fairness import bands

from . import measures
from .settings import Medical

__all__ = ["COLUMNS", "FEWEST", "Group", "levels_of", "of_diagnoses", "of_question"]

COLUMNS = ("site", "sex", "age", "device")
QUESTION = ("auc", "sensitivity", "specificity", "set_coverage")
DIAGNOSES = ("auc", "accuracy", "set_coverage")
FEWEST = 20  # patients of a group, and of what a metric is over
MOST_LEVELS = 8


@dataclass(frozen=True)
class Group:
    """One level of a column.

    Args:
        measured: of each metric the value among these patients, with its interval.
        worse: the metrics that are worse here than among all other patients, by an interval of the difference.
    """

    column: str
    level: str
    patients: int
    measured: dict[str, Estimate]
    worse: tuple[str, ...]


def of_question(
    settings: Medical, truth: np.ndarray, rows: pd.DataFrame, scored: pd.DataFrame, end: str
) -> Iterator[Group]:
    """The groups for one question.

    Args:
        truth: 1, 0 or NaN, shape `(patients,)`.
        end: what that question's outputs end with.
    """

    def measured(own: np.ndarray) -> Mapping[str, Metric]:
        return measures.of_question(settings, np.where(own, truth, np.nan), scored, end)

    return _groups(rows, QUESTION, measured, lambda metric, own: _patients(metric, truth[own]))


def of_diagnoses(rows: pd.DataFrame, scored: pd.DataFrame) -> Iterator[Group]:
    """The groups where one of several diagnoses is named."""

    def measured(own: np.ndarray) -> Mapping[str, Metric]:
        found = measures.of_diagnoses(rows[own], scored[own])
        return {name: measures.over_all(found[name], own) for name in DIAGNOSES}

    return _groups(rows, DIAGNOSES, measured, lambda _, own: int(own.sum()))


def _groups(
    rows: pd.DataFrame,
    metrics: Sequence[str],
    measured: Callable[[np.ndarray], Mapping[str, Metric]],
    count: Callable[[str, np.ndarray], int],
) -> Iterator[Group]:
    """The levels of each column that tells patients apart, resampled by patient.

    Args:
        measured: metrics over all patients that count those alone which are marked, bool, shape `(patients,)`.
        count: over how many of these patients a metric is.
    """
    resampling = Resampling(len(rows))
    for column in COLUMNS:
        if column not in rows:
            continue
        levels = levels_of(rows[column])
        for level in levels.cat.categories:
            own = (levels == level).to_numpy()
            if not own.any():
                continue
            enough = [name for name in metrics if count(name, own) >= FEWEST]
            beside = [name for name in enough if count(name, ~own) >= FEWEST]
            inside = measured(own) if enough else {}
            outside = measured(~own) if beside else {}
            worse = [
                name
                for name in beside
                if (high := compare(inside[name], outside[name], resampling).high) is not None and high < 0
            ]
            kept = estimate({name: inside[name] for name in enough}, resampling)
            yield Group(column, str(level), int(own.sum()), kept, tuple(worse))


def levels_of(cells: pd.Series) -> pd.Series:
    """The level of each patient, categorical; numbers of many values in four bands, missing ones in none.

    Of many levels the rarest are one.
    """
    if not pd.api.types.is_numeric_dtype(cells):
        rest = cells.value_counts().index[MOST_LEVELS:]
        together = cells.astype(object).where(~cells.isin(rest), f"{len(rest)} other levels")
        return (together if len(rest) > 1 else cells).astype("category")
    known = cells.dropna()
    if known.empty:
        return pd.Series(pd.Categorical([None] * len(cells), categories=[]), index=cells.index)
    ends, codes = bands(known.to_numpy())
    edges = [f"{end:g}" for end in ends]
    between = [f"over {low} to {high}" for low, high in pairwise(edges)]
    names = [f"up to {edges[0]}", *between, f"over {edges[-1]}"] if edges else ["any"]
    found = pd.Categorical.from_codes(codes, pd.Index(names), ordered=True)
    return pd.Series(found, index=known.index).reindex(cells.index)


def _patients(metric: str, truth: np.ndarray) -> int:
    """How many patients a metric is over: the ill, the others, the fewer of both, or all."""
    ill, well = int((truth == 1).sum()), int((truth == 0).sum())
    return {"sensitivity": ill, "specificity": well, "auc": min(ill, well)}.get(metric, ill + well)
