"""Every metric against a value worked out by hand, or against scikit-learn with ties and weights."""

import os
import subprocess
import sys

import numpy as np
import pytest
import sklearn.metrics as reference
from scipy.stats import ks_2samp

from solvent import metrics
from solvent.solution import Sums


def values(metric, weights):
    """The metric in every resample, shape `(resamples,)`."""
    return metric.value(weights @ metric.rows if isinstance(metric, Sums) else weights)


def rows_with_ties(seed, rows=300):
    """Truth, probability (11 distinct ones), decision, weight of the rows, and how often each was drawn."""
    generator = np.random.default_rng(seed)
    truth = (generator.random(rows) < 0.3).astype(int)
    probability = np.round(1 / (1 + np.exp(-generator.normal(1.5 * truth - 1, 1.5))), 1)
    times = generator.multinomial(rows, np.full(rows, 1 / rows), size=4).astype(float)
    return truth, probability, (probability >= 0.5).astype(int), generator.gamma(2, size=rows), times


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("weighted", [False, True])
def test_binary_metrics_equal_scikit_learn_on_tied_scores_in_every_resample(seed, weighted):
    truth, probability, decision, weight, times = rows_with_ties(seed)
    ours = metrics.binary(truth, probability, decision, weight if weighted else None)
    for resample, drawn in enumerate(times * weight if weighted else times):
        expected = {
            "auc": reference.roc_auc_score(truth, probability, sample_weight=drawn),
            "average_precision": reference.average_precision_score(truth, probability, sample_weight=drawn),
            "gini": 2 * reference.roc_auc_score(truth, probability, sample_weight=drawn) - 1,
            "accuracy": reference.accuracy_score(truth, decision, sample_weight=drawn),
            "precision": reference.precision_score(truth, decision, sample_weight=drawn),
            "recall": reference.recall_score(truth, decision, sample_weight=drawn),
            "f1": reference.f1_score(truth, decision, sample_weight=drawn),
            "log_loss": reference.log_loss(truth, probability, sample_weight=drawn),
            "brier": reference.brier_score_loss(truth, probability, sample_weight=drawn),
        }
        for name, value in expected.items():
            assert values(ours[name], times)[resample] == pytest.approx(value, abs=1e-12), name


def test_ks_equals_scipy_on_the_rows_that_were_drawn():
    truth, probability, decision, _, times = rows_with_ties(2)
    ours = values(metrics.binary(truth, probability, decision)["ks"], times)
    for resample, drawn in enumerate(times.astype(int)):
        score, label = np.repeat(probability, drawn), np.repeat(truth, drawn)
        assert ours[resample] == pytest.approx(ks_2samp(score[label == 1], score[label == 0]).statistic, abs=1e-12)


def test_a_row_drawn_three_times_counts_as_three_rows_in_every_metric():
    truth, probability, decision, weight, times = rows_with_ties(3)
    drawn = np.repeat(np.arange(len(truth)), times[0].astype(int))
    as_weights = metrics.binary(truth, probability, decision, weight)
    as_rows = metrics.binary(truth[drawn], probability[drawn], decision[drawn], weight[drawn])
    for name in as_weights:
        assert values(as_weights[name], times)[0] == pytest.approx(metrics.point(as_rows[name]), abs=1e-12), name


def test_binary_metrics_by_hand():
    # Pairs of (1, 0): .9 beats .5 and .1, .5 beats .1 and ties with .5: 3.5 of 4.
    ours = metrics.binary([0, 1, 0, 1], [0.1, 0.5, 0.5, 0.9], [0, 0, 1, 1])
    by_hand = {
        "auc": 3.5 / 4,
        "gini": 0.75,
        "average_precision": 0.5 * 1 + 0.5 * 2 / 3,  # recall 1/2 at .9 with precision 1; recall 1 at .5 with 2 of 3
        "ks": 0.5,
        "accuracy": 0.5,
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
        "log_loss": -(np.log(0.9) + 2 * np.log(0.5) + np.log(0.9)) / 4,
        "brier": (0.01 + 0.25 + 0.25 + 0.01) / 4,
        "ece": (0.1 + abs(0.5 + 0.5 - 1) + 0.1) / 4,
    }
    assert {name: metrics.point(metric) for name, metric in ours.items()} == pytest.approx(by_hand)


