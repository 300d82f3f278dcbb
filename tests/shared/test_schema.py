"""Roles, kinds and the check of rows, on tables whose right reading is known."""

import datetime
import io
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from solvent import tables
from solvent.errors import Refused
from solvent.schema import Schema, kinds
from solvent.solution import Column, Columns

TARGET = Column(name="target", kind="category", meaning="good or bad")
CREDIT = Columns(targets=(TARGET,), features=("number", "category"))
REVIEWS = Columns(inputs=(Column(name="text", kind="text"),), targets=(Column(name="label", kind="category"),))


def learnt(columns, declared, table, name="loans.csv"):
    schema = Schema.declare(columns, declared, list(table.columns), table=name)
    return schema.learn(schema.rename(table, table_name=name, targets=True))


_file = io.BytesIO()
Image.new("RGB", (1, 1)).save(_file, "PNG")
PIXEL = _file.getvalue()  # the smallest image


def checked(schema, table, targets=True):
    return schema.check(schema.rename(table, table_name="loans.csv", targets=targets), targets=targets)


def loans(**columns):
    return pd.DataFrame({"bad": ["yes", "no", "yes", "no"], **columns})


def test_columns_have_their_roles_names_inside_and_the_users_outside():
    table = loans(loan_id=[1, 2, 3, 4], target=[1.0, 2.0, 3.0, 4.0], comment=["x"] * 4, sex=["m", "f", "m", "f"])
    declared = {"target": "bad", "id": "loan_id", "ignore": ["comment"], "protected": "sex"}
    schema = learnt(CREDIT, declared, table)
    roles = {field.name: (field.source, field.role) for field in schema.fields}
    assert roles == {
        "target": ("bad", "target"),
        "id": ("loan_id", "id"),
        "column target": ("target", "feature"),
        "sex": ("sex", "protected"),
    }
    assert schema.ignored == (("comment", "the config says so"),)
    assert schema.restore(["id", "column target", "probability"]) == ["loan_id", "target", "probability"]


def test_a_general_role_finds_the_solutions_column_that_has_it():
    columns = Columns(inputs=(Column(name="patient", kind="id", role="entity"), Column(name="image", kind="image")))
    schema = Schema.declare(columns, {"entity": "person"}, ["person", "image"], table="scans.csv")
    assert schema.field("patient").source == "person"


def test_every_problem_of_the_config_is_said_at_once():
    declared = {
        "targt": "bad",
        "id": "lone_id",
        "group": ["a", "b"],
        "passthrough": ["bad", "bda"],
        "entity": "bad",
        "income": {"kind": "numbr", "range": [5, 1], "units": "EUR"},
        "wealth": {"unit": "EUR"},
    }
    with pytest.raises(Refused) as caught:
        Schema.declare(CREDIT, declared, ["bad", "loan_id", "income"], table="loans.csv")
    for part in (
        "columns.targt: 'targt' is neither a role nor a column that this solution names. Did you mean 'target'?",
        "columns.id: loans.csv has no column 'lone_id'. Did you mean 'loan_id'?",
        "columns.group: expected one column, got 2",
        "columns.passthrough: loans.csv has no column 'bda'. Did you mean 'bad'?",
        "'bad' has the roles entity and passthrough; a column has one",
        "columns.income.kind: Input should be 'number'",
        "columns.income.units: Extra inputs",
        "columns.wealth: loans.csv has no column 'wealth'",
        "loans.csv has no column 'target' for target (good or bad)",
    ):
        assert part in str(caught.value)


