"""The bootstrap against standard errors that are known, and the rules on when no interval is given."""

import numpy as np
import pytest

from solvent import metrics
from solvent.metrics import Estimate, Resampling, intervals
from solvent.solution import Weighted


def half_width(estimate):
    return (estimate.high - estimate.low) / 2


def test_the_interval_of_a_mean_has_the_width_of_its_standard_error():
    values = np.random.default_rng(0).normal(size=400)
    found = metrics.estimate({"mean": metrics.mean(values)}, Resampling(400, resamples=10_000))["mean"]
    assert found.value == pytest.approx(values.mean())
    assert half_width(found) == pytest.approx(1.96 * values.std() / np.sqrt(400), rel=0.03)
    assert (found.low + found.high) / 2 == pytest.approx(values.mean(), abs=0.005)


def test_the_draws_of_auc_spread_as_its_standard_error_by_delong():
    generator = np.random.default_rng(1)
    truth = np.repeat([0, 1], [300, 200])
    score = 1 / (1 + np.exp(-generator.normal(truth, 1)))
    above = (score[truth == 1][:, None] > score[truth == 0]).astype(float)
    delong = np.sqrt(above.mean(axis=1).var(ddof=1) / 200 + above.mean(axis=0).var(ddof=1) / 300)
    auc = metrics.binary(truth, score, score > 0.5)["auc"]
    assert metrics.draws(auc, Resampling(500, resamples=4000)).std() == pytest.approx(delong, rel=0.05)


def test_intervals_hold_the_truth_in_about_95_of_100_samples():
    generator = np.random.default_rng(2)
    held = 0
    for sample in range(300):
        right = (generator.random(200) < 0.8).astype(float)
        found = metrics.estimate({"share": metrics.mean(right)}, Resampling(200, resamples=400, seed=sample))["share"]
        held += found.low <= 0.8 <= found.high
    assert 0.91 <= held / 300 <= 0.98


def test_every_resample_draws_as_many_rows_as_there_are():
    weights = np.concatenate(list(Resampling(50, resamples=200).weights()))
    assert weights.shape == (200, 50)
    assert weights.dtype == np.float64
    assert (weights.sum(axis=1) == 50).all()
    assert weights.var() == pytest.approx(49 / 50, abs=0.05)  # a count of 50 draws with chance 1/50


def test_groups_are_drawn_whole():
    groups = np.array(["a", "b", "a", "c", "b", "a"])
    weights = np.concatenate(list(Resampling(6, groups, resamples=100).weights()))
    assert (weights[:, 0] == weights[:, 2]).all() and (weights[:, 0] == weights[:, 5]).all()
    assert (weights[:, 1] == weights[:, 4]).all()
    assert (weights[:, 0] + weights[:, 1] + weights[:, 3] == 3).all()


def test_rows_repeated_within_groups_make_no_interval_narrower():
    values = np.random.default_rng(3).normal(size=200)
    once = metrics.estimate({"mean": metrics.mean(values)}, Resampling(200))["mean"]
    tenfold = {"mean": metrics.mean(np.repeat(values, 10))}
    grouped = metrics.estimate(tenfold, Resampling(2000, np.repeat(np.arange(200), 10)))["mean"]
    by_rows = metrics.estimate(tenfold, Resampling(2000))["mean"]
    assert (grouped.low, grouped.high) == pytest.approx((once.low, once.high))
    assert half_width(by_rows) == pytest.approx(half_width(once) / np.sqrt(10), rel=0.1)


def test_rows_without_a_group_are_a_group_together():
    assert Resampling(5, np.array(["a", None, "b", None, None], dtype=object)).units == 3


def test_a_seed_draws_the_same_whatever_is_held_in_memory(monkeypatch):
    metric = metrics.mean(np.arange(70.0))
    at_once = metrics.draws(metric, Resampling(70, seed=4))
    assert not np.array_equal(at_once, metrics.draws(metric, Resampling(70, seed=5)))
    monkeypatch.setattr(intervals, "_CHUNK", 3 * 70)
    np.testing.assert_allclose(metrics.draws(metric, Resampling(70, seed=4)), at_once)


def test_memory_does_not_grow_with_rows_times_resamples():
    import tracemalloc

    rows = 20_000
    score = np.random.default_rng(0).random(rows)
    auc = metrics.binary(score > 0.6, score, score > 0.5)["auc"]
    tracemalloc.start()
    metrics.draws(auc, Resampling(rows, resamples=200))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80e6  # all the weights at once would be 32 MB here, with what is made of them 200 MB


