"""Photos of steel as a line would have them: kinds of surface that are usual, and one that nobody has seen."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from solvent import images, steel

__all__ = ["scratches_unknown", "with_unknown"]

SHARES = (0.6, 0.2)  # of the usual ones: to learn from, and to set the threshold; the rest is tested


def scratches_unknown(files: Mapping[str, Path]) -> pd.DataFrame:
    """The photos with scratches as the unknown kind."""
    return with_unknown(steel.photos(files), "scratches")


def with_unknown(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Photos with a `part`: all of one kind are test photos, the others are dealt out kind by kind, copies together.

    Args:
        rows: what `solvent.steel:photos` reads.
    """
    random = np.random.default_rng(0)
    part = pd.Series("test", rows.index)
    for _, own in rows[rows["label"] != kind].groupby("label"):
        copies = own["image"].map(images.content_hash)
        order = random.permutation(copies.unique())
        train, valid = (np.cumsum(SHARES) * len(order)).round().astype(int)
        part[own.index[copies.isin(order[:train])]] = "train"
        part[own.index[copies.isin(order[train:valid])]] = "valid"
    return rows.assign(part=part)
