"""Credit's training and its rivals: nothing is seen that must not be, and what is known of made loans is found.

`test_finance.py` has the parts that need no training.
"""

import os

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from solvent import Data, Fitted, Refitted, datasets, devices
from solvent.metrics.calibration import fit_platt
from solvent.schema import Schema
from solvent.split import bags, cutting
from solvent_finance import model, rivals, shapes, woe
from solvent_finance.binning import MISSING, bin_numbers
from solvent_finance.datasets import DATASETS
from solvent_finance.decision import calibrated, truth
from solvent_finance.design import Design
from solvent_finance.network import training_network
from solvent_finance.sample import loans
from solvent_finance.scorecard import Scorecard
from solvent_finance.settings import Credit, columns

PUBLIC = ("german_credit", "taiwan_default")
QUICK = {"epochs": 10, "batch_size": 256, "learning_rate": 0.05}


def checked(rows, **roles):
    """Made loans as a solution gets them, with their schema."""
    schema = Schema.declare(
        columns(Credit()), {"target": "status", "id": "loan", **roles}, list(rows), table="made loans"
    )
    renamed = schema.rename(rows, table_name="made loans", targets=True)
    schema = schema.learn(renamed)
    return schema.check(renamed, targets=True).good, schema


def fitted_on(settings, good, schema, folder, train=0.75):
    """Fit on made loans, of which the last are the validation rows."""
    cut = round(train * len(good))
    with devices.scope(devices.Device()):
        return model.fit(settings, Data(good.iloc[:cut], good.iloc[cut:], schema, {}, 0, folder))


def card_of(fitted):
    return Scorecard.from_json(fitted.facts["bins"], fitted.facts["scorecard"])


def turned(rows):
    return rows.assign(target=np.where(rows["target"] == "bad", "good", "bad"))


# what is seen and what is not


@pytest.fixture(scope="module")
def shuffled():
    """1,500 loans with 100 levels each of two categories, and targets that nothing has to do with."""
    random = np.random.default_rng(4)
    rows = pd.DataFrame({"loan": range(1500), "status": random.choice(["good", "bad"], 1500, p=[0.7, 0.3])})
    for name in ("branch", "dealer"):
        rows[name] = random.choice([f"{name} {number}" for number in range(100)], 1500)
    rows["debt"] = random.normal(size=1500).round(6)
    return checked(rows)


@pytest.fixture(scope="module")
def small():
    """900 of the sample's loans to learn from and 600 to choose on; all count alike."""
    good, schema = checked(loans(2).rows.assign(counts=1.0), weight="counts")
    return good[:900], good[900:], schema


@pytest.fixture(scope="module")
def contradicted(small):
    """The rows to choose on among twice as many that are turned around, and weigh nothing."""
    valid = small[1]
    against = turned(valid).assign(weight=0.0)
    return pd.concat([valid, against, against], ignore_index=True).set_axis(range(5000, 6800))


def test_what_values_are_drawn_to_is_learnt_in_each_bag_by_its_own_rows(shuffled, tmp_path):
    """Values begin at what each column says alone. If a bag's left-out rows had a say, they would be known."""
    good, schema = shuffled
    data = Data(good, good[:0], schema, {}, 0, tmp_path)
    design = Design.of(Credit(rare=1), data, bags(data, refit=True, folds=5, repeats=1))
    layout, pull = shapes.structure(Credit(rare=1), design, 30.0, [])
    begun = Fitted({"model": training_network(layout, pull)}).predict(design.numbers)
    unseen = design.bags.unseen(begun, np.arange(1500))
    assert roc_auc_score(design.defaulted, begun.mean(axis=1)) > 0.65
    assert 0.4 < roc_auc_score(design.defaulted, unseen) < 0.55


def test_scores_of_validation_rows_are_by_networks_that_have_not_seen_them(shuffled, tmp_path):
    """Settings that learn by heart, and targets that can only be learnt so."""
    good, schema = shuffled
    settings = Credit(
        **{"rare": 1, "smoothness": (0.01,), "shrinkage": 0.01, "pairs": (0,), "folds": 4, "repeats": 1},
        **{"calibration": "none", "training": QUICK},
    )
    fitted, held = fitted_on(settings, good, schema, tmp_path, train=2 / 3), good.iloc[1000:]
    bad, points = truth(settings, held), card_of(fitted).points(bin_numbers(held, fitted.facts["bins"]))
    assert fitted.valid.index.equals(held.index)
    assert roc_auc_score(bad, -points) > 0.65
    assert 0.4 < roc_auc_score(bad, fitted.valid["probability"]) < 0.57
    assert fitted.valid[["reason_1", "reason_2", "reason_3"]].isna().all(axis=None)


