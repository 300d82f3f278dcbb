"""Fit a network to texts and calibrate it; score texts with it."""

import pandas as pd
from scipy.special import softmax

from solvent import Data, Fitted, training
from solvent.labels import codes
from solvent.metrics import multiclass, point
from solvent.schema import Schema
from solvent.solution import JSON, Score
from solvent.split import halves
from solvent.words import seen_words

from . import abstaining, agreeing, answers, networks, order, reading, suspects
from .settings import Sentiment, headline
from .texts import joined

__all__ = ["fit", "outside", "recalibrate", "scorer"]


def outside(settings: Sentiment) -> dict[str, str]:
    """The hash of the pretrained encoder, which has to be had."""
    if settings.encoder is None:
        return {}
    from . import pretrained

    return {"encoder.preset": pretrained.sha256(settings.encoder)}


def fit(settings: Sentiment, data: Data) -> Fitted:
    """Dropout and epochs are chosen on one half of the validation rows; the temperature, and under which confidence it
    abstains, on the other."""
    choosing, rest = halves(data.valid, data.schema, data.seed)
    classes = list(data.schema.targets[0].levels)
    order.check(settings, classes)
    texts, labels = joined(data.train), codes(data.train, classes)
    weights = training.row_weights(data.train, labels, classes, settings.training)
    reader, read = reading.learnt(settings, texts, labels, weights, len(classes))
    rows = reader.rows(read, labels, weights)
    if settings.agreement:
        rows = agreeing.twice(rows)
    chosen_on, truth = reader.read(joined(choosing)), codes(choosing, classes)

    def candidate(dropout: float) -> training.Candidate:
        fitted = Fitted(
            {"model": networks.build(settings, reader, dropout, len(classes))}, batch_rows=reader.batch_rows
        )

        def monitor() -> dict[str, float]:
            logits = reader.logits(fitted.predict, chosen_on)
            chance = softmax(logits, axis=1)
            measured = multiclass(truth, chance, logits.argmax(axis=1), choosing.get("weight"))
            return {name: point(measured[name]) for name in ("accuracy", "log_loss")}

        record = training.fit(
            fitted.models["model"],
            rows,
            stage=f"dropout-{dropout:g}",
            training=settings.training,
            loss=networks.loss(settings),
            monitor=monitor,
            goal=headline(settings),
            data=data,
            factors=networks.factors(settings, fitted.models["model"]),
        )
        return fitted, record

    won, choice = training.choose("dropout", settings.dropout, candidate, headline(settings))
    facts = {
        **answers.calibrated(settings, classes, reader.logits(won.predict, reader.read(joined(rest))), rest),
        "choices": [choice],
        "seed": data.seed,
        "meaning": {"model": reader.meaning(classes)},
    }
    return Fitted(
        won.models,
        facts,
        {**reader.assets(), "seen_words": seen_words(texts)},
        findings=(*abstaining.findings(settings, facts), *suspects.findings(settings, data)),
        batch_rows=reader.batch_rows,
        personal=frozenset({"report.html"}),  # shows texts of the test rows
    )


def recalibrate(settings: Sentiment, fitted: Fitted, schema: Schema, valid: pd.DataFrame) -> dict[str, JSON]:
    """Temperature and operating point by the rows that set them in `fit`, for another network."""
    _, rest = halves(valid, schema, fitted.facts["seed"])
    reader = reading.loaded(settings, fitted.assets)
    logits = reader.logits(fitted.predict, reader.read(joined(rest)))
    return answers.calibrated(settings, fitted.facts["classes"], logits, rest)


def scorer(settings: Sentiment, fitted: Fitted) -> Score:
    """Score checked texts: tokens or n-grams, logits, calibrated probabilities, the most probable class."""
    reader = reading.loaded(settings, fitted.assets)

    def score(table: pd.DataFrame) -> pd.DataFrame:
        logits = reader.logits(fitted.predict, reader.read(joined(table)))
        return answers.outputs(settings, fitted.facts, table.index, logits)

    return score
