"""From logits to the declared outputs: calibrated, and abstaining where they are too unsure."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from solvent import labels
from solvent.metrics import calibration

from . import abstaining, order
from .settings import Sentiment

__all__ = ["calibrated", "outputs"]


def calibrated(settings: Sentiment, classes: list[str], logits: np.ndarray, rows: pd.DataFrame) -> dict[str, Any]:
    """What turns logits into outputs: facts of a bundle.

    Args:
        logits: shape `(rows, classes)`.
        rows: that chose nothing else.
    """
    truth = labels.codes(rows, classes)
    found = calibration.fit_temperature(logits, truth, rows.get("weight"))
    point = abstaining.chosen(settings, truth, calibration.apply(found, logits), rows.get("group"))
    return {"classes": classes, "calibration": found, **point}


def outputs(settings: Sentiment, facts: Mapping[str, Any], index: pd.Index, logits: np.ndarray) -> pd.DataFrame:
    """The declared outputs of each row."""
    chance = calibration.apply(facts["calibration"], logits)
    found = labels.outputs(index, facts["classes"], chance)
    if settings.order is not None:
        found["expected"] = order.expected(settings, facts["classes"], chance)
    if settings.target_precision is not None:
        found["abstain"] = abstaining.abstains(settings, facts, chance)
    return found
