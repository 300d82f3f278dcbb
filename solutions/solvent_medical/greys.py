"""From stored values to the brightness that a reader sees: modality LUT, VOI LUT or window, inversion, padding.

Source: DICOM PS3.3 C.11.1 (modality), C.11.2 (VOI), C.7.6.3.1.2 (MONOCHROME1), C.7.5.1.1.2 (padding).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from solvent.images import Unreadable

__all__ = ["brightness", "group_of", "looked_up"]

Numbers = NDArray[np.float64]
STRIP_PIXELS = 4_000_000
Wish = Literal["file", "settings"]


def brightness(
    stored: np.ndarray,
    data: Dataset,
    frame: int,
    modality: str,
    window: Wish,
    windows: Mapping[str, tuple[float, float]],
) -> NDArray[np.uint8]:
    """What one grey frame looks like.

    All of it depends on a pixel's stored value alone, so it is worked out once for each of at most 65,536 values.

    Args:
        stored: integers of 8 or 16 bit, shape `(rows, columns)`.
        frame: its number, from 0: of several, each may have a window of its own.
        window, windows: as `Reading` has them.

    Raises:
        Unreadable: if the file's LUT or window makes no sense.
    """
    stored = np.ascontiguousarray(stored, stored.dtype.newbyteorder("="))
    codes = stored.view(f"u{stored.dtype.itemsize}")
    values = np.arange(1 << 8 * codes.dtype.itemsize).astype(codes.dtype).view(stored.dtype).astype(np.int64)
    padded = _padded(values, data)
    units = _units(values, data, group_of(data, frame, "PixelValueTransformationSequence"))
    group = group_of(data, frame, "FrameVOILUTSequence")
    own = windows.get(modality)
    shares = None if window == "settings" and own is not None else _as_the_file_says(units, data, group)
    if shares is None:
        shares = _linear(units, *own) if own is not None else _whole_range(units, _there(codes, len(units)) & ~padded)
    if str(data.PhotometricInterpretation).strip() == "MONOCHROME1":
        shares = 1 - shares
    levels = np.rint(255 * shares).astype(np.uint8)
    levels[padded] = 0
    found = np.empty(codes.shape, np.uint8)
    for rows in _strips(codes):
        found[rows] = levels[codes[rows]]
    return found


def _there(codes: np.ndarray, count: int) -> NDArray[np.bool_]:
    found = np.zeros(count, bool)
    for rows in _strips(codes):
        found[codes[rows]] = True
    return found


def _strips(codes: np.ndarray) -> Iterator[slice]:
    """Some rows at a time: numpy takes eight bytes for each pixel that it looks up."""
    rows = max(1, STRIP_PIXELS // codes.shape[1])
    return (slice(top, top + rows) for top in range(0, codes.shape[0], rows))


def looked_up(values: np.ndarray, descriptor: object, table: object, little: bool) -> Numbers:
    """The entries of a look-up table as shares of its greatest: in [0, 1], of the shape of `values`.

    Args:
        descriptor: how many entries (0: 65,536), the first value mapped, bits of an entry.
        table: the entries, or their bytes.
        little: whether bytes are little-endian.
    """
    count, first, bits = (int(number) for number in descriptor)  # type: ignore[attr-defined]
    entries = _entries(table, count or 1 << 16, bits, little)
    if first >= 1 << 15 and values.min() < 0:  # its type does not say whether it is signed
        first -= 1 << 16
    at = np.clip(np.floor(values).astype(np.int64) - first, 0, len(entries) - 1)
    return np.clip(entries[at] / ((1 << bits) - 1), 0, 1)


def _entries(table: object, count: int, bits: int, little: bool) -> np.ndarray:
    if not 8 <= bits <= 16:
        raise Unreadable(f"has a look-up table of {bits} bit; expected 8 to 16")
    if isinstance(table, bytes):
        width = 1 if len(table) in (count, count + 1) and bits == 8 else 2
        table = np.frombuffer(table[: count * width], f"{'<' if little else '>'}u{width}")
    entries = np.atleast_1d(np.asarray(table)).astype(np.int64) & 0xFFFF
    if len(entries) != count:
        raise Unreadable(f"has a look-up table of {len(entries)} entries where it says {count}")
    return entries


def group_of(data: Dataset, frame: int, name: str) -> Dataset:
    """Where a frame's own values are: among the frames', among those that all share, or those of the file."""
    for groups, place in (("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0)):
        held = data.get(groups) or []
        if place < len(held) and (found := held[place].get(name)):
            return Dataset(found[0])
    return data


def _little(data: Dataset) -> bool:
    return bool(data.original_encoding[1])


def _units(values: np.ndarray, data: Dataset, group: Dataset) -> Numbers:
    """Stored values in the modality's units."""
    if tables := data.get("ModalityLUTSequence"):
        descriptor = tables[0].LUTDescriptor
        shares = looked_up(values, descriptor, tables[0].LUTData, _little(data))
        return np.rint(shares * ((1 << int(descriptor[2])) - 1))
    slope, intercept = (_number(group, name) for name in ("RescaleSlope", "RescaleIntercept"))
    if slope is None or intercept is None:
        return values.astype(np.float64)
    if slope == 0:
        raise Unreadable("has a rescale slope of 0, which makes all of it one grey")
    return values * slope + intercept


