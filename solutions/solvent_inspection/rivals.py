"""The simple model beside it: how far a whole image is from the mean of good ones."""

import keras
import numpy as np
import pandas as pd

from solvent import Data, finetune
from solvent.features import Features
from solvent.solution import Score

from . import decision
from .model import good_images
from .network import patch_maps
from .settings import Inspection

__all__ = ["mean_feature"]

SHRUNK = 0.1  # share of the mean variance in every direction, since channels may be more than images


def mean_feature(settings: Inspection, data: Data) -> Score:
    """Mahalanobis's distance of an image's mean patch to that of good parts; of the same network and blocks as ours."""
    good = good_images(settings, data)
    maps = patch_maps(settings, data, good)
    averages = keras.Model(maps.input, keras.layers.GlobalAveragePooling2D(dtype="float32")(maps.output))
    frozen = finetune.frozen(averages, settings)
    known = Features(frozen, good).array().astype(np.float64)
    mean, covariance = known.mean(axis=0), np.cov(known, rowvar=False)
    usual = covariance.trace() / len(covariance) + 1e-12
    covariance = (1 - SHRUNK) * covariance + SHRUNK * usual * np.eye(len(covariance))
    whitening = np.linalg.inv(np.linalg.cholesky(covariance))

    def distance(table: pd.DataFrame) -> np.ndarray:
        if table.empty:
            return np.zeros(0)
        apart = Features(frozen, list(table["image"])).array() - mean
        return np.sqrt(((apart @ whitening.T) ** 2).mean(axis=1))

    facts = decision.fit(
        settings, distance(data.valid), decision.is_bad(settings, data.valid), bool(data.schema.by_role("group"))
    )
    return lambda table: decision.outputs(table.index, facts, distance(table))
