"""Credit's reasons and changes: every number can be checked by hand, or by trying out all there is."""

from itertools import combinations, pairwise, product

import numpy as np
import pandas as pd
import pytest

from solvent import Fitted, Refused
from solvent_finance.binning import bin_numbers, sizes
from solvent_finance.reasons import Reasons, explain, reference_bins
from solvent_finance.scorecard import Scale, Scorecard, Term
from solvent_finance.settings import Credit

SCALE = Scale(500, 50.0)
DEVIATION = 2.0  # of every number in the random scorecards
BINS = [
    {"name": "income", "codes": [-9.0], "edges": [100.0, 181.0]},
    {"name": "debt", "codes": [], "edges": [66.0, 1000.0, 2500.5]},
    {"name": "home", "codes": [], "levels": ["owner", "rent"]},
]
COLUMNS = [
    {"name": "income", "source": "Income", "words": "income is low", "deviation": 50.0, "unit": "EUR"},
    {"name": "debt", "source": "Debt", "words": "debt is high", "deviation": 1000.0, "unit": None},
    {"name": "home", "source": "Home", "words": "home", "deviation": None, "unit": None},
]
CHANGEABLE = {"Income": "rising", "Debt": "falling"}


def term(columns, groups, points, loans=None):
    points = np.array(points)
    loans = np.ones(points.shape) if loans is None else np.array(loans, float)
    return Term(tuple(columns), tuple(map(np.array, groups)), points, np.ones(points.shape), loans, 0.2 * loans)


@pytest.fixture
def card():
    """Three columns and a pair: with debt above 1000, an income above 181 brings 20 points less than else.

    Of 100 loans, income: 10 missing, 60 up to 100, 20 up to 181, 10 above. Its mean is 12: nearest is 10.
    """
    return Scorecard(
        BINS,
        400,
        (
            term([0], [range(6)], [-5, 0, -20, 10, 20, 25], [10, 0, 0, 60, 20, 10]),
            term([1], [range(6)], [0, 0, 40, 30, 0, -30], [0, 0, 50, 30, 15, 5]),
            term([2], [range(4)], [0, -8, 12, -4], [0, 10, 50, 40]),
            term([0, 1], [[0, 0, 0, 0, 1, 2], [0, 0, 0, 0, 1, 1]], [[0, 3], [0, 0], [10, -10]]),
        ),
        SCALE,
    )


def fitted(card, columns=COLUMNS, cutoff=None):
    """As training leaves it: what is refused has at most 440 points."""
    value = float(SCALE.probability(440)) if cutoff is None else cutoff
    facts = {
        "positive": "bad",
        "bins": card.bins,
        "scorecard": card.to_json(),
        "operating_point": {"rule": "most profit", "value": value, "negative": "good"},
        "columns": columns,
    }
    return Fitted({}, facts)


def loans(*rows):
    table = pd.DataFrame(rows, columns=["income", "debt", "home"])
    return table.astype({"income": "float64", "debt": "float64", "home": "str"})


def test_the_average_bin_is_the_nearest_to_the_loans_mean_and_the_best_has_most_points(card):
    assert card.own[0].points @ card.own[0].loans / 100 == 12
    assert reference_bins(card, "average").tolist() == [3, 3, 3]
    assert reference_bins(card, "best").tolist() == [5, 2, 2]


def test_of_two_bins_that_are_equally_near_the_one_of_most_loans_is_the_reference():
    bins = [{"name": "x", "codes": [], "edges": [1.0, 2.0]}]
    own = term([0], [range(5)], [0, 0, 7, 1, 7], [0, 0, 1, 4, 3])
    assert own.points @ own.loans / 8 == 4
    assert reference_bins(Scorecard(bins, 0, (own,), SCALE), "average").tolist() == [3]
    assert reference_bins(Scorecard(bins, 0, (own,), SCALE), "best").tolist() == [4]


# reasons


