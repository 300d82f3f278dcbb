"""Where the network looked: heat maps laid over the images."""

import numpy as np
import pandas as pd

from solvent import Fitted, imaging, saliency

from .model import scorer
from .settings import Vision

__all__ = ["explain"]


def explain(settings: Vision, fitted: Fitted, table: pd.DataFrame) -> pd.DataFrame:
    """Lay over each image where the evidence for its most probable class lies.

    Returns:
        `explained_class`, its `probability`, and `heat_map`: a PNG in the size that the network reads.
    """
    classes = list(fitted.facts["classes"])
    scored = scorer(settings, fitted)(table)
    chance = scored[[f"probability_{name}" for name in classes]].to_numpy(np.float64)
    read = np.flatnonzero(scored["error"].isna())
    found = pd.DataFrame(
        {"explained_class": None, "probability": np.nan, "heat_map": None, "error": scored["error"]}, index=table.index
    ).astype({"explained_class": object, "heat_map": object})
    for start in range(0, len(read), fitted.batch_rows):
        rows = read[start : start + fitted.batch_rows]
        cells = list(table["image"].iloc[rows])
        pixels = imaging.pixels(settings, fitted, cells)
        best = chance[rows].argmax(axis=1)
        maps = imaging.heat_maps(settings, fitted, pixels, best, several=settings.labels == "several")
        for row, image, heat, number in zip(rows, pixels, maps, best, strict=True):
            drawn = saliency.png(saliency.overlay(image, heat))
            found.iloc[row, :3] = [classes[number], chance[row, number], drawn]
    return found
