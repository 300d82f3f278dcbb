"""The `augmentation` section as Keras layers: in training on the fly, as views that can be cached, as examples.

Keras's layers are called one image at a time, each with draws of its own. That makes an augmented image a function of
the image and its seed, and goes round what Keras 3.15 does otherwise: `RandomCrop` and `RandAugment` draw once a batch,
`RandomFlip` turns both ways or not at all, `RandomContrast(0.2)` never lowers the contrast, `RandAugment` posterises
and solarises the more the weaker it is, and `CutMix` mixes targets by the box before it is cut to whole pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers as kl

from .augmentation import Augmentation
from .devices import placement
from .errors import Refused
from .images import Unreadable, content_hash

__all__ = ["Augment", "Augmented", "augmented", "examples", "layers", "view_batches", "views"]

GREY = 127.5
EXAMPLES = 16
Step = Callable[[Any, "_Draws"], Any]  # a batch of one image, and where its draws come from -> the same, changed


class _Draws(keras.random.SeedGenerator):  # type: ignore[misc]
    """Seeds that follow from a first one, without the variable in which Keras counts them."""

    def __init__(self, first: Any) -> None:
        self.first, self.count = first, 0

    def next(self, ordered: bool = True) -> Any:
        self.count += 1
        return tf.random.experimental.stateless_fold_in(self.first, self.count)


def layers(augmentation: Augmentation, size: int) -> Augment | None:
    """The layer that augments images one by one, without `mixup` and `cutmix`; None where nothing is on."""
    return Augment(augmentation, size) if augmentation.alone != Augmentation() else None


@keras.saving.register_keras_serializable(package="solvent")
class Augment(keras.layers.Layer):  # type: ignore[misc]
    """Images `(batch, size, size, 3)`, RGB of 0..255 in any type -> the same as float32, augmented if training.

    What is drawn depends on its seed generator and on the image's place in the batch of all replicas, so that two
    replicas augment as one device does.
    """

    def __init__(self, augmentation: Augmentation, size: int) -> None:
        super().__init__(name="augment", dtype="float32", trainable=False)
        self.change = _one_by_one(augmentation.alone, size)
        self.generator = keras.random.SeedGenerator()

    def call(self, images: Any, training: bool = False) -> Any:
        images = tf.cast(images, tf.float32)
        if not training:
            return images
        replica = tf.distribute.get_replica_context()
        count = tf.shape(images)[0]
        every = tf.random.stateless_uniform(
            (count * replica.num_replicas_in_sync, 2), self.generator.next(), None, None, tf.int32
        )
        start = count * replica.replica_id_in_sync_group
        return self.change(images, every[start : start + count])


@keras.saving.register_keras_serializable(package="solvent")
class Augmented(keras.Model):  # type: ignore[misc]
    """A network that sees augmented images while it is trained, and its inputs as they are otherwise.

    Args:
        network: images `(batch, size, size, 3)` -> logits. Its weights are what is trained.
    """

    def __init__(self, network: keras.Model, augmentation: Augmentation, size: int) -> None:
        # No autocast: in mixed precision it would round the pixels before the network has scaled them.
        super().__init__(name=f"{network.name}_augmented", autocast=False)
        self.network = network
        self.augment = layers(augmentation, size)
        self.mix = _mixing(augmentation)
        self.generator = keras.random.SeedGenerator()
        self.built = True  # nothing but the network has weights

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.network(inputs, training=training)

    def train_step(self, data: Any) -> Any:
        """Train on a batch of images, targets `(batch, k)` (one-hot or many-hot, where there is mixing) and weights."""
        images, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        if self.augment is not None:
            images = self.augment(images, training=True)
        if self.mix is not None:
            if len(targets.shape) != 2:
                raise ValueError(f"mixup and cutmix mix targets of shape (batch, classes), not {targets.shape}.")
            # Each replica mixes its own images, and draws for itself.
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            seed = tf.random.experimental.stateless_fold_in(self.generator.next(), replica)
            images, targets, weights = _mixed(self.mix, images, targets, weights, seed)
        return super().train_step((images, targets, weights))


def augmented(network: keras.Model, augmentation: Augmentation, size: int) -> keras.Model:
    """The network wrapped for training with augmentation, or itself where nothing is on. Call it in `devices.scope`.

    Raises:
        Refused: if the device compiles with XLA, which knows no turning, shifting and zooming.
    """
    if augmentation == Augmentation():
        return network
    if placement().xla:
        raise Refused("device.xla: true can't compile augmentation. Set device.xla: false, or take augmentation out.")
    return Augmented(network, augmentation, size)


def views(images: np.ndarray, keys: Sequence[str], number: int, augmentation: Augmentation, seed: int) -> np.ndarray:
    """An augmented view of each image that depends on its key, the number and the seed alone, not on other images.

    Args:
        images: uint8, shape `(images, size, size, 3)`.
        keys: what tells the images apart: the hash of each one's content.

    Returns:
        uint8, shape `(images, size, size, 3)`.

    Raises:
        Refused: if the augmentation mixes images.
    """
    if augmentation != augmentation.alone:
        raise Refused(
            "settings.augmentation: mixup and cutmix mix the images of a batch, so that there are no views of single "
            "images with them. Take them out, or set views: 0."
        )
    if len(images) == 0 or augmentation == Augmentation():
        return images
    digests = [hashlib.sha256(f"{seed}/{number}/{key}".encode()).digest() for key in keys]
    seeds = np.array([np.frombuffer(digest[:8], np.int32) for digest in digests])
    return np.asarray(compiled(augmentation, images.shape[1])(images, seeds))


def view_batches(
    batches: Iterable[np.ndarray], cells: Sequence[Any], number: int, augmentation: Augmentation, seed: int
) -> Iterator[np.ndarray]:
    """A view of each image, batch by batch, as `views` gives it.

    Args:
        batches: uint8, the pixels of the cells, in their order. One that could not be read may have any pixels.
    """
    start = 0
    for batch in batches:
        keys = [_key(cell) for cell in cells[start : start + len(batch)]]
        start += len(batch)
        yield views(batch, keys, number, augmentation, seed)


def _key(cell: Any) -> str:
    try:
        return content_hash(cell)
    except Unreadable:
        return ""


def examples(images: np.ndarray, augmentation: Augmentation, seed: int) -> np.ndarray:
    """What training makes of some images, mixing included: uint8, shape `(16, size, size, 3)`.

    Args:
        images: uint8, shape `(images, size, size, 3)`; the examples go through them in turn.
    """
    chosen = np.resize(np.arange(len(images)), EXAMPLES)
    shown = views(images[chosen], [str(place) for place in range(EXAMPLES)], 0, augmentation.alone, seed)
    mix = _mixing(augmentation)
    if mix is None:
        return shown
    mixed, _, _ = _mixed(mix, shown.astype(np.float32), np.zeros((EXAMPLES, 1), np.float32), None, [seed, 0])
    return np.asarray(_whole(mixed))


@lru_cache(maxsize=8)
def compiled(augmentation: Augmentation, size: int) -> Any:
    """The function of (images, seeds) that is behind `views`; made once."""
    change = _one_by_one(augmentation, size)
    signature = [tf.TensorSpec((None, size, size, 3), tf.uint8), tf.TensorSpec((None, 2), tf.int32)]
    return tf.function(lambda images, seeds: _whole(change(images, seeds)), input_signature=signature, autograph=False)


def _one_by_one(augmentation: Augmentation, size: int) -> Callable[[Any, Any], Any]:
    """Images and a seed for each, `(batch, 2)` of int32 -> augmented images, float32."""
    steps = _steps(augmentation, size)

    def one(given: tuple[Any, Any]) -> Any:
        image, draws = tf.cast(given[0], tf.float32)[None], _Draws(given[1])
        for step in steps:
            image = step(image, draws)
        return image[0]

    # A batch of one: then no rounding depends on how many images there are, or where one stands.
    result = tf.TensorSpec((size, size, 3), tf.float32)
    return lambda images, seeds: tf.map_fn(one, (images, seeds), fn_output_signature=result, parallel_iterations=8)


def _steps(on: Augmentation, size: int) -> list[Step]:
    steps: list[Step] = []
    if on.crop and (side := max(1, round(size * (1 - on.crop)))) < size:
        enlarge = kl.Resizing(size, size, dtype="float32")
        cut = _step(kl.RandomCrop, side, side)
        steps.append(lambda image, draws: enlarge(cut(image, draws)))
    if on.flip in ("horizontal", "both"):
        steps.append(_step(kl.RandomFlip, "horizontal"))
    if on.flip in ("vertical", "both"):
        steps.append(_step(kl.RandomFlip, "vertical"))
    if on.rotation:
        steps.append(_step(kl.RandomRotation, on.rotation / 360, fill_mode="reflect"))
    if on.zoom:
        steps.append(_step(kl.RandomZoom, on.zoom, fill_mode="reflect"))
    if on.translation:
        steps.append(_step(kl.RandomTranslation, on.translation, on.translation, fill_mode="reflect"))
    if on.brightness:
        steps.append(_step(kl.RandomBrightness, on.brightness))
    if on.contrast:
        steps.append(_step(kl.RandomContrast, (on.contrast, on.contrast)))
    if on.rand_augment:
        steps += [_any_of(_operations(on.rand_augment))] * 2
    if on.erasing:
        scale = (on.erasing / 10, on.erasing)
        steps.append(_step(kl.RandomErasing, (0.5, 0.5), scale=scale, fill_value=GREY))
    return steps


def _operations(magnitude: float) -> list[Step]:
    """What RandAugment chooses among, each up to as strong as in the paper.

    Source: Cubuk et al., RandAugment, 2020. Keras's Solarization is left out: it inverts more the weaker it is set.
    """
    bits = 8 - round(4 * magnitude)
    return [
        lambda image, draws: image,
        _step(kl.RandomShear, 0.3 * magnitude, 0.0, fill_mode="reflect"),
        _step(kl.RandomShear, 0.0, 0.3 * magnitude, fill_mode="reflect"),
        _step(kl.RandomTranslation, 0.45 * magnitude, 0.45 * magnitude, fill_mode="reflect"),
        _step(kl.RandomRotation, 30 / 360 * magnitude, fill_mode="reflect"),
        _step(kl.RandomBrightness, 0.5 * magnitude),
        _step(kl.RandomColorDegeneration, 0.9 * magnitude),
        _step(kl.RandomContrast, (0.9 * magnitude, 0.9 * magnitude)),
        _step(kl.RandomSharpness, (0.5 - 0.45 * magnitude, 0.5 + 0.45 * magnitude)),
        _step(kl.RandomPosterization, (bits, max(bits, 8))),
        _step(kl.AutoContrast),
        _step(kl.Equalization),
    ]


def _step(layer: Any, *arguments: Any, **options: Any) -> Step:
    made = layer(*arguments, **options, dtype="float32")

    def step(image: Any, draws: _Draws) -> Any:
        drawn = made.get_random_transformation(image, training=True, seed=draws)
        return tf.ensure_shape(made.transform_images(image, drawn, training=True), (1, None, None, 3))

    return step


def _any_of(steps: Sequence[Step]) -> Step:
    def step(image: Any, draws: _Draws) -> Any:
        chosen = keras.random.randint((), 0, len(steps), seed=draws)
        own = _Draws(draws.next())
        return tf.switch_case(chosen, [lambda one=one: one(image, own) for one in steps])

    return step


def _mixing(on: Augmentation) -> list[Any] | None:
    found = [kl.MixUp(on.mixup, dtype="float32")] if on.mixup else []
    found += [kl.CutMix((on.cutmix, on.cutmix), dtype="float32")] if on.cutmix else []
    return found or None


def _mixed(mix: list[Any], images: Any, targets: Any, weights: Any, seed: Any) -> tuple[Any, Any, Any]:
    """Mix images, and with them targets and weights: the loss of a mixed image is the mixed weighted loss.

    That is exact for losses that are linear in their targets, as cross-entropy is.
    """
    images, targets = tf.cast(images, tf.float32), tf.cast(targets, tf.float32)
    weights = tf.ones_like(targets[:, 0]) if weights is None else tf.cast(weights, tf.float32)
    labels = tf.concat([targets * weights[:, None], weights[:, None]], axis=1)
    draws, results = _Draws(seed), []
    for layer in mix:
        drawn = layer.get_random_transformation(images, training=True, seed=draws)
        if "batch_masks" in drawn:  # by the pixels that were pasted, not by the box before it was cut to whole ones
            drawn["mix_weight"] = 1 - tf.reduce_mean(tf.cast(drawn["batch_masks"], tf.float32), axis=(1, 2, 3))
        results.append((layer.transform_images(images, drawn), layer.transform_labels(labels, drawn)))
    images, labels = results[0]
    if len(results) == 2:
        other = keras.random.uniform(tf.shape(labels)[:1], seed=draws) < 0.5
        images = tf.where(other[:, None, None, None], results[1][0], images)
        labels = tf.where(other[:, None], results[1][1], labels)
    weights = labels[:, -1]
    return images, tf.math.divide_no_nan(labels[:, :-1], weights[:, None]), weights


def _whole(images: Any) -> Any:
    return tf.cast(tf.round(tf.clip_by_value(images, 0.0, 255.0)), tf.uint8)
