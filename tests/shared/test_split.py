"""Splitting: fractions, what stays together, what is refused."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from solvent.errors import Refused
from solvent.schema import Field, Schema
from solvent.split import PARTS, Parts, Split, cut, folds, halves, refuse_lost_classes
from solvent.split.deal import quotas

ALL_KINDS = ("number", "category", "text", "image")


def schema(**columns: str) -> Schema:
    """Columns as `role kind`; the user's own name is the house name in capitals."""
    fields = []
    for name, told in columns.items():
        role, _, kind = told.partition(" ")
        fields.append(Field(name=name, source=name.upper(), role=role, kind=kind or None))
    return Schema(fields=tuple(fields), kinds=ALL_KINDS)


def sizes(parts: Parts) -> list[int]:
    return [len(getattr(parts, name)) for name in PARTS]


def sides(table: pd.DataFrame, parts: Parts) -> pd.Series:
    """The part of each row, after checking that every row is in exactly one."""
    together = np.concatenate([getattr(parts, name) for name in PARTS])
    assert sorted(together) == list(range(len(table)))
    for name in PARTS:
        assert (np.diff(getattr(parts, name)) > 0).all()
    found = pd.Series("", index=range(len(table)))
    for name in PARTS:
        found.iloc[getattr(parts, name)] = name
    return found


def patients(rows: int = 1200, seed: int = 0) -> tuple[pd.DataFrame, Schema]:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "patient": [f"P{item}" for item in (rng.random(rows) ** 2 * 150).astype(int)],
            "image": [f"{item}.png" for item in range(rows)],
            "label": np.where(rng.random(rows) < 0.1, "sick", "well"),
            "day": rng.integers(0, 400, rows),
        }
    )
    known = schema(patient="entity category", image="feature image", label="target category", day="time number")
    return table, known


@pytest.mark.parametrize("by", ["random", "stratified"])
@pytest.mark.parametrize("rows", [5, 17, 100, 1001])
def test_fractions_are_respected_to_the_row(by: str, rows: int) -> None:
    table = pd.DataFrame({"label": (["a", "b"] * rows)[:rows]})
    parts = cut(table, Split(by=by), schema(label="target category"))
    assert all(abs(size - rows * share) <= 1.5 for size, share in zip(sizes(parts), (0.6, 0.2, 0.2), strict=True))
    assert parts.facts["rows"] == dict(zip(PARTS, sizes(parts), strict=True))
    sides(table, parts)


