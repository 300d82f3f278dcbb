"""Content: items are like each other by their categories, texts and numbers; so new ones can be recommended."""

from collections.abc import Mapping

import numpy as np
import scipy.sparse
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.preprocessing import normalize

from .catalogue import Catalogue
from .interactions import Histories, Known
from .part import Part

__all__ = ["choices", "features", "fit", "load"]

BUCKETS = 2**14  # for the words of texts
CATEGORIES = 2**12


def choices(known: Known) -> list[None]:
    """Nothing is chosen."""
    return [None]


def _raw(catalogue: Catalogue) -> list[scipy.sparse.csr_array]:
    """Categories and words, hashed, so that new ones need no place of their own."""
    words = HashingVectorizer(n_features=BUCKETS, alternate_sign=False, norm=None, dtype=np.float32, ngram_range=(1, 2))
    names = HashingVectorizer(
        n_features=CATEGORIES, alternate_sign=False, norm=None, dtype=np.float32, analyzer=list, binary=True
    )
    return [
        scipy.sparse.csr_array(names.transform(catalogue.categories)),
        scipy.sparse.csr_array(words.transform(catalogue.texts)),
    ]


def features(assets: Mapping[str, np.ndarray], catalogue: Catalogue) -> scipy.sparse.csr_array:
    """What each item is: categories and words, each part of length 1 where it is there, numbers of length 1 at most, at
    three deviations from the mean; then the whole of length 1.

    Returns:
        float32, shape `(items, features)`.
    """
    parts = [
        normalize(part.multiply(weight[None, :]).tocsr())
        for part, weight in zip(_raw(catalogue), (assets["categories"], assets["words"]), strict=True)
    ]
    mean, deviation = assets["numbers"]
    standard = np.nan_to_num((catalogue.numbers() - mean) / deviation)
    if standard.shape[1]:
        scaled = np.clip(standard, -3, 3) / (3 * np.sqrt(standard.shape[1]))
        parts.append(scipy.sparse.csr_array(scaled.astype(np.float32)))
    return scipy.sparse.csr_array(normalize(scipy.sparse.hstack(parts, format="csr")).astype(np.float32))


def fit(known: Known, catalogue: Catalogue, choice: None) -> dict[str, np.ndarray]:
    """How rare each category and word is, the usual size of each number, and what the liked items have in common."""
    rare = []
    for part in _raw(catalogue):
        here = part[: catalogue.known]
        documents = np.bincount(here.indices, minlength=here.shape[1])
        rare.append((np.log((1 + here.shape[0]) / (1 + documents)) + 1).astype(np.float32))
    numbers = catalogue.numbers()[: catalogue.known]
    with np.errstate(invalid="ignore"):
        there = ~np.isnan(numbers)
        count = np.maximum(there.sum(axis=0), 1)
        mean = np.where(there, numbers, 0).sum(axis=0) / count
        deviation = np.sqrt((np.where(there, numbers - mean, 0) ** 2).sum(axis=0) / count)
    assets = {
        "categories": rare[0],
        "words": rare[1],
        "numbers": np.stack([mean, np.where(deviation > 0, deviation, 1)]),
    }
    liked = known.histories.item[known.histories.liked]
    own = features(assets, catalogue)[: catalogue.known]
    count = np.bincount(liked, minlength=catalogue.known).astype(np.float32)
    return {**assets, "usual": np.asarray(own.T @ count, np.float32).ravel() / max(len(liked), 1)}


def load(assets: Mapping[str, np.ndarray], catalogue: Catalogue) -> Part:
    """How like each item is to what a user liked, less how like it is to what all liked; 0 for a user without a
    history. An item of which nothing is known has no score."""
    own = features(assets, catalogue)
    usual = own @ assets["usual"]
    empty = np.diff(own.indptr) == 0

    def scores(histories: Histories) -> np.ndarray:
        count = histories.counts()
        profile = (histories.matrix(len(catalogue)) @ own) @ own.T
        found = profile.toarray() / np.maximum(count, 1).astype(np.float32)[:, None]
        found -= np.outer(count > 0, usual).astype(np.float32)
        found[:, empty] = np.nan
        return found

    def links(had: np.ndarray, items: np.ndarray) -> np.ndarray:
        return (own[had] @ own[items].T).toarray()

    return Part(scores, links, reason="similar to {}", plain="similar content")
