"""Sentiment: what an n-gram weighs, and that no text is cut."""

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfTransformer

from solvent_nlp.sentiment.ngrams import counts, inverse_document_frequency, weigh
from solvent_nlp.sentiment.outcome import codes, metrics, outcome
from solvent_nlp.sentiment.settings import Sentiment

SETTINGS = Sentiment(buckets=2**12)


def test_counts_are_damped_and_a_word_has_one_bucket():
    found = counts(SETTINGS, pd.Series(["tea", "tea tea tea tea"])).toarray()
    half = SETTINGS.buckets // 2
    word = int(np.argmax(found[0, :half]))
    assert found[0, word] == pytest.approx(1)
    assert found[1, word] == pytest.approx(1 + np.log(4))


def test_weights_are_scikit_learns_smoothed_inverse_document_frequency():
    texts = pd.Series(["good tea", "bad tea", "good good bread", "soup"])
    found = counts(SETTINGS, texts)
    reference = TfidfTransformer(smooth_idf=True).fit(found)
    np.testing.assert_allclose(inverse_document_frequency(found), reference.idf_, rtol=1e-6)


def test_words_and_characters_weigh_the_same():
    found = counts(SETTINGS, pd.Series(["good tea", "bad tea"]))
    weighed = weigh(found, inverse_document_frequency(found)).toarray()
    half = SETTINGS.buckets // 2
    np.testing.assert_allclose(np.linalg.norm(weighed[:, :half], axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(weighed[:, half:], axis=1), 1, rtol=1e-6)


def test_the_last_word_of_a_very_long_text_still_counts():
    long = "tea " * 50_000
    first, second = counts(SETTINGS, pd.Series([long + "awful", long + "lovely"])).toarray()
    assert not np.array_equal(first, second)


def test_texts_without_spaces_or_letters_have_features():
    found = counts(SETTINGS, pd.Series(["很好吃的茶", "🙂🙂", "!!!"]))
    assert (np.diff(found.indptr) > 0).all()


def test_the_class_is_the_most_probable_one_and_metrics_are_those_of_hand():
    rows = pd.DataFrame({"label": ["a", "b", "c", "a"]}, index=[4, 2, 9, 7])
    chance = np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.1, 0.1, 0.8], [0.7, 0.2, 0.1]])
    scored = outcome(rows.index, ["a", "b", "c"], chance)
    assert scored["class"].tolist() == ["a", "a", "c", "a"]
    found = metrics(SETTINGS, rows, scored)
    assert found["accuracy"].value(found["accuracy"].rows.sum(axis=0)) == pytest.approx(3 / 4)
    surprise = -np.log([0.6, 0.4, 0.8, 0.7]).mean()
    assert found["log_loss"].value(found["log_loss"].rows.sum(axis=0)) == pytest.approx(surprise)
    assert codes(rows, ["a", "b", "c"]).tolist() == [0, 1, 2, 0]
