"""Logistic regression on frozen features: strengths are chosen, and what is unknown teaches nothing."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.preprocessing import StandardScaler

from solvent import Goal, finetune, linear
from solvent.recipe import Recipe

GOAL = Goal("log_loss", higher=False)


def task(truth, choosing, measure, several=False):
    """Images whose cells are their features."""
    return finetune.Task(
        train=list(FEATURES[:300]),
        targets=truth,
        weights=np.ones(300),
        several=several,
        outputs=truth.shape[1],
        choosing=choosing,
        loss=None,
        measure=measure,
        goal=GOAL,
    )


FEATURES = np.random.default_rng(0).normal(0, 1, (500, 4))
SCALED = StandardScaler().fit_transform(FEATURES[:300])


def folds():
    number = np.arange(300) % 5
    return [(np.flatnonzero(number != fold), np.flatnonzero(number == fold)) for fold in range(5)]


@pytest.fixture(autouse=True)
def cells_are_features(monkeypatch):
    monkeypatch.setattr(finetune, "frozen_features", lambda recipe, cells, seed: np.asarray(cells))


def test_each_of_several_classes_is_learnt_from_the_images_for_which_it_is_known():
    random = np.random.default_rng(1)
    truth = (FEATURES[:, :2] + random.normal(0, 0.3, (500, 2)) > 0).astype(float)
    # of every image for which the second class is not known it would be wrong
    known = truth[:300].copy()
    known[:200, 1] = np.nan
    held = truth[300:]

    def measure(logits):
        chance = expit(logits)
        return {"log_loss": -np.mean(np.log(np.where(held == 1, chance, 1 - chance)))}

    logits = linear.learn(Recipe(backbone="cnn"), task(known, FEATURES[300:], measure, True), 0, folds)
    right = (logits(FEATURES[300:]) > 0) == held
    assert right.mean(axis=0).min() > 0.85
    nobody = np.column_stack([known[:, 0], 0 * known[:, 0]])
    never = linear.learn(Recipe(backbone="cnn"), task(nobody, FEATURES[300:], measure, True), 0, folds)
    assert expit(never(FEATURES[:3]))[:, 1].max() < 1e-9  # a class that no training image has


@pytest.mark.parametrize(("column", "wins"), [(None, 0), (0, -1)])
def test_of_few_images_the_strength_is_chosen_by_those_that_were_not_learnt_from(column, wins):
    """The strongest penalty where nothing can be learnt, the weakest where all can; no choosing image is asked."""
    side = np.random.default_rng(5).normal(0, 1, 300) if column is None else FEATURES[:300, column]
    truth = np.eye(2)[(side > 0).astype(int)]
    unasked = lambda logits: pytest.fail("the choosing images were asked")  # noqa: E731
    logits = linear.learn(Recipe(backbone="cnn"), task(truth, FEATURES[300:], unasked), 0, folds)
    kernel, bias = linear.line(linear.STRENGTHS[wins], SCALED, truth, np.ones(300), False)
    np.testing.assert_allclose(logits(FEATURES[:300]), SCALED @ kernel + bias, atol=1e-5)


@pytest.mark.parametrize("several", [False, True])
def test_the_loss_of_unseen_images_is_the_log_loss_by_weight_where_it_is_known(several):
    random = np.random.default_rng(4)
    truth = np.eye(2)[random.integers(0, 2, 300)]
    truth[:40, 1] = np.nan if several else truth[:40, 1]
    given = replace(task(truth, FEATURES[300:], None, several), weights=random.uniform(0, 2, 300))
    total, weight = 0.0, 0.0
    for learnt, held in folds():
        scaler = StandardScaler().fit(FEATURES[learnt])
        scaled, rest = (scaler.transform(FEATURES[part]) for part in (learnt, held))
        kernel, bias = linear.line(0.1, scaled, truth[learnt], given.weights[learnt], several)
        logits = rest @ kernel + bias
        for row, place in enumerate(held):
            if several:
                chance = expit(logits[row])
                terms = [
                    np.log(p if t else 1 - p) for t, p in zip(truth[place], chance, strict=True) if not np.isnan(t)
                ]
            else:
                terms = [np.log(softmax(logits[row])[truth[place].argmax()])]
            total -= given.weights[place] * sum(terms)
            weight += given.weights[place] * len(terms)
    assert linear._unseen_loss(0.1, FEATURES[:300], given, folds()) == pytest.approx(total / weight, rel=1e-6)


def test_of_many_images_the_strength_that_serves_the_choosing_images_wins(monkeypatch):
    monkeypatch.setattr(linear, "MANY", 299)
    random = np.random.default_rng(2)
    noise = np.eye(3)[random.integers(0, 3, 300)]  # nothing to learn
    held = random.integers(0, 3, 200)
    seen = []

    def measure(logits):
        seen.append(-np.mean(np.log(softmax(logits, axis=1)[np.arange(200), held])))
        return {"log_loss": seen[-1]}

    logits = linear.learn(Recipe(backbone="cnn"), task(noise, FEATURES[300:], measure), 0, folds)
    assert len(seen) == len(linear.STRENGTHS)
    kept = -np.mean(np.log(softmax(logits(FEATURES[300:]), axis=1)[np.arange(200), held]))
    assert kept == pytest.approx(min(seen))
    assert kept < np.log(3) + 0.02


@pytest.mark.parametrize("several", [False, True])
def test_a_line_is_logistic_regression_and_weights_count(several):
    random = np.random.default_rng(3)
    truth = np.eye(3)[random.integers(0, 3, 500)] if not several else (random.random((500, 3)) < 0.4).astype(float)
    twice = np.where(np.arange(500) < 100, 2.0, 1.0)
    kernel, bias = linear.line(0.1, FEATURES, truth, twice, several)
    repeated = np.repeat(np.arange(500), twice.astype(int))
    again = linear.line(0.1, FEATURES[repeated], truth[repeated], np.ones(600), several)
    np.testing.assert_allclose(kernel, again[0], atol=1e-3)
    logits = FEATURES @ kernel + bias
    shares = expit(logits) if several else softmax(logits, axis=1)
    # where the likelihood is largest, the mean probability of a class is its share (the bias has no penalty)
    np.testing.assert_allclose(
        np.average(shares, axis=0, weights=twice), np.average(truth, axis=0, weights=twice), atol=2e-3
    )


def test_a_class_that_no_row_has_gets_no_probability_and_an_unknown_one_says_nothing():
    two = np.eye(3)[(FEATURES[:, 0] > 0).astype(int)]
    kernel, bias = linear.line(1.0, FEATURES, two, np.ones(500), False)
    assert softmax(FEATURES @ kernel + bias, axis=1)[:, 2].max() < 1e-5
    assert ((FEATURES @ kernel + bias).argmax(axis=1) == (FEATURES[:, 0] > 0)).mean() > 0.98
    unknown = np.column_stack([two[:, 1], np.full(500, np.nan), np.zeros(500)])
    kernel, bias = linear.line(1.0, FEATURES, unknown, np.ones(500), True)
    assert bias[1] == 0
    assert bias[2] == linear.NEVER
