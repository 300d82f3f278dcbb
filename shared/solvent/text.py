"""Texts to tokens: a subword vocabulary that is trained on the training rows, windows, length buckets."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .errors import Refused

__all__ = ["BUCKETS", "Vocabulary", "Windows", "bucket", "in_buckets", "padded", "train_vocabulary", "windows"]

# A sequence is padded to the next of these lengths, whatever stands beside it: its score depends on no other row, and
# a compiled graph meets few shapes. The steps keep padding under a third from 16 tokens on.
BUCKETS = (8, 16, 24, *(size for power in range(5, 17) for size in (2**power, 3 * 2 ** (power - 1))))
SENTENCES = 200_000  # that a vocabulary is learnt from; of more texts every second one, or every third, ...
LONGEST_SENTENCE = 1 << 20  # bytes; of a longer text the beginning is learnt from


@dataclass(frozen=True)
class Vocabulary:
    """Subwords and their numbers. Every text can be spelled: a character that training never saw becomes its bytes.

    Args:
        model: what `train_vocabulary` learnt, an asset of the bundle.
    """

    model: bytes

    padding, unknown, start, end = 0, 1, 2, 3

    @cached_property
    def _processor(self) -> Any:
        from sentencepiece import SentencePieceProcessor

        return SentencePieceProcessor(model_proto=self.model)

    def __len__(self) -> int:
        return int(self._processor.get_piece_size())

    def encode(self, texts: Iterable[str]) -> list[np.ndarray]:
        """The tokens of each text, int32, shape `(tokens,)`; none of a blank text."""
        return [np.asarray(found, np.int32) for found in self._processor.encode(list(texts), out_type=int)]

    def sampled(self, texts: Iterable[str], alpha: float, seed: int) -> list[np.ndarray]:
        """The same, each text cut into its subwords in one of the many ways that there are, drawn anew for each seed.

        Args:
            alpha: how much likelier ways are preferred: 0 for any way alike.

        Source: Kudo, Subword Regularization, 2018.
        """
        from sentencepiece import set_random_generator_seed

        set_random_generator_seed(seed)
        # Several threads would each draw for whichever texts they come to first.
        drawn = {"enable_sampling": True, "alpha": alpha, "nbest_size": -1, "num_threads": 1}
        found = self._processor.encode(list(texts), out_type=int, **drawn)
        return [np.asarray(tokens, np.int32) for tokens in found]

    def decode(self, sequences: Iterable[np.ndarray]) -> list[str]:
        """The texts that tokens spell; those that mean the start, the end or nothing are left out."""
        kept = [[int(token) for token in tokens if token > self.end] for tokens in sequences]
        return [str(text) for text in self._processor.decode(kept)] if kept else []

    def pieces(self, tokens: np.ndarray) -> list[str]:
        """What each token stands for; `▁` begins a word."""
        return [self._processor.id_to_piece(int(token)) for token in tokens]


def train_vocabulary(
    texts: Iterable[str], size: int, *, fold_case: bool, as_written: bool = False, symbols: Sequence[str] = ()
) -> Vocabulary:
    """Learn subwords from texts, the same from the same texts.

    Args:
        texts: of the training rows alone.
        size: the number of subwords; fewer where the texts don't hold so many. 256 of them are bytes.
        fold_case: upper and lower case become one.
        as_written: characters stay as they are, for a vocabulary that also writes; else they are brought to NFKC.
        symbols: that are never cut, each one token.

    Raises:
        ValueError: if texts are to be folded and to stay as they are.
        Refused: if there is nothing to learn from, or the texts have more characters than `size` has room for.

    Source: Kudo, Subword Regularization, 2018 (the unigram model), by the library sentencepiece.
    """
    from sentencepiece import SentencePieceTrainer

    if fold_case and as_written:
        raise ValueError("fold_case and as_written: case can't be folded in texts that stay as they are.")
    rule = "identity" if as_written else "nmt_nfkc_cf" if fold_case else "nmt_nfkc"
    sentences = [text[: LONGEST_SENTENCE // 4] for text in texts if text.strip()]
    sentences = sentences[:: -(-len(sentences) // SENTENCES) or 1]
    if not sentences:
        raise Refused("All training texts are blank: there is no vocabulary to learn. Look at the text column.")
    written = io.BytesIO()
    try:
        SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=written,
            model_type="unigram",
            vocab_size=size,
            hard_vocab_limit=False,
            byte_fallback=True,
            character_coverage=0.9998,
            normalization_rule_name=rule,
            user_defined_symbols=list(symbols),
            max_sentence_length=LONGEST_SENTENCE,
            pad_id=Vocabulary.padding,
            unk_id=Vocabulary.unknown,
            bos_id=Vocabulary.start,
            eos_id=Vocabulary.end,
            num_threads=1,  # more of them add up in another order each time
            minloglevel=2,
        )
    except RuntimeError as error:
        raise Refused(
            f"No vocabulary of {size:,} subwords can be learnt from these {len(sentences):,} texts: {error}. Texts of "
            "many different characters need a larger one; very few texts hold fewer."
        ) from error
    return Vocabulary(written.getvalue())


@dataclass(frozen=True)
class Windows:
    """Sequences cut into pieces of a largest length that overlap, so that nothing is cut off.

    Args:
        pieces: one or more of each sequence, in order; an empty sequence has one empty piece.
        owner: which sequence each piece is of, int, shape `(pieces,)`.
    """

    pieces: list[np.ndarray]
    owner: np.ndarray

    @property
    def share(self) -> np.ndarray:
        """What each piece counts if a sequence counts 1, shape `(pieces,)`."""
        return np.asarray(1 / np.bincount(self.owner)[self.owner])

    def pooled(self, values: np.ndarray) -> np.ndarray:
        """The mean over each sequence's pieces, `(pieces, k)` -> `(sequences, k)`."""
        starts = np.flatnonzero(np.diff(self.owner, prepend=-1))
        if not len(starts):
            return np.asarray(values)
        return np.asarray(np.add.reduceat(values, starts, axis=0) / np.bincount(self.owner)[:, None], values.dtype)


