"""Approved translations, used again for equal texts and, where that is wanted, for similar ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer

from solvent import Refused
from solvent.words import words

from .protecting import Masked, Protector

__all__ = ["Match", "Memory", "Nearest"]

AT_ONCE = 1000  # texts that are compared with all others at once


@dataclass(frozen=True)
class Match:
    """An approved translation for a text.

    Args:
        similarity: 1 for an equal text, or one that differs only in what is kept, such as numbers.
    """

    translation: str
    similarity: float


class Nearest:
    """For a text the most similar one of others, by sequences of three characters that are weighed by their rarity."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.weighed = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3), lowercase=False, dtype=np.float32)
        self.known = self.weighed.fit_transform(texts).T.tocsc()

    def of(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The places of the nearest, and how similar they are, in [0, 1], each of shape `(texts,)`."""
        places, similar = [np.zeros(0, np.intp)], [np.zeros(0)]
        for start in range(0, len(texts), AT_ONCE):
            found = (self.weighed.transform(texts[start : start + AT_ONCE]) @ self.known).tocsr()
            places.append(np.asarray(found.argmax(axis=1)).ravel())
            similar.append(found.max(axis=1).toarray().ravel())
        return np.concatenate(places), np.concatenate(similar)


@dataclass(frozen=True)
class Memory:
    """A table of approved translations.

    Args:
        pairs: sources with their items masked, and translations with the same marks.
        fuzzy: a text that is at least so similar takes a translation; None for equal ones only.
    """

    pairs: dict[str, str]
    protector: Protector
    fuzzy: float | None

    @classmethod
    def of(cls, table: pd.DataFrame, protector: Protector, fuzzy: float | None) -> "Memory":
        """Of a table with the columns `source` and `target`; of equal sources the last one counts.

        Raises:
            Refused: if the table lacks a column.
        """
        if missing := {"source", "target"} - set(table):
            raise Refused(f"The memory has no column {min(missing)!r}. Expected source and target, a pair in each row.")
        plain = Protector(protector.kinds, {})  # what is approved calls terms by their names already
        pairs = {}
        for source, target in table[["source", "target"]].dropna().astype(str).itertuples(index=False):
            pairs[source] = target
            masked, other = plain.masked(source), plain.masked(target)
            if masked.values and sorted(masked.values) == sorted(other.values) and _distinct(masked.values):
                names = dict(zip(other.values, map(_mark, map(masked.values.index, other.values)), strict=True))
                pairs[masked.text] = Masked("", tuple(names[value] for value in other.values)).restored(other.text)
        return cls(pairs, plain, fuzzy)

    def find(self, texts: Sequence[str]) -> list[Match | None]:
        """An approved translation for each text, where there is one."""
        found: list[Match | None] = []
        for text in texts:
            masked = self.protector.masked(text)
            if text in self.pairs:
                found.append(Match(self.pairs[text], 1.0))
            elif masked.values and masked.text in self.pairs:
                found.append(Match(masked.restored(self.pairs[masked.text]), 1.0))
            else:
                found.append(None)
        if self.fuzzy is not None and self.pairs:
            open_ = [place for place, match in enumerate(found) if match is None]
            places, _ = self._nearest.of([texts[place] for place in open_]) if open_ else ([], [])
            for place, near in zip(open_, places, strict=True):
                similarity = _alike(texts[place], self._sources[near])
                if similarity >= self.fuzzy:
                    found[place] = Match(self.pairs[self._sources[near]], similarity)
        return found

    @cached_property
    def _sources(self) -> list[str]:
        return [source for source in self.pairs if "⟦" not in source] or list(self.pairs)

    @cached_property
    def _nearest(self) -> Nearest:
        return Nearest(self._sources)


def _alike(first: str, second: str) -> float:
    """The share of words that two texts have in common, in their order."""
    ours, theirs = ([text[start:end] for start, end in words(text)] for text in (first, second))
    return SequenceMatcher(None, ours, theirs, autojunk=False).ratio()


def _mark(number: int) -> str:
    return f"⟦{number}⟧"


def _distinct(values: tuple[str, ...]) -> bool:
    return len(set(values)) == len(values)