def test_the_kind_of_a_solutions_column_is_not_the_users_to_change():
    with pytest.raises(Refused, match=r"columns.review.kind: text is read as text, not as number"):
        Schema.declare(REVIEWS, {"text": "review", "review": {"kind": "number"}}, ["review", "label"], table="r.csv")


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2.5", "1e3", "-.5"] * 25, "number"),
        (["1"] * 96 + ["?"] * 4, "number"),
        (["1"] * 90 + ["?"] * 10, "category"),
        ([1, 2, None, 4] * 25, "number"),
        ([True, False, None, True] * 25, "category"),
        (pd.Categorical([1, 2] * 50), "category"),
        ([Decimal("1.5"), None] * 50, "number"),
        (["2024-05-31", "2024-05-31T10:00:00+02:00"] * 50, "time"),
        ([datetime.date(2024, 5, 31), None] * 50, "time"),
        (pd.date_range("2024-01-01", periods=100, tz="UTC"), "time"),
        ([f"L{row}" for row in range(100)], "id"),
        ([f"loan {row}" for row in range(100)], "category"),
        ([f"the loan number {row} was late" for row in range(100)], "text"),
        (["the same four words"] * 100, "category"),
        (['["a", "b"]', "[]"] * 50, "list"),
        ([["a"], ["b", "c"]] * 50, "list"),
        ([PIXEL] * 100, "image"),
    ],
)
def test_the_kind_of_an_undeclared_column_is_found(cells, kind):
    every = ("number", "category", "text", "image", "id", "time", "list")
    table = pd.DataFrame({"bad": ["yes", "no"] * 50, "x": cells})
    schema = learnt(Columns(targets=(TARGET,), features=every), {"target": "bad"}, table)
    assert schema.field("x").kind == kind


def test_columns_that_the_solution_cannot_read_are_ignored_and_it_says_why():
    table = loans(note=["this one was late twice", "b c d e f", "g h i j k", "l m n o p"], none=[None, "", " ", None])
    schema = learnt(CREDIT, {"target": "bad"}, table)
    assert schema.features == ()
    assert schema.ignored == (
        ("note", "it looks like a column of kind text; this solution reads number and category columns"),
        ("none", "all its cells are missing in the training rows"),
    )


def test_decimal_commas_are_refused_with_the_cure(tmp_path):
    path = tmp_path / "loans.csv"
    path.write_text("bad;income\nyes;1,5\nno;2,25\nyes;3\nno;4\n")
    table = tables.read(path)
    with pytest.raises(Refused, match=r"income holds numbers with a decimal comma, such as '1,5'.*decimal: \",\""):
        learnt(CREDIT, {"target": "bad"}, table)
    declared = learnt(CREDIT, {"target": "bad", "income": {"kind": "number"}}, table)
    assert checked(declared, table).bad["reasons"].tolist()[1] == (
        "income: '2,25' is not a number (write 2.25, or read the file with decimal: \",\")"
    )
    assert learnt(CREDIT, {"target": "bad"}, tables.read({"path": path, "decimal": ","})).field("income").high == 4


def test_the_statistics_are_those_of_the_good_training_rows():
    table = loans(
        income=["1", "3", "-9", "abc"], home=["own", None, "rent", "boat"], text=["abc", "de", "", "longest of all"]
    )
    declared = {"target": "bad", "income": {"kind": "number", "codes": [-9]}, "text": {"kind": "text"}}
    columns = Columns(targets=(TARGET,), features=("number", "category", "text"))
    schema = learnt(columns, declared, table)
    income, home, text = schema.field("income"), schema.field("home"), schema.field("text")
    assert (income.low, income.high, income.mean, income.deviation, income.missing) == (1, 3, 2, 1, 0)
    assert home.levels == ("own", "rent")
    assert home.missing == pytest.approx(1 / 3)
    assert text.longest == 3


def test_a_table_without_a_good_row_is_refused_with_the_reasons():
    with pytest.raises(Refused, match=r"None of the 4 training rows is good. The usual reasons: bad: is missing"):
        learnt(CREDIT, {"target": "bad"}, loans(x=[1, 2, 3, 4]).assign(bad=None))


def test_a_table_without_rows_teaches_nothing():
    with pytest.raises(Refused, match="There are no training rows"):
        learnt(CREDIT, {"target": "bad"}, loans(x=[1, 2, 3, 4]).iloc[:0])


