"""What is measured of patients: how well they are ranked, what the operating point gives, what deferral keeps."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from solvent import Sums, Weighted, labels
from solvent.metrics import Metric, binary, mean, quotient, ratio

from .answers import truth_of
from .decision import NEGATIVE, POSITIVE, REFER
from .settings import Medical

__all__ = ["metrics", "of_diagnoses", "of_question", "over_all"]

Metrics = dict[str, Metric]
RANKING = ("auc", "average_precision", "accuracy", "log_loss", "brier", "ece")
OF_EACH = ("auc", "sensitivity", "specificity", "ppv", "npv", "referred")  # of several findings, one by one


def metrics(settings: Medical, rows: pd.DataFrame, scored: pd.DataFrame) -> Mapping[str, float | Sums | Weighted]:
    """The metrics of patients; of several findings the means over them, and the main ones of each."""
    if not settings.questions:
        return of_diagnoses(rows, scored)
    found = {
        name: of_question(settings, truth, scored, settings.ending(name))
        for name, truth in zip(settings.questions, truth_of(settings, rows).T, strict=True)
    }
    if not settings.findings:
        return found[settings.questions[0]]
    first = next(iter(found.values()))
    return {
        **{metric: _mean_over([each[metric] for each in found.values()], len(rows)) for metric in first},
        **{f"{metric} of {name}": each[metric] for name, each in found.items() for metric in OF_EACH},
    }


def of_question(settings: Medical, truth: np.ndarray, scored: pd.DataFrame, end: str = "") -> Metrics:
    """The metrics of one question over the patients for whom it is known.

    Args:
        truth: 1, 0, or NaN, shape `(patients,)`.
        scored: the declared outputs; those of this question end with `end`.

    Returns:
        `auc`, `average_precision`, `accuracy`, `log_loss`, `brier`, `ece`; `sensitivity`, `specificity`, `ppv`, `npv`
        at the operating point, of all patients, referred ones too; `ppv@RATE`, `npv@RATE`; `referred`;
        `accuracy_answered`, `sensitivity_answered`, `specificity_answered` of those who are not; `set_coverage`, also
        of the ill (`set_coverage_positive`) and of the others.
    """
    known = ~np.isnan(truth)
    ill, own = truth[known], scored[known]
    flagged = own[f"flagged{end}"].to_numpy(np.float64)
    answered = (own[f"decision{end}"] != REFER).to_numpy(np.float64)
    sets = own[f"prediction_set{end}"]
    held = np.array([(POSITIVE if yes else NEGATIVE) in names for yes, names in zip(ill, sets, strict=True)], float)
    well, cleared = 1 - ill, 1 - flagged
    ranking = binary(ill, own[f"probability{end}"].to_numpy(np.float64), flagged)
    found: Metrics = {
        **{name: ranking[name] for name in RANKING},
        "sensitivity": quotient(ill * flagged, ill),
        "specificity": quotient(well * cleared, well),
        "ppv": quotient(ill * flagged, flagged),
        "npv": quotient(well * cleared, cleared),
        "referred": mean(1 - answered),
        "accuracy_answered": quotient((ill == flagged) * answered, answered),
        "sensitivity_answered": quotient(ill * flagged * answered, ill * answered),
        "specificity_answered": quotient(well * cleared * answered, well * answered),
        "set_coverage": mean(held),
        "set_coverage_positive": quotient(held * ill, ill),
        "set_coverage_negative": quotient(held * well, well),
    }
    if (rate := settings.operating_point.prevalence) is not None:
        counts = np.column_stack([ill * flagged, ill, well * cleared, well])
        found |= {f"{name}@{rate:.3g}": Sums(counts, _predictive(name, rate)) for name in ("ppv", "npv")}
    return found if known.all() else {name: over_all(metric, known) for name, metric in found.items()}


def _predictive(name: str, prevalence: float) -> Callable[[np.ndarray], np.ndarray]:
    """The predictive value at another prevalence, from sensitivity and specificity (Bayes' theorem)."""

    def value(sums: np.ndarray) -> np.ndarray:
        sensitivity, specificity = ratio(sums[..., 0], sums[..., 1]), ratio(sums[..., 2], sums[..., 3])
        true, false = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
        if name == "npv":
            true, false = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
        return ratio(true, true + false)

    return value


def over_all(metric: Metric, known: np.ndarray) -> Metric:
    """A metric of some patients as one of all, so that all are resampled together."""
    if isinstance(metric, Sums):
        rows = np.zeros((len(known), metric.rows.shape[1]))
        rows[known] = metric.rows
        return Sums(rows, metric.value)
    if isinstance(metric, Weighted):
        return Weighted(len(known), lambda weights: metric.value(weights[:, known]))
    return metric


def _mean_over(each: Sequence[Metric], rows: int) -> Weighted:
    """The mean over the findings for which a metric is defined."""

    def value(weights: np.ndarray) -> np.ndarray:
        found = np.stack(
            [item.value(weights @ item.rows) if isinstance(item, Sums) else item.value(weights) for item in each]
        )
        defined = ~np.isnan(found)
        return ratio(np.where(defined, found, 0).sum(axis=0), defined.sum(axis=0))

    return Weighted(rows, value)


def of_diagnoses(rows: pd.DataFrame, scored: pd.DataFrame) -> Metrics:
    """Those of `solvent.labels`, and what deferral keeps."""
    answered = (scored["decision"] != REFER).to_numpy(np.float64)
    right = (scored["class"] == rows["label"]).to_numpy(np.float64)
    held = [label in names for label, names in zip(rows["label"], scored["prediction_set"], strict=True)]
    return {
        **labels.measure(rows, scored),
        "referred": mean(1 - answered),
        "accuracy_answered": quotient(right * answered, answered),
        "set_coverage": mean(np.array(held, float)),
    }
