"""Maintenance, the whole way: every network, rivals, a nightly job with context, lives that are counted."""

import shutil

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from solvent import Bundle, run, startup
from solvent.cli import main
from solvent.score import score
from solvent_maintenance import SOLUTION, lives, reading
from solvent_maintenance.sample import COLUMNS, SETTINGS, machines
from solvent_maintenance.settings import Maintenance

startup.tensorflow()

import keras  # noqa: E402

from solvent.runtime.optimize import optimize  # noqa: E402
from solvent_maintenance import network, rivals, why  # noqa: E402

ROWS = machines(3).rows
PUMPS = ROWS["pump"].unique()
TINY = {
    **SETTINGS,
    "network": {"units": 8, "kernel": 3, "layers": 1, "heads": 2},
    "members": 2,
    "training": {"epochs": 1, "batch_size": 256},
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Bundle:
    folder = tmp_path_factory.mktemp("pumps")
    ROWS[ROWS["pump"].isin(PUMPS[:40])].to_parquet(folder / "rows.parquet")
    data = {"rows": str(folder / "rows.parquet"), "columns": COLUMNS}
    return run.train({"solution": "solvent_maintenance:SOLUTION", "data": data, "settings": TINY}, folder / "bundle")


# Networks


@pytest.mark.parametrize("name", ["lstm", "gru", "cnn", "transformer"])
def test_every_network_reads_the_same_windows_and_loads_back(name, tmp_path):
    settings = Maintenance(model=name, window=6, network={"units": 8, "heads": 2, "kernel": 3})
    built = network.build(settings, sensors=3)
    windows = np.random.default_rng(0).normal(size=(5, 6, 4)).astype(np.float32)
    windows[..., -1] = 1
    told = built.predict(windows, verbose=0)
    assert told.shape == (5, 1)
    built.save(tmp_path / "model.keras")
    assert np.allclose(keras.saving.load_model(tmp_path / "model.keras").predict(windows, verbose=0), told)
    if name == "transformer":  # what is marked as missing is not attended to
        windows[:, :2, -1] = 0
        before = built.predict(windows, verbose=0)
        windows[:, :2, :-1] += 5
        assert np.allclose(built.predict(windows, verbose=0), before, atol=1e-5)


def test_window_statistics_are_those_of_the_rows_that_are_there():
    order = lives.series(pd.DataFrame({"machine": ["a"] * 3, "cycle": [1, 2, 3]}))
    rows = reading.Rows(order, np.array([[1.0], [3.0], [8.0]], np.float32), window=5)
    last, middle, deviation, slope, count = rivals.statistics(rows, np.array([2]))[0]
    assert (last, middle, count) == pytest.approx((8, 4, 3))
    assert deviation == pytest.approx(np.std([1, 3, 8]))
    assert slope == pytest.approx(3.5)
    assert rivals.statistics(rows, np.array([0]))[0].tolist() == [1, 1, 0, 0, 1]


# The whole way


def test_each_test_machine_counts_as_one_and_rivals_stand_beside(bundle):
    test = bundle.facts["test"]
    assert set(bundle.facts["rivals"]) == set(SOLUTION.rivals)
    assert set(SOLUTION.meanings) == set(test["metrics"])
    interval = bundle.facts["facts"]["interval"]["machines"]
    assert interval["choosing"] + interval["calibrating"] == bundle.facts["facts"]["unseen"]["machines"]
    scored = pd.read_parquet(bundle.path / "test_scores.parquet")
    assert (scored.groupby("entity").size() == SETTINGS["cuts"]).all()


def nightly(folder, context, wanted) -> pd.DataFrame:
    rows = ROWS[ROWS["pump"].isin(PUMPS[40:46])].drop(columns="rul")
    rows = rows.groupby("pump", sort=False).tail(30).reset_index(drop=True)
    new = rows.groupby("pump", sort=False).cumcount(ascending=False) == 0
    rows = rows.assign(score_this=np.where(new, wanted, context))
    rows.to_csv(folder / "new.csv", index=False)
    return rows


@pytest.mark.parametrize(("context", "wanted"), [("false", "true"), ("0", "1"), ("False", "")])
def test_a_nightly_job_scores_new_rows_with_earlier_ones_as_context(bundle, tmp_path, context, wanted):
    rows = nightly(tmp_path, context, wanted)
    manifest = score(bundle, str(tmp_path / "new.csv"), str(tmp_path / "scores.csv"), chunk_rows=40)
    assert [manifest[f"rows_{what}"] for what in ("read", "scored", "set_aside", "context")] == [180, 6, 0, 174]
    found = pd.read_csv(tmp_path / "scores.csv")
    everything = bundle.score(rows.drop(columns="score_this"))
    last = rows.groupby("pump", sort=False).tail(1).index
    assert found["pump"].tolist() == rows["pump"][last].tolist()
    assert found["hours"].tolist() == rows["hours"][last].tolist()
    assert np.allclose(found["prediction"], everything["prediction"][last], atol=1e-4)
    alone = bundle.score(rows.loc[last].drop(columns="score_this"))["prediction"]
    assert not np.allclose(found["prediction"], alone, atol=0.1), "context changes nothing"


def test_new_rows_need_one_row_less_than_a_window_before_the_oldest_and_a_note_says_where_they_lack_it(bundle):
    window, new = SETTINGS["window"], 10
    rows = ROWS[ROWS["pump"].isin(PUMPS[40:46])].drop(columns="rul")
    whole = bundle.score(rows)
    back = rows.groupby("pump", sort=False).cumcount(ascending=False)
    told = rows.assign(score_this=np.where(back < new, "true", "false"))
    enough = bundle.score(told[back < new + window - 1])
    wanted = told.index[back < new]
    assert np.allclose(enough["prediction"][wanted], whole["prediction"][wanted], atol=1e-4)
    assert enough["note"].isna().all()
    short = bundle.score(told[back < window])
    lacking = told.index[(back < new) & (back > 0)]
    assert short["note"].notna().equals(pd.Series(short.index.isin(lacking), index=short.index))
    assert not np.allclose(short["prediction"][wanted], whole["prediction"][wanted], atol=0.1)
    begun = bundle.score(told.groupby("pump", sort=False).head(5).assign(score_this="true"))
    assert begun["note"].isna().all(), "their series begin here"


def test_a_machine_is_set_aside_where_it_is_not_clear_what_to_score_or_in_which_order(bundle, tmp_path):
    rows = nightly(tmp_path, "false", "true")
    rows.loc[rows.index[3], "score_this"] = "perhaps"
    rows.loc[rows.index[33], "hours"] = rows["hours"][32]
    found = bundle.score(rows)
    reasons = found["error"].groupby(rows["pump"].to_numpy()).agg(lambda cells: set(cells.dropna()))
    assert "neither true nor false" in next(iter(reasons.iloc[0]))
    assert "one twice" in next(iter(reasons.iloc[1]))
    assert [len(why) for why in reasons] == [1, 1, 0, 0, 0, 0]
    assert found["prediction"].notna().sum() == 4
    rows.to_csv(tmp_path / "new.csv", index=False)
    manifest = score(bundle, str(tmp_path / "new.csv"), str(tmp_path / "scores"), chunk_rows=1, max_bad=0.5)
    assert [manifest[f"rows_{what}"] for what in ("scored", "set_aside", "context")] == [4, 60, 116]


def test_an_explanation_names_the_sensors_that_move_the_estimate(bundle, monkeypatch):
    def by_hand(fitted, rows, positions):  # ten cycles less for each deviation of the second sensor, one of the first
        return 60 - 10 * rows.values[positions, 1] - rows.values[positions, 0]

    monkeypatch.setattr(why, "estimates", by_hand)
    rows = ROWS[ROWS["pump"] == PUMPS[0]].drop(columns="rul")
    reader = reading.Reader.from_json(bundle.fitted.facts["reader"])
    values = reader.read(rows.rename(columns={"pump": "machine", "hours": "cycle"})).values
    found = bundle.explain(rows)["sensors"].iloc[-1]
    assert f"vibration {-10 * values[-1, 1]:+.1f}" in found
    assert "pressure" not in found


def test_another_runtime_is_measured_at_the_rows_that_machines_are_measured_at(bundle, tmp_path):
    path = shutil.copytree(bundle.path, tmp_path / "own")
    record = optimize(path, "openvino-float32", max_drop=0.01)
    assert record["headline"] == "rmse"
    assert record["rows"] == 8 * SETTINGS["cuts"]  # of 40 pumps a fifth validate


def test_what_is_not_scored_is_not_explained_either(bundle, tmp_path):
    rows = nightly(tmp_path, "false", "true")
    rows.loc[33, "hours"] = rows["hours"][32]
    rows.to_csv(tmp_path / "new.csv", index=False)
    scored, found = bundle.score(rows), bundle.explain(rows)
    assert found["error"].equals(scored["error"])
    assert found["context"].equals(scored["context"])
    assert found["sensors"].notna().equals(scored["prediction"].notna())
    done = CliRunner().invoke(main, ["explain", str(bundle.path), str(tmp_path / "new.csv"), str(tmp_path / "why.csv")])
    assert done.stdout.startswith("5 rows explained, 145 read as context, 30 with an error"), done.stderr
    assert len(pd.read_csv(tmp_path / "why.csv")) == 35


def test_a_run_to_failure_needs_no_column_of_remaining_life(tmp_path):
    rows = ROWS[ROWS["pump"].isin(PUMPS[:30])]
    rows.drop(columns="rul").to_parquet(tmp_path / "rows.parquet")
    data = {"rows": str(tmp_path / "rows.parquet"), "columns": COLUMNS}
    settings = {**TINY, "runs_to_failure": True, "training": {"epochs": 1, "refit": False, "keep": "best"}}
    settings["training"]["batch_size"] = 256
    found = run.train(
        {"solution": "solvent_maintenance:SOLUTION", "data": data, "settings": settings}, tmp_path / "out"
    )
    assert found.facts["test"]["metrics"]["rmse"]["value"] > 0
    assert found.facts["facts"]["interval"]["machines"] == {"choosing": 3, "calibrating": 4}
    measured = run.evaluate(found, rows.drop(columns="rul"))
    assert measured["rows"] == 30 * SETTINGS["cuts"]
