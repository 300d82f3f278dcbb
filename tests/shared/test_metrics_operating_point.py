"""Operating points by hand, by brute force over every cut, and the promise of a sensitivity by simulation."""

import json

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from solvent.errors import Refused
from solvent.metrics import operating_point

SIX = ([0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.4, 0.6, 0.8, 0.9])


def scored_rows(generator, positives=100, negatives=100, digits=None):
    """Scores whose logits are N(1, 1) for positives and N(-1, 1) for negatives."""
    truth = np.repeat([1, 0], [positives, negatives])
    probability = expit(generator.normal(2.0 * truth - 1, 1))
    return truth, probability if digits is None else np.round(probability, digits)


@pytest.mark.parametrize(("positives", "spared"), [(59, 1), (92, 1), (93, 2), (124, 3), (153, 4)])
def test_95_95_spares_as_many_positives_as_the_published_table(positives, spared):
    # Sizes for one-sided 95 %/95 % tolerance limits by the k-th value: 59, 93, 124, 153 (Wilks; Conover).
    score = np.arange(1, positives + 1) / (positives + 1)
    found = operating_point.for_sensitivity(np.append(np.ones(positives), 0), np.append(score, 0.0), 0.95)
    assert (score >= found["value"]).sum() == positives - spared + 1
    mirrored = operating_point.for_specificity(np.append(np.zeros(positives), 1), np.append(score, 1.0), 0.95)
    assert (score < mirrored["value"]).sum() == positives - spared + 1


def test_too_few_rows_for_a_promise_are_refused_with_how_many_it_needs():
    score = np.linspace(0.1, 0.9, 58)
    with pytest.raises(
        Refused, match=r"sensitivity of 0.95 with 95% .* needs 59 positives; here are 58, enough for 0.949"
    ):
        operating_point.for_sensitivity(np.ones(58), score, 0.95)
    with pytest.raises(Refused, match=r"specificity of 0.9 with 99% .* needs 44 negatives; here are 0\. Give more"):
        operating_point.for_specificity(np.ones(58), score, 0.9, confidence=0.99)
    operating_point.for_sensitivity(np.ones(58), score, 0.949)  # what it says is enough


def test_the_promised_sensitivity_holds_in_95_of_100_draws_and_the_empirical_point_does_not():
    generator = np.random.default_rng(0)
    held, held_empirically = 0, 0
    for _ in range(1500):
        truth, probability = scored_rows(generator)
        value = operating_point.for_sensitivity(truth, probability, 0.95)["value"]
        held += norm.sf(np.log(value / (1 - value)), 1, 1) >= 0.95
        empirical = np.quantile(probability[truth == 1], 0.05)
        held_empirically += norm.sf(np.log(empirical / (1 - empirical)), 1, 1) >= 0.95
    # With 100 positives one may be missed: P(Binomial(100, 0.05) >= 2) = 0.963; standard error 0.005.
    assert 0.95 <= held / 1500 <= 0.98
    assert held_empirically / 1500 < 0.6


def test_the_promised_specificity_holds_in_95_of_100_draws():
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(1500):
        truth, probability = scored_rows(generator)
        value = operating_point.for_specificity(truth, probability, 0.95)["value"]
        held += norm.cdf(np.log(value / (1 - value)), -1, 1) >= 0.95
    assert 0.95 <= held / 1500 <= 0.98


@pytest.mark.parametrize("promise", ["sensitivity", "specificity"])
def test_ties_do_not_break_the_promise(promise):
    generator = np.random.default_rng(2)
    fit = getattr(operating_point, f"for_{promise}")
    truth, probability = scored_rows(generator, 200_000, 200_000, digits=1)
    is_kind = truth == (promise == "sensitivity")
    held = 0
    for _ in range(500):
        value = fit(*scored_rows(generator, digits=1), 0.9)["value"]
        right = (probability >= value) == truth
        held += right[is_kind].mean() >= 0.9
    assert held / 500 >= 0.95


def test_a_promise_states_its_target_its_confidence_and_its_rows():
    truth, probability = scored_rows(np.random.default_rng(3))
    found = operating_point.for_sensitivity(truth, probability, 0.9, confidence=0.99, chosen_on="calibration rows")
    assert found["rule"] == "sensitivity of at least 0.9 with 99% confidence"
    assert (found["target"], found["confidence"]) == (0.9, 0.99)
    assert (found["chosen_on"], found["rows"], found["positives"]) == ("calibration rows", 200, 100)
    decision = probability >= found["value"]
    assert found["sensitivity"] == pytest.approx(decision[truth == 1].mean())
    assert found["specificity"] == pytest.approx(1 - decision[truth == 0].mean())
    assert json.loads(json.dumps(found)) == found


def test_least_cost_by_hand():
    # A missed positive costs 5: take all three and pay 1 for the 0 at 0.6. The value is midway between 0.2 and 0.4.
    found = operating_point.by_cost(*SIX, cost_false_positive=1, cost_false_negative=5)
    assert found["value"] == pytest.approx(0.3)
    assert found["cost_per_row"] == pytest.approx(1 / 6)
    assert found["rule"] == "least cost: 1 a false positive, 5 a false negative"
    # A false alarm costs 5: leave out the 0 at 0.6, and with it the 1 at 0.4.
    assert operating_point.by_cost(*SIX, cost_false_positive=5, cost_false_negative=1)["value"] == pytest.approx(0.7)


def test_alarms_that_cost_too_much_are_never_raised():
    found = operating_point.by_cost([1, 0, 0], [0.5, 0.6, 1.0], cost_false_positive=100, cost_false_negative=1)
    assert found["value"] > np.float32(1)
    assert (found["sensitivity"], found["specificity"]) == (0, 1)


