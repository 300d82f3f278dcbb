"""What loans bring, by the four outcomes of the settings; and the portfolio of most profit under a budget."""

import numpy as np
import pandas as pd

from solvent import Refused, Weighted
from solvent.metrics import Curve, ratio

from .settings import Profit

__all__ = ["amounts", "granted", "portfolio", "refused", "worth"]


def amounts(rows: pd.DataFrame) -> np.ndarray:
    """What each loan counts in profit: its amount, or 1 where there is no such column; shape `(rows,)`.

    Raises:
        Refused: if an amount is missing, infinite or negative.
    """
    if "amount" not in rows:
        return np.ones(len(rows))
    found = rows["amount"].to_numpy(np.float64)
    wrong = ~(np.isfinite(found) & (found >= 0))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise Refused(
            f"{wrong.sum():,} of {len(rows):,} loans have an amount that is missing or negative (the first: row "
            f"{rows.index[first] + 1}, {found[first]:g}), and profit counts by it: expected 0 or more in every row. "
            "Give the amounts, or have such rows set aside by data.columns: {AMOUNT: {required: true, range: [0, "
            "1000000000]}}, where AMOUNT is your name of the column."
        )
    return found


def granted(profit: Profit, chance: np.ndarray | float) -> np.ndarray | float:
    """What granting brings for each unit: expected by a probability of default, realised by 0 or 1."""
    return (1 - chance) * profit.repaid + chance * profit.defaulted


def refused(profit: Profit, chance: np.ndarray | float) -> np.ndarray | float:
    """What refusing brings for each unit: expected by a probability of default, realised by 0 or 1."""
    return (1 - chance) * profit.refused_good + chance * profit.refused_bad


def worth(profit: Profit, chance: np.ndarray | float) -> np.ndarray | float:
    """What granting brings over refusing, for each unit. It falls as the probability of default rises."""
    return granted(profit, chance) - refused(profit, chance)


def portfolio(
    profit: Profit,
    budget: float,
    *,
    defaulted: np.ndarray,
    probability: np.ndarray,
    amount: np.ndarray,
    weight: np.ndarray,
) -> Weighted:
    """The realised profit, for each loan asked for, of the loans that a lender with so much money would choose.

    Loans are granted in the order of what they are expected to bring for each unit over being refused, while that is
    more than nothing and money is left: the optimum. What the money does not suffice for is lent in part, loans with
    one probability in equal parts, so that no order of the rows matters.

    Args:
        budget: the share of all that is asked for that can be lent, in (0, 1].
        defaulted: 0 or 1, shape `(rows,)`, like all below.
        probability: of default, in [0, 1].
        amount: of each loan, 0 or more.
        weight: how many such loans there are, 0 or more.

    Source: Dantzig, Discrete-Variable Extremum Problems, 1957 (that order).
    """
    curve = Curve(defaulted, -probability, weight * amount)
    is_worth_it = worth(profit, -curve.scores) > 0

    def brought(drawn: np.ndarray) -> np.ndarray:
        bad, good = curve.counts(drawn)
        asked = bad + good
        left = budget * asked[:, -1:] - asked[:, :-1]
        part = np.clip(np.nan_to_num(ratio(left, np.diff(asked))), 0, 1) * is_worth_it
        gained = np.diff(good) * worth(profit, 0) + np.diff(bad) * worth(profit, 1)
        without = good[:, -1] * refused(profit, 0) + bad[:, -1] * refused(profit, 1)
        return ratio(without + np.einsum("rt,rt->r", part, gained), drawn @ weight)

    return Weighted(len(defaulted), brought)
