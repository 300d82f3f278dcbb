"""The end of a run: what it is refused for, its manifest, its publication."""

from __future__ import annotations

import logging
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .. import drift
from ..errors import SolventError, TooManyBadRows
from ..fetched import by_address
from ..files import sha256
from ..report.drift import page
from ..solution import JSON
from . import sql
from .ledger import Entry, Ledger
from .parts import Layout
from .publish import DRIFT, MANIFEST, SUCCESS, write_json, write_text
from .writer import OWNER_ONLY, QUARANTINE, Files

if TYPE_CHECKING:
    from .run import Run

__all__ = ["finish", "judged_again"]

log = logging.getLogger("solvent")
FORMAT = 2
MOST_KINDS = 50  # of reasons and of notes that a manifest names


def finish(run: Run, ledger: Ledger, layout: Layout) -> dict[str, JSON]:
    run.content.refuse_if_changed(run.label)
    if run.bundle.has_changed():
        raise SolventError(f"{run.bundle.path} was changed while it scored. Nothing was published; score again.")
    totals = Totals.of(ledger.entries)
    if totals.asked < run.order.min_rows:
        shutil.rmtree(run.work)
        beside = f" beside {totals.context} that are only read as context" if totals.context else ""
        raise SolventError(
            f"{run.label} has {totals.asked} rows{beside}, at least {run.order.min_rows} are expected. Nothing was "
            "published. If the source is complete, lower the limit (min_rows, least_share); else try again once it is."
        )
    # the share, since 0.29 * 100 is less than 29
    if totals.read and totals.set_aside / totals.read > run.order.max_bad:
        raise _too_many(run, totals)
    return _publish(run, ledger, layout, totals)


def _publish(run: Run, ledger: Ledger, layout: Layout, totals: Totals) -> dict[str, JSON]:
    order, destination = run.order, run.order.destination.local
    scored, aside = _files(run.work, ledger.entries, ""), _files(run.work, ledger.entries, QUARANTINE)
    counts = drift.Counts.none(run.bundle.reference)
    for entry in ledger.entries:
        counts += drift.Counts.from_json(entry.drift)
    drifted = drift.compare(run.bundle.reference, counts, order.alarms)
    seconds = time.monotonic() - run.clock
    manifest: dict[str, JSON] = {
        "format": FORMAT,
        "identity": run.identity,
        "marks": run.marks,
        "token": ledger.state,
        "solution": run.bundle.facts["solution"],
        "bundle": by_address(run.bundle.path),
        "bundle_sha256": run.bundle.sha256,
        "runtime": run.runtime,
        "source": order.source.path or run.label,
        "output": order.sink.table or order.destination.shown,
        "rows_read": totals.read,
        "rows_scored": totals.scored,
        "rows_set_aside": totals.set_aside,
        "rows_joined": totals.joined,
        "rows_context": totals.context,
        "reasons": _most(totals.reasons),
        "notes": _most(totals.notes),
        "counts": counts.to_json(),
        "drift": drifted.to_json(),
        "ids": list(layout.ids),
        "columns": [{"name": each.name, "type": str(each.type)} for each in scored.schema],
        "personal": list(run.bundle.facts["personal"]),
        "intended_use": run.bundle.facts.get("intended_use"),
        "started": run.started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "rows_per_second": round(run.fresh / seconds) if seconds else None,
    }
    report = _page(run, drifted)

    def fill(staged: Path) -> dict[str, JSON]:
        if destination.form == "folder":
            manifest["parts"] = [] if order.sink.sql else scored.copy_to(staged)
            manifest["quarantine"] = aside.copy_to(staged)
            write_text(report, staged / DRIFT)
            (staged / SUCCESS).touch()
            write_json(manifest, staged / MANIFEST)
            return manifest
        data = staged / destination.path.name
        scored.join_into(data, destination.form)
        manifest["parts"] = [{"name": data.name, "rows": totals.scored, "sha256": sha256(data)}]
        manifest["quarantine"] = []
        if totals.set_aside:
            bad = staged / destination.beside(f"{QUARANTINE}.parquet").name
            aside.join_into(bad, "parquet", OWNER_ONLY)
            manifest["quarantine"] = [{"name": bad.name, "rows": totals.set_aside, "sha256": sha256(bad)}]
        write_text(report, staged / destination.page.name)
        write_json(manifest, staged / destination.manifest.name)
        return manifest

    if order.sink.sql is not None:
        sql.load(order.sink, scored.tables(), scored.schema, ids=layout.ids, token=ledger.state, identity=run.identity)
    manifest = order.destination.publish(run.identity, fill, order.keep)
    where = order.destination.shown
    log.info("%s: %d rows scored, %d set aside, into %s", run.label, totals.scored, totals.set_aside, where)
    log.info("%s", drifted.sentence)
    for each in drifted.expected.values():
        log.info("%s", each.sentence)
    return manifest


