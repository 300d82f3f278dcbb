"""Which test texts may fare worse: long ones, negated ones, other scripts, words that training never saw."""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from solvent import Fitted, scripts

from .settings import Sentiment
from .texts import joined, words

__all__ = ["seen_words", "slices"]

UNSEEN = (0.0, 0.1, 0.25)  # upper ends of the bands of the share of unseen words
# Words that turn a meaning round. Those that mean something else in another of these languages count only where nothing
# in the text says that it is of that one. Of a language that is not here no text counts as negated.
NEGATIONS = {
    "English": "not no never none nobody nothing neither nor without hardly barely cannot",
    "German": "nicht kein keine keinen keinem keiner nie niemals ohne kaum weder",
    "French": "pas jamais sans aucun aucune",
    "Spanish": "nunca ningún ninguna jamás",
    "Italian": "senza nessun nessuna",
    "Portuguese": "não nunca sem nenhum nenhuma",
    "Russian": "не нет ни никогда без",
    "Arabic": "لا ليس ليست لم لن غير بدون",
    "Hindi": "नहीं मत बिना",
}
NEGATING = frozenset(word for found in NEGATIONS.values() for word in found.split())
# "no" is Portuguese for "in the", "Not" German for distress: what tells these languages.
ELSEWHERE = {
    "no": frozenset({"o", "os", "da", "dos", "em", "é", "uma", "foi", "na"}),
    "not": frozenset({"der", "das", "und", "ist", "zur", "den", "dem", "eine"}),
}
WRITTEN_TOGETHER = re.compile("不|没|無|无|ない|ません|ไม่|n['’]t")


def seen_words(texts: Iterable[str]) -> np.ndarray:
    """A mark of each word of the training texts: uint64, sorted."""
    return np.unique(np.concatenate([_marks(text) for text in texts] or [np.zeros(0, np.uint64)]))


def slices(settings: Sentiment, fitted: Fitted, rows: pd.DataFrame) -> dict[str, pd.Series]:
    """The levels of the test rows in the report's slices."""
    texts = joined(rows)
    known = np.asarray(fitted.assets["seen_words"])
    share = np.array([_unseen(text, known) for text in texts])
    said = ["none", *(f"up to {end:.0%}" for end in UNSEEN[1:]), f"over {UNSEEN[-1]:.0%}"]
    unseen = pd.Categorical.from_codes(np.searchsorted(UNSEEN, share), said, ordered=True)
    return {
        "characters in the text": texts.str.len(),
        "words that training never saw": pd.Series(unseen, index=rows.index),
        "negation": texts.map(_negated).map({True: "has a negation", False: "none"}),
        "script": pd.Series(scripts.main_script(list(texts)), index=rows.index),
    }


def _negated(text: str) -> bool:
    folded = text.casefold()
    if WRITTEN_TOGETHER.search(folded):
        return True
    found = {folded[start:end] for start, end in words(folded)}
    return any(ELSEWHERE.get(word, frozenset()).isdisjoint(found) for word in found & NEGATING)


def _marks(text: str) -> np.ndarray:
    folded = text.casefold()
    found = np.array([folded[start:end] for start, end in words(folded)], dtype=object)
    return pd.util.hash_array(found, categorize=False) if len(found) else np.zeros(0, np.uint64)


def _unseen(text: str, known: np.ndarray) -> float:
    """The share of a text's words that stood in no training text."""
    marks = _marks(text)
    if not len(marks) or not len(known):
        return float(len(marks) > 0)
    places = np.minimum(np.searchsorted(known, marks), len(known) - 1)
    return float((known[places] != marks).mean())
