"""Compressed pixel data: one library decodes all of it, in training and in scoring.

pydicom finds several decoders where several are installed; they differ by a grey level, and some end the process on a
damaged file. So it is told to use this one alone: imagecodecs (BSD licence; libjpeg-turbo, CharLS, OpenJPEG), once
a frame claims the size that its file has. RLE is pydicom's own.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
from pydicom import uid
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders.base import DecodeRunner

from solvent.images import Unreadable

__all__ = ["name", "plugin"]

PLUGIN = "solvent"
NATIVE = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
)
JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
JPEG_LS = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
JPEG_2000 = (uid.JPEG2000Lossless, uid.JPEG2000)
HTJ2K = (uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)
DECODER_DEPENDENCIES = dict.fromkeys((*JPEG, *JPEG_LS, *JPEG_2000, *HTJ2K), ("imagecodecs",))  # for pydicom

START, SCAN, END = 0xD8, 0xDA, 0xD9
ALONE = (0x01, *range(0xD0, 0xD9))  # JPEG markers without a segment
FRAMES = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), 0xF7)  # SOF0 to 15, 55
STOP = bytes((0xFF, END))  # of JPEG, and of JPEG 2000 too
CODESTREAM = b"\xff\x4f\xff\x51"  # JPEG 2000: start, and the size that always follows
RGB = 2  # libjpeg's name of it: the same in and out means that colours stay as they are stored


def is_available(syntax: str) -> bool:
    """Asked by pydicom, once for each transfer syntax."""
    return syntax in DECODER_DEPENDENCIES and find_spec("imagecodecs") is not None


def plugin(syntax: uid.UID) -> str:
    """The name of the pydicom plug-in that decodes a transfer syntax; "" where none is needed.

    Raises:
        Unreadable: if nothing here decodes it.
    """
    if syntax in NATIVE:
        return ""
    if syntax == uid.RLELossless:
        return "pydicom"
    if syntax not in DECODER_DEPENDENCIES:
        raise Unreadable(
            f"has pixels in the transfer syntax {name(syntax)}, which is not read; convert it to Explicit VR Little "
            "Endian, such as by gdcmconv --raw"
        )
    decoder = get_decoder(syntax)
    if PLUGIN not in decoder.available_plugins:
        if not is_available(syntax):
            raise Unreadable(
                f"has pixels in the transfer syntax {name(syntax)}, which needs imagecodecs: "
                "pip install 'solvent-suite[medical]'"
            )
        decoder.add_plugin(PLUGIN, (__name__, "decode_frame"))
    return PLUGIN


def name(syntax: uid.UID) -> str:
    """A transfer syntax in a message: only what DICOM defines, as a damaged file may hold anything there."""
    return f"{syntax.name} ({syntax})" if syntax in uid.UID_dictionary else "that DICOM doesn't define"


def decode_frame(source: bytes, runner: DecodeRunner) -> bytes:
    """One frame, as pydicom asks for it: raw samples, no colours changed (JPEG 2000's own transform is undone).

    Raises:
        ValueError: if the frame is of another size than the file's header says.
    """
    import imagecodecs

    syntax, expected = runner.transfer_syntax, (runner.rows, runner.columns, runner.samples_per_pixel)
    if (found := _size(source, syntax)) != expected:
        raise ValueError(f"The frame holds {found} rows, columns and samples, expected {expected}.")
    whole = source.rstrip(b"\0\xff").endswith(STOP)
    if not whole:  # libjpeg would fill the rest with grey, CharLS takes seconds to find out
        raise ValueError("The frame has no end.")
    if syntax in JPEG_LS:
        pixels = imagecodecs.jpegls_decode(source)
    elif syntax in JPEG_2000 + HTJ2K:  # not by OpenJPH: through imagecodecs its errors are lost
        pixels = imagecodecs.jpeg2k_decode(source)
    else:
        space = RGB if runner.samples_per_pixel == 3 else None
        pixels = imagecodecs.jpeg8_decode(source, colorspace=space, outcolorspace=space)
    if pixels.shape != (expected if expected[2] > 1 else expected[:2]):
        raise ValueError(f"The frame has the shape {pixels.shape}, expected {expected}.")
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    runner.set_option("planar_configuration", 0)
    if runner.photometric_interpretation in ("YBR_ICT", "YBR_RCT"):
        runner.set_option("photometric_interpretation", "RGB")
    return np.ascontiguousarray(pixels).tobytes()


def _size(source: bytes, syntax: str) -> tuple[int, int, int] | None:
    """Rows, columns and samples that a codestream claims; None where it says nothing of them.

    Source: ISO/IEC 10918-1 B.2.2 (JPEG, and JPEG-LS with its own marker), ISO/IEC 15444-1 A.5.1 (JPEG 2000).
    """
    if syntax in JPEG_2000 + HTJ2K:
        at = source.find(CODESTREAM, 0, 4096)
        if at < 0 or len(source) < at + 42:
            return None
        right, bottom, left, top = (int.from_bytes(source[at + k : at + k + 4]) for k in (8, 12, 16, 20))
        return bottom - top, right - left, int.from_bytes(source[at + 40 : at + 42])
    at = 2
    while source[:2] == bytes((0xFF, START)) and at + 9 < len(source) and source[at] == 0xFF:
        marker = source[at + 1]
        if marker in FRAMES:
            return int.from_bytes(source[at + 5 : at + 7]), int.from_bytes(source[at + 7 : at + 9]), source[at + 9]
        if marker in (SCAN, END):
            return None
        at += 1 if marker == 0xFF else 2 if marker in ALONE else 2 + int.from_bytes(source[at + 2 : at + 4])
    return None
