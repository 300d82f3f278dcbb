"""Where a part is odd: maps laid over the photos."""

import numpy as np
import pandas as pd

from solvent import Fitted, imaging, saliency

from .model import odd_places, scorer
from .settings import Inspection

__all__ = ["explain", "overlays"]


def explain(settings: Inspection, fitted: Fitted, table: pd.DataFrame) -> pd.DataFrame:
    """Lay over each photo how odd each of its places is.

    Returns:
        `score` and `decision`; where the oddest place lies, `right` and `down` from the upper left corner as shares of
        the photo as the network reads it; and `odd_places`: a PNG.
    """
    scored = scorer(settings, fitted)(table)
    found = scored[["score", "decision"]].assign(right=np.nan, down=np.nan, odd_places=None, error=scored["error"])
    found = found.astype({"decision": "str", "odd_places": object})
    read = np.flatnonzero(scored["error"].isna())
    for start in range(0, len(read), fitted.batch_rows):
        rows = read[start : start + fitted.batch_rows]
        pixels = imaging.pixels(settings, fitted, list(table["image"].iloc[rows]))
        maps = odd_places(settings, fitted, pixels)
        for row, heat, drawn in zip(rows, maps, overlays(fitted, pixels, maps), strict=True):
            down, right = np.unravel_index(heat.argmax(), heat.shape)
            place = [(right + 0.5) / heat.shape[1], (down + 0.5) / heat.shape[0]]
            found.iloc[row, 2:5] = [*place, saliency.png(drawn)]
    return found


def overlays(fitted: Fitted, pixels: np.ndarray, maps: np.ndarray) -> list[np.ndarray]:
    """Photos with what is odder than the usual good part's oddest place, on one scale for all of them.

    Args:
        pixels: uint8, shape `(images, size, size, 3)`.
        maps: what `odd_places` gives for them.
    """
    usual = fitted.facts["half"]
    cut = fitted.facts["operating_point"]["value"]
    full = 2 * max(usual * cut / max(1 - cut, 1e-6), usual)  # twice the threshold's distance is as warm as it gets
    shown = np.clip((maps - usual) / (full - usual), 0, 1)
    return [saliency.overlay(image, heat, most=1.0) for image, heat in zip(pixels, shown, strict=True)]