def test_without_refitting_validation_rows_teach_nothing_and_each_half_does_its_part(small, tmp_path):
    train, valid, schema = small
    once = {"smoothness": (100.0,), "pairs": (0,), "folds": 2, "repeats": 1, "calibration": "none"}
    cards = []
    for name, held, refit in (("as it is", valid, False), ("turned", turned(valid), False), ("all", valid, True)):
        settings = Credit(**once, training={**QUICK, "epochs": 1, "refit": refit})
        with devices.scope(devices.Device()):
            fitted = model.fit(settings, Data(train, held, schema, {}, 0, tmp_path / name))
        cards.append(fitted.facts["scorecard"])
        words = "training and validation rows, out of 2 folds"
        choosing, calibrating = "validation rows, choosing half", "validation rows, calibrating half"
        assert {each["chosen_on"] for each in fitted.facts["choices"]} == {words if refit else choosing}
        assert fitted.facts["operating_point"]["chosen_on"] == (words if refit else calibrating)
        if not refit:
            scored = model.scorer(settings, fitted)(held)
            assert (scored["points"] - fitted.valid["points"]).abs().max() <= 3, "they differ by rounding"
    assert cards[0] == cards[1]
    assert cards[0]["terms"] != cards[2]["terms"]


def test_the_network_is_chosen_by_rows_that_weigh_something(small, contradicted, monkeypatch, tmp_path):
    train, valid, schema = small
    monkeypatch.setattr(cutting, "halves", lambda table, *_: (table, table))
    training = {**QUICK, "epochs": 4, "refit": False}
    settings = Credit(smoothness=(3.0, 300.0), pairs=(0,), folds=2, repeats=1, training=training)
    facts = []
    for name, part in {"plain": valid, "more": contradicted}.items():
        with devices.scope(devices.Device()):
            facts.append(model.fit(settings, Data(train, part, schema, {}, 0, tmp_path / name)).facts)
    tried = [[item["auc"] for item in each["choices"][0]["tried"]] for each in facts]
    assert tried[0] == pytest.approx(tried[1]) and min(tried[0]) > 0.6 and tried[0][0] != tried[0][1]
    assert facts[0]["operating_point"]["value"] == pytest.approx(facts[1]["operating_point"]["value"], abs=1e-6)
    assert facts[0]["scorecard"]["terms"] == facts[1]["scorecard"]["terms"]


# a portfolio with a pair


@pytest.fixture(scope="module")
def paired(tmp_path_factory):
    """6,000 loans: risk falls with income, a code counts, and use of the credit line acts together with its age.

    Returns:
        The loans, their effects on the log odds of default by column, what was fitted, and what `_card`, `_pairs` and
        `strongest` were given.
    """
    random = np.random.default_rng(11)
    used, years = random.uniform(0, 1, 6000).round(4), random.uniform(0, 20, 6000).round(2)
    income, gone = random.lognormal(7.5, 0.5, 6000).round(2), random.random(6000) < 0.08
    late = np.where(random.random(6000) < 0.15, -9.0, random.integers(0, 100, 6000))
    effects = {
        "used": np.zeros(6000),
        "years": np.zeros(6000),
        "income": np.where(gone, 0.7, -0.8 * (np.log(income) - 7.5)),
        "late": np.where(late == -9, 0.6, 0.008 * late),
        ("used", "years"): 1.2 * (2 * used - 1) * (years / 10 - 1),
    }
    bad = random.random(6000) < 1 / (1 + np.exp(1.9 - sum(effects.values())))
    rows = pd.DataFrame({"loan": range(6000), "used": used, "years": years, "late": late})
    rows = rows.assign(income=np.where(gone, np.nan, income), status=np.where(bad, "bad", "good"))
    good, schema = checked(rows, late={"codes": [-9]})
    settings, given = Credit(smoothness=(30.0,), pairs=(0, 1), training={**QUICK, "learning_rate": 0.02}), {}

    def overheard(name, function):
        return lambda *parts: given.update({name: parts}) or function(*parts)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("_card", "_pairs", "strongest"):
            patch.setattr(model, name, overheard(name, getattr(model, name)))
        fitted = fitted_on(settings, good, schema, tmp_path_factory.mktemp("paired"))
    return good, effects, fitted, given


