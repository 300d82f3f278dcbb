"""What the sections of the page show, made ready: rows of tables, bars, lists of facts."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from . import metric_names, wording
from .verdict import set_aside

__all__ = [
    "Span",
    "choices",
    "classes",
    "confusion",
    "facts",
    "fairness",
    "findings",
    "lists",
    "metrics",
    "models",
    "pressing",
    "protocol",
    "set_aside",
    "slices",
    "stages",
    "weighed",
    "yaml_text",
]

JSON = Any
_SEVERITIES = ("refusal", "warning", "note")
_WIDEST_CONFUSION = 25


@dataclass(frozen=True)
class Span:
    """An interval bar: positions in percent of its track."""

    value: float | None
    low: float | None
    high: float | None
    mark: float | None = None


def _spans(found: Sequence[Mapping[str, JSON]], mark: JSON) -> list[Span]:
    numbers = [wording.finite(item.get(key)) for item in found for key in ("value", "low", "high")]
    known = [number for number in [*numbers, wording.finite(mark)] if number is not None]
    bottom, top = (min(known), max(known)) if known else (0.0, 1.0)
    width = (top - bottom) or 1.0

    def place(number: JSON) -> float | None:
        value = wording.finite(number)
        return None if value is None else round(2 + 96 * (value - bottom) / width, 2)

    return [Span(place(i.get("value")), place(i.get("low")), place(i.get("high")), place(mark)) for i in found]


def models(bundle: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """Ours and each rival, the baseline first: validation and test headline, paired difference, cost."""
    test, rivals, headline = bundle["test"] or {}, bundle["rivals"], bundle["goal"]["metric"]
    baseline = (test.get("baseline") or {}).get("name")
    rows = [
        {
            "name": "ours",
            "valid": bundle["valid"],
            "test": test["metrics"][headline] if test else None,
            "difference": None,
            "seconds": bundle["seconds"]["fit"],
        }
    ]
    for name in sorted(rivals, key=lambda name: name != baseline):
        rival = rivals[name]
        rows.append(
            {
                "name": name,
                "valid": rival["valid"],
                "test": (rival["metrics"] or {}).get(headline),
                "difference": rival["difference"],
                "seconds": rival["seconds"],
            }
        )
    return [{**row, "baseline": row["name"] == baseline, "ours": place == 0} for place, row in enumerate(rows)]


def classes(bundle: Mapping[str, JSON]) -> list[str]:
    """The classes of the target; none where it is a number."""
    targets = [field for field in bundle["schema"]["fields"] if field["role"] == "target"]
    return [str(level) for level in targets[0]["levels"] or ()] if targets else []


def lists(bundle: Mapping[str, JSON]) -> bool:
    """Whether a row may have several classes."""
    return any(field["role"] == "target" and field["kind"] == "list" for field in bundle["schema"]["fields"])


def metrics(bundle: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """Every metric of every model, the headline first; none where there is no test part.

    Those of single classes that `class_table` shows, such as `f1 of NAME`, are not among them.
    """
    test, rivals = bundle["test"], bundle["rivals"]
    if not test:
        return []
    ours = test["metrics"]
    baseline = (test["baseline"] or {}).get("name")
    order = sorted(rivals, key=lambda name: name != baseline)
    names = list(dict.fromkeys([*ours, *(metric for name in order for metric in rivals[name]["metrics"])]))
    names.sort(key=lambda name: name != test["headline"])
    own = bundle.get("meanings", {})  # older bundles have none
    several, means = lists(bundle), bool(classes(bundle)) and bundle["facts"].get("positive") is None
    return [
        {
            "name": name,
            "label": metric_names.metric_label(name),
            "meaning": metric_names.metric_meaning(name, own, means=means, several=several),
            "rises": metric_names.metric_rises(name, bundle["goal"], own),
            "headline": name == test["headline"],
            "found": [ours.get(name), *(rivals[rival]["metrics"].get(name) for rival in order)],
        }
        for name in names
        if name == test["headline"] or not _of_known_class(name, bundle)
    ]


def _of_known_class(name: str, bundle: Mapping[str, JSON]) -> bool:
    found = metric_names.of_class(name)
    return found is not None and found[0] in metric_names.OF_A_CLASS and found[1] in classes(bundle)


def findings(bundle: Mapping[str, JSON], pictures: Sequence[bytes] = ()) -> list[dict[str, JSON]]:
    """What was noticed about the data: overridden refusals, then warnings, then notes.

    Args:
        pictures: a PNG for each finding, in the bundle's order; they are given as Base64.
    """
    pictures = pictures or [b""] * len(bundle["findings"])
    shown = [
        {**item, "picture": b64encode(picture).decode()}
        for item, picture in zip(bundle["findings"], pictures, strict=True)
    ]
    return sorted(shown, key=lambda item: _SEVERITIES.index(item["severity"]))


def pressing(bundle: Mapping[str, JSON]) -> str:
    """One line for the top of the page: how many refusals were overridden and how many warnings there are."""
    found = findings(bundle)
    refusals = sum(item["severity"] == "refusal" for item in found)
    warnings = sum(item["severity"] == "warning" for item in found)
    said = []
    if refusals:
        said.append(f"{refusals} {'refusal that was' if refusals == 1 else 'refusals that were'} overridden")
    if warnings:
        said.append(f"{warnings} {'warning' if warnings == 1 else 'warnings'}")
    return " and ".join(said)


def protocol(bundle: Mapping[str, JSON]) -> str:
    """How the test numbers were measured, and how many test rows are in none of them."""
    return " ".join(filter(None, (bundle["protocol"], set_aside(bundle))))


def weighed(bundle: Mapping[str, JSON]) -> bool:
    """Whether rows count by a column that has the role weight."""
    return any(field["role"] == "weight" for field in bundle["schema"]["fields"])


def confusion(bundle: Mapping[str, JSON]) -> dict[str, JSON] | None:
    """The confusion table with truth in rows, shares of each row, and for many classes the most frequent mistakes."""
    found = bundle["confusion"]
    if found is None:
        return None
    classes, counts = found["classes"], found["counts"]
    totals = [sum(row) for row in counts]
    mistakes = sorted(
        (
            {"truth": truth, "named": named, "rows": rows, "total": totals[at]}
            for at, truth in enumerate(classes)
            for named, rows in zip(classes, counts[at], strict=True)
            if named != truth and rows
        ),
        key=lambda item: -item["rows"],
    )
    table = [
        {
            "level": level,
            "total": totals[at],
            "cells": [
                {"rows": rows, "share": rows / totals[at] if totals[at] else None, "right": at == to}
                for to, rows in enumerate(counts[at])
            ],
        }
        for at, level in enumerate(classes)
    ]
    wide = len(classes) > _WIDEST_CONFUSION
    return {
        "classes": classes,
        "table": [] if wide else table,
        "mistakes": mistakes[:20] if wide else [],
        "totals": [sum(column) for column in zip(*counts, strict=True)],
        "rows": sum(totals),
    }


def slices(bundle: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """The slices by column; a level is marked as weaker where its whole interval lies on the worse side of ours.

    A level that has no value says why in `unmeasured`.
    """
    found, test = bundle["slices"], bundle["test"]
    if not found:
        return []
    from ..evaluation import FEWEST_ROWS

    overall, higher = test["metrics"][test["headline"]]["value"], bundle["goal"]["higher"]
    columns: dict[str, list[dict[str, JSON]]] = {}
    for item, span in zip(found, _spans(found, overall), strict=True):
        low, high = item["low"], item["high"]
        weaker = None not in (overall, low, high) and (high < overall if higher else low > overall)
        unmeasured = ""
        if item["value"] is None:
            few = item["rows"] < FEWEST_ROWS
            unmeasured = f"too few rows to measure: fewer than {FEWEST_ROWS}" if few else "not defined on these rows"
        told = {**item, "span": span, "weaker": weaker, "unmeasured": unmeasured}
        columns.setdefault(item["column"], []).append(told)
    return [{"column": column, "levels": levels} for column, levels in columns.items()]


def fairness(bundle: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """The levels of each protected column against its reference; none where nothing was compared.

    `under`: the whole interval of the level's ratio lies under four fifths; `over`: beside it the reference's does.
    `few`: it has too few rows to measure, fewer than `fewest`; `few_deserving`: too few for a true-positive rate.
    """
    found = bundle.get("fairness") or []
    if not found:
        return []
    from ..evaluation import FEWEST_ROWS
    from ..metrics.fairness import FOUR_FIFTHS

    every = [level for column in found for level in column["levels"]]
    spans = _spans([{"value": 1.0} if level["reference"] else level["ratio"] for level in every], FOUR_FIFTHS)
    told = []
    for level, span in zip(every, spans, strict=True):
        low, high = wording.finite(level["ratio"]["low"]), wording.finite(level["ratio"]["high"])
        under, over = high is not None and high < FOUR_FIFTHS, low is not None and low > 1 / FOUR_FIFTHS
        few = {"few": level["rows"] < FEWEST_ROWS, "few_deserving": level["deserving"] < FEWEST_ROWS}
        told.append({**level, "span": span, "under": under, "over": over, "fewest": FEWEST_ROWS, **few})
    levels = iter(told)
    return [{**column, "levels": list(islice(levels, len(column["levels"])))} for column in found]


def stages(bundle: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """The stages of training, each with the `metric` whose best value chose its epoch."""
    return [{**stage, "metric": _chose(stage, bundle["goal"]["metric"])} for stage in bundle["training"]]


def _chose(stage: Mapping[str, JSON], headline: str) -> str:
    """The metric that had the stage's best value in its best epoch: the headline, or what a solution prefers to it."""
    history, best = stage["history"], stage["best_epoch"]
    at = history["epoch"].index(best) if best in history["epoch"] else None
    others = [name for name in history if name not in ("epoch", "loss", "learning_rate", headline)]
    if at is None or (headline in history and history[headline][at] == stage["best"]):
        return headline
    return next((name for name in others if history[name][at] == stage["best"]), headline)


