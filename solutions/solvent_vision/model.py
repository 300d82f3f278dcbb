"""Fit a network to images and calibrate it; score images with it."""

from dataclasses import replace

import numpy as np
import pandas as pd

from solvent import Bundle, Data, Fitted, finetune, imaging, labels, training
from solvent.solution import Score
from solvent.split import halves

from . import suspects, teacher
from .answers import Answers
from .settings import Vision

__all__ = ["fit", "outside", "scorer"]


def outside(settings: Vision) -> dict[str, str]:
    """The hashes of the backbone's weights and of the teacher, which have to be had, and the weights to fit."""
    found = imaging.outside(settings)
    if settings.distill is not None:
        found["distill.teacher"] = Bundle.load(settings.distill.teacher).sha256
    return found


def fit(settings: Vision, data: Data) -> Fitted:
    """Epochs, dropout and stages are chosen on one half of the validation rows, the calibration on the other."""
    choosing, rest = halves(data.valid, data.schema, data.seed)
    classes = list(data.schema.targets[0].levels)
    answers = Answers(settings, classes)
    task = replace(answers.task(data.train, choosing), weights=_weights(settings, data.train, classes))
    if settings.distill is not None:
        targets, loss = teacher.softened(settings, data.train, task.targets, classes)
        task = replace(task, targets=targets, loss=loss)
    network = finetune.learn(settings, task, data)
    logits = network.logits(list(data.valid["image"]))
    facts = {
        "classes": classes,
        **imaging.facts(settings, data, network.choices, answers.meaning()),
        **answers.calibrated(logits[data.valid.index.get_indexer(rest.index)], rest),
    }
    return Fitted(
        models={"model": network.model},
        facts=facts,
        valid=answers.outputs(data.valid.index, facts, logits),
        findings=suspects.findings(settings, data, task),
        batch_rows=finetune.BATCH_ROWS,
    )


def _weights(settings: Vision, rows: pd.DataFrame, classes: list[str]) -> np.ndarray:
    if settings.labels == "several":  # no class weighs more than another, so one class will do
        return training.row_weights(rows, np.zeros(len(rows), np.int64), ["any"], settings.training)
    return training.row_weights(rows, labels.codes(rows, classes), classes, settings.training)


def scorer(settings: Vision, fitted: Fitted) -> Score:
    """Score checked rows: pixels, logits, calibrated probabilities; an image that can't be read fails its row."""
    answers = Answers(settings, list(fitted.facts["classes"]))

    def score(table: pd.DataFrame) -> pd.DataFrame:
        cells = list(table["image"])
        found, unread = imaging.logits(settings, fitted, cells, settings.scoring.views)
        scored = answers.outputs(table.index, fitted.facts, found.sum(axis=0) / len(found))
        errors = pd.Series(imaging.reasons(fitted, cells, unread), index=table.index, dtype="str")
        return scored.mask(errors.notna()).assign(error=errors)

    return score
