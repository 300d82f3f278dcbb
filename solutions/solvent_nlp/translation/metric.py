"""chrF, BLEU and TER over rows, so that they can be resampled."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from solvent import Sums, Weighted
from solvent.metrics import row_weights

from . import overlap

__all__ = ["bleu_of", "chrf_of", "ter_of"]

Counts = Callable[[str, str], tuple[float, ...]]


def chrf_of(translations: Sequence[str], references: Sequence[str], weight: Any = None) -> Sums:
    """chrF of a corpus: counts summed over the rows, not a mean of the rows' own."""
    return Sums(_counts(overlap.chrf_counts, translations, references, weight), overlap.chrf)


def bleu_of(translations: Sequence[str], references: Sequence[str], weight: Any = None) -> Weighted:
    """BLEU of a corpus."""
    return _later(overlap.bleu_counts, overlap.bleu, translations, references, weight)


def ter_of(translations: Sequence[str], references: Sequence[str], weight: Any = None) -> Weighted:
    """TER of a corpus, in edits for 100 words of the references."""

    def value(sums: np.ndarray) -> np.ndarray:
        return np.where(sums[..., 1] > 0, 100 * sums[..., 0] / np.maximum(sums[..., 1], 1e-9), np.nan)

    return _later(overlap.edits, value, translations, references, weight)


def _later(counts: Counts, value: Any, translations: Sequence[str], references: Sequence[str], weight: Any) -> Weighted:
    """The same sums, counted when they are first asked for: where only the headline is, the slower ones need not be."""
    counted = cache(lambda: _counts(counts, translations, references, weight))
    return Weighted(len(translations), lambda drawn: value(drawn @ counted()))


def _counts(counts: Counts, translations: Sequence[str], references: Sequence[str], weight: Any) -> np.ndarray:
    found = np.array([counts(*pair) for pair in zip(translations, references, strict=True)], np.float64)
    return found * row_weights(weight, len(found))[:, None]