def test_effects_lie_in_their_intervals_also_of_two_columns_together(paired):
    """Over ten draws of such loans, 0.82 to 1.00 of them were in bins of a column whose interval held the truth; in
    cells of the pair 0.72 to 0.94, since it is strong, and drawn too smooth."""
    good, effects, fitted, _ = paired
    card = card_of(fitted)
    names, bins = [bin_["name"] for bin_ in card.bins], bin_numbers(good, card.bins)
    assert {tuple(sorted(names[column] for column in term.columns)) for term in card.pairs} == {("used", "years")}
    held = {}
    for term in card.terms:
        place, count = term.place(bins), term.points.size
        key = tuple(names[column] for column in term.columns)
        effect = effects[key[0]] if len(key) == 1 else effects["used", "years"]
        true = np.bincount(place, effect, count) / np.maximum(np.bincount(place, minlength=count), 1)
        off = np.abs(term.points.ravel() + card.scale.factor * (true - effect.mean()))
        held[key] = np.average(off <= 1.96 * term.deviation.ravel() + 0.5, weights=term.loans.ravel())
        if len(key) == 2:
            assert np.corrcoef(term.points.ravel()[place], -effect)[0, 1] > 0.85
    assert np.mean([share for key, share in held.items() if len(key) == 1]) > 0.9, held
    assert min(held.values()) > 0.7, held


def test_points_are_affine_in_the_calibrated_log_odds_but_for_rounding(paired):
    good, _, fitted, given = paired
    _, design, networks, log_odds, _, calibration = given["_card"]
    card, bins = card_of(fitted), bin_numbers(good, fitted.facts["bins"])
    np.testing.assert_array_equal(bins, design.numbers)
    np.testing.assert_allclose(networks.predict(bins).mean(axis=1), log_odds, rtol=1e-6)
    exact = 500 - 50 / np.log(2) * calibrated(calibration, log_odds)
    off = np.abs(card.points(bins) - exact)
    assert off.max() <= 0.5 * (len(card.terms) + 1) + 1e-3
    assert off.mean() > 0.1, "they are rounded"
    scored = model.scorer(Credit(), fitted)(good)
    np.testing.assert_array_equal(scored["points"], card.points(bins))
    np.testing.assert_allclose(scored["probability"], 1 / (1 + 2 ** ((scored["points"] - 500) / 50)), rtol=1e-12)


def test_calibration_cut_off_and_validation_scores_are_by_networks_that_had_not_seen_the_loan(paired):
    good, _, fitted, given = paired
    _, design, networks, _, _, calibration = given["_card"]
    unseen = design.bags.unseen(networks.predict(design.numbers), np.arange(6000))
    by_hand = fit_platt(unseen, design.defaulted)
    assert calibration == pytest.approx(by_hand) == fitted.facts["calibration"]
    points = np.rint(500 - 50 / np.log(2) * calibrated(by_hand, unseen)).astype(int)
    np.testing.assert_array_equal(fitted.valid["points"], points[4500:])
    assert list(fitted.valid.index) == list(good.index[4500:])
    shares = np.diff([0, *(np.mean(points <= edge) for edge in fitted.facts["reference"]["edges"]), 1])
    np.testing.assert_allclose(fitted.facts["reference"]["shares"], shares)
    assert np.abs(shares - 0.1).max() < 0.02
    cut = fitted.facts["operating_point"]["value"]
    assert ((fitted.valid["decision"] == "refuse") == (fitted.valid["probability"] >= cut)).all()
    # Each loan repaid brings 1, each default costs 5: it pays below a probability of 1/6.
    assert cut == pytest.approx(1 / 6, abs=0.02)