def test_calibration_error_by_hand_puts_the_ends_into_the_outer_bins():
    truth, probability = [0, 1, 1, 1, 0, 1], [0.15, 0.15, 0.95, 0.95, 0.0, 1.0]
    # bins: [0, .1): |0 - 0|; [.1, .2): |.3 - 1| = .7; [.9, 1]: |2.9 - 3| = .1; over 6 rows
    ours = metrics.binary(truth, probability, [0] * 6)["ece"]
    assert metrics.point(ours) == pytest.approx(0.8 / 6)


def test_a_certain_and_wrong_row_costs_36_nats_as_in_scikit_learn():
    ours = metrics.binary([0, 1], [0.5, 0.0], [0, 0])["log_loss"]
    assert metrics.point(ours) == pytest.approx(reference.log_loss([0, 1], [0.5, 0.0]))
    assert metrics.point(ours) == pytest.approx((np.log(2) + 36.0437) / 2, abs=1e-4)


@pytest.mark.parametrize(
    ("truth", "decision", "undefined"),
    [
        ([0, 1, 1], [0, 0, 0], {"precision"}),
        ([0, 0, 0], [0, 0, 1], {"auc", "gini", "ks", "average_precision", "recall"}),
        ([0, 0, 0], [0, 0, 0], {"auc", "gini", "ks", "average_precision", "recall", "precision", "f1"}),
        ([1, 1, 1], [1, 1, 0], {"auc", "gini", "ks"}),
    ],
)
def test_what_is_undefined_is_nan_and_nothing_else_is(truth, decision, undefined):
    ours = metrics.binary(truth, [0.2, 0.3, 0.6], decision)
    assert {name for name, metric in ours.items() if np.isnan(metrics.point(metric))} == undefined


def test_f1_is_zero_where_every_positive_was_missed():
    assert metrics.point(metrics.binary([0, 1], [0.2, 0.3], [1, 0])["f1"]) == 0


def test_auc_is_nan_in_just_the_resamples_that_lack_a_class():
    ours = metrics.binary([0, 0, 1], [0.1, 0.2, 0.3], [0, 0, 1], weight=[0.1, 0.7, 0.3])["auc"]
    drawn = np.array([[1.0, 1, 1], [2, 1, 0], [0, 0, 3], [0, 2, 1]])
    assert np.isnan(values(ours, drawn)).tolist() == [False, True, True, False]


def test_no_rows_give_nan_for_every_metric():
    none = np.zeros(0)
    everything = metrics.binary(none, none, none) | metrics.multiclass(none, np.zeros((0, 3)), none)
    everything |= metrics.regression(none, none)
    assert all(np.isnan(metrics.point(metric)) for metric in everything.values())


def classes_with_ties(seed, rows=240, classes=4):
    generator = np.random.default_rng(seed)
    truth = generator.integers(classes, size=rows)
    logits = generator.normal(size=(rows, classes)) + 1.5 * np.eye(classes)[truth]
    probability = np.maximum(np.round(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), 1), 0.01)
    probability /= probability.sum(axis=1, keepdims=True)
    times = generator.multinomial(rows, np.full(rows, 1 / rows), size=3).astype(float)
    return truth, probability, probability.argmax(axis=1), generator.gamma(2, size=rows), times