@pytest.mark.parametrize("dtype", ["str", "object", "string", "category", "string[pyarrow]"])
def test_texts_are_read_from_every_type_of_column(dtype):
    table = pd.DataFrame({"text": pd.Series(["good", None, "bad"], dtype=dtype), "label": ["y", "y", "n"]})
    result = checked(learnt(REVIEWS, {}, table), table)
    assert result.good["text"].tolist() == ["good", "bad"]
    assert result.bad["reasons"].tolist() == ["text: is missing"]


def test_bad_rows_are_set_aside_with_every_reason():
    table = loans(income=["1", "abc", "inf", "900"], weight=[1, 1, 1, -1], day=["2024-01-01", "soon", None, "now"])
    declared = {
        "target": "bad",
        "weight": "weight",
        "income": {"kind": "number", "range": [0, 100]},
        "day": {"kind": "time", "required": True},
    }
    columns = Columns(targets=(TARGET,), features=("number", "category", "time"))
    schema = learnt(columns, declared, table.assign(income=1, weight=1, day="2024-01-01"))
    result = checked(schema, table)
    when = "is not a date or time (expected as 2024-05-31 or 2024-05-31T10:00:00)"
    assert dict(zip(result.bad["row"], result.bad["reasons"], strict=True)) == {
        2: f"income: 'abc' is not a number; day: 'soon' {when}",
        3: "income: is infinite; day: is missing",
        4: f"income: 900 is outside the declared range 0 to 100; weight: -1 is no weight, expected 0 or more; "
        f"day: 'now' {when}",
    }
    assert list(result.bad.columns) == ["row", "reasons", "target", "income", "weight", "day"]
    assert result.bad["income"].tolist() == ["abc", "inf", "900"]
    assert result.good.index.tolist() == [0]
    assert {name: str(kind) for name, kind in result.good.dtypes.items()} == {
        "target": "str",
        "income": "float64",
        "weight": "float64",
        "day": "datetime64[us]",
    }


def test_what_is_unusual_but_readable_is_kept_and_noted():
    schema = learnt(CREDIT, {"target": "bad", "income": {"codes": [-9]}}, loans(income=[1, 2, 3, 4], home=["own"] * 4))
    table = loans(income=[0, -9, None, 5], home=["boat", "own", None, "boat"])
    result = checked(schema, table)
    assert len(result.bad) == 0
    assert result.notes == {"income: outside the training range": 2, "home: unseen category 'boat'": 2}
    assert result.good["income"].fillna(0).tolist() == [0, -9, 0, 5]


def test_many_unseen_categories_are_counted_together():
    schema = learnt(CREDIT, {"target": "bad"}, loans(home=["own"] * 4))
    table = pd.DataFrame({"bad": "yes", "home": [f"h{row}" for row in range(25)]})
    notes = checked(schema, table).notes
    assert len(notes) == 11
    assert notes["home: 15 other unseen categories"] == 15


def test_a_class_that_training_did_not_have_makes_its_row_bad():
    schema = learnt(CREDIT, {"target": "bad"}, loans(x=[1, 2, 3, 4]))
    table = loans(x=[1, 2, 3, 4]).assign(bad=["yes", "maybe", None, "no"])
    assert checked(schema, table).bad["reasons"].tolist() == ["bad: unknown class 'maybe'", "bad: is missing"]
    assert len(checked(schema, table, targets=False).good) == 4


def test_a_target_that_is_open_may_have_any_class_and_training_rows_of_one():
    columns = Columns(targets=(Column(name="target", kind="category", open=True),), features=("number",))
    schema = learnt(columns, {"target": "bad"}, pd.DataFrame({"bad": ["no"] * 4, "x": [1, 2, 3, 4]}))
    table = loans(x=[1, 2, 3, 4]).assign(bad=["yes", "maybe", None, "no"])
    assert checked(schema, table).bad["reasons"].tolist() == ["bad: is missing"]
    assert checked(schema, table).good["target"].tolist() == ["yes", "maybe", "no"]
    assert Schema.from_json(schema.to_json()).field("target").open


