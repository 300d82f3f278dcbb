"""The verdict: whether the model is worth it beside the baseline, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .metric_names import metric_label
from .wording import MINUS, count, estimate, finite, interval, number, shorten, signed

__all__ = ["Verdict", "headline_sentence", "set_aside", "tested", "verdict"]


def headline_sentence(bundle: Mapping[str, Any]) -> str:
    """The headline on the test rows with its interval, beside the baseline's, in one line."""
    test, metric = bundle["test"], bundle["goal"]["metric"]
    if not test:
        return (
            f"No test part: nothing is measured on unseen rows; {metric_label(metric)} "
            f"{number(bundle['valid'])} on the validation rows, which also chose."
        )

    def told(found: Mapping[str, Any] | None) -> str:
        return estimate(found) + (f" (95 % interval {interval(found)})" if interval(found) else " (no interval)")

    ours = f"{metric_label(metric)} {told(test['metrics'][metric])} on {tested(bundle)}"
    baseline = test["baseline"]
    theirs = f"baseline {shorten(baseline['name'])} {told(baseline.get(metric))}" if baseline else "no baseline"
    return f"{ours}; {theirs}. {set_aside(bundle)}".strip()


def tested(bundle: Mapping[str, Any]) -> str:
    """How many cases were measured, as rows or by what each of them is: `29 test patients`."""
    return f"{count(bundle['test']['rows'])} test {bundle['test'].get('unit', 'row')}s"


def set_aside(bundle: Mapping[str, Any]) -> str:
    """How many test rows are not among the measured ones; empty where all are."""
    rows = bundle["test"]["set_aside"] if bundle["test"] else 0
    if not rows:
        return ""
    noun, verb = ("row", "is") if rows == 1 else ("rows", "are")
    return f"{count(rows)} {noun} could not be read or scored and {verb} not among them."


@dataclass(frozen=True)
class Verdict:
    """Whether the model is worth it beside the baseline.

    Args:
        kind: `better`, `unproven` (the interval holds zero), `worse`, or `unknown`.
        label: two or three words.
        sentence: one plain sentence, with its numbers.
    """

    kind: Literal["better", "unproven", "worse", "unknown"]
    label: str
    sentence: str


def verdict(bundle: Mapping[str, Any]) -> Verdict:
    """Read the paired difference to the baseline on the test rows, in the direction of the goal."""
    ours = "network" if bundle["parameters"] else "model"
    test = bundle["test"]
    if not test:
        return Verdict(
            "unknown",
            "Not measured",
            "There was no test part: nothing here is measured on unseen rows, "
            f"so whether the {ours} is worth it is open.",
        )
    baseline = (test["baseline"] or {}).get("name")
    if baseline is None:
        return Verdict(
            "unknown",
            "No baseline",
            f"No simpler model was run beside it, so whether the {ours} is worth its cost is open.",
        )
    metric, higher = metric_label(test["headline"]), bundle["goal"]["higher"]
    difference = bundle["rivals"][baseline]["difference"] or {}
    value, low, high = (finite(difference.get(key)) for key in ("value", "low", "high"))
    name = shorten(baseline)
    if value is None or low is None or high is None:
        seen = "" if value is None else f" (the difference in {metric} is {signed(difference)})"
        return Verdict(
            "unknown",
            "Not decided",
            f"No interval can be given for the difference to {name}{seen}, so whether the {ours} is worth it is open.",
        )
    span = interval(difference, difference=True)
    better, worse = (low > 0, high < 0) if higher else (high < 0, low > 0)
    if better or worse:
        direction = "higher" if value > 0 else "lower"
        size = signed(difference).lstrip("+" + MINUS)
        shown = f"the whole 95 % interval of the paired difference ({span})"
        if better:
            return Verdict(
                "better",
                "Worth it",
                f"Yes, the {ours} is worth it: on unseen rows its {metric} is {size} {direction} (better) than that of "
                f"{name}, and {shown} lies on the better side of zero.",
            )
        return Verdict(
            "worse",
            "Not worth it",
            f"No, the {ours} is not worth it: on unseen rows its {metric} is {size} {direction} (worse) than that of "
            f"{name}, and {shown} lies on the worse side of zero; use {name}.",
        )
    return Verdict(
        "unproven",
        "Not shown to be better",
        f"The {ours} is not shown to be better than {name}: the 95 % interval of the paired difference in {metric} "
        f"({span}) contains zero; prefer the simpler of the two, unless the other gives something that you need.",
    )
