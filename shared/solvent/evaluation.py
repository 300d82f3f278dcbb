"""Measure scored rows: metrics with intervals, rivals beside ours on the same rows, slices, fairness."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set, Sized
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from . import images, promises
from .errors import Refused
from .metrics import classification, fairness, intervals
from .schema import Field, Schema, kinds
from .solution import JSON, Fitted, Goal, Output, Score, Series, Solution, Sums, Table, Weighted

__all__ = ["OURS", "Judge", "Measured", "Scored"]

OURS = ""  # our model's name among the rivals'
MOST_SLICED_COLUMNS, MOST_LEVELS, FEWEST_ROWS = 6, 8, 20
MOST_COMPARED_LEVELS = 20


@dataclass(frozen=True)
class Scored:
    """Cases with their targets, and what each model made of them.

    Args:
        by_model: ours stands under `OURS`. Every table has the index of `rows`.
        failed: cases that some model could not score; they are in none of the tables, and rows that were only read as
            context are not either.
    """

    rows: Table
    by_model: dict[str, Table]
    failed: int

    @classmethod
    def of(cls, rows: Table, scorers: Mapping[str, Score]) -> Scored:
        return cls.told(rows, {name: score(rows) for name, score in scorers.items()})

    @classmethod
    def told(cls, rows: Table, found: Mapping[str, Table]) -> Scored:
        """The same of what each model's scorer has said of the rows."""
        context = np.logical_or.reduce([promises.is_context(table) for table in found.values()])
        failed = np.logical_or.reduce([table["error"].notna().to_numpy() for table in found.values()])
        well = ~(failed | context)
        beside = ["error", promises.CONTEXT]
        kept = {name: table[well].drop(columns=beside, errors="ignore") for name, table in found.items()}
        return cls(rows[well], kept, int((failed & ~context).sum()))

    @property
    def ours(self) -> Table:
        return self.by_model[OURS]

    @classmethod
    def joined(cls, parts: Sequence[Scored]) -> Scored:
        """The cases of several parts, one after the other."""
        by_model = {name: pd.concat([part.by_model[name] for part in parts]) for name in parts[0].by_model}
        return cls(pd.concat([part.rows for part in parts]), by_model, sum(part.failed for part in parts))


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

    def cases(self, rows: Table, *fitted: Fitted) -> Table:
        """The rows that are scored and measured: one for each case.

        Args:
            fitted: what is measured on them; nothing for validation rows.
        """
        return promises.checked_cases(self.solution.cases, self.solution.cases(self.settings, rows, *fitted))

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
        return Measured(metrics, self._resampling(rows), self.goal)

    def _resampling(self, rows: Table) -> intervals.Resampling:
        whole = self.schema.by_role("entity") or self.schema.by_role("group")
        name = whole[0].name if whole else self.solution.columns(self.settings).resample
        return intervals.Resampling(len(rows), rows[name].to_numpy() if name in rows else None)

    def _unit(self, rows: Table) -> str:
        """What a case is: by the solution's own name whose it is, where each has but one; else a row."""
        columns = self.solution.columns(self.settings)
        own = [column.name for column in columns.inputs if column.role == "entity"]
        name = own[0] if own else columns.resample
        return name if name in rows and rows[name].is_unique else "row"

    def headlines(self, scored: Scored) -> dict[str, float]:
        """Every model's headline on the same rows."""
        return {name: self.measure(scored.rows, table).headline for name, table in scored.by_model.items()}

    def report(
        self,
        scored: Scored | None,
        valid: Mapping[str, float],
        seconds: Mapping[str, float],
        *,
        outputs: Sequence[Output],
        slices: Mapping[str, Series],
        copied: pd.Index,
        set_aside: int,
        folds: int,
    ) -> dict[str, JSON]:
        """The parts of bundle.json that hold measurements.

        Args:
            scored: the test cases; None where there is no test part.
            valid: every model's headline on validation rows; the best rival by it is the baseline.
            seconds: how long each rival took.
            outputs: one of them may name the class that the solution decides for, and which class is adverse.
            slices: what `promises.checked_slices` gives for the test cases.
            copied: index of the test rows that are copies of train or valid rows.
            set_aside: test rows that could not be read.
            folds: of how many models the scores are, out of fold; 0 where they are of one.
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
                "fairness": [],
            }
        measured = {name: self.measure(scored.rows, table) for name, table in scored.by_model.items()}
        metrics = {name: item.estimates() for name, item in measured.items()}
        for name, rival in rivals.items():
            rival |= {"metrics": metrics[name], "difference": measured[OURS].difference(measured[name])}
        best = self._baseline(rivals)
        by_column = [*self._without(scored, copied), *self._slices(scored)]
        protocol = measured[OURS].resampling.protocol
        if folds:
            each = protocol.replace("the model held fixed", "each model held fixed")
            protocol = f"Out-of-fold scores of {folds} models, pooled. {each}"
        return {
            "test": {
                "solution": self.solution.name,
                "rows": len(scored.rows),
                "unit": self._unit(scored.rows),
                "set_aside": scored.failed + set_aside,
                "headline": self.goal.metric,
                "metrics": metrics[OURS],
                "baseline": {"name": best, **metrics[best]} if best else None,
            },
            "rivals": rivals,
            "protocol": protocol,
            "valid": valid[OURS],
            "confusion": self._confusion(scored, outputs),
            "slices": [*by_column, *self._told_apart(scored, slices, {item["column"] for item in by_column})],
            "fairness": self._fairness(scored, outputs),
        }

    def _baseline(self, rivals: Mapping[str, Mapping[str, Any]]) -> str | None:
        best: str | None = None
        for name, rival in rivals.items():
            if self.goal.better(rival["valid"], rivals[best]["valid"] if best else None):
                best = name
        # Where validation rows can't tell, as without any of the class that is looked for, it is the first one named.
        return best or next(iter(rivals), None)

    def _confusion(self, scored: Scored, outputs: Sequence[Output]) -> JSON:
        """Counts by class, where an output names the class that the solution decides for; weighted as the rows are."""
        decision = next((item for item in outputs if item.predicts), None)
        target = next((item for item in self.schema.targets if decision and item.name == decision.predicts), None)
        if decision is None or target is None or not target.levels:
            return None
        classes = list(target.levels)
        truth, decided = (
            pd.Index(classes).get_indexer(cells) for cells in (scored.rows[target.name], scored.ours[decision.name])
        )
        weight = scored.rows.get("weight")
        counts = classification.confusion(truth, decided, len(classes), weight)
        return {"classes": classes, "rows_are": "truth", "counts": counts.tolist()}

    def _without(self, scored: Scored, copied: pd.Index) -> list[dict[str, JSON]]:
        """The headline without the test rows that are copies, where the user gave the parts."""
        kept = scored.rows[~scored.rows.index.isin(copied)]
        if len(kept) == len(scored.rows):
            return []
        return [self._slice(scored, kept, "copies", "left out")]

    def _slices(self, scored: Scored) -> list[dict[str, JSON]]:
        """The headline in each level of the first columns: protected ones and categories, and what passes through.

        But for the protected ones only those with few levels: what passes through as the test cases have it, features
        as the training rows do.
        """
        rows = scored.rows
        passed = [field for field in self.schema.by_role("passthrough") if field.name in rows]
        categories = [field for field in self.schema.features if field.kind == "category"]
        few = [field for field in categories if _are_few(field.levels or ())]
        own = [field for field in passed if _are_few(self._levels(field, rows).cat.categories)]
        columns = [*self.schema.by_role("protected"), *few][:MOST_SLICED_COLUMNS] + own[:MOST_SLICED_COLUMNS]
        return [
            self._slice(scored, part, field.source, "missing" if pd.isna(level) else str(level))
            for field in columns
            for level, part in rows.groupby(self._levels(field, rows), observed=True, dropna=False)
        ]

    def _told_apart(self, scored: Scored, slices: Mapping[str, Series], columns: Set[str]) -> list[dict[str, JSON]]:
        """The headline in each level that the solution itself tells apart; the user's columns are sliced beside it."""
        return [
            self._slice(scored, part, f"{name}, as the solution finds it" if name in columns else name, _shown(level))
            for name, levels in slices.items()
            for level, part in scored.rows.groupby(self._categories(levels, scored.rows), observed=True)
        ]

    def _slice(self, scored: Scored, part: Table, column: str, level: str) -> dict[str, JSON]:
        """The headline on some of the rows; null where they are too few."""
        estimate: dict[str, JSON] = {"value": None, "low": None, "high": None}
        if len(part) >= FEWEST_ROWS:
            estimate = self.measure(part, scored.ours.loc[part.index]).headline_estimate()
        return {"column": column, "level": level, "rows": len(part), **estimate}

    def _fairness(self, scored: Scored, outputs: Sequence[Output]) -> list[dict[str, JSON]]:
        """How our decisions fall on each level of the protected columns, where an output has an adverse class."""
        return [
            self._compared(scored, output, field)
            for output in outputs
            if output.adverse is not None
            for field in self.schema.by_role("protected")
            if field.name in scored.rows
        ]

    def _compared(self, scored: Scored, output: Output, field: Field) -> dict[str, JSON]:
        """Every level of a protected column against the heaviest one that is known."""
        rows, levels = scored.rows, self._levels(field, scored.rows)
        weight = self._weight(rows)
        names = [*levels.cat.categories, "missing"]
        codes = np.where(levels.isna(), len(names) - 1, levels.cat.codes)
        counts, total = np.bincount(codes, minlength=len(names)), np.bincount(codes, weight, minlength=len(names))
        there = sorted(np.flatnonzero(counts).tolist(), key=lambda code: -total[code])
        shown = sorted(there[:MOST_COMPARED_LEVELS])
        known = [code for code in there if code < len(names) - 1 and names[code] not in field.states]
        reference = next((code for code in known if counts[code] >= FEWEST_ROWS), None)
        found = fairness.by_level(
            np.where(np.isin(codes, shown), codes, -1),
            reference,
            favourable=(scored.ours[output.name] != output.adverse).to_numpy(),
            deserving=(rows[output.predicts] != output.adverse).to_numpy(),
            weight=weight,
            resampling=self._resampling(rows),
            fewest=FEWEST_ROWS,
        )
        return {
            "column": field.source,
            "output": output.name,
            "adverse": output.adverse,
            "reference": None if reference is None else names[reference],
            "levels": [{"level": names[code], "reference": code == reference, **asdict(found[code])} for code in shown],
            "left_out": len(there) - len(shown),
        }

    def _levels(self, field: Field, rows: Table) -> pd.Series[Any]:
        """The level of each row, a category in the levels' order; missing where the cell is.

        Numbers and times of many values stand in four bands, cut at the quartiles of these rows. A code among numbers
        says nothing, so it is missing too.
        """
        cells = rows[field.name]
        raw = field.role == "passthrough"  # of whatever kind, and not read yet
        if raw or field.kind not in ("number", "time"):
            words = kinds.read(cells, "category").values if raw else cells.map(str, na_action="ignore")
            return pd.Series(words.astype(pd.CategoricalDtype(_in_order(words.dropna().unique()))))
        return self._banded(cells[cells.notna() & ~cells.isin(field.states)], rows)

    def _categories(self, levels: Series, rows: Table) -> pd.Series[Any]:
        """What a solution tells its cases apart by; numbers of many values in bands."""
        return levels if isinstance(levels.dtype, pd.CategoricalDtype) else self._banded(levels.dropna(), rows)

    def _banded(self, known: pd.Series[Any], rows: Table) -> pd.Series[Any]:
        """Numbers or times as categories: in four bands where there are many values."""
        values, codes = np.unique(known.to_numpy(), return_inverse=True)
        names = [_shown(value) for value in values]
        if len(values) > MOST_LEVELS:
            weight = self._weight(rows)
            ends, codes = fairness.bands(known.to_numpy(), None if weight is None else weight.loc[known.index])
            edges = [_shown(end) for end in ends]
            between = [f"over {low} to {high}" for low, high in pairwise(edges)]
            names = [f"up to {edges[0]}", *between, f"over {edges[-1]}"] if edges else ["any value"]
        found = pd.Categorical.from_codes(codes, pd.Index(names), ordered=True)
        return pd.Series(found, index=known.index).reindex(rows.index)

    def _weight(self, rows: Table) -> pd.Series[float] | None:
        """What each row counts; None where no column has that role."""
        return next((rows[field.name] for field in self.schema.by_role("weight") if field.name in rows), None)


