"""The strong simple model that the network is measured against, fitted on the same rows."""

import warnings

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from solvent import Data, finetune
from solvent.solution import Score
from solvent.split import halves

from .answers import GOAL, Answers
from .settings import Vision

__all__ = ["chances", "logistic", "regression"]

STRENGTHS = (0.001, 0.01, 0.1, 1.0)


def logistic(settings: Vision, data: Data) -> Score:
    """Logistic regression on the backbone's frozen features, or on small pixels; C chosen on validation rows."""
    choosing, rest = halves(data.valid, data.schema, data.seed)
    answers = Answers(settings, list(data.schema.targets[0].levels))
    every = pd.concat([data.train, choosing, rest])
    found = finetune.frozen_features(settings, list(every["image"]), data.seed)
    features = dict(
        zip(("train", "choosing", "rest"), np.split(found, np.cumsum([len(data.train), len(choosing)])), strict=True)
    )
    truth, measure = answers.targets(data.train), answers.measure(choosing)
    fitted = [regression(strength, features["train"], truth, answers.several) for strength in STRENGTHS]
    best = min(fitted, key=lambda model: measure(_logits(model, features["choosing"], answers))[GOAL.metric])
    facts = answers.calibrated(_logits(best, features["rest"], answers), rest)

    def score(table: pd.DataFrame) -> pd.DataFrame:
        found = finetune.frozen_features(settings, list(table["image"]), data.seed)
        return answers.outputs(table.index, facts, _logits(best, found, answers))

    return score


def regression(strength: float, features: np.ndarray, truth: np.ndarray, several: bool) -> Pipeline:
    """Scaled features, then logistic regression.

    Args:
        truth: 0 or 1, shape `(rows, classes)`.
    """
    model = LogisticRegression(C=strength, max_iter=300)
    pipeline = make_pipeline(StandardScaler(), OneVsRestClassifier(model) if several else model)
    with warnings.catch_warnings():
        # Weakly bound pixels may need thousands of steps; where it stops is one more candidate, judged like the others.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return pipeline.fit(features, truth if several else truth.argmax(axis=1))


def chances(model: Pipeline, features: np.ndarray, classes: int) -> np.ndarray:
    """The probability of each class, shape `(rows, classes)`; that of one without a training row is 0."""
    found = np.zeros((len(features), classes))
    found[:, model.classes_] = model.predict_proba(features)
    return found


def _logits(model: Pipeline, features: np.ndarray, answers: Answers) -> np.ndarray:
    chance = np.clip(chances(model, features, len(answers.classes)), 1e-12, 1 - 1e-12)
    return np.log(chance) - np.log1p(-chance) if answers.several else np.log(chance)
