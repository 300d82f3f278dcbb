"""Who had what, and when: from a table's rows to numbered users and items, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from .people import People
from .settings import Recommender

__all__ = ["Histories", "Known", "spelled", "unknown_share"]

DAY = 86_400.0


@dataclass(frozen=True)
class Histories:
    """What each of some users had, each item once, oldest first.

    Args:
        start: where each user's items begin, shape `(users + 1,)`.
        item: the items' places in the catalogue, shape `(events,)`.
        liked: whether they liked it, shape `(events,)`.
        age: days before the newest event of all, float32, shape `(events,)`; 0 where no times are known.
        place: of each user among the known ones, -1 for a new one, shape `(users,)`; None where nobody asks for it.
        about: what the users' side table says of each, shape `(users, width)`; None where there is no such table.
    """

    start: np.ndarray
    item: np.ndarray
    liked: np.ndarray
    age: np.ndarray
    place: np.ndarray | None = None
    about: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def owner(self) -> np.ndarray:
        """The place of each event's user, shape `(events,)`."""
        return np.repeat(np.arange(len(self)), np.diff(self.start))

    def counts(self) -> np.ndarray:
        """How many items each user liked, shape `(users,)`."""
        return np.bincount(self.owner[self.liked], minlength=len(self))

    def matrix(self, items: int, *, liked: bool = True) -> scipy.sparse.csr_array:
        """1 where a user had an item, float32, shape `(users, items)`; only what they liked, or all of it."""
        kept = self.liked if liked else np.ones(len(self.item), dtype=bool)
        found = scipy.sparse.csr_array(
            (np.ones(kept.sum(), np.float32), (self.owner[kept], self.item[kept])), shape=(len(self), items)
        )
        found.sort_indices()
        return found

    def take(self, places: np.ndarray) -> Histories:
        """The histories of some of the users, in that order; a place of -1 gives an empty one."""
        sizes = np.where(places >= 0, np.diff(self.start)[places] if len(self) else 0, 0)
        start = np.concatenate([[0], np.cumsum(sizes)])
        first = np.where(places >= 0, self.start[places], 0)
        at = np.repeat(first - start[:-1], sizes) + np.arange(start[-1])
        who = (_taken(self.place, places, -1), _taken(self.about, places, 0))
        return Histories(start, self.item[at], self.liked[at], self.age[at], *who)

    def of(self, row: int) -> np.ndarray:
        """The items that a user liked, oldest first."""
        part = slice(self.start[row], self.start[row + 1])
        return self.item[part][self.liked[part]]


def _taken(values: np.ndarray | None, places: np.ndarray, missing: float) -> np.ndarray | None:
    """What stands at some places; `missing` at a place of -1."""
    if values is None:
        return None
    found = np.full((len(places), *values.shape[1:]), missing, values.dtype)
    found[places >= 0] = values[places[places >= 0]]
    return found


