"""Batch scoring: part by part, exact, published in one step, with the rows that can't be scored set aside.

read -> mark repeated ids -> score_part (a pure function) -> Parts (the one writer) -> Destination (the one publisher)
"""

from .run import score

__all__ = ["score"]
