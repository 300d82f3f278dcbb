"""The first model: hashed n-grams, a layer of dropout, one dense layer; calibrated by a temperature."""

from collections.abc import Iterator

import keras
import numpy as np
import pandas as pd
import scipy.sparse

from solvent import Data, Fitted, training
from solvent.labels import codes, outputs
from solvent.metrics import calibration, multiclass, point
from solvent.solution import Score
from solvent.split import halves

from .ngrams import counts, inverse_document_frequency, weigh
from .settings import Sentiment, headline

__all__ = ["fit", "scorer"]

BATCH_ROWS = 64


def fit(settings: Sentiment, data: Data) -> Fitted:
    """Dropout and epochs are chosen on one half of the validation rows, the temperature on the other."""
    choosing, rest = halves(data.valid, data.schema, data.seed)
    classes = list(data.schema.targets[0].levels)
    found = counts(settings, data.train["text"])
    weights = inverse_document_frequency(found)
    features, labels = weigh(found, weights), codes(data.train, classes)
    row_weights = training.row_weights(data.train, labels, classes, settings.training)
    chosen_on, answers = weigh(counts(settings, choosing["text"]), weights), codes(choosing, classes)
    rows = training.Rows(features.shape[0], lambda at: (features[at].toarray(), labels[at], row_weights[at]))

    def candidate(dropout: float) -> training.Candidate:
        fitted = Fitted({"model": _build(settings, dropout, len(classes))}, batch_rows=BATCH_ROWS)

        def monitor() -> dict[str, float]:
            logits = fitted.predict(_batches(chosen_on))
            chance = keras.ops.softmax(logits).numpy()
            measured = multiclass(answers, chance, logits.argmax(axis=1), choosing.get("weight"))
            return {name: point(measured[name]) for name in ("accuracy", "log_loss")}

        record = training.fit(
            fitted.models["model"],
            rows,
            stage=f"dropout-{dropout:g}",
            training=settings.training,
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            monitor=monitor,
            goal=headline(settings),
            data=data,
        )
        return fitted, record

    won, choice = training.choose("dropout", settings.dropout, candidate, headline(settings))
    logits = won.predict(_batches(weigh(counts(settings, rest["text"]), weights)))
    facts = {
        "classes": classes,
        "calibration": calibration.fit_temperature(logits, codes(rest, classes), rest.get("weight")),
        "choices": [choice],
    }
    return Fitted(won.models, facts, {"inverse_document_frequency": weights}, batch_rows=BATCH_ROWS)


def _build(settings: Sentiment, dropout: float, classes: int) -> keras.Model:
    inputs = keras.Input((2 * (settings.buckets // 2),), name="ngrams")
    kept = keras.layers.Dropout(dropout)(inputs)
    logits = keras.layers.Dense(classes, kernel_initializer="zeros", dtype="float32", name="classes")(kept)
    return keras.Model(inputs, logits, name="ngram_classifier")


def _batches(features: scipy.sparse.csr_matrix) -> Iterator[np.ndarray]:
    """Dense pieces of a matrix that would not fit in memory as a whole."""
    return (features[at : at + BATCH_ROWS].toarray() for at in range(0, features.shape[0], BATCH_ROWS))


def scorer(settings: Sentiment, fitted: Fitted) -> Score:
    """Score checked texts: n-grams, logits, calibrated probabilities, the most probable class."""
    weights = np.asarray(fitted.assets["inverse_document_frequency"])

    def score(table: pd.DataFrame) -> pd.DataFrame:
        logits = fitted.predict(_batches(weigh(counts(settings, table["text"]), weights)))
        return outputs(table.index, fitted.facts["classes"], calibration.apply(fitted.facts["calibration"], logits))

    return score
