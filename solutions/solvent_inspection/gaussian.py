"""How good parts look at each place: the mean of their patches there, and how these vary together.

For parts that always lie alike in the photo: what is usual in one place may be odd in another.
Source: Defard et al., PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and Localization, 2021.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from .settings import Inspection

__all__ = ["distances", "learn"]

CHANNELS = 100  # drawn at random, where there are more
LEAST = 0.01  # of the mean variance, added to each: few images leave directions in which nothing varied


def learn(settings: Inspection, maps: Iterable[np.ndarray], images: int, seed: int) -> dict[str, np.ndarray]:
    """Mean and whitening of the patches at each place.

    Args:
        maps: batches of shape `(images, height, width, channels)`.
        images: how many there are in all.
    """
    chosen: np.ndarray | None = None
    total = products = 0.0
    for batch in maps:
        if chosen is None:
            every = batch.shape[-1]
            chosen = np.sort(np.random.default_rng(seed).permutation(every)[:CHANNELS])
        places = batch.reshape(len(batch), -1, batch.shape[-1])[..., chosen].transpose(1, 0, 2).astype(np.float64)
        total = total + places.sum(axis=1)
        products = products + places.transpose(0, 2, 1) @ places
    mean = total / images
    covariance = products / images - mean[:, :, None] * mean[:, None, :]
    channels = mean.shape[1]
    variance = covariance.trace(axis1=1, axis2=2).mean() / channels
    covariance += (LEAST * variance + 1e-12) * np.eye(channels)
    whitening = np.linalg.inv(np.linalg.cholesky(covariance))
    return {"mean": mean.astype(np.float32), "whitening": whitening.astype(np.float32), "channels": chosen}


def distances(assets: Mapping[str, np.ndarray], patches: np.ndarray) -> np.ndarray:
    """How far each patch of an image is from the mean of its place, in deviations there (Mahalanobis): the root of
    its mean square.

    Args:
        patches: of one image, shape `(places, channels)`.
    """
    apart = patches[:, assets["channels"]] - assets["mean"]
    whitened = np.einsum("pij,pj->pi", assets["whitening"], apart)
    return np.sqrt((whitened**2).mean(axis=1))
