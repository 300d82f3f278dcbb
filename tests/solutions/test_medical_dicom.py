"""DICOM: pixels against values worked out by hand, and pydicom's own files; refusals, which say nothing private."""

import io
import random
import subprocess
import sys
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagecodecs
import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image
from pydicom import Dataset, uid
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array
from pydicom.pixels.decoders.base import Decoder

from solvent import Column, Columns, images
from solvent.images import Unreadable
from solvent.schema import Schema
from solvent_medical import codecs, dicom
from solvent_medical.reading import Reading

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pytest shows those that the module silences

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
SECRET = "Shibboleth"


def made(pixels: np.ndarray, syntax: str = uid.ExplicitVRLittleEndian, frames: list[bytes] | None = None, **elements):
    """The bytes of a DICOM file: grey `(rows, columns)` or RGB `(rows, columns, 3)`, frames first if several.

    Args:
        frames: the pixels, compressed.
    """
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID, data.Modality = uid.SecondaryCaptureImageStorage, "1.2.3", "OT"
    data.PatientName = f"{SECRET}^Ann"
    shape = pixels.shape[1:] if "NumberOfFrames" in elements else pixels.shape
    data.Rows, data.Columns, data.SamplesPerPixel = *shape[:2], 3 if len(shape) == 3 else 1
    data.PhotometricInterpretation = "RGB" if len(shape) == 3 else "MONOCHROME2"
    if len(shape) == 3:
        data.PlanarConfiguration = 0
    data.BitsAllocated = 8 * pixels.dtype.itemsize
    data.BitsStored, data.HighBit = data.BitsAllocated, data.BitsAllocated - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    big = syntax == uid.ExplicitVRBigEndian
    data.PixelData = encapsulate(frames) if frames else pixels.astype(pixels.dtype.newbyteorder("<>"[big])).tobytes()
    data["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    for name, value in elements.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = uid.UID(syntax)
    kept = io.BytesIO()
    data.save_as(kept, enforce_file_format=True)
    return kept.getvalue()


def item(**elements) -> Dataset:
    found = Dataset()
    for name, value in elements.items():
        setattr(found, name, value)
    return found


def shown(content: bytes, **reading) -> np.ndarray:
    return dicom.picture(content, **Reading(**reading).model_dump())


def refusal(content: bytes, **reading) -> str:
    with pytest.raises(Unreadable) as caught:
        shown(content, **reading)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None  # a logged traceback would show it
    return str(caught.value)


# Grey levels

VALUES = np.array([[-1000, -160, 0, 39, 40, 239, 240, 3000]], np.int16)


def test_a_window_is_the_standard_s_formula():
    """PS3.3 C.11.2.1.2.1 for c = 40, w = 400: y = ((x - 39.5) / 399 + 0.5) * 255, black to -160, white above 239."""
    expected = [0, 0, 102, 127, 128, 255, 255, 255]  # such as (0 - 39.5) / 399 + 0.5 = 0.401; times 255 = 102.3
    found = shown(made(VALUES, WindowCenter=40, WindowWidth=400))
    assert found.dtype == np.uint8
    assert found.tolist() == [expected]


def test_an_exact_window_and_a_sigmoid_are_the_standard_s_formulas():
    values = np.array([[0, 25, 50, 75, 100]], np.int16)
    exact = made(values, WindowCenter=50, WindowWidth=100, VOILUTFunction="LINEAR_EXACT")
    assert shown(exact).tolist() == [[0, 64, 128, 191, 255]]  # 0, 63.75, 127.5, 191.25, 255
    sigmoid = made(values, WindowCenter=50, WindowWidth=100, VOILUTFunction="SIGMOID")
    # 255 / (1 + exp(-4 (x - 50) / 100)): 30.4, 68.6, 127.5, 186.4, 224.6
    assert shown(sigmoid).tolist() == [[30, 69, 128, 186, 225]]
    assert shown(made(values, WindowCenter=50, WindowWidth=1)).tolist() == [[0, 0, 255, 255, 255]]


def test_the_window_is_over_rescaled_values_and_monochrome1_is_inverted():
    stored = np.array([[0, 1024, 1064, 1264, 4000]], np.uint16)  # minus 1024: -1024, 0, 40, 240, 2976
    rescaled = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": [40, 7], "WindowWidth": [400, 9]}
    assert shown(made(stored, **rescaled)).tolist() == [[0, 102, 128, 255, 255]]
    inverted = made(stored, **rescaled, PhotometricInterpretation="MONOCHROME1")
    assert shown(inverted).tolist() == [[255, 153, 127, 0, 0]]


def test_without_a_window_the_modality_s_is_taken_and_else_the_picture_s_own_range():
    ct = made(VALUES, Modality="CT")
    assert shown(ct).tolist() == [[0, 0, 102, 127, 128, 255, 255, 255]]
    assert shown(ct, windows={"CT": [-500, 1001]}).tolist() == [[0, 214, 255, 255, 255, 255, 255, 255]]
    assert shown(ct, windows={"MR": [1, 2]}).tolist() == shown(ct).tolist()  # the usual ones stay
    mr = made(VALUES, Modality="MR")
    assert shown(mr).tolist() == [[0, 54, 64, 66, 66, 79, 79, 255]]  # (x + 1000) / 4000 * 255
    assert shown(made(np.full((2, 3), 7, np.uint16))).tolist() == [[0, 0, 0]] * 2


def test_the_settings_window_goes_first_where_the_user_says_so():
    own = made(VALUES, Modality="CT", WindowCenter=40, WindowWidth=400)
    assert shown(own, windows={"CT": [-500, 1001]})[0, 1] == 0
    assert shown(own, windows={"CT": [-500, 1001]}, window="settings")[0, 1] == 214
    assert (shown(own, windows={}, window="settings") == shown(own)).all()
    with pytest.raises(ValueError, match="a width of 1 or more"):
        Reading(windows={"CT": (40, 0)})
    with pytest.raises(ValueError, match="knows no modality 'ct'"):
        Reading(windows={"ct": (40, 400)})


def test_padding_is_black_and_does_not_stretch_the_range():
    padded = np.array([[-2000, 0, 50, 100]], np.int16)
    assert shown(made(padded, PixelPaddingValue=-2000)).tolist() == [[0, 0, 128, 255]]
    inverted = made(padded, PixelPaddingValue=-2000, PhotometricInterpretation="MONOCHROME1")
    assert shown(inverted).tolist() == [[0, 255, 128, 0]]
    ranged = made(padded, PixelPaddingValue=-2000, PixelPaddingRangeLimit=0)
    assert shown(ranged).tolist() == [[0, 0, 0, 255]]


def test_look_up_tables_hold_beyond_their_ends():
    """Below the first value the first entry, above the last one the last: also 387 beyond, in a table of 8 bit."""
    values = np.array([[0, 10, 11, 12, 13, 400]], np.uint16)
    voi = item(LUTDescriptor=[3, 11, 8], LUTData=bytes([10, 90, 200, 0]))
    voi["LUTData"].VR = "OW"
    assert shown(made(values, VOILUTSequence=[voi])).tolist() == [[10, 10, 10, 90, 200, 200]]
    wide = item(LUTDescriptor=[3, 11, 12], LUTData=[0, 2047, 4095])
    wide["LUTDescriptor"].VR, wide["LUTData"].VR = "US", "US"
    assert shown(made(values, VOILUTSequence=[wide], WindowCenter=1, WindowWidth=2)).tolist() == [
        [0, 0, 0, 127, 255, 255]
    ]
    modality = item(LUTDescriptor=[3, 11, 16], LUTData=[0, 120, 240], ModalityLUTType="US")
    modality["LUTDescriptor"].VR, modality["LUTData"].VR = "US", "US"
    windowed = made(values, ModalityLUTSequence=[modality], WindowCenter=120, WindowWidth=241)
    assert shown(windowed).tolist() == [[1, 1, 1, 128, 255, 255]]  # (0 - 119.5) / 240 + 0.5 = 0.002, times 255 = 0.5


def test_a_look_up_table_may_start_below_zero():
    voi = item(LUTDescriptor=[2, -1, 8], LUTData=[40, 80])
    voi["LUTDescriptor"].VR, voi["LUTData"].VR = "SS", "US"
    assert shown(made(np.array([[-5, -1, 0, 9]], np.int16), VOILUTSequence=[voi])).tolist() == [[40, 40, 80, 80]]
    unsigned = item(LUTDescriptor=[2, 65535, 8], LUTData=[40, 80])  # the same, by a writer that knows no sign
    unsigned["LUTDescriptor"].VR, unsigned["LUTData"].VR = "US", "US"
    assert shown(made(np.array([[-5, -1, 0, 9]], np.int16), VOILUTSequence=[unsigned])).tolist() == [[40, 40, 80, 80]]


# Frames

STACK = np.stack([np.full((2, 2), level, np.uint8) for level in (10, 20, 30, 40)])
WHOLE = {"WindowCenter": 128, "WindowWidth": 256}  # 8 bit as they are


def test_the_middle_frame_is_taken_or_the_file_refused():
    four = made(STACK, NumberOfFrames=4, **WHOLE)
    assert (shown(four) == 20).all()  # of an even number the earlier one
    assert (shown(made(STACK[:3], NumberOfFrames=3, **WHOLE)) == 20).all()
    assert refusal(four, frame="refuse") == "has 4 frames; write reading.frame: middle to take the middle one"
    assert (shown(made(STACK[:1], NumberOfFrames=1, **WHOLE), frame="refuse") == 10).all()


def test_a_frame_s_own_rescale_and_window_count():
    """Enhanced multi-frame: the middle one's values are 2 x - 20, in a window from 0 to 200."""
    groups = [
        item(
            PixelValueTransformationSequence=[item(RescaleSlope=slope, RescaleIntercept=-20, RescaleType="US")],
        )
        for slope in (1, 2, 9)
    ]
    shared = item(
        FrameVOILUTSequence=[item(WindowCenter=100, WindowWidth=200, VOILUTFunction="LINEAR_EXACT")],
    )
    content = made(
        STACK[1:] + np.uint8(50),
        NumberOfFrames=3,
        PerFrameFunctionalGroupsSequence=groups,
        SharedFunctionalGroupsSequence=[shared],
    )
    assert (shown(content) == 178).all()  # 80 * 2 - 20 = 140 of 200: 0.7 * 255 = 178.5, half to even


# Colours

BARS = np.array([[[255, 0, 0], [0, 128, 255], [64, 64, 64]]], np.uint8)


def test_colours_are_as_they_are_stored():
    assert (shown(made(BARS)) == BARS).all()
    planes = made(BARS, PlanarConfiguration=1, PixelData=BARS.transpose(2, 0, 1).tobytes() + b"\0")
    assert (shown(planes) == BARS).all()
    assert shown(made(BARS.astype(np.uint16) * 257)).tolist() == BARS.tolist()
    assert shown(made(BARS.astype(np.uint16) * 16, BitsStored=12, HighBit=11)).tolist() == [
        [[254, 0, 0], [0, 128, 254], [64, 64, 64]]  # 255 * 16 / 4095 * 255 = 254.06
    ]


def test_ybr_is_turned_to_rgb():
    """Of pure red Y, Cb, Cr are 76, 85, 255 (PS3.3 C.7.6.3.1.2: Cr = 0.5 * 255 + 128, cut to 255)."""
    grey_and_red = np.array([[[100, 128, 128], [76, 85, 255]]], np.uint8)
    assert "which its transfer syntax can't hold" in refusal(made(grey_and_red, PhotometricInterpretation="YBR_ICT"))
    found = shown(made(grey_and_red, PhotometricInterpretation="YBR_FULL")).astype(int)
    assert np.abs(found - [[[100, 100, 100], [255, 0, 0]]]).max() <= 2


@pytest.mark.parametrize("bits", [8, 16])
def test_a_palette_is_looked_up(bits):
    most = (1 << bits) - 1
    tables = {}
    for colour, levels in {"Red": (0, 1, 0), "Green": (0, 0, 1), "Blue": (1, 0, 0.2)}.items():
        tables[f"{colour}PaletteColorLookupTableDescriptor"] = [3, 5, bits]
        entries = np.array([round(most * level) for level in levels], f"<u{bits // 8}").tobytes()
        tables[f"{colour}PaletteColorLookupTableData"] = entries + b"\0" * (len(entries) % 2)
    content = made(np.array([[0, 5, 6, 7, 255]], np.uint8), PhotometricInterpretation="PALETTE COLOR", **tables)
    blue, red, green = [0, 0, 255], [255, 0, 0], [0, 255, 51]
    assert shown(content).tolist() == [[blue, blue, red, green, green]]


# Compression: what was written without loss comes back

RAMP = (np.arange(32 * 48).reshape(32, 48) * 37 % 4096).astype(np.uint16)


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (uid.JPEGLosslessSV1, lambda pixels: imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=1)),
        (uid.JPEGLossless, lambda pixels: imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=4)),
        (uid.JPEGLSLossless, imagecodecs.jpegls_encode),
        (uid.JPEG2000Lossless, lambda pixels: imagecodecs.jpeg2k_encode(pixels, codecformat="J2K", reversible=True)),
        (uid.HTJ2KLossless, lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True)),
    ],
)
def test_compressed_without_loss_is_as_uncompressed(syntax, encode):
    window = {"WindowCenter": 2048, "WindowWidth": 4096, "BitsStored": 16}
    expected = shown(made(RAMP, **window))
    assert len(np.unique(expected)) > 200
    assert (shown(made(RAMP, syntax, [bytes(encode(RAMP))], **window)) == expected).all()
    frames = [bytes(encode(pixels)) for pixels in (RAMP * 0, RAMP, RAMP // 2)]
    several = made(np.stack([RAMP] * 3), syntax, frames, NumberOfFrames=3, **window)
    assert (shown(several) == expected).all()


@pytest.mark.parametrize("syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian])
def test_the_order_of_bytes_changes_nothing(syntax):
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    if syntax == uid.ImplicitVRLittleEndian:
        plain = pydicom.dcmread(io.BytesIO(made(RAMP, **window)))
        kept = io.BytesIO()
        plain.file_meta.TransferSyntaxUID = syntax
        plain.save_as(kept, implicit_vr=True, little_endian=True)
        content = kept.getvalue()
    else:
        content = made(RAMP, syntax, **window)
    assert (shown(content) == shown(made(RAMP, **window))).all()


# pydicom's own files: issue "Must hold" 5

GREY, RGB = "grey", "rgb"
EXPECTED = {  # what they hold by pydicom's README, as (kind, rows, columns), or a part of the reason
    "693_J2KI.dcm": (GREY, 512, 512),
    "CT_small.dcm": (GREY, 128, 128),
    "ExplVR_BigEnd.dcm": (RGB, 60, 80),
    "ExplVR_BigEndNoMeta.dcm": "is no image of a known format",
    "ExplVR_LitEndNoMeta.dcm": "is no image of a known format",
    "GDCMJ2K_TextGBR.dcm": (RGB, 400, 400),
    "J2K_pixelrep_mismatch.dcm": (GREY, 512, 512),
    "JPEG-lossy.dcm": (GREY, 1024, 256),
    "JPEG2000-embedded-sequence-delimiter.dcm": "its pixels can't be read",
    "JPEG2000.dcm": (GREY, 1024, 256),
    "JPEGLSNearLossless_08.dcm": (GREY, 45, 10),
    "JPEGLSNearLossless_16.dcm": (GREY, 50, 10),
    "JPGExtended.dcm": (GREY, 1024, 256),
    **{
        f"MR_small{kind}.dcm": (GREY, 64, 64)
        for kind in ("", "_RLE", "_bigendian", "_expb", "_implicit", "_jp2klossless", "_jpeg_ls_lossless", "_padded")
    },
    "MR_truncated.dcm": "its pixels can't be read",
    "SC_jpeg_no_color_transform.dcm": (RGB, 256, 256),
    "SC_jpeg_no_color_transform_2.dcm": (RGB, 256, 256),
    "SC_rgb_jpeg.dcm": (RGB, 256, 256),
    "SC_rgb_jpeg_app14_dcmd.dcm": (RGB, 256, 256),
    "SC_rgb_jpeg_dcmd.dcm": (RGB, 256, 256),
    "SC_rgb_rle_32bit.dcm": "stores 32 of 32 bit a sample; up to 16 of 1, 8 or 16 are read",
    "SC_rgb_rle_32bit_2frame.dcm": "stores 32 of 32 bit a sample",
    **{f"SC_rgb_small_odd{kind}.dcm": (RGB, 3, 3) for kind in ("", "_big_endian", "_jpeg")},
    "UN_sequence.dcm": "holds no picture (modality unknown)",
    "badVR.dcm": "what its header says of the picture can't be read",
    "empty_charset_LEI.dcm": "holds no picture",
    "examples_jpeg2k.dcm": (RGB, 480, 640),
    "examples_overlay.dcm": (GREY, 300, 484),
    "examples_palette.dcm": (RGB, 350, 800),
    "examples_rgb_color.dcm": (RGB, 240, 320),
    "examples_ybr_color.dcm": (RGB, 240, 320),
    "image_dfl.dcm": (GREY, 512, 512),
    "liver_1frame.dcm": "holds a segmentation (SEG)",
    "liver_expb_1frame.dcm": "holds a segmentation (SEG)",
    "meta_missing_tsyntax.dcm": "names no transfer syntax",
    "nested_priv_SQ.dcm": "has an unknown photometric interpretation; known: MONOCHROME1",
    "no_meta.dcm": "is no image of a known format",
    "no_meta_group_length.dcm": "holds no picture",
    "priv_SQ.dcm": "holds no picture",
    "reportsi.dcm": "holds no picture (modality SR)",
    "reportsi_with_empty_number_tags.dcm": "holds no picture (modality SR)",
    **{
        f"rtdose{kind}.dcm": "holds a dose distribution (RTDOSE)"
        for kind in ("", "_1frame", "_expb", "_expb_1frame", "_rle", "_rle_1frame")
    },
    "rtplan.dcm": "holds no picture (modality RTPLAN)",
    "rtplan_truncated.dcm": "holds no picture (modality RTPLAN), or is cut off before it",
    "rtstruct.dcm": "is no image of a known format",
    "test-SR.dcm": "holds no picture (modality SR)",
    "waveform_ecg.dcm": "holds no picture (modality ECG)",
}
BARS_AT = {  # of the SC_rgb files of 100 by 100: rows of one colour, by pydicom's tests
    5: (255, 0, 0),
    25: (0, 255, 0),
    45: (0, 0, 255),
    55: (128, 128, 255),
    65: (0, 0, 0),
    75: (64, 64, 64),
    85: (192, 192, 192),
    95: (255, 255, 255),
}


@pytest.mark.parametrize("name", sorted(path.name for path in FILES.glob("*.dcm")))
def test_each_of_pydicom_s_files_loads_as_it_should_or_says_why_not(name):
    path = str(FILES / name)
    expected = EXPECTED.get(name, (RGB, 100, 100))
    if isinstance(expected, str):
        found = images.look(path, Reading().decoder)
        assert expected in (found.error or "")
        return
    kind, rows, columns = expected
    found = images.decode(path, Reading().decoder)
    assert found.shape == (rows, columns, 3)
    if kind == GREY:
        assert (found[..., :1] == found).all()
        np.testing.assert_allclose(found[..., 0], by_pydicom(pydicom.dcmread(path)), atol=1.01)
    elif rows == 100:
        for row, colour in BARS_AT.items():
            assert np.abs(found[row, 50].astype(int) - colour).max() <= 6, row
    else:
        assert np.ptp(found) > 50
        assert np.ptp(found.astype(int), axis=2).max() > 10  # not grey


def by_pydicom(data: Dataset) -> np.ndarray:
    """pydicom's own pipeline: its LUT functions, scaled to 0..255."""
    stored = pixel_array(data, decoding_plugin=codecs.plugin(data.file_meta.TransferSyntaxUID))
    units = apply_modality_lut(stored, data).astype(float)
    if "WindowWidth" not in data:
        return (units - units.min()) / np.ptp(units) * 255 if data.get("Modality") != "CT" else ct(units)
    low, high = (-(1 << data.BitsStored - 1), (1 << data.BitsStored - 1) - 1)
    if not data.PixelRepresentation:
        low, high = 0, (1 << data.BitsStored) - 1
    slope, intercept = float(data.get("RescaleSlope", 1)), float(data.get("RescaleIntercept", 0))
    windowed = apply_voi_lut(apply_modality_lut(stored, data), data).astype(float)
    found = (windowed - (low * slope + intercept)) / ((high - low) * slope) * 255
    return 255 - found if data.PhotometricInterpretation == "MONOCHROME1" else found


def ct(units: np.ndarray) -> np.ndarray:
    return np.clip((units - 39.5) / 399 + 0.5, 0, 1) * 255


@pytest.mark.parametrize("path", sorted((FILES / "dicomdirtests").glob("[79]*/*/*")), ids=lambda path: path.name)
def test_each_small_ct_mr_and_cr_is_as_pydicom_has_it(path, monkeypatch):
    monkeypatch.setattr(dicom, "squared", lambda picture, *_: picture)  # pydicom leaves the shape of pixels to viewers
    found = shown(path.read_bytes())
    np.testing.assert_allclose(found, by_pydicom(pydicom.dcmread(path)), atol=1.01)


def test_all_ways_of_writing_one_picture_look_alike():
    pictures = [
        images.decode(str(FILES / name), Reading().decoder) for name, kind in EXPECTED.items() if kind == (GREY, 64, 64)
    ]
    assert len(pictures) == 8
    assert all((picture == pictures[0]).all() for picture in pictures)
    plain = images.decode(str(FILES / "SC_rgb_jpeg_dcmd.dcm"), Reading().decoder).astype(int)
    assert np.abs(plain - images.decode(str(FILES / "SC_rgb_jpeg.dcm"), Reading().decoder)).max() <= 2


def test_pillow_decodes_jpegs_to_nearly_the_same():
    for name in ("examples_ybr_color.dcm", "examples_jpeg2k.dcm", "SC_rgb_jpeg.dcm"):
        data = pydicom.dcmread(FILES / name)
        index = (int(data.get("NumberOfFrames", 1)) - 1) // 2
        expected = pixel_array(data, index=index, decoding_plugin="pillow").astype(int)
        assert np.abs(expected - images.decode(str(FILES / name), Reading().decoder)).max() <= 4


# Refusals


def test_a_huge_claim_is_refused_before_memory_is_taken():
    small = np.zeros((2, 2), np.uint16)
    claimed = made(small, Rows=65535, Columns=65535)
    source = bytearray(imagecodecs.jpeg8_encode(np.zeros((16, 16), np.uint8)))
    at = source.index(b"\xff\xc0") + 5
    source[at : at + 4] = b"\xff\xff\xff\xff"
    lying = made(np.zeros((16, 16), np.uint8), uid.JPEGBaseline8Bit, [bytes(source)])
    code = bytearray(imagecodecs.jpeg2k_encode(np.zeros((16, 16), np.uint8), codecformat="J2K"))
    code[8:16] = b"\x00\x01\x00\x00" * 2
    lying_too = made(np.zeros((16, 16), np.uint8), uid.JPEG2000, [bytes(code)])
    tracemalloc.start()
    try:
        assert refusal(claimed) == "claims 65,535 × 65,535 pixels; 100 million are read at most"
        assert "its pixels can't be read" in refusal(lying)
        assert "its pixels can't be read" in refusal(lying_too)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_a_deflated_file_that_would_grow_without_end_is_refused(monkeypatch):
    plain = made(np.zeros((1000, 1000), np.uint8), **WHOLE)
    whole = pydicom.dcmread(io.BytesIO(plain))
    whole.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    kept = io.BytesIO()
    whole.save_as(kept)
    deflated = kept.getvalue()
    assert len(deflated) < 5000
    assert (shown(deflated) == 0).all()
    monkeypatch.setattr(dicom, "MOST_BYTES", 900_000)
    assert "once it is inflated" in refusal(deflated)
    start = 144 + int.from_bytes(deflated[140:144], "little")
    assert zlib.decompress(deflated[start:], -15)
    unsaid = deflated[:132] + deflated[144:]
    assert "does not say where that begins" in refusal(unsaid)


def test_run_lengths_and_nesting_without_end_are_refused():
    bomb = (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56) + b"\x81\x07" * 500_000
    assert "its run lengths take more room than its pixels" in refusal(made(STACK[0], uid.RLELossless, [bomb]))
    few = made(STACK, uid.JPEGBaseline8Bit, [bytes(imagecodecs.jpeg8_encode(STACK[0]))], NumberOfFrames=2_000_000_000)
    assert "its pixels can't be read" in refusal(few)
    whole = made(STACK[0], **WHOLE)
    at = whole.index(b"\x28\x00\x02\x00")
    nest = b"\x08\x00\x15\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    assert "its elements can't be read" in refusal(whole[:at] + nest * 5000 + whole[at:])


def test_an_unread_transfer_syntax_is_named_with_a_cure(monkeypatch):
    content = made(STACK[0], uid.MPEG4HP41, [b"\0\0"])
    assert refusal(content) == (
        "has pixels in the transfer syntax MPEG-4 AVC/H.264 High Profile / Level 4.1 (1.2.840.10008.1.2.4.102), which "
        "is not read; convert it to Explicit VR Little Endian, such as by gdcmconv --raw"
    )
    unknown = content.replace(b"1.2.840.10008.1.2.4.102", b"1.2.840.99999.1.2.4.102")
    assert "in the transfer syntax that DICOM doesn't define, which is not read" in refusal(unknown)
    monkeypatch.setattr(codecs, "find_spec", lambda name: None)
    monkeypatch.setattr(codecs, "get_decoder", Decoder)  # one that no earlier test has taught
    lossless = made(STACK[0], uid.JPEGLosslessSV1, [b"\0\0"])
    assert "JPEG Lossless" in refusal(lossless)
    assert refusal(lossless).endswith("which needs imagecodecs: pip install 'solvent-suite[medical]'")


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"PixelData": None}, "holds no picture (modality OT), or is cut off before it"),
        ({"PixelData": b"\0\0"}, "is damaged or cut off: its pixels can't be read"),
        ({"Modality": SECRET.upper(), "PixelData": None}, "holds no picture (modality unknown)"),
        ({"PhotometricInterpretation": SECRET.upper()}, "has an unknown photometric interpretation"),
        ({"PhotometricInterpretation": "RGB"}, "has 1 samples a pixel, which do not fit RGB"),
        ({"BitsAllocated": 32, "BitsStored": 32}, "stores 32 of 32 bit a sample"),
        ({"BitsStored": 0}, "stores 0 of 8 bit a sample"),
        ({"Rows": 0}, "has 1 frames of 4 × 0 pixels"),
        ({"Rows": [2, 4]}, "what its header says of the picture can't be read"),
        ({"WindowCenter": 40, "WindowWidth": 0}, "has a window of no width"),
        ({"RescaleSlope": 0, "RescaleIntercept": 1}, "has a rescale slope of 0"),
        ({"VOILUTSequence": [item(LUTDescriptor=[9, 0, 8], LUTData=b"ab")]}, "table of 1 entries where it says 9"),
        ({"Modality": "SEG"}, "holds a segmentation (SEG), no picture of the patient"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "has a palette in segments, or none"),
    ],
)
def test_what_makes_no_picture_is_refused_with_its_reason(elements, expected):
    for sequence in elements.get("VOILUTSequence", []):
        sequence["LUTData"].VR = "OW"
    assert expected in refusal(made(np.zeros((2, 4), np.uint8), **elements))


