"""From models to lists: seen items out, rules applied, the best first, each with its score and reason."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from solvent.score.beside import ahead
from solvent.solution import Score
from solvent.wording import many

from . import hybrid, likeness, reasons, rules
from .catalogue import Catalogue
from .engine import Engine
from .interactions import Histories, unknown_share
from .ratings import foretold
from .topk import best, searcher

__all__ = ["scorer"]

log = logging.getLogger("solvent")

CELLS = 2**24  # scores of all parts that are held at once
SEARCHED = 4096  # users whose lists are searched at once: four calls of a tower
WIDER = 10  # times the length of a list: candidates that rules choose from


def scorer(engine: Engine) -> Score:
    """Make the function from rows to lists.

    Raises:
        Refused: if a rule names a column that the items don't have.
    """
    scoring, catalogue = engine.settings.scoring, engine.catalogue
    usable = rules.usable(scoring, catalogue)
    first = rules.pinned(scoring, catalogue)
    first = first[usable[first]]
    liked = engine.known.histories
    counts = np.bincount(liked.item[liked.liked], minlength=len(catalogue))
    share = counts / max(len(engine.known.users), 1)
    novelty = -np.log2(np.maximum(counts, 1) / max(len(engine.known.users), 1))
    ids, popular = catalogue.ids.to_numpy(), reasons.popular(engine)
    if _searches(engine):
        ranked, rows = _by_vectors(engine, usable), SEARCHED
    else:
        ranked = _by_scores(engine, usable, first)
        rows = _at_once(engine)

    def told(
        table: pd.DataFrame, histories: Histories, chosen: Ranked, rated: Mapping[str, np.ndarray]
    ) -> pd.DataFrame:
        found, scores, brought = chosen
        flat = np.concatenate([np.array([], np.int64), *found])
        why: list[Any] = [None] * len(found)
        if scoring.reasons:
            why = [
                reasons.told(
                    engine,
                    first,
                    popular,
                    histories.of(row),
                    places,
                    {name: each[row] for name, each in brought.items()},
                )
                for row, places in enumerate(found)
            ]
        return pd.DataFrame(
            {
                "items": _cells(_parted(ids[flat].tolist(), found)),
                "scores": _cells(scores),
                "reasons": _cells(why),
                "candidates": int(usable.sum()),
                "popularity": _means(share[flat], found),
                "novelty": _means(novelty[flat], found),
                "diversity": likeness.diversity(engine.own, found),
                **rated,
                **_noted(table, catalogue),
            },
            index=table.index,
        )

    def score(table: pd.DataFrame) -> pd.DataFrame:
        blocks = [table.iloc[begin : begin + rows] for begin in range(0, len(table), rows)]

        def each() -> Generator[tuple[Histories, Ranked, Mapping[str, np.ndarray]], None, None]:
            for block in blocks:
                histories, _ = engine.known.asked(block, catalogue.ids)
                rated = foretold(engine.rate, histories, catalogue, block) if engine.rate else None
                yield histories, ranked(histories), {} if rated is None else {"ratings": _cells(rated)}

        with ahead(each()) as chosen:  # the next block is ranked while this one's lists are put into words
            return pd.concat([told(block, *made) for block, made in zip(blocks, chosen, strict=True)])

    return score


def _noted(table: pd.DataFrame, catalogue: Catalogue) -> Mapping[str, pd.Series]:
    """What is said of histories with items that nobody knows, which are passed over."""
    if "history" not in table or table["history"].isna().all():
        return {}
    unknown = table["history"].map(lambda cell: unknown_share(cell, catalogue.ids)).astype(np.float64)
    if lost := int((unknown == 1).sum()):
        log.warning(
            "%s of unknown items only: these users are recommended what new ones are. A history is parted as a|b, not "
            "by commas, and its ids are spelled as those that were trained on.",
            many(lost, "history consists", "histories consist"),
        )
    notes = pd.Series(None, index=table.index, dtype="str")
    notes[unknown > 0] = "history: some of its items are unknown, and are passed over"
    notes[unknown == 1] = "history: none of its items is known"
    return {"note": notes} if notes.notna().any() else {}


Ranked = tuple[list[np.ndarray], list[list[float]], Mapping[str, np.ndarray]]


def _at_once(engine: Engine) -> int:
    """Of how many users the scores of all items by all parts are held."""
    return max(1, CELLS // (max(len(engine.catalogue), 1) * len(engine.parts)))


def _by_scores(engine: Engine, usable: np.ndarray, first: np.ndarray) -> Callable[[Histories], Ranked]:
    """Lists by the weighted sum of all parts' scores."""

    def ranked(histories: Histories) -> Ranked:
        open_items = hybrid.open_to(histories, usable, seen=engine.settings.scoring.seen)
        standards = hybrid.standards(engine.parts, histories, open_items, engine.settings.parts)
        total, brought = hybrid.combined(engine.weights, standards, histories, engine.like)
        total[~open_items] = -np.inf
        found = _chosen(engine, first, total, histories)
        scores = [
            [None if np.isneginf(value) else value for value in total[row, places].tolist()]
            for row, places in enumerate(found)
        ]
        return found, scores, brought

    return ranked


