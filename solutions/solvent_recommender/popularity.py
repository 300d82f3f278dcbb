"""Popularity: how many users liked an item, the old ones counting less."""

from collections.abc import Mapping

import numpy as np

from .catalogue import Catalogue
from .interactions import Histories, Known
from .part import Part

__all__ = ["choices", "fit", "load"]

HALVINGS = (1, 2, 3, 4, 5, 6, 7, 8)


def choices(known: Known) -> list[float | None]:
    """Half-lives in days to choose from: none, and the span of the data halved again and again."""
    span = float(known.histories.age.max(initial=0))
    return [None, *(round(span / 2**times, 4) for times in HALVINGS)] if span else [None]


def fit(known: Known, catalogue: Catalogue, half_life: float | None) -> dict[str, np.ndarray]:
    """The decayed count of each known item."""
    found = known.histories
    weight = np.ones(len(found.item)) if half_life is None else 0.5 ** (found.age.astype(np.float64) / half_life)
    counts = np.bincount(found.item[found.liked], weight[found.liked], minlength=len(known.items))
    return {"counts": counts.astype(np.float32)}


def load(assets: Mapping[str, np.ndarray], catalogue: Catalogue) -> Part:
    """The same scores for all users; the logarithm keeps a few hits from outweighing all else."""
    found = np.full(len(catalogue), np.nan, np.float32)
    found[: catalogue.known] = np.log1p(assets["counts"])

    def scores(histories: Histories) -> np.ndarray:
        return np.broadcast_to(found, (len(histories), len(catalogue)))

    return Part(scores, None, reason="", plain="popular now")
