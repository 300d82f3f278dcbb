"""Recommender: each model against values of hand or of another way to compute them; how histories are read."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from solvent_recommender import content, ease, hybrid, neighbours, popularity, weights
from solvent_recommender.cases import cases
from solvent_recommender.catalogue import Catalogue
from solvent_recommender.interactions import Histories, Known
from solvent_recommender.outcome import gini
from solvent_recommender.part import Part
from solvent_recommender.settings import Recommender
from solvent_recommender.topk import best, searcher

SETTINGS = Recommender()


def events(*pairs, days=None):
    rows = pd.DataFrame(pairs, columns=["user", "item"])
    if days is not None:
        rows["time"] = pd.Timestamp("2025-01-01") + pd.to_timedelta(days, unit="D")
    return rows


def catalogue(known, **columns):
    table = pd.DataFrame({"item": known.items.to_numpy(), **columns})
    return Catalogue.of(SETTINGS, known.items, table)


def no_new(known):
    return scipy.sparse.csr_array((0, known), dtype=np.float32)


def drawn(users=30, items=12, seed=0):
    random = np.random.default_rng(seed)
    liked = random.random((users, items)) < 0.35
    rows = [(f"u{user:02d}", f"i{item:02d}") for user, item in zip(*np.nonzero(liked), strict=True)]
    return Known.of(SETTINGS, events(*rows))


def test_of_a_pair_that_occurs_twice_the_last_counts_and_the_oldest_come_first():
    known = Known.of(SETTINGS, events(("u", "b"), ("u", "a"), ("u", "b"), ("v", "a"), days=[0, 5, 9, 1]))
    assert known.items.tolist() == ["a", "b"]
    assert known.histories.of(0).tolist() == [0, 1]
    np.testing.assert_allclose(known.histories.age, [4, 0, 8])


def test_an_item_that_was_rated_low_is_had_and_not_liked():
    rows = events(("u", "a"), ("u", "b"), ("v", "a")).assign(rating=[5.0, 1.0, 4.0])
    settings = Recommender(liked_from=4)
    known = Known.of(settings, rows)
    assert known.histories.of(0).tolist() == [0]
    assert known.histories.matrix(2, liked=False).toarray().tolist() == [[1, 1], [1, 0]]
    found = cases(settings, rows)
    assert found["item"].tolist() == [["a"], ["a"]]
    assert found.index.tolist() == [0, 2]


def test_what_a_bundle_keeps_gives_the_same_back():
    known = drawn()
    again = Known.restored(known.events())
    assert again.users.equals(known.users) and again.items.equals(known.items)
    for name in ("start", "item", "liked", "age"):
        np.testing.assert_array_equal(getattr(again.histories, name), getattr(known.histories, name))


def test_a_history_in_the_row_takes_the_place_of_the_known_one():
    known = Known.of(SETTINGS, events(("u", "a"), ("u", "b"), ("v", "c"), ("w", "a")))
    rows = pd.DataFrame({"user": ["u", "v", "new", "w"], "history": [["c", "gone", 7], None, ["b", "a", "b"], []]})
    found, places = known.asked(rows, known.items)
    assert [found.of(row).tolist() for row in range(4)] == [[2], [2], [0, 1], []]
    assert places.tolist() == [-1, 1, -1, -1]


def test_popularity_halves_at_its_half_life():
    known = Known.of(SETTINGS, events(("u", "a"), ("v", "a"), ("v", "b"), days=[0, 10, 10]))
    found = popularity.fit(known, catalogue(known), 10.0)["counts"]
    np.testing.assert_allclose(found, [1.5, 1.0])


def test_cosine_and_manhattan_are_those_of_the_columns():
    known = drawn()
    liked = known.histories.matrix(len(known.items))
    columns = liked.toarray().astype(np.float64)
    common = columns.T @ columns
    trust = common / (common + neighbours.SHRINK)
    lengths = np.linalg.norm(columns, axis=0)
    expected = {"cosine": common / np.outer(lengths, lengths) * trust}
    shares = columns / columns.sum(axis=0)
    distance = np.abs(shares[:, :, None] - shares[:, None, :]).sum(axis=0)
    expected["manhattan"] = (1 - distance / 2) * trust
    for name, values in expected.items():
        np.fill_diagonal(values, 0)
        np.testing.assert_allclose(neighbours.similarities(liked, name).toarray(), values, atol=1e-6)


def test_ease_by_users_is_ease_by_items():
    """The weights are also those of the ridge regression of each item on all others (Steck, 2019)."""
    known = drawn(users=30, items=12)
    few = Known.of(SETTINGS, events(*[(f"u{k % 7}", f"i{k * 5 % 12:02d}") for k in range(40)]))
    for each, by_users in ((known, False), (few, True)):
        shown = catalogue(each)
        assets = ease.fit(each, shown, 5.0)
        assert ("inverse" in assets) == by_users
        x = each.histories.matrix(len(each.items)).toarray().astype(np.float64)
        weights = np.zeros((x.shape[1], x.shape[1]))
        for item in range(x.shape[1]):
            rest = np.arange(x.shape[1]) != item
            gram = x[:, rest].T @ x[:, rest] + 5.0 * np.eye(rest.sum())
            weights[rest, item] = np.linalg.solve(gram, x[:, rest].T @ x[:, item])
        part = ease.load(assets, shown)
        np.testing.assert_allclose(part.scores(each.histories), x @ weights, atol=1e-5)
        places = np.arange(len(each.items))
        np.testing.assert_allclose(part.links(places, places), weights, atol=1e-5)


def test_the_best_are_those_of_a_full_sort_and_equal_ones_go_by_place():
    random = np.random.default_rng(0)
    scores = random.integers(0, 6, (50, 20)).astype(np.float32)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :7]
    np.testing.assert_array_equal(best(scores, 7), expected)
    scores[:, 3:] = -np.inf
    assert (best(scores, 7)[:, 3:] == -1).all()
    assert best(scores[:, :2], 7).shape == (50, 2)


def test_standard_scores_have_mean_0_and_deviation_1_and_equal_ones_are_0():
    found = hybrid.standard(np.array([[1, 2, 3, np.nan], [5, 5, 5, np.nan]], np.float32))
    np.testing.assert_allclose(found[0, :3], [-np.sqrt(1.5), 0, np.sqrt(1.5)], rtol=1e-6)
    assert found[1, :3].tolist() == [0, 0, 0]
    assert np.isnan(found[:, 3]).all()


def test_the_hybrid_finds_the_part_that_knows():
    """One part scores the held-out items highest, the other draws at random."""
    random = np.random.default_rng(0)
    known = drawn(users=80, items=40)
    wanted = random.integers(0, 40, (80, 2))
    right = random.normal(size=(80, 40)).astype(np.float32)
    right[np.arange(80)[:, None], wanted] += 3
    wrong = random.normal(size=(80, 40)).astype(np.float32)
    histories = Histories(np.zeros(81, int), np.zeros(0, int), np.zeros(0, bool), np.zeros(0, np.float32))

    def part(scores):
        return Part(lambda asked: scores[: len(asked)], None, "", "")

    found = weights.learn(
        {"right": part(right), "wrong": part(wrong)},
        histories,
        list(wanted),
        np.zeros(80, int),
        catalogue(known),
        no_new(40),
        5,
        0,
    )
    learnt = np.array(found["weights"])
    assert (learnt[:, 0] > 0.75).all()
    np.testing.assert_allclose(learnt.sum(axis=1), 1, atol=1e-3)
    assert found["ndcg"]["sum"] >= found["ndcg"]["wrong"] + 0.3


def test_content_ranks_what_is_like_a_users_items_and_knows_nothing_of_items_without_content():
    known = Known.of(SETTINGS, events(("u", "a"), ("v", "b"), ("w", "b")))
    settings = Recommender(items={"categories": "kind", "text": "words"})
    table = pd.DataFrame(
        {
            "item": ["a", "b", "c", "d", "e"],
            "kind": ["tea", "boat", "tea|warm", "boat", None],
            "words": ["green leaves", "sail and mast", "black leaves", "a mast", None],
        }
    )
    shown = Catalogue.of(settings, known.items, table)
    assert shown.ids.tolist() == ["a", "b", "c", "d", "e"]
    part = content.load(content.fit(known, shown, None), shown)
    found = part.scores(known.histories)
    assert found[0, 2] > 0 > found[0, 3]
    assert found[1, 3] > found[1, 2]
    assert np.isnan(found[:, 4]).all()
    assert part.links(np.array([0]), np.array([2, 3]))[0, 0] > part.links(np.array([0]), np.array([2, 3]))[0, 1]


def test_gini_is_that_of_hand():
    assert gini(np.array([3, 3, 3]), 3) == pytest.approx(0)
    assert gini(np.array([12]), 4) == pytest.approx(0.75)  # one of four gets all: 1 - 1/4
    assert gini(np.array([1, 2, 3]), 3) == pytest.approx(2 / 9)
    assert np.isnan(gini(np.array([]), 3))


def test_the_search_finds_what_a_full_sort_finds_and_nothing_that_was_seen():
    random = np.random.default_rng(0)
    users, items = random.normal(size=(3000, 8)).astype(np.float32), random.normal(size=(50, 8)).astype(np.float32)
    scores = users @ items.T
    seen = np.nonzero(random.random(scores.shape) < 0.2)
    scores[seen] = -np.inf
    places, products = searcher(items, 7)(users, seen)
    np.testing.assert_array_equal(places, np.argsort(-scores, axis=1)[:, :7])
    np.testing.assert_allclose(products, -np.sort(-scores, axis=1)[:, :7], rtol=1e-5)
    alone, _ = searcher(items, 60)(users[5:6], None)
    assert sorted(alone[0]) == list(range(50))
    many = np.round(random.normal(size=(4000, 8))).astype(np.float32)  # with many equal products
    exact = np.round(users[:200]) @ many.T
    exact[seen[0][seen[0] < 200], seen[1][seen[0] < 200]] = -np.inf
    some = (seen[0][seen[0] < 200], seen[1][seen[0] < 200])
    places, _ = searcher(many, 7)(np.round(users[:200]), some)
    np.testing.assert_array_equal(places, np.argsort(-exact, axis=1, kind="stable")[:, :7])
    everything = (np.zeros(50, int), np.arange(50))
    assert (searcher(items, 3)(users[:2], everything)[0][0] == -1).all()
