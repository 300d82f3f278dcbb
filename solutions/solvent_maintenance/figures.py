"""Plots for the report: estimates against the truth, machines' courses, errors to either side, when alarms come."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from solvent import Figure, Fitted

from .answers import shares
from .settings import Maintenance

__all__ = ["figures"]

MOST_ROWS = 150  # drawn with their intervals
COURSES = 6
BANDS = 8


def figures(settings: Maintenance, fitted: Fitted, rows: pd.DataFrame, scored: pd.DataFrame) -> Iterator[Figure]:
    truth = np.minimum(rows["rul"].to_numpy(np.float64), settings.cap)
    yield _intervals(settings, truth, scored)
    count = rows.groupby("machine")["rul"].transform("size").to_numpy()
    if (count >= 3).any():
        yield _courses(settings, rows[count >= 3], scored[count >= 3])
    yield _sides(settings, truth, scored["prediction"].to_numpy(np.float64), shares(rows["machine"], 1))
    yield _alarms(settings, truth, scored["alarm"].to_numpy(bool))


def _intervals(settings: Maintenance, truth: np.ndarray, scored: pd.DataFrame) -> Figure:
    some = np.sort(np.random.default_rng(0).permutation(len(truth))[:MOST_ROWS])
    some = some[np.argsort(truth[some], kind="stable")]
    low, estimate, high = (scored[name].to_numpy(np.float64)[some] for name in ("low", "prediction", "high"))

    def draw(axes: Any) -> None:
        axes.vlines(np.arange(len(some)), low, high, color="C0", alpha=0.35, linewidth=1.5)
        axes.plot(estimate, "o", color="C0", markersize=2.5, label=f"estimate, {settings.coverage:.0%} interval")
        axes.plot(truth[some], color="C1", label="truth, up to the cap")
        axes.set(xlabel="rows, by their remaining life", ylabel="cycles", ylim=(0, None))
        axes.legend()

    drawn = "" if len(some) == len(truth) else f" {len(some)} of {len(truth):,} rows, taken at random."
    return Figure(
        title="Remaining life with its interval",
        caption=f"An interval that ends at {settings.cap:g} says that or more.{drawn}",
        draw=draw,
        width=7.0,
        unseen=True,
    )


def _courses(settings: Maintenance, rows: pd.DataFrame, scored: pd.DataFrame) -> Figure:
    machines = rows["machine"].unique()[:COURSES]

    def draw(axes: Any) -> None:
        longest = rows["rul"].max()
        steps = np.linspace(0, longest, 100)
        axes.plot(steps, np.minimum(steps, settings.cap), color="0.7", linewidth=1, label="truth, up to the cap")
        for place, machine in enumerate(machines):
            own = rows[rows["machine"] == machine].sort_values("cycle")
            axes.plot(
                own["rul"], scored.loc[own.index, "prediction"], "o-", color=f"C{place}", markersize=3, label=machine
            )
        axes.set(xlabel="cycles before the failure", ylabel="estimate", xlim=(longest, 0), ylim=(0, None))
        axes.legend(fontsize=7)

    return Figure(
        title="Courses of some machines",
        caption=f"The first {len(machines)} test machines, from left to right towards their failure, at the rows that "
        "they are measured at.",
        draw=draw,
        width=7.0,
        unseen=True,
    )


def _sides(settings: Maintenance, truth: np.ndarray, estimate: np.ndarray, weight: np.ndarray) -> Figure:
    late = estimate - truth
    limit = max(float(np.abs(late).max()), 1.0)
    edges = np.linspace(-limit, limit, 32)

    def draw(axes: Any) -> None:
        for name, colour, side in (("too short", "C0", late < 0), ("too long", "C1", late >= 0)):
            axes.hist(late[side], edges, weights=weight[side], color=colour, alpha=0.8, label=name)
        axes.axvline(0, color="0.3", linewidth=1)
        axes.set(xlabel="estimate less truth, cycles", ylabel="machines")
        axes.legend()

    share = weight[late >= 0].sum() / weight.sum()
    return Figure(
        title="Too short and too long",
        caption=f"{share:.0%} of the estimates are too long: acting on them comes too late. Remaining life counts up "
        f"to {settings.cap:g} cycles; each machine counts as one.",
        draw=draw,
    )


def _alarms(settings: Maintenance, truth: np.ndarray, alarm: np.ndarray) -> Figure:
    scoring = settings.scoring
    width = settings.cap / BANDS
    band = np.minimum((truth / width).astype(int), BANDS - 1)
    count = np.bincount(band, minlength=BANDS)
    share = np.bincount(band, alarm, BANDS) / np.maximum(count, 1)

    def draw(axes: Any) -> None:
        axes.bar((np.arange(BANDS) + 0.5) * width, share, width * 0.9)
        axes.axvline(scoring.horizon, color="C1", linestyle="--", label=f"horizon, {scoring.horizon:g} cycles")
        axes.set(xlabel="remaining life, up to the cap", ylabel="share of the rows with an alarm", ylim=(0, 1))
        axes.legend()

    return Figure(
        title="When alarms come",
        caption=f"A row has an alarm where the probability of a failure within {scoring.horizon:g} cycles, times "
        f"{scoring.missed_failure:g} for a missed failure, is above its estimate times {scoring.early_cycle:g} for a "
        "cycle that is lost.",
        draw=draw,
    )