def test_pairs_are_looked_for_in_what_networks_that_had_not_seen_the_loan_leave_over(paired):
    given = paired[3]
    _, design, plain, _ = given["_pairs"]
    numbers, _, residual, curvature, *_ = given["strongest"]
    np.testing.assert_array_equal(numbers, design.numbers)
    chance = 1 / (1 + np.exp(-design.bags.unseen(plain.predict(numbers), np.arange(6000))))
    np.testing.assert_allclose(residual, design.defaulted - chance, atol=1e-6)
    np.testing.assert_allclose(curvature, chance * (1 - chance), atol=1e-6)


# trends


@pytest.fixture(scope="module")
def trends(tmp_path_factory):
    """2,500 loans. The risk that debt rises with is declared to fall, the U of age to rise; two trends are found."""
    random = np.random.default_rng(3)
    table = {name: random.uniform(0, 1, 2500).round(3) for name in ("debt", "age", "income", "share", "used", "years")}
    gone = random.random(2500) < 0.1
    odds = -1 + 2 * table["debt"] + 6 * (table["age"] - 0.5) ** 2 + np.where(gone, 3.0, -2 * table["income"])
    odds += table["share"] + 2.0 * np.sign(table["used"] - 0.5) * np.sign(table["years"] - 0.5)
    odds += 2.0 * np.sign(table["debt"] - 0.5) * np.sign(table["years"] - 0.5)
    bad = random.random(2500) < 1 / (1 + np.exp(-odds))
    rows = pd.DataFrame({"loan": range(2500), **table, "status": np.where(bad, "bad", "good")})
    good, schema = checked(rows.assign(income=np.where(gone, np.nan, table["income"])))
    monotone = {"debt": "falling", "age": "rising", "income": "auto", "share": "auto"}
    settings = Credit(
        **{"smoothness": (10.0,), "bins": 16, "pairs": (3,), "folds": 4, "repeats": 1},
        **{"monotone": monotone, "training": QUICK},
    )
    return card_of(fitted_on(settings, good, schema, tmp_path_factory.mktemp("trends")))


def test_points_follow_their_trend_also_against_the_data_and_missing_cells_do_not(trends):
    risk = {bin_["name"]: -term.points for bin_, term in zip(trends.bins, trends.own, strict=True)}
    assert all(len(risk[name]) == 18 for name in risk)
    rising = {name: np.diff(risk[name][2:]) >= 0 for name in risk}
    falling = {name: np.diff(risk[name][2:]) <= 0 for name in risk}
    assert rising["age"].all() and rising["share"].all()
    assert falling["debt"].all() and falling["income"].all()
    assert risk["share"][-1] > risk["share"][2] and risk["income"][-1] < risk["income"][2]
    assert np.ptp(risk["debt"][2:]) <= 2, "debt's risk rises, so that it may only stay as it is"
    assert risk["income"][MISSING] > risk["income"][2:].max()
    assert not (rising["used"].all() or falling["used"].all()), "it has no trend, and keeps its noise"


def test_columns_with_a_trend_are_in_no_pair(trends):
    """Debt and years act together as strongly as use and years do."""
    names = {trends.bins[place]["name"] for term in trends.pairs for place in term.columns}
    assert names == {"used", "years"}


# the rivals


@pytest.fixture(scope="module")
def evidence():
    """Weights of evidence of two levels, on 200 rows and on 200 others where it is the other way round."""
    home = pd.Series(["own"] * 100 + ["rent"] * 100 + ["rent"] * 100 + ["own"] * 100)
    defaulted = np.array(([1] * 10 + [0] * 90 + [1] * 40 + [0] * 60) * 2)
    return woe.learn(pd.DataFrame({"home": home}), defaulted, [np.arange(200), np.arange(200, 400)])


def test_weights_of_evidence_are_those_of_the_definition_in_each_part(evidence):
    """Log of the share of goods over the share of bads in each level."""
    safe, risky = np.log((90 / 150) / (10 / 50)), np.log((60 / 150) / (40 / 50))
    assert [len(part) for part in evidence] == [1, 1]
    assert evidence[0][0]["levels"] == pytest.approx({"own": safe, "rent": risky})
    assert evidence[1][0]["levels"] == pytest.approx({"own": risky, "rent": safe})


