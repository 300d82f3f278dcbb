"""Two towers: a network for users and one for items, whose vectors are near where the two belong together.

`two_tower` reads a history as a bag, by the items' ids and by their content, and learns each item from all others that
its user liked. `next_item` reads its order, by ids alone, and learns each item from those before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse
from sklearn.decomposition import TruncatedSVD

from solvent import Data, Goal, Training, training

from . import content
from .catalogue import Catalogue
from .interactions import Histories, Known
from .part import Part
from .settings import Recommender, Towers

if TYPE_CHECKING:
    import keras

__all__ = ["BATCH_ROWS", "NETWORKS", "described", "fit", "load", "others", "rows"]

TOPICS = 64  # numbers that stand for the categories, words and numbers of an item
NETWORKS = ("two_tower", "next_item")
BATCH_ROWS = 1024  # in each call of a tower
BAGS_IN_MEMORY = 1 << 26  # places of histories that are made once, 256 MB; of more users they are made anew each time
AT_ONCE = 256  # users whose scores are one matrix product, so that none depends on who else is asked for

Predict = Callable[..., Any]


def described(known: Known, catalogue: Catalogue, settings: Recommender) -> dict[str, np.ndarray]:
    """What turns an item's content into `TOPICS` numbers; nothing where the settings name no content."""
    if not settings.items.described:
        return {}
    assets = content.fit(known, catalogue, None)
    own = content.features(assets, catalogue)[: catalogue.known]
    size = min(TOPICS, own.shape[0] - 1)
    if size < 1:
        return {}
    found = TruncatedSVD(size, random_state=0).fit(own)
    return {
        **{f"content_{name}": value for name, value in assets.items()},
        "topics": found.components_.astype(np.float32),
    }


def topics(assets: Mapping[str, np.ndarray], catalogue: Catalogue) -> np.ndarray:
    """The content of each item, about 1 in size, float32, shape `(items, topics)`; a 0 where there is none."""
    if "topics" not in assets:
        return np.zeros((len(catalogue), 1), np.float32)
    own = {name.removeprefix("content_"): value for name, value in assets.items() if name.startswith("content_")}
    found = content.features(own, catalogue) @ assets["topics"].T
    return np.asarray(found * np.sqrt(found.shape[1]), np.float32)


def padded(
    histories: Histories, places: np.ndarray, items: int, length: int, *, until: np.ndarray | None = None
) -> np.ndarray:
    """The last liked items of some users, the newest first, each one more than its place, zeros after them.

    Args:
        items: places from here on are new, and left out.
        until: so many of each user's events are read, the oldest ones.

    Returns:
        shape `(users, length)`.
    """
    asked = histories.take(places)
    kept = asked.liked & (asked.item < items)
    owner = asked.owner
    if until is not None:
        kept &= np.arange(len(owner)) - asked.start[owner] < until[owner]
    owner, item = owner[kept], asked.item[kept]
    sizes = np.bincount(owner, minlength=len(places))
    last = np.cumsum(sizes)[owner] - 1 - np.arange(len(owner))  # 0 for the newest
    found = np.zeros((len(places), length), np.int32)
    near = last < length
    found[owner[near], last[near]] = item[near] + 1
    return found