def test_a_repeated_or_missing_id_makes_the_later_row_bad():
    table = loans(loan=[7, 8, 7, None], x=[1, 2, 3, 4])
    schema = learnt(CREDIT, {"target": "bad", "id": "loan"}, table.assign(loan=[1, 2, 3, 4]))
    result = checked(schema, table)
    assert result.bad["reasons"].tolist() == ["loan: 7.0 is there already, further up", "loan: is missing"]
    assert result.good["id"].dtype == np.float64


def test_ids_of_entities_are_strings_and_may_repeat():
    schema = learnt(CREDIT, {"target": "bad", "entity": "person"}, loans(person=[1, 1, 2, 2], x=[1, 2, 3, 4]))
    assert checked(schema, loans(person=[1.0, 1, 2, 2], x=1)).good["entity"].tolist() == ["1", "1", "2", "2"]


@pytest.mark.parametrize(
    "cells",
    [
        [1, 0, None],
        [1.0, 0.0, np.nan],
        ["1", "0", None],
        ["1.0", "0.0", ""],
        pd.array([1, 0, None], dtype="Int64"),
        pd.Categorical([1, 0, None]),
        pd.Series([1, "0", None], dtype=object),
        [Decimal("1"), Decimal("0"), None],
    ],
)
def test_a_category_is_the_same_from_every_kind_of_file(cells):
    train = pd.DataFrame({"bad": ["y", "n", "y"], "x": ["1", "0", "1"]})
    schema = learnt(CREDIT, {"target": "bad", "x": {"kind": "category"}}, train)
    result = checked(schema, train.assign(x=cells))
    assert result.notes == {}
    assert result.good["x"].fillna("-").tolist() == ["1", "0", "-"]
    assert result.good["x"].dtype == "str"


def test_a_column_of_categories_spells_each_as_it_is_spelled_alone():
    cells = ["a1", "1.0", "1", "true", "False", "TRUE1", " ", "", "7.50", "x-9_", "ä1", "1\n", "\u00a0", "+3.0", "a 1"]
    found = kinds.read(pd.Series([*cells, None], dtype="str"), "category")
    expected = [kinds.canonical(cell) for cell in cells]
    assert [None if pd.isna(cell) else cell for cell in found.values] == [*expected, None]
    assert found.levels == set(expected) - {None}


@pytest.mark.parametrize("cells", [[True, False, None], ["True", "false", ""], pd.array([1, 0, None], dtype="boolean")])
def test_a_boolean_is_the_same_from_every_kind_of_file(cells):
    train = pd.DataFrame({"bad": ["y", "n", "y"], "x": [True, False, True]})
    schema = learnt(CREDIT, {"target": "bad"}, train)
    assert schema.field("x").levels == ("false", "true")
    assert checked(schema, train.assign(x=cells)).good["x"].fillna("-").tolist() == ["true", "false", "-"]


@pytest.mark.parametrize(
    "cells",
    [
        [1.5, 2.0, np.nan],
        ["1.5", " +2 ", ""],
        ["1.5", "2.", "nan"],
        [Decimal("1.5"), 2, None],
        pd.array([1.5, 2, None], dtype="Float64"),
        pd.array([1.5, 2, None], dtype="float64[pyarrow]"),
        pd.Series([1.5, "2", None], dtype=object),
    ],
)
def test_a_number_is_the_same_from_every_kind_of_file(cells):
    train = pd.DataFrame({"bad": ["y", "n", "y"], "x": [1.0, 2.0, 3.0]})
    result = checked(learnt(CREDIT, {"target": "bad"}, train), train.assign(x=cells))
    assert len(result.bad) == 0
    np.testing.assert_array_equal(result.good["x"].to_numpy(), [1.5, 2.0, np.nan])


