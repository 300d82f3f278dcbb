"""Credit: bins are what the data says, the network is the sum that it claims to be, settings mean what they say."""

from dataclasses import replace
from decimal import ROUND_CEILING, Context, Decimal

import keras
import numpy as np
import pandas as pd
import pytest

from solvent import Columns, Data, Fitted, Refused
from solvent.schema import Schema
from solvent.split import bags
from solvent_finance import model, shapes
from solvent_finance.binning import MISSING, UNSEEN, bin_numbers, first_in_order, learn_bins, names_of_bins, sizes
from solvent_finance.decision import truth
from solvent_finance.design import Design
from solvent_finance.network import Additive, Pull, Rising, in_bag_log_loss, scorecard_network, training_network
from solvent_finance.pairs import axes, purified, strongest
from solvent_finance.sample import loans
from solvent_finance.scorecard import Scale, Scorecard, Term
from solvent_finance.settings import Credit, columns
from solvent_finance.shapes import centred, held_back


def checked(rows, **roles):
    """Made loans as a solution gets them, with their schema."""
    roles = {"target": "status", "id": "loan", **roles} | ({"weight": "counts"} if "counts" in rows else {})
    schema = Schema.declare(columns(Credit()), roles, list(rows), table="made")
    renamed = schema.rename(rows, table_name="made", targets=True)
    schema = schema.learn(renamed)
    return schema.check(renamed, targets=True).good, schema


# bins


@pytest.fixture(scope="module")
def learnt():
    """Incomes 1 to 100 with the code -9 and a missing cell; homes of which one is rare."""
    rows = pd.DataFrame(
        {
            "income": [*range(1, 101), -9.0, -9.0, np.nan, 50.0],
            "home": ["rent"] * 60 + ["own"] * 41 + ["tent", None, "own"],
            "kind": ["-9"] * 30 + ["a"] * 74,
        }
    )
    codes = {"income": {"codes": [-7, -9]}, "kind": {"codes": [-9]}}
    schema = Schema.declare(Columns(features=("number", "category")), codes, list(rows), table="made").learn(rows)
    return learn_bins(schema.check(rows, targets=False).good, schema, most=4, rare=20)


def test_bins_are_quartiles_with_missing_unseen_and_each_code_apart(learnt):
    income, home, kind = learnt
    assert income["edges"] == [26.0, 50.0, 75.0]
    assert names_of_bins(income) == [
        *("missing", "unseen or rare", "code -7", "code -9"),
        *("≤ 26", "≤ 50", "≤ 75", "> 75"),
    ]
    assert home["levels"] == ["own", "rent"]
    assert (kind["codes"], kind["levels"]) == (["-9"], ["a"])
    assert sizes(learnt) == [8, 4, 4]
    assert first_in_order(learnt) == [4, 4, 4]


def test_every_cell_has_its_bin(learnt):
    table = pd.DataFrame(
        {
            "income": [np.nan, -7.0, -9.0, -1e9, 26.0, 26.01, 1e9],
            "home": [None, "tent", "castle", "own", "rent", "own", "own"],
            "kind": ["-9", "a", "b", None, "a", "a", "a"],
        }
    )
    found = bin_numbers(table, learnt)
    assert found.dtype == np.int32
    assert found[:, 0].tolist() == [MISSING, 2, 3, 4, 4, 5, 7]
    assert found[:, 1].tolist() == [MISSING, UNSEEN, UNSEEN, 2, 3, 2, 2]
    assert found[:, 2].tolist() == [2, 3, UNSEEN, MISSING, 3, 3, 3]


def bins_of(cells, most, weight=None):
    """The bins of one column of numbers."""
    rows = pd.DataFrame({"debt": np.asarray(cells, np.float64)})
    roles = {}
    if weight is not None:
        rows["weight"], roles = weight, {"weight": "weight"}
    schema = Schema.declare(Columns(features=("number",)), roles, list(rows), table="made").learn(rows)
    (found,) = learn_bins(rows, schema, most=most, rare=1)
    return found


