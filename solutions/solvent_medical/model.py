"""Fit a network to patients' images, calibrate it by patient; score patients with it."""

from dataclasses import replace

import numpy as np
import pandas as pd

from solvent import Data, Fitted, finetune, imaging
from solvent.schema import Schema
from solvent.solution import JSON, Score
from solvent.split import halves

from . import decision, identifying, made, patients
from .answers import answers, task
from .settings import Medical

__all__ = ["fit", "outside", "recalibrate", "scorer"]

PATIENT = "patient: another image of the same patient was set aside"


def outside(settings: Medical) -> dict[str, str]:
    """The hash of the backbone's weights, which have to be had, and to fit."""
    return imaging.outside(settings)


def fit(settings: Medical, data: Data) -> Fitted:
    """One half of the validation patients chooses, the other calibrates and sets what is promised."""
    choosing, rest = halves(data.valid, data.schema, data.seed)
    asked = answers(settings, data.schema.targets[0].levels or ())
    calibrating = patients.cases(settings, rest)
    asked.refuse_too_few(calibrating)
    learnt = task(settings, asked, data.train, choosing, data.schema, data.seed)
    network = finetune.learn(settings, learnt, data)
    models, tried, files = {}, [], {}
    if settings.synthetic is not None:
        network, choice, sheet = made.tried(settings, learnt, network, data)
        tried, files = [choice], {made.SHEET: sheet}
    for number in range(2, settings.members + 1):
        inner = replace(data, seed=data.seed + number - 1, work=data.work / f"member-{number}")
        other = finetune.learn(settings, learnt, inner)
        models[f"member-{number}"] = other.model
        tried += [{**choice, "what": f"member {number}: {choice['what']}"} for choice in other.choices]
    facts = imaging.facts(settings, data, network.choices, asked.meaning)
    facts["choices"] = [*facts["choices"], *tried]
    facts["meaning"] = dict.fromkeys(("model", *models), facts["meaning"]["model"])
    fitted = Fitted(models={"model": network.model, **models}, facts=facts, batch_rows=finetune.BATCH_ROWS)
    valid = patients.cases(settings, data.valid)
    logits = _of_patients(settings, fitted, valid)
    facts |= asked.fit(calibrating, logits[valid.index.get_indexer(calibrating.index)])
    return replace(
        fitted,
        facts=facts,
        valid=asked.answer(facts, logits).set_axis(valid.index),
        files=files,
        findings=tuple(decision.useless(settings, facts.get("questions", {}))),
        personal=frozenset({"report.html", *files}),  # patients' images, and what may come close to one
    )


def recalibrate(settings: Medical, fitted: Fitted, schema: Schema, valid: pd.DataFrame) -> dict[str, JSON]:
    """Calibration, operating point and prediction sets by the patients that set them in `fit`, for another network."""
    _, rest = halves(valid, schema, fitted.facts["seed"])
    calibrating = patients.cases(settings, rest)
    asked = answers(settings, fitted.facts.get("classes", ()))
    return asked.fit(calibrating, _of_patients(settings, fitted, calibrating))


def _of_patients(settings: Medical, fitted: Fitted, cases: pd.DataFrame) -> np.ndarray:
    """Logits by the way that scoring takes, shape `(patients, outputs)`: what is promised is promised of the scores.

    Cached features would not do: they may be of half the precision.
    """
    cells, patient, _ = patients.images_of(cases)
    found, _ = imaging.logits(settings, fitted, cells, settings.deferral.views)
    return patients.combined(settings, found.mean(axis=0), patient)


def scorer(settings: Medical, fitted: Fitted) -> Score:
    """Score checked rows, images or cases: all rows of a patient get the one score of that patient.

    An image that can't be read, or whose file still identifies people, fails its patient: what is left is another
    examination.
    """
    asked = answers(settings, fitted.facts.get("classes", ()))

    def score(table: pd.DataFrame) -> pd.DataFrame:
        cells, patient, own = patients.images_of(table)
        found, unread = imaging.logits(settings, fitted, cells, settings.deferral.views)
        if settings.identifying == "refuse":
            unread = [why or whose for why, whose in zip(unread, identifying.reasons(cells), strict=True)]
        logits = patients.combined(settings, found.mean(axis=0), patient)
        scored = asked.answer(fitted.facts, logits).iloc[own].set_axis(table.index)
        errors = pd.Series(_errors(table, own, imaging.reasons(fitted, cells, unread)), index=table.index, dtype="str")
        return scored.mask(errors.notna()).assign(error=errors)

    return score


def _errors(table: pd.DataFrame, own: np.ndarray, reasons: list[str | None]) -> list[str | None]:
    """The reason of each row: its own image's, or that another one of its patient could not be read."""
    found: list[str | None] = []
    at = 0
    for cell in table["image"]:
        count = len(cell) if isinstance(cell, list) else 1
        found.append(next((reason for reason in reasons[at : at + count] if reason), None))
        at += count
    failed = set(own[[reason is not None for reason in found]].tolist())
    return [reason or (PATIENT if number in failed else None) for reason, number in zip(found, own, strict=True)]
