"""The `augmentation` section of a domain's settings. Imports no keras; `augment` does what is said here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .solution import Section

__all__ = ["Augmentation"]


class Augmentation(Section):
    """How training images are changed at random. All is off by default, and everything is off at scoring.

    Each image draws for itself; what a turn, a shift or a zoom leaves empty shows the image mirrored.

    Args:
        flip: mirror half of the images left to right (`horizontal`) or upside down (`vertical`); `both` draws for each.
        rotation: turn by up to so many degrees, either way.
        zoom: zoom in or out by up to this share.
        crop: cut this share of the side off, at a random place, and enlarge what is left to the full size.
        translation: shift by up to this share of the side, in both directions.
        brightness: add or take off up to this share of the full range.
        contrast: stretch or squeeze the distances from the mean colour by up to this share.
        rand_augment: two operations out of twelve (turn, shear, shift, colour, contrast, sharpness, ...), as strong as
            this: 1 is strongest, null does nothing.
        erasing: paint a grey box, of up to this share of the area, over half of the images.
        mixup: blend each image and its target with another one's. The shares come from a Beta distribution with this
            parameter: 0.2 mixes little, 1 evenly; 0 is off.
        cutmix: paste a box of another image over each, and mix the targets by area; as `mixup`. Where both are on,
            each image takes one of the two.
    """

    flip: Literal["none", "horizontal", "vertical", "both"] = "none"
    rotation: float = Field(default=0.0, ge=0, le=180)
    zoom: float = Field(default=0.0, ge=0, lt=1)
    crop: float = Field(default=0.0, ge=0, lt=1)
    translation: float = Field(default=0.0, ge=0, lt=1)
    brightness: float = Field(default=0.0, ge=0, le=1)
    contrast: float = Field(default=0.0, ge=0, le=1)
    rand_augment: float | None = Field(default=None, gt=0, le=1)
    erasing: float = Field(default=0.0, ge=0, lt=1)
    mixup: float = Field(default=0.0, ge=0)
    cutmix: float = Field(default=0.0, ge=0, le=1)

    @property
    def alone(self) -> Augmentation:
        """What an image can go through without others: all but `mixup` and `cutmix`."""
        return self.model_copy(update={"mixup": 0.0, "cutmix": 0.0})
