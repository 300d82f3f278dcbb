"""How translations are measured."""

import numpy as np
import pandas as pd

from solvent import Sums, Weighted
from solvent.metrics import mean

from .metric import bleu_of, chrf_of, ter_of
from .overlap import sentence_chrf
from .settings import Translation

__all__ = ["metrics"]


def metrics(settings: Translation, rows: pd.DataFrame, scored: pd.DataFrame) -> dict[str, float | Sums | Weighted]:
    """chrF, BLEU and TER of the corpus; how far the estimated quality lies from each row's chrF; the shares that are to
    be reviewed, and that lost something of their source."""
    said, wanted = scored["translation"].tolist(), rows["target"].tolist()
    weight = rows.get("weight")
    apart = np.abs(scored["quality"].to_numpy(np.float64) - sentence_chrf(said, wanted))
    return {
        "chrf": chrf_of(said, wanted, weight),
        "bleu": bleu_of(said, wanted, weight),
        "ter": ter_of(said, wanted, weight),
        "quality_error": mean(apart, weight),
        "to_review": mean(scored["review"].to_numpy(bool), weight),
        "not_kept": mean((scored["problems"] != "").to_numpy(), weight),
    }
