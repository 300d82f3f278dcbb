"""From a distance to an answer: a score from 0 to 1, good or bad, and how many good parts look as odd.

All of it is fitted on validation parts, which chose nothing of the network, and lives in the bundle's facts and assets.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from solvent import Finding, Refused
from solvent.metrics import operating_point
from solvent.wording import many

from .settings import Inspection

__all__ = ["BAD", "GOOD", "fit", "is_bad", "lots", "outputs", "refuse_too_few"]

GOOD, BAD = "good", "bad"
CHOSEN_ON = "validation parts, which chose nothing"


def is_bad(settings: Inspection, rows: pd.DataFrame) -> np.ndarray:
    """Whether each part has a label that is none of the good ones, bool, shape `(rows,)`."""
    return ~rows["label"].isin(settings.good).to_numpy(bool)


def fit(settings: Inspection, distance: np.ndarray, bad: np.ndarray, in_lots: bool) -> dict[str, Any]:
    """What turns distances into answers.

    Args:
        distance: of the validation parts, shape `(parts,)`.
        bad: whether each is.
        in_lots: whether parts come in groups. A threshold by false alarms lies where it would without them, but no
            confidence is stated: that counts parts as independent, which those of a lot are not.

    Returns:
        `half`, the distance that gets the score 0.5: that of the usual good part; the distances of the `good` ones, in
        their order; and the operating point.
    """
    good = distance[~bad]
    facts = {"half": max(float(np.median(good)), 1e-12), "good": good.tolist()}
    point = _point(settings, _scores(distance, facts), bad)
    if in_lots and point.pop("confidence", None):
        point["rule"] = f"specificity of {point['target']:g}, parts counted one by one; of a new lot no promise"
    return {**facts, "operating_point": point}


def refuse_too_few(settings: Inspection, bad: np.ndarray) -> None:
    """Refuse a threshold that so few validation parts can't give, before anything is trained."""
    _point(settings, np.full(len(bad), 0.5), bad)


def lots(settings: Inspection, source: str, lot: pd.Series, facts: Mapping[str, Any]) -> Finding:
    """What a promise about false alarms leaves open where parts come in lots.

    Args:
        source: the user's name of the column.
        lot: of the good validation parts, in the order of `facts["good"]`.
        facts: what `fit` returned.
    """
    score = _scores(np.asarray(facts["good"]), facts)
    stopped = pd.Series(score >= facts["operating_point"]["value"], lot.index).groupby(lot).mean()
    return Finding(
        name="lots_differ",
        severity="note",
        message=f"Column {source}: the threshold counts {len(lot):,} good validation parts of "
        f"{many(len(stopped), 'value')} as if each were drawn for itself, so no confidence is stated. By {source}, "
        f"{stopped.min():.1%} to {stopped.max():.1%} of them would be stopped (the most in {stopped.idxmax()!r}): a "
        "new one may be as unlike these as they are unlike each other, and then more of its good parts are stopped.",
        cure=f"Learn from parts of more values of {source}; look at the drift of the scores in each run.",
        columns=(source,),
        count=len(stopped),
    )


def outputs(index: pd.Index, facts: Mapping[str, Any], distance: np.ndarray) -> pd.DataFrame:
    """The declared outputs.

    The p-value counts the new part itself among the good ones, as if it were one: so of good parts at most a share of p
    has a p-value of p or less, if they are independent; of those of a new lot it may be more.

    Args:
        facts: what `fit` returned.
        distance: shape `(parts,)`.
    """
    good, score = np.sort(facts["good"]), _scores(distance, facts)
    as_odd = len(good) - np.searchsorted(good, distance, side="left")
    words = np.where(score >= facts["operating_point"]["value"], BAD, GOOD).astype(object)
    return pd.DataFrame({"score": score, "decision": words, "p_value": (1 + as_odd) / (1 + len(good))}, index=index)


def _scores(distance: np.ndarray, facts: Mapping[str, Any]) -> np.ndarray:
    return distance / (distance + facts["half"])


def _point(settings: Inspection, score: np.ndarray, bad: np.ndarray) -> dict[str, Any]:
    wanted = settings.threshold
    if wanted.costs is None:
        try:
            return operating_point.for_specificity(
                bad, score, 1 - wanted.false_alarms, wanted.confidence, chosen_on=CHOSEN_ON
            )
        except Refused as error:
            raise Refused(f"settings.threshold.false_alarms {wanted.false_alarms:g}, {CHOSEN_ON}: {error}") from error
    share = max(bad.mean(), 1e-12)
    rate = wanted.costs.defect_rate
    weight = np.where(bad, rate / share, (1 - rate) / max(1 - share, 1e-12))
    try:
        return operating_point.by_cost(
            bad, score, wanted.costs.false_alarm, wanted.costs.missed, weight=weight, chosen_on=CHOSEN_ON
        )
    except Refused as error:
        raise Refused(
            f"settings.threshold.costs needs good parts and defects among the {CHOSEN_ON}: {error} Or leave costs out: "
            "false_alarms needs no defect."
        ) from error
