"""Credit: bins are what the data says, and the network is the sum that it claims to be."""

import numpy as np
import pandas as pd
import pytest

from solvent import Columns, Data, Refused, devices
from solvent.schema import Schema
from solvent_finance import network, rivals, woe
from solvent_finance.binning import MISSING, UNSEEN, bin_numbers, first_in_order, learn_bins, names_of_bins, sizes
from solvent_finance.decision import probability, truth
from solvent_finance.sample import loans
from solvent_finance.settings import Credit, columns


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


def checked(rows):
    """Made loans as a solution gets them, with their schema."""
    roles = {"target": "status", "id": "loan"} | ({"weight": "counts"} if "counts" in rows else {})
    schema = Schema.declare(columns(Credit()), roles, list(rows), table="made")
    renamed = schema.rename(rows, table_name="made", targets=True)
    schema = schema.learn(renamed)
    return schema.check(renamed, targets=True).good, schema


def test_known_effects_are_recovered(tmp_path):
    """Risk in the made loans rises with debt, is lowest in middle age, and highest for tenants."""
    good, schema = checked(loans(1).rows)
    with devices.scope(devices.Device()):
        settings = Credit(**loans(1).settings)
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


def test_weights_of_evidence_count_a_row_of_weight_two_as_two_rows_however_small_the_weights():
    random = np.random.default_rng(0)
    debt = random.normal(size=1500)
    defaulted = (random.random(1500) < 1 / (1 + np.exp(-debt))).astype(int)
    times = random.integers(0, 4, 1500)
    table = pd.DataFrame({"debt": debt, "home": np.where(random.random(1500) < 0.5, "own", "rent")})
    repeated = np.repeat(np.arange(1500), times)
    expected = woe.learn(table.iloc[repeated], defaulted[repeated])
    for small in (1, 1 / 1000):
        found = woe.learn(table, defaulted, pd.Series(times * small))
        np.testing.assert_allclose(woe.transform(table, found), woe.transform(table, expected), atol=1e-4)


def test_quantiles_count_a_row_of_weight_three_as_three_rows():
    """Weights that fall to 0 from the middle on: the quartiles are those of the rows that are there."""
    rows = pd.DataFrame({"debt": np.arange(200.0), "home": ["own"] * 100 + ["rent"] * 100})
    rows["weight"] = np.where(rows["debt"] < 50, 3.0, np.where(rows["debt"] < 100, 1.0, 0.0))
    schema = Schema.declare(Columns(features=("number", "category")), {"weight": "weight"}, list(rows), table="made")
    debt, home = learn_bins(rows, schema.learn(rows), most=4, rare=20)
    # Of 200 in all, the first 50 rows carry 150: 50 at the 17th row, 100 at the 34th, 150 at the 50th.
    assert debt["edges"] == [16.0, 33.0, 49.0]
    assert home["levels"] == ["own"]


@pytest.fixture(scope="module")
def contradicted():
    """Loans to learn from, loans to choose on, and the same among twice as many turned around that weigh nothing."""
    good, schema = checked(loans(2).rows.assign(counts=1.0))
    train, valid = good[:900], good[900:]
    turned = valid.assign(target=np.where(valid["target"] == "bad", "good", "bad"), weight=0.0)
    return train, valid, pd.concat([valid, turned, turned], ignore_index=True), schema


@pytest.mark.parametrize("fit", [rivals.woe, rivals.boosting])
def test_a_rival_is_chosen_by_rows_that_weigh_something(fit, contradicted, monkeypatch, tmp_path):
    train, valid, more, schema = contradicted
    monkeypatch.setattr(rivals, "halves", lambda table, *_: (table, table))
    scored = [fit(Credit(), Data(train, part, schema, {}, 0, tmp_path))(valid) for part in (valid, more)]
    pd.testing.assert_frame_equal(*scored, rtol=1e-5)


def test_the_network_is_chosen_by_rows_that_weigh_something(contradicted, monkeypatch, tmp_path):
    train, valid, more, schema = contradicted
    monkeypatch.setattr(network, "halves", lambda table, *_: (table, table))
    settings = Credit(smoothness=(3.0, 300.0), training={"epochs": 6, "learning_rate": 0.05, "batch_size": 256})
    facts = []
    for name, part in {"plain": valid, "more": more}.items():
        with devices.scope(devices.Device()):
            facts.append(network.fit(settings, Data(train, part, schema, {}, 0, tmp_path / name)).facts)
    tried = [[item["auc"] for item in each["choices"][0]["tried"]] for each in facts]
    assert tried[0] == pytest.approx(tried[1]) and min(tried[0]) > 0.6
    assert facts[0]["operating_point"]["value"] == pytest.approx(facts[1]["operating_point"]["value"], abs=1e-6)


def test_class_weights_and_the_first_log_odds_go_by_the_targets_own_levels(contradicted, tmp_path):
    """Two thirds of the weight on the loans that defaulted: the network begins at log 2."""
    train, valid, _, schema = contradicted
    data, share = Data(train, valid, schema, {}, 0, tmp_path), (train["target"] == "bad").mean()
    settings = Credit(
        smoothness=(3.0,), training={"epochs": 1, "class_weight": {"good": 1 / (1 - share), "bad": 2 / share}}
    )
    with devices.scope(devices.Device()):
        layer = network.fit(settings, data).models["model"].get_layer("shapes")
    assert layer.settings["bias"] == pytest.approx(np.log(2), rel=1e-5)
    with pytest.raises(Refused, match=r"names \['bad', 'repaid'\]; expected each of \['bad', 'good'\]"):
        network.fit(Credit(training={"class_weight": {"repaid": 1, "bad": 2}}), data)
