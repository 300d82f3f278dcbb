"""The strong simple model that the network is measured against, fitted on the same rows."""

from functools import partial

import pandas as pd

from solvent import Data, linear
from solvent.linear import FOLDS
from solvent.solution import Score
from solvent.split import halves, parts

from .answers import Answers
from .settings import Vision

__all__ = ["logistic"]


def logistic(settings: Vision, data: Data) -> Score:
    """Logistic regression on the backbone's frozen features, or on small pixels; C chosen by folds of training rows."""
    choosing, rest = halves(data.valid, data.schema, data.seed)
    answers = Answers(settings, list(data.schema.targets[0].levels))
    folds = partial(parts, data.train, data.schema, FOLDS, data.seed)
    logits = linear.learn(settings, answers.task(data.train, choosing), data.seed, folds)
    facts = answers.calibrated(logits(list(rest["image"])), rest)

    def score(table: pd.DataFrame) -> pd.DataFrame:
        return answers.outputs(table.index, facts, logits(list(table["image"])))

    return score