@pytest.mark.parametrize(("groups", "printed"), [(19, False), (20, True)])
def test_under_20_groups_there_is_no_interval(groups, printed):
    resampling = Resampling(200, np.arange(200) % groups)
    found = metrics.estimate({"mean": metrics.mean(np.arange(200.0))}, resampling)["mean"]
    assert found.value == 99.5
    assert (found.low is not None) is (found.high is not None) is resampling.printable is printed


def test_the_protocol_says_which_units_were_drawn():
    assert Resampling(1234).protocol == (
        "95 % percentile bootstrap, 1,000 resamples over 1,234 rows, the model held fixed; shares of 0 and 1, "
        "and orders of few rows or without a mistake, by Wilson."
    )
    assert "over 40 groups (1,200 rows)" in Resampling(1200, np.arange(1200) % 40).protocol
    assert Resampling(90, np.arange(90) % 9).protocol == "No interval: 9 groups (90 rows) are fewer than 20."


def test_a_plain_number_has_a_value_and_no_interval():
    assert metrics.estimate({"cost": 3.5}, Resampling(100)) == {"cost": Estimate(3.5)}


def precision_with(positive_decisions, rows=200):
    truth, decision = np.arange(rows) % 2, np.arange(rows) < positive_decisions
    return metrics.binary(truth, np.full(rows, 0.5), decision)["precision"]


def test_resamples_where_a_metric_is_undefined_are_left_out_of_its_interval():
    resampling = Resampling(200)
    undefined = np.isnan(metrics.draws(precision_with(5), resampling)).mean()
    assert undefined == pytest.approx(np.exp(-5), abs=0.01)
    found = metrics.estimate({"precision": precision_with(5)}, resampling)["precision"]
    assert (found.value, found.low, found.high) == pytest.approx((0.4, 0.0, 1.0))


def test_a_metric_undefined_in_over_5_percent_of_resamples_has_no_interval():
    assert metrics.estimate({"precision": precision_with(1)}, Resampling(200))["precision"] == Estimate(0.0)


def twelve(counted, rows=40):
    """The share of the first twelve rows that are counted."""
    of = np.arange(rows) < 12
    return metrics.share(of & (np.arange(rows) < counted), of)


def test_a_share_of_0_or_1_has_wilsons_interval_over_what_it_is_of():
    squared = 1.959963984540054**2
    found = metrics.estimate({"all": twelve(12), "none": twelve(0), "most": twelve(11)}, Resampling(40))
    assert (found["all"].value, found["all"].high) == (1, 1)
    assert found["all"].low == pytest.approx(12 / (12 + squared))  # 0.757
    assert (found["none"].value, found["none"].low) == (0, 0)
    assert found["none"].high == pytest.approx(squared / (12 + squared))
    assert 0.6 < found["most"].low < found["most"].high == 1  # the bootstrap's own
    assert metrics.estimate({"all": twelve(12, 19)}, Resampling(19))["all"] == Estimate(1.0)  # under 20 of all units


def test_a_share_of_0_or_1_counts_groups_and_no_number_that_is_no_share_is_widened():
    groups = np.repeat(np.arange(40), 5)
    of = groups < 12
    found = metrics.estimate({"share": metrics.share(of, of)}, Resampling(200, groups))["share"]
    assert found.low == pytest.approx(12 / (12 + 1.959963984540054**2))
    loss = metrics.mean(np.zeros(40))
    assert metrics.estimate({"loss": loss}, Resampling(40))["loss"] == Estimate(0.0, 0.0, 0.0)


def ranked(positives, rows=100):
    """All positives are scored above all others."""
    truth = np.arange(rows) >= rows - positives
    return metrics.binary(truth, np.arange(rows) / rows, truth)


def test_a_perfect_order_is_no_surer_than_a_share_of_its_rarer_class():
    """Four bad parts of a hundred, all above the good ones: they are in every resample, were there only luck in it."""
    bound = 4 / (4 + 1.959963984540054**2)
    names = ("auc", "average_precision", "gini", "ks")
    for positives in (4, 96):
        found = metrics.estimate({name: ranked(positives)[name] for name in names}, Resampling(100))
        assert {name: found[name].high for name in names} == pytest.approx(dict.fromkeys(names, 1))
        lows = {name: found[name].low for name in names}
        assert lows == pytest.approx({**dict.fromkeys(names, bound), "gini": 2 * bound - 1})
    groups = np.append(np.arange(60), np.repeat(np.arange(60, 64), 10))
    of_groups = metrics.estimate({"auc": ranked(40)["auc"]}, Resampling(100, groups))["auc"]
    assert of_groups.low == pytest.approx(bound), "40 bad parts of 4 lots"


