"""Maintenance: lives and cuts, modes, calibrated intervals and alarms, metrics by hand, a nightly job with context."""

import math

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from solvent import Bundle, Fitted, Refused, datasets, run, startup
from solvent.metrics import point
from solvent.schema import Schema
from solvent.score import score
from solvent_maintenance import SOLUTION, answers, figures, lives, measures, reading
from solvent_maintenance.sample import COLUMNS, SETTINGS, machines
from solvent_maintenance.settings import Maintenance, columns

startup.tensorflow()

import keras  # noqa: E402

from solvent_maintenance import network, rivals  # noqa: E402

ROWS = machines(3).rows
PUMPS = ROWS["pump"].unique()
TINY = {
    **SETTINGS,
    "network": {"units": 8, "kernel": 3, "layers": 1, "heads": 2},
    "members": 2,
    "training": {"epochs": 1, "batch_size": 256},
}


def series(**machine_lives):
    """A row for each machine and cycle from 1 on; the life that remains at the last one."""
    return pd.concat(
        [
            pd.DataFrame({"machine": name, "cycle": np.arange(1.0, rows + 1), "rul": left + np.arange(rows)[::-1]})
            for name, (rows, left) in machine_lives.items()
        ],
        ignore_index=True,
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Bundle:
    folder = tmp_path_factory.mktemp("pumps")
    ROWS[ROWS["pump"].isin(PUMPS[:40])].to_parquet(folder / "rows.parquet")
    data = {"rows": str(folder / "rows.parquet"), "columns": COLUMNS}
    return run.train({"solution": "solvent_maintenance:SOLUTION", "data": data, "settings": TINY}, folder / "bundle")


# Lives


def test_a_life_is_given_or_counted_back_from_the_failure():
    rows = series(a=(4, 7.0), b=(2, 0.0))
    assert lives.remaining(Maintenance(), rows).tolist() == [10, 9, 8, 7, 1, 0]
    counted = rows.drop(columns="rul").iloc[::-1]
    assert lives.remaining(Maintenance(runs_to_failure=True), counted).tolist() == [0, 1, 0, 1, 2, 3]


def test_one_that_has_not_failed_is_measured_at_its_last_row_and_one_that_has_in_each_stretch_of_its_life():
    rows = series(alive=(9, 5.0), dead=(40, 0.0), short=(3, 0.0)).sample(frac=1, random_state=0).reset_index(drop=True)
    at = lives.measured(Maintenance(cuts=4), rows)
    found = rows.iloc[at].groupby("machine")["cycle"].apply(sorted)
    assert found["alive"] == [9]
    assert [math.ceil(cycle / 10) for cycle in found["dead"]] == [1, 2, 3, 4]
    assert found["short"] == [1, 2, 3]
    alone = rows[rows["machine"] == "dead"]
    assert sorted(alone.iloc[lives.measured(Maintenance(cuts=4), alone)]["cycle"]) == found["dead"]


def test_a_repeated_cycle_and_lives_that_do_not_add_up_are_found():
    rows = series(a=(5, 0.0), b=(5, 0.0), c=(5, 0.0))
    assert lives.checks(Maintenance(), rows) == []
    broken = rows.copy()
    broken.loc[1, "cycle"] = 1.0
    broken.loc[7, "rul"] = 30.0
    broken.loc[12, "rul"] = -1.0
    found = {item.name: (item.severity, item.count) for item in lives.checks(Maintenance(), broken)}
    assert found == {"cycle_twice": ("refusal", 1), "negative_life": ("refusal", 1), "life_moves": ("warning", 2)}


# Sensors


def learnt(settings: Maintenance, rows: pd.DataFrame) -> reading.Reader:
    table = rows.rename(columns={"pump": "machine", "hours": "cycle"})
    schema = Schema.declare(columns(settings), {}, list(table), table="rows").learn(table)
    return reading.Reader.learnt(settings, schema.check(table, targets=True).good, schema, 0)


def test_sensors_are_standardised_in_each_mode_and_constant_ones_left_out():
    settings = Maintenance(operating=("load",), modes=2)
    reader = learnt(settings, ROWS)
    assert reader.sensors == ["temperature", "vibration", "pressure", "current", "oil_flow"]
    table = ROWS.rename(columns={"pump": "machine", "hours": "cycle"})
    mode = reader.mode(table)
    assert (mode == mode[0]).tolist() == ((table["load"] > 60) == (table["load"][0] > 60)).tolist()
    values = reader.read(table).values
    for number in (0, 1):
        assert np.abs(values[mode == number].mean(axis=0)).max() < 1e-3
        assert np.abs(values[mode == number].std(axis=0) - 1).max() < 1e-3


def test_a_reader_is_the_same_when_it_is_read_back():
    for settings in (Maintenance(), Maintenance(operating=("load",), modes=2)):
        reader = learnt(settings, ROWS)
        again = reading.Reader.from_json(reader.to_json())
        table = ROWS.rename(columns={"pump": "machine", "hours": "cycle"}).head(50)
        assert np.array_equal(reader.read(table).values, again.read(table).values)


def test_a_setting_that_names_no_column_is_refused():
    with pytest.raises(Refused, match=r"operating names 'lod'.*load"):
        learnt(Maintenance(operating=("lod",), modes=2), ROWS)
    with pytest.raises(Refused, match="operating settings take fewer values"):
        learnt(Maintenance(operating=("room",), modes=2), ROWS.assign(room=1.0))


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


# Intervals and alarms


def drawn(machines_count: int, rows: int, seed: int):
    """Estimates whose errors are normal, of size 1 below an estimate of 50 and 10 above; a machine's share a part."""
    random = np.random.default_rng(seed)
    machine = pd.Series(np.repeat(np.arange(machines_count), rows).astype(str))
    estimate = random.uniform(20, 100, len(machine))
    own = np.repeat(random.normal(size=machines_count), rows)
    error = np.where(estimate < 50, 1.0, 10.0) * (own + random.normal(size=len(machine))) / 2**0.5
    return machine, estimate, estimate + error


def test_intervals_hold_as_many_new_machines_as_promised_and_are_as_wide_as_errors_are_large():
    settings = Maintenance(cap=1000, coverage=0.9)
    held, widths = [], []
    for seed in range(40):
        machine, estimate, truth = drawn(80, 5, seed)
        errors = answers.calibrated(settings, machine, estimate, truth, (machine.astype(int) < 40).to_numpy())
        _, new, life = drawn(200, 1, 1000 + seed)
        told = answers.answers(settings, errors, pd.RangeIndex(len(new)), new)
        held.append(((told["low"] <= life) & (life <= told["high"])).mean())
        width = (told["high"] - told["low"]).to_numpy()
        widths.append(width[new > 70].mean() / width[new < 35].mean())
    assert 0.89 < np.mean(held) < 0.94
    assert 3 < np.mean(widths) < 6  # errors of size 0.8 and 8; none is taken for smaller than 0.02 of the longest


def test_with_too_few_machines_the_interval_says_nothing_and_so_does_a_warning():
    settings = Maintenance(cap=100, coverage=0.9)
    machine, estimate, truth = drawn(16, 5, 0)
    errors = answers.calibrated(settings, machine, estimate, truth, (machine.astype(int) < 8).to_numpy())
    told = answers.answers(settings, errors, pd.RangeIndex(1), np.array([40.0]))
    assert (told["low"][0], told["high"][0]) == (0, 100)
    assert "at least 9 machines" in answers.findings(settings, errors)[0].message
    again = answers.Errors.from_json(errors.to_json(), errors.table())
    assert again.reach == math.inf


def known_errors(reach: float = 1.0) -> answers.Errors:
    """Ten scaled errors from -4.5 to 4.5, of ten machines, one more counted; errors are 2 cycles large."""
    return answers.Errors(np.array([50.0]), np.array([2.0]), np.arange(10) - 4.5, np.full(10, 1 / 11), reach)


def test_the_probability_of_a_failure_counts_errors_and_half_of_one_machine_more():
    found = known_errors().chance_within(np.array([10.0, 13.0, 500.0, 0.0]), 10)
    assert found == pytest.approx([5.5 / 11, 4 / 11, 1 / 11, 10 / 11])


def test_an_alarm_comes_where_stopping_is_cheaper():
    settings = Maintenance(scoring={"horizon": 10, "early_cycle": 1, "missed_failure": 25})
    told = answers.answers(settings, known_errors(), pd.RangeIndex(3), np.array([10.0, 13.0, -3.0]))
    # 25 * 5.5 / 11 = 12.5 against 10 cycles; 25 * 4 / 11 = 9.1 against 13
    assert told["alarm"].tolist() == [True, False, True]
    assert told["prediction"].tolist() == [10, 13, 0]
    assert told["low"].tolist() == [8, 11, 0]
    assert told["high"].tolist() == [12, 15, 2]


# Metrics


def test_the_penalty_is_nasas():
    truth, estimate = np.array([50.0, 50, 50]), np.array([37.0, 60, 50])
    assert measures.penalty(truth, estimate) == pytest.approx([math.e - 1, math.e - 1, 0])


def test_metrics_are_those_of_a_calculation_by_hand_and_each_machine_counts_as_one():
    settings = Maintenance(cap=100, scoring={"horizon": 20, "early_cycle": 2, "missed_failure": 50})
    rows = pd.DataFrame({"machine": ["a", "a", "b", "c"], "rul": [130.0, 10, 15, 40]})
    scored = pd.DataFrame(
        {
            "prediction": [90.0, 20, 15, 30],
            "low": [80.0, 12, 10, 20],
            "high": [100.0, 28, 20, 45],
            "probability": [0.0, 0.5, 1.0, 0.5],
            "alarm": [False, False, True, True],
        }
    )
    found = {name: point(value) for name, value in measures.metrics(settings, rows, scored).items()}
    assert found["rmse"] == pytest.approx((((100 + 100) / 2 + 0 + 100) / 3) ** 0.5)
    assert found["mae"] == pytest.approx((10 + 0 + 10) / 3)
    assert found["rmse_uncapped"] == pytest.approx((((1600 + 100) / 2 + 0 + 100) / 3) ** 0.5)
    early, late = math.exp(10 / 13) - 1, math.exp(10 / 10) - 1
    assert found["nasa_score"] == pytest.approx((early + late) / 2 + 0 + early)
    assert found["coverage"] == pytest.approx((0.5 + 1 + 1) / 3)  # 130 counts as 100; 10 lies under 12
    assert found["width"] == pytest.approx(((20 + 16) / 2 + 10 + 25) / 3)
    # a: nothing, then a missed failure; b: 15 cycles lost; c: 40
    assert found["cost"] == pytest.approx(((0 + 50) / 2 + 30 + 80) / 3)
    assert found["missed"] == pytest.approx(0.5 / 1.5)
    assert found["false_alarms"] == pytest.approx(1 / 1.5)


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


def test_figures_say_which_rows_they_are_of(bundle):
    import matplotlib.figure

    rows = series(a=(20, 0.0), b=(30, 0.0))
    settings = Maintenance(cap=20, scoring={"horizon": 5})
    told = answers.answers(settings, known_errors(), rows.index, rows["rul"].to_numpy() + 2)
    drawn_figures = list(figures.figures(settings, Fitted({}), rows, told))
    assert [item.title for item in drawn_figures] == [
        "Remaining life with its interval",
        "Courses of some machines",
        "Too short and too long",
        "When alarms come",
    ]
    for item in drawn_figures:
        item.draw(matplotlib.figure.Figure().add_subplot())
    last = rows.groupby("machine").tail(1)
    assert len(list(figures.figures(settings, Fitted({}), last, told.loc[last.index]))) == 3


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
    assert found.facts["facts"]["interval"]["machines"] == {"choosing": 3, "calibrating": 3}
    measured = run.evaluate(found, rows.drop(columns="rul"))
    assert measured["rows"] == 30 * SETTINGS["cuts"]


# Settings and data sets


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"members": 1}, "set members: 2 or more"),
        ({"training": {"keep": "best"}}, "choose epochs by the machines that calibrate"),
        ({"modes": 6}, "name the columns of operating settings"),
        ({"cap": 20}, "expected one below cap"),
        ({"model": "transformer", "network": {"units": 10}}, "a multiple of network.heads"),
        ({"training": {"class_weight": "balanced"}}, "has no classes"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        Maintenance(**settings)


def test_a_training_section_in_part_keeps_the_rest_of_its_defaults():
    assert Maintenance(training={"epochs": 3}).training == Maintenance().training.model_copy(update={"epochs": 3})


@pytest.mark.data
def test_fd001_is_what_nasa_published():
    rows = datasets.load({item.name: item for item in SOLUTION.datasets}["cmapss_fd001"])
    assert rows.groupby("part")["engine"].nunique().to_dict() == {"test": 100, "train": 80, "valid": 20}
    assert len(rows) == 20_631 + 13_096
    last = rows.groupby("engine").tail(1)
    assert (last.loc[last["part"] != "test", "rul"] == 0).all()
    test = last.loc[last["part"] == "test", "rul"]
    assert test.head(3).tolist() == [112, 98, 69]
    assert test.std(ddof=0) == pytest.approx(41.6, abs=0.1)
    cases = lives.cases(Maintenance(), rows[rows["part"] == "test"].rename(columns={"engine": "machine"}))
    assert cases.index[cases["score_this"] == "true"].tolist() == last.index[last["part"] == "test"].tolist()
