"""What lies behind the scores: how far they and the columns have moved, and what each column's bins are worth."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from solvent import Figure, Fitted
from solvent.metrics import psi, psi_without_shift, row_weights, rows_as_telling
from solvent.metrics.calibration import NORMAL_975
from solvent.report.drawing import INK, MUTED, PAPER
from solvent.report.wording import shorten

from .binning import bin_numbers, names_of_bins
from .scorecard import Scorecard, Term

__all__ = ["drift", "names_of_places", "pairs", "shapes"]

MOST_SHAPES, MOST_PAIRS, MOST_BARS, MOST_LINES = 6, 3, 30, 3
FEWEST_LOANS = 50  # of a month, for an index of its own
MOST_LABELS = 40  # bins of a column that are named
SOME, LARGE = 0.1, 0.25  # the customary bounds of the stability index
DASHED = (0, (4, 2))


def shapes(fitted: Fitted, rows: pd.DataFrame) -> Iterator[Figure]:
    """The columns that move the points of these rows most: points by bin, with intervals."""
    card, used = _read(fitted, rows)
    for term in _strongest(card.own, used, rows)[:MOST_SHAPES]:
        yield _shape(card, term, used, fitted.facts["columns"])


def pairs(fitted: Fitted, rows: pd.DataFrame) -> Iterator[Figure]:
    """The pairs of columns that move the points of these rows most, beyond what the two do alone."""
    card, used = _read(fitted, rows)
    for term in _strongest(card.pairs, used, rows)[:MOST_PAIRS]:
        yield _pair(card, term, fitted.facts["columns"])


def drift(fitted: Fitted, rows: pd.DataFrame, scored: pd.DataFrame) -> Iterator[Figure]:
    """The stability index of the score and of every column, as a whole and, where there is a time, by month."""
    card, used = _read(fitted, rows)
    weight, reference = row_weights(rows.get("weight"), len(rows)), fitted.facts["reference"]
    trained = reference["rows"]
    band = np.searchsorted(reference["edges"], scored["points"].to_numpy(np.float64), side="left")
    score = Watched("score", np.asarray(reference["shares"]) * trained, band)
    columns = [
        Watched(shorten(about["source"], 30), term.loans / term.loans.sum() * trained, term.place(used))
        for term, about in zip(card.own, fitted.facts["columns"], strict=True)
    ]
    measured = sorted(((*each.index(weight), each) for each in [score, *columns]), key=lambda item: -item[0])
    yield _bars(measured, trained, int((weight > 0).sum()))
    if "time" in rows:
        measured.sort(key=lambda item: item[1] - item[0])
        most = [each for *_, each in measured if each is not score][:MOST_LINES]
        figure = _months([score, *most], rows["time"], weight)
        yield from [figure] if figure else []


@dataclass(frozen=True)
class Watched:
    """A distribution in training, and where the test rows lie in it.

    Args:
        then: training loans by place.
        place: of each row, shape `(rows,)`.
    """

    name: str
    then: np.ndarray
    place: np.ndarray

    def index(self, weight: np.ndarray, these: np.ndarray | slice = slice(None)) -> tuple[float, float]:
        """The stability index of some rows, and what it stays below in 95 of 100 cases without any shift."""
        place, weight = self.place[these], weight[these]
        now = np.bincount(place, weight, len(self.then)) / weight.sum() * rows_as_telling(weight)
        return psi(self.then, now), psi_without_shift(self.then, now)


def names_of_places(card: Scorecard, column: int, group: np.ndarray) -> list[str]:
    """The places on a term's axis in words: neighbouring ranges that share a place are one range.

    Of several bins at a place, those that no training loan was in are not named.

    Args:
        column: its place among the scorecard's bins.
        group: bin number -> place, shape `(bins,)`.
    """
    bin_, own = card.bins[column], card.own[column]
    held = own.loans[own.groups[0]] > 0
    named = list(zip(group.tolist(), names_of_bins(bin_), held.tolist(), strict=True))
    if "edges" in bin_:
        first = 2 + len(bin_["codes"])
        ranges = group[first:]
        last = [index for index in range(len(ranges) - 1) if ranges[index] != ranges[index + 1]]
        coarse = names_of_bins({**bin_, "edges": [bin_["edges"][index] for index in last]})[first:]
        places = ranges[[*last, len(ranges) - 1]].tolist()
        named[first:] = [(place, name, True) for place, name in zip(places, coarse, strict=True)]
    found = []
    for place in range(int(group.max()) + 1):
        here = [(name, known) for at, name, known in named if at == place]
        found.append(", ".join([name for name, known in here if known] or [name for name, _ in here]))
    return found


def _read(fitted: Fitted, rows: pd.DataFrame) -> tuple[Scorecard, np.ndarray]:
    card = Scorecard.from_json(fitted.facts["bins"], fitted.facts["scorecard"])
    return card, bin_numbers(rows, list(card.bins))


def _strongest(terms: Sequence[Term], used: np.ndarray, rows: pd.DataFrame) -> list[Term]:
    """By the spread of the points that the rows get, widest first; without those that give all the same."""
    weight = row_weights(rows.get("weight"), len(rows))
    spread = [np.sqrt(np.cov(term.points.ravel()[term.place(used)], aweights=weight, ddof=0)) for term in terms]
    return [terms[at] for at in np.argsort(spread, kind="stable")[::-1] if spread[at] > 0]


def _shape(card: Scorecard, term: Term, used: np.ndarray, columns: Sequence[Mapping[str, Any]]) -> Figure:
    (column,) = term.columns
    name, unit = shorten(columns[column]["source"], 30), columns[column]["unit"]
    kept = np.flatnonzero(np.bincount(term.place(used), minlength=len(term.points)) + term.loans)
    points, reach = term.points[kept], NORMAL_975 * term.deviation[kept]
    names = names_of_places(card, column, term.groups[0])
    labels = [shorten(names[place], 30) for place in kept]
    beside = [_beside(loans, bad) for loans, bad in zip(term.loans[kept], term.defaulted[kept], strict=True)]
    at, step = np.arange(len(kept)), -(-len(kept) // MOST_LABELS)

    def draw(axes: Any) -> None:
        axes.barh(at, points, 0.72, color="C0", alpha=0.75)
        axes.hlines(at, points - reach, points + reach, color=INK, linewidth=1.1)
        axes.axvline(0, color=MUTED, linewidth=1)
        axes.grid(axis="y", visible=False)
        axes.set(xlabel="points", ylabel=f"{name}, {unit}" if unit else name)
        right = axes.twinx()
        right.spines[:].set_visible(False)
        right.grid(visible=False)
        for side, texts, colour in ((axes, labels, INK), (right, beside, MUTED)):
            side.set_ylim(len(kept) - 0.4, -0.6)
            side.set_yticks(at[::step], texts[::step])
            side.tick_params(axis="y", length=0, labelcolor=colour, labelsize=7.5)
        right.set_ylabel("training loans · default rate", color=MUTED, fontsize=7.5)

    return Figure(
        title=f"Shape function of {name}",
        caption=f"Points of each bin; more are better. Bars: 95 % intervals, {NORMAL_975:.2f} standard errors of the "
        f"fit each way. Points, intervals and counts are of the {term.loans.sum():,.0f} training loans; which columns "
        "are shown goes by how far they move the points of the test rows.",
        draw=draw,
        height=1.0 + 0.2 * min(max(len(kept), 5), MOST_LABELS),
    )


def _beside(loans: float, defaulted: float) -> str:
    return f"{loans:,.0f} · {100 * defaulted / loans:.0f} %" if loans > 0 else "0"


def _pair(card: Scorecard, term: Term, columns: Sequence[Mapping[str, Any]]) -> Figure:
    down, across = (shorten(columns[place]["source"], 30) for place in term.columns)
    names = [names_of_places(card, column, group) for column, group in zip(term.columns, term.groups, strict=True)]
    rows, places = (np.flatnonzero(term.loans.sum(axis=1 - axis) > 0) for axis in (0, 1))
    most = max(1, int(np.abs(term.points).max()))

    def draw(axes: Any) -> None:
        from matplotlib.patches import Rectangle

        for y, row in enumerate(rows):
            for x, place in enumerate(places):
                points, loans = term.points[row, place], term.loans[row, place]
                colour, strength = "C0" if points > 0 else "C5", 0.6 * abs(points) / most
                look = {"hatch": "////", "edgecolor": MUTED, "alpha": 0.25} if not loans else {"alpha": strength}
                face = "none" if not loans else colour
                axes.add_patch(Rectangle((x - 0.48, y - 0.47), 0.96, 0.94, facecolor=face, linewidth=0, **look))
                if loans:
                    axes.text(
                        x,
                        y - 0.12,
                        f"{points:+d}".replace("-", "−") if points else "0",
                        ha="center",
                        va="center",
                        fontsize=8,
                    )
                    reach = f"± {NORMAL_975 * term.deviation[row, place]:.0f}"
                    axes.text(x, y + 0.24, reach, ha="center", va="center", fontsize=6.5, color=MUTED)
        axes.set_xticks(range(len(places)), [shorten(names[1][place], 20) for place in places], rotation=30, ha="right")
        axes.set_yticks(range(len(rows)), [shorten(names[0][row], 20) for row in rows])
        axes.tick_params(length=0, labelcolor=INK, labelsize=7.5)
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set(xlim=(-0.5, len(places) - 0.5), ylim=(len(rows) - 0.5, -0.5), xlabel=across, ylabel=down)

    return Figure(
        title=f"{down} and {across} together",
        caption="Points that both bins together add to what each of them is worth alone; blue is better, red is worse. "
        f"Below: half the 95 % interval. Hatched: no training loan. From {term.loans.sum():,.0f} training loans.",
        draw=draw,
        width=max(3.6, 1.5 + 0.52 * len(places)),
        height=max(2.4, 1.3 + 0.36 * len(rows)),
    )


def _bars(measured: list[tuple[float, float, Watched]], trained: float, rows: int) -> Figure:
    index, noise = np.array([item[:2] for item in measured]).T
    moved = index > noise
    at = np.arange(min(len(measured), MOST_BARS))

    def draw(axes: Any) -> None:
        for these, alpha in ((at[moved[at]], 0.85), (at[~moved[at]], 0.3)):
            axes.barh(these, index[these], 0.7, color="C0", alpha=alpha)
        axes.plot(noise[at], at, "|", color=INK, markersize=9, markeredgewidth=1.6)
        for bound, text in ((SOME, "some"), (LARGE, "large")):
            if bound < 1.3 * max(index[at].max(), noise[at].max()):
                axes.axvline(bound, color="C5", linewidth=1, linestyle=DASHED)
                place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "ha": "center"}
                axes.annotate(text, (bound, 1), (0, 2), fontsize=7.5, **place)
        axes.set_yticks(at, [each.name for *_, each in measured[: len(at)]])
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.grid(axis="y", visible=False)
        axes.set_ylim(len(at) - 0.4, -0.6)
        axes.set_xlabel("population stability index, training to test\n( | : 95 of 100 draws without any shift)")

    out = f" The {len(at)} largest are shown." if len(at) < len(measured) else ""
    return Figure(
        unseen=True,
        title="Drift from training to test",
        caption=f"How far the score and each column have moved between {trained:,.0f} training loans and "
        f"{rows:,} test loans: by bins, the score by bands. {moved.sum()} of {len(measured)} lie "
        "beyond what 95 of 100 draws without any shift stay below (the tick; by simulation, loans taken as "
        f"independent); the pale bars do not. {SOME} and {LARGE} are the customary bounds.{out}",
        draw=draw,
        width=5.0,
        height=1.2 + 0.24 * max(len(at), 4),
    )


def _months(watched: list[Watched], time: pd.Series, weight: np.ndarray) -> Figure | None:
    """The index by month; None where fewer than two months have loans enough."""
    period, kind = _periods(time)
    counts = period[weight > 0].value_counts().sort_index()
    kept = counts.index[counts >= FEWEST_LOANS]
    if len(kept) < 2:
        return None
    rows = [(period == each).to_numpy() for each in kept]
    index, noise = np.array([[each.index(weight, own) for own in rows] for each in watched]).transpose(2, 0, 1)

    def draw(axes: Any) -> None:
        at = np.arange(len(kept))
        for number, each in enumerate(watched):
            look = {"color": f"C{number}", "marker": "os^D"[number], "linewidth": 1.9 if number == 0 else 1.0}
            axes.plot(at, index[number], label=each.name, **look)
            within = index[number] <= noise[number]
            axes.plot(at[within], index[number][within], **look | {"linestyle": "", "markerfacecolor": PAPER})
        for bound in (SOME, LARGE):
            if bound < 1.3 * index.max():
                axes.axhline(bound, color="C5", linewidth=1, linestyle=DASHED)
        step = -(-len(kept) // 12)
        axes.set_xticks(at[::step], kept[::step], rotation=30, ha="right")
        axes.set_ylabel("population stability index")
        axes.set_ylim(bottom=0)
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))

    few = len(counts) - len(kept)
    left = f" {few} with fewer than {FEWEST_LOANS} loans left out." if few else ""
    return Figure(
        unseen=True,
        title=f"Drift by {kind}",
        caption=f"The index of the score and of the columns that moved most beyond chance, each {kind} of the test "
        f"loans against the training loans; {counts[kept].min():,} to {counts[kept].max():,} loans each.{left} Hollow: "
        "within what 95 of 100 draws without any shift stay below; filled: beyond. "
        f"Dashed: {SOME} and {LARGE}, the customary bounds of a shift.",
        draw=draw,
        width=7.2,
        height=3.2,
    )


def _periods(time: pd.Series) -> tuple[pd.Series, str]:
    """The month of each row, such as 2024-03; for a time that is a number, the tenth of its range."""
    if pd.api.types.is_datetime64_any_dtype(time):
        return time.dt.strftime("%Y-%m"), "month"
    low, high = float(time.min()), float(time.max())
    edges = np.linspace(low, high, 11)
    tenth = np.clip(np.searchsorted(edges, time.to_numpy(np.float64), side="right") - 1, 0, 9)
    names = [f"{left:.4g} – {right:.4g}" for left, right in pairwise(edges)]
    return pd.Series(pd.Categorical.from_codes(tenth, names, ordered=True), time.index), "tenth of the time's range"
