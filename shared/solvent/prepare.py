"""From the config's tables to checked, typed parts: read, rename, cut, learn the schema, check, scan."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from . import datasets, promises, scan, split, tables
from .config import Run
from .errors import Refused
from .schema import Checked, Schema
from .solution import JSON, Finding, Output, Solution
from .tables import Source

__all__ = ["Prepared", "fingerprint", "prepare", "read"]

log = logging.getLogger("solvent")


@dataclass(frozen=True)
class Prepared:
    """The rows of a run, ready for a solution.

    Args:
        table: all good rows in the house's names and types.
        cuts: positions of the parts in `table`; several where the config asks for folds.
        facts: the `data` part of bundle.json.
        test_bad: rows of the test part that were set aside.
    """

    table: pd.DataFrame
    cuts: list[split.Parts]
    schema: Schema
    outputs: tuple[Output, ...]
    side: dict[str, pd.DataFrame]
    findings: list[Finding]
    facts: dict[str, JSON]

    def part(self, name: str, cut: int = 0) -> pd.DataFrame:
        return self.table.iloc[getattr(self.cuts[cut], name)]


def read(source: Source, solution: Solution[Any], base: Path) -> pd.DataFrame:
    """Read a table that a config names: a file, a query, or one of the solution's public data sets."""
    if source.dataset is None:
        return tables.read(source, base=base)
    known = {item.name: item for item in solution.datasets}
    if source.dataset not in known:
        raise Refused(f"{solution.name} knows no data set {source.dataset!r}. Known: {', '.join(known) or 'none'}.")
    return datasets.load(known[source.dataset])


def prepare(run: Run) -> Prepared:
    """Read and check everything before anything is trained.

    Raises:
        Refused: if a table, a column or a finding of the scan forbids training.
    """
    solution, data = run.solution, run.data
    columns = promises.checked_columns(solution.columns, solution.columns(run.settings))
    named = {"rows": data.rows, "train": data.train, "valid": data.valid, "test": data.test}
    given = data.rows is None
    raw = {name: read(source, solution, run.base) for name, source in named.items() if source is not None}
    first = next(iter(raw))
    label = tables.label(named[first])
    schema = Schema.declare(columns, data.columns, list(raw[first].columns), table=label)
    renamed = {
        name: schema.rename(table, table_name=tables.label(named[name]), targets=True) for name, table in raw.items()
    }
    how = data.split or solution.split
    table, parts = _cut(renamed, how, schema)
    schema = schema.learn(table.iloc[parts[0].train])
    checked = schema.check(table, targets=True)
    bad = _places(checked, {tables.label(named[name]): len(part) for name, part in renamed.items()})
    _refuse_bad_rows(bad, len(table), data.max_bad)
    kept = [_without(cut, table.index, checked.good.index) for cut in parts]
    frames = {name: checked.good.iloc[getattr(kept[0], name)] for name in ("train", "valid", "test")}
    findings = [
        *scan.scan(frames, schema, given=given, allow=data.allow),
        *_set_aside(bad),
        *(replace(item, allowed=item.name in data.allow) for item in solution.checks(run.settings, checked.good)),
    ]
    scan.refuse(findings)
    for item in findings:
        if item.severity == "warning" or item.allowed:
            log.warning("%s: %s", item.name, item.message)
    facts = {
        "source": " + ".join(tables.label(named[name]) for name in raw),
        "rows": len(table),
        "sha256": fingerprint(table),
        "test_sha256": fingerprint(frames["test"]),
        "set_aside": {
            **{name: len(getattr(parts[0], name)) - len(getattr(kept[0], name)) for name in frames},
            "reasons": dict(Counter(checked.bad["reasons"]).most_common(20)),
        },
        "split": {"given": given, **parts[0].facts},
        "parts": {name: _describe(frame, schema) for name, frame in frames.items()},
    }
    side = {name: read(source, solution, run.base) for name, source in data.side.items()}
    return Prepared(checked.good, kept, schema, promises.expanded(columns, schema), side, findings, facts)


