"""All that lists are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import scipy.sparse

from .catalogue import Catalogue
from .interactions import Known
from .part import Part
from .ratings import Rate
from .settings import Recommender

__all__ = ["Engine"]


@dataclass(frozen=True)
class Engine:
    """All that lists are made from.

    Args:
        weights: what `weights.learn` or `hybrid.alone` gives.
        parts: those that it names.
        own: of `likeness.vectors`.
        like: of `hybrid.newcomers`.
        rate: what foretells ratings, where the settings ask for them.
    """

    settings: Recommender
    weights: Mapping[str, Any]
    parts: Mapping[str, Part]
    known: Known
    catalogue: Catalogue
    own: scipy.sparse.csr_array
    like: scipy.sparse.csr_array
    rate: Rate | None = None
