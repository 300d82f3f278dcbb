"""Rows that are read for other rows' sake: counted, and neither published nor measured nor held against drift."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from solvent import Output, SolventError
from solvent.evaluation import Scored
from solvent.promises import checked_score, is_context
from solvent.score import score

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

from made_loans import OUTPUTS, bundle, by_income, content_of, loans

INCOMES = [500, 20, 600, 700, 30, "abc", 800, 13, 40]


def rich_are_context(rows: pd.DataFrame) -> pd.DataFrame:
    context = (rows["income"] >= 500).to_numpy()
    found = by_income(rows).astype({"decision": object})
    found.loc[context, ["probability", "decision", "points"]] = None
    return found.assign(context=context)


SCORE = checked_score(
    rich_are_context, rich_are_context, [*OUTPUTS[:3], Output(name="reviewed", type="time", nullable=True)]
)


@pytest.mark.parametrize("chunk_rows", [1, 2, 4, 100])
@pytest.mark.parametrize("name", ["out", "out.csv"])
def test_context_is_counted_and_not_published_whatever_the_parts(tmp_path: Path, name: str, chunk_rows: int) -> None:
    source = loans(tmp_path / "loans.csv", INCOMES)
    manifest = score(bundle(tmp_path, function=SCORE), source, tmp_path / name, chunk_rows=chunk_rows, max_bad=0.5)
    counts = [manifest[f"rows_{what}"] for what in ("read", "scored", "set_aside", "joined", "context")]
    assert counts == [9, 3, 2, 0, 4]
    files = sorted((tmp_path / name).glob("part-*.parquet")) if name == "out" else [tmp_path / name]
    read = pd.read_parquet if name == "out" else pd.read_csv
    rows = pd.concat([read(path) for path in files])
    assert rows["loan"].tolist() == ["L0001", "L0004", "L0008"]
    assert rows["probability"].tolist() == [1 / 20, 1 / 30, 1 / 40]
    assert "context" not in rows
    assert manifest["drift"]["rows"] == 3


def test_a_source_of_context_alone_is_held_to_be_empty(tmp_path: Path) -> None:
    source = loans(tmp_path / "loans.csv", [500, 600, 700])
    with pytest.raises(SolventError, match="has 0 rows beside 3 that are only read as context, at least 1 are"):
        score(bundle(tmp_path, function=SCORE), source, tmp_path / "out.csv", min_rows=1)
    assert not (tmp_path / "out.csv").exists()
    source = loans(tmp_path / "loans.csv", [500, 20])
    assert score(bundle(tmp_path, function=SCORE), source, tmp_path / "out.csv", min_rows=1)["rows_scored"] == 1


def test_a_run_that_ends_early_goes_on_with_the_same_counts_and_bytes(tmp_path: Path) -> None:
    source = loans(tmp_path / "loans.csv", INCOMES)
    made = bundle(tmp_path, function=SCORE)
    expected = score(made, source, tmp_path / "whole.csv", chunk_rows=2, max_bad=0.5)
    attempts = 0
    while not (tmp_path / "out.csv").exists():
        attempts += 1
        assert attempts < 10
        try:
            found = score(made, source, tmp_path / "out.csv", chunk_rows=2, max_bad=0.5, max_minutes=0)
        except SolventError as failure:  # each attempt does a part, then ends
            assert f"ended after {attempts} parts" in str(failure)
    assert attempts > 1
    assert found["rows_context"] == expected["rows_context"] == 4
    assert content_of(tmp_path, "out.csv")["out.csv"] == content_of(tmp_path, "whole.csv")["whole.csv"]


def test_a_row_with_an_error_is_no_context() -> None:
    def score_it(rows: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame(
            {"p": [None, None, 0.5], "context": True, "error": ["broken", None, None]}, index=rows.index
        )

    found = checked_score(score_it, score_it, [Output(name="p", type="float")])(pd.DataFrame({"x": [1, 2, 3]}))
    assert is_context(found).tolist() == [False, True, True]
    assert found["error"].tolist()[0] == "broken"
    assert found["error"].isna().tolist() == [False, True, True]
    assert found["p"].isna().all()


def test_context_is_not_among_the_cases_that_are_measured() -> None:
    rows = pd.DataFrame({"x": [1.0, 2.0, 3.0]})

    def score_it(rows: pd.DataFrame) -> pd.DataFrame:
        context = (rows["x"] < 2).to_numpy()
        return pd.DataFrame({"p": rows["x"].mask(context), "context": context}, index=rows.index)

    scored = Scored.of(rows, {"": checked_score(score_it, score_it, [Output(name="p", type="float")])})
    assert scored.rows["x"].tolist() == [2.0, 3.0]
    assert np.array_equal(scored.ours["p"], [2.0, 3.0])
    assert list(scored.ours) == ["p"]
    assert scored.failed == 0
