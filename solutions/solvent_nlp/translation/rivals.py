"""The simple translators that the network is measured against, fitted on the same rows."""

from collections.abc import Callable, Sequence

import pandas as pd

from solvent import Data
from solvent.solution import Score
from solvent.split import halves

from .dictionary import Dictionary
from .memory import Nearest
from .overlap import sentence_chrf
from .reading import cleaned
from .settings import Translation

__all__ = ["nearest_source", "word_by_word"]


def nearest_source(settings: Translation, data: Data) -> Score:
    """A translation memory: the translation of the most similar source of training."""
    nearest = Nearest(data.train["source"].map(cleaned).tolist())
    targets = data.train["target"].tolist()
    return _scorer(settings, data, lambda texts: [targets[place] for place in nearest.of(texts)[0]])


def word_by_word(settings: Translation, data: Data) -> Score:
    """For each word the one that stands in the same pairs, in the order of the source."""
    words = Dictionary.learnt(*(data.train[name].map(cleaned).tolist() for name in ("source", "target")))
    return _scorer(settings, data, lambda texts: [words.word_by_word(text) or text for text in texts])


def _scorer(settings: Translation, data: Data, translate: Callable[[Sequence[str]], list[str]]) -> Score:
    """The outputs of a rival: its quality is what it reaches on validation rows, the same for all."""
    rest = halves(data.valid, data.schema, data.seed)[1]
    usual = float(sentence_chrf(translate(rest["source"].map(cleaned).tolist()), rest["target"].tolist()).mean())

    def score(table: pd.DataFrame) -> pd.DataFrame:
        found = pd.DataFrame({"translation": translate(table["source"].map(cleaned).tolist())}, index=table.index)
        found = found.assign(quality=usual, review=False, origin="model", problems="", terms="")
        return found.assign(alternatives=[[] for _ in found.index]) if settings.alternatives else found

    return score
