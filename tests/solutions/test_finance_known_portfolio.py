"""Credit on made loans: known effects are recovered, a planted unfairness shows, reasons name the planted cause."""

import os

import numpy as np
import pandas as pd
import pytest

import solvent
from solvent import datasets
from solvent_finance.binning import bin_numbers
from solvent_finance.datasets import DATASETS
from solvent_finance.scorecard import Scorecard

LOANS = 6000
HOMES = {"owner": -0.7, "rent": 0.6, "family": 0.1}
EFFECTS = {
    "age": lambda age: 0.8 * ((age - 45) / 15) ** 2,
    "income": lambda income: -0.9 * (income - 2500) / 700,
    "home": lambda home: home.map(HOMES),
    "late": lambda late: late.map({"no": 0.0, "yes": 3.0}),
    "noise": lambda noise: 0.0 * noise,
}


@pytest.fixture(scope="module")
def portfolio():
    """People of region B earn less, so that more of them are refused; 5 % have paid late, which is their ruin."""
    random = np.random.default_rng(7)
    region = random.choice(["A", "B"], LOANS, p=[0.6, 0.4])
    rows = pd.DataFrame(
        {
            "age": random.integers(20, 71, LOANS),
            "income": np.round(random.normal(2500, 600, LOANS) - 900 * (region == "B"), 0),
            "home": random.choice(list(HOMES), LOANS, p=[0.5, 0.3, 0.2]),
            "late": np.where(random.random(LOANS) < 0.05, "yes", "no"),
            "noise": np.round(random.normal(size=LOANS), 2),
            "region": region,
        }
    )
    odds = -3.0 + sum(effect(rows[name]) for name, effect in EFFECTS.items())
    return rows.assign(status=np.where(random.random(LOANS) < 1 / (1 + np.exp(-odds)), "bad", "good"))


@pytest.fixture(scope="module")
def bundle(portfolio, tmp_path_factory):
    folder = tmp_path_factory.mktemp("portfolio")
    portfolio.to_csv(folder / "loans.csv", index=False)
    return solvent.train(
        {
            "solution": "credit",
            "data": {
                "rows": str(folder / "loans.csv"),
                "columns": {"target": "status", "protected": ["region"], "home": {"meaning": "how they live"}},
            },
            "settings": {
                "pairs": [0],
                "smoothness": [30.0],
                "repeats": 1,
                "words": {"late": "paid late before"},
                "training": {"epochs": 20},
            },
        },
        folder / "bundle",
    )


def test_the_shape_functions_recover_the_effects_within_their_intervals(portfolio, bundle):
    """The intervals hold each bin's truth in about 95 of 100 bins, less where curves are drawn smooth."""
    card = Scorecard.from_json(bundle.fitted.facts["bins"], bundle.fitted.facts["scorecard"])
    checked = bundle.schema.check(bundle.schema.rename(portfolio, table_name="made", targets=False), targets=False).good
    bins = bin_numbers(checked, card.bins)
    held, order = [], []
    for place, (bin_, term) in enumerate(zip(card.bins, card.own, strict=True)):
        there = np.flatnonzero(term.loans)
        effect = np.asarray(EFFECTS[bin_["name"]](checked[bin_["name"]]), np.float64)
        truth = np.array([effect[bins[:, place] == number].mean() for number in there])
        truth -= np.average(truth, weights=term.loans[there])
        found = -term.points[there] / card.scale.factor
        held += (np.abs(found - truth) <= (1.96 * term.deviation[there] + 0.5) / card.scale.factor).tolist()
        order.append(1.0 if bin_["name"] == "noise" else np.corrcoef(found, truth)[0, 1])
    assert len(held) > 80
    assert np.mean(held) > 0.85
    assert min(order) > 0.95


def test_a_planted_unfairness_shows_and_the_protected_column_is_no_feature(bundle):
    (column,) = bundle.facts["fairness"]
    assert (column["column"], column["reference"]) == ("region", "A")
    (b,) = [level for level in column["levels"] if level["level"] == "B"]
    assert b["ratio"]["high"] < 0.8 and b["difference"]["high"] < 0
    assert "region" not in [about["source"] for about in bundle.fitted.facts["columns"]]
    assert "Fairness" in (bundle.path / "report.html").read_text(encoding="utf-8")


def test_the_reasons_name_the_planted_cause(portfolio, bundle):
    late = portfolio[portfolio["late"] == "yes"]
    first = bundle.score(late.drop(columns="status"))["reason_1"]
    assert (first == "paid late before").mean() > 0.9
    others = bundle.score(portfolio[portfolio["late"] == "no"].drop(columns="status"))
    reasons = pd.concat([others[f"reason_{number}"] for number in (1, 2, 3)])
    assert "paid late before" not in set(reasons)
    assert "how they live" in set(reasons)


@pytest.mark.data
@pytest.mark.skipif(
    "SOLVENT_DATA" not in os.environ,
    reason="german.data and UCI_Credit_Card.csv are not here: export SOLVENT_DATA=FOLDER_THAT_HOLDS_THEM",
)
@pytest.mark.parametrize(("name", "rows", "defaults"), [("german_credit", 1000, 300), ("taiwan_default", 30000, 6636)])
def test_the_public_loans_are_read(name, rows, defaults):
    dataset = next(item for item in DATASETS if item.name == name)
    table = datasets.load(dataset)
    config = dataset.config
    target = table[config["columns"]["target"]].astype(str)
    assert (len(table), (target == config["settings"]["positive"]).sum()) == (rows, defaults)
    assert set(config["columns"]["protected"]) <= set(table)
