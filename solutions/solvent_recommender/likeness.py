"""How like items are to each other: by content where it is known, or else by who liked them."""

from collections.abc import Mapping

import numpy as np
import scipy.sparse
from sklearn.preprocessing import normalize

from . import content
from .catalogue import Catalogue
from .interactions import Known

__all__ = ["diversity", "matrix", "vectors"]


def vectors(known: Known, catalogue: Catalogue, assets: Mapping[str, np.ndarray] | None) -> scipy.sparse.csr_array:
    """A vector of length 1 for each item, of zeros where nothing is known, shape `(items, dimensions)`.

    Args:
        assets: of the content, where the settings use it.
    """
    if assets is not None:
        found = content.features(assets, catalogue)
        if found.nnz:
            return found
    liked = known.histories.matrix(len(catalogue))
    return scipy.sparse.csr_array(normalize(liked.T.tocsr()))


def matrix(own: scipy.sparse.csr_array, places: np.ndarray) -> np.ndarray:
    """The likeness of some items with each other, shape `(places, places)`."""
    part = own[places]
    return (part @ part.T).toarray()


def diversity(own: scipy.sparse.csr_array, lists: list[np.ndarray]) -> np.ndarray:
    """1 less the mean likeness of two items of a list, shape `(lists,)`; NaN for lists of fewer than two."""
    sizes = np.array([len(places) for places in lists], dtype=np.int64)
    row = np.repeat(np.arange(len(lists)), sizes)
    column = np.concatenate([np.array([], np.int64), *lists])
    chosen = scipy.sparse.csr_array((np.ones(len(row)), (row, column)), shape=(len(lists), own.shape[0]))
    total = chosen @ own.astype(np.float64)
    squares = np.asarray(total.multiply(total).sum(axis=1)).ravel()
    selves = chosen @ np.asarray(own.multiply(own).sum(axis=1)).ravel().astype(np.float64)
    pairs = sizes * (sizes - 1.0)
    return np.where(pairs > 0, 1 - (squares - selves) / np.where(pairs > 0, pairs, 1), np.nan)