def test_a_loss_is_what_the_reference_bin_would_bring_pairs_included(card):
    """Income 200, debt 3000, rent: 400 + 25 - 30 - 4 - 10 points."""
    bins = bin_numbers(loans([200, 3000, "rent"]), BINS)
    assert card.points(bins).tolist() == [381]
    columns, lost = Reasons(card, ["i", "d", "h"], 3, "average").top(bins)
    # debt: 30 + 30, and the pair would give 10 in place of -10; income: 10 - 25, and the pair 3 in place of -10
    assert columns[0].tolist() == [1]
    assert lost.ravel().tolist() == [80, 0, -2]
    columns, lost = Reasons(card, ["i", "d", "h"], 3, "best").top(bins)
    assert columns.ravel().tolist() == [1, 2, 0]
    assert lost.ravel().tolist() == [70 + 20, 16, 0]


def test_reasons_are_words_and_null_where_there_are_fewer(card):
    reasons = Reasons(card, ["income is low", "debt is high", "home"], 4, "best")
    found = reasons(bin_numbers(loans([200, 3000, "rent"], [200, 10, "owner"]), BINS))
    assert [pd.Series(each).isna().tolist() for each in found] == [[False, True], [False, True], [True] * 2, [True] * 2]
    assert [each[0] for each in found[:2]] == ["debt is high", "home"]
    assert all(pd.Series(each).dtype == "str" for each in found)


def test_equal_losses_stand_in_the_order_of_the_columns():
    bins = [{"name": name, "codes": [], "levels": ["a", "b"]} for name in "xyz"]
    terms = tuple(term([place], [range(4)], [0, 0, 9, 0], [0, 0, 5, 1]) for place in range(3))
    reasons = Reasons(Scorecard(bins, 0, terms, SCALE), list("xyz"), 2, "average")
    assert [each.tolist() for each in reasons(np.array([[3, 3, 3], [2, 3, 3]], "int32"))] == [["x", "y"], ["y", "z"]]


def random_card(random, columns=4, scale=40):
    """Numbers and categories with codes, own points and pairs with coarser places, bins without training loans."""
    bins = []
    for place in range(columns):
        codes = [-9.0] if random.random() < 0.5 else []
        if random.random() < 0.7:
            edges = np.round(np.sort(random.choice(100, random.integers(0, 6), replace=False)) / 7, 3).tolist()
            bins.append({"name": f"c{place}", "codes": codes, "edges": edges})
        else:
            levels = [f"level {number}" for number in range(random.integers(1, 5))]
            bins.append({"name": f"c{place}", "codes": list(map(str, codes)), "levels": levels})
    terms = []
    for place, size in enumerate(sizes(bins)):
        held = random.integers(0, 3, size)
        held[-1] = 1
        terms.append(term([place], [range(size)], random.integers(-scale, scale, size), held))
    for pair in combinations(range(columns), 2):
        if random.random() < 0.5:
            pair = random.permutation(pair).tolist()
            groups = [np.sort(random.integers(0, 3, sizes(bins)[place])) for place in pair]
            terms.append(term(pair, groups, random.integers(-scale, scale, (3, 3))))
    return Scorecard(bins, 300, tuple(terms), SCALE)


def random_loans(random, card, rows):
    cells = {}
    for bin_ in card.bins:
        if "levels" in bin_:
            known = [*bin_["codes"], *bin_["levels"], "unseen", None]
            cells[bin_["name"]] = pd.Series(random.choice(np.array(known, object), rows), dtype="str")
        else:
            numbers = np.round(random.uniform(-2, 16, rows), 2)
            at_edge = random.random(rows) < 0.2
            numbers[at_edge] = random.choice([0.0, *bin_["edges"]], at_edge.sum())
            numbers[random.random(rows) < 0.1] = np.nan
            numbers[random.random(rows) < 0.1] = -9.0
            cells[bin_["name"]] = numbers
    return pd.DataFrame(cells)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("scale", [40, 10**9])
