"""Inspection: thresholds, memories and Gaussians with known answers; a line whose training parts are all good."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydantic import ValidationError

import solvent
from solvent import Refused, config, metrics, score, startup, tables
from solvent_inspection import datasets, decision, gaussian, memory, outcome, pasting, sample, steel
from solvent_inspection.settings import Inspection

startup.tensorflow()

RANDOM = np.random.default_rng(0)


# From distances to answers


def test_the_threshold_keeps_its_promise_over_draws_of_good_parts():
    """Of 59 parts the largest distance promises 5 % with 95 %: 0.95 ** 59 = 0.0485."""
    kept = []
    for seed in range(400):
        distance = np.random.default_rng(seed).uniform(0, 1, 59)
        facts = decision.fit(Inspection(), distance, np.zeros(59, bool), in_lots=False)
        cut = facts["operating_point"]["value"]
        kept.append(1 - cut / (1 - cut) * facts["half"] <= 0.05)  # a new part is uniform too
    assert np.mean(kept) >= 0.92
    assert facts["operating_point"]["rule"] == "specificity of at least 0.95 with 95% confidence"


def test_too_few_good_parts_are_refused_with_the_number_that_it_takes():
    with pytest.raises(Refused, match=r"threshold\.false_alarms 0\.05.* needs 59 negatives; here are 58"):
        decision.refuse_too_few(Inspection(), np.arange(70) >= 58)
    decision.refuse_too_few(Inspection(threshold={"false_alarms": 0.1}), np.zeros(29, bool))


def test_score_decision_and_p_value_of_a_distance():
    facts = decision.fit(Inspection(threshold={"false_alarms": 0.5}), np.arange(1.0, 10.0), np.zeros(9, bool), False)
    found = decision.outputs(pd.RangeIndex(3), facts, np.array([5.0, 0.5, 100.0]))
    assert found["score"].tolist() == pytest.approx([0.5, 0.5 / 5.5, 100 / 105])
    assert found["p_value"].tolist() == pytest.approx([6 / 10, 1.0, 1 / 10])
    assert found["decision"].tolist() == ["good", "good", "bad"]


def test_costs_cut_where_wrong_decisions_cost_least_at_the_lines_own_share_of_bad_parts():
    """Good parts at 1, 2, 3, bad ones at 2.5 and 4: to stop the bad one at 2.5 stops the good one at 3."""
    distance, bad = np.array([1, 2, 3, 2.5, 4]), np.array([False, False, False, True, True])

    def stopped(missed: float, rate: float) -> list[bool]:
        costs = {"missed": missed, "false_alarm": 1, "defect_rate": rate}
        settings = Inspection(threshold={"costs": costs})
        facts = decision.fit(settings, distance, bad, in_lots=True)
        return (decision.outputs(pd.RangeIndex(5), facts, distance)["decision"] == "bad").tolist()

    # one missed of two at rate r costs r / 2 * missed; one false alarm of three costs (1 - r) / 3
    assert stopped(missed=10, rate=0.1) == [False, False, True, True, True]  # 0.5 against 0.3
    assert stopped(missed=10, rate=0.01) == [False, False, False, False, True]  # 0.05 against 0.33
    settings = Inspection(threshold={"costs": {"missed": 10, "defect_rate": 0.1}})
    with pytest.raises(Refused, match=r"needs good parts and defects.*false_alarms needs no defect"):
        decision.fit(settings, distance, np.zeros(5, bool), in_lots=False)


def test_metrics_of_parts_that_are_counted_by_hand():
    costs = {"missed": 10, "false_alarm": 1, "defect_rate": 0.1}
    rows = pd.DataFrame({"label": ["good", "fine", "good", "dent", "dent", "hole"]})
    scored = pd.DataFrame(
        {"score": [0.1, 0.2, 0.7, 0.6, 0.8, 0.9], "decision": ["good", "good", "bad", "good", "bad", "bad"]}
    )
    found = outcome.metrics(Inspection(good=["good", "fine"], threshold={"costs": costs}), rows, scored)
    value = {name: metrics.point(item) for name, item in found.items()}
    assert value["auc"] == pytest.approx(8 / 9)
    assert (value["sensitivity"], value["false_alarm_rate"], value["precision"]) == pytest.approx((2 / 3, 1 / 3, 2 / 3))
    assert (value["sensitivity of dent"], value["sensitivity of hole"]) == (0.5, 1.0)
    assert value["cost"] == pytest.approx(0.1 * 10 / 3 + 0.9 / 3)
    alone = outcome.metrics(Inspection(), rows.iloc[[0, 2]], scored.iloc[[0, 2]])
    assert np.isnan(metrics.point(alone["auc"])) and np.isnan(metrics.point(alone["sensitivity"]))
    assert metrics.point(alone["false_alarm_rate"]) == 0.5


# What is kept of good parts


def test_the_memory_has_a_patch_of_every_cluster_and_knows_how_far_a_patch_is():
    centres = RANDOM.permutation(100 * np.eye(6, 5, dtype=np.float32))
    often = np.repeat(np.arange(6), [500, 400, 300, 20, 5, 1])
    patches = centres[often] + RANDOM.normal(0, 0.01, (len(often), 5)).astype(np.float32)
    chosen = memory.coreset(patches, 6, RANDOM)
    assert sorted(often[chosen]) == [0, 1, 2, 3, 4, 5]
    assert memory.coreset(patches[:4], 6, RANDOM).tolist() == [0, 1, 2, 3]
    assets = {"memory": np.array([[0, 0], [3, 4]], np.float32), "scale": np.array([1, 2], np.float32)}
    found = memory.distances(assets, np.array([[0, 0.5], [3, 2], [6, 4]], np.float32))
    np.testing.assert_allclose(found, np.sqrt(np.array([1, 0, 25]) / 2), atol=1e-6)


def test_the_gaussian_is_that_of_each_place():
    """At the first place two channels vary together, at the second they do not: what is odd here is usual there."""
    together = RANDOM.normal(0, 1, (5000, 1)) + RANDOM.normal(0, 0.1, (5000, 2))
    apart = 5 + RANDOM.normal(0, 1, (5000, 2))
    maps = np.stack([together, apart], axis=1)[:, None].astype(np.float32)  # (images, 1, 2 places, 2 channels)
    assets = gaussian.learn(Inspection(), iter(np.split(maps, 5)), len(maps), seed=0)
    off = np.array([1.5, -1.5])
    found = gaussian.distances(assets, np.stack([together.mean(axis=0) + off, apart.mean(axis=0) + off]))
    assert found[1] == pytest.approx(1.5, rel=0.05)
    assert found[0] > 4 * found[1]
    along = gaussian.distances(assets, np.stack([together.mean(axis=0) + 1.5, apart.mean(axis=0) + 1.5]))
    same = np.full(2, 1.5)
    expected = [np.sqrt(same @ np.linalg.solve(np.cov(known.T), same) / 2) for known in (together, apart)]
    np.testing.assert_allclose(along, expected, rtol=0.05)


def test_what_is_pasted_is_known_by_place_and_the_rest_is_left_alone():
    image = RANDOM.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    changed, where = pasting.pasted(image, np.random.default_rng(5), 8)
    again, _ = pasting.pasted(image, np.random.default_rng(5), 8)
    np.testing.assert_array_equal(changed, again)
    differs = (changed != image).any(axis=2).reshape(8, 4, 8, 4).mean(axis=(1, 3))
    assert where.shape == (8, 8) and where.max() == 1 and where.mean() < 0.5
    assert (differs[where == 1] > 0.15).all() and (differs[where == 0] <= pasting.COVERED).all()


# Settings and data sets


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"backbone": "mlp"}, "knows no places"),
        ({"backbone": "cnn", "weights": "imagenet"}, "write weights: none"),
        ({"good": []}, "at least 1"),
        ({"training": {"refit": True}}, "parts that were not learnt from"),
        ({"training": {"class_weight": "balanced"}}, "no classes to learn"),
        ({"threshold": {"costs": {"missed": 5}}}, "defect_rate"),
    ],
)
def test_settings_that_do_not_fit_are_refused_with_the_cure(given, says):
    with pytest.raises(ValidationError, match=says):
        Inspection(**given)


def test_a_drawn_part_is_changed_where_its_mask_says_and_nowhere_else():
    rows, masks = sample.drawn(200, 32, 3, contrast=2.0)
    clean, _ = sample.drawn(200, 32, 3, contrast=0.0)
    there = masks.any(axis=(1, 2))
    assert (there == (rows["state"] != "good")).all() and 20 < there.sum() < 60
    for place in np.flatnonzero(there)[:20]:
        with_it, without = (np.asarray(Image.open(io.BytesIO(each["photo"][place])), float) for each in (rows, clean))
        assert np.abs(with_it - without)[~masks[place]].max() <= 0.11 * 255
        assert np.abs(with_it - without)[masks[place]].mean() > 5
    assert rows.groupby("lot").size().min() > 1


def test_steel_has_the_unknown_kind_in_the_test_part_only_and_copies_on_one_side(tmp_path):
    cells = [bytes([number]) * 9 for number in range(60)]
    cells[21] = cells[20]
    rows = pd.DataFrame({"image": cells, "label": np.repeat(["a", "b", "c"], 20)})
    found = steel.with_unknown(rows, "c")
    assert set(found["part"][40:]) == {"test"}
    assert found["part"][20] == found["part"][21]
    counts = found[:40].groupby(["label", "part"]).size()
    assert counts["a"].to_dict() == {"test": 4, "train": 12, "valid": 4}


@pytest.mark.parametrize("dataset", datasets.DATASETS, ids=lambda item: item.name)
def test_the_config_of_each_data_set_is_understood(dataset):
    given = dict(dataset.config)
    settings = given.pop("settings")
    data = {"rows": {"dataset": dataset.name}, **given}
    run = config.load({"solution": "solvent_inspection:SOLUTION", "data": data, "settings": settings})
    assert run.settings.backbone == settings["backbone"]


# A line


def train(folder, rows, **settings):
    rows.to_parquet(folder / "rows.parquet")
    small = {"backbone": "cnn", "size": 32, "patches": 300, "training": {"epochs": 2, "learning_rate": 0.005}}
    data = {
        "rows": str(folder / "rows.parquet"),
        "columns": {"image": "photo", "label": "state", "id": "part", "group": "lot"},
        "split": {"by": "column", "column": "cut"},
    }
    given = {"solution": "solvent_inspection:SOLUTION", "data": data, "settings": {**small, **settings}}
    return solvent.train(given, folder / "bundle")


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    """A line on which nobody has seen a bad part: there are some in the test part only, of kinds that are new."""
    rows, masks = sample.drawn(420, 32, 7, contrast=2.0)
    lot = rows["lot"].str[1:].astype(int)
    rows["cut"] = np.select([lot < 12, lot < 18], ["train", "valid"], "test")
    kept = ((rows["cut"] == "test") | (rows["state"] == "good")).to_numpy()
    bundle = train(tmp_path_factory.mktemp("line"), rows[kept], threshold={"false_alarms": 0.1})
    return bundle, rows[kept].reset_index(drop=True), masks[kept]


def test_bad_parts_are_told_although_none_was_ever_seen(line):
    bundle, rows, _ = line
    facts = bundle.facts
    assert facts["valid"] is None, "validation rows tell nothing of bad parts"
    assert facts["test"]["metrics"]["auc"]["value"] > 0.9
    assert facts["test"]["baseline"]["name"] == "distance to the mean feature"
    assert facts["facts"]["learnt_from"] == (rows["cut"] == "train").sum()
    point = facts["facts"]["operating_point"]
    assert (point["target"], point["positives"]) == (0.9, 0)
    assert "confidence" not in point and "confidence" not in point["rule"], "parts of a lot are not independent"
    assert {f"sensitivity of {kind}" for kind in ("pit", "scratch", "stain")} <= set(facts["test"]["metrics"])
    page = (bundle.path / "report.html").read_text(encoding="utf-8")
    assert "Sensitivity of pit" in page and "share of the bad parts that are stopped; of pit alone" in page
    note = next(item for item in facts["findings"] if item["name"] == "lots_differ")
    assert note["columns"] == ["lot"] and "6 values" in note["message"]
    assert all(title in page for title in ("Scores by lot", "Stopped, and bad", "Missed", "False alarms"))


def test_the_drift_of_a_line_is_measured_from_good_parts_and_other_light_shows(line, tmp_path):
    bundle, rows, _ = line
    reference = json.loads((bundle.path / "reference.json").read_text())
    assert reference["output_rows"] == (rows["cut"] == "valid").sum()
    good = rows[(rows["cut"] == "test") & (rows["state"] == "good")].drop(columns=["state", "cut"])
    dimmed = good.assign(photo=good["photo"].map(lambda cell: _dimmed(cell, 0.6)))
    moved = {}
    for name, table in (("as ever", good), ("dimmed", dimmed)):
        tables.write(table, tmp_path / f"{name}.parquet")
        found = score.score(
            bundle, bundle.source(str(tmp_path / f"{name}.parquet")), tmp_path / f"{name} scores.parquet"
        )
        moved[name] = found["drift"]["outputs"]["score"]["psi"]
    assert moved["dimmed"] > 1
    assert moved["dimmed"] > 2 * moved["as ever"]


def _dimmed(cell: bytes, share: float) -> bytes:
    file = io.BytesIO()
    Image.fromarray((np.asarray(Image.open(io.BytesIO(cell))) * share).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_the_oddest_place_lies_on_the_defect(line):
    bundle, rows, masks = line
    bad = np.flatnonzero(rows["state"] != "good")
    found = bundle.explain(rows.iloc[bad])
    assert found["error"].isna().all()
    assert Image.open(io.BytesIO(found["odd_places"].iloc[0])).size == (32, 32)
    hits = []
    for place, right, down in zip(bad, found["right"], found["down"], strict=True):
        y, x = int(32 * down), int(32 * right)
        hits.append(masks[place][max(0, y - 3) : y + 4, max(0, x - 3) : x + 4].any())
    assert np.mean(hits) > 0.8


def test_a_photo_that_cant_be_read_fails_its_row_and_no_other(line):
    bundle, rows, _ = line
    cells = pd.DataFrame({"photo": [*rows["photo"].tail(3), b"broken"], "part": list("abcd")})
    found = bundle.score(cells)
    assert found["error"].notna().tolist() == [False, False, False, True]
    assert found["score"].notna().tolist() == [True, True, True, False]


def test_a_line_without_any_bad_part_says_that_only_false_alarms_are_known(line, tmp_path):
    _, rows, _ = line
    settings = {"threshold": {"false_alarms": 0.1}, "method": "gaussian"}
    bundle = train(tmp_path, rows[rows["state"] == "good"], **settings)
    test = bundle.facts["test"]
    assert test["metrics"]["auc"]["value"] is None
    assert 0 <= test["metrics"]["false_alarm_rate"]["value"] < 0.5
    finding = next(item for item in bundle.facts["findings"] if item["name"] == "one_class")
    assert finding["severity"] == "warning" and "all" in finding["message"] and "'good'" in finding["message"]
    assert bundle.headline.startswith("AUC –"), "without a bad part no figure is given"


def test_labels_without_a_good_one_are_refused_with_their_names(line, tmp_path):
    _, rows, _ = line
    with pytest.raises(Refused, match=r"settings\.good is \['ok'\]: 0 training rows.*labels are \['good'\]"):
        train(tmp_path, rows, good=["ok"])