def choices(bundle: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """What was tried on validation rows: for each choice its values, their metric, and which one won."""
    found = bundle["facts"].get("choices") or []
    return [
        {
            "what": wording.humane(choice.get("what", "choice")),
            "metric": choice.get("metric"),
            "chosen_on": choice.get("chosen_on"),
            "won": wording.plain(choice.get("won")),
            "tried": [
                {
                    "value": wording.plain(trial.get("value")),
                    "found": [
                        (
                            metric_names.metric_label(name),
                            wording.number(number) if wording.finite(number) is not None else wording.plain(number),
                        )
                        for name, number in trial.items()
                        if name != "value"
                    ],
                    "won": trial.get("value") == choice.get("won"),
                }
                for trial in choice.get("tried") or []
            ],
        }
        for choice in found
        if isinstance(choice, Mapping)
    ]


def facts(found: Mapping[str, JSON] | None, without: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Any mapping as lines of name and value."""
    left_out = set(without)
    return [
        (wording.humane(name), wording.plain(value, 400))
        for name, value in (found or {}).items()
        if name not in left_out and value is not None and value != {} and value != []
    ]


def yaml_text(value: JSON) -> str:
    """A part of the config as it is written in a file; empty where there is none."""
    import yaml

    return "" if not value else yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100).strip()
