"""Cut a table by each rule of `split.Split`. The public face is `split`, which imports this at the first cut."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import Refused
from ..schema import Field, Schema, kinds
from ..solution import JSON
from ..wording import listed, suggestion
from . import PARTS, Parts, Split, deal, together

__all__ = ["cut", "fold_numbers", "folds", "halves"]

_SPELLINGS = {
    **{"train": 0, "training": 0},
    **{"valid": 1, "validation": 1, "val": 1, "dev": 1},
    **{"test": 2, "testing": 2},
}
# Separate streams of random numbers under one seed. None is 0: default_rng([seed, 0]) is default_rng(seed),
# which whoever made the rows may have drawn them with.
_CUT, _FOLDS, _HALVES, _BAGS = 1, 2, 3, 4

logger = logging.getLogger("solvent")


def cut(table: pd.DataFrame, split: Split, schema: Schema) -> Parts:
    """What `split.cut` promises."""
    facts: dict[str, JSON] = {"by": split.by, "seed": split.seed, "fractions": list(split.fractions)}
    if len(table) == 0:
        raise Refused("The table to be split has no rows. Check data.rows, and how many rows were set aside.")
    kept = together.whole(schema)
    if split.by == "group" and kept is None:
        raise Refused(
            "data.split.by is group, but no column has the role group or entity. "
            "Name it, data.columns: {group: YOUR_COLUMN}, or use by: random."
        )
    if split.by == "time":
        units = together.units(table, schema, kept, facts)
        part = _by_time(table, units, split, schema, facts)
    elif split.by == "last":
        within = _column(table, str(split.within), schema, "within")
        units = together.units(table, schema, None if kept and kept.name == within else kept, facts)
        part = _latest(_by_last(table, within, split, schema, facts), units, facts)
    elif split.by == "column":
        part = _by_column(table, _column(table, str(split.column), schema, "column"), split)
        units = together.units(table, schema, kept, facts, torn_by=part)
        part = _latest(part, units, facts)
    else:
        units, strata = _dealt(table, split, schema, kept, facts)
        active = np.flatnonzero(np.array(split.fractions) > 0)
        rng = np.random.default_rng([split.seed, _CUT])
        part = active[deal.deal(units, strata, [split.fractions[item] for item in active], rng, learn=True)]
    positions = [np.flatnonzero(part == item) for item in range(3)]
    facts["rows"] = {name: len(where) for name, where in zip(PARTS, positions, strict=True)}
    _refuse_empty_parts(split, facts, len(np.unique(units)), kept)
    if kept is not None and kept.name in table:
        names = together.keys(table[kept.name])
        counts = {name: int(names.iloc[where].nunique()) for name, where in zip(PARTS, positions, strict=True)}
        facts["groups"] = {"column": kept.source, "role": kept.role, **counts}
    train, valid, test = positions
    return Parts(train, valid, test, facts)


def halves(table: pd.DataFrame, schema: Schema, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What `split.halves` promises."""
    units, strata = _dealt(table, _even(table, schema, seed), schema, together.whole(schema), {})
    if len(np.unique(units)) < 2:
        raise Refused(
            f"The validation part ({len(table)} rows) can't be cut in two: its rows all belong together. "
            "Give it more rows, groups or entities: a larger second fraction in data.split.fractions."
        )
    side = deal.deal(units, strata, [0.5, 0.5], np.random.default_rng([seed, _HALVES]))
    return table.iloc[np.flatnonzero(side == 0)], table.iloc[np.flatnonzero(side == 1)]


def folds(table: pd.DataFrame, split: Split, schema: Schema) -> list[Parts]:
    """What `split.folds` promises."""
    if split.folds is None:
        raise Refused("data.split names no folds. Write how many, for example folds: 5.")
    facts: dict[str, JSON] = {}
    fold_of = _folds(table, split, split.folds, schema, facts, [_FOLDS])
    found = []
    for fold in range(split.folds):
        rest, test = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        if len(test) == 0:
            raise Refused(f"Fold {fold + 1} of {split.folds} would have no rows. Use fewer folds.")
        inner = cut(table.iloc[rest], split.untested(), schema)
        sizes = {"train": len(inner.train), "valid": len(inner.valid), "test": len(test)}
        told = {**inner.facts, **facts, "fold": fold + 1, "folds": split.folds, "rows": sizes}
        told["fractions"] = [round(size / len(table), 6) for size in sizes.values()]
        found.append(Parts(rest[inner.train], rest[inner.valid], test, told))
    return found


def fold_numbers(table: pd.DataFrame, schema: Schema, folds: int, seed: int, repeat: int) -> NDArray[np.int64]:
    """The fold of each row, for models that each leave one out, shape `(rows,)`; each repeat deals anew."""
    return _folds(table, _even(table, schema, seed), folds, schema, {}, [_BAGS, repeat])


