"""What belongs together: the rows of one entity, and copies of one text or image.

Copies are rows whose text is equal after Unicode NFC, collapsed white space and strip, or whose image is equal.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .. import images
from ..schema import Field, Schema, kinds
from ..solution import JSON, Kind

__all__ = ["content", "keys", "kind_of", "units", "whole"]


def whole(schema: Schema) -> Field | None:
    """The column whose values are never torn apart: the entity, else the group, else none."""
    return next((item for role in ("entity", "group") for item in schema.by_role(role)), None)


def keys(cells: pd.Series[Any]) -> pd.Series[Any]:
    """Names that are equal where ids or categories are: 7, 7.0 and "7 " are one. Missing cells stay missing."""
    return kinds.read(cells, "category").values.str.strip()


def kind_of(field: Field, cells: pd.Series[Any]) -> Kind | None:
    """A field's kind, also before the schema has learnt it: a table is cut first."""
    return field.kind or (None if kinds.missing(cells).all() else kinds.found_kind(cells))


def content(cells: pd.Series[Any], kind: Kind) -> NDArray[np.object_]:
    """What makes a text or an image a copy of another: equal contents are copies.

    Args:
        kind: `text` or `image`. An image is known by the bytes of its file.

    Returns:
        shape `(rows,)`: a string, None where there is nothing in the cell.
    """
    key = _image if kind == "image" else _text
    found = np.empty(len(cells), dtype=object)
    for position, (cell, missing) in enumerate(zip(cells, cells.isna(), strict=True)):
        found[position] = None if missing else key(cell) or None
    return found


def _text(cell: Any) -> str:
    text = str(cell)
    return " ".join((text if text.isascii() else unicodedata.normalize("NFC", text)).split())


def _image(cell: Any) -> str:
    """An image's hash; one that can't be read is known by its name, until the check sets its row aside."""
    if isinstance(cell, bytes) and not cell:
        return ""
    try:
        return images.content_hash(cell) if isinstance(cell, str | bytes) else str(cell)
    except images.Unreadable:
        return PurePath(str(cell)).name


def units(
    table: pd.DataFrame,
    schema: Schema,
    kept: Field | None,
    facts: dict[str, JSON],
    torn_by: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Number the rows so that rows which must stay together have one number; count the copies in `facts`.

    Args:
        kept: the column whose values stay together, if one does.
        torn_by: the part of each row in the user's own split; values that it tears no longer hold their rows together.
    """
    links: list[NDArray[np.int64]] = []
    copies: dict[str, JSON] = {}
    for item in schema.features:
        if item.shared or item.name not in table or not (item.kind or {"text", "image"} & set(schema.kinds)):
            continue
        kind = kind_of(item, table[item.name])
        if kind in ("text", "image"):
            codes = pd.factorize(content(table[item.name], kind))[0]
            sizes = np.bincount(codes[codes >= 0])
            if (sizes > 1).any():
                copies[item.source] = {"contents": int((sizes > 1).sum()), "rows": int(sizes[sizes > 1].sum())}
                links.append(codes)
    if copies:
        facts["copies"] = copies
    if kept is not None and kept.name in table:
        codes = pd.factorize(keys(table[kept.name]))[0]
        if torn_by is not None:  # what the user's own column tears is left to the scan, which can be overruled
            spread = pd.Series(torn_by).groupby(codes).transform("nunique").to_numpy() > 1
            codes = np.where(spread, -1, codes)
        links.append(codes)
    return _connected(len(table), links)


def _connected(rows: int, links: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    nodes = rows
    left: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    right: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    for codes in links:
        has = np.flatnonzero(codes >= 0)
        left.append(has)
        right.append(codes[has] + nodes)
        nodes += int(codes.max(initial=-1)) + 1
    ends = (np.concatenate(left), np.concatenate(right))
    graph = coo_array((np.ones(len(ends[0]), dtype=np.int8), ends), shape=(nodes, nodes))
    labels = connected_components(graph, directed=False)[1]
    numbers: NDArray[np.int64] = pd.factorize(labels[:rows])[0].astype(np.int64)
    return numbers
