"""Texts of the report whose pieces are marked by how much they speak for or against an answer."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..solution import Marked, Texts
from ..wording import many
from . import wording

__all__ = ["LONGEST", "Block", "Item", "Piece", "block"]

LONGEST = 1500  # characters of a text that are shown

# What no page can hold. Joiners and marks of direction stay: Persian, Hindi and emoji are written with them.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")


@dataclass(frozen=True)
class Piece:
    """A piece of a text as the page shows it.

    Args:
        side: "for" or "against"; empty where it is not marked.
        weight: how much it speaks, in [0, 1].
        signed: the weight with its sign, as it is read.
    """

    text: str
    side: str
    weight: float
    signed: str


@dataclass(frozen=True)
class Item:
    """A text, cut if it is long.

    Args:
        cut: the sentence that says so; empty where it is whole.
    """

    caption: str
    pieces: tuple[Piece, ...]
    cut: str


@dataclass(frozen=True)
class Block:
    """Texts of the page under one title; `marked` is whether any piece that is shown is."""

    title: str
    caption: str
    items: tuple[Item, ...]
    marked: bool


def block(texts: Texts, caption: str) -> Block:
    """The texts made ready.

    Args:
        caption: of all of them, with what they were taken from.
    """
    items = tuple(map(_item, texts.items))
    marked = any(piece.side for item in items for piece in item.pieces)
    return Block(texts.title, caption, items, marked)


def _item(text: Marked) -> Item:
    pieces: list[Piece] = []
    length, hidden = 0, 0
    for words, weight in text.pieces:
        kept = words[: max(0, LONGEST - length)]
        length += len(words)
        if kept:
            pieces.append(_piece(kept, weight))
        elif words and weight:
            hidden += 1
    rest = f"; the rest holds {many(hidden, 'marked piece')}" if hidden else ""
    cut = f"The first {LONGEST:,} of {length:,} characters{rest}." if length > LONGEST else ""
    return Item(_fit(text.caption), tuple(pieces), cut)


def _piece(words: str, weight: float) -> Piece:
    side = "for" if weight > 0 else "against" if weight < 0 else ""
    return Piece(_fit(words), side, round(abs(float(weight)), 3), wording.signed({"value": weight}))


def _fit(text: str) -> str:
    return _UNFIT.sub("\ufffd", text)
