"""Where a network looks: Grad-CAM and Grad-CAM++ for any Keras model with convolutions, occlusion for every other.

The feature map is caught while the model runs, not cut out of its graph. So it makes no difference how deep a backbone
is nested in other models, and the model itself stays as it is.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from .wording import suggestion

__all__ = ["grad_cam", "last_convolution", "occlusion", "overlay", "png"]

Maps = NDArray[np.float32]
Pixels = NDArray[np.uint8]

ROWS = 16  # images at once
GREY = 128  # what covers an occluded patch
OPAQUE = 0.75  # of the heat where it is greatest
_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
_POOLING = (
    keras.layers.AveragePooling2D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.MaxPooling2D,
)


def grad_cam(model: keras.Model, images: ArrayLike, classes: ArrayLike, *, layer: str, plus_plus: bool = False) -> Maps:
    """Where the evidence for a class lies in each image.

    Args:
        model: images -> logits of shape `(rows, classes)`; with probabilities the maps of sure images fade out.
        images: shape `(rows, height, width, channels)`, as the model takes them.
        classes: for each image the number of the class to explain, shape `(rows,)`.
        layer: the layer whose feature map is weighed, by its name, or by `backbone/name` in nested models.
        plus_plus: weigh by Grad-CAM++, which also finds the second of two objects.

    Returns:
        In the feature map's size, shape `(rows, height, width)`, each map from 0 to 1; all 0 where nothing speaks for
        the class.

    Raises:
        ValueError: if there is no such layer, it has no feature map, or a class is not among the logits.

    Source: Selvaraju et al., Grad-CAM, 2017; Chattopadhay et al., Grad-CAM++, 2018.
    """
    pixels, numbers = np.asarray(images), np.asarray(classes, dtype=np.int32)
    count = model.output_shape[-1]
    if numbers.shape != pixels.shape[:1] or (len(numbers) and not 0 <= numbers.min() <= numbers.max() < count):
        raise ValueError(
            f"classes: {numbers.tolist()[:5]} of shape {numbers.shape}; expected for each of the {len(pixels)} images "
            f"the number of one of {count} classes, 0 to {count - 1}."
        )
    if not len(pixels):
        return np.zeros((0, 1, 1), np.float32)
    maps = _compiled(model, layer, plus_plus)
    found = []
    for at in range(0, len(pixels), ROWS):
        batch = tf.cast(pixels[at : at + ROWS], model.inputs[0].dtype)
        found.append(maps(batch, tf.constant(numbers[at : at + ROWS])).numpy())
    return np.concatenate(found)


@lru_cache(maxsize=2)
def _compiled(model: keras.Model, layer: str, plus_plus: bool) -> Any:
    """A function from images and classes to maps, traced here once and for all."""
    target = _named(model, layer)
    weights = _plus_plus_weights if plus_plus else _weights

    def maps(images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        # What lies before the feature map need not be differentiated, so the weights are not watched.
        with tf.GradientTape(watch_accessed_variables=False) as tape, _caught(target, tape.watch) as caught:
            evidence = tf.gather(model(images, training=False), classes, axis=1, batch_dims=1)
        if not caught or len(caught[-1].shape) != 4:
            shape = caught[-1].shape if caught else "none"
            raise ValueError(
                f"Layer {layer!r} of {model.name} gives shape {shape}; expected a feature map, (rows, height, width, "
                "channels). Name a convolution, or the activation after it."
            )
        gradients = tape.gradient(evidence, caught[-1])
        if gradients is None:
            raise ValueError(f"The logits of {model.name} do not depend on layer {layer!r}. Name one that they do.")
        features, gradients = tf.cast(caught[-1], tf.float32), tf.cast(gradients, tf.float32)
        found = tf.nn.relu(tf.reduce_sum(weights(features, gradients) * features, axis=-1))
        return tf.math.divide_no_nan(found, tf.reduce_max(found, axis=(1, 2), keepdims=True))

    image = model.inputs[0]
    rows = tf.TensorSpec(image.shape, image.dtype), tf.TensorSpec([None], tf.int32)
    return tf.function(maps, autograph=False).get_concrete_function(*rows)


def _weights(features: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Each channel counts by its mean gradient."""
    return tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)


