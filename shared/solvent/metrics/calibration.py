"""Calibration: making a probability of 0.3 come true in 3 of 10 rows, and measuring whether it does.

A fit returns a small dict that lives in a bundle's facts; `apply` turns logits into probabilities with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..errors import Refused
from ..solution import Sums
from .inputs import codes, flags, numbers, probabilities, row_weights
from .sums import ratio

__all__ = [
    "NORMAL_975",
    "Reliability",
    "apply",
    "expected_calibration_error",
    "fit_bias",
    "fit_isotonic",
    "fit_platt",
    "fit_temperature",
    "logit",
    "reliability",
    "wilson",
]

BIAS_DEVIATION = 2.0  # of the normal prior of a class's bias: log odds of about 1 to 7
LEAST_SLOPE = 1e-3  # in units of the scores' own spread
_LARGEST_LOG_TEMPERATURE = float(np.log(100))
NORMAL_975 = 1.959963984540054  # 95 % of a normal distribution lie within so many deviations


def fit_platt(logits: ArrayLike, truth: ArrayLike, weight: ArrayLike | None = None) -> dict[str, Any]:
    """Fit the probability `sigmoid(slope * logit + intercept)`, two classes.

    The targets are drawn in a little from 0 and 1, as Platt did, so that separable rows give a finite slope. The slope
    is never negative: calibration must not turn the order of the scores around. Where the rows would have it so, all
    probabilities come close to the rate of the rows, and `bounded` says so.

    Args:
        logits: log odds of 1, finite, shape `(rows,)`.
        truth: 0 or 1, shape `(rows,)`; both must occur.
        weight: of the rows, shape `(rows,)`, not negative.

    Raises:
        Refused: if the rows hold one class only.

    Source: Platt, Probabilistic Outputs for Support Vector Machines, 1999.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    logits, truth, weight = _rows(logits, truth, weight)
    positives, negatives = float(weight @ truth), float(weight @ (1 - truth))
    target = np.where(truth == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    # In units of the logits' own spread the two parameters are of one size, whatever the model's scale.
    centre, spread = float(logits.mean()), float(logits.std()) or 1.0
    design = np.column_stack([(logits - centre) / spread, np.ones(len(logits))])
    share = weight / weight.sum()

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        line = design @ parameters
        return float(share @ (np.logaddexp(0, line) - target * line)), design.T @ (share * (expit(line) - target))

    def curvature(parameters: np.ndarray) -> np.ndarray:
        chance = expit(design @ parameters)
        return np.asarray(design.T @ (design * (share * chance * (1 - chance))[:, None]))

    start = np.array([0.0, np.log((positives + 1) / (negatives + 1))])
    slope, height = minimize(loss, start, jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-9}).x
    found = {"kind": "platt", "slope": float(slope / spread), "intercept": float(height - slope * centre / spread)}
    if slope > -1e-9:
        return found
    # Scores without signal: the rate of the rows, and the order that the model gave.
    mean = float(share @ target)
    rate = float(np.log(mean / (1 - mean)))
    return {
        "kind": "platt",
        "slope": LEAST_SLOPE / spread,
        "intercept": rate - LEAST_SLOPE * centre / spread,
        "bounded": True,
    }


