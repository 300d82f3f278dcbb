"""DICOM files in: a picture for the network, and nothing of whose it is.

What other modules call:

    reading.Reading                       a settings section; its `decoder` goes to `Column(kind="image", decoder=...)`,
                                          to `Recipe.decoder`, `images.Stream(..., decoder)`, `images.decode(cell,
                                          decoder)`; `images.method(decoder)` is the sentence for the bundle's facts
    dicom.picture(content, **options)     bytes -> uint8 grey `(rows, columns)` or RGB `(rows, columns, 3)`;
                                          None where the contents are no DICOM (PNG, JPEG and TIFF are Pillow's)
    identifying.identifying(content)      bytes -> tuple of Tag(keyword, why): which tags still identify people,
                                          never a value; () where there are none, or the contents are no DICOM
    identifying.identified(cells)         image cells -> the finding that refuses a table of such files, or none

All raise `solvent.images.Unreadable` with the reason and nothing else; no message holds a value of the file
except its transfer syntax, photometric interpretation, modality and sizes.
"""

from __future__ import annotations

import logging
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels import get_decoder

from solvent.images import MOST_BYTES, Unreadable, one_at_a_time

from . import codecs
from .aspect import squared
from .greys import Wish, brightness, looked_up
from .reading import MODALITIES

__all__ = ["guarded", "is_dicom", "picture", "read"]

# pydicom's warnings and log lines quote the values that they are about, such as names.
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
warnings.filterwarnings("ignore", module=r"pydicom\b")

# What pydicom and the decoders raise for files that are damaged.
DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    OSError,
    RuntimeError,  # RecursionError is one
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
DEFLATED = b"1.2.840.10008.1.2.1.99"
META_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"  # the first element of a file, at byte 132
MOST_PIXELS = 100_000_000  # of a frame; the largest detectors have 30 million
NO_PICTURE = {"RTDOSE": "a dose distribution", "SEG": "a segmentation"}
GREYS, COLOURS = ("MONOCHROME1", "MONOCHROME2"), ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
PALETTE = "PALETTE COLOR"


@dataclass(frozen=True)
class Facts:
    """What a DICOM file is, without anything about people.

    Args:
        modality: one that DICOM defines, else "unknown".
        photometric: the photometric interpretation that the file names, one that is read here, else "unknown".
        bits: of a stored sample.
        high: which bit is its highest, from 0.
    """

    modality: str
    photometric: str
    rows: int
    columns: int
    frames: int
    samples: int
    bits: int
    high: int


def picture(
    content: bytes,
    *,
    window: Wish = "file",
    windows: Mapping[str, Sequence[float]],
    frame: Literal["middle", "refuse"] = "middle",
) -> np.ndarray | None:
    """A DICOM file as it is shown: one frame, its grey levels by LUT or window, without overlays.

    Args:
        window, windows, frame: as `Reading` has them.

    Returns:
        uint8 of square pixels, grey `(rows, columns)` or RGB `(rows, columns, 3)`; None for contents that are no DICOM.

    Raises:
        Unreadable: with the reason.
    """
    if not is_dicom(content):
        return None
    data = read(content)
    about = _facts(data)
    _refuse_no_picture(data, about)
    plugin = codecs.plugin(data.file_meta.TransferSyntaxUID)
    if about.frames > 1 and frame == "refuse":
        raise Unreadable(f"has {about.frames:,} frames; write reading.frame: middle to take the middle one")
    at = (about.frames - 1) // 2
    with one_at_a_time(about.rows * about.columns), guarded("its pixels"):
        return squared(_frame(data, about, at, plugin, window, windows), data, at)


def _frame(
    data: pydicom.FileDataset, about: Facts, at: int, plugin: str, window: Wish, windows: Mapping[str, Sequence[float]]
) -> np.ndarray:
    """One frame as it is shown, a pixel for each that is stored."""
    decoder = get_decoder(data.file_meta.TransferSyntaxUID)
    stored, found = decoder.as_array(data, index=at, decoding_plugin=plugin, allow_excess_frames=False)
    if stored.shape[:2] != (about.rows, about.columns) or stored.dtype.itemsize > 2:
        raise Unreadable("has pixels of another size or depth than its header says")
    if about.photometric == PALETTE:
        return _coloured(stored, data)
    if about.photometric in GREYS:
        pairs = {name: (float(center), float(width)) for name, (center, width) in windows.items()}
        return brightness(stored, data, at, about.modality, window, pairs)
    if found["photometric_interpretation"] != "RGB":
        raise Unreadable(f"has colours as {about.photometric}, which its transfer syntax can't hold")
    return _of_8_bit(stored, about.bits)


def is_dicom(content: bytes) -> bool:
    """Whether contents are a DICOM file of PS3.10: a preamble of 128 bytes, then the letters DICM."""
    return content[128:132] == b"DICM"


def read(content: bytes) -> pydicom.FileDataset:
    """All of a DICOM file's elements; their values are read when they are asked for.

    Raises:
        Unreadable: if it is damaged, or would be far larger once it is inflated.
    """
    with guarded("its elements"):
        _refuse_endless(content)
        data = pydicom.dcmread(BytesIO(content))
        data.ensure_file_meta()
        syntax = data.file_meta.get("TransferSyntaxUID")
        if not syntax or not isinstance(syntax, pydicom.uid.UID):
            raise Unreadable("names no transfer syntax, or is damaged where it should; write it anew with one")
    return data


