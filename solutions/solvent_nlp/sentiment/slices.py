"""Which test texts may fare worse: long ones, negated ones, other scripts, words that training never saw."""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from solvent import Fitted, scripts

from .settings import Sentiment
from .texts import joined, words

__all__ = ["seen_words", "slices"]

LENGTHS = 4  # bands of equally many texts
UNSEEN = (0.0, 0.1, 0.25)  # upper ends of the bands of the share of unseen words
# Words that turn a meaning round; of a language that is not here no text counts as negated.
NEGATIONS = {
    "English": "not no never none nobody nothing neither nor without hardly barely cannot n't",
    "German": "nicht kein keine keinen keinem keiner nie niemals ohne kaum weder",
    "French": "ne pas jamais sans aucun aucune rien ni",
    "Spanish": "no nunca sin ningún ninguna nada ni jamás",
    "Italian": "non mai senza nessun nessuna niente né",
    "Portuguese": "não nunca sem nenhum nenhuma nada nem",
    "Russian": "не нет ни никогда без",
    "Arabic": "لا ليس ليست لم لن غير بدون ما",
    "Hindi": "नहीं मत बिना न",
}
WRITTEN_TOGETHER = ("不", "没", "無", "无", "别", "ない", "ません", "ไม่", "n't", "n’t")
NEGATED = re.compile(
    rf"\b(?:{'|'.join(sorted({word for found in NEGATIONS.values() for word in found.split()}))})\b"
    rf"|{'|'.join(WRITTEN_TOGETHER)}",
    re.IGNORECASE,
)


def seen_words(texts: Iterable[str]) -> np.ndarray:
    """A mark of each word of the training texts: uint64, sorted."""
    return np.unique(np.concatenate([_marks(text) for text in texts] or [np.zeros(0, np.uint64)]))


def slices(settings: Sentiment, fitted: Fitted, rows: pd.DataFrame) -> dict[str, pd.Series]:
    """The levels of the test rows in the report's slices."""
    texts = joined(rows)
    length = texts.str.len()
    bands = pd.qcut(length, LENGTHS, duplicates="drop")
    names = [f"{max(0, band.left):,.0f} to {band.right:,.0f}" for band in bands.cat.categories]
    known = np.asarray(fitted.assets["seen_words"])
    share = np.array([_unseen(text, known) for text in texts])
    unseen = np.searchsorted(UNSEEN, share)
    said = ["none", *(f"up to {end:.0%}" for end in UNSEEN[1:]), f"over {UNSEEN[-1]:.0%}"]
    return {
        "characters in the text": bands.cat.rename_categories(names),
        "words that training never saw": pd.Series(
            pd.Categorical.from_codes(unseen, said, ordered=True), index=rows.index
        ),
        "negation": texts.str.contains(NEGATED).map({True: "has a negation", False: "none"}),
        "script": pd.Series(scripts.main_script(list(texts)), index=rows.index),
    }


def _marks(text: str) -> np.ndarray:
    folded = text.casefold()
    found = np.array([folded[start:end] for start, end in words(folded)], dtype=object)
    return pd.util.hash_array(found, categorize=False) if len(found) else np.zeros(0, np.uint64)


def _unseen(text: str, known: np.ndarray) -> float:
    """The share of a text's words that stood in no training text."""
    marks = _marks(text)
    return float((~np.isin(marks, known)).mean()) if len(marks) else 0.0
