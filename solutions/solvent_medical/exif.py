"""What the metadata of JPEG, PNG and TIFF files say of people: the names of their fields, never what stands in them.

A photo of skin or of a screen carries where it was taken, and whose camera took it; exported pictures carry comments.

Of XMP and IPTC what names people and places, and free texts; of a PNG's texts all but those that programs write of
themselves. What can't be read counts, since it may hold anything.

Source: EXIF 2.32 (CIPA DC-008), tables 4 to 15; TIFF 6.0, section 8; PNG, 11.3.4 (textual information); XMP
(ISO 16684-1), section 8, and IPTC Photo Metadata 2023.1, where its fields are kept as XMP; IIM 4.2, record 2.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from typing import Any

from PIL import Image, IptcImagePlugin, UnidentifiedImageError

from solvent.images import DAMAGED, FORMATS

__all__ = ["identifying"]

PEOPLE, TEXT, PLACE = "names a person", "is free text", "tells where the picture was taken"
UNREADABLE = "can't be read, so it may hold anything"
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
OF_ITSELF = (  # texts of a PNG that programs write of themselves, or that are read as EXIF and XMP
    *("software", "creation time", "date:create", "date:modify", "date:timestamp"),
    *("jpeg:colorspace", "jpeg:sampling-factor", "icc:copyright", "icc:description"),
    *("raw profile type exif", "raw profile type icc", "xml:com.adobe.xmp"),
)
XMP = {
    name: why
    for why, names in {
        PEOPLE: """
            creator contributor rights Artist Copyright Owner OwnerName CameraOwnerName Author AuthorsPosition
            CaptionWriter Credit PersonInImage CreatorContactInfo""",
        TEXT: "title description subject ImageDescription UserComment Headline Instructions Source",
        PLACE: """
            City State Country Location LocationCreated LocationShown
            GPSLatitude GPSLongitude GPSDestLatitude GPSDestLongitude""",
    }.items()
    for name in names.split()
}
IPTC = {
    **dict.fromkeys((80, 85, 110, 116, 118, 122), PEOPLE),  # by-line, its title, credit, copyright, contact, writer
    **dict.fromkeys((5, 25, 40, 105, 115, 120), TEXT),  # name, keywords, instructions, headline, source, caption
    **dict.fromkeys((26, 90, 92, 95, 101), PLACE),
}
OF_PROGRAMS = re.compile(
    r"\s*(ImageJ=|\{\s*\"shape\"|Created with |Lavc|CREATOR: gd-jpeg)"
)  # who wrote it, and its size


def identifying(content: bytes) -> list[tuple[str, str]]:
    """The fields that identify people and hold something: name and reason, sorted; none of what is no image."""
    found = set()
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.format == "PNG":
                image.load()  # its texts and EXIF may stand behind the pixels
            for what, read in (("EXIF", _exif), ("XMP", _xmp), ("IPTC", _iptc), ("text", _texts)):
                try:
                    found |= set(read(image))
                except DAMAGED:
                    found.add((what, UNREADABLE))
    except (UnidentifiedImageError, Image.DecompressionBombError, *DAMAGED):
        return []  # the row is set aside for its pixels
    return sorted(found)


def _exif(image: Image.Image) -> Iterator[tuple[str, str]]:
    fields = image.getexif()
    yield from _told(fields, MAIN)
    yield from _told(fields.get_ifd(CAMERA), OF_THE_CAMERA)
    if {tag for tag in fields.get_ifd(GPS) if tag}:  # 0 is the version of the directory
        yield "EXIF GPS", PLACE


def _xmp(image: Image.Image) -> Iterator[tuple[str, str]]:
    packet = image.info.get("xmp") or b""
    packet = (packet.encode() if isinstance(packet, str) else bytes(packet)).strip(b"\0 \r\n\t")
    if not packet:
        return
    for part in ElementTree.fromstring(packet).iter():  # ParseError is a SyntaxError
        for name, value in ((part.tag, "".join(part.itertext())), *part.attrib.items()):
            name = name.rpartition("}")[2]
            if name in XMP and _says(value):
                yield f"XMP {name}", XMP[name]


def _iptc(image: Image.Image) -> Iterator[tuple[str, str]]:
    for (record, number), value in (IptcImagePlugin.getiptcinfo(image) or {}).items():
        if record == 2 and number in IPTC and any(map(_says, value if isinstance(value, list) else [value])):
            yield f"IPTC 2:{number:02}", IPTC[number]


def _texts(image: Image.Image) -> Iterator[tuple[str, str]]:
    texts = getattr(image, "text", {})  # of a PNG, where any key may be used
    any_key = {key.lower() for key in texts}
    for name, value in {**image.info, **texts}.items():
        name = str(name).lower()
        why = WORDS.get(name) or (TEXT if name in any_key else None)
        if why is not None and name not in OF_ITSELF and _says(value):
            yield f"text {name}", why


def _told(fields: Mapping[int, Any], known: Mapping[int, tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for tag, (name, why) in known.items():
        if _says(fields.get(tag)):
            yield f"EXIF {name}", why


def _says(value: Any) -> bool:
    """Whether a field holds letters or digits, but for what programs leave."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value or "")
    text = text.removeprefix("ASCII\0\0\0").removeprefix("UNICODE\0").replace("\0", "")
    return re.search(r"\w", text) is not None and not OF_PROGRAMS.match(text)
