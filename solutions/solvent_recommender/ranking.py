"""Ratings foretold by a network: vectors of users and items, their product, and layers that cross them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from solvent import Data, Goal, Refused, training

from .catalogue import Catalogue
from .interactions import Histories, Known
from .part import Part
from .ratings import Rate, explicit
from .settings import Recommender
from .two_tower import BATCH_ROWS, Predict, described, others, padded, topics

if TYPE_CHECKING:
    import keras

__all__ = ["fit", "load", "part"]

GOAL = Goal("rmse", higher=False)
PAIRS = 2**18  # that are rated at once, for lists
SUPPORT = 5.0  # the logarithm of some 150 ratings


def fit(
    settings: Recommender, data: Data, known: Known, catalogue: Catalogue, epochs: int | None
) -> tuple[dict[str, keras.Model], dict[str, np.ndarray], dict[str, Any]]:
    """Train the network.

    Args:
        known: of the rows that are learnt from.
        epochs: None to learn from the training rows until the error on the validation rows grows; else so many epochs,
            on both.

    Returns:
        the models, the assets, the record of the stage.

    Raises:
        Refused: if no validation row has a rating.
    """
    from solvent import Fitted

    from .crosses import Rated, pair_head, rated_items, rating_users

    how = settings.ranking
    rows = explicit(data.train if epochs is None else pd.concat([data.train, data.valid]).sort_index())
    value = rows["rating"].to_numpy(np.float64)
    deviation = value.std() if value.std() > 0 else 1.0
    assets = {
        **described(known, catalogue, settings),
        "scale": np.array([value.mean(), deviation, value.min(), value.max()]),
        "length": np.array([how.history]),
        "counts": np.bincount(known.histories.item, minlength=len(known.items)),
    }
    content_of = topics(assets, catalogue)
    about = 0 if known.people is None else known.people.width
    models = {
        "ranking_users": rating_users(len(known.users), len(known.items), about, how),
        "ranking_items": rated_items(len(known.items), content_of.shape[1], how),
        "ranking_pairs": pair_head(how),
    }
    valid = explicit(data.valid)
    if valid.empty:
        raise Refused(
            "settings.ratings is true, and no validation row has a rating, so nothing says when to stop. Give that "
            "part more rows in data.split.fractions, or leave ratings out."
        )
    owner = valid.drop_duplicates("user")
    asked, _ = known.asked(owner, catalogue.ids)
    own = valid.groupby("user", sort=False).indices
    pairs = [catalogue.ids.get_indexer(valid["item"].iloc[own[user]]) for user in owner["user"]]
    truth = np.concatenate([np.zeros(0), *(valid["rating"].to_numpy()[own[user]] for user in owner["user"])])

    def monitor() -> dict[str, float]:
        rate = load(assets, catalogue, Fitted(models, batch_rows=BATCH_ROWS).predict)
        said = np.concatenate([np.zeros(0), *(np.array(each) for each in rate(asked, pairs))])
        return {GOAL.metric: float(np.sqrt(np.mean((said - truth) ** 2)))}

    plan = how.training
    if epochs is not None:
        plan = plan.model_copy(update={"epochs": epochs, "patience": None})
    record = training.fit(
        Rated(*models.values(), how),
        _rows(settings, rows, known, content_of, assets),
        stage="ranking" if epochs is None else "ranking-refit",
        training=plan,
        loss=None,
        monitor=monitor if epochs is None else None,
        goal=GOAL,
        data=data,
    )
    return models, assets, record


def _rows(
    settings: Recommender,
    rated: pd.DataFrame,
    known: Known,
    content_of: np.ndarray,
    assets: Mapping[str, np.ndarray],
) -> training.Rows:
    """A row for each rating: its user and what else they had, its item, and the rating by deviations from the mean."""
    user, item = known.users.get_indexer(rated["user"]), known.items.get_indexer(rated["item"])
    scale, counts, had = assets["scale"], assets["counts"], _all(known.histories)
    value = ((rated["rating"].to_numpy() - scale[0]) / scale[1]).astype(np.float32)[:, None]
    number, bags = had.counts(), others(had, len(known.items), settings.ranking.history)
    about = np.zeros((len(known.users), 0), np.float32) if had.about is None else had.about

    def take(positions: np.ndarray) -> tuple[Any, Any, np.ndarray]:
        users, items = user[positions], item[positions]
        inputs = {
            "user": (users + 1).astype(np.int32),
            "history": bags(users, items),
            "item": (items + 1).astype(np.int32),
            "content": content_of[items],
            "support": _support(number[users] - 1, counts[items] - 1),
        }
        inputs |= {"about": about[users]} if about.shape[1] else {}
        return inputs, value[positions], np.ones(len(positions), np.float32)

    return training.Rows(len(rated), take)


def load(assets: Mapping[str, np.ndarray], catalogue: Catalogue, predict: Predict, *, bounded: bool = True) -> Rate:
    """What a user would give items. A new user is read by their history and by what is known about them, a new item by
    its content; of whom and of what nothing is known gets the mean.

    Args:
        bounded: no rating lies outside those that were given; lists need them as they are, or the best are all equal.
    """
    place = np.arange(1, len(catalogue) + 1)
    number = np.where(place <= catalogue.known, place, 0).astype(np.int32)
    vectors = predict({"item": number, "content": topics(assets, catalogue)}, "ranking_items")
    vectors = np.concatenate([vectors, np.zeros_like(vectors[:1])])  # the last one for what the catalogue doesn't have
    counts = np.concatenate([assets["counts"], np.zeros(len(vectors) - catalogue.known, np.int64)])
    mean, deviation, low, high = assets["scale"]
    length = int(assets["length"][0])

    def rate(histories: Histories, asked: Sequence[np.ndarray]) -> list[list[float]]:
        had = _all(histories)
        assert had.place is not None
        inputs = {
            "user": (had.place + 1).astype(np.int32),
            "history": padded(had, np.arange(len(had)), catalogue.known, length),
        }
        inputs |= {} if had.about is None else {"about": had.about}
        users = predict(inputs, "ranking_users")
        sizes = np.array([len(some) for some in asked], np.int64)
        owner, item = np.repeat(np.arange(len(had)), sizes), np.concatenate([np.zeros(0, np.int64), *asked])
        support = _support(had.counts()[owner], counts[item])
        found = predict({"user": users[owner], "item": vectors[item], "support": support}, "ranking_pairs")[:, 0]
        value = found.astype(np.float64) * deviation + mean
        if bounded:
            value = np.clip(value, low, high)
        return [part.tolist() for part in np.split(value, np.cumsum(sizes)[:-1])]

    return rate


def part(assets: Mapping[str, np.ndarray], catalogue: Catalogue, predict: Predict) -> Part:
    """What users would give items, as a part of lists: all of them, or what other parts found."""
    rate = load(assets, catalogue, predict, bounded=False)
    every = np.arange(len(catalogue))

    def scores(histories: Histories) -> np.ndarray:
        return again(histories, [every] * len(histories))

    def again(histories: Histories, places: Sequence[np.ndarray]) -> np.ndarray:
        found = np.full((len(histories), len(catalogue)), np.nan, np.float32)
        at_once = max(1, PAIRS // max([1, *map(len, places)]))
        for begin in range(0, len(histories), at_once):
            rows = np.arange(begin, min(begin + at_once, len(histories)))
            some = [places[row] for row in rows]
            for row, own, value in zip(rows, some, rate(histories.take(rows), some), strict=True):
                found[row, own] = value
        return found

    return Part(scores, None, reason="", plain="likely to be rated high", again=again)


def _all(histories: Histories) -> Histories:
    """What users had, whether they liked it or not: also what they rated low tells something."""
    return replace(histories, liked=np.ones(len(histories.liked), dtype=bool))


def _support(users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """How many ratings stand behind a user and an item, as the network reads them, shape `(rows, 2)`."""
    counts = np.stack([users, items], axis=1)
    return (np.log1p(np.maximum(counts, 0)) / SUPPORT).astype(np.float32)
