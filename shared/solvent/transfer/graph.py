"""A flat model taken apart: its tensors, its two halves, what is trained, how deep a variable lies, its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

__all__ = ["depth_of", "freeze", "split_at", "tensor", "weights_hash"]

IMAGE = "image"


def tensor(model: keras.Model, layer: str) -> Any:
    """The symbolic output of a layer in this model's own graph.

    `model.get_layer(layer).output` is another one for a layer that is a model itself, and for one that was called more
    than once: a model made with it has a disconnected graph.

    Raises:
        ValueError: if the model has no such layer.
    """
    for nodes in model._nodes_by_depth.values():
        for node in nodes:
            if node.operation.name == layer:
                return node.output_tensors[0]
    known = ", ".join(layer.name for layer in model.layers)
    raise ValueError(f"The model {model.name} has no layer {layer!r}. It has: {known}.")


def split_at(model: keras.Model, boundary: str) -> tuple[keras.Model, keras.Model]:
    """Cut a flat model into two that share its layers.

    Args:
        boundary: the layer whose output is cut; "image" cuts before everything, so that the front hands pixels on.

    Returns:
        The front, from the image to the boundary, and the rear, from there to the outputs.

    Raises:
        ValueError: if there is no such layer, or not everything passes through it.
    """
    import keras

    if boundary == IMAGE:
        return _front(model, boundary), model
    front, cut = _front(model, boundary), tensor(model, boundary)
    if cut is model.output:
        end = keras.Input(batch_shape=cut.shape, dtype=cut.dtype, name=boundary)
        return front, keras.Model(end, end, name=f"{model.name}_rear")
    try:
        rear = keras.Model(cut, model.output, name=f"{model.name}_rear")
    except ValueError as error:
        raise ValueError(
            f"The model {model.name} can't be cut at {boundary}: not everything passes through it. Cut at the end of a "
            "block."
        ) from error
    return front, rear


def freeze(model: keras.Model, boundary: str) -> tuple[str, ...]:
    """Train only what comes after the boundary, and no BatchNorm anywhere: it stays as in inference.

    Args:
        boundary: as in `split_at`; "image" freezes nothing but BatchNorm.

    Returns:
        The paths of the variables that are trained.
    """
    import keras

    frozen = _before(model, boundary)
    for layer in model.layers:
        layer.trainable = layer.name not in frozen and not isinstance(layer, keras.layers.BatchNormalization)
    return tuple(variable.path for variable in model.trainable_variables)


def depth_of(model: keras.Model, blocks: Sequence[str]) -> dict[str, int]:
    """How many blocks lie between each variable and what comes after the last block.

    Args:
        blocks: the layers that end a block, from the image on, as a backbone's `blocks`.

    Returns:
        By variable path: 0 after the last block (in a head), 1 in the last block, `len(blocks)` in the first.
    """
    depths = {variable.path: 0 for variable in model.variables}
    for depth, block in enumerate(reversed(blocks), 1):
        before = _before(model, block)
        for layer in model.layers:
            if layer.name in before:
                depths.update((variable.path, depth) for variable in layer.variables)
    return depths


def weights_hash(model: keras.Model) -> str:
    """The sha256 of what a model computes: its config and its weights.

    What its layers are called is left out, as Keras counts the names of unnamed layers up over all that a process
    builds; and which of them are trained.
    """
    import numpy as np

    config = model.get_config()
    places = {name: f"#{place}" for place, name in enumerate([model.name, *_names(config)])}
    config = json.dumps(_renamed(config, places), sort_keys=True, default=str)
    digest = hashlib.sha256(config.encode())
    for variable in model.weights:
        values = np.ascontiguousarray(variable.numpy())
        digest.update(f"{values.dtype}{values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _front(model: keras.Model, boundary: str) -> keras.Model:
    import keras

    end = model.input if boundary == IMAGE else tensor(model, boundary)
    return keras.Model(model.input, end, name=f"{model.name}_front")


def _before(model: keras.Model, boundary: str) -> set[str]:
    """The names of what a boundary's output is computed from, itself among them."""
    return {operation.name for operation in _front(model, boundary).operations}


def _names(config: Any) -> list[str]:
    """The names of all layers in a config, those of models within it too."""
    if isinstance(config, list | tuple):
        return [name for item in config for name in _names(item)]
    if not isinstance(config, dict):
        return []
    own = [layer["config"]["name"] for layer in config.get("layers", ())]
    return own + [name for item in config.values() for name in _names(item)]


def _renamed(config: Any, places: dict[str, str]) -> Any:
    if isinstance(config, dict):
        return {key: _renamed(value, places) for key, value in config.items() if key != "trainable"}
    if isinstance(config, list | tuple):
        return [_renamed(value, places) for value in config]
    return places.get(config, config) if isinstance(config, str) else config
