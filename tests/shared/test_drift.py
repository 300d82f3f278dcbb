"""Counts of scored parts, their comparison with the training distribution, the alarms and the page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from solvent.drift import Alarms, Counts, Drift, compare, reference
from solvent.drift.distribution import columns, seen_levels
from solvent.drift.two_samples import chi_square, holm, kolmogorov_smirnov, more_unseen, proportions
from solvent.errors import Refused
from solvent.report.drift import page
from solvent.schema import Field, Schema

FIELDS = (
    Field(name="income", source="Income", role="feature", kind="number", codes=(-9.0,)),
    Field(name="age", source="Age", role="feature", kind="number"),
    Field(name="home", source="Home", role="feature", kind="category"),
)


def texts(*cells: str | None) -> pd.Series[Any]:
    return pd.Series(list(cells), dtype="str")


def made(
    train: pd.DataFrame, scored: pd.DataFrame | None = None, fields: tuple[Field, ...] = FIELDS
) -> tuple[dict[str, Any], Schema]:
    """The reference as a bundle gives it back, and the schema that has learned these rows."""
    schema = Schema(tuple(field for field in fields if field.name in train)).with_statistics(train)
    return json.loads(json.dumps(reference(train, schema, pd.DataFrame() if scored is None else scored))), schema


def loans(rows: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Good rows and their scores, always of the same distribution."""
    random = np.random.default_rng(seed)
    good = pd.DataFrame(
        {
            "income": np.where(random.random(rows) < 0.1, -9.0, random.normal(size=rows)),
            "age": np.where(random.random(rows) < 0.2, np.nan, random.gamma(2, size=rows)),
            "home": pd.Series(random.choice(["own", "rent", "free"], rows, p=[0.6, 0.3, 0.1]), dtype="str"),
        }
    )
    drawn = [[item for item in "ab" if random.random() < 0.5] for _ in range(rows)]
    scored = pd.DataFrame(
        {"share": random.random(rows), "bad": random.random(rows) < 0.3, "classes": pd.Series(drawn, dtype=object)}
    )
    return good, scored


def compared(
    known: tuple[dict[str, Any], Schema], good: pd.DataFrame, scored: pd.DataFrame | None = None, **alarms: Any
) -> Drift:
    scored = pd.DataFrame(index=good.index) if scored is None else scored
    return compare(known[0], Counts.of(*known, good, scored), Alarms(**alarms))


# The tests of two samples


def test_the_distance_is_scipys_where_the_cells_lie_on_the_edges_of_the_bins() -> None:
    random = np.random.default_rng(0)
    then, now = random.binomial(9, 0.5, 5000), random.binomial(9, 0.51, 4000)
    expected = stats.ks_2samp(then, now, method="asymp")
    statistic, p = kolmogorov_smirnov(np.bincount(then, minlength=10), np.bincount(now, minlength=10))
    assert statistic == pytest.approx(expected.statistic, abs=1e-12)
    assert p == pytest.approx(expected.pvalue, rel=0.05)
    assert p >= expected.pvalue


def test_the_distance_at_the_edges_is_never_more_than_between_the_samples() -> None:
    random = np.random.default_rng(1)
    then, now = random.normal(size=500), random.normal(0.2, size=400)
    edges = np.quantile(then, np.linspace(0.1, 0.9, 9))
    counts = [np.bincount(np.searchsorted(edges, cells), minlength=10) for cells in (then, now)]
    statistic, p = kolmogorov_smirnov(*counts)
    exact = stats.ks_2samp(then, now)
    assert statistic <= exact.statistic
    assert p >= exact.pvalue


def test_chi_square_is_scipys() -> None:
    then, now = np.array([90, 60, 104, 95]), np.array([30, 50, 51, 20])
    expected = stats.chi2_contingency([then, now], correction=False)
    assert chi_square(then, now) == pytest.approx((expected.statistic, expected.pvalue))


def test_small_cells_are_pooled_and_empty_ones_left_out() -> None:
    pooled = chi_square(np.array([100, 3, 0, 2, 80]), np.array([80, 1, 0, 5, 100]))
    assert pooled == pytest.approx(chi_square(np.array([100, 5, 80]), np.array([80, 6, 100])))
    assert chi_square(np.array([7, 0]), np.array([9, 0])) == (0.0, 1.0)


