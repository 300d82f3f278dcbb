"""When an answer is too unsure to be acted upon."""

from typing import Any

import numpy as np
import pandas as pd

from solvent import Finding
from solvent.metrics import operating_point

from .settings import Sentiment

__all__ = ["abstains", "chosen", "findings"]


def chosen(
    settings: Sentiment, truth: np.ndarray, chance: np.ndarray, group: pd.Series | None = None
) -> dict[str, Any]:
    """The operating point, for the facts of a bundle; nothing where nothing abstains.

    Where no confidence promises the precision, the point lies above every confidence: all rows abstain.

    Args:
        truth: the number of the right class, shape `(rows,)`.
        chance: calibrated probabilities, shape `(rows, classes)`. These rows gave the temperature too, one number,
            and chose nothing else.
        group: to which each row belongs; the first row of each counts, since rows of one group tell less than others.
    """
    if settings.target_precision is None:
        return {}
    right = chance.argmax(axis=1) == truth
    first = np.ones(len(right), bool) if group is None else ~group.duplicated().to_numpy()
    where = {"chosen_on": "validation rows, calibrating half" + ("" if group is None else ", one of each group")}
    found = operating_point.for_answers(right[first], chance.max(axis=1)[first], settings.target_precision, **where)
    rule = f"no confidence promises that {settings.target_precision:g} of the answers are right: all rows abstain"
    return {"operating_point": found or {"rule": rule, "value": 2.0, **where, "rows": int(first.sum())}}


def findings(settings: Sentiment, facts: dict[str, Any]) -> tuple[Finding, ...]:
    """Whether everything abstains."""
    point = facts.get("operating_point")
    if point is None or "answered" in point:
        return ()
    return (
        Finding(
            name="all_abstain",
            severity="warning",
            message=f"On the {point['rows']:,} validation rows that calibrate, {point['rule']}.",
            cure="Lower settings.target_precision (the report's accuracy says what can be reached), or give more rows: "
            f"even without one error the promise needs {operating_point.rows_for(settings.target_precision)} of them. "
            "settings.target_precision: null takes the column `abstain` away.",
            count=point["rows"],
        ),
    )


def abstains(settings: Sentiment, facts: dict[str, Any], chance: np.ndarray) -> np.ndarray:
    """Whether each row's confidence lies under the point, bool, shape `(rows,)`."""
    below = settings.scoring.abstain_below
    return np.asarray(chance.max(axis=1) < (facts["operating_point"]["value"] if below is None else below))