def _cut(renamed: dict[str, pd.DataFrame], how: split.Split, schema: Schema) -> tuple[pd.DataFrame, list[split.Parts]]:
    """One table of all rows, and the positions of its parts."""
    if "rows" in renamed:
        table = renamed["rows"]
        return table, (split.folds(table, how, schema) if how.folds else [split.cut(table, how, schema)])
    if how.folds:
        raise Refused("data.split.folds cuts one table: give rows:, or leave folds out.")
    names = list(renamed)
    table = pd.concat([renamed[name] for name in names], ignore_index=True)
    ends = np.cumsum([0, *(len(renamed[name]) for name in names)])
    where = {name: np.arange(ends[i], ends[i + 1]) for i, name in enumerate(names)}
    facts: dict[str, Any] = {"by": "given"}
    if "valid" not in where:
        train, valid, _ = how.fractions
        inner = split.cut(
            renamed["train"],
            how.model_copy(update={"fractions": (train / (train + valid), valid / (train + valid), 0.0)}),
            schema,
        )
        where["valid"], where["train"] = where["train"][inner.valid], where["train"][inner.train]
        facts = {"by": "given", "valid": inner.facts}
    none = np.array([], dtype=np.intp)
    return table, [split.Parts(where["train"], where["valid"], where.get("test", none), facts)]


def _without(cut: split.Parts, all_rows: pd.Index, good: pd.Index) -> split.Parts:
    """The same cut, in positions among the good rows only."""
    place = np.full(len(all_rows), -1)
    kept = all_rows.isin(good)
    place[kept] = np.arange(kept.sum())
    moved = {name: place[getattr(cut, name)] for name in ("train", "valid", "test")}
    return split.Parts(**{name: where[where >= 0] for name, where in moved.items()}, facts=cut.facts)


def _places(checked: Checked, sizes: dict[str, int]) -> list[str]:
    """A sentence for each bad row: the file, the row in it, and why."""
    starts = np.cumsum([0, *sizes.values()])
    found = []
    for row, why in checked.bad[["row", "reasons"]].itertuples(index=False):
        part = int(np.searchsorted(starts, row, side="left")) - 1
        found.append(f"{list(sizes)[part]} row {row - starts[part]}, {why}")
    return found


def _refuse_bad_rows(bad: list[str], rows: int, max_bad: float) -> None:
    if len(bad) > max_bad * rows:
        shown = "\n".join(f"  {line}" for line in bad[:10])
        raise Refused(
            f"{len(bad)} of {rows} rows can't be used; data.max_bad allows {max_bad:.1%}.\n{shown}\n"
            "Mend the rows, correct data.columns, or raise data.max_bad to set such rows aside."
        )


def _set_aside(bad: list[str]) -> list[Finding]:
    if not bad:
        return []
    return [
        Finding(
            name="rows_set_aside",
            severity="warning",
            message=f"{len(bad)} rows can't be used and were left out ({'; '.join(bad[:3])}).",
            cure="Mend them, or say what their columns mean in data.columns.",
            count=len(bad),
        )
    ]


def _describe(frame: pd.DataFrame, schema: Schema) -> JSON:
    """Size, target and time span of one part."""
    if frame.empty:
        return None
    facts: dict[str, Any] = {"rows": len(frame), "target": None, "from": None, "to": None}
    for field in schema.targets[:1]:
        column = frame[field.name]
        if field.kind == "number":
            facts["target"] = {
                "mean": float(column.mean()),
                "deviation": float(column.std()),
                "low": float(column.min()),
                "high": float(column.max()),
            }
        elif field.kind == "category":
            facts["target"] = {str(k): float(v) for k, v in column.value_counts(normalize=True).sort_index().items()}
    for field in schema.by_role("time"):
        facts["from"], facts["to"] = str(frame[field.name].min()), str(frame[field.name].max())
    return facts


def fingerprint(table: pd.DataFrame) -> str:
    """The sha256 of a table's cells, in their order; equal tables have equal sums in every process."""
    digest = hashlib.sha256("\n".join(map(str, table.columns)).encode())
    for name in table.columns:
        digest.update(pd.util.hash_pandas_object(table[name].astype("str"), index=False).to_numpy().tobytes())
    return digest.hexdigest()