@pytest.mark.parametrize("cell", ["abc", "1,5", "1_000", "0x10", "1 2", "--1", "١", "1e", "."])
def test_what_is_no_number_makes_its_row_bad_and_no_other(cell):
    train = pd.DataFrame({"bad": ["y", "n"], "x": [1.0, 2.0]})
    result = checked(learnt(CREDIT, {"target": "bad"}, train), train.assign(x=["1", cell]))
    assert result.bad["reasons"].str.startswith(f"x: '{cell}' is not a number").tolist() == [True]
    assert result.good["x"].tolist() == [1.0]


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "+inf", "1e999"])
def test_an_infinite_number_makes_its_row_bad(cell):
    train = pd.DataFrame({"bad": ["y", "n"], "x": [1.0, 2.0]})
    result = checked(learnt(CREDIT, {"target": "bad"}, train), train.assign(x=["oops", cell]))
    assert result.bad["reasons"].tolist() == ["x: 'oops' is not a number", "x: is infinite"]


def test_a_word_may_be_a_code_of_a_number_column():
    table = loans(income=["1", "unknown", "2", "3"])
    schema = learnt(CREDIT, {"target": "bad", "income": {"codes": ["unknown"]}}, table)
    result = checked(schema, table)
    assert len(result.bad) == 0
    np.testing.assert_array_equal(result.good["income"], [1, np.nan, 2, 3])


def test_one_bad_row_makes_its_whole_entity_bad() -> None:
    schema = learnt(CREDIT, {"target": "bad", "entity": "person"}, loans(person=["a", "b", "c", "d"], x=[1, 2, 3, 4]))
    rows = pd.DataFrame(
        {
            "bad": ["yes"] * 6,
            "person": ["M01", "M02", "M01", "M03", None, "M01"],
            "x": ["1", "2", "oops", "3", "abc", "4"],
        }
    )
    for targets in (True, False):
        found = checked(schema, rows, targets=targets)
        told = dict(zip(found.bad["row"], found.bad["reasons"], strict=True))
        assert told[1] == told[6] == "another row of person 'M01' is bad: row 3"
        assert told[3] == "x: 'oops' is not a number"
        assert set(found.good.index) == {1, 3}  # a row of no entity takes no other with it


def test_a_row_that_fails_after_the_check_takes_its_entity_with_it() -> None:
    schema = learnt(CREDIT, {"target": "bad", "entity": "person"}, loans(person=[1, 1, 2, 2], x=[1, 2, 3, 4]))
    rows = schema.rename(loans(person=[7, 8, 7.0, 7], x=1), table_name="loans.csv", targets=True)
    assert schema.torn(rows, [2]) == {
        0: "another row of person '7' is bad: row 3",
        3: "another row of person '7' is bad: row 3",
    }
    assert schema.torn(rows, []) == {}


@pytest.mark.parametrize(("unit", "cell"), [("s", "86400"), ("ms", 86_400_000)])
def test_unix_times_need_their_unit(unit, cell):
    columns = Columns(inputs=(Column(name="time", kind="time", role="time"),))
    table = pd.DataFrame({"when": [cell]})
    with_unit = Schema.declare(columns, {"time": "when", "when": {"unit": unit}}, ["when"], table="t.csv")
    assert checked(with_unit, table).good["time"].tolist() == [pd.Timestamp("1970-01-02")]
    without = Schema.declare(columns, {"time": "when"}, ["when"], table="t.csv")
    assert "set its unit to s or ms" in checked(without, table).bad["reasons"][0]


