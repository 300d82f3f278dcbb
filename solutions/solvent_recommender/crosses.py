"""The network that predicts ratings, in Keras, and the ranking task of TensorFlow Recommenders that trains it."""

from typing import Any

import keras
import tensorflow as tf

from .settings import Ranking
from .towers import Bag, Forget

__all__ = ["Cross", "Rated", "pair_head", "rated_items", "rating_users"]

FORGOTTEN = 0.1  # of the users and items, in each training step, are known by what else is known of them alone


def rating_users(users: int, items: int, about: int, settings: Ranking) -> keras.Model:
    """From a user's place (0 for a new one), what they rated, and what is known about them to a vector; the last number
    of it is how high they rate.

    That what a user rated tells something, whatever the ratings were, is the idea of SVD++.

    Args:
        about: numbers that describe a user; 0 where there are none, and no such input.

    Source: Koren, Factorization meets the neighborhood, 2008.
    """
    user = keras.Input((), dtype="int32", name="user")
    history = keras.Input((settings.history,), dtype="int32", name="history")
    own = _own(users, settings.width, "user_own", *Forget(FORGOTTEN, name="forget")([user, history]))
    had = Bag(items, settings.width + 1, settings.dropout, name="had")(history)
    if not about:
        return keras.Model({"user": user, "history": history}, _sum(own, had), name="rating_users")
    described = keras.Input((about,), name="about")
    inputs = {"user": user, "history": history, "about": described}
    return keras.Model(inputs, _sum(own, had, _told(settings.width, described)), name="rating_users")


def rated_items(items: int, topics: int, settings: Ranking) -> keras.Model:
    """From an item's place (0 for a new one) and content to a vector; its last number is how high it is rated."""
    item = keras.Input((), dtype="int32", name="item")
    content = keras.Input((topics,), name="content")
    own = _own(items, settings.width, "item_own", *Forget(FORGOTTEN, name="forget")([item, content]))
    return keras.Model(
        {"item": item, "content": content}, _sum(own, _told(settings.width, content)), name="rated_items"
    )


def _told(width: int, numbers: Any) -> Any:
    return keras.layers.Dense(width + 1, use_bias=False, kernel_initializer="zeros", name="told")(numbers)


def _sum(*vectors: Any) -> Any:
    return keras.layers.Activation("linear", dtype="float32", name="vector")(keras.layers.add(vectors))


def _own(count: int, width: int, name: str, place: Any) -> Any:
    """A vector of its own for each place from 1; zeros for 0."""
    start = keras.initializers.RandomUniform(-0.05, 0.05)
    own = keras.layers.Embedding(count + 1, width + 1, embeddings_initializer=start, name=name)(place)
    known = keras.ops.cast(keras.ops.expand_dims(keras.ops.not_equal(place, 0), -1), own.dtype)
    return keras.layers.multiply([own, known])


def pair_head(settings: Ranking) -> keras.Model:
    """From the vectors of a user and an item, and how many ratings stand behind each, to a standard rating: the sum of
    both levels, the product of the vectors, and what layers that cross all of these make of them.

    Source: Wang et al., DCN V2: Improved deep and cross network, 2021.
    """
    user = keras.Input((settings.width + 1,), name="user")
    item = keras.Input((settings.width + 1,), name="item")
    support = keras.Input((2,), name="support")
    levels = keras.layers.add([user[:, -1:], item[:, -1:]])
    product = keras.layers.Dot(axes=1)([user[:, :-1], item[:, :-1]])
    joined = keras.layers.Concatenate()([user, item, support])
    crossed = joined
    for number in range(settings.crosses):
        crossed = Cross(settings.weight_penalty, name=f"cross_{number + 1}")(joined, crossed)
    moved = keras.layers.Dense(1, kernel_initializer="zeros", name="moved")(crossed)
    rating = keras.layers.Activation("linear", dtype="float32", name="rating")(
        keras.layers.add([levels, product, moved])
    )
    return keras.Model({"user": user, "item": item, "support": support}, rating, name="pairs")


@keras.saving.register_keras_serializable(package="solvent_recommender")
class Cross(keras.layers.Layer):
    """A layer that crosses features: `first * dense(last) + last`, so that each one more crosses one more at once.

    Args:
        penalty: of the squared weights.

    Source: Wang et al., DCN V2: Improved deep and cross network, 2021, equation 1.
    """

    def __init__(self, penalty: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.penalty = penalty

    def build(self, first_shape: Any, last_shape: Any) -> None:
        self.dense = keras.layers.Dense(
            last_shape[-1],
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.01),
            kernel_regularizer=keras.regularizers.L2(self.penalty),
        )
        self.dense.build(last_shape)

    def call(self, first: Any, last: Any) -> Any:
        return first * self.dense(last) + last

    def compute_output_shape(self, first_shape: Any, last_shape: Any) -> Any:
        return last_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "penalty": self.penalty}


@keras.saving.register_keras_serializable(package="solvent_recommender")
class Rated(keras.Model):
    """Users, items and pairs, and their loss: the squared error, and a penalty on the vectors of each rating's user and
    item, so that those with few ratings are drawn to the mean. Only the three networks are kept."""

    def __init__(self, users: keras.Model, items: keras.Model, pairs: keras.Model, settings: Ranking) -> None:
        import tensorflow_recommenders as tfrs

        super().__init__(name="rated")
        self.users, self.items, self.pairs, self.penalty = users, items, pairs, settings.penalty
        # The sum: where rows are spread over replicas, the mean is refused.
        task = tfrs.tasks.Ranking(loss=tf.keras.losses.MeanSquaredError(reduction="sum"))

        def loss(labels: Any, predictions: Any, weight: Any) -> Any:
            found = task(labels, predictions, sample_weight=weight, compute_metrics=False)
            return found / tf.cast(tf.shape(labels)[0], tf.float32)

        self._loss_of = tf.function(loss)  # Keras switches autograph off, and the task needs it

    def call(self, inputs: Any, training: bool = False) -> Any:
        user = self.users({name: inputs[name] for name in self.users.input}, training=training)
        item = self.items({name: inputs[name] for name in self.items.input}, training=training)
        rating = self.pairs({"user": user, "item": item, "support": inputs["support"]}, training=training)
        return {"rating": rating, "user": user, "item": item}

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        squares = keras.ops.square(y_pred["user"]) + keras.ops.square(y_pred["item"])
        drawn = self.penalty * keras.ops.mean(keras.ops.sum(squares, axis=1))
        return self._loss_of(y, y_pred["rating"], sample_weight) + drawn + sum(self.losses)
