"""Which test texts may fare worse: long ones, negated ones, other scripts, words that training never saw."""

import re

import numpy as np
import pandas as pd

from solvent import Fitted, scripts
from solvent.words import unseen_bands, words

from .settings import Sentiment
from .texts import joined

__all__ = ["slices"]

# Words that turn a meaning round, of no other meaning in the other languages here; of a language that is not here no
# text counts as negated.
NEGATIONS = {
    "English": "not no never none nobody nothing neither nor without hardly barely cannot",
    "German": "nicht kein keine keinen keinem keiner nie niemals ohne kaum weder",
    "French": "pas jamais sans aucun aucune",
    "Spanish": "nunca ningún ninguna jamás",
    "Italian": "senza nessun nessuna",
    "Portuguese": "não nunca sem nenhum nenhuma",
    "Russian": "не нет ни никогда без",
    "Arabic": "لا ليس ليست لم لن غير بدون",
    "Hindi": "नहीं मत बिना",
}
NEGATING = frozenset(word for found in NEGATIONS.values() for word in found.split())
WRITTEN_TOGETHER = re.compile("不|没|無|无|ない|ません|ไม่|n['’]t")


def slices(settings: Sentiment, fitted: Fitted, rows: pd.DataFrame) -> dict[str, pd.Series]:
    """The levels of the test rows in the report's slices."""
    texts = joined(rows)
    unseen = unseen_bands(list(texts), np.asarray(fitted.assets["seen_words"]))
    return {
        "characters in the text": texts.str.len(),
        "words that training never saw": pd.Series(unseen, index=rows.index),
        "negation": texts.map(_negated).map({True: "has a negation", False: "none"}),
        "script": pd.Series(scripts.main_script(list(texts)), index=rows.index),
    }


def _negated(text: str) -> bool:
    folded = text.casefold()
    return bool(WRITTEN_TOGETHER.search(folded)) or any(folded[start:end] in NEGATING for start, end in words(folded))
