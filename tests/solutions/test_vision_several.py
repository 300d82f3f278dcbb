"""Images with several labels: one short training on drawn shapes, from the table to scores, metrics and report."""

import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

import solvent
from solvent import Bundle
from solvent.run import compare, evaluate
from solvent.score import score

SHAPES = ["bar", "disc", "ring"]
CONFIG = {
    "solution": "vision",
    "data": {"rows": "rows.parquet", "columns": {"image": "photo", "label": "shapes", "id": "part"}},
    "settings": {
        "labels": "several",
        "backbone": "cnn",
        "size": 16,
        "training": {"epochs": 6, "batch_size": 16, "learning_rate": 0.005},
    },
}


def photo(random: np.random.Generator, shapes: list[str]) -> bytes:
    image = Image.new("L", (32, 32), 90)
    draw = ImageDraw.Draw(image)
    for name in shapes:
        x, y = random.integers(9, 23, 2).tolist()
        if name == "bar":
            draw.line([x - 8, y - 8, x + 8, y + 8], fill=230, width=4)
        elif name == "disc":
            draw.ellipse([x - 5, y - 5, x + 5, y + 5], fill=10)
        else:
            draw.ellipse([x - 7, y - 7, x + 7, y + 7], outline=230, width=3)
    noisy = np.clip(np.asarray(image) + random.normal(0, 8, (32, 32)), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "PNG")
    return file.getvalue()


def drawn(count: int, seed: int) -> pd.DataFrame:
    """Photos with none, one or two of the shapes; rings are rare."""
    random = np.random.default_rng(seed)
    sizes = random.choice([0, 1, 2], count, p=[0.15, 0.5, 0.35])
    chosen = [sorted(random.choice(SHAPES, size, replace=False, p=[0.45, 0.4, 0.15]).tolist()) for size in sizes]
    rows = {"part": [f"P{number}" for number in range(count)], "photo": [photo(random, each) for each in chosen]}
    return pd.DataFrame({**rows, "shapes": pd.Series(chosen, dtype=object)})


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("shapes")
    rows = drawn(160, seed=0)
    rows["shapes"] = rows["shapes"].map(json.dumps)
    rows.loc[7, "shapes"] = '["bar", "disc"'  # a bracket is missing
    rows.to_parquet(folder / "rows.parquet")
    (folder / "config.json").write_text(json.dumps(CONFIG))  # JSON is YAML too
    return solvent.train(folder / "config.json", folder / "bundle")


def test_it_learns_and_is_measured_as_a_whole_and_class_by_class(bundle: Bundle) -> None:
    found = bundle.facts["test"]["metrics"]
    assert found["average_precision"]["value"] > 0.9
    assert found["average_precision"]["value"] > bundle.facts["test"]["baseline"]["average_precision"]["value"]
    for name in SHAPES:
        for metric in ("precision", "recall", "f1", "average_precision"):
            assert 0.5 < found[f"{metric} of {name}"]["value"] <= 1, (metric, name)
    means = np.mean([found[f"average_precision of {name}"]["value"] for name in SHAPES])
    assert found["average_precision"]["value"] == pytest.approx(means)


def test_a_row_whose_labels_cannot_be_read_is_set_aside(bundle: Bundle) -> None:
    aside = bundle.facts["data"]["set_aside"]
    assert sum(aside[part] for part in ("train", "valid", "test")) == 1
    assert "shapes: … is not a list" in next(iter(aside["reasons"]))


def test_each_class_has_a_threshold_and_a_share(bundle: Bundle) -> None:
    point = bundle.facts["facts"]["operating_point"]
    assert list(point["value"]) == SHAPES
    assert all(0 < value < 1 for value in point["value"].values())
    shares = bundle.facts["data"]["parts"]["train"]["target"]
    assert list(shares) == SHAPES
    assert 0.1 < shares["ring"] < min(shares["disc"], shares["bar"])
    assert sum(shares.values()) > 1  # a photo counts for each of its shapes


def test_scores_are_lists_in_parquet_and_json_in_csv(bundle: Bundle, tmp_path) -> None:
    rows = drawn(30, seed=1)
    rows.drop(columns="shapes").to_parquet(tmp_path / "new.parquet")
    for name in ("scores.parquet", "scores.csv"):
        assert score(bundle, tmp_path / "new.parquet", tmp_path / name)["rows_scored"] == 30
    lists = pd.read_parquet(tmp_path / "scores.parquet")
    cut = bundle.facts["facts"]["operating_point"]["value"]
    expected = [[name for name in SHAPES if row[f"probability_{name}"] >= cut[name]] for _, row in lists.iterrows()]
    assert [list(cell) for cell in lists["classes"]] == expected
    assert {0, 1, 2} <= set(map(len, expected))
    assert [json.loads(cell) for cell in pd.read_csv(tmp_path / "scores.csv")["classes"]] == expected
    assert np.mean([found == own for found, own in zip(expected, rows["shapes"], strict=True)]) > 0.6


def test_a_photo_that_cannot_be_read_fails_its_row_alone(bundle: Bundle) -> None:
    rows = drawn(3, seed=2).drop(columns="shapes")
    rows.loc[1, "photo"] = b"no photo"
    found = bundle.score(rows)
    assert found["error"].notna().tolist() == [False, True, False]
    assert found["classes"].isna().tolist() == [False, True, False]
    assert isinstance(found["classes"].iloc[0], list)


def test_it_is_evaluated_and_compared_whatever_way_the_labels_are_written(bundle: Bundle) -> None:
    rows = drawn(40, seed=3)
    barred = rows.assign(shapes=["|".join(reversed(names)) or "[]" for names in rows["shapes"]])
    first, second = (evaluate(bundle, table) for table in (rows, barred))
    assert first["metrics"] == second["metrics"]
    assert first["rows"] == 40
    unknown = rows.assign(shapes=[["star"], *rows["shapes"].iloc[1:]])
    assert evaluate(bundle, unknown)["set_aside"] == 1
    assert compare(bundle, bundle, rows)["difference"]["value"] == 0


def test_the_report_shows_what_several_labels_need_and_nothing_of_a_single_one(bundle: Bundle) -> None:
    page = (bundle.path / "report.html").read_text()
    titles = set(re.findall(r"<h3>([^<]*)</h3>", page))
    assert {"Class by class", "Calibration of all classes", "Precision and recall by class"} <= titles
    assert not {"Calibration of the named class", "Our confidence, right and wrong"} & titles
    threshold = bundle.facts["facts"]["operating_point"]["value"]["ring"]
    card = (bundle.path / "MODEL_CARD.md").read_text()
    for text in (page, card):
        assert f"{threshold:.3f}".rstrip("0") in text
    assert "share of rows with exactly the right classes" in page
    assert not re.search(rf"(Precision|Recall|F1) of ({'|'.join(SHAPES)})", page + card)
