"""The drawn surfaces, and the readers of the public image sets on tiny files of the same format."""

import hashlib
import http.server
import importlib.util
import io
import os
import pickle
import pickletools
import tarfile
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from solvent import Folder, Refused, config, datasets, images
from solvent_vision import public, sample
from solvent_vision.datasets import DATASETS

KNOWN = {dataset.name: dataset for dataset in DATASETS}


@pytest.fixture(scope="module")
def drawn() -> pd.DataFrame:
    return datasets.load(KNOWN["drawn_surfaces"])


def levels(table: pd.DataFrame) -> np.ndarray:
    """Grey levels, shape `(photos, side, side)`."""
    return np.stack([np.asarray(Image.open(io.BytesIO(photo))) for photo in table["photo"]]).astype(float)


# Drawn surfaces


def test_the_sample_is_small_photos_of_four_classes_and_follows_its_seed():
    first, again, other = sample.surfaces(0), sample.surfaces(0), sample.surfaces(1)
    pd.testing.assert_frame_equal(first.rows, again.rows)
    assert not set(first.rows["photo"]) & set(other.rows["photo"])
    assert levels(first.rows).shape == (400, 32, 32)
    assert first.rows["part"].is_unique
    assert first.rows["defect"].value_counts().index[0] == "clean"
    assert first.rows["defect"].value_counts().min() >= 60
    assert set(first.columns.values()) == set(first.rows)


def test_a_defect_shows_as_what_it_is_called():
    """Pits are the darkest spots, scratches the brightest, stains the darkest large areas."""
    rows = sample.surfaces(0).rows
    photos = levels(rows)
    photos /= np.median(photos, axis=(1, 2), keepdims=True)
    large = photos.reshape(-1, 4, 8, 4, 8).mean(axis=(2, 4))
    found = pd.DataFrame(
        {"dark": photos.min(axis=(1, 2)), "bright": photos.max(axis=(1, 2)), "area": large.min(axis=(1, 2))}
    )
    found = found.groupby(rows["defect"]).median()
    assert found.idxmin()[["dark", "area"]].to_dict() == {"dark": "pit", "area": "stain"}
    assert found["bright"].idxmax() == "scratch"
    assert found.loc["clean", "dark"] - found.loc["pit", "dark"] > 0.2
    assert found.loc["scratch", "bright"] - found.loc["clean", "bright"] > 0.2
    assert found.loc["clean", "area"] - found.loc["stain", "area"] > 0.05


def test_the_drawn_set_holds_the_copies_that_its_docstring_tells_and_no_others(drawn):
    assert len(drawn) == 1200 and drawn["part"].is_unique
    assert levels(drawn.head(3)).shape == (3, 96, 96)
    for number, original in sample.COPIES.items():
        assert drawn["photo"][number] == drawn["photo"][original]
    assert drawn["photo"].nunique() == 1200 - 2
    marks = np.array([images.look(photo).fingerprint for photo in drawn["photo"]], np.uint64)
    bits = np.triu(np.bitwise_count(marks[:, None] ^ marks), 1)
    told = {(original, number) for number, original in {**sample.COPIES, **sample.NEAR_COPIES}.items()}
    near = {(int(a), int(b)) for a, b in np.argwhere((bits <= 8) & np.triu(np.ones_like(bits, bool), 1))}
    assert near == told


def test_one_in_a_hundred_drawn_photos_has_a_wrong_label(drawn, monkeypatch):
    monkeypatch.setattr(sample, "WRONG_LABELS", ())
    monkeypatch.setattr(sample, "_drawn", lambda defects, *_: np.zeros((len(defects), 2, 2)))
    truth = sample.drawn_surfaces({})["defect"]
    assert np.flatnonzero(drawn["defect"] != truth).tolist() == list(range(45, 1100, 90))


def test_the_drawn_set_is_called_drawn_wherever_it_is_named():
    assert KNOWN["drawn_surfaces"].made
    assert "drawn" in KNOWN["drawn_surfaces"].summary and "wrong labels" in KNOWN["drawn_surfaces"].summary
    assert [item.name for item in DATASETS if item.made] == ["drawn_surfaces"]


