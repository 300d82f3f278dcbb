"""The strong simple models that the networks are measured against: the same machines learn, choose and calibrate."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from solvent import Data, Refitted
from solvent.solution import Score

from .answers import shares
from .lives import measured
from .model import Learning, scoring
from .reading import Rows
from .settings import Maintenance

__all__ = ["boosting", "mean", "statistics"]

Estimate = Callable[[Rows, np.ndarray], np.ndarray]  # rows and positions -> cycles


def mean(settings: Maintenance, data: Data) -> Score | Refitted:
    """The mean remaining life, up to the cap, of the rows that machines are measured at; each machine counts as one."""
    learning = Learning.of(settings, data)

    at = measured(settings, learning.dealt.rows)

    def fit(learnt: np.ndarray) -> Estimate:
        rows = at[np.isin(at, learnt)]
        weight = shares(learning.dealt.rows["machine"].iloc[rows], 1)
        value = float(np.average(learning.life[rows], weights=weight))
        return lambda table, positions: np.full(len(positions), value)

    return _finished(learning, fit)


def boosting(settings: Maintenance, data: Data) -> Score | Refitted:
    """Gradient boosted trees on the window's last values, means, deviations and slopes, and its length."""
    learning = Learning.of(settings, data)

    def fit(learnt: np.ndarray) -> Estimate:
        trees = HistGradientBoostingRegressor(
            max_iter=100, learning_rate=0.1, max_leaf_nodes=15, min_samples_leaf=40, random_state=data.seed
        )
        trees.fit(statistics(learning.rows, learnt), learning.life[learnt])
        return lambda table, positions: trees.predict(statistics(table, positions))

    return _finished(learning, fit)


def statistics(rows: Rows, positions: np.ndarray) -> np.ndarray:
    """What is known of windows in a few numbers, shape `(positions, 4 * sensors + 1)`."""
    return np.concatenate([np.zeros((0, 4 * rows.values.shape[1] + 1)), *map(_statistics, rows.batches(positions))])


def _statistics(windows: np.ndarray) -> np.ndarray:
    values, there = windows[..., :-1], windows[..., -1:]
    count = there.sum(axis=1)
    middle = values.sum(axis=1) / count
    apart = (values - middle[:, None]) * there
    deviation = np.sqrt((apart**2).sum(axis=1) / count)
    time = np.arange(windows.shape[1], dtype=np.float32)[None, :, None]
    since = (time - (time * there).sum(axis=1, keepdims=True) / count[:, None]) * there
    slope = (since * apart).sum(axis=1) / np.maximum((since**2).sum(axis=1), 1)
    return np.concatenate([values[:, -1], middle, deviation, slope, count], axis=1)


def _finished(learning: Learning, fit: Callable[[np.ndarray], Estimate]) -> Score | Refitted:
    """A rival like the networks: one for each fold that is left out, their mean scores, unseen machines calibrate."""
    settings, rows = learning.settings, learning.rows
    members = [fit(learning.learnt_by(member)) for member in range(settings.members)]

    def estimates(table: Rows, positions: np.ndarray) -> np.ndarray:
        return np.column_stack([member(table, positions) for member in members])

    errors = learning.errors(np.clip(estimates(rows, learning.at), 0, learning.longest))

    def estimate(table: pd.DataFrame, positions: np.ndarray) -> np.ndarray:
        return np.clip(estimates(learning.reader.read(table), positions), 0, learning.longest).mean(axis=1)

    score = scoring(settings, errors, estimate)
    if not settings.training.refit:
        return score
    return Refitted(score, learning.valid(errors, lambda positions: estimates(rows, positions)))