def fit_temperature(logits: ArrayLike, truth: ArrayLike, weight: ArrayLike | None = None) -> dict[str, Any]:
    """Fit the temperature that logits are divided by, from 0.01 to 100; the order of the classes stays.

    If no row is wrong it stays 1: the likelihood then only grows as the temperature falls to 0, which would make every
    probability 0 or 1.

    Args:
        logits: finite, shape `(rows, classes)`.
        truth: codes from 0 to `classes - 1`, shape `(rows,)`.
        weight: of the rows, shape `(rows,)`, not negative.

    Raises:
        Refused: if there is no row.

    Source: Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, 2017.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    table, truth, weight = _rows_of_classes(logits, truth, weight)
    rows = len(table)
    if (table[np.arange(rows), truth] == table.max(axis=1)).all():
        return {"kind": "temperature", "temperature": 1.0}

    def loss(log_temperature: float) -> float:
        return -float(weight @ log_softmax(table / np.exp(log_temperature), axis=1)[np.arange(rows), truth])

    bounds = (-_LARGEST_LOG_TEMPERATURE, _LARGEST_LOG_TEMPERATURE)
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    return {"kind": "temperature", "temperature": float(np.exp(best.x))}


def fit_bias(logits: ArrayLike, truth: ArrayLike, weight: ArrayLike | None = None) -> dict[str, Any]:
    """Fit `softmax(logits / temperature + bias)`: a temperature alone leaves the shares of the classes as they are.

    The biases have a normal prior around 0, so that a class that no row has keeps a finite one. If no row is wrong, all
    stays as it is, for the reason that `fit_temperature` gives.

    Args:
        logits: finite, shape `(rows, classes)`.
        truth: codes from 0 to `classes - 1`, shape `(rows,)`.
        weight: of the rows, shape `(rows,)`, not negative.

    Raises:
        Refused: if there is no row.

    Source: Alexandari, Kundaje and Shrikumar, Maximum Likelihood with Bias-Corrected Calibration is Hard-To-Beat at
    Label Shift Adaptation, 2020.
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    table, truth, weight = _rows_of_classes(logits, truth, weight)
    rows, classes = table.shape
    right = np.eye(classes)[truth]
    found = {"kind": "bias", "temperature": 1.0, "bias": [0.0] * classes}
    if (table[np.arange(rows), truth] == table.max(axis=1)).all():
        return found

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        scaled, bias = table * np.exp(-parameters[0]), parameters[1:]
        chance = log_softmax(scaled + bias, axis=1)
        missed = weight[:, None] * (np.exp(chance) - right)
        gradient = np.append(-(missed * scaled).sum(), missed.sum(axis=0) + bias / BIAS_DEVIATION**2)
        total = -float(weight @ chance[np.arange(rows), truth]) + float(bias @ bias) / (2 * BIAS_DEVIATION**2)
        return total / weight.sum(), gradient / weight.sum()

    bounds = [(-_LARGEST_LOG_TEMPERATURE, _LARGEST_LOG_TEMPERATURE), *[(None, None)] * classes]
    tight = {"ftol": 1e-15, "gtol": 1e-9, "maxiter": 1000}
    best = minimize(loss, np.zeros(1 + classes), jac=True, method="L-BFGS-B", bounds=bounds, options=tight).x
    return {**found, "temperature": float(np.exp(best[0])), "bias": best[1:].tolist()}


def fit_isotonic(probability: ArrayLike, truth: ArrayLike, weight: ArrayLike | None = None) -> dict[str, Any]:
    """Fit a rising function from probability to probability, two classes. Wants a thousand rows or more.

    It stays `1 / (rows + 2)` away from 0 and 1: so few rows can't show that something never happens.

    Args:
        probability: of 1, in [0, 1], shape `(rows,)`.
        truth: 0 or 1, shape `(rows,)`; both must occur.
        weight: of the rows, shape `(rows,)`, not negative.

    Raises:
        Refused: if the rows hold one class only.

    Source: Zadrozny and Elkan, Transforming Classifier Scores into Accurate Multiclass Probability Estimates, 2002.
    """
    from sklearn.isotonic import IsotonicRegression

    probability, truth, weight = _rows(probabilities("probability", probability), truth, weight)
    margin = 1 / (len(truth) + 2)
    fitted = IsotonicRegression(y_min=margin, y_max=1 - margin).fit(probability, truth, sample_weight=weight)
    return {"kind": "isotonic", "x": fitted.X_thresholds_.tolist(), "y": fitted.y_thresholds_.tolist()}


def apply(calibration: Mapping[str, Any], logits: ArrayLike) -> np.ndarray:
    """Turn logits into calibrated probabilities.

    Args:
        calibration: what one of the fits returned.
        logits: platt and isotonic: shape `(rows,)`; temperature and bias: shape `(rows, classes)`.

    Returns:
        Probabilities of the same shape, float64.

    Raises:
        ValueError: if the kind is unknown.
    """
    from scipy.special import expit, softmax

    kind = calibration.get("kind")
    if kind == "platt":
        return np.asarray(expit(calibration["slope"] * numbers("logits", logits) + calibration["intercept"]))
    if kind == "isotonic":
        return np.asarray(np.interp(expit(numbers("logits", logits)), calibration["x"], calibration["y"]))
    if kind in ("temperature", "bias"):
        scaled = _logit_table(logits) / calibration["temperature"]
        return np.asarray(softmax(scaled + np.array(calibration.get("bias", 0.0)), axis=1))
    raise ValueError(f"There is no calibration of kind {kind!r}. Known: platt, isotonic, temperature, bias.")


def logit(probability: ArrayLike) -> np.ndarray:
    """The log odds of a probability, shape `(rows,)`; 0 and 1 give -34.5 and 34.5, as 1e-15 and 1 - 1e-15 do."""
    inside = np.clip(probabilities("probability", probability), 1e-15, 1 - 1e-15)
    return np.asarray(np.log(inside) - np.log1p(-inside))


