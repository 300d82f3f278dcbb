"""Pixels from image cells: one way to decode and to resize, the same in training and in scoring.

An image cell is a path or the encoded bytes of a JPEG, PNG, BMP, GIF, TIFF or WebP file, or of a format that a domain
brings a `Decoder` for. Decoders differ by several grey levels, so everything that reads an image calls `pixels` (or
`decode`) here, and a bundle names `METHOD`, or `method(decoder)`.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import stat
import struct
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import SolventError
from .solution import Decoder, Later

__all__ = [
    "METHOD",
    "Look",
    "Resize",
    "Stream",
    "Unreadable",
    "content_hash",
    "contents",
    "decode",
    "look",
    "looks",
    "method",
    "one_at_a_time",
    "pixels",
    "short",
    "shown",
]

METHOD = "Pillow, EXIF turned, bilinear with antialiasing, JPEG scaled while it is decoded"

Resize = Literal["stretch", "crop", "pad"]
Cell = Any  # str | bytes

# What Pillow's readers raise for files that are damaged; an OSError that has an errno is the disk's.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError)
OF_THE_MACHINE = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # no fault of the image's name
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")  # Pillow knows others; some of these start programs
MOST_BYTES = 600_000_000  # of a file: the most pixels that are read, three bytes each, and some more
LARGE_BYTES, LARGE_PIXELS = 50_000_000, 25_000_000  # such images are decoded one at a time
STRIP_PIXELS = 4_000_000  # that are converted at once
FINGERPRINT_SIDE = 64
ORIENTATION, LYING = 0x0112, (5, 6, 7, 8)  # EXIF's tag, and its values for photos that lie on their side
PADDING = 114  # grey level around an image that is padded
THREADS = min(32, os.cpu_count() or 1)


class Unreadable(SolventError):
    """An image that can't be read; the message is the reason, without the image's name."""


@dataclass(frozen=True)
class Look:
    """What one image is like.

    Args:
        error: why it can't be read; the rest is then empty.
        width: in pixels, after the turn that EXIF asks for.
        sha256: of the file's bytes.
        fingerprint: a 64 bit difference hash: nearly equal images differ in few bits.
    """

    error: str | None
    width: int = 0
    height: int = 0
    sha256: str = ""
    fingerprint: int = 0


def method(decoder: Decoder | None) -> str:
    """How images are decoded, for a bundle's facts and the key of a cache: it changes with the pixels."""
    return METHOD if decoder is None else f"{METHOD}; {decoder.method}, {decoder.options}"


def decode(cell: Cell, decoder: Decoder | None = None) -> np.ndarray:
    """Decode an image as it is shown: turned as EXIF says, transparency over white, the first of several frames.

    16 bit grey levels are scaled by 1/257, as 0 and 65535 are black and white.

    Args:
        decoder: of a domain, for files of its format.

    Returns:
        uint8 RGB, shape `(height, width, 3)`.

    Raises:
        Unreadable: with the reason.
    """
    with ExitStack() as alone:
        return np.asarray(_decoded(_contents(cell, alone), alone, decoder)[1])


def pixels(cell: Cell, size: int, resize: Resize = "stretch", decoder: Decoder | None = None) -> np.ndarray:
    """Decode an image and bring it to a square.

    Args:
        resize: `stretch` changes the ratio of the sides; `crop` cuts what is left of the longer side, half at each
            end; `pad` fills up the shorter side with grey.

    Returns:
        uint8 RGB, shape `(size, size, 3)`.

    Raises:
        Unreadable: with the reason.
    """
    with ExitStack() as alone:
        _, image = _decoded(_contents(cell, alone), alone, decoder, at_least=size)
        return np.asarray(_square(image, size, resize))


