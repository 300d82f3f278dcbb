"""How texts become what a network reads, and its answers the answers of texts: one reader for each kind of model."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
import scipy.sparse

from solvent import text, training
from solvent.solution import Asset

from .ngrams import HASHED, counts, frequent, weigh, weights
from .settings import Augmentation, Sentiment

__all__ = ["Bag", "Predict", "Reader", "Tokens", "learnt", "loaded"]

Predict = Callable[[Any], np.ndarray]
NGRAM = np.dtype([("ngram", np.int32), ("amount", np.float32)])


class Reader(Protocol):
    """What all kinds of reading have in common.

    Attributes:
        size: how many n-grams or tokens there are.
        batch_rows: how many texts, or pieces of them, the network reads at once.
    """

    batch_rows: int

    @property
    def size(self) -> int: ...

    def assets(self) -> Mapping[str, Asset]:
        """What the bundle keeps of it."""

    def meaning(self, classes: Sequence[str]) -> Mapping[str, str]:
        """What goes into the network and comes out of it, for whoever takes it elsewhere."""

    def rows(self, read: Any, targets: np.ndarray, weights: np.ndarray) -> training.Rows:
        """Training rows, of texts that were read."""

    def read(self, texts: pd.Series) -> Any:
        """What `logits` asks about; it may be kept and asked about again."""

    def logits(self, predict: Predict, read: Any) -> np.ndarray:
        """Ask a network, by `predict`, about texts that were read: shape `(texts, classes)`."""


@dataclass(frozen=True)
class Bag:
    """Hashed n-grams, weighed by how rare and how telling they are.

    Args:
        columns: which of all hashed n-grams are read, ascending, shape `(n-grams,)`.
        weights: what each of them counts, shape `(n-grams,)`.
    """

    settings: Sentiment
    columns: np.ndarray
    weights: np.ndarray
    batch_rows: int = 64

    @property
    def size(self) -> int:
        return len(self.columns)

    def assets(self) -> Mapping[str, Asset]:
        return {"ngram_columns": self.columns, "ngram_weights": self.weights}

    def meaning(self, classes: Sequence[str]) -> Mapping[str, str]:
        return {
            "ngrams": f"0, which stands for every text, then the n-grams that the text has: 1 + their places in "
            "assets/ngram_columns.npy, which says as which columns scikit-learn's HashingVectorizer counts them "
            f"(words before {HASHED}, characters from there on); 0 behind them up to any length.",
            "amounts": "1, then of each n-gram 1 + ln(count), times assets/ngram_weights.npy; words and characters "
            "each scaled to length 1; 0 behind them.",
            "output_0": _logits_of(classes),
        }

    def rows(self, read: Sequence[np.ndarray], targets: np.ndarray, weights: np.ndarray) -> training.Rows:
        lengths = np.array([text.bucket(len(ngrams), self.size + 1) for ngrams in read])

        def take(places: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
            ngrams = [read[place] for place in places]
            return self.arrange(ngrams, int(lengths[places].max())), targets[places], weights[places]

        return training.Rows(len(read), take, lengths)

    def read(self, texts: pd.Series) -> Sequence[np.ndarray]:
        """Of each text its n-grams, by their numbers, and their amounts."""
        if texts.empty:  # scikit-learn refuses them
            return []
        return self.weighed(counts(self.settings, texts))

    def weighed(self, counted: scipy.sparse.csr_matrix) -> Sequence[np.ndarray]:
        """The same of texts, one or more, whose n-grams are counted."""
        found = weigh(counted, self.columns, self.weights)
        ngrams = np.rec.fromarrays([1 + found.indices, found.data], dtype=NGRAM)
        every = np.array([(0, 1)], NGRAM)
        return [np.concatenate([every, part]) for part in np.split(ngrams, found.indptr[1:-1])]

    def logits(self, predict: Predict, read: Sequence[np.ndarray]) -> np.ndarray:
        return text.in_buckets(predict, read, self.arrange, self.batch_rows, self.size + 1)

    def arrange(self, found: Sequence[np.ndarray], length: int) -> tuple[np.ndarray, np.ndarray]:
        """What the network takes: n-grams, int32, and amounts, float32, each of shape `(texts, length)`."""
        both = np.zeros((len(found), length), NGRAM)
        for row, ngrams in zip(both, found, strict=True):
            row[: len(ngrams)] = ngrams
        return np.ascontiguousarray(both["ngram"]), np.ascontiguousarray(both["amount"])


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

    def rows(self, read: text.Windows, targets: np.ndarray, weights: np.ndarray) -> training.Rows:
        counted = (weights[read.owner] * read.share).astype(np.float32)
        counted /= counted.mean()
        # By bucket, not by length: within one, other rows meet in each epoch.
        lengths = np.array([text.bucket(len(piece), self.settings.windows.length) for piece in read.pieces])

        def take(places: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
            random = np.random.default_rng(places)
            pieces = [self._changed(read.pieces[place], random) for place in places]
            return self.arrange(pieces, int(lengths[places].max())), targets[read.owner[places]], counted[places]

        return training.Rows(len(read.pieces), take, lengths)

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


def learnt(
    settings: Sentiment, texts: pd.Series, labels: np.ndarray, weight: np.ndarray, classes: int
) -> tuple[Reader, Any]:
    """A reader for the texts of the training rows, and what it reads of them.

    Args:
        labels: numbers of their classes, shape `(rows,)`.
        weight: what each of them counts, shape `(rows,)`.
    """
    if settings.model == "bow":
        found = counts(settings, texts)
        columns = frequent(settings, found)
        bag = Bag(settings, columns, weights(found, columns, labels, weight, classes))
        return bag, bag.weighed(found)
    if settings.model == "encoder":
        from . import pretrained

        reader = _pretrained(settings, pretrained.packed(pretrained.tokenizer(settings.encoder)))
    else:
        vocabulary = text.train_vocabulary(texts, settings.network.vocabulary, fold_case=settings.fold_case)
        reader = _subwords(settings, vocabulary)
    return reader, reader.read(texts)


def loaded(settings: Sentiment, assets: Mapping[str, Asset]) -> Reader:
    """The reader of a bundle."""
    if settings.model == "bow":
        return Bag(settings, np.asarray(assets["ngram_columns"]), np.asarray(assets["ngram_weights"]))
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
