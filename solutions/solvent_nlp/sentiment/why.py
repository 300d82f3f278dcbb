"""Which words decided: what the probability loses when a word is left out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from solvent import Fitted
from solvent.metrics import calibration
from solvent.words import words

from . import reading
from .settings import Sentiment
from .texts import BREAK, joined

__all__ = ["Deciding", "deciding", "explain"]

MOST_PIECES = 40  # of a text that are left out in turn; of a longer one neighbouring words go together
TOLD = 8  # words
TOGETHER = 2_000_000  # characters of all variants that are asked about at once


@dataclass(frozen=True)
class Deciding:
    """What each piece of a text did for one class.

    Args:
        pieces: the text, cut; joined they are the text.
        effects: what the class's probability loses without the piece; 0 of what was not left out.
    """

    pieces: list[str]
    effects: list[float]

    def told(self) -> str:
        """The strongest words with their effects, as in `+0.31 lovely; -0.12 late`."""
        strongest = sorted(range(len(self.pieces)), key=lambda place: -abs(self.effects[place]))[:TOLD]
        return "; ".join(f"{self.effects[at]:+.2f} {self.pieces[at].strip()}" for at in strongest if self.effects[at])


def deciding(settings: Sentiment, fitted: Fitted, texts: Sequence[str], classes: np.ndarray) -> list[Deciding]:
    """Leave out the words of each text, one after the other.

    Args:
        texts: cleaned and joined.
        classes: the number of the class that is explained, shape `(texts,)`.

    Source: Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, 2014 (occlusion).
    """
    reader = reading.loaded(settings, fitted.assets)
    found: list[Deciding] = []
    while len(found) < len(texts):
        cut, asked, characters = [], [], 0
        for text in texts[len(found) :]:
            cut.append(_pieces(text))
            variants = _variants(text, cut[-1])
            asked += variants
            characters += sum(map(len, variants))
            if characters > TOGETHER:
                break
        logits = reader.logits(fitted.predict, reader.read(pd.Series(asked, dtype=object)))
        chance, place = calibration.apply(fitted.facts["calibration"], logits), 0
        for spans in cut:
            own = chance[place : place + 1 + len(spans), classes[len(found)]]
            place += 1 + len(spans)
            found.append(_told(texts[len(found)], spans, (own[0] - own[1:]).tolist()))
    return found


def explain(settings: Sentiment, fitted: Fitted, table: pd.DataFrame) -> pd.DataFrame:
    """Say of each text which words spoke most for and against its most probable class.

    Returns:
        `explained_class`, its `probability`, and `deciding_words`: what the probability loses without each, the
        strongest first.
    """
    reader = reading.loaded(settings, fitted.assets)
    texts = joined(table)
    chance = calibration.apply(fitted.facts["calibration"], reader.logits(fitted.predict, reader.read(texts)))
    best = chance.argmax(axis=1)
    return pd.DataFrame(
        {
            "explained_class": np.asarray(fitted.facts["classes"], dtype=object)[best],
            "probability": chance.max(axis=1),
            "deciding_words": [item.told() for item in deciding(settings, fitted, list(texts), best)],
        },
        index=table.index,
    ).astype({"explained_class": "str", "deciding_words": "str"})


def _pieces(text: str) -> list[tuple[int, int]]:
    """The places of a text's words; in long texts those of neighbouring words together."""
    spans = [(start, end) for start, end in words(text) if text[start:end] != BREAK.strip()]
    together = -(-len(spans) // MOST_PIECES) or 1
    return [(spans[at][0], spans[min(at + together, len(spans)) - 1][1]) for at in range(0, len(spans), together)]


def _variants(text: str, spans: Sequence[tuple[int, int]]) -> list[str]:
    """The text, and the text without each piece."""
    return [text, *(f"{text[:start]}{text[end:]}" for start, end in spans)]


def _told(text: str, spans: Sequence[tuple[int, int]], effects: Sequence[float]) -> Deciding:
    pieces, weights, reached = [], [], 0
    for (start, end), effect in zip(spans, effects, strict=True):
        pieces += [text[reached:start], text[start:end]]
        weights += [0.0, effect]
        reached = end
    return Deciding([*pieces, text[reached:]], [*weights, 0.0])