def _square(image: Image.Image, size: int, resize: Resize) -> Image.Image:
    width, height = image.size
    if resize == "pad":
        scale = size / max(width, height)
        inner = image.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BILINEAR)
        square = Image.new("RGB", (size, size), (PADDING,) * 3)
        square.paste(inner, ((size - inner.width) // 2, (size - inner.height) // 2))
        return square
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side) if resize == "crop" else (0.0, 0.0, float(width), float(height))
    return image.resize((size, size), Image.Resampling.BILINEAR, box=box)


class Stream:
    """Images, decoded in threads while the network is at work on those before: a few batches are in memory at most.

    Args:
        rows: images in a batch.

    Attributes:
        errors: for each image that has passed, why it could not be read, or None; its pixels are then 0.
    """

    def __init__(
        self, cells: Sequence[Cell], size: int, resize: Resize, rows: int, decoder: Decoder | None = None
    ) -> None:
        self.cells, self.size, self.resize, self.rows, self.decoder = list(cells), size, resize, rows, decoder
        self.errors: list[str | None] = []

    def __iter__(self) -> Iterator[np.ndarray]:
        """uint8 RGB, shape `(rows, size, size, 3)`; the last batch may be shorter."""
        with ThreadPoolExecutor(THREADS, "solvent-images") as threads:
            coming = self._begun(threads, 0)
            for start in range(0, len(self.cells), self.rows):
                # map has them all under way at once: those of the next batch while this one is used
                now, coming = coming, self._begun(threads, start + self.rows)
                found = list(now)
                self.errors += [error for _, error in found]
                yield np.stack([array for array, _ in found])

    def whole(self) -> Iterator[np.ndarray]:
        """The same, for images that must all be readable.

        Raises:
            Unreadable: with the name of the first that isn't.
        """
        seen = 0
        for batch in self:
            for cell, error in zip(self.cells[seen:], self.errors[seen:], strict=False):
                if error is not None:
                    raise Unreadable(f"{shown(cell)} {error}")
            seen += len(batch)
            yield batch

    def array(self) -> np.ndarray:
        """All of them at once, uint8, shape `(images, size, size, 3)`; at least one, and all readable as in `whole`."""
        return np.concatenate(list(self.whole()))

    def _begun(self, threads: ThreadPoolExecutor, start: int) -> Iterator[tuple[np.ndarray, str | None]]:
        return threads.map(self._one, self.cells[start : start + self.rows])

    def _one(self, cell: Cell) -> tuple[np.ndarray, str | None]:
        try:
            return pixels(cell, self.size, self.resize, self.decoder), None
        except Unreadable as error:
            return np.zeros((self.size, self.size, 3), np.uint8), str(error)


def short(path: str) -> str:
    """The end of an image's path: its file and the folder that it is in. The rest is the house's."""
    return "/".join(Path(path).parts[-2:])


def shown(cell: Cell) -> str:
    """An image in a message: the end of its path, or "the image" where the cell holds it."""
    return repr(short(cell)) if isinstance(cell, str) else "the image"


def contents(cell: Cell) -> bytes:
    """An image's file, undecoded.

    Raises:
        Unreadable: if the file can't be read.
    """
    with ExitStack() as alone:
        return _contents(cell, alone)


def content_hash(cell: Cell) -> str:
    """The sha256 of an image's file, in hexadecimal digits.

    Raises:
        Unreadable: if the file can't be read.
    """
    if isinstance(cell, str):
        mark = _mark(cell)
        known = _hashes.get(mark)
        if known is None:
            with ExitStack() as alone:
                known = _hashes[mark] = hashlib.sha256(_contents(cell, alone)).hexdigest()
        return known
    return hashlib.sha256(cell).hexdigest()


def look(cell: Cell, decoder: Decoder | None = None) -> Look:
    """Look at one image: whether it can be read whole, its size, what tells its copies and near copies."""
    try:
        sha256 = content_hash(cell)
        key = sha256, decoder
        known = _looks.get(key)
        if known is None:
            with ExitStack() as alone:
                known = _looks[key] = _look(_contents(cell, alone), sha256, alone, decoder)
    except Unreadable as error:
        return Look(str(error))
    return known


def looks(cells: Sequence[Cell], decoder: Decoder | None = None) -> list[Look]:
    """Look at many images, in threads. Each is decoded once a process."""
    with ThreadPoolExecutor(THREADS, "solvent-looks") as threads:
        return list(threads.map(partial(look, decoder=decoder), cells))


# What was found in this process: an image is looked at by the splitter, the scan, the cache of features and others.
_hashes: dict[tuple[str, int, int], str] = {}
_looks: dict[tuple[str, Decoder | None], Look] = {}


def _mark(path: str) -> tuple[str, int, int]:
    """A file as it is now: a changed one has another mark."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    return path, found.st_mtime_ns, found.st_size


_large = threading.RLock()  # held for a large image, so that memory doesn't grow with the number of threads


@contextmanager
def one_at_a_time(pixels: int) -> Iterator[None]:
    """Let no other large image be decoded meanwhile, if one of so many pixels is large; for a decoder that knows."""
    with _large if pixels > LARGE_PIXELS else nullcontext():
        yield


def _contents(cell: Cell, alone: ExitStack) -> bytes:
    if not isinstance(cell, str):
        return bytes(cell)
    path = Path(cell)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe may never end, nor reading a device
            raise Unreadable("is a directory" if stat.S_ISDIR(status.st_mode) else "is a pipe or a device")
        if status.st_size > MOST_BYTES:
            raise Unreadable(f"is larger than {MOST_BYTES / 1e6:.0f} MB")
        if status.st_size > LARGE_BYTES:
            alone.enter_context(_large)
        with path.open("rb") as file:
            return file.read(status.st_size)
    except (OSError, ValueError) as error:
        raise _unreadable(cell, error) from error


def _unreadable(path: str, error: OSError | ValueError) -> Exception:
    """Why a name leads to no file; what is wrong with the machine stays as it is."""
    if isinstance(error, ValueError):
        return Unreadable("is no name of a file")
    if error.errno in OF_THE_MACHINE:
        return error
    if isinstance(error, FileNotFoundError):
        cure = "; write / between folders" if "\\" in path else ""
        return Unreadable(f"there is no such file{cure}")
    return Unreadable((error.strerror or str(error)).lower())


def _look(contents: bytes, sha256: str, alone: ExitStack, decoder: Decoder | None) -> Look:
    try:
        size, image = _decoded(contents, alone, decoder, at_least=FINGERPRINT_SIDE)
    except Unreadable as error:
        return Look(str(error), sha256=sha256)
    small = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    bits = np.packbits(small[:, 1:] > small[:, :-1])
    return Look(None, *size, sha256, int.from_bytes(bits.tobytes(), "big"))


def _decoded(
    contents: bytes, alone: ExitStack, decoder: Decoder | None, at_least: int | None = None
) -> tuple[tuple[int, int], Image.Image]:
    """The width and height of an image as it is shown, and its RGB pixels.

    Args:
        alone: until it is closed, no other large image is decoded, if this is one.
        at_least: a JPEG may be decoded at a half, quarter or eighth of its size, as long as both sides stay this long.
    """
    if not contents:
        raise Unreadable("the file is empty")
    if decoder is not None:
        own = _functions(decoder.function)(contents, **json.loads(decoder.options))
        if own is not None:
            alone.enter_context(one_at_a_time(own.shape[0] * own.shape[1]))
            image = Image.fromarray(own).convert("RGB")
            return image.size, image
    try:
        image = Image.open(io.BytesIO(contents), formats=FORMATS)
        width, height = image.size
        if image.getexif().get(ORIENTATION) in LYING:
            width, height = height, width
        if at_least is not None:
            image.draft(None, (at_least, at_least))
        alone.enter_context(one_at_a_time(image.width * image.height))
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return (width, height), _rgb(image)
    except UnidentifiedImageError as error:
        known = "JPEG, PNG, BMP, GIF, TIFF, WebP" + (f", {decoder.formats}" if decoder is not None else "")
        raise Unreadable(f"is no image of a known format ({known})") from error
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise Unreadable(f"has too many pixels; {most:.0f} million are read at most") from error
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise Unreadable(f"is damaged: {' '.join(str(error).split()) or type(error).__name__}") from error


@cache
def _functions(path: str) -> Later:
    return Later(path)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise Unreadable("has grey levels that are fractions, of unknown range; save it with 8 or 16 bit")
    if image.mode in ("I;16", "I;16B", "I;16L", "I;16N", "I"):
        convert = _of_8_bit
    elif image.mode in ("RGBA", "LA", "La", "RGBa", "PA") or "transparency" in image.info:
        convert = _over_white
    else:
        return image if image.mode == "RGB" else image.convert("RGB")
    width, height = image.size
    whole, rows = Image.new("RGB", image.size), max(1, STRIP_PIXELS // max(width, 1))
    for top in range(0, height, rows):
        whole.paste(convert(image.crop((0, top, width, min(top + rows, height)))), (0, top))
    return whole


def _of_8_bit(image: Image.Image) -> Image.Image:
    levels = np.asarray(image).astype(np.int64)
    if levels.size and (levels.min() < 0 or levels.max() > 65535):
        raise Unreadable("has grey levels beyond 16 bit; save it with 8 or 16 bit")
    return Image.fromarray(((levels + 128) // 257).astype(np.uint8)).convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    layered = image.convert("RGBA")
    white = Image.new("RGBA", layered.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, layered).convert("RGB")
