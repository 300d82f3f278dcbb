"""Sentiment: what an n-gram weighs, and that no text is cut."""

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfTransformer

from solvent import Data, devices
from solvent.labels import codes, outputs
from solvent.metrics import point
from solvent.schema import Schema
from solvent_nlp.sentiment import model, reading, rivals
from solvent_nlp.sentiment.ngrams import counts, inverse_document_frequency, weigh
from solvent_nlp.sentiment.outcome import metrics
from solvent_nlp.sentiment.sample import reviews
from solvent_nlp.sentiment.settings import Sentiment, columns

SETTINGS = Sentiment(ngrams={"buckets": 2**12})


def test_counts_are_damped_and_a_word_has_one_bucket():
    found = counts(SETTINGS, pd.Series(["tea", "tea tea tea tea"])).toarray()
    half = SETTINGS.ngrams.buckets // 2
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
    half = SETTINGS.ngrams.buckets // 2
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
    scored = outputs(rows.index, ["a", "b", "c"], chance)
    assert scored["class"].tolist() == ["a", "a", "c", "a"]
    found = metrics(SETTINGS, rows, scored)
    assert found["accuracy"].value(found["accuracy"].rows.sum(axis=0)) == pytest.approx(3 / 4)
    surprise = -np.log([0.6, 0.4, 0.8, 0.7]).mean()
    assert found["log_loss"].value(found["log_loss"].rows.sum(axis=0)) == pytest.approx(surprise)
    assert codes(rows, ["a", "b", "c"]).tolist() == [0, 1, 2, 0]
    by_class = {"precision": (2 / 3 + 1) / 2, "recall": (1 + 0 + 1) / 3}
    assert {name: point(found[name]) for name in by_class} == pytest.approx(by_class)
    assert {"average_precision", "auc", "f1", "brier", "ece"} < set(found)


@pytest.fixture(scope="module")
def contradicted():
    """Texts to learn from, texts to choose on, and the same among twice as many turned around that weigh nothing."""
    sample = reviews(3)
    rows = sample.rows.assign(counts=1.0)
    schema = Schema.declare(columns(SETTINGS), {**sample.columns, "weight": "counts"}, list(rows), table="made")
    renamed = schema.rename(rows, table_name="made", targets=True)
    schema = schema.learn(renamed)
    good = schema.check(renamed, targets=True).good
    train, valid = good[:300], good[300:]
    turned = valid.assign(label=np.where(valid["label"] == "praise", "blame", "praise"), weight=0.0)
    return train, valid, pd.concat([valid, turned, turned], ignore_index=True), schema


def test_the_rival_is_chosen_by_rows_that_weigh_something(contradicted, monkeypatch, tmp_path):
    train, valid, more, schema = contradicted
    monkeypatch.setattr(rivals, "halves", lambda table, *_: (table, table))
    monkeypatch.setattr(rivals, "STRENGTHS", (1e-6, 1.0, 30.0))
    scored = [rivals.logistic(SETTINGS, Data(train, part, schema, {}, 0, tmp_path))(valid) for part in (valid, more)]
    pd.testing.assert_frame_equal(*scored, rtol=1e-5)


def test_the_network_is_chosen_by_rows_that_weigh_something(contradicted, monkeypatch, tmp_path):
    train, valid, more, schema = contradicted
    monkeypatch.setattr(model, "halves", lambda table, *_: (table, table))
    settings = Sentiment(
        ngrams={"buckets": 2**10},
        dropout=(0.2,),
        check_labels=False,
        training={"epochs": 3, "batch_size": 32, "learning_rate": 0.02},
    )
    facts = []
    for name, part in {"plain": valid, "more": more}.items():
        with devices.scope(devices.Device()):
            facts.append(model.fit(settings, Data(train, part, schema, {}, 0, tmp_path / name)).facts)
    tried = [each["choices"][0]["tried"][0]["accuracy"] for each in facts]
    assert tried[0] == pytest.approx(tried[1]) and tried[0] > 0.6
    temperatures = [each["calibration"]["temperature"] for each in facts]
    assert temperatures[0] == pytest.approx(temperatures[1], rel=1e-4)


def test_no_texts_are_read_as_no_rows():
    bag = reading.learnt(SETTINGS, pd.Series(["tea"]))
    assert bag.read(pd.Series([], dtype=object)).shape == (0, SETTINGS.ngrams.buckets)
