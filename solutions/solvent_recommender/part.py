"""A model that is ready to score: alone, or a part of the hybrid."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .interactions import Histories

__all__ = ["Part"]


@dataclass(frozen=True)
class Part:
    """What the hybrid and the lists ask of a model.

    Args:
        scores: of every item for each user, float32, shape `(users, items)`, higher is better; NaN for an item that
            the model doesn't know. A user's row depends on no other user.
        links: from the places of the items that a user had and of others: how much each speaks for each, shape
            `(had, items)`; None where a model recommends to all alike.
        reason: what is said of an item that this model brought; {} is the item that speaks for it the most.
        plain: what is said where no item does.
        vectors: where scores are products of vectors: a function from users to theirs, shape `(users, width)`, and the
            items', shape `(items, width)`.
        again: of a model that in a hybrid ranks again what other parts found: the scores of some places of each user,
            as `scores`, NaN elsewhere.
    """

    scores: Callable[[Histories], np.ndarray]
    links: Callable[[np.ndarray, np.ndarray], np.ndarray] | None
    reason: str
    plain: str
    vectors: tuple[Callable[[Histories], np.ndarray], np.ndarray] | None = None
    again: Callable[[Histories, Sequence[np.ndarray]], np.ndarray] | None = None