def test_other_formats_are_left_to_pillow():
    kept = io.BytesIO()
    Image.fromarray(BARS).save(kept, "PNG")
    assert dicom.picture(kept.getvalue(), **Reading().model_dump()) is None
    assert (images.decode(kept.getvalue(), Reading().decoder) == BARS).all()
    assert "PNG, BMP, GIF, TIFF, WebP, DICOM" in (images.look(b"nothing", Reading().decoder).error or "")


def test_a_table_of_files_is_checked_before_training_and_broken_ones_are_set_aside_with_their_reason(tmp_path):
    (tmp_path / "cut.dcm").write_bytes((FILES / "CT_small.dcm").read_bytes()[:9000])
    cells = [
        str(FILES / "CT_small.dcm"),
        str(tmp_path / "cut.dcm"),
        str(FILES / "test-SR.dcm"),
        made(STACK[0], **WHOLE),
    ]
    columns = Columns(inputs=(Column(name="image", kind="image", decoder=Reading().decoder),))
    checked = Schema.declare(columns, {}, ["image"], table="ct.csv").check(pd.DataFrame({"image": cells}), targets=True)
    assert checked.good.index.tolist() == [0, 3]
    assert checked.bad["reasons"].str.replace(r".*/", "", regex=True).tolist() == [
        "cut.dcm' is damaged or cut off: its pixels can't be read",
        "test-SR.dcm' holds no picture (modality SR), or is cut off before it",
    ]
    stream = images.Stream(cells, 32, "pad", 4, Reading().decoder)
    (batch,) = list(stream)
    assert [error is None for error in stream.errors] == [True, False, False, True]
    assert (batch[3] == 10).all()
    assert not batch[1].any()


