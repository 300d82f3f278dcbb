"""Texts as hashed counts of word and character n-grams: no vocabulary, no text is ever cut."""

import numpy as np
import pandas as pd
import scipy.sparse
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.preprocessing import normalize

from .settings import Sentiment

__all__ = ["counts", "inverse_document_frequency", "weigh"]


def counts(settings: Sentiment, texts: pd.Series) -> scipy.sparse.csr_matrix:
    """How often each hashed n-gram stands in each text, damped by the logarithm.

    Returns:
        float32, shape `(rows, settings.ngrams.buckets)`.
    """
    half = settings.ngrams.buckets // 2
    options = {"norm": None, "alternate_sign": False, "dtype": np.float32}
    words = HashingVectorizer(
        n_features=half, ngram_range=(1, settings.ngrams.words), token_pattern=r"(?u)\b\w+\b|[^\w\s]", **options
    )
    characters = HashingVectorizer(
        n_features=half, analyzer="char_wb", ngram_range=settings.ngrams.characters, **options
    )
    found = scipy.sparse.hstack([words.transform(texts), characters.transform(texts)], format="csr")
    found.data = 1 + np.log(found.data)
    return found


def inverse_document_frequency(found: scipy.sparse.csr_matrix) -> np.ndarray:
    """The weight of each bucket, smoothed, float32, shape `(buckets,)`; every text counts once, whatever it weighs."""
    documents = np.bincount(found.indices, minlength=found.shape[1])
    return (np.log((1 + found.shape[0]) / (1 + documents)) + 1).astype(np.float32)


def weigh(found: scipy.sparse.csr_matrix, weights: np.ndarray) -> scipy.sparse.csr_matrix:
    """Counts times weights; words and characters each scaled to length 1."""
    half = found.shape[1] // 2
    weighed = found.multiply(weights[None, :]).tocsr()
    parts = [normalize(weighed[:, :half]), normalize(weighed[:, half:])]
    return scipy.sparse.hstack(parts, format="csr", dtype=np.float32)
