"""The curves that a clinic asks for: what a decision is worth, and what deferral buys. Plain arrays in and out."""

from typing import NamedTuple

import numpy as np

__all__ = ["NetBenefit", "net_benefit", "risk_coverage"]


class NetBenefit(NamedTuple):
    """What decisions are worth at each threshold probability, in true positives for each patient."""

    threshold: np.ndarray
    model: np.ndarray
    all_flagged: np.ndarray


def net_benefit(truth: np.ndarray, probability: np.ndarray, thresholds: np.ndarray) -> NetBenefit:
    """The decision curve: true positives less false ones, those weighed by the odds of the threshold.

    Whoever would examine 10 patients to find one ill one has a threshold of 0.1, so that a needless examination costs a
    ninth of what a found illness is worth. To flag nobody is worth 0.

    Args:
        truth: 1 or 0, shape `(patients,)`.
        probability: shape `(patients,)`.
        thresholds: in (0, 1), shape `(k,)`.

    Source: Vickers and Elkin, Decision Curve Analysis, 2006.
    """
    flagged = probability >= thresholds[:, None]
    odds = thresholds / (1 - thresholds)
    true, false = (flagged * truth).mean(axis=1), (flagged * (1 - truth)).mean(axis=1)
    rate = truth.mean()
    return NetBenefit(thresholds, true - odds * false, rate - odds * (1 - rate))


def risk_coverage(right: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share of wrong answers among the most confident ones, for every number of answers.

    Patients of equal confidence are answered together.

    Args:
        right: whether the answer is right, 1 or 0, shape `(patients,)`.
        confidence: shape `(patients,)`.

    Returns:
        The share of patients that are answered, rising, and the share of wrong answers among them.

    Source: El-Yaniv and Wiener, On the Foundations of Noise-free Selective Classification, 2010.
    """
    order = np.argsort(-confidence, kind="stable")
    last = np.flatnonzero(np.diff(confidence[order], append=np.nan) != 0)
    answered = last + 1
    wrong = np.cumsum(1 - right[order])[last]
    return answered / len(right), wrong / answered
