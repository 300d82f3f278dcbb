"""Sentiment's rivals and the search for wrong labels, on texts whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from solvent import Data
from solvent.schema import Schema
from solvent_nlp.sentiment import ngrams, rivals, sample, suspects
from solvent_nlp.sentiment.settings import Sentiment, columns

SETTINGS = Sentiment(target_precision=None)
BOTH = pytest.mark.parametrize("rival", [rivals.logistic, rivals.nb_svm])


def parted(table: pd.DataFrame, folder, **roles: str) -> tuple[Data, pd.DataFrame]:
    """The first 60 % of a table to train on, a fifth to choose by, a fifth to test on."""
    named = {"text": "review", "label": "opinion", **roles}
    schema = Schema.declare(columns(SETTINGS), named, list(table), table="made")
    renamed = schema.rename(table, table_name="made", targets=True)
    schema = schema.learn(renamed)
    good = schema.check(renamed, targets=True).good
    train, valid = round(0.6 * len(good)), round(0.8 * len(good))
    return Data(good[:train], good[train:valid], schema, {}, 0, folder), good[valid:]


def accuracy(scored: pd.DataFrame, rows: pd.DataFrame) -> float:
    return float((scored["class"] == rows["label"]).mean())


# NB-SVM


def test_log_count_ratios_are_those_of_hand():
    texts = ["good tea", "good good soup", "bad tea", "bad"]
    counted = CountVectorizer(binary=True)
    found = counted.fit_transform(texts)
    labels = np.array([1, 1, 0, 0])
    ratios = ngrams.log_count_ratios(found, labels, np.ones(4), 2)
    assert counted.get_feature_names_out().tolist() == ["bad", "good", "soup", "tea"]
    # One more than the texts that have the word. Of class 1: bad 1, good 3, soup 2, tea 2, together 8;
    # of class 0: bad 3, good 1, soup 1, tea 2, together 7.
    by_hand = np.log([(1 / 8) / (3 / 7), (3 / 8) / (1 / 7), (2 / 8) / (1 / 7), (2 / 8) / (2 / 7)])
    np.testing.assert_allclose(ratios, [-by_hand, by_hand])


def test_each_of_several_classes_is_counted_against_the_rest_and_a_weight_of_two_is_two_texts():
    found = CountVectorizer(binary=True).fit_transform(["tea", "tea cup", "cup"])
    ratios = ngrams.log_count_ratios(found, np.array([0, 1, 2]), np.array([1.0, 2, 1]), 3)
    # cup and tea of class 1: 3 and 3 of 6; of the others: 2 and 2 of 4.
    np.testing.assert_allclose(ratios[1], [0, 0], atol=1e-12)
    # of class 0: 1 and 2 of 3; of the others: 4 and 3 of 7.
    np.testing.assert_allclose(ratios[0], np.log([(1 / 3) / (4 / 7), (2 / 3) / (3 / 7)]))
    again = ngrams.log_count_ratios(found[[0, 1, 1, 2]], np.array([0, 1, 1, 2]), np.ones(4), 3)
    np.testing.assert_allclose(ratios, again)


def test_texts_of_weight_zero_teach_nb_svm_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(rivals, "halves", lambda table, *_: (table, table))
    made = sample.tongues(0, "english").assign(counts=1.0)
    turned = made.assign(opinion=made["opinion"].map({"praise": "blame", "blame": "praise"}), counts=0.0)
    beside = pd.concat([made, turned, turned]).sort_index(kind="stable", ignore_index=True)
    plain, test = parted(made, tmp_path, weight="counts")
    more, _ = parted(beside, tmp_path, weight="counts")
    assert len(more.train) == 3 * len(plain.train)
    scored = [rivals.nb_svm(SETTINGS, data)(test) for data in (plain, more)]
    pd.testing.assert_frame_equal(*scored, rtol=1e-3)


def test_nb_svm_calls_a_small_class_in_long_texts(tmp_path):
    random = np.random.default_rng(0)
    label = np.where(random.random(600) < 0.25, "praise", "blame")
    reviews = []
    for name in label:
        neutral = [f"word{number}" for number in random.zipf(1.3, random.integers(1, 200))]
        meant = np.where(random.random(5) < 0.2, name == "blame", name == "praise")
        opinions = [random.choice(sample.PRAISE if praise else sample.BLAME) for praise in meant]
        reviews.append(" ".join([*neutral, *opinions]))
    data, test = parted(pd.DataFrame({"review": reviews, "opinion": label}), tmp_path)
    scored = rivals.nb_svm(SETTINGS, data)(test)
    share = (test["label"] == "praise").mean()
    # A line that is drawn towards naive Bayes and not placed anew calls less than a fifth of them.
    assert (scored["class"] == "praise").mean() > share / 2
    assert accuracy(scored, test) > 1 - share + 0.03


def test_nb_svm_learns_a_class_that_no_validation_row_has(tmp_path):
    made = sample.tongues(0, "english")
    rare = pd.DataFrame({"review": [f"เร็ว {number}" for number in range(6)], "opinion": "thai"})
    data, test = parted(pd.concat([rare, made], ignore_index=True), tmp_path)
    scored = rivals.nb_svm(SETTINGS, data)(test)
    assert accuracy(scored, test) > 0.75
    assert (rivals.nb_svm(SETTINGS, data)(data.train.head(6))["class"] == "thai").all()


# Both


@BOTH
@pytest.mark.parametrize("language", ["chinese", "arabic"])
def test_a_rival_learns_made_reviews_in_other_scripts(rival, language, tmp_path):
    data, test = parted(sample.tongues(0, language), tmp_path)
    scored = rival(SETTINGS, data)(test)
    assert accuracy(scored, test) > 0.75
    assert list(scored) == ["class", "probability_blame", "probability_praise"]
    assert scored.index.equals(test.index)
    np.testing.assert_allclose(scored.iloc[:, 1:].sum(axis=1), 1)


@BOTH
def test_a_rival_reads_mixed_texts_of_any_length(rival, tmp_path):
    data, test = parted(sample.tongues(0, "mixed"), tmp_path)
    assert accuracy(rival(SETTINGS, data)(test), test) > 0.7


@BOTH
def test_probabilities_of_a_rival_are_calibrated(rival, tmp_path):
    data, test = parted(pd.concat([sample.tongues(seed, "english") for seed in range(4)]), tmp_path)
    scored = rival(SETTINGS, data)(test)
    sure = scored.iloc[:, 1:].max(axis=1)
    assert sure.mean() == pytest.approx(accuracy(scored, test), abs=0.06)


@BOTH
def test_a_rival_tells_several_classes(rival, tmp_path):
    made = sample.tongues(0, "english")
    other = sample.tongues(1, "thai").assign(opinion="thai")
    data, test = parted(pd.concat([made, other]).sample(frac=1, random_state=0, ignore_index=True), tmp_path)
    scored = rival(SETTINGS, data)(test)
    thai = test["label"] == "thai"
    assert accuracy(scored[thai], test[thai]) == 1
    assert accuracy(scored[~thai], test[~thai]) > 0.75


# Labels that look wrong


@pytest.mark.parametrize("language", ["english", "chinese"])
def test_labels_that_were_turned_round_are_found(language, tmp_path):
    random, tongue = np.random.default_rng(0), sample.TONGUES[language]
    truth = random.choice(["praise", "blame"], 250)
    opinions = [[(random.choice(tongue.things), random.choice(getattr(tongue, name))) for _ in "123"] for name in truth]
    reviews = [tongue.comma.join(tongue.gap.join(words) for words in said) for said in opinions]
    wrong = [20, 60, 100, 140]
    given = truth.copy()
    given[wrong] = np.where(truth[wrong] == "praise", "blame", "praise")
    data, _ = parted(pd.DataFrame({"review": reviews, "opinion": given}), tmp_path)
    (finding,) = suspects.findings(SETTINGS, data)
    assert finding.name == "suspicious_labels" and finding.count in (3, 4)
    told = [f"'{given[row]}' and looks like '{truth[row]}'" in finding.message for row in wrong]
    assert sum(reviews[row][:15] in finding.message and says for row, says in zip(wrong, told, strict=True)) >= 3
    assert suspects.findings(SETTINGS.model_copy(update={"check_labels": False}), data) == ()
