"""Medical: from images of patients to one answer each; leaks refused; groups; where it looked; intended use."""

import hashlib
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image
from pydantic import ValidationError

import solvent
from solvent import Refused, TooManyBadRows, cli, startup
from solvent.augmentation import Augmentation
from solvent.config import load
from solvent.prepare import prepare
from solvent_medical import checks
from solvent_medical.presets import PRESETS
from solvent_medical.sample import phantoms
from solvent_medical.settings import Medical

startup.tensorflow()

import keras  # noqa: E402

from solvent import imaging, metrics, score  # noqa: E402
from solvent.runtime import validation  # noqa: E402
from solvent.runtime.optimize import optimize, sentence  # noqa: E402
from solvent_medical import (  # noqa: E402
    figures,
    made,
    measures,
    model,
    patients,
    subgroups,
)
from solvent_medical.answers import Known, Questions  # noqa: E402
from solvent_medical.group_figures import forests, tables  # noqa: E402
from solvent_medical.measures import of_question  # noqa: E402
from solvent_medical.subgroups import levels_of  # noqa: E402

SAMPLE = phantoms(3)
ROWS = SAMPLE.rows
PEOPLE = ROWS["patient_id"].unique()
USE = "Triage of made patients, in tests"
QUICK = {**SAMPLE.settings, "training": {**SAMPLE.settings["training"], "epochs": 4}}