def test_many_small_cells_make_several_pools() -> None:
    alike = np.full(20, 3)
    assert chi_square(alike, alike) == pytest.approx((0.0, 1.0))
    # ordered by their totals, which are equal: each pair of neighbours is a pool of five or more
    moved = np.array([1] * 10 + [5] * 10)
    statistic, p = chi_square(moved, moved[::-1])
    expected = stats.chi2_contingency([moved.reshape(-1, 2).sum(1), moved[::-1].reshape(-1, 2).sum(1)])
    assert (statistic, p) == pytest.approx((expected.statistic, expected.pvalue))


def test_two_shares_are_compared_exactly_where_few_rows_are_to_be_expected() -> None:
    few = proportions(1, 10_000, 3, 40)[1]
    tail = stats.fisher_exact([[3, 37], [1, 9_999]], alternative="greater").pvalue
    assert few == pytest.approx(2 * tail, rel=1e-6)
    turned = proportions(9_999, 10_000, 37, 40)[1]
    assert turned == pytest.approx(few, rel=1e-9)
    many = stats.chi2_contingency([[300, 700], [350, 650]], correction=False)
    assert proportions(300, 1000, 350, 1000) == pytest.approx((many.statistic, many.pvalue))
    assert proportions(0, 10, 0, 20) == (0.0, 1.0)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([]) == []


def test_more_unseen_levels_than_expected_by_hand() -> None:
    assert more_unseen([5, 3], 100, 5, 100) == (0.0, 1.0)  # just as many as expected
    assert more_unseen([5, 3], 100, 0, 100) == (0.0, 1.0)
    # one level of three rows, as many rows on both sides: 8 log(1 + a) - a**3 is largest where a is 1
    assert more_unseen([0, 0, 1], 100, 8, 100) == pytest.approx((8 * math.log(2) - 1, math.e / 2**8))
    # many rows on both sides: near the normal tail with the variance once + 2 twice + once / ratio
    bound, p = more_unseen([4000, 1000, 0, 0], 100_000, 4450 * 10, 1_000_000)
    z = 450 / math.sqrt(4000 + 2 * 1000 + 4000 / 10)
    assert bound == pytest.approx(z * z / 2, rel=0.06)
    assert p > stats.norm.sf(z)


@pytest.mark.parametrize(("levels", "rows"), [(400, 500), (92, 900), (3000, 500)])
def test_a_sample_of_the_same_levels_has_too_many_unseen_no_more_often_than_promised(levels: int, rows: int) -> None:
    random, runs, level = np.random.default_rng(levels), 500, 0.01
    then = random.multinomial(rows, np.full(levels, 1 / levels), size=runs)
    unseen = random.binomial(20_000, (then == 0).mean(axis=1))
    found = [np.bincount(np.minimum(each, 11), minlength=12)[1:].tolist() for each in then]
    p_values = [more_unseen(seen, rows, now, 20_000)[1] for seen, now in zip(found, unseen.tolist(), strict=True)]
    assert np.mean(np.array(p_values) < level) <= level


# Counts


CELLS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.just(-9.0), st.floats(-3, 3)),
        st.one_of(st.none(), st.sampled_from(["own", "rent", "rare", "new", "newer"])),
        st.booleans(),
        st.one_of(st.none(), st.lists(st.sampled_from(["a", "b", "c"]), max_size=3)),
    ),
    max_size=30,
)


