"""Groups of patients side by side: whether the model is worse for some of them than for the others."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from solvent.metrics import Estimate, Resampling, compare, estimate
from solvent.metrics.fairness import bands

from .measures import of_question
from .settings import Medical

__all__ = ["COLUMNS", "FEWEST", "Group", "groups", "levels_of"]

COLUMNS = ("site", "sex", "age", "device")
METRICS = ("auc", "sensitivity", "specificity", "set_coverage")
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


def groups(settings: Medical, truth: np.ndarray, rows: pd.DataFrame, scored: pd.DataFrame, end: str) -> Iterator[Group]:
    """The levels of each column that tells patients apart, resampled by patient.

    Args:
        truth: of one question, 1, 0 or NaN, shape `(patients,)`.
        end: what that question's outputs end with.
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
            inside = of_question(settings, np.where(own, truth, np.nan), scored, end)
            outside = of_question(settings, np.where(own, np.nan, truth), scored, end)
            enough = [name for name in METRICS if _patients(name, truth[own]) >= FEWEST]
            measured = estimate({name: inside[name] for name in enough}, resampling)
            worse = [
                name
                for name in enough
                if _patients(name, truth[~own]) >= FEWEST
                and (high := compare(inside[name], outside[name], resampling).high) is not None
                and high < 0
            ]
            yield Group(column, str(level), int(own.sum()), measured, tuple(worse))


def levels_of(cells: pd.Series) -> pd.Series:
    """The level of each patient, categorical; numbers of many values in four bands, missing ones in none."""
    if not pd.api.types.is_numeric_dtype(cells):
        named = cells.astype("category")
        rest = cells.value_counts().index[MOST_LEVELS:]
        return named.cat.remove_categories(rest) if len(rest) else named
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
