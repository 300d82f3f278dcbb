"""Metrics of ranked lists, against values computed by hand and against trec_eval."""

import numpy as np
import pytest

from solvent.metrics import Resampling, estimate, point, ranking

RELEVANT = [["a", "b", "c"], ["x"], ["m", "n"]]
RANKED = [["a", "z", "c", "y"], ["p", "q", "x", "r"], ["p", "q", "r", "s"]]


def test_each_metric_is_that_of_hand():
    found = {name: point(metric) for name, metric in ranking(RELEVANT, RANKED, [3, 1]).items()}
    half, log3 = 1 / np.log2(4), 1 / np.log2(3)
    assert found["ndcg@3"] == pytest.approx(((1 + half) / (1 + log3 + half) + half / 1 + 0) / 3)
    assert found["recall@3"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found["precision@3"] == pytest.approx((2 / 3 + 1 / 3 + 0) / 3)
    assert found["map@3"] == pytest.approx(((1 / 1 + 2 / 3) / 3 + (1 / 3) / 1 + 0) / 3)
    assert found["mrr@3"] == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert found["hit_rate@3"] == pytest.approx(2 / 3)
    assert found["hit_rate@1"] == found["precision@1"] == found["ndcg@1"] == pytest.approx(1 / 3)


def test_a_row_that_nothing_is_relevant_of_counts_for_nothing():
    more = ranking([*RELEVANT, []], [*RANKED, ["a"]], [3])
    for name, metric in ranking(RELEVANT, RANKED, [3]).items():
        assert point(more[name]) == pytest.approx(point(metric))


def test_a_list_that_is_short_or_empty_ends_in_misses():
    found = {name: point(metric) for name, metric in ranking([["a"], ["b"]], [["a"], []], [5]).items()}
    assert found["ndcg@5"] == found["recall@5"] == 0.5
    assert found["precision@5"] == pytest.approx(0.1)


def test_intervals_are_over_rows():
    random = np.random.default_rng(0)
    relevant = [["a"] for _ in range(200)]
    ranked = [["a"] if hit else ["b"] for hit in random.random(200) < 0.5]
    found = estimate(ranking(relevant, ranked, [1]), Resampling(200))["hit_rate@1"]
    half_width = 1.96 * np.sqrt(0.25 / 200)
    assert found.high - found.low == pytest.approx(2 * half_width, rel=0.15)


def test_the_values_are_those_of_trec_eval():
    trec = pytest.importorskip("pytrec_eval")
    random = np.random.default_rng(1)
    items = [f"i{number}" for number in range(50)]
    relevant = [random.choice(items, random.integers(1, 15), replace=False).tolist() for _ in range(40)]
    ranked = [random.permutation(items)[:20].tolist() for _ in range(40)]
    truth = {f"q{row}": dict.fromkeys(wanted, 1) for row, wanted in enumerate(relevant)}
    run = {f"q{row}": {item: 100.0 - place for place, item in enumerate(given)} for row, given in enumerate(ranked)}
    theirs = trec.RelevanceEvaluator(truth, {"ndcg_cut.5,10", "recall.5,10", "P.5,10", "map_cut.5,10", "recip_rank"})
    by_row = theirs.evaluate(run).values()
    ours = {name: point(metric) for name, metric in ranking(relevant, ranked, [5, 10, 20]).items()}
    for k in (5, 10):
        for name, other in (("ndcg", "ndcg_cut"), ("recall", "recall"), ("precision", "P"), ("map", "map_cut")):
            assert ours[f"{name}@{k}"] == pytest.approx(np.mean([row[f"{other}_{k}"] for row in by_row]))
    assert ours["mrr@20"] == pytest.approx(np.mean([row["recip_rank"] for row in by_row]))
