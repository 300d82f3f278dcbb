"""The networks: one dense layer on n-grams, a convolution, a recurrent one, a pretrained encoder; all give logits."""

from collections.abc import Mapping

import keras

from .reading import Reader
from .settings import Sentiment

__all__ = ["build", "factors", "loss"]


def build(settings: Sentiment, reader: Reader, dropout: float, classes: int) -> keras.Model:
    """The network that the settings name, untrained but for a pretrained encoder.

    Args:
        reader: what it reads with.
    """
    if settings.model == "encoder":
        from . import pretrained

        return pretrained.classifier(
            settings.encoder, dropout, classes, settings.windows.length, reader.padding, reader.end
        )
    start = "glorot_uniform"
    if settings.model == "bow":
        inputs = read = keras.Input((2 * (settings.ngrams.buckets // 2),), name="ngrams")
        start = "zeros"
    else:
        inputs = keras.Input((None,), dtype="int32", name="token_ids")
        read = {"cnn": _convolved, "lstm": _recurrent}[settings.model](settings, inputs, reader.size, dropout)
    kept = keras.layers.Dropout(dropout)(read)
    logits = keras.layers.Dense(classes, kernel_initializer=start, dtype="float32", name="classes")(kept)
    return keras.Model(inputs, logits, name=f"{settings.model}_classifier")


def loss() -> keras.losses.Loss:
    """On (the number of the class, logits)."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def factors(settings: Sentiment, model: keras.Model) -> Mapping[str, float] | None:
    """Of the learning rate, by a variable's path: what lies deeper in a pretrained encoder moves slower."""
    if settings.model != "encoder":
        return None
    from . import pretrained

    return pretrained.factors(model, settings.encoder)


def _convolved(settings: Sentiment, tokens: keras.KerasTensor, vocabulary: int, dropout: float) -> keras.KerasTensor:
    """The strongest answer of each filter, wherever in the text.

    Source: Kim, Convolutional Neural Networks for Sentence Classification, 2014.
    """
    about, there = settings.network, _there(tokens)
    # Padding is zeros for the filters too, as what lies beyond the text's ends is.
    vectors = keras.layers.Embedding(vocabulary, about.width, name="subwords")(tokens) * there
    vectors = keras.layers.SpatialDropout1D(dropout / 2)(vectors)
    answers = [
        keras.layers.Conv1D(about.filters, kernel, padding="same", activation="relu", name=f"filters_{number}")(vectors)
        for number, kernel in enumerate(about.kernels)
    ]
    return keras.layers.Concatenate()([keras.ops.max(answer * there, axis=1) for answer in answers])


def _recurrent(settings: Sentiment, tokens: keras.KerasTensor, vocabulary: int, dropout: float) -> keras.KerasTensor:
    """Read in both directions; the strongest and the mean answer over the text, side by side."""
    about, there = settings.network, _there(tokens)
    vectors = keras.layers.Embedding(vocabulary, about.width, mask_zero=True, name="subwords")(tokens)
    vectors = keras.layers.SpatialDropout1D(dropout / 2)(vectors)
    states = keras.layers.Bidirectional(keras.layers.LSTM(about.units, return_sequences=True), name="reader")(vectors)
    highest = keras.ops.max(keras.ops.where(there > 0, states, -1.0), axis=1)  # a state is never lower than -1
    mean = keras.ops.sum(states * there, axis=1) / keras.ops.sum(there, axis=1)
    return keras.layers.Concatenate()([highest, mean])


def _there(tokens: keras.KerasTensor) -> keras.KerasTensor:
    """1 where there is a token, 0 where there is padding: shape `(texts, length, 1)`."""
    return keras.ops.cast(keras.ops.not_equal(tokens, 0), keras.config.floatx())[:, :, None]
