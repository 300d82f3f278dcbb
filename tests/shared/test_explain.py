"""Explanations: the bundle's, the promise they keep, the command, the contract. Counting explains by its shares."""

import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import solvent
from solvent import Bundle, Refused, contract, promises, tables
from solvent.cli import main
from solvent.promises import BrokenPromise

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))
import counting


def explain(settings, fitted, table):
    """How often each loan's colour was hot in training; a picture in bytes; the scorer can't explain green."""
    hot = [round(100 * fitted.facts["shares"].get(colour, {}).get("hot", 0.0)) for colour in table["colour"]]
    found = {
        "hot_percent": pd.Series(hot, index=table.index, dtype="int64"),
        "likely": pd.Series([percent > 50 for percent in hot], index=table.index, dtype="bool"),
        "why": ("it is " + table["colour"]).astype("str"),
        "picture": pd.Series([b"\x89PNG"] * len(table), index=table.index, dtype="object"),
        "error": pd.Series(None, index=table.index, dtype="str").mask(table["colour"] == "green", "green is strange"),
    }
    return pd.DataFrame(found, index=table.index)


SOLUTION = replace(counting.SOLUTION, explain=explain)
ADDED = ["hot_percent", "likely", "why", "picture", "error"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explaining")
    rows = counting.sample(0).rows.assign(number=range(400), note="a note")
    tables.write(rows, folder / "rows.csv")
    columns = {"target": "heat", "id": "number", "passthrough": ["note"]}
    config = {"solution": f"{__name__}:SOLUTION", "data": {"rows": str(folder / "rows.csv"), "columns": columns}}
    return solvent.train(config, folder / "bundle")


def things(*colours, index=None):
    frame = pd.DataFrame({"number": range(len(colours)), "note": "n", "colour": list(colours), "weight": 0.5})
    return frame.astype({"colour": "str"}).set_axis(range(len(colours)) if index is None else index)


# the bundle


def test_a_bundle_explains_each_row_with_its_index_and_names_the_bad_one(bundle):
    found = bundle.explain(things("red", None, "blue", "green", index=[7, 3, 5, 1]))
    assert list(found) == ADDED
    assert list(found.index) == [7, 3, 5, 1]
    assert found["hot_percent"].iloc[0] > 80 > 20 > found["hot_percent"].iloc[2]
    assert found["why"].fillna("").tolist() == ["it is red", "", "it is blue", "it is green"]
    assert found.loc[3].drop("error").isna().all()
    assert "colour" in found.loc[3, "error"]
    assert found.loc[1, "error"] == "green is strange"
    assert found.loc[[7, 5], "error"].isna().all()
    assert found.loc[7, "picture"] == b"\x89PNG"


def test_types_do_not_depend_on_which_rows_could_be_read(bundle):
    kinds = [bundle.explain(table).dtypes.to_dict() for table in (things("red"), things("red", None), things(None))]
    assert kinds[0] == kinds[1] == kinds[2] == bundle.explain(things("red").head(0)).dtypes.to_dict()
    assert [str(kinds[0][name]) for name in ADDED] == ["Int64", "boolean", "str", "object", "str"]


def test_a_missing_column_is_named(bundle):
    with pytest.raises(Refused, match="colour"):
        bundle.explain(things("red").drop(columns="colour"))


def test_a_solution_that_explains_nothing_says_so(bundle):
    silent = replace(bundle, solution=counting.SOLUTION)
    with pytest.raises(Refused, match="counting does not explain its scores"):
        silent.explain(things("red"))


# the promise


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda table: None, r"None \(is a return missing\?\); expected a DataFrame"),
        (lambda table: table.iloc[:1], "1 rows; expected the same index as the 2 rows it got"),
        (lambda table: table.reset_index(drop=True), "2 rows with another index; expected the same index"),
        (lambda table: pd.concat([table, table], axis=1), "'error' twice; expected each column once"),
    ],
)
def test_an_explanation_that_is_none_is_named(spoil, message):
    table = things("red", "blue", index=[4, 2])
    good = explain(None, solvent.Fitted({}, {"shares": {}}), table)
    assert promises.checked_explained(explain, good, table).index.tolist() == [4, 2]
    with pytest.raises(BrokenPromise, match=rf"test_explain:explain returned {message}"):
        promises.checked_explained(explain, spoil(good), table)


# the command


