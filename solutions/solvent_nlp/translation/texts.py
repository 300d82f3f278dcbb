"""Texts that go on from a beginning, as tokens: to be learnt from, and to be judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from solvent import Refused, text, training

from .reading import read
from .settings import Translation

__all__ = ["Begun", "Lines", "cut", "learnt", "rows_of", "texts_in"]


@dataclass(frozen=True)
class Begun:
    """Texts with what they begin with.

    Args:
        beginnings, texts: tokens of each, shape `(tokens,)`; their ends are not among them.
    """

    beginnings: Sequence[np.ndarray]
    texts: Sequence[np.ndarray]


def learnt(settings: Translation, rows: pd.DataFrame) -> text.Vocabulary:
    """The vocabulary of the training rows: ours and the rival's, so that their perplexities compare.

    Raises:
        Refused: if there are no texts.
    """
    if "target" not in rows or not rows["target"].notna().any():
        raise Refused(
            "There are no texts to learn from: with task: generate, map target to the column that holds them."
        )
    return text.train_vocabulary(
        [each for name in ("source", "target") for each in texts_in(settings, rows, name)],
        settings.network.vocabulary,
        fold_case=False,
        as_written=True,
    )


def texts_in(settings: Translation, rows: pd.DataFrame, name: str) -> list[str]:
    """A column's texts, empty where there is none."""
    if name not in rows:
        return [""] * len(rows)
    return [read(settings, cell) if isinstance(cell, str) else "" for cell in rows[name]]


def rows_of(settings: Translation, vocabulary: text.Vocabulary, rows: pd.DataFrame) -> Begun:
    """The tokens of rows; of a beginning the last ones, half of what the network reads at once."""
    beginnings, texts = (vocabulary.encode(texts_in(settings, rows, name)) for name in ("source", "target"))
    return Begun([tokens[-(settings.longest // 2) :] for tokens in beginnings], texts)


def cut(begun: Begun, longest: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Pieces of texts, each of shape `(length, 2)`: a token, and the one that should follow, 0 where that is given; and
    which text each is of. A piece after the first begins as a text does, with nothing before it."""
    start, end = text.Vocabulary.start, text.Vocabulary.end
    pieces, owner = [], []
    for number, (beginning, tokens) in enumerate(zip(begun.beginnings, begun.texts, strict=True)):
        whole = np.concatenate([beginning, tokens, [end]]).astype(np.int32)
        for first in range(0, len(whole), longest):
            piece = whole[first : first + longest]
            wanted = np.where(np.arange(first, first + len(piece)) < len(beginning), 0, piece)
            pieces.append(np.stack([np.concatenate([[start], piece[:-1]]), wanted], axis=1).astype(np.int32))
            owner.append(number)
    return pieces, np.array(owner, np.intp)


@dataclass(frozen=True)
class Lines:
    """Training pieces.

    Args:
        pieces: as `cut` gives them.
        weights: shape `(pieces,)`, with mean 1.
    """

    pieces: Sequence[np.ndarray]
    weights: np.ndarray
    longest: int

    def rows(self) -> training.Rows:
        lengths = np.array([text.bucket(len(piece), self.longest) for piece in self.pieces])
        return training.Rows(len(self.pieces), self._take, lengths, by_length=True, counted=np.count_nonzero)

    def _take(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        chosen = [self.pieces[place] for place in places]
        length = text.bucket(max(map(len, chosen)), self.longest)
        given, wanted = (text.padded([piece[:, side] for piece in chosen], length) for side in (0, 1))
        # A row's loss is a mean over its tokens: so each token of a batch counts the same.
        tokens = np.maximum(np.count_nonzero(wanted, axis=1), 1).astype(np.float32)
        return given, wanted, (self.weights[places] * tokens / tokens.mean()).astype(np.float32)
