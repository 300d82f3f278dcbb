"""Look at the data before training: copies, leakage across the split, columns that give the target away.

Messages are for whoever owns the data: what, where, how many, and the cure. Columns have the user's own names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ..errors import Refused
from ..metrics.calibration import wilson
from ..schema import Field, Schema
from ..solution import Finding, Severity
from ..split import PARTS
from ..split.together import keys, whole
from ..wording import listed, many
from .classes import named_as_parts
from .duplicates import contradictions, equal_rows, repeated_contents
from .images import odd_sizes
from .leak import leaks
from .several import rows_by_class, several_classes
from .texts import described, scripts_differ

__all__ = ["refuse", "scan"]

Frames = Mapping[str, pd.DataFrame]

MISSING = 0.5
SHIFT = 0.25  # population stability index; the credit industry's usual bar for 'has shifted'
LEVELS, LEVELS_SHARE = 50, 0.2
TEST_ROWS, RARE_ROWS = 100, 20
_ORDER = {"refusal": 0, "warning": 1, "note": 2}


def scan(
    parts: Frames,
    schema: Schema,
    *,
    given: bool,
    allow: Collection[str] = (),
    near_copies: Severity = "note",
    folds: Sequence[Frames] = (),
) -> list[Finding]:
    """Report what is remarkable about the rows of a run, refusals first. Never raises for what it finds.

    With folds every row is trained on, and tested once. So what is said of columns, classes and the number of test
    rows goes by all rows; what lies on two sides is looked for in every fold, and told of the fold that has most of it.

    Args:
        parts: typed, good rows under `train`, `valid` and `test`; a part may be missing or empty. With folds: all rows
            under `train`.
        given: the user gave the parts; nothing moved copies to one side.
        allow: names of findings that the user accepts.
        near_copies: how severe texts that differ in case and punctuation only, and images that look alike, are where
            they lie on both sides.
        folds: the parts of each fold.
    """
    parts = _filled(parts)
    found = [*_repeated_ids(parts, schema), *_one_class(parts, schema), *odd_sizes(parts, schema)]
    found += [*several_classes(parts, schema), *named_as_parts(parts, schema), *contradictions(parts, schema)]
    found += described(parts, schema)
    if "train" in parts:
        found += _target_leaks(parts["train"], schema)
        found += _poor_columns(parts["train"], schema)
        found += _imbalance(parts["train"], schema)
    found += _few_rows(parts["train"] if folds else parts.get("test"), schema, folded=bool(folds))
    across = [list(_across_parts(_filled(each), schema, given, near_copies)) for each in folds or [parts]]
    found += _worst(across) if folds else across[0]
    found = [replace(item, allowed=item.name in allow) for item in found]
    return sorted(found, key=lambda item: _ORDER[item.severity])


def _filled(parts: Frames) -> dict[str, pd.DataFrame]:
    return {name: parts[name] for name in PARTS if name in parts and len(parts[name])}


def _across_parts(parts: Frames, schema: Schema, given: bool, near_copies: Severity) -> Iterator[Finding]:
    """What lies on two sides of one cut, or differs between them."""
    yield from _torn(parts, schema)
    yield from repeated_contents(parts, schema, given=given, near_copies=near_copies)
    yield from equal_rows(parts, schema)
    yield from _shifted(parts, schema)
    yield from scripts_differ(parts, schema)


def _worst(by_fold: Sequence[Sequence[Finding]]) -> list[Finding]:
    """Of each kind of finding about each column, that of the fold that has most of it; its message says which."""
    worst: dict[tuple[str, tuple[str, ...]], Finding] = {}
    for number, found in enumerate(by_fold, start=1):
        for item in found:
            # how many columns have shifted is the count itself, so they can't tell such findings apart
            key = (item.name, () if item.name == "shifted_column" else item.columns)
            known = worst.get(key)
            if known is None or _weight(item) > _weight(known):
                worst[key] = replace(item, message=f"In fold {number} of {len(by_fold)}: {item.message}")
    return list(worst.values())


def _weight(item: Finding) -> tuple[int, int]:
    return -_ORDER[item.severity], item.count or 0


def refuse(findings: Collection[Finding]) -> None:
    """Refuse the data if a finding is a refusal that was not allowed; all of them are listed.

    Raises:
        Refused: with each finding's message, cure, and the word that allows it.
    """
    against = [item for item in findings if item.severity == "refusal" and not item.allowed]
    if against:
        lines = [f"- {item.message} {item.cure} Or allow it: data.allow: [{item.name}]" for item in against]
        raise Refused("The data can't be trained on as they are:\n" + "\n".join(lines))


def _repeated_ids(parts: Frames, schema: Schema) -> Iterator[Finding]:
    for field in schema.by_role("id"):
        named = _stacked(parts, field)
        repeated = named[named["key"].duplicated(keep=False)]
        if len(repeated):
            first = repeated["key"].iloc[0]
            count = repeated["key"].nunique()
            where = " and ".join(repeated.loc[repeated["key"] == first, "part"].unique())
            yield Finding(
                name="repeated_id",
                severity="refusal",
                message=f"Column {field.source}: {many(count, 'id')} {'occurs' if count == 1 else 'occur'} more than "
                f"once, in {many(len(repeated), 'row')} (for example {first!r}, in {where}).",
                cure="An id names one row: remove the repeated rows, or map another column to id (data.columns.id).",
                columns=(field.source,),
                count=len(repeated),
            )


def _torn(parts: Frames, schema: Schema) -> Iterator[Finding]:
    field = whole(schema)
    if field is None:
        return
    named = _stacked(parts, field)
    spread = named.groupby("key")["part"].nunique()
    torn = spread[spread > 1]
    if len(torn):
        rows = named[named["key"].isin(torn.index)]
        first = str(torn.index[0])
        where = " and ".join(rows.loc[rows["key"] == first, "part"].unique())
        yield Finding(
            name="entity_on_both_sides",
            severity="refusal",
            message=f"Column {field.source}: {len(torn):,} of {len(spread):,} values have rows in more than one part "
            f"of the split, {many(len(rows), 'row')} together (for example {first!r}, in {where}). "
            "A model that has met them looks better than it is.",
            cure="Put all rows of one value in one part, for example by data.split: {by: group}.",
            columns=(field.source,),
            count=len(torn),
        )


def _one_class(parts: Frames, schema: Schema) -> Iterator[Finding]:
    for field in schema.targets:
        for part, table in parts.items():
            if field.name not in table or field.kind not in ("category", "number"):
                continue
            counts = table[field.name].value_counts()
            if field.open:
                if part == "test" and len(counts) < 2:
                    yield Finding(
                        name="one_class",
                        severity="warning",
                        message=f"Column {field.source}: all {many(len(table), 'test row')} are {counts.index[0]!r}. "
                        "How well others are told from them is not measured: metrics of both have no value.",
                        cure="Nothing has to be done. With rows of other classes more can be said.",
                        columns=(field.source,),
                        count=len(table),
                    )
            elif len(counts) < 2:
                them = many(len(table), f"{part} row")
                have = (
                    f"all {them} have the one value {counts.index[0]!r}"
                    if len(counts)
                    else f"none of {them} has a value"
                )
                yield Finding(
                    name="one_class",
                    # a target that may be unknown is not always asked for
                    severity="warning" if part == "valid" or not len(counts) else "refusal",
                    message=f"Column {field.source}: {have}; nothing can be "
                    f"{'learnt' if part == 'train' else 'measured'} from that.",
                    cure="Give rows of the other classes, or use data.split: {by: stratified}.",
                    columns=(field.source,),
                    count=len(table),
                )
            elif part == "train" and field.kind == "category" and (counts < 2).any():
                rare = [str(item) for item in counts.index[counts < 2]]
                yield Finding(
                    name="one_class",
                    severity="warning",
                    message=f"Column {field.source}: {many(len(rare), 'class', 'classes')} with a single training row: "
                    f"{listed(sorted(rare), 5)}.",
                    cure="Merge rare classes into others, or give more rows of them.",
                    columns=(field.source,),
                    count=len(rare),
                )


def _target_leaks(train: pd.DataFrame, schema: Schema) -> Iterator[Finding]:
    for leak in leaks(train, schema):
        what = "whether there is a value" if leak.filled else "its value"
        yield Finding(
            name="target_leak",
            severity="refusal",
            message=f"Column {leak.column.source} alone decides the target {leak.target.source}: {what} tells "
            f"the target of practically all {many(leak.rows, 'training row')} that were compared.",
            cure="It is probably a copy of the target, or known only afterwards. Leave it out, data.columns: "
            f"{{ignore: [{leak.column.source}]}}; if it names a person or a machine, give it the role entity.",
            columns=(leak.column.source,),
            count=leak.rows,
        )


def _poor_columns(train: pd.DataFrame, schema: Schema) -> Iterator[Finding]:
    features = [item for item in schema.features if item.name in train]
    constant = [item.source for item in features if _levels(train, item) == 1 and train[item.name].notna().all()]
    if constant:
        yield Finding(
            name="constant_column",
            severity="note",
            message=f"The same value in all training rows: {listed(constant)} ({many(len(constant), 'column')}).",
            cure="Nothing can be learnt from them; leave them out (data.columns.ignore).",
            columns=tuple(constant),
            count=len(constant),
        )
    shares = {item.source: float(train[item.name].isna().mean()) for item in features}
    holes = {source: share for source, share in shares.items() if share > MISSING}
    if holes:
        yield Finding(
            name="missing_share",
            severity="warning",
            message=f"Empty in more than half of the training rows ({many(len(holes), 'column')}): "
            f"{listed(f'{source} ({share:.0%})' for source, share in holes.items())}.",
            cure="Check how they are filled, and whether they will be when rows are scored; or leave them out.",
            columns=tuple(holes),
            count=len(holes),
        )
    levels = {item.source: _levels(train, item) for item in features if item.kind == "category"}
    crowded = {
        source: count for source, count in levels.items() if count > LEVELS and count > LEVELS_SHARE * len(train)
    }
    if crowded:
        yield Finding(
            name="high_cardinality",
            severity="warning",
            message=f"So many levels that they may be names ({many(len(crowded), 'category column')}): "
            f"{listed(f'{source} ({count:,} levels in {len(train):,} rows)' for source, count in crowded.items())}.",
            cure="Most levels are too rare to learn from: group them, leave the column out, or give it the role id.",
            columns=tuple(crowded),
            count=len(crowded),
        )
    if schema.ignored:
        yield Finding(
            name="ignored_column",
            severity="note",
            message=f"Not read ({many(len(schema.ignored), 'column')}): "
            f"{listed(f'{source} ({why})' for source, why in schema.ignored)}.",
            cure="If one matters, say what it is in data.columns.",
            columns=tuple(source for source, _ in schema.ignored),
            count=len(schema.ignored),
        )


def _imbalance(train: pd.DataFrame, schema: Schema) -> Iterator[Finding]:
    for field in schema.targets:
        if field.kind != "category" or field.name not in train:
            continue
        counts = train[field.name].value_counts()
        if len(counts) < 2 or counts.iloc[0] <= 10 * counts.iloc[-1]:
            continue
        common, rare = counts.index[0], counts.index[-1]
        yield Finding(
            name="imbalance",
            severity="warning" if counts.iloc[0] > 100 * counts.iloc[-1] else "note",
            message=f"Column {field.source}: {common!r} has {counts.iloc[0]:,} training rows and {rare!r} only "
            f"{counts.iloc[-1]:,}. Always answering {common!r} is right in "
            f"{counts.iloc[0] / counts.sum():.1%} of the rows.",
            cure="Judge by AUC, average precision or recall rather than by accuracy; "
            "settings.training.class_weight may help.",
            columns=(field.source,),
            count=int(counts.iloc[-1]),
        )


def _few_rows(test: pd.DataFrame | None, schema: Schema, *, folded: bool) -> Iterator[Finding]:
    """What is measured on so few rows that little will be known of it. Of an entity or group, all rows count once: it
    is what intervals draw."""
    if test is None:
        return
    unit = whole(schema)
    unit = unit if unit is not None and unit.name in test else None
    whose = pd.Series(range(len(test)), test.index) if unit is None else keys(test[unit.name])
    rows = int(whose.nunique(dropna=False))
    says, columns, least = [], [], rows
    if rows < TEST_ROWS:
        where = "All folds together have" if folded else "The test part has"
        of = "" if unit is None else f" of {many(rows, 'value')} of {unit.source}"
        number = any(field.kind == "number" for field in schema.targets)
        around = (
            f"an RMSE is about ± {1.96 / np.sqrt(2 * rows):.0%} of it"
            if number
            else f"a share such as an accuracy of 0.80 is ± {_half_width(rows):.2f}"
        )
        says.append(f"{where} {many(len(test), 'row')}{of}: a 95 % interval around {around} wide.")
    for field in schema.targets:
        if field.kind not in ("category", "list") or field.name not in test:
            continue
        each = pd.DataFrame({"whose": whose, "class": test[field.name]}).explode("class").drop_duplicates()
        counts = rows_by_class(each["class"], field)
        if (len(counts) > 1 or field.kind == "list") and counts.iloc[-1] < RARE_ROWS:
            columns.append(field.source)
            least = int(counts.iloc[-1])
            there = (
                many(least, "test row") if unit is None else f"{many(least, 'value')} of {unit.source} in the test part"
            )
            says.append(
                f"Class {counts.index[-1]!r} of {field.source} has {there}: a 95 % interval around "
                f"a recall of 0.80 is ± {_half_width(least):.2f} wide."
                if least
                else f"Class {counts.index[-1]!r} of {field.source} has no test row: nothing is measured of it."
            )
    if says:
        yield Finding(
            name="few_rows",
            severity="warning",
            message=" ".join(says),
            cure="Give more rows."
            if folded
            else "Give more rows, a larger test part (data.split.fractions), or use data.split.folds: 5.",
            columns=tuple(columns),
            count=least,
        )


def _half_width(rows: int) -> float:
    """Half the width of Wilson's 95 % interval around a share of 0.8."""
    low, high = wilson(0.8, rows)
    return float(high - low) / 2


