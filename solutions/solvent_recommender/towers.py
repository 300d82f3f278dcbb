"""The networks of the two towers in Keras, and the retrieval task of TensorFlow Recommenders that trains them."""

from typing import Any

import keras
import tensorflow as tf

from .settings import Towers

__all__ = ["Bag", "Forget", "Pairs", "item_tower", "sequence_tower", "user_tower"]

FORGOTTEN = 0.1  # of the items, in each training step, are known by their content alone
SOFTLY = 0.1  # content of a history, in size: means of many vectors of ids are small, and content would drown them
UNTOLD = 0.2  # of the users of whom something else is known, in each step, are read without a history, as new ones are


def user_tower(items: int, settings: Towers, topics: int = 0, about: int = 0) -> keras.Model:
    """From the items that a user liked, their content, and what else is known about the user to a vector of length 1:
    the sum of the items' mean and of the rest, and a hidden layer on top of it.

    Args:
        items: how many are known; `history` holds their places from 1, zeros where there is none, shape
            `(rows, settings.history)`.
        topics: numbers of the content; `taste` is their mean over the liked items. 0 where there is no content, and no
            such input.
        about: numbers that describe a user; 0 where there are none, and no such input.
    """
    history = keras.Input((settings.history,), dtype="int32", name="history")
    inputs, read = {"history": history}, [history]
    if topics:
        inputs["taste"] = keras.Input((topics,), name="taste")
        read.append(inputs["taste"])
    if about:
        inputs["about"] = keras.Input((about,), name="about")
        read = Forget(UNTOLD, name="untold")([*read, inputs["about"]])
    parts = [Bag(items, settings.width, settings.dropout, name="had")(read[0])]
    if topics:
        parts.append(_line("liked", settings.width)(keras.layers.Rescaling(SOFTLY)(read[1])))
    if about:
        parts.append(_line("told", settings.width)(inputs["about"]))
    mean = keras.layers.add(parts) if len(parts) > 1 else parts[0]
    hidden = keras.layers.Dense(2 * settings.width, activation="gelu")(mean)
    moved = keras.layers.Dense(settings.width)(hidden)
    vector = keras.layers.UnitNormalization(dtype="float32", name="user")(keras.layers.add([mean, moved]))
    return keras.Model(inputs, vector, name="users")


def _line(name: str, width: int) -> Any:
    return keras.layers.Dense(width, use_bias=False, kernel_initializer="zeros", name=name)


def sequence_tower(items: int, settings: Towers) -> keras.Model:
    """From the items that a user liked, the newest first, to a vector of length 1: the newest one attends to all, by
    what they are and how long ago they were.

    That is the last place of a block of causal self-attention, the only one that is asked for.

    Source: Kang and McAuley, Self-attentive sequential recommendation, 2018.
    """
    history = keras.Input((settings.history,), dtype="int32", name="history")
    places = keras.ops.cumsum(keras.ops.ones_like(history), axis=1) - 1
    embedded = keras.layers.add(
        [
            keras.layers.Embedding(items + 1, settings.width, name="had")(history),
            keras.layers.Embedding(settings.history, settings.width, name="how_long_ago")(places),
        ]
    )
    embedded = keras.layers.Dropout(settings.dropout)(embedded)
    newest = embedded[:, :1]
    attention = keras.layers.MultiHeadAttention(2, settings.width // 2, name="attends")
    filled = keras.ops.expand_dims(keras.ops.not_equal(history, 0), 1)
    read = attention(newest, embedded, attention_mask=filled)
    joined = keras.layers.LayerNormalization()(keras.layers.add([newest, read]))
    moved = keras.layers.Dense(settings.width)(keras.layers.Dense(2 * settings.width, activation="gelu")(joined))
    flat = keras.layers.Flatten()(keras.layers.add([joined, moved]))
    vector = keras.layers.UnitNormalization(dtype="float32", name="user")(flat)
    return keras.Model({"history": history}, vector, name="users")


def item_tower(items: int, topics: int, settings: Towers) -> keras.Model:
    """From an item's place (0 for a new one) and content to a vector of length 1.

    Args:
        topics: numbers of the content.
    """
    item = keras.Input((), dtype="int32", name="item")
    content = keras.Input((topics,), name="content")
    (number,) = Forget(FORGOTTEN, name="forget")([item, content])
    own = keras.layers.Embedding(items + 1, settings.width, name="own")(number)
    known = keras.ops.cast(keras.ops.expand_dims(keras.ops.not_equal(number, 0), -1), own.dtype)
    described = keras.layers.Dense(settings.width, use_bias=False, name="described")(content)
    joined = keras.layers.add([keras.layers.multiply([own, known]), described])
    vector = keras.layers.UnitNormalization(dtype="float32", name="vector")(joined)
    return keras.Model({"item": item, "content": content}, vector, name="items")


@keras.saving.register_keras_serializable(package="solvent_recommender")
class Bag(keras.layers.Layer):
    """The mean of the vectors of a bag of items; of an empty one zeros.

    In training it is a product of a sparse matrix: the gradient of a lookup of 200 items a row took ten times as long.

    Args:
        items: numbered from 1; 0 is an empty place.
        dropout: share of the items that each training step leaves out.
    """

    def __init__(self, items: int, width: int, dropout: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.count, self.width, self.dropout = items, width, dropout
        self.draws = keras.random.SeedGenerator()

    def build(self, shape: Any) -> None:
        self.vectors = self.add_weight(
            name="vectors",
            shape=(self.count + 1, self.width),
            initializer=keras.initializers.RandomUniform(-0.05, 0.05),
        )

    def call(self, history: Any, training: bool = False) -> Any:
        kept = tf.not_equal(history, 0)
        if training and self.dropout:
            kept &= keras.random.uniform(tf.shape(history), seed=self.draws) >= self.dropout
        number = tf.maximum(tf.reduce_sum(tf.cast(kept, self.compute_dtype), axis=1, keepdims=True), 1)
        if training:
            places = tf.where(kept)
            columns = tf.cast(tf.gather_nd(history, places), tf.int64)
            indices = tf.stack([places[:, 0], columns], axis=1)
            shape = tf.stack([tf.shape(history, tf.int64)[0], self.count + 1])
            found = tf.SparseTensor(indices, tf.ones(tf.shape(indices)[:1]), shape)
            total = tf.sparse.sparse_dense_matmul(found, tf.convert_to_tensor(self.vectors.value))
            return tf.cast(total, self.compute_dtype) / number
        vectors = keras.ops.take(self.vectors, history, axis=0) * tf.cast(kept, self.compute_dtype)[:, :, None]
        return tf.reduce_sum(vectors, axis=1) / number

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], self.width)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "items": self.count, "width": self.width, "dropout": self.dropout}


