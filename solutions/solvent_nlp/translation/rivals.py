"""The simple translators that the network is measured against, fitted on the same rows."""

from collections.abc import Callable, Sequence

import pandas as pd

from solvent import Data
from solvent.solution import Score
from solvent.split import halves

from . import sentences
from .dictionary import Dictionary
from .memory import Nearest
from .outcome import judged
from .reading import cleaned
from .settings import WRITTEN, Translation

__all__ = ["first_sentences", "nearest_source", "word_by_word"]

FIRST = 3


def nearest_source(settings: Translation, data: Data) -> Score:
    """A translation memory: the translation of the most similar source of training."""
    nearest = Nearest(data.train["source"].map(cleaned).tolist())
    targets = data.train["target"].tolist()
    return _scorer(settings, data, lambda texts: [targets[place] for place in nearest.of(texts)[0]])


def word_by_word(settings: Translation, data: Data) -> Score:
    """For each word the one that stands in the same pairs, in the order of the source."""
    words = Dictionary.learnt(*(data.train[name].map(cleaned).tolist() for name in ("source", "target")))
    return _scorer(settings, data, lambda texts: [words.word_by_word(text) or text for text in texts])


def first_sentences(settings: Translation, data: Data) -> Score:
    """The beginning of each text: news say first what matters, so it is hard to beat."""

    def summarise(texts: Sequence[str]) -> list[str]:
        cut = [sentences.pieces(text.replace("\n", " "), every=True)[:FIRST] for text in texts]
        return ["".join(sentence + gap for sentence, gap in each).strip() for each in cut]

    return _scorer(settings, data, summarise)


def _scorer(settings: Translation, data: Data, translate: Callable[[Sequence[str]], list[str]]) -> Score:
    """The outputs of a rival: its quality is what it reaches on validation rows, the same for all."""
    rest = halves(data.valid, data.schema, data.seed)[1]
    reached = judged(settings)(translate(rest["source"].map(cleaned).tolist()), rest["target"].tolist())
    usual = float(reached.mean())

    def score(table: pd.DataFrame) -> pd.DataFrame:
        written = translate(table["source"].map(cleaned).tolist())
        found = pd.DataFrame({WRITTEN[settings.task]: written}, index=table.index)
        found = found.assign(quality=usual, review=False, problems="")
        if settings.task == "translate":
            found = found.assign(origin="model", terms="")
        return found.assign(alternatives=[[] for _ in found.index]) if settings.alternatives else found

    return score
