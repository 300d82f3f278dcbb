"""A model as TensorFlow runs it: compiled once, in float32 or in bfloat16."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from ..precision import in_precision
from . import symbolic

if TYPE_CHECKING:
    import keras

__all__ = ["bfloat16", "function"]

_compiled: WeakKeyDictionary[keras.Model, Callable[[Any], Any]] = WeakKeyDictionary()


def function(model: keras.Model) -> Callable[[Any], Any]:
    """From a batch of arrays to a tree of float32 arrays; the same for the same model, traced once for each shape."""
    if model not in _compiled:
        import keras
        import tensorflow as tf

        owner = ref(model)  # a strong reference inside its own value would keep the model for ever

        def call(inputs: Any) -> Any:
            return keras.tree.map_structure(lambda t: tf.cast(t, tf.float32), owner()(inputs, training=False))  # type: ignore[misc]

        traced = tf.function(call, autograph=False, reduce_retracing=True)

        def run(inputs: Any) -> Any:
            # Through a concrete function: TensorFlow takes one tf.function for each model for a mistake, and warns.
            tensors = keras.tree.map_structure(tf.convert_to_tensor, inputs)
            return keras.tree.map_structure(lambda t: t.numpy(), traced.get_concrete_function(tensors)(tensors))

        _compiled[model] = run
    return _compiled[model]


def bfloat16(model: keras.Model) -> Callable[[Any], Any]:
    """The same, computed in bfloat16 by all layers but those that give the model's outputs; weights stay float32."""
    import keras

    last = [tensor._keras_history.operation.name for tensor in keras.tree.flatten(symbolic.outputs(model))]
    narrow = in_precision(model, "mixed_bfloat16", kept=last)
    return lambda inputs: function(narrow)(inputs)
