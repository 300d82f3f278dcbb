"""The rows and columns that a bundle was trained on, made ready for tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from . import wording

__all__ = ["columns", "copies", "parts", "reasons"]

JSON = Any


def parts(bundle: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """Train, valid and test: rows, share of all, target, dates, rows set aside."""
    data = bundle.get("data") or {}
    known = {name: part for name, part in (data.get("parts") or {}).items() if part and part.get("rows")}
    total = sum(part.get("rows") or 0 for part in known.values())
    aside = data.get("set_aside") or {}
    boundaries = (data.get("split") or {}).get("boundaries") or {}
    meaning = {"train": "Training", "valid": "Validation", "test": "Test"}
    order = sorted(known, key=lambda name: list(meaning).index(name) if name in meaning else 3)
    return [
        {
            "name": name,
            "label": meaning.get(name, wording.humane(name)),
            "rows": known[name].get("rows"),
            "share": (known[name].get("rows") or 0) / total if total else 0,
            "target": _target(known[name].get("target") or {}),
            "from": known[name].get("from") or boundaries.get(name),
            "to": known[name].get("to"),
            "aside": aside.get(name),
        }
        for name in order
    ]


def reasons(bundle: Mapping[str, JSON]) -> list[tuple[str, int]]:
    """Why rows were set aside, the most frequent reason first."""
    found = ((bundle.get("data") or {}).get("set_aside") or {}).get("reasons") or {}
    return sorted(found.items(), key=lambda item: -item[1])


def copies(bundle: Mapping[str, JSON]) -> str:
    """Which texts, images or sources came more than once and were kept on one side."""
    found = ((bundle.get("data") or {}).get("split") or {}).get("copies") or {}
    by_column = {name: item for name, item in found.items() if isinstance(item, Mapping)} or {"": found}
    said = [
        f"{wording.count(item['rows'])} rows share {wording.count(item.get('contents', item.get('groups')))} contents"
        + (f" of {wording.shorten(name)}" if name else "")
        for name, item in by_column.items()
        if item.get("rows")
    ]
    if not said:
        return "No copies of texts, images or sources had to be kept together."
    return f"Copies: {'; '.join(said)}; copies of one content were kept on one side of the split."


def _target(target: Mapping[str, JSON]) -> list[tuple[str, str]]:
    if {"mean", "deviation"} <= set(target):
        return [(wording.humane(key), wording.number(value)) for key, value in target.items()]
    most = sorted(target.items(), key=lambda item: -(wording.finite(item[1]) or 0))
    shown = [(wording.shorten(level, 40), wording.percent(rate)) for level, rate in most[:6]]
    rest = sum(wording.finite(rate) or 0 for _, rate in most[6:])
    return shown + ([(f"{len(most) - 6} more", wording.percent(rest))] if most[6:] else [])


def columns(bundle: Mapping[str, JSON]) -> tuple[list[dict[str, JSON]], list[tuple[str, str]]]:
    """The schema's fields, and the columns that were left out with the reason."""
    schema = bundle.get("schema") or {}
    fields = schema.get("fields", []) if isinstance(schema, Mapping) else schema
    ignored = schema.get("ignored", []) if isinstance(schema, Mapping) else []
    rows = [
        {
            "source": field.get("source") or field.get("name"),
            "name": field.get("name"),
            "role": wording.plain(field.get("role")),
            "kind": wording.plain(field.get("kind")),
            "unit": field.get("unit"),
            "meaning": field.get("meaning"),
            "values": _values(field),
            "missing": field.get("missing"),
        }
        for field in fields
    ]
    pairs = ignored.items() if isinstance(ignored, Mapping) else ignored
    return rows, [(str(name), str(why)) for name, why in pairs]


def _values(field: Mapping[str, JSON]) -> str:
    said = []
    if field.get("levels") is not None:
        levels = [wording.shorten(level, 28) for level in field["levels"]]
        more = f" … {len(levels) - 8} more" if len(levels) > 8 else ""
        said.append(f"{len(levels)} levels: {', '.join(levels[:8])}{more}")
    low, high = wording.finite(field.get("low")), wording.finite(field.get("high"))
    if low is not None and high is not None:
        said.append(f"{wording.plain(low)} to {wording.plain(high)}")
    if (mean := wording.finite(field.get("mean"))) is not None:
        said.append(f"mean {wording.plain(mean)}")
    allowed = field.get("allowed")
    if allowed:
        said.append("allowed {} to {}".format(*(_end(end) for end in allowed)))
    if field.get("codes"):
        said.append(f"codes for no information: {wording.plain(field['codes'])}")
    if field.get("longest") is not None:
        said.append(f"up to {wording.count(field['longest'])} characters")
    return "; ".join(said) or wording.NOTHING


def _end(end: JSON) -> str:
    value = wording.finite(end)
    if value is not None:
        return wording.plain(value)
    return "any" if end is None or not math.isinf(end) else ("∞" if end > 0 else "\u2212∞")
