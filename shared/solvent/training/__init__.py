"""One `fit` for all domains, and what it keeps so that a killed training goes on exactly."""

from ..schedule import Training
from .checkpoint import Store
from .feeding import Rows, arrays
from .fit import Candidate, choose, find_learning_rate, fit, row_weights, stages

__all__ = [
    "Candidate",
    "Rows",
    "Store",
    "Training",
    "arrays",
    "choose",
    "find_learning_rate",
    "fit",
    "row_weights",
    "stages",
]
