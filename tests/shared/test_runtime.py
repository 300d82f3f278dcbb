"""Inference: padding, order, trees, iterators, no retracing, no leak."""

import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from solvent import Fitted, startup

startup.tensorflow()

import keras  # noqa: E402

from solvent import runtime  # noqa: E402

X = np.random.default_rng(2).normal(size=(37, 4)).astype("float32")


@pytest.fixture(scope="module")
def model() -> keras.Model:
    inputs = keras.Input((4,))
    hidden = keras.layers.BatchNormalization()(keras.layers.Dense(32, activation="gelu")(inputs))
    return keras.Model(inputs, keras.layers.Dense(2)(hidden))


def by_hand(model: keras.Model, x: np.ndarray) -> np.ndarray:
    return np.asarray(model(x, training=False))


class Counting(keras.layers.Layer):
    """Counts how often it is traced, and with how many rows."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def call(self, inputs: Any) -> Any:
        self.seen.append(inputs.shape[0])
        return inputs


@pytest.mark.parametrize("rows", [1, 8, 16, 37])
def test_every_row_is_scored_in_its_place(model: keras.Model, rows: int) -> None:
    scores = runtime.predict(model, X[:rows], 8)
    assert scores.shape == (rows, 2)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, by_hand(model, X[:rows]), atol=1e-6)


def test_the_network_sees_one_shape_only_and_is_traced_once() -> None:
    counting, inputs = Counting(), keras.Input((4,))
    model = keras.Model(inputs, counting(inputs))
    counting.seen.clear()
    for rows in (1, 5, 8, 9, 37, 0):
        np.testing.assert_array_equal(runtime.predict(model, X[:rows], 8), X[:rows])
    assert counting.seen == [8]


def test_open_sizes_are_traced_twice_at_most() -> None:
    counting, inputs = Counting(), keras.Input((None,))
    model = keras.Model(inputs, keras.ops.sum(counting(inputs), axis=-1, keepdims=True))
    counting.seen.clear()
    for length in (3, 5, 7, 4, 9):
        row = np.ones((2, length), "float32")
        np.testing.assert_array_equal(runtime.predict(model, row, 8), [[length], [length]])
    assert len(counting.seen) == 2


def test_scores_do_not_depend_on_the_cut(model: keras.Model) -> None:
    whole = runtime.predict(model, X, 16)
    for cut in (1, 5, 16, 36):
        pieces = [runtime.predict(model, X[:cut], 16), runtime.predict(model, X[cut:], 16)]
        np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-6)
        np.testing.assert_allclose(runtime.predict(model, iter([X[:cut], X[cut:]]), 16), whole, atol=1e-6)


def test_no_rows_give_no_scores(model: keras.Model) -> None:
    for nothing in (X[:0], iter([]), iter([X[:0], X[:0]])):
        scores = runtime.predict(model, nothing, 8)
        assert scores.shape == (0, 2)
        assert scores.dtype == np.float32
    assert runtime.predict(model, iter([X[:0], X[:3], X[:0]]), 8).shape == (3, 2)


def test_trees_go_in_and_come_out() -> None:
    left, right = keras.Input((2,), name="left"), keras.Input((None,), dtype="int32", name="right")
    total = keras.ops.cast(keras.ops.sum(right, axis=-1, keepdims=True), "float32")
    outputs = {"sum": left + total, "pair": (total, keras.ops.cast(right, "int32"))}
    model = keras.Model({"left": left, "right": right}, outputs)
    inputs = {"left": X[:11, :2], "right": np.arange(33, dtype="int32").reshape(11, 3)}
    found = runtime.predict(model, inputs, 4)
    total_by_hand = inputs["right"].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found["sum"], inputs["left"] + total_by_hand, atol=1e-5)
    np.testing.assert_array_equal(found["pair"][0], total_by_hand)
    np.testing.assert_array_equal(found["pair"][1], inputs["right"])
    empty = runtime.predict(model, {name: array[:0] for name, array in inputs.items()}, 4)
    assert keras.tree.map_structure(np.shape, empty) == {"sum": (0, 2), "pair": ((0, 1), (0, 3))}
    unknown = runtime.predict(model, iter([]), 4)
    assert unknown["sum"].shape == (0, 2)


def test_new_weights_are_used_at_once(model: keras.Model) -> None:
    before = runtime.predict(model, X, 8)
    kernel = model.layers[-1].kernel
    kernel.assign(2 * kernel)
    after = runtime.predict(model, X, 8)
    np.testing.assert_allclose(after, by_hand(model, X), atol=1e-6)
    assert abs(after - before).max() > 0.01


def test_a_model_that_is_no_longer_used_is_let_go() -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    runtime.predict(model, X, 8)
    held = weakref.ref(model)
    del model
    gc.collect()
    assert held() is None


def test_the_next_batch_is_made_while_this_one_is_at_work(model: keras.Model) -> None:
    where: list[str] = []

    def batches() -> Iterator[np.ndarray]:
        for start in range(0, 37, 10):
            where.append(threading.current_thread().name)
            yield X[start : start + 10]

    np.testing.assert_allclose(runtime.predict(model, batches(), 8), by_hand(model, X), atol=1e-6)
    assert len(where) == 4
    assert threading.current_thread().name not in where


def test_an_error_in_the_batches_comes_through(model: keras.Model) -> None:
    def batches() -> Iterator[np.ndarray]:
        yield X
        raise OSError("photo.jpg is gone")

    with pytest.raises(OSError, match=r"photo\.jpg is gone"):
        runtime.predict(model, batches(), 8)


def test_fitted_predicts_with_its_own_batch_rows(model: keras.Model) -> None:
    fitted = Fitted({"model": model, "other": model}, batch_rows=4)
    np.testing.assert_allclose(fitted.predict(X), by_hand(model, X), atol=1e-6)
    np.testing.assert_array_equal(fitted.predict(X, model="other"), fitted.predict(X))
