"""What may stand in a list, and in which order: stock, region, at most so many of a category, variety, pinned items."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from solvent.schema import kinds

from .catalogue import Catalogue
from .settings import Scoring

__all__ = ["arranged", "pinned", "spread", "usable"]


def usable(scoring: Scoring, catalogue: Catalogue) -> np.ndarray:
    """Which items may be recommended at all, shape `(items,)`.

    Raises:
        Refused: if a rule names a column that the items don't have.
    """
    found = catalogue.offered.copy()
    if scoring.in_stock is not None:
        found &= _in_stock(catalogue.column(scoring.in_stock))
    for name, values in scoring.only.items():
        allowed = [kinds.canonical(value) for value in values]
        cells = kinds.read(catalogue.column(name).astype(object), "list").values
        found &= [isinstance(cell, list) and not set(map(kinds.canonical, cell)).isdisjoint(allowed) for cell in cells]
    return found


def _in_stock(cells: pd.Series) -> np.ndarray:
    words = kinds.read(cells.astype(object), "category").values
    numbers = kinds.read(cells.astype(object), "number").values
    return (words.eq("true") | numbers.gt(0)).to_numpy()


def pinned(scoring: Scoring, catalogue: Catalogue) -> np.ndarray:
    """The places of the pinned items that the catalogue has, each once."""
    names = dict.fromkeys(kinds.canonical(name) for name in scoring.pinned)
    found = catalogue.ids.get_indexer(pd.Index(list(names), dtype=object))
    return found[found >= 0]


def spread(scores: np.ndarray, category: np.ndarray, each: int, count: int) -> np.ndarray:
    """The places of the highest scores, of each category no more than `each`.

    Args:
        scores: of all items; -inf is never among the best.
        category: a number for each item; -1 for none, of which there may be any number.

    Returns:
        at most `count` places, the highest first.
    """
    order = np.argsort(-scores, kind="stable")[: np.count_nonzero(scores > -np.inf)]
    rank = pd.Series(order).groupby(category[order]).cumcount().to_numpy()
    return order[(rank < each) | (category[order] < 0)][:count]


def arranged(
    scoring: Scoring,
    first: np.ndarray,
    places: np.ndarray,
    scores: np.ndarray,
    likeness: Callable[[np.ndarray], np.ndarray],
    categories: list[tuple[str, ...]],
) -> np.ndarray:
    """One user's list: the pinned items, then by score, as far as the rules let them.

    With diversity d, the next item is the one with the highest (1 - d) times its score, brought to 0 to 1 among the
    candidates, less d times its greatest likeness to an item that is in the list already.

    Args:
        first: places of the pinned items.
        places: of the candidates, the best first, none of them pinned.
        scores: of the candidates.
        likeness: of given items with each other, shape `(items, items)`.
        categories: of all items.

    Returns:
        at most `scoring.length` places.

    Source: Carbonell and Goldstein, The use of MMR, diversity-based reranking, 1998.
    """
    everything = np.concatenate([first, places])[: len(first) + len(places)]
    chosen = list(range(min(len(first), scoring.length)))
    left = list(range(len(first), len(everything)))
    of = [next(iter(categories[place]), None) for place in everything]
    counts: dict[str | None, int] = {}
    for place in chosen:
        counts[of[place]] = counts.get(of[place], 0) + 1
    like = likeness(everything) if scoring.diversity else np.zeros((len(everything), len(everything)))
    spread = scores.max(initial=0) - scores.min(initial=0) if len(scores) else 0
    scaled = (scores - scores.min(initial=0)) / spread if spread > 0 else np.zeros(len(scores))
    value = np.concatenate([np.zeros(len(first)), (1 - scoring.diversity) * scaled])
    nearest = like[:, chosen].max(axis=1, initial=0)
    while left and len(chosen) < scoring.length:
        if scoring.per_category is not None:
            left = [at for at in left if of[at] is None or counts.get(of[at], 0) < scoring.per_category]
            if not left:
                break
        at = left[int(np.argmax([value[place] - scoring.diversity * nearest[place] for place in left]))]
        left.remove(at)
        chosen.append(at)
        counts[of[at]] = counts.get(of[at], 0) + 1
        nearest = np.maximum(nearest, like[:, at])
    return everything[chosen]