def decimal_between(low, high, digits):
    """Whether a number of so many decimal digits lies in [low, high): the lowest one that is not below `low` does."""
    return low <= float(Context(prec=digits, rounding=ROUND_CEILING).create_decimal(Decimal(low))) < high


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e300, 3.7e-310])
@pytest.mark.parametrize("draw", ["normal", "lognormal", "rounded"])
def test_an_edge_is_the_shortest_decimal_between_two_cells_and_each_stays_in_its_bin(draw, scale):
    random = np.random.default_rng(0)
    drawn = {
        "normal": random.normal(size=500),
        "lognormal": random.lognormal(0, 3, 500),
        "rounded": random.integers(-20, 20, 500) / 8,
    }
    cells = drawn[draw] * scale
    found = bins_of(cells, most=30)
    edges, values = found["edges"], np.unique(cells)
    assert len(edges) >= 25
    assert edges == sorted(edges)
    for edge in edges:
        assert float(f"{edge:.15g}") == edge
        low, high = values[values <= edge].max(), values[values > edge].min()
        fewest = next(digits for digits in range(1, 16) if decimal_between(low, high, digits))
        assert float(f"{edge:.{fewest}g}") == edge, f"{edge} lies in [{low}, {high}), where {fewest} digits suffice"
    bins = bin_numbers(pd.DataFrame({"debt": values}), [found])[:, 0]
    assert (np.diff(bins) >= 0).all()
    assert bins[0] == 2 and bins[-1] == 2 + len(edges)


def test_cells_that_no_decimal_of_15_digits_parts_share_a_bin():
    close = 0.1 + 0.2, np.nextafter(0.1 + 0.2, 1)
    found = bins_of([0.3, *close, 1.0] * 25, most=4)
    assert found["edges"][0] == 0.3 and len(found["edges"]) == 2
    assert bin_numbers(pd.DataFrame({"debt": [0.3, *close, 1.0]}), [found])[:, 0].tolist() == [2, 3, 3, 4]
    assert bins_of([*close] * 50, most=4)["edges"] == []


def test_the_largest_and_smallest_numbers_have_finite_edges_between_them():
    largest, smallest = np.finfo(float).max, 5e-324
    cells = [-largest, -1.0, -smallest, 0.0, smallest, 1.0, largest]
    found = bins_of(cells * 20, most=7)
    assert np.isfinite(found["edges"]).all()
    assert bin_numbers(pd.DataFrame({"debt": cells}), [found])[:, 0].tolist() == [2, 3, 4, 5, 6, 7, 8]


def test_a_negative_zero_is_a_zero():
    found = bins_of([-1.0, -0.0, -0.0, 1.0] * 25, most=4)
    assert [str(edge) for edge in found["edges"]] == ["-1.0", "0.0"]
    assert bin_numbers(pd.DataFrame({"debt": [-0.0, 0.0]}), [found])[:, 0].tolist() == [3, 3]


def test_a_column_of_one_value_and_one_without_any_have_one_bin():
    assert bins_of([7.0] * 50, most=4)["edges"] == []
    assert bins_of([7.0, 8.0] + [np.nan] * 50, most=4, weight=[0.0, 0.0] + [1.0] * 50)["edges"] == []
    nine_in_ten = bins_of([0.0] * 90 + list(range(1, 11)), most=5)
    assert nine_in_ten["edges"] == [0.0], "the one that most loans have is a bin of its own"


def test_quantiles_count_a_row_of_weight_three_as_three_rows():
    """Weights that fall to 0 from the middle on: the quartiles are those of the rows that are there."""
    rows = pd.DataFrame({"debt": np.arange(200.0), "home": ["own"] * 100 + ["rent"] * 100})
    rows["weight"] = np.where(rows["debt"] < 50, 3.0, np.where(rows["debt"] < 100, 1.0, 0.0))
    schema = Schema.declare(Columns(features=("number", "category")), {"weight": "weight"}, list(rows), table="made")
    debt, home = learn_bins(rows, schema.learn(rows), most=4, rare=20)
    # Of 200 in all, the first 50 rows carry 150: 50 at the 17th row, 100 at the 34th, 150 at the 50th.
    assert debt["edges"] == [16.0, 33.0, 49.0]
    assert home["levels"] == ["own"]


