"""Images: photos in; a class (or several labels) with calibrated probabilities out, and where the network looked."""

from solvent import Solution, later

from .datasets import DATASETS
from .settings import Vision, columns, headline, split

__all__ = ["SOLUTION"]

SOLUTION = Solution(
    name="vision",
    summary="Classifies images by transfer learning: classes or several labels, probabilities, heat maps.",
    settings=Vision,
    columns=columns,
    headline=headline,
    split=split,
    outside=later("solvent_vision.model:outside"),
    fit=later("solvent_vision.model:fit"),
    scorer=later("solvent_vision.model:scorer"),
    rivals={"features + logistic regression": later("solvent_vision.rivals:logistic")},
    metrics=later("solvent_vision.answers:metrics"),
    figures=later("solvent_vision.figures:figures"),
    explain=later("solvent_vision.heat:explain"),
    sample=later("solvent_vision.sample:surfaces"),
    datasets=DATASETS,
)
