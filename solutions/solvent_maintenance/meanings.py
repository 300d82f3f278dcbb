"""What the metrics of predictive maintenance mean, for the report."""

from solvent.solution import Meaning

__all__ = ["MEANINGS"]

MEANINGS = {
    "rmse": Meaning("root of the mean squared error, in cycles; remaining life counts up to the cap", False),
    "mae": Meaning("mean absolute error, in cycles; remaining life counts up to the cap", False),
    "nasa_score": Meaning("sum over machines of a penalty that grows faster where the estimate is too long", False),
    "rmse_uncapped": Meaning("RMSE against the whole remaining life, which no estimate above the cap can reach", False),
    "nasa_score_uncapped": Meaning("NASA score against the whole remaining life", False),
    "coverage": Meaning("share of machines whose remaining life, up to the cap, lies in the interval", None),
    "width": Meaning("mean width of the intervals, in cycles, up to the cap", False),
    "auc": Meaning("chance that a machine that fails within the horizon is given a higher probability of it", True),
    "brier": Meaning("mean squared error of the probability of a failure within the horizon", False),
    "cost": Meaning(
        "mean cost of a decision: of an alarm, the cycles that the machine would still have run; of none, a missed "
        "failure where it fails within the horizon",
        False,
    ),
    "missed": Meaning("share of the machines that fail within the horizon and raise no alarm", False),
    "false_alarms": Meaning("share of the machines that don't fail within the horizon and raise an alarm", False),
}