def test_a_pairs_axis_joins_neighbouring_ranges_of_about_as_many_loans():
    """Sixteen ranges on eight places; missing, unseen and the code stay apart, and so do levels."""
    number = {"name": "debt", "codes": [-9], "edges": list(range(15))}
    few = {"name": "age", "codes": [], "edges": [1, 2]}
    level = {"name": "home", "codes": [], "levels": ["a", "b"]}
    counts = [np.array([5, 0, 7, *[10] * 16]), np.array([0, 0, 1, 2, 3]), np.array([0, 0, 9, 9])]
    found = axes([number, few, level], counts)
    assert found[0].tolist() == [0, 1, 2, *np.repeat(np.arange(3, 11), 2)]
    assert found[1].tolist() == [0, 1, 2, 3, 4]
    assert found[2].tolist() == [0, 1, 2, 3]
    counts[0][3:] = [150, *[1] * 15]
    heavy = axes([number], counts[:1])[0][3:]
    assert heavy[0] < heavy[1] and (np.diff(heavy) >= 0).all() and set(heavy) == set(range(3, heavy[-1] + 1))


# the network

LAYOUT = {"sizes": [3, 4], "groups": [[0, 0, 1], [0, 1, 1, 2]], "pairs": [[0, 1]]}


def test_the_network_is_a_bias_and_one_value_for_each_bin_and_each_pair_of_places():
    layer = Additive(**LAYOUT, models=2)
    every = np.array([[i, j] for i in range(3) for j in range(4)], "int32")
    layer(every)
    values = np.random.default_rng(0).normal(size=(3 + 4 + 2 * 3, 2)).astype("float32")
    layer.values.assign(values)
    layer.bias.assign([0.5, -0.5])
    cells = values[7:].reshape(2, 3, 2)
    expected = [
        [0.5, -0.5] + values[i] + values[3 + j] + cells[LAYOUT["groups"][0][i], LAYOUT["groups"][1][j]]
        for i, j in every
    ]
    np.testing.assert_allclose(layer(every), expected, atol=1e-6)


def made_card(random, most_points, columns=6, pairs=3):
    """A scorecard of random points and groups."""
    counts = random.integers(2, 40, columns)
    bins = [{"name": f"c{at}", "codes": [], "levels": [f"l{k}" for k in range(n - 2)]} for at, n in enumerate(counts)]
    groups = [np.minimum(np.arange(n), random.integers(1, n)) for n in counts]
    terms = []
    for at, n in enumerate(counts):
        points = random.integers(-most_points, most_points + 1, n)
        terms.append(Term((at,), (np.arange(n),), points, *[np.zeros(n)] * 3))
    couples = [(i, j) for i in range(columns) for j in range(i + 1, columns)]
    for i, j in (couples[at] for at in random.permutation(len(couples))[:pairs]):
        shape = groups[i].max() + 1, groups[j].max() + 1
        points = random.integers(-most_points, most_points + 1, shape)
        terms.append(Term((i, j), (groups[i], groups[j]), points, *[np.zeros(shape)] * 3))
    layout = {"sizes": counts.tolist(), "groups": [g.tolist() for g in groups]}
    card = Scorecard(bins, int(random.integers(-1000, 1000)), tuple(terms), Scale(500, 50.0))
    return card, {**layout, "pairs": [list(term.columns) for term in card.pairs]}


@pytest.mark.parametrize(("seed", "most_points", "pairs"), [(0, 60, 3), (1, 60, 0), (2, 1_600_000, 4)])
def test_the_scorecards_network_gives_exactly_the_scorecards_points(seed, most_points, pairs):
    """The third card's sums come close to 2^24 = 16,777,216, up to where float32 holds every whole number."""
    random = np.random.default_rng(seed)
    card, layout = made_card(random, most_points, pairs=pairs)
    bins = np.column_stack([random.integers(0, size, 5000) for size in layout["sizes"]]).astype("int32")
    network = scorecard_network(layout, card.values, card.start)
    found = Fitted({"model": network}).predict(bins)
    assert found.shape == (5000, 1)
    np.testing.assert_array_equal(found[:, 0].astype(np.int64), card.points(bins))


def test_a_scorecard_of_more_points_than_float32_counts_is_refused_with_the_setting_to_change():
    card, _ = made_card(np.random.default_rng(0), 60)
    most = abs(card.start) + sum(int(np.abs(term.points).max()) for term in card.terms)
    model.refuse_uncountable(card)
    model.refuse_uncountable(replace(card, start=2**24 - 1 - most + abs(card.start)))
    with pytest.raises(Refused, match=r"16,777,216 points.*points_to_double_odds"):
        model.refuse_uncountable(replace(card, start=2**24 - most + abs(card.start)))


