"""The scan: what it finds, what it must not find, what it refuses."""

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from solvent.errors import Refused
from solvent.scan import refuse, scan
from solvent.scan.leak import leaks
from solvent.schema import Field, Schema
from solvent.solution import Finding


def schema(ignored: tuple[tuple[str, str], ...] = (), **columns: str) -> Schema:
    """Columns as `role kind`; the user's own name is the house name in capitals."""
    pairs = {name: told.split(" ") for name, told in columns.items()}
    fields = (Field(name=name, source=name.upper(), role=role, kind=kind) for name, (role, kind) in pairs.items())
    return Schema(fields=tuple(fields), ignored=ignored)


def words(cells: object) -> pd.Series:
    return pd.Series(cells).astype("str")


def named(findings: list[Finding], name: str) -> Finding:
    found = [item for item in findings if item.name == name]
    assert len(found) == 1, [item.name for item in findings]
    return found[0]


def loans(rows: int, seed: int = 0) -> tuple[pd.DataFrame, Schema]:
    """Ordinary loans: two numbers and a category that tell something of the target."""
    rng = np.random.default_rng(seed)
    bad = rng.random(rows) < 0.3
    table = pd.DataFrame(
        {
            "income": rng.normal(size=rows) - bad,
            "age": rng.integers(18, 80, rows).astype(float),
            "home": words(np.where(rng.random(rows) < 0.2 + 0.4 * bad, "rent", "own")),
            "target": words(np.where(bad, "bad", "good")),
        }
    )
    return table, schema(
        income="feature number", age="feature number", home="feature category", target="target category"
    )


