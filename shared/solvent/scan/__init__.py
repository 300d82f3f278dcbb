"""What is noticed about the data before training: copies, leaks across the split, columns that tell the target."""

from .scan import refuse, scan

__all__ = ["refuse", "scan"]
