"""From the config's tables to checked, typed parts: read, rename, cut, learn the schema, check, scan."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from . import datasets, promises, scan, split, tables
from .config import DataPart, Run
from .errors import Refused
from .schema import Checked, Schema, reason_kinds
from .solution import JSON, Finding, Output, Solution
from .split.together import content
from .tables import Source
from .wording import listed

__all__ = ["Prepared", "accepted", "examine", "fingerprint", "prepare", "read"]

log = logging.getLogger("solvent")


@dataclass(frozen=True)
class Prepared:
    """The rows of a run, ready for a solution.

    Args:
        table: all good rows in the house's names and types.
        cuts: positions of the parts in `table`; several where the config asks for folds.
        facts: the `data` part of bundle.json.
        outside: what `solution.outside` found; nothing where the rows are not for training.
    """

    table: pd.DataFrame
    cuts: list[split.Parts]
    schema: Schema
    outputs: tuple[Output, ...]
    side: dict[str, pd.DataFrame]
    findings: list[Finding]
    facts: dict[str, JSON]
    outside: Mapping[str, str]

    def part(self, name: str, cut: int = 0) -> pd.DataFrame:
        rows: pd.DataFrame = self.table.iloc[getattr(self.cuts[cut], name)]
        return rows


def read(source: Source, solution: Solution[Any], base: Path) -> pd.DataFrame:
    """Read a table that a config names: a file, a query, or one of the solution's public data sets."""
    if source.dataset is None:
        return tables.read(source, base=base)
    known = {item.name: item for item in solution.datasets}
    if source.dataset not in known:
        raise Refused(f"{solution.name} knows no data set {source.dataset!r}. Known: {', '.join(known) or 'none'}.")
    rows: pd.DataFrame = datasets.load(known[source.dataset])
    return rows


def prepare(run: Run) -> Prepared:
    """Read and check everything before anything is trained.

    Raises:
        Refused: if a table, a column or a finding of the scan forbids training.
    """
    found = accepted(run, examine(run))
    for item in found.findings:
        if item.severity == "warning" or item.allowed:
            log.warning("%s: %s %s", item.name, item.message, item.cure)
    return found


def accepted(run: Run, found: Prepared) -> Prepared:
    """What was examined, with the outputs that a solution has for it.

    Raises:
        Refused: if a finding forbids training, or the settings name a class that there is not.
    """
    scan.refuse(found.findings)
    columns = promises.checked_columns(run.solution.columns, run.solution.columns(run.settings))
    return replace(found, outputs=promises.expanded(columns, found.schema))


def examine(run: Run) -> Prepared:
    """Read, cut and scan, whatever the scan finds: `accepted` refuses. The outputs are not known yet.

    Raises:
        Refused: if a table or a column can't be read, or a class can't be learnt.
    """
    solution, data = run.solution, run.data
    columns = promises.checked_columns(solution.columns, solution.columns(run.settings))
    sources = _sources(data, run.base, every=any(column.decoder is not None for column in columns.inputs))
    given = "rows" not in sources
    raw = {name: read(source, solution, run.base).reset_index(drop=True) for name, source in sources.items()}
    labels = {name: tables.label(source) for name, source in sources.items()}
    _refuse_empty_tables({labels[name]: len(table) for name, table in raw.items()})
    how = data.split or solution.split
    first = next(iter(raw))  # rows, or else train
    names = [str(name) for name in raw[first].columns]
    schema = Schema.declare(columns, _declared(data.columns, how, names), names, table=labels[first])
    renamed = {
        name: schema.rename(
            table, table_name=labels[name], targets=True, folder=tables.folder(sources[name], base=run.base)
        )
        for name, table in raw.items()
    }
    table = pd.concat(renamed.values(), ignore_index=True)
    parts = _cut(renamed, _with_part_column(renamed[first], raw[first], how, schema), how, schema)
    schema = schema.learn(table if how.folds else table.iloc[parts[0].train])
    untaught = list(scan.untaught(table, parts[0], schema, data.allow))
    scan.refuse(untaught)
    # Not here: the scan refuses repeated ids, and the user may allow them.
    checked = {name: schema.check(part, targets=True, unique_ids=False) for name, part in renamed.items()}
    good = _joined(renamed, checked)
    bad, reasons = _set_aside_rows(checked, labels)
    _refuse_bad_rows(bad, len(table), data.max_bad)
    kept = [_without(cut, table.index, good.index) for cut in parts]
    for before, after in zip(parts, kept, strict=True):
        _refuse_lost_parts(before, after, bad)
    if how.folds:
        split.refuse_lost_classes(good, kept, schema, run.device.seed)
    cuts = [{name: good.iloc[getattr(cut, name)] for name in split.PARTS} for cut in kept]
    # with folds every row is trained on, and tested once
    frames, folds = ({"train": good}, cuts) if how.folds else (cuts[0], [])
    checks = promises.checked_findings(solution.checks, solution.checks(run.settings, good))
    findings = [
        *untaught,
        *scan.scan(frames, schema, given=given, allow=data.allow, near_copies=solution.near_copies, folds=folds),
        *_set_aside(bad),
        *(replace(item, allowed=item.name in data.allow) for item in checks),
    ]
    facts = {
        "source": " + ".join(labels.values()),
        "decimal": sources[first].decimal,
        "rows": len(table),
        "sha256": fingerprint(table.assign(part=_part_of_each_row(parts, len(table))), schema),
        "test_sha256": None if how.folds or frames["test"].empty else fingerprint(frames["test"], schema),
        "set_aside": {**_lost(parts, kept), "reasons": dict(reasons.most_common(20))},
        "split": {"given": given, **parts[0].facts},
        "parts": {name: _describe(frame, schema) for name, frame in frames.items()},
    }
    side = {name: read(source, solution, run.base) for name, source in data.side.items()}
    return Prepared(good, kept, schema, (), side, findings, facts, outside={})


