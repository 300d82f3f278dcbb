"""Credit: bins are what the data says, and the network is the sum that it claims to be."""

import numpy as np
import pandas as pd
import pytest

from solvent import Columns, Data, Refused, devices
from solvent.schema import Schema
from solvent_finance import network, woe
from solvent_finance import settings as settings_module
from solvent_finance.binning import MISSING, UNSEEN, bin_numbers, first_in_order, learn_bins, names_of_bins, sizes
from solvent_finance.decision import probability, truth
from solvent_finance.sample import loans
from solvent_finance.settings import Credit


@pytest.fixture(scope="module")
def learnt():
    """Incomes 1 to 100 with the code -9 and a missing cell; homes of which one is rare."""
    rows = pd.DataFrame(
        {
            "income": [*range(1, 101), -9.0, -9.0, np.nan, 50.0],
            "home": ["rent"] * 60 + ["own"] * 41 + ["tent", None, "own"],
            "kind": ["-9"] * 30 + ["a"] * 74,
        }
    )
    codes = {"income": {"codes": [-7, -9]}, "kind": {"codes": [-9]}}
    schema = Schema.declare(Columns(features=("number", "category")), codes, list(rows), table="made").learn(rows)
    return learn_bins(schema.check(rows, targets=False).good, schema, most=4, rare=20), schema


def test_bins_are_quartiles_with_missing_unseen_and_each_code_apart(learnt):
    bins, _ = learnt
    income, home, kind = bins
    assert income["edges"] == [26.0, 50.0, 75.0]
    assert names_of_bins(income) == [
        "missing",
        "unseen or rare",
        "code -7.0",
        "code -9.0",
        "≤ 26",
        "≤ 50",
        "≤ 75",
        "> 75",
    ]
    assert home["levels"] == ["own", "rent"]
    assert (kind["codes"], kind["levels"]) == (["-9"], ["a"])
    assert sizes(bins) == [8, 4, 4]
    assert first_in_order(bins) == [4, 4, 4]


def test_every_cell_has_its_bin(learnt):
    bins, _ = learnt
    table = pd.DataFrame(
        {
            "income": [np.nan, -7.0, -9.0, -1e9, 26.0, 26.01, 1e9],
            "home": [None, "tent", "castle", "own", "rent", "own", "own"],
            "kind": ["-9", "a", "b", None, "a", "a", "a"],
        }
    )
    found = bin_numbers(table, bins)
    assert found[:, 0].tolist() == [MISSING, 2, 3, 4, 4, 5, 7]
    assert found[:, 1].tolist() == [MISSING, UNSEEN, UNSEEN, 2, 3, 2, 2]
    assert found[:, 2].tolist() == [2, 3, UNSEEN, MISSING, 3, 3, 3]


def test_the_network_is_a_bias_and_one_value_for_each_bin(learnt):
    bins, _ = learnt
    model = network._build(bins, strength=0.0, odds=-1.0)
    layer = model.get_layer("shapes")
    values = np.arange(16, dtype="float32")
    layer.values.assign(values)
    assert float(model(np.array([[3, 1, 2]], "int32"))[0, 0]) == -1 + values[3] + values[8 + 1] + values[12 + 2]


def test_smoothness_penalises_steps_between_ranges_only(learnt):
    bins, _ = learnt
    layer = network.ShapeFunctions(sizes(bins), first_in_order(bins), smoothness=1.0, shrinkage=0.0)
    layer(np.zeros((1, 3), "int32"))
    layer.values.assign([9, 9, 9, 9, 1, 2, 4, 4, *[5] * 8])
    layer(np.zeros((1, 3), "int32"), training=True)
    assert float(sum(layer.losses)) == 1 + 4 + 0


def test_known_effects_are_recovered(tmp_path):
    """Risk in the made loans rises with debt, is lowest in middle age, and highest for tenants."""
    sample = loans(1)
    columns = settings_module.columns(Credit())
    declared = {"target": "status", "id": "loan"}
    schema = Schema.declare(columns, declared, list(sample.rows), table="made")
    rows = schema.rename(sample.rows, table_name="made", targets=True)
    schema = schema.learn(rows)
    good = schema.check(rows, targets=True).good
    with devices.scope(devices.Device()):
        settings = Credit(**sample.settings)
        fitted = network.fit(settings, Data(good[:1000], good[1000:], schema, {}, 0, tmp_path))
    values = np.split(
        fitted.models["model"].get_layer("shapes").values.numpy(), np.cumsum(sizes(fitted.facts["bins"]))[:-1]
    )
    shape = {
        bin_["name"]: dict(zip(names_of_bins(bin_), value, strict=True))
        for bin_, value in zip(fitted.facts["bins"], values, strict=True)
    }
    home, debt, age = shape["home"], list(shape["debt"].values())[2:], list(shape["age"].values())[2:]
    assert home["owner"] < home["family"] < home["rent"]
    assert debt[0] < np.mean(debt) < debt[-1]
    assert min(age[5:11]) < age[0] and min(age[5:11]) < age[-1]


def test_a_positive_class_that_is_not_there_is_named():
    rows = pd.DataFrame({"target": ["good", "default", "good"]})
    with pytest.raises(Refused, match=r"positive is 'bad'.*default, good"):
        truth(Credit(), rows)
    with pytest.raises(Refused, match="two classes"):
        truth(Credit(), pd.DataFrame({"target": ["bad", "good", "maybe"]}))


def test_an_uncalibrated_probability_is_the_logistic_of_the_log_odds():
    np.testing.assert_allclose(probability(np.array([[0.0], [np.log(3)]])), [0.5, 0.75])


def test_weights_of_evidence_are_those_of_the_definition():
    """Two levels: log of the share of goods over the share of bads in each."""
    home = pd.Series(["own"] * 100 + ["rent"] * 100)
    defaulted = np.array([1] * 10 + [0] * 90 + [1] * 40 + [0] * 60)
    (found,) = woe.learn(pd.DataFrame({"home": home}), defaulted)
    expected = {"own": np.log((90 / 150) / (10 / 50)), "rent": np.log((60 / 150) / (40 / 50))}
    assert found["levels"] == pytest.approx(expected)
    table = pd.DataFrame({"home": ["own", "castle", None]})
    np.testing.assert_allclose(woe.transform(table, [found])[:, 0], [expected["own"], 0.0, found["missing"]])