@pytest.mark.parametrize("reference", ["average", "best"])
def test_losses_are_those_of_scoring_the_loans_again(seed, scale, reference, monkeypatch):
    monkeypatch.setattr("solvent_finance.reasons.IN_CACHE", 7)
    random = np.random.default_rng(seed)
    card = random_card(random, scale=scale)
    bins = bin_numbers(random_loans(random, card, 30), card.bins)
    instead = reference_bins(card, reference)
    lost = np.empty(bins.shape, np.int64)
    for column in range(bins.shape[1]):
        changed = bins.copy()
        changed[:, column] = instead[column]
        lost[:, column] = card.points(changed) - card.points(bins)
    order = np.argsort(-lost, axis=1, kind="stable")
    columns, points = Reasons(card, ["w"] * 4, 3, reference).top(bins)
    assert points.T.tolist() == np.take_along_axis(lost, order, axis=1)[:, :3].tolist()
    assert columns.T.tolist() == order[:, :3].tolist()


# explain


def one(card, *row, **settings):
    return explain(Credit(**{"changeable": CHANGEABLE, **settings}), fitted(card), loans(row)).iloc[0]


def test_an_explanation_says_what_lost_points_and_with_which_value(card):
    found = one(card, 50, 3000, "rent", reference="best")
    assert (found["points"], found["decision"]) == (379, "refuse")
    # debt: 40 + 30 - 3; income: 25 - 10, and the pair -10 in place of 3; home: 12 + 4
    shown = [[found[f"reason_{k}{what}"] for what in ("", "_points", "_value")] for k in (1, 2, 3)]
    assert shown == [["debt is high", 67, "> 2500.5"], ["home", 16, "rent"], ["income is low", 2, "≤ 100 EUR"]]


def test_a_missing_cell_has_no_unit(card):
    assert one(card, np.nan, 70, "rent")[["reason_1", "reason_1_value"]].tolist() == ["income is low", "missing"]


def test_a_change_is_told_to_the_last_digit_of_an_edge():
    bins = [{"name": "limit", "codes": [], "edges": [1234567.25]}]
    card = Scorecard(bins, 0, (term([0], [range(4)], [0, 0, 0, 9]),), SCALE)
    columns = [{"source": "Limit", "words": "limit", "deviation": 1.0, "unit": "EUR"}]
    settings, model = Credit(changeable={"Limit": "any"}), fitted(card, columns, float(SCALE.probability(5)))
    found = explain(settings, model, pd.DataFrame({"limit": [0.1 + 0.2]}))
    assert found["change"].tolist() == ["Limit: from 0.3 to above 1234567.25 EUR"]


def test_a_loan_that_is_approved_needs_no_change(card):
    found = one(card, 50, 70, "owner")
    assert (found["points"], found["decision"]) == (452, "approve")
    assert pd.isna(found["change"]) and pd.isna(found["points_after"])


def test_the_smallest_change_is_of_one_column_where_one_suffices(card):
    found = one(card, 120, 3000, "rent")
    assert (found["change"], found["points_after"]) == ("Debt: from 3000 to at most 1000", 446)


def test_of_two_columns_the_shortest_way_in_standard_deviations(card):
    """456 points are needed. Income above 100 and debt at most 66: 1 + 2.934 deviations; 181 and 1000: 2.62 + 2."""
    found = one(card, 50, 3000, "rent", scoring={"cutoff": float(SCALE.probability(455))})
    assert found["change"] == "Income: from 50 to above 100 and at most 181 EUR; Debt: from 3000 to at most 66"
    assert found["points_after"] == 456


def test_a_range_is_said_to_end_where_a_value_farther_on_would_not_pass(card):
    """Debt above 1000 makes an income above 181 worth 5 points less than one above 100."""
    cutoff = {"cutoff": float(SCALE.probability(430))}
    found = one(card, 50, 2000, "owner", scoring=cutoff, changeable={"Income": "rising"})
    assert (found["change"], found["points_after"]) == ("Income: from 50 to above 100 and at most 181 EUR", 432)
    cutoff = {"cutoff": float(SCALE.probability(426))}
    found = one(card, 50, 2000, "owner", scoring=cutoff, changeable={"Income": "rising"})
    assert (found["change"], found["points_after"]) == ("Income: from 50 to above 100 EUR", 432)


