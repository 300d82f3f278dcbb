"""Fit a decoder alone to texts; go on with it from their beginnings, and say how likely texts are."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from solvent import Data, Fitted, text, training
from solvent.metrics import point
from solvent.solution import Score
from solvent.words import seen_words

from . import network
from .columns import headline
from .decoding import NONE
from .outcome import perplexities
from .settings import Translation
from .texts import Lines, cut, learnt, rows_of, texts_in
from .translator import asked, searched

__all__ = ["fit", "judge", "scorer", "written"]

MONITORED = 2000  # validation rows that an epoch is judged by, at most
BATCH_ROWS = 64
TOGETHER = 8192  # subwords that are judged at once, at most: for each there are as many numbers as the vocabulary has
SLACK, QUANTILE = 10, 0.999  # how much longer than almost all texts of training one that is written may be


def fit(settings: Translation, data: Data) -> Fitted:
    """Epochs are chosen by the perplexity of validation texts."""
    vocabulary = learnt(settings, data.train)
    known = data.train[data.train["target"].notna()]
    begun = rows_of(settings, vocabulary, known)
    pieces, owner = cut(begun, settings.longest)
    taught = np.array([piece[:, 1].any() for piece in pieces])  # not those that a long beginning fills
    weight = known["weight"].to_numpy(np.float64) if "weight" in known else np.ones(len(known))
    weights = weight[owner][taught]
    lines = Lines([piece for piece, counts in zip(pieces, taught, strict=True) if counts], weights, settings.longest)
    lines = replace(lines, weights=(weights / weights.mean()).astype(np.float32))
    made = network.build(settings.network, len(vocabulary), reads=False)
    longest = int(np.quantile([len(tokens) for tokens in begun.texts], QUANTILE)) + SLACK
    facts: dict[str, Any] = {"reading": {"texts": len(known), "subwords": len(vocabulary), "longest": longest}}
    assets = {"vocabulary": vocabulary.model, "seen_words": seen_words(texts_in(settings, known, "target"))}
    fitted = Fitted({"model": made}, facts, assets, batch_rows=BATCH_ROWS)
    watched = data.valid[data.valid["target"].notna()].iloc[:MONITORED]

    def monitor() -> dict[str, float]:
        found = judge(settings, fitted, watched)
        measured = perplexities(watched["target"], found["surprise"], found["subwords"], watched.get("weight"))
        return {"perplexity": point(measured["perplexity"])}

    record = training.fit(
        made,
        lines.rows(),
        stage="writer",
        training=settings.training,
        loss=network.Smoothed(settings.label_smoothing),
        monitor=monitor,
        goal=headline(settings),
        data=data,
    )
    facts["choices"] = [
        {
            "what": "epoch",
            "won": record["best_epoch"],
            "tried": [{"value": record["best_epoch"], "perplexity": record["best"]}],
            "metric": "perplexity",
            "chosen_on": f"{len(watched)} validation rows",
        }
    ]
    facts["meaning"] = {
        "model": {
            "target": "the mark of the start (2), then the subwords of a text by assets/vocabulary.bin, 0 behind them",
            "output_0": "logits of the subword behind each of them",
        }
    }
    return replace(fitted, facts=facts)


def scorer(settings: Translation, fitted: Fitted) -> Score:
    """Go on from each row's beginning; where the row has a text, say how likely it is."""
    vocabulary = text.Vocabulary(bytes(fitted.assets["vocabulary"]))

    def score(table: pd.DataFrame) -> pd.DataFrame:
        found = judge(settings, fitted, table)
        said = written(settings, fitted, vocabulary, rows_of(settings, vocabulary, table).beginnings)
        found.insert(0, "text", [each[0][0] for each in said])
        if settings.alternatives:
            found["alternatives"] = [
                [f"{score:.3f} {other}" for other, score in each[1 : settings.alternatives + 1]] for each in said
            ]
        return found

    return score


def written(
    settings: Translation, fitted: Fitted, vocabulary: text.Vocabulary, beginnings: Sequence[np.ndarray]
) -> list[list[tuple[str, float]]]:
    """How each beginning goes on, the likeliest first, with its score; see `decoding.decoder`."""
    search, predict = searched(settings.scoring), asked(fitted)
    most = settings.scoring.longest or fitted.facts["reading"]["longest"]
    lengths = np.array([len(tokens) for tokens in beginnings], np.intp)
    answers: list[list[tuple[str, float]]] = [[] for _ in beginnings]
    for length in np.unique(lengths):  # those of one length go together: all begin to write at one place
        same = np.flatnonzero(lengths == length)
        given = np.stack([beginnings[place] for place in same]).astype(np.int32)
        found = predict(search, (given, np.full(len(same), most, np.int32)))
        for row, place in enumerate(same):
            both = zip(vocabulary.decode(found["tokens"][row, :, length:]), found["score"][row], strict=True)
            answers[place] = [(line, float(score)) for line, score in both if score > NONE / 2]
    return answers


def judge(settings: Translation, fitted: Fitted, table: pd.DataFrame) -> pd.DataFrame:
    """How unlikely the text of each row is behind its beginning: `surprise` in nats, and its `subwords` with its end;
    missing where there is none."""
    vocabulary = text.Vocabulary(bytes(fitted.assets["vocabulary"]))
    there = table["target"].notna().to_numpy() if "target" in table else np.zeros(len(table), bool)
    begun = rows_of(settings, vocabulary, table[there])
    pieces, owner = cut(begun, settings.longest)
    rows = max(1, min(fitted.batch_rows, TOGETHER // settings.longest))
    working = replace(fitted, forms={"model": _judging(fitted.models["model"])}, batch_rows=rows)

    def arrange(some: Sequence[np.ndarray], length: int) -> tuple[np.ndarray, np.ndarray]:
        given, wanted = (text.padded([piece[:, side] for piece in some], length) for side in (0, 1))
        return given, wanted

    found = pd.DataFrame({"surprise": np.nan, "subwords": pd.array([None] * len(table), "Int64")}, index=table.index)
    if len(pieces):
        nats = text.in_buckets(working.predict, pieces, arrange, rows, settings.longest)[:, 0]
        found.loc[there, "surprise"] = np.bincount(owner, nats.astype(np.float64), minlength=int(there.sum()))
        found.loc[there, "subwords"] = [len(tokens) + 1 for tokens in begun.texts]
    return found


_compiled: WeakKeyDictionary[keras.Model, Callable[[Any], np.ndarray]] = WeakKeyDictionary()


def _judging(model: keras.Model) -> Callable[[Any], np.ndarray]:
    """From tokens and those that follow, each `(texts, length)`, to the surprise of each text, `(texts, 1)`."""
    if model not in _compiled:
        inner = keras.Model(model.inputs[0], model.outputs[0])  # the model must not be held by what it is the key of
        signature = [tf.TensorSpec((None, None), tf.int32)] * 2

        @tf.function(input_signature=signature, autograph=False)
        def run(given: Any, wanted: Any) -> Any:
            logits = inner(given, training=False)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, logits)
            return tf.reduce_sum(tf.where(wanted > 0, losses, 0.0), axis=1, keepdims=True)

        _compiled[model] = lambda batch: run(*map(tf.constant, batch)).numpy()
    return _compiled[model]
