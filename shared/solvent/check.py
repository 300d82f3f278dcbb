"""`solvent check`: what training would read, how it would cut it, and what it would notice; without training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import config as configs
from .prepare import Prepared, accepted, examine
from .record import plain, recorded
from .report import about_data
from .report.wording import percent
from .solution import JSON
from .wording import many

__all__ = ["Checked", "check"]

SEVERITIES = ("refusal", "warning", "note")


@dataclass(frozen=True)
class Checked:
    """What a config's data are.

    Args:
        facts: `solution`, `data`, `schema`, `findings`, `folds` as bundle.json would have them, and the `rows` of each
            side table.
    """

    facts: dict[str, JSON]
    run: configs.Run
    prepared: Prepared

    def refuse(self) -> None:
        """Raise Refused where training would, for what was found."""
        accepted(self.run, self.prepared)

    def text(self) -> str:
        """The same for a person."""
        return "\n".join(line.rstrip() for line in (*_parts(self.facts), *_columns(self.facts), *self._findings()))

    def _findings(self) -> Iterator[str]:
        for item in sorted(self.prepared.findings, key=lambda item: SEVERITIES.index(item.severity)):
            allowed = f" Allowed by data.allow: [{item.name}]." if item.allowed else ""
            yield f"{item.severity}: {item.name}: {item.message} {item.cure}{allowed}"
        if not self.prepared.findings:
            yield "nothing remarkable was found"


def check(config: str | Path | Mapping[str, JSON], *, changes: Sequence[str] = ()) -> Checked:
    """Read, cut and scan the data of a config as `train` does. Nothing is trained or written, and TensorFlow not begun.

    What only a fit can see, such as pretrained weights that can't be had, is not looked at.

    Args:
        config, changes: as `solvent.train` takes them.

    Raises:
        Refused: if the config or a table can't be read; not for what the scan finds: `Checked.refuse`.
    """
    run = configs.load(config, changes=changes)
    found = examine(run)
    facts = {
        "solution": run.solution.name,
        "data": found.facts,
        "side": {name: len(table) for name, table in found.side.items()},
        "schema": found.schema.to_json(),
        "findings": recorded(found.findings),
        "folds": {"k": len(found.cuts)} if len(found.cuts) > 1 else None,
    }
    return Checked(plain(facts), run, found)


def _parts(facts: Mapping[str, JSON]) -> Iterator[str]:
    """Where the rows come from, how they are cut, and what each part holds."""
    data = facts["data"]
    yield f"{facts['solution']}: {data['source']}, {many(data['rows'], 'row')}"
    yield from (f"  {count} set aside: {reason}" for reason, count in about_data.reasons(facts))
    yield from (f"side table {name}: {many(rows, 'row')}" for name, rows in facts["side"].items())
    given = data["split"].get("given")
    cut = [f"{name.lower()}: {value}" for name, value in about_data.cut(facts) if given or name != "Given"]
    yield f"split: {'; '.join(cut)}"
    yield from [about_data.copies(facts)] if "copies" in data["split"] else []
    yield ""
    rows = [
        (
            part["label"],
            f"{part['rows']:,}",
            percent(part["share"]),
            ", ".join(f"{name} {value}" for name, value in part["target"]),
            f"{part['from']} to {part['to']}" if part["from"] else "",
        )
        for part in about_data.parts(facts)
    ]
    yield from _aligned([("part", "rows", "share", "target", ""), *rows])
    yield ""


def _columns(facts: Mapping[str, JSON]) -> Iterator[str]:
    """What each column is taken for, and which are left out."""
    columns, ignored = about_data.columns(facts)
    rows = [
        (each["source"], each["role"], each["kind"], percent(each["missing"]), f"{each['values']} {each['unit'] or ''}")
        for each in columns
    ]
    yield from _aligned([("column", "role", "kind", "missing", "values in the training rows"), *rows])
    yield from (f"left out: {name} ({why})" for name, why in ignored)
    yield ""


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