def test_alarms_that_cost_nothing_to_speak_of_are_raised_for_every_row():
    found = operating_point.by_cost([0, 1, 0], [0.0, 0.1, 0.2], cost_false_positive=1, cost_false_negative=100)
    assert found["value"] == pytest.approx(0.05)
    everyone = operating_point.by_cost([1, 0], [0.0, 0.2], cost_false_positive=1, cost_false_negative=100)
    assert everyone["value"] == 0


@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize(
    ("metric", "of"),
    [
        ("f1", f1_score),
        ("accuracy", accuracy_score),
        ("youden", lambda truth, decision: 2 * balanced_accuracy_score(truth, decision) - 1),
    ],
)
def test_the_best_value_is_as_good_as_any_cut(metric, of, digits):
    truth, probability = scored_rows(np.random.default_rng(4), 40, 70, digits)
    found = operating_point.best(truth, probability, metric)
    best = max(of(truth, (probability >= value).astype(int)) for value in np.append(np.unique(probability), 2))
    assert found[metric] == pytest.approx(best)
    assert of(truth, (probability >= found["value"]).astype(int)) == pytest.approx(best)


def test_an_unknown_metric_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"no operating point by 'kappa'. Known: f1, youden, accuracy"):
        operating_point.best(*SIX, "kappa")


def test_precision_takes_the_lowest_value_that_reaches_the_target():
    # Precision from the top: 1, 1, 2/3, 3/4, 3/5, 3/6.
    assert operating_point.for_precision(*SIX, 0.9)["value"] == pytest.approx(0.7)
    found = operating_point.for_precision(*SIX, 0.7)
    assert (found["value"], found["precision"]) == pytest.approx((0.3, 0.75))


def test_a_precision_that_no_value_reaches_is_refused_with_the_best_there_is():
    with pytest.raises(Refused, match=r"precision of 0.9 on these 3 rows: the best is 0.500"):
        operating_point.for_precision([0, 1, 0], [0.9, 0.8, 0.1], 0.9)


@pytest.mark.parametrize("truth", [[0, 0], [1, 1], []])
def test_rules_that_weigh_two_classes_refuse_rows_of_one(truth):
    probability = [0.2, 0.7][: len(truth)]
    with pytest.raises(Refused, match="needs rows of both classes"):
        operating_point.by_cost(truth, probability, 1, 1)
    with pytest.raises(Refused, match="needs rows of both classes"):
        operating_point.best(truth, probability, "f1")
    with pytest.raises(Refused, match="needs rows of both classes"):
        operating_point.for_precision(truth, probability, 0.5)


def test_scores_of_float32_are_decided_as_those_of_float64():
    truth, probability = scored_rows(np.random.default_rng(5), 150, 150)
    single = probability.astype(np.float32)
    for found in (
        operating_point.for_sensitivity(truth, single, 0.95),
        operating_point.for_specificity(truth, single, 0.95),
        operating_point.best(truth, single, "f1"),
    ):
        assert ((single >= found["value"]) == (single.astype(float) >= found["value"])).all()


def test_neighbouring_floats_are_cut_between():
    low = 0.5
    high = np.nextafter(low, 1)
    value = operating_point.best([0, 1], [low, high], "f1")["value"]
    assert low < value <= high


@pytest.mark.parametrize("share", [0, 1, 95])
def test_a_target_outside_zero_and_one_is_named(share):
    with pytest.raises(ValueError, match=f"target is {share}: expected a number between 0 and 1"):
        operating_point.for_sensitivity(*SIX, share)


def test_answers_above_the_point_are_right_as_often_as_promised_in_95_of_100_draws():
    generator = np.random.default_rng(3)
    values = []
    for _ in range(400):
        confidence = generator.uniform(0.5, 1, 2000)
        right = generator.random(2000) < confidence  # so that answers above c are right in (1 + c) / 2 of all draws
        found = operating_point.for_answers(right, confidence, 0.9)
        values += [found["value"]] if found else []
    assert len(values) > 390, "with so many rows the promise can be made"
    assert np.mean((1 + np.array(values)) / 2 >= 0.9) >= 0.95
    assert np.median(values) < 0.9, "0.8 is the lowest value that keeps the promise"


def test_the_point_of_answers_is_the_one_of_clopper_and_pearson_by_hand():
    # One look among 1 distinct confidence: all 100 answers, 2 wrong; the 95 % upper bound of 2 in 100 is 0.0616.
    right, confidence = np.append(np.ones(98), [0, 0]), np.full(100, 0.8)
    found = operating_point.for_answers(right, confidence, 0.938)
    assert (found["answered"], found["right"], found["rows"]) == (1.0, 0.98, 100)
    assert found["value"] < 0.8
    assert operating_point.for_answers(right, confidence, 0.939) is None


@pytest.mark.parametrize(("target", "rows"), [(0.95, 97), (0.9, 46), (0.99, 528)])
def test_so_many_rows_as_are_said_to_be_needed_are_enough_if_none_is_wrong_and_one_less_is_not(target, rows):
    assert operating_point.rows_for(target) == rows
    for more in (0, 1, 10, 60, 300):
        found = operating_point.for_answers(np.ones(rows + more), np.linspace(0.5, 1, rows + more), target)
        assert found["answered"] == 1.0
    for less in (1, 10, rows - 1):
        assert operating_point.for_answers(np.ones(rows - less), np.linspace(0.5, 1, rows - less), target) is None


def test_no_point_promises_what_no_answer_keeps():
    assert operating_point.for_answers(np.zeros(50), np.linspace(0.5, 1, 50), 0.9) is None