def _are_few(levels: Sized) -> bool:
    return 2 <= len(levels) <= MOST_LEVELS


def _in_order(levels: Iterable[str]) -> list[str]:
    """Numbers by their size, other words by the alphabet."""
    words = sorted(levels)
    try:
        sizes = [float(word) for word in words]
    except ValueError:
        return words
    return words if any(map(math.isnan, sizes)) else sorted(words, key=float)


def _shown(value: Any) -> str:
    """A level, or the end of a band: 31, 0.5, 1990-05-31, short."""
    if isinstance(value, np.datetime64 | pd.Timestamp):
        return str(pd.Timestamp(value)).removesuffix(" 00:00:00")
    return np.format_float_positional(value, trim="-") if isinstance(value, float | np.floating) else str(value)


def score_table(schema: Schema, scored: Scored) -> Table:
    """The cases' ids, entities, truth, weights and scores; a rival's outputs stand under its name.

    The first target is `truth`, of several the others are `truth_NAME`.
    """
    columns: dict[str, Any] = {}
    for item in schema.by_role("id"):
        columns["id"] = scored.rows[item.name]
    for item in schema.by_role("entity"):
        columns["entity"] = scored.rows[item.name]
    if not columns:  # photos are then known by the end of their path
        for item in schema.features:
            if item.kind == "image":
                cells = scored.rows[item.name]
                columns["image"] = cells.map(lambda cell: images.short(cell) if isinstance(cell, str) else "the image")
    for item in schema.targets[:1]:
        columns["truth"] = scored.rows[item.name]
    columns |= {f"truth_{item.name}": scored.rows[item.name] for item in schema.targets[1:]}
    for item in schema.by_role("weight"):
        columns["weight"] = scored.rows[item.name]
    for name, table in scored.by_model.items():
        columns |= {f"{name}: {column}" if name else column: table[column] for column in table}
    return pd.DataFrame(columns)
