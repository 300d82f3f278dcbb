"""Where the network looked: heat maps laid over the images."""

import numpy as np
import pandas as pd

from solvent import Fitted, imaging, saliency

from .model import scorer
from .settings import Medical

__all__ = ["explain"]


def explain(settings: Medical, fitted: Fitted, table: pd.DataFrame) -> pd.DataFrame:
    """Lay over each image where the evidence for what is looked for lies; of diagnoses, for the most probable one.

    Two ways that fail differently: Grad-CAM follows gradients, occlusion covers places and sees what is lost. Where
    they disagree, believe neither.

    Returns:
        `explained`, its `probability` for the patient, and `heat_map` and `occlusion`: PNG files in the size that the
        network reads. Of several findings the most probable one is explained.
    """
    scored = scorer(settings, fitted)(table)
    several = bool(settings.questions)
    names = list(settings.questions or fitted.facts["classes"])
    ends = [settings.ending(name) for name in names] if several else [f"_{name}" for name in names]
    chance = scored[[f"probability{end}" for end in ends]].to_numpy(np.float64)
    read = np.flatnonzero(scored["error"].isna())
    found = pd.DataFrame(
        {"explained": None, "probability": np.nan, "heat_map": None, "occlusion": None, "error": scored["error"]},
        index=table.index,
    ).astype({"explained": object, "heat_map": object, "occlusion": object})
    for start in range(0, len(read), fitted.batch_rows):
        rows = read[start : start + fitted.batch_rows]
        shown = imaging.pixels(settings, fitted, list(table["image"].iloc[rows]))
        best = chance[rows].argmax(axis=1)
        maps = [
            imaging.heat_maps(settings, fitted, shown, best, several=several, occluded=occluded)
            for occluded in (False, True)
        ]
        for row, image, number, *heats in zip(rows, shown, best, *maps, strict=True):
            drawn = [saliency.png(saliency.overlay(image, heat)) for heat in heats]
            found.iloc[row, :4] = [names[number], chance[row, number], *drawn]
    return found
