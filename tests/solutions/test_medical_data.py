"""Medical: readers of MedMNIST on files of their form, what the data sets state, and what the drawn patients are."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from solvent import config
from solvent.split import cut
from solvent_medical.datasets import DATASETS, MEDMNIST
from solvent_medical.medmnist import DIAGNOSES, FINDINGS, read
from solvent_medical.presets import PRESETS
from solvent_medical.sample import PATIENTS, _people, drawn_phantoms

PUBLISHED = [item for item in DATASETS if not item.made]


def published(path, labels, channels=()):
    """A file as MedMNIST publishes it: arrays by part, labels as a column."""
    arrays = {}
    for part, rows in (("train", 4), ("val", 2), ("test", 3)):
        random = np.random.default_rng(rows)
        arrays[f"{part}_images"] = random.integers(0, 255, (rows, 28, 28, *channels), np.uint8)
        arrays[f"{part}_labels"] = labels(rows)
    np.savez(path, **arrays)
    return arrays


def test_a_set_of_one_label_is_read_with_its_parts_and_names(tmp_path):
    path = tmp_path / "breastmnist.npz"
    arrays = published(path, lambda rows: np.arange(rows, dtype=np.uint8)[:, None] % 2)
    found = read({"breastmnist.npz": path})
    assert found["part"].tolist() == ["train"] * 4 + ["valid"] * 2 + ["test"] * 3
    assert found["label"].tolist()[:2] == ["malignant", "normal, benign"]
    assert found["id"].is_unique
    pixels = np.asarray(Image.open(io.BytesIO(found["image"].iloc[5])))
    np.testing.assert_array_equal(pixels, arrays["val_images"][1])


def test_colours_and_flat_labels_are_read_too(tmp_path):
    path = tmp_path / "bloodmnist.npz"
    published(path, lambda rows: np.full(rows, 7), channels=(3,))
    found = read({"bloodmnist.npz": path})
    assert set(found["label"]) == {"platelet"}
    assert Image.open(io.BytesIO(found["image"].iloc[0])).mode == "RGB"


def test_a_set_of_several_labels_has_a_column_for_each_finding(tmp_path):
    path = tmp_path / "chestmnist.npz"
    published(path, lambda rows: np.eye(14, dtype=np.uint8)[:rows])
    found = read({"chestmnist.npz": path})
    assert len(FINDINGS) == 14
    assert found[list(FINDINGS)].iloc[:4].to_numpy().tolist() == np.eye(14)[:4].tolist()
    assert "label" not in found


def test_all_two_dimensional_sets_are_there_with_address_sum_and_admissible_settings():
    assert {item.name for item in PUBLISHED} == {*DIAGNOSES, "chestmnist"}
    assert len(PUBLISHED) == len(MEDMNIST) == 12
    for item in PUBLISHED:
        (remote,) = item.files
        assert remote.address == f"https://zenodo.org/records/10519652/files/{item.name}.npz?download=1"
        assert len(remote.md5) == 32
        assert "medmnist" in remote.source
        parts = {key: value for key, value in item.config.items() if key != "settings"}
        run = config.load(
            {
                "solution": "solvent_medical:SOLUTION",
                "intended_use": "a test",
                "data": {"rows": {"dataset": item.name}, **parts},
                "settings": item.config["settings"],
            }
        )
        assert run.settings.modality in PRESETS
        assert run.settings.independent_rows


@pytest.fixture(scope="module")
def drawn():
    return drawn_phantoms({})


def test_the_drawn_patients_are_what_their_text_says(drawn):
    assert len(drawn) == 1732
    people = drawn.drop_duplicates("patient_id")
    assert len(people) == PATIENTS
    assert drawn["patient_id"].str.startswith("made-").all()
    assert (people["diagnosis"] == "malignant").mean() == pytest.approx(0.4, abs=0.05)
    assert drawn.groupby("patient_id").size().agg(["min", "max"]).tolist() == [1, 4]
    assert (drawn.groupby("patient_id")[["diagnosis", "site", "age"]].nunique() == 1).all(axis=None)
    older = people["age"] > people["age"].median()
    ill = people["diagnosis"] == "malignant"
    assert ill[older].mean() > ill[~older].mean() + 0.1
    pd.testing.assert_frame_equal(drawn, drawn_phantoms({}))


def test_no_reader_of_the_drawn_images_could_beat_the_auc_that_is_stated():
    people = _people(40_000, np.random.default_rng(0), apart=1.2)
    assert roc_auc_score(people["diagnosis"] == "malignant", people["look"]) == pytest.approx(0.955, abs=0.004)


def test_a_cut_keeps_patients_whole(drawn):
    from solvent.schema import Schema
    from solvent_medical.settings import Medical, columns, split

    rows = drawn.rename(columns={"patient_id": "patient", "diagnosis": "label"})
    schema = Schema.declare(columns(Medical(backbone="cnn", positive="malignant")), {}, list(rows), table="drawn")
    parts = cut(rows, split, schema)
    seen = [set(rows["patient"].iloc[where]) for where in (parts.train, parts.valid, parts.test)]
    assert not seen[0] & seen[1] and not seen[0] & seen[2] and not seen[1] & seen[2]