def test_one_seed_gives_one_split_in_every_process() -> None:
    code = (
        "import pandas as pd; from solvent.split import Split, cut; from solvent.schema import Field, Schema\n"
        "s = Schema(fields=(Field(name='text', source='text', role='feature', kind='text'),))\n"
        "t = pd.DataFrame({'text': [f'text {i % 37}' for i in range(100)]})\n"
        "print(cut(t, Split(seed=3), s).test.tolist())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
    table = pd.DataFrame({"label": ["a"] * 100})
    known = schema(label="target category")
    assert cut(table, Split(seed=1), known).test.tolist() != cut(table, Split(seed=2), known).test.tolist()


def test_a_split_is_the_same_for_raw_and_typed_cells() -> None:
    table, known = patients()
    numbered = table.assign(patient=table["patient"].str[1:].astype(float))
    raw = numbered.astype({"patient": int}).astype("str")
    for by in ("stratified", "group", "time"):
        split = Split(by=by)
        assert cut(numbered, split, known).test.tolist() == cut(raw, split, known).test.tolist()


@pytest.mark.parametrize("by", ["random", "stratified", "group"])
@pytest.mark.parametrize("seed", range(5))
def test_no_entity_is_on_two_sides(by: str, seed: int) -> None:
    table, known = patients(seed=seed)
    parts = cut(table, Split(by=by, seed=seed), known)
    assert sides(table, parts).groupby(table["patient"]).nunique().max() == 1
    assert np.allclose(np.array(sizes(parts)) / len(table), (0.6, 0.2, 0.2), atol=0.02)
    groups = parts.facts["groups"]
    assert sum(groups[name] for name in PARTS) == table["patient"].nunique()


def test_the_entity_wins_over_the_group() -> None:
    table = pd.DataFrame({"ward": ["A", "B"] * 50, "patient": [str(item // 4) for item in range(100)]})
    parts = cut(table, Split(by="group"), schema(ward="group category", patient="entity category"))
    assert parts.facts["groups"]["column"] == "PATIENT"
    assert sides(table, parts).groupby(table["patient"]).nunique().max() == 1


def test_a_large_group_is_in_the_test_part_as_often_as_its_fraction() -> None:
    table = pd.DataFrame({"group": ["large"] * 10 + [f"g{item}" for item in range(190)]})
    known = schema(group="group category")
    tested = [0 in cut(table, Split(by="group", seed=seed), known).test for seed in range(300)]
    assert 0.13 < np.mean(tested) < 0.27  # 0.2 give or take three standard errors


def test_stratifying_keeps_the_share_of_every_class() -> None:
    table = pd.DataFrame({"label": ["common"] * 900 + ["rare"] * 97 + ["rarest"] * 3})
    parts = cut(table, Split(by="stratified"), schema(label="target category"))
    counts = {name: table["label"].iloc[getattr(parts, name)].value_counts().to_dict() for name in PARTS}
    assert [counts[name]["rare"] for name in PARTS] in ([58, 19, 20], [58, 20, 19], [59, 19, 19])
    assert [counts[name]["rarest"] for name in PARTS] == [1, 1, 1]
    assert sizes(parts) == [600, 200, 200]


def test_a_class_of_one_row_is_trained_on() -> None:
    table = pd.DataFrame({"label": ["a"] * 50 + ["b"] * 49 + ["once"]})
    for seed in range(10):
        assert 99 in cut(table, Split(by="stratified", seed=seed), schema(label="target category")).train


def test_many_small_classes_do_not_distort_the_fractions() -> None:
    table = pd.DataFrame({"label": [str(item // 3) for item in range(3000)]})
    assert np.allclose(sizes(cut(table, Split(by="stratified"), schema(label="target"))), (1800, 600, 600), atol=3)


def test_a_number_is_stratified_by_its_deciles() -> None:
    table = pd.DataFrame({"price": np.random.default_rng(0).lognormal(size=1000)})
    parts = cut(table.astype("str"), Split(by="stratified"), schema(price="target number"))
    tenths = pd.qcut(table["price"], 10, labels=False)
    assert tenths.iloc[parts.test].value_counts().tolist() == [20] * 10


def test_whole_patients_are_cut_and_the_share_of_the_sick_is_kept() -> None:
    rng = np.random.default_rng(0)
    patient = rng.integers(0, 200, 2000)
    table = pd.DataFrame({"patient": patient, "label": np.where(patient % 10 == 0, "sick", "well")})
    parts = cut(table, Split(by="stratified"), schema(patient="entity category", label="target category"))
    share = (table["label"] == "sick").mean()
    for name in PARTS:
        assert abs((table["label"].iloc[getattr(parts, name)] == "sick").mean() - share) < 0.02


COPIES = {
    "random": {},
    "stratified": {},
    "group": {},
    "time": {},
    "last": {"within": "user"},
    "column": {"column": "part"},
}


@pytest.mark.parametrize("by", COPIES)
def test_copies_are_on_one_side_whatever_the_rule(by: str) -> None:
    rng = np.random.default_rng(1)
    number = rng.integers(0, 500, 600)
    spaces = np.where(np.arange(600) % 2, "the  text\u00a0", " the text ")
    accents = np.where(np.arange(600) % 3, "caf\u00e9", "cafe\u0301")
    table = pd.DataFrame(
        {
            "text": [f"{space} {accent} {item}\n" for space, accent, item in zip(spaces, accents, number, strict=True)],
            "label": np.where(rng.random(600) < 0.5, "a", "b"),
            "user": rng.integers(0, 20, 600).astype(str),
            "time": pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 600, 600), unit="D")).astype(
                str
            ),
            "part": rng.choice(["train", "dev", "Test"], 600, p=[0.8, 0.1, 0.1]),
        }
    )
    group = "group" if by == "group" else "feature"
    known = schema(
        text="feature text", label="target category", user=f"{group} category", time="time", part="passthrough"
    )
    if by == "group":
        table["user"] = number % 60
    parts = cut(table, Split(by=by, **COPIES[by]), known)
    assert sides(table, parts).groupby(number).nunique().max() == 1
    counts = pd.Series(number).value_counts()
    repeated = counts[counts > 1]
    assert parts.facts["copies"] == {"TEXT": {"contents": len(repeated), "rows": int(repeated.sum())}}


def test_copies_of_an_undeclared_text_column_are_found_before_the_schema_has_learnt_it() -> None:
    table = pd.DataFrame({"review": [f"a review of several words {item * 2 // 3}" for item in range(99)]})
    parts = cut(table.sample(frac=1, random_state=0, ignore_index=True), Split(), schema(review="feature"))
    assert parts.facts["copies"]["REVIEW"] == {"contents": 33, "rows": 66}


def test_equal_images_are_copies_by_their_bytes_and_missing_ones_are_not() -> None:
    cells = [bytes([item // 2]) * 9 for item in range(100)] + [None, b""] * 50
    table = pd.DataFrame({"image": pd.Series(cells, dtype=object)})
    parts = cut(table, Split(), schema(image="feature image"))
    assert parts.facts["copies"] == {"IMAGE": {"contents": 50, "rows": 100}}
    assert sides(table, parts)[:100].groupby(np.arange(100) // 2).nunique().max() == 1
    assert sizes(parts) == [120, 40, 40]


def test_time_trains_on_the_oldest_and_leaves_equal_times_on_one_side() -> None:
    days = np.random.default_rng(0).integers(1, 29, 1000)
    table = pd.DataFrame({"time": [f"2024-02-{day:02d}" for day in days]})
    parts = cut(table, Split(by="time"), schema(time="time"))
    train, valid, test = (days[getattr(parts, name)] for name in PARTS)
    assert train.max() < valid.min() <= valid.max() < test.min()
    assert parts.facts["time"] == {
        "column": "TIME",
        "valid_from": f"2024-02-{valid.min():02d}T00:00:00",
        "test_from": f"2024-02-{test.min():02d}T00:00:00",
    }
    assert np.allclose(sizes(parts), (600, 200, 200), atol=25)


def test_a_copy_that_straddles_in_time_goes_to_the_latest_part() -> None:
    texts = [f"text {item}" for item in range(10)]
    texts[9] = texts[0]
    table = pd.DataFrame({"text": texts, "time": [f"2024-01-{day:02d}" for day in range(1, 11)]})
    parts = cut(table, Split(by="time"), schema(text="feature text", time="time time"))
    assert parts.test.tolist() == [0, 9]
    assert parts.facts["moved"] == 1


def test_time_keeps_an_entity_whole_by_its_last_row() -> None:
    table, known = patients()
    table["day"] = table["patient"].str[1:].astype(int) * 3 + np.arange(len(table)) % 30
    parts = cut(table, Split(by="time"), known)
    side = sides(table, parts)
    assert side.groupby(table["patient"]).nunique().max() == 1
    last = table.groupby("patient")["day"].max()
    by_patient = side.groupby(table["patient"]).first()
    assert last[by_patient == "train"].max() < last[by_patient == "test"].min()


def test_rows_without_a_time_are_trained_on_and_counted() -> None:
    table = pd.DataFrame({"time": ["no date", None] + [f"2024-01-{day:02d}" for day in range(1, 19)]})
    parts = cut(table, Split(by="time"), schema(time="time"))
    assert {0, 1} <= set(parts.train) and parts.facts["rows_without_time"] == 2


def test_last_tests_the_last_rows_of_each_user() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"user": np.repeat(np.arange(30), 10), "time": rng.permutation(300)})
    parts = cut(table, Split(by="last", within="USER"), schema(user="feature category", time="time number"))
    side = sides(table, parts)
    for _, rows in table.groupby("user"):
        ordered = side[rows.sort_values("time").index].tolist()
        assert ordered == ["train"] * 6 + ["valid"] * 2 + ["test"] * 2


def test_random_within_cuts_each_user() -> None:
    table = pd.DataFrame({"user": np.repeat(np.arange(30), 10)})
    side = sides(table, cut(table, Split(within="user"), schema(user="entity category")))
    assert (pd.crosstab(table["user"], side)[list(PARTS)] == [6, 2, 2]).all(axis=None)


def test_a_column_names_the_parts() -> None:
    named = ["train", "Validation", "TEST ", "dev", "training", "val"]
    table = pd.DataFrame({"part": named})
    parts = cut(table, Split(by="column", column="part"), schema(part="passthrough"))
    assert [getattr(parts, name).tolist() for name in PARTS] == [[0, 4], [1, 3, 5], [2]]


def test_a_column_that_tears_entities_is_obeyed_and_left_to_the_scan() -> None:
    table = pd.DataFrame({"part": ["train", "valid", "test"] * 4, "machine": ["m"] * 6 + list("nnnooo")})
    known = schema(part="passthrough", machine="entity category")
    parts = cut(table, Split(by="column", column="part"), known)
    assert sides(table, parts).tolist() == table["part"].tolist()


def test_a_part_with_the_fraction_0_stays_empty() -> None:
    table, known = patients()
    for by in ("random", "stratified", "group", "time"):
        parts = cut(table, Split(by=by).untested(), known)
        assert len(parts.test) == 0 and abs(len(parts.train) - 900) < 60
        sides(table, parts)


def test_folds_test_every_row_once_and_never_tear_an_entity() -> None:
    table, known = patients()
    found = folds(table, Split(by="stratified", folds=5), known)
    assert sorted(np.concatenate([parts.test for parts in found])) == list(range(len(table)))
    for parts in found:
        assert sides(table, parts).groupby(table["patient"]).nunique().max() == 1
        assert np.allclose(np.array(sizes(parts)) / len(table), (0.6, 0.2, 0.2), atol=0.03)


@pytest.mark.parametrize("by", ["stratified", "random"])
def test_a_class_that_is_too_rare_for_the_folds_is_refused_before_training(by: str) -> None:
    known = schema(label="target category")

    def refusal(rare: int) -> str:
        table = pd.DataFrame({"label": ["good"] * 200 + ["bad"] * rare}, dtype="str")
        with pytest.raises(Refused) as caught:
            refuse_lost_classes(table, folds(table, Split(by=by, folds=5), known), known, seed=0)
        return str(caught.value)

    assert refusal(1).startswith("data.split.folds is 5: in fold ")
    assert " has no row of class 'bad' of column LABEL, which has 1 row in all. Use fewer folds" in refusal(1)
    assert "the half of the validation rows that " in refusal(4)
    assert ("by: stratified" in refusal(4)) == (by == "random")


def test_a_class_that_is_rare_in_halves_only_is_no_reason_to_refuse_several_others() -> None:
    known = schema(label="target category")
    table = pd.DataFrame({"label": ["good"] * 200 + ["fair"] * 100 + ["bad"] * 4}, dtype="str")
    refuse_lost_classes(table, folds(table, Split(by="stratified", folds=4), known), known, seed=0)
    two = pd.DataFrame({"label": ["good"] * 200 + ["bad"] * 100}, dtype="str")
    refuse_lost_classes(two, folds(two, Split(by="stratified", folds=5), known), known, seed=0)


def test_halves_cut_whole_entities_and_keep_the_classes() -> None:
    table, known = patients()
    table.index = table.index + 1000
    choose, calibrate = halves(table, known, seed=0)
    assert not set(choose["patient"]) & set(calibrate["patient"])
    assert sorted([*choose.index, *calibrate.index]) == list(table.index)
    assert abs(len(choose) - len(calibrate)) < 0.05 * len(table)
    assert abs((choose["label"] == "sick").mean() - (calibrate["label"] == "sick").mean()) < 0.03
    assert list(halves(table, known, seed=0)[0].index) == list(choose.index)


def test_quotas_give_back_what_rounding_took() -> None:
    found = quotas([7] * 1000, (0.6, 0.2, 0.2))
    assert np.allclose(found.sum(axis=0), (4200, 1400, 1400), atol=1)
    assert (found.sum(axis=1) == 7).all() and found.min() >= 1


@pytest.mark.parametrize(
    ("split", "columns", "says"),
    [
        ({"by": "group"}, {}, "group"),
        ({"by": "time"}, {}, "role time"),
        ({"by": "last", "within": "number"}, {}, "role time"),
        ({"by": "time"}, {"word": "time"}, "not one cell is a time"),
        ({"by": "stratified"}, {}, "no target"),
        ({"by": "column", "column": "parts"}, {}, "no such column"),
        ({"by": "column", "column": "word"}, {}, "Row 1, column word: 'no'"),
        ({"by": "time"}, {"number": "time number"}, "2 different times"),
        ({"by": "group"}, {"number": "group category"}, "empty"),
    ],
)
def test_a_split_that_cannot_be_made_is_refused_with_its_cure(split: dict, columns: dict, says: str) -> None:
    table = pd.DataFrame({"number": [1, 2] * 10, "word": ["no"] * 20})
    known = schema(**{"number": "feature number", "word": "feature category", **columns})
    with pytest.raises(Refused, match=says):
        cut(table, Split(**split), known)


def test_too_few_rows_are_refused() -> None:
    known = schema(label="target category")
    with pytest.raises(Refused, match="no rows"):
        cut(pd.DataFrame({"label": []}), Split(), known)
    with pytest.raises(Refused, match=r"leaves .* empty"):
        cut(pd.DataFrame({"label": ["a", "b"]}), Split(), known)
    with pytest.raises(Refused, match="can't be cut in two"):
        halves(pd.DataFrame({"label": ["a"]}), known, 0)
    with pytest.raises(Refused, match="fewer folds"):
        folds(pd.DataFrame({"label": ["a", "b"]}), Split(folds=3), known)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"fractions": (0.6, 0.2, 0.3)}, "must sum to 1"),
        ({"fractions": (0.0, 0.5, 0.5)}, "training needs rows"),
        ({"by": "last"}, "needs within"),
        ({"by": "column"}, "needs column"),
        ({"by": "time", "within": "user"}, "leave it out"),
        ({"column": "part"}, "leave it out"),
        ({"by": "time", "folds": 5}, "leave them out"),
        ({"folds": 1}, "greater than or equal to 2"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"seed": 2**32}, "less than or equal to 4294967295"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings: dict, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Split(**settings)


def test_importing_the_settings_imports_nothing_heavy() -> None:
    code = "import sys, solvent.split; print([n for n in ('numpy', 'pandas', 'sklearn', 'scipy') if n in sys.modules])"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
