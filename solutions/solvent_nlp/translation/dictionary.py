"""Which words translate each other, from how often they stand in the same pairs."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer

from solvent.words import words

__all__ = ["Dictionary"]

PAIRS = 50_000  # that it is learnt from
SURE = 0.5  # Dice's coefficient from which on two words count as translations of each other


@dataclass(frozen=True)
class Dictionary:
    """Args:
    best: a source's word -> the word of translations that it stands with most, and how sure that is, in [0, 1].
    back: likewise from translations to sources.
    """

    best: dict[str, tuple[str, float]]
    back: dict[str, tuple[str, float]]

    @classmethod
    def learnt(cls, sources: Sequence[str], targets: Sequence[str]) -> "Dictionary":
        """Of each word the one with which it shares most of the pairs that either stands in (Dice, 1945)."""
        every = -(-len(sources) // PAIRS) or 1
        ours, theirs = (
            CountVectorizer(analyzer=lambda text: _split(text), binary=True, dtype=np.int32) for _ in range(2)
        )
        left, right = ours.fit_transform(sources[::every]), theirs.fit_transform(targets[::every])
        both = (left.T @ right).tocsr().astype(np.float64)
        counts = [np.asarray(each.sum(axis=0)).ravel() for each in (left, right)]
        row = np.repeat(np.arange(both.shape[0]), np.diff(both.indptr))
        both.data *= 2 / (counts[0][row] + counts[1][both.indices])
        names = [each.get_feature_names_out() for each in (ours, theirs)]
        return cls(_best(both, names[0], names[1]), _best(both.T.tocsr(), names[1], names[0]))

    def aligned(self, source: str, target: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """Where a pair has a word and its translation: each the best of the other, surely, and once in its text."""
        there: dict[str, list[tuple[int, int]]] = {}
        for start, end in words(target):
            there.setdefault(target[start:end], []).append((start, end))
        spans = [(source[start:end], (start, end)) for start, end in words(source)]
        many = pd.Series([word for word, _ in spans]).value_counts()
        found = []
        for word, span in spans:
            other, sure = self.best.get(word, ("", 0.0))
            if (
                sure >= SURE
                and many[word] == 1
                and len(there.get(other, ())) == 1
                and self.back[other][0] == word
                and len(word) > 3
            ):
                found.append((span, there[other][0]))
        return found

    def word_by_word(self, text: str) -> str:
        """Each word's best translation; words that training never saw stay."""
        said = " ".join(self.best.get(word, (word, 0.0))[0] for word in _split(text))
        return re.sub(r"\s+([.,:;!?…)\]}])", r"\1", said)


def _split(text: str) -> Iterable[str]:
    return [text[start:end] for start, end in words(text)]


def _best(shared: object, ours: np.ndarray, theirs: np.ndarray) -> dict[str, tuple[str, float]]:
    place = np.asarray(shared.argmax(axis=1)).ravel()
    sure = np.asarray(shared.max(axis=1).todense()).ravel()
    return {word: (theirs[at], float(value)) for word, at, value in zip(ours, place, sure, strict=True)}