def test_a_network_that_is_saved_and_loaded_gives_the_same(tmp_path):
    random = np.random.default_rng(3)
    card, layout = made_card(random, 60)
    network = scorecard_network(layout, card.values, card.start)
    network.save(tmp_path / "scorecard.keras")
    bins = np.column_stack([random.integers(0, size, 500) for size in layout["sizes"]]).astype("int32")
    loaded = keras.saving.load_model(tmp_path / "scorecard.keras")
    np.testing.assert_array_equal(loaded(bins), network(bins))


def test_the_penalty_is_of_steps_between_neighbours_and_of_what_moved_from_the_beginning():
    begin = np.zeros((13, 2))
    begin[0] = [1, 2]
    shrinkage = np.zeros(13)
    shrinkage[[0, 12]] = [0.5, 2.0]
    steps = np.array([3, 4]), np.array([4, 5]), np.array([1.0, 10.0])
    network = training_network({**LAYOUT, "models": 2}, Pull(steps, shrinkage, begin, bias=-1.5))
    layer = network.get_layer("additive")
    np.testing.assert_array_equal(layer.values, begin)
    np.testing.assert_array_equal(layer.bias, [-1.5, -1.5])
    layer.values.assign(
        np.array([[4, 2], [9, 9], [9, 9], [1, 0], [2, 0], [2, 3], [9, 9], *[[0, 0]] * 5, [0, 3]], "float32")
    )
    network(np.zeros((4, 2), "int32"), training=True)
    # Steps: 1 * (1 + 0) and 10 * (0 + 9). Moved: 0.5 * (9 + 0) and 2 * (0 + 9).
    assert float(sum(layer.losses)) == 1 + 90 + 4.5 + 18
    network(np.zeros((4, 2), "int32"), training=False)
    assert not layer.losses


def rising(values, up=(), down=()):
    return np.asarray(Rising([np.asarray(p) for p in up], [np.asarray(p) for p in down])(np.asarray(values, "float32")))


def test_two_neighbours_that_fall_become_their_mean_which_is_the_nearest_rising_pair():
    assert rising([[3.0], [1.0]], up=[[0, 1]]).tolist() == [[2], [2]]
    assert rising([[1.0], [3.0]], up=[[0, 1]]).tolist() == [[1], [3]]
    assert rising([[1.0], [3.0]], down=[[0, 1]]).tolist() == [[2], [2]]


def test_runs_of_all_lengths_rise_or_fall_and_what_does_already_stays():
    """Runs of 1, 2, 5 and 33 places among others that are free; five models, each by itself."""
    random = np.random.default_rng(0)
    runs = np.split(random.permutation(60)[:41], np.cumsum([1, 2, 5]))
    values = random.normal(size=(60, 5)).astype("float32")
    found = rising(values, up=[runs[0], runs[3]], down=[runs[1], runs[2]])
    free = np.setdiff1d(np.arange(60), np.concatenate(runs))
    np.testing.assert_array_equal(found[free], values[free])
    np.testing.assert_array_equal(found[runs[0]], values[runs[0]])
    assert (np.diff(found[runs[3]], axis=0) >= 0).all()
    assert (np.diff(found[runs[1]], axis=0) <= 0).all() and (np.diff(found[runs[2]], axis=0) <= 0).all()
    run = values[runs[3], 2]
    by_hand = [(run[: at + 1].max() + run[at:].min()) / 2 for at in range(len(run))]
    np.testing.assert_allclose(found[runs[3], 2], by_hand, rtol=1e-6)
    again = rising(found, up=[runs[0], runs[3]], down=[runs[1], runs[2]])
    np.testing.assert_array_equal(again, found)


def test_the_loss_counts_rows_by_their_weight_in_each_bag_and_not_at_all_where_they_are_left_out():
    truths = np.array([[1, 1.5, 0], [0, 0, 2]], "float32")
    logits = np.array([[0.4, 9], [9, -0.7]], "float32")
    by_hand = [-1.5 * np.log(1 / (1 + np.exp(-0.4))), -2 * np.log(1 - 1 / (1 + np.exp(0.7)))]
    np.testing.assert_allclose(in_bag_log_loss(truths, logits), by_hand, rtol=1e-6)
    other = np.array([[0.4, -50], [3, -0.7]], "float32")
    np.testing.assert_array_equal(in_bag_log_loss(truths, other), in_bag_log_loss(truths, logits))


# pairs and centring


def cells_of(couples, groups, numbers):
    return [groups[i][numbers[:, i]] * (groups[j].max() + 1) + groups[j][numbers[:, j]] for i, j in couples]