def _plus_plus_weights(features: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Each channel counts by its positive gradients, those weighed by equation 19 of the paper.

    That is g² / (2 g² + g³ Σ A), so 1 / (2 + g Σ A) where the gradient g is not 0. The paper explains exp(logit), whose
    gradient differs by a factor that is one for the whole image, and falls out as maps are brought to 0..1. Its maps A
    come after a ReLU; those that don't (swish, GELU) are rectified here, else the denominator could be 0.
    """
    positive = tf.nn.relu(gradients)
    total = tf.reduce_sum(tf.nn.relu(features), axis=(1, 2), keepdims=True)
    return tf.reduce_sum(positive / (2.0 + positive * total), axis=(1, 2), keepdims=True)


@contextmanager
def _caught(layer: keras.Layer, watch: Callable[[tf.Tensor], None]) -> Iterator[list[tf.Tensor]]:
    """What a layer gives whenever it is called meanwhile; each is watched before it is handed on."""
    caught: list[tf.Tensor] = []
    call = layer.call

    def watched(*arguments: Any, **options: Any) -> tf.Tensor:
        caught.append(call(*arguments, **options))
        watch(caught[-1])
        return caught[-1]

    vars(layer)["call"] = watched  # not by setattr, where Keras keeps account of what a layer holds
    try:
        yield caught
    finally:
        del vars(layer)["call"]


def last_convolution(model: keras.Model) -> str:
    """The layer to explain a model by: the last one whose map is of the size that the last convolution leaves.

    That is the last convolution, or what follows it before pooling: normalisation, activation, the end of a residual
    block. Convolutions over a single point, as in heads, don't count.

    Returns:
        Its name; in a nested model `backbone/name`.

    Raises:
        ValueError: if the model has no convolution over an image.
    """
    maps = [
        (path, layer, tuple(layer.output.shape[1:3]))
        for path, layer in _layers(model)
        if not isinstance(layer, keras.Model) and _has_map(layer)
    ]
    last = max((at for at, (_, layer, size) in enumerate(maps) if isinstance(layer, _CONVOLUTIONS) and size != (1, 1)),
               default=None)  # fmt: skip
    if last is None:
        raise ValueError(f"{model.name} has no convolution whose map is larger than 1 x 1. Use `occlusion`.")
    return [path for path, layer, size in maps[last:] if size == maps[last][2] and not isinstance(layer, _POOLING)][-1]


def _has_map(layer: keras.Layer) -> bool:
    # A layer that is called at several places has no one output, and Keras then raises for `output`.
    output = getattr(layer, "output", None)
    return len(getattr(output, "shape", ())) == 4


def _layers(model: keras.Model, above: str = "") -> Iterator[tuple[str, keras.Layer]]:
    """All layers with their paths, also those of nested models, in the order in which they are run."""
    for layer in model.layers:
        yield above + layer.name, layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer, f"{above}{layer.name}/")


def _named(model: keras.Model, name: str) -> keras.Layer:
    known = list(_layers(model))
    found = [(path, layer) for path, layer in known if name in (path, layer.name)]
    if not found:
        raise ValueError(
            f"{model.name} has no layer {name!r}.{suggestion(name, [path for path, _ in known])} "
            f"`last_convolution` gives {last_convolution(model)!r}."
        )
    if len(found) > 1:
        paths = ", ".join(path for path, _ in found)
        raise ValueError(f"{model.name} has several layers {name!r}: {paths}. Name one by its path.")
    return found[0][1]


def occlusion(
    predict: Callable[[NDArray[Any]], ArrayLike], images: NDArray[Any], classes: ArrayLike, *, patch: int, stride: int
) -> Maps:
    """How much of a class's probability is lost when a grey patch covers a place. Works for any model.

    Args:
        predict: images -> probabilities, shape `(rows, classes)`.
        images: RGB 0..255, shape `(rows, height, width, channels)`.
        classes: for each image the number of the class to explain, shape `(rows,)`.
        patch: side of the patch in pixels.
        stride: pixels from patch to patch, at most `patch`; the last ones end at the image's edge.

    Returns:
        The mean loss over the patches that cover a pixel, shape `(rows, height, width)`, in -1..1; negative where the
        class gets likelier without the pixel.

    Raises:
        ValueError: if patches leave gaps, or are larger than the image.

    Source: Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, 2014.
    """
    rows, height, width = images.shape[:3]
    if not 1 <= stride <= patch <= min(height, width):
        raise ValueError(
            f"patch={patch}, stride={stride}: expected 1 <= stride <= patch <= {min(height, width)}, "
            "the image's shorter side."
        )
    tops, lefts = (sorted({*range(0, side - patch, stride), side - patch}) for side in (height, width))
    corners = [(top, left) for top in tops for left in lefts]
    found = np.zeros((rows, height, width), np.float32)
    for row, number in enumerate(np.asarray(classes)):
        covered = np.repeat(images[row : row + 1], len(corners) + 1, axis=0)
        for at, (top, left) in enumerate(corners):
            covered[at, top : top + patch, left : left + patch] = GREY
        probability = np.asarray(predict(covered))[:, number]  # the last is of the image itself
        times = np.zeros((height, width), np.float32)
        for at, (top, left) in enumerate(corners):
            found[row, top : top + patch, left : left + patch] += probability[-1] - probability[at]
            times[top : top + patch, left : left + patch] += 1
        found[row] /= times
    return found


def overlay(image: Pixels, heat: ArrayLike, most: float | None = None) -> Pixels:
    """Lay a map over its image: the greater the evidence, the warmer and the less transparent.

    Args:
        image: RGB, shape `(height, width, 3)`.
        heat: of any size; brought to the image's bilinearly. What is negative counts as 0.
        most: the value that is as warm as it gets; the map's own greatest one where it is not given.

    Returns:
        RGB, shape `(height, width, 3)`.
    """
    from matplotlib import colormaps

    height, width = image.shape[:2]
    positive = np.maximum(np.asarray(heat, np.float32), 0)
    fitted = np.asarray(Image.fromarray(positive).resize((width, height), Image.Resampling.BILINEAR))
    share = np.minimum(fitted / ((fitted.max() if most is None else most) or 1.0), 1)
    colours = colormaps["inferno"](0.35 + 0.65 * share)[..., :3] * 255
    opacity = OPAQUE * share[..., None]
    blended: Pixels = np.rint(image * (1 - opacity) + colours * opacity).astype(np.uint8)
    return blended


def png(array: Pixels) -> bytes:
    """A picture as the bytes of a PNG file.

    Args:
        array: shape `(height, width, 3)` or `(height, width)`.
    """
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG", optimize=True)
    return file.getvalue()
