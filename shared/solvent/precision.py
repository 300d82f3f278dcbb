"""The same model in another precision."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

__all__ = ["float32", "in_precision"]


def float32(model: keras.Model) -> keras.Model:
    """The same model with no mixed or 16 bit policy: a mixed one stays mixed even when it is cloned."""
    import keras

    config = keras.saving.serialize_keras_object(model)
    return model if _with_policy(config, "float32") == config else in_precision(model, "float32")


def in_precision(model: keras.Model, policy: str, kept: Collection[str] = ()) -> keras.Model:
    """A copy of a model whose layers all have one policy, such as `mixed_bfloat16`: weights stay float32 in it.

    Args:
        kept: names of layers that stay as they are.
    """
    import keras

    config = keras.saving.serialize_keras_object(model)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)  # of layers whose config names none
    try:
        same: keras.Model = keras.saving.deserialize_keras_object(_with_policy(config, policy, kept))
    finally:
        keras.config.set_dtype_policy(before)
    same.set_weights(model.get_weights())
    return same


def _with_policy(config: Any, policy: str, kept: Collection[str] = ()) -> Any:
    if isinstance(config, dict):
        if isinstance(config.get("config"), dict) and config["config"].get("name") in kept:
            return config
        if config.get("class_name") == "DTypePolicy" and config["config"]["name"] != "float64":
            return {**config, "config": {**config["config"], "name": policy}}
        return {key: _with_policy(value, policy, kept) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(_with_policy(value, policy, kept) for value in config)
    return config
