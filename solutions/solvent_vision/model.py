"""Fit a network to images and calibrate it; score images with it."""

import numpy as np
import pandas as pd

from solvent import Bundle, Data, Fitted, augment, finetune, images, labels, training, transfer
from solvent.solution import Score
from solvent.split import halves

from . import suspects, teacher
from .answers import GOAL, Answers
from .settings import Vision

__all__ = ["fit", "outside", "scorer"]


def outside(settings: Vision) -> dict[str, str]:
    """The hashes of the backbone's weights and of the teacher, which have to be had, and the weights to fit."""
    found = {}
    if settings.weights != "none":
        network = transfer.build(settings.backbone, settings.weights, finetune.side(settings), seed=0)
        found["weights"] = transfer.weights_hash(network)
    if settings.distill is not None:
        found["distill.teacher"] = Bundle.load(settings.distill.teacher).sha256
    return found


def fit(settings: Vision, data: Data) -> Fitted:
    """Epochs, dropout and stages are chosen on one half of the validation rows, the calibration on the other."""
    choosing, rest = halves(data.valid, data.schema, data.seed)
    classes = list(data.schema.targets[0].levels)
    answers = Answers(settings, classes)
    targets, loss = answers.targets(data.train), answers.loss()
    if settings.distill is not None:
        targets, loss = teacher.softened(settings, data.train, targets, classes)
    task = finetune.Task(
        train=list(data.train["image"]),
        targets=targets,
        weights=_weights(settings, data.train, classes),
        outputs=len(classes),
        choosing=list(choosing["image"]),
        loss=loss,
        measure=answers.measure(choosing),
        goal=GOAL,
    )
    network = finetune.learn(settings, task, data)
    logits = network.logits(list(data.valid["image"]))
    facts = {
        "classes": classes,
        "column": data.schema.field("image").source,
        "size": finetune.side(settings),
        "decoder": images.METHOD,
        "seed": data.seed,
        "choices": network.choices,
        "meaning": {
            "model": {
                "image": "pixels of 0 to 255, whole or not, channels last in the order R, G, B; the backbone's "
                f"preprocessing is in the network. Photos are brought to this size by {settings.resize} "
                f"({images.METHOD}).",
                "output_0": answers.meaning(),
            }
        },
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
    answers, column = Answers(settings, list(fitted.facts["classes"])), fitted.facts["column"]

    def score(table: pd.DataFrame) -> pd.DataFrame:
        cells = list(table["image"])
        stream = images.Stream(cells, fitted.facts["size"], settings.resize, fitted.batch_rows)
        logits = fitted.predict(iter(stream))
        for view in range(1, settings.scoring.views + 1):
            again = images.Stream(cells, fitted.facts["size"], settings.resize, fitted.batch_rows)
            logits = logits + fitted.predict(
                augment.view_batches(iter(again), cells, view, settings.augmentation.alone, fitted.facts["seed"])
            )
        logits = logits / (1 + settings.scoring.views)
        scored = answers.outputs(table.index, fitted.facts, logits)
        errors = pd.Series(
            [
                reason and f"{column}: {images.shown(cell)} {reason}"
                for cell, reason in zip(cells, stream.errors, strict=True)
            ],
            index=table.index,
            dtype="str",
        )
        return scored.mask(errors.notna()).assign(error=errors)

    return score
