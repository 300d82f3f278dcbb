"""The registry of backbones: what each one is called in Keras, what it reads, and where it can be cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..errors import Refused

__all__ = ["BACKBONES", "Backbone", "backbone"]

FEATURES = "features"  # the last layer of every backbone: its feature map as float32


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A network from an image to its feature map.

    Args:
        constructor: its name in `keras.applications`; None for our own, which have no pretrained weights.
        reads: what is done to RGB pixels of 0..255 first. `caffe` takes the mean colour of ImageNet off and turns RGB
            into BGR, `torch` takes it off and divides by the deviation, `tf` scales to -1..1; with `included` the
            constructor brings its own layers.
        blocks: the layers that end a block, from the image to the feature map. All that the network computes passes
            through the one output of each of these layers.
        convolution: the layer whose output Grad-CAM explains; None where there is no map of places.
        size: side of the images that it was made for, in pixels.
        least: the smallest side that it takes.
    """

    constructor: str | None
    reads: Literal["caffe", "tf", "torch", "included"]
    blocks: tuple[str, ...]
    convolution: str | None = FEATURES
    size: int = 224
    least: int = 32


# ConvNeXt's blocks end in additions whose names Keras counts up in each process: it is cut after what follows them.
BACKBONES: Mapping[str, Backbone] = {
    "vgg16": Backbone(
        constructor="VGG16",
        reads="caffe",
        blocks=("block1_pool", "block2_pool", "block3_pool", "block4_pool", FEATURES),
        convolution="block5_conv3",
    ),
    "vgg19": Backbone(
        constructor="VGG19",
        reads="caffe",
        blocks=("block1_pool", "block2_pool", "block3_pool", "block4_pool", FEATURES),
        convolution="block5_conv4",
    ),
    "resnet50": Backbone(
        constructor="ResNet50",
        reads="caffe",
        blocks=("pool1_pool", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out", FEATURES),
    ),
    "efficientnet_v2_b0": Backbone(
        constructor="EfficientNetV2B0",
        reads="included",
        blocks=(
            "block1a_project_activation",
            "block2b_add",
            "block3b_add",
            "block4c_add",
            "block5e_add",
            "block6h_add",
            FEATURES,
        ),
    ),
    "efficientnet_v2_s": Backbone(
        constructor="EfficientNetV2S",
        reads="included",
        blocks=("block1b_add", "block2d_add", "block3d_add", "block4f_add", "block5i_add", "block6o_add", FEATURES),
        size=384,
    ),
    "mobilenet_v3_small": Backbone(
        constructor="MobileNetV3Small",
        reads="included",
        blocks=(
            "expanded_conv_project_bn",
            "expanded_conv_2_add",
            "expanded_conv_5_add",
            "expanded_conv_7_add",
            "expanded_conv_10_add",
            FEATURES,
        ),
    ),
    "mobilenet_v3_large": Backbone(
        constructor="MobileNetV3Large",
        reads="included",
        blocks=(
            "expanded_conv_add",
            "expanded_conv_2_add",
            "expanded_conv_5_add",
            "expanded_conv_9_add",
            "expanded_conv_11_add",
            "expanded_conv_14_add",
            FEATURES,
        ),
    ),
    "convnext_tiny": Backbone(
        constructor="ConvNeXtTiny",
        reads="included",
        blocks=(
            "convnext_tiny_stem",
            "convnext_tiny_downsampling_block_0",
            "convnext_tiny_downsampling_block_1",
            "convnext_tiny_downsampling_block_2",
            FEATURES,
        ),
    ),
    "densenet121": Backbone(
        constructor="DenseNet121",
        reads="torch",
        blocks=("pool1", "pool2_pool", "pool3_pool", "pool4_pool", FEATURES),
    ),
    "cnn": Backbone(constructor=None, reads="tf", blocks=("block1", "block2", FEATURES), size=64, least=16),
    "mlp": Backbone(constructor=None, reads="tf", blocks=(FEATURES,), convolution=None, size=32, least=4),
}


def backbone(name: str) -> Backbone:
    """The backbone of that name.

    Raises:
        Refused: if there is none, naming those there are.
    """
    if name not in BACKBONES:
        raise Refused(f"There is no backbone {name!r}. Known: {', '.join(BACKBONES)}.")
    return BACKBONES[name]