def test_an_unseen_level_has_no_weight_of_evidence_and_a_missing_cell_its_own(evidence):
    found = evidence[0][0]
    table = pd.DataFrame({"home": ["own", "castle", None]})
    np.testing.assert_allclose(woe.transform(table, [found])[:, 0], [found["levels"]["own"], 0.0, found["missing"]])


def test_weights_of_evidence_count_a_row_of_weight_two_as_two_rows_however_small_the_weights():
    random = np.random.default_rng(0)
    debt = random.normal(size=1500)
    defaulted = (random.random(1500) < 1 / (1 + np.exp(-debt))).astype(int)
    times = random.integers(0, 4, 1500)
    table = pd.DataFrame({"debt": debt, "home": np.where(random.random(1500) < 0.5, "own", "rent")})
    (expected,) = woe.learn(table, defaulted, [np.repeat(np.arange(1500), times)])
    (found,) = woe.learn(table, defaulted, [np.arange(1500)], pd.Series(times / 1000))
    np.testing.assert_allclose(woe.transform(table, found), woe.transform(table, expected), atol=1e-4)


@pytest.mark.parametrize("fit", [rivals.woe, rivals.boosting])
def test_a_rival_is_chosen_by_rows_that_weigh_something(fit, small, contradicted, monkeypatch, tmp_path):
    train, valid, schema = small
    monkeypatch.setattr(rivals, "STEPS", (5, 15))
    monkeypatch.setattr(cutting, "halves", lambda table, *_: (table, table))
    settings = Credit(training={"refit": False})
    scored = [fit(settings, Data(train, part, schema, {}, 0, tmp_path))(valid) for part in (valid, contradicted)]
    pd.testing.assert_frame_equal(*scored, rtol=1e-5)


def test_a_refitted_rival_is_calibrated_and_reported_by_models_that_had_not_seen_the_rows(
    shuffled, monkeypatch, tmp_path
):
    """Trees learn shuffled targets by heart. Calibrated by what they had seen, they would be sure of them."""
    good, schema = shuffled
    monkeypatch.setattr(rivals, "STEPS", (10, 20))
    data = Data(good[:1000], good[1000:], schema, {}, 0, tmp_path)
    found = rivals.boosting(Credit(), data)
    assert isinstance(found, Refitted)
    again, bad = found.score(data.valid), truth(Credit(), data.valid)
    assert found.valid.index.equals(data.valid.index) and list(found.valid) == list(again)
    assert roc_auc_score(bad, again["probability"]) > 0.65
    assert 0.4 < roc_auc_score(bad, found.valid["probability"]) < 0.6
    assert found.valid["probability"].std() < 0.05
    assert found.valid["probability"].mean() == pytest.approx(truth(Credit(), good).mean(), abs=0.02)
    plain = rivals.boosting(Credit(training={"refit": False}), data)
    assert callable(plain) and not isinstance(plain, Refitted)
    assert roc_auc_score(bad, plain(data.valid)["probability"]) < 0.6, "it has not seen the validation rows"


# the public loans


@pytest.mark.data
@pytest.mark.skipif(
    "SOLVENT_DATA" not in os.environ,
    reason="german.data and UCI_Credit_Card.csv are not here: export SOLVENT_DATA=FOLDER_THAT_HOLDS_THEM",
)
def test_public_loans_have_the_numbers_and_categories_that_their_documents_name():
    german, taiwan = (datasets.load(next(item for item in DATASETS if item.name == name)) for name in PUBLIC)
    numbers = ["duration", "amount", "installment_rate", "residence", "age", "existing_credits", "dependents"]
    assert list(german.select_dtypes("number")) == numbers
    assert german.shape == (1000, 22) and not german.isna().any(axis=None)
    assert german["status"].value_counts().to_dict() == {"good": 700, "bad": 300}
    assert german["sex"].value_counts().to_dict() == {"male": 690, "female": 310}
    assert german["checking"].value_counts().to_dict() == {"A14": 394, "A11": 274, "A12": 269, "A13": 63}
    assert taiwan.shape == (30000, 25) == taiwan.select_dtypes("number").shape and taiwan["ID"].is_unique
    assert taiwan["default"].value_counts().to_dict() == {0: 23364, 1: 6636}
    assert taiwan["SEX"].value_counts().to_dict() == {2: 18112, 1: 11888}
