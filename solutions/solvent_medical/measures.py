"""What is measured of patients: how well they are ranked, what the operating point gives, what deferral keeps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from solvent import Sums, Weighted, labels
from solvent.metrics import Metric, binary, ratio, share

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
        name: of_question(truth, scored, settings.ending(name), settings.prevalence(name))
        for name, truth in zip(settings.questions, truth_of(settings, rows).T, strict=True)
    }
    if not settings.findings:
        return found[settings.questions[0]]
    shared = [metric for metric in next(iter(found.values())) if "@" not in metric]
    return {
        **{metric: _mean_over([each[metric] for each in found.values()], len(rows)) for metric in shared},
        **{
            f"{metric} of {name}": value
            for name, each in found.items()
            for metric, value in each.items()
            if metric in OF_EACH or "@" in metric
        },
    }


def of_question(truth: np.ndarray, scored: pd.DataFrame, end: str = "", prevalence: float | None = None) -> Metrics:
    """The metrics of one question over the patients for whom it is known.

    Args:
        truth: 1, 0, or NaN, shape `(patients,)`.
        scored: the declared outputs; those of this question end with `end`.
        prevalence: where the model will be used.

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
        "sensitivity": share(ill * flagged, ill),
        "specificity": share(well * cleared, well),
        "ppv": share(ill * flagged, flagged),
        "npv": share(well * cleared, cleared),
        "referred": share(1 - answered, np.ones(len(answered))),
        "accuracy_answered": share((ill == flagged) * answered, answered),
        "sensitivity_answered": share(ill * flagged * answered, ill * answered),
        "specificity_answered": share(well * cleared * answered, well * answered),
        "set_coverage": share(held, np.ones(len(held))),
        "set_coverage_positive": share(held * ill, ill),
        "set_coverage_negative": share(held * well, well),
    }
    if prevalence is not None:
        counts = np.column_stack([ill * flagged, ill, well * cleared, well])
        shares = ((0, 1), (2, 3))  # sensitivity and specificity
        found |= {
            f"{name}@{prevalence:.3g}": Sums(counts, _predictive(name, prevalence), shares) for name in ("ppv", "npv")
        }
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

    def spread(rows: np.ndarray) -> np.ndarray:
        found = np.zeros((len(known), rows.shape[1]))
        found[known] = rows
        return found

    if isinstance(metric, Sums):
        return replace(metric, rows=spread(metric.rows))
    if isinstance(metric, Weighted):
        orders = tuple(map(spread, metric.orders))
        return replace(metric, rows=len(known), value=lambda weights: metric.value(weights[:, known]), orders=orders)
    return metric


def _mean_over(each: Sequence[Metric], rows: int) -> Metric:
    """The mean over the findings for which a metric is defined."""

    def mean_of_defined(found: list[np.ndarray]) -> np.ndarray:
        values = np.stack(found)
        defined = ~np.isnan(values)
        return ratio(np.where(defined, values, 0).sum(axis=0), defined.sum(axis=0))

    sums = [item for item in each if isinstance(item, Sums)]
    if len(sums) < len(each):
        weighted = [item for item in each if isinstance(item, Weighted)]
        return Weighted(
            rows,
            lambda weights: mean_of_defined([item.value(weights) for item in weighted]),
            tuple(pair for item in weighted for pair in item.orders),
        )
    starts = np.cumsum([0, *(item.rows.shape[1] for item in sums)]).tolist()
    parts = list(zip(sums, starts[:-1], starts[1:], strict=True))
    return Sums(
        np.hstack([item.rows for item in sums]),
        lambda found: mean_of_defined([item.value(found[..., start:end]) for item, start, end in parts]),
        shares=tuple((start + counted, start + of) for item, start, _ in parts for counted, of in item.shares),
    )


def of_diagnoses(rows: pd.DataFrame, scored: pd.DataFrame) -> Metrics:
    """Those of `solvent.labels`, and what deferral keeps."""
    answered = (scored["decision"] != REFER).to_numpy(np.float64)
    right = (scored["class"] == rows["label"]).to_numpy(np.float64)
    held = [label in names for label, names in zip(rows["label"], scored["prediction_set"], strict=True)]
    return {
        **labels.measure(rows, scored),
        "referred": share(1 - answered, np.ones(len(answered))),
        "accuracy_answered": share(right * answered, answered),
        "set_coverage": share(np.array(held, float), np.ones(len(held))),
    }
