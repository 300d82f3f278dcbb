"""Inference behind one door: compiled once a model, always called with one batch shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

if TYPE_CHECKING:
    import keras

__all__ = ["predict"]

_compiled: WeakKeyDictionary[keras.Model, Callable[[Any], Any]] = WeakKeyDictionary()


def predict(model: keras.Model, inputs: Any, batch_rows: int) -> Any:
    """Run a model over rows in batches of exactly `batch_rows`; the last one is padded with its last row.

    Args:
        inputs: a tree of arrays with one leading axis of rows, or an iterator of such trees.

    Returns:
        A tree of float32 numpy arrays with as many rows as the inputs.
    """
    import keras
    import numpy as np

    batches = inputs if isinstance(inputs, Iterator) else iter([inputs])
    run = _function(model)
    outputs: list[Any] = []
    for batch in batches:
        rows = len(keras.tree.flatten(batch)[0])
        for start in range(0, rows, batch_rows):
            piece = keras.tree.map_structure(lambda a, s=start: np.asarray(a[s : s + batch_rows]), batch)
            kept = min(batch_rows, rows - start)
            padded = keras.tree.map_structure(lambda a: _pad(a, batch_rows), piece)
            outputs.append(keras.tree.map_structure(lambda t, k=kept: t.numpy()[:k], run(padded)))
    if not outputs:
        return keras.tree.map_structure(
            lambda t: np.zeros((0, *t.shape[1:]), np.float32), model.outputs if len(model.outputs) > 1 else model.output
        )
    return keras.tree.map_structure(lambda *pieces: np.concatenate(pieces), *outputs)


def _pad(array: Any, rows: int) -> Any:
    import numpy as np

    missing = rows - len(array)
    return array if missing == 0 else np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])


def _function(model: keras.Model) -> Callable[[Any], Any]:
    if model not in _compiled:
        import keras
        import tensorflow as tf

        owner = ref(model)  # a strong reference inside its own value would keep the model for ever

        def call(inputs: Any) -> Any:
            return keras.tree.map_structure(lambda t: tf.cast(t, tf.float32), owner()(inputs, training=False))  # type: ignore[misc]

        _compiled[model] = tf.function(call, autograph=False, reduce_retracing=True)
    return _compiled[model]
