"""Adam as the `training` section describes it: its schedule, its clipping, its decay, its averaging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from ..schedule import Training

__all__ = ["ClippedAdam", "InverseSquareRoot", "Linear", "adam"]


@keras.saving.register_keras_serializable(package="solvent")
class ClippedAdam(keras.optimizers.Adam):  # type: ignore[misc]
    """Adam that cuts the norm of the whole batch's gradient.

    Keras's own `global_clipnorm` cuts each replica's part for itself, before the parts are added: with two replicas
    the same setting cuts at another norm than with one.

    Args:
        clip: the largest norm; None for no cut.
    """

    def __init__(self, learning_rate: Any = 1e-3, clip: float | None = None, **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self.clip = clip
        self.factors: dict[str, float] = {}

    def slow(self, variables: Sequence[keras.Variable], factors: Mapping[str, float]) -> None:
        """Multiply the learning rate of some variables.

        Args:
            factors: by the variable's path; 1 for all others.
        """
        self.factors = {self._var_key(v.value): factors[v.path] for v in variables if v.path in factors}

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        factor = self.factors.get(self._var_key(variable), 1.0)
        super().update_step(gradient, variable, learning_rate * factor)

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        if self.clip is not None:
            whole = list(grads)
            replica = tf.distribute.get_replica_context()
            if replica is not None and replica.num_replicas_in_sync > 1:
                given = [gradient for gradient in grads if gradient is not None]
                whole = replica.all_reduce(tf.distribute.ReduceOp.SUM, given)
            grads, _ = tf.clip_by_global_norm(list(grads), self.clip, use_norm=tf.linalg.global_norm(whole))
        super().apply(grads, trainable_variables)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "clip": self.clip}


@keras.saving.register_keras_serializable(package="solvent")
class Linear(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Climb from 0 to a rate, then fall to 0 in a straight line, as BERT is fine-tuned.

    Args:
        rate: the highest learning rate.
        climb: steps to it.
        total: steps to the end.
    """

    def __init__(self, rate: float, climb: int, total: int) -> None:
        super().__init__()
        self.rate, self.climb, self.total = rate, climb, total

    def __call__(self, step: Any) -> Any:
        done = keras.ops.cast(step, "float32")
        up = done / max(self.climb, 1)
        down = (self.total - done) / max(self.total - self.climb, 1)
        return self.rate * keras.ops.clip(keras.ops.where(done < self.climb, up, down), 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        return {"rate": self.rate, "climb": self.climb, "total": self.total}


@keras.saving.register_keras_serializable(package="solvent")
class InverseSquareRoot(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Climb from 0 to a rate, then fall with the inverse square root of the step: slowly, whenever training ends.

    Args:
        rate: the highest learning rate.
        climb: steps to it.

    Source: Vaswani et al., Attention Is All You Need, 2017.
    """

    def __init__(self, rate: float, climb: int) -> None:
        super().__init__()
        self.rate, self.climb = rate, climb

    def __call__(self, step: Any) -> Any:
        done = keras.ops.maximum(keras.ops.cast(step, "float32"), 1.0)
        climb = float(max(self.climb, 1))
        return self.rate * keras.ops.minimum(done / climb, keras.ops.sqrt(climb / done))

    def get_config(self) -> dict[str, Any]:
        return {"rate": self.rate, "climb": self.climb}


def adam(
    training: Training,
    rate: float,
    steps: int,
    variables: Sequence[keras.Variable],
    factors: Mapping[str, float] | None = None,
) -> ClippedAdam:
    """An optimizer for some variables, not built yet.

    Args:
        rate: the learning rate after the warm-up.
        steps: in an epoch.
        factors: of the learning rate, by a variable's path.
    """
    made = ClippedAdam(
        _schedule(training, rate, steps * training.epochs),
        training.clip,
        # None also spares the pass over all weights that a decay of 0 takes.
        weight_decay=training.weight_decay or None,
        use_ema=training.ema is not None,
        ema_momentum=training.ema or 0.0,
    )
    # By rank as well as by name: the biases of attention are matrices, and a layer's scale may have any name.
    spared = [variable for variable in variables if len(variable.shape) < 2 or "bias" in variable.name]
    made.exclude_from_weight_decay(var_list=spared)
    made.slow(variables, factors or {})
    return made


def _schedule(training: Training, rate: float, total: int) -> Any:
    climb = min(round(total * training.warmup), total - 1)
    if training.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(
            0.0 if climb else rate, total - climb, warmup_target=rate if climb else None, warmup_steps=climb
        )
    if training.schedule == "linear":
        return Linear(rate, climb, total)
    if training.schedule == "inverse_square_root":
        return InverseSquareRoot(rate, climb)
    if training.schedule == "constant" and climb:
        return keras.optimizers.schedules.CosineDecay(
            0.0, total - climb, alpha=1.0, warmup_target=rate, warmup_steps=climb
        )
    return rate
