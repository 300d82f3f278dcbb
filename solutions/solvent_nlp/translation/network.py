"""The network: an encoder that reads the source, a decoder that says what comes next in the translation; its loss."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from .layers import PACKAGE, Attention, Dropout, Positions
from .settings import Network

__all__ = ["Smoothed", "build"]


def build(about: Network, vocabulary: int, *, reads: bool = True) -> keras.Model:
    """The network, untrained: (source tokens, translation's tokens so far) -> logits of the token behind each.

    Tokens are int32, `(texts, length)`, 0 behind the end; logits are float32, `(texts, length, vocabulary)`. Everything
    is normalised before each part, as in Xiong et al., On Layer Normalization in the Transformer Architecture, 2020.
    One matrix stands for the subwords of the source, of the translation, and of what comes next.

    Args:
        vocabulary: subwords.
        reads: a source; else it is a decoder alone: tokens of a text so far -> logits of the token behind each.
    """
    source = keras.Input((None,), dtype="int32", name="source")
    target = keras.Input((None,), dtype="int32", name="target")
    there = ops.not_equal(source, 0)
    subwords = keras.layers.ReversibleEmbedding(
        vocabulary,
        about.width,
        embeddings_initializer=keras.initializers.RandomNormal(stddev=about.width**-0.5),
        name="subwords",
    )
    positions = Positions(name="positions")

    def added(name: str, vectors: Any, part: Any) -> Any:
        """What a part of a layer makes of normalised vectors, added to them."""
        normal = keras.layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm")(vectors)
        return vectors + Dropout(about.dropout, name=f"{name}_dropout")(part(name, normal))

    def inner(name: str, vectors: Any) -> Any:
        wide = keras.layers.Dense(about.inner, activation="relu", name=f"{name}_wide")(vectors)
        return keras.layers.Dense(about.width, name=f"{name}_narrow")(wide)

    def itself(name: str, vectors: Any) -> Any:
        return Attention(about.width, about.heads, name=name)(vectors, vectors, there)

    def before(name: str, vectors: Any) -> Any:
        return Attention(about.width, about.heads, causal=True, name=name)(vectors, vectors)

    def read(name: str, vectors: Any) -> Any:
        return Attention(about.width, about.heads, name=name)(vectors, memory, there)

    memory = Dropout(about.dropout, name="source_dropout")(positions(subwords(source))) if reads else None
    for number in range(about.layers if reads else 0):
        memory = added(f"encoder_{number}_self", memory, itself)
        memory = added(f"encoder_{number}_inner", memory, inner)
    if reads:
        memory = keras.layers.LayerNormalization(epsilon=1e-6, name="encoder_norm")(memory)
    states = Dropout(about.dropout, name="target_dropout")(positions(subwords(target)))
    for number in range(about.layers):
        states = added(f"decoder_{number}_self", states, before)
        if reads:
            states = added(f"decoder_{number}_source", states, read)
        states = added(f"decoder_{number}_inner", states, inner)
    states = keras.layers.LayerNormalization(epsilon=1e-6, name="decoder_norm")(states)
    logits = ops.cast(subwords(states, reverse=True), "float32")
    if not reads:
        return keras.Model(target, logits, name="writer")
    return keras.Model((source, target), logits, name="translator")


@keras.saving.register_keras_serializable(package=PACKAGE)
class Smoothed(keras.losses.Loss):
    """Cross-entropy on tokens and logits, a share of the probability wanted on all tokens alike; padding counts not.

    A row's loss is the mean over its tokens; with weights in proportion to the rows' tokens that is the mean over all.

    Args:
        smoothing: that share.

    Source: Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016.
    """

    def __init__(self, smoothing: float = 0.0, name: str = "smoothed", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.smoothing = smoothing

    def call(self, tokens: Any, logits: Any) -> Any:
        """Shape `(texts,)`, of tokens `(texts, length)` and logits `(texts, length, vocabulary)`."""
        tokens = ops.cast(tokens, "int32")
        there = ops.cast(ops.not_equal(tokens, 0), "float32")
        vocabulary = logits.shape[-1]
        spread = self.smoothing / vocabulary
        # One operation for loss and gradient: written out, their passes over all logits took a third of a step.
        wanted = tf.one_hot(tokens, vocabulary, 1 - self.smoothing + spread, spread)
        losses = tf.nn.softmax_cross_entropy_with_logits(wanted, logits) * there
        return ops.sum(losses, axis=1) / ops.maximum(ops.sum(there, axis=1), 1.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "smoothing": self.smoothing}
