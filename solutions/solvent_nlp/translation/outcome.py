"""How translations, summaries and texts are measured."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from solvent import Sums, Weighted
from solvent.metrics import mean, row_weights
from solvent.words import words

from .metric import bleu_of, chrf_of, ter_of
from .overlap import sentence_chrf
from .reading import cleaned
from .rouge import rouge_of, sentence_rouge
from .settings import WRITTEN, Translation

__all__ = ["judged", "metrics", "perplexities", "words_of"]


def judged(settings: Translation) -> Callable[[Sequence[str], Sequence[str]], np.ndarray]:
    """What each text alone is measured by, 0 to 100: texts and references -> shape `(texts,)`."""
    return sentence_chrf if settings.task == "translate" else sentence_rouge


def metrics(settings: Translation, rows: pd.DataFrame, scored: pd.DataFrame) -> dict[str, float | Sums | Weighted]:
    """Of translations chrF, BLEU and TER of the corpus, of summaries ROUGE; how far the estimated quality lies from
    what each row reached; the shares that are to be reviewed, and that lost something of their source or made something
    up. Of texts their perplexity."""
    weight = rows.get("weight")
    if settings.task == "generate":
        return perplexities(rows["target"], scored["surprise"], scored["subwords"], weight)
    said, wanted = scored[WRITTEN[settings.task]].tolist(), rows["target"].tolist()
    found: dict[str, float | Sums | Weighted] = {}
    if settings.task == "translate":
        found = {
            "chrf": chrf_of(said, wanted, weight),
            "bleu": bleu_of(said, wanted, weight),
            "ter": ter_of(said, wanted, weight),
        }
    else:
        found |= rouge_of(said, wanted, weight)
    apart = np.abs(scored["quality"].to_numpy(np.float64) - judged(settings)(said, wanted))
    problems = mean((scored["problems"] != "").to_numpy(), weight)
    return {
        **found,
        "quality_error": mean(apart, weight),
        "to_review": mean(scored["review"].to_numpy(bool), weight),
        "not_kept" if settings.task == "translate" else "made_up": problems,
    }


def perplexities(texts: pd.Series, surprise: pd.Series, subwords: pd.Series, weight: Any = None) -> dict[str, Sums]:
    """Perplexity of all texts together, by words and by subwords: each of them counts the same, and each text's end.

    Args:
        texts: missing where none is given; such rows count nothing.
        surprise: of each text, in nats.
    """
    many = [words_of(text) if isinstance(text, str) else 0 for text in texts]
    sums = np.column_stack([surprise.fillna(0), many, subwords.fillna(0)]).astype(np.float64)
    sums *= row_weights(weight, len(sums))[:, None]

    def by(column: int) -> Callable[[np.ndarray], np.ndarray]:
        def value(sums: np.ndarray) -> np.ndarray:
            many = sums[..., column]
            return np.where(many > 0, np.exp(sums[..., 0] / np.maximum(many, 1e-9)), np.nan)

        return value

    return {"perplexity": Sums(sums, by(1)), "perplexity_of_subwords": Sums(sums, by(2))}


def words_of(text: str) -> int:
    """Words and signs of a text, and its end."""
    return sum(1 for _ in words(cleaned(text))) + 1