def tables(cells: list[Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    income, home, bad, classes = zip(*cells, strict=True) if cells else ((), (), (), ())
    good = pd.DataFrame({"income": np.array(income, dtype=np.float64), "home": texts(*home)})
    return good, pd.DataFrame({"bad": np.array(bad, dtype=bool), "classes": pd.Series(list(classes), dtype=object)})


def known_cells() -> tuple[dict[str, Any], Schema]:
    good, scored = loans(200, 0)
    homes = texts(*["own"] * 150, *["rent"] * 48, *["rare"] * 2)
    return made(good[["income"]].assign(home=homes), scored[["bad", "classes"]])


KNOWN = known_cells()


@settings(max_examples=60, deadline=None)
@given(CELLS, st.lists(st.integers(0, 30), max_size=4), st.randoms(use_true_random=False))
def test_counts_of_any_cut_in_any_order_add_up_to_those_of_the_whole(cells: Any, cuts: list[int], random: Any) -> None:
    ends = sorted({0, len(cells), *(cut for cut in cuts if cut < len(cells))})
    parts = [cells[start:end] for start, end in pairwise(ends)]
    random.shuffle(parts)
    total = Counts.none(KNOWN[0])
    for part in parts:
        kept = json.dumps(Counts.of(*KNOWN, *tables(part)).to_json(), allow_nan=False)
        total = Counts.from_json(json.loads(kept)) + total
    assert total == Counts.of(*KNOWN, *tables(cells))


def test_counts_by_hand() -> None:
    train = pd.DataFrame(
        {"income": [-9.0] * 10 + [1.0, 2.0] * 20, "home": texts(*["own"] * 30, *["rent"] * 18, *["rare"] * 2)}
    )
    known = made(train)
    assert known[0]["inputs"]["Income"]["edges"] == [1.0, 1.5, 2.0]  # a floor: one more bin lies under 1
    good = pd.DataFrame(
        {
            "income": [-9.0, np.nan, 0.0, 1.0, 5.0, 2.0],
            "home": texts("own", "rare", None, "boat", "boat", "tent"),
        }
    )
    counts = Counts.of(*known, good, pd.DataFrame(index=good.index))
    income, home = counts.inputs["Income"], counts.inputs["Home"]
    assert (income.rows, income.missing, income.states) == (6, 1, (1,))
    assert income.cells == (1, 1, 0, 1, 1)  # an edge belongs to the bin under it
    assert (home.rows, home.missing, home.cells, home.other, home.unseen) == (6, 1, (1, 0), 1, 3)
    assert home.new == {"boat": 2, "tent": 1}


def test_numbers_are_counted_as_the_reference_counts_them() -> None:
    good, scored = loans(3000, 3)
    known = made(good, scored)
    counts = Counts.of(*known, good, scored)
    for name, column in {**counts.inputs, **counts.outputs}.items():
        facts = {**columns(known[0], "inputs"), **columns(known[0], "outputs")}[name]
        shares = facts["shares"] if "edges" in facts else list(facts["levels"].values())
        present = column.rows - column.missing - sum(column.states)
        assert [count / present for count in column.cells] == pytest.approx(shares)
        assert column.other == column.unseen == 0
    drift = compare(known[0], counts, Alarms())
    assert {moved.psi for *_, moved in drift.columns} == {0.0}


def test_a_part_names_the_commonest_new_levels_and_a_sum_keeps_them_all() -> None:
    known = made(pd.DataFrame({"home": texts(*["own"] * 10)}))
    names = [f"new {number:02}" for number in range(30)]
    first = pd.DataFrame({"home": texts(*names, "new 29", "x" * 300)})
    counts = Counts.of(*known, first, pd.DataFrame(index=first.index)).inputs["Home"]
    assert counts.unseen == 32
    assert list(counts.new) == sorted(["new 29", *names[:19]])
    assert counts.new["new 29"] == 2
    second = pd.DataFrame({"home": texts("x" * 300)})
    both = counts + Counts.of(*known, second, pd.DataFrame(index=second.index)).inputs["Home"]
    assert (both.unseen, len(both.new)) == (33, 21)
    assert both.new["x" * 79 + "…"] == 1


def test_counts_are_taken_however_the_cells_of_an_output_are_kept() -> None:
    known = made(pd.DataFrame({"age": [1.0, 2.0]}), pd.DataFrame({"bad": [True, False] * 10, "share": [0.1, 0.9] * 10}))
    ways: list[Mapping[str, Any]] = [
        {"bad": pd.Series([True, None], dtype="boolean"), "share": pd.Series([0.5, None], dtype="Float64")},
        {"bad": pd.Series([True, None], dtype=object), "share": pd.Series([0.5, None], dtype=object)},
        {"bad": pd.Series([np.True_, np.nan], dtype=object), "share": np.array([0.5, np.nan], dtype=np.float32)},
    ]
    found = [Counts.of(*known, pd.DataFrame({"age": [1.0, 2.0]}), pd.DataFrame(way)).outputs for way in ways]
    assert found[0] == found[1] == found[2]
    levels = list(known[0]["outputs"]["bad"]["levels"])
    assert found[0]["bad"].cells == tuple(int(level == "True") for level in levels)
    assert (found[0]["bad"].missing, found[0]["share"].missing) == (1, 1)


# The reference


def test_the_reference_says_how_many_rows_stand_behind_it_and_leaves_failed_ones_out() -> None:
    train = pd.DataFrame({"home": texts("own", "own", "boat", "tent", None)})
    scored = pd.DataFrame({"share": [0.5, 0.5, np.nan], "error": texts(None, None, "too long")})
    known = made(train, scored)[0]
    assert (known["rows"], known["output_rows"]) == (5, 2)
    assert known["outputs"]["share"]["missing"] == 0.0
    assert known["seen"] == {"Home": [2, 1, *[0] * 9]}


def test_infinite_scores_lie_in_the_outer_bins() -> None:
    known = made(pd.DataFrame({"age": [1.0]}), pd.DataFrame({"odds": [-np.inf, 1.0, 2.0, np.inf]}))[0]
    assert all(map(math.isfinite, known["outputs"]["odds"]["edges"]))
    assert known["outputs"]["odds"]["shares"][0] >= 0.25
    assert known["outputs"]["odds"]["shares"][-1] >= 0.25


def test_levels_that_are_kept_of_many_are_chosen_by_other_rows_than_those_that_are_counted() -> None:
    names = [f"level {number}" for number in range(100)]
    drawn = pd.Series(np.random.default_rng(0).choice(names, 1000), dtype="str")
    facts = made(pd.DataFrame({"home": drawn}))[0]["inputs"]["Home"]
    assert facts["counted"] == 500
    assert 20 < len(facts["levels"]) <= 50
    # each has one row of a hundred; the commonest of all rows would have more
    assert np.mean(list(facts["levels"].values())) == pytest.approx(0.01, abs=0.0015)
    assert "counted" not in made(pd.DataFrame({"home": texts(*["own"] * 9, *["rent"] * 5)}))[0]["inputs"]["Home"]


def test_an_older_reference_lets_as_many_unseen_levels_be_expected_as_there_may_be() -> None:
    facts = {"missing": 0.5, "levels": {"own": 0.6, "rent": 0.1}}
    older: dict[str, Any] = {"rows": 200, "inputs": {"Home": facts}}
    assert seen_levels({**older, "once": {"Home": 0.2}}, "Home") == [20, 5, *[0] * 7, 1, 1]
    assert seen_levels(older, "Home") == [30, 0, *[0] * 7, 1, 1]
    assert seen_levels({**older, "seen": {"Home": [1, 2]}}, "Home") == [1, 2]


# The comparison


def test_psi_by_hand() -> None:
    known = made(pd.DataFrame({"home": texts(*["own"] * 60, *["rent"] * 40)}))
    drift = compared(known, pd.DataFrame({"home": texts(*["own"] * 40, *["rent"] * 60)}))
    assert drift.inputs["Home"].psi == pytest.approx(0.2 * math.log(1.5) * 2)
    gone = compared(known, pd.DataFrame({"home": texts(*["own"] * 100)}))
    # no row now counts half a row of 100
    assert gone.inputs["Home"].psi == pytest.approx(0.4 * math.log(1 / 0.6) + (0.005 - 0.4) * math.log(0.005 / 0.4))


@pytest.mark.parametrize("seed", range(5))
def test_halves_of_one_sample_raise_no_alarm(seed: int) -> None:
    good, scored = loans(4000, seed)
    drift = compared(made(good[:2000], scored[:2000]), good[2000:], scored[2000:])
    assert drift.alarms == drift.notes == ()
    assert "no drift alarm" in drift.sentence
    assert drift.tests == 3 * 2 + 1 + 3 * 2  # distribution and missing of each column, unseen levels of one


def test_a_column_that_has_moved_raises_the_one_alarm() -> None:
    known = made(*loans(4000, 1))
    good, scored = loans(2000, 2)
    drift = compared(known, good.assign(age=good["age"] + 1), scored)
    (alarm,) = drift.alarms
    assert alarm.startswith("Age: PSI ")
    assert "(0.25 may be)" in alarm
    assert drift.columns[0][1] == "Age"
    assert "1 column has moved too far: Age." in drift.sentence
    assert compared(known, good.assign(age=good["age"] + 1), scored, ignore=["Age"]).alarms == ()


@pytest.mark.parametrize("output", ["share", "bad", "classes"])
def test_an_output_that_has_moved_raises_the_one_alarm(output: str) -> None:
    known = made(*loans(4000, 1))
    good, scored = loans(2000, 2)
    lists = pd.Series([["a"]] * 2000, dtype=object)
    moved = scored.assign(**{output: {"share": scored["share"] / 3, "bad": True, "classes": lists}[output]})
    (alarm,) = compared(known, good, moved).alarms
    assert alarm.startswith(f"{output} (output): PSI ")


def test_a_code_that_has_become_common_is_noticed() -> None:
    known = made(*loans(4000, 1))
    good, scored = loans(2000, 2)
    drift = compared(known, good.assign(income=good["income"].where(np.arange(2000) % 2 == 0, -9.0)), scored)
    (alarm,) = drift.alarms
    assert alarm.startswith("Income: PSI ")
    assert drift.inputs["Income"].test == "chi-square"
    assert drift.inputs["Age"].test == "Kolmogorov-Smirnov"


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_more_or_fewer_missing_cells_than_in_training_are_an_alarm(share: float) -> None:
    known = made(*loans(4000, 1))
    good, scored = loans(2000, 2)
    age = np.random.default_rng(0).gamma(2, size=2000)
    age[: int(share * 2000)] = np.nan
    (alarm,) = compared(known, good.assign(age=age), scored).alarms
    assert alarm.startswith(f"Age: {share:.1%} missing, ")
    assert "5 points apart may be" in alarm


def test_unseen_levels_are_an_alarm_that_names_them() -> None:
    known = made(*loans(4000, 1))
    good, scored = loans(2000, 2)
    homes = good["home"].where(np.arange(2000) % 40 != 0, "boat")
    drift = compared(known, good.assign(home=homes), scored)
    (alarm,) = drift.alarms
    assert alarm == "Home: 2.5% of a level that training never had (1.0% may be): 'boat'."
    assert drift.inputs["Home"].new == {"boat": 50}


def test_a_column_of_many_rare_levels_has_unseen_ones_and_that_is_no_alarm() -> None:
    random = np.random.default_rng(0)
    streets = pd.Series([f"street {number}" for number in random.zipf(1.4, 6000)], dtype="str")
    known = made(pd.DataFrame({"home": streets[:3000].reset_index(drop=True)}))
    drift = compared(known, pd.DataFrame({"home": streets[3000:]}))
    unseen = drift.inputs["Home"].unseen
    assert unseen is not None
    assert unseen.now is not None
    assert unseen.now > 0.1
    assert unseen.now == pytest.approx(unseen.then, abs=0.03)
    assert drift.alarms == ()


@pytest.mark.parametrize(
    ("levels", "rows", "scored", "seeds"),
    [(400, 500, 3000, [2]), (100, 400, 100, [0, 1])],  # binomial tests of all levels raised alarms with each
    ids=["unseen levels", "levels that are kept"],
)
def test_thirty_columns_in_which_nothing_has_moved_raise_no_alarm(
    levels: int, rows: int, scored: int, seeds: list[int]
) -> None:
    names = np.array([f"level {number}" for number in range(levels)])
    fields = tuple(
        Field(name=f"c{number}", source=f"c{number}", role="feature", kind="category") for number in range(30)
    )
    for seed in seeds:
        random = np.random.default_rng(seed)
        then, now = (
            pd.DataFrame({field.name: pd.Series(random.choice(names, each), dtype="str") for field in fields})
            for each in (rows, scored)
        )
        assert compared(made(then, fields=fields), now).alarms == ()


def test_a_name_to_ignore_that_no_column_has_is_refused() -> None:
    known = made(*loans(200, 1))
    good, scored = loans(200, 2)
    with pytest.raises(Refused, match=r"'Agee'. Did you mean 'Age'\? It is of: Income, Age, Home, share, bad, classes"):
        compared(known, good, scored, ignore=["Home", "Agee"])


def test_a_large_change_of_few_rows_and_a_small_one_of_many_are_none() -> None:
    known = made(pd.DataFrame({"home": texts(*["own"] * 500, *["rent"] * 500)}))
    few = compared(known, pd.DataFrame({"home": texts(*["own"] * 9, "rent")}))
    assert few.inputs["Home"].psi > 0.25  # type: ignore[operator]
    assert few.alarms == ()
    assert "10 rows were scored: with fewer than 100 no alarm is raised." in few.sentence
    by_chance = compared(known, pd.DataFrame({"home": texts(*["own"] * 9, "rent")}), fewest_rows=1)
    assert by_chance.alarms == ()  # 0.25 is passed, but chance may do that
    half = ["own"] * 50_000 + ["rent"] * 50_000
    large = made(pd.DataFrame({"home": texts(*half)}))
    small = compared(large, pd.DataFrame({"home": texts(*half[:55_000], *half[60_000:])}))
    assert small.inputs["Home"].distribution.adjusted_p < 0.01  # type: ignore[operator]
    assert small.alarms == ()


def test_columns_with_nothing_to_compare() -> None:
    good, scored = loans(500, 0)
    known = made(good, scored)
    empty = compare(known[0], Counts.none(known[0]), Alarms())
    absent = compared(known, good.drop(columns="age"), scored.drop(columns="bad"))
    nothing = compared(known, good.assign(age=np.nan, home=texts(*[None] * 500)), scored)
    for drift in (empty, absent, nothing):
        json.dumps(drift.to_json(), allow_nan=False)
        page(drift, title="credit", facts={})
    assert {moved.psi for *_, moved in empty.columns} == {None}
    assert empty.tests == 0
    assert absent.inputs["Age"].psi is absent.outputs["bad"].psi is None
    assert absent.notes == ("Not among the scored rows, so not compared: Age, bad.",)
    assert absent.alarms == ()
    assert [alarm.partition(":")[0] for alarm in nothing.alarms] == ["Home", "Age"]
    assert all("100.0% missing" in alarm for alarm in nothing.alarms)


@pytest.mark.parametrize("age", [2.0, 4.0])
def test_columns_of_one_value(age: float) -> None:
    train = pd.DataFrame({"age": [3.0] * 200, "home": texts(*["own"] * 200)})
    known = made(train)
    same = compared(known, train)
    assert same.alarms == ()
    assert {moved.psi for moved in same.inputs.values()} == {0.0}
    assert [cell.name for cell in same.inputs["Age"].cells] == ["under 3", "3", "over 3"]
    other = compared(known, train.assign(age=age, home=texts(*["boat"] * 200)))
    assert sorted(alarm.partition(":")[0] for alarm in other.alarms) == ["Age", "Home"]


def test_what_lies_under_a_floor_is_noticed() -> None:
    known = made(pd.DataFrame({"age": [0.0] * 600 + [*range(1, 401)]}), pd.DataFrame({"odds": [-1.0] * 10}))
    assert known[0]["floors"] == {"inputs": ["Age"], "outputs": ["odds"]}
    drift = compared(known, pd.DataFrame({"age": [0.0] * 300 + [-1.0] * 300 + [*range(1, 401)]}))
    assert drift.alarms[0].startswith("Age: PSI ")
    free = made(pd.DataFrame({"age": np.arange(100.0), "income": [-9.0] * 50 + [*range(50)]}))
    assert free[0]["floors"] == {"inputs": [], "outputs": []}


def test_a_column_that_was_all_null_in_training_and_now_is_not() -> None:
    train = pd.DataFrame({"age": [np.nan] * 200, "home": texts(*[None] * 200)})
    drift = compared(made(train), pd.DataFrame({"age": [1.0] * 200, "home": texts(*["own"] * 200)}))
    assert drift.inputs["Age"].psi is drift.inputs["Home"].psi is None
    assert len(drift.alarms) == 2
    assert all("0.0% missing, 100.0% in training" in alarm for alarm in drift.alarms)


def test_an_older_reference_gives_no_test_of_the_outputs() -> None:
    good, scored = loans(2000, 1)
    facts, schema = made(good, scored)
    older = {name: facts[name] for name in ("rows", "inputs", "outputs")}
    drift = compared((older, schema), good, scored.assign(share=scored["share"] / 3))
    share = drift.outputs["share"]
    assert share.psi is not None
    assert share.psi > 0.25
    assert share.distribution.p is share.missing.p is share.test is None
    assert drift.alarms == ()
    assert "older than the tests of outputs" in drift.notes[0]
    assert drift.to_json()["output_rows"] is None


def test_where_no_input_is_watched_the_sentence_counts_scores() -> None:
    good, scored = loans(2000, 1)
    facts, schema = made(good, scored)
    found = compared(({**facts, "inputs": {}}, schema), good, scored)
    assert found.sentence.startswith("2,000 scored rows beside 2,000 scores of the time of training")


def test_texts_of_an_output_are_never_kept() -> None:
    scored = pd.DataFrame({"translation": texts(*[f"Dear Ms {number}" for number in range(200)])})
    known = made(pd.DataFrame({"age": np.arange(200.0)}), scored)
    counts = Counts.of(*known, pd.DataFrame({"age": np.arange(200.0)}), scored)
    assert "Dear" not in json.dumps(counts.to_json())
    assert compare(known[0], counts, Alarms()).alarms == ()


def test_without_thresholds_drift_is_measured_and_raises_no_alarm() -> None:
    known = made(*loans(2000, 1))
    good, scored = loans(2000, 2)
    drift = compare(known[0], Counts.of(*known, good.assign(age=99.0), scored))
    assert drift.inputs["Age"].distribution.adjusted_p < 1e-9  # type: ignore[operator]
    assert drift.alarms == ()
    assert drift.to_json()["thresholds"] is None


# The page


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.names.add(tag)


def test_the_page_escapes_what_comes_from_outside_and_loads_nothing() -> None:
    evil = "<script>alert('x')</script>&\"<b>"
    fields = (Field(name="home", source=f"{evil} column", role="feature", kind="category"),)
    train = pd.DataFrame({"home": texts(*["own"] * 90, *[evil] * 10)})
    scored = pd.DataFrame({evil: [0.5, 0.6] * 50})
    known = made(train, scored, fields)
    good = pd.DataFrame({"home": texts(*[f"{evil} new"] * 50, *["own"] * 50)})
    written = page(compared(known, good, scored), title=evil, facts={evil: evil})
    found = Tags()
    found.feed(written)
    assert not {"script", "b", "link", "img", "iframe"} & found.names
    assert "&lt;script&gt;" in written
    assert "http" not in written.replace("http-equiv", "")


def test_the_page_tells_the_alarm_and_has_the_same_bytes_each_time() -> None:
    known = made(*loans(2000, 1))
    good, scored = loans(2000, 2)
    drift = compared(known, good.assign(age=good["age"] + 1), scored)
    written = page(drift, title="credit", facts={"Source": "in/loans.csv"})
    assert drift.alarms[0] in written
    assert "in/loans.csv" in written
    assert written.index("Age <span") < written.index("Income<span")
    assert "Outputs: 2,000 scored rows beside 2,000 scores of the time of training" in written
    again = compared(known, good.assign(age=good["age"] + 1), scored)
    assert page(again, title="credit", facts={"Source": "in/loans.csv"}) == written


def test_a_masked_input_has_no_level_bin_or_code_on_the_page() -> None:
    known = made(*loans(2000, 1))
    good, scored = loans(2000, 2)
    good.loc[:59, "home"] = "secret place"
    drift = compare(known[0], Counts.of(*known, good, scored, hidden=["Home", "Income"]), Alarms())
    (alarm,) = drift.alarms
    assert alarm == "Home: 3.0% of a level that training never had (1.0% may be)."
    named, masked = (page(drift, title="credit", facts={}, hidden=hidden) for hidden in ([], ["Home", "Income"]))
    for told in (">own<", ">rent<", ">code -9<"):
        assert told in named
        assert told not in masked
    assert "secret" not in named
    assert ">1 (masked)<" in masked