@pytest.mark.parametrize("name", KNOWN)
def test_the_config_of_each_data_set_is_understood(name):
    given = dict(KNOWN[name].config)
    settings = given.pop("settings")
    data = {"rows": {"dataset": name}, **given}
    run = config.load({"solution": "solvent_vision:SOLUTION", "data": data, "settings": settings})
    assert run.settings.backbone == settings["backbone"]
    assert run.data.rows.dataset == name


# Steel


def test_steel_is_read_from_its_folder_with_paths_that_lead_to_the_photos(tmp_path, monkeypatch):
    photos = {"scratches/scratches_2.jpg": 200, "crazing/crazing_10.jpg": 90}
    listed = ""
    for name, level in sorted(photos.items()):
        path = tmp_path / "vision" / "neu-steel-surface" / name
        path.parent.mkdir(parents=True)
        Image.new("RGB", (20, 20), (level,) * 3).save(path)
        listed += f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n"
    steel = KNOWN["neu_surface_defects"]
    (folder,) = steel.files
    assert isinstance(folder, Folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOLVENT_DATA", "vision")
    with pytest.raises(Refused, match=r"of its 2 .jpg files \(expected 1800\)"):
        datasets.load(steel)
    mine = replace(folder, sha256=hashlib.sha256(listed.encode()).hexdigest())
    table = datasets.load(replace(steel, files=(mine,)))
    assert table["id"].tolist() == ["crazing/crazing_10.jpg", "scratches/scratches_2.jpg"]
    assert table["label"].tolist() == ["crazing", "scratches"]
    monkeypatch.chdir("/")
    assert [int(np.median(images.decode(path))) for path in table["image"]] == [90, 200]


@pytest.mark.data
@pytest.mark.skipif(
    "SOLVENT_DATA" not in os.environ,
    reason="neu-steel-surface is not here: export SOLVENT_DATA=FOLDER_THAT_HOLDS_IT",
)
def test_the_public_steel_photos_are_read():
    table = datasets.load(KNOWN["neu_surface_defects"])
    assert table["label"].value_counts().to_dict() == dict.fromkeys(
        ["crazing", "inclusion", "patches", "pitted_surface", "rolled-in_scale", "scratches"], 300
    )
    hashes = table["image"].map(images.content_hash)
    assert table["id"][hashes.duplicated(keep=False)].tolist() == ["patches/patches_101.jpg", "patches/patches_105.jpg"]


# What keras.datasets names


def test_addresses_and_sums_are_those_that_keras_has():
    folder = Path(importlib.util.find_spec("keras").origin).parent / "src" / "datasets"
    remote = [item.files[0] for item in DATASETS if item.name in ("mnist", "cifar10", "cifar100")]
    for item in remote:
        text = (folder / Path(item.source).name).read_text(encoding="utf-8")
        assert f'"{item.sha256}"' in text
        origin, name = item.address.rsplit("/", 1)
        assert origin in text and name in text
    assert "file_hash" not in (folder / "fashion_mnist.py").read_text(encoding="utf-8")


def shades(count: int, *shape: int) -> np.ndarray:
    """Pictures that differ everywhere."""
    return np.random.default_rng(count).integers(0, 256, (count, *shape), dtype=np.uint8)


def decoded(cells: pd.Series) -> np.ndarray:
    return np.stack([np.asarray(Image.open(io.BytesIO(cell))) for cell in cells])


def test_mnist_is_downloaded_checked_and_read(tmp_path, monkeypatch):
    train, test = shades(12, 28, 28), shades(3, 28, 28)
    file = tmp_path / "served" / "mnist.npz"
    file.parent.mkdir()
    np.savez(file, x_train=train, y_train=np.arange(12) % 10, x_test=test, y_test=np.array([7, 0, 9]))
    monkeypatch.setenv("SOLVENT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SOLVENT_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    serve = partial(http.server.SimpleHTTPRequestHandler, directory=file.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        remote = replace(KNOWN["mnist"].files[0], address=f"http://127.0.0.1:{server.server_address[1]}/mnist.npz")
        with pytest.raises(Refused, match="is not the file that was meant"):
            datasets.load(replace(KNOWN["mnist"], files=(remote,)))
        remote = replace(remote, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
        table = datasets.load(replace(KNOWN["mnist"], files=(remote,)))
        server.shutdown()
    np.testing.assert_array_equal(decoded(table["image"]), np.concatenate([train, test]))
    assert table["label"].tolist() == [*"012345678901", *"709"]
    assert table["part"].tolist() == ["train"] * 10 + ["valid"] * 2 + ["test"] * 3
    assert table["id"].tolist()[-4:] == ["train/00011", "test/00000", "test/00001", "test/00002"]


def by_python_2(content: dict) -> bytes:
    """A pickle as CIFAR's: texts are strings of bytes, and NumPy's function has its old name."""
    new = pickle.dumps(content, protocol=3)
    old, codes = bytearray(new), {"SHORT_BINBYTES": b"U", "BINBYTES": b"T", "BINUNICODE": b"T"}
    for operation, _, position in pickletools.genops(new):
        if operation.name in codes:
            old[position : position + 1] = codes[operation.name]
    return bytes(old).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def archive(path: Path, folder: str, contents: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as file:
        for name, content in contents.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))
    return path


def planes(pictures: np.ndarray) -> np.ndarray:
    """Rows as CIFAR has them: all red, then all green, then all blue."""
    return pictures.transpose(0, 3, 1, 2).reshape(len(pictures), -1)


def test_cifar10_is_read_from_its_archive(tmp_path):
    pictures = shades(12, 32, 32, 3)
    contents = {
        f"data_batch_{number + 1}": {"labels": [number % 2, 1], "data": planes(pictures[2 * number : 2 * number + 2])}
        for number in range(5)
    }
    contents["test_batch"] = {"labels": [0, 0], "data": planes(pictures[10:])}
    contents["batches.meta"] = {"label_names": ["airplane", "automobile"]}
    written = {"readme.html": b"<html>", **{name: by_python_2(content) for name, content in contents.items()}}
    file = archive(tmp_path / "cifar-10-python.tar.gz", "cifar-10-batches-py", written)
    table = public.cifar10({file.name: file})
    np.testing.assert_array_equal(decoded(table["image"]), pictures)
    codes = [0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 0, 0]
    assert table["label"].tolist() == [("airplane", "automobile")[code] for code in codes]
    assert table["part"].tolist() == ["train"] * 8 + ["valid"] * 2 + ["test"] * 2


def test_cifar100_is_read_with_its_fine_labels(tmp_path):
    pictures = shades(6, 32, 32, 3)
    contents = {
        "meta": {"fine_label_names": ["apple", "fox", "rose"], "coarse_label_names": ["fruit", "mammals"]},
        "test": {"fine_labels": [2], "coarse_labels": [0], "data": planes(pictures[5:])},
        "train": {"fine_labels": [1, 1, 0, 2, 1], "coarse_labels": [1] * 5, "data": planes(pictures[:5])},
    }
    written = {name: by_python_2(content) for name, content in contents.items()}
    file = archive(tmp_path / "cifar-100-python.tar.gz", "cifar-100-python", written)
    table = public.cifar100({file.name: file})
    np.testing.assert_array_equal(decoded(table["image"]), pictures)
    assert table["label"].tolist() == ["fox", "fox", "apple", "rose", "fox", "rose"]
    assert table["part"].tolist() == ["train"] * 4 + ["valid", "test"]


class Trap:
    """Its pickle calls a function that leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_would_call_a_function_is_refused_and_nothing_is_called(tmp_path):
    written = {name: pickle.dumps({b"data": Trap(tmp_path / "sprung")}) for name in ("train", "test", "meta")}
    file = archive(tmp_path / "cifar-100-python.tar.gz", "cifar-100-python", written)
    with pytest.raises(pickle.UnpicklingError, match=r"names \w+\.mkdir"):
        public.cifar100({file.name: file})
    assert not (tmp_path / "sprung").exists()
