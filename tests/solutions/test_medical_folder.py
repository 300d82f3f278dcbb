"""DICOM from training to nightly scores: a folder tree of patients, a row each, and nothing that says who they are."""

import io
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image
from pydicom import Dataset, uid

import solvent
from solvent import Refused, score
from solvent_medical.sample import phantoms

SAMPLE = phantoms(3)
ROWS = SAMPLE.rows
SECRETS = ("Shibboleth", "Ephraim", "19550505", "Gilead", "Jordan")
USE = "Triage of made patients, in tests"
QUICK = {**SAMPLE.settings, "training": {**SAMPLE.settings["training"], "epochs": 1}}


def as_dicom(png: bytes) -> bytes:
    """An image as 12 bit stored values from 100 on, inverted, in a window that undoes both."""
    grey = np.asarray(Image.open(io.BytesIO(png)).convert("L")).astype(np.uint16)
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID, data.Modality = uid.UltrasoundImageStorage, "1.2.3", "US"
    data.Rows, data.Columns = grey.shape
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME1", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.WindowCenter, data.WindowWidth = 100 + 128, 256
    data.PixelData = (100 + 255 - grey).tobytes()
    data.PatientName, data.PatientID, data.PatientBirthDate = "Shibboleth^Ephraim", "Gilead-7", "19550505"
    data.InstitutionName = "Fords of Jordan"
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    kept = io.BytesIO()
    data.save_as(kept, enforce_file_format=True)
    return kept.getvalue()


def tree(folder: Path, patients, name: str = "{}.dcm") -> Path:
    for patient, part in ROWS[ROWS["patient_id"].isin(patients)].groupby("patient_id"):
        for number, png in enumerate(part["image"]):
            place = folder / patient / "study" / name.format(number)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(as_dicom(png))
    return folder


def text_of(path: Path) -> str:
    """What stands in a file; of a table, in its cells."""
    return pd.read_parquet(path).to_csv() if path.suffix == ".parquet" else path.read_bytes().decode("latin-1")


def config(folder: Path, **settings):
    numbers = ROWS.groupby("patient_id").cumcount().astype(str)
    paths = ROWS["patient_id"] + "/study/" + numbers + ".dcm"
    ROWS.assign(image=paths).to_csv(folder / "images.csv", index=False)
    return {
        "solution": "solvent_medical:SOLUTION",
        "intended_use": USE,
        "data": {"rows": str(folder / "images.csv"), "columns": dict(SAMPLE.columns)},
        "settings": {**QUICK, **settings},
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    return tree(tmp_path_factory.mktemp("hospital"), ROWS["patient_id"].unique())


def test_files_that_identify_people_are_refused_before_training(files, tmp_path):
    with pytest.raises(Refused, match=r"settings: \{identifying: allow\}") as caught:
        solvent.train(config(files), tmp_path / "bundle")
    assert "600 files of 600 images still identify people" in str(caught.value)
    assert not any(secret in str(caught.value) for secret in SECRETS)


def test_a_tree_of_dicom_files_is_scored_one_row_a_patient_and_says_nothing_of_people(files, tmp_path, caplog):
    """Allowed to identify people, the files teach and are scored; no value of them is in what is left behind."""
    caplog.set_level(logging.DEBUG)
    bundle = solvent.train(config(files, identifying="allow"), tmp_path / "bundle")
    assert "MONOCHROME1 inverted" in bundle.facts["facts"]["decoder"]

    people = ROWS["patient_id"].unique()[:10]
    scans = tree(tmp_path / "scans", people, "IM00000{}")  # as scanners name them
    (scans / people[3] / "study" / "IM000001").write_bytes(as_dicom(ROWS["image"].iloc[0])[:700])
    report = (Path(pydicom.__file__).parent / "data" / "test_files" / "test-SR.dcm").read_bytes()
    (scans / people[5] / "study" / "2.dcm").write_bytes(report)
    manifest = score.score(bundle, bundle.source(scans), tmp_path / "out" / "scores.csv", max_bad=0.5, chunk_rows=5)

    found = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert found["patient_id"].tolist() == [person for place, person in enumerate(people) if place not in (3, 5)]
    assert manifest["rows_set_aside"] == 2 + 3  # a patient as a whole
    reasons = " ".join(pd.read_parquet(tmp_path / "out" / "scores.csv.quarantine.parquet")["reasons"])
    assert "is damaged or cut off: its pixels can't be read" in reasons
    assert "holds no picture (modality SR)" in reasons
    # the pictures are those of the PNG files
    table = ROWS[ROWS["patient_id"].isin(found["patient_id"])]
    plain = bundle.score(table).groupby(table["patient_id"])["probability"].first()
    np.testing.assert_allclose(found["probability"], plain.loc[found["patient_id"]], atol=0.01)

    left = [path for top in ("bundle", "out") for path in (tmp_path / top).rglob("*") if path.is_file()]
    assert len(left) > 8
    for secret in SECRETS:
        assert secret not in caplog.text
        assert not [path for path in left if secret in text_of(path)]