class Reliability(NamedTuple):
    """Bins of predictions beside what came true; each array has shape `(bins that hold a row,)`.

    Args:
        mean_predicted: in [0, 1].
        observed: the share of 1 among the bin's rows, which count by their weight.
        rows: how many the bin holds.
        low: lower end of the 95 % Wilson interval of `observed`.
        high: its upper end.
    """

    mean_predicted: np.ndarray
    observed: np.ndarray
    rows: np.ndarray
    low: np.ndarray
    high: np.ndarray


def reliability(
    truth: ArrayLike, probability: ArrayLike, bins: int = 10, weight: ArrayLike | None = None
) -> Reliability:
    """Compare probabilities with outcomes in bins of equal width; empty bins are left out.

    Args:
        truth: 0 or 1, shape `(rows,)`.
        probability: of 1, in [0, 1], shape `(rows,)`.
        weight: of the rows, shape `(rows,)`, not negative; a row of weight 0 is not there. Unequal weights tell less
            than as many equal ones, so the intervals go by the number of equal ones that tells as much.

    Source: Kish, Survey Sampling, 1965 (that number).
    """
    truth = flags("truth", truth)
    probability = probabilities("probability", probability, len(truth))
    weight = row_weights(weight, len(truth))
    in_bin = _bins(probability, bins)
    rows = np.bincount(in_bin[weight > 0], minlength=bins)
    held = rows > 0

    def total(values: np.ndarray) -> np.ndarray:
        return np.asarray(np.bincount(in_bin, values, bins)[held])

    whole = total(weight)
    observed = total(weight * truth) / whole
    low, high = wilson(observed, whole**2 / total(weight**2))
    return Reliability(total(weight * probability) / whole, observed, rows[held], low, high)


def wilson(share: ArrayLike, rows: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of shares in [0, 1] that were seen among so many rows, more than 0; any shape.

    Source: Wilson, Probable Inference, 1927.
    """
    share, rows = np.asarray(share, np.float64), np.asarray(rows, np.float64)
    squared = NORMAL_975**2
    middle = (share + squared / (2 * rows)) / (1 + squared / rows)
    reach = np.sqrt(share * (1 - share) * squared / rows + (squared / (2 * rows)) ** 2) / (1 + squared / rows)
    return np.clip(middle - reach, 0, 1), np.clip(middle + reach, 0, 1)


def expected_calibration_error(
    truth: np.ndarray, probability: np.ndarray, weight: np.ndarray | None = None, bins: int = 10
) -> Sums:
    """The distance between the mean prediction and the share that came true, averaged over bins of equal width.

    It is never negative, so chance alone makes it positive: on few rows it and its interval lie too high.

    Args:
        truth: 0 or 1, shape `(rows,)`; for several classes, whether the most probable one is right.
        probability: of 1, in [0, 1], shape `(rows,)`; for several classes, the largest one.
        weight: of the rows, shape `(rows,)`, not negative.

    Source: Naeini, Cooper and Hauskrecht, Obtaining Well Calibrated Probabilities Using Bayesian Binning, 2015.
    """
    weight = row_weights(weight, len(truth))
    gap = np.eye(bins)[_bins(probability, bins)] * (probability - truth)[:, None]
    rows = np.column_stack([gap, np.ones(len(truth))]) * weight[:, None]
    return Sums(rows, lambda sums: ratio(np.abs(sums[..., :-1]).sum(axis=-1), sums[..., -1]))


def _bins(probability: np.ndarray, bins: int) -> np.ndarray:
    return np.minimum((probability * bins).astype(np.int64), bins - 1)


def _rows(scores: ArrayLike, truth: ArrayLike, weight: ArrayLike | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows that a calibration of two classes is fitted on."""
    truth = flags("truth", truth)
    scores, weight = numbers("scores", scores, len(truth)), row_weights(weight, len(truth))
    if not (weight @ truth > 0 and weight @ (1 - truth) > 0):
        raise Refused(
            f"Calibration needs rows of both classes; these {len(truth)} hold one only. "
            "Make the validation part larger, or split it stratified by the target."
        )
    return scores, truth, weight


def _rows_of_classes(
    logits: ArrayLike, truth: ArrayLike, weight: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows that a calibration of several classes is fitted on."""
    table = _logit_table(logits)
    rows, classes = table.shape
    truth, weight = codes("truth", truth, classes, rows), row_weights(weight, rows)
    if not weight.sum() > 0:
        raise Refused("Calibration needs rows, and there are none. Make the validation part larger.")
    return table, truth, weight


def _logit_table(logits: ArrayLike) -> np.ndarray:
    table = np.asarray(logits, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"logits: expected shape (rows, classes), got {table.shape}.")
    return numbers("logits", table.ravel()).reshape(table.shape)
