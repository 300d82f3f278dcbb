"""`solvent demo`: everything it leaves can be used as it lies there."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

import solvent
from solvent import Dataset, Refused, config, demo


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "toys")


@pytest.fixture
def with_sample(monkeypatch):
    """Make `counting:CHANGED`, whose sample has other parts."""
    import counting

    def change(**parts):
        sample = lambda seed: replace(counting.sample(seed), **parts)  # noqa: E731
        monkeypatch.setattr(counting, "CHANGED", replace(counting.SOLUTION, sample=sample), raising=False)
        return "counting:CHANGED"

    return change


def test_a_demo_leaves_rows_a_config_a_bundle_and_scores(tmp_path):
    said = demo.run("counting:SOLUTION", tmp_path / "demo")
    out = tmp_path / "demo"
    assert {path.name for path in out.iterdir()} >= {"rows.csv", "config.yaml", "bundle", "new_rows.csv", "scores.csv"}
    assert said.lower().startswith("accuracy 0.")
    assert f"report: {out / 'bundle' / 'report.html'}" in said
    assert "heat" not in pd.read_csv(out / "new_rows.csv")
    assert len(pd.read_csv(out / "scores.csv")) == 80


def test_the_test_rows_of_a_demo_are_those_that_training_never_saw(tmp_path, with_sample):
    import counting

    rows = counting.sample(0).rows.assign(name=[f"n{number}" for number in range(400)])
    sample = {"rows": rows.set_axis(range(1000, 1400)), "columns": {"target": "heat", "id": "name"}}
    demo.run(with_sample(**sample), tmp_path / "demo")
    bundle = solvent.Bundle.load(tmp_path / "demo" / "bundle")
    scored = pd.read_parquet(bundle.path / "test_scores.parquet")
    assert set(pd.read_csv(tmp_path / "demo" / "test_rows.csv")["name"]) == set(scored["id"])
    assert solvent.evaluate(bundle, tmp_path / "demo" / "test_rows.csv")["baseline"]["name"] == "the commonest class"


def test_the_config_of_a_demo_trains_the_same_bundle_again(tmp_path):
    demo.run("counting:SOLUTION", tmp_path / "demo")
    again = solvent.train(tmp_path / "demo" / "config.yaml", tmp_path / "again")
    assert again.facts["test"] == solvent.Bundle.load(tmp_path / "demo" / "bundle").facts["test"]
    assert again.facts["facts"]["shares"]["red"]["hot"] == pytest.approx(0.9, abs=0.05)


def test_the_side_tables_of_a_sample_stand_in_the_config(tmp_path, with_sample):
    name = with_sample(side={"colours": pd.DataFrame({"colour": ["red"], "warmth": [3]})})
    demo.run(name, tmp_path / "demo")
    run = config.load(tmp_path / "demo" / "config.yaml")
    assert run.data.side["colours"].path == "colours.csv"
    assert pd.read_csv(tmp_path / "demo" / "colours.csv").to_dict("list") == {"colour": ["red"], "warmth": [3]}


def test_cells_that_are_no_text_are_written_as_parquet(tmp_path, with_sample):
    import counting

    rows = counting.sample(0).rows
    name = with_sample(rows=rows.assign(picture=[bytes([number % 256]) for number in range(len(rows))]))
    demo.run(name, tmp_path / "demo")
    assert yaml.safe_load((tmp_path / "demo" / "config.yaml").read_text())["data"]["rows"] == "rows.parquet"
    assert isinstance(pd.read_parquet(tmp_path / "demo" / "new_rows.parquet")["picture"][3], bytes)


def test_a_made_data_set_stands_before_the_sample_and_is_called_made(tmp_path, monkeypatch):
    import counting

    made = Dataset(
        name="drawn",
        summary="400 drawn colours",
        licence="",
        home="",
        made=True,
        read=lambda files: counting.sample(7).rows.rename(columns={"heat": "warmth"}),
        config={"columns": {"target": "warmth"}},
    )
    monkeypatch.setattr(counting, "CHANGED", replace(counting.SOLUTION, datasets=[made]), raising=False)
    demo.run("counting:CHANGED", tmp_path / "demo")
    assert "warmth" in pd.read_csv(tmp_path / "demo" / "rows.csv")
    assert "# Made data: 400 drawn colours." in (tmp_path / "demo" / "config.yaml").read_text()


def test_a_demo_does_not_replace_what_is_no_bundle(tmp_path):
    (tmp_path / "demo" / "bundle").mkdir(parents=True)
    (tmp_path / "demo" / "bundle" / "thesis.txt").write_text("years of work")
    with pytest.raises(Refused, match="is already there and is no bundle"):
        demo.run("counting:SOLUTION", tmp_path / "demo")
    assert not (tmp_path / "demo" / "rows.csv").exists()
