"""Texts as weighed n-grams of words and of characters: no text is ever cut, and no word of one is kept."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import scipy.sparse
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.preprocessing import normalize

from solvent.words import UNSPACED_RUN, words

from .settings import Sentiment

__all__ = ["HASHED", "counts", "frequent", "log_count_ratios", "pieces", "weigh", "weights"]

HASHED = 2**20  # places that words are hashed into; characters have as many behind them
SMOOTHING = 1.0


def pieces(text: str, longest: int, characters: int, fold_case: bool = True) -> Iterator[str]:
    """Words, signs, and sequences of neighbours; where no spaces part the words, characters and sequences of them.

    Args:
        longest: sequence of words.
        characters: longest sequence of characters.
        fold_case: upper and lower case are one.
    """
    for place, part in enumerate(UNSPACED_RUN.split(text.lower() if fold_case else text)):
        reach, gap = (characters, "") if place % 2 else (longest, " ")  # every second part is a run without spaces
        tokens = [part[begin:end] for begin, end in words(part)]
        for length in range(1, reach + 1):
            yield from (gap.join(tokens[at : at + length]) for at in range(len(tokens) - length + 1))


def counts(settings: Sentiment, texts: pd.Series) -> scipy.sparse.csr_matrix:
    """How often each hashed n-gram stands in each text, damped by the logarithm.

    Returns:
        float32, shape `(rows, 2 * HASHED)`: words, then characters inside words.
    """
    about, fold = settings.ngrams, settings.fold_case
    options = {"norm": None, "alternate_sign": False, "dtype": np.float32, "n_features": HASHED}
    word = HashingVectorizer(analyzer=lambda text: pieces(text, about.words, about.characters[1], fold), **options)
    character = HashingVectorizer(analyzer="char_wb", ngram_range=about.characters, lowercase=fold, **options)
    found = scipy.sparse.hstack([word.transform(texts), character.transform(texts)], format="csr")
    found.data = 1 + np.log(found.data)
    return found


def frequent(settings: Sentiment, found: scipy.sparse.csr_matrix) -> np.ndarray:
    """The columns of the n-grams that stand in the most texts, in ascending order: half words, half characters; all
    of them if there are not so many."""
    documents = np.bincount(found.indices, minlength=found.shape[1]).reshape(2, HASHED)
    kept = [
        np.argsort(-half, kind="stable")[: min(settings.ngrams.most // 2, np.count_nonzero(half))] for half in documents
    ]
    return np.concatenate([np.sort(kept[0]), HASHED + np.sort(kept[1])])


def weights(
    found: scipy.sparse.csr_matrix, columns: np.ndarray, labels: np.ndarray, weight: np.ndarray, classes: int
) -> np.ndarray:
    """What each n-gram counts: how rare it is (inverse document frequency, smoothed), times the root of how much more
    or less of it one class has than the others (the largest log-count ratio). The root was better on folds of SST-2's
    training sentences than no such factor, and than the ratio itself.

    Args:
        found: counts, shape `(rows, all columns)`.
        columns: those that are kept.
        labels: from 0 to `classes - 1`, shape `(rows,)`.
        weight: what a text counts, shape `(rows,)`.

    Returns:
        float32, shape `(columns,)`.

    Source: Debole and Sebastiani, Supervised Term Weighting for Automated Text Categorization, 2003; the ratio: Wang
    and Manning, Baselines and Bigrams, 2012.
    """
    kept = found[:, columns]
    rarity = np.log((1 + kept.shape[0]) / (1 + np.bincount(kept.indices, minlength=kept.shape[1]))) + 1
    there = kept.astype(bool).astype(np.float64)
    border = np.searchsorted(columns, HASHED)
    telling = [
        np.abs(log_count_ratios(half, labels, weight, classes)).max(axis=0)
        for half in (there[:, :border], there[:, border:])
    ]
    return (rarity * np.sqrt(np.concatenate(telling))).astype(np.float32)


def log_count_ratios(
    found: scipy.sparse.csr_matrix, labels: np.ndarray, weight: np.ndarray, classes: int
) -> np.ndarray:
    """How much more of a class's n-grams each one is than of the other classes' n-grams, as a logarithm.

    Args:
        found: 1 where a text has an n-gram, shape `(rows, ngrams)`.
        labels: from 0 to `classes - 1`, shape `(rows,)`.
        weight: what a text counts, shape `(rows,)`.

    Returns:
        shape `(classes, ngrams)`.
    """
    counted = (found.T @ (np.eye(classes)[labels] * weight[:, None])).T
    own, others = SMOOTHING + counted, SMOOTHING + counted.sum(axis=0) - counted
    shares = [part / part.sum(axis=1, keepdims=True) for part in (own, others)]
    return np.log(shares[0]) - np.log(shares[1])


def weigh(found: scipy.sparse.csr_matrix, columns: np.ndarray, weights: np.ndarray) -> scipy.sparse.csr_matrix:
    """Counts times weights; words and characters each scaled to length 1.

    Returns:
        float32, shape `(rows, columns)`.
    """
    weighed = found[:, columns].multiply(weights[None, :]).tocsr()
    border = np.searchsorted(columns, HASHED)
    parts = [normalize(weighed[:, :border]), normalize(weighed[:, border:])]
    return scipy.sparse.hstack(parts, format="csr", dtype=np.float32)