def _even(table: pd.DataFrame, schema: Schema, seed: int) -> Split:
    """The split that keeps the shares of the target's classes where it has classes."""
    classes = any(item.kind in ("category", "list") and item.name in table for item in schema.targets)
    return Split(by="stratified" if classes else "random", seed=seed)


def _folds(
    table: pd.DataFrame, split: Split, count: int, schema: Schema, facts: dict[str, JSON], stream: list[int]
) -> NDArray[np.int64]:
    units, strata = _dealt(table, split, schema, together.whole(schema), facts)
    if len(np.unique(units)) < count:
        raise Refused(
            f"{count} folds are asked for, but only {len(np.unique(units))} groups of rows can be kept apart. "
            "Use fewer folds, or give more rows."
        )
    return deal.deal(units, strata, [1 / count] * count, np.random.default_rng([split.seed, *stream]))


def _column(table: pd.DataFrame, name: str, schema: Schema, key: str) -> str:
    """The house name of a column that the split names by its house name or by the user's own."""
    known = {item.source: item.name for item in schema.fields}
    house = name if name in table.columns else known.get(name, name)
    if house not in table.columns:
        sources = {found: source for source, found in known.items()}
        columns = [sources.get(str(item), str(item)) for item in table.columns]
        raise Refused(
            f"data.split.{key} names {name!r}, but the table has no such column.{suggestion(name, columns)} "
            f"It has: {listed(columns)}. A column that is not read otherwise is kept by "
            f"data.columns: {{passthrough: [{name}]}}."
        )
    return house