def run(*arguments):
    result = CliRunner().invoke(main, ["explain", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_ids_and_what_passes_through_stand_first(bundle, tmp_path, ending):
    tables.write(things("red", None, "blue"), tmp_path / "new.csv")
    out = tmp_path / f"why.{ending}"
    result = run(bundle.path, tmp_path / "new.csv", out)
    assert (result.exit_code, result.stdout) == (0, f"2 rows explained, 1 with an error: {out}\n"), result.stderr
    found = tables.read(out)
    assert list(found) == ["number", "note", *ADDED]
    assert found["number"].astype(int).tolist() == [0, 1, 2]  # a CSV file's ids are carried as text
    assert found["why"].fillna("").tolist() == ["it is red", "", "it is blue"]
    assert found["picture"].iloc[0] == ("why_files/picture-1.png" if ending == "csv" else b"\x89PNG")
    assert ending == "parquet" or (tmp_path / "why_files" / "picture-1.png").read_bytes() == b"\x89PNG"
    assert pd.isna(found["picture"].iloc[1])


def test_no_rows_are_explained_too(bundle, tmp_path):
    tables.write(things(), tmp_path / "new.csv")
    assert run(bundle.path, tmp_path / "new.csv", tmp_path / "why.csv").stdout.startswith("0 rows explained, 0 with")
    assert list(tables.read(tmp_path / "why.csv")) == ["number", "note", *ADDED]


@pytest.mark.parametrize(
    ("table", "out", "message"),
    [
        ("new.csv", "new.csv", "an input is never changed"),
        ("parts", "parts/why.parquet", "an input is never changed"),
        ("new.csv", "bundle/why.csv", "an input is never changed"),
        ("new.csv", "why.xlsx", "expected a name that ends in .csv or .parquet"),
        ("gone.csv", "why.csv", "There is no file or folder"),
        ("lacking.csv", "why.csv", "no column 'colour'"),
    ],
)
def test_what_can_not_be_done_is_refused_and_changes_nothing(bundle, tmp_path, table, out, message):
    (tmp_path / "bundle").symlink_to(bundle.path)
    tables.write(things("red"), tmp_path / "new.csv")
    tables.write(things("red"), tmp_path / "parts" / "part-0.parquet")
    tables.write(things("red").drop(columns="colour"), tmp_path / "lacking.csv")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    result = run(tmp_path / "bundle", tmp_path / table, tmp_path / out)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    Bundle.load(bundle.path)


def test_a_passed_column_that_has_a_name_of_the_explanation_is_refused(bundle, tmp_path):
    fields = [replace(each, source="why") if each.source == "note" else each for each in bundle.schema.fields]
    clashing = replace(bundle, schema=replace(bundle.schema, fields=tuple(fields)))
    tables.write(things("red").rename(columns={"note": "why"}), tmp_path / "new.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bundle, "load", lambda path: clashing)
        result = run(bundle.path, tmp_path / "new.csv", tmp_path / "out.csv")
    assert result.exit_code == 2
    assert "'why' would be passed through" in result.stderr


def test_the_help_says_what_comes_out():
    assert "why BUNDLE scores each row of TABLE" in " ".join(run("--help").stdout.split())


# the contract


@pytest.fixture
def kit(bundle, tmp_path):
    made = contract.Kit(SOLUTION, f"{__name__}:SOLUTION", tmp_path)
    made.bundle = bundle
    made.rows = things(*["red", "blue"] * 20)
    return made


CHECK = contract.explain_gives_one_row_for_each_row_with_the_same_index


def test_the_contract_holds_for_one_that_explains(kit):
    assert CHECK in contract.CHECKS
    CHECK(kit)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda found: found.assign(hot_percent=len(found)),  # depends on the other rows
        lambda found: found if len(found) else found.drop(columns="why"),
        lambda found: found.assign(error="no"),
        lambda found: found.assign(**dict.fromkeys(("hot_percent", "likely", "why", "picture"))),
    ],
)
def test_the_contract_catches_an_explanation_that_is_wrong(kit, bundle, spoil):
    wrong = replace(SOLUTION, explain=lambda settings, fitted, table: spoil(explain(settings, fitted, table)))
    kit.solution, kit.bundle = wrong, replace(bundle, solution=wrong)
    with pytest.raises(AssertionError):
        CHECK(kit)


def test_the_contract_asks_nothing_of_one_that_does_not_explain(kit):
    kit.solution = counting.SOLUTION
    del kit.rows
    CHECK(kit)
