"""Readers of the public data sets: from the files as they are published to a table of images."""

import io
import pickle
import tarfile
from collections.abc import Mapping, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

__all__ = ["cifar10", "cifar100", "mnist"]

# A part of the published training images is needed to choose by; the published test images stay what they are.
VALID_SHARE = {"mnist": 6, "cifar": 5}  # one in so many, the last ones


def mnist(files: Mapping[str, Path]) -> pd.DataFrame:
    """Digits as PNG; `part` is the published one, but for the last sixth of the training images: valid."""
    with np.load(files["mnist.npz"], allow_pickle=False) as arrays:
        train = arrays["x_train"], [str(digit) for digit in arrays["y_train"]]
        test = arrays["x_test"], [str(digit) for digit in arrays["y_test"]]
    return _table(train, test, VALID_SHARE["mnist"])


def cifar10(files: Mapping[str, Path]) -> pd.DataFrame:
    """Small photos as PNG; `part` is the published one, but for the fifth of five training batches: valid."""
    names = [f"data_batch_{number}" for number in range(1, 6)]
    found = _unpacked(files["cifar-10-python.tar.gz"], "cifar-10-batches-py", [*names, "test_batch", "batches.meta"])
    classes = found["batches.meta"][b"label_names"]
    batches = [_batch(found[name], b"labels", classes) for name in names]
    images = np.concatenate([images for images, _ in batches])
    labels = [label for _, labels in batches for label in labels]
    return _table((images, labels), _batch(found["test_batch"], b"labels", classes), VALID_SHARE["cifar"])


def cifar100(files: Mapping[str, Path]) -> pd.DataFrame:
    """Small photos as PNG, with the fine labels; `part` as `cifar10` has it."""
    found = _unpacked(files["cifar-100-python.tar.gz"], "cifar-100-python", ["train", "test", "meta"])
    classes = found["meta"][b"fine_label_names"]
    train, test = (_batch(found[name], b"fine_labels", classes) for name in ("train", "test"))
    return _table(train, test, VALID_SHARE["cifar"])


Labelled = tuple[NDArray[np.uint8], list[str]]


def _table(train: Labelled, test: Labelled, share: int) -> pd.DataFrame:
    (train_images, train_labels), (test_images, test_labels) = train, test
    many = len(train_labels)
    valid = many // share
    numbers = [*(f"train/{number:05d}" for number in range(many)), *(f"test/{n:05d}" for n in range(len(test_labels)))]
    with ThreadPool() as threads:  # zlib works without Python's lock
        images = threads.map(_png, [*train_images, *test_images], chunksize=256)
    return pd.DataFrame(
        {
            "id": numbers,
            "image": images,
            "label": train_labels + test_labels,
            "part": ["train"] * (many - valid) + ["valid"] * valid + ["test"] * len(test_labels),
        }
    )


def _png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _batch(content: dict[bytes, Any], key: bytes, classes: Sequence[bytes]) -> Labelled:
    images = content[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), [classes[label].decode() for label in content[key]]


def _unpacked(archive: Path, folder: str, names: Sequence[str]) -> dict[str, dict[bytes, Any]]:
    """Named members of a tar file. They are read in memory, so that no path in the archive is ever written to."""
    wanted = {f"{folder}/{name}": name for name in names}
    found = {}
    with tarfile.open(archive) as members:
        for member in members:
            if member.name in wanted and (file := members.extractfile(member)):
                found[wanted[member.name]] = _Arrays(file, encoding="bytes").load()
    return found


# By the names that they had when these files were written.
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _Arrays(pickle.Unpickler):
    """Unpickles numbers, texts, lists and NumPy arrays, and nothing that could run.

    CIFAR is published as pickles, and a pickle may name any function and call it. These files name three things, which
    an array is built from; they are given here by this process, whatever else is named is refused. (Python documents
    overriding `find_class` as the way to restrict a pickle.)
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"the file names {module}.{name}, which no array needs; it was not called")
        return ALLOWED[module, name]
