"""The networks: one dense layer on n-grams, a convolution, a recurrent one, a pretrained encoder; all give logits."""

from collections.abc import Mapping

import keras

from .agreeing import Agreeing
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
    if settings.model == "bow":
        return _weighed(reader.size, dropout, classes)
    tokens = keras.Input((None,), dtype="int32", name="token_ids")
    read = {"cnn": _convolved, "lstm": _recurrent}[settings.model](settings, tokens, reader.size, dropout)
    logits = keras.layers.Dense(classes, dtype="float32", name="classes")(keras.layers.Dropout(dropout)(read))
    return keras.Model(tokens, logits, name=f"{settings.model}_classifier")


def loss(settings: Sentiment) -> keras.losses.Loss:
    """On (the number of the class, logits)."""
    if settings.agreement:
        return Agreeing(settings.agreement)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def factors(settings: Sentiment, model: keras.Model) -> Mapping[str, float] | None:
    """Of the learning rate, by a variable's path: what lies deeper in a pretrained encoder moves slower."""
    if settings.model != "encoder":
        return None
    from . import pretrained

    return pretrained.factors(model, settings.encoder)


def _weighed(ngrams: int, dropout: float, classes: int) -> keras.Model:
    """One dense layer on all n-grams, read from those that a text has; number 0, which every text has, is its bias."""
    inputs = (
        keras.Input((None,), dtype="int32", name="ngrams"),
        keras.Input((None,), dtype="float32", name="amounts"),
    )
    weights = keras.layers.Embedding(ngrams + 1, classes, "zeros", dtype="float32", name="classes")(inputs[0])
    kept = keras.layers.Dropout(dropout, dtype="float32")(inputs[1][:, 1:])
    amounts = keras.ops.concatenate([inputs[1][:, :1], kept], axis=1)
    return keras.Model(inputs, keras.ops.einsum("tn,tnc->tc", amounts, weights), name="bow_classifier")


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
