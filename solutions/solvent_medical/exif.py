"""What the metadata of JPEG, PNG and TIFF files say of people: the names of their fields, never what stands in them.

A photo of skin or of a screen carries where it was taken, and whose camera took it; exported pictures carry comments.

Source: EXIF 2.32 (CIPA DC-008), tables 4 to 15; TIFF 6.0, section 8; PNG, 11.3.4 (textual information).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

from PIL import Image, UnidentifiedImageError

from solvent.images import DAMAGED, FORMATS

__all__ = ["identifying"]

PEOPLE, TEXT, PLACE = "names a person", "is free text", "tells where the picture was taken"
GPS, CAMERA = 0x8825, 0x8769  # directories of their own
MAIN = {
    0x010D: ("DocumentName", TEXT),
    0x010E: ("ImageDescription", TEXT),
    0x013B: ("Artist", PEOPLE),
    0x013C: ("HostComputer", "names a device"),
    0x8298: ("Copyright", PEOPLE),
    0x9C9B: ("XPTitle", TEXT),
    0x9C9C: ("XPComment", TEXT),
    0x9C9D: ("XPAuthor", PEOPLE),
    0x9C9E: ("XPKeywords", TEXT),
    0x9C9F: ("XPSubject", TEXT),
}
OF_THE_CAMERA = {0x9286: ("UserComment", TEXT), 0xA430: ("CameraOwnerName", PEOPLE)}
WORDS = {"comment": TEXT, "author": PEOPLE, "description": TEXT, "copyright": PEOPLE, "title": TEXT, "source": TEXT}
OF_PROGRAMS = re.compile(
    r"\s*(ImageJ=|\{\s*\"shape\"|Created with |Lavc|CREATOR: gd-jpeg)"
)  # who wrote it, and its size


def identifying(content: bytes) -> list[tuple[str, str]]:
    """The fields that identify people and hold something: name and reason, sorted; none of what is no image."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return sorted(set(_found(image)))
    except (UnidentifiedImageError, Image.DecompressionBombError, *DAMAGED):
        return []  # the row is set aside for its pixels


def _found(image: Image.Image) -> Iterator[tuple[str, str]]:
    fields = image.getexif()
    yield from _told(fields, MAIN)
    yield from _told(fields.get_ifd(CAMERA), OF_THE_CAMERA)
    if {tag for tag in fields.get_ifd(GPS) if tag}:  # 0 is the version of the directory
        yield "EXIF GPS", PLACE
    for name, value in image.info.items():
        why = WORDS.get(str(name).lower())
        if why is not None and _says(value):
            yield f"text {str(name).lower()}", why


def _told(fields: Mapping[int, Any], known: Mapping[int, tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for tag, (name, why) in known.items():
        if _says(fields.get(tag)):
            yield f"EXIF {name}", why


def _says(value: Any) -> bool:
    """Whether a field holds letters or digits, but for what programs leave."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value or "")
    text = text.removeprefix("ASCII\0\0\0").removeprefix("UNICODE\0").replace("\0", "")
    return re.search(r"\w", text) is not None and not OF_PROGRAMS.match(text)
