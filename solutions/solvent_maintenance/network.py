"""The networks: windows of sensors in, the remaining life as a share of the longest that is told apart out."""

from typing import Any

import keras

from .settings import Maintenance, Network

__all__ = ["build"]


def build(settings: Maintenance, sensors: int) -> keras.Model:
    """A network for windows of shape `(window, sensors + 1)`, whose last column says where a row is there."""
    window = keras.Input((settings.window, sensors + 1), name="window")
    bodies = {"lstm": _recurrent, "gru": _recurrent, "cnn": _convolutions, "transformer": _transformer}
    tensor = bodies[settings.model](window, settings.model, settings.network)
    tensor = keras.layers.Dense(settings.network.units, activation="relu")(tensor)
    # Only here, where nothing bends behind it: what a rectifier makes of inputs of which some are dropped is larger on
    # average than what it makes of all of them, and machines without wear were said to have 112 of 125 cycles left.
    tensor = keras.layers.Dropout(settings.network.dropout)(tensor)
    told = keras.layers.Dense(1, name="life", dtype="float32")(tensor)
    return keras.Model(window, told, name=settings.model)


def _recurrent(tensor: Any, model: str, network: Network) -> Any:
    layer = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[model]
    for number in range(network.layers):
        tensor = layer(network.units, return_sequences=number < network.layers - 1)(tensor)
    return tensor


def _convolutions(tensor: Any, model: str, network: Network) -> Any:
    """In time; then every cycle's place speaks for itself."""
    for _ in range(network.layers):
        tensor = keras.layers.Conv1D(network.units, network.kernel, padding="same", activation="relu")(tensor)
    return keras.layers.Flatten()(tensor)


def _transformer(window: Any, model: str, network: Network) -> Any:
    """Normalised before each part, as small ones learn better so; what is said at the last cycle speaks."""
    there = keras.ops.expand_dims(window[:, :, -1] > 0.5, 1)
    tensor = Placed()(keras.layers.Dense(network.units)(window))
    for _ in range(network.layers):
        normal = keras.layers.LayerNormalization()(tensor)
        attention = keras.layers.MultiHeadAttention(network.heads, network.units // network.heads)
        attended = attention(normal, normal, attention_mask=there)
        tensor = tensor + attended
        wide = keras.layers.Dense(2 * network.units, activation="relu")(keras.layers.LayerNormalization()(tensor))
        tensor = tensor + keras.layers.Dense(network.units)(wide)
    return keras.layers.LayerNormalization()(tensor)[:, -1]


@keras.saving.register_keras_serializable(package="solvent_maintenance")
class Placed(keras.layers.Layer):
    """Adds to each cycle of a window a vector that is learnt for its place, shape `(rows, window, units)`."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.places = self.add_weight(
            name="places", shape=shape[1:], initializer=keras.initializers.RandomNormal(0, 0.02)
        )

    def call(self, tensor: Any) -> Any:
        return tensor + self.places
