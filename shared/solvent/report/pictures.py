"""Images for the report: contact sheets below findings, and figures that show images with their captions.

A report is mailed. So tiles are thumbnails, and a picture shows 24 of them at most: a contact sheet stays below 600 kB.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..solution import Figure
from . import drawing
from .wording import shorten

__all__ = ["MOST_TILES", "Tile", "contact_sheet", "figure"]

Pixels = NDArray[np.uint8]

MOST_TILES = 24
SIDE = 112  # pixels of a tile
ACROSS = 6  # tiles side by side
GAP, APART = 4, 18  # pixels between tiles of one group, and between groups
LINE, SIZE = 14, 11  # pixels of a line of a caption, and of its letters
LETTERS = 19  # of a caption's line
CARD, WORDS = (27, 36, 48), (255, 255, 255)  # readable on a light page and on a dark one


@dataclass(frozen=True)
class Tile:
    """An image with what is to be said of it.

    Args:
        image: uint8 RGB of any size, shape `(height, width, 3)`.
        caption: short lines; what is longer than a line is cut.
    """

    image: Pixels
    caption: str = ""


def contact_sheet(groups: Sequence[Sequence[Tile]]) -> bytes:
    """Lay thumbnails out in lines; those of one group are side by side, such as an image and its near copy.

    Args:
        groups: of at most 6 tiles each; of all, the first whole groups that have 24 tiles at most are shown.

    Returns:
        A PNG; empty where there is no tile.
    """
    lines = _lines(groups)
    if not lines:
        return b""
    said = max(len(_caption(tile)) for line in lines for group in line for tile in group)
    height = SIDE + (said * LINE + 6 if said else 0)
    widths = [[len(group) * (SIDE + GAP) - GAP for group in line] for line in lines]
    across = max(sum(line) + APART * (len(line) - 1) for line in widths)
    sheet = np.zeros((len(lines) * (height + APART) - APART, across, 3), np.uint8)
    empty = np.ones(sheet.shape[:2], bool)
    for row, line in enumerate(lines):
        top, left = row * (height + APART), 0
        for group in line:
            for tile in group:
                place = slice(top, top + height), slice(left, left + SIDE)
                sheet[place], empty[place] = _card(tile, height), False
                left += SIDE + GAP
            left += APART - GAP
    return _few_colours(sheet, empty)


def _few_colours(sheet: Pixels, empty: NDArray[np.bool_]) -> bytes:
    """A PNG of one byte a pixel: 255 colours, and one for what the page shows through."""
    mapped = Image.fromarray(sheet).quantize(255)
    codes = np.where(empty, 255, np.asarray(mapped)).astype(np.uint8)
    colours = mapped.getpalette() or []
    found = Image.fromarray(codes).convert("P")
    found.putpalette(colours[: 3 * 255] + [0] * (3 * 256 - len(colours[: 3 * 255])))
    file = io.BytesIO()
    found.save(file, "PNG", optimize=True, transparency=255)
    return file.getvalue()


def _lines(groups: Sequence[Sequence[Tile]]) -> list[list[Sequence[Tile]]]:
    """Groups by the line they come into; as many as the sheet holds."""
    lines: list[list[Sequence[Tile]]] = []
    left, free = MOST_TILES, 0
    for group in groups:
        if len(group) > ACROSS:
            raise ValueError(f"A group of {len(group)} tiles; expected at most {ACROSS}, which is a line of the sheet.")
        if len(group) > left:
            break
        if len(group) > free:
            lines.append([])
            free = ACROSS
        if group:
            lines[-1].append(group)
        left, free = left - len(group), free - len(group)
    return lines


def _card(tile: Tile, height: int) -> Pixels:
    """A tile with its caption below."""
    card = Image.new("RGB", (SIDE, height), CARD)
    small = _thumbnail(tile.image, SIDE)
    card.paste(small, ((SIDE - small.width) // 2, (SIDE - small.height) // 2))
    draw = ImageDraw.Draw(card)
    for at, line in enumerate(_caption(tile)):
        while _font().getlength(line) > SIDE - 8:
            line = shorten(line, len(line) - 1)
        draw.text((4, SIDE + 3 + at * LINE), line, font=_font(), fill=WORDS)
    return np.asarray(card)


@cache
def _font() -> Any:
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), SIZE)


def _caption(tile: Tile) -> list[str]:
    return [shorten(line, LETTERS) for line in tile.caption.splitlines()]


def _thumbnail(image: Pixels, side: int) -> Image.Image:
    """An image whose longer side has so many pixels."""
    whole = Image.fromarray(image)
    scale = side / max(whole.size)
    size = max(1, round(whole.width * scale)), max(1, round(whole.height * scale))
    # Small images are shown as they are, pixel by pixel.
    return whole.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)


def figure(title: str, caption: str, tiles: Sequence[Tile], columns: int = 4) -> Figure:
    """Show images in a grid, each with its caption below: for a domain's `figures`.

    Args:
        tiles: the first 24 are shown.
        columns: images side by side.
    """
    shown = list(tiles)[:MOST_TILES]
    rows = max(1, -(-len(shown) // columns))
    lines = max((len(_caption(tile)) for tile in shown), default=0)
    across, down = 1.06, 1.08 + 0.13 * lines  # from image to image; an image's side is 1

    def draw(axes: Any) -> None:
        axes.set_axis_off()
        if not shown:
            axes.text(0, 0.1, "There is no such image.", va="top", color=drawing.MUTED)
        for at, tile in enumerate(shown):
            left, top = at % columns * across, at // columns * down
            photo = _thumbnail(tile.image, 160)
            width, height = (side / max(photo.size) for side in photo.size)
            place = (left + (1 - width) / 2, left + (1 + width) / 2, top + (1 + height) / 2, top + (1 - height) / 2)
            # Unless told not to, matplotlib draws all images anew as one.
            axes.imshow(photo, extent=place, interpolation="none", gid=f"{drawing.PHOTO}-{at}")
            for line, words in enumerate(_caption(tile)):
                axes.text(left, top + 1.04 + 0.13 * line, words, fontsize=7.5, va="top", color=drawing.INK)
        axes.set(xlim=(0, columns * across - 0.06), ylim=(rows * down, 0), aspect="equal")

    return Figure(title=title, caption=caption, draw=draw, width=1.35 * columns, height=1.35 * rows * down / across)
