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


def made() -> tuple[list[list[str]], list[list[str]]]:
    """40 lists of 20 of 50 items, of which 1 to 14 are relevant."""
    relevant = [[f"i{(7 * row + 3 * place * place) % 50}" for place in range(1 + row % 14)] for row in range(40)]
    order = [sorted(range(50), key=lambda item, row=row: (37 * item + 11 * row) % 53) for row in range(40)]
    return [sorted(set(items)) for items in relevant], [[f"i{item}" for item in items[:20]] for items in order]


# of `made`, by pytrec-eval-terrier 0.5.10, whose code is trec_eval 9: the means of its values for each list
TREC_EVAL = {
    "ndcg@5": 0.14594377,
    "ndcg@10": 0.19107406,
    "recall@5": 0.11047015,
    "recall@10": 0.24736770,
    "precision@5": 0.14000000,
    "precision@10": 0.15250000,
    "map@5": 0.06119779,
    "map@10": 0.08952288,
    "mrr@20": 0.27801099,
}


def test_the_values_are_those_of_trec_eval():
    ours = {name: point(metric) for name, metric in ranking(*made(), [5, 10, 20]).items()}
    assert {name: ours[name] for name in TREC_EVAL} == pytest.approx(TREC_EVAL, abs=1e-6)


def test_trec_eval_still_says_so():
    trec = pytest.importorskip("pytrec_eval")
    relevant, ranked = made()
    truth = {f"q{row}": dict.fromkeys(wanted, 1) for row, wanted in enumerate(relevant)}
    run = {f"q{row}": {item: 100.0 - place for place, item in enumerate(given)} for row, given in enumerate(ranked)}
    theirs = trec.RelevanceEvaluator(truth, {"ndcg_cut.5,10", "recall.5,10", "P.5,10", "map_cut.5,10", "recip_rank"})
    by_row = list(theirs.evaluate(run).values())
    names = {"ndcg": "ndcg_cut", "recall": "recall", "precision": "P", "map": "map_cut"}
    found = {
        f"{name}@{k}": np.mean([row[f"{other}_{k}"] for row in by_row])
        for name, other in names.items()
        for k in (5, 10)
    }
    found["mrr@20"] = np.mean([row["recip_rank"] for row in by_row])
    assert found == pytest.approx(TREC_EVAL, abs=1e-6)
