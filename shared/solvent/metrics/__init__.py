"""Metrics, each a function of rows that can be resampled; their intervals; calibration, prediction sets,
operating points, stability."""

from . import calibration, conformal, operating_point
from .classification import binary, by_class, confusion, multiclass, multilabel
from .curve import Curve
from .inputs import row_weights, rows_as_telling
from .intervals import Estimate, Resampling, compare, draws, estimate, point
from .ranking import hits, ranking
from .regression import regression
from .stability import psi, psi_without_shift
from .sums import Metric, mean, quotient, ratio

__all__ = [
    "Curve",
    "Estimate",
    "Metric",
    "Resampling",
    "binary",
    "by_class",
    "calibration",
    "compare",
    "conformal",
    "confusion",
    "draws",
    "estimate",
    "hits",
    "mean",
    "multiclass",
    "multilabel",
    "operating_point",
    "point",
    "psi",
    "psi_without_shift",
    "quotient",
    "ranking",
    "ratio",
    "regression",
    "row_weights",
    "rows_as_telling",
]