def others(histories: Histories, items: int, length: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The last liked items of some users but one, in any order: each user's are made once, with one more of them, which
    takes the place of the one that is left out. To make them anew for each row took most of the time of training.

    Returns:
        users, and the item of each that is left out -> `(users, length)`.
    """
    few = len(histories) * (length + 1) <= BAGS_IN_MEMORY
    made = padded(histories, np.arange(len(histories)), items, length + 1) if few else None

    def bags(users: np.ndarray, leave: np.ndarray) -> np.ndarray:
        found = padded(histories, users, items, length + 1) if made is None else made[users]
        kept, spare = np.ascontiguousarray(found[:, :length]), found[:, length]
        row, column = np.nonzero(kept == (leave + 1)[:, None])
        kept[row, column] = spare[row]
        return kept

    return bags


def taste(had: scipy.sparse.csr_array, content_of: np.ndarray) -> np.ndarray:
    """The mean content of the items that each user had, of those that have any, float32, shape `(users, topics)`.

    Args:
        had: 1 where a user had an item, shape `(users, items)`; new items count as the known ones.
        content_of: what `topics` gives.
    """
    count = had @ content_of.any(axis=1).astype(np.float32)
    return np.asarray((had @ content_of) / np.maximum(count, 1)[:, None], np.float32)


def _some(
    history: np.ndarray, items: int, dropout: float = 0.0, random: np.random.Generator | None = None
) -> scipy.sparse.csr_array:
    """Padded histories, as `taste` reads them; in training what is left of them. A mean over all items of a user but
    the one that is asked for would tell which one that is: whoever knows the user's mean subtracts."""
    row, column = np.nonzero(history)
    item = history[row, column] - 1
    if random is not None:
        kept = random.random(len(row)) >= dropout
        row, item = row[kept], item[kept]
    shape = (len(history), items)
    return scipy.sparse.csr_array((np.ones(len(row), np.float32), (row, item)), shape=shape)


def rows(known: Known, content_of: np.ndarray, settings: Towers, ordered: bool) -> training.Rows:
    """A row for each liked item: what else its user liked, or what they liked before it, and the item."""
    found = known.histories
    liked = np.flatnonzero(found.liked)
    owner, item = found.owner[liked], found.item[liked]
    before = liked - found.start[owner]
    share = np.bincount(item, minlength=len(known.items)).astype(np.float32) / max(len(item), 1)
    about = None if ordered else found.about
    bags = None if ordered else others(found, len(known.items), settings.history)
    read = not ordered and bool(content_of.any())

    def take(positions: np.ndarray) -> tuple[Any, Any, np.ndarray]:
        wanted, users = item[positions], owner[positions]
        if bags is None:
            history = padded(found, users, len(known.items), settings.history, until=before[positions])
        else:
            history = bags(users, wanted)
        inputs = {
            "history": history,
            "item": (wanted + 1).astype(np.int32),
            "content": content_of[wanted],
            "share": share[wanted],
        }
        if read:
            random = np.random.default_rng(positions)
            inputs["taste"] = taste(_some(history, len(content_of), settings.dropout, random), content_of)
        if about is not None:
            inputs["about"] = about[users]
        return inputs, np.zeros((len(positions), 1), np.float32), np.ones(len(positions), np.float32)

    return training.Rows(len(liked), take)


def fit(
    settings: Recommender,
    name: str,
    data: Data,
    known: Known,
    catalogue: Catalogue,
    goal: Goal,
    measure: Callable[[Part], float] | None,
    epochs: int | None,
) -> tuple[dict[str, keras.Model], dict[str, np.ndarray], dict[str, Any]]:
    """Train the towers.

    Args:
        name: `two_tower` or `next_item`.
        measure: a part's headline on validation cases; None for a refit on them, for `epochs` epochs.

    Returns:
        the models, the assets, the record of the stage.
    """
    from solvent import Fitted

    from .towers import Pairs, item_tower, sequence_tower, user_tower

    ordered = name == "next_item"
    assets = {**described(known, catalogue, settings), "length": np.array([settings.towers.history])}
    content_of = topics(assets, catalogue)[: len(known.items)]
    width = content_of.shape[1]
    read, about = (width if content_of.any() else 0), (0 if known.people is None else known.people.width)
    assets["taste"] = np.array([bool(read) and not ordered])
    users = (
        sequence_tower(len(known.items), settings.towers)
        if ordered
        else user_tower(len(known.items), settings.towers, read, about)
    )
    models = {f"{name}_users": users, f"{name}_items": item_tower(len(known.items), width, settings.towers)}
    pairs = Pairs(*models.values(), settings.towers)

    def monitor() -> dict[str, float]:
        predict = Fitted(models, batch_rows=BATCH_ROWS).predict
        return {goal.metric: measure(load(name, assets, catalogue, predict))} if measure else {}

    how: Training = settings.training
    if measure is None:
        how = how.model_copy(update={"epochs": epochs, "patience": None})
    record = training.fit(
        pairs,
        rows(known, content_of, settings.towers, ordered),
        stage=name if measure else f"{name}-refit",
        training=how,
        loss=None,
        monitor=monitor if measure else None,
        goal=goal,
        data=data,
    )
    return models, assets, record


def load(name: str, assets: Mapping[str, np.ndarray], catalogue: Catalogue, predict: Predict) -> Part:
    """The likeness of a user's vector to each item's; a new item has one by its content."""
    content_of = topics(assets, catalogue)
    place = np.arange(1, len(catalogue) + 1)
    number = np.where(place <= catalogue.known, place, 0).astype(np.int32)
    vectors = predict({"item": number, "content": content_of}, f"{name}_items")
    unknown = (number == 0) & ~content_of.any(axis=1)
    reads_content = bool(np.any(assets.get("taste", False)))
    length = int(assets["length"][0])
    told = bool(np.any(assets.get("told", False)))  # users without a history are read by what is known about them

    def users_of(histories: Histories) -> np.ndarray:
        asked = padded(histories, np.arange(len(histories)), catalogue.known, length)
        inputs, something = {"history": asked}, asked.any(axis=1)
        if reads_content:
            newest = padded(histories, np.arange(len(histories)), len(content_of), length)
            inputs["taste"] = taste(_some(newest, len(content_of)), content_of)
            something |= inputs["taste"].any(axis=1)
        if name == "two_tower" and histories.about is not None:
            inputs["about"] = histories.about
            something |= told & histories.about.any(axis=1)
        users: np.ndarray = predict(inputs, f"{name}_users")
        users[~something] = 0  # of whom nothing is known
        return users

    def scores(histories: Histories) -> np.ndarray:
        users = users_of(histories)
        found = np.empty((len(users), len(vectors)), np.float32)
        for begin in range(0, len(users), AT_ONCE):
            some = users[begin : begin + AT_ONCE]
            full = np.zeros((AT_ONCE, users.shape[1]), np.float32)
            full[: len(some)] = some
            found[begin : begin + AT_ONCE] = (full @ vectors.T)[: len(some)]
        found[:, unknown] = np.nan
        return found

    def links(had: np.ndarray, items: np.ndarray) -> np.ndarray:
        return vectors[had] @ vectors[items].T

    vectors[unknown] = 0
    said = ("next after {}", "next") if name == "next_item" else ("because of {}", "others like you had it")
    return Part(scores, links, *said, (users_of, vectors))
