"""What a frozen network makes of images: computed once, kept on disk, shared by all later runs.

A network that is not trained gives the same features in every epoch, so they are computed once; only what lies behind
is trained. They are kept under `SOLVENT_CACHE` (else `~/.cache/solvent`) in `features/KEY/`: KEY is a hash of the
network with its weights, the size, the way of decoding, the precision, the batch shape, the augmented view and the
packages' versions; inside, each image is known by the sha256 of its file. So neither a changed image nor a changed
setting meets an old feature. The folder may be deleted while nothing is trained. Several processes may use it at
once: a file is whole or absent, and what two of them compute at the same time is the same.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import images, progress, runtime
from .augmentation import Augmentation
from .errors import Refused
from .files import replacing
from .solution import Decoder

if TYPE_CHECKING:
    import keras

__all__ = ["Features", "Frozen", "folder"]

log = logging.getLogger("solvent")
FORMAT = 2
SHARD_BYTES = 256 << 20
TOLD_BYTES = 1 << 30


@dataclass(frozen=True)
class Frozen:
    """A network that is not trained, and how images reach it.

    Args:
        model: image `(size, size, 3)` -> an array, of any float type.
        name: a hash of its structure and weights, as `transfer.weights_hash` gives it.
        batch_rows: images in each call: of one precision and batch shape, features are equal bit for bit; without
            AVX-512 an image's place in its batch may change the last bit.
        precision: in which it computes.
        augmentation: of the augmented views; None where there are none.
        seed: of the augmented views.
        decoder: of images that Pillow doesn't read.
    """

    model: keras.Model
    name: str
    size: int
    resize: images.Resize
    batch_rows: int
    precision: str
    augmentation: Augmentation | None = None
    seed: int = 0
    decoder: Decoder | None = None

    def compute(self, cells: Sequence[Any], view: int = 0) -> Iterator[np.ndarray]:
        """The features of images, batch by batch, without any cache.

        Args:
            view: 0 for the images as they are, else the number of an augmented view.

        Raises:
            images.Unreadable: if an image can't be read.
        """
        pixels = images.Stream(cells, self.size, self.resize, self.batch_rows, self.decoder).whole()
        if view:
            from . import augment

            if self.augmentation is None:
                raise ValueError(f"View {view} of a network without augmentation.")
            pixels = augment.view_batches(pixels, cells, view, self.augmentation, self.seed)
        for batch in pixels:
            yield runtime.predict(self.model, batch, self.batch_rows)

    def key(self, view: int) -> str:
        """What the features of a view depend on, besides the image."""
        parts: dict[str, Any] = {
            "format": FORMAT,
            "network": self.name,
            "size": self.size,
            "resize": self.resize,
            "decoder": images.method(self.decoder),
            "batch_rows": self.batch_rows,
            "precision": self.precision,
            "versions": {name: version(name) for name in ("keras", "numpy", "pillow", "tensorflow")},
        }
        if view and self.augmentation is not None:
            parts |= {"view": view, "seed": self.seed, "augmentation": self.augmentation.model_dump(mode="json")}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


class Features:
    """The features of some images, one after the other: read from the cache, computed where they are not there.

    Args:
        cells: images, all readable.
        views: how many augmented views of each image follow: first all images as they are, then all of view 1, ...
    """

    def __init__(self, frozen: Frozen, cells: Sequence[Any], views: int = 0) -> None:
        if views and frozen.augmentation is not None:
            from . import augment

            # Its layers hold variables, which all workers must make, also one that has all features already.
            augment.compiled(frozen.augmentation, frozen.size)
        self.parts: list[_View] = [_View(frozen, cells, view) for view in range(views + 1)]
        self.rows = len(cells)

    def __len__(self) -> int:
        return self.rows * len(self.parts)

    def take(self, positions: np.ndarray) -> np.ndarray:
        """float32, shape `(positions, ...)`."""
        positions = np.asarray(positions)
        found: np.ndarray | None = None
        for number, part in enumerate(self.parts):
            mine = np.flatnonzero(positions // self.rows == number)
            if len(mine):
                values = part.take(positions[mine] % self.rows)
                found = np.empty((len(positions), *values.shape[1:]), np.float32) if found is None else found
                found[mine] = values
        if found is None:
            raise ValueError("No position was asked for.")
        return found

    def batches(self, rows: int) -> Iterator[np.ndarray]:
        """All of them, so many at a time."""
        return (self.take(np.arange(start, min(start + rows, len(self)))) for start in range(0, len(self), rows))

    def array(self) -> np.ndarray:
        """All of them, float32, shape `(rows * (1 + views), ...)`."""
        return self.take(np.arange(len(self)))


class _View:
    """One view of some images, in the shards of one folder."""

    def __init__(self, frozen: Frozen, cells: Sequence[Any], view: int) -> None:
        self.folder = folder() / frozen.key(view)
        self.folder.mkdir(parents=True, exist_ok=True)
        keys = [images.content_hash(cell) for cell in cells]
        places = _places(self.folder)
        missing = {key: cell for key, cell in zip(keys, cells, strict=True) if key not in places}
        if missing:
            _compute(frozen, missing, view, self.folder)
            places = _places(self.folder)
        self.shards = sorted({places[key][0] for key in keys})
        number = {shard: place for place, shard in enumerate(self.shards)}
        self.shard = np.array([number[places[key][0]] for key in keys], np.int64)
        self.row = np.array([places[key][1] for key in keys], np.int64)
        self.open = [np.load(self.folder / f"{shard}.npy", mmap_mode="r") for shard in self.shards]

    def take(self, positions: np.ndarray) -> np.ndarray:
        found: np.ndarray | None = None
        for number in np.unique(self.shard[positions]):
            mine = np.flatnonzero(self.shard[positions] == number)
            stored = self.open[number][self.row[positions[mine]]]
            values = _widened(stored)
            found = np.empty((len(positions), *values.shape[1:]), np.float32) if found is None else found
            found[mine] = values
        assert found is not None
        return found


def folder() -> Path:
    """Where features are kept."""
    return Path(os.environ.get("SOLVENT_CACHE") or Path.home() / ".cache" / "solvent").expanduser() / "features"


def _places(kept: Path) -> dict[str, tuple[str, int]]:
    """The shard and the row in it of each image that is there."""
    found: dict[str, tuple[str, int]] = {}
    for names in sorted(kept.glob("*.txt")):
        if names.with_suffix(".npy").is_file():
            for row, key in enumerate(names.read_text().split()):
                found.setdefault(key, (names.stem, row))
    return found


def _compute(frozen: Frozen, missing: dict[str, Any], view: int, kept: Path) -> None:
    """Compute the features of images and leave them in shards; those that are whole survive a kill."""
    keys, held, size = list(missing), [], 0
    done = written = 0
    what = "features" if view == 0 else f"features of view {view}"
    with progress.bar(len(keys), f"{what} (images)") as bar:
        for batch in frozen.compute(list(missing.values()), view):
            if not done:
                _refuse_too_much(kept, len(keys) * (batch.nbytes // len(batch)))
            held.append(batch)
            size += batch.nbytes
            done += len(batch)
            bar.step(count=len(batch))
            if size >= SHARD_BYTES or done == len(keys):
                _write(kept, keys[written:done], np.concatenate(held))
                held, size, written = [], 0, done


def _refuse_too_much(kept: Path, expected: int) -> None:
    """Refuse to fill the disk; say how much a large cache will take."""
    free = shutil.disk_usage(kept).free
    if expected > free:
        raise Refused(
            f"The features would take {expected / 1e9:.1f} GB, and {kept} has {free / 1e9:.1f} GB free. Name another "
            "folder in SOLVENT_CACHE, delete old features there, or train fewer blocks or with fewer views."
        )
    if expected > TOLD_BYTES:
        log.info("features take up to %.1f GB in %s", expected / 1e9, kept)


def _write(kept: Path, keys: list[str], values: np.ndarray) -> None:
    name = uuid.uuid4().hex
    values = _narrowed(values)  # as a whole: half of a shard in one form and half in another would be lost
    with replacing(kept / f"{name}.npy") as temporary, temporary.open("wb") as file:
        np.save(file, values, allow_pickle=False)
    with replacing(kept / f"{name}.txt") as temporary:  # last: a shard without its names does not count
        temporary.write_text("\n".join(keys))


def _narrowed(values: np.ndarray) -> np.ndarray:
    """The upper halves of float32 values whose lower halves are 0, as those of a bfloat16 network are."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return (bits >> 16).astype(np.uint16) if not (bits & 0xFFFF).any() else values


def _widened(stored: np.ndarray) -> np.ndarray:
    if stored.dtype == np.uint16:
        return (stored.astype(np.uint32) << 16).view(np.float32)
    return np.asarray(stored, np.float32)
