"""Vision: from a stranger's folder of photos to scores; transfer on cached features; settings that fit together."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from pydantic import ValidationError

import solvent
from solvent import Data, Refused, devices, startup, tables
from solvent.schema import Schema
from solvent_vision.sample import surfaces
from solvent_vision.settings import Vision, columns

startup.tensorflow()

import keras  # noqa: E402

from solvent import finetune, images, score, transfer  # noqa: E402
from solvent_vision import model  # noqa: E402

ROWS = surfaces(5).rows


def photos(folder: Path, rows: pd.DataFrame, by: str = "defect") -> Path:
    """The sample's photos as files, one folder for each class."""
    for part, label, photo in zip(rows["part"], rows[by], rows["photo"], strict=True):
        path = folder / str(label) / f"{part}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo)
    return folder


SIX_LINES = """solution: vision
data:
  rows: photos
settings:
  backbone: cnn
  training: {epochs: 5, learning_rate: 0.005, batch_size: 16}
"""


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """What a stranger has: photos in folders, one of them broken, one in another format; a config of six lines."""
    folder = tmp_path_factory.mktemp("stranger")
    photos(folder / "photos", ROWS.head(150))
    (folder / "photos" / "pit" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    Image.fromarray(np.full((50, 70), 90, np.uint16) * 257).save(folder / "photos" / "clean" / "grey.tif")
    assert len(SIX_LINES.splitlines()) == 6
    (folder / "config.yaml").write_text(SIX_LINES)
    sizes = ["settings.size=24", "settings.augmentation={flip: both}"]
    bundle = solvent.train(folder / "config.yaml", folder / "bundle", changes=sizes)
    return folder, bundle


def test_a_strangers_folder_trains_with_six_lines_and_says_what_was_set_aside(stranger):
    folder, bundle = stranger
    assert bundle.facts["data"]["rows"] == 152
    assert sum(bundle.facts["data"]["set_aside"][part] for part in ("train", "valid", "test")) == 1
    finding = next(item for item in bundle.facts["findings"] if item["name"] == "rows_set_aside")
    assert "broken.jpg" in finding["message"]
    assert bundle.facts["facts"]["classes"] == ["clean", "pit", "scratch", "stain"]
    assert f"{folder}/photos" not in (bundle.path / "bundle.json").read_text(), "where photos lie is nobody's business"


def test_a_folder_is_scored_photo_by_photo_and_a_broken_one_is_set_aside(stranger, tmp_path):
    _, bundle = stranger
    new = photos(tmp_path / "new", ROWS.tail(20), by="part")
    (new / "broken.png").write_bytes(b"nothing")
    manifest = score.score(bundle, bundle.source(str(new)), tmp_path / "scores", max_bad=0.1)
    assert (manifest["rows_scored"], manifest["rows_set_aside"]) == (20, 1)
    scores = pd.read_parquet(next((tmp_path / "scores").glob("part-*.parquet")))
    assert scores["image"].tolist() == [f"{part}/{part}.png" for part in sorted(ROWS.tail(20)["part"])]
    aside = pd.read_parquet(next((tmp_path / "scores" / "quarantine").glob("*.parquet")))
    assert aside["reasons"].iloc[0].endswith("is no image of a known format (JPEG, PNG, BMP, GIF, TIFF, WebP)")
    named = scores.set_index("image")
    other = bundle.score(pd.DataFrame({"image": ["P.png"]}), folder=tmp_path)
    assert "there is no such file" in other["error"].iloc[0]
    one = named.index[7]
    alone = bundle.score(pd.DataFrame({"image": [one]}), folder=new)
    assert alone["probability_pit"].iloc[0] == pytest.approx(named.loc[one, "probability_pit"], abs=1e-6)


def test_bytes_and_paths_score_alike(stranger, tmp_path):
    _, bundle = stranger
    rows = ROWS.tail(8)
    new = photos(tmp_path, rows, by="part")
    paths = pd.DataFrame({"image": [f"{part}/{part}.png" for part in rows["part"]]})
    by_path, by_bytes = bundle.score(paths, folder=new), bundle.score(rows.rename(columns={"photo": "image"}))
    np.testing.assert_array_equal(by_path.drop(columns=["class", "error"]), by_bytes.drop(columns=["class", "error"]))


def test_averaging_augmented_views_changes_scores_a_little_and_the_same_way_each_time(stranger):
    _, bundle = stranger
    settings = Vision(**{**bundle.facts["settings"], "scoring": {"views": 3}})
    rows = pd.DataFrame({"image": [*ROWS["photo"].tail(40), b"broken"]})
    plain, views = (model.scorer(each, bundle.fitted)(rows) for each in (bundle.settings, settings))
    again = model.scorer(settings, bundle.fitted)(rows.iloc[20:30])
    numbers = [name for name in plain if name.startswith("probability_")]
    gap = (plain[numbers] - views[numbers]).abs().to_numpy()[:-1]
    assert 1e-4 < gap.max() < 0.8
    np.testing.assert_allclose(again[numbers], views[numbers].iloc[20:30], atol=1e-6)
    assert views["error"].notna().tolist() == [False] * 40 + [True]
    assert views.iloc[-1][numbers].isna().all()


def test_explain_gives_a_heat_map_in_the_size_that_the_network_reads(stranger):
    _, bundle = stranger
    found = bundle.explain(pd.DataFrame({"image": [*ROWS["photo"].tail(3), b"broken"]}))
    assert found["error"].notna().tolist() == [False, False, False, True]
    assert images.decode(found["heat_map"].iloc[0]).shape == (24, 24, 3)
    assert set(found["explained_class"].dropna()) <= set(bundle.facts["facts"]["classes"])


def test_a_folder_that_is_cut_already_is_trained_and_tested_as_it_is(tmp_path):
    photos(tmp_path / "photos" / "train", ROWS.head(60))
    photos(tmp_path / "photos" / "val", ROWS.iloc[60:90])
    photos(tmp_path / "photos" / "test", ROWS.iloc[90:110])
    config = yaml.safe_load(SIX_LINES)
    config["settings"] |= {"backbone": "mlp", "size": 8, "training": {"epochs": 1}}
    config["data"]["rows"] = str(tmp_path / "photos")
    bundle = solvent.train(config, tmp_path / "bundle")
    sizes = {part: about["rows"] for part, about in bundle.facts["data"]["parts"].items()}
    assert sizes == {"train": 60, "valid": 30, "test": 20}
    assert bundle.facts["data"]["split"]["given"]
    for photo in (tmp_path / "photos" / "val").rglob("*.png"):
        photo.rename(tmp_path / "photos" / "train" / photo.parent.name / photo.name)
    for left in sorted((tmp_path / "photos" / "val").rglob("*"), reverse=True):
        left.rmdir()
    uncut = solvent.train(config, tmp_path / "uncut")
    sizes = {part: about["rows"] for part, about in uncut.facts["data"]["parts"].items()}
    assert sizes["train"] + sizes["valid"] == 90, "validation rows are cut from train, and no row is lost"
    assert sizes["test"] == 20
    photos(tmp_path / "photos" / "val", ROWS.iloc[60:90])
    with pytest.raises(Refused, match=r"is cut into test, train, val already, and data\.split says how to cut it"):
        solvent.train({**config, "data": {**config["data"], "split": {"by": "random"}}}, tmp_path / "other")


def test_a_smaller_network_learns_from_a_larger_one(stranger, tmp_path):
    folder, teacher = stranger
    config = yaml.safe_load(SIX_LINES)
    config["data"]["rows"] = str(folder / "photos")
    config["settings"] |= {
        "backbone": "mlp",
        "size": 8,
        "training": {"epochs": 2},
        "distill": {"teacher": str(teacher.path), "weight": 0.5, "temperature": 2},
    }
    student = solvent.train(config, tmp_path / "student")
    assert student.facts["parameters"] < teacher.facts["parameters"]
    own = solvent.train({**config, "settings": {**config["settings"], "distill": None}}, tmp_path / "own")
    assert not np.array_equal(*(each.fitted.models["model"].get_weights()[-1] for each in (student, own)))
    config["settings"]["distill"]["teacher"] = str(tmp_path / "own")
    other = ROWS.assign(defect=np.where(ROWS["defect"] == "pit", "hole", ROWS["defect"])).head(150)
    config["data"]["rows"] = str(photos(tmp_path / "others", other))
    with pytest.raises(Refused, match=r"expected one of images for \['clean', 'hole', 'scratch', 'stain'\]"):
        solvent.train(config, tmp_path / "refused")


def test_the_loss_of_distillation_is_the_papers():
    from solvent_vision.teacher import Distillation

    truth, teacher, logits = np.eye(3)[[1]], np.array([[2.0, 1.0, 0.0]]), np.array([[0.5, 0.2, -0.3]])
    softmax = lambda z: np.exp(z) / np.exp(z).sum()  # noqa: E731
    hard = -np.log(softmax(logits[0])[1])
    soft = -(softmax(teacher[0] / 4) * np.log(softmax(logits[0] / 4))).sum()
    loss = Distillation(3, 0.7, 4.0, 0.0)(np.hstack([truth, teacher]), logits)
    assert float(loss) == pytest.approx(0.7 * 16 * soft + 0.3 * hard, rel=1e-5)


# Transfer


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A weights file of VGG16, drawn at random: it stands for the real one, which tests can't have."""
    keras.utils.set_random_seed(7)
    path = tmp_path_factory.mktemp("weights") / "vgg16.weights.h5"
    keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3)).save_weights(path)
    return path