def test_multiclass_metrics_equal_scikit_learn_in_every_resample():
    truth, probability, decision, weight, times = classes_with_ties(0)
    ours = metrics.multiclass(truth, probability, decision, weight)
    for resample, drawn in enumerate(times * weight):
        expected = {
            "auc": reference.roc_auc_score(truth, probability, multi_class="ovr", sample_weight=drawn),
            "average_precision": reference.average_precision_score(truth, probability, sample_weight=drawn),
            "accuracy": reference.accuracy_score(truth, decision, sample_weight=drawn),
            "precision": reference.precision_score(truth, decision, average="macro", sample_weight=drawn),
            "recall": reference.recall_score(truth, decision, average="macro", sample_weight=drawn),
            "f1": reference.f1_score(truth, decision, average="macro", sample_weight=drawn),
            "log_loss": reference.log_loss(truth, probability, sample_weight=drawn),
            "brier": reference.brier_score_loss(truth, probability, sample_weight=drawn),
        }
        for name, value in expected.items():
            assert values(ours[name], times)[resample] == pytest.approx(value, abs=1e-12), name


def test_multiclass_calibration_error_by_hand_is_of_the_most_probable_class():
    probability = [[0.75, 0.15, 0.1], [0.1, 0.75, 0.15], [0.3, 0.3, 0.4]]
    ours = metrics.multiclass([0, 2, 2], probability, [0, 1, 2])["ece"]
    assert metrics.point(ours) == pytest.approx((abs(0.75 + 0.75 - 1) + abs(0.4 - 1)) / 3)
    weighted = metrics.multiclass([0, 2, 2], probability, [0, 1, 2], weight=[3, 1, 2])["ece"]
    assert metrics.point(weighted) == pytest.approx((abs(3 * 0.75 + 0.75 - 3) + 2 * abs(0.4 - 1)) / 6)


def test_a_class_without_rows_is_left_out_of_the_means_over_classes():
    truth, probability = [0, 1, 0, 1], np.array([[0.8, 0.2, 0], [0.3, 0.7, 0], [0.4, 0.6, 0], [0.5, 0.5, 0]])
    ours = metrics.multiclass(truth, probability, [0, 1, 1, 1])
    assert metrics.point(ours["auc"]) == pytest.approx(3 / 4)  # each of two classes: .6 lies above .5
    assert metrics.point(ours["f1"]) == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert metrics.point(ours["f1"]) == pytest.approx(reference.f1_score(truth, [0, 1, 1, 1], average="macro"))


def test_the_means_leave_out_a_class_for_which_the_metric_is_undefined():
    # Class 0: true twice, called twice, once rightly. Class 1: called, never true. Class 2: true, never called.
    probability = [[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.5, 0.1, 0.4]]
    ours = metrics.multiclass([0, 0, 2], probability, [0, 1, 0])
    assert metrics.point(ours["precision"]) == pytest.approx((1 / 2 + 0) / 2)
    assert metrics.point(ours["recall"]) == pytest.approx((1 / 2 + 0) / 2)
    # Class 0: ranks first and last of three; class 2: first.
    assert metrics.point(ours["average_precision"]) == pytest.approx(((1 / 2) * 1 + (1 / 2) * (2 / 3) + 1) / 2)
    references = [
        scores([0, 0, 2], [0, 1, 0], average="macro", zero_division=np.nan)
        for scores in (reference.precision_score, reference.recall_score)
    ]
    assert [metrics.point(ours[name]) for name in ("precision", "recall")] == pytest.approx(references)


def test_a_class_that_was_called_but_never_true_has_an_f1_of_zero():
    ours = metrics.multiclass([0, 0], [[0.6, 0.4], [0.4, 0.6]], [0, 1])["f1"]
    assert metrics.point(ours) == pytest.approx((2 / 3 + 0) / 2)


def labels_with_ties(seed, rows=200, classes=4):
    """Rows with none, one or several classes, of which the last is rare; tied probabilities."""
    generator = np.random.default_rng(seed)
    truth = (generator.random((rows, classes)) < np.linspace(0.6, 0.1, classes)).astype(int)
    logits = 2 * truth - 1 + generator.normal(0, 1.2, (rows, classes))
    probability = np.clip(np.round(1 / (1 + np.exp(-logits)), 1), 0.01, 0.99)
    times = generator.multinomial(rows, np.full(rows, 1 / rows), size=3).astype(float)
    return truth, probability, (probability >= [0.5, 0.3, 0.6, 0.5]).astype(int), generator.gamma(2, size=rows), times