def _shifted(parts: Frames, schema: Schema) -> Iterator[Finding]:
    if not {"train", "test"} <= set(parts):
        return
    from scipy.stats import chi2

    train, test = parts["train"], parts["test"]
    features = [
        item
        for item in schema.features
        if item.kind in ("number", "category") and item.name in train and item.name in test
    ]
    moved = {}
    for item in features:
        old, new = _histograms(train[item.name], test[item.name], item)
        share_old, share_new = ((counts + 0.5) / (counts + 0.5).sum() for counts in (old, new))
        index = float(((share_new - share_old) * np.log(share_new / share_old)).sum())
        # In few rows the index is large by chance alone: it is near chi-squared times (1/train + 1/test).
        chance = float(chi2.isf(0.001 / len(features), max(len(old) - 1, 1))) * (1 / old.sum() + 1 / new.sum())
        if index > max(SHIFT, chance):
            moved[item.source] = index
    if moved:
        yield Finding(
            name="shifted_column",
            severity="warning",
            message=f"Distributed differently in the test part than in training ({many(len(moved), 'column')}): "
            f"{listed(f'{source} (stability index {index:.2f})' for source, index in moved.items())}.",
            cure="Check units and how the rows were gathered; if it is the course of time, expect it in scoring too.",
            columns=tuple(moved),
            count=len(moved),
        )