def data(tmp_path: Path, settings: Vision) -> Data:
    rows = ROWS.rename(columns={"photo": "image", "defect": "label"}).drop(columns="part")
    schema = Schema.declare(columns(settings), {}, list(rows), table="made").learn(rows.head(96))
    return Data(rows.head(96), rows.iloc[96:160], schema, {}, 0, tmp_path)


def fitted(tmp_path, monkeypatch, **settings):
    monkeypatch.setenv("SOLVENT_CACHE", str(tmp_path / "cache"))
    chosen = Vision(**{"backbone": "vgg16", "size": 32, "training": {"epochs": 3}, **settings})
    given = data(tmp_path, chosen)
    with devices.scope(devices.Device(seed=0)):
        return chosen, given, model.fit(chosen, given)


def test_what_is_trained_on_cached_features_is_what_the_whole_network_gives(tmp_path, monkeypatch, pretrained):
    settings, given, found = fitted(tmp_path, monkeypatch, weights=str(pretrained))
    whole = model.scorer(settings, found)(given.valid).drop(columns=["class", "error"])
    np.testing.assert_allclose(whole, found.valid.drop(columns="class"), atol=6e-2)
    network = found.models["model"]
    original = transfer.build("vgg16", str(pretrained), 32, seed=0)
    for layer in original.layers:
        for ours, theirs in zip(network.get_layer(layer.name).weights, layer.weights, strict=True):
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_fine_tuning_trains_the_last_blocks_only_and_keeps_what_helps(tmp_path, monkeypatch, pretrained):
    tuning = {"blocks": 2, "training": {"epochs": 3, "learning_rate": 3e-6}}
    barely = {"epochs": 1, "learning_rate": 1e-4}
    settings, given, found = fitted(
        tmp_path, monkeypatch, weights=str(pretrained), training=barely, fine_tune=tuning, head={"dropout": [0.2]}
    )
    choices = [choice for choice in found.facts["choices"] if "blocks trained too" in choice["what"]]
    assert choices[0]["what"] == "the last 1 blocks trained too"
    kept = sum(choice["won"] == "after" for choice in choices)
    assert kept >= 1
    assert all(choice["won"] == "after" for choice in choices[:-1]), "a stage that does not help ends it"
    for choice in choices:
        before, after = (each["log_loss"] for each in choice["tried"])
        assert (choice["won"] == "after") == (after < before)
    original = transfer.build("vgg16", str(pretrained), 32, seed=0)
    changed = {
        layer.name[:6]
        for layer in original.layers
        for ours, theirs in zip(found.models["model"].get_layer(layer.name).weights, layer.weights, strict=True)
        if not np.array_equal(ours.numpy(), theirs.numpy())
    }
    assert changed == {f"block{5 - number}" for number in range(kept)}
    whole = model.scorer(settings, found)(given.valid).drop(columns=["class", "error"])
    np.testing.assert_allclose(whole, found.valid.drop(columns="class"), atol=6e-2)