def parts_of(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    cuts = [0, int(0.6 * len(table)), int(0.8 * len(table)), len(table)]
    return {name: table.iloc[cuts[at] : cuts[at + 1]] for at, name in enumerate(("train", "valid", "test"))}


def test_ordinary_data_give_no_refusal_and_no_warning() -> None:
    table, known = loans(3000)
    assert [item for item in scan(parts_of(table), known, given=False) if item.severity != "note"] == []


def test_repeated_ids_are_refused_also_across_parts_and_types() -> None:
    table = pd.DataFrame({"id": [*range(100), 99]})
    parts = parts_of(table)
    parts["test"] = parts["test"].astype({"id": str})
    parts["train"] = parts["train"].assign(id=[98, *range(1, 60)])
    found = named(scan(parts, schema(id="id id"), given=True), "repeated_id")
    assert found.severity == "refusal" and found.count == 4
    assert "2 ids occur more than once" in found.message and "'98', in train and test" in found.message


def test_an_entity_on_both_sides_is_refused() -> None:
    table = pd.DataFrame({"patient": words([f"P{item // 2}" for item in range(99)] + ["P0"])})
    known = schema(patient="entity category")
    found = named(scan(parts_of(table), known, given=True), "entity_on_both_sides")
    assert (found.severity, found.count, found.columns) == ("refusal", 1, ("PATIENT",))
    assert "'P0', in train and test" in found.message
    assert not [item for item in scan({"train": table}, known, given=True) if item.name == "entity_on_both_sides"]


@pytest.mark.parametrize("part", ["train", "test"])
def test_one_class_is_refused(part: str) -> None:
    table, known = loans(300)
    parts = parts_of(table)
    parts[part] = parts[part].assign(target=words(["good"] * len(parts[part])).to_numpy())
    found = named(scan(parts, known, given=False), "one_class")
    assert found.severity == "refusal" and f"{part} rows have the one value 'good'" in found.message


def test_an_open_target_may_have_one_class_and_only_what_is_not_measured_is_told() -> None:
    table, known = loans(300)
    fields = tuple(replace(field, open=field.name == "target") for field in known.fields)
    parts = {name: part.assign(target="good") for name, part in parts_of(table).items()}
    found = named(scan(parts, replace(known, fields=fields), given=False), "one_class")
    assert found.severity == "warning" and "all 60 test rows are 'good'" in found.message
    mixed = {**parts, "test": parts_of(table)["test"]}
    assert not [item for item in scan(mixed, replace(known, fields=fields), given=False) if item.name == "one_class"]


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_target_that_no_row_has_is_a_warning(part: str) -> None:
    table, known = loans(300)
    parts = parts_of(table)
    parts[part] = parts[part].assign(target=words([None] * len(parts[part])).to_numpy())
    found = named(scan(parts, known, given=False), "one_class")
    assert found.severity == "warning"
    assert f"none of {len(parts[part])} {part} rows has a value" in found.message


def test_a_class_with_one_training_row_is_a_warning() -> None:
    table, known = loans(300)
    table.loc[0, "target"] = "fraud"
    found = named(scan(parts_of(table), known, given=False), "one_class")
    assert found.severity == "warning" and "fraud" in found.message


CODES = {"bad": "was repaid late or never", "good": "nothing to remark"}
RNG = np.random.default_rng(5)
LEAKS = {
    "copy": lambda bad: bad * 1.0,
    "shifted number": lambda bad: bad + 7.0,
    "inverted": lambda bad: 1.0 - bad,
    "with jitter": lambda bad: bad + RNG.normal(size=len(bad)) * 0.01,
    "text-like codes": lambda bad: words(np.where(bad, CODES["bad"], CODES["good"])),
    "finer codes": lambda bad: words([f"{int(b)}{k}" for b, k in zip(bad, RNG.integers(0, 9, len(bad)), strict=True)]),
    "copy with holes": lambda bad: np.where(RNG.random(len(bad)) < 0.4, np.nan, bad),
    "filled where bad": lambda bad: np.where(bad, RNG.normal(size=len(bad)), np.nan),
    "days past due": lambda bad: np.where(bad, 90 + RNG.integers(1, 99, len(bad)), RNG.integers(0, 90, len(bad))) * 1.0,
    "late date": lambda bad: (
        pd.Timestamp("2024-01-01") + pd.to_timedelta(bad * 400 + RNG.integers(0, 99, len(bad)), "D")
    ),
}


@pytest.mark.parametrize("kind", LEAKS)
@pytest.mark.parametrize("rows", [200, 5000])
def test_a_column_that_gives_the_target_away_is_refused(kind: str, rows: int) -> None:
    table, known = loans(rows)
    table["leak"] = LEAKS[kind]((table["target"] == "bad").to_numpy())
    field = "category" if "codes" in kind else "time" if "date" in kind else "number"
    known = Schema(fields=(*known.fields, Field(name="leak", source="LEAK", role="feature", kind=field)))
    found = named(scan({"train": table}, known, given=False), "target_leak")
    assert (found.severity, found.columns) == ("refusal", ("LEAK",))
    assert "ignore: [LEAK]" in found.cure


def test_a_number_coded_by_intervals_gives_the_target_away() -> None:
    table, known = loans(5000)
    bad = (table["target"] == "bad").to_numpy()
    middle = RNG.random(5000)
    table["age"] = np.where(bad, 10 + middle, np.where(RNG.random(5000) < 0.5, middle, 20 + middle))
    assert [leak.column.name for leak in leaks(table, known)] == ["age"]


@pytest.mark.parametrize("bend", [lambda y: y + 5, lambda y: -3 * y, np.log, np.sqrt, lambda y: np.round(y, 3)])
def test_a_bent_copy_of_a_number_is_refused(bend: object) -> None:
    rng = np.random.default_rng(0)
    target = rng.lognormal(size=500)
    table = pd.DataFrame({"x": bend(target), "honest": target * np.exp(rng.normal(size=500) * 0.1), "target": target})
    known = schema(x="feature number", honest="feature number", target="target number")
    assert [leak.column.name for leak in leaks(table, known)] == ["x"]


def test_classes_in_another_code_are_refused() -> None:
    grade = np.random.default_rng(0).integers(0, 5, 400)
    table = pd.DataFrame(
        {
            "code": np.array([3.0, 9.0, 1.0, 4.0, 2.0])[grade],
            "score": grade + np.random.default_rng(1).random(400) * 0.9,
            "near": np.where(np.arange(400) % 40 == 0, 0.0, grade),
            "target": words(grade),
        }
    )
    known = schema(code="feature number", score="feature number", near="feature number", target="target category")
    assert [leak.column.name for leak in leaks(table, known)] == ["code", "score"]


@pytest.mark.parametrize("rows", [20, 40, 60, 100, 1000])
@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_noise_never_gives_the_target_away(rows: int, share: float) -> None:
    rng = np.random.default_rng(rows)
    table = pd.DataFrame({f"x{item}": rng.normal(size=rows) for item in range(30)})
    for item in range(30):
        table[f"c{item}"] = words(rng.integers(0, 2 + item * rows // 40, rows))
    table["target"] = words(np.where(np.arange(rows) < max(2, share * rows), "bad", "good"))
    features = {name: f"feature {'number' if name[0] == 'x' else 'category'}" for name in table if name != "target"}
    assert list(leaks(table, schema(**features, target="target category"))) == []


@pytest.mark.parametrize("rows", [60, 200, 5000])
def test_a_strong_feature_is_no_leak(rows: int) -> None:
    rng = np.random.default_rng(rows)
    bad = np.arange(rows) % 2
    table = pd.DataFrame({f"x{item}": rng.normal(size=rows) + 3.0 * bad for item in range(20)})  # AUC 0.983
    table["flag"] = np.where(np.arange(rows) % 25 == 0, 1 - bad, bad) * 1.0  # right in 96 % of the rows
    features = dict.fromkeys(table.columns, "feature number")
    table["target"] = words(np.where(bad, "bad", "good"))
    assert list(leaks(table, schema(**features, target="target category"))) == []


def test_an_outlier_that_two_numbers_share_is_no_leak() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.random(500), "target": rng.random(500)})
    table.loc[:2] = 1e9
    assert list(leaks(table, schema(x="feature number", target="target number"))) == []


@pytest.mark.parametrize("name", ["breast_cancer", "iris", "wine", "diabetes"])
def test_public_tables_hold_no_leak(name: str) -> None:
    table = getattr(datasets, f"load_{name}")(as_frame=True).frame.astype(float)
    features = {f"x{at}": "feature number" for at in range(table.shape[1] - 1)}
    table.columns = [*features, "target"]
    kind = "number" if name == "diabetes" else "category"
    if kind == "category":
        table["target"] = words(table["target"].astype(int))
    assert list(leaks(table, schema(**features, target=f"target {kind}"))) == []


def test_ids_and_texts_are_no_leaks() -> None:
    table, known = loans(300)
    table["key"] = words(range(300))
    fields = (*known.fields, Field(name="key", source="KEY", role="feature", kind="category"))
    assert list(leaks(table, Schema(fields=fields))) == []


def test_twenty_columns_of_thirty_thousand_rows_are_scanned_in_three_seconds() -> None:
    rng = np.random.default_rng(0)
    bad = rng.random(30_000) < 0.3
    table = pd.DataFrame({f"x{item}": rng.normal(size=30_000) + item / 4 * bad for item in range(15)})
    for item in range(5):
        table[f"c{item}"] = words(rng.integers(0, 10**item + 2, 30_000))
    features = {name: f"feature {'number' if name[0] == 'x' else 'category'}" for name in table}
    table["target"] = words(np.where(bad, "bad", "good"))
    start = time.perf_counter()
    found = scan({"train": table}, schema(**features, target="target category"), given=False)
    assert time.perf_counter() - start < 3
    assert "target_leak" not in {item.name for item in found}


def texts() -> tuple[dict[str, pd.DataFrame], Schema]:
    table = pd.DataFrame({"text": words([f"a text, number {item}" for item in range(1000)])})
    return parts_of(table), schema(text="feature text")


def test_copies_across_given_parts_are_refused_above_one_percent() -> None:
    parts, known = texts()
    parts["test"] = parts["test"].assign(text=["a text,  number 3 ", "a text, number 700", *parts["test"]["text"][2:]])
    found = scan(parts, known, given=True)
    assert named(found, "copies").count == 4
    across = named(found, "copies_across")
    assert (across.severity, across.count) == ("warning", 2)
    parts["test"] = parts["test"].assign(text=[f"a text, number {item}" for item in (3, 4, 5)] * 66 + ["new", "newer"])
    across = named(scan(parts, known, given=True), "copies_across")
    assert (across.severity, across.count) == ("refusal", 198) and "99.0%" in across.message
    assert named(scan(parts, known, given=False), "copies_across").severity == "warning"


def test_copies_on_one_side_are_only_noted() -> None:
    parts, known = texts()
    parts["train"] = parts["train"].assign(text=["the same"] * 5 + parts["train"]["text"].tolist()[5:])
    found = scan(parts, known, given=True)
    assert named(found, "copies").severity == "note" and "5 in train" in named(found, "copies").message
    assert "copies_across" not in {item.name for item in found}


def test_near_copies_differ_in_case_and_punctuation() -> None:
    parts, known = texts()
    parts["test"] = parts["test"].assign(text=["A TEXT - number 3!", "a text, number 4", *parts["test"]["text"][2:]])
    found = named(scan(parts, known, given=False), "near_copies")
    assert found.severity == "note" and "2 rows" in found.message and "1 of them" in found.message
    assert named(scan(parts, known, given=False, near_copies="refusal"), "near_copies").severity == "refusal"
    parts["test"] = parts["test"].iloc[1:]
    assert "near_copies" not in {item.name for item in scan(parts, known, given=False)}


def test_equal_rows_are_noted_with_and_without_the_target() -> None:
    table, known = loans(500)
    twin = table.iloc[[0, 0]].copy()
    twin["target"] = words(["bad", "good"]).to_numpy()
    found = named(scan(parts_of(pd.concat([table, twin], ignore_index=True)), known, given=False), "equal_rows")
    assert found.severity == "note" and found.count == 3
    assert "3 rows equal another in all features; 2 of them in the target too" in found.message
    assert "2 test rows equal a train or valid row (1 in the target too)" in found.message


def test_poor_columns_are_named() -> None:
    table, known = loans(1000)
    table["constant"] = 1.0
    table["holes"] = np.where(np.arange(1000) % 4 == 0, table["age"], np.nan)
    table["name"] = words([f"name {item // 2}" for item in range(1000)])
    extra = {"constant": "number", "holes": "number", "name": "category"}
    fields = (Field(name=name, source=name.upper(), role="feature", kind=kind) for name, kind in extra.items())
    known = Schema(fields=(*known.fields, *fields), ignored=(("remark", "it looks like text"),))
    found = scan(parts_of(table), known, given=False)
    assert named(found, "constant_column").columns == ("CONSTANT",)
    assert named(found, "missing_share").columns == ("HOLES",) and "75%" in named(found, "missing_share").message
    assert named(found, "high_cardinality").columns == ("NAME",)
    assert "remark (it looks like text)" in named(found, "ignored_column").message


def test_few_test_rows_say_how_wide_intervals_get() -> None:
    table, known = loans(400)
    found = named(scan(parts_of(table), known, given=False), "few_rows")
    assert "80 rows" in found.message and "± 0.09 wide" in found.message  # 1.96 * sqrt(0.16 / 80) = 0.088
    assert "RMSE" not in found.message
    numbers = table.assign(target=np.random.default_rng(0).normal(size=400))
    known = schema(income="feature number", target="target number")
    found = named(scan(parts_of(numbers), known, given=False), "few_rows")
    assert "an RMSE is about ± 15% of it wide" in found.message  # 1.96 / sqrt(160) = 0.155
    assert "accuracy" not in found.message
    rare = pd.DataFrame({"target": words(["good"] * 990 + ["bad"] * 10)})
    parts = {"train": rare, "test": rare}
    assert (
        "Class 'bad' of TARGET has 10 test rows"
        in named(scan(parts, schema(target="target category"), given=True), "few_rows").message
    )


def test_few_rows_count_each_patient_once() -> None:
    patients = [f"p{item // 2}" for item in range(240)]  # 120 in all, 29 of them under test
    table = pd.DataFrame({"patient": words(patients), "target": words(["ill", "ill", "well", "well"] * 60)})
    known = schema(patient="entity id", target="target category")
    parts = {"train": table[:182], "test": table[182:]}
    found = named(scan(parts, known, given=True), "few_rows")
    assert "58 rows of 29 values of PATIENT: " in found.message and "± 0.14 wide" in found.message
    assert "Class 'ill' of TARGET has 14 values of PATIENT in the test part: " in found.message
    assert found.count == 14
    more = {"train": table, "test": table.assign(patient=words([f"q{item}" for item in range(240)]))}
    assert "few_rows" not in [item.name for item in scan(more, known, given=True)]


def folds_of(table: pd.DataFrame, count: int) -> list[dict[str, pd.DataFrame]]:
    place = np.arange(len(table)) % count
    return [
        {"test": table[place == k], "valid": table[place == (k + 1) % count], "train": table[(place - k) % count > 1]}
        for k in range(count)
    ]


def test_with_folds_the_number_of_test_rows_is_that_of_all_rows() -> None:
    table, known = loans(400)
    found = scan({"train": table}, known, given=False, folds=folds_of(table, 5))
    assert "few_rows" not in [item.name for item in found]  # 80 rows in each fold, 400 in all
    few = scan({"train": table[:60]}, known, given=False, folds=folds_of(table[:60], 3))
    assert "All folds together have 60 rows" in named(few, "few_rows").message
    assert "folds: 5" not in named(few, "few_rows").cure
    one = table.assign(target=words(["good"] * 400))
    assert (
        "all 400 train rows"
        in named(scan({"train": one}, known, given=False, folds=folds_of(one, 5)), "one_class").message
    )


def test_with_folds_what_lies_on_two_sides_is_told_of_the_worst_fold() -> None:
    table, known = loans(500)
    table["patient"] = words(np.where(np.arange(500) % 5 == 0, "shared", [f"p{row}" for row in range(500)]))
    table.loc[1, "patient"] = "shared"  # so in folds 1 and 2 a patient is on two sides
    known = Schema((*known.fields, Field(name="patient", source="PATIENT", role="entity", kind="id")))
    found = named(scan({"train": table}, known, given=False, folds=folds_of(table, 5)), "entity_on_both_sides")
    assert found.severity == "refusal"
    assert found.message.startswith("In fold 1 of 5: Column PATIENT: 1 of 400 values")


def test_with_folds_an_id_that_repeats_is_counted_once() -> None:
    table, known = loans(100)
    table["id"] = [0, *range(99)]
    known = Schema((*known.fields, Field(name="id", source="ID", role="id", kind="id")))
    found = named(scan({"train": table}, known, given=False, folds=folds_of(table, 5)), "repeated_id")
    assert "1 id occurs more than once, in 2 rows" in found.message


@pytest.mark.parametrize(("rare", "severity"), [(20, "note"), (5, "warning")])
def test_imbalance_says_what_always_answering_the_common_class_gets(rare: int, severity: str) -> None:
    table = pd.DataFrame({"target": words(["good"] * (1000 - rare) + ["bad"] * rare)})
    found = named(scan({"train": table}, schema(target="target category"), given=False), "imbalance")
    assert found.severity == severity and f"right in {(1000 - rare) / 10:.1f}%" in found.message


def test_a_shifted_column_is_a_warning_and_chance_in_few_rows_is_not() -> None:
    table, known = loans(3000)
    parts = parts_of(table)
    parts["test"] = parts["test"].assign(income=parts["test"]["income"] * 1000, home="boat")
    assert named(scan(parts, known, given=False), "shifted_column").columns == ("INCOME", "HOME")
    for seed in range(20):
        few, _ = loans(60, seed)
        assert "shifted_column" not in {item.name for item in scan(parts_of(few), known, given=False)}


def test_refusals_are_listed_with_their_cure_unless_allowed() -> None:
    table, known = loans(1000)
    table["copy"] = table["target"]
    table["id"] = 1
    fields = (
        Field(name="copy", source="status", role="feature", kind="category"),
        Field(name="id", source="number", role="id", kind="id"),
    )
    known = Schema(fields=(*known.fields, *fields))
    found = scan({"train": table}, known, given=False, allow=[])
    with pytest.raises(Refused) as refused:
        refuse(found)
    for said in ("status alone decides", "ignore: [status]", "data.allow: [target_leak]", "data.allow: [repeated_id]"):
        assert said in str(refused.value)
    with pytest.raises(Refused) as refused:
        refuse(scan({"train": table}, known, given=False, allow=["repeated_id"]))
    assert "repeated_id" not in str(refused.value)
    allowed = scan({"train": table}, known, given=False, allow=["repeated_id", "target_leak"])
    refuse(allowed)
    assert named(allowed, "target_leak").allowed


def test_the_scan_raises_nothing_for_empty_or_odd_tables() -> None:
    table, known = loans(50)
    assert scan({}, known, given=False) == []
    scan({"train": table.iloc[:1], "valid": table.iloc[:0], "test": table.iloc[:0]}, known, given=True)
    empty = table.assign(age=np.nan, home=pd.Series([None] * 50, dtype="str"), income=np.nan)
    scan(parts_of(empty), known, given=True)
    scan({"train": table.drop(columns="target"), "test": table.drop(columns="age")}, known, given=True)
    lists = pd.DataFrame({"items": [["a"], ["b"]] * 30, "text": pd.Series([None] * 60, dtype="str")})
    scan(parts_of(lists), schema(items="feature list", text="feature text"), given=True)
