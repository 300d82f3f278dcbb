"""How the metrics of the suite are called, what they mean, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .wording import humane, shorten

__all__ = ["OF_A_CLASS", "metric_label", "metric_meaning", "metric_rises", "of_class"]

# name: (label, meaning, whether higher is better). A domain says what its own mean (`Solution.meanings`).
_METRICS: dict[str, tuple[str, str, bool | None]] = {
    "auc": ("AUC", "chance that a positive row is ranked above a negative one; 0.5 is guessing", True),
    "average_precision": ("Average precision", "area under precision and recall; guessing gives the base rate", True),
    "accuracy": ("Accuracy", "share of rows decided rightly", True),
    "precision": ("Precision", "share of the flagged rows that are truly positive", True),
    "recall": ("Recall", "share of the positive rows that are flagged", True),
    "f1": ("F1", "harmonic mean of precision and recall", True),
    "sensitivity": ("Sensitivity", "share of the positive cases that the operating point flags", True),
    "specificity": ("Specificity", "share of the negative cases that it does not flag", True),
    "ppv": ("PPV", "share of the flagged cases that are positive; @ a rate, where so many are", True),
    "npv": ("NPV", "share of the cases not flagged that are negative; @ a rate, where so many are positive", True),
    "referred": ("Referred", "share of the cases that are left to people", None),
    "accuracy_answered": ("Accuracy, answered", "share decided rightly of the cases that are not referred", True),
    "sensitivity_answered": ("Sensitivity, answered", "of the positive cases that are not referred", True),
    "specificity_answered": ("Specificity, answered", "of the negative cases that are not referred", True),
    "set_coverage": ("Coverage of the sets", "share of the prediction sets that hold the truth", None),
    "set_coverage_positive": ("Coverage, positive", "share of the positive cases whose set holds the truth", None),
    "set_coverage_negative": ("Coverage, negative", "share of the negative cases whose set holds the truth", None),
    "log_loss": ("Log loss", "surprise of the probabilities, in nats", False),
    "brier": ("Brier score", "mean squared error of the probabilities", False),
    "ece": (
        "Calibration error",
        "gap between stated and observed rates; on few rows its interval leans upwards",
        False,
    ),
    "gini": ("Gini", "2 × AUC − 1", True),
    "ks": ("KS", "largest distance between the score distributions of the two classes", True),
    "profit": ("Profit", "what the decisions brought, for each row", True),
    "portfolio_profit": (
        "Portfolio profit",
        "what the best rows by expected profit brought within the budget, for each row that was asked for",
        True,
    ),
    "rmse": ("RMSE", "root of the mean squared error, in units of the target", False),
    "mae": ("MAE", "mean absolute error, in units of the target", False),
    "r2": ("R²", "share of the target's variance that is explained", True),
    "ndcg": ("NDCG", "ranking quality, discounted by position", True),
    "map": ("MAP", "mean average precision of the rankings", True),
    "mrr": ("MRR", "mean of 1 / rank of the first hit", True),
    "bleu": ("BLEU", "n-gram overlap with the reference, 0 to 100", True),
    "chrf": ("chrF", "character n-gram overlap with the reference, 0 to 100", True),
    "ter": ("TER", "edits needed to reach the reference", False),
    "rouge_1": ("ROUGE-1", "words in common with the reference", True),
    "rouge_2": ("ROUGE-2", "pairs of words in common with the reference", True),
    "rouge_l": ("ROUGE-L", "longest common subsequence with the reference", True),
    "perplexity": ("Perplexity", "effective number of choices for each token", False),
}

# Of one class: what {} stands for is its name. These have a table of their own.
OF_A_CLASS = {
    "precision": "share of the rows that we name {} that are",
    "recall": "share of the rows that are {} that we name so",
    "f1": "harmonic mean of the precision and the recall of {}",
    "average_precision": "area under the precision and recall of {}; guessing gives its share of the rows",
}
_OVER_CLASSES = ("auc", "average_precision", "precision", "recall", "f1")
_OVER_SEVERAL_AT_ONCE = (*_OVER_CLASSES, "log_loss", "brier", "ece")


_NONE: Mapping[str, Mapping[str, Any]] = {}


def of_class(name: str) -> tuple[str, str] | None:
    """The metric and the class of `f1 of NAME`; None where a name has no such form."""
    metric, _, level = name.partition(" of ")
    return (metric, level) if level and metric in _METRICS else None


def metric_label(name: str) -> str:
    """How a metric is written: `auc` -> `AUC`, `ndcg@10` -> `NDCG@10`, `f1 of my_class` -> `F1 of my_class`."""
    if found := of_class(name):
        return f"{_METRICS[found[0]][0]} of {shorten(found[1])}"
    base, at, depth = name.partition("@")
    return (_METRICS[base][0] if base in _METRICS else humane(base)) + at + depth


def metric_meaning(
    name: str, own: Mapping[str, Mapping[str, Any]] = _NONE, *, means: bool = False, several: bool = False
) -> str:
    """What a metric means, in a few words; empty where nobody says.

    Args:
        own: what the solution says of its metrics; it goes before what the suite says.
        means: metrics of yes or no are means over the target's classes.
        several: a row may have several of them.
    """
    if found := of_class(name):
        if found[0] in OF_A_CLASS:
            return OF_A_CLASS[found[0]].format(shorten(found[1]))
        return f"{metric_meaning(found[0], own)}; of {shorten(found[1])} alone"
    base = name.partition("@")[0]
    if base in own:
        return str(own[base]["text"])
    if base not in _METRICS:
        return ""
    if several and base == "accuracy":
        return "share of rows with exactly the right classes"
    over = means and base in (_OVER_SEVERAL_AT_ONCE if several else _OVER_CLASSES)
    return ("mean over classes: " if over else "") + _METRICS[base][1]


def metric_rises(name: str, goal: Mapping[str, Any], own: Mapping[str, Mapping[str, Any]] = _NONE) -> bool | None:
    """Whether higher is better; None where neither is, or it is not known.

    Args:
        own: what the solution says of its metrics.
    """
    if goal["metric"] == name:
        return bool(goal["higher"])
    found = of_class(name)
    base = found[0] if found else name.partition("@")[0]
    if not found and base in own:
        higher: bool | None = own[base]["higher"]
        return higher
    return _METRICS[base][2] if base in _METRICS else None