def config(folder: Path, rows: pd.DataFrame, settings=QUICK, **data):
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(folder / "images.parquet")
    return {
        "solution": "solvent_medical:SOLUTION",
        "intended_use": USE,
        "data": {"rows": str(folder / "images.parquet"), "columns": dict(SAMPLE.columns), **data},
        "settings": dict(settings),
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("medical")
    return solvent.train(config(folder, ROWS), folder / "bundle")


def files_of(folder: Path, patients) -> Path:
    """Images as files, a folder for each patient."""
    for patient, part in ROWS[ROWS["patient_id"].isin(patients)].groupby("patient_id"):
        (folder / patient).mkdir(parents=True)
        for number, image in enumerate(part["image"]):
            (folder / patient / f"{number}.png").write_bytes(image)
    return folder


def by_part(rows: pd.DataFrame, parts: dict[str, str]) -> pd.DataFrame:
    """Every patient in a part: those named, the others by turns."""
    turns = {patient: ("train", "train", "valid", "test")[place % 4] for place, patient in enumerate(PEOPLE)}
    return rows.assign(part=rows["patient_id"].map({**turns, **parts}))


BY_PART = {"split": {"by": "column", "column": "part"}}


def test_a_patient_on_both_sides_of_a_given_split_is_refused(tmp_path):
    rows = by_part(ROWS, {})
    rows.loc[rows.index[0], "part"], rows.loc[rows.index[1], "part"] = "train", "test"
    with pytest.raises(Refused, match="entity_on_both_sides"):
        solvent.train(config(tmp_path, rows, **BY_PART), tmp_path / "bundle")


def test_a_near_copy_of_an_image_under_another_patients_name_is_refused(tmp_path):
    rows = by_part(ROWS, {PEOPLE[0]: "train", PEOPLE[1]: "test"})
    brighter = np.clip(np.asarray(Image.open(io.BytesIO(rows["image"].iloc[0]))) * 1.04 + 3, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(brighter).save(file, "PNG")
    rows.loc[rows.index[2], "image"] = file.getvalue()
    with pytest.raises(Refused, match="near_copies"):
        solvent.train(config(tmp_path, rows, **BY_PART), tmp_path / "bundle")


def test_without_patients_a_reason_is_demanded_and_shown(tmp_path):
    rows = ROWS.drop(columns="patient_id")
    given = config(tmp_path, rows)
    given["data"]["columns"].pop("patient")
    with pytest.raises(Refused, match="independent_rows"):
        solvent.train(given, tmp_path / "bundle")
    settings = Medical(**QUICK, independent_rows="the hospital sent one image of each patient")
    found = checks.checks(settings, rows.rename(columns={"diagnosis": "label"}))
    assert [item.name for item in found] == ["independent_rows"]
    assert "one image of each patient" in found[0].message


def test_the_intended_use_is_demanded_and_carried_everywhere(trained, tmp_path):
    given = config(tmp_path, ROWS)
    for nothing in (None, "", " ", " . "):
        given["intended_use"] = nothing
        with pytest.raises(Refused, match=r"intended_use: is missing.*not a medical device"):
            load(given)
    manifest = score.score(trained, trained.source(files_of(tmp_path / "scans", PEOPLE[:3])), tmp_path / "out.csv")
    for text in (
        (trained.path / "report.html").read_text(),
        (trained.path / "MODEL_CARD.md").read_text(),
        json.dumps(manifest),
    ):
        assert f"{USE}. Research use; not a medical device." in text


def test_a_folder_of_patients_is_scored_one_row_each_and_a_broken_image_sets_its_patient_aside(trained, tmp_path):
    folder = files_of(tmp_path / "scans", PEOPLE[:12])
    (folder / PEOPLE[4] / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    with pytest.raises(TooManyBadRows):
        score.score(trained, trained.source(folder), tmp_path / "scores.parquet")
    manifest = score.score(trained, trained.source(folder), tmp_path / "scores.parquet", max_bad=0.2, chunk_rows=5)
    found = pd.read_parquet(tmp_path / "scores.parquet")
    assert found["patient_id"].tolist() == [patient for patient in PEOPLE[:12] if patient != PEOPLE[4]]
    assert "image" not in found
    counts = {name: manifest[f"rows_{name}"] for name in ("read", "scored", "set_aside", "joined")}
    assert counts == {"read": 24, "scored": 11, "set_aside": 2, "joined": 11}
    said = CliRunner().invoke(
        cli.main, ["score", str(trained.path), str(folder), str(tmp_path / "by-command.csv"), "--max-bad", "0.2"]
    )
    assert said.stdout.startswith("11 rows scored, 11 joined to one of these, 2 set aside: ")
    table = ROWS[ROWS["patient_id"].isin(PEOPLE[:12])]
    apart = trained.score(table).groupby(table["patient_id"])
    assert (apart["probability"].nunique() == 1).all()
    whole = apart["probability"].first().loc[found["patient_id"]]
    np.testing.assert_allclose(found["probability"], whole, atol=1e-6)


def test_a_damaged_image_of_any_name_sets_its_patient_aside_and_is_not_passed_over(trained, tmp_path):
    """Scanners give their files no ending, or any: what is left of a patient would be another examination."""
    folder = files_of(tmp_path / "scans", PEOPLE[:6])
    (folder / PEOPLE[1] / "IM000001").write_bytes(b"\0" * 400)
    (folder / PEOPLE[2] / "0002.IMA").write_bytes(b"")
    manifest = score.score(trained, trained.source(folder), tmp_path / "scores.csv", max_bad=0.5)
    assert pd.read_csv(tmp_path / "scores.csv")["patient_id"].tolist() == [PEOPLE[place] for place in (0, 3, 4, 5)]
    assert manifest["rows_set_aside"] == 2 * 3
    aside = pd.read_parquet(tmp_path / manifest["quarantine"][0]["name"])["reasons"]
    assert [sum(word in why for why in aside) for word in ("IM000001", "0002.IMA", "is empty")] == [1, 1, 1]


def test_a_damaged_image_of_any_name_is_told_of_before_training_too(tmp_path):
    for diagnosis, part in ROWS.groupby("diagnosis"):
        (tmp_path / "scans" / diagnosis).mkdir(parents=True)
        for number, image in enumerate(part["image"].iloc[:20]):
            (tmp_path / "scans" / diagnosis / f"{number}.png").write_bytes(image)
    (tmp_path / "scans" / "benign" / "IM000020").write_bytes(b"")
    given = config(tmp_path, ROWS, {**QUICK, "independent_rows": "one image of each patient"})
    given["data"] = {"rows": str(tmp_path / "scans"), "max_bad": 0}
    with pytest.raises(Refused, match=r"1 of 41 rows can't be used.*\n.*IM000020.*is empty"):
        prepare(load(given))


def test_an_unreadable_image_fails_all_rows_of_its_patient_and_no_other(trained):
    rows = ROWS.head(8).copy()
    rows.loc[rows.index[2], "image"] = b"no image"
    found = trained.score(rows)
    assert found["error"].notna().tolist() == [False, False, True, True, False, False, False, False]
    assert found.loc[rows.index[[2, 3]]].drop(columns="error").isna().all(axis=None)


def test_sites_devices_sexes_and_ages_of_patients_are_watched_for_drift(trained, tmp_path):
    """The network does not see them, and its promises end with them."""
    known = trained.reference["inputs"]
    assert set(known) == {"site", "sex", "age", "device"}
    taught = trained.facts["data"]["parts"]["train"]["rows"]
    assert trained.reference["rows"] == taught / 2  # patients, each with two images
    rows = ROWS.head(200).assign(site="elsewhere", age=ROWS["age"] + 60)
    rows = pd.concat([rows, rows.iloc[[0] * 20]])  # one patient with many images counts once
    rows.to_parquet(tmp_path / "new.parquet")
    found = score.score(trained, trained.source(tmp_path / "new.parquet"), tmp_path / "out.csv")["drift"]
    assert (found["rows"], found["reference_rows"]) == (100, taught / 2)
    assert found["inputs"]["site"]["unseen"]["now"] == 1
    assert found["inputs"]["age"]["psi"] > 1 > found["inputs"]["device"]["psi"]


def test_evaluate_measures_patients_whatever_their_images(trained):
    measured = solvent.evaluate(trained, ROWS)
    assert measured["rows"] == len(PEOPLE)
    one_each = solvent.evaluate(trained, ROWS[~ROWS["patient_id"].duplicated()])
    assert one_each["rows"] == len(PEOPLE)
    difference = solvent.compare(trained, trained, ROWS.head(120))
    assert (difference["rows"], difference["difference"]["value"]) == (60, 0)


def test_intervals_are_over_patients_and_nothing_of_an_image_is_in_the_scores(trained):
    test = trained.facts["test"]
    assert test["rows"] == 60 or abs(test["rows"] - 60) <= 3  # patients of 300, not their 600 images
    scores = pd.read_parquet(trained.path / "test_scores.parquet")
    assert len(scores) == test["rows"]
    assert set(scores["entity"]) <= set(PEOPLE)
    assert scores["entity"].is_unique
    assert {"north", "south", "island"} <= {item["level"] for item in trained.facts["slices"]}


def test_a_network_in_another_form_is_calibrated_anew_by_the_patients_that_calibrated_it(trained, tmp_path):
    """The gate of `optimize` asks for the headline alone, which a shifted network keeps: it would flag everybody."""
    settings, fitted, valid = trained.settings, trained.fitted, validation.rows(trained)
    again = model.recalibrate(settings, fitted, trained.schema, valid)
    assert again["operating_point"] == pytest.approx(fitted.facts["operating_point"])
    shifted = replace(fitted, forms={"model": lambda batch: 2 * fitted.models["model"](batch) + 100})
    anew = replace(shifted, facts={**fitted.facts, **model.recalibrate(settings, shifted, trained.schema, valid)})
    cases = patients.cases(settings, valid)
    flagged = [model.scorer(settings, each)(cases)["flagged"].mean() for each in (fitted, shifted, anew)]
    assert flagged[1] == 1
    assert flagged[2] == pytest.approx(flagged[0], abs=0.02)

    bundle = Path(shutil.copytree(trained.path, tmp_path / "bundle"))
    record = optimize(bundle, "openvino-float32", max_drop=0.05)
    assert record["facts"]["operating_point"]["chosen_on"] == "validation patients, calibrating half"
    assert "set anew" in sentence(record)
    loaded = solvent.Bundle.load(bundle)
    assert loaded.fitted.facts["operating_point"] == record["facts"]["operating_point"]
    assert loaded.score(ROWS.head(4))["probability"].notna().all()


def test_explain_shows_two_ways_of_looking_and_random_weights_destroy_the_map(trained):
    rows = ROWS.head(16)
    explained = trained.explain(rows)
    for name in ("heat_map", "occlusion"):
        assert all(Image.open(io.BytesIO(cell)).size == (24, 24) for cell in explained[name])
    assert set(explained["explained"]) == {"malignant"}

    settings, fitted = trained.settings, trained.fitted
    shown = imaging.pixels(settings, fitted, list(rows["image"]))
    none = np.zeros(len(shown), int)
    ours = imaging.heat_maps(settings, fitted, shown, none, several=True)
    model = keras.models.clone_model(fitted.models["model"])
    random = np.random.default_rng(0)
    # Source: Adebayo et al., Sanity Checks for Saliency Maps, 2018
    model.set_weights([random.permutation(weight.ravel()).reshape(weight.shape) for weight in model.get_weights()])
    blind = solvent.Fitted(models={"model": model}, facts=fitted.facts, batch_rows=fitted.batch_rows)
    theirs = imaging.heat_maps(settings, blind, shown, none, several=True)
    alike = [_alike(first, second) for first, second in zip(ours, theirs, strict=True)]
    assert np.mean(alike) < 0.5
    again = imaging.heat_maps(settings, fitted, shown, none, several=True)
    np.testing.assert_allclose(again, ours, atol=1e-6)


def _alike(first, second):
    """The correlation of two maps; 0 where one is flat."""
    return 0.0 if first.std() == 0 or second.std() == 0 else np.corrcoef(first.ravel(), second.ravel())[0, 1]


def test_the_loss_counts_only_what_is_known():
    asked = Questions(Medical(findings=["edema", "mass"], backbone="cnn"))
    truth = np.array([[1, np.nan], [0, 1], [np.nan, np.nan]], np.float32)
    logits = np.array([[2.0, 9.0], [-1.0, 0.5], [3.0, -3.0]], np.float32)
    each = asked.loss().call(keras.ops.convert_to_tensor(truth), keras.ops.convert_to_tensor(logits))
    surprise = lambda logit: np.log1p(np.exp(-logit))  # noqa: E731  (of the truth)
    expected = [surprise(2.0), (surprise(1.0) + surprise(0.5)) / 2, 0.0]
    np.testing.assert_allclose(each, expected, rtol=1e-5)
    focal = Known(keras.losses.BinaryFocalCrossentropy(from_logits=True))
    assert np.all(np.asarray(focal.call(truth, logits)) <= np.asarray(each) + 1e-6)


def test_an_image_that_is_bytes_is_told_by_its_hash_where_it_is_set_aside(trained, tmp_path):
    """A file may say whose it is: the quarantine holds none."""
    rows = ROWS.head(4).copy()
    rows.loc[rows.index[0], "image"] = b"\0" * 128 + b"DICM Doe^Jane"
    rows.to_parquet(tmp_path / "new.parquet")
    manifest = score.score(trained, trained.source(tmp_path / "new.parquet"), tmp_path / "out.csv", max_bad=1)
    aside = pd.read_parquet(tmp_path / manifest["quarantine"][0]["name"])["image"]
    digest = hashlib.sha256(rows["image"].iloc[0]).hexdigest()
    assert aside.iloc[0] == f"141 bytes, sha256 {digest}"
    assert aside.str.contains("bytes, sha256 ").all()


def test_a_bundle_with_pictures_of_people_says_so(trained, caplog):
    assert trained.facts["personal"] == ["report.html", "test_scores.parquet"]
    card = (trained.path / "MODEL_CARD.md").read_text()
    assert "holds rows or pictures of people in: report.html, test_scores.parquet" in card.replace("\\", "")
    assert "rows or pictures of people" in (trained.path / "report.html").read_text()
    solvent.Bundle.load(trained.path)
    assert "holds rows or pictures of people in: report.html, test_scores.parquet" in caplog.text


def test_several_findings_are_learnt_where_they_are_known(tmp_path):
    random = np.random.default_rng(0)
    ill = (ROWS["diagnosis"] == "malignant").astype(float)
    mass = ill.mask(random.random(len(ROWS)) < 0.3)
    rows = ROWS.drop(columns="diagnosis").assign(mass=mass, old=(ROWS["device"] == "old").astype(int))
    settings = {key: value for key, value in QUICK.items() if key != "positive"} | {"findings": ["mass", "old"]}
    given = config(tmp_path, rows, settings)
    given["data"]["columns"] = {"patient": "patient_id"}
    bundle = solvent.train(given, tmp_path / "bundle")
    measured = bundle.facts["test"]["metrics"]
    assert measured["auc of mass"]["value"] > 0.8
    scores = pd.read_parquet(bundle.path / "test_scores.parquet")
    assert set(scores["truth_old"]) == {"0", "1"}
    assert scores["truth"].isin(["0", "1"]).mean() > 0.5
    assert set(bundle.facts["facts"]["questions"]) == {"mass", "old"}
    assert "unknown_findings" in {item["name"] for item in bundle.facts["findings"]}
    found = bundle.score(rows.drop(columns=["mass", "old"]).head(6))
    assert set(found["decision_mass"]) <= {"positive", "negative", "refer"}
    odd = given | {"data": given["data"] | {"allow": []}}
    rows.assign(mass="maybe").to_parquet(given["data"]["rows"])
    with pytest.raises(Refused, match="finding_values"):
        solvent.train(odd, tmp_path / "other")


def test_one_of_several_diagnoses_is_named_or_referred(tmp_path):
    rows = ROWS.assign(diagnosis=ROWS["diagnosis"] + " " + np.where(ROWS["age"] > 54, "old", "young"))
    settings = {key: value for key, value in QUICK.items() if key not in ("positive", "operating_point")}
    quick = {
        **settings,
        "training": {**QUICK["training"], "epochs": 1},
        "modality": "ultrasound",
        "deferral": {"coverage": 0.8, "views": 1},
        "sampling": "balanced",
    }
    bundle = solvent.train(config(tmp_path, rows, quick), tmp_path / "bundle")
    found = bundle.score(rows.head(10))
    pd.testing.assert_frame_equal(found, bundle.score(rows.head(10)))  # views are drawn by the image and the seed
    assert set(found["decision"]) <= {*rows["diagnosis"].unique(), "refer"}
    alone = found["prediction_set"].map(len) == 1
    assert ((found["decision"] != "refer") == alone).all()
    assert abs(bundle.facts["test"]["metrics"]["set_coverage"]["value"] - 0.8) < 0.2


def test_two_diagnoses_without_the_one_that_is_looked_for_are_refused():
    rows = ROWS.rename(columns={"diagnosis": "label", "patient_id": "patient"})
    for positive, words in ((None, "does not say"), ("cyst", "'cyst', and the diagnoses are")):
        found = checks.checks(Medical(backbone="cnn", positive=positive), rows)
        assert [(item.name, item.severity) for item in found] == [("no_positive", "refusal")]
        assert words in found[0].message
        assert "benign" in found[0].message


def test_patients_with_two_diagnoses_are_refused_unless_one_is_looked_for():
    rows = pd.DataFrame({"patient": ["a", "a", "b"], "label": ["x", "y", "z"], "image": [b"", b"", b""]})
    assert checks.checks(Medical(backbone="cnn"), rows)[0].severity == "refusal"
    others, mixed = checks.checks(Medical(backbone="cnn", positive="y"), rows)
    assert mixed.severity == "note"
    assert others.severity == "warning" and "not y counts as negative: x (1 image), z (1 image)." in others.message


def test_an_ensemble_is_the_mean_of_its_networks(tmp_path):
    quick = {**QUICK, "members": 2, "training": {**QUICK["training"], "epochs": 1}}
    rows = ROWS.drop(columns=["site", "sex", "age", "device"])
    bundle = solvent.train(config(tmp_path, rows, quick), tmp_path / "bundle")
    models, cells = bundle.fitted.models, list(ROWS["image"].head(6))
    assert sorted(models) == ["member-2", "model"] == sorted(bundle.facts["facts"]["meaning"])
    alone = [
        imaging.logits(bundle.settings, replace(bundle.fitted, models={"model": model}), cells, 0)[0]
        for model in models.values()
    ]
    assert np.abs(alone[0] - alone[1]).max() > 0.01
    np.testing.assert_allclose(imaging.logits(bundle.settings, bundle.fitted, cells, 0)[0], np.mean(alone, axis=0))


def test_made_images_are_tried_on_validation_patients_and_shown(tmp_path):
    quick = {**QUICK, "synthetic": {"share": 0.3, "epochs": 3}, "training": {**QUICK["training"], "epochs": 1}}
    bundle = solvent.train(config(tmp_path, ROWS, quick), tmp_path / "bundle")
    choice = bundle.facts["facts"]["choices"][-1]
    drawn, real = (int(word) for word in choice["what"].split() if word.isdigit())
    assert real == bundle.facts["data"]["parts"]["train"]["rows"]
    assert drawn == pytest.approx(0.3 * real, abs=2)
    without, beside = (tried["log_loss"] for tried in choice["tried"])
    assert (choice["won"] == "with") == (beside < without)
    assert Image.open(bundle.path / "made_images.png").size == (8 * 32, 2 * 32)
    assert "Made images" in (bundle.path / "report.html").read_text()


def test_an_image_that_is_shown_several_times_is_not_on_both_sides_of_the_autoencoder():
    cells = [str(number) for number in np.random.default_rng(0).integers(0, 50, 400)]
    held = made._held(cells, np.random.default_rng(1))
    assert 0 < held.mean() < 0.3
    sides = pd.Series(held).groupby(cells).nunique()
    assert (sides == 1).all()


def test_the_loss_of_the_autoencoder_is_the_papers():
    pixels = made.SIDE * made.SIDE * 3
    truth, again = np.zeros((1, pixels), np.float32), np.full((1, pixels), 0.1, np.float32)
    mean, log_variance = np.full((1, made.CODE), 2.0, np.float32), np.full((1, made.CODE), np.log(0.5), np.float32)
    found = made.Evidence().call(truth, np.hstack([again, mean, log_variance]))
    # the divergence of N(2, 0.5) from N(0, 1), for each number of the code
    divergence = made.CODE * 0.5 * (0.5 + 4 - 1 - np.log(0.5))
    np.testing.assert_allclose(found, [(pixels * 0.5 + divergence) / pixels], rtol=1e-5)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_admissible_and_say_why(name):
    changes, why = PRESETS[name]
    augmentation = Augmentation(**changes)
    assert len(why) > 60
    if name not in ("microscopy", "dermatoscopy"):
        assert augmentation.flip in ("none", "horizontal")
        assert augmentation.rotation <= 15
    if name in ("chest_xray", "ct", "mri"):
        assert augmentation.flip == "none"
    assert Medical(backbone="cnn", positive="x", modality=name).augmentation == augmentation
    assert (
        Medical(backbone="vgg16", positive="x", modality=name).augmentation == Augmentation()
    )  # reads each image once
    assert Medical(backbone="cnn", modality=name, augmentation={"zoom": 0.2}).augmentation.flip == "none"
    # from the image on in the last stage
    assert Medical(backbone="vgg16", modality=name, fine_tune={"blocks": 5}).augmentation == augmentation
    assert Medical(backbone="vgg16", modality=name, fine_tune={"blocks": 4}).augmentation == Augmentation()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"positive": "x", "findings": ["y"]}, "findings are each looked for"),
        ({"combine": "worst"}, "none is the worst"),
        ({"operating_point": {"sensitivity": 0.9, "specificity": 0.9}}, "one of them"),
        ({"operating_point": {"sensitivity": 0.95}}, "nothing is flagged"),
        ({"operating_point": {"prevalence": 0.01}, "findings": ["x"]}, "each finding has its own"),
        ({"operating_point": {"prevalence": {"y": 0.01}}, "findings": ["x"]}, "with names of findings"),
        ({"operating_point": {"prevalence": {"x": 0.01}}, "positive": "x"}, "as in prevalence: 0.01"),
        ({"operating_point": {"prevalence": {"x": 1.5}}, "findings": ["x"]}, "less than 1"),
        ({"findings": ["x"], "sampling": "balanced"}, "not for several findings"),
        ({"sampling": "balanced", "training": {"class_weight": "balanced"}}, "leave one out"),
        ({"independent_rows": "yes"}, "at least 10 characters"),
        ({"deferral": {"views": 4}}, "augmentation"),
        ({"members": 3, "synthetic": {}}, "leave members out"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(given, words):
    with pytest.raises(ValidationError, match=words):
        Medical(backbone="cnn", **given)


def test_a_group_in_which_the_model_is_worse_is_marked_and_no_other():
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"site": random.choice(["a", "b", "c"], 900), "age": random.uniform(20, 90, 900)})
    truth = random.integers(0, 2, 900).astype(float)
    sure = np.where(rows["site"] == "c", 0.3, 2.5)
    chance = 1 / (1 + np.exp(-(2 * truth - 1) * sure - random.normal(0, 1.2, 900)))
    flagged = chance >= 0.5
    sets = [["positive"] if yes else ["negative"] for yes in flagged]
    words = np.where(flagged, "positive", "negative")
    scored = pd.DataFrame(
        {"decision": words, "probability": chance, "flagged": flagged, "confidence": chance, "prediction_set": sets}
    )
    found = list(subgroups.of_question(truth, rows, scored, ""))
    worse = {(group.column, group.level) for group in found if "sensitivity" in group.worse and "auc" in group.worse}
    assert worse == {("site", "c")}
    part = rows["site"] == "a"
    alone = of_question(truth[part], scored[part])
    first = next(group for group in found if group.level == "a")
    assert first.measured["auc"].value == pytest.approx(metrics.point(alone["auc"]))
    assert first.measured["auc"].low < first.measured["auc"].value < first.measured["auc"].high