def test_two_ranges_are_said_to_end_where_both_values_farther_on_would_not_pass():
    """14 points are needed: 10 + 10 pass, 10 + 5 too, 5 + 5 don't."""
    bins = [{"name": name, "codes": [], "edges": [1.0, 2.0]} for name in "xy"]
    card = Scorecard(bins, 0, tuple(term([k], [range(5)], [0, 0, 0, 10, 5]) for k in (0, 1)), SCALE)
    columns = [{"source": name, "words": name, "deviation": 1.0, "unit": None} for name in "XY"]
    model = fitted(card, columns, float(SCALE.probability(13)))
    found = explain(Credit(changeable={"X": "any", "Y": "any"}), model, pd.DataFrame({"x": [0.0], "y": [0.0]}))
    assert found["change"].tolist() == ["X: from 0 to above 1 and at most 2; Y: from 0 to above 1 and at most 2"]


@pytest.mark.parametrize(
    ("row", "changeable", "change"),
    [
        ((np.nan, 70, None), {"Income": "any"}, "Income: from missing to above 181 EUR"),
        ((-9, 70, "rent"), {"Income": "any"}, "Income: from code -9 to above 181 EUR"),
        ((-9, 70, "rent"), {"Income": "rising"}, None),
        ((100, 70, "rent"), {"Income": "rising"}, "Income: from 100 to above 100 EUR"),
        ((100, 70, "rent"), {"Income": "falling"}, None),
        ((100, 70, "tent"), {"Home": "any"}, "Home: from tent to owner"),
        ((100, 70, None), {"Home": "any"}, "Home: from missing to owner"),
        ((100, 70, "rent"), {}, "no column is declared changeable"),
    ],
)
def test_directions_codes_and_missing_cells(card, row, changeable, change):
    cutoff = {"cutoff": float(SCALE.probability(440))}
    found = one(card, *row, scoring=cutoff, changeable=changeable)
    assert found["decision"] == "refuse"
    nothing = f"no change of at most three columns among {', '.join(changeable)} would pass"
    assert found["change"] == (change or nothing)
    assert pd.isna(found["points_after"]) == (change is None or not changeable)


def test_a_category_neither_rises_nor_falls(card):
    with pytest.raises(Refused, match=r"Home is a category, .* can't be rising. Write Home: any, or"):
        one(card, 50, 70, "rent", changeable={"Home": "rising"})


def test_a_cutoff_of_the_scoring_decides(card):
    assert one(card, 50, 70, "owner", scoring={"cutoff": 0.0})["change"].startswith("no change of")
    assert one(card, 50, 3000, "rent", scoring={"cutoff": 1.0})["decision"] == "approve"


# every way is tried out


def steps(bin_, cell, direction):
    """The nearest value in each range or level that a cell may be changed to, and how far it is; by the rules alone."""
    if "levels" in bin_:
        return [(level, 1.0) for level in bin_["levels"] if level != cell]
    found = []
    for low, high in pairwise([-np.inf, *bin_["edges"], np.inf]):
        above = np.nextafter(low, np.inf) if low > -np.inf else 0.0
        if pd.isna(cell) or cell in bin_["codes"]:
            found += [(high if high < np.inf else above, 1.0)] if direction == "any" else []
        elif cell <= low and direction != "falling":
            found.append((above, (low - cell) / DEVIATION))
        elif cell > high and direction != "rising":
            found.append((high, (cell - high) / DEVIATION))
    return found


def best_by_trying(card, row, free, highest):
    """(columns changed, length, points) of the smallest change of one loan, None where there is none."""
    bins = {bin_["name"]: bin_ for bin_ in card.bins}
    for size in (1, 2, 3):
        tried, lengths = [], []
        for names in combinations(free, size):
            for way in product(*(steps(bins[name], row[name], free[name]) for name in names)):
                tried.append({**row, **{name: value for name, (value, _) in zip(names, way, strict=True)}})
                lengths.append(round(sum(length for _, length in way), 9))
        if tried:
            points = card.points(bin_numbers(pd.DataFrame(tried), card.bins))
            if passing := [(length, -p) for length, p in zip(lengths, points, strict=True) if p > highest]:
                return size, min(passing)[0], -min(passing)[1]
    return None


