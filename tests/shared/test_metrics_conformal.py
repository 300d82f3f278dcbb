"""Prediction sets: limits by hand, the promise over redraws, and what too few rows give."""

import numpy as np
import pytest

from solvent import Refused
from solvent.metrics import conformal


def test_the_limit_is_the_order_statistic_of_how_strange_the_truth_was():
    probability = np.array([0.9, 0.8, 0.7, 0.6])  # of the true class, so 0.1, 0.2, 0.3, 0.4 are strange
    table = np.column_stack([probability, 1 - probability])
    fitted = conformal.fit([0, 0, 0, 0], table, 0.6, by_class=False)
    assert fitted["limits"] == pytest.approx([0.3, 0.3])  # the third of four: ceil(5 * 0.6)
    assert conformal.members(fitted, [[0.75, 0.25], [0.5, 0.5], [0.2, 0.8]]).tolist() == [
        [True, False],
        [False, False],
        [False, True],
    ]


def test_an_empty_set_holds_the_class_that_is_named_for_it_and_others_stay():
    fitted = {"limits": [0.3, 0.3]}
    table = [[0.75, 0.25], [0.5, 0.5], [0.6, 0.4]]
    found = conformal.members(fitted, table, otherwise=[1, 1, 0])
    assert found.tolist() == [[True, False], [False, True], [True, False]]


def test_with_too_few_rows_of_a_class_it_is_in_every_set():
    assert conformal.rows_for(0.9) == 9
    table = np.column_stack([np.full(17, 0.99), np.full(17, 0.01)])
    fitted = conformal.fit([0] * 9 + [1] * 8, table, 0.9, by_class=True)
    assert fitted["limits"][0] < 0.1
    assert fitted["limits"][1] == 1
    assert conformal.members(fitted, [[1.0, 0.0]]).tolist() == [[True, True]]


def test_it_holds_on_average_over_draws_of_a_model_that_is_badly_calibrated():
    random = np.random.default_rng(0)

    def draw(rows):
        truth = random.integers(0, 3, rows)
        logits = random.normal(0, 1, (rows, 3)) + 1.2 * np.eye(3)[truth]
        chance = np.exp(4 * logits)  # far too sure
        return truth, chance / chance.sum(axis=1, keepdims=True)

    for by_class in (True, False):
        held = []
        for _ in range(300):
            fitted = conformal.fit(*draw(60), 0.9, by_class=by_class)
            truth, chance = draw(200)
            held.append(conformal.members(fitted, chance)[np.arange(200), truth].mean())
        margin = 3 * np.std(held) / np.sqrt(len(held))
        assert 0.9 - margin <= np.mean(held) <= 0.9 + (3 if by_class else 1) / 61 + margin


def test_no_rows_are_refused():
    with pytest.raises(Refused, match="validation part larger"):
        conformal.fit([], np.zeros((0, 2)), 0.9, by_class=True)
