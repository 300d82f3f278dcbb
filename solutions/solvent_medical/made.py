"""Semi-synthetic images for too little data: a small class-conditional variational autoencoder makes more.

It learns from training images only. Whether its images help is measured on the choosing patients, and they are thrown
away unless they do. Made images are blurred mixtures of real ones: they may reproduce a patient's.
Source: Kingma and Welling, Auto-Encoding Variational Bayes, 2014; Sohn, Lee and Yan, Learning Structured Output
Representation using Deep Conditional Generative Models, 2015.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from solvent import Data, Goal, Training, finetune, images, saliency, training
from solvent.solution import JSON

from .settings import Medical

__all__ = ["SHEET", "tried"]

SHEET = "made_images.png"
SIDE, CODE = 32, 24  # pixels of a made image; numbers that describe one
NOISE = 0.1  # deviation of a pixel from its reconstruction, of the full range
SHOWN = 8  # of each class
STAGE = "made-images"


def tried(
    settings: Medical, task: finetune.Task, plain: finetune.Network, data: Data
) -> tuple[finetune.Network, dict[str, JSON], bytes]:
    """Train once more with made images beside the real ones, and keep the better network.

    Args:
        plain: what was learnt from the real images alone.

    Returns:
        The network that is kept; what was tried and what won, for `facts["choices"]`; a sheet of made images as PNG, a
        line for each class.
    """
    assert settings.synthetic is not None
    inner = replace(data, work=data.work / "made")
    decoder, codes = _learnt(settings, task, inner)
    counts = np.rint(settings.synthetic.share * np.bincount(codes)).astype(int)
    random = np.random.default_rng([data.seed, 1])
    kinds = np.repeat(np.arange(len(counts)), counts)
    cells = [saliency.png(image) for image in _made(decoder, kinds, len(counts), random)]
    targets = _targets(task, codes)[kinds]
    weights = np.full(len(cells), task.weights.mean(), np.float32)
    more = replace(
        task,
        train=[*task.train, *cells],
        targets=np.concatenate([task.targets, targets]),
        weights=np.concatenate([task.weights, weights]),
    )
    other = finetune.learn(settings, more, inner)
    metric = task.goal.metric
    before, after = (task.measure(network.logits(task.choosing))[metric] for network in (plain, other))
    better = task.goal.better(after, before)
    choice: dict[str, JSON] = {
        "what": f"{len(cells)} made images beside the {len(task.train)} real ones",
        "tried": [{"value": "without", metric: before}, {"value": "with", metric: after}],
        "won": "with" if better else "without",
        "metric": metric,
        "chosen_on": "validation rows, choosing half",
    }
    sheet = _made(decoder, np.repeat(np.arange(len(counts)), SHOWN), len(counts), random)
    lines = sheet.reshape(len(counts), SHOWN, SIDE, SIDE, 3).transpose(0, 2, 1, 3, 4)
    drawn = saliency.png(lines.reshape(len(counts) * SIDE, SHOWN * SIDE, 3))
    return (other if better else plain), choice, drawn


def _classes(targets: np.ndarray) -> np.ndarray:
    """The class of each image: yes or no of one question, or the diagnosis."""
    return targets[:, 0].astype(int) if targets.shape[1] == 1 else targets.argmax(axis=1)


def _targets(task: finetune.Task, codes: np.ndarray) -> np.ndarray:
    """What the network's targets are for each class."""
    return np.stack([task.targets[np.argmax(codes == code)] for code in range(codes.max() + 1)])


def _learnt(settings: Medical, task: finetune.Task, data: Data) -> tuple[keras.Model, np.ndarray]:
    """The decoder of an autoencoder of the training images, and the class of each of these."""
    assert settings.synthetic is not None
    stream = images.Stream(task.train, SIDE, settings.resize, finetune.BATCH_ROWS, settings.decoder)
    pixels = stream.array().astype(np.float32) / 255
    codes = _classes(task.targets)
    kinds = np.eye(codes.max() + 1, dtype=np.float32)[codes]
    whole, decoder = _autoencoder(kinds.shape[1], data.seed)
    held = _held(task.train, np.random.default_rng([data.seed, 2]))
    flat = pixels.reshape(len(pixels), -1)
    loss = Evidence()

    def monitor() -> Mapping[str, float]:
        told = whole({"image": pixels[held], "kind": kinds[held]})
        return {"evidence": float(np.mean(loss.call(flat[held], told)))}

    training.fit(
        whole,
        training.arrays({"image": pixels[~held], "kind": kinds[~held]}, flat[~held]),
        stage=STAGE,
        training=Training(epochs=settings.synthetic.epochs, batch_size=32, learning_rate=2e-3, patience=10),
        loss=loss,
        monitor=monitor,
        goal=Goal("evidence", higher=False),
        data=data,
    )
    return decoder, codes


