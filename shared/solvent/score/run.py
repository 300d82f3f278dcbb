"""Score a table with a bundle: the one place that strings the steps of batch scoring together."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from .. import drift, fetched, record, stores, tables
from ..errors import Refused, SolventError
from ..files import held
from ..progress import bar
from ..promises import BrokenPromise
from ..runtime import TENSORFLOW
from ..schema import Schema
from ..solution import JSON, Kind, Output, Score
from ..tables import Source
from ..wording import listed, suggestion
from . import sql, stop
from .beside import ahead, behind
from .engine import Engine, Home, Made, Name, Task, opened
from .finish import finish, judged_again
from .identity import Content, changes, digest, fingerprint, identity, marks
from .ledger import Entry, Ledger
from .order import Order
from .parts import UNWRITABLE, Layout, Part, read_parts
from .poison import CONTROLS, marked
from .publish import Destination
from .remote import Remote
from .sink import Sink
from .writer import write_part

__all__ = ["Scoring", "score"]

log = logging.getLogger("solvent")
PART_ROWS = 50_000
PART_ROWS_OF: Mapping[Kind, int] = {"image": 1_000, "text": 10_000}  # a part is what a kill costs


class Scoring(Protocol):
    """What scoring needs of a bundle."""

    @property
    def path(self) -> Path: ...
    @property
    def sha256(self) -> str: ...
    @property
    def schema(self) -> Schema: ...
    @property
    def outputs(self) -> tuple[Output, ...]: ...
    @property
    def joins(self) -> bool: ...
    @property
    def settings(self) -> Any: ...
    @property
    def facts(self) -> Mapping[str, JSON]: ...
    @property
    def reference(self) -> Mapping[str, JSON]: ...
    def scorer(self, side: Mapping[str, pd.DataFrame] | None = None) -> Score: ...
    def has_changed(self) -> bool: ...


def score(
    bundle: Scoring,
    source: str | os.PathLike[str] | Mapping[str, Any] | Source,
    output: str | os.PathLike[str] | Mapping[str, Any] | Sink,
    *,
    engine: Name = "local",
    chunk_rows: int | None = None,
    max_bad: float = 0.01,
    min_rows: int = 0,
    side: Mapping[str, pd.DataFrame] | None = None,
    ids: Sequence[str] = (),
    passthrough: Sequence[str] = (),
    mask: Collection[str] = (),
    max_minutes: float | None = None,
    alarms: drift.Alarms | None = None,
    keep: int = 3,
    earlier: Sequence[Mapping[str, JSON]] = (),
) -> dict[str, JSON]:
    """Score a table, part by part, and publish the result in one step; the same call goes on where an earlier one was.

    A run is known by its bundle, the content of its source, its side tables, its settings and the packages' versions.
    Its finished parts are on the disk and in a ledger: they are not scored again. A run that is published already is
    left as it is, unless its source is a query or names images, which may have changed.

    Args:
        output: a file for a name that ends in .csv, .jsonl or .parquet, else a folder; or a table of a database. The
            file or the folder may lie in an object store: `s3://bucket/scores`.
        engine: what scores the parts: this process, or with `ray` those of the cluster at RAY_ADDRESS, else of one that
            is started here. It is no part of what a run is known by: each goes on where the other was.
        chunk_rows: rows of a part; scores don't depend on it. By default 50,000; of texts 10,000, of images 1,000.
        max_bad: the share of rows that may be set aside, in [0, 1].
        min_rows: what the source must have at least, without rows that are only read as context.
        side: side tables that replace the bundle's own of that name.
        ids: further columns of the source that tell its rows apart, under the user's own names; they are copied.
        passthrough: further columns that are copied.
        mask: columns whose cells are hidden where their row is set aside.
        max_minutes: after so long scoring ends with the part under way.
        alarms: what drift raises an alarm; by default it is measured and raises none.
        keep: runs of a folder output that stay on the disk, the published one included.
        earlier: what earlier runs were expected to reach, and reached, as `jobs.history.earlier` gives it: the drift
            report shows it.

    Returns:
        The manifest: what was scored with what, how many rows, which were set aside and why, what has drifted.

    Raises:
        Refused: if the source, the output or an argument can't be accepted.
        Locked: if another run holds the output.
        TooManyBadRows: if more rows had to be set aside; nothing was published, the message names where they are.
        SolventError: if something failed, or had to end; the output is as it was, the same call goes on.
    """
    order = Order(
        source=Source.of(source),
        sink=Sink.of(output),
        engine=engine,
        chunk_rows=chunk_rows or _part_rows(bundle.schema),
        max_bad=max_bad,
        min_rows=min_rows,
        side=dict(side or {}),
        ids=tuple(ids),
        passthrough=tuple(passthrough),
        mask=frozenset(mask),
        alarms=alarms,
        keep=keep,
        earlier=tuple(earlier),
    )
    order.refuse_arguments(chunk_rows)
    destination = order.destination
    message = f"Another run is scoring into {destination.shown}. Wait for it, or name another output."
    holding = held(destination.local.runs, message)
    with fetched.named(), _failures_named(destination), holding, stop.listening(max_minutes) as why_stop:
        destination.refuse_what_is_not_ours()
        return Run(bundle, order).go(why_stop)


def _part_rows(schema: Schema) -> int:
    return min((PART_ROWS_OF.get(each.kind, PART_ROWS) for each in schema.features if each.kind), default=PART_ROWS)


@contextmanager
def _failures_named(destination: Destination | Remote) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SolventError(
            f"Scoring into {destination.shown} failed: {error}. What is there is whole, the old or the new output. "
            "Mend that, then resume by the same command."
        ) from error


class Run:
    """One run: what it is known by, and its steps in their order."""

    def __init__(self, bundle: Scoring, order: Order) -> None:
        self.bundle, self.order = bundle, order
        self.started, self.clock = datetime.now(UTC), time.monotonic()
        self.label = tables.label(order.source)
        self.schema = bundle.schema.carrying(order.ids, order.passthrough)
        self.content = Content.of(order.source, self.schema)
        self.content.refuse_as_output(order.destination.places, order.destination.shown)
        self.runtime = (bundle.facts.get("runtime") or {}).get("name", TENSORFLOW)
        self.known_by = self._known_by()
        self.identity, self.marks = identity(self.known_by), marks(self.known_by)
        self.work = order.destination.local.work(self.identity)
        self.fresh = 0  # rows that this attempt has scored

    def _known_by(self) -> dict[str, JSON]:
        order, facts, form = self.order, self.bundle.facts, self.order.destination.local.form
        return {
            "bundle": self.bundle.sha256,
            "content": self.content.sums(),
            "source": order.source.model_dump(exclude={"path"}),
            "side": fingerprint(order.side),
            "settings": {
                "chunk_rows": order.chunk_rows,
                "sink": order.sink.model_dump(include={"sql", "table", "mode"}) | {"form": form},
                "ids": list(order.ids),
                "passthrough": list(order.passthrough),
                "mask": sorted(order.mask),
                "scoring": self._scoring(),
                "runtime": self.runtime,
                "batch_rows": facts.get("batch_rows"),
                "threads": os.environ.get("OMP_NUM_THREADS"),
            },
            "versions": record.versions(facts.get("target", facts["solution"])),
        }

    def _scoring(self) -> JSON:
        scoring = getattr(self.bundle.settings, "scoring", None)
        return scoring.model_dump(mode="json") if scoring is not None else None

    def go(self, why_stop: stop.Why) -> dict[str, JSON]:
        if manifest := self._published():
            log.info("%s is scored already, nothing is to do: %s", self.label, self.order.destination.shown)
            self.order.destination.prune(self.order.keep)
            return judged_again(self, manifest)
        self._say_what_is_replaced()
        none = drift.Counts.none(self.bundle.reference)
        drift.compare(self.bundle.reference, none, self.order.alarms)  # refuses what the alarms can't be about
        ahead_of_all = ahead(read_parts(self.order.source, self.order.chunk_rows, self.schema))
        with ahead_of_all as parts_read:
            first = next(parts_read)  # refuses a missing source before anything is made
            layout = Layout.of(
                self.schema, self.bundle.outputs, first.raw, self.order.passthrough, joins=self.bundle.joins
            )
            self._refuse_unknown_mask([str(name) for name in first.raw])
            self._refuse_images_that_are_not_fetched(first.raw)
            if self.order.sink.sql is not None:
                names = [*layout.carried, *(output.name for output in layout.outputs)]
                sql.check(self.order.sink, names, layout.ids)
            home = Home(self.bundle, self.order.side, self._arguments(layout), self.work, why_stop)
            parts_read = chain([first], parts_read)
            del first  # it would stay in memory
            versions: Any = self.known_by["versions"]
            with opened(self.order.engine, home, versions) as engine, self._kept_if_worth_it() as ledger:
                self._score_all(parts_read, engine, ledger, why_stop)
        return finish(self, ledger, layout)

    def _say_what_is_replaced(self) -> None:
        published = self.order.destination.marks()
        if published and published != self.marks:
            differ = changes(published, self.marks)
            log.info("%s: what is published will be replaced. Since then have changed: %s", self.label, differ)

    def _published(self) -> dict[str, JSON] | None:
        manifest = self.order.destination.published(self.identity) if self.content.closed else None
        if manifest and self.order.sink.sql is not None:
            there = sql.is_in(self.order.sink, manifest["token"], manifest["rows_scored"])
            return manifest if there else None
        return manifest

    def _refuse_unknown_mask(self, names: Sequence[str]) -> None:
        if unknown := sorted(self.order.mask - set(names)):
            raise Refused(
                f"{self.label} has no column {unknown[0]!r} to mask.{suggestion(unknown[0], names)} "
                f"Its columns: {listed(names)}."
            )

    def _refuse_images_that_are_not_fetched(self, rows: pd.DataFrame) -> None:
        if self.content.closed or not stores.is_address(self.order.source.path):
            return
        for field in self.schema.features:
            if field.kind != "image" or field.source not in rows:
                continue
            if rows[field.source].map(lambda cell: isinstance(cell, str)).any():
                raise Refused(
                    f"{self.order.source.path} names images by paths (column {field.source}), and only the table is "
                    "fetched from the store. Put the bytes of the images into the cells (Parquet), or name the folder "
                    "of images itself."
                )

    @contextmanager
    def _kept_if_worth_it(self) -> Iterator[Ledger]:
        """Give the ledger; what failed before a part was done, or would fail again, is removed."""
        ledger: Ledger | None = None
        try:
            ledger = self._ledger()
            yield ledger
        except BaseException as error:
            if ledger is not None and (not ledger.entries or isinstance(error, Refused | BrokenPromise)):
                shutil.rmtree(self.work, ignore_errors=True)
            raise

    def _ledger(self) -> Ledger:
        others = [] if self.work.exists() else self.order.destination.local.unfinished()
        for other in others:
            log.warning(
                "%s begins anew. An unfinished run is not gone on with, since these differ: %s.",
                self.label,
                changes(Ledger.run_of(other), self.marks),
            )
        ledger = Ledger(self.work, self.marks)
        if ledger.entries:
            rows = sum(entry.rows for entry in ledger.entries)
            log.info("%s: going on behind %d finished parts (%d rows)", self.label, len(ledger.entries), rows)
        return ledger

    def _arguments(self, layout: Layout) -> dict[str, Any]:
        """What `score_part` takes beside a part and the scorer."""
        return {
            "schema": self.schema,
            "layout": layout,
            "label": self.label,
            "folder": tables.folder(self.order.source),
            "mask": self.order.mask,
            "unwritable": UNWRITABLE.get("sql" if self.order.sink.sql else self.order.destination.local.form),
        }

    def _score_all(self, parts: Iterator[Part], engine: Engine, ledger: Ledger, why_stop: stop.Why) -> None:
        folder, schema = tables.folder(self.order.source), self.schema
        total, set_aside, number = tables.rows(self.order.source), 0, -1

        def keep(made: Made) -> None:
            scored = made.scored
            files = write_part(self.work, made.number, scored)
            counted = drift.Counts.of(
                self.bundle.reference, schema, scored.inputs, scored.outputs, hidden=self.order.mask
            )
            ledger.add(
                Entry(
                    rows=scored.rows,
                    scored=scored.scored.num_rows,
                    set_aside=scored.set_aside.num_rows,
                    files=files.sums,
                    without_cells=files.without_cells,
                    digest=made.seen,
                    reasons=dict(scored.reasons),
                    notes=dict(scored.notes),
                    drift=counted.to_json(),
                    joined=scored.joined,
                    context=scored.context,
                )
            )

        progress_of = bar(total, f"scoring {self.label} (rows)")

        def unfinished() -> Iterator[Task]:
            nonlocal number, set_aside
            last: pd.DataFrame | None = None
            for number, part in enumerate(parts):
                before, last = last, part.raw[:CONTROLS].copy()  # a view would keep the whole part in memory
                seen = None if self.content.closed else digest(part, schema, folder)
                if number < len(finished):
                    entry = finished[number]
                    if (entry.rows, entry.digest) == (len(part.raw), seen):
                        set_aside += entry.set_aside
                        progress.step(f"{set_aside} set aside", count=entry.rows)
                        continue
                    log.warning("%s has changed since: part %d and those behind it are scored anew", self.label, number)
                    ledger.forget(number)
                    del finished[number:]
                if reason := why_stop(self.fresh > 0):
                    raise SolventError(
                        f"{reason}: ended after {number} parts of {self.label}. Nothing was published; "
                        "resume by the same command."
                    )
                yield Task(number, part, seen, before)

        finished = list(ledger.entries)  # by earlier attempts
        with marked(self.work) as mark, progress_of as progress, behind(keep) as write:
            for made in engine.scored(unfinished(), mark):
                write(made)
                set_aside += made.scored.set_aside.num_rows
                self.fresh += made.scored.rows
                progress.step(f"{set_aside} set aside", count=made.scored.rows)
        ledger.forget(number + 1)
