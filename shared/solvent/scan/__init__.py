"""What is noticed about the data before training: copies, leaks across the split, columns that tell the target."""

from .classes import untaught
from .duplicates import copied_rows
from .scan import refuse, scan

__all__ = ["copied_rows", "refuse", "scan", "untaught"]
