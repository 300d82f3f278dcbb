"""The additive network: each column's bins have values, some pairs of columns too; a loan's log odds are their sum."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

__all__ = ["Additive", "Pull", "Rising", "in_bag_log_loss", "scorecard_network", "training_network"]


@dataclass(frozen=True)
class Pull:
    """What the values are drawn to while they are learnt.

    Args:
        steps: places of neighbouring values, lower and upper, and the weight of their squared difference; three arrays.
        shrinkage: weight of each value's squared distance from where it began, shape `(values,)`.
        begin: where the values start, shape `(values, models)`.
        bias: where the biases start: the log odds of the training rows.
        rising: places of neighbours whose value must not fall from the first to the last, one array each.
        falling: likewise, must not rise.
    """

    steps: tuple[np.ndarray, np.ndarray, np.ndarray]
    shrinkage: np.ndarray
    begin: np.ndarray
    bias: float
    rising: Sequence[np.ndarray] = ()
    falling: Sequence[np.ndarray] = ()

    @property
    def constraint(self) -> Any:
        return Rising(self.rising, self.falling) if len(self.rising) or len(self.falling) else None

    def penalty(self, values: Any) -> Any:
        """Added to the mean loss, summed over the models."""
        lower, upper, stiffness = self.steps
        apart = keras.ops.take(values, upper, axis=0) - keras.ops.take(values, lower, axis=0)
        moved = values - self.begin.astype("float32")
        return keras.ops.sum(stiffness[:, None].astype("float32") * apart**2) + keras.ops.sum(
            self.shrinkage[:, None].astype("float32") * moved**2
        )


@keras.saving.register_keras_serializable(package="solvent_finance")
class Additive(keras.layers.Layer):
    """Bin numbers `(batch, columns)` -> sums `(batch, models)`: of several models at once, one beside the other.

    Args:
        sizes: bins of each column.
        groups: for each column, bin number -> place on the axis of a pair.
        pairs: the two columns of each pair.
        models: how many there are.
        pull: what their values are drawn to in training; it is not saved.
    """

    def __init__(self, sizes, groups, pairs, models=1, pull=None, **options):
        super().__init__(**options)
        self.pull = pull
        self.settings = {
            "sizes": list(sizes),
            "groups": [list(group) for group in groups],
            "pairs": [list(pair) for pair in pairs],
            "models": models,
        }
        axes = [max(group) + 1 for group in groups]
        ends = np.cumsum([*sizes, *(axes[i] * axes[j] for i, j in pairs)]).astype("int32")
        self.starts = np.concatenate([[0], ends[:-1]]).astype("int32")  # of each term among all values
        self.total = int(ends[-1])
        self.group_starts = np.cumsum([0, *sizes[:-1]]).astype("int32")
        self.group_table = np.concatenate([np.asarray(group) for group in groups]).astype("int32")
        self.first = np.array([i for i, _ in pairs], "int32")
        self.second = np.array([j for _, j in pairs], "int32")
        self.widths = np.array([axes[j] for _, j in pairs], "int32")

    def build(self, input_shape):
        models, pull = self.settings["models"], self.pull
        self.values = self.add_weight(
            name="values",
            shape=(self.total, models),
            initializer="zeros",
            constraint=None if pull is None else pull.constraint,
        )
        self.bias = self.add_weight(name="bias", shape=(models,), initializer="zeros")
        if pull is not None:
            self.values.assign(pull.begin)
            self.bias.assign(np.full(models, pull.bias))

    def places(self, bins):
        """Where each term's value lies among all values, shape `(batch, terms)`."""
        own = bins + self.starts[: len(self.group_starts)]
        if not len(self.first):
            return own
        groups = keras.ops.take(self.group_table, bins + self.group_starts)
        first, second = (keras.ops.take(groups, columns, axis=1) for columns in (self.first, self.second))
        return keras.ops.concatenate(
            [own, first * self.widths + second + self.starts[len(self.group_starts) :]], axis=1
        )

    def call(self, bins, training=False):
        if training and self.pull is not None:
            self.add_loss(self.pull.penalty(self.values))
        return self.bias + keras.ops.sum(keras.ops.take(self.values, self.places(bins), axis=0), axis=1)

    def get_config(self):
        return {**super().get_config(), **self.settings}


class Rising(keras.constraints.Constraint):
    """Values of neighbouring bins, made to rise (or fall): halfway between the running maximum and the later minimum.

    For two neighbours that is the nearest rising pair; in training it is applied after each small step.
    """

    def __init__(self, rising: Sequence[np.ndarray], falling: Sequence[np.ndarray]) -> None:
        ordered = [*rising, *(np.asarray(places)[::-1] for places in falling)]
        longest = max(len(places) for places in ordered)
        # Filled up with each run's last place: that changes no running maximum.
        self.table = np.stack([np.pad(places, (0, longest - len(places)), mode="edge") for places in ordered])

    def __call__(self, values: Any) -> Any:
        runs = keras.ops.take(values, self.table, axis=0)
        highest, lowest = runs, runs
        reach = 1
        while reach < self.table.shape[1]:
            highest = keras.ops.maximum(highest, _shifted(highest, reach))
            lowest = keras.ops.minimum(lowest, _shifted(lowest, -reach))
            reach *= 2
        places = self.table.reshape(-1, 1)
        flat = keras.ops.reshape((highest + lowest) / 2, (-1, values.shape[-1]))
        return keras.ops.scatter_update(values, places, flat)


def _shifted(runs: Any, by: int) -> Any:
    """Runs moved along their axis 1; what comes in is the value at the end that they move away from."""
    count = abs(by)
    if by > 0:
        return keras.ops.concatenate([keras.ops.repeat(runs[:, :1], count, axis=1), runs[:, :-count]], axis=1)
    return keras.ops.concatenate([runs[:, count:], keras.ops.repeat(runs[:, -1:], count, axis=1)], axis=1)


def in_bag_log_loss(truth: Any, logits: Any) -> Any:
    """The log loss summed over the models, each over its own rows.

    Args:
        truth: shape `(batch, 1 + models)`: 1 for a default, then what the row weighs for each model, 0 where it is
            left out.
        logits: shape `(batch, models)`.
    """
    defaulted, weights = truth[:, :1], truth[:, 1:]
    return keras.ops.sum(weights * (keras.ops.softplus(logits) - defaulted * logits), axis=-1)


def training_network(layout: dict[str, Any], pull: Pull) -> keras.Model:
    """The networks of all bags as one.

    Args:
        layout: what `Additive` takes.
    """
    return _model(Additive(**layout, pull=pull, dtype="float32", name="additive"), layout)


def scorecard_network(layout: dict[str, Any], values: np.ndarray, start: int) -> keras.Model:
    """The network whose values are whole points: exact in float32 below 2^24.

    Args:
        values: points of all terms' places, one after the other, shape `(values,)`.
        start: points that every loan has.
    """
    layer = Additive(**{**layout, "models": 1}, dtype="float32", name="additive")
    model = _model(layer, layout)
    layer.values.assign(values[:, None])
    layer.bias.assign([start])
    return model


def _model(layer: Additive, layout: dict[str, Any]) -> keras.Model:
    inputs = keras.Input((len(layout["sizes"]),), dtype="int32", name="bins")
    return keras.Model(inputs, layer(inputs), name="scorecard")
