"""From log odds to points, a probability and a decision: the same for the network and its rivals."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.special import expit

from solvent import Finding, Refused
from solvent.metrics import calibration, operating_point, row_weights
from solvent.wording import listed

from .profit import amounts
from .scorecard import Scale
from .settings import DECISIONS, Credit

__all__ = ["calibrate", "calibrated", "checks", "chosen_words", "cutoff", "decide", "outputs", "scale", "truth"]

log = logging.getLogger("solvent")


def truth(settings: Credit, rows: pd.DataFrame) -> np.ndarray:
    """1 where a loan defaulted, 0 where it was repaid, shape `(rows,)`.

    Raises:
        Refused: if `settings.positive` is no class of the target, or there are not two.
    """
    classes = sorted(rows["target"].unique())
    if len(classes) > 2 or (len(classes) == 2 and settings.positive not in classes):
        raise Refused(
            f"settings.positive is {settings.positive!r}, and the target's classes are {listed(classes, 5)}: "
            "credit needs two classes, and positive names the one that means default."
        )
    return (rows["target"] == settings.positive).to_numpy(np.int64)


def checks(settings: Credit, rows: pd.DataFrame) -> list[Finding]:
    """Refuse before training what profit can't be counted by."""
    amounts(rows)
    return []


def calibrate(settings: Credit, logits: np.ndarray, rows: pd.DataFrame) -> dict[str, Any]:
    """Learn how a model's log odds become calibrated ones: affine, so that points can say it."""
    if settings.calibration == "none":
        return {"kind": "platt", "slope": 1.0, "intercept": 0.0}
    return calibration.fit_platt(logits, truth(settings, rows), rows.get("weight"))


def calibrated(found: dict[str, Any], logits: np.ndarray) -> np.ndarray:
    """Calibrated log odds of default, shape `(rows,)`."""
    return found["slope"] * np.asarray(logits, np.float64).reshape(-1) + found["intercept"]


def scale(settings: Credit) -> Scale:
    return Scale(settings.base_points, settings.points_to_double_odds)


def cutoff(settings: Credit, log_odds: np.ndarray, rows: pd.DataFrame, chosen_on: str) -> dict[str, Any]:
    """The cut-off of most profit, and the class of the loans below it.

    Args:
        log_odds: calibrated, by models that have not seen the rows.
        chosen_on: the rows in words.
    """
    profit = settings.profit
    found = operating_point.by_cost(
        truth(settings, rows),
        expit(log_odds),
        profit.repaid - profit.refused_good,
        profit.refused_bad - profit.defaulted,
        weight=row_weights(rows.get("weight"), len(rows)) * amounts(rows),
        chosen_on=chosen_on,
    )
    found |= {"rule": f"most profit ({', '.join(f'{name} {each:g}' for name, each in profit.model_dump().items())})"}
    if "amount" in rows:
        found |= {"sensitivity_specificity_and_cost_count": "loans by their amount"}
    if found["sensitivity"] == 1 and found["specificity"] == 0:
        log.warning("The cut-off of most profit refuses every loan: look at settings.profit.")
    if settings.scoring.cutoff is not None:
        found = {"rule": "given as scoring.cutoff", "value": settings.scoring.cutoff, "chosen_on": "no rows", "rows": 0}
    return {**found, "negative": next(name for name in rows["target"].unique() if name != settings.positive)}


def decide(settings: Credit, probability: np.ndarray, points: np.ndarray, cut: dict[str, Any]) -> dict[str, Any]:
    """The declared outputs but for the reasons.

    Args:
        points: whole numbers, shape `(rows,)`. They decide: every engine compares them alike.
        cut: the operating point.
    """
    value = cut["value"] if settings.scoring.cutoff is None else settings.scoring.cutoff
    refused = points <= scale(settings).highest_refused(value)
    return {
        "probability": probability,
        "points": points,
        "class": chosen_words((cut["negative"], settings.positive), refused),
        "decision": chosen_words(DECISIONS, refused),
    }


def outputs(settings: Credit, index: pd.Index, decided: Mapping[str, Any], reasons: Sequence[Any] = ()) -> pd.DataFrame:
    """The declared outputs; a reason that is not given is null."""
    nothing = chosen_words([None], np.zeros(len(index)))
    names = [f"reason_{number}" for number in range(1, settings.reasons + 1)]
    return pd.DataFrame({**decided, **dict.fromkeys(names, nothing), **dict(zip(names, reasons, strict=False))}, index)


def chosen_words(words: Sequence[str | None], numbers: np.ndarray) -> Any:
    """Words by their numbers, as pandas holds strings: no cell becomes a Python object.

    Args:
        numbers: whole numbers or booleans, shape `(rows,)`.
    """
    taken = pa.array(words, pa.large_string()).take(pa.array(np.asarray(numbers, np.int64)))
    return pd.StringDtype(na_value=np.nan).__from_arrow__(taken)
