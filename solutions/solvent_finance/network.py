"""The additive network: one shape function a feature, constant on bins; a loan's log odds are their sum."""

from typing import Any

import keras
import numpy as np
import pandas as pd

from solvent import Data, Fitted, training
from solvent.metrics import binary, point
from solvent.solution import Score
from solvent.split import halves

from .binning import bin_numbers, first_in_order, learn_bins, sizes
from .decision import calibrate, cutoff, decide, probability, truth
from .settings import Credit, headline

__all__ = ["ShapeFunctions", "fit", "scorer"]


@keras.saving.register_keras_serializable(package="solvent_finance")
class ShapeFunctions(keras.layers.Layer):
    """Bin numbers `(batch, features)` -> log odds `(batch, 1)`: a bias and one value for each feature's bin.

    Args:
        sizes: bins of each feature.
        ordered_from: each feature's first bin that is a range with a neighbour; bins before it stand alone.
        smoothness: weight of the squared steps between neighbours, beside the mean loss.
        shrinkage: weight of all squared values, beside the mean loss.
        bias: where the bias starts: the log odds of the training rows, as they are weighed.
    """

    def __init__(self, sizes, ordered_from, smoothness=0.0, shrinkage=0.0, bias=0.0, **options):
        super().__init__(**options)
        self.settings = {
            "sizes": list(sizes),
            "ordered_from": list(ordered_from),
            "smoothness": smoothness,
            "shrinkage": shrinkage,
            "bias": bias,
        }
        self.starts = np.cumsum([0, *sizes[:-1]]).astype("int32")
        ranges = zip(self.starts, sizes, ordered_from, strict=True)
        lower = [np.arange(start + first, start + size - 1) for start, size, first in ranges if size - 1 > first]
        self.lower = np.concatenate(lower).astype("int32") if lower else np.array([], "int32")

    def build(self, input_shape):
        total = sum(self.settings["sizes"])
        start = keras.initializers.Constant(self.settings["bias"])
        self.values = self.add_weight(name="values", shape=(total,), initializer="zeros")
        self.bias = self.add_weight(name="bias", shape=(1,), initializer=start)

    def call(self, bins, training=False):
        if training:
            steps = keras.ops.take(self.values, self.lower + 1) - keras.ops.take(self.values, self.lower)
            self.add_loss(self.settings["smoothness"] * keras.ops.sum(steps**2))
            self.add_loss(self.settings["shrinkage"] * keras.ops.sum(self.values**2))
        return self.bias + keras.ops.sum(keras.ops.take(self.values, bins + self.starts), axis=-1, keepdims=True)

    def get_config(self):
        return {**super().get_config(), **self.settings}


def fit(settings: Credit, data: Data) -> Fitted:
    """Bins on training rows; smoothness and epochs on one half of the validation rows; the rest on the other."""
    choosing, rest = halves(data.valid, data.schema, data.seed)
    bins = learn_bins(data.train, data.schema, settings.bins, settings.rare)
    defaulted, levels = truth(settings, data.train), list(data.schema.targets[0].levels)
    codes = pd.Index(levels).get_indexer(data.train["target"])
    weights = training.row_weights(data.train, codes, levels, settings.training)
    rows = training.arrays(bin_numbers(data.train, bins), defaulted[:, None].astype("float32"), weights)
    choosing_bins, choosing_truth = bin_numbers(choosing, bins), truth(settings, choosing)
    share = np.average(defaulted, weights=weights)
    odds = float(np.log(share / (1 - share)))

    def candidate(smoothness: float) -> training.Candidate:
        fitted = Fitted({"model": _build(bins, smoothness / rows.count, odds)})

        def monitor() -> dict[str, float]:
            chance = probability(fitted.predict(choosing_bins))
            found = binary(choosing_truth, chance, np.zeros(len(choosing)), choosing.get("weight"))
            return {name: point(found[name]) for name in ("auc", "log_loss")}

        record = training.fit(
            fitted.models["model"],
            rows,
            stage=f"smoothness-{smoothness:g}",
            training=settings.training,
            loss=keras.losses.BinaryCrossentropy(from_logits=True),
            monitor=monitor,
            goal=headline(settings),
            data=data,
        )
        return fitted, record

    won, choice = training.choose("smoothness", settings.smoothness, candidate, headline(settings))
    logits = won.predict(bin_numbers(rest, bins))
    calibrated = calibrate(settings, logits, rest)
    facts = {
        "positive": settings.positive,
        "bins": bins,
        "calibration": calibrated,
        "operating_point": cutoff(settings, probability(logits, calibrated), rest),
        "choices": [choice],
    }
    return Fitted(won.models, facts, batch_rows=8192)


def _build(bins: list[dict[str, Any]], strength: float, odds: float) -> keras.Model:
    inputs = keras.Input((len(bins),), dtype="int32", name="bins")
    shapes = ShapeFunctions(
        sizes(bins), first_in_order(bins), strength, 0.1 * strength, odds, dtype="float32", name="shapes"
    )
    return keras.Model(inputs, shapes(inputs), name="scorecard")


def scorer(settings: Credit, fitted: Fitted) -> Score:
    """Score checked loans: bins, log odds, calibrated probability, decision."""
    facts = fitted.facts

    def score(table):
        logits = fitted.predict(bin_numbers(table, facts["bins"]))
        return decide(settings, table.index, probability(logits, facts["calibration"]), facts["operating_point"])

    return score
