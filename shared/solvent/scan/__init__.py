"""What is noticed about the data before training: copies, leakage across the split, columns that give the target away."""

from .scan import refuse, scan

__all__ = ["refuse", "scan"]
