"""The rows and columns that a bundle was trained on, made ready for tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from . import sections, wording

__all__ = ["columns", "copies", "cut", "parts", "reasons"]

JSON = Any


def parts(bundle: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """Train, valid and test: rows, share of all, target, dates, rows set aside."""
    data = bundle["data"]
    known = {name: part for name, part in data["parts"].items() if part}
    total = sum(part["rows"] for part in known.values())
    # With folds every row is trained on and tested once: they are one part.
    labels = {"train": "All rows" if bundle["folds"] else "Training", "valid": "Validation", "test": "Test"}
    return [
        {
            "name": name,
            "label": labels[name],
            "rows": known[name]["rows"],
            "share": known[name]["rows"] / total,
            "target": _target(known[name]["target"] or {}, sections.lists(bundle)),
            "from": known[name]["from"],
            "to": known[name]["to"],
            "aside": data["set_aside"][name],
        }
        for name in labels
        if name in known
    ]


def reasons(bundle: Mapping[str, JSON]) -> list[tuple[str, int]]:
    """Why rows were set aside, the most frequent reason first."""
    return sorted(bundle["data"]["set_aside"]["reasons"].items(), key=lambda item: -item[1])


def cut(bundle: Mapping[str, JSON]) -> list[tuple[str, str]]:
    """How the rows were cut; what differs from fold to fold is left out."""
    of_one_fold = ("fold", "fractions", "groups") if bundle["folds"] else ()
    return sections.facts(bundle["data"]["split"], ("copies", "rows", *of_one_fold))


def copies(bundle: Mapping[str, JSON]) -> str:
    """Which texts, images or sources came more than once and were kept on one side."""
    count, found = wording.count, bundle["data"]["split"].get("copies", {})
    said = [
        f"{count(item['rows'])} rows share {count(item['contents'])} contents of {wording.shorten(name)}"
        for name, item in found.items()
    ]
    if not said:
        return "No copies of texts, images or sources had to be kept together."
    return f"Copies: {'; '.join(said)}; copies of one content were kept on one side of the split."


def _target(target: Mapping[str, JSON], lists: bool) -> list[tuple[str, str]]:
    if {"mean", "deviation"} <= set(target):
        return [(wording.humane(key), wording.number(value)) for key, value in target.items()]
    most = sorted(target.items(), key=lambda item: -(wording.finite(item[1]) or 0))
    shown = [(wording.shorten(level, 40), wording.percent(rate)) for level, rate in most[:6]]
    if not most[6:]:
        return shown
    if lists:  # a row may have several of the rest: their sum is no share
        return [*shown, (f"{len(most) - 6} more, each at most", wording.percent(most[6][1]))]
    rest = sum(wording.finite(rate) or 0 for _, rate in most[6:])
    return [*shown, (f"{len(most) - 6} more", wording.percent(rest))]


def columns(bundle: Mapping[str, JSON]) -> tuple[list[dict[str, JSON]], list[tuple[str, str]]]:
    """The schema's fields, and the columns that were left out with the reason."""
    rows = [
        {
            **{key: field[key] for key in ("source", "name", "unit", "meaning", "missing")},
            "role": field["role"],
            "kind": wording.plain(field["kind"]),
            "values": _values(field),
        }
        for field in bundle["schema"]["fields"]
    ]
    return rows, [(name, why) for name, why in bundle["schema"]["ignored"]]


def _values(field: Mapping[str, JSON]) -> str:
    said = []
    if field["levels"] is not None:
        levels = [wording.shorten(level, 28) for level in field["levels"]]
        more = f" … {len(levels) - 8} more" if len(levels) > 8 else ""
        said.append(f"{len(levels)} levels: {', '.join(levels[:8])}{more}")
    if field["low"] is not None:
        said.append(f"{wording.plain(field['low'])} to {wording.plain(field['high'])}")
    if field["mean"] is not None:
        said.append(f"mean {wording.plain(field['mean'])}")
    if field["allowed"]:
        said.append("allowed {} to {}".format(*(_end(end) for end in field["allowed"])))
    if field["codes"]:
        said.append(f"codes for no information: {wording.plain(field['codes'])}")
    if field["longest"] is not None:
        said.append(f"up to {wording.count(field['longest'])} characters")
    return "; ".join(said) or wording.NOTHING


def _end(end: JSON) -> str:
    value = wording.finite(end)
    if value is not None:
        return wording.plain(value)
    return "any" if end is None or not math.isinf(end) else ("∞" if end > 0 else "\u2212∞")