def applied(change, row, bins, random=None):
    """The loan with the change made: the nearest value; with a generator any value that the text allows."""
    found, length = dict(row), 0.0
    for part in change.split("; "):
        name, rest = part.split(": from ")
        before, after = rest.split(" to ", 1)
        assert before == "missing" if pd.isna(row[name]) else True
        bin_ = next(each for each in bins if each["name"] == name)
        if "levels" in bin_:
            found[name], length = after, length + 1
            continue
        ends = dict.fromkeys(("above", "at most"))
        for end in after.split(" and ") if after != "any number" else ():
            words, _, value = end.rpartition(" ")
            ends[words] = float(value)
        low, high = ends["above"], ends["at most"]
        nearest_low = low is not None and (high is None or pd.isna(row[name]) or row[name] <= low)
        value = np.nextafter(low, np.inf) if nearest_low else 0.0 if high is None else high
        plain = pd.isna(row[name]) or row[name] in bin_["codes"]
        length += 1 if plain else abs(value - row[name]) / DEVIATION
        if random is not None:
            low = (-50.0 if high is None else high - 50) if low is None else np.nextafter(low, np.inf)
            value = random.uniform(low, low + 50 if high is None else high)
        found[name] = value
    return found, length


@pytest.mark.parametrize("seed", range(30))
def test_the_change_is_the_smallest_of_all_and_passes_when_it_is_made(seed, monkeypatch):
    monkeypatch.setattr("solvent_finance.changes.COMBINATIONS", 5)
    monkeypatch.setattr("solvent_finance.changes.LOANS", 4)
    random = np.random.default_rng(seed)
    card = random_card(random)
    table = random_loans(random, card, 12)
    columns = [{"source": b["name"], "words": b["name"], "deviation": DEVIATION, "unit": None} for b in card.bins]
    free = {
        bin_["name"]: "any" if "levels" in bin_ else str(random.choice(["any", "rising", "falling"]))
        for bin_ in card.bins
    }
    points = card.points(bin_numbers(table, card.bins))
    cutoff = float(SCALE.probability(np.quantile(points, 0.9) + random.integers(0, 60)))
    highest = card.scale.highest_refused(cutoff)
    settings, model = Credit(changeable=free), fitted(card, columns, cutoff)
    found = explain(settings, model, table)
    assert found["points"].tolist() == points.tolist()
    assert (found["decision"] == "refuse").tolist() == (points <= highest).tolist()
    for place, row in enumerate(table.to_dict("records")):
        change, after = found["change"].iloc[place], found["points_after"].iloc[place]
        if points[place] > highest:
            assert pd.isna(change) and pd.isna(after)
            continue
        best = best_by_trying(card, row, free, highest)
        if best is None:
            assert change == f"no change of at most three columns among {', '.join(free)} would pass"
            assert pd.isna(after)
            continue
        made, length = applied(change, row, card.bins)
        assert (change.count("; ") + 1, round(length, 9), after) == best
        again = explain(settings, model, pd.DataFrame([made]).astype(table.dtypes)).iloc[0]
        assert (again["points"], again["decision"]) == (after, "approve")
        others = pd.DataFrame([applied(change, row, card.bins, random)[0] for _ in range(50)]).astype(table.dtypes)
        assert (card.points(bin_numbers(others, card.bins)) > highest).all(), change


def test_a_loan_alone_is_explained_as_in_the_table_and_no_loan_gives_the_same_columns():
    random = np.random.default_rng(5)
    card = random_card(random)
    table = random_loans(random, card, 40).set_axis(range(100, 60, -1))
    columns = [{"source": b["name"], "words": b["name"], "deviation": DEVIATION, "unit": "EUR"} for b in card.bins]
    settings = Credit(changeable={bin_["name"]: "any" for bin_ in card.bins})
    model = fitted(card, columns, float(SCALE.probability(card.points(bin_numbers(table, card.bins)).mean())))
    whole = explain(settings, model, table)
    assert whole.index.equals(table.index)
    assert {"approve", "refuse"} == set(whole["decision"])
    for rows in ([0], [17], [39, 3], []):
        pd.testing.assert_frame_equal(explain(settings, model, table.iloc[rows]), whole.iloc[rows])
