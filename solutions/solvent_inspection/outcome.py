"""How well bad parts are told from good ones: of the order, of the decisions, of what these cost."""

import numpy as np
import pandas as pd

from solvent import Sums, Weighted
from solvent.metrics import Curve, ratio, row_weights, share

from .decision import BAD, is_bad
from .settings import Inspection

__all__ = ["metrics"]


def metrics(settings: Inspection, rows: pd.DataFrame, scored: pd.DataFrame) -> dict[str, float | Sums | Weighted]:
    """AUC and average precision of the score; sensitivity, false alarms and precision of the decision; sensitivity for
    each kind of defect; the cost for each part, where costs are set. Not a number where there is no defect."""
    bad, weight = is_bad(settings, rows).astype(float), row_weights(rows.get("weight"), len(rows))
    stopped = (scored["decision"] == BAD).to_numpy(float)
    curve = Curve(bad, scored["score"].to_numpy(np.float64), weight)
    found: dict[str, float | Sums | Weighted] = {
        "auc": Weighted(len(rows), curve.auc, (curve.classes,)),
        "average_precision": Weighted(len(rows), curve.average_precision, (curve.classes,)),
        "sensitivity": share(bad * stopped, bad, weight),
        "false_alarm_rate": share((1 - bad) * stopped, 1 - bad, weight),
        "precision": share(bad * stopped, stopped, weight),
    }
    if settings.threshold.costs is not None:
        costs = settings.threshold.costs
        columns = np.column_stack([bad * (1 - stopped), bad, (1 - bad) * stopped, 1 - bad]) * weight[:, None]

        def cost(sums: np.ndarray) -> np.ndarray:
            missed, alarms = ratio(sums[..., 0], sums[..., 1]), ratio(sums[..., 2], sums[..., 3])
            return costs.defect_rate * costs.missed * missed + (1 - costs.defect_rate) * costs.false_alarm * alarms

        found["cost"] = Sums(columns, cost)
    kinds = sorted(rows["label"][bad == 1].unique())
    for kind in kinds if len(kinds) > 1 else ():
        own = (rows["label"] == kind).to_numpy(float)
        found[f"sensitivity of {kind}"] = share(own * stopped, own, weight)
    return found
