"""What a model says of its inputs and outputs: trees of symbolic tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import Refused

if TYPE_CHECKING:
    import keras

__all__ = ["inputs", "outputs"]


def inputs(model: keras.Model) -> Any:
    """The tree of tensors that the model takes.

    Raises:
        Refused: if the model doesn't say.
    """
    return _tensors(model, "input")


def outputs(model: keras.Model) -> Any:
    """The tree of tensors that it gives; raises as `inputs` does."""
    return _tensors(model, "output")


def _tensors(model: keras.Model, which: str) -> Any:
    import keras

    if not getattr(model, "inputs", None):
        raise Refused(
            f"The model {model.name} ({type(model).__name__}) doesn't say what its inputs are, so it runs in "
            "TensorFlow only. Build it with keras.Model(inputs, outputs)."
        )
    # A Sequential that was loaded has no `input` before its first call.
    return getattr(model, f"{which}s")[0] if isinstance(model, keras.Sequential) else getattr(model, which)