def _sources(data: DataPart, base: Path, *, every: bool) -> dict[str, Source]:
    """The tables of a config by their part; a folder that is cut already is its parts.

    Args:
        every: whether every file of a folder of images is one, where the config does not say.
    """
    sources = {name: source for name in ("rows", *split.PARTS) if (source := getattr(data, name)) is not None}
    if every:
        sources = {
            name: source if "every" in source.model_fields_set else source.model_copy(update={"every": True})
            for name, source in sources.items()
        }
    ready = tables.ready_parts(sources["rows"], base=base) if "rows" in sources else {}
    if ready and data.split is not None and ("valid" in ready or data.split.folds):
        folders = listed(sorted(Path(source.path or "").name for source in ready.values()))
        raise Refused(
            f"data.rows: {tables.label(sources['rows'])} is cut into {folders} already, and data.split says how to cut "
            "it. Leave split out, or name one folder that holds all classes."
        )
    return ready or sources


def _refuse_empty_tables(rows: dict[str, int]) -> None:
    if empty := [label for label, count in rows.items() if not count]:
        raise Refused(f"{empty[0]} has a header and no rows. Expected rows of data below it.")


def _declared(declared: Mapping[str, JSON], how: split.Split, names: Sequence[str]) -> Mapping[str, JSON]:
    """`data.columns`, which leaves out the column that only says which part a row is in, unless it has a role."""
    ignored = declared.get("ignore") or []
    ignored = ignored if isinstance(ignored, (list, tuple)) else [ignored]
    roles = [value for key, value in declared.items() if key != "ignore" and not isinstance(value, Mapping)]
    used = {name for value in roles for name in (value if isinstance(value, (list, tuple)) else [value])}
    if how.column is None or how.column in used or how.column in ignored or how.column not in names:
        return declared
    return {**declared, "ignore": [*ignored, how.column]}


def _with_part_column(table: pd.DataFrame, raw: pd.DataFrame, how: split.Split, schema: Schema) -> pd.DataFrame:
    """The table with the column that names the part of each row, which the schema may not keep."""
    if how.column is None or how.column not in raw or how.column in {field.source for field in schema.fields}:
        return table
    if how.column in table:
        raise Refused(
            f"data.split.column: {how.column!r} is also the name of a role here. Give the table's column another name."
        )
    return table.assign(**{how.column: raw[how.column]})


def _cut(
    renamed: Mapping[str, pd.DataFrame], first: pd.DataFrame, how: split.Split, schema: Schema
) -> list[split.Parts]:
    """The positions of the parts in the table of all rows, once for each fold.

    Args:
        first: `rows` or `train`, with the column that the split goes by.
    """
    if "rows" in renamed:
        return split.folds(first, how, schema) if how.folds else [split.cut(first, how, schema)]
    ends = np.cumsum([0, *(len(table) for table in renamed.values())])
    where = {name: np.arange(ends[i], ends[i + 1]) for i, name in enumerate(renamed)}
    facts: dict[str, Any] = {"by": "given"}
    if "valid" not in where:
        inner = split.cut(first, how.untested(), schema)
        where["valid"], where["train"] = where["train"][inner.valid], where["train"][inner.train]
        facts |= {"valid": inner.facts}
    none = np.array([], dtype=np.int64)
    return [split.Parts(where["train"], where["valid"], where.get("test", none), facts)]


