"""From models to lists: seen items out, rules applied, the best first, each with its score and reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from solvent.solution import Score

from . import hybrid, likeness, rules
from .catalogue import Catalogue
from .interactions import Histories, Known
from .part import Part
from .settings import Recommender
from .topk import best, search

__all__ = ["Engine", "scorer"]

CELLS = 2**24  # scores of all parts that are held at once
WIDER = 10  # times the length of a list: candidates that rules choose from
LATEST = 300  # items of a history that reasons are looked for in


@dataclass(frozen=True)
class Engine:
    """All that lists are made from.

    Args:
        weights: what `hybrid.learn` or `hybrid.alone` gives.
        parts: those that it names.
        own: of `likeness.vectors`.
        like: of `hybrid.newcomers`.
    """

    settings: Recommender
    weights: Mapping[str, Any]
    parts: Mapping[str, Part]
    known: Known
    catalogue: Catalogue
    own: scipy.sparse.csr_array
    like: scipy.sparse.csr_array


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
    ids, rows = catalogue.ids.to_numpy(), max(1, CELLS // (max(len(catalogue), 1) * len(engine.parts)))
    ranked = _by_vectors(engine, usable) if _searches(engine) else _by_scores(engine, usable, first)

    def some(table: pd.DataFrame) -> pd.DataFrame:
        histories, _ = engine.known.asked(table, catalogue.ids)
        found, scores, brought = ranked(histories)
        why: list[Any] = [None] * len(found)
        if scoring.reasons:
            why = [
                _reasons(engine, first, histories.of(row), places, {name: each[row] for name, each in brought.items()})
                for row, places in enumerate(found)
            ]
        return pd.DataFrame(
            {
                "items": _cells([ids[places].tolist() for places in found]),
                "scores": _cells(scores),
                "reasons": _cells(why),
                "candidates": int(usable.sum()),
                "popularity": [float(share[places].mean()) if len(places) else np.nan for places in found],
                "novelty": [float(novelty[places].mean()) if len(places) else np.nan for places in found],
                "diversity": likeness.diversity(engine.own, found),
            },
            index=table.index,
        )

    def score(table: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([some(table.iloc[begin : begin + rows]) for begin in range(0, len(table), rows)])

    return score


Ranked = tuple[list[np.ndarray], list[list[float]], Mapping[str, np.ndarray]]


def _by_scores(engine: Engine, usable: np.ndarray, first: np.ndarray) -> Callable[[Histories], Ranked]:
    """Lists by the weighted sum of all parts' scores."""

    def ranked(histories: Histories) -> Ranked:
        standards = {name: hybrid.standard(part.scores(histories)) for name, part in engine.parts.items()}
        total, brought = hybrid.combined(engine.weights, standards, histories, engine.like)
        total[:, ~usable] = -np.inf
        if not engine.settings.scoring.seen:
            total[histories.owner, histories.item] = -np.inf
        found = _chosen(engine, first, total)
        return found, [total[row, places].tolist() for row, places in enumerate(found)], brought

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
    own, by_scores = np.ascontiguousarray(vectors[there]), _by_scores(engine, usable, np.array([], np.int64))

    def ranked(histories: Histories) -> Ranked:
        users = users_of(histories)
        kept = (place[histories.item] >= 0) & (not engine.settings.scoring.seen)
        seen = (histories.owner[kept], place[histories.item[kept]])
        places, products = search(users, own, engine.settings.scoring.length, seen)
        found = [there[row[row >= 0]] for row in places]
        scores = [row[: len(each)].tolist() for row, each in zip(products, found, strict=True)]
        unknown = ~users.any(axis=1)
        brought = {name: np.where(unknown, 0.0, 1.0)[:, None], other: np.where(unknown, 1.0, 0.0)[:, None]}
        if unknown.any():
            rows = np.flatnonzero(unknown)
            replaced, values, _ = by_scores(histories.take(rows))
            for row, each, value in zip(rows, replaced, values, strict=True):
                found[row], scores[row] = each, value
        return found, scores, {key: np.broadcast_to(each, (len(found), len(usable))) for key, each in brought.items()}

    return ranked


def _cells(values: list[Any]) -> np.ndarray:
    """Lists as cells, which numpy must not take for a matrix."""
    found = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        found[place] = value
    return found


def _chosen(engine: Engine, first: np.ndarray, total: np.ndarray) -> list[np.ndarray]:
    """The places of each user's list."""
    scoring = engine.settings.scoring
    plain = not (len(first) or scoring.per_category or scoring.diversity)
    tops = best(total, scoring.length * (1 if plain else WIDER))
    found = []
    for row, top in enumerate(tops):
        places = top[top >= 0]
        if not plain:
            own = first[~np.isneginf(total[row, first])]
            rest = places[~np.isin(places, own)]
            places = rules.arranged(
                scoring,
                own,
                rest,
                total[row, rest],
                lambda some: likeness.matrix(engine.own, some),
                engine.catalogue.categories,
            )
        found.append(places)
    return found


def _reasons(
    engine: Engine, first: np.ndarray, had: np.ndarray, places: np.ndarray, brought: Mapping[str, np.ndarray]
) -> list[str]:
    """Why each item is there: the part that brought the most to its score, and what in the history spoke for it."""
    if not len(places):
        return []
    names, known = list(brought), engine.catalogue.known
    part_of = np.argmax(np.stack([brought[name][places] for name in names]), axis=0)
    had, found = had[-LATEST:], [""] * len(places)
    for number, name in enumerate(names):
        part, mine = engine.parts[name], np.flatnonzero((part_of == number) & (places < known))
        links = part.links(had, places[mine]) if part.links and len(had) and len(mine) else None
        _name(engine, found, mine, had, links, part.reason, part.plain)
    new = np.flatnonzero(places >= known)
    if len(new):
        links = (engine.own[had] @ engine.own[places[new]].T).toarray() if len(had) else None
        _name(engine, found, new, had, links, "similar to {}", "new")
    return ["pinned" if place in first else text for place, text in zip(places, found, strict=True)]


def _name(
    engine: Engine,
    found: list[str],
    mine: np.ndarray,
    had: np.ndarray,
    links: np.ndarray | None,
    reason: str,
    plain: str,
) -> None:
    """Write the reasons of some places of a list: the title of what spoke for each the most, if anything did."""
    for at, place in enumerate(mine):
        strongest = None if links is None else int(np.argmax(links[:, at]))
        speaks = strongest is not None and links[strongest, at] > 0
        found[place] = reason.format(engine.catalogue.titles[had[strongest]]) if speaks else plain
