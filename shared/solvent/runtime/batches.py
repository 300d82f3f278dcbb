"""The one door to inference: whatever rows come, a model is asked for batches of one shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from . import symbolic, tensorflow

if TYPE_CHECKING:
    import keras

__all__ = ["predict"]


def predict(model: keras.Model, inputs: Any, batch_rows: int, form: Callable[[Any], Any] | None = None) -> Any:
    """Run a model over rows in batches of exactly `batch_rows`; the last one is padded with its last row.

    Args:
        inputs: a tree of arrays with one leading axis of rows, or an iterator of such trees. An iterator's next tree
            is made in a thread of its own while the network is at work on this one.
        form: what answers in the model's place, from a batch of arrays to a tree of float32 arrays; the model itself,
            compiled by TensorFlow.

    Returns:
        A tree of float32 numpy arrays with as many rows as the inputs.
    """
    import keras
    import numpy as np

    run = tensorflow.function(model) if form is None else form
    outputs: list[Any] = []
    empty: Any = None
    for batch in _ahead(inputs) if isinstance(inputs, Iterator) else [inputs]:
        rows = len(keras.tree.flatten(batch)[0])
        empty = batch if rows == 0 else empty
        for start in range(0, rows, batch_rows):
            piece = keras.tree.map_structure(lambda a, s=start: np.asarray(a[s : s + batch_rows]), batch)
            kept = min(batch_rows, rows - start)
            padded = keras.tree.map_structure(lambda a: _pad(a, batch_rows), piece)
            outputs.append(keras.tree.map_structure(lambda a, k=kept: a[:k], run(padded)))
    if not outputs:
        # The outputs of no rows have the structure and the shapes of any others.
        like = empty if empty is not None else _symbolic(model)
        zeros = keras.tree.map_structure(lambda a: np.zeros((batch_rows, *a.shape[1:]), a.dtype), like)
        return keras.tree.map_structure(lambda a: a[:0], run(zeros))
    return keras.tree.map_structure(lambda *pieces: np.concatenate(pieces), *outputs)


def _ahead(batches: Iterator[Any]) -> Iterator[Any]:
    """The same, one ahead."""
    end = object()
    with ThreadPoolExecutor(1, "solvent-batches") as thread:
        coming = thread.submit(next, batches, end)
        while (batch := coming.result()) is not end:
            coming = thread.submit(next, batches, end)
            yield batch


def _symbolic(model: keras.Model) -> Any:
    """Arrays of no rows that a model takes; where a size is open, 1."""
    import keras
    import numpy as np

    def array(tensor: Any) -> Any:
        return np.zeros((0, *(size or 1 for size in tensor.shape[1:])), keras.backend.standardize_dtype(tensor.dtype))

    return keras.tree.map_structure(array, symbolic.inputs(model))


def _pad(array: Any, rows: int) -> Any:
    import numpy as np

    missing = rows - len(array)
    return array if missing == 0 else np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])
