"""From a patient's logits to an answer: calibrated probability, operating point, and the courage to defer.

All of it is fitted on calibrating patients, who chose nothing of the network, and lives in the bundle's facts.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from solvent import Finding, Refused
from solvent.metrics import calibration, conformal, operating_point

from .settings import Medical

__all__ = ["CHOSEN_ON", "NEGATIVE", "POSITIVE", "REFER", "answer", "fit", "refuse_too_few", "too_few", "useless"]

POSITIVE, NEGATIVE, REFER = "positive", "negative", "refer"
CHOSEN_ON = "validation patients, calibrating half"
USELESS = 0.2  # what is kept for a promise has to leave more than this of the others in peace


def fit(settings: Medical, name: str, logit: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Calibration, operating point and limits of the prediction set for one question.

    Args:
        name: what is looked for, for messages.
        logit: of it, one for each patient, shape `(patients,)`.
        truth: 1 or 0, or NaN where it is not known, shape `(patients,)`.

    Raises:
        Refused: if there are too few patients for what is promised.
    """
    # All three come from the same patients. That costs neither promise anything: both go by the order of the patients,
    # which the calibration leaves as it is.
    known = ~np.isnan(truth)
    logit, is_ill = logit[known], truth[known].astype(np.int64)
    if settings.calibration == "platt":
        fitted = calibration.fit_platt(logit, is_ill)
    else:
        fitted = calibration.fit_temperature(_two(logit), is_ill)
    both = _probability(fitted, logit)
    return {
        "calibration": fitted,
        "operating_point": _operating_point(settings, name, is_ill, both[:, 1]),
        "sets": conformal.fit(is_ill, both, settings.deferral.coverage, by_class=True),
    }


def refuse_too_few(settings: Medical, name: str, truth: np.ndarray) -> None:
    """Refuse what can't be promised with so many patients, before anything is trained.

    Args:
        truth: of the calibrating patients, as `fit` takes it.
    """
    known = truth[~np.isnan(truth)]
    _operating_point(settings, name, known.astype(np.int64), np.full(len(known), 0.5))
    ill = int(known.sum())
    fewest, needed = min(ill, len(known) - ill), conformal.rows_for(settings.deferral.coverage)
    if fewest < needed:
        needs = f"{needed} patients with and {needed} without {name}"
        raise too_few(settings, needs, f"{ill} with and {len(known) - ill} without")


def useless(settings: Medical, questions: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """The operating points that keep their promise by giving nearly everybody the same answer.

    Args:
        questions: what `fit` returned, by name.
    """
    flagging = settings.operating_point.specificity is None
    promised, other = ("sensitivity", "specificity") if flagging else ("specificity", "sensitivity")
    for name, facts in questions.items():
        at = facts["operating_point"]
        if at[other] is None or at[other] >= USELESS:
            continue
        them = f"with {name}" if flagging else f"without {name}"
        set_by = at["positives"] if flagging else at["rows"] - at["positives"]
        yield Finding(
            name="useless_operating_point",
            severity="warning",
            message=f"Nearly {'everybody' if flagging else 'nobody'} is flagged for {name}: the operating point that "
            f"{set_by} patients {them} set for a {promised} of {at['target']:g} with {at['confidence']:.0%} confidence "
            f"has a {other} of {at[other]:.2f} on the {CHOSEN_ON}.",
            cure=f"Give more patients {them} or a larger validation part (data.split.fractions): the more set it, the "
            f"less careful it has to be. Or lower settings.operating_point.{promised} or confidence. Or train a better "
            "network.",
            count=set_by,
        )


def too_few(settings: Medical, needs: str, there: str) -> Refused:
    """That the prediction sets need more calibrating patients."""
    return Refused(
        f"settings.deferral.coverage {settings.deferral.coverage:g} needs {needs} among the {CHOSEN_ON}; there are "
        f"{there}. Else every patient would be referred. Lower it, or make the validation part larger: "
        "data.split.fractions."
    )


def answer(facts: Mapping[str, Any], logit: np.ndarray) -> dict[str, Any]:
    """Decide one question for each patient.

    Positive or negative is said only where the prediction set has that one answer and the operating point agrees.

    Args:
        facts: what `fit` returned.
        logit: shape `(patients,)`.

    Returns:
        The declared outputs by name, each of shape `(patients,)`.
    """
    both = _probability(facts["calibration"], logit)
    flagged = both[:, 1] >= facts["operating_point"]["value"]
    # An empty set gets the answer of the operating point: were it referred, to promise more could refer fewer.
    possible = conformal.members(facts["sets"], both, otherwise=flagged.astype(np.int64))
    alone = possible.sum(axis=1) == 1
    words = np.where(flagged, POSITIVE, NEGATIVE).astype(object)
    sets = np.empty(len(both), dtype=object)
    sets[:] = [[word for word, there in zip((NEGATIVE, POSITIVE), row, strict=True) if there] for row in possible]
    return {
        "decision": np.where(alone & (possible[:, 1] == flagged), words, REFER),
        "probability": both[:, 1],
        "flagged": flagged,
        "confidence": np.where(flagged, both[:, 1], both[:, 0]),
        "prediction_set": sets,
    }


def _operating_point(settings: Medical, name: str, truth: np.ndarray, probability: np.ndarray) -> dict[str, Any]:
    wanted = settings.operating_point
    promised, target, rule = "sensitivity", wanted.least_sensitivity, operating_point.for_sensitivity
    if wanted.specificity is not None:
        promised, target, rule = "specificity", wanted.specificity, operating_point.for_specificity
    try:
        return rule(truth, probability, target, wanted.confidence, chosen_on=CHOSEN_ON)
    except Refused as error:
        raise Refused(f"settings.operating_point.{promised}, {name}, {CHOSEN_ON}: {error}") from error


def _probability(fitted: Mapping[str, Any], logit: np.ndarray) -> np.ndarray:
    """Of no and of yes, shape `(patients, 2)`."""
    if fitted["kind"] == "temperature":
        return calibration.apply(fitted, _two(logit))
    yes = calibration.apply(fitted, logit)
    return np.column_stack([1 - yes, yes])


def _two(logit: np.ndarray) -> np.ndarray:
    """A logit as the second of two classes, shape `(patients, 2)`."""
    return np.column_stack([np.zeros(len(logit)), logit])