@dataclass(frozen=True)
class Known:
    """What rows say about users and items.

    Args:
        users: their ids; `histories` has one for each.
        items: their ids, sorted: the first places of every catalogue.
        people: what else is known of users, these and others.
    """

    users: pd.Index
    items: pd.Index
    histories: Histories
    people: People | None = None

    @classmethod
    def of(cls, settings: Recommender, rows: pd.DataFrame) -> Known:
        """Read the interactions of a checked table; of one that occurs again the last counts."""
        if "time" in rows:
            rows = rows.sort_values("time", kind="stable")  # ages are rounded, and tell neither order nor ties
        liked = np.ones(len(rows), dtype=bool)
        if settings.liked_from is not None and "rating" in rows:
            liked = rows["rating"].to_numpy() >= settings.liked_from
        age = np.zeros(len(rows), np.float32)
        if "time" in rows and len(rows):
            age = ((rows["time"].max() - rows["time"]).dt.total_seconds() / DAY).to_numpy(np.float32)
        return cls.restored(pd.DataFrame({"user": rows["user"], "item": rows["item"], "liked": liked, "age": age}))

    @classmethod
    def restored(cls, events: pd.DataFrame) -> Known:
        """From `events`, in whatever order; of equal ages the later row is the newer.

        Those that are `forgotten`, where there is such a column, are in no history; users and items keep their places.
        """
        (user, users), (item, items) = _numbered(events["user"]), _numbered(events["item"])
        age, liked = events["age"].to_numpy(np.float32), events["liked"].to_numpy(bool)
        order = np.lexsort((np.arange(len(events)), -age, user))
        again = pd.DataFrame({"user": user[order], "item": item[order]}).duplicated(keep="last").to_numpy()
        order = order[~again]
        if "forgotten" in events:
            order = order[~events["forgotten"].to_numpy(bool)[order]]
        start = np.concatenate([[0], np.cumsum(np.bincount(user[order], minlength=len(users)))])
        return cls(users, items, Histories(start, item[order], liked[order], age[order]))

    def events(self) -> pd.DataFrame:
        """A row for each event: what a bundle keeps."""
        found = self.histories
        return pd.DataFrame(
            {
                "user": pd.Series(self.users.to_numpy()[found.owner], dtype="str"),
                "item": pd.Series(self.items.to_numpy()[found.item], dtype="str"),
                "liked": found.liked,
                "age": found.age,
            }
        )

    def told(self, people: People | None) -> Known:
        """The same with what is known of users."""
        about = None if people is None else people.of(self.users)
        return replace(self, people=people, histories=replace(self.histories, about=about))

    def asked(self, rows: pd.DataFrame, ids: pd.Index) -> tuple[Histories, np.ndarray]:
        """The histories of the users of rows that are scored, and their places among the known users, -1 for new ones.

        A `history` in the row takes the place of the known one, all of it liked and new; the user then is a new one.
        Items that the catalogue doesn't have are passed over.

        Args:
            ids: of the catalogue.
        """
        places = self.users.get_indexer(rows["user"])
        if "history" not in rows or rows["history"].isna().all():
            return self._of(rows, self.histories.take(places), places), places
        given = [spelled(cell) if isinstance(cell, list) else None for cell in rows["history"]]
        places = np.where([cell is None for cell in given], places, -1)
        own = [np.array([], np.int64) if cell is None else _places(ids, cell) for cell in given]
        return self._of(rows, _merged(self.histories.take(places), own), places), places

    def _of(self, rows: pd.DataFrame, histories: Histories, places: np.ndarray) -> Histories:
        about = None if self.people is None else self.people.of(rows["user"])
        return replace(histories, place=places, about=about)


def _numbered(names: pd.Series) -> tuple[np.ndarray, pd.Index]:
    """The place of each name among all that there are, sorted, and these."""
    codes, found = pd.factorize(names)
    unique = np.asarray(found, dtype=object)
    order = np.argsort(unique)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place[codes], pd.Index(unique[order], dtype=object)


def spelled(ids: Sequence[Any]) -> list[str]:
    """Ids as a checked table spells them: 7, 7.0 and "7" are one."""
    from solvent.schema import kinds

    return [name for name in map(kinds.canonical, ids) if name is not None]


def unknown_share(cell: Any, ids: pd.Index) -> float:
    """The share of a row's `history` that the catalogue doesn't have; NaN where the row has none."""
    names = spelled(cell) if isinstance(cell, list) else []
    return float((ids.get_indexer(pd.Index(names, dtype=object)) < 0).mean()) if names else np.nan


def _places(ids: pd.Index, names: Sequence[str]) -> np.ndarray:
    last = list(dict.fromkeys(reversed(names)))[::-1]  # each once, where it stood last
    found = ids.get_indexer(pd.Index(last, dtype=object))
    return found[found >= 0]


def _merged(stored: Histories, own: Sequence[np.ndarray]) -> Histories:
    """A row's own history where it has one; the stored one of such a row is empty."""
    sizes = np.array([len(items) for items in own])
    start = np.concatenate([[0], np.cumsum(np.diff(stored.start) + sizes)])
    item = np.zeros(start[-1], stored.item.dtype)
    liked, age = np.ones(start[-1], dtype=bool), np.zeros(start[-1], np.float32)
    at = np.repeat(start[:-1] - stored.start[:-1], np.diff(stored.start)) + np.arange(len(stored.item))
    item[at], liked[at], age[at] = stored.item, stored.liked, stored.age
    free = np.ones(len(item), dtype=bool)
    free[at] = False
    item[free] = np.concatenate([np.array([], np.int64), *own])
    return Histories(start, item, liked, age)