@pytest.mark.parametrize("dependent", [False, True])
def test_purifying_changes_no_sum_and_leaves_pairs_nothing_of_one_column_alone(dependent):
    """Three columns, two pairs that share one of them, two models; some cells have no loan."""
    random = np.random.default_rng(0)
    counts, couples = [6, 9, 4], [(0, 1), (1, 2)]
    groups = [np.array([0, 0, 1, 2, 2, 3]), np.array([0, 1, 1, 2, 3, 3, 4, 4, 5]), np.array([0, 1, 2, 2])]
    numbers = np.column_stack([random.integers(0, count, 4000) for count in counts])
    if dependent:  # the second column goes with the first, but for one loan in ten
        follows = random.random(4000) < 0.9
        numbers[follows, 1] = np.minimum(numbers[follows, 0] * 3 // 2, 8)
    else:
        numbers = numbers[(numbers[:, 0] != 2) | (numbers[:, 1] != 3)]
    places = cells_of(couples, groups, numbers)
    shapes = [(groups[i].max() + 1, groups[j].max() + 1) for i, j in couples]
    weights = [np.bincount(at, minlength=a * b).reshape(a, b) for at, (a, b) in zip(places, shapes, strict=True)]
    own = [random.normal(size=(count, 2)) for count in counts]
    pairs = [random.normal(size=(*shape, 2)) for shape in shapes]

    def sums(own, pairs):
        alone = sum(values[numbers[:, column]] for column, values in enumerate(own))
        return alone + sum(values.reshape(-1, 2)[at] for values, at in zip(pairs, places, strict=True))

    before = [each.copy() for each in (*own, *pairs)]
    found = purified(own, pairs, couples, groups, weights)
    np.testing.assert_allclose(sums(*found), sums(own, pairs), atol=1e-12)
    for each, kept in zip((*own, *pairs), before, strict=True):
        np.testing.assert_array_equal(each, kept)
    for values, weight in zip(found[1], weights, strict=True):
        for axis in (0, 1):
            total = weight.sum(axis)[:, None]
            mean = (weight[..., None] * values).sum(axis) / np.where(total > 0, total, 1)
            np.testing.assert_allclose(mean, 0, atol=1e-9)


@pytest.fixture(scope="module")
def small():
    """900 of the sample's loans to learn from, 600 to choose on, as they are and as bags see them."""
    good, schema = checked(loans(2).rows.assign(counts=np.random.default_rng(0).integers(0, 4, 1500).astype(float)))
    return good[:900], good[900:], schema


def designed(settings, small, folder, refit=True, folds=4, repeats=2):
    train, valid, schema = small
    data = Data(train, valid, schema, {}, 0, folder)
    return Design.of(settings, data, bags(data, refit=refit, folds=folds, repeats=repeats))


def test_centred_terms_have_mean_0_and_the_start_takes_over_what_they_lose(small, tmp_path):
    """Eight models of random values; the errors are the jackknife's, and what holds them back."""
    settings, random = Credit(bins=8), np.random.default_rng(1)
    design = designed(settings, small, tmp_path)
    pairs = [(0, 1), (1, 3)]
    lengths = [*sizes(design.bins), *((design.groups[i].max() + 1) * (design.groups[j].max() + 1) for i, j in pairs)]
    values = random.normal(size=(sum(lengths), 8))
    layer = Additive(sizes(design.bins), design.groups, pairs, models=8)
    layer(design.numbers[:1])
    layer.values.assign(values)
    held = random.normal(size=layer.total)
    start, terms = centred(design, values, held, pairs, folds=4)
    assert [term.columns for term in terms] == [(0,), (1,), (2,), (3,), (0, 1), (1, 3)]
    total = np.full(len(design.numbers), start)
    for term in terms:
        assert np.sum(term.loans * term.values) / term.loans.sum() == pytest.approx(0, abs=1e-9)
        at = [group[design.numbers[:, column]] for column, group in zip(term.columns, term.groups, strict=True)]
        total += term.values[tuple(at)]
        by_hand = np.zeros((2, *term.values.shape))
        np.add.at(by_hand, (0, *at), design.counts)
        np.add.at(by_hand, (1, *at), design.counts * design.defaulted)
        np.testing.assert_allclose([term.loans, term.defaulted], by_hand, atol=1e-9)
    np.testing.assert_allclose(total, np.asarray(layer(design.numbers)).mean(axis=1), atol=1e-5)
    # Income is in no pair, so purifying gives it nothing.
    (alone,) = (place for place, bin_ in enumerate(design.bins) if bin_["name"] == "income")
    assert alone == 2
    share, ends = terms[alone].loans / terms[alone].loans.sum(), np.cumsum(lengths)
    each, back = (table[ends[alone - 1] : ends[alone]] for table in (values, held))
    each, back = each - share @ each, back - share @ back
    jackknife = [[3 / 4 * np.sum((deal - deal.mean()) ** 2) for deal in (row[:4], row[4:])] for row in each]
    # 95 % of t with 3 degrees of freedom lie within 3.18245, of the normal distribution within 1.95996.
    by_hand = np.sqrt((3.18245 / 1.95996) ** 2 * np.mean(jackknife, axis=1) + back**2)
    np.testing.assert_allclose(terms[alone].error, by_hand, rtol=1e-5)


@pytest.mark.parametrize(("place", "name"), [(0, "home"), (1, "age")])
def test_what_a_column_says_alone_is_the_maximum_of_its_penalised_likelihood_in_each_bag(place, name, small, tmp_path):
    """There the slope is 0: of the likelihood, of a value's own square, and of steps between ranges."""
    design = designed(Credit(bins=6), small, tmp_path)
    assert design.bins[place]["name"] == name
    size, first = sizes(design.bins)[place], first_in_order(design.bins)[place]
    found = shapes._alone(design, place, size, first, smoothness=50.0)
    assert np.ptp(found) > 0.3
    for bag, values in zip(design.in_bag.T, found.T, strict=True):
        share = bag @ design.defaulted / bag.sum()
        chance = 1 / (1 + np.exp(-(np.log(share / (1 - share)) + values[design.numbers[:, place]])))
        slope = np.bincount(design.numbers[:, place], bag * (chance - design.defaulted), size) + values
        for lower in range(first, size - 1):
            step = 50 * (size - first - 1) / 31 * (values[lower + 1] - values[lower])
            slope[lower : lower + 2] += [-step, step]
        np.testing.assert_allclose(slope, 0, atol=1e-3)


def test_what_holds_a_value_back_is_one_step_towards_what_the_loans_say(small, tmp_path):
    """By hand for a category, whose levels are no neighbours, and for a number."""
    settings = Credit(bins=6, shrinkage=30.0)
    design = designed(settings, small, tmp_path)
    layout, pull = shapes.structure(settings, design, 50.0, [(0, 1)])
    log_odds = np.random.default_rng(0).normal(size=1500)
    found = held_back(training_network(layout, pull).get_layer("additive"), design, log_odds)
    chance, ends = 1 / (1 + np.exp(-log_odds)), np.cumsum([0, *sizes(design.bins)])
    for place, name in enumerate(["home", "age"]):
        assert design.bins[place]["name"] == name
        count, at = sizes(design.bins)[place], design.numbers[:, place]
        shrinkage = [30.0 if name == "home" or number < 2 else 30 * shapes.RANGE_SHRINKAGE for number in range(count)]
        curvature = np.diag(np.bincount(at, design.weight * chance * (1 - chance), count) + shrinkage)
        for lower in range(2, count - 1) if name == "age" else ():
            curvature[lower : lower + 2, lower : lower + 2] += 50 * 5 / 31 * np.array([[1, -1], [-1, 1]])
        slope = np.bincount(at, design.weight * (design.defaulted - chance), count)
        by_hand = np.linalg.solve(curvature, slope)
        np.testing.assert_allclose(found[ends[place] : ends[place + 1]], by_hand, rtol=1e-6, atol=1e-9)


def looked_for(seed, interaction, candidates=range(6), most=5):
    """The pairs that are found among six columns of 3,000 loans, once what columns say alone is known."""
    random = np.random.default_rng([seed, 5])
    numbers = np.column_stack([random.integers(2, 2 + size, 3000) for size in (8, 8, 5, 3, 8, 2)])
    alone = -1.0 + 0.15 * (numbers[:, 0] - 5) - 0.4 * (numbers[:, 2] == 3) + 0.3 * (numbers[:, 3] - 3)
    extra = interaction * np.sign(numbers[:, 0] - 5.5) * np.sign(numbers[:, 1] - 5.5)
    bad = random.random(3000) < 1 / (1 + np.exp(-(alone + extra)))
    chance = 1 / (1 + np.exp(-alone))
    groups = [np.arange(12)] * 6
    return strongest(numbers, groups, bad - chance, chance * (1 - chance), list(candidates), most, seed)


def test_a_planted_interaction_is_ranked_first_and_not_given_where_a_column_may_not_take_part():
    for seed in range(3):
        assert looked_for(seed, 0.5)[0] == (0, 1)
        assert looked_for(seed, 0.5, most=0) == []
    assert all(0 not in pair for pair in looked_for(0, 0.5, candidates=range(1, 6)))


def test_additive_loans_have_no_pairs_but_by_chance():
    """Fifteen couples, ten draws of loans: each above three standard deviations of chance about once in a hundred."""
    found = [len(looked_for(seed, 0.0)) for seed in range(10)]
    assert sum(count > 0 for count in found) <= 3
    assert sum(found) <= 4


# settings that are refused or turned into something else


def test_a_positive_class_that_is_not_there_is_named():
    rows = pd.DataFrame({"target": ["good", "default", "good"]})
    with pytest.raises(Refused, match=r"positive is 'bad'.*default, good"):
        truth(Credit(), rows)
    with pytest.raises(Refused, match="two classes"):
        truth(Credit(), pd.DataFrame({"target": ["bad", "good", "maybe"]}))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"monotone": {"dept": "rising"}},
            r"settings\.monotone names 'dept', which is no feature.*debt(.|\n)*Features: ",
        ),
        ({"monotone": {"home": "auto"}}, r"settings\.monotone names 'home', a category: only numbers have an order"),
        ({"words": {"hoem": "where you live"}}, r"settings\.words names 'hoem'.*home"),
        ({"changeable": {"status": "any"}}, r"settings\.changeable names 'status', which is no feature"),
    ],
)
def test_a_setting_that_names_no_feature_or_orders_a_category_is_refused_before_training(given, says, small, tmp_path):
    train, valid, schema = small
    with pytest.raises(Refused, match=says):
        model.fit(Credit(**given), Data(train, valid, schema, {}, 0, tmp_path))
    assert not list(tmp_path.iterdir())


