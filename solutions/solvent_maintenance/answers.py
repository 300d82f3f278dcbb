"""From an estimate to an interval, the probability of a failure and an alarm, by errors on machines that were not seen.

Errors are measured in units of how large they usually are at such an estimate, which is learnt from some machines; how
far they reach is then read off other machines. A machine has several rows among them, each of which counts as its share
of the machine, and one more machine with boundless errors counts too.

With `training.refit: false` that is split conformal prediction: the other machines chose nothing, and the networks that
score are those whose errors were measured. So the promise holds for a row of a new machine, if machines are
exchangeable. With `refit: true` errors are out-of-fold, of one network each, and the mean of all scores: that promises
nothing, and was only measured (README).

Source: Lei et al., Distribution-Free Predictive Inference for Regression, 2018 (errors in units of their usual size);
Lee, Barber and Willett, Distribution-Free Inference with Hierarchical Data, 2023 (several rows of a machine).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from solvent import Finding
from solvent.solution import JSON

from .lives import TOLERANCE
from .settings import Maintenance

__all__ = ["Errors", "answers", "calibrated", "findings", "shares"]

BANDS = 6  # of estimates, each of equally many rows, whose errors have their own usual size
SMALLEST = 0.02  # of the largest estimate: no band's errors are taken to be smaller


@dataclass(frozen=True)
class Errors:
    """How far the truth lies from estimates.

    Args:
        at: estimates in rising order, shape `(bands,)`; between them `usual` is interpolated.
        usual: the mean size of errors there, shape `(bands,)`.
        scaled: truth less estimate, in units of its usual size, of machines that calibrate; rising, `(rows,)`.
        share: of each of these rows in a machine more than there are, so that they sum to less than 1.
        reach: size of the scaled errors that the promise needs; infinite where there are too few machines.
    """

    at: np.ndarray
    usual: np.ndarray
    scaled: np.ndarray
    share: np.ndarray
    reach: float

    def size(self, estimate: np.ndarray) -> np.ndarray:
        return np.interp(estimate, self.at, self.usual)

    def chance_within(self, estimate: np.ndarray, limit: float) -> np.ndarray:
        """The probability that the truth is at most `limit`, in (0, 1), shape `(rows,)`.

        Between two errors it is interpolated; the one machine more fails on either side alike.
        """
        below = np.cumsum(self.share)
        middle = below - self.share / 2 + (1 - below[-1]) / 2
        return np.interp((limit - estimate) / self.size(estimate), self.scaled, middle)

    def table(self) -> np.ndarray:
        """What the bundle keeps of the scaled errors, shape `(rows, 2)`."""
        return np.column_stack([self.scaled, self.share])

    def to_json(self) -> dict[str, JSON]:
        reach = None if np.isinf(self.reach) else self.reach
        return {"at": self.at.tolist(), "usual": self.usual.tolist(), "reach": reach}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any], table: np.ndarray) -> "Errors":
        reach = np.inf if facts["reach"] is None else facts["reach"]
        return cls(np.array(facts["at"]), np.array(facts["usual"]), table[:, 0], table[:, 1], reach)


def shares(machine: pd.Series, machines: int) -> np.ndarray:
    """What each row counts, shape `(rows,)`: a machine counts as one of so many, whatever its rows."""
    return (1 / machine.groupby(machine).transform("size") / machines).to_numpy(np.float64)


def calibrated(
    settings: Maintenance, machine: pd.Series, estimate: np.ndarray, truth: np.ndarray, learns: np.ndarray
) -> Errors:
    """Learn the usual size of errors from some machines, and how far they reach from the others.

    Args:
        machine: of each row, shape `(rows,)`.
        estimate: by models that had not seen the machine.
        truth: remaining life up to the cap.
        learns: the rows of the machines that the size is learnt from; the others calibrate.
    """
    at, usual = _sizes(machine[learns], estimate[learns], np.abs(truth - estimate)[learns])
    rest = ~learns
    scaled = ((truth - estimate) / np.interp(estimate, at, usual))[rest]
    share = shares(machine[rest], machine[rest].nunique() + 1)
    rising = np.argsort(scaled, kind="stable")
    by_size = np.argsort(np.abs(scaled), kind="stable")
    held = np.cumsum(share[by_size])
    place = int(np.searchsorted(held, settings.coverage - 1e-9))
    reach = float(np.abs(scaled)[by_size[place]]) if place < len(held) else np.inf
    return Errors(at, usual, scaled[rising], share[rising], reach)


def _sizes(machine: pd.Series, estimate: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean estimate and mean size of the errors, in bands of equally many rows."""
    rising = np.argsort(estimate, kind="stable")
    bands = np.array_split(rising, max(1, min(BANDS, len(rising) // 20)))
    weight = shares(machine, 1)
    at = np.array([np.average(estimate[band], weights=weight[band]) for band in bands])
    usual = np.array([np.average(size[band], weights=weight[band]) for band in bands])
    least = max(SMALLEST * float(estimate.max()), TOLERANCE)
    at, first = np.unique(at, return_index=True)  # equal estimates, as a constant gives them, are one band
    return at, np.maximum(usual[first], least)


def answers(settings: Maintenance, errors: Errors, index: pd.Index, estimate: np.ndarray) -> pd.DataFrame:
    """The declared outputs.

    Args:
        estimate: of the remaining life in cycles, shape `(rows,)`.
    """
    scoring = settings.scoring
    estimate = np.clip(estimate.astype(np.float64), 0, settings.cap)
    reach = errors.reach * errors.size(estimate)
    chance = errors.chance_within(estimate, scoring.horizon)
    return pd.DataFrame(
        {
            "prediction": estimate,
            "low": np.maximum(estimate - reach, 0),
            "high": np.minimum(estimate + reach, settings.cap),
            "probability": chance,
            "alarm": chance * scoring.missed_failure > estimate * scoring.early_cycle,
        },
        index=index,
    )


def findings(settings: Maintenance, errors: Errors) -> tuple[Finding, ...]:
    """A word where there are too few machines for the promise."""
    if not np.isinf(errors.reach):
        return ()
    needed = int(np.ceil(round(settings.coverage / (1 - settings.coverage), 9)))
    return (
        Finding(
            name="too_few_machines",
            severity="warning",
            message=f"Intervals that hold {settings.coverage:.0%} need at least {needed} machines that calibrate, "
            "and there are fewer: each reaches from 0 to the cap.",
            cure="Give more machines, or promise less: settings.coverage.",
        ),
    )
