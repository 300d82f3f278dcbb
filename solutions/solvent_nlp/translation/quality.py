"""How good a translation probably is, from how sure the network was; and from which point on a person should look."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .translator import Said

__all__ = ["estimated", "features", "learnt"]

RIDGE = 1.0  # keeps few rows from making steep lines
NAMES = ("mean", "lowest", "pieces")


def features(said: Sequence[Said]) -> np.ndarray:
    """What is known of each text's translation, shape `(texts, 3)`: the mean over its pieces of the mean logarithm of a
    token's probability, the lowest logarithm of all, and how many pieces it has, as a logarithm."""
    return np.array(
        [
            (
                np.mean([piece.mean for piece in each.pieces]),
                min(piece.lowest for piece in each.pieces),
                np.log(len(each.pieces)),
            )
            for each in said
        ]
    ).reshape(-1, len(NAMES))


def learnt(known: np.ndarray, reached: np.ndarray, review_share: float) -> dict[str, Any]:
    """A line from the features to chrF, and the estimate under which the share of these rows lies.

    Args:
        known: `features` of rows that chose nothing.
        reached: chrF of each of them alone, shape `(rows,)`.
    """
    mean, deviation = known.mean(axis=0), known.std(axis=0)
    deviation = np.where(deviation > 1e-9, deviation, 1.0)
    scaled = (known - mean) / deviation
    slope = np.linalg.solve(scaled.T @ scaled + RIDGE * np.eye(len(NAMES)), scaled.T @ (reached - reached.mean()))
    line = dict(zip(NAMES, (slope / deviation).tolist(), strict=True))
    found = {"slopes": line, "at_0": float(reached.mean() - mean @ (slope / deviation)), "rows": len(known)}
    below = float(np.quantile(estimated(found, known), review_share)) if review_share else 0.0
    return {**found, "review_below": below}


def estimated(facts: Mapping[str, Any], known: np.ndarray) -> np.ndarray:
    """The chrF that is to be expected of each row, 0 to 100, shape `(rows,)`."""
    slopes = np.array([facts["slopes"][name] for name in NAMES])
    return np.clip(known @ slopes + facts["at_0"], 0, 100)