def test_samples_that_are_not_in_the_lowest_bits_are_refused():
    """They would be read 16 times too large: 12 bit, stored from bit 4 on."""
    stored = (RAMP << 4).astype(np.uint16)
    assert "stores its 12 bit a sample up to bit 15; expected 11" in refusal(made(stored, BitsStored=12, HighBit=15))


def test_pixels_that_are_not_square_are_stretched_along_their_longer_side():
    wide = np.tile(np.array([[0, 255]], np.uint8), (4, 2))
    assert shown(made(wide, **WHOLE, PixelAspectRatio=[1, 2])).shape == (4, 8)  # as tall as 1, as wide as 2
    assert shown(made(wide, **WHOLE, PixelAspectRatio=[3, 1])).shape == (12, 4)
    assert shown(made(wide, **WHOLE, PixelSpacing=[0.5, 0.25])).shape == (8, 4)
    assert shown(made(wide, **WHOLE, PixelSpacing=[0.5, 0.502])).shape == (4, 4)
    assert "0.01 times as tall as wide" in refusal(made(wide, **WHOLE, PixelAspectRatio=[1, 100]))
    assert "has a PixelSpacing of which a side is not above 0" in refusal(made(wide, **WHOLE, PixelSpacing=[0, 1]))


def test_a_large_file_is_decoded_alone(monkeypatch):
    """Else memory would grow by the number of threads."""
    held = []
    monkeypatch.setattr(images, "LARGE_PIXELS", 3)
    monkeypatch.setattr(dicom, "brightness", lambda stored, *_: held.append(_is_held()) or stored.astype(np.uint8))
    images.decode(made(STACK[0], **WHOLE), Reading().decoder)
    monkeypatch.setattr(images, "LARGE_PIXELS", 10**9)
    images.decode(made(STACK[0], **WHOLE), Reading().decoder)
    assert held == [True, False]


