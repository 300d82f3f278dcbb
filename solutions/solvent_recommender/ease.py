"""EASE: a linear model from all that a user liked to each item, fitted in closed form."""

from collections.abc import Callable, Mapping

import numpy as np
import scipy.linalg
import scipy.sparse

from .catalogue import Catalogue
from .interactions import Histories, Known
from .part import Part

__all__ = ["choices", "fit", "load"]

STRENGTHS = (30.0, 100.0, 300.0, 1000.0, 3000.0)


def choices(known: Known) -> list[float]:
    """Strengths of the ridge."""
    return list(STRENGTHS)


def fit(known: Known, catalogue: Catalogue, strength: float, most: int = 20_000) -> dict[str, np.ndarray]:
    """Fit the weights; the diagonal, an item speaking for itself, is 0.

    With P the inverse of XᵀX + strength, the weights are -P[i, j] / P[j, j]. Where users are fewer than items, P is
    (1 - Xᵀ (XXᵀ + strength)⁻¹ X) / strength: that inverse and X then are kept in place of the weights.

    Args:
        most: so many of the commonest items are known; the others have no score.

    Source: Steck, Embarrassingly shallow autoencoders for sparse data, 2019.
    """
    liked = known.histories.matrix(len(known.items)).astype(np.float64)
    counts = liked.sum(axis=0)
    chosen = np.sort(np.argsort(-counts, kind="stable")[:most])
    common = liked[:, chosen]
    if common.shape[0] >= common.shape[1]:
        gram = (common.T @ common).toarray()
        gram[np.diag_indices_from(gram)] += strength
        inverse = _inverse(gram)
        weights = -inverse / np.diag(inverse)
        np.fill_diagonal(weights, 0)
        return {"chosen": chosen, "weights": weights.astype(np.float32)}
    gram = (common @ common.T).toarray()
    gram[np.diag_indices_from(gram)] += strength
    inverse = _inverse(gram)
    spread = common.T @ inverse  # (items, users)
    own = np.asarray((common.T.multiply(spread)).sum(axis=1)).ravel()
    return {
        "chosen": chosen,
        "inverse": inverse.astype(np.float32),
        "own": (1 - own).astype(np.float32),
        "rows": common.indices.astype(np.int32),
        "starts": common.indptr.astype(np.int64),
    }


def _inverse(gram: np.ndarray) -> np.ndarray:
    """Of a symmetric positive definite matrix."""
    return scipy.linalg.cho_solve(scipy.linalg.cho_factor(gram, lower=True), np.eye(len(gram)))


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
