"""Which test texts may fare worse: long ones, longer ones than in training, words that training never saw."""

import numpy as np
import pandas as pd

from solvent import Fitted, text
from solvent.words import unseen_bands

from .reading import cleaned
from .settings import Translation
from .texts import texts_in

__all__ = ["slices"]


def slices(settings: Translation, fitted: Fitted, rows: pd.DataFrame) -> dict[str, pd.Series]:
    """The levels of the test rows in the report's slices."""
    vocabulary = text.Vocabulary(bytes(fitted.assets["vocabulary"]))
    if settings.task == "generate":
        texts = pd.Series(texts_in(settings, rows, "target"), index=rows.index)
        many = np.array([len(tokens) + 1 for tokens in vocabulary.encode(texts)])
        return {"subwords of the text": pd.Series(many, index=rows.index), **_unseen(fitted, texts)}
    sources = rows["source"].map(cleaned)
    many = np.array([len(tokens) + 1 for tokens in vocabulary.encode(sources)])
    longest = fitted.facts["reading"]["longest_source"]
    known = np.where(many > longest, "longer", "as in training")
    return {
        "subwords of the source": pd.Series(many, index=rows.index),
        f"length (of training 99.9 % have up to {longest} subwords)": pd.Series(known, index=rows.index),
        **_unseen(fitted, sources),
    }


def _unseen(fitted: Fitted, texts: pd.Series) -> dict[str, pd.Series]:
    found = unseen_bands(list(texts), np.asarray(fitted.assets["seen_words"]))
    return {"words that training never saw": pd.Series(found, index=texts.index)}
