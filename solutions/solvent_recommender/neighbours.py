"""Neighbours: items that the same users liked."""

from collections.abc import Mapping

import numpy as np
import scipy.sparse

from .catalogue import Catalogue
from .interactions import Histories, Known
from .part import Part

__all__ = ["choices", "fit", "load", "similarities"]

NEIGHBOURS = 200
SHRINKS = (0.0, 10.0, 50.0)
AT_ONCE = 1024


def choices(known: Known) -> list[float]:
    """How much evidence is asked for: so many common users halve a likeness."""
    return list(SHRINKS)


def similarities(liked: scipy.sparse.csr_array, distance: str, shrink: float) -> scipy.sparse.csr_array:
    """How like two items are by who liked them, in [0, 1], 0 with themselves; each item's nearest ones only.

    `cosine` is that of their columns. `manhattan` is 1 less half the distance of the columns, each summing to 1: of
    columns of zeros and ones that is the number of common users over the larger number of users.

    Args:
        liked: shape `(users, items)`.

    Returns:
        shape `(items, items)`: row i holds how much having had i speaks for each other item.

    Source: Sarwar et al., Item-based collaborative filtering recommendation algorithms, 2001.
    """
    users = liked.sum(axis=0)
    columns = liked.T.tocsr()
    blocks = []
    for begin in range(0, columns.shape[0], AT_ONCE):
        common = (columns[begin : begin + AT_ONCE] @ liked).tocoo()
        row, column = common.coords
        own, other = users[row + begin], users[column]
        scale = np.sqrt(own * other) if distance == "cosine" else np.maximum(own, other)
        value = common.data / scale * (common.data / (common.data + shrink))
        value[row + begin == column] = 0
        found = scipy.sparse.csr_array((value.astype(np.float32), (row, column)), shape=common.shape)
        blocks.append(_nearest(found, NEIGHBOURS))
    return scipy.sparse.vstack(blocks, format="csr") if blocks else scipy.sparse.csr_array((0, 0), dtype=np.float32)


def _nearest(found: scipy.sparse.csr_array, count: int) -> scipy.sparse.csr_array:
    """The largest values of each row; of equal ones those of the first columns."""
    row = np.repeat(np.arange(found.shape[0]), np.diff(found.indptr))
    order = np.lexsort((found.indices, -found.data, row))
    rank = np.arange(len(order)) - found.indptr[row[order]]
    kept = order[(rank < count) & (found.data[order] > 0)]
    return scipy.sparse.csr_array((found.data[kept], (row[kept], found.indices[kept])), shape=found.shape)


def fit(known: Known, catalogue: Catalogue, shrink: float, distance: str = "cosine") -> dict[str, np.ndarray]:
    """The likenesses as the three arrays of a sparse matrix."""
    found = similarities(known.histories.matrix(len(known.items)), distance, shrink)
    found.sort_indices()
    return {"values": found.data, "columns": found.indices, "starts": found.indptr}


def load(assets: Mapping[str, np.ndarray], catalogue: Catalogue) -> Part:
    """The likenesses to what a user liked, summed."""
    count = len(assets["starts"]) - 1
    matrix = scipy.sparse.csr_array((assets["values"], assets["columns"], assets["starts"]), shape=(count, count))

    def scores(histories: Histories) -> np.ndarray:
        found = np.full((len(histories), len(catalogue)), np.nan, np.float32)
        found[:, :count] = (histories.matrix(len(catalogue))[:, :count] @ matrix).toarray()
        return found

    def links(had: np.ndarray, items: np.ndarray) -> np.ndarray:
        found = np.zeros((len(had), len(items)), np.float32)
        old, known = had < count, items < count
        found[np.ix_(old, known)] = matrix[had[old]][:, items[known]].toarray()
        return found

    return Part(scores, links, reason="because of {}", plain="others like you had it")
