"""A model as TensorFlow's SavedModel with one flat signature: every other format is made from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import symbolic

if TYPE_CHECKING:
    import keras

__all__ = ["ENDPOINT", "flat", "named", "specs", "write"]

ENDPOINT = "serving_default"


def specs(model: keras.Model, rows: int | None = None) -> list[Any]:
    """Name, shape and type of each input, in the order of the flattened tree.

    Args:
        rows: of a batch; any number where it is None.

    Raises:
        Refused: if the model doesn't say what its inputs are.
    """
    import keras
    import tensorflow as tf

    return [
        tf.TensorSpec((rows, *tensor.shape[1:]), keras.backend.standardize_dtype(tensor.dtype), name=tensor.name)
        for tensor in keras.tree.flatten(symbolic.inputs(model))
    ]


def flat(model: keras.Model) -> Any:
    """The model as a function of its inputs, one after the other, to its outputs in float32: output_0, output_1, ..."""
    import keras
    import tensorflow as tf

    def call(*inputs: Any) -> dict[str, Any]:
        found = model(keras.tree.pack_sequence_as(symbolic.inputs(model), list(inputs)), training=False)
        return {f"output_{i}": tf.cast(tensor, tf.float32) for i, tensor in enumerate(keras.tree.flatten(found))}

    return call


def named(model: keras.Model, batch: Any) -> dict[str, Any]:
    """A batch of arrays by the names that `specs` gives them, in the types that the model takes."""
    import keras
    import numpy as np

    tree = symbolic.inputs(model)
    inputs = keras.tree.flatten(tree)
    by_name = isinstance(batch, Mapping) and not isinstance(tree, Mapping)
    arrays = [batch[tensor.name] for tensor in inputs] if by_name else keras.tree.flatten(batch)
    if len(arrays) != len(inputs):
        raise ValueError(f"The model {model.name} takes {len(inputs)} arrays, and got {len(arrays)}.")
    return {
        tensor.name: np.ascontiguousarray(array, keras.backend.standardize_dtype(tensor.dtype))
        for tensor, array in zip(inputs, arrays, strict=True)
    }


def write(model: keras.Model, folder: Path, rows: int | None = None) -> None:
    """Write the model into a folder; its batches have `rows` rows, or any number of them."""
    import keras

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", flat(model), input_signature=specs(model, rows))
    archive.write_out(str(folder), verbose=False)
