"""A backbone as one flat model, from pixels to the feature map, with the weights that were asked for or none at all."""

from __future__ import annotations

import re
import sys
import warnings
import zipfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Refused
from ..wording import listed
from .backbones import FEATURES, Backbone, backbone

if TYPE_CHECKING:
    import keras

__all__ = ["build"]

# Mean and deviation of ImageNet's pixels, as `keras.applications.imagenet_utils.preprocess_input` has them.
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)
TORCH_MEAN, TORCH_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CNN_WIDTHS = (24, 48, 96)
CNN_SIDE = 48  # the stem halves the image until its side is at most this
MLP_WIDTH = 256


def build(name: str, weights: str, size: int, *, seed: int) -> keras.Model:
    """Build a backbone.

    Args:
        weights: `imagenet` as Keras downloads them; the path of a file of such weights (.h5, .weights.h5, .keras);
            or `none` for a random start.
        size: side of the images, in pixels.
        seed: of the random start; it sets Keras's global seed.

    Returns:
        A flat functional model from "image" `(size, size, 3)`, RGB of 0..255 in any type, to the feature map
        `(height, width, channels)`, float32 in every precision. All its preprocessing is in its graph.

    Raises:
        Refused: if the backbone is unknown or the size too small for it; if the weights can't be had, don't fit, or
            leave a part at its start.
    """
    import keras

    about = backbone(name)
    if size < about.least:
        raise Refused(f"The backbone {name} takes images of at least {about.least} pixels a side; the size is {size}.")
    keras.utils.set_random_seed(seed)
    image = keras.Input((size, size, 3), name="image")
    pixels = _preprocess(image, about)
    if about.constructor is None:
        if weights != "none":
            raise Refused(f"The backbone {name} is trained from nothing: set weights: none, not {weights}.")
        outputs = {"cnn": _cnn, "mlp": _mlp}[name](pixels)
    else:
        outputs = _pretrained(name, about.constructor, weights, pixels)
    # One last layer for all, also where Keras counts the name of its own up in each process; in mixed precision it
    # is where the numbers become float32 again.
    features = keras.layers.Activation("linear", dtype="float32", name=FEATURES)(outputs)
    return keras.Model(image, features, name=name)


def _preprocess(image: Any, about: Backbone) -> Any:
    import keras

    if about.reads == "included":
        return image
    scale: Any
    offset: Any
    if about.reads == "caffe":
        scale, offset = 1.0, [-mean for mean in CAFFE_MEAN_BGR]
        image = image[..., ::-1]
    elif about.reads == "torch":
        scale = [1 / (255 * deviation) for deviation in TORCH_DEVIATION]
        offset = [-mean / deviation for mean, deviation in zip(TORCH_MEAN, TORCH_DEVIATION, strict=True)]
    else:
        scale, offset = 1 / 127.5, -1.0
    # In float32 also where the rest is not: half precision would round the pixels.
    return keras.layers.Rescaling(scale, offset, dtype="float32", name="preprocessed")(image)


def _pretrained(name: str, constructor: str, weights: str, pixels: Any) -> Any:
    import keras

    make = getattr(keras.applications, constructor)
    if weights == "imagenet":
        # Keras says on standard output that it downloads, where `--json` promises one object and nothing else.
        try:
            with redirect_stdout(sys.stderr):
                return make(include_top=False, weights="imagenet", input_tensor=pixels).output
        except Exception as error:  # Keras raises a plain Exception where it can't download
            found = re.match(r"URL fetch failure on (\S+):", str(error))
            if found is None:
                raise
            raise Refused(_unreachable(name, found[1], str(error))) from error
    network = make(include_top=False, weights=None, input_tensor=pixels)
    if weights != "none":
        _load(network, name, constructor, Path(weights).expanduser())
    return network.output


def _unreachable(name: str, address: str, error: str) -> str:
    file = address.rpartition("/")[2]
    return (
        f"weights: imagenet of {name} is the file {file}, which can't be downloaded here ({error}). "
        f"Download {address} where there is a network, and put it into ~/.keras/models, or name it: "
        f"weights: /path/to/{file}. For a random start, set weights: none."
    )


def _load(network: keras.Model, name: str, constructor: str, path: Path) -> None:
    """Load weights from a file, and see to it that every variable came from there."""
    import numpy as np

    if not path.is_file():
        raise Refused(f"weights: there is no file {path}. Name one, or set weights: imagenet or weights: none.")
    expected = (
        f"Expected the weights of keras.applications.{constructor} without its top (include_top=False), as .h5, "
        ".weights.h5 or .keras."
    )
    for variable in network.weights:
        variable.assign(np.full(variable.shape, np.nan))
    try:
        with warnings.catch_warnings(action="ignore"):  # what Keras only warns of is looked for below
            network.load_weights(path)
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:300]  # Keras may print all the numbers of a layer
        raise Refused(f"weights: {path} doesn't fit the backbone {name}: {reason} {expected}") from error
    left = [variable.path for variable in network.weights if np.isnan(variable.numpy()).any()]
    if left:
        raise Refused(
            f"weights: {path} leaves {len(left)} of the {len(network.weights)} variables of the backbone {name} "
            f"without a number: {listed(left[:3])}. {expected}"
        )


def _cnn(pixels: Any) -> Any:
    """Three residual blocks, for small images.

    Source: He et al., Identity Mappings in Deep Residual Networks, 2016, made small.
    """
    from keras import layers

    x = pixels
    halvings = 0
    while x.shape[1] > CNN_SIDE or halvings == 0:
        strides = 2 if x.shape[1] > CNN_SIDE else 1
        halvings += 1
        x = _convolve(x, CNN_WIDTHS[0], 3, f"stem{halvings}", strides)
        x = layers.Activation("relu", name=f"stem{halvings}_relu")(x)
    for number, width in enumerate(CNN_WIDTHS, 1):
        name = f"block{number}"
        y = layers.Activation("relu", name=f"{name}_relu1")(_convolve(x, width, 3, f"{name}_conv1"))
        y = _convolve(y, width, 3, f"{name}_conv2")
        short = x if x.shape[-1] == width else _convolve(x, width, 1, f"{name}_short")
        x = layers.Activation("relu", name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([y, short]))
        if number < len(CNN_WIDTHS):
            x = layers.MaxPooling2D(name=name)(x)
    return x


def _convolve(x: Any, width: int, kernel: int, name: str, strides: int = 1) -> Any:
    import tensorflow as tf
    from keras import layers

    x = layers.Conv2D(
        width, kernel, strides, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )(x)
    # Over all replicas, so that their number changes nothing; on one device this costs 40% of the speed for nothing.
    # Keras's momentum of 0.99 takes 500 steps to arrive: more than a small data set has.
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return layers.BatchNormalization(momentum=0.9, synchronized=replicas > 1, name=f"{name}_norm")(x)


def _mlp(pixels: Any) -> Any:
    from keras import layers

    x = layers.Flatten(name="flat")(pixels)
    for number in (1, 2):
        x = layers.Dense(MLP_WIDTH, activation="relu", kernel_initializer="he_normal", name=f"dense{number}")(x)
    return layers.Reshape((1, 1, MLP_WIDTH), name="map")(x)  # a map of one place, so that heads need not ask
