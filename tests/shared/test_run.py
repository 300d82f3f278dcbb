"""Train, evaluate, compare and the bundle, on a toy solution whose answer is known: y = 2x + 1, noise 0.1."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import solvent
from solvent import Bundle, Refitted, Refused, tables
from solvent.errors import Locked
from solvent.promises import BrokenPromise
from solvent.training import Store

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))
import ruler


class Killed(BaseException):
    pass


def config(folder, rows=None, **parts):
    tables.write(ruler.rows() if rows is None else rows, folder / "rows.csv")
    data = {"rows": str(folder / "rows.csv"), "columns": {"machine": "unit"}, **parts.pop("data", {})}
    return {"solution": "ruler:SOLUTION", "data": data, **parts}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ruler")
    return solvent.train(config(folder), folder / "bundle")


def test_a_line_is_learnt_to_its_noise(trained):
    rmse = trained.facts["test"]["metrics"]["rmse"]
    assert 0.08 < rmse["value"] < 0.13
    assert rmse["low"] is None, "six machines are under twenty: no interval is printed"
    assert "group" in trained.facts["protocol"]
    weight, bias = (float(np.ravel(item.numpy())[0]) for item in trained.fitted.models["model"].weights)
    assert (weight, bias) == (pytest.approx(2, abs=0.1), pytest.approx(1, abs=0.1))


def test_no_machine_is_on_two_sides(trained):
    parts = trained.facts["data"]["parts"]
    assert sum(part["rows"] for part in parts.values()) == 360
    assert all(part["rows"] % 12 == 0 for part in parts.values())


def test_the_interval_resamples_whole_machines(tmp_path):
    found = solvent.train(config(tmp_path, ruler.rows(machines=120, each=3)), tmp_path / "bundle")
    rmse = found.facts["test"]["metrics"]["rmse"]
    assert rmse["low"] < rmse["value"] < rmse["high"]
    assert "24 " in found.facts["protocol"]


def test_the_baseline_is_the_rival_and_the_difference_is_paired(trained):
    assert trained.facts["test"]["baseline"]["name"] == "mean"
    assert trained.facts["rivals"]["mean"]["metrics"]["rmse"]["value"] > 1
    page = (trained.path / "report.html").read_text()
    assert "mean" in page
    assert "RMSE" in trained.headline


def test_a_bundle_scores_a_frame_with_its_index_and_names_the_bad_row(trained):
    frame = pd.DataFrame({"unit": ["a", "b", "c"], "x": [0.0, np.inf, 1.0]}, index=[7, 3, 5])
    scored = trained.score(frame)
    assert list(scored.index) == [7, 3, 5]
    assert scored["prediction"].iloc[[0, 2]].round(0).tolist() == [1.0, 3.0]
    assert np.isnan(scored["prediction"].iloc[1])
    assert "x" in scored["error"].iloc[1]


def test_evaluate_gives_the_same_numbers_and_the_baseline_on_the_bundles_own_test_rows(trained, tmp_path):
    rows = ruler.rows()
    scores = pd.read_parquet(trained.path / "test_scores.parquet")
    own = rows[rows["y"].round(9).isin(scores["truth"].round(9))]
    found = solvent.evaluate(trained, own)
    assert found["rows"] == trained.facts["test"]["rows"]
    assert found["metrics"] == trained.facts["test"]["metrics"]
    assert found["baseline"]["name"] == "mean"
    assert solvent.evaluate(trained, rows)["baseline"] is None


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_evaluate_says_whether_more_rows_were_set_aside_than_the_bundles_config_allows(trained, share):
    data = {**trained.facts["config"]["data"], "max_bad": share}
    strict = replace(trained, facts={**trained.facts, "config": {**trained.facts["config"], "data": data}})
    rows = ruler.rows(machines=20, each=5).astype({"x": object})
    rows.loc[:3, "x"] = "abc"  # a unit with a bad row is set aside whole: 5 of 100
    found = solvent.evaluate(strict, rows)
    assert (found["rows"], found["set_aside"], found["max_bad"]) == (95, 5, share)
    assert found["too_many_bad"] is (share == 0.01)  # 5 % may be
    assert solvent.evaluate(trained, rows)["max_bad"] == 0.01  # what a config that says nothing allows
    assert solvent.evaluate(trained, ruler.rows())["too_many_bad"] is False


def test_evaluate_holds_entities_against_entities_where_a_case_is_of_many_rows(trained):
    """Each machine is measured at one row, and one of 100 is set aside with all its 10."""
    one_a_machine = replace(
        trained, solution=replace(trained.solution, cases=lambda settings, rows, *_: rows.groupby("machine").tail(1))
    )
    rows = ruler.rows(machines=100, each=10).astype({"x": object})
    rows.loc[3, "x"] = "abc"
    found = solvent.evaluate(one_a_machine, rows)
    assert (found["rows"], found["set_aside"]) == (99, 10)
    assert found["bad"] == {"unit": "values of unit", "set_aside": 1, "of": 100}
    assert found["too_many_bad"] is False  # 1 % may be
    rows.loc[13, "x"] = "abc"
    assert solvent.evaluate(one_a_machine, rows)["too_many_bad"] is True


def test_a_bundle_compared_with_itself_differs_by_nothing(trained, tmp_path):
    many = solvent.train(config(tmp_path, ruler.rows(machines=100, each=4)), tmp_path / "bundle")
    rows = ruler.rows(machines=40, each=4, seed=3)
    found = solvent.compare(many, many, rows)
    assert found["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert solvent.compare(many, trained, rows)["difference"]["low"] is not None


def test_side_tables_go_to_fit_and_can_be_replaced_when_scoring(tmp_path):
    tables.write(pd.DataFrame({"offset": [10.0]}), tmp_path / "offsets.parquet")
    found = solvent.train(
        config(tmp_path, data={"side": {"offsets": str(tmp_path / "offsets.parquet")}}), tmp_path / "bundle"
    )
    frame = pd.DataFrame({"machine": ["a"], "x": [0.0]})
    assert found.scorer()(frame)["prediction"].iloc[0] == pytest.approx(11, abs=0.2)
    other = {"offsets": pd.DataFrame({"offset": [100.0]})}
    assert found.scorer(other)(frame)["prediction"].iloc[0] == pytest.approx(101, abs=0.2)
    with pytest.raises(Refused, match=r"no side table 'stock'.*offsets"):
        found.scorer({"stock": other["offsets"]})


def test_personal_assets_are_said_when_a_bundle_is_loaded(trained, caplog):
    with caplog.at_level("WARNING", logger="solvent"):
        Bundle.load(trained.path)
    assert "rows or pictures of people in: offsets, test_scores.parquet." in caplog.text
    assert "offsets, test_scores.parquet" in (trained.path / "MODEL_CARD.md").read_text().replace("\\", "")


@pytest.mark.parametrize("hurt", ["change", "lose", "add_to_list", "smuggle"])
def test_a_damaged_bundle_is_refused_and_the_file_named(trained, tmp_path, hurt):
    copy = tmp_path / "copy"
    shutil.copytree(trained.path, copy)
    victim = copy / "reference.json"
    if hurt == "change":
        victim.write_text(victim.read_text().replace("0", "1", 1))
    elif hurt == "lose":
        victim.unlink()
    elif hurt == "smuggle":
        (copy / "assets" / "other.keras").write_bytes(b"evil")
    else:
        with (copy / "SHA256SUMS").open("a") as sums:
            sums.write("0" * 64 + "  models/other.keras\n")
    with pytest.raises(Refused, match=r"damaged.*(reference\.json|other\.keras)"):
        Bundle.load(copy)


def test_a_folder_that_is_no_bundle_is_never_replaced(tmp_path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "thesis.txt").write_text("mine")
    with pytest.raises(Refused, match="is no bundle"):
        solvent.train(config(tmp_path), tmp_path / "bundle")
    assert (tmp_path / "bundle" / "thesis.txt").read_text() == "mine"


def test_an_old_bundle_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    given = config(tmp_path, settings={"training": {"epochs": 1}})
    first = solvent.train(given, tmp_path / "bundle")
    second = solvent.train({**given, "settings": {"training": {"epochs": 2}}}, tmp_path / "bundle")
    assert (first.facts["training"][0]["epochs"], second.facts["training"][0]["epochs"]) == (1, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "rows.csv"]


def test_a_killed_training_is_resumed_only_when_asked_and_only_with_the_same_config(tmp_path, monkeypatch):
    given, out = config(tmp_path), tmp_path / "bundle"
    original = Store.save

    def save(self, state, variables):
        original(self, state, variables)
        if state.epoch == 3:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Store, "save", save)
        with pytest.raises(Killed):
            solvent.train(given, out)
    with pytest.raises(Refused, match="Add --resume"):
        solvent.train(given, out)
    with pytest.raises(Refused, match="another config"):
        solvent.train({**given, "settings": {"deep": True}}, out, resume=True)
    resumed = solvent.train(given, out, resume=True)
    fresh = solvent.train(given, tmp_path / "fresh")
    assert resumed.facts["test"] == fresh.facts["test"]
    assert resumed.facts["training"][0]["history"] == fresh.facts["training"][0]["history"]
    assert not (tmp_path / ".bundle.work").exists()


def test_a_training_under_way_locks_its_output_for_others(tmp_path):
    handle = None
    (tmp_path / ".bundle.work").mkdir()
    try:
        handle = os.open(tmp_path / ".bundle.work" / "lock", os.O_RDWR | os.O_CREAT)
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(Locked, match="Another training") as caught:
            solvent.train(config(tmp_path), tmp_path / "bundle")
        assert caught.value.exit_code == 5
    finally:
        os.close(handle)
    solvent.train(config(tmp_path, settings={"training": {"epochs": 1}}), tmp_path / "bundle")


def test_a_killed_training_does_not_go_on_with_another_side_table(tmp_path, monkeypatch):
    offsets = tmp_path / "offsets.parquet"
    tables.write(pd.DataFrame({"offset": [10.0]}), offsets)
    given, out = config(tmp_path, data={"side": {"offsets": str(offsets)}}), tmp_path / "bundle"

    def save(self, state, variables):
        save_it(self, state, variables)
        raise Killed

    save_it = Store.save
    with monkeypatch.context() as patch:
        patch.setattr(Store, "save", save)
        with pytest.raises(Killed):
            solvent.train(given, out)
    tables.write(pd.DataFrame({"offset": [11.0]}), offsets)
    with pytest.raises(Refused, match="other rows"):
        solvent.train(given, out, resume=True)
    tables.write(pd.DataFrame({"offset": [10.0]}), offsets)
    assert solvent.train(given, out, resume=True).facts["training"][0]["stopped"] in ("patience", "epochs")


def test_what_comes_from_outside_is_asked_for_before_any_row_is_read(tmp_path, monkeypatch):
    def outside(settings):
        raise Refused("weights: there is no file gone.h5.")

    monkeypatch.setattr(ruler, "SOLUTION", replace(ruler.SOLUTION, outside=outside))
    given = config(tmp_path)
    (tmp_path / "rows.csv").write_text("no rows\n")
    with pytest.raises(Refused, match=r"gone\.h5"):
        solvent.train(given, tmp_path / "bundle")
    monkeypatch.setattr(ruler, "SOLUTION", replace(ruler.SOLUTION, outside=lambda settings: {"weights": Path("a.h5")}))
    with pytest.raises(BrokenPromise, match="'weights' with a PosixPath; expected a text for each name"):
        solvent.train(given, tmp_path / "bundle")


def test_a_killed_training_does_not_go_on_with_other_weights_from_outside(tmp_path, monkeypatch):
    given, out = config(tmp_path), tmp_path / "bundle"

    def save(self, state, variables):
        save_it(self, state, variables)
        raise Killed

    def has(weights):
        monkeypatch.setattr(ruler, "SOLUTION", replace(ruler.SOLUTION, outside=lambda settings: {"weights": weights}))

    save_it = Store.save
    has("a1b2")
    with monkeypatch.context() as patch:
        patch.setattr(Store, "save", save)
        with pytest.raises(Killed):
            solvent.train(given, out)
    has("c3d4")
    with pytest.raises(Refused, match="can't go on"):
        solvent.train(given, out, resume=True)
    has("a1b2")
    assert solvent.train(given, out, resume=True).facts["training"][0]["stopped"] in ("patience", "epochs")


def test_bundles_that_predict_different_things_are_not_compared(trained, tmp_path):
    rows = ruler.rows().rename(columns={"y": "other"})
    other = solvent.train(
        config(tmp_path, rows, data={"columns": {"machine": "unit", "y": "other"}}), tmp_path / "bundle"
    )
    both = ruler.rows().assign(other=0.0)
    with pytest.raises(Refused, match="predict different things"):
        solvent.compare(trained, other, both)


def test_bundles_of_another_truth_are_not_compared_and_the_setting_is_named(trained):
    deep = trained.settings.model_copy(update={"deep": True})
    first, second = (
        replace(trained, solution=replace(trained.solution, truth=("deep",)), settings=settings)
        for settings in (trained.settings, deep)
    )
    assert solvent.compare(first, first, ruler.rows())["difference"]["value"] == 0
    with pytest.raises(Refused, match=r"settings\.deep is False in the one and True in the other"):
        solvent.compare(first, second, ruler.rows())


def test_test_rows_that_cannot_be_read_are_counted_beside_the_metrics(tmp_path):
    rows = ruler.rows(machines=60, each=10)
    rows["part"] = np.repeat(["train", "valid", "test"], 200)
    rows["x"] = rows["x"].astype(object)
    rows.loc[[405, 413], "x"] = "broken"
    given = config(tmp_path, rows, data={"split": {"by": "column", "column": "part"}, "max_bad": 0.1})
    found = solvent.train(given, tmp_path / "bundle")
    assert found.facts["test"]["set_aside"] == found.facts["data"]["set_aside"]["test"] > 0
    assert found.facts["test"]["rows"] + found.facts["test"]["set_aside"] == 200


def test_what_is_measured_is_what_the_bundle_scores_also_in_mixed_precision(tmp_path):
    found = solvent.train(
        config(tmp_path, settings={"deep": True}, device={"precision": "mixed_bfloat16"}), tmp_path / "bundle"
    )
    scores = pd.read_parquet(found.path / "test_scores.parquet")
    rows = ruler.rows()
    again = found.score(rows[rows["y"].round(9).isin(scores["truth"].round(9))])
    np.testing.assert_array_equal(again["prediction"], scores["prediction"])


def test_a_bundle_of_other_settings_is_refused_by_name(trained, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(trained.path, copy)
    facts = json.loads((copy / "bundle.json").read_text())
    facts["settings"]["gone"] = 1
    (copy / "bundle.json").write_text(json.dumps(facts))
    listed = (copy / "SHA256SUMS").read_text().splitlines()
    digest = hashlib.sha256((copy / "bundle.json").read_bytes()).hexdigest()
    lines = [f"{digest}  bundle.json" if line.endswith("  bundle.json") else line for line in listed]
    (copy / "SHA256SUMS").write_text("\n".join(lines) + "\n")
    with pytest.raises(Refused, match="other settings than the installed one: gone"):
        Bundle.load(copy)


def test_what_was_tracked_stays_beside_the_bundle(tmp_path):
    pytest.importorskip("tensorboard", reason="pip install 'solvent-suite[track]'")
    given = config(tmp_path, settings={"training": {"epochs": 2, "track": ["tensorboard"]}})
    solvent.train(given, tmp_path / "bundle")
    assert list((tmp_path / "bundle.track" / "tensorboard" / "line").glob("events.*"))


def test_a_weight_of_zero_takes_a_row_out_of_training(tmp_path):
    """Half of the rows lie on another line; with weight 0 they teach nothing."""
    rows = ruler.rows()
    wrong = np.arange(len(rows)) % 2 == 0
    rows["y"] = np.where(wrong, -5 * rows["x"], rows["y"])
    rows["trust"] = np.where(wrong, 0.0, 1.0)
    given = config(tmp_path, rows, data={"columns": {"machine": "unit", "weight": "trust"}})
    found = solvent.train(given, tmp_path / "bundle")
    weight = float(np.ravel(found.fitted.models["model"].weights[0].numpy())[0])
    assert weight == pytest.approx(2, abs=0.3)
    assert any("Rows count by trust" in text for text in found.facts["limits"])


def test_folds_measure_every_row_once_and_keep_a_model_of_all_rows(tmp_path):
    found = solvent.train(config(tmp_path, data={"split": {"by": "group", "folds": 3}}), tmp_path / "bundle")
    assert found.facts["folds"] == {"k": 3}
    assert found.facts["test"]["rows"] == 360
    assert found.facts["test"]["metrics"]["rmse"]["low"] is not None
    scores = pd.read_parquet(found.path / "test_scores.parquet")
    np.testing.assert_allclose(np.sort(scores["truth"]), np.sort(ruler.rows()["y"]), atol=1e-9)
    assert any("out-of-fold over 3 models" in text for text in found.facts["limits"])


def test_without_a_test_part_nothing_is_claimed(tmp_path):
    rows = ruler.rows()
    for name, part in (("train", rows.iloc[:240]), ("valid", rows.iloc[240:])):
        tables.write(part, tmp_path / f"{name}.csv")
    data = {name: str(tmp_path / f"{name}.csv") for name in ("train", "valid")}
    given = {"solution": "ruler:SOLUTION", "data": {**data, "columns": {"machine": "unit"}}}
    found = solvent.train(given, tmp_path / "bundle")
    assert found.facts["test"] is None
    assert "No test part" in found.headline
    assert any("no test part" in text for text in found.facts["limits"])
    assert not (found.path / "test_scores.parquet").exists()


def test_bundle_json_is_json_with_no_nan_and_the_config_in_it(trained):
    text = (trained.path / "bundle.json").read_text()
    assert not re.search(r"\bNaN\b|\bInfinity\b", text)
    assert json.loads(text)["config"]["solution"] == "ruler:SOLUTION"


def test_the_reference_holds_distributions_and_no_rows(trained):
    reference = json.loads((trained.path / "reference.json").read_text())
    assert reference["rows"] == trained.facts["data"]["parts"]["train"]["rows"]
    assert len(reference["inputs"]["x"]["edges"]) == 9
    assert sum(reference["inputs"]["x"]["shares"]) == pytest.approx(1)
    assert set(reference["inputs"]) == {"x"}


# refitting on the validation rows


def constant(value, rows):
    return pd.DataFrame({"prediction": value}, index=rows.index)


@pytest.fixture
def refitted_on(monkeypatch, tmp_path):
    """Train the ruler with `refit`: its validation rows were scored 5 before, and 7 by the rival, whatever they are.

    Returns:
        A function that trains, with changes to the solution, and a list of what `fit` saw.
    """
    saw = []

    def fit(settings, data):
        saw.append(data)
        backwards = constant(5.0, data.valid).iloc[::-1]
        return replace(ruler.fit(settings, data), valid=backwards)

    def rival(settings, data):
        return Refitted(ruler.mean(settings, data), constant(7.0, data.valid))

    def train(**changes):
        solution = replace(ruler.SOLUTION, **{"fit": fit, "rivals": {"mean": rival}, **changes})
        monkeypatch.setattr(ruler, "REFITTED", solution, raising=False)
        given = config(tmp_path, settings={"training": {"epochs": 2, "refit": True}})
        return solvent.train({**given, "solution": "ruler:REFITTED"}, tmp_path / "bundle")

    return train, saw


def test_what_is_said_of_validation_rows_is_by_models_that_had_not_seen_them(refitted_on):
    train, saw = refitted_on
    found = train()
    (data,) = saw
    off = {value: float(np.sqrt(np.mean((data.valid["y"] - value) ** 2))) for value in (5.0, 7.0)}
    assert found.facts["valid"] == pytest.approx(off[5.0])
    assert found.facts["rivals"]["mean"]["valid"] == pytest.approx(off[7.0])
    assert found.facts["test"]["metrics"]["rmse"]["value"] < 3, "test rows are scored by the model that is kept"


def test_a_fit_that_refits_sees_no_test_row_either(refitted_on):
    train, saw = refitted_on
    tested = pd.read_parquet(train().path / "test_scores.parquet")["truth"].round(9)
    (data,) = saw
    seen = pd.concat([data.train["y"], data.valid["y"]]).round(9)
    assert (len(tested), len(seen)) == (72, 288)
    assert not set(tested) & set(seen)


def test_a_refit_without_scores_of_the_validation_rows_is_a_broken_promise(refitted_on):
    train, _ = refitted_on
    missing = "returned no scores of the validation rows; expected `valid`, since settings.training.refit is true"
    with pytest.raises(BrokenPromise, match=f"ruler:fit {missing}"):
        train(fit=ruler.fit)
    with pytest.raises(BrokenPromise, match=f"ruler:mean {missing}"):
        train(rivals={"mean": ruler.mean})


def test_scores_of_too_few_validation_rows_or_of_other_columns_are_a_broken_promise(refitted_on):
    train, _ = refitted_on

    def fit_few(settings, data):
        return replace(ruler.fit(settings, data), valid=constant(5.0, data.valid.iloc[3:]))

    def fit_others(settings, data):
        return replace(ruler.fit(settings, data), valid=constant(5.0, data.valid).assign(guess=1.0))

    with pytest.raises(BrokenPromise, match="fit_few returned `valid` without 3 of 72 validation rows"):
        train(fit=fit_few)
    with pytest.raises(BrokenPromise, match=r"fit_others returned .*also has \['guess'\]"):
        train(fit=fit_others)


def test_scores_of_validation_rows_may_be_given_without_refitting(refitted_on, tmp_path):
    train, saw = refitted_on
    train()
    given = config(tmp_path, settings={"training": {"epochs": 2}})
    found = solvent.train({**given, "solution": "ruler:REFITTED"}, tmp_path / "plain")
    assert found.facts["valid"] == pytest.approx(float(np.sqrt(np.mean((saw[1].valid["y"] - 5.0) ** 2))))
