"""How like items are to each other: by content where it is known, or else by who liked them."""

from collections.abc import Mapping

import numpy as np
import scipy.sparse
from sklearn.preprocessing import normalize

from . import content
from .catalogue import Catalogue
from .interactions import Known

__all__ = ["diversity", "matrix", "vectors"]

MOST_USERS = 4096  # of whom it counts who liked an item; more would tell lists apart no better


def vectors(known: Known, catalogue: Catalogue, assets: Mapping[str, np.ndarray] | None) -> scipy.sparse.csr_array:
    """A vector of length 1 for each item, of zeros where nothing is known, shape `(items, dimensions)`.

    Without content it says who of up to `MOST_USERS` users liked the item.

    Args:
        assets: of the content, where the settings use it.
    """
    if assets is not None:
        found = content.features(assets, catalogue)
        if found.nnz:
            return found
    users = len(known.users)
    some = np.unique(np.linspace(0, users - 1, min(users, MOST_USERS)).astype(np.int64)) if users else np.zeros(0, int)
    liked = known.histories.take(some).matrix(len(catalogue))
    return scipy.sparse.csr_array(normalize(liked.T.tocsr()))


def matrix(own: scipy.sparse.csr_array, places: np.ndarray) -> np.ndarray:
    """The likeness of some items with each other, shape `(places, places)`."""
    part = own[places]
    return (part @ part.T).toarray()


def diversity(own: scipy.sparse.csr_array, lists: list[np.ndarray]) -> np.ndarray:
    """1 less the mean likeness of two items of a list, shape `(lists,)`; NaN for lists of fewer than two."""
    sizes = np.array([len(places) for places in lists], dtype=np.int64)
    found = own[np.concatenate([np.array([], np.int64), *lists])].astype(np.float64)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    summed = scipy.sparse.csr_array((np.ones(starts[-1]), np.arange(starts[-1]), starts), (len(lists), starts[-1]))
    total = summed @ found
    squares = np.asarray(total.multiply(total).sum(axis=1)).ravel()
    selves = summed @ np.asarray(found.multiply(found).sum(axis=1)).ravel()
    pairs = sizes * (sizes - 1.0)
    return np.where(pairs > 0, 1 - (squares - selves) / np.where(pairs > 0, pairs, 1), np.nan)
