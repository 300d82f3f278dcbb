"""The strong simple models that the network is measured against, fitted on the same rows."""

from collections.abc import Callable
from typing import Any

import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from solvent import Data
from solvent.solution import Score
from solvent.split import halves

from .decision import calibrate, cutoff, decide, probability, truth
from .settings import Credit
from .woe import learn, transform

__all__ = ["boosting", "woe"]

Design = Callable[[pd.DataFrame], Any]


def woe(settings: Credit, data: Data) -> Score:
    """Weight of evidence by optimal binning, then logistic regression: the industry's scorecard."""
    features = data.train[[field.name for field in data.schema.features]]
    bins = learn(features, truth(settings, data.train), data.train.get("weight"))
    candidates = [LogisticRegression(C=strength, max_iter=1000) for strength in (0.01, 0.1, 1.0, 10.0)]
    return _fit(settings, data, lambda table: transform(table, bins), candidates)


def boosting(settings: Credit, data: Data) -> Score:
    """Gradient boosted trees; depth and steps chosen on validation rows."""
    numbers = [field.name for field in data.schema.features if field.kind == "number"]
    levels = {field.name: list(field.levels or ())[:254] for field in data.schema.features if field.kind == "category"}

    def design(table: pd.DataFrame) -> pd.DataFrame:
        coded = {
            name: pd.Categorical(table[name].where(table[name].isin(known)), categories=known)
            for name, known in levels.items()
        }
        return pd.DataFrame({**{name: table[name].to_numpy() for name in numbers}, **coded})

    candidates = [
        HistGradientBoostingClassifier(
            learning_rate=0.05,
            max_iter=steps,
            max_leaf_nodes=leaves,
            categorical_features="from_dtype",
            random_state=data.seed,
        )
        for leaves in (4, 15)
        for steps in (50, 100, 200)
    ]
    return _fit(settings, data, design, candidates)


def _fit(settings: Credit, data: Data, design: Design, candidates: list[Any]) -> Score:
    """Fit every candidate, keep the best on one half of the validation rows, calibrate and cut on the other."""
    choosing, rest = halves(data.valid, data.schema, data.seed)
    rows, defaulted = design(data.train), truth(settings, data.train)
    fitted = [candidate.fit(rows, defaulted, sample_weight=data.train.get("weight")) for candidate in candidates]
    chosen_on, answers = design(choosing), truth(settings, choosing)
    own = choosing.get("weight")
    best = max(fitted, key=lambda model: roc_auc_score(answers, model.decision_function(chosen_on), sample_weight=own))
    logits = best.decision_function(design(rest))
    calibrated = calibrate(settings, logits, rest)
    cut = cutoff(settings, probability(logits, calibrated), rest)

    def score(table: pd.DataFrame) -> pd.DataFrame:
        return decide(settings, table.index, probability(best.decision_function(design(table)), calibrated), cut)

    return score
