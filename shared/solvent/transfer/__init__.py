"""Backbones: pretrained networks of `keras.applications`, cut, frozen and keyed for transfer learning; two small ones.

Importing this imports no keras, so that settings may ask for the names.
"""

from .backbones import BACKBONES, Backbone, backbone
from .build import build
from .graph import depth_of, freeze, split_at, tensor, weights_hash

__all__ = [
    "BACKBONES",
    "Backbone",
    "backbone",
    "build",
    "depth_of",
    "freeze",
    "split_at",
    "tensor",
    "weights_hash",
]
