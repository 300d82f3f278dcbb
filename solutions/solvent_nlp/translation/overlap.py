"""How much of a person's translation another one has: chrF, BLEU and TER from counts that can be summed over rows."""

from collections import Counter
from functools import cache, lru_cache

import numpy as np
from sacrebleu.metrics import BLEU, CHRF, TER

__all__ = ["bleu", "bleu_counts", "chrf", "chrf_counts", "edits", "sentence_chrf", "signatures"]

ORDERS = 6  # characters of the longest sequence that chrF counts
BETA = 2.0  # a reference's sequences that are missing weigh as much as so many times too many
WORDS = 4
_BLEU, _TER = (
    BLEU(effective_order=True),
    TER(),
)  # effective_order is for the score of a sentence: no count depends on it


@lru_cache(maxsize=1 << 17)
def chrf_counts(translation: str, reference: str) -> tuple[int, ...]:
    """For each length of sequences of characters, blanks left out: in the translation, in the reference, in both."""
    ours, theirs = ("".join(text.split()) for text in (translation, reference))
    counts: list[int] = []
    for order in range(1, ORDERS + 1):
        found, wanted = (
            Counter(text[at : at + order] for at in range(len(text) - order + 1)) for text in (ours, theirs)
        )
        counts += [found.total(), wanted.total(), (found & wanted).total()]
    return tuple(counts)


def chrf(sums: np.ndarray) -> np.ndarray:
    """chrF, 0 to 100, of sums of `chrf_counts` `(..., 18)`; lengths that one side has no sequence of are left out.

    Source: Popović, chrF: character n-gram F-score for automatic MT evaluation, 2015; as sacreBLEU computes it.
    """
    found, wanted, both = (sums[..., start::3].astype(np.float64) for start in range(3))
    counted = (found > 0) & (wanted > 0)
    many = np.maximum(counted.sum(axis=-1), 1)
    precision, recall = (
        np.where(counted, both / np.maximum(each, 1), 0).sum(axis=-1) / many for each in (found, wanted)
    )
    below = BETA**2 * precision + recall
    return np.where(below > 0, 100 * (1 + BETA**2) * precision * recall / np.where(below > 0, below, 1), 0.0)


def sentence_chrf(translations: list[str], references: list[str]) -> np.ndarray:
    """chrF of each translation alone, shape `(texts,)`."""
    pairs = zip(translations, references, strict=True)
    return chrf(np.array([chrf_counts(*pair) for pair in pairs]).reshape(-1, 3 * ORDERS))


@lru_cache(maxsize=1 << 17)
def bleu_counts(translation: str, reference: str) -> tuple[int, ...]:
    """Words of the translation and of the reference; for each length sequences in both, then in the translation."""
    found = _BLEU.sentence_score(translation, [reference])
    return (found.sys_len, found.ref_len, *found.counts, *found.totals)


def bleu(sums: np.ndarray) -> np.ndarray:
    """BLEU, 0 to 100, of sums of `bleu_counts` of shape `(..., 10)`, smoothed as sacreBLEU does by default.

    Source: Post, A Call for Clarity in Reporting BLEU Scores, 2018.
    """
    length, wanted = sums[..., 0].astype(np.float64), sums[..., 1]
    both, totals = sums[..., 2 : 2 + WORDS].astype(np.float64), sums[..., 2 + WORDS :]
    # A length of which nothing is right counts half of one right, a second such a quarter, and so on.
    halves = 2.0 ** -np.cumsum((both == 0) & (totals > 0), axis=-1)
    precision = np.where(both > 0, both, halves) / np.maximum(totals, 1)
    brief = np.where(length < wanted, np.exp(1 - wanted / np.maximum(length, 1)), 1.0)
    found = 100 * brief * np.exp(np.log(precision).mean(axis=-1))
    return np.where((totals > 0).all(axis=-1) & (both > 0).any(axis=-1), found, 0.0)


@lru_cache(maxsize=1 << 17)
def edits(translation: str, reference: str) -> tuple[float, float]:
    """Words to change or to move until the translation is the reference, and the words of the reference.

    Source: Snover et al., A Study of Translation Edit Rate, 2006.
    """
    found = _TER.sentence_score(translation, [reference])
    return float(found.num_edits), float(found.ref_length)


@cache
def signatures() -> dict[str, str]:
    """What sacreBLEU calls the ways in which these are computed, by metric."""
    found = {}
    for name, metric in {"bleu": BLEU(), "chrf": CHRF(), "ter": TER()}.items():
        metric.corpus_score(["a"], [["a"]])  # it knows the number of references only then
        found[name] = str(metric.get_signature())
    return found
