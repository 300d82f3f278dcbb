"""How good estimates, intervals and alarms are. Each machine counts as one, however many rows it is measured at."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from solvent.metrics import Metric, binary, mean, regression, share
from solvent.solution import Sums

from .answers import shares
from .settings import Maintenance

__all__ = ["metrics", "nasa_score", "penalty"]

EARLY, LATE = 13.0, 10.0  # cycles by which the penalty grows e-fold


def metrics(settings: Maintenance, rows: pd.DataFrame, scored: pd.DataFrame) -> Mapping[str, Metric]:
    """Against the remaining life up to the cap, but for what is named uncapped and for costs."""
    whole, scoring = rows["rul"].to_numpy(np.float64), settings.scoring
    truth, weight = np.minimum(whole, settings.cap), shares(rows["machine"], 1)
    low, estimate, high = (scored[name].to_numpy(np.float64) for name in ("low", "prediction", "high"))
    alarm, fails = scored["alarm"].to_numpy(bool), whole <= scoring.horizon
    errors, foretold = regression(truth, estimate, weight), binary(fails, scored["probability"], alarm, weight)
    return {
        "rmse": errors["rmse"],
        "mae": errors["mae"],
        "nasa_score": nasa_score(truth, estimate, weight),
        "coverage": share((low <= truth) & (truth <= high), np.ones(len(truth)), weight),
        "width": mean(high - low, weight),
        "auc": foretold["auc"],
        "brier": foretold["brier"],
        "cost": mean(cost(settings, whole, alarm), weight),
        "missed": share(fails & ~alarm, fails, weight),
        "false_alarms": share(~fails & alarm, ~fails, weight),
        "rmse_uncapped": regression(whole, estimate, weight)["rmse"],
        "nasa_score_uncapped": nasa_score(whole, estimate, weight),
    }


def penalty(truth: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    """What an estimate costs that is too short or, which costs more, too long; shape `(rows,)`.

    Source: Saxena, Goebel, Simon and Eklund, Damage Propagation Modeling for Aircraft Engine Run-to-Failure
    Simulation, 2008.
    """
    late = estimate - truth
    return np.expm1(np.where(late < 0, -late / EARLY, late / LATE))


def nasa_score(truth: np.ndarray, estimate: np.ndarray, weight: np.ndarray) -> Sums:
    """The sum of the penalties over machines."""
    return Sums((weight * penalty(truth, estimate))[:, None], lambda sums: sums[..., 0])


def cost(settings: Maintenance, life: np.ndarray, alarm: np.ndarray) -> np.ndarray:
    """What each decision cost, shape `(rows,)`.

    An alarm stops the machine: each cycle that it would still have run is lost. Without one, a failure before somebody
    decides again, within the horizon, is missed; else nothing is lost.

    Args:
        life: the whole remaining life, in cycles.
    """
    scoring = settings.scoring
    missed = np.where(life <= scoring.horizon, scoring.missed_failure, 0.0)
    return np.where(alarm, scoring.early_cycle * life, missed)
