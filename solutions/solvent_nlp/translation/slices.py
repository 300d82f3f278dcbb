"""Which test texts may fare worse: long ones, longer ones than in training, words that training never saw."""

import numpy as np
import pandas as pd

from solvent import Fitted, text
from solvent.words import unseen_bands

from .reading import cleaned
from .settings import Translation

__all__ = ["slices"]


def slices(settings: Translation, fitted: Fitted, rows: pd.DataFrame) -> dict[str, pd.Series]:
    """The levels of the test rows in the report's slices."""
    sources = rows["source"].map(cleaned)
    vocabulary = text.Vocabulary(bytes(fitted.assets["vocabulary"]))
    many = np.array([len(tokens) + 1 for tokens in vocabulary.encode(sources)])
    longest = fitted.facts["reading"]["longest_source"]
    known = np.where(many > longest, "longer", "as in training")
    return {
        "subwords of the source": pd.Series(many, index=rows.index),
        f"length (of training 99.9 % have up to {longest} subwords)": pd.Series(known, index=rows.index),
        "words that training never saw": pd.Series(
            unseen_bands(list(sources), np.asarray(fitted.assets["seen_words"])), index=rows.index
        ),
    }