def test_class_weights_and_the_first_log_odds_go_by_the_targets_own_levels(small, tmp_path):
    """Two thirds of the weight on the loans that defaulted: the networks begin at log 2."""
    train = small[0]
    share = np.average(train["target"] == "bad", weights=train["weight"])
    weights = {"good": 1 / (1 - share), "bad": 2 / share}
    settings = Credit(training={"class_weight": weights, "refit": False})
    _, pull = shapes.structure(settings, designed(settings, small, tmp_path, refit=False), 30.0, [])
    assert pull.bias == pytest.approx(np.log(2), rel=1e-5)
    with pytest.raises(Refused, match=r"names \['bad', 'repaid'\]; expected each of \['bad', 'good'\]"):
        designed(Credit(training={"class_weight": {"repaid": 1, "bad": 2}}), small, tmp_path)


def test_in_a_bag_rows_weigh_as_they_do_in_training_and_those_left_out_nothing(small, tmp_path):
    design = designed(Credit(), small, tmp_path)
    given = design.bags.rows["weight"].to_numpy()
    np.testing.assert_array_equal(design.counts, given)
    np.testing.assert_allclose(design.weight, given / given.mean(), rtol=1e-6)
    assert design.in_bag.shape == (1500, 8)
    np.testing.assert_allclose(design.in_bag, np.where(design.bags.seen, design.weight[:, None] * 4 / 3, 0), rtol=1e-5)


def test_an_automatic_trend_goes_by_the_correlation_with_default_and_by_weight(small, tmp_path):
    """Debt raises risk; loans that weigh nothing would have it the other way round."""
    settings = Credit(monotone={"debt": "auto", "age": "falling", "income": "rising"})
    design = designed(settings, small, tmp_path)
    names = [bin_["name"] for bin_ in design.bins]
    assert {names[place]: trend for place, trend in design.trends.items()} == {"debt": 1, "age": -1, "income": 1}
    train, valid, schema = small
    turned = train.assign(target=np.where(train["target"] == "bad", "good", "bad"))
    assert designed(settings, (turned, valid[:0], schema), tmp_path).trends[names.index("debt")] == -1
    light = pd.concat([train, *[turned.assign(weight=0.0)] * 3], ignore_index=True)
    assert designed(settings, (light, valid[:0], schema), tmp_path).trends[names.index("debt")] == 1
