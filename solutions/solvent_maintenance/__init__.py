"""Predictive maintenance: machines' sensor series in; remaining useful life with intervals, and alarms out."""

from solvent import Solution, later

from .datasets import DATASETS
from .meanings import MEANINGS
from .settings import Maintenance, columns, headline, split

__all__ = ["SOLUTION"]

SOLUTION = Solution(
    name="maintenance",
    summary="Reads machines' sensor series: remaining useful life with intervals, failure within a horizon, alarms.",
    settings=Maintenance,
    columns=columns,
    headline=headline,
    split=split,
    truth=("cap",),
    checks=later("solvent_maintenance.lives:checks"),
    cases=later("solvent_maintenance.lives:cases"),
    fit=later("solvent_maintenance.model:fit"),
    scorer=later("solvent_maintenance.model:scorer"),
    rivals={
        "constant mean": later("solvent_maintenance.rivals:mean"),
        "gradient boosting on window statistics": later("solvent_maintenance.rivals:boosting"),
    },
    metrics=later("solvent_maintenance.measures:metrics"),
    meanings=MEANINGS,
    figures=later("solvent_maintenance.figures:figures"),
    explain=later("solvent_maintenance.why:explain"),
    sample=later("solvent_maintenance.sample:machines"),
    datasets=DATASETS,
)
