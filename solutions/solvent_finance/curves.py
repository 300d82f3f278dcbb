"""Scored loans, and what happens to a portfolio of them over all cut-offs: curves with their intervals."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from solvent import Weighted
from solvent.metrics import Curve, Estimate, Resampling, estimate, mean, quotient, row_weights

from .decision import truth
from .profit import amounts, granted, portfolio, refused, worth
from .settings import DECISIONS, Credit

__all__ = ["SHARES", "Curves", "Line", "Loans"]

SHARES = np.linspace(0, 1, 101)
MOST_CUTS = 200  # points of a curve over cut-offs
FEWEST_APPROVED = 20  # a bad rate among fewer loans is not drawn


@dataclass(frozen=True)
class Loans:
    """Scored loans and how they ended. Every array has shape `(rows,)`.

    Args:
        defaulted, refused: 0 or 1.
        amount: what each counts in profit.
        weight: how many such loans there are.
    """

    defaulted: np.ndarray
    probability: np.ndarray
    refused: np.ndarray
    amount: np.ndarray
    weight: np.ndarray
    resampling: Resampling

    @classmethod
    def of(cls, settings: Credit, rows: pd.DataFrame, scored: pd.DataFrame) -> "Loans":
        groups = rows.get("entity", rows.get("group"))
        return cls(
            truth(settings, rows),
            scored["probability"].to_numpy(np.float64),
            (scored["decision"] == DECISIONS[1]).to_numpy(np.int64),
            amounts(rows),
            row_weights(rows.get("weight"), len(rows)),
            Resampling(len(rows), None if groups is None else groups.to_numpy()),
        )

    def brought(self, settings: Credit) -> np.ndarray:
        """What the decision on each loan brought."""
        each = np.where(
            self.refused, refused(settings.profit, self.defaulted), granted(settings.profit, self.defaulted)
        )
        return each * self.amount

    def portfolio(self, settings: Credit) -> Weighted:
        return portfolio(
            settings.profit,
            settings.budget,
            defaulted=self.defaulted,
            probability=self.probability,
            amount=self.amount,
            weight=self.weight,
        )


@dataclass(frozen=True)
class Line:
    """A curve with its pointwise interval, which is None where the loans are too few for one."""

    across: np.ndarray
    up: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None

    def draw(self, axes: Any, shown: np.ndarray | slice = slice(None), **look: Any) -> None:
        axes.plot(self.across[shown], self.up[shown], **look)
        if self.low is not None:
            band = self.across[shown], self.low[shown], self.high[shown]
            step = "post" if "drawstyle" in look else None
            axes.fill_between(*band, step=step, color=look["color"], alpha=0.14, linewidth=0)


@dataclass(frozen=True)
class Curves:
    """Curves over all cut-offs.

    Args:
        gains: share of the loans, riskiest first -> share of the defaults among them.
        lift: tenth of the loans, riskiest first -> its default rate over that of all.
        bad_rate: share of the loans approved, safest first -> default rate among them.
        profit: cut-off -> realised profit for each loan asked for, up to the next cut-off.
        lent: share of what was asked for that is lent, safest first -> realised profit for each loan asked for.
        expected_profit: by the probabilities, at the points of `profit`.
        expected_lent: by the probabilities, at the points of `lent`.
        worth_lending: the share of what was asked for that is expected to bring more lent than refused.
        decided: profit, approved and bad rate of the decisions, and the portfolio's profit.
    """

    gains: Line
    lift: Line
    bad_rate: Line
    profit: Line
    lent: Line
    expected_profit: np.ndarray
    expected_lent: np.ndarray
    worth_lending: float
    default_rate: float
    decided: dict[str, Estimate]
    protocol: str

    @classmethod
    def of(cls, settings: Credit, loans: Loans) -> "Curves":
        profit, weight = settings.profit, loans.weight
        by_loans = Curve(loans.defaulted, -loans.probability, weight)
        by_amounts = Curve(loans.defaulted, -loans.probability, weight * loans.amount)
        chance = -by_loans.scores
        cuts = np.unique(np.linspace(0, len(chance), MOST_CUTS + 1).round().astype(np.int64))
        cuts = np.append(cuts, len(chance))  # the last step goes on to 1
        count = int((weight > 0).sum())
        approved = np.linspace(min(1, max(0.02, FEWEST_APPROVED / count)), 1, 99)

        def measured(drawn: np.ndarray) -> tuple[np.ndarray, ...]:
            """gains, lift, bad_rate, profit and lent, each of shape `(resamples, points)`."""
            bad, good = by_loans.counts(drawn)
            share, found = _shares(bad + good), _shares(bad)
            # Counted from the safest; the gains count from the riskiest.
            gains = 1 - _between(share, found, 1 - SHARES)
            rate = bad[:, -1:] / (bad[:, -1:] + good[:, -1:])
            bad_rate = _between(share, found, approved) * rate / approved
            bad, good = by_amounts.counts(drawn)
            brought = good * worth(profit, 0) + bad * worth(profit, 1)
            brought += good[:, -1:] * refused(profit, 0) + bad[:, -1:] * refused(profit, 1)
            brought /= (drawn @ weight)[:, None]
            return (
                gains,
                10 * np.diff(gains[:, ::10]),
                bad_rate,
                brought[:, cuts],
                _between(_shares(bad + good), brought, SHARES),
            )

        with np.errstate(divide="ignore", invalid="ignore"):  # a draw may hold no default, or no money
            points = [line[0] for line in measured(np.ones((1, len(weight))))]
            ends: list[Any] = [(None, None)] * len(points)
            if loans.resampling.printable:
                draws = zip(*(measured(drawn) for drawn in loans.resampling.weights()), strict=True)
                ends = [np.nanquantile(np.concatenate(line), [0.025, 0.975], axis=0) for line in draws]
        across = [SHARES, np.arange(1, 11), approved, np.append(np.append(0, chance)[cuts[:-1]], 1), SHARES]
        lines = [Line(x, y, *band) for x, y, band in zip(across, points, ends, strict=True)]

        share, expected = _expected(settings, by_amounts, weight)
        decided = {
            "profit": mean(loans.brought(settings), weight),
            "approved": mean(1 - loans.refused, weight),
            "bad_rate": quotient((1 - loans.refused) * loans.defaulted, 1 - loans.refused, weight),
            "portfolio": loans.portfolio(settings),
        }
        return cls(
            *lines,
            expected_profit=expected[cuts],
            expected_lent=np.interp(SHARES, share, expected),
            worth_lending=float(share[np.count_nonzero(worth(profit, chance) > 0)]),
            default_rate=float(weight @ loans.defaulted / weight.sum()),
            decided=estimate(decided, loans.resampling),
            protocol=loans.resampling.protocol + (" Loans count by their weight." if np.ptp(weight) else ""),
        )


def _expected(settings: Credit, by_amounts: Curve, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lending to the safest 0, 1, 2, ... distinct probabilities: the share of what was asked for, and the profit that
    the probabilities expect for each loan asked for."""
    bad, good = by_amounts.counts(np.ones((1, len(weight))))
    asked, chance = (bad + good)[0], -by_amounts.scores
    gained = np.append(0, np.cumsum(np.diff(asked) * worth(settings.profit, chance)))
    without = np.diff(asked) @ refused(settings.profit, chance)
    share = asked / asked[-1] if asked[-1] else np.linspace(0, 1, len(asked))
    return share, (gained + without) / weight.sum()


def _shares(sums: np.ndarray) -> np.ndarray:
    """Running sums as shares of the last one."""
    return sums / sums[:, -1:]


def _between(across: np.ndarray, up: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Every resample's curve at the same points, straight between its own: equal scores are taken in equal parts."""
    return np.array([np.interp(points, x, y) for x, y in zip(across, up, strict=True)])