def test_deeper_blocks_learn_slower():
    backbone = transfer.build("cnn", "none", 16, seed=0)
    depths = transfer.depth_of(backbone, transfer.backbone("cnn").blocks)
    assert set(depths.values()) == {1, 2, 3}
    assert depths["block3_conv1/kernel"] < depths["block2_conv1/kernel"] < depths["block1_conv1/kernel"]


def test_frozen_features_of_a_backbone_without_weights_are_pixels():
    settings = Vision(backbone="cnn", size=24)
    found = finetune.frozen_features(settings, list(ROWS["photo"].head(3)), 0)
    assert found.shape == (3, 16 * 16 * 3)
    assert 0 <= found.min() < found.max() <= 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"backbone": "vgg61"}, "expected one of vgg16"),
        ({"backbone": "cnn", "weights": "imagenet"}, "write weights: none"),
        ({"head": {"blocks": 9}}, "head.blocks: the backbone vgg16 has 5 blocks"),
        ({"fine_tune": {"blocks": 6}}, "fine_tune.blocks: the backbone vgg16 has 5 blocks"),
        ({"views": 2}, "views: augmentation is off"),
        ({"augmentation": {"flip": "both"}}, "a frozen backbone reads each image once, as it is; set views: 4"),
        ({"size": 16}, "size: the backbone vgg16 takes images of 32 pixels and more"),
        ({"head": {"dropout": [1.0]}}, "less than 1"),
        ({"labels": "several", "check_labels": "always"}, "check_labels: not for images of several labels"),
        ({"fine_tune": {"training": {"class_weight": "balanced"}}}, "are said in training, for all stages"),
        ({"augmentation": {"mixup": 0.2}}, "mixup and cutmix mix images"),
        ({"labels": "several", "distill": {"teacher": "x"}}, "not for images of several labels"),
        ({"training": {"refit": True}}, "does not fit on validation rows"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(given, words):
    with pytest.raises(ValidationError, match=words):
        Vision(**given)


def test_a_whole_backbone_that_is_trained_may_mix():
    assert Vision(fine_tune={"blocks": 5}, augmentation={"mixup": 0.2}).augmentation.mixup == 0.2
    assert Vision(backbone="cnn").weights == "none"


def test_other_weights_are_refused_with_the_cure(tmp_path, monkeypatch):
    with pytest.raises(Refused, match=r"there is no file .*gone.h5. Name one, or set weights: imagenet"):
        fitted(tmp_path, monkeypatch, weights=str(tmp_path / "gone.h5"))


def test_weights_that_cannot_be_had_are_told_before_a_photo_is_read(tmp_path):
    """The one photo here is none, which would be refused too."""
    (tmp_path / "photos" / "a").mkdir(parents=True)
    (tmp_path / "photos" / "a" / "a.png").write_bytes(b"none")
    others = tmp_path / "others.weights.h5"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save_weights(others)
    for weights, says in ((tmp_path / "gone.h5", "there is no file"), (others, "doesn't fit the backbone vgg16")):
        settings = {"weights": str(weights), "size": 32}
        given = {"solution": "vision", "data": {"rows": str(tmp_path / "photos")}, "settings": settings}
        with pytest.raises(Refused, match=f"^weights: .*{says}"):
            solvent.train(given, tmp_path / "bundle")


def test_what_comes_from_outside_is_known_by_its_contents(stranger, pretrained, tmp_path):
    settings = {"weights": str(pretrained), "size": 32, "distill": {"teacher": str(stranger[1].path)}}
    found = model.outside(Vision(**settings))
    moved = tmp_path / pretrained.name
    moved.write_bytes(pretrained.read_bytes())
    assert model.outside(Vision(**{**settings, "weights": str(moved)})) == found
    network = transfer.build("vgg16", str(pretrained), 32, seed=0)
    bias = network.get_layer("block1_conv1").weights[1]
    bias.assign(bias + 1e-3)
    changed = tmp_path / "changed.weights.h5"
    network.save_weights(changed)
    other = model.outside(Vision(**{**settings, "weights": str(changed)}))
    assert other["weights"] != found["weights"] and other["distill.teacher"] == found["distill.teacher"]
    assert found["distill.teacher"] == stranger[1].sha256
    assert model.outside(Vision(backbone="cnn")) == {}


def test_a_bundle_says_what_its_network_takes_and_gives(stranger):
    meaning = stranger[1].facts["facts"]["meaning"]["model"]
    assert meaning["image"].startswith("pixels of 0 to 255") and "R, G, B" in meaning["image"]
    assert "softmax(logits / facts.calibration.temperature)" in meaning["output_0"]
    assert set(meaning) == {"image", "output_0"}


def test_photos_in_a_table_stay_where_they_are(tmp_path):
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    (tmp_path / "a.png").write_bytes(file.getvalue())
    rows = pd.DataFrame({"image": ["a.png"], "label": ["x"]})
    tables.write(rows, tmp_path / "rows.csv")
    schema = Schema.declare(columns(Vision()), {}, list(rows), table="made")
    found = schema.rename(rows, table_name="made", targets=True, folder=tables.folder(tmp_path / "rows.csv"))
    assert found["image"].tolist() == [str(tmp_path / "a.png")]


# TensorFlow must be told of logical CPUs before it starts, so this needs a process of its own.
MIRRORED = """
import json, os, sys
from pathlib import Path
from solvent import startup
startup.tensorflow()
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import pandas as pd
from solvent import Data, bundle, devices
from solvent.schema import Schema
from solvent_vision.model import fit
from solvent_vision.settings import Vision, columns

# without dropout, whose draws each replica makes for itself
settings = Vision(backbone="cnn", size=16, head={"dropout": [0]}, augmentation={"flip": "both", "rotation": 20},
                  training={"epochs": 2, "batch_size": 16, "learning_rate": 1e-3})
rows = pd.read_parquet(sys.argv[1])
schema = Schema.declare(columns(settings), {}, list(rows), table="made").learn(rows.head(48))

def trained(strategy, precision="float32"):
    data = Data(rows.head(48), rows.iloc[48:80], schema, {}, 0, Path(sys.argv[2], strategy + precision))
    with devices.scope(devices.Device(strategy=strategy, precision=precision)) as placement:
        return placement.replicas, bundle.as_saved(fit(settings, data))

(one, single), (two, mirrored) = trained("cpu"), trained("mirrored")
gaps = [abs(a - b).max() for a, b in zip(*(f.models["model"].get_weights() for f in (single, mirrored)), strict=True)]
_, mixed = trained("cpu", "mixed_bfloat16")
policies = sorted({layer.dtype_policy.name for layer in mixed.models["model"].layers})
print(json.dumps({"replicas": [one, two], "gap": float(max(gaps)), "policies": policies}), flush=True)
os._exit(0)  # TensorFlow takes ten seconds to end a process that has mirrored
"""


def test_mirrored_training_equals_a_single_device_and_a_mixed_bundle_is_float32(tmp_path):
    rows = ROWS.rename(columns={"photo": "image", "defect": "label"}).drop(columns="part")
    rows.head(80).to_parquet(tmp_path / "rows.parquet")
    program = [sys.executable, "-c", MIRRORED, str(tmp_path / "rows.parquet"), str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["replicas"] == [1, 2]
    assert found["gap"] < 1e-4
    assert found["policies"] == ["float32"]
