"""From log odds to a calibrated probability and a decision: the same for the network and its rivals."""

from typing import Any

import numpy as np
import pandas as pd

from solvent import Refused
from solvent.metrics import calibration, operating_point

from .settings import Credit

UNCALIBRATED = {"kind": "platt", "slope": 1.0, "intercept": 0.0}

__all__ = ["calibrate", "cutoff", "decide", "probability", "truth"]


def truth(settings: Credit, rows: pd.DataFrame) -> np.ndarray:
    """1 where a loan defaulted, 0 where it was repaid, shape `(rows,)`.

    Raises:
        Refused: if `settings.positive` is no class of the target, or there are not two.
    """
    classes = sorted(rows["target"].unique())
    if len(classes) > 2 or (len(classes) == 2 and settings.positive not in classes):
        raise Refused(
            f"settings.positive is {settings.positive!r}, and the target's classes are {', '.join(classes)}: "
            "credit needs two classes, and positive names the one that means default."
        )
    return (rows["target"] == settings.positive).to_numpy(np.int64)


def calibrate(settings: Credit, logits: np.ndarray, rows: pd.DataFrame) -> dict[str, Any]:
    """Learn on rows that chose nothing how log odds become probabilities."""
    defaulted, weight = truth(settings, rows), rows.get("weight")
    if settings.calibration == "platt":
        return calibration.fit_platt(np.asarray(logits).reshape(-1), defaulted, weight)
    if settings.calibration == "isotonic":
        return calibration.fit_isotonic(probability(logits), defaulted, weight)
    return UNCALIBRATED


def probability(logits: np.ndarray, calibrated: dict[str, Any] | None = None) -> np.ndarray:
    """Probability of default, shape `(rows,)`, uncalibrated where nothing is given."""
    return calibration.apply(calibrated or UNCALIBRATED, np.asarray(logits, np.float64).reshape(-1))


def cutoff(settings: Credit, chance: np.ndarray, rows: pd.DataFrame) -> dict[str, Any]:
    """The cut-off of least cost, and the class of the loans below it."""
    found = operating_point.by_cost(
        truth(settings, rows),
        chance,
        settings.cost_refusal,
        settings.cost_default,
        weight=rows.get("weight"),
        chosen_on="validation rows, calibrating half",
    )
    if settings.scoring.cutoff is not None:
        found = {"rule": "given as scoring.cutoff", "value": settings.scoring.cutoff, "chosen_on": "no rows", "rows": 0}
    return {**found, "negative": next(name for name in rows["target"].unique() if name != settings.positive)}


def decide(settings: Credit, index: pd.Index, chance: np.ndarray, cut: dict[str, Any]) -> pd.DataFrame:
    """The declared outputs."""
    value = cut["value"] if settings.scoring.cutoff is None else settings.scoring.cutoff
    over = chance >= value
    columns = {
        "probability": chance,
        "class": np.where(over, settings.positive, cut["negative"]),
        "decision": np.where(over, "refuse", "approve"),
    }
    return pd.DataFrame(columns, index=index)