@contextmanager
def guarded(what: str) -> Iterator[None]:
    """Turn what damaged files raise into one error, without the message: it may quote the file."""
    try:
        yield
    except DAMAGED:
        raise Unreadable(f"is damaged or cut off: {what} can't be read") from None


def _facts(data: pydicom.FileDataset) -> Facts:
    with guarded("what its header says of the picture"):
        modality = str(data.get("Modality") or "").strip()
        photometric = str(data.get("PhotometricInterpretation") or "").strip()
        return Facts(
            modality=modality if modality in MODALITIES else "unknown",
            photometric=photometric if photometric in (*GREYS, *COLOURS, PALETTE) else "unknown",
            rows=int(data.get("Rows") or 0),
            columns=int(data.get("Columns") or 0),
            frames=int(data.get("NumberOfFrames") or 1),
            samples=int(data.get("SamplesPerPixel") or 1),
            bits=int(data.get("BitsStored") or 0),
            high=int(data.get("HighBit", int(data.get("BitsStored") or 0) - 1)),
        )


def _refuse_no_picture(data: pydicom.FileDataset, about: Facts) -> None:
    """Refuse what can't be shown, before memory is taken for it."""
    if about.modality in NO_PICTURE:
        raise Unreadable(f"holds {NO_PICTURE[about.modality]} ({about.modality}), no picture of the patient")
    if "FloatPixelData" in data or "DoubleFloatPixelData" in data:
        raise Unreadable("has grey levels that are fractions, of unknown range; save it with 8 or 16 bit")
    if "PixelData" not in data:
        raise Unreadable(f"holds no picture (modality {about.modality}), or is cut off before it")
    if about.photometric == "unknown":
        raise Unreadable(f"has an unknown photometric interpretation; known: {', '.join((*GREYS, *COLOURS, PALETTE))}")
    if about.samples != (3 if about.photometric in COLOURS else 1):
        raise Unreadable(f"has {about.samples} samples a pixel, which do not fit {about.photometric}")
    with guarded("what its header says of the picture"):
        allocated = int(data.BitsAllocated)
    if allocated not in (1, 8, 16) or not 1 <= about.bits <= allocated:
        raise Unreadable(f"stores {about.bits} of {allocated} bit a sample; up to 16 of 1, 8 or 16 are read")
    if about.high != about.bits - 1:
        raise Unreadable(
            f"stores its {about.bits} bit a sample up to bit {about.high}; expected {about.bits - 1}: write it anew "
            "with its samples in the lowest bits"
        )
    if about.bits != 8 and about.photometric in ("YBR_FULL", "YBR_FULL_422"):
        raise Unreadable(f"has {about.photometric} of {about.bits} bit; 8 bit is read")
    if about.rows < 1 or about.columns < 1 or about.frames < 1:
        raise Unreadable(f"has {about.frames} frames of {about.columns} × {about.rows} pixels")
    if about.rows * about.columns > MOST_PIXELS:
        raise Unreadable(
            f"claims {about.columns:,} × {about.rows:,} pixels; {MOST_PIXELS / 1e6:.0f} million are read at most"
        )
    whole = about.frames * about.rows * about.columns * about.samples * (allocated + 7) // 8
    with guarded("its pixels"):
        compressed = len(data.PixelData)
    if data.file_meta.TransferSyntaxUID == pydicom.uid.RLELossless and compressed > 1.1 * whole + 2000:
        raise Unreadable("is damaged: its run lengths take more room than its pixels")  # they could grow 64 times


def _refuse_endless(content: bytes) -> None:
    """Refuse a deflated file that grows beyond what a file may have: pydicom inflates it whole."""
    known = content[132:140] == META_LENGTH
    start = 144 + int.from_bytes(content[140:144], "little") if known else len(content)
    if DEFLATED not in content[132:start]:
        return
    if not known:
        raise Unreadable("is deflated, and does not say where that begins; write it anew")
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    inflating.decompress(content[start:], MOST_BYTES)
    if inflating.unconsumed_tail:
        raise Unreadable(f"is larger than {MOST_BYTES / 1e6:.0f} MB once it is inflated")


def _coloured(stored: np.ndarray, data: pydicom.FileDataset) -> np.ndarray:
    """Palette indices as RGB."""
    names = [f"{colour}PaletteColorLookupTable" for colour in ("Red", "Green", "Blue")]
    if f"{names[0]}Data" not in data:
        raise Unreadable("has a palette in segments, or none; convert it to RGB")
    little = bool(data.original_encoding[1])
    values, first = np.arange(int(stored.min()), int(stored.max()) + 1), int(stored.min())
    channels = [looked_up(values, data[f"{name}Descriptor"].value, data[f"{name}Data"].value, little) for name in names]
    levels = np.rint(255 * np.stack(channels, axis=-1)).astype(np.uint8)
    return np.asarray(levels[stored.astype(np.int32) - first])


def _of_8_bit(colours: np.ndarray, bits: int) -> np.ndarray:
    if bits == 8:
        return colours.astype(np.uint8)
    scaled = (colours.astype(np.uint32) * 255 + ((1 << bits) - 1) // 2) // ((1 << bits) - 1)
    return scaled.astype(np.uint8)