@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_of_several_classes_at_once_equal_scikit_learn_in_every_resample(weighted):
    truth, probability, decision, weight, times = labels_with_ties(0)
    ours = metrics.multilabel(truth, probability, decision, weight if weighted else None)
    for resample, drawn in enumerate(times * weight if weighted else times):
        several = {"average": "macro", "sample_weight": drawn}
        pairs = list(zip(truth.T, probability.T, strict=True))
        expected = {
            "auc": reference.roc_auc_score(truth, probability, **several),
            "average_precision": reference.average_precision_score(truth, probability, **several),
            "accuracy": reference.accuracy_score(truth, decision, sample_weight=drawn),
            "precision": reference.precision_score(truth, decision, **several),
            "recall": reference.recall_score(truth, decision, **several),
            "f1": reference.f1_score(truth, decision, **several),
            "log_loss": np.mean([reference.log_loss(own, chance, sample_weight=drawn) for own, chance in pairs]),
            "brier": np.mean([reference.brier_score_loss(own, chance, sample_weight=drawn) for own, chance in pairs]),
        }
        assert set(expected) | {"ece"} == set(ours)
        for name, value in expected.items():
            assert values(ours[name], times)[resample] == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("weighted", [False, True])
def test_each_class_for_itself_equals_scikit_learn_in_every_resample(weighted):
    truth, probability, decision, weight, times = labels_with_ties(1)
    names = ["d", "b", "a", "c"]
    ours = metrics.by_class(truth, decision, names, weight if weighted else None, probability)
    references = {
        "precision": reference.precision_score,
        "recall": reference.recall_score,
        "f1": reference.f1_score,
        "average_precision": reference.average_precision_score,
    }
    assert set(ours) == {f"{metric} of {name}" for metric in references for name in names}
    for resample, drawn in enumerate(times * weight if weighted else times):
        for place, name in enumerate(names):
            for metric, score in references.items():
                given = (probability if metric == "average_precision" else decision)[:, place]
                expected = score(truth[:, place], given, sample_weight=drawn)
                found = values(ours[f"{metric} of {name}"], times)[resample]
                assert found == pytest.approx(expected, abs=1e-12), (metric, name)


def test_calibration_error_of_several_classes_is_the_mean_of_each_class_s_own():
    # Bins of class 0: |.15 + .15 - 1| = .7; |.95 - 1| = .05. Of class 1: |.3 - 0|, |.5 - 1| and |.7 - 1|.
    truth, probability = [[0, 0], [1, 1], [1, 1]], [[0.15, 0.35], [0.15, 0.55], [0.95, 0.75]]
    ours = metrics.multilabel(truth, probability, truth)["ece"]
    assert metrics.point(ours) == pytest.approx((0.75 / 3 + (0.35 + 0.45 + 0.25) / 3) / 2)
    weighted = metrics.multilabel(truth, probability, truth, weight=[2, 1, 1])["ece"]
    first, second = abs(2 * 0.15 + 0.15 - 1) + 0.05, 2 * 0.35 + 0.45 + 0.25
    assert metrics.point(weighted) == pytest.approx((first / 4 + second / 4) / 2)


