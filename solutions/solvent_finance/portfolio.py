"""What the scores do to a portfolio of loans: metrics, gains, approvals, profit by cut-off and under a budget."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from solvent import Figure, Fitted, Sums, Weighted
from solvent.metrics import Estimate, binary, mean
from solvent.report.drawing import FAINT, INK, MUTED

from .curves import SHARES, Curves, Loans
from .figures import drift, pairs, shapes
from .profit import worth
from .settings import Credit

__all__ = ["figures", "metrics"]

DASHED = (0, (4, 2))


def metrics(settings: Credit, rows: pd.DataFrame, scored: pd.DataFrame) -> dict[str, float | Sums | Weighted]:
    """Of the probability, of the decisions, and of the money.

    Returns:
        What `solvent.metrics.binary` gives, where a refusal counts as positive; `profit`, what the decisions brought,
        and `portfolio_profit`, what the loans of most expected profit brought within the budget: both for each loan
        asked for, in the unit of `settings.profit`, times the amounts where there are any.

    Raises:
        Refused: if an amount is missing or negative.
    """
    loans = Loans.of(settings, rows, scored)
    return {
        **binary(loans.defaulted, loans.probability, loans.refused, loans.weight),
        "profit": mean(loans.brought(settings), loans.weight),
        "portfolio_profit": loans.portfolio(settings),
    }


def figures(settings: Credit, fitted: Fitted, rows: pd.DataFrame, scored: pd.DataFrame) -> Iterator[Figure]:
    """What lenders look at: defaults found, approvals, profit, the portfolio, drift, and what each column does."""
    loans = Loans.of(settings, rows, scored)
    if not loans.weight.any():
        return
    if 0 < loans.weight @ loans.defaulted < loans.weight.sum():
        curves = Curves.of(settings, loans)
        cutoff = fitted.facts["operating_point"]["value"]
        yield from (_gains(curves), _lift(curves), _approvals(curves, cutoff))
        yield from (_profit(settings, curves, cutoff), _portfolio(settings, curves))
    yield from drift(fitted, rows, scored)
    yield from shapes(fitted, rows)
    yield from pairs(fitted, rows)


def _gains(curves: Curves) -> Figure:
    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, label="in any order")
        perfect = [0, curves.default_rate, 1], [0, 1, 1]
        axes.plot(*perfect, color=MUTED, linewidth=1.2, linestyle=DASHED, label="perfect order")
        curves.gains.draw(axes, color="C0", label="ours, riskiest first")
        _in_percent(axes, "share of the loans", "share of the defaults among them")
        axes.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.03))
        axes.legend(loc="lower right")

    tenth, fifth = curves.gains.up[10], curves.gains.up[20]
    return Figure(
        title="Gains",
        caption=f"The riskiest tenth of the loans holds {_percent(tenth)} of the defaults, the riskiest fifth "
        f"{_percent(fifth)}. Band: {curves.protocol}",
        draw=draw,
        width=4.6,
        height=3.6,
    )


def _lift(curves: Curves) -> Figure:
    line = curves.lift

    def draw(axes: Any) -> None:
        axes.bar(line.across, line.up, 0.74, color="C0", alpha=0.8)
        if line.low is not None:
            axes.vlines(line.across, line.low, line.high, color=INK, linewidth=1.1)
        axes.axhline(1, color=MUTED, linewidth=1, linestyle=DASHED)
        rates = [_percent(lift * curves.default_rate, 0) for lift in line.up]
        axes.set_xticks(line.across, [f"{place}\n{rate}" for place, rate in zip(line.across, rates, strict=True)])
        axes.tick_params(axis="x", length=0)
        axes.grid(axis="x", visible=False)
        axes.set(xlabel="tenth of the loans, riskiest first; its default rate", ylabel="lift over all loans")

    return Figure(
        title="Lift by tenths",
        caption=f"The default rate of each tenth over that of all loans, {_percent(curves.default_rate)} (dashed: 1). "
        f"Equal scores are shared out between tenths. Bars: {curves.protocol}",
        draw=draw,
        width=4.6,
        height=3.6,
    )


def _approvals(curves: Curves, cutoff: float) -> Figure:
    approved, bad = curves.decided["approved"], curves.decided["bad_rate"]

    def draw(axes: Any) -> None:
        curves.bad_rate.draw(axes, color="C0", label="any cut-off, safest first")
        text = f"cut-off {cutoff:.3g}: {_percent(approved.value)} approved,\n{_percent(bad.value)} of them default"
        _point(axes, approved.value, bad, text)
        _in_percent(axes, "approval rate", "default rate among the approved")
        axes.set(xlim=(-0.015, 1.015))
        axes.set_ylim(bottom=0)
        axes.legend(loc="upper left")

    return Figure(
        title="Approval rate and bad rate",
        caption=f"At the chosen cut-off {cutoff:.3g}, {_with_interval(approved, _percent)} of the loans are approved, "
        f"and {_with_interval(bad, _percent)} of these default. Approving all: {_percent(curves.default_rate)}. "
        f"Band and bar: {curves.protocol}",
        draw=draw,
        width=4.6,
        height=3.6,
    )


def _profit(settings: Credit, curves: Curves, cutoff: float) -> Figure:
    found, loses, gains = curves.decided["profit"], -worth(settings.profit, 1), worth(settings.profit, 0)
    even = gains / (gains + loses)

    def draw(axes: Any) -> None:
        axes.axhline(0, color=FAINT, linewidth=1)
        axes.axvline(even, color=MUTED, linewidth=1, linestyle=DASHED, label=f"break-even {even:.3g}")
        steps: dict[str, Any] = {"drawstyle": "steps-post", "linewidth": 1.4}
        axes.plot(curves.profit.across, curves.expected_profit, color="C1", linestyle=DASHED, label="expected", **steps)
        curves.profit.draw(axes, color="C0", label="realised", **steps)
        _point(axes, cutoff, found, f"chosen cut-off {cutoff:.3g}")
        axes.set_xlabel("cut-off: refuse at this probability or more")
        _in_money(axes)
        axes.set_xlim(0, min(1, 1.05 * max(curves.profit.across[-2], cutoff, even)))
        axes.legend(loc="best")

    return Figure(
        title="Profit by cut-off",
        caption=f"At the chosen cut-off the decisions bring {_with_interval(found, _number)} for each loan asked for. "
        f"{_outcomes(settings)} With these, a loan whose probability is right pays below {even:.3g}. Expected: by the "
        f"probabilities, whatever came of the loans. Band and bar: {curves.protocol}",
        draw=draw,
        width=4.6,
        height=3.8,
    )


def _portfolio(settings: Credit, curves: Curves) -> Figure:
    found, stop, budget = curves.decided["portfolio"], curves.worth_lending, settings.budget
    lent = min(stop, budget)

    def draw(axes: Any) -> None:
        axes.axhline(0, color=FAINT, linewidth=1)
        ends = curves.lent.up[[0, -1]]
        axes.plot([0, 1], ends, color=MUTED, linewidth=1.2, linestyle=(0, (1, 1.5)), label="at random")
        axes.plot(SHARES, curves.expected_lent, color="C1", linestyle=DASHED, label="expected by the probabilities")
        turn = int(100 * stop)
        curves.lent.draw(axes, slice(turn + 1), color="C0", label="realised, while a profit is expected")
        if turn < 100:
            curves.lent.draw(axes, slice(turn, None), color="C2", label="realised, by probability alone")
        axes.axvline(budget, color=INK, linewidth=1, linestyle=DASHED, label=f"budget {_percent(budget, 0)}")
        _point(axes, lent, found, "chosen portfolio")
        _in_percent(axes, "share of all that is asked for that is lent", None)
        _in_money(axes)
        axes.set(xlim=(-0.015, 1.015))
        axes.legend(loc="best")

    return Figure(
        title="Portfolio under a budget",
        caption=f"Money goes to the loans that are expected to bring most for each unit lent over being refused, while "
        f"that is more than nothing: up to {_percent(stop)} of what is asked for. With a budget of {_percent(budget)} "
        f"this portfolio brings {_with_interval(found, _number)} for each loan asked for. By probability alone the "
        f"order is the same, but nothing stops it. {_outcomes(settings)} Band and bar: {curves.protocol}",
        draw=draw,
        width=6.4,
        height=3.8,
    )


def _point(axes: Any, across: float, found: Estimate, text: str) -> None:
    """A decision that was taken, with its interval."""
    if found.low is not None and found.high is not None:
        axes.vlines(across, found.low, found.high, color=INK, linewidth=1.4, zorder=4)
    axes.plot([across], [found.value], "o", color=INK, markersize=6, zorder=5, label=text)


def _in_percent(axes: Any, across: str | None, up: str | None) -> None:
    for axis, label in ((axes.xaxis, across), (axes.yaxis, up)):
        if label:
            axis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
            axis.set_label_text(label)


def _in_money(axes: Any) -> None:
    axes.yaxis.set_major_formatter(lambda value, _: _number(value, 6))
    axes.set_ylabel("profit for each loan asked for")


def _outcomes(settings: Credit) -> str:
    profit = settings.profit
    return (
        f"For each loan, or each unit of its amount: repaid {profit.repaid:g}, defaulted {profit.defaulted:g}, refused "
        f"{profit.refused_good:g} (good) and {profit.refused_bad:g} (bad)."
    )


def _percent(share: float, places: int = 1) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.{places}f} %"


def _number(value: float, digits: int = 3) -> str:
    text = f"{value:,.{digits}g}" if abs(value) < 1000 else f"{value:,.0f}"
    return text.replace("-", "−")


def _with_interval(found: Estimate, written: Any) -> str:
    between = "" if found.low is None or found.high is None else f" ({written(found.low)} to {written(found.high)})"
    return written(found.value) + between