def test_times_are_in_utc_and_have_no_zone():
    columns = Columns(inputs=(Column(name="time", kind="time"),))
    schema = Schema.declare(columns, {}, ["time"], table="t.csv")
    zoned = pd.DataFrame({"time": pd.to_datetime(["2024-05-31 12:00+02:00", "2024-05-31 10:00+00:00"], utc=True)})
    texts = pd.DataFrame({"time": ["2024-05-31T12:00:00+02:00", "2024-05-31 10:00"]})
    for table in (zoned, texts, texts.astype(object), zoned.astype("timestamp[us, UTC][pyarrow]")):
        assert checked(schema, table).good["time"].tolist() == [pd.Timestamp("2024-05-31 10:00")] * 2


def test_texts_images_and_lists_are_read():
    inputs = (Column(name="text", kind="text"), Column(name="image", kind="image"), Column(name="list", kind="list"))
    schema = Schema.declare(Columns(inputs=inputs), {}, ["text", "image", "list"], table="t.csv")
    table = pd.DataFrame(
        {
            "text": ["a", 5, " ", "b"],
            "image": ["a.png", b"\x89", "c.png", 7],
            "list": ['["x"]', ["y", "z"], np.array([1, 2]), "[x"],
        },
        dtype=object,
    )
    result = checked(schema, table, targets=False)
    path = str(Path("a.png").absolute())
    assert result.good.astype(object).to_numpy().tolist() == [["a", path, ["x"]], ["5", b"\x89", ["y", "z"]]]
    assert result.bad["reasons"].tolist() == [
        "text: is missing",
        "image: 7 is neither a path nor the bytes of an image; "
        "list: '[x' is not a list (expected as a|b, or as a JSON list)",
    ]


def test_before_training_an_image_that_cannot_be_decoded_makes_its_row_bad(tmp_path):
    (tmp_path / "good.png").write_bytes(PIXEL)
    Image.effect_noise((64, 64), 50).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:1000])
    schema = Schema.declare(Columns(inputs=(Column(name="image", kind="image"),)), {}, ["image"], table="t.csv")
    table = pd.DataFrame({"image": ["good.png", "cut.png", "gone.png"]})
    renamed = schema.rename(table, table_name="t.csv", targets=True, folder=tmp_path)
    found = schema.check(renamed, targets=True)
    assert found.good["image"].tolist() == [str(tmp_path / "good.png")]
    assert found.bad["reasons"].iloc[0].startswith(f"image: '{tmp_path.name}/cut.png' is damaged: ")
    assert found.bad["reasons"].iloc[1] == f"image: '{tmp_path.name}/gone.png' there is no such file"
    # a scorer decodes anyway, so that nothing is decoded here
    assert len(schema.check(renamed, targets=False).good) == 3


def test_a_target_of_several_classes_is_a_list_and_learns_its_classes():
    target = Column(name="label", kind="list")
    schema = Schema.declare(Columns(targets=(target,)), {}, ["label"], table="t.csv")
    schema = schema.learn(pd.DataFrame({"label": ["a|b", '["b", 1]', "[]", "b|b"]}))
    assert schema.field("label").levels == ("1", "a", "b")
    found = schema.check(pd.DataFrame({"label": ["b|a", "[]", "b|c", "", '["a", ""]']}), targets=True)
    assert found.good["label"].tolist() == [["b", "a"], []]
    assert found.bad["reasons"].tolist() == [
        "label: unknown class in ['b', 'c']",
        "label: is missing",
        "label: ['a', ''] holds an empty class",
    ]


def test_lists_of_equal_length_stay_lists():
    schema = Schema.declare(Columns(inputs=(Column(name="x", kind="list"),)), {}, ["x"], table="t.csv")
    assert checked(schema, pd.DataFrame({"x": [[1, 2], [3, 4]]})).good["x"].tolist() == [[1, 2], [3, 4]]