def test_a_class_that_no_row_has_is_undefined_for_itself_and_left_out_of_the_means():
    # Class 0 is learnt in part; class 1 is never there and called once; class 2 is never there and never called.
    truth, decision = [[1, 0, 0], [1, 0, 0], [0, 0, 0]], [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    probability = [[0.9, 0.1, 0.1], [0.2, 0.6, 0.2], [0.3, 0.1, 0.3]]
    each = metrics.by_class(truth, decision, ["a", "b", "c"], probability=probability)
    by_hand = {
        **{"precision of a": 1, "recall of a": 0.5, "f1 of a": 2 / 3, "average_precision of a": (1 + 2 / 3) / 2},
        **{"precision of b": 0, "recall of b": np.nan, "f1 of b": 0, "average_precision of b": np.nan},
        **{f"{metric} of c": np.nan for metric in ("precision", "recall", "f1", "average_precision")},
    }
    assert {name: metrics.point(metric) for name, metric in each.items()} == pytest.approx(by_hand, nan_ok=True)
    ours = metrics.multilabel(truth, probability, decision)
    means = {"auc": 0.5, "average_precision": 5 / 6, "precision": 0.5, "recall": 0.5, "f1": 1 / 3, "accuracy": 2 / 3}
    assert {name: metrics.point(ours[name]) for name in means} == pytest.approx(means)


def test_rows_without_any_class_leave_only_what_needs_a_positive_undefined():
    nothing = np.zeros((4, 2))
    ours = metrics.multilabel(nothing, nothing + 0.1, nothing)
    undefined = {name for name, metric in ours.items() if np.isnan(metrics.point(metric))}
    assert undefined == {"auc", "average_precision", "precision", "recall", "f1"}
    assert metrics.point(ours["accuracy"]) == 1
    none = np.zeros((0, 2))
    assert all(np.isnan(metrics.point(metric)) for metric in metrics.multilabel(none, none, none).values())


def test_more_than_thirty_classes_are_not_measured_one_by_one():
    flags = np.eye(31)
    assert metrics.by_class(flags, flags, [f"c{place}" for place in range(31)]) == {}
    assert len(metrics.by_class(flags[:, :30], flags[:, :30], [f"c{place}" for place in range(30)])) == 3 * 30


def test_tables_of_other_shapes_or_values_are_named():
    flags = np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"truth \(3, 2\), decision \(3, 2\), probability \(2, 2\)"):
        metrics.multilabel(flags, flags[:2], flags)
    with pytest.raises(ValueError, match=r"decision: expected shape \(rows, classes\), got \(3,\)"):
        metrics.multilabel(flags, flags, flags[:, 0])
    with pytest.raises(ValueError, match=r"truth holds 0.5: expected 0 and 1 only"):
        metrics.multilabel(flags + 0.5, flags, flags)
    with pytest.raises(ValueError, match=r"decision \(3, 2\), 3 names"):
        metrics.by_class(flags, flags, ["a", "b", "c"])


def test_confusion_counts_truth_by_row_and_decision_by_column():
    table = metrics.confusion([0, 0, 1, 2, 2, 2], [0, 1, 1, 2, 2, 0], classes=4)
    assert table.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], [0.1, np.nan], [0, 1]), r"probability\[1\] is nan: .* Leave out the rows that have no score"),
        (([0, 1], [0.1, 1.2], [0, 1]), r"probability\[1\] is 1.2"),
        (([0, 2], [0.1, 0.2], [0, 1]), r"truth\[1\] is 2"),
        (([0, 1], [0.1, 0.2], [0, 0.5]), r"decision holds 0.5: expected 0 and 1 only"),
        (([0, 1], [0.1, 0.2, 0.3], [0, 1]), r"probability: expected shape \(2,\), got \(3,\)"),
        (([0, 1], [0.1, 0.2], [0, 1], [1, -1]), r"weight\[1\] is -1"),
    ],
)
def test_values_that_have_no_meaning_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        metrics.binary(*arguments)


def test_probabilities_that_do_not_sum_to_one_are_named():
    with pytest.raises(ValueError, match=r"probability\[1\] sums to 1.5"):
        metrics.multiclass([0, 1], [[0.5, 0.5], [0.7, 0.8]], [0, 1])


def test_a_float32_probability_a_rounding_above_one_is_taken_as_one():
    over = np.array([np.nextafter(np.float32(1), np.float32(2)), 0.5], dtype=np.float32)
    assert metrics.point(metrics.binary([1, 0], over, [1, 0])["brier"]) == pytest.approx(0.125)


def test_importing_metrics_imports_no_network_library_and_no_scikit_learn():
    code = "import sys, solvent.metrics; print({'tensorflow', 'keras', 'sklearn', 'scipy'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.strip() == "set()"