def _held(cells: Sequence[Any], random: np.random.Generator) -> np.ndarray:
    """Which images it stops by: a tenth, at least one; an image that an epoch shows several times as a whole."""
    numbers: dict[Any, int] = {}
    own = np.array([numbers.setdefault(cell, len(numbers)) for cell in cells])
    held = random.random(len(numbers)) < 0.1
    held[0] = True
    return held[own]


def _autoencoder(classes: int, seed: int) -> tuple[keras.Model, keras.Model]:
    """Image and class -> reconstruction, mean and log variance of the code, side by side; and code, class -> image."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    image, kind = keras.Input((SIDE, SIDE, 3), name="image"), keras.Input((classes,), name="kind")
    tensor = image
    for channels in (16, 32, 64):
        tensor = layers.Conv2D(channels, 3, strides=2, padding="same", activation="relu")(tensor)
    tensor = layers.Concatenate()([layers.Flatten()(tensor), kind])
    mean, spread = layers.Dense(CODE, name="mean")(tensor), layers.Dense(CODE, name="log_variance")(tensor)

    code, own = keras.Input((CODE,), name="code"), keras.Input((classes,), name="own")
    small = layers.Dense(4 * 4 * 64, activation="relu")(layers.Concatenate()([code, own]))
    small = layers.Reshape((4, 4, 64))(small)
    for channels in (64, 32, 16):
        small = layers.Conv2DTranspose(channels, 3, strides=2, padding="same", activation="relu")(small)
    decoder = keras.Model(
        [code, own], layers.Conv2D(3, 3, padding="same", activation="sigmoid", dtype="float32")(small)
    )
    again = layers.Flatten()(decoder([Drawn()([mean, spread]), kind]))
    told = layers.Concatenate(dtype="float32")([again, mean, spread])
    return keras.Model({"image": image, "kind": kind}, told, name="autoencoder"), decoder


@keras.saving.register_keras_serializable(package="solvent_medical")
class Drawn(keras.layers.Layer):
    """A code drawn from its normal distribution while training; its mean otherwise."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.generator = keras.random.SeedGenerator()

    def call(self, inputs: Any, training: bool = False) -> Any:
        mean, spread = inputs
        if not training:
            return mean
        noise = keras.random.normal(keras.ops.shape(mean), dtype=mean.dtype, seed=self.generator)
        return mean + keras.ops.exp(spread / 2) * noise


class Evidence(keras.losses.Loss):
    """The negative lower bound of the evidence, for each pixel: reconstruction, and how much a code tells."""

    def __init__(self) -> None:
        super().__init__(name="evidence")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        ops, pixels = keras.ops, SIDE * SIDE * 3
        again, mean, spread = y_pred[:, :pixels], y_pred[:, pixels : pixels + CODE], y_pred[:, pixels + CODE :]
        missed = ops.sum(ops.square(again - y_true), axis=-1) / (2 * NOISE**2)
        told = ops.sum(ops.exp(spread) + ops.square(mean) - 1 - spread, axis=-1) / 2
        return (missed + told) / pixels


def _made(decoder: keras.Model, kinds: np.ndarray, classes: int, random: np.random.Generator) -> np.ndarray:
    """Images of these classes, uint8, shape `(images, SIDE, SIDE, 3)`."""
    codes = random.standard_normal((len(kinds), CODE)).astype(np.float32)
    own = np.eye(classes, dtype=np.float32)[kinds]
    parts = [np.asarray(decoder([codes[at : at + 256], own[at : at + 256]])) for at in range(0, len(kinds), 256)]
    return np.rint(np.concatenate(parts) * 255).astype(np.uint8)
