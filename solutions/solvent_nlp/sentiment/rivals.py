"""The strong simple model that the network is measured against, fitted on the same rows."""

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union

from solvent import Data
from solvent.labels import codes, outputs
from solvent.metrics import calibration
from solvent.solution import Score
from solvent.split import halves

from .settings import Sentiment

__all__ = ["logistic"]

STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)


def logistic(settings: Sentiment, data: Data) -> Score:
    """TF-IDF of words and of characters inside words, then logistic regression; C chosen on validation rows."""
    choosing, rest = halves(data.valid, data.schema, data.seed)
    classes = list(data.schema.targets[0].levels)
    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b"),
        TfidfVectorizer(ngram_range=settings.characters, analyzer="char_wb", sublinear_tf=True, min_df=2),
    )
    rows, chosen_on = features.fit_transform(data.train["text"]), features.transform(choosing["text"])
    labels, answers = codes(data.train, classes), codes(choosing, classes)
    own, theirs = data.train.get("weight"), choosing.get("weight")
    fitted = [LogisticRegression(C=strength, solver="newton-cg").fit(rows, labels, own) for strength in STRENGTHS]
    best = make_pipeline(features, max(fitted, key=lambda model: model.score(chosen_on, answers, theirs)))
    calibrated = calibration.fit_temperature(
        np.log(best.predict_proba(rest["text"])), codes(rest, classes), rest.get("weight")
    )

    def score(table: pd.DataFrame) -> pd.DataFrame:
        chance = np.log(best.predict_proba(table["text"]))
        return outputs(table.index, classes, calibration.apply(calibrated, chance))

    return score
