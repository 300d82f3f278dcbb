"""Measure scored rows: metrics with intervals, rivals beside ours on the same rows, slices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from . import promises
from .errors import Refused
from .metrics import classification, intervals
from .schema import Schema
from .solution import JSON, Goal, Score, Solution, Sums, Table, Weighted

__all__ = ["OURS", "Judge", "Measured", "Scored"]

OURS = ""  # our model's name among the rivals'
MOST_SLICED_COLUMNS, MOST_LEVELS, FEWEST_ROWS = 6, 8, 20


@dataclass(frozen=True)
class Scored:
    """Cases with their targets, and what each model made of them.

    Args:
        by_model: ours stands under `OURS`. Every table has the index of `rows`.
        failed: cases that some model could not score; they are in none of the tables.
    """

    rows: Table
    by_model: dict[str, Table]
    failed: int

    @classmethod
    def of(cls, rows: Table, scorers: Mapping[str, Score]) -> Scored:
        found = {name: score(rows) for name, score in scorers.items()}
        well = np.logical_and.reduce([table["error"].isna().to_numpy() for table in found.values()])
        kept = {name: table[well].drop(columns="error") for name, table in found.items()}
        return cls(rows[well], kept, int((~well).sum()))

    @property
    def ours(self) -> Table:
        return self.by_model[OURS]

    def join(self, other: Scored) -> Scored:
        both = {name: pd.concat([table, other.by_model[name]]) for name, table in self.by_model.items()}
        return Scored(pd.concat([self.rows, other.rows]), both, self.failed + other.failed)


@dataclass(frozen=True)
class Measured:
    """The metrics of one model on some rows, and how to resample them."""

    metrics: Mapping[str, float | Sums | Weighted]
    resampling: intervals.Resampling
    goal: Goal

    @property
    def headline(self) -> float:
        return intervals.point(self.metrics[self.goal.metric])

    def estimates(self) -> dict[str, JSON]:
        """Value, low and high by metric."""
        found = intervals.estimate(self.metrics, self.resampling)
        return {name: asdict(estimate) for name, estimate in found.items()}

    def headline_estimate(self) -> dict[str, JSON]:
        metric = self.goal.metric
        return asdict(intervals.estimate({metric: self.metrics[metric]}, self.resampling)[metric])

    def difference(self, other: Measured) -> dict[str, JSON] | None:
        """Our headline less the other's on the same rows; None where the headline can't be resampled."""
        ours, theirs = self.metrics[self.goal.metric], other.metrics[self.goal.metric]
        if isinstance(ours, (Sums, Weighted)) and isinstance(theirs, (Sums, Weighted)):
            return asdict(intervals.compare(ours, theirs, self.resampling))
        return None


@dataclass(frozen=True)
class Judge:
    """A solution's metrics, applied to scored rows."""

    solution: Solution[Any]
    settings: Any
    schema: Schema

    @property
    def goal(self) -> Goal:
        return promises.checked_goal(self.solution.headline, self.solution.headline(self.settings))

    def cases(self, rows: Table) -> Table:
        """The rows that are scored and measured: one for each case."""
        return promises.checked_cases(self.solution.cases, self.solution.cases(self.settings, rows))

    def measure(self, rows: Table, scored: Table) -> Measured:
        """Apply the solution's metrics.

        Args:
            rows: cases with their targets.
            scored: what scoring made of them, same index, no row with an error.

        Raises:
            Refused: if there is no row.
        """
        if rows.empty:
            raise Refused("There is no row to measure on: all were set aside. Look at their reasons.")
        found = self.solution.metrics(self.settings, rows, scored)
        metrics = promises.checked_metrics(self.solution.metrics, found, self.goal, len(rows))
        whole = self.schema.by_role("entity") or self.schema.by_role("group")
        groups = rows[whole[0].name].to_numpy() if whole and whole[0].name in rows else None
        return Measured(metrics, intervals.Resampling(len(rows), groups), self.goal)

    def headlines(self, rows: Table, scorers: Mapping[str, Score]) -> dict[str, float]:
        """Every model's headline on the same rows."""
        scored = Scored.of(self.cases(rows), scorers)
        return {name: self.measure(scored.rows, table).headline for name, table in scored.by_model.items()}

    def report(
        self,
        scored: Scored | None,
        valid: Mapping[str, float],
        seconds: Mapping[str, float],
        facts: Mapping[str, JSON],
    ) -> dict[str, JSON]:
        """The parts of bundle.json that hold measurements.

        Args:
            scored: the test cases; None where there is no test part.
            valid: every model's headline on validation rows; the best rival by it is the baseline.
            seconds: how long each rival took.
            facts: what fitting left; with two classes its `positive` and `operating_point` tell the classes apart.
        """
        rivals: dict[str, Any] = {
            name: {"valid": valid[name], "metrics": None, "difference": None, "seconds": taken}
            for name, taken in seconds.items()
        }
        if scored is None:
            return {
                "test": None,
                "rivals": rivals,
                "protocol": None,
                "valid": valid[OURS],
                "confusion": None,
                "slices": [],
            }
        measured = {name: self.measure(scored.rows, table) for name, table in scored.by_model.items()}
        metrics = {name: item.estimates() for name, item in measured.items()}
        for name, rival in rivals.items():
            rival |= {"metrics": metrics[name], "difference": measured[OURS].difference(measured[name])}
        best = self._baseline(rivals)
        return {
            "test": {
                "solution": self.solution.name,
                "rows": len(scored.rows),
                "set_aside": scored.failed,
                "headline": self.goal.metric,
                "metrics": metrics[OURS],
                "baseline": {"name": best, **metrics[best]} if best else None,
            },
            "rivals": rivals,
            "protocol": measured[OURS].resampling.protocol,
            "valid": valid[OURS],
            "confusion": self._confusion(scored, facts),
            "slices": self._slices(scored),
        }

    def _baseline(self, rivals: Mapping[str, Mapping[str, Any]]) -> str | None:
        best: str | None = None
        for name, rival in rivals.items():
            if self.goal.better(rival["valid"], rivals[best]["valid"] if best else None):
                best = name
        return best

    def _confusion(self, scored: Scored, facts: Mapping[str, JSON]) -> JSON:
        """Counts by class: by the output `class`, or else by the probability at the operating point."""
        target = next((item for item in self.schema.targets if item.kind == "category"), None)
        classes = list((target and target.levels) or ())
        if target is None or not classes:
            return None
        if "class" in scored.ours:
            decided = pd.Index(classes).get_indexer(scored.ours["class"])
        elif len(classes) == 2 and "operating_point" in facts and "probability" in scored.ours:
            positive = classes.index(facts["positive"])
            over = scored.ours["probability"].to_numpy() >= facts["operating_point"]["value"]
            decided = np.where(over, positive, 1 - positive)
        else:
            return None
        truth = pd.Index(classes).get_indexer(scored.rows[target.name])
        counts = classification.confusion(truth, decided, len(classes))
        return {"classes": classes, "rows_are": "truth", "counts": counts.tolist()}

    def _slices(self, scored: Scored) -> list[dict[str, JSON]]:
        """The headline in each level of the protected columns and of the first categories with few levels."""
        categories = [field for field in self.schema.features if field.kind == "category"]
        few = [field for field in categories if 2 <= len(field.levels or ()) <= MOST_LEVELS]
        found: list[dict[str, JSON]] = []
        for field in [*self.schema.by_role("protected"), *few][:MOST_SLICED_COLUMNS]:
            for level, part in scored.rows.groupby(field.name, sort=True, observed=True):
                if len(part) >= FEWEST_ROWS:
                    estimate = self.measure(part, scored.ours.loc[part.index]).headline_estimate()
                    found.append({"column": field.source, "level": str(level), "rows": len(part), **estimate})
        return found


def score_table(schema: Schema, scored: Scored) -> Table:
    """The cases' ids, truth and scores; a rival's outputs stand under its name."""
    columns: dict[str, Any] = {}
    for item in schema.by_role("id"):
        columns["id"] = scored.rows[item.name]
    for item in schema.targets[:1]:
        columns["truth"] = scored.rows[item.name]
    for name, table in scored.by_model.items():
        columns |= {f"{name}: {column}" if name else column: table[column] for column in table}
    return pd.DataFrame(columns)