def test_a_group_in_which_diagnoses_are_named_worse_is_marked_and_small_ones_are_said_to_be_left_out():
    random = np.random.default_rng(1)
    site = random.choice(["a", "b", "c"], 600, p=[0.5, 0.48, 0.02])
    truth = random.integers(0, 3, 600)
    chance = random.dirichlet([1, 1, 1], 600) * 0.2
    chance[np.arange(600), np.where((site == "b") & (random.random(600) < 0.5), (truth + 1) % 3, truth)] += 0.8
    names = np.array(["x", "y", "z"])
    said = names[chance.argmax(axis=1)]
    scored = pd.DataFrame({"class": said, "decision": said, "prediction_set": [[name] for name in said]})
    scored = scored.assign(**{f"probability_{name}": chance[:, place] for place, name in enumerate(names)})
    found = list(subgroups.of_diagnoses(pd.DataFrame({"site": site, "label": names[truth]}), scored))
    assert {group.level: set(group.worse) for group in found} == {
        "a": set(),
        "b": {"auc", "accuracy", "set_coverage"},
        "c": set(),
    }
    alone = found[0].measured["accuracy"].value
    assert alone == pytest.approx((said == names[truth])[site == "a"].mean())
    figure = next(figure for figure in forests("", found) if figure.title == "Accuracy by group")
    assert "worse than for all others in site b" in figure.caption
    assert "fewer than 20 of their patients count: site c" in figure.caption