def test_intervals_of_auc_hold_the_truth_where_one_class_is_rare():
    """An AUC of 0.9 over 10 rows and 100: the bootstrap alone holds it in 85 of 100 samples."""
    held = 0
    truth = np.repeat([0, 1], [100, 10])
    for seed in range(200):
        score = 1 / (1 + np.exp(-np.random.default_rng(seed).normal(1.8124 * truth, 1)))
        auc = metrics.binary(truth, score, truth)["auc"]
        found = metrics.estimate({"auc": auc}, Resampling(110, resamples=200, seed=seed))["auc"]
        held += found.low <= 0.9 <= found.high
    assert held / 200 >= 0.93


def test_one_rare_class_of_many_does_not_widen_their_mean_as_if_all_were_rare():
    truth = np.repeat(np.arange(5), [100, 100, 100, 100, 8])
    generator = np.random.default_rng(5)
    probability = generator.dirichlet(np.ones(5), len(truth)) + 0.5 * (truth[:, None] == np.arange(5))
    probability /= probability.sum(axis=1, keepdims=True)
    found = metrics.multiclass(truth, probability, probability.argmax(axis=1))["auc"]
    plain = Weighted(found.rows, found.value)
    both = metrics.estimate({"ours": found, "plain": plain}, Resampling(len(truth)))
    assert both["ours"] == both["plain"]


def test_intervals_of_shares_close_to_1_hold_the_truth():
    generator = np.random.default_rng(7)
    held = 0
    for sample in range(200):
        right = generator.random(40) < 0.97
        found = metrics.estimate(
            {"share": metrics.share(right, np.ones(40))}, Resampling(40, resamples=200, seed=sample)
        )
        held += found["share"].low <= 0.97 <= found["share"].high
    assert held / 200 >= 0.9  # 1 in 3 samples has all right


def test_a_metric_undefined_as_a_whole_is_nan_without_an_interval():
    found = metrics.estimate({"precision": precision_with(0)}, Resampling(200))["precision"]
    assert np.isnan(found.value)
    assert found.low is None and found.high is None


def test_paired_models_that_differ_by_a_constant_differ_surely():
    loss = np.random.default_rng(5).gamma(2, size=100)
    found = metrics.compare(metrics.mean(loss), metrics.mean(loss + 0.25), Resampling(100))
    assert (found.value, found.low, found.high) == pytest.approx((-0.25, -0.25, -0.25))


def test_the_paired_difference_of_two_accuracies_has_mcnemars_standard_error():
    # Of 500 rows 60 are right by ours alone, 30 by theirs alone.
    ours, theirs = np.ones(500), np.ones(500)
    theirs[:60], ours[60:90] = 0, 0
    found = metrics.compare(metrics.mean(ours), metrics.mean(theirs), Resampling(500, resamples=10_000))
    standard_error = np.sqrt(60 + 30 - 30**2 / 500) / 500
    assert found.value == pytest.approx(0.06)
    assert half_width(found) == pytest.approx(1.96 * standard_error, rel=0.04)
    assert found.low > 0


def test_one_model_compared_with_itself_differs_by_nothing():
    truth, score = np.arange(100) % 3 == 0, np.random.default_rng(6).random(100)
    auc = metrics.binary(truth, score, score > 0.5)["auc"]
    assert metrics.compare(auc, auc, Resampling(100)) == Estimate(0.0, 0.0, 0.0)


def test_plain_numbers_are_compared_without_an_interval():
    assert metrics.compare(2.5, metrics.mean(np.ones(30)), Resampling(30)) == Estimate(1.5)


def test_a_metric_over_other_rows_is_named():
    with pytest.raises(ValueError, match="auc is over 30 rows, the resampling over 40"):
        metrics.estimate({"auc": Weighted(30, lambda weights: weights.sum(axis=1))}, Resampling(40))
    with pytest.raises(ValueError, match="ours is over 30 rows, the resampling over 5"):
        metrics.compare(metrics.mean(np.ones(30)), metrics.mean(np.ones(30)), Resampling(5))
    with pytest.raises(ValueError, match="theirs is over 3 rows"):
        metrics.compare(metrics.mean(np.ones(30)), metrics.mean(np.ones(3)), Resampling(30))
    with pytest.raises(ValueError, match="expected one for each of 4 rows, got 3"):
        Resampling(4, np.arange(3))
