"""How texts become what a network reads, and its answers the answers of texts: one reader for each kind of model."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
import scipy.sparse

from solvent import text, training
from solvent.solution import Asset

from .ngrams import counts, inverse_document_frequency, weigh
from .settings import Augmentation, Sentiment

__all__ = ["Bag", "Predict", "Reader", "Tokens", "learnt", "loaded"]

Predict = Callable[[Any], np.ndarray]


class Reader(Protocol):
    """What all kinds of reading have in common.

    Attributes:
        batch_rows: how many texts, or pieces of them, the network reads at once.
    """

    batch_rows: int

    def assets(self) -> Mapping[str, Asset]:
        """What the bundle keeps of it."""

    def meaning(self, classes: Sequence[str]) -> Mapping[str, str]:
        """What goes into the network and comes out of it, for whoever takes it elsewhere."""

    def rows(self, texts: pd.Series, targets: np.ndarray, weights: np.ndarray) -> training.Rows:
        """Training rows."""

    def read(self, texts: pd.Series) -> Any:
        """What `logits` asks about; it may be kept and asked about again."""

    def logits(self, predict: Predict, read: Any) -> np.ndarray:
        """Ask a network, by `predict`, about texts that were read: shape `(texts, classes)`."""


@dataclass(frozen=True)
class Bag:
    """Hashed n-grams, weighed by how rare they are.

    Args:
        rarity: the weight of each bucket, shape `(buckets,)`.
    """

    settings: Sentiment
    rarity: np.ndarray
    batch_rows: int = 64

    def assets(self) -> Mapping[str, Asset]:
        return {"inverse_document_frequency": self.rarity}

    def meaning(self, classes: Sequence[str]) -> Mapping[str, str]:
        return {
            "ngrams": "1 + ln(count) of each hashed n-gram, as scikit-learn's HashingVectorizer counts them, times "
            "assets/inverse_document_frequency.npy; words (first half) and characters each scaled to length 1.",
            "output_0": _logits_of(classes),
        }

    def rows(self, texts: pd.Series, targets: np.ndarray, weights: np.ndarray) -> training.Rows:
        features = self.read(texts)
        return training.Rows(len(targets), lambda at: (features[at].toarray(), targets[at], weights[at]))

    def read(self, texts: pd.Series) -> scipy.sparse.csr_matrix:
        if texts.empty:  # scikit-learn refuses them
            return scipy.sparse.csr_matrix((0, len(self.rarity)), dtype=np.float32)
        return weigh(counts(self.settings, texts), self.rarity)

    def logits(self, predict: Predict, read: scipy.sparse.csr_matrix) -> np.ndarray:
        # in dense pieces: as a whole it would not fit in memory
        starts = range(0, read.shape[0], self.batch_rows)
        return predict(read[start : start + self.batch_rows].toarray() for start in starts)


@dataclass(frozen=True)
class Tokens:
    """Tokens in order, in windows, in batches of like lengths.

    Args:
        encode: texts -> their tokens.
        size: how many tokens there are.
        start, end, unknown, padding: the tokens that mean this; `end` also stands between a text and a second one.
        kept: the assets that `encode` is made of.
    """

    settings: Sentiment
    encode: Callable[[Iterable[str]], list[np.ndarray]]
    start: int
    end: int
    unknown: int
    padding: int
    size: int
    kept: Mapping[str, Asset]
    batch_rows: int = 32

    def assets(self) -> Mapping[str, Asset]:
        return self.kept

    def meaning(self, classes: Sequence[str]) -> Mapping[str, str]:
        return {
            "token_ids": f"tokens of a window of at most {self.settings.windows.length}, by "
            f"assets/{next(iter(self.kept))}.bin; {self.start} at its start, {self.end} at its end, {self.padding} "
            "behind it up to any length; the logits of a text are the means over its windows.",
            "output_0": _logits_of(classes),
        }

    def rows(self, texts: pd.Series, targets: np.ndarray, weights: np.ndarray) -> training.Rows:
        cut = self.read(texts)
        counted = (weights[cut.owner] * cut.share).astype(np.float32)
        counted /= counted.mean()
        # By bucket, not by length: within one, other rows meet in each epoch.
        lengths = np.array([text.bucket(len(piece), self.settings.windows.length) for piece in cut.pieces])

        def take(places: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
            random = np.random.default_rng(places)
            pieces = [self._changed(cut.pieces[place], random) for place in places]
            return self.arrange(pieces, int(lengths[places].max())), targets[cut.owner[places]], counted[places]

        return training.Rows(len(cut.pieces), take, lengths)

    def logits(self, predict: Predict, read: text.Windows) -> np.ndarray:
        most = self.settings.windows.length
        return read.pooled(text.in_buckets(predict, read.pieces, self.arrange, self.batch_rows, most))

    def arrange(self, pieces: Sequence[np.ndarray], length: int) -> np.ndarray:
        """What the network takes, int32, shape `(pieces, length)`."""
        return text.padded(pieces, length, self.padding)

    def read(self, texts: pd.Series) -> text.Windows:
        """The windows of each text, their marks of start and end around them."""
        about = self.settings.windows
        cut = text.windows(self.encode(texts), about.length - 2, about.overlap)
        start, end = np.array([self.start], np.int32), np.array([self.end], np.int32)
        return replace(cut, pieces=[np.concatenate([start, piece, end]) for piece in cut.pieces])

    def _changed(self, piece: np.ndarray, random: np.random.Generator) -> np.ndarray:
        about = self.settings.augmentation
        if about == Augmentation():
            return piece
        found = piece.copy()
        marks = (piece == self.start) | (piece == self.end)
        for place in np.flatnonzero(random.random(len(piece) - 1) < about.swap):
            if not marks[[place, place + 1]].any():
                found[[place, place + 1]] = found[[place + 1, place]]
        found[(random.random(len(piece)) < about.drop) & ~marks] = self.unknown
        return found[(random.random(len(piece)) >= about.delete) | marks]


def _logits_of(classes: Sequence[str]) -> str:
    return f"logits of the classes {', '.join(classes)}; bundle.json's calibration turns them into probabilities."


def learnt(settings: Sentiment, texts: pd.Series) -> Reader:
    """A reader for the texts of the training rows."""
    if settings.model == "bow":
        return Bag(settings, inverse_document_frequency(counts(settings, texts)))
    if settings.model == "encoder":
        from . import pretrained

        return _pretrained(settings, pretrained.packed(pretrained.tokenizer(settings.encoder)))
    vocabulary = text.train_vocabulary(texts, settings.network.vocabulary, fold_case=settings.fold_case)
    return _subwords(settings, vocabulary)


def loaded(settings: Sentiment, assets: Mapping[str, Asset]) -> Reader:
    """The reader of a bundle."""
    if settings.model == "bow":
        return Bag(settings, np.asarray(assets["inverse_document_frequency"]))
    if settings.model == "encoder":
        return _pretrained(settings, bytes(assets["tokenizer"]))
    return _subwords(settings, text.Vocabulary(bytes(assets["vocabulary"])))


def _subwords(settings: Sentiment, vocabulary: text.Vocabulary) -> Tokens:
    return Tokens(
        settings,
        encode=vocabulary.encode,
        start=vocabulary.start,
        end=vocabulary.end,
        unknown=vocabulary.unknown,
        padding=vocabulary.padding,
        size=len(vocabulary),
        kept={"vocabulary": vocabulary.model},
    )


def _pretrained(settings: Sentiment, packed: bytes) -> Tokens:
    from . import pretrained

    tokenizer = pretrained.unpacked(packed)
    return Tokens(
        settings,
        encode=lambda texts: pretrained.encoded(tokenizer, texts),
        start=tokenizer.start_token_id,
        end=tokenizer.end_token_id,
        unknown=pretrained.blank(tokenizer),
        padding=tokenizer.pad_token_id,
        size=tokenizer.vocabulary_size(),
        kept={"tokenizer": packed},
    )