@keras.saving.register_keras_serializable(package="solvent_recommender")
class Forget(keras.layers.Layer):
    """In training, some items that have content are taken for new ones, so that content learns to stand alone; users
    by their histories and what else is known about them likewise.

    What is forgotten, and last what it is forgotten beside -> what is forgotten, with zeros in some rows.

    Args:
        share: of the items.
    """

    def __init__(self, share: float, **options: Any) -> None:
        super().__init__(**options)
        self.share = share
        self.draws = keras.random.SeedGenerator()

    def call(self, inputs: Any, training: bool = False) -> Any:
        *kept, beside = inputs
        if not training:
            return kept
        forgotten = keras.random.uniform(keras.ops.shape(beside)[:1], seed=self.draws) < self.share
        forgotten &= keras.ops.any(beside != 0, axis=-1)
        return [
            keras.ops.where(forgotten[:, None] if len(each.shape) > 1 else forgotten, keras.ops.zeros_like(each), each)
            for each in kept
        ]

    def compute_output_spec(self, inputs: Any, training: bool = False) -> Any:
        return [keras.KerasTensor(each.shape, each.dtype) for each in inputs[:-1]]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "share": self.share}


@keras.saving.register_keras_serializable(package="solvent_recommender")
class Pairs(keras.Model):
    """Both towers and their loss: each user's item against the other items of the batch.

    The chance of an item to be in a batch is corrected for (logQ), and an item that occurs twice is no negative of
    itself. Only the towers are kept.

    Source: Yi et al., Sampling-bias-corrected neural modeling for large corpus item recommendations, 2019.
    """

    def __init__(self, users: keras.Model, items: keras.Model, settings: Towers) -> None:
        import tensorflow_recommenders as tfrs

        super().__init__(name="pairs")
        self.users, self.items = users, items
        task = tfrs.tasks.Retrieval(
            temperature=settings.temperature,
            num_hard_negatives=settings.hard_negatives,
            remove_accidental_hits=True,
        )

        def loss(user: Any, item: Any, share: Any, number: Any) -> Any:
            # one more product, log q: the task's own correction takes every share under a millionth for one
            correction = -settings.temperature * tf.math.log(tf.reshape(share, (-1, 1)))
            found = task(
                tf.concat([user, tf.ones_like(user[:, :1])], axis=1),
                tf.concat([item, tf.cast(correction, item.dtype)], axis=1),
                candidate_ids=number,
                compute_metrics=False,
                compute_batch_metrics=False,
            )
            return found / tf.cast(tf.shape(user)[0], tf.float32)

        self._loss_of = tf.function(loss)  # Keras switches autograph off, and the task needs it

    def call(self, inputs: Any, training: bool = False) -> Any:
        user = self.users({name: inputs[name] for name in self.users.input}, training=training)
        item = self.items({"item": inputs["item"], "content": inputs["content"]}, training=training)
        return {"user": user, "item": item}

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        return self._loss_of(y_pred["user"], y_pred["item"], x["share"], x["item"])