def _is_held() -> bool:
    with ThreadPoolExecutor(1) as threads:
        free = threads.submit(images._large.acquire, blocking=False).result()
        if free:
            threads.submit(images._large.release).result()
    return not free


def test_a_compressed_frame_that_is_cut_off_is_refused_whole():
    """libjpeg would fill the rest with grey, and CharLS takes seconds to find out."""
    for syntax, source in {
        uid.JPEGLosslessSV1: imagecodecs.jpeg8_encode(RAMP, lossless=True, predictor=1),
        uid.JPEGBaseline8Bit: imagecodecs.jpeg8_encode((RAMP >> 4).astype(np.uint8)),
        uid.JPEGLSLossless: imagecodecs.jpegls_encode(RAMP),
        uid.JPEG2000Lossless: imagecodecs.jpeg2k_encode(RAMP, codecformat="J2K", reversible=True),
    }.items():
        pixels = RAMP if syntax != uid.JPEGBaseline8Bit else RAMP.astype(np.uint8)
        assert shown(made(pixels, syntax, [bytes(source)])).shape == RAMP.shape
        assert "its pixels can't be read" in refusal(made(pixels, syntax, [bytes(source)[: len(source) // 2]]))


QUIET = """
import logging, sys
logging.basicConfig(level=logging.DEBUG)
from pathlib import Path
from solvent.images import Unreadable
from solvent.schema import Schema
from solvent_medical import dicom, identifying
for path in sys.argv[1:]:
    content = Path(path).read_bytes()
    for look in (lambda: dicom.picture(content, windows={}), lambda: identifying.identifying(content)):
        try:
            print(look() is not None)
        except Unreadable as error:
            print(error)
"""


def test_no_log_line_and_no_warning_quotes_the_file(tmp_path):
    """pydicom warns of a value that breaks its rules, and quotes it; here in a process where everything is logged."""
    whole = made(
        STACK[0], **WHOLE, SpecificCharacterSet="ISO_IR 192", PatientBirthDate="19550505", StudyDate="20200202"
    )
    broken = (
        whole.replace(b"ISO_IR 192", SECRET.encode()).replace(b"19550505", b"Sh/bbole").replace(b"20200202", b"x" * 8)
    )
    lossy = made(STACK[0], uid.JPEGBaseline8Bit, [b"\xff\xd8" + SECRET.encode() * 3])
    paths = [tmp_path / "broken.dcm", tmp_path / "lossy.dcm"]
    for path, content in zip(paths, (broken, lossy), strict=True):
        path.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", QUIET, *map(str, paths)], capture_output=True, text=True, check=False
    )
    assert done.stdout.split("\n")[:2] == ["True", "True"]
    assert "its pixels can't be read" in done.stdout
    assert done.stderr == ""


def test_damaged_files_give_a_reason_or_a_picture_and_nothing_else():
    """Bits turned and ends cut off, at random with a fixed seed."""
    chance = random.Random(7)
    names = (
        "CT_small.dcm MR_small_RLE.dcm SC_rgb_jpeg_gdcm.dcm MR_small_jpeg_ls_lossless.dcm JPEG2000.dcm JPGExtended.dcm "
        "SC_rgb_dcmtk_+eb+cy+np.dcm MR_small_implicit.dcm MR_small_bigendian.dcm image_dfl.dcm liver_1frame.dcm "
        "nested_priv_SQ.dcm examples_ybr_color.dcm"
    )
    ends = {"picture": 0, "refused": 0}
    for name in names.split():
        whole = (FILES / name).read_bytes()[:40_000]
        for _ in range(30):
            content = bytearray(whole)
            for _ in range(chance.choice([1, 3, 30])):
                place = chance.randrange(132, min(len(content), chance.choice([600, 3000, 40_000])))
                content[place] ^= 1 << chance.randrange(8)
            if chance.random() < 0.3:
                del content[chance.randrange(132, len(content)) :]
            try:
                found = shown(bytes(content))
                ends["picture"] += 1
                assert found is not None
                assert found.dtype == np.uint8
            except Unreadable:
                ends["refused"] += 1
    assert ends["picture"] > 50
    assert ends["refused"] > 100
