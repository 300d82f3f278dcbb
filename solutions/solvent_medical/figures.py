"""What the report shows of patients: what deferral buys, what decisions are worth, groups, and where it looked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from solvent import Figure, Fitted
from solvent.metrics import calibration
from solvent.report import curves as report_curves
from solvent.report import drawing
from solvent.wording import listed

from . import subgroups
from .answers import truth_of
from .curves import net_benefit, risk_coverage
from .decision import REFER
from .group_figures import forests, tables
from .photos import augmented, made_images, photos
from .settings import Medical

__all__ = ["figures"]

MOST_FINDINGS = 4  # whose curves are drawn one by one
MOST_LINES = 6


@dataclass(frozen=True)
class Asked:
    """One question and how the test patients for whom it is known were answered.

    Args:
        title: what to put behind a figure's title; nothing where there is one question.
        end: what the outputs of this question end with.
        truth: 1, 0 or NaN, shape `(patients,)`.
    """

    name: str
    title: str
    end: str
    truth: np.ndarray
    scored: pd.DataFrame

    @property
    def known(self) -> np.ndarray:
        return ~np.isnan(self.truth)

    def floats(self, column: str) -> np.ndarray:
        """An output of this question, of the patients for whom it is known."""
        return self.scored.loc[self.known, column + self.end].to_numpy(np.float64)


def figures(settings: Medical, fitted: Fitted, rows: pd.DataFrame, scored: pd.DataFrame) -> Iterator[Figure]:
    """Curves and groups of each question; the images of telling patients with their heat maps."""
    asked = [
        Asked(name, f": {name}" if settings.findings else "", settings.ending(name), truth, scored)
        for name, truth in zip(
            settings.questions, truth_of(settings, rows).T if settings.questions else (), strict=True
        )
    ]
    found = {each.name: list(subgroups.of_question(settings, each.truth, rows, scored, each.end)) for each in asked}
    if settings.findings:
        yield from _of_all_findings(asked)
        yield from tables(found, drawn=[each.name for each in asked[:MOST_FINDINGS]])
    for each in asked[:MOST_FINDINGS]:
        point = fitted.facts["questions"][each.name]["operating_point"]
        yield _decision_curve(each, point)
        yield _deferral(each.title, *_answered(each), settings.deferral.coverage)
        yield from forests(each.title, found[each.name])
    if not asked:
        right = (scored["class"] == rows["label"]).to_numpy(np.float64)
        referred = (scored["decision"] == REFER).to_numpy()
        yield _deferral("", right, scored["confidence"].to_numpy(np.float64), referred, settings.deferral.coverage)
        yield from forests("", list(subgroups.of_diagnoses(rows, scored)))
    yield from photos(settings, fitted, rows, scored)
    if settings.trained_on_views:
        yield augmented(settings, fitted, rows)
    yield from made_images(fitted)


def _answered(asked: Asked) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    right = asked.floats("flagged") == asked.truth[asked.known]
    referred = (asked.scored.loc[asked.known, f"decision{asked.end}"] == REFER).to_numpy()
    return right.astype(np.float64), asked.floats("confidence"), referred


def _decision_curve(asked: Asked, point: Mapping[str, Any]) -> Figure:
    value = point["value"]
    truth, probability = asked.truth[asked.known], asked.floats("probability")
    found = net_benefit(truth, probability, np.linspace(0.01, 0.8, 80))

    def draw(axes: Any) -> None:
        axes.axhline(0, color=drawing.FAINT, linewidth=1, label="flag nobody")
        axes.plot(found.threshold, found.all_flagged, color=drawing.BASELINE, linestyle=(0, (5, 2)), label="flag all")
        axes.plot(found.threshold, found.model, color=drawing.OURS, label="ours")
        if value < 0.8:
            axes.axvline(value, color=drawing.INK, linewidth=1, linestyle=(0, (2, 2)), label="operating point")
        top = max(float(found.model.max()), float(truth.mean()))
        axes.set(xlabel="threshold probability", ylabel="net benefit", ylim=(-0.2 * top, 1.1 * top))
        axes.legend(loc="upper right")

    return Figure(
        title=f"Decision curve{asked.title}",
        caption="What it is worth to flag by the model, in true positives a patient; of "
        f"{len(truth):,} test patients. Whoever would examine 10 patients to find an ill one reads at 0.1. It "
        f"holds for the share of ill patients in this study, {truth.mean():.0%}. The operating point is {value:.3g} "
        f"({point['rule']}; {point['chosen_on']}).",
        draw=draw,
        width=4.6,
        height=3.6,
    )


def _deferral(title: str, right: np.ndarray, confidence: np.ndarray, referred: np.ndarray, coverage: float) -> Figure:
    answered, wrong = risk_coverage(right, confidence)

    def draw(axes: Any) -> None:
        axes.plot(answered, wrong, color=drawing.OURS, label="the most confident first")
        if not referred.all():
            at, risk = 1 - referred.mean(), 1 - right[~referred].mean()
            axes.plot(at, risk, "o", color=drawing.OURS, markersize=7, label="answered here")
        axes.set(xlabel="share of patients that are answered", ylabel="wrong among them", xlim=(0, 1.02))
        axes.set_ylim(0, max(0.02, 1.15 * float(wrong.max())))
        axes.legend(loc="upper left")

    kept = f"{1 - right[~referred].mean():.1%} of the others are answered wrongly" if not referred.all() else "all are"
    return Figure(
        title=f"What deferral buys{title}",
        caption=f"{len(right):,} test patients. With sets that promise to hold the truth for {coverage:.0%}, "
        f"{referred.mean():.1%} are referred, and {kept}; without deferral it is {1 - right.mean():.1%}. The curve "
        "refers the least confident ones instead.",
        draw=draw,
        width=4.6,
        height=3.6,
    )


def _of_all_findings(asked: list[Asked]) -> Iterator[Figure]:
    """ROC, precision and recall, and calibration of the first findings; one question has these in the report anyway."""
    colours = [f"C{number}" for number in range(MOST_LINES)]
    shown = [each for each in asked if 0 < each.truth[each.known].mean() < 1][:MOST_LINES]

    def lines(curve: Any, across: str, up: str) -> Any:
        def draw(axes: Any) -> None:
            for each, colour in zip(shown, colours, strict=False):
                truth = each.truth[each.known]
                axes.plot(*curve(truth, each.floats("probability"), np.ones(len(truth))), color=colour, label=each.name)
            axes.set(xlabel=across, ylabel=up, xlim=(-0.015, 1.015), ylim=(-0.015, 1.03))
            axes.legend(loc="best")

        return draw

    def reliable(truth: np.ndarray, probability: np.ndarray, _: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = calibration.reliability(truth, probability)
        return found.mean_predicted, found.observed

    others = [each.name for each in asked if each not in shown]
    caption = f"Test patients for whom the finding is known; {len(shown)} of {len(asked)} findings." + (
        f" Not drawn: {listed(others)}; their numbers are among the metrics." if others else ""
    )
    for title, curve, across, up in (
        ("ROC curves", report_curves.roc, "false positive rate", "sensitivity"),
        ("Precision and recall", report_curves.precision_recall, "sensitivity", "precision"),
        ("Calibration", reliable, "stated probability", "observed rate"),
    ):
        yield Figure(title=title, caption=caption, draw=lines(curve, across, up), width=4.6, height=3.6)
