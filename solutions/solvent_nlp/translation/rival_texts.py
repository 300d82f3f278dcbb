"""The simple model of texts that a network is measured against: counts of sequences of the same subwords."""

import numpy as np
import pandas as pd

from solvent import Data
from solvent.solution import Score
from solvent.text import Vocabulary

from .ngrams import Ngrams
from .settings import Translation
from .texts import learnt, rows_of

__all__ = ["ngrams"]

TEXTS = 200_000  # that it is learnt from
LONGEST = 50  # subwords that it goes on with


def ngrams(settings: Translation, data: Data) -> Score:
    """Sequences of up to four subwords."""
    vocabulary = learnt(settings, data.train)
    known = data.train[data.train["target"].notna()]
    begun = rows_of(settings, vocabulary, known.iloc[:: -(-len(known) // TEXTS) or 1])
    ends = [Vocabulary.start], [Vocabulary.end]
    pairs = zip(begun.beginnings, begun.texts, strict=True)
    model = Ngrams.learnt(
        (np.concatenate([ends[0], beginning, tokens, ends[1]]).astype(int).tolist() for beginning, tokens in pairs),
        len(vocabulary) - 3,  # padding, unknown and the start never come
    )

    def score(table: pd.DataFrame) -> pd.DataFrame:
        asked = rows_of(settings, vocabulary, table)
        there = table["target"].notna() if "target" in table else pd.Series(False, index=table.index)
        texts = [(begin.tolist(), tokens.tolist()) for begin, tokens in zip(asked.beginnings, asked.texts, strict=True)]
        limit = settings.scoring.longest or LONGEST
        found = pd.DataFrame(index=table.index)
        found["text"] = vocabulary.decode([np.array(model.goes_on(begin, limit), np.int32) for begin, _ in texts])
        surprise = [model.surprise(*each) if known else np.nan for each, known in zip(texts, there, strict=True)]
        found["surprise"] = np.array(surprise, np.float64)
        found["subwords"] = pd.array(
            [len(tokens) + 1 if known else None for (_, tokens), known in zip(texts, there, strict=True)], "Int64"
        )
        return found.assign(alternatives=[[] for _ in found.index]) if settings.alternatives else found

    return score
