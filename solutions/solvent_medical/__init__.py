"""Medical images: patients' pictures in; positive, negative or refer out, and what was promised of that."""

from solvent import Solution, later

from .datasets import DATASETS
from .settings import Medical, columns, headline, split

__all__ = ["SOLUTION"]

SOLUTION = Solution(
    name="medical",
    summary="Reads medical images patient by patient: positive, negative or refer, at a promised sensitivity.",
    settings=Medical,
    columns=columns,
    headline=headline,
    split=split,
    notice="research use; not a medical device",
    joins=True,
    near_copies="refusal",
    outside=later("solvent_medical.model:outside"),
    checks=later("solvent_medical.checks:checks"),
    cases=later("solvent_medical.patients:cases"),
    fit=later("solvent_medical.model:fit"),
    scorer=later("solvent_medical.model:scorer"),
    recalibrate=later("solvent_medical.model:recalibrate"),
    rivals={
        "features + logistic regression": later("solvent_medical.rivals:logistic"),
        "prevalence": later("solvent_medical.rivals:prevalence"),
    },
    metrics=later("solvent_medical.measures:metrics"),
    figures=later("solvent_medical.figures:figures"),
    explain=later("solvent_medical.heat:explain"),
    sample=later("solvent_medical.sample:phantoms"),
    datasets=DATASETS,
)
