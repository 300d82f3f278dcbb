"""Where to cut a probability: at or above `value` the decision is 1.

Every rule returns a dict for `facts["operating_point"]`: rule, value, chosen_on, rows, and what the value gave on those
rows. The value lies midway between two scores that were seen, so that rounding does not turn a decision.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..errors import Refused
from .curve import Curve
from .inputs import flags, probabilities, row_weights
from .sums import ratio

__all__ = ["best", "by_cost", "for_answers", "for_precision", "for_sensitivity", "for_specificity", "rows_for"]

_BEST = ("f1", "youden", "accuracy")


def by_cost(
    truth: ArrayLike,
    probability: ArrayLike,
    cost_false_positive: float,
    cost_false_negative: float,
    *,
    weight: ArrayLike | None = None,
    chosen_on: str = "validation",
) -> dict[str, Any]:
    """The value with the least cost on these rows.

    Args:
        truth: 0 or 1, shape `(rows,)`; both must occur.
        probability: of 1, in [0, 1], shape `(rows,)`.
        cost_false_positive: of calling a 0 a 1, in any unit, positive.
        cost_false_negative: of calling a 1 a 0, in the same unit, positive.
        weight: of the rows, shape `(rows,)`, not negative.
        chosen_on: which rows these are, for whoever reads the report.

    Raises:
        Refused: if the rows hold one class only.
        ValueError: if a cost is not positive.
    """
    if not (cost_false_positive > 0 and cost_false_negative > 0):
        raise ValueError(f"Both costs must be positive, got {cost_false_positive} and {cost_false_negative}.")
    cuts = _Cuts(truth, probability, chosen_on, weight).of_both_classes()
    cost = cost_false_positive * cuts.false + cost_false_negative * (cuts.positives - cuts.true)
    cut = int(np.argmin(cost))
    rule = f"least cost: {cost_false_positive:g} a false positive, {cost_false_negative:g} a false negative"
    return cuts.point(cut, rule, cost_per_row=float(cost[cut]) / (cuts.positives + cuts.negatives))


def best(
    truth: ArrayLike,
    probability: ArrayLike,
    metric: str,
    *,
    weight: ArrayLike | None = None,
    chosen_on: str = "validation",
) -> dict[str, Any]:
    """The value at which a metric is largest on these rows.

    Args:
        truth: 0 or 1, shape `(rows,)`; both must occur.
        probability: of 1, in [0, 1], shape `(rows,)`.
        metric: f1, youden (sensitivity + specificity - 1) or accuracy.
        weight: of the rows, shape `(rows,)`, not negative.
        chosen_on: which rows these are, for whoever reads the report.

    Raises:
        Refused: if the rows hold one class only.
        ValueError: if the metric is unknown.
    """
    if metric not in _BEST:
        raise ValueError(f"There is no operating point by {metric!r}. Known: {', '.join(_BEST)}.")
    cuts = _Cuts(truth, probability, chosen_on, weight).of_both_classes()
    values = {
        "f1": 2 * cuts.true / (cuts.true + cuts.false + cuts.positives),
        "youden": cuts.true / cuts.positives - cuts.false / cuts.negatives,
        "accuracy": (cuts.true + cuts.negatives - cuts.false) / (cuts.positives + cuts.negatives),
    }[metric]
    cut = int(np.argmax(values))
    return cuts.point(cut, f"largest {metric}", **{metric: float(values[cut])})


def for_sensitivity(
    truth: ArrayLike,
    probability: ArrayLike,
    target: float,
    confidence: float = 0.95,
    *,
    chosen_on: str = "validation",
) -> dict[str, Any]:
    """The highest value that promises a sensitivity: over draws of such rows, it holds with the given confidence.

    The k-th smallest score of n positives leaves a share of new positives below it that is Beta(k, n - k + 1)
    distributed at most, so k is the largest with P(Binomial(n, 1 - target) >= k) >= confidence. The positives must be
    independent: with several rows a patient, give one row a patient.

    Args:
        truth: 0 or 1, shape `(rows,)`.
        probability: of 1, in [0, 1], shape `(rows,)`.
        target: the least sensitivity, in (0, 1).
        confidence: in (0, 1).

    Raises:
        Refused: if there are too few positives for the promise; says how many it needs.

    Source: Wilks, Determination of Sample Sizes for Setting Tolerance Limits, 1941.
    """
    cuts = _Cuts(truth, probability, chosen_on)
    score = np.sort(cuts.probability[cuts.truth == 1])
    missed = _spared(len(score), target, confidence, "sensitivity", "positives")
    cut = int(np.count_nonzero(cuts.scores >= score[missed - 1]))
    rule = f"sensitivity of at least {target:g} with {confidence:.0%} confidence"
    return cuts.point(cut, rule, target=target, confidence=confidence)


def for_specificity(
    truth: ArrayLike,
    probability: ArrayLike,
    target: float,
    confidence: float = 0.95,
    *,
    chosen_on: str = "validation",
) -> dict[str, Any]:
    """The lowest value that promises a specificity: as `for_sensitivity`, of the negatives.

    Args:
        truth: 0 or 1, shape `(rows,)`.
        probability: of 1, in [0, 1], shape `(rows,)`.
        target: the least specificity, in (0, 1).
        confidence: in (0, 1).

    Raises:
        Refused: if there are too few negatives for the promise; says how many it needs.
    """
    cuts = _Cuts(truth, probability, chosen_on)
    score = np.sort(cuts.probability[cuts.truth == 0])
    missed = _spared(len(score), target, confidence, "specificity", "negatives")
    cut = int(np.count_nonzero(cuts.scores > score[len(score) - missed]))
    rule = f"specificity of at least {target:g} with {confidence:.0%} confidence"
    return cuts.point(cut, rule, target=target, confidence=confidence)


def for_precision(
    truth: ArrayLike, probability: ArrayLike, target: float, *, chosen_on: str = "validation"
) -> dict[str, Any]:
    """The lowest value whose precision on these rows reaches the target. It promises nothing about new rows.

    Args:
        truth: 0 or 1, shape `(rows,)`; both must occur.
        probability: of 1, in [0, 1], shape `(rows,)`.
        target: in (0, 1).

    Raises:
        Refused: if no value reaches it, or the rows hold one class only.
    """
    _check_share("target", target)
    cuts = _Cuts(truth, probability, chosen_on).of_both_classes()
    precision = ratio(cuts.true, cuts.true + cuts.false)
    reached = np.flatnonzero(precision >= target)
    if not len(reached):
        raise Refused(
            f"No operating point has a precision of {target:g} on these {cuts.rows} rows: the best is "
            f"{np.nanmax(precision):.3f}. Lower the target, or improve the model."
        )
    cut = int(reached[-1])
    return cuts.point(
        cut, f"precision of at least {target:g} on these rows", target=target, precision=float(precision[cut])
    )


def for_answers(
    right: ArrayLike,
    confidence: ArrayLike,
    target: float,
    certainty: float = 0.95,
    *,
    chosen_on: str = "validation",
) -> dict[str, Any] | None:
    """The lowest confidence from which on answers are right as often as promised: under it a model should abstain.

    It is looked for by halving, and each of the looks may err with an equal share of 1 - `certainty`, so that over
    draws of such rows the promise holds with that certainty. Rows count one each and must be independent: of users with
    many rows it promises too much. It takes for granted that surer answers are no less often right.

    Args:
        right: whether each answer is right, 0 or 1, shape `(rows,)`.
        confidence: in each answer, in [0, 1], shape `(rows,)`.
        target: the least share of right answers among those that are given, in (0, 1).
        certainty: in (0, 1).

    Returns:
        `value`, and the share `answered` of these rows and how many of those are `right`; None if no confidence keeps
        the promise.

    Source: Geifman and El-Yaniv, Selective Classification for Deep Neural Networks, 2017 (selection with guaranteed
        risk).
    """
    from scipy.stats import beta

    _check_share("target", target)
    _check_share("certainty", certainty)
    right = flags("right", right)
    rows = len(right)
    confidence = probabilities("confidence", confidence, rows)
    scores = np.unique(confidence)[::-1]  # cut j answers the rows whose confidence is one of the j + 1 highest
    answered = np.searchsorted(np.sort(-confidence), -scores, side="right")
    wrong = np.cumsum(1 - right[np.argsort(-confidence, kind="stable")])[answered - 1]
    looks = _looks(len(scores))
    # Fewer answers could not promise it, were they all right.
    low, high, kept = int(np.searchsorted(answered, _flawless(target, certainty, looks))), len(scores) - 1, None
    while low <= high:
        cut = (low + high + 1) // 2
        # Clopper and Pearson's upper bound of the share of wrong answers
        bound = beta.ppf(1 - (1 - certainty) / looks, wrong[cut] + 1, max(answered[cut] - wrong[cut], 1e-12))
        if bound <= 1 - target:
            kept, low = cut, cut + 1
        else:
            high = cut - 1
    if kept is None:
        return None
    below = scores[kept + 1] if kept + 1 < len(scores) else 0.0
    middle = float((scores[kept] + below) / 2)
    return {
        "rule": f"at least {target:g} of the answers are right, with {certainty:.0%} confidence",
        "value": middle if middle > below else float(scores[kept]),
        "chosen_on": chosen_on,
        "rows": rows,
        "target": target,
        "answered": float(answered[kept] / rows),
        "right": float(1 - wrong[kept] / answered[kept]),
    }


def rows_for(target: float, certainty: float = 0.95) -> int:
    """How many rows `for_answers` needs at least to promise the target, if all are answered rightly and none as
    confidently as another."""
    rows = 1
    while rows < (needed := _flawless(target, certainty, _looks(rows))):
        rows = needed
    return rows


def _looks(cuts: int) -> int:
    """How often halving may look at one of so many cuts, at most."""
    return max(1, int(np.ceil(np.log2(cuts + 1))))


def _flawless(target: float, certainty: float, looks: int) -> int:
    """How many answers, all of them right, promise the target in one of so many looks."""
    return int(np.ceil(np.log((1 - certainty) / looks) / np.log(target)))


class _Cuts:
    """Every way to cut the rows: cut j calls the j highest distinct scores positive.

    Attributes:
        true: true positives of every cut, shape `(cuts,)`.
        false: false positives of every cut, shape `(cuts,)`.
    """

    def __init__(
        self, truth: ArrayLike, probability: ArrayLike, chosen_on: str, weight: ArrayLike | None = None
    ) -> None:
        self.truth = flags("truth", truth)
        self.rows = len(self.truth)
        self.probability = probabilities("probability", probability, self.rows)
        self.chosen_on = chosen_on
        curve = Curve(self.truth, self.probability, row_weights(weight, self.rows))
        self.scores = curve.scores
        true, false = curve.counts(np.ones((1, self.rows)))
        self.true, self.false = true[0], false[0]
        self.positives, self.negatives = float(self.true[-1]), float(self.false[-1])

    def of_both_classes(self) -> _Cuts:
        if not self.positives or not self.negatives:
            raise Refused(
                f"An operating point needs rows of both classes; these {self.rows} hold {self.positives:g} positives "
                f"and {self.negatives:g} negatives. Make the validation part larger, or split it by the target."
            )
        return self

    def value(self, cut: int) -> float:
        """The value between the lowest score that is called positive and the highest that is not."""
        top = 1.0 if self.scores[0] < 1 else 2.0  # above every score, so that nothing is called positive
        above, below = np.append(top, self.scores)[cut], np.append(self.scores, 0.0)[cut]
        middle = (above + below) / 2
        return float(middle if middle > below else above)

    def point(self, cut: int, rule: str, **more: float) -> dict[str, Any]:
        return {
            "rule": rule,
            "value": self.value(cut),
            "chosen_on": self.chosen_on,
            "rows": self.rows,
            "positives": int(self.truth.sum()),
            "sensitivity": float(self.true[cut] / self.positives) if self.positives else None,
            "specificity": float(1 - self.false[cut] / self.negatives) if self.negatives else None,
            **more,
        }


def _spared(rows: int, target: float, confidence: float, promise: str, kind: str) -> int:
    """Which of the rows, counted from the wrong end, the cut may lie at: 1 is the outermost.

    Raises:
        Refused: if even the outermost does not give the confidence.
    """
    from scipy.stats import binom

    _check_share("target", target)
    _check_share("confidence", confidence)
    needed = int(np.ceil(np.log(1 - confidence) / np.log(target)))
    if rows < needed:
        most = np.floor(1000 * (1 - confidence) ** (1 / rows)) / 1000 if rows else 0
        raise Refused(
            f"A {promise} of {target:g} with {confidence:.0%} confidence needs {needed} {kind}; here are {rows}"
            f"{f', enough for {most:g} at most' if most else ''}. Give more rows, make the validation part larger "
            f"(data.split.fractions), lower {promise} or confidence, or choose another rule."
        )
    candidates = np.arange(1, rows + 1)
    return int(candidates[binom.sf(candidates - 1, rows, 1 - target) >= confidence].max(initial=1))


def _check_share(name: str, share: float) -> None:
    if not 0 < share < 1:
        raise ValueError(f"{name} is {share}: expected a number between 0 and 1.")
