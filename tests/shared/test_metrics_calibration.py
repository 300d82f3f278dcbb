"""Calibration on simulated rows whose slope, intercept or temperature is known."""

import json

import numpy as np
import pytest
from scipy.special import expit, softmax
from scipy.stats import binomtest
from sklearn.isotonic import IsotonicRegression

from solvent.errors import Refused
from solvent.metrics import calibration


def simulated(slope, intercept, rows, seed=0):
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 2, size=rows)
    return logits, (generator.random(rows) < expit(slope * logits + intercept)).astype(int)


def test_platt_finds_the_slope_and_intercept_that_made_the_rows():
    logits, truth = simulated(0.5, -1.0, 40_000)
    found = calibration.fit_platt(logits, truth)
    assert found["kind"] == "platt"
    assert found["slope"] == pytest.approx(0.5, abs=0.03)  # standard errors are 0.007 and 0.013
    assert found["intercept"] == pytest.approx(-1.0, abs=0.05)


@pytest.mark.parametrize("scale", [1, 1e-4, 1e4])
def test_platt_solves_its_equations_whatever_the_scale_of_the_logits(scale):
    logits, truth = simulated(2.0, 3.0, 500)
    weight = np.random.default_rng(1).gamma(2, size=500)
    found = calibration.fit_platt(logits * scale + 7, truth, weight)
    positives, negatives = weight @ truth, weight @ (1 - truth)
    target = np.where(truth == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    # At the maximum of the likelihood the residuals are orthogonal to the constant and to the logits.
    residual = weight * (calibration.apply(found, logits * scale + 7) - target)
    assert residual.sum() / weight.sum() == pytest.approx(0, abs=1e-6)
    assert (residual @ logits) / weight.sum() == pytest.approx(0, abs=1e-6)


def test_platt_by_hand_on_one_logit_gives_the_smoothed_share():
    found = calibration.fit_platt([2.0] * 4, [1, 0, 0, 0])
    # targets (1 + 1) / (1 + 2) once and 1 / (3 + 2) three times
    assert calibration.apply(found, [2.0])[0] == pytest.approx((2 / 3 + 3 * 1 / 5) / 4)


def test_platt_stays_finite_on_rows_that_a_line_separates():
    found = calibration.fit_platt(np.repeat([-3.0, 3.0], 10), np.repeat([0, 1], 10))
    # two points, two parameters: the fit goes through the smoothed targets 1/12 and 11/12
    assert calibration.apply(found, [-3.0, 3.0]) == pytest.approx([1 / 12, 11 / 12])


@pytest.mark.parametrize("truth", [[0, 0, 0], [1, 1, 1]])
def test_rows_of_one_class_are_refused(truth):
    with pytest.raises(Refused, match="both classes; these 3 hold one only"):
        calibration.fit_platt([1.0, 2.0, 3.0], truth)
    with pytest.raises(Refused, match="both classes"):
        calibration.fit_isotonic([0.1, 0.2, 0.3], truth)


@pytest.mark.parametrize("temperature", [0.4, 2.5])
def test_the_temperature_that_made_the_rows_is_found(temperature):
    generator = np.random.default_rng(2)
    logits = generator.normal(0, 3, size=(20_000, 4))
    chances = softmax(logits / temperature, axis=1)
    truth = (chances.cumsum(axis=1) < generator.random((20_000, 1))).sum(axis=1)
    found = calibration.fit_temperature(logits, truth)
    assert found["temperature"] == pytest.approx(temperature, rel=0.03)
    np.testing.assert_allclose(calibration.apply(found, logits), softmax(logits / found["temperature"], axis=1))


def test_two_logits_and_right_three_times_in_four_have_a_temperature_by_hand():
    found = calibration.fit_temperature([[2.0, 0.0]] * 4, [0, 0, 0, 1])
    assert found["temperature"] == pytest.approx(2 / np.log(3), rel=1e-6)  # softmax gives 3/4 at a gap of log 3


def test_the_temperature_stays_one_where_no_row_is_wrong():
    assert calibration.fit_temperature([[2.0, 0.0], [0.0, 1.0]], [0, 1])["temperature"] == 1


def test_the_bias_that_made_the_rows_is_found_and_brings_the_shares_right():
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (40_000, 3))
    chances = softmax(logits / 1.6 + np.array([1.0, -2.0, 1.0]), axis=1)
    truth = (random.random(40_000)[:, None] > chances.cumsum(axis=1)).sum(axis=1)
    found = calibration.fit_bias(logits, truth)
    assert found["temperature"] == pytest.approx(1.6, rel=0.03)
    assert found["bias"] == pytest.approx([1.0, -2.0, 1.0], abs=0.05)  # they sum to 0, as the prior would have it
    shares = calibration.apply(found, logits).mean(axis=0)
    np.testing.assert_allclose(shares, np.bincount(truth) / 40_000, atol=1e-3)


