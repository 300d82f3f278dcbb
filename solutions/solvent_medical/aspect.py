"""Pixels that are not square, as of some ultrasound and film: a picture is shown with the shapes that it is of.

Source: DICOM PS3.3 10.7.1.3 (spacing), C.7.6.3.1.7 (pixel aspect ratio).
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from pydicom import Dataset

from solvent.images import Unreadable

from .greys import group_of

__all__ = ["squared"]

SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")
ALIKE, MOST = 0.01, 10  # by which share a side may be longer and still be square; by how many times at most


def squared(picture: np.ndarray, data: Dataset, frame: int) -> np.ndarray:
    """Stretch a picture along the longer side of its pixels, so that nothing is lost.

    Args:
        picture: uint8, shape `(rows, columns)` or `(rows, columns, 3)`.

    Raises:
        Unreadable: if the file's sides of a pixel make no sense.
    """
    tall = _height_by_width(data, frame)
    if not 1 / MOST <= tall <= MOST:
        raise Unreadable(f"has pixels {tall:.3g} times as tall as wide; up to {MOST} times is read")
    if abs(tall - 1) <= ALIKE:
        return picture
    rows, columns = picture.shape[:2]
    size = (columns, round(rows * tall)) if tall > 1 else (round(columns / tall), rows)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))


def _height_by_width(data: Dataset, frame: int) -> float:
    """1 where the file does not say; the first of what it says counts."""
    measured = group_of(data, frame, "PixelMeasuresSequence")
    for name in SPACINGS:
        sides = measured.get(name) or data.get(name)
        if sides is not None and len(sides) == 2:
            height, width = map(float, sides)
            if not (height > 0 and width > 0):
                raise Unreadable(f"has a {name} of which a side is not above 0")
            return height / width
    return 1.0
