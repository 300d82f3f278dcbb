"""Quality control on a line: photos of parts in; good or bad out, how odd each is, and where, without a defect to learn
from."""

from solvent import Solution, later

from .datasets import DATASETS
from .settings import MEANINGS, Inspection, columns, headline, split

__all__ = ["SOLUTION"]

SOLUTION = Solution(
    name="inspection",
    summary="Tells bad parts from good ones on photos, learnt from good ones alone: score, decision, where it is odd.",
    settings=Inspection,
    columns=columns,
    headline=headline,
    split=split,
    truth=("good",),
    outside=later("solvent_inspection.model:outside"),
    fit=later("solvent_inspection.model:fit"),
    scorer=later("solvent_inspection.model:scorer"),
    recalibrate=later("solvent_inspection.model:recalibrate"),
    rivals={"distance to the mean feature": later("solvent_inspection.rivals:mean_feature")},
    metrics=later("solvent_inspection.outcome:metrics"),
    meanings=MEANINGS,
    figures=later("solvent_inspection.figures:figures"),
    explain=later("solvent_inspection.heat:explain"),
    sample=later("solvent_inspection.sample:parts"),
    datasets=DATASETS,
)