def test_the_bias_of_a_class_that_no_row_has_stays_finite_and_nothing_moves_where_no_row_is_wrong():
    found = calibration.fit_bias([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [1.0, 0.0, 0.5]], [0, 0, 1])
    assert found["bias"][2] < min(found["bias"][:2])
    assert np.isfinite(found["bias"]).all()
    right = calibration.fit_bias([[2.0, 0.0], [0.0, 1.0]], [0, 1])
    assert (right["temperature"], right["bias"]) == (1, [0, 0])


def test_a_temperature_needs_rows():
    with pytest.raises(Refused, match="needs rows"):
        calibration.fit_temperature(np.zeros((0, 3)), [])


def test_isotonic_pools_what_falls_by_hand():
    found = calibration.fit_isotonic([0.1, 0.2, 0.3, 0.4], [0, 1, 0, 1])
    rising = calibration.apply(found, calibration.logit([0.0, 0.1, 0.2, 0.3, 0.4, 1.0]))
    assert rising == pytest.approx([1 / 6, 1 / 6, 1 / 2, 1 / 2, 5 / 6, 5 / 6])


def test_isotonic_equals_scikit_learn_away_from_the_ends():
    logits, truth = simulated(1.0, 0.0, 2000)
    weight = np.random.default_rng(3).gamma(2, size=2000)
    ours = calibration.apply(calibration.fit_isotonic(expit(logits), truth, weight), logits)
    theirs = IsotonicRegression().fit(expit(logits), truth, sample_weight=weight).predict(expit(logits))
    np.testing.assert_allclose(ours, np.clip(theirs, 1 / 2002, 1 - 1 / 2002), atol=1e-12)


def test_every_calibration_survives_json():
    logits, truth = simulated(1.0, 0.5, 200)
    table = np.column_stack([np.zeros(200), logits])
    for found, given in [
        (calibration.fit_platt(logits, truth), logits),
        (calibration.fit_isotonic(expit(logits), truth), logits),
        (calibration.fit_temperature(table, truth), table),
    ]:
        restored = json.loads(json.dumps(found))
        np.testing.assert_array_equal(calibration.apply(restored, given), calibration.apply(found, given))


def test_an_unknown_calibration_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"no calibration of kind 'beta'\. Known: platt, isotonic, temperature, bias"):
        calibration.apply({"kind": "beta"}, [0.0])


def test_logit_undoes_the_sigmoid_and_is_finite_at_the_ends():
    assert expit(calibration.logit([0.001, 0.5, 0.9])) == pytest.approx([0.001, 0.5, 0.9])
    assert calibration.logit([0.0, 1.0]) == pytest.approx([-34.54, 34.54], abs=0.02)


def test_reliability_by_hand_leaves_empty_bins_out():
    truth = [0] * 5 + [1] * 5 + [1, 1]
    probability = [0.41] * 5 + [0.45] * 5 + [0.9, 1.0]
    found = calibration.reliability(truth, probability)
    assert found.mean_predicted == pytest.approx([0.43, 0.95])
    assert found.observed == pytest.approx([0.5, 1.0])
    assert found.rows.tolist() == [10, 2]
    for index, (hits, rows) in enumerate([(5, 10), (2, 2)]):
        wilson = binomtest(hits, rows).proportion_ci(method="wilson")
        assert (found.low[index], found.high[index]) == pytest.approx((wilson.low, wilson.high))


def test_calibrated_rows_lie_within_their_wilson_intervals():
    logits, truth = simulated(1.0, 0.0, 5000)
    found = calibration.reliability(truth, expit(logits))
    assert ((found.low <= found.mean_predicted) & (found.mean_predicted <= found.high)).sum() >= 9
    assert found.rows.sum() == 5000


def test_platt_never_turns_the_order_of_the_scores_around() -> None:
    logits = np.linspace(-2, 2, 100)
    truth = (logits < 0).astype(int)  # the scores say the opposite
    found = calibration.fit_platt(logits, truth)
    assert found["bounded"] is True
    chance = calibration.apply(found, logits)
    assert (np.diff(chance) > 0).all()
    np.testing.assert_allclose(chance, 0.5, atol=0.01)
    assert "bounded" not in calibration.fit_platt(logits, 1 - truth)


def test_reliability_counts_rows_by_their_weight_and_leaves_out_those_of_none():
    truth, probability = np.array([0, 1, 1, 0, 1]), np.array([0.42, 0.44, 0.46, 0.48, 0.95])
    weight = np.array([2, 0, 1, 1, 0])
    found = calibration.reliability(truth, probability, weight=weight)
    assert found.observed == pytest.approx([1 / 4])
    assert found.mean_predicted == pytest.approx([(2 * 0.42 + 0.46 + 0.48) / 4])
    assert found.rows.tolist() == [3]
    effective = 4**2 / (2**2 + 1 + 1)
    np.testing.assert_allclose((found.low, found.high), calibration.wilson([1 / 4], effective))
    equal = calibration.reliability(truth, probability, weight=np.full(5, 7.5))
    for ours, theirs in zip(equal, calibration.reliability(truth, probability), strict=True):
        np.testing.assert_allclose(ours, theirs)
