"""A memory of how good parts look: some of their patches, chosen so that every other one has a near one among them.

Source: Roth et al., Towards Total Recall in Industrial Anomaly Detection, 2022 (PatchCore).
"""

from collections.abc import Iterable, Mapping

import numpy as np

from .settings import Inspection

__all__ = ["coreset", "distances", "learn"]

CANDIDATES = 20_000  # patches among which the memory is chosen
PROJECTED = 64  # dimensions in which their distances are compared


def learn(settings: Inspection, maps: Iterable[np.ndarray], images: int, seed: int) -> dict[str, np.ndarray]:
    """Keep the patches of good images that lie farthest apart.

    Args:
        maps: batches of shape `(images, height, width, channels)`.
        images: how many there are in all.
    """
    random = np.random.default_rng(seed)
    each = max(1, CANDIDATES // images)
    patches = np.concatenate(
        [
            patches[np.sort(random.permutation(len(patches))[:each])]
            for batch in maps
            for patches in batch.reshape(len(batch), -1, batch.shape[-1])
        ]
    )
    # Channels of one block may be a hundred times as large as another's, and would be all that counts.
    scale = 1 / np.maximum(patches.std(axis=0), 1e-6)
    patches = (patches * scale).astype(np.float32)
    return {"memory": patches[coreset(patches, settings.patches, random)], "scale": scale.astype(np.float32)}


def coreset(patches: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Greedy k-centre: again and again the patch that is farthest from all chosen ones, by a random projection.

    Args:
        patches: shape `(patches, channels)`.

    Returns:
        Positions, `count` of them, or all where there are no more.
    """
    if len(patches) <= count:
        return np.arange(len(patches))
    channels = patches.shape[1]
    if channels > PROJECTED:
        patches = patches @ random.normal(0, PROJECTED**-0.5, (channels, PROJECTED)).astype(np.float32)
    lengths = (patches**2).sum(axis=1)
    chosen = np.empty(count, np.int64)
    chosen[0] = random.integers(len(patches))
    nearest = np.full(len(patches), np.inf, np.float32)
    for place in range(1, count):
        last = patches[chosen[place - 1]]
        np.minimum(nearest, lengths - 2 * (patches @ last) + last @ last, out=nearest)
        chosen[place] = nearest.argmax()
    return np.sort(chosen)


def distances(assets: Mapping[str, np.ndarray], patches: np.ndarray) -> np.ndarray:
    """How far each patch of an image is from the nearest one in memory, by the root of its mean square.

    Args:
        patches: of one image, shape `(places, channels)`; always as many, so that no sum depends on other images.
    """
    memory = assets["memory"]
    scaled = patches * assets["scale"]
    squares = (scaled**2).sum(axis=1)[:, None] - 2 * (scaled @ memory.T) + (memory**2).sum(axis=1)
    return np.sqrt(np.maximum(squares.min(axis=1), 0) / patches.shape[1])