def _dealt(
    table: pd.DataFrame, split: Split, schema: Schema, kept: Field | None, facts: dict[str, JSON]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Units and strata of a cut that deals units out at random."""
    strata = np.zeros(len(table), dtype=np.int64)
    if split.by == "stratified":
        strata = _strata(table, schema, facts)
    elif split.within is not None:
        within = _column(table, split.within, schema, "within")
        strata = pd.factorize(together.keys(table[within]))[0] + 1
        kept = None if kept is not None and kept.name == within else kept
        facts["within"] = split.within
    return together.units(table, schema, kept, facts), np.unique(strata, return_inverse=True)[1]


def _strata(table: pd.DataFrame, schema: Schema, facts: dict[str, JSON]) -> NDArray[np.int64]:
    there = [(item, together.kind_of(item, table[item.name])) for item in schema.targets if item.name in table]
    fit = [(item, kind) for item, kind in there if kind in ("number", "category", "list")]
    if not fit:
        raise Refused(
            "data.split.by is stratified, but the table has no target that is a category, a list of them or a number. "
            "Name it, data.columns: {target: YOUR_COLUMN}, or use by: random."
        )
    target, kind = fit[0]
    facts["stratified_by"] = target.source
    cells = table[target.name]
    if kind == "category":
        return np.asarray(pd.factorize(together.keys(cells))[0], dtype=np.int64)
    if kind == "list":  # each combination of classes
        combined = kinds.read(cells, "list").values.map(
            lambda cell: "|".join(sorted(map(str, cell))), na_action="ignore"
        )
        return np.asarray(pd.factorize(combined)[0], dtype=np.int64)
    numbers = kinds.read(cells, "number").values
    if numbers.nunique() <= 10:
        return np.asarray(pd.factorize(numbers)[0], dtype=np.int64)
    return np.asarray(pd.qcut(numbers, 10, labels=False, duplicates="drop").fillna(-1), dtype=np.int64)


def _moments(table: pd.DataFrame, schema: Schema, by: str) -> tuple[Field, NDArray[np.int64], list[JSON]]:
    """Rank the rows by time: the column, ranks `(rows,)` from 1 (0: no time), and the time of each rank."""
    times = [item for item in schema.by_role("time") if item.name in table]
    if not times:
        raise Refused(
            f"data.split.by is {by}, but no column has the role time. "
            "Name it, data.columns: {time: YOUR_COLUMN}, or use by: random."
        )
    field, cells = times[0], table[times[0].name]
    moments = kinds.read(cells, "number" if field.kind == "number" else "time", field.unit).values
    if not moments.notna().any():
        moments = kinds.read(cells, "number").values  # an order in time may be counted in cycles, days or seconds
    if not moments.notna().any():
        raise Refused(
            f"Column {field.source}: not one cell is a time, so the table can't be split by time. "
            "Write times like 2024-01-31 or 2024-01-31T12:00:00, or use by: random."
        )
    codes, values = pd.factorize(moments, sort=True)
    told = [item.isoformat() if isinstance(item, pd.Timestamp) else float(item) for item in values]
    return field, np.asarray(codes, dtype=np.int64) + 1, [None, *told]


def _by_time(
    table: pd.DataFrame, units: NDArray[np.int64], split: Split, schema: Schema, facts: dict[str, JSON]
) -> NDArray[np.int64]:
    column, ranks, told = _moments(table, schema, "time")
    latest = np.zeros(int(units.max()) + 1, dtype=np.int64)
    np.maximum.at(latest, units, ranks)
    ranks_used, row_of = np.unique(latest[units], return_inverse=True)
    rows_until = np.cumsum(np.bincount(row_of))
    active = np.flatnonzero(np.array(split.fractions) > 0)
    goals = np.cumsum([split.fractions[item] for item in active])[:-1] * len(table)
    if len(ranks_used) < len(active):
        raise Refused(
            f"Column {column.source}: the table has {len(ranks_used)} different times for rows that may be parted, and "
            f"the split needs at least {len(active)}. Equal times, copies and the rows of one entity stay on one side. "
            "Use by: group or by: random."
        )
    part = np.zeros(len(table), dtype=np.int64)
    edge = -1
    for number, goal in enumerate(goals, start=1):
        low, high = edge + 1, len(ranks_used) - 1 - (len(goals) - number)
        edge = low + int(np.argmin(np.abs(rows_until[low:high] - goal)))
        part[row_of > edge] = number
    starts = [int(latest[units][part == number].min()) for number in range(1, len(active))]
    later = int((np.searchsorted(starts, ranks, side="right") != part).sum())
    if later:
        facts["moved"] = later
    part = active[part]
    first = {f"{PARTS[item]}_from": told[start] for item, start in zip(active[1:], starts, strict=True)}
    facts["time"] = {"column": column.source, **first}
    _count_missing_times(ranks, facts)
    return part


def _by_last(
    table: pd.DataFrame, within: str, split: Split, schema: Schema, facts: dict[str, JSON]
) -> NDArray[np.int64]:
    column, ranks, _ = _moments(table, schema, "last")
    strata = np.unique(pd.factorize(together.keys(table[within]))[0], return_inverse=True)[1]
    facts["within"], facts["time"] = split.within, {"column": column.source}
    _count_missing_times(ranks, facts)
    active = np.flatnonzero(np.array(split.fractions) > 0)
    quotas = deal.quotas(np.bincount(strata).tolist(), [split.fractions[item] for item in active], learn=True)
    return active[deal.in_order(np.lexsort((np.arange(len(table)), ranks, strata)), quotas)]


def _count_missing_times(ranks: NDArray[np.int64], facts: dict[str, JSON]) -> None:
    if (ranks == 0).any():
        facts["rows_without_time"] = int((ranks == 0).sum())
        logger.warning(
            "%d rows have no time that can be read; to cut the table they count as the oldest.",
            facts["rows_without_time"],
        )


def _by_column(table: pd.DataFrame, column: str, split: Split) -> NDArray[np.int64]:
    named = table[column].astype("str").str.strip().str.lower().map(_SPELLINGS)
    unknown = np.flatnonzero(named.isna())
    if len(unknown):
        cell = table[column].iloc[int(unknown[0])]
        raise Refused(
            f"Row {table.index[int(unknown[0])] + 1}, column {split.column}: {cell!r} names no part, and so in "
            f"{len(unknown)} rows. data.split.by is column, so every cell must be train, valid or test."
        )
    return named.to_numpy().astype(np.int64)


def _latest(part: NDArray[np.int64], units: NDArray[np.int64], facts: dict[str, JSON]) -> NDArray[np.int64]:
    """Move every unit to the latest part that any of its rows is in, and count the rows that moved."""
    latest = np.zeros(int(units.max()) + 1, dtype=np.int64)
    np.maximum.at(latest, units, part)
    moved = int((latest[units] != part).sum())
    if moved:
        facts["moved"] = moved
        logger.warning("%d rows moved to a later part of the split, so that what belongs together stays there.", moved)
    return latest[units]


def _refuse_empty_parts(split: Split, facts: dict[str, JSON], units: int, kept: Field | None) -> None:
    empty = [name for name, share in zip(PARTS, split.fractions, strict=True) if share > 0 and not facts["rows"][name]]
    if not empty:
        return
    held = [f"values of {kept.source}"] if kept is not None else []
    held += [f"copies in {source}" for source in facts.get("copies", {})]
    reason = f" Kept together were {' and '.join(held)}, which leaves {units} units." if held else ""
    if split.by == "column":
        cure = f"Name some rows of column {split.column} so, or give that part the fraction 0."
    else:
        cure = "Give more rows, or give that part the fraction 0 in data.split.fractions, or split by another rule."
    rows = sum(facts["rows"].values())
    raise Refused(f"The split by {split.by} of {rows} rows leaves {' and '.join(empty)} empty.{reason} {cure}")
