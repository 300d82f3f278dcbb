"""Every way in which a config can give its rows, from the table to a bundle that scores alone."""

import sqlite3
from pathlib import Path

import pandas as pd
import pytest

import solvent
from solvent.config import load
from solvent.prepare import prepare


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "toys")


@pytest.fixture
def rows():
    from counting import sample

    return sample(0).rows


def train(folder, data, **parts):
    config = {"solution": "counting:SOLUTION", "data": {"columns": {"target": "heat"}, **data}, **parts}
    return solvent.train(config, folder / "bundle")


def test_rows_that_are_cut(rows, tmp_path):
    rows.to_csv(tmp_path / "rows.csv", index=False)
    bundle = train(tmp_path, {"rows": str(tmp_path / "rows.csv")})
    assert [bundle.facts["data"]["parts"][part]["rows"] for part in ("train", "valid", "test")] == [240, 80, 80]
    assert bundle.facts["test"]["rows"] == 80
    assert bundle.facts["test"]["metrics"]["accuracy"]["value"] > 0.8
    new = pd.DataFrame({"colour": ["red", "blue"], "weight": [0, 0]})
    assert bundle.score(new)["class"].tolist() == ["hot", "cold"]


def test_a_bundle_knows_its_own_test_rows(rows, tmp_path):
    rows.to_csv(tmp_path / "train.csv", index=False)
    rows[:100].to_csv(tmp_path / "test.csv", index=False)
    rows[100:].to_csv(tmp_path / "other.csv", index=False)
    files = {name: str(tmp_path / f"{name}.csv") for name in ("train", "test")}
    bundle = train(tmp_path, files)
    assert solvent.evaluate(bundle, tmp_path / "test.csv")["baseline"]["name"] == "the commonest class"
    assert solvent.evaluate(bundle, tmp_path / "other.csv")["baseline"] is None


def test_three_given_tables_are_used_as_they_are(rows, tmp_path):
    cuts = {"train": rows[:200], "valid": rows[200:290], "test": rows[290:]}
    for name, table in cuts.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    bundle = train(tmp_path, {name: str(tmp_path / f"{name}.csv") for name in cuts})
    data = bundle.facts["data"]
    assert {name: part["rows"] for name, part in data["parts"].items()} == {"train": 200, "valid": 90, "test": 110}
    assert data["split"] == {"given": True, "by": "given"}
    assert data["source"] == "train.csv + valid.csv + test.csv"
    assert bundle.facts["test"]["rows"] == 110


def test_a_missing_valid_table_is_cut_from_train(rows, tmp_path):
    rows[:320].to_csv(tmp_path / "train.csv", index=False)
    rows[320:].to_csv(tmp_path / "test.csv", index=False)
    files = {name: str(tmp_path / f"{name}.csv") for name in ("train", "test")}
    bundle = train(tmp_path, {**files, "split": {"by": "random", "fractions": [0.6, 0.2, 0.2]}})
    parts = bundle.facts["data"]["parts"]
    assert {name: part["rows"] for name, part in parts.items()} == {"train": 240, "valid": 80, "test": 80}
    assert bundle.facts["data"]["split"]["valid"]["by"] == "random"


def test_a_missing_test_table_leaves_the_bundle_untested_and_says_so(rows, tmp_path):
    rows.to_csv(tmp_path / "train.csv", index=False)
    bundle = train(tmp_path, {"train": str(tmp_path / "train.csv")})
    assert bundle.facts["test"] is None
    assert {name: part and part["rows"] for name, part in bundle.facts["data"]["parts"].items()} == {
        "train": 300,
        "valid": 100,
        "test": None,
    }
    assert any("no test part" in limit for limit in bundle.facts["limits"])
    assert solvent.evaluate(bundle, tmp_path / "train.csv")["baseline"] is None


@pytest.mark.parametrize("declared", [{}, {"ignore": ["part"]}], ids=["not declared", "ignored"])
def test_the_column_that_names_the_parts_is_followed_and_is_no_feature(rows, tmp_path, declared):
    part = ["train"] * 250 + ["val"] * 50 + ["TEST"] * 100
    rows.assign(part=part).to_csv(tmp_path / "rows.csv", index=False)
    split = {"by": "column", "column": "part"}
    columns = {"target": "heat", **declared}
    bundle = train(tmp_path, {"rows": str(tmp_path / "rows.csv"), "split": split, "columns": columns})
    parts = bundle.facts["data"]["parts"]
    assert {name: part["rows"] for name, part in parts.items()} == {"train": 250, "valid": 50, "test": 100}
    assert [field.source for field in bundle.schema.fields] == ["colour", "weight", "heat"]
    assert bundle.score(rows.drop(columns="heat"))["error"].isna().all()


def test_a_column_of_parts_that_has_a_role_keeps_it(rows, tmp_path):
    rows.assign(part=["train"] * 250 + ["valid"] * 50 + ["test"] * 100).to_csv(tmp_path / "rows.csv", index=False)
    columns = {"target": "heat", "passthrough": ["part"]}
    split = {"by": "column", "column": "part"}
    bundle = train(tmp_path, {"rows": str(tmp_path / "rows.csv"), "split": split, "columns": columns})
    assert bundle.schema.field("part").role == "passthrough"


def test_a_column_of_parts_that_is_not_there_is_named(rows, tmp_path):
    rows.to_csv(tmp_path / "rows.csv", index=False)
    split = {"by": "column", "column": "wieght"}
    with pytest.raises(solvent.Refused, match=r"data\.split\.column names 'wieght'.*Did you mean 'weight'"):
        train(tmp_path, {"rows": str(tmp_path / "rows.csv"), "split": split})


def test_folds_measure_every_row_once_and_keep_a_model_of_all_rows(rows, tmp_path):
    rows.to_csv(tmp_path / "rows.csv", index=False)
    split = {"by": "stratified", "folds": 3}
    bundle = train(tmp_path, {"rows": str(tmp_path / "rows.csv"), "split": split})
    assert bundle.facts["folds"] == {"k": 3}
    assert bundle.facts["test"]["rows"] == 400
    assert len(pd.read_parquet(bundle.path / "test_scores.parquet")) == 400
    assert bundle.facts["data"]["parts"] == {"train": bundle.facts["data"]["parts"]["train"]}
    assert bundle.facts["data"]["parts"]["train"]["rows"] == 400
    # The kept model is fitted on all rows but the first fold's validation rows, and so are the ranges in its schema.
    chose = prepare(load(bundle.facts["config"])).cuts[0].valid
    assert bundle.schema.field("column weight").high == pytest.approx(rows["weight"].drop(index=chose).max())
    # Its own model has seen these rows, so the out-of-fold baseline is not one to hold beside it.
    assert solvent.evaluate(bundle, tmp_path / "rows.csv")["baseline"] is None


def test_rows_of_a_query(rows, tmp_path):
    with sqlite3.connect(tmp_path / "shop.db") as database:
        rows.to_sql("things", database, index=False)
    source = {"sql": f"sqlite:///{tmp_path / 'shop.db'}", "query": "SELECT * FROM things ORDER BY rowid"}
    bundle = train(tmp_path, {"rows": source})
    assert bundle.facts["data"]["source"] == "query on shop.db"
    assert bundle.facts["test"]["rows"] == 80
    rows.to_csv(tmp_path / "rows.csv", index=False)
    other = train(tmp_path / "csv", {"rows": str(tmp_path / "rows.csv")})
    assert other.facts["test"] == bundle.facts["test"]
