"""Metrics of a predicted number, against hand values and scikit-learn."""

import numpy as np
import pytest
import sklearn.metrics as reference

from solvent import metrics


def test_regression_metrics_by_hand():
    ours = metrics.regression([1, 2, 3, 6], [1, 3, 3, 4])  # errors 0, -1, 0, 2; mean 3, squares around it 14
    by_hand = {"rmse": np.sqrt(5 / 4), "mae": 3 / 4, "r2": 1 - 5 / 14}
    assert {name: metrics.point(metric) for name, metric in ours.items()} == pytest.approx(by_hand)


@pytest.mark.parametrize("offset", [0, 1e6])
def test_regression_metrics_equal_scikit_learn_in_every_resample(offset):
    generator = np.random.default_rng(0)
    truth = offset + generator.normal(size=200)
    prediction, weight = truth + generator.normal(size=200), generator.gamma(2, size=200)
    times = generator.multinomial(200, np.full(200, 1 / 200), size=3).astype(float)
    ours = metrics.regression(truth, prediction, weight)
    for resample, drawn in enumerate(times * weight):
        expected = {
            "rmse": reference.root_mean_squared_error(truth, prediction, sample_weight=drawn),
            "mae": reference.mean_absolute_error(truth, prediction, sample_weight=drawn),
            "r2": reference.r2_score(truth, prediction, sample_weight=drawn),
        }
        for name, value in expected.items():
            assert ours[name].value(times @ ours[name].rows)[resample] == pytest.approx(value, abs=1e-9), name


def test_r2_is_nan_where_the_truth_does_not_vary():
    assert np.isnan(metrics.point(metrics.regression([0.1] * 7, [0.1, 0.2] * 3 + [0.3])["r2"]))
    truth = np.random.default_rng(0).normal(size=5)
    varied = metrics.regression(truth, truth + 1)["r2"]
    only_one_row = 3 * np.eye(5)  # its variance comes out as a rounding above 0 in some of these
    assert np.isnan(varied.value(only_one_row @ varied.rows)).all()


def test_a_missing_prediction_is_named():
    with pytest.raises(ValueError, match=r"prediction\[1\] is nan"):
        metrics.regression([1, 2], [1, np.nan])
