"""Rows that kill the process that scores them: found in processes of their own, so that the run comes to its end.

Before a part is scored, a mark of it is left on the disk; whoever ends in an orderly way takes it away. So the next
process knows at which part the last one died. That alone says nothing of the rows, for an operator's kill or a machine
that is switched off leaves the same mark. After two deaths at one part its rows are scored in a child, and again in
halves where that child is killed. Only what kills a child alone, and once more, is set aside.

Where memory runs out, the system may end the child's parent too (a cgroup's memory.oom.group). So what is asked of a
child is written down before, and what became of it behind: the next process takes a question without an answer for one
that killed, and goes on from there.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import SolventError
from ..schema import Schema
from ..wording import many
from .parts import Part, entity_keys, score_part

__all__ = ["CONTROLS", "DEATHS", "Asked", "Children", "Mark", "deadly", "marked", "serve"]

log = logging.getLogger("solvent")
MARK, ASKED, WIDTH, MOST_MARKED = "scoring", "asked", 4096, 128
LIVED, WITH_PARENT = "lived", "with its parent"
DEATHS = 2  # at one part, before its rows are looked at
CONTROLS = 3  # rows of the part before
MOST = 20  # rows or entities of a part; where there are more, it is not the rows
BY_SOMEBODY = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from solvent.score.poison import serve; serve()"


class Mark:
    """Which parts are being scored, and at which ones processes have died; made by `marked`.

    It is written without a flush: what a process has written stays when it is killed.
    """

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._deaths: dict[int, int] = {}
        with suppress(ValueError, LookupError, TypeError, AttributeError):  # nothing, or torn
            said = json.loads(os.pread(handle, WIDTH, 0))
            self._deaths = {int(part): int(died) for part, died in said["deaths"].items()}
            for part in map(int, said["parts"]):
                self._deaths[part] = self._deaths.get(part, 0) + 1

    def begin(self, part: int, beside: Iterable[int] = ()) -> int:
        """Note that a part is about to be scored.

        Args:
            beside: others that are being scored. Where several are, nobody knows at which one a process has died: it
                counts for each of them.

        Returns:
            How many processes have died at it.
        """
        # the part before may have to be scored again too, since it was still being written
        last = sorted(self._deaths)[-MOST_MARKED:]
        parts = sorted({part, *beside})[:MOST_MARKED]
        said = json.dumps({"parts": parts, "deaths": {each: self._deaths[each] for each in last}})
        os.pwrite(self._handle, said.ljust(WIDTH).encode(), 0)
        return self._deaths.get(part, 0)


@contextmanager
def marked(folder: Path) -> Iterator[Mark]:
    """Give the mark of the run in a folder; it is taken away at the end of the block, however that is reached."""
    handle = os.open(folder / MARK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield Mark(handle)
    finally:
        os.close(handle)
        for name in (MARK, ASKED):
            (folder / name).unlink(missing_ok=True)


class Asked:
    """What was asked of children about one part, and how each ended: the questions come in one order each time.

    Args:
        folder: of the run.
        about: the part and its content; what is on the disk about another one is dropped.
    """

    def __init__(self, folder: Path, about: str) -> None:
        self._path = folder / ASKED
        lines = self._path.read_text(encoding="utf-8").split("\n") if self._path.exists() else []
        self._known: list[tuple[str, str | None]] = []
        if lines[:1] != [about]:
            self._path.write_text(f"{about}\n", encoding="utf-8")
        for line in lines[1:-1] if lines[:1] == [about] else ():  # the last one is blank, or torn
            question, _, answer = line.partition(" ")
            if answer:
                self._known[-1] = (question, answer if answer != LIVED else None)
            else:
                self._known.append((question, WITH_PARENT))

    def answer(self, units: Sequence[int], ask: Callable[[], str | None]) -> str | None:
        """The known answer to a question, or the one that asking gives: what killed, or None."""
        question = f"{units[0]}-{units[-1]}/{len(units)}" if len(units) else "none"
        if self._known:
            known, answer = self._known.pop(0)
            if known == question:
                return answer
            raise SolventError(f"{self._path} is not of this part. Remove it, then resume by the same command.")
        self._write(question)
        answer = ask()
        self._write(f"{question} {answer or LIVED}")
        return answer

    def done(self) -> None:
        """All is answered: who dies at the part from here on has it asked anew."""
        self._path.unlink(missing_ok=True)

    def _write(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(f"{line}\n")


def deadly(
    part: Part,
    schema: Schema,
    children: Children,
    go_on: Callable[[], None],
    asked: Asked,
    before: pd.DataFrame | None = None,
) -> dict[Hashable, str]:
    """The rows of a part that kill whoever scores them, and why they are set aside, by index.

    Rows of one entity are never parted: an entity kills as a whole.

    Args:
        go_on: raises SolventError where the run has to end now; asked between children.
        asked: what earlier processes have found; is done with at the end.
        before: rows of the part before, or None. If all of a part kill, and these do too, it is not the rows; if there
            are none, the scorer has to live through an empty part.

    Raises:
        SolventError: if no row kills alone, and together they do; or if far too many kill, or all that there are.
    """
    units = _units(part.raw, schema)
    found: dict[int, str] = {}
    survived: list[Sequence[int]] = []

    def dies(some: Sequence[int]) -> str | None:
        go_on()
        rows = [index for unit in some for index in units[unit]]
        killed = asked.answer(some, lambda: children.score(_only(part, rows)))
        if killed is None:
            survived.append(some)
        return killed

    def look(some: Sequence[int]) -> None:
        if not some or dies(some) is None:
            return
        if len(some) > 1:
            look(some[: len(some) // 2])
            look(some[len(some) // 2 :])
        elif (killed := dies(some)) is not None:
            found[some[0]] = f"scoring it kills the process ({killed}), alone and once more"
        if len(found) > MOST:
            raise _not_the_rows(f"More than {MOST} rows kill whoever scores them")

    def lives_through_others() -> bool:
        others = [Part(before[place : place + 1]) for place in range(len(before))] if before is not None else []
        for place, other in enumerate(others or [Part(part.raw[:0])]):
            go_on()
            if asked.answer([-1 - place], lambda other=other: children.score(other)) is None:  # type: ignore[misc]
                return True
        return False

    look(range(len(units)))
    if found and len(found) == len(units) and (len(units) > 1 or not lives_through_others()):
        raise _not_the_rows(f"All of {many(len(part.raw), 'row')} kill whoever scores them")
    rest = [unit for unit in range(len(units)) if unit not in found]
    if rest and rest not in [list(each) for each in survived] and (killed := dies(rest)) is not None:
        raise SolventError(
            f"Scoring {sum(len(units[unit]) for unit in rest)} rows kills the process ({killed}), and none of them "
            "does alone: is the memory too small? Give smaller parts: --chunk-rows, in a job chunk_rows."
        )
    asked.done()
    return {index: why for unit, why in sorted(found.items()) for index in units[unit]}


def _not_the_rows(what: str) -> SolventError:
    return SolventError(
        f"{what}: that is not the rows. Look at memory and at the packages of this machine, then resume by the same "
        "command."
    )


def _units(raw: pd.DataFrame, schema: Schema) -> list[list[Hashable]]:
    entities = [each.source for each in schema.by_role("entity") if each.source in raw]
    if not entities:
        return [[index] for index in raw.index]
    keys = entity_keys(raw, entities).to_numpy()  # as parts are cut: 1 and 1.0 are one machine
    return [list(rows) for rows in raw.index.to_series().groupby(keys, sort=False).agg(list)]


def _only(part: Part, indexes: Sequence[Hashable]) -> Part:
    kept = set(indexes)
    repeated = {index: why for index, why in part.repeated.items() if index in kept}
    return Part(part.raw[part.raw.index.isin(kept)], repeated)


@dataclass
class Children:
    """Processes that score for another one; the next is started once one has died. Used in a `with` block.

    Args:
        bundle: is pickled by the folder that it is loaded from.
        side: side tables for its scorer.
        arguments: of `score_part`, but for the part and the scorer.
    """

    bundle: Any
    side: Mapping[str, pd.DataFrame]
    arguments: Mapping[str, Any]
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _pipe: Connection | None = field(default=None, init=False)

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def score(self, part: Part) -> str | None:
        """Score a part in a child; gives the signal that killed it, or None. What is merely raised kills nothing.

        Raises:
            SolventError: if a child can't make the scorer, or was told to end.
        """
        if self._child is None:
            self._start()
        assert self._pipe is not None
        try:
            self._pipe.send(part)
            self._pipe.recv()
        except (EOFError, OSError):
            return self._killed()
        return None

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._child = subprocess.Popen(
                [sys.executable, "-c", START, json.dumps(sys.path), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._pipe = Connection(ours.detach())
        try:
            self._pipe.send((self.bundle, dict(self.side), dict(self.arguments)))
            self._pipe.recv()
        except (EOFError, OSError) as error:
            killed = self._killed()
            raise SolventError(
                f"A process for the scorer alone ended before it was ready ({killed or 'with an error'}). Look at "
                "memory and at the packages of this machine, then resume by the same command."
            ) from error

    def _killed(self) -> str | None:
        assert self._child is not None
        code = self._child.wait()
        self._end()
        if -code in BY_SOMEBODY:
            raise SolventError(
                f"{signal.Signals(-code).name}: ended. Nothing was published; resume by the same command."
            )
        return signal.Signals(-code).name if code < 0 else None

    def _end(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        self._child = self._pipe = None


def serve() -> None:
    """The child's side: take a bundle, then score parts until nobody gives any more. What is raised ends it with 1."""
    with suppress(OSError):  # where memory is short, the system is to end this process, not its parent
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    pipe = Connection(int(sys.argv[2]))
    bundle, side, arguments = pipe.recv()
    scorer = bundle.scorer(side)
    pipe.send(True)
    with suppress(EOFError):
        while True:
            score_part(pipe.recv(), score=scorer, **arguments)
            pipe.send(True)