def test_a_ragged_row_is_bad_for_that_one_reason(tmp_path):
    path = tmp_path / "loans.csv"
    path.write_text("bad,x\nyes,1\nno\nno,2\n")
    schema = learnt(CREDIT, {"target": "bad"}, tables.read(path))
    result = checked(schema, tables.read(path))
    assert result.bad[["row", "reasons"]].to_numpy().tolist() == [[2, "1 field, expected 2"]]
    assert tables.BAD_ROW not in result.good.columns.union(result.bad.columns)


@pytest.mark.parametrize(
    ("index", "rows"),
    [(pd.RangeIndex(100, 104), [102, 103]), (pd.Index(["a", "b", "b", "c"]), [2, 3]), (pd.Index([9, 5, 5, 1]), [2, 3])],
)
def test_the_index_is_kept_and_rows_count_from_one(index, rows):
    schema = learnt(CREDIT, {"target": "bad"}, loans(x=[1, 2, 3, 4]))
    result = checked(schema, loans(x=["1", "?", "!", "4"]).set_axis(index))
    assert result.good.index.tolist() == [index[0], index[3]]
    assert result.bad.index.tolist() == [index[1], index[2]]
    assert result.bad["row"].tolist() == rows


def test_an_empty_table_is_checked_to_an_empty_typed_one():
    schema = learnt(CREDIT, {"target": "bad", "id": "n"}, loans(x=[1, 2, 3, 4], home=["a"] * 4, n=[1, 2, 3, 4]))
    result = checked(schema, loans(x=1, home="a", n=1).iloc[:0])
    assert {name: str(kind) for name, kind in result.good.dtypes.items()} == {
        "target": "str",
        "x": "float64",
        "home": "str",
        "id": "int64",
    }
    assert list(result.bad.columns[:2]) == ["row", "reasons"]
    assert len(result.good) == len(result.bad) == 0


def test_scoring_needs_neither_the_target_nor_what_only_splits():
    table = loans(x=[1, 2, 3, 4], g=["a", "b", "a", "b"], w=[1, 1, 1, 1], t=["2024-01-01"] * 4, s=["m"] * 4)
    declared = {"target": "bad", "group": "g", "weight": "w", "time": "t", "protected": ["s"]}
    schema = learnt(CREDIT, declared, table)
    result = checked(schema, table[["x"]], targets=False)
    assert list(result.good.columns) == ["x"]
    assert list(checked(schema, table.assign(w=-1), targets=False).good.columns) == ["x"]
    with pytest.raises(Refused, match=r"tonight.csv has no column 'g' \(group\)") as caught:
        schema.rename(table[["x", "bad"]], table_name="tonight.csv", targets=True)
    assert "Its columns: x, bad." in str(caught.value)


VISITS = Columns(
    inputs=(
        Column(name="guest", kind="id"),
        Column(name="wishes", kind="list", required=False, scored_only=True),
    ),
    targets=(Column(name="dish", kind="id"), Column(name="stars", kind="number", required=False)),
)


def test_a_column_that_only_scoring_reads_is_never_asked_for_and_never_read_in_training():
    table = pd.DataFrame({"who": [7, 7.0, "8"], "dish": ["soup", "pie", "soup"]})
    schema = learnt(VISITS, {"guest": "who", "wishes": "wanted"}, table)
    asked = pd.DataFrame({"who": ["9"], "wanted": ["pie|soup"]})
    assert checked(schema, asked, targets=False).good["wishes"].tolist() == [["pie", "soup"]]
    assert "wishes" not in checked(schema, asked[["who"]], targets=False).good
    assert "wishes" not in checked(schema, table.assign(wanted="x")).good
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema


def test_a_target_that_is_not_required_may_lack_and_is_checked_where_it_is():
    table = pd.DataFrame({"guest": ["a", "b"], "dish": ["soup", "pie"]})
    assert [field.name for field in learnt(VISITS, {}, table).targets] == ["dish"]
    rated = table.assign(stars=[5, None])
    schema = learnt(VISITS, {}, rated)
    assert [field.name for field in schema.targets] == ["dish", "stars"]
    assert checked(schema, rated).bad.empty
    wrong = checked(schema, table.assign(stars=["many", None])).bad["reasons"].tolist()
    assert len(wrong) == 1
    assert wrong[0].startswith("stars: 'many'")
    with pytest.raises(Refused, match="no column 'dish'"):
        learnt(VISITS, {}, table.drop(columns="dish"))