def judged_again(run: Run, manifest: dict[str, JSON]) -> dict[str, JSON]:
    """The manifest of a published run, its drift judged by other alarms if others are asked for by now; the drift
    report is written anew then, and where more is known of earlier runs."""
    drifted = drift.compare(run.bundle.reference, drift.Counts.from_json(manifest["counts"]), run.order.alarms)
    judged = {**manifest, "drift": drifted.to_json()}
    run.order.destination.write_anew(_page(run, drifted), judged if judged != manifest else None)
    return judged


def _page(run: Run, drifted: drift.Drift) -> str:
    facts = {"bundle": run.bundle.facts["solution"], "source": run.label, "rows": drifted.rows}
    title = f"Drift: {run.label}"
    return page(drifted, title=title, facts=facts, hidden=run.order.mask, earlier=run.order.earlier)


def _too_many(run: Run, totals: Totals) -> TooManyBadRows:
    bad, rows, most = totals.set_aside, totals.read, run.order.max_bad
    usual = "; ".join(f"{reason} ({count})" for reason, count in list(_most(totals.reasons).items())[:3])
    return TooManyBadRows(
        f"{bad} of {run.label}'s {rows} rows can't be scored ({bad / rows:.2%}); {most:.2%} may be. "
        f"Nothing was published.\nThe rows and why: {run.work / QUARANTINE}\nMost often: {usual}\n"
        "Mend the rows, or allow more (--max-bad, in a job limits.max_bad): what is scored already is kept for that."
    )


@dataclass(frozen=True)
class Totals:
    """Rows counted over the parts."""

    read: int
    scored: int
    set_aside: int
    joined: int
    context: int
    reasons: Counter[str]
    notes: Counter[str]

    @property
    def asked(self) -> int:
        """Rows of which a score is wanted: earlier ones that come again as context say nothing of what is new."""
        return self.read - self.context

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Totals:
        reasons: Counter[str] = Counter()
        notes: Counter[str] = Counter()
        for entry in entries:
            reasons.update(entry.reasons)
            notes.update(entry.notes)
        return cls(
            read=sum(entry.rows for entry in entries),
            scored=sum(entry.scored for entry in entries),
            set_aside=sum(entry.set_aside for entry in entries),
            joined=sum(entry.joined for entry in entries),
            context=sum(entry.context for entry in entries),
            reasons=reasons,
            notes=notes,
        )


def _files(work: Path, entries: Sequence[Entry], folder: str) -> Files:
    """The files of all parts with scored rows (""), or with rows that were set aside."""
    found = [(name, entry) for entry in entries for name in entry.files if str(Path(name).parent) == (folder or ".")]
    return Files(
        work,
        [name for name, _ in found],
        [entry.set_aside if folder else entry.scored for _, entry in found],
        [entry.without_cells[name] for name, entry in found],
    )


def _most(counts: Mapping[str, int]) -> dict[str, int]:
    """The most frequent ones; those that are left are counted together."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in ordered[MOST_KINDS:])
    return dict(ordered[:MOST_KINDS]) | ({f"{len(ordered) - MOST_KINDS} others": rest} if rest else {})
