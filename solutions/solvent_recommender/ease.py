"""EASE: a linear model from all that a user liked to each item, fitted in closed form."""

from collections.abc import Callable, Mapping

import numpy as np
import scipy.linalg.lapack
import scipy.sparse

from solvent import Finding

from .catalogue import Catalogue
from .interactions import Histories, Known
from .part import Part

__all__ = ["choices", "fit", "left_out", "load"]

AT_ONCE = 512
STRENGTHS = (30.0, 100.0, 300.0, 1000.0, 3000.0)


def choices(known: Known) -> list[float]:
    """Strengths of the ridge."""
    return list(STRENGTHS)


def fit(known: Known, catalogue: Catalogue, strength: float, most: int = 10_000) -> dict[str, np.ndarray]:
    """Fit the weights; the diagonal, an item speaking for itself, is 0.

    With P the inverse of XᵀX + strength, the weights are -P[i, j] / P[j, j]. Where users are fewer than items, P is
    (1 - Xᵀ (XXᵀ + strength)⁻¹ X) / strength: that inverse and X then are kept in place of the weights.

    Args:
        most: so many of the commonest items are known; the others have no score. Of n items or users, whichever are
            fewer, it takes 12 n² bytes, 1.2 GB at 10,000.

    Source: Steck, Embarrassingly shallow autoencoders for sparse data, 2019.
    """
    liked = known.histories.matrix(len(known.items)).astype(np.float64)
    counts = liked.sum(axis=0)
    chosen = np.sort(np.argsort(-counts, kind="stable")[:most])
    common = liked[:, chosen]
    if common.shape[0] >= common.shape[1]:
        weights = _inverse(_gram(common.T.tocsr(), strength))
        weights /= -np.diag(weights).copy()
        np.fill_diagonal(weights, 0)
        return {"chosen": chosen, "weights": weights.astype(np.float32)}
    inverse = _inverse(_gram(common, strength))
    spread = common.T @ inverse  # (items, users)
    own = np.asarray((common.T.multiply(spread)).sum(axis=1)).ravel()
    return {
        "chosen": chosen,
        "inverse": inverse.astype(np.float32),
        "own": (1 - own).astype(np.float32),
        "rows": common.indices.astype(np.int32),
        "starts": common.indptr.astype(np.int64),
    }


def left_out(known: Known, most: int) -> tuple[Finding, ...]:
    """Which share of the items is too rare to be known, if any."""
    if len(known.items) <= most:
        return ()
    liked = np.sort(known.histories.matrix(len(known.items)).sum(axis=0))[::-1]
    share = liked[:most].sum() / max(liked.sum(), 1)
    return (
        Finding(
            name="ease_items",
            severity="note",
            message=f"EASE knows the {most:,} commonest of {len(known.items):,} items, which are "
            f"{share:.1%} of what was liked. It scores no other.",
            cure="Raise settings.ease_items: n items take 12 n² bytes, and time that grows with n³.",
            count=len(known.items) - most,
        ),
    )


def _gram(rows: scipy.sparse.csr_array, strength: float) -> np.ndarray:
    """The products of all pairs of rows, the strength added to the diagonal."""
    found, turned = np.empty((rows.shape[0], rows.shape[0])), rows.T.tocsr()
    for begin in range(0, len(found), AT_ONCE):  # a sparse product of them all would take more than the dense one
        found[begin : begin + AT_ONCE] = (rows[begin : begin + AT_ONCE] @ turned).toarray()
    found[np.diag_indices_from(found)] += strength
    return found


def _inverse(gram: np.ndarray) -> np.ndarray:
    """Of a symmetric positive definite matrix, in its own memory."""
    # LAPACK's columns are numpy's rows, so its lower triangle is the upper one here
    factor, failed = scipy.linalg.lapack.dpotrf(gram.T, lower=1, clean=0, overwrite_a=1)
    found, singular = scipy.linalg.lapack.dpotri(factor, lower=1, overwrite_c=1)
    if failed or singular:
        raise np.linalg.LinAlgError("EASE: the matrix is not positive definite")
    inverse: np.ndarray = found.T
    for begin in range(0, len(inverse), AT_ONCE):
        end = begin + AT_ONCE
        inverse[begin:end, :begin] = inverse[:begin, begin:end].T
        block = np.triu(inverse[begin:end, begin:end])
        inverse[begin:end, begin:end] = block + np.triu(block, 1).T
    return inverse


def load(assets: Mapping[str, np.ndarray], catalogue: Catalogue) -> Part:
    """The weights of what a user liked, summed."""
    chosen = np.asarray(assets["chosen"])
    place = np.full(len(catalogue), -1)
    place[chosen] = np.arange(len(chosen))
    weigh, links_of = _dense(assets["weights"]) if "weights" in assets else _by_users(assets)

    def scores(histories: Histories) -> np.ndarray:
        found = np.full((len(histories), len(catalogue)), np.nan, np.float32)
        found[:, chosen] = weigh(histories.matrix(len(catalogue))[:, chosen])
        return found

    def links(had: np.ndarray, items: np.ndarray) -> np.ndarray:
        found = np.zeros((len(had), len(items)), np.float32)
        old, new = place[had], place[items]
        found[np.ix_(old >= 0, new >= 0)] = links_of(old[old >= 0], new[new >= 0])
        return found

    return Part(scores, links, reason="because of {}", plain="others like you had it")


Weigh = Callable[[scipy.sparse.csr_array], np.ndarray]
LinksOf = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _dense(weights: np.ndarray) -> tuple[Weigh, LinksOf]:
    return lambda liked: liked @ weights, lambda old, new: weights[np.ix_(old, new)]


def _by_users(assets: Mapping[str, np.ndarray]) -> tuple[Weigh, LinksOf]:
    """The same weights, from the inverse of what users have in common."""
    rows, starts, inverse, own = (assets[name] for name in ("rows", "starts", "inverse", "own"))
    shape = (len(starts) - 1, len(own))
    common = scipy.sparse.csr_array((np.ones(len(rows), np.float32), rows, starts), shape=shape)
    columns = common.tocsc()

    def weigh(liked: scipy.sparse.csr_array) -> np.ndarray:
        spread = (liked @ common.T) @ inverse
        return (common.T @ spread.T).T / own - liked.multiply((1 - own) / own).toarray()

    def links(old: np.ndarray, new: np.ndarray) -> np.ndarray:
        found = (columns[:, new].T @ (columns[:, old].T @ inverse).T).T / own[new]
        return np.where(old[:, None] == new[None, :], 0, found)

    return weigh, links
