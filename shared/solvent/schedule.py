"""The `training` section of a domain's settings. Imports no keras, so that settings stay instant to import."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .solution import Section

__all__ = ["Training"]

Track = Literal["tensorboard", "mlflow"]


class Training(Section):
    """How a network is trained.

    Args:
        epochs: at most so many passes over the training rows.
        max_minutes: stop after so much time; such a run can be resumed, but not repeated.
        batch_size: rows in a step, over all replicas.
        learning_rate: of Adam, after the warm-up; `auto` looks for it by a range test.
        schedule: `cosine` falls to 0 over `epochs`; `plateau` starts without warm-up and halves the rate when the headline
            has not got better for a third of `patience`.
        warmup: share of all steps in which the rate climbs from 0.
        patience: epochs without a better validation headline before training stops; null never stops early.
        weight_decay: of AdamW, on matrices; biases and scales are left out.
        clip: the gradients' global norm is cut to this.
        ema: momentum of a moving average of the weights, which is then what is evaluated and kept; null for none.
        class_weight: `balanced` weighs classes by their inverse frequency.
        track: write each epoch also to TensorBoard or MLflow (the extra `track`).
    """

    epochs: int = Field(50, ge=1)
    max_minutes: float | None = Field(None, gt=0)
    batch_size: int = Field(128, ge=1)
    learning_rate: float | Literal["auto"] = Field(1e-3, gt=0)
    schedule: Literal["constant", "cosine", "plateau"] = "cosine"
    warmup: float = Field(0.05, ge=0, lt=1)
    patience: int | None = Field(10, ge=1)
    weight_decay: float = Field(0.0, ge=0)
    clip: float | None = Field(None, gt=0)
    ema: float | None = Field(None, gt=0, lt=1)
    class_weight: Literal["balanced"] | dict[str, float] | None = None
    track: tuple[Track, ...] = ()
