"""What is noticed about images: near copies, files of an odd size.

Near copies are found in two steps. Images whose 64 bit fingerprints differ in few bits are candidates; among 64 numbers
that tell only where it gets lighter, all blank or evenly lit surfaces are alike. So candidates are compared as
thumbnails: as a whole, and in their details, which is what is left when each place is compared with its surroundings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .. import images
from ..report import pictures
from ..schema import Schema
from ..solution import Decoder, Finding
from ..wording import listed, many

__all__ = ["named", "near_groups", "odd_sizes", "pairs", "sheet"]

Frames = Mapping[str, pd.DataFrame]
Numbers = NDArray[np.float32]
Labels = NDArray[np.int64]
Edges = tuple[Labels, Labels]

BITS = 6  # in which the fingerprints of near copies differ at most
BANDS = 7  # one more than that: two such fingerprints are equal in at least one band
SIDE = 32  # of a thumbnail
ALIKE, DETAILS_ALIKE = 0.9, 0.65  # correlations; of plain grain even a JPEG of low quality keeps so much
AT_ONCE = 4_000_000  # comparisons held in memory

SIDE_RATIO, ASPECT_RATIO = 4.0, 2.0  # to the median: what is beyond is odd
ODD_SHARE = 0.05  # if more images are odd, sizes simply vary


def near_groups(cells: Sequence[images.Cell], keys: Sequence[str], decoder: Decoder | None) -> Labels:
    """Number images so that near copies, and near copies of these, have one number.

    Args:
        keys: what tells contents apart, for each image; images of one key are looked at once.

    Returns:
        shape `(images,)`.

    Source: the difference hash is Neal Krawetz's, 2013; its bands as in Manku et al., Detecting Near-Duplicates, 2007.
    """
    contents, first, codes = np.unique(np.asarray(keys, dtype=object), return_index=True, return_inverse=True)
    known = decoder, tuple(contents)
    if known not in _groups:  # the folds of a cross-validation have the same images
        _groups.clear()
        _groups[known] = _near([cells[at] for at in first.tolist()], decoder)
    return _groups[known][codes]


_groups: dict[tuple[Decoder | None, tuple[str, ...]], Labels] = {}


def _near(cells: Sequence[images.Cell], decoder: Decoder | None) -> Labels:
    looks = images.looks(cells, decoder)
    marks, codes = np.unique(np.array([look.fingerprint for look in looks], np.uint64), return_inverse=True)
    candidates = _joined(len(marks), _near_marks(marks))[codes]
    crowded = np.flatnonzero(np.bincount(candidates, minlength=1)[candidates] > 1)
    if not len(crowded):
        return np.arange(len(cells))
    whole, details = _thumbnails([cells[at] for at in crowded.tolist()], decoder)

    def edges() -> Iterator[Edges]:
        for group in pd.Series(crowded).groupby(candidates[crowded]).indices.values():
            marked, places = marks[codes[crowded[group]]], crowded[group]
            wholes, detail = whole[group], details[group]
            rows = max(1, AT_ONCE // len(group))
            for start in range(0, len(group), rows):
                alike = detail[start : start + rows] @ detail[start:].T >= DETAILS_ALIKE
                np.fill_diagonal(alike, False)  # each is like itself
                if not alike.any():
                    continue
                alike &= wholes[start : start + rows] @ wholes[start:].T >= ALIKE
                left, right = (side + start for side in np.nonzero(alike))
                near = np.bitwise_count(marked[left] ^ marked[right]) <= BITS
                yield places[left[near]], places[right[near]]

    return _joined(len(cells), edges())


def _near_marks(marks: NDArray[np.uint64]) -> Iterator[Edges]:
    """Pairs of fingerprints that differ in few bits: only those are compared that agree in a band of bits."""
    ends = np.linspace(0, 64, BANDS + 1).astype(int)
    for low, high in pairwise(ends):
        band = (marks >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)
        order = np.argsort(band, kind="stable")
        for bucket in np.split(order, np.flatnonzero(np.diff(band[order])) + 1):
            rows = max(1, AT_ONCE // len(bucket))
            for start in range(0, len(bucket), rows):
                some, rest = bucket[start : start + rows], bucket[start:]
                left, right = np.nonzero(np.bitwise_count(marks[some, None] ^ marks[rest]) <= BITS)
                yield some[left], rest[right]


def _joined(count: int, edges: Iterable[Edges]) -> Labels:
    """The connected parts of a graph whose edges come bit by bit, as there may be too many to keep."""
    labels = np.arange(count)
    kept: list[Edges] = [(labels[:0], labels[:0])]
    waiting = 0

    def merged() -> Labels:
        left, right = (labels[np.concatenate(side)] for side in zip(*kept, strict=True))
        graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(count, count))
        found: Labels = connected_components(graph, directed=False)[1][labels]
        return found

    for pair in edges:
        kept.append(pair)
        waiting += len(pair[0])
        if waiting > AT_ONCE:
            labels, kept, waiting = merged(), kept[:1], 0
    return merged()


def _thumbnails(cells: Sequence[images.Cell], decoder: Decoder | None) -> tuple[Numbers, Numbers]:
    """Grey thumbnails and their details, each of length 1 around its mean; 0 where nothing is to be seen."""
    whole = np.empty((len(cells), SIDE * SIDE), np.float32)
    details = np.empty_like(whole)
    at = 0
    for batch in images.Stream(cells, SIDE, "stretch", rows=1024, decoder=decoder):
        grey = batch.mean(axis=3)
        blurred = uniform_filter(grey, (0, 5, 5), mode="nearest")
        rows = slice(at, at + len(batch))
        whole[rows], details[rows] = _normal(grey), _normal(grey - blurred)
        at += len(batch)
    return whole, details


def _normal(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    flat = maps.reshape(len(maps), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.where(length < 1, 0, flat / np.maximum(length, 1))  # one grey level in one place is noise


def pairs(near: pd.DataFrame, before: Mapping[str, Sequence[str]]) -> list[list[tuple[images.Cell, str, str]]]:
    """Of each group of near copies two images, those on both sides of the split first.

    Args:
        near: `cell`, `row`, `part`, `key` of the contents, `loose` of the groups, and whether a row lies `across`.
        before: for each part those that a near copy of its rows should not be in.

    Returns:
        Of each image the cell, the part and the name.
    """
    found = []
    for _, group in near.sort_values("across", ascending=False, kind="stable").groupby("loose", sort=False):
        first = group.iloc[0]
        others = group[group["key"] != first["key"]]
        if first["across"]:
            others = others[others["part"].isin(before[first["part"]])]
        both = (others.iloc[0], first)
        found.append([(item["cell"], item["part"], named(item["cell"], item["row"])) for item in both])
    return found


def odd_sizes(parts: Frames, schema: Schema) -> Iterator[Finding]:
    """Images whose shorter side, or whose ratio of sides, is far from that of most: finding `odd_sizes`."""
    for field in schema.features:
        if field.kind != "image":
            continue
        cells = pd.concat([table[field.name] for table in parts.values() if field.name in table] or [pd.Series()])
        cells = cells.dropna()
        looks = images.looks(cells.tolist(), field.decoder)
        sides = np.array([(look.width, look.height) for look in looks if look.error is None], float).reshape(-1, 2)
        cells = cells[[look.error is None for look in looks]]
        if cells.empty:
            continue
        away = [np.abs(np.log(kind / np.median(kind))) for kind in (sides.min(axis=1), sides[:, 0] / sides[:, 1])]
        excess = np.maximum(away[0] / np.log(SIDE_RATIO), away[1] / np.log(ASPECT_RATIO))
        odd = np.argsort(-excess, kind="stable")[: int((excess > 1).sum())]
        if not 0 < len(odd) <= max(1, ODD_SHARE * len(cells)):
            continue
        width, height = np.median(sides, axis=0)
        says = [f"{sides[at, 0]:.0f} × {sides[at, 1]:.0f}" for at in odd]
        names = [named(cells.iloc[at], cells.index[at]) for at in odd]
        yield Finding(
            name="odd_sizes",
            severity="note",
            message=f"Column {field.source}: {len(odd):,} of {many(len(cells), 'image')} of a size far from the "
            f"rest's, which is about {width:.0f} × {height:.0f} pixels: "
            f"{listed((f'{name} ({size})' for name, size in zip(names, says, strict=True)), 5)}.",
            cure="Check that they are what they should be: a thumbnail, a cutting or a screenshot is seldom like the "
            "others once all are brought to one size.",
            columns=(field.source,),
            count=len(odd),
            picture=sheet(
                [[(cells.iloc[at], f"{size}\n{name}")] for at, size, name in zip(odd, says, names, strict=True)],
                field.decoder,
            ),
        )


def named(cell: images.Cell, row: Any) -> str:
    """How a message names an image: by its file and the folder that is in, or by its row, counted from 1."""
    return images.short(cell) if isinstance(cell, str) else f"row {row + 1}"


def sheet(groups: Sequence[Sequence[tuple[images.Cell, str]]], decoder: Decoder | None) -> bytes:
    """A contact sheet of image cells with their captions; the first groups that it holds."""
    few = groups[: pictures.MOST_TILES]
    return pictures.contact_sheet(
        [[pictures.Tile(images.decode(cell, decoder), said) for cell, said in group] for group in few]
    )