def test_all_findings_have_their_groups_in_one_table():
    """Those too whose curves are not drawn."""
    random = np.random.default_rng(2)
    rows = pd.DataFrame({"site": random.choice(["a", "b"], 400)})
    names = [f"finding {number}" for number in range(6)]
    found = {}
    for place, name in enumerate(names):
        truth = random.integers(0, 2, 400).astype(float)
        blind = (rows["site"] == "b").to_numpy() & (place == 5)
        chance = np.where(blind, 0.5, 0.2 + 0.6 * truth)
        sets = [["positive"] if yes else ["negative"] for yes in truth]
        scored = pd.DataFrame(
            {"decision": "x", "probability": chance, "flagged": chance > 0.6, "confidence": 1.0, "prediction_set": sets}
        )
        found[name] = list(subgroups.of_question(truth, rows, scored, ""))
    auc, sensitivity = tables(found, drawn=names[:4])
    assert "Warning: worse in site b (finding 5)." in auc.caption
    assert "drawn of finding 4, finding 5." in auc.caption
    assert "site b (finding 5)" in sensitivity.caption
    axes = matplotlib.figure.Figure().subplots()
    auc.draw(axes)
    assert sorted(text.get_text() for text in axes.texts) == ["0.50", *["1.00"] * 11]


def of_findings(truth: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Patients with the findings a, b, ... and how they were answered: each finding rightly, from 0.5 on."""
    names = [chr(ord("a") + place) for place in range(truth.shape[1])]
    rows, scored = pd.DataFrame(truth, columns=names).assign(site="x"), {}
    for name, own in zip(names, np.nan_to_num(truth).T, strict=True):
        words = np.where(own == 1, "positive", "negative")
        scored |= {f"probability_{name}": 0.2 + 0.6 * own, f"flagged_{name}": own == 1, f"decision_{name}": words}
        scored |= {f"confidence_{name}": 0.8, f"prediction_set_{name}": [[word] for word in words]}
    return rows, pd.DataFrame(scored)


def drawn(settings, rows, scored, value, monkeypatch):
    """The figures that show no images, each with the axes that it drew on."""
    for name in ("photos", "made_images"):
        monkeypatch.setattr(figures, name, lambda *_: [])
    point = {"value": value, "rule": "by hand", "chosen_on": "nothing"}
    facts = {"questions": {name: {"operating_point": point} for name in settings.findings}}
    found = []
    for figure in figures.figures(settings, solvent.Fitted(models={}, facts=facts), rows, scored):
        axes = matplotlib.figure.Figure().subplots()
        figure.draw(axes)
        found.append((figure, axes))
    return found


def test_a_finding_that_is_known_of_no_test_patient_is_named_and_not_drawn(monkeypatch):
    truth = np.random.default_rng(0).integers(0, 2, (80, 6)).astype(float)
    truth[:, 0] = np.nan
    rows, scored = of_findings(truth)
    settings = Medical(findings=list("abcdef"), backbone="cnn")
    assert np.isnan(metrics.point(measures.metrics(settings, rows, scored)["auc of a"]))
    found = {figure.title: figure for figure, _ in drawn(settings, rows, scored, 0.5, monkeypatch)}
    assert [title for title in found if title.startswith("Decision curve")] == [
        f"Decision curve: {name}" for name in "bcde"
    ]
    assert found["ROC curves"].caption == (
        "Test patients for whom the finding is known; 5 of 6 findings. Not known for any test patient, and so not "
        "measured: a."
    )
    nothing = np.full((80, 2), np.nan)
    assert drawn(Medical(findings=["a", "b"], backbone="cnn"), *of_findings(nothing), 0.5, monkeypatch) == []


def test_no_operating_point_is_marked_where_patients_were_flagged_by_those_of_folds(monkeypatch):
    rows, scored = of_findings(np.random.default_rng(0).integers(0, 2, (80, 1)).astype(float))
    for value, marked in ((0.5, True), (0.1, False)):
        found = drawn(Medical(findings=["a"], backbone="cnn"), rows, scored, value, monkeypatch)
        curve, axes = next(item for item in found if item[0].title == "Decision curve: a")
        assert ("operating point" in [line.get_label() for line in axes.lines]) == marked
        assert ("The operating point is" in curve.caption) == marked


def test_heat_maps_are_left_out_where_the_network_has_seen_the_patients(monkeypatch):
    rows, scored = of_findings(np.random.default_rng(0).integers(0, 2, (80, 1)).astype(float))
    shown = solvent.Figure(title="Referred: where it looked", caption="", draw=lambda axes: None)
    monkeypatch.setattr(figures, "photos", lambda *_: [shown])
    facts = {"questions": {"a": {"operating_point": {"value": 0.5, "rule": "", "chosen_on": ""}}}}
    found = figures.figures(
        Medical(findings=["a"], backbone="cnn"), solvent.Fitted(models={}, facts=facts), rows, scored
    )
    assert [figure.title for figure in found if figure.unseen] == [shown.title]


def test_rare_levels_are_one_group_and_none_is_left_out():
    sites = pd.Series([f"site {number}" for number in range(12) for _ in range(12 - number)])
    found = levels_of(sites)
    assert found.notna().all()
    assert len(found.cat.categories) == 9
    assert (found == "4 other levels").sum() == 4 + 3 + 2 + 1


def test_ages_stand_in_bands_and_a_missing_one_in_none():
    bands = levels_of(pd.Series([*range(1, 101), np.nan]))
    assert bands.value_counts().tolist() == [25, 25, 25, 25]
    assert bands.cat.categories.tolist() == ["up to 25", "over 25 to 50", "over 50 to 75", "over 75"]
    assert pd.isna(bands.iloc[-1])


def test_a_folder_of_dicom_files_is_scored_one_row_a_patient_and_no_element_is_written(trained, tmp_path):
    data = pytest.importorskip("pydicom.data")
    pydicom = pytest.importorskip("pydicom")
    for patient, names in {
        "p1": ["CT_small.dcm", "MR_small.dcm"],
        "p2": ["MR_small.dcm"],
        "p3": ["CT_small.dcm"],
    }.items():
        (tmp_path / "scans" / patient).mkdir(parents=True)
        for name in names:
            (tmp_path / "scans" / patient / name).write_bytes(Path(data.get_testdata_file(name)).read_bytes())
    broken = tmp_path / "scans" / "p3" / "CT_small.dcm"
    broken.write_bytes(broken.read_bytes()[:1000])
    with pytest.raises(TooManyBadRows, match=r"still identifies a person: .*PatientName"):  # as in training
        score.score(trained, trained.source(tmp_path / "scans"), tmp_path / "none.csv", max_bad=0.5)
    allowed = replace(trained, settings=trained.settings.model_copy(update={"identifying": "allow"}))
    manifest = score.score(allowed, trained.source(tmp_path / "scans"), tmp_path / "scores.csv", max_bad=0.5)
    found = pd.read_csv(tmp_path / "scores.csv")
    assert found["patient_id"].tolist() == ["p1", "p2"]
    assert (manifest["rows_scored"], manifest["rows_set_aside"]) == (2, 1)
    aside = pd.read_parquet(tmp_path / manifest["quarantine"][0]["name"])
    assert aside["patient_id"].tolist() == ["p3"]
    assert "CT_small.dcm" in aside["reasons"][0]
    written = "".join(
        path.read_bytes().decode("latin-1") for path in tmp_path.glob("*") if path.is_file() and path != broken
    )
    for name in ("CT_small.dcm", "MR_small.dcm"):
        file = pydicom.dcmread(data.get_testdata_file(name))
        for keyword in ("PatientID", "PatientName", "InstitutionName", "StudyInstanceUID"):
            if str(file.get(keyword, "")):
                assert str(file[keyword].value) not in written
