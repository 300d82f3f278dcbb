"""Maintenance: lives and cuts, modes, calibrated intervals and alarms, metrics by hand: what needs no network."""

import math

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from solvent import Fitted, Refused, datasets
from solvent.metrics import point
from solvent.schema import Schema
from solvent_maintenance import SOLUTION, answers, figures, lives, measures, reading
from solvent_maintenance.sample import machines
from solvent_maintenance.settings import Maintenance, columns

ROWS = machines(3).rows


def series(**machine_lives):
    """A row for each machine and cycle from 1 on; the life that remains at the last one."""
    return pd.concat(
        [
            pd.DataFrame({"machine": name, "cycle": np.arange(1.0, rows + 1), "rul": left + np.arange(rows)[::-1]})
            for name, (rows, left) in machine_lives.items()
        ],
        ignore_index=True,
    )


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


@pytest.mark.parametrize(("step", "end"), [(1.0, 1.0), (1.0, 0.5), (10.0, 10.0), (0.5, 0.0)])
def test_a_life_that_is_counted_down_to_the_last_step_has_run_out_too(step, end):
    rows = series(dead=(40, 0.0), alive=(40, 2.0))
    rows[["cycle", "rul"]] *= step
    rows["rul"] += np.where(rows["machine"] == "dead", end, 0.0)
    assert lives.failed(rows, rows["rul"].to_numpy()).to_dict() == {"dead": True, "alive": False}
    at = rows.iloc[lives.measured(Maintenance(cuts=4), rows)]
    assert at["machine"].value_counts().to_dict() == {"dead": 4, "alive": 1}
    assert lives.checks(Maintenance(), rows) == []
    (found,) = lives.checks(Maintenance(), rows[rows["machine"] == "alive"])
    assert (found.name, found.severity) == ("no_failure", "warning")
    assert f"at least {2 * step:g} cycles are left" in found.message


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


# Figures


def test_figures_say_which_rows_they_are_of():
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
