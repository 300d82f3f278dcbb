"""Why an item is in a list, in words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .engine import Engine
from .topk import best

__all__ = ["popular", "told"]

LATEST = 300  # items of a history that reasons are looked for in


def popular(engine: Engine) -> np.ndarray:
    """Which items would be in a list by popularity alone, bool, shape `(items,)`."""
    found = np.zeros(len(engine.catalogue), dtype=bool)
    if "popularity" in engine.parts:
        nobody = engine.known.histories.take(np.array([-1]))
        scores = np.nan_to_num(engine.parts["popularity"].scores(nobody), nan=-np.inf)
        found[best(scores, engine.settings.scoring.length)[0]] = True
    return found


def told(
    engine: Engine,
    first: np.ndarray,
    best_known: np.ndarray,
    had: np.ndarray,
    places: np.ndarray,
    brought: Mapping[str, np.ndarray],
) -> list[str]:
    """Why each item is there: the part that brought the most to its score, and what in the history spoke for it.

    Popularity brings much to many items; it is the reason only where it alone would have put the item into a list, or
    where no other part speaks for the item.
    """
    if not len(places):
        return []
    names, known = list(brought), engine.catalogue.known
    share = np.stack([brought[name][places] for name in names])
    if "popularity" in names:
        others = [place for place, name in enumerate(names) if name != "popularity"]
        alone = best_known[places] | (share[others].max(axis=0, initial=0) <= 0)
        share[names.index("popularity"), ~alone] = -np.inf
    part_of = np.argmax(share, axis=0)
    had, found = had[-LATEST:], [""] * len(places)
    for number, name in enumerate(names):
        part, mine = engine.parts[name], np.flatnonzero((part_of == number) & (places < known))
        links = part.links(had, places[mine]) if part.links and len(had) and len(mine) else None
        _name(engine, found, mine, had, links, part.reason, part.plain)
    new = np.flatnonzero(places >= known)
    if len(new):
        links = (engine.own[had] @ engine.own[places[new]].T).toarray() if len(had) else None
        _name(engine, found, new, had, links, "similar to {}", "new")
    for at in np.flatnonzero(np.isin(places, first)) if len(first) else ():
        found[at] = "pinned"
    return found


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
    if links is None:
        for place in mine:
            found[place] = plain
        return
    strongest = links.argmax(axis=0)
    speaks = links[strongest, np.arange(len(mine))] > 0
    titles = engine.catalogue.titles[had[strongest]]
    for place, title, spoken in zip(mine.tolist(), titles, speaks.tolist(), strict=True):
        found[place] = reason.format(title) if spoken else plain
