"""Adam as the `training` section describes it: its schedule, its clipping, its decay, its averaging."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from .. import workers
from ..schedule import Training

__all__ = ["ClippedAdam", "InverseSquareRoot", "Linear", "adam"]


@keras.saving.register_keras_serializable(package="solvent")
class ClippedAdam(keras.optimizers.Adam):  # type: ignore[misc]
    """Adam that cuts the norm of the whole batch's gradient.

    Keras's own `global_clipnorm` cuts each replica's part for itself, before the parts are added: with two replicas
    the same setting cuts at another norm than with one.

    Nor does its `gradient_accumulation_steps` do here: the schedule and the average of the weights go on with each
    batch there, and what is added up at the end of an epoch would belong into the checkpoint.

    Args:
        clip: the largest norm; None for no cut.
        accumulate: gradients of several batches are added up, see `adding`, before one step takes their mean.
    """

    def __init__(
        self, learning_rate: Any = 1e-3, clip: float | None = None, accumulate: bool = False, **options: Any
    ) -> None:
        super().__init__(learning_rate, **options)
        self.clip, self.accumulate = clip, accumulate
        self.factors: dict[str, float] = {}
        self._adding = False
        self._sums: list[Any] = []
        self._added: Any = None  # how many batches

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        if self.accumulate:
            # Each replica adds up its own; they meet in the step. No variables of the optimizer: a checkpoint, which
            # lies between two steps, needs none of them.
            own = {"synchronization": tf.VariableSynchronization.ON_READ, "aggregation": tf.VariableAggregation.SUM}
            self._sums = [tf.Variable(tf.zeros(v.shape, v.dtype), trainable=False, **own) for v in variables]
            self._added = tf.Variable(0.0, trainable=False, **own)

    @contextmanager
    def adding(self) -> Iterator[None]:
        """Inside, as a step is traced, gradients are added up and no weight changes."""
        self._adding = True
        try:
            yield
        finally:
            self._adding = False

    def forget(self) -> None:
        """Begin a step anew: in half precision gradients that are not finite may have kept the last one from being."""
        for variable in [*self._sums, self._added]:
            variable.assign(tf.zeros(variable.shape, variable.dtype))

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
        if self.accumulate:
            grads = self._summed(grads)
            if self._adding:
                return
        if workers.shares()[0] > 1:
            # An embedding's gradient has a row for each token that was seen, and TensorFlow's way to bring those of
            # several workers together fails as soon as a step has another number of them than the first one had.
            grads = [tf.convert_to_tensor(each) if isinstance(each, tf.IndexedSlices) else each for each in grads]
        if self.clip is not None:
            whole = list(grads)
            replica = tf.distribute.get_replica_context()
            if replica is not None and replica.num_replicas_in_sync > 1:
                given = [gradient for gradient in grads if gradient is not None]
                whole = replica.all_reduce(tf.distribute.ReduceOp.SUM, given)
            grads, _ = tf.clip_by_global_norm(list(grads), self.clip, use_norm=tf.linalg.global_norm(whole))
        super().apply(grads, trainable_variables)

    def _summed(self, grads: Sequence[Any]) -> list[Any]:
        """Add gradients up; at the step give their mean."""
        known = [pair for pair in zip(self._sums, grads, strict=True) if pair[1] is not None]
        for total, gradient in known:
            total.assign_add(tf.convert_to_tensor(gradient))
        self._added.assign_add(1.0)
        if self._adding:
            return list(grads)
        means = iter([total.read_value() / self._added for total, _ in known])
        return [None if gradient is None else next(means) for gradient in grads]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "clip": self.clip, "accumulate": self.accumulate}


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
        steps: in an epoch; each may be of several batches.
        factors: of the learning rate, by a variable's path.
    """
    made = ClippedAdam(
        _schedule(training, rate, steps * training.epochs),
        training.clip,
        training.accumulate > 1,
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
