"""MODEL_CARD.md: what the report says, in one screen of Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from . import about_data, metric_names, sections, wording
from .class_table import ClassTable, class_table
from .verdict import headline_sentence, tested, verdict

__all__ = ["model_card"]

JSON = Any
_MOST_CLASSES = 10
_MARKUP = re.compile(r"([\\`*_\[\]#|~$!])")


def model_card(bundle: Mapping[str, JSON]) -> str:
    """Write the model card of a bundle as Markdown; a user's strings are escaped."""
    test = bundle["test"]
    ours = "network" if bundle["parameters"] else "model"
    blocks = [
        f"# {_text(wording.humane(bundle['solution']))}: model card",
        _text(bundle["summary"]),
        f"**{_text(verdict(bundle).sentence)}**",
        _text(headline_sentence(bundle)),
        *_details(bundle, ours),
        *_evaluation(bundle, test, ours),
        *_data(bundle),
        *_findings(bundle),
        *_use(bundle, test),
        *_reproduce(bundle),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _text(value: JSON) -> str:
    """A user's string as Markdown that shows just this string, on one line."""
    line = wording.shorten(value, 2000)
    return _MARKUP.sub(r"\\\1", line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], right: int = 1) -> str:
    """A Markdown table whose cells are Markdown already; from column `right` on they are numbers."""
    rule = ["---" if place < right else "---:" for place in range(len(header))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, rule, *rows])


def _list(pairs: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"- {_text(name)}: {_text(value)}" for name, value in pairs)


def _code(text: str, language: str = "") -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _details(bundle: Mapping[str, JSON], ours: str) -> list[str]:
    outputs = [
        [_text(output["name"]), _text(output["type"]), _text(output["meaning"] or wording.NOTHING)]
        for output in bundle["outputs"]
    ]
    pairs = [
        ("Made", wording.moment(bundle["created"])),
        ("Solution", wording.plain(bundle["target"])),
        (f"Weights of the {ours}", wording.count(bundle["parameters"])),
    ]
    return ["## Model", _list(pairs), *([_table(["Output", "Type", "Meaning"], outputs, right=3)] if outputs else [])]


def _span(found: Mapping[str, JSON] | None) -> str:
    span = wording.interval(found)
    return wording.estimate(found) + (f" ({span})" if span else "")


def _evaluation(bundle: Mapping[str, JSON], test: Mapping[str, JSON] | None, ours: str) -> list[str]:
    goal = bundle["goal"]
    label = metric_names.metric_label(goal["metric"])
    direction = "higher" if goal["higher"] else "lower"
    models = sections.models(bundle)
    header = ["Model", f"{label}, validation rows"]
    if test:
        header += [f"{label}, test rows (95 % interval)", "ours − theirs, paired (95 % interval)"]
    rows = []
    for model in models:
        row = [
            ("our " + ours if model["ours"] else _text(model["name"])) + (" (baseline)" if model["baseline"] else ""),
            wording.number(model["valid"]),
        ]
        if test:
            span = wording.interval(model["difference"], difference=True)
            row += [
                _span(model["test"]),
                "" if model["ours"] else wording.signed(model["difference"]) + (f" ({span})" if span else ""),
            ]
        rows.append(row)
    blocks = ["## Evaluation", f"{label}, {direction} is better. Validation rows also chose; their numbers flatter."]
    blocks.append(_table(header, rows))
    if not test:
        return [*blocks, "No test part: nothing here is measured on unseen rows."]
    weighed = " Rows count by their weight." if sections.weighed(bundle) else ""
    blocks.append(f"{tested(bundle)}. {_text(sections.protocol(bundle))}{weighed}")
    names = ["our " + ours, *(_text(model["name"]) for model in models[1:])]
    found = [[_text(row["label"]), *map(_span, row["found"])] for row in sections.metrics(bundle)]
    blocks.append(_table(["Metric (95 % interval)", *names], found))
    weaker = [
        f"- {_text(group['column'])} = {_text(level['level'])}: {_span(level)}, {wording.count(level['rows'])} rows"
        for group in sections.slices(bundle)
        for level in group["levels"]
        if level["weaker"]
    ]
    if weaker:
        blocks += [f"Slices whose whole interval of {label} is worse than that of all test rows:", "\n".join(weaker)]
    by_class = class_table(bundle)
    point = sections.facts(bundle["facts"].get("operating_point"), by_class.told if by_class else ())
    return [
        *blocks,
        *(["### Operating point", _list(point)] if point else []),
        *(_by_class(by_class) if by_class else []),
        *_fairness(bundle),
    ]


def _by_class(table: ClassTable) -> list[str]:
    """The weakest classes; the report has them all."""
    header = ["Class", *(["Threshold"] if table.thresholds else []), *map(metric_names.metric_label, table.metrics)]
    rows = [
        [
            _text(row.name),
            *([wording.number(row.threshold)] if table.thresholds else []),
            *map(_span, row.found),
        ]
        for row in table.rows[:_MOST_CLASSES]
    ]
    more = len(table.rows) - len(rows)
    said = f"The {len(rows)} classes of the lowest F1; report.html has the other {more} too." if more else ""
    return ["### Class by class (95 % interval)", said, _table(header, rows)]


