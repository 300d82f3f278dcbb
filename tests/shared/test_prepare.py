"""From tables to checked parts: what is cut, what is set aside, what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from solvent import Column, Finding, Refused, config
from solvent.prepare import fingerprint, prepare


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "toys")


@pytest.fixture
def rows():
    from counting import sample

    return sample(0).rows.assign(name=[f"n{number:03d}" for number in range(400)])


@pytest.fixture
def prepared(tmp_path):
    """Prepare tables that are written as files; `data` is the rest of that part of the config."""

    def run(tables, **data):
        for name, table in tables.items():
            table.to_csv(tmp_path / f"{name}.csv", index=False)
        columns = data.pop("columns", {"target": "heat", "id": "name"})
        content = {**{name: f"{name}.csv" for name in tables}, "columns": columns, **data}
        return prepare(config.load({"solution": "counting:SOLUTION", "data": content}, base=tmp_path))

    return run


def with_cells(rows, column, cells):
    """The rows with some cells replaced, by position."""
    changed = rows[column].astype("object").to_list()
    for position, cell in cells.items():
        changed[position] = cell
    return rows.assign(**{column: changed})


def test_every_good_row_is_in_one_part(rows, prepared):
    found = prepared({"rows": with_cells(rows, "weight", {7: "abc", 250: "inf"})})
    cut = found.cuts[0]
    assert sorted(np.concatenate([cut.train, cut.valid, cut.test])) == list(range(398))
    assert set(found.table["id"]) == set(rows["name"]) - {"n007", "n250"}
    assert sum(len(found.part(name)) for name in ("train", "valid", "test")) == 398


def test_rows_set_aside_are_counted_in_their_part_and_named_in_the_file(rows, prepared):
    tables = {
        "train": rows[:200],
        "valid": with_cells(rows[200:300], "weight", {4: "abc"}),
        "test": with_cells(rows[300:], "weight", {0: "abc", 99: "xyz"}),
    }
    found = prepared(tables)
    aside = found.facts["set_aside"]
    assert {name: aside[name] for name in ("train", "valid", "test")} == {"train": 0, "valid": 1, "test": 2}
    assert aside["reasons"] == {"weight: … is not a number": 3}
    (finding,) = [item for item in found.findings if item.name == "rows_set_aside"]
    assert "valid.csv row 5, weight: 'abc'" in finding.message
    assert "test.csv row 1, weight: 'abc'" in finding.message
    assert "test.csv row 100, weight: 'xyz'" in finding.message


def test_two_files_of_one_name_keep_their_row_numbers(rows, tmp_path):
    for name, table in {"train": rows[:300], "test": with_cells(rows[300:], "weight", {1: "abc"})}.items():
        (tmp_path / name).mkdir()
        table.to_csv(tmp_path / name / "rows.csv", index=False)
    data = {"train": "train/rows.csv", "test": "test/rows.csv", "columns": {"target": "heat", "id": "name"}}
    found = prepare(config.load({"solution": "counting:SOLUTION", "data": data}, base=tmp_path))
    (finding,) = [item for item in found.findings if item.name == "rows_set_aside"]
    assert "(rows.csv row 2, weight: 'abc'" in finding.message
    assert found.facts["set_aside"]["test"] == 1


def test_max_bad_is_a_share_of_all_rows_and_may_be_reached(rows, prepared):
    bad = with_cells(rows, "weight", dict.fromkeys(range(4), "abc"))
    assert prepared({"rows": bad}, max_bad=0.01).facts["rows"] == 400
    with pytest.raises(Refused, match=r"5 of 400 rows can't be used; data\.max_bad allows 1\.0%"):
        prepared({"rows": with_cells(bad, "weight", {9: "abc"})}, max_bad=0.01)


def test_a_part_whose_rows_are_all_bad_is_refused_and_not_taken_for_none(rows, prepared):
    tables = {"train": rows[:398], "test": with_cells(rows[398:], "weight", {0: "abc", 1: "abc"})}
    with pytest.raises(Refused, match=r"No test row can be used, for example test\.csv row 1, weight: 'abc'"):
        prepared(tables)


def test_a_split_without_validation_rows_is_refused(rows, prepared):
    rows = rows.assign(part=["train"] * 300 + ["test"] * 100)
    split = {"by": "column", "column": "part", "fractions": [0.8, 0, 0.2]}
    with pytest.raises(Refused, match="There are no validation rows"):
        prepared({"rows": rows}, split=split)


def test_ranges_and_levels_are_those_of_the_training_rows(rows, prepared):
    test = rows[300:].assign(weight=1000.0, colour="green")
    found = prepared({"train": rows[:200], "valid": rows[200:300], "test": test})
    assert found.schema.field("column weight").high == pytest.approx(rows["weight"][:200].max())
    assert found.schema.field("colour").levels == ("blue", "red")
    assert found.part("test")["column weight"].eq(1000).all()


def test_with_folds_ranges_are_those_of_all_rows_since_the_kept_model_is_fitted_on_them(rows, prepared):
    found = prepared({"rows": rows}, split={"by": "random", "folds": 4})
    assert found.schema.field("column weight").high == pytest.approx(rows["weight"].max())
    assert sorted(np.concatenate([cut.test for cut in found.cuts])) == list(range(400))


def test_with_folds_a_row_that_is_set_aside_is_counted_once(rows, prepared):
    found = prepared({"rows": with_cells(rows, "weight", {3: "abc", 5: "abc"})}, split={"by": "random", "folds": 4})
    assert found.facts["set_aside"]["test"] == 2
    assert found.facts["parts"]["train"]["rows"] == 398


def test_the_scan_of_folds_looks_at_all_rows(rows, prepared):
    found = prepared({"rows": rows[:150]}, split={"by": "stratified", "folds": 5})
    assert "few_rows" not in [item.name for item in found.findings]  # 150 are tested, 30 in each fold
    (note,) = [item for item in found.findings if item.name == "equal_rows"] or [None]
    assert note is None or note.message.startswith("In fold ")


def test_a_class_that_is_too_rare_for_the_folds_is_refused_before_training(rows, prepared):
    rare = with_cells(rows, "heat", {3: "warm"})
    with pytest.raises(
        Refused, match=r"the training part has no row of class 'warm' of column heat, which has 1 row in"
    ):
        prepared({"rows": rare}, split={"by": "stratified", "folds": 5})


def test_a_class_that_training_lacks_is_refused_and_counted_where_that_is_allowed(rows, prepared):
    tables = {"train": rows[:200], "valid": rows[200:300], "test": with_cells(rows[300:], "heat", {7: "warm"})}
    with pytest.raises(
        Refused, match=r"Column heat: 1 test row with 1 class that no usable training row has: 'warm'"
    ) as caught:
        prepared(tables)
    assert "data.allow: [untaught_class]" in str(caught.value)
    found = prepared(tables, allow=["untaught_class"])
    assert found.facts["set_aside"]["test"] == 1
    assert [item.allowed for item in found.findings if item.name == "untaught_class"] == [True]


def test_an_entity_with_a_bad_row_is_set_aside_whole_and_named_by_its_row_in_the_file(rows, prepared):
    machines = rows.assign(machine=[f"M{number // 4:02d}" for number in range(400)])
    tables = {
        "train": machines[:200],
        "valid": machines[200:300],
        "test": with_cells(machines[300:], "weight", {5: "abc"}),
    }
    found = prepared(tables, columns={"target": "heat", "id": "name", "entity": "machine"})
    assert found.facts["set_aside"]["test"] == 4
    assert len(found.part("test")) == 96
    assert found.facts["set_aside"]["reasons"] == {
        "another row of machine … is bad: row …": 3,
        "weight: … is not a number": 1,
    }
    (finding,) = [item for item in found.findings if item.name == "rows_set_aside"]
    assert "test.csv row 5, another row of machine 'M76' is bad: row 6" in finding.message
    assert "test.csv row 6, weight: 'abc' is not a number" in finding.message


def test_an_id_that_repeats_is_refused_within_a_table_and_across_tables(rows, prepared):
    twice = with_cells(rows, "name", {1: "n000"})
    with pytest.raises(Refused, match=r"Column name: 1 id occurs more than once, in 2 rows \(for example 'n000'"):
        prepared({"rows": twice})
    with pytest.raises(Refused, match=r"'n000', in train and test"):
        prepared({"train": rows[:200], "valid": rows[200:300], "test": with_cells(rows[300:], "name", {5: "n000"})})


def test_a_repeated_id_that_is_allowed_loses_no_row(rows, prepared):
    found = prepared({"rows": with_cells(rows, "name", {1: "n000"})}, allow=["repeated_id"])
    assert len(found.table) == 400
    assert [item.allowed for item in found.findings if item.name == "repeated_id"] == [True]


def test_the_fingerprint_of_the_rows_changes_with_a_cell_a_name_an_order_and_a_cut(rows, prepared):
    def of(table, **data):
        return prepared({"rows": table}, **data).facts["sha256"]

    usual = of(rows)
    assert of(rows) == usual
    assert of(with_cells(rows, "weight", {0: 9.5})) != usual
    assert of(rows[::-1]) != usual
    assert of(rows, split={"by": "stratified", "seed": 1}) != usual
    assert fingerprint(rows) != fingerprint(rows.rename(columns={"weight": "mass"}))
    assert fingerprint(rows) == fingerprint(rows.copy())


def test_the_fingerprint_knows_pictures_by_their_bytes():
    def of(*pictures):
        return fingerprint(pd.DataFrame({"picture": pd.Series(pictures, dtype="object")}))

    assert of(b"\x80\xff", None) == of(b"\x80\xff", None)
    assert len({of(b"\x80\xff", None), of(b"\x80\xfe", None), of(b"\x80\xff", b""), of(None, b"\x80\xff")}) == 4


@pytest.mark.parametrize(("train", "valid", "test"), [(201, 99, 100), (201, 100, 99), (200, 101, 99)])
def test_the_column_of_parts_belongs_to_the_fingerprint(rows, prepared, train, valid, test):
    def of(*sizes):
        part = np.repeat(["train", "valid", "test"], sizes)
        return prepared({"rows": rows.assign(part=part)}, split={"by": "column", "column": "part"}).facts["sha256"]

    assert of(train, valid, test) != of(200, 100, 100)


def test_a_column_of_parts_that_a_role_has_the_name_of_is_refused(rows, prepared):
    table = rows.assign(id=["train"] * 200 + ["valid"] * 100 + ["test"] * 100)
    with pytest.raises(Refused, match=r"data\.split\.column: 'id' is also the name of a role here"):
        prepared({"rows": table}, split={"by": "column", "column": "id"})


def test_a_given_table_needs_the_columns_of_the_training_table(rows, prepared):
    with pytest.raises(Refused, match=r"test\.csv has no column 'weight'.*Did you mean 'weigth'"):
        prepared({"train": rows[:300], "test": rows[300:].rename(columns={"weight": "weigth"})})


def test_a_finding_of_the_solution_refuses_unless_it_is_allowed(rows, tmp_path):
    def checks(settings, table):
        return [Finding(name="no_green", severity="refusal", message="Nothing is green.", cure="Paint something.")]

    def run(allow):
        data = {"rows": "rows.csv", "columns": {"target": "heat", "id": "name"}, "allow": allow}
        made = config.load({"solution": "counting:SOLUTION", "data": data}, base=tmp_path)
        return prepare(replace(made, solution=replace(made.solution, checks=checks)))

    rows.to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(Refused, match=r"Nothing is green\. Paint something\. Or allow it: data\.allow: \[no_green\]"):
        run([])
    assert [item.allowed for item in run(["no_green"]).findings if item.name == "no_green"] == [True]


@pytest.mark.parametrize("severity", ["note", "refusal"])
def test_a_solution_says_how_severe_near_copies_are(rows, tmp_path, severity):
    texts = [f"remark {number}, as long as a text is that somebody has written about it" for number in range(400)]
    texts[300:] = [text.upper() for text in texts[:100]]
    rows.assign(remark=texts).to_csv(tmp_path / "rows.csv", index=False)

    def columns(settings):
        declared = counting.columns(settings)
        return replace(declared, inputs=(*declared.inputs, Column(name="remark", kind="text")))

    def run(allow):
        data = {"rows": "rows.csv", "columns": {"target": "heat", "id": "name"}, "allow": allow}
        made = config.load({"solution": "counting:SOLUTION", "data": data}, base=tmp_path)
        (found,) = (
            item
            for item in prepare(
                replace(made, solution=replace(made.solution, columns=columns, near_copies=severity))
            ).findings
            if item.name == "near_copies"
        )
        return found

    import counting

    assert run(["near_copies"]).severity == severity
    if severity == "refusal":
        with pytest.raises(Refused, match=r"only in case(.|\n)*data\.allow: \[near_copies\]"):
            run([])
    else:
        assert not run([]).allowed


def test_side_tables_are_read_beside_the_rows(rows, prepared, tmp_path):
    pd.DataFrame({"colour": ["red"], "warmth": [3]}).to_csv(tmp_path / "colours.csv", index=False)
    found = prepared({"rows": rows}, side={"colours": "colours.csv"})
    assert found.side["colours"].to_dict("list") == {"colour": ["red"], "warmth": ["3"]}


def test_a_part_is_described_by_its_rows_and_its_target(rows, prepared):
    found = prepared({"train": rows[:200], "valid": rows[200:300], "test": rows[300:]})
    described = found.facts["parts"]["valid"]
    assert described["rows"] == 100
    assert described["target"] == {
        "cold": pytest.approx((rows["heat"][200:300] == "cold").mean()),
        "hot": pytest.approx((rows["heat"][200:300] == "hot").mean()),
    }
    assert (described["from"], described["to"]) == (None, None)
