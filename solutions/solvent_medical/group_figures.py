"""What the report shows of groups of patients: each metric with its interval, and of several findings a table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from solvent import Figure
from solvent.report import drawing
from solvent.report.wording import shorten
from solvent.wording import listed

from .subgroups import FEWEST, Group

__all__ = ["forests", "tables"]

NAMES = {
    "auc": "AUC",
    "accuracy": "Accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "set_coverage": "Coverage of the sets",
}
IN_TABLES = ("auc", "sensitivity")
MARKED = (
    "A group is marked where the interval of its difference from all other patients lies below 0; of so many groups "
    "one may by chance."
)
TOLD = 6


def forests(title: str, found: Sequence[Group]) -> Iterator[Figure]:
    """A figure for each metric; none where nothing tells patients apart."""
    for metric, label in NAMES.items():
        known = [group for group in found if metric in group.measured]
        if not known:
            continue
        worse = [_name(group) for group in known if metric in group.worse]
        few = [_name(group) for group in found if metric not in group.measured]
        warning = f"Warning: worse than for all others in {', '.join(worse)}. " if worse else "No group stands out. "
        left = f" Left out, since fewer than {FEWEST} of their patients count: {listed(few, TOLD)}." if few else ""
        yield Figure(
            title=f"{label} by group{title}",
            caption=f"{warning}95 % intervals over patients. {MARKED}{left}",
            draw=_forest(known, metric, label),
            width=4.6,
            height=0.9 + 0.3 * len(known),
        )


def tables(found: Mapping[str, Sequence[Group]], drawn: Sequence[str]) -> Iterator[Figure]:
    """Of several findings one figure for a metric: a cell for each group and finding.

    Args:
        found: the groups of each finding.
        drawn: the findings whose groups are drawn with their intervals too.
    """
    names = list(found)
    others = [name for name in names if name not in drawn]
    for metric in IN_TABLES:
        levels = list(
            dict.fromkeys(_name(group) for each in found.values() for group in each if metric in group.measured)
        )
        if not levels:
            continue
        values, marks = np.full((len(levels), len(names)), np.nan), np.zeros((len(levels), len(names)), bool)
        for column, each in enumerate(found.values()):
            for group in each:
                if metric in group.measured:
                    place = levels.index(_name(group)), column
                    values[place], marks[place] = group.measured[metric].value, metric in group.worse
        worse = [f"{levels[row]} ({names[column]})" for row, column in np.argwhere(marks).tolist()]
        warning = f"Warning: worse in {listed(worse, TOLD)}." if worse else "No group stands out."
        yield Figure(
            title=f"{NAMES[metric]} by group and finding",
            caption=f"{warning} {MARKED} Empty where fewer than {FEWEST} patients count."
            + (f" No curves and intervals of their own are drawn of {listed(others)}." if others else ""),
            draw=_table(values, marks, levels, names),
            width=1.8 + 0.55 * len(names),
            height=1.3 + 0.3 * len(levels),
        )


def _name(group: Group) -> str:
    return f"{group.column} {group.level}"


def _forest(known: list[Group], metric: str, label: str) -> Any:
    def draw(axes: Any) -> None:
        for place, group in enumerate(known):
            measured = group.measured[metric]
            colour = drawing.BAD if metric in group.worse else drawing.OURS
            if measured.low is not None and measured.high is not None:
                axes.plot([measured.low, measured.high], [place, place], color=colour, linewidth=1.6)
            axes.plot(measured.value, place, "o", color=colour, markersize=5)
        names = [f"{group.column} {shorten(group.level, 18)} ({group.patients})" for group in known]
        axes.set_yticks(range(len(known)), names)
        axes.set(xlabel=label, ylim=(len(known) - 0.5, -0.5), xlim=(None, 1.02))

    return draw


def _table(values: np.ndarray, marks: np.ndarray, levels: list[str], names: list[str]) -> Any:
    def draw(axes: Any) -> None:
        for row, column in np.argwhere(~np.isnan(values)).tolist():
            marked = marks[row, column]
            axes.text(
                column,
                row,
                f"{values[row, column]:.2f}",
                ha="center",
                va="center",
                fontsize=7,
                color=drawing.BAD if marked else drawing.INK,
                fontweight="bold" if marked else "normal",
            )
        axes.set_xticks(range(len(names)), [shorten(name, 14) for name in names], rotation=60, ha="right")
        axes.set_yticks(range(len(levels)), [shorten(level, 24) for level in levels])
        axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(levels) - 0.5, -0.5))
        axes.grid(visible=False)

    return draw
