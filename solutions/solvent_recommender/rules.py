"""What may stand in a list, and in which order: stock, region, at most so many of a category, variety, pinned items."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
import scipy.sparse

from solvent import Refused
from solvent.schema import kinds
from solvent.wording import listed, suggestion

from .catalogue import Catalogue
from .settings import Scoring

__all__ = ["arranged", "limited", "pinned", "refuse_unknown_pins", "spread", "usable", "warn_of_lost_pins"]

log = logging.getLogger("solvent")

YES, NO = ("true", "yes"), ("false", "no")


def limited(scoring: Scoring, catalogue: Catalogue) -> Catalogue:
    """The same items, of which only those that lists may hold are on offer: among these a model is chosen."""
    return replace(catalogue, offered=usable(scoring, catalogue))


def usable(scoring: Scoring, catalogue: Catalogue) -> np.ndarray:
    """Which items may be recommended at all, shape `(items,)`.

    Raises:
        Refused: if a rule names a column that the items don't have, can't read its cells, or leaves no item.
    """
    found = catalogue.offered.copy()
    if scoring.in_stock is not None:
        name = scoring.in_stock
        cells = catalogue.column(name)
        found &= _in_stock(cells, catalogue)
        if not found.any():
            shown = kinds.read(cells[catalogue.offered].astype(object), "category").values.dropna()
            raise _nothing_left(f"in_stock: {name}", "a number above 0, or true, there", shown)
    for name, values in scoring.only.items():
        allowed = [kinds.canonical(value) for value in values]
        cells = kinds.read(catalogue.column(name).astype(object), "list").values
        read = [list(map(kinds.canonical, cell)) if isinstance(cell, list) else [] for cell in cells]
        before = found.copy()
        found &= [not set(cell).isdisjoint(allowed) for cell in read]
        if not found.any():
            shown = [level for cell, there in zip(read, before, strict=True) if there for level in cell]
            raise _nothing_left(f"only: {{{name}: [{', '.join(map(str, values))}]}}", "one of these", shown)
    return found


def _nothing_left(rule: str, wanted: str, cells: Iterable[str | None]) -> Refused:
    common = pd.Series(list(cells), dtype=object).value_counts().index[:5]
    return Refused(
        f"settings.scoring.{rule} leaves nothing to recommend: of the items on offer that the rules before it leave, "
        f"none has {wanted}. The column's commonest values there: {listed(map(repr, common))}. Correct the rule or "
        "the side table of items."
    )


def _in_stock(cells: pd.Series, catalogue: Catalogue) -> np.ndarray:
    words = kinds.read(cells.astype(object), "category").values.str.lower()
    numbers = kinds.read(cells.astype(object), "number")
    wrong = numbers.unreadable & ~words.isin([*YES, *NO]).to_numpy() & catalogue.offered
    if wrong.any():
        row = int(wrong.argmax())
        raise Refused(
            f"items: {cells.name} of {catalogue.ids[row]!r} is {kinds.shown(cells.iloc[row])}, which says nothing of "
            "settings.scoring.in_stock. Write how many there are, yes or no, or true or false."
        )
    return (words.isin(YES) | numbers.values.gt(0)).to_numpy()


def pinned(scoring: Scoring, catalogue: Catalogue) -> np.ndarray:
    """The places of the pinned items that the catalogue has, each once."""
    found = catalogue.ids.get_indexer(_pinned_ids(scoring))
    return found[found >= 0]


def refuse_unknown_pins(scoring: Scoring, ids: pd.Index) -> None:
    """Refuse to pin what is no item.

    Args:
        ids: of all items that there are.
    """
    names = _pinned_ids(scoring)
    if len(unknown := names[~names.isin(ids)]):
        raise Refused(
            f"settings.scoring.pinned names {listed(map(repr, unknown))}, and no item is called so."
            f"{suggestion(unknown[0], ids)} Correct the id, or leave it out."
        )


def warn_of_lost_pins(scoring: Scoring, catalogue: Catalogue) -> None:
    """Say which pinned items are in no list tonight."""
    if not scoring.pinned:
        return
    names = _pinned_ids(scoring)
    if len(lost := names[~names.isin(catalogue.ids[usable(scoring, catalogue)])]):
        log.warning(
            "settings.scoring.pinned: %s in no list, since no item on offer is called so or a rule leaves it out.",
            f"{listed(map(repr, lost))} {'is' if len(lost) == 1 else 'are'}",
        )


def _pinned_ids(scoring: Scoring) -> pd.Index:
    return pd.Index(list(dict.fromkeys(kinds.canonical(name) or name for name in scoring.pinned)), dtype=object)


def spread(scores: np.ndarray, members: scipy.sparse.csr_array, each: int, count: int, first: np.ndarray) -> np.ndarray:
    """The places of the highest scores, of each category no more than `each`; an item counts in all of its own.

    Args:
        scores: of all items; -inf is never among the best.
        members: what `Catalogue.members` gives.
        first: places that are taken already, and count.

    Returns:
        at most `count` places, the highest first.
    """
    counts = np.bincount(members[first].indices, minlength=members.shape[1])
    out = scores == -np.inf
    out[first] = True
    left = np.argsort(-scores, kind="stable")
    full = np.flatnonzero(counts >= each)
    found: list[int] = []
    while True:
        if len(full):
            out |= members @ np.isin(np.arange(members.shape[1]), full).astype(np.float32) > 0
        if len(full) or not found:
            left = left[~out[left]]
        if not len(left) or len(found) == count:
            return np.array(found, dtype=np.int64)
        place, left = left[0], left[1:]
        found.append(int(place))
        own = members.indices[members.indptr[place] : members.indptr[place + 1]]
        counts[own] += 1
        full = own[counts[own] == each]


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
        first: places of the pinned items; they count in `per_category`, and all stand there however many there are.
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
    of = [categories[place] for place in everything]
    counts = Counter(name for place in chosen for name in of[place])
    like = likeness(everything) if scoring.diversity else np.zeros((len(everything), len(everything)))
    low, high = (scores.min(), scores.max()) if len(scores) else (0, 0)
    scaled = (scores - low) / (high - low) if high > low else np.zeros(len(scores))
    value = np.concatenate([np.zeros(len(first)), (1 - scoring.diversity) * scaled])
    nearest = like[:, chosen].max(axis=1, initial=0)
    while left and len(chosen) < scoring.length:
        if scoring.per_category is not None:
            left = [at for at in left if all(counts[name] < scoring.per_category for name in of[at])]
            if not left:
                break
        at = left[int(np.argmax([value[place] - scoring.diversity * nearest[place] for place in left]))]
        left.remove(at)
        chosen.append(at)
        counts.update(of[at])
        nearest = np.maximum(nearest, like[:, at])
    return everything[chosen]
