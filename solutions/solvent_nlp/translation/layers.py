"""The layers of the Transformer that Keras has not, or not so that they can go on from what was computed before."""

from typing import Any

import keras
from keras import ops

__all__ = ["Attention", "Dropout", "Positions"]

PACKAGE = "solvent_nlp.translation"
NOTHING = -1e9  # what a place that may not be looked at gets before the softmax


@keras.saving.register_keras_serializable(package=PACKAGE)
class Attention(keras.layers.Layer):
    """Each place looks at several others, in several ways at once.

    Args:
        heads: so many ways; they share the width.
        causal: a place sees itself and those before it.

    Source: Vaswani et al., Attention Is All You Need, 2017.
    """

    def __init__(self, width: int, heads: int, causal: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.width, self.heads, self.causal = width, heads, causal
        self.query = keras.layers.Dense(width, name="query", dtype=self.dtype_policy)
        self.key_value = keras.layers.Dense(2 * width, name="key_value", dtype=self.dtype_policy)
        self.out = keras.layers.Dense(width, name="out", dtype=self.dtype_policy)

    def build(self, *shapes: Any, **named: Any) -> None:
        for layer in (self.query, self.key_value, self.out):
            layer.build((None, None, self.width))
        self.built = True

    def call(self, looking: Any, seen: Any, there: Any = None) -> Any:
        """
        Args:
            looking: shape `(texts, places, width)`.
            seen: what they look at, `(texts, length, width)`.
            there: which of that is a token and no padding, `(texts, length)`, boolean; None for all.
        """
        keys, values = self.kept(seen)
        return self.mixed(self.weights_of(self.queries(looking), keys, self.allowed(there, ops.shape(seen)[1])), values)

    def allowed(self, there: Any, length: Any) -> Any:
        """Where each place may look: `(texts or 1, 1, places or 1, length)`, boolean; None for everywhere."""
        if self.causal:
            order = ops.arange(length)
            return (order[None, :] <= order[:, None])[None, None]
        return None if there is None else there[:, None, None, :]

    def queries(self, looking: Any) -> Any:
        """Shape `(texts, heads, places, width / heads)`."""
        return self._apart(self.query(looking)) * (self.width / self.heads) ** -0.5

    def kept(self, seen: Any) -> tuple[Any, Any]:
        """Keys and values, each of shape `(texts, heads, length, width / heads)`."""
        keys, values = ops.split(self.key_value(seen), 2, axis=-1)
        return self._apart(keys), self._apart(values)

    def weights_of(self, queries: Any, keys: Any, allowed: Any = None) -> Any:
        """How much each place looks at each: shape `(texts, heads, places, length)`."""
        scores = ops.cast(ops.matmul(queries, ops.swapaxes(keys, 2, 3)), "float32")
        if allowed is not None:
            scores = ops.where(allowed, scores, NOTHING)
        return ops.cast(ops.softmax(scores), self.compute_dtype)

    def mixed(self, weights: Any, values: Any) -> Any:
        """Shape `(texts, places, width)`."""
        found = ops.transpose(ops.matmul(weights, values), (0, 2, 1, 3))
        shape = ops.shape(found)
        return self.out(ops.reshape(found, (shape[0], shape[1], self.width)))

    def _apart(self, vectors: Any) -> Any:
        shape = ops.shape(vectors)
        return ops.transpose(
            ops.reshape(vectors, (shape[0], shape[1], self.heads, self.width // self.heads)), (0, 2, 1, 3)
        )

    def compute_output_spec(self, looking: Any, seen: Any, there: Any = None) -> Any:
        return keras.KerasTensor(looking.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width, "heads": self.heads, "causal": self.causal}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Positions(keras.layers.Layer):
    """Add waves that tell places apart to vectors, which are scaled to the same size.

    Source: Vaswani et al., Attention Is All You Need, 2017 (sinusoidal).
    """

    def call(self, vectors: Any, first: Any = 0) -> Any:
        """
        Args:
            vectors: shape `(texts, length, width)`.
            first: place of the first of them.
        """
        length, width = ops.shape(vectors)[1], vectors.shape[-1]
        places = ops.cast(first + ops.arange(length), "float32")[:, None]
        waves = places * ops.exp(ops.arange(0, width, 2, dtype="float32") * (-9.210340371976184 / width))  # ln 10,000
        added = ops.concatenate([ops.sin(waves), ops.cos(waves)], axis=1)
        return vectors * width**0.5 + ops.cast(added, vectors.dtype)

    def compute_output_spec(self, vectors: Any, first: Any = 0) -> Any:
        return keras.KerasTensor(vectors.shape, dtype=self.compute_dtype)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Dropout(keras.layers.Layer):
    """Dropout that draws a byte for each number, in place of a float.

    Args:
        rate: the share that is left out; taken to the next of 256 steps.
    """

    def __init__(self, rate: float, **options: Any) -> None:
        super().__init__(**options)
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator(0)

    def build(self, shape: Any) -> None:
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        steps = round(256 * self.rate)
        if not training or not steps:
            return inputs
        import tensorflow as tf

        size = tf.size(inputs)
        seed = tf.bitcast(tf.cast(self.seed_generator.next(), tf.uint32), tf.int32)
        drawn = tf.random.stateless_uniform([(size + 3) // 4], seed, None, None, tf.uint32)
        drawn = tf.reshape(tf.reshape(tf.bitcast(drawn, tf.uint8), [-1])[:size], tf.shape(inputs))
        kept = tf.cast(tf.cast(drawn, tf.int32) >= steps, inputs.dtype)
        return inputs * (kept * (256 / (256 - steps)))

    def compute_output_spec(self, inputs: Any, training: bool = False) -> Any:
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate}