def windows(sequences: Sequence[np.ndarray], length: int, overlap: int) -> Windows:
    """Cut sequences into windows; the last one of each ends where its sequence ends.

    Args:
        sequences: each of shape `(tokens,)`.
        length: tokens in a window, at most.
        overlap: tokens that neighbours share, fewer than `length`.
    """
    pieces, owner = [], []
    for number, sequence in enumerate(sequences):
        last = max(0, len(sequence) - length)
        starts = [*range(0, last, length - overlap), last]
        pieces += [sequence[start : start + length] for start in starts]
        owner += [number] * len(starts)
    return Windows(pieces, np.array(owner, np.intp))


def bucket(length: int, most: int) -> int:
    """The length that a sequence is padded to.

    Args:
        most: the largest length that there is.
    """
    return min(next((size for size in BUCKETS if size >= length), most), most)


def padded(sequences: Sequence[np.ndarray], length: int, padding: int = 0) -> np.ndarray:
    """Sequences side by side, padded at their ends, int32, shape `(sequences, length)`."""
    found = np.full((len(sequences), length), padding, np.int32)
    for row, sequence in zip(found, sequences, strict=True):
        row[: len(sequence)] = sequence
    return found


def in_buckets(
    predict: Callable[[Iterator[Any]], np.ndarray],
    sequences: Sequence[np.ndarray],
    arrange: Callable[[Sequence[np.ndarray], int], Any],
    rows: int,
    most: int,
) -> np.ndarray:
    """Ask a network about sequences, like lengths together, and give the answers in the order of the sequences.

    Args:
        predict: an iterator of batches -> outputs, as `Fitted.predict` does.
        arrange: sequences and the length to pad them to -> the tree of arrays that the network takes.
        rows: in a batch, as the bundle fixes them.
        most: the largest length that there is.

    Returns:
        Shape `(sequences, k)`.
    """
    lengths = np.array([bucket(len(sequence), most) for sequence in sequences], np.intp)
    order = np.argsort(lengths, kind="stable")

    def batches() -> Iterator[Any]:
        for length in np.unique(lengths):
            same = order[np.searchsorted(lengths[order], length) : np.searchsorted(lengths[order], length, "right")]
            for start in range(0, len(same), rows):
                yield arrange([sequences[place] for place in same[start : start + rows]], int(length))

    found = predict(batches())
    answers = np.empty_like(found)
    answers[order] = found
    return answers
