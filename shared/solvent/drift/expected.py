"""What a run's decisions may be expected to reach, before any of its labels is known.

A calibrated probability says how often it comes true; so the probabilities of tonight's rows give the confusion table,
and the curves, that are to be expected of them. It is right under covariate shift, where other rows come and what a row
means stays the same. Under concept drift, where that has changed, it is wrong, and nothing but labels can tell.

Source: Guillory et al., Predicting with Confidence on Unseen Distributions, 2021; NannyML, Confidence-based Performance
Estimation (CBPE), 2021.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..metrics import row_weights, rows_as_telling
from ..schema import Schema
from ..solution import JSON, Output
from .chances import ChanceCounts, log_odds

__all__ = ["MEASURES", "PROTOCOL", "WARNING", "Expected", "chances", "expected"]

MEASURES = ("auc", "accuracy", "precision", "recall", "rate")
DRAWS, SEED = 1000, 0
FEWEST_ROWS = 20  # with fewer no interval says anything
INTERCEPT_DEVIATION, SLOPE_DEVIATION = 1.0, 0.5  # of the normal prior of what calibration may be wrong by
PROTOCOL = (
    "95 % intervals hold what chance makes of the labels, given the probabilities, and the uncertainty of the "
    "calibration, as the bundle's test rows leave it (a line in the log odds, drawn 1,000 times); rows are taken as "
    "independent."
)
WARNING = (
    "Expected, not measured: it follows other rows (covariate shift), and would be wrong, and not show it, if the same "
    "rows meant something else by now (concept drift). Only labels tell."
)


def chances(outputs: Sequence[Output], schema: Schema, rows: pd.DataFrame, scored: pd.DataFrame) -> dict[str, JSON]:
    """What a bundle keeps of each output that is a calibrated probability: how true it was on rows with targets.

    Args:
        outputs: those of the run, spelt out.
        rows: that the model had not seen, with targets in the house's names.
        scored: the declared outputs for them.

    Returns:
        By the output's name: `target` (under the user's own name), its `levels` (None where any may come), `positive`,
        `decided_by`, `calibration`: intercept, slope and their covariance, how probabilities have to be corrected in
        the log odds, and the rows that say so.
    """
    found: dict[str, JSON] = {}
    for output in outputs:
        if output.chance_of is None or output.chance_of not in rows or output.name not in scored:
            continue
        known = rows[output.chance_of].notna() & scored[output.name].notna()
        truth = (rows.loc[known, output.chance_of] == output.positive).to_numpy(np.float64)
        weight = row_weights(rows.loc[known, "weight"] if "weight" in rows else None, len(truth))
        if weight.sum() > 0:
            target = schema.field(output.chance_of)
            found[output.name] = {
                "target": target.source,
                "levels": None if target.open or target.levels is None else list(target.levels),
                "positive": output.positive,
                "decided_by": output.decided_by,
                "calibration": _correction(truth, scored.loc[known, output.name].to_numpy(np.float64), weight),
            }
    return found


def _correction(truth: np.ndarray, probability: np.ndarray, weight: np.ndarray) -> dict[str, JSON]:
    """Fit a line in the log odds by the most probable one, and its covariance (Laplace).

    The prior is that the probabilities are right as they are: few rows, or rows of one class, say little against it.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    weight = weight * rows_as_telling(weight) / weight.sum()
    design = np.column_stack([np.ones(len(truth)), log_odds(np.clip(probability, 0, 1))])
    start, precision = np.array([0.0, 1.0]), np.diag([INTERCEPT_DEVIATION**-2.0, SLOPE_DEVIATION**-2.0])

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        height, off = design @ line, line - start
        value = weight @ (np.logaddexp(0, height) - truth * height) + off @ precision @ off / 2
        return float(value), design.T @ (weight * (expit(height) - truth)) + precision @ off

    def curvature(line: np.ndarray) -> np.ndarray:
        chance = expit(design @ line)
        return np.asarray(design.T @ (design * (weight * chance * (1 - chance))[:, None]) + precision)

    best = minimize(loss, start, jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-6}).x
    return {
        "intercept": float(best[0]),
        "slope": float(best[1]),
        "covariance": np.linalg.inv(curvature(best)).tolist(),
        "rows": len(truth),
    }


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What is to be expected of one output that is a probability.

    Args:
        output: its name.
        target: the user's own name of what it is the probability of, `positive` the class, `levels` all of its
            classes, where they are known.
        rows: that were scored, with a probability and a decision.
        measures: by a metric's name its value, low and high, None where it is not defined; `rate` is the share of
            rows of the positive class.
    """

    output: str
    target: str
    positive: str
    decided_by: str
    rows: int
    measures: Mapping[str, Mapping[str, float | None]]
    calibration: Mapping[str, JSON]
    levels: Sequence[str] | None = None

    @property
    def sentence(self) -> str:
        """In one line, for a log."""
        said = [
            f"{name} {found['value']:.3f}"
            + ("" if found["low"] is None else f" ({found['low']:.3f} to {found['high']:.3f})")
            for name, found in self.measures.items()
            if name in ("auc", "accuracy") and found["value"] is not None
        ]
        return f"Expected of {self.output}, before labels: {', '.join(said) or 'nothing is defined'}. {WARNING}"

    def to_json(self) -> dict[str, JSON]:
        return {name: value for name, value in vars(self).items() if name != "output"} | {"warning": WARNING}


def expected(name: str, facts: Mapping[str, JSON], counts: ChanceCounts) -> Expected:
    """Estimate what labels will say of the counted rows.

    The value is the metric of the expected confusion tables; the interval is that of the metric which the rows' own
    labels, drawn by the corrected probabilities, will give. Precision with no row taken for positive, recall and AUC
    with one class are undefined.

    Args:
        name: of the output.
        facts: its entry of what `chances` gave.
    """
    from scipy.special import expit

    line = facts["calibration"]
    rows, mean = counts.table()
    height = log_odds(mean)
    total = int(rows.sum())
    values = _measures(rows, rows * expit(line["intercept"] + line["slope"] * height))
    measures: dict[str, dict[str, float | None]] = {
        each: {"value": _finite(values[each]), "low": None, "high": None} for each in MEASURES
    }
    if total >= FEWEST_ROWS:
        random = np.random.default_rng(SEED)
        drawn = random.multivariate_normal(
            [line["intercept"], line["slope"]], line["covariance"], DRAWS, method="cholesky"
        )
        chance = expit(drawn[:, :1, None] + drawn[:, 1:, None] * height)
        positives = random.binomial(rows.astype(np.int64), chance)
        for each, found in _measures(rows, positives).items():
            defined = found[np.isfinite(found)]
            if measures[each]["value"] is not None and len(defined) > 0.95 * DRAWS:
                low, high = np.quantile(defined, [0.025, 0.975])
                measures[each] |= {"low": float(low), "high": float(high)}
    given = {key: facts[key] for key in ("target", "positive", "decided_by", "calibration")}
    return Expected(output=name, rows=total, measures=measures, levels=facts.get("levels"), **given)


def _measures(rows: np.ndarray, positives: np.ndarray) -> dict[str, np.ndarray]:
    """The metrics of counts by cell; NaN where one is undefined.

    Args:
        rows: shape `(2, cells)`, the first line taken for negative; cells ascend in the probability.
        positives: of these rows, shape `(..., 2, cells)`.
    """
    negatives = rows - positives
    hits, missed = positives[..., 1, :].sum(-1), positives[..., 0, :].sum(-1)
    rejected, taken, total = negatives[..., 0, :].sum(-1), rows[1].sum(), rows.sum()
    yes, no = positives.sum(-2), negatives.sum(-2)
    below = np.cumsum(no, axis=-1) - no / 2  # rows of one cell are taken as equal: each pair of them counts a half
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "auc": (yes * below).sum(-1) / (yes.sum(-1) * no.sum(-1)),
            "accuracy": (hits + rejected) / total,
            "precision": hits / taken,
            "recall": hits / (hits + missed),
            "rate": (hits + missed) / total,
        }


def _finite(value: np.ndarray) -> float | None:
    return float(value) if np.isfinite(value) else None