def _as_the_file_says(units: Numbers, data: Dataset, group: Dataset) -> Numbers | None:
    """By the file's VOI LUT, else by its first window; None where it has neither."""
    if tables := data.get("VOILUTSequence"):
        return looked_up(units, tables[0].LUTDescriptor, tables[0].LUTData, _little(data))
    center, width = (_number(group, name) for name in ("WindowCenter", "WindowWidth"))
    if center is None or width is None:
        return None
    how = str(group.get("VOILUTFunction") or "LINEAR").strip()
    if how not in ("LINEAR", "LINEAR_EXACT", "SIGMOID") or width <= 0 or (how == "LINEAR" and width < 1):
        raise Unreadable(
            "has a window of no width, or of an unknown function; write reading.window: settings, and one for its "
            "modality in reading.windows"
        )
    if how == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (units - center) / width, -700, 700)))
    if how == "LINEAR_EXACT":
        return np.clip((units - center) / width + 0.5, 0, 1)
    return _linear(units, center, width)


def _linear(units: Numbers, center: float, width: float) -> Numbers:
    if width == 1:
        return (units > center - 0.5).astype(np.float64)
    return np.clip((units - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def _whole_range(units: Numbers, there: NDArray[np.bool_]) -> Numbers:
    """From the least to the greatest value of this picture; a picture of one value is black."""
    found = units[there]
    if not len(found) or found.min() == found.max():
        return np.zeros(len(units))
    return np.clip((units - found.min()) / (found.max() - found.min()), 0, 1)


def _padded(values: np.ndarray, data: Dataset) -> NDArray[np.bool_]:
    """Which stored values only fill the rectangle around the picture."""
    value = data.get("PixelPaddingValue")
    if value is None:
        return np.zeros(len(values), bool)
    limit = data.get("PixelPaddingRangeLimit")
    ends = int(value), int(value if limit is None else limit)
    return (values >= min(ends)) & (values <= max(ends))


def _number(group: Dataset, name: str) -> float | None:
    """A number of the file, the first of several; None where it is not there or empty."""
    value = group.get(name)
    if isinstance(value, (list, tuple)) or (hasattr(value, "__iter__") and not isinstance(value, str)):
        value = next(iter(value), None)  # type: ignore[arg-type]
    if value is None or value == "":
        return None
    number = float(value)  # type: ignore[arg-type]
    if not np.isfinite(number):
        raise Unreadable(f"has a {name} that is no finite number")
    return number
