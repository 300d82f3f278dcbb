"""What scores the parts of a run: this process (`Home`), or processes of a Ray cluster (`actors.py`).

Whoever scores, this process alone reads, writes, keeps the ledger and publishes: the same bytes come out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import pandas as pd

from ..errors import SolventError
from ..solution import Score
from ..wording import listed
from . import stop
from .parts import Part, Scored, score_part
from .poison import DEATHS, Asked, Children, Mark, deadly

__all__ = ["Engine", "Home", "Made", "Name", "Task", "opened"]

log = logging.getLogger("solvent")
Name = Literal["local", "ray"]


@dataclass(frozen=True)
class Task:
    """A part that is to be scored.

    Args:
        seen: a hash of its rows, where the source's files don't tell whether it has changed.
        before: some rows of the part before it, if there is one.
    """

    number: int
    part: Part
    seen: str | None
    before: pd.DataFrame | None


@dataclass(frozen=True)
class Made:
    """What became of a task."""

    number: int
    seen: str | None
    scored: Scored


class Engine(Protocol):
    """Scores tasks, and gives back what became of them in their order."""

    def scored(self, tasks: Iterator[Task], mark: Mark) -> Iterator[Made]:
        """What the tasks' iterator raises is raised behind what became of the tasks before."""


@dataclass
class Home:
    """This process: it scores one part after the other, and finds rows of a part that kill whoever scores them.

    Args:
        bundle: see `Scoring`.
        side: side tables for its scorer.
        arguments: of `score_part`, but for the part and the scorer.
        work: the run's folder.
    """

    bundle: Any
    side: Mapping[str, pd.DataFrame]
    arguments: Mapping[str, Any]
    work: Path
    why_stop: stop.Why

    @cached_property
    def scorer(self) -> Score:
        found: Score = self.bundle.scorer(self.side)
        return found

    def scored(self, tasks: Iterator[Task], mark: Mark) -> Iterator[Made]:
        for task in tasks:
            yield Made(task.number, task.seen, self.score(task, mark.begin(task.number)))

    def score(self, task: Task, deaths: int) -> Scored:
        """Score one part.

        Args:
            deaths: how many processes have died at it. If there are several, its rows are looked at first.
        """
        part = self._without_deadly_rows(task) if deaths >= DEATHS else task.part
        return score_part(part, score=self.scorer, **self.arguments)

    def go_on(self, part: int) -> None:
        """Raise SolventError if the run has to end at once."""
        if reason := self.why_stop(False):
            raise SolventError(f"{reason}: ended at part {part}. Nothing was published; resume by the same command.")

    def _without_deadly_rows(self, task: Task) -> Part:
        """The part at which processes have died, with the rows that kill named."""
        number, part, label = task.number, task.part, self.arguments["label"]
        log.warning("%s: %d processes died at part %d: is it a row?", label, DEATHS, number)
        with Children(self.bundle, self.side, self.arguments) as children:
            asked = Asked(self.work, f"part {number}, {len(part.raw)} rows, {task.seen or 'as the run is known by'}")
            found = deadly(
                part, self.arguments["schema"], children, lambda: self.go_on(number), asked, before=task.before
            )
        if found:
            rows = listed(map(str, part.raw.index[part.raw.index.isin(list(found))] + 1), 5)
            log.warning("%s: %d rows kill the process and are set aside: %s", label, len(found), rows)
        else:
            log.warning("%s: no row of part %d kills: it is scored as ever", label, number)
        return replace(part, deadly=found)


def opened(name: Name, home: Home, versions: Mapping[str, str]) -> AbstractContextManager[Engine]:
    """Give the engine, once it can score.

    Args:
        versions: of the packages that the run is known by.

    Raises:
        Refused: if there is no Ray, or the scorer refuses what it is given.
    """
    if name == "ray":
        from .actors import actors  # only where it is asked for: Ray need not be installed

        return actors(home, versions)
    return _here(home)


@contextmanager
def _here(home: Home) -> Iterator[Engine]:
    _ = home.scorer
    yield home
