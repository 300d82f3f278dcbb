"""Pairs of texts as training rows: masked, cut into subwords anew in each epoch, in batches of like length."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from solvent import Finding, Refused, text, training

from .cleaning import suspects
from .dictionary import Dictionary
from .protecting import MARKS, Protector, filled
from .settings import Translation

__all__ = ["Pairs", "cleaned", "learnt", "most", "read"]

KEPT = 0.9  # share of the times in which what is kept of a pair stands as a mark; else as it is
SLACK, QUANTILE = 10, 0.999  # how much longer than almost all of training a translation may be
Spans = list[tuple[tuple[int, int], tuple[int, int]]]


def cleaned(cell: str) -> str:
    """A text in the form NFC, without blanks around its lines."""
    lines = unicodedata.normalize("NFC", str(cell)).split("\n")
    return "\n".join(" ".join(line.split()) for line in lines).strip()


def read(settings: Translation, cell: str) -> str:
    """A text as the network reads it: a translation goes line by line, what is summarised or continued has none."""
    found = cleaned(cell)
    return found if settings.task == "translate" else found.replace("\n", " ")


def most(settings: Translation) -> int:
    """Subwords of a source, at most, its end among them."""
    # Marks, and subwords that are drawn at random, may be more than those of the text itself, but not so many.
    return 2 * settings.longest if settings.task == "translate" else settings.longest


@dataclass(frozen=True)
class Pairs:
    """Training pairs.

    Args:
        kept: of each pair where what is kept stands, in the source and in the translation.
        known: likewise a word and its translation.
        lengths: of the longer side in subwords, its end among them, as `text.bucket` has it; shape `(pairs,)`.
        weights: shape `(pairs,)`.
    """

    settings: Translation
    vocabulary: text.Vocabulary
    sources: Sequence[str]
    targets: Sequence[str]
    kept: Sequence[Spans]
    known: Sequence[Spans]
    lengths: np.ndarray
    weights: np.ndarray

    def rows(self) -> training.Rows:
        return training.Rows(len(self.sources), self._take, self.lengths, by_length=True, counted=np.count_nonzero)

    def _take(self, places: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
        random = np.random.default_rng(places)
        pairs = [self._masked(place, random) for place in places]
        source, target = (self._cut([pair[side] for pair in pairs], random) for side in (0, 1))
        source = [tokens[: most(self.settings) - 1] for tokens in source]
        end, start = np.array([self.vocabulary.end], np.int32), np.array([self.vocabulary.start], np.int32)
        said = [np.concatenate([tokens, end]) for tokens in target]
        length = [self._width(max(map(len, tokens)) + 1) for tokens in (source, target)]
        inputs = (
            text.padded([np.concatenate([tokens, end]) for tokens in source], length[0]),
            text.padded([np.concatenate([start, tokens]) for tokens in target], length[1]),
        )
        # A row's loss is a mean over its tokens: so each token of a batch counts the same.
        tokens = np.array([len(each) for each in said], np.float32)
        weights = self.weights[places] * tokens / tokens.mean()
        return inputs, text.padded(said, length[1]), weights.astype(np.float32)

    def _width(self, length: int) -> int:
        return text.bucket(length, 2 * self.settings.longest)  # subwords drawn at random may be more

    def _cut(self, texts: Sequence[str], random: np.random.Generator) -> list[np.ndarray]:
        alpha = self.settings.subword_sampling
        if alpha is None:
            found = self.vocabulary.encode(texts)
        else:
            found = self.vocabulary.sampled(texts, alpha, int(random.integers(2**31)))
        return [tokens[: 2 * self.settings.longest - 1] for tokens in found]

    def _masked(self, place: int, random: np.random.Generator) -> tuple[str, str]:
        source, target = self.sources[place], self.targets[place]
        chosen = list(self.kept[place]) if random.random() < KEPT else []
        if self.known[place] and random.random() < self.settings.masked_words:
            word = self.known[place][random.integers(len(self.known[place]))]
            if not any(_cross(word[side], other[side]) for other in chosen for side in (0, 1)):
                chosen.append(word)
        if not chosen:
            return source, target
        marks = random.permutation(len(MARKS))[: len(chosen)]
        both = [[(*span[side], MARKS[mark]) for span, mark in zip(chosen, marks, strict=False)] for side in (0, 1)]
        return filled(source, both[0]), filled(target, both[1])


def _cross(first: tuple[int, int], second: tuple[int, int]) -> bool:
    return first[0] < second[1] and second[0] < first[1]


def learnt(
    settings: Translation, rows: pd.DataFrame, protector: Protector
) -> tuple[Pairs, dict[str, Any], list[Finding]]:
    """Learn the vocabulary from the training rows and make pairs of them; facts about them, and what was left out.

    Raises:
        Refused: if no pair is left.
    """
    wrong = suspects(rows).any(axis=1).to_numpy() if settings.clean else np.zeros(len(rows), bool)
    kept = rows[~wrong]
    if kept.empty:
        raise Refused(
            f"All {len(rows):,} training pairs look wrong (see the findings of the scan), so none is left to train on. "
            "Look whether source and target are mapped to the right columns, or set settings.clean: false."
        )
    sources, targets = (kept[name].map(lambda cell: read(settings, cell)).tolist() for name in ("source", "target"))
    vocabulary = text.train_vocabulary(
        [*sources, *targets], settings.network.vocabulary, fold_case=False, as_written=True, symbols=MARKS
    )
    ours, theirs = (np.array([len(tokens) + 1 for tokens in vocabulary.encode(side)]) for side in (sources, targets))
    if settings.task == "summarise":  # of longer texts the beginning is read
        ours = np.minimum(ours, settings.longest)
    lengths = np.maximum(ours, theirs)
    fits = np.flatnonzero(lengths <= settings.longest)
    if not len(fits):
        raise Refused(f"All {len(kept):,} training pairs have more than settings.longest: {settings.longest} subwords.")
    findings = []
    if left := len(rows) - len(fits):
        long = len(kept) - len(fits)
        findings = [
            Finding(
                name="left_out_of_training",
                severity="warning" if left > 0.01 * len(rows) else "note",
                message=f"{left:,} of {len(rows):,} training pairs are left out: {len(rows) - len(kept):,} look wrong, "
                f"{long:,} have more than {settings.longest} subwords.",
                cure="Mend the pairs; give long texts sentence by sentence, or raise settings.longest.",
                count=left,
            )
        ]
    pick = lambda cells: [cells[place] for place in fits]  # noqa: E731
    sources, targets = pick(sources), pick(targets)
    weight = kept["weight"].to_numpy(np.float64)[fits] if "weight" in kept else np.ones(len(fits))
    facts = {
        "pairs": len(fits),
        "subwords": len(vocabulary),
        "longest_source": int(np.quantile(ours[fits], QUANTILE)),
        "longest_ratio": float(np.quantile(theirs[fits] / (ours[fits] + SLACK), QUANTILE)),
    }
    lengths = lengths[fits]
    joined = _joined(lengths, settings)
    sources, targets = (
        [*side, *(f"{side[first]} {side[second]}" for first, second in joined)] for side in (sources, targets)
    )
    lengths = np.append(lengths, lengths[joined].sum(axis=1))
    weight = np.append(weight, weight[joined].mean(axis=1))
    words = Dictionary.learnt(sources, targets) if settings.masked_words else None
    pairs = Pairs(
        settings,
        vocabulary,
        sources,
        targets,
        kept=[protector.shared(*pair)[: len(MARKS) - 1] for pair in zip(sources, targets, strict=True)],
        known=[words.aligned(*pair) if words else [] for pair in zip(sources, targets, strict=True)],
        lengths=np.array([text.bucket(int(length), settings.longest) for length in lengths]),
        weights=(weight / weight.mean()).astype(np.float32),
    )
    return pairs, facts, findings


def _joined(lengths: np.ndarray, settings: Translation) -> np.ndarray:
    """Which pairs are joined to which others, shape `(joined, 2)`: drawn, less those that are too long together."""
    drawn = np.random.default_rng(len(lengths)).integers(len(lengths), size=(round(settings.joined * len(lengths)), 2))
    return np.asarray(drawn[lengths[drawn].sum(axis=1) <= settings.longest])
