"""Texts through the network: cut where they are long, masked, decoded, tried again where something was lost, joined."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from solvent import Fitted, Refused, text

from . import sentences
from .decoding import NONE, Search, decoder
from .protecting import Masked, Protector
from .reading import SLACK, most
from .settings import Scoring, Translation

__all__ = ["Piece", "Said", "Translator", "asked", "searched"]

TOGETHER = 128  # translations under way at once, at most
WIDER = 8  # beam of the second attempt at a sentence of which something was lost


@dataclass(frozen=True)
class Piece:
    """A sentence's translation.

    Args:
        score: see `decoding.decoder`, as `mean` and `lowest`.
        whole: whether everything that is kept was.
    """

    text: str
    score: float
    mean: float
    lowest: float
    whole: bool


@dataclass(frozen=True)
class Said:
    """A text's translation, and further ones of a text of one piece, the best first."""

    text: str
    pieces: tuple[Piece, ...]
    others: tuple[Piece, ...]


@dataclass(frozen=True)
class Translator:
    """A trained network at work.

    Args:
        facts: what `reading.learnt` said.
        predict: a search, and (source tokens, limits) -> what `decoding.decoder` gives.
        retry: try again where something was lost.
    """

    settings: Translation
    vocabulary: text.Vocabulary
    protector: Protector
    facts: dict[str, Any]
    predict: Callable[[Search, Any], dict[str, np.ndarray]]
    retry: bool = True

    def translate(self, texts: Sequence[str]) -> list[Said]:
        """Translate texts, or summarise them, each as if it were alone."""
        cut = [self._cut(each) for each in texts]
        flat = [sentence for each in cut for sentence, _ in each]
        found = iter(self._sentences(flat))
        said = []
        for each in cut:
            answers = [next(found) for _ in each]
            joined = "".join(answer[0].text + gap for answer, (_, gap) in zip(answers, each, strict=True))
            others = tuple(answers[0][1:]) if len(each) == 1 else ()
            said.append(Said(joined.strip(), tuple(answer[0] for answer in answers), others))
        return said

    def _cut(self, given: str) -> list[tuple[str, str]]:
        """Lines; sentences, where a line is longer than training's sources; halves of what is longer than `longest`."""
        if self.settings.task == "summarise":
            return [(given, "")]
        lines = sentences.pieces(given, every=False)
        if all(self._long(line) <= self.facts["longest_source"] for line, _ in lines):
            return lines
        found = []
        for sentence, gap in sentences.pieces(given, every=True):
            found += sentences.halved(sentence, gap, lambda part: self._long(part) <= self.settings.longest)
        return found

    def _long(self, given: str) -> int:
        return len(self.vocabulary.encode([given])[0]) + 1

    def _sentences(self, given: Sequence[str]) -> list[list[Piece]]:
        """Of each sentence its translations, the best first; what lost something of the source stands last.

        Where all of them lost something, a wider beam looks again, then one that reads the sentence without marks.
        """
        search = searched(self.settings.scoring)
        masked = [self.protector.masked(sentence) for sentence in given]
        found = self._decoded(given, masked, search)
        wider = search._replace(beam=max(WIDER, 2 * search.beam), block_repeats=None)
        plain = [Masked(sentence, ()) for sentence in given]
        for again in (masked, plain) if self.retry else ():
            open_ = [place for place, answers in enumerate(found) if not answers[0].whole]
            if not open_:
                break
            tried = self._decoded([given[place] for place in open_], [again[place] for place in open_], wider)
            for place, answers in zip(open_, tried, strict=True):
                if answers[0].whole:
                    found[place] = answers
        return found

    def _decoded(self, given: Sequence[str], masked: Sequence[Masked], search: Search) -> list[list[Piece]]:
        encoded = self.vocabulary.encode([each.text for each in masked])
        end = np.array([self.vocabulary.end], np.int32)
        tokens = [np.concatenate([each[: most(self.settings) - 1], end]) for each in encoded]
        lengths = np.array([text.bucket(len(each), most(self.settings)) for each in tokens], np.intp)
        answers: list[list[Piece]] = [[] for _ in given]
        for length in np.unique(lengths):
            # Those of like length end at like times, and a batch goes on until all have.
            same = sorted(np.flatnonzero(lengths == length), key=lambda place: len(tokens[place]))
            found = self.predict(search, self._arranged([tokens[place] for place in same], int(length)))
            written = iter(self.vocabulary.decode(found["tokens"].reshape(-1, found["tokens"].shape[-1])))
            for row, place in enumerate(same):
                lines = [next(written) for _ in range(found["score"].shape[1])]
                answers[place] = self._checked(given[place], masked[place], lines, found, row)
        return answers

    def _arranged(self, tokens: Sequence[np.ndarray], length: int) -> tuple[np.ndarray, np.ndarray]:
        usual = int(np.ceil((length + SLACK) * self.facts["longest_ratio"])) + SLACK
        limit = min(usual, self.settings.scoring.longest or usual)
        return text.padded(tokens, length), np.full(len(tokens), limit, np.int32)

    def _checked(
        self, given: str, masked: Masked, lines: Sequence[str], found: dict[str, np.ndarray], row: int
    ) -> list[Piece]:
        pieces = []
        for place, line in enumerate(lines):
            if found["score"][row, place] <= NONE / 2:
                continue
            said = masked.restored(line)
            whole = masked.holds(line) and not self.protector.lost(given, said)
            score, mean, lowest = (float(found[name][row, place]) for name in ("score", "mean", "lowest"))
            pieces.append(Piece(said, score, mean, lowest, whole))
        return sorted(pieces, key=lambda piece: not piece.whole)


def searched(scoring: Scoring) -> Search:
    return Search(scoring.beam, scoring.length_penalty, scoring.block_repeats)


def asked(fitted: Fitted) -> Callable[[Search, Any], dict[str, np.ndarray]]:
    """`Fitted.predict` with decoding in the place of the network's one step.

    Raises:
        Refused: if the network is to answer in another runtime, or to be exported: it is never asked a whole question.
    """
    if "model" in fitted.forms:
        raise Refused(
            "Translation decodes in TensorFlow, token by token with what it has kept of the tokens before: its network "
            "can't answer in another runtime, nor be exported as one function. Score with the bundle as it is; its "
            "models/model.keras is a plain Keras model."
        )

    def predict(search: Search, batch: Any) -> dict[str, np.ndarray]:
        form = decoder(fitted.models["model"], search)
        # A wider beam reads fewer texts at once: as many translations are under way, and few texts fill a batch.
        rows = max(1, min(fitted.batch_rows, TOGETHER // search.beam))
        found: dict[str, np.ndarray] = replace(fitted, forms={"model": form}, batch_rows=rows).predict(batch)
        return found

    return predict
