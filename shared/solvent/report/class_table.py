"""One table of all classes: how many rows each has, where it is cut, how well it is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import sections, wording

__all__ = ["ClassRow", "ClassTable", "class_table"]

JSON = Any
_METRICS = ("precision", "recall", "f1", "average_precision")


@dataclass(frozen=True)
class ClassRow:
    """A line of the table.

    Args:
        rows: test rows that have the class, if any were counted.
        threshold: at or above it the class is named; None where the most probable class is.
        chosen: whether that threshold could be chosen.
        found: an estimate for each metric of the table.
        baseline: its F1.
        span: ours, drawn from 0 to 1, with the baseline's as the mark.
    """

    name: str
    rows: int
    threshold: float | None
    chosen: bool
    found: list[Mapping[str, JSON] | None]
    baseline: Mapping[str, JSON] | None
    span: sections.Span


@dataclass(frozen=True)
class ClassTable:
    """All classes, the one of the lowest F1 first.

    Args:
        metrics: names of those that were measured class by class, such as f1.
        counted: whether the scores are at hand, so that rows could be counted.
        without: test rows that have no class.
    """

    metrics: list[str]
    rows: list[ClassRow]
    thresholds: bool
    baseline: bool
    counted: bool
    without: int

    @property
    def told(self) -> tuple[str, ...]:
        """Which facts of the operating point it shows."""
        return ("value", "not_chosen") if self.thresholds else ()


def class_table(bundle: Mapping[str, JSON], scores: Any = None) -> ClassTable | None:
    """The metrics of single classes and the thresholds by class; None where a bundle has neither."""
    test, classes = bundle["test"] or {}, sections.classes(bundle)
    ours, theirs = test.get("metrics") or {}, test.get("baseline") or {}
    point = bundle["facts"].get("operating_point") or {}
    value = point.get("value")
    cuts = value if isinstance(value, Mapping) else {}
    metrics = [metric for metric in _METRICS if any(f"{metric} of {level}" in ours for level in classes)]
    if not metrics and not cuts:
        return None
    truth = None if scores is None else scores.get("truth")
    counts = {} if truth is None else truth.explode().value_counts()
    rows = []
    for level in classes:
        f1, other = ours.get(f"f1 of {level}"), theirs.get(f"f1 of {level}")
        rows.append(
            ClassRow(
                level,
                int(counts.get(level, 0)),
                wording.finite(cuts.get(level)),
                level not in point.get("not_chosen", ()),
                [ours.get(f"{metric} of {level}") for metric in metrics],
                other,
                sections.Span(_place(f1, "value"), _place(f1, "low"), _place(f1, "high"), _place(other, "value")),
            )
        )
    rows.sort(key=lambda row: (row.span.value is None, row.span.value or 0))
    without = int((truth.str.len() == 0).sum()) if truth is not None and sections.lists(bundle) else 0
    return ClassTable(metrics, rows, bool(cuts), any(row.baseline for row in rows), truth is not None, without)


def _place(found: Mapping[str, JSON] | None, key: str) -> float | None:
    value = wording.finite((found or {}).get(key))
    return None if value is None else round(2 + 96 * value, 2)
