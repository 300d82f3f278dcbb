"""Sentiment: what an n-gram weighs, and that no text is cut."""

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfTransformer

from solvent import Data, Fitted, devices
from solvent.labels import codes, outputs
from solvent.metrics import point
from solvent.schema import Schema
from solvent_nlp.sentiment import model, networks, reading, rivals
from solvent_nlp.sentiment.ngrams import HASHED, counts, frequent, pieces, weigh, weights
from solvent_nlp.sentiment.outcome import metrics
from solvent_nlp.sentiment.sample import reviews
from solvent_nlp.sentiment.settings import Sentiment, columns

SETTINGS = Sentiment(ngrams={"most": 2**12})


def test_counts_are_damped_and_a_word_has_one_column():
    found = counts(SETTINGS, pd.Series(["tea", "tea tea tea tea"]))[:, :HASHED].tocsc()
    words = found[:, np.flatnonzero(found[0].toarray())].toarray()
    np.testing.assert_allclose(words, [[1], [1 + np.log(4)]])


def test_the_ngrams_of_the_most_texts_are_kept_half_words_half_characters():
    texts = pd.Series(["tea is good"] * 3 + [f"cup{number}" for number in range(300)])
    found = counts(SETTINGS, texts)
    settings = Sentiment(ngrams={"most": 256, "words": 1})
    kept = frequent(settings, counts(settings, texts))
    assert len(kept) == 256 and (np.diff(kept) > 0).all()
    assert np.searchsorted(kept, HASHED) == 128
    common = np.flatnonzero(counts(settings, pd.Series(["tea is good"])).toarray()[0, :HASHED])
    assert len(common) == 3 and set(common) <= set(kept)
    # where there are fewer, all of them are
    assert len(frequent(SETTINGS, found[:3])) == found[0].nnz


def test_an_ngram_counts_what_its_rarity_and_its_classes_say():
    texts = pd.Series(["good tea", "good soup", "bad tea", "bad"])
    settings = Sentiment(ngrams={"words": 1})
    found, labels = counts(settings, texts), np.array([1, 1, 0, 0])
    columns = frequent(settings, found)[:4]
    word = {name: counts(settings, pd.Series([name]))[:, :HASHED].indices[0] for name in ("good", "soup", "bad", "tea")}
    weighed = dict(zip(columns, weights(found, columns, labels, np.ones(4), 2), strict=True))
    rarity = TfidfTransformer(smooth_idf=True).fit(found[:, columns]).idf_
    # One more than the texts that have the word: of class 1 good 3, soup 2, tea 2, bad 1 of 8; of class 0 good 1,
    # soup 1, tea 2, bad 3 of 7.
    ratio = {"good": 3 / 8 * 7, "soup": 2 / 8 * 7, "tea": 2 / 8 * 7 / 2, "bad": 1 / 8 * 7 / 3}
    for name, value in ratio.items():
        by_hand = rarity[list(columns).index(word[name])] * np.sqrt(abs(np.log(value)))
        assert weighed[word[name]] == pytest.approx(by_hand, rel=1e-5), name


def test_words_and_characters_weigh_the_same():
    found = counts(SETTINGS, pd.Series(["good tea", "bad tea"]))
    columns = frequent(SETTINGS, found)
    weighed = weigh(found, columns, weights(found, columns, np.array([0, 1]), np.ones(2), 2)).toarray()
    border = np.searchsorted(columns, HASHED)
    np.testing.assert_allclose(np.linalg.norm(weighed[:, :border], axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(weighed[:, border:], axis=1), 1, rtol=1e-6)


def test_ngrams_are_words_where_spaces_part_them_and_characters_elsewhere():
    assert list(pieces("Not good!", 2, 3)) == ["not", "good", "!", "not good", "good !"]
    assert list(pieces("不好吃", 1, 2)) == ["不", "好", "吃", "不好", "好吃"]
    assert list(pieces("tea 好吃 cup", 2, 2)) == ["tea", "好", "吃", "好吃", "cup"]
    # A vowel sign stays with its letter, in Thai (no spaces) as in Hindi (spaces).
    assert list(pieces("ไม่ดี", 2, 2)) == ["ไ", "ม่", "ดี", "ไม่", "ม่ดี"]
    assert list(pieces("हिन्दी चाय", 2, 5)) == ["हिन्दी", "चाय", "हिन्दी चाय"]
    assert list(pieces("", 2, 5)) == []


@pytest.mark.parametrize("fold", [True, False])
def test_the_bow_folds_case_where_it_is_told_to(fold):
    settings = Sentiment(fold_case=fold)
    large, small = counts(settings, pd.Series(["GREAT TEA", "great tea"]))
    assert ((large != small).nnz == 0) == fold


def test_the_last_word_of_a_very_long_text_still_counts():
    long = "tea " * 50_000
    first, second = counts(SETTINGS, pd.Series([long + "awful", long + "lovely"]))
    assert (first != second).nnz > 0


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
        ngrams={"most": 2**10},
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


def test_a_bow_is_a_dense_layer_on_the_weighed_ngrams():
    texts = pd.Series(["good tea", "bad tea", "", "soup, soup and more soup"])
    labels = np.array([1, 0, 1, 0])
    bag, read = reading.learnt(SETTINGS, texts, labels, np.ones(4), 2)
    network = networks.build(SETTINGS, bag, 0.3, 2)
    values = np.random.default_rng(0).normal(size=(bag.size + 1, 2)).astype(np.float32)
    network.get_layer("classes").set_weights([values])
    logits = bag.logits(Fitted({"model": network}, batch_rows=bag.batch_rows).predict, bag.read(texts))
    assert all(np.array_equal(*both) for both in zip(read, bag.read(texts), strict=True))
    dense = weigh(counts(SETTINGS, texts), bag.columns, bag.weights).toarray()
    np.testing.assert_allclose(logits, dense @ values[1:] + values[0], atol=1e-5)


def test_no_texts_are_read_as_no_rows():
    bag, _ = reading.learnt(SETTINGS, pd.Series(["tea"]), np.array([0]), np.ones(1), 2)
    assert bag.read(pd.Series([], dtype=object)) == []
