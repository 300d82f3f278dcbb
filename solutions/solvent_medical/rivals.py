"""What the network is measured against, fitted on the same images and calibrated on the same patients."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from solvent import Data, linear
from solvent.linear import FOLDS
from solvent.solution import Score
from solvent.split import halves, parts

from . import patients
from .answers import Answers, answers, shown, task
from .settings import Medical

__all__ = ["logistic", "prevalence"]

Logits = Callable[[list[Any]], np.ndarray]


def logistic(settings: Medical, data: Data) -> Score:
    """Logistic regression on the backbone's frozen features, or on small pixels; C by folds of training patients."""
    choosing, rest = halves(data.valid, data.schema, data.seed)
    asked = answers(settings, data.schema.targets[0].levels or ())
    learnt = task(settings, asked, data.train, choosing, data.schema, data.seed)
    folds = partial(parts, shown(settings, data.train, data.seed), data.schema, FOLDS, data.seed)
    return _scorer(settings, asked, rest, linear.learn(settings, learnt, data.seed, folds))


def prevalence(settings: Medical, data: Data) -> Score:
    """The shares of the training patients for everybody: what is known without looking."""
    _, rest = halves(data.valid, data.schema, data.seed)
    asked = answers(settings, data.schema.targets[0].levels or ())
    share = np.nanmean(asked.targets(patients.cases(settings, data.train)), axis=0)
    share = np.clip(share, 1e-6, 1 - 1e-6)
    logit = np.log(share) - (np.log1p(-share) if asked.several else 0)
    return _scorer(settings, asked, rest, lambda cells: np.tile(logit, (len(cells), 1)))


def _scorer(settings: Medical, asked: Answers, rest: pd.DataFrame, logits: Logits) -> Score:
    def of_patients(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        cells, patient, own = patients.images_of(table)
        return patients.combined(settings, logits(cells), patient), own

    calibrating = patients.cases(settings, rest)
    facts = asked.fit(calibrating, of_patients(calibrating)[0])

    def score(table: pd.DataFrame) -> pd.DataFrame:
        found, own = of_patients(table)
        return asked.answer(facts, found).iloc[own].set_axis(table.index)

    return score
