"""Words in any script: where they are, and which of them training has never seen."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

import numpy as np
import pandas as pd

__all__ = ["UNSPACED_RUN", "seen_words", "unseen_bands", "words"]

# Thai, Lao, Burmese, Khmer, kana, Chinese characters: words are written without spaces.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
ASCII_WORD = re.compile(r"\w[\w']*|[^\w\s]")  # what `_word` says of such a text, several times faster
UNSPACED_RUN = re.compile(rf"([{UNSPACED}]+)")
UNSEEN = (0.0, 0.1, 0.25)  # upper ends of the bands of the share of unseen words


def words(text: str) -> Iterator[tuple[int, int]]:
    """Where each word begins and ends: in a script without spaces each character is one, and so is any other sign."""
    return (found.span() for found in (ASCII_WORD if text.isascii() else _word()).finditer(text))


@cache
def _word() -> re.Pattern[str]:
    # Python's \w leaves out the marks that vowels and tones are written with in Hindi, Thai and others.
    marks = "".join(sign for sign in map(chr, range(sys.maxunicode)) if unicodedata.category(sign) in ("Mn", "Mc"))
    marks = re.escape(marks)
    return re.compile(rf"[{UNSPACED}][{marks}]*|(?:[^\W{UNSPACED}][{marks}'’]*)+|[^\w\s]")


def seen_words(texts: Iterable[str]) -> np.ndarray:
    """A mark of each word of the training texts: uint64, sorted."""
    return np.unique(np.concatenate([_marks(text) for text in texts] or [np.zeros(0, np.uint64)]))


def unseen_bands(texts: Sequence[str], known: np.ndarray) -> pd.Categorical[str]:
    """The share of each text's words that stood in no training text, in bands.

    Args:
        known: what `seen_words` found of the training texts.
    """
    share = np.array([_unseen(text, known) for text in texts])
    said = ["none", *(f"up to {end:.0%}" for end in UNSEEN[1:]), f"over {UNSEEN[-1]:.0%}"]
    return pd.Categorical.from_codes(np.searchsorted(UNSEEN, share), pd.Index(said), ordered=True)


def _marks(text: str) -> np.ndarray:
    folded = text.casefold()
    found = np.array([folded[start:end] for start, end in words(folded)], dtype=object)
    return np.asarray(pd.util.hash_array(found, categorize=False), np.uint64) if len(found) else np.zeros(0, np.uint64)


def _unseen(text: str, known: np.ndarray) -> float:
    """The share of a text's words that stood in no training text."""
    marks = _marks(text)
    if not len(marks) or not len(known):
        return float(len(marks) > 0)
    places = np.minimum(np.searchsorted(known, marks), len(known) - 1)
    return float((known[places] != marks).mean())
