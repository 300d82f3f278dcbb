"""How scored texts are measured, and what the report shows of them."""

import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from solvent import Figure, Fitted, Marked, Sums, Texts, Weighted, labels
from solvent.metrics import Resampling, compare, mean, point, quotient, ratio, row_weights
from solvent.words import words

from . import order
from .model import scorer
from .settings import Sentiment
from .texts import cleaned, joined
from .why import deciding

__all__ = ["figures", "metrics"]

SHOWN = 8
DISTURBED = 1000  # test rows that are disturbed, at most
TYPOS = 0.1  # of the words
FAINTEST = 0.02  # a word's effect that is marked with full strength only in a text without stronger ones


def metrics(settings: Sentiment, rows: pd.DataFrame, scored: pd.DataFrame) -> dict[str, float | Sums | Weighted]:
    """Those of `solvent.labels`; errors in steps where classes have an order; how much is answered, and how rightly."""
    found: dict[str, float | Sums | Weighted] = dict(labels.measure(rows, scored))
    if settings.order is not None:
        found |= order.metrics(settings, rows, scored)
    if "abstain" in scored:
        answered = ~scored["abstain"].to_numpy(bool)
        right = (scored["class"].to_numpy() == rows["label"].to_numpy()) & answered
        found |= {
            "answered": mean(answered, rows.get("weight")),
            "accuracy_of_answered": quotient(right, answered, rows.get("weight")),
        }
    return found


def figures(settings: Sentiment, fitted: Fitted, rows: pd.DataFrame, scored: pd.DataFrame) -> Iterator[Figure | Texts]:
    """The most telling texts with the words that decided; what abstaining buys; how typing mistakes and case harm."""
    sure = scored[[f"probability_{name}" for name in fitted.facts["classes"]]].to_numpy(np.float64)
    right = (scored["class"] == rows["label"]).to_numpy()
    ranked = np.argsort(-sure.max(axis=1), kind="stable")
    for title, places, what in (
        ("Sure and wrong", ranked[~right[ranked]], "the most confident mistakes, which may be wrong labels"),
        ("Sure and right", ranked[right[ranked]], "the most confident right answers"),
        ("Least sure", ranked[::-1], "the least probable answers"),
    ):
        yield Texts(
            title=title,
            caption=f"{min(SHOWN, len(places))} of {len(places)} such test texts: {what}. Marked: the words without "
            "which the probability of the answer would be lower, or higher.",
            items=tuple(_marked(settings, fitted, rows, scored, sure, places[:SHOWN])),
            unseen=True,
        )
    if "abstain" in scored:
        weight = row_weights(rows.get("weight"), len(rows))
        yield _abstaining(settings, fitted, sure.max(axis=1), right, scored["abstain"].to_numpy(bool), weight)
    yield _disturbed(settings, fitted, rows)


def _marked(
    settings: Sentiment,
    fitted: Fitted,
    rows: pd.DataFrame,
    scored: pd.DataFrame,
    chance: np.ndarray,
    places: np.ndarray,
) -> Iterator[Marked]:
    texts, best = list(joined(rows.iloc[places])), chance[places].argmax(axis=1)
    for place, number, found in zip(places, best, deciding(settings, fitted, texts, best), strict=True):
        said, label = scored["class"].iloc[place], rows["label"].iloc[place]
        strongest = max([FAINTEST, *map(abs, found.effects)])
        yield Marked(
            pieces=tuple(
                (piece, effect / strongest) for piece, effect in zip(found.pieces, found.effects, strict=True) if piece
            ),
            caption=f"{said} {chance[place, number]:.2f}" + ("" if said == label else f" · label: {label}"),
        )


def _abstaining(
    settings: Sentiment,
    fitted: Fitted,
    confidence: np.ndarray,
    right: np.ndarray,
    abstains: np.ndarray,
    weight: np.ndarray,
) -> Figure:
    """How often the answers are right if only the most confident are given."""
    ranked = np.argsort(-confidence, kind="stable")
    given = np.cumsum(weight[ranked])
    share, accuracy = given / given[-1], ratio(np.cumsum((weight * right)[ranked]), given)
    answered = float(np.average(~abstains, weights=weight))
    point = fitted.facts["operating_point"]
    below = settings.scoring.abstain_below
    why = f"{point['rule']}, chosen on {point['chosen_on']}" if below is None else f"abstain_below: {below:g}"

    def draw(axes: Any) -> None:
        shown = share >= min(0.02, share[-1])
        axes.plot(share[shown], accuracy[shown])
        axes.axvline(answered, color="C1", linestyle="--", label=f"answers {answered:.0%}")
        axes.set(xlabel="share of the texts that are answered, the most confident first", ylabel="accuracy of them")
        axes.legend()

    return Figure(
        title="What abstaining buys",
        caption=f"The dashed line is the operating point: {why}.",
        draw=draw,
        unseen=True,
    )


def _disturbed(settings: Sentiment, fitted: Fitted, rows: pd.DataFrame) -> Figure:
    """The accuracy of the same texts written otherwise."""
    some = rows.iloc[np.random.default_rng(0).permutation(len(rows))[:DISTURBED]]
    score = scorer(settings, fitted)
    random = np.random.default_rng(1)
    ways: dict[str, Callable[[str], str]] = {
        "as written": str,
        "UPPER CASE": str.upper,
        "lower case": str.lower,
        f"typing mistakes\nin {TYPOS:.0%} of the words": lambda text: _mistyped(text, random),
        "without\npunctuation": lambda text: "".join(
            sign for sign in text if not unicodedata.category(sign).startswith("P")
        ),
    }
    texts = some["text"].map(cleaned)
    right = {
        name: mean(score(some.assign(text=texts.map(way)))["class"] == some["label"], some.get("weight"))
        for name, way in ways.items()
    }
    found = {name: point(each) for name, each in right.items()}
    resampling = Resampling(len(some), some["group"].to_numpy() if "group" in some else None)
    apart = {name: compare(each, right["as written"], resampling) for name, each in right.items()}

    def draw(axes: Any) -> None:
        axes.bar(range(len(found)), list(found.values()))
        axes.set_xticks(range(len(found)), list(found))
        axes.set_ylabel("accuracy")
        for place, (name, value) in enumerate(found.items()):
            axes.annotate(f"{value:.3f}", (place, value), (0, 2), textcoords="offset points", ha="center")
            if place and apart[name].low is not None:
                said = f"{apart[name].low:+.3f}\nto {apart[name].high:+.3f}"
                axes.annotate(said, (place, value / 2), ha="center", va="center", color="white")

    return Figure(
        title="The same texts, written otherwise",
        caption=f"Accuracy of {len(some):,} test texts as they are and disturbed, and in the bars the 95 % interval of "
        "the difference to them as they are; in a mistyped word of a script with spaces two neighbouring letters "
        "change places.",
        draw=draw,
        width=7.0,
        unseen=True,
    )


def _mistyped(text: str, random: np.random.Generator) -> str:
    typed = list(text)
    for start, end in words(text):
        if end - start > 1 and random.random() < TYPOS:
            at = int(random.integers(start, end - 1))
            typed[at], typed[at + 1] = typed[at + 1], typed[at]
    return "".join(typed)
