"""The strong simple models that the network is measured against: the same rows learn, choose, calibrate and refit."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from solvent import Data, Refitted
from solvent.solution import Score
from solvent.split import bags

from .decision import calibrate, calibrated, cutoff, decide, outputs, scale, truth
from .settings import Credit
from .woe import learn, transform

__all__ = ["boosting", "woe"]

STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 10.0)  # of logistic regression, the larger the freer
STEPS = (50, 100, 150, 200)  # of boosting
FOLDS = 5  # that every candidate is tried on where the validation rows are refitted on
Design = Callable[[pd.DataFrame], Any]


def woe(settings: Credit, data: Data) -> Score | Refitted:
    """Weight of evidence by optimal binning, then logistic regression: the industry's scorecard."""
    names = [field.name for field in data.schema.features]

    def designs(rows: pd.DataFrame, parts: Sequence[np.ndarray]) -> list[Design]:
        found = learn(rows[names], truth(settings, rows), parts, rows.get("weight"))
        return [lambda table, bins=bins: transform(table, bins) for bins in found]

    models = [LogisticRegression(C=strength, max_iter=1000) for strength in STRENGTHS]
    families = [Family(model, [{}], lambda fitted, seen: [fitted.decision_function(seen)]) for model in models]
    return _fit(settings, data, designs, families)


def boosting(settings: Credit, data: Data) -> Score | Refitted:
    """Gradient boosted trees; leaves and steps are chosen."""
    numbers = [field.name for field in data.schema.features if field.kind == "number"]
    learnt = pd.concat([data.train, data.valid]) if settings.training.refit else data.train
    categories = [field.name for field in data.schema.features if field.kind == "category"]
    levels = {name: learnt[name].value_counts().index[:254].tolist() for name in categories}

    def design(table: pd.DataFrame) -> pd.DataFrame:
        coded = {
            name: pd.Categorical(table[name].where(table[name].isin(known)), categories=known)
            for name, known in levels.items()
        }
        return pd.DataFrame({**{name: table[name].to_numpy() for name in numbers}, **coded})

    def after_some_steps(fitted: Any, seen: Any) -> list[np.ndarray]:
        every = enumerate(fitted.staged_decision_function(seen), start=1)
        return [scores.ravel() for step, scores in every if step in STEPS]

    families = [
        Family(
            HistGradientBoostingClassifier(
                learning_rate=0.05,
                max_iter=STEPS[-1],
                max_leaf_nodes=leaves,
                categorical_features="from_dtype",
                early_stopping=False,  # its own would stop each fold elsewhere
                random_state=data.seed,
            ),
            [{"max_iter": steps} for steps in STEPS],
            after_some_steps,
        )
        for leaves in (4, 15)
    ]
    return _fit(settings, data, lambda _, parts: [design] * len(parts), families)


@dataclass(frozen=True)
class Family:
    """Models that are fitted together: one is fitted, and gives the scores of all.

    Args:
        model: the largest.
        members: the settings of each member, in their order.
        scores: a fitted model and rows as it sees them -> log odds of each member.
    """

    model: Any
    members: Sequence[Mapping[str, Any]]
    scores: Callable[[Any, Any], Iterable[np.ndarray]]


def _fit(
    settings: Credit,
    data: Data,
    designs: Callable[[pd.DataFrame, Sequence[np.ndarray]], list[Design]],
    families: Sequence[Family],
) -> Score | Refitted:
    """Keep the member that orders unseen rows best, calibrate and cut by unseen scores; fit it on all rows learnt from.

    Args:
        designs: all rows, and the parts of them that models learn from -> how each of these models sees a table.
    """
    refit = settings.training.refit
    dealt = bags(data, refit=refit, folds=FOLDS if refit else 1)
    rows, answers, weight = dealt.rows, truth(settings, dealt.rows), dealt.rows.get("weight")
    parts = [np.flatnonzero(seen) for seen in dealt.seen.T] + [dealt.learnt] * refit  # the last one's model is kept
    views, tried = designs(rows, parts), dealt.seen.shape[1]

    def fitted(model: Any, view: Design, part: np.ndarray) -> Any:
        counts = None if weight is None else weight.iloc[part]
        return clone(model).fit(view(rows.iloc[part]), answers[part], sample_weight=counts)

    at = dealt.choosing
    counts = None if weight is None else weight.iloc[at]
    best, logits, highest = None, np.empty(0), -1.0
    for family in families:
        each = [
            family.scores(fitted(family.model, view, part), view(rows))
            for view, part in zip(views[:tried], parts[:tried], strict=True)
        ]
        for member, scores in zip(family.members, zip(*each, strict=True), strict=True):
            unseen = dealt.unseen(np.column_stack(scores), np.arange(len(rows)))
            auc = roc_auc_score(answers[at], unseen[at], sample_weight=counts)
            if auc > highest:
                best, logits, highest = clone(family.model).set_params(**member), unseen, auc
    calibrating = rows.iloc[dealt.calibrating]
    calibration = calibrate(settings, logits[dealt.calibrating], calibrating)
    cut = cutoff(settings, calibrated(calibration, logits[dealt.calibrating]), calibrating, dealt.calibrated_on)
    final = fitted(best, views[-1], parts[-1])

    def scored(index: pd.Index, logits: np.ndarray) -> pd.DataFrame:
        log_odds = calibrated(calibration, logits)
        points = np.rint(scale(settings).points(log_odds)).astype(np.int64)
        return outputs(settings, index, decide(settings, expit(log_odds), points, cut))

    def score(table: pd.DataFrame) -> pd.DataFrame:
        return scored(table.index, final.decision_function(views[-1](table)))

    return Refitted(score, scored(data.valid.index, logits[dealt.valid])) if refit else score
