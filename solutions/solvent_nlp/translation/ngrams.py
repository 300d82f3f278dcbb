"""A language model of counts: what follows the last few tokens, smoothed by what follows fewer of them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log

from solvent.text import Vocabulary

__all__ = ["Ngrams"]

Gram = tuple[int, ...]
ORDER = 4


@dataclass(frozen=True)
class Ngrams:
    """Args:
    counts: of each sequence of up to `ORDER` tokens: how often it stands there; of a shorter one, behind how many
        different tokens it does, but for those at a text's start.
    after: of what stands before the last token: the sum of these counts, and how many different ones there are.
    likeliest: what most often follows.
    discounts: by length.
    subwords: that may come next.
    """

    counts: dict[Gram, int]
    after: dict[Gram, tuple[int, int]]
    likeliest: dict[Gram, int]
    discounts: tuple[float, ...]
    subwords: int

    @classmethod
    def learnt(cls, texts: Iterable[Sequence[int]], subwords: int) -> "Ngrams":
        """Interpolated Kneser-Ney smoothing.

        Args:
            texts: tokens, the mark of the start first, their end last.

        Source: Ney, Essen, Kneser, On structuring probabilistic dependences in stochastic language modelling, 1994.
        """
        raw: Counter[Gram] = Counter()
        for tokens in texts:
            given = tuple(tokens)
            for place in range(1, len(given)):
                raw[given[max(0, place - ORDER + 1) : place + 1]] += 1
        counts: Counter[Gram] = Counter(raw)
        grams: Iterable[Gram] = list(raw)
        for length in range(ORDER, 1, -1):
            # How often each shorter one is found behind another token: once for each longer one that is known.
            shorter = Counter(gram[1:] for gram in grams if len(gram) == length)
            counts.update(shorter)
            grams = list(shorter) + [gram for gram in raw if len(gram) == length - 1]
        after: dict[Gram, tuple[int, int]] = {}
        best: dict[Gram, tuple[int, int]] = {}
        seen: dict[int, Counter[int]] = defaultdict(Counter)
        for gram, count in counts.items():
            total, kinds = after.get(gram[:-1], (0, 0))
            after[gram[:-1]] = (total + count, kinds + 1)
            best[gram[:-1]] = max(best.get(gram[:-1], (0, 0)), (count, -gram[-1]))
            seen[len(gram)][count] += 1
        found = [seen[length][1] / max(1, seen[length][1] + 2 * seen[length][2]) for length in range(1, ORDER + 1)]
        discounts = tuple(min(max(each, 0.1), 0.9) for each in found)
        return cls(dict(counts), after, {gram: -token for gram, (_, token) in best.items()}, discounts, subwords)

    def chance(self, before: Gram, token: int) -> float:
        """The probability of a token behind others; over all that may come they sum to 1."""
        lower = 1 / self.subwords if not before else self.chance(before[1:], token)
        if before not in self.after:
            return lower
        total, kinds = self.after[before]
        discount = self.discounts[len(before)]
        kept = max(self.counts.get((*before, token), 0) - discount, 0.0)
        return (kept + discount * kinds * lower) / total

    def surprise(self, beginning: Sequence[int], tokens: Sequence[int]) -> float:
        """Less the logarithm of the probability of a text and its end, in nats."""
        given = (Vocabulary.start, *beginning, *tokens, Vocabulary.end)
        first = 1 + len(beginning)
        return -sum(log(self.chance(given[max(0, at - ORDER + 1) : at], given[at])) for at in range(first, len(given)))

    def goes_on(self, beginning: Sequence[int], longest: int) -> list[int]:
        """What follows, the likeliest each time behind the longest sequence that is known."""
        given = [Vocabulary.start, *beginning]
        first = len(given)
        while len(given) < first + longest:
            before = tuple(given[-(ORDER - 1) :])
            while before not in self.likeliest:
                before = before[1:]
            if (token := self.likeliest[before]) == Vocabulary.end:
                break
            given.append(token)
        return given[first:]