def test_a_missing_column_is_named_with_the_nearest_one():
    schema = learnt(CREDIT, {"target": "bad"}, loans(income=[1, 2, 3, 4]))
    with pytest.raises(Refused, match=r"no column 'income' \(feature of the training table\). Did you mean 'Income'\?"):
        schema.rename(pd.DataFrame({"Income": [1]}), table_name="tonight.csv", targets=False)
    with pytest.raises(Refused, match="The table lacks the column income"):
        schema.check(pd.DataFrame({"Income": [1]}), targets=False)
    with pytest.raises(Refused, match=r"tonight.csv has the column 'income' twice"):
        schema.rename(pd.DataFrame([[1, 2]], columns=["income", "income"]), table_name="tonight.csv", targets=False)


def test_columns_named_like_those_of_the_check_keep_apart():
    table = loans(row=[1, 2, 3, 4], reasons=["a", "b", "a", "b"])
    result = checked(learnt(CREDIT, {"target": "bad"}, table), table.assign(row=["x", 2, 3, 4]))
    assert list(result.bad.columns) == ["row", "reasons", "target", "column row", "column reasons"]


def test_a_passed_through_column_keeps_its_cells():
    table = loans(x=[1, 2, 3, 4], note=[1, "a", None, 2.5])
    result = checked(learnt(CREDIT, {"target": "bad", "passthrough": ["note"]}, table), table)
    assert result.good["note"].tolist() == [1, "a", None, 2.5]


def test_a_schema_survives_json():
    table = loans(income=[1, 2, 3, 4], home=["own", "rent", None, "own"])
    about = {"unit": "EUR", "range": [0, 9], "codes": [-9, "none"], "meaning": "a year"}
    schema = learnt(CREDIT, {"target": "bad", "income": about}, table)
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema


def test_an_unknown_field_is_refused_with_the_known_ones():
    schema = learnt(CREDIT, {"target": "bad"}, loans(income=[1, 2, 3, 4]))
    with pytest.raises(Refused, match=r"no field 'incme'. Did you mean 'income'\? Known: target, income"):
        schema.field("incme")


def test_a_column_that_is_called_like_a_role_but_has_none_is_an_ordinary_feature():
    """Else a truck's weight would count as the weight of its row."""
    rows = pd.DataFrame({"weight": [1.0, 2.0], "time": ["a", "b"], "price": [3.0, 4.0]})
    schema = Schema.declare(Columns(features=("number", "category")), {}, list(rows), table="made")
    assert {field.source: field.name for field in schema.features} == {
        "weight": "column weight",
        "time": "column time",
        "price": "price",
    }


def test_a_target_that_is_not_known_for_every_row_may_be_missing_and_any_other_may_not():
    columns = Columns(
        inputs=(Column(name="text", kind="text"),),
        targets=(
            Column(name="edema", kind="category", required=False),
            Column(name="mass", kind="category", required=False),
        ),
    )
    table = pd.DataFrame({"text": ["a", "b", "c"], "edema": [1, None, 0], "mass": [None, None, 1]})
    schema = learnt(columns, {}, table)
    found = checked(schema, table)
    assert len(found.good) == 3
    assert found.good["edema"].fillna("unknown").tolist() == ["1", "unknown", "0"]
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))).field("mass").required is False
    whole = learnt(Columns(targets=(TARGET,), features=("number",)), {"target": "bad"}, loans(x=[1, 2, 3, 4]))
    assert len(checked(whole, loans(x=[1, 2, 3, 4]).assign(bad=["yes", None, "no", "no"])).bad) == 1
