"""Score a table with a bundle: the one place that strings the steps of batch scoring together."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from .. import __version__, tables
from ..errors import Refused, SolventError, TooManyBadRows
from ..files import sha256
from ..progress import bar
from ..runtime import TENSORFLOW
from ..schema import Schema
from ..solution import JSON, Output, Score
from ..tables import Source
from .beside import ahead, behind
from .identity import identity, stamp
from .parts import Layout, Scored, read_parts, score_part
from .publish import MANIFEST, SUCCESS, Destination, write_json
from .writer import QUARANTINE, Parts

__all__ = ["Scoring", "score"]

log = logging.getLogger("solvent")
FORMAT = 1
MOST_KINDS = 50  # of reasons and of notes that a manifest names


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
    def facts(self) -> Mapping[str, JSON]: ...
    def scorer(self, side: Mapping[str, pd.DataFrame] | None = None) -> Score: ...


@dataclass
class Totals:
    """Rows counted over the parts."""

    read: int = 0
    scored: int = 0
    set_aside: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    def add(self, part: Scored) -> None:
        self.read += part.rows
        self.scored += part.scored.num_rows
        self.set_aside += part.set_aside.num_rows
        self.reasons.update(part.reasons)
        self.notes.update(part.notes)


def score(
    bundle: Scoring,
    source: str | os.PathLike[str] | Mapping[str, Any] | Source,
    output: str | Path,
    *,
    chunk_rows: int = 50_000,
    max_bad: float = 0.01,
    side: Mapping[str, pd.DataFrame] | None = None,
    keep: int = 3,
) -> dict[str, JSON]:
    """Score a table, part by part, and publish the result in one step.

    Args:
        output: a file for a name that ends in .csv or .parquet, else a folder.
        chunk_rows: rows of a part; scores don't depend on it.
        max_bad: the share of rows that may be set aside, in [0, 1].
        side: side tables that replace the bundle's own of that name.
        keep: runs of a folder output that stay on the disk, the published one included.

    Returns:
        The manifest: what was scored with what, how many rows, which were set aside and why.

    Raises:
        Refused: if the source, the output or an argument can't be accepted.
        TooManyBadRows: if more rows had to be set aside; nothing was published, the message names where they are.
        SolventError: if something failed; the output is as it was, and the same call may be tried again.
    """
    source = Source.of(source)
    label = tables.label(source)
    destination = Destination(Path(os.path.abspath(Path(output).expanduser())))  # noqa: PTH100  (links stay links)
    _refuse_arguments(source, destination, chunk_rows, max_bad, keep)
    destination.refuse_what_is_not_ours()
    with _failures_named(destination):
        return _score(bundle, source, label, destination, chunk_rows, max_bad, dict(side or {}), keep)


def _refuse_arguments(source: Source, destination: Destination, chunk_rows: int, max_bad: float, keep: int) -> None:
    if not destination.path.name:
        raise Refused(f"{destination.path} can't be an output. Name a file or a folder.")
    if chunk_rows < 1:
        raise Refused(f"--chunk-rows {chunk_rows}: expected 1 or more.")
    if not 0 <= max_bad <= 1:
        raise Refused(f"--max-bad {max_bad}: expected a share from 0 to 1, such as 0.01.")
    if keep < 1:
        raise Refused(f"keep={keep}: expected 1 or more; the published run is one of them.")
    if source.path is not None:
        path = Path(source.path).expanduser().resolve()
        if path.is_dir() and path in destination.path.resolve().parents:
            raise Refused(f"{destination.path} lies in {source.path}, which is read. Name an output elsewhere.")
        if path == destination.path.resolve() or destination.runs.resolve() in path.parents:
            raise Refused(f"{source.path} is the output too. Name another output: a source is never overwritten.")


@contextmanager
def _failures_named(destination: Destination) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SolventError(
            f"Scoring into {destination.path} failed: {error}. Nothing was published; try again."
        ) from error


def _score(
    bundle: Scoring,
    source: Source,
    label: str,
    destination: Destination,
    chunk_rows: int,
    max_bad: float,
    side: Mapping[str, pd.DataFrame],
    keep: int,
) -> dict[str, JSON]:
    started, clock = datetime.now(UTC), time.monotonic()
    before = stamp(source)
    with ExitStack() as stack:
        parts_read = stack.enter_context(ahead(read_parts(source, chunk_rows, bundle.schema)))
        first = next(parts_read)  # refuses a missing source before anything is made
        layout = Layout.of(bundle.schema, bundle.outputs, first.raw)
        runtime = (bundle.facts.get("runtime") or {}).get("name", TENSORFLOW)
        settings = {"rows": chunk_rows, "form": destination.form, "runtime": runtime, "solvent": __version__}
        run = identity(bundle.sha256, source, side, **settings)
        scorer, totals = bundle.scorer(side), Totals()
        folder = tables.folder(source)
        staged = stack.enter_context(destination.staging(run))
        parts = stack.enter_context(Parts(staged, one_file=destination.form != "folder"))
        parts_read = chain([first], parts_read)
        del first  # it would stay in memory
        with bar(None, f"scoring {label} (rows)") as progress, behind(parts.write) as write:
            for part in parts_read:
                scored = score_part(part, bundle.schema, scorer, layout, label=label, folder=folder)
                write(scored)
                totals.add(scored)
                progress.step(f"{totals.set_aside} set aside", count=scored.rows)
        if stamp(source) != before:
            raise SolventError(f"{label} was changed while it was read. Nothing was published; score it again.")
        parts.settle()
        _refuse_lost_rows(parts, totals, label)
        seconds = time.monotonic() - clock
        manifest: dict[str, JSON] = {
            "format": FORMAT,
            "identity": run,
            "solution": bundle.facts["solution"],
            "bundle": str(bundle.path),
            "bundle_sha256": bundle.sha256,
            "runtime": runtime,
            "source": source.path or label,
            "output": str(destination.path),
            "rows_read": totals.read,
            "rows_scored": totals.scored,
            "rows_set_aside": totals.set_aside,
            "reasons": _most(totals.reasons),
            "notes": _most(totals.notes),
            "parts": parts.entries,
            "columns": parts.columns(),
            "personal": list(bundle.facts["personal"]),
            "started": started.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(seconds, 3),
            "rows_per_second": round(totals.read / seconds) if seconds else None,
        }
        # the share, since 0.29 * 100 is less than 29
        if totals.read and totals.set_aside / totals.read > max_bad:
            raise _too_many(destination, staged, parts, manifest, max_bad, label)
        where = _publish(destination, staged, parts, manifest, keep)
    log.info("%s: %d rows scored, %d set aside, into %s", label, totals.scored, totals.set_aside, where)
    return manifest


def _refuse_lost_rows(parts: Parts, totals: Totals, label: str) -> None:
    """Compare what was read with what lies on the disk, so that no mistake of ours can lose or double a row."""
    scored = sum(entry["rows"] for entry in parts.entries)
    set_aside = sum(entry["set_aside"] for entry in parts.entries)
    if totals.read != scored + set_aside or (scored, set_aside) != (totals.scored, totals.set_aside):
        raise SolventError(
            f"{label}: {totals.read} rows were read, but {scored} scored and {set_aside} set aside. "
            "Nothing was published; please report this."
        )


def _publish(destination: Destination, staged: Path, parts: Parts, manifest: dict[str, JSON], keep: int) -> Path:
    if destination.form == "folder":
        write_json(manifest, staged / MANIFEST)
        (staged / SUCCESS).touch()
        destination.publish_folder(staged, manifest["identity"], keep)
        return destination.path
    data, quarantine = parts.joined(destination.form)
    # one file is one part, and the manifest's sum is what says later that the file is ours
    manifest["parts"] = [
        {
            "name": destination.path.name,
            "rows": manifest["rows_scored"],
            "set_aside": manifest["rows_set_aside"],
            "sha256": sha256(data),
        }
    ]
    write_json(manifest, staged / MANIFEST)
    destination.publish_file(data, staged / MANIFEST, quarantine, keep)
    return destination.path


def _too_many(
    destination: Destination, staged: Path, parts: Parts, manifest: dict[str, JSON], max_bad: float, label: str
) -> TooManyBadRows:
    """Keep the rows that were set aside, and only those, where the user can look at them."""
    parts.drop_scored()
    manifest["parts"] = []
    write_json(manifest, staged / MANIFEST)
    kept = destination.keep_refused(staged, manifest["identity"])
    bad, rows = manifest["rows_set_aside"], manifest["rows_read"]
    usual = "; ".join(f"{reason} ({count})" for reason, count in list(manifest["reasons"].items())[:3])
    return TooManyBadRows(
        f"{bad} of {label}'s {rows} rows can't be scored ({bad / rows:.2%}); {max_bad:.2%} may be. "
        f"Nothing was published.\nThe rows and why: {kept / QUARANTINE}\nMost often: {usual}\n"
        "Mend the rows, or allow more with --max-bad."
    )


def _most(counts: Mapping[str, int]) -> dict[str, int]:
    """The most frequent ones; those that are left are counted together."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in ordered[MOST_KINDS:])
    return dict(ordered[:MOST_KINDS]) | ({f"{len(ordered) - MOST_KINDS} others": rest} if rest else {})