def _part_of_each_row(cuts: Sequence[split.Parts], rows: int) -> Any:
    """What tells two cuts of the same rows apart: the number of each row's part, or of the fold that tests it."""
    found = np.zeros(rows, dtype=np.int64)
    for number, cut in enumerate(cuts):
        found[cut.test] = number + 2
    if len(cuts) == 1:
        found[cuts[0].valid] = 1
    return found


def _lost(parts: Sequence[split.Parts], kept: Sequence[split.Parts]) -> dict[str, int]:
    """Rows of each part that were set aside; with folds, every row is a test row once."""
    if len(parts) > 1:
        tested = sum(len(before.test) - len(after.test) for before, after in zip(parts, kept, strict=True))
        return {"train": tested, "valid": 0, "test": tested}
    return {name: len(getattr(parts[0], name)) - len(getattr(kept[0], name)) for name in split.PARTS}


def _refuse_lost_parts(before: split.Parts, after: split.Parts, bad: Sequence[str]) -> None:
    if not len(after.valid) and not len(before.valid):
        raise Refused(
            "There are no validation rows: nothing can be chosen without them. "
            "Give that part a share in data.split.fractions, such as [0.6, 0.2, 0.2], or its own table, data.valid."
        )
    for name in split.PARTS:
        if len(getattr(before, name)) and not len(getattr(after, name)):
            raise Refused(f"No {name} row can be used, for example {bad[0]}. Mend the rows or correct data.columns.")


def _without(cut: split.Parts, all_rows: pd.Index, good: pd.Index) -> split.Parts:
    """The same cut, in positions among the good rows only."""
    place = np.full(len(all_rows), -1)
    kept = all_rows.isin(good)
    place[kept] = np.arange(kept.sum())
    moved = {name: place[getattr(cut, name)] for name in ("train", "valid", "test")}
    return split.Parts(**{name: where[where >= 0] for name, where in moved.items()}, facts=cut.facts)


def _joined(renamed: Mapping[str, pd.DataFrame], checked: Mapping[str, Checked]) -> pd.DataFrame:
    """The good rows of all tables; the index is their place in the table of all rows."""
    starts = np.cumsum([0, *(len(part) for part in renamed.values())])
    good = [each.good.set_axis(each.good.index + start) for each, start in zip(checked.values(), starts, strict=False)]
    return pd.concat(good)


def _set_aside_rows(checked: Mapping[str, Checked], labels: Mapping[str, str]) -> tuple[list[str], Counter[str]]:
    """A sentence for each bad row: the file, the row in it, and why; and the rows by kind of reason.

    The first of each kind come first, so that whoever shows a few shows several kinds.
    """
    seen: Counter[str] = Counter()
    found = []
    for name, each in checked.items():
        for row, why in each.bad[["row", "reasons"]].itertuples(index=False):
            kinds = reason_kinds(why)
            found.append((min(seen[kind] for kind in kinds), f"{labels[name]} row {row}, {why}"))
            seen.update(kinds)
    return [sentence for _, sentence in sorted(found, key=lambda item: item[0])], seen


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
        elif field.kind == "list":  # a row counts for each of its classes
            shares = column.explode().value_counts().sort_index() / len(column)
            facts["target"] = {str(k): float(v) for k, v in shares.items()}
    for field in schema.by_role("time"):
        facts["from"], facts["to"] = str(frame[field.name].min()), str(frame[field.name].max())
    return facts


def fingerprint(table: pd.DataFrame, schema: Schema | None = None) -> str:
    """The sha256 of a table's cells, in their order; equal tables have equal sums in every process.

    Args:
        schema: says which columns are images: of these the contents count, not where they lie.
    """
    for field in schema.fields if schema else ():
        if field.kind == "image" and field.name in table:
            table = table.assign(**{field.name: content(table[field.name], "image")})
    digest = hashlib.sha256("\n".join(map(str, table.columns)).encode())
    for name in table.columns:
        cells = table[name]
        if cells.dtype == object:  # such as the bytes of images, which are no text
            cells = cells.map(lambda cell: hashlib.sha256(cell).hexdigest() if isinstance(cell, bytes) else cell)
        digest.update(pd.util.hash_pandas_object(cells.astype("str"), index=False).to_numpy().tobytes())
    return digest.hexdigest()
