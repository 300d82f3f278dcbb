"""The judge's tables: what is counted, and what is left out loudly."""

import numpy as np
import pandas as pd
import pytest

from solvent import Columns, Goal, Output, Section, Solution, Split
from solvent.evaluation import OURS, Judge, Scored, score_table
from solvent.metrics import mean
from solvent.schema import Field, Schema

ROWS = pd.DataFrame(
    {
        "heat": ["hot"] * 60 + ["cold"] * 60,
        "sex": (["f"] * 25 + ["m"] * 25 + [None] * 10) * 2,
        "weight": [1.0] * 60 + [2.0] * 60,
    }
)
SCHEMA = Schema(
    (
        Field(name="heat", source="heat", role="target", kind="category", levels=("cold", "hot")),
        Field(name="sex", source="Geschlecht", role="protected", kind="category", levels=("f", "m")),
        Field(name="weight", source="n", role="weight", kind="number"),
    )
)
OUTPUTS = (Output(name="says", type="string", predicts="heat"),)


def right(settings, rows, scored):
    return {"accuracy": mean((rows["heat"] == scored["says"]).to_numpy(float), rows["weight"])}


SOLUTION = Solution(
    name="weather",
    summary="",
    settings=Section,
    columns=lambda settings: Columns(outputs=OUTPUTS),
    split=Split(),
    headline=lambda settings: Goal("accuracy"),
    fit=None,
    scorer=None,
    rivals={},
    metrics=right,
    sample=None,
)
SAYS = pd.DataFrame({"says": ["hot"] * 50 + ["cold"] * 10 + ["cold"] * 60})


@pytest.fixture
def judge():
    return Judge(SOLUTION, Section(), SCHEMA)


@pytest.fixture
def scored():
    return Scored(ROWS, {OURS: SAYS, "always hot": SAYS.assign(says="hot")}, failed=3)


def report(judge, scored, **more):
    options = {"outputs": OUTPUTS, "copied": pd.Index([]), "set_aside": 2, "folds": 0, **more}
    return judge.report(scored, {OURS: 0.9, "always hot": 0.5}, {"always hot": 0.1}, **options)


def test_the_confusion_counts_the_solutions_own_decisions_by_weight(judge, scored):
    assert report(judge, scored)["confusion"] == {
        "classes": ["cold", "hot"],
        "rows_are": "truth",
        "counts": [[120.0, 0.0], [10.0, 50.0]],
    }


def test_without_an_output_that_decides_there_is_no_confusion(judge, scored):
    assert report(judge, scored, outputs=(Output(name="says", type="string"),))["confusion"] is None


def test_rows_that_could_not_be_read_or_scored_are_counted(judge, scored):
    assert report(judge, scored)["test"]["set_aside"] == 5


def test_a_slice_of_missing_levels_is_shown_and_small_slices_are_not_measured(judge, scored):
    slices = {item["level"]: item for item in report(judge, scored)["slices"]}
    assert {level: item["rows"] for level, item in slices.items()} == {"f": 50, "m": 50, "missing": 20}
    assert slices["f"]["column"] == "Geschlecht"
    assert slices["f"]["value"] == 1.0
    assert slices["missing"]["value"] == pytest.approx((10 * 2 + 0) / 30)
    few = Scored(ROWS.iloc[:15], {OURS: SAYS.iloc[:15], "always hot": SAYS.iloc[:15]}, 0)
    assert report(judge, few)["slices"][0]["value"] is None


def test_the_headline_is_also_given_without_copies(judge, scored):
    copies = report(judge, scored, copied=ROWS.index[:50])["slices"][0]
    assert (copies["column"], copies["level"], copies["rows"]) == ("copies", "left out", 70)
    assert copies["value"] == pytest.approx(120 / 130)


def test_the_baseline_is_the_best_rival_on_validation_rows_and_differences_are_paired(judge, scored):
    found = report(judge, scored)
    assert found["test"]["baseline"]["name"] == "always hot"
    assert found["rivals"]["always hot"]["difference"]["value"] == pytest.approx((170 - 60) / 180)
    assert found["test"]["metrics"]["accuracy"]["value"] == pytest.approx(170 / 180)


def test_the_protocol_of_folds_says_that_models_are_pooled(judge, scored):
    protocol = report(judge, scored, folds=5)["protocol"]
    assert protocol.startswith("Out-of-fold scores of 5 models, pooled.")
    assert "each model held fixed" in protocol


def test_the_score_table_holds_truth_weight_and_every_models_outputs(scored):
    table = score_table(SCHEMA, scored)
    assert list(table) == ["truth", "weight", "says", "always hot: says"]
    np.testing.assert_array_equal(table["weight"], ROWS["weight"])


def test_rows_that_one_model_cannot_score_are_left_out_of_all():
    def fine(table):
        return pd.DataFrame({"says": "hot", "error": None}, index=table.index)

    def picky(table):
        return pd.DataFrame({"says": "hot", "error": [None] * 118 + ["no", "no"]}, index=table.index)

    found = Scored.of(ROWS, {OURS: fine, "picky": picky})
    assert (len(found.rows), found.failed) == (118, 2)
    assert found.ours.index.equals(found.by_model["picky"].index)