def _searches(engine: Engine) -> bool:
    """Whether lists are a mere search for vectors: one model that has them alone, and no rule that reorders."""
    scoring = engine.settings.scoring
    part = engine.parts[engine.weights["parts"][0]]
    reorders = scoring.pinned or scoring.per_category or scoring.diversity
    return bool(engine.weights.get("alone") and part.vectors and not reorders)


def _by_vectors(engine: Engine, usable: np.ndarray) -> Callable[[Histories], Ranked]:
    """Lists by the products of vectors; by the other part, popularity, for users without a history."""
    name, other = engine.weights["parts"]
    users_of, vectors = engine.parts[name].vectors or (None, None)
    assert users_of is not None and vectors is not None
    there = np.flatnonzero(usable & vectors.any(axis=1))
    place = np.full(len(usable), -1)
    place[there] = np.arange(len(there))
    search = searcher(vectors[there], engine.settings.scoring.length)
    by_scores = _by_scores(engine, usable, np.array([], np.int64))

    def ranked(histories: Histories) -> Ranked:
        users = users_of(histories)
        kept = (place[histories.item] >= 0) & (not engine.settings.scoring.seen)
        seen = (histories.owner[kept], place[histories.item[kept]])
        places, products = search(users, seen)
        lengths = (places >= 0).sum(axis=1)
        found = [row[:length] for row, length in zip(there[places], lengths, strict=True)]
        scores = [row[:length] for row, length in zip(products.tolist(), lengths, strict=True)]
        unknown = ~users.any(axis=1)
        brought = {name: np.where(unknown, 0.0, 1.0)[:, None], other: np.where(unknown, 1.0, 0.0)[:, None]}
        rows, at_once = np.flatnonzero(unknown), _at_once(engine)
        for begin in range(0, len(rows), at_once):
            some = rows[begin : begin + at_once]
            replaced, values, _ = by_scores(histories.take(some))
            for row, each, value in zip(some, replaced, values, strict=True):
                found[row], scores[row] = each, value
        return found, scores, {key: np.broadcast_to(each, (len(found), len(usable))) for key, each in brought.items()}

    return ranked


def _parted(values: Sequence[Any], lists: Sequence[np.ndarray]) -> list[Sequence[Any]]:
    """The values of all lists, one behind the other, list by list."""
    ends = np.cumsum([len(places) for places in lists]).tolist()
    return [values[begin:end] for begin, end in pairwise([0, *ends])]


def _means(values: np.ndarray, lists: Sequence[np.ndarray]) -> np.ndarray:
    """Of the values of each list; NaN for an empty one."""
    sizes = np.array([len(places) for places in lists], np.int64)
    owner = np.repeat(np.arange(len(lists)), sizes)
    sums = np.bincount(owner, values, minlength=len(lists))
    return np.where(sizes > 0, sums / np.maximum(sizes, 1), np.nan)


def _cells(values: list[Any]) -> np.ndarray:
    """Lists as cells, which numpy must not take for a matrix."""
    found = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        found[place] = value
    return found


def _chosen(engine: Engine, first: np.ndarray, total: np.ndarray, histories: Histories) -> list[np.ndarray]:
    """The places of each user's list."""
    scoring, categories = engine.settings.scoring, engine.catalogue.categories
    each = scoring.per_category
    if not (len(first) or each or scoring.diversity):
        return [top[top >= 0] for top in best(total, scoring.length)]
    most = scoring.length * WIDER

    def arranged(row: int, own: np.ndarray, places: np.ndarray) -> np.ndarray:
        rest = places[~np.isin(places, own)]
        scores = total[row, rest]
        return rules.arranged(scoring, own, rest, scores, lambda some: likeness.matrix(engine.own, some), categories)

    found = []
    for row, top in enumerate(best(total, most)):
        had = histories.item[histories.start[row] : histories.start[row + 1]]
        own = first if scoring.seen else first[~np.isin(first, had)]
        places = arranged(row, own, top[top >= 0])
        if each and len(places) < scoring.length and (top >= 0).all():  # the first ones are of too few categories
            wider = WIDER if scoring.diversity else 1
            wide = rules.spread(
                total[row], engine.catalogue.members, each * wider, scoring.length * wider, own[: scoring.length]
            )
            places = arranged(row, own, wide)
        found.append(places)
    return found
