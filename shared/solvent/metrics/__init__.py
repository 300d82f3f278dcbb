"""Metrics, each a function of rows that can be resampled; their intervals; calibration and operating points."""

from . import calibration, operating_point
from .classification import binary, confusion, multiclass
from .intervals import Estimate, Resampling, compare, draws, estimate, point
from .regression import regression
from .sums import Metric, mean, quotient, ratio

__all__ = [
    "Estimate",
    "Metric",
    "Resampling",
    "binary",
    "calibration",
    "compare",
    "confusion",
    "draws",
    "estimate",
    "mean",
    "multiclass",
    "operating_point",
    "point",
    "quotient",
    "ratio",
    "regression",
]
