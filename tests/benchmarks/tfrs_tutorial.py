"""A training loop as the tutorials of TensorFlow Recommenders have it, for recommender_speed.py to be held against.

    TF_USE_LEGACY_KERAS=1 python tests/benchmarks/tfrs_tutorial.py EVENTS.parquet OUT.npz EPOCHS BATCH WIDTH

A string lookup and an embedding for users and for items, tasks.Retrieval with the metric FactorizedTopK over all items
in every step, Adagrad at 0.1, Keras 2 (tf_keras) and its `fit`. Imports nothing of Solvent.
"""

import sys
import time

import numpy as np
import pandas as pd
import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras


class Seconds(tf_keras.callbacks.Callback):
    """How long each epoch takes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.found.append(time.monotonic() - self.began)


class Plain(tfrs.Model):
    """Two towers of ids."""

    def __init__(self, users: list[str], items: list[str], width: int) -> None:
        super().__init__()
        self.users, self.items = _tower(users, width), _tower(items, width)
        candidates = tf.data.Dataset.from_tensor_slices(items).batch(128).map(self.items)
        self.task = tfrs.tasks.Retrieval(metrics=tfrs.metrics.FactorizedTopK(candidates=candidates))

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        return self.task(self.users(inputs["user"]), self.items(inputs["item"]))


def _tower(names: list[str], width: int) -> tf_keras.Model:
    lookup = tf_keras.layers.StringLookup(vocabulary=names, mask_token=None)
    return tf_keras.Sequential([lookup, tf_keras.layers.Embedding(len(names) + 1, width)])


def main() -> None:
    source, out, epochs, batch, width = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    tf.keras.utils.set_random_seed(0)
    events = pd.read_parquet(source)
    users, items = (sorted(events[name].unique()) for name in ("user", "item"))
    model = Plain(users, items, width)
    model.compile(optimizer=tf_keras.optimizers.Adagrad(0.1))
    columns = {name: events[name].to_numpy(str) for name in ("user", "item")}
    rows = tf.data.Dataset.from_tensor_slices(columns).shuffle(100_000, seed=0).batch(batch).cache()
    seconds = Seconds()
    model.fit(rows, epochs=epochs, verbose=0, callbacks=[seconds])
    vectors = {name: tower(tf.constant(ids)).numpy() for name, tower, ids in _sides(model, users, items)}
    np.savez(out, seconds=seconds.found, user_ids=np.array(users), item_ids=np.array(items), **vectors)


def _sides(model: Plain, users: list[str], items: list[str]) -> list[tuple[str, tf_keras.Model, list[str]]]:
    return [("users", model.users, users), ("items", model.items, items)]


if __name__ == "__main__":
    main()