def _histograms(train: pd.Series[Any], test: pd.Series[Any], field: Field) -> tuple[Any, Any]:
    """Counts of both columns in the same bins: tenths or frequent levels of the training rows, the rest, missing."""
    if field.kind == "number":
        edges = np.unique(train.quantile(np.linspace(0.1, 0.9, 9)).dropna().to_numpy(dtype=np.float64))
        codes = [np.searchsorted(edges, column.to_numpy(dtype=np.float64), side="left") for column in (train, test)]
        bins = len(edges) + 2
    else:
        levels = pd.Index(train.value_counts().index[:10])
        codes = [levels.get_indexer(column) for column in (train, test)]
        codes = [np.where(column < 0, len(levels), column) for column in codes]
        bins = len(levels) + 2
    filled = [np.where(column.isna(), bins - 1, code) for column, code in zip((train, test), codes, strict=True)]
    old, new = (np.bincount(code, minlength=bins) for code in filled)
    used = old + new > 0
    return old[used], new[used]


def _stacked(parts: Frames, field: Field) -> pd.DataFrame:
    """The keys of one column in all parts: columns `part` and `key`, missing cells left out."""
    tables = [
        pd.DataFrame({"part": part, "key": keys(table[field.name]).to_numpy()})
        for part, table in parts.items()
        if field.name in table
    ]
    return pd.concat(tables, ignore_index=True).dropna() if tables else pd.DataFrame({"part": [], "key": []})


def _levels(table: pd.DataFrame, field: Field) -> int:
    return int(table[field.name].nunique()) if field.kind not in ("list", "image") else len(table)
