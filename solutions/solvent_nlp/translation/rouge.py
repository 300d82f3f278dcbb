"""How much of a person's summary another one has: ROUGE, as the library rouge-score computes it, for any language."""

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np

from solvent import Sums
from solvent.metrics import mean
from solvent.words import words

__all__ = ["KINDS", "rouge_of", "sentence_rouge"]

KINDS = ("rouge1", "rouge2", "rougeL")
SIGNS = re.compile(r"[\W_]+")


class Words:
    """Words of any script. The library's own leave out all that is no letter from a to z and no digit."""

    def tokenize(self, text: str) -> list[str]:
        folded = text.lower()
        if folded.isascii():
            return [word for word in SIGNS.split(folded) if word]
        cut = [SIGNS.sub("", part) for start, end in words(folded) for part in re.split("['’_]", folded[start:end])]
        return [word for word in cut if word]


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(KINDS), tokenizer=Words())


@lru_cache(maxsize=1 << 17)
def _scores(summary: str, reference: str) -> tuple[float, ...]:
    found = _scorer().score(reference, summary)
    return tuple(100 * found[kind].fmeasure for kind in KINDS)


def rouge_of(summaries: Sequence[str], references: Sequence[str], weight: Any = None) -> dict[str, Sums]:
    """ROUGE-1, ROUGE-2 and ROUGE-L: the mean of the rows' F-measures, 0 to 100.

    Source: Lin, ROUGE: a Package for Automatic Evaluation of Summaries, 2004.
    """
    found = np.array([_scores(*pair) for pair in zip(summaries, references, strict=True)]).reshape(-1, len(KINDS))
    names = ("rouge_1", "rouge_2", "rouge_l")
    return {name: mean(found[:, place], weight) for place, name in enumerate(names)}


def sentence_rouge(summaries: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """ROUGE-L of each summary alone, 0 to 100, shape `(texts,)`."""
    return np.array([_scores(*pair)[2] for pair in zip(summaries, references, strict=True)], np.float64)