def _fairness(bundle: Mapping[str, JSON]) -> list[str]:
    lines = []
    for column in sections.fairness(bundle):
        reference = "no reference" if column["reference"] is None else f"reference {column['reference']}"
        what = f"{column['column']} ({reference}; favourable: {column['output']} other than {column['adverse']})"
        lines.append(f"- {_text(what)}")
        lines += [f"  - {_text(level['level'])}: {_compared(level)}" for level in column["levels"]]
    if not lines:
        return []
    said = (
        "Ratio: the rate of favourable decisions over the reference's, the most frequent level's; marked where the "
        "whole interval is beyond 0.8, the four-fifths rule (29 CFR 1607.4 D). True-positive rate: of favourable "
        "decisions among the rows whose true class is not adverse. Test rows, 95 % intervals in brackets. Equal rates "
        "are not all of fairness."
    )
    return ["### Fairness", said, "\n".join(lines)]


def _compared(level: Mapping[str, JSON]) -> str:
    rows = f"{wording.count(level['rows'])} rows"
    if level["few"]:
        return f"{rows}, too few to measure: fewer than {level['fewest']}"
    deserving = f"{wording.count(level['deserving'])} rows"
    truly = "too few of" if level["few_deserving"] else f"{_span(level['true_positive_rate'])} of"
    said = f"{rows}, favourable {_span(level['rate'])}, true-positive rate {truly} {deserving}"
    if level["reference"]:
        return said
    span = wording.interval(level["difference"], difference=True)
    difference = wording.signed(level["difference"]) + (f" ({span})" if span else "")
    mark = "; under four fifths" if level["under"] else "; reference under four fifths of it" if level["over"] else ""
    return f"{said}; ratio {_span(level['ratio'])}, true-positive rate difference {difference}{mark}"


def _data(bundle: Mapping[str, JSON]) -> list[str]:
    data = bundle["data"]
    rows = [
        [
            part["label"],
            wording.count(part["rows"]),
            _text(", ".join(f"{name} {value}" for name, value in part["target"]) or wording.NOTHING),
            _text(" to ".join(wording.plain(end) for end in (part["from"], part["to"]) if end) or wording.NOTHING),
            wording.count(part["aside"]),
        ]
        for part in about_data.parts(bundle)
    ]
    source = f"{_text(wording.plain(data['source']))}, {wording.count(data['rows'])} rows"
    split = about_data.cut(bundle)
    reasons = [(reason, f"{wording.count(count)} rows") for reason, count in about_data.reasons(bundle)[:15]]
    blocks = ["## Data", source, _table(["Part", "Rows", "Target", "Dates", "Set aside"], rows) if rows else ""]
    blocks += ["Split:", _list(split)] if split else []
    return [*blocks, *(["Rows set aside, and why:", _list(reasons)] if reasons else [])]


def _findings(bundle: Mapping[str, JSON]) -> list[str]:
    lines = []
    for finding in sections.findings(bundle):
        overridden = " (refusal, overridden)" if finding["severity"] == "refusal" else f" ({finding['severity']})"
        cure = f" Cure: {_text(finding['cure'])}" if finding["cure"] else ""
        lines.append(f"- **{_text(wording.humane(finding['name']))}**{overridden}: {_text(finding['message'])}{cure}")
    return ["## What the scan found", "\n".join(lines) or "Nothing to report."]


def _use(bundle: Mapping[str, JSON], test: Mapping[str, JSON] | None) -> list[str]:
    limits = "\n".join(f"- {_text(limit)}" for limit in bundle["limits"])
    personal = bundle["personal"]
    people = (
        f"This bundle holds rows or pictures of people in: {_text(', '.join(personal))}. "
        "Store, share and delete the whole bundle as you must the data itself."
        if personal
        else "No asset or file is declared to hold rows or pictures of people."
    )
    if test:
        people += " `test_scores.parquet` holds the target and the scores of every test case."
    files = ", ".join(f"`{name}`" for name in bundle.get("files", ()))
    return [
        *("## Intended use", _text(bundle["intended_use"] or "None was stated.")),
        *("## Limits", limits or "None were stated."),
        *("## Personal data", people),
        *(("## For people and other programs", f"Beside this card, and read by no scoring: {files}.") if files else ()),
    ]


def _reproduce(bundle: Mapping[str, JSON]) -> list[str]:
    facts = [*bundle["versions"].items(), *sections.facts(bundle["machine"])]
    facts.append(("SHA-256 of the rows", wording.plain(bundle["data"]["sha256"])))
    config = sections.yaml_text(bundle["config"])
    return [
        "## To reproduce it",
        _code(bundle["command"], "sh"),
        _list(facts),
        _code(config, "yaml") if config else "",
    ]
