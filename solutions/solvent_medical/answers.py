"""What is asked of images: questions with yes and no, or one of several diagnoses; targets in, outputs out."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import keras
import numpy as np
import pandas as pd

from solvent import Goal, finetune, imaging, labels, training
from solvent.metrics import calibration, conformal, multiclass, point
from solvent.schema import Schema
from solvent.solution import JSON

from . import decision, patients
from .settings import Medical

__all__ = ["Answers", "Diagnoses", "Questions", "answers", "shown", "task", "truth_of"]

# A proper score chooses epochs and dropout: it tells models apart also where few patients do.
GOAL = Goal("log_loss", higher=False)


class Answers(Protocol):
    """What the network gives, from the tables' labels to the declared outputs."""

    several: bool
    outputs: int
    meaning: str

    def targets(self, rows: pd.DataFrame) -> np.ndarray:
        """float32, shape `(rows, outputs)`, of images or of cases."""

    def loss(self) -> keras.losses.Loss: ...

    def surprise(self, cases: pd.DataFrame, logits: np.ndarray) -> float:
        """The mean log loss of patients' logits, before any calibration."""

    def refuse_too_few(self, cases: pd.DataFrame) -> None: ...

    def fit(self, cases: pd.DataFrame, logits: np.ndarray) -> dict[str, JSON]:
        """The facts that turn patients' logits into outputs, from calibrating patients."""

    def answer(self, facts: Mapping[str, Any], logits: np.ndarray) -> pd.DataFrame:
        """The declared outputs, a row for each patient."""


def answers(settings: Medical, classes: Sequence[str]) -> Answers:
    """What these settings ask for.

    Args:
        classes: the diagnoses that training knew, where one of several is named.
    """
    return Questions(settings) if settings.questions else Diagnoses(settings, list(classes))


def truth_of(settings: Medical, rows: pd.DataFrame) -> np.ndarray:
    """The truth of each question: 1, 0, or NaN where it is not known; shape `(rows, questions)`."""
    if settings.findings:
        return patients.findings_of(rows, settings.findings)
    return (rows["label"] == settings.positive).to_numpy(np.float64)[:, None]


class Questions:
    """Each question has a logit of its own; what is not known for an image teaches nothing about it."""

    several = True

    def __init__(self, settings: Medical) -> None:
        self.settings, self.names = settings, settings.questions
        self.outputs = len(self.names)
        self.meaning = (
            f"a logit for each of {', '.join(self.names)} in this order; a patient's is the "
            f"{'largest' if settings.combine == 'worst' else 'mean'} of the images', and the probability is "
            + (
                "sigmoid(slope * logit + intercept)"
                if settings.calibration == "platt"
                else "sigmoid(logit / temperature)"
            )
            + " with facts.questions.NAME.calibration"
        )

    def targets(self, rows: pd.DataFrame) -> np.ndarray:
        return truth_of(self.settings, rows).astype(np.float32)

    def loss(self) -> keras.losses.Loss:
        return Known(imaging.loss(self.settings, several=True))

    def surprise(self, cases: pd.DataFrame, logits: np.ndarray) -> float:
        truth = truth_of(self.settings, cases)
        known = ~np.isnan(truth)
        sign = np.where(truth[known] == 1, -1.0, 1.0)
        return float(np.logaddexp(0, sign * logits[known]).mean())

    def refuse_too_few(self, cases: pd.DataFrame) -> None:
        for name, truth in zip(self.names, truth_of(self.settings, cases).T, strict=True):
            decision.refuse_too_few(self.settings, name, truth)

    def fit(self, cases: pd.DataFrame, logits: np.ndarray) -> dict[str, JSON]:
        columns = zip(self.names, logits.T, truth_of(self.settings, cases).T, strict=True)
        found = {name: decision.fit(self.settings, name, own, truth) for name, own, truth in columns}
        points = {name: each["operating_point"] for name, each in found.items()}
        if self.settings.findings:  # each has its own
            return {"questions": found}
        name = self.names[0]
        return {"questions": found, "operating_point": points[name], "positive": name}

    def answer(self, facts: Mapping[str, Any], logits: np.ndarray) -> pd.DataFrame:
        columns: dict[str, Any] = {}
        for name, own in zip(self.names, logits.T, strict=True):
            end = self.settings.ending(name)
            found = decision.answer(facts["questions"][name], own)
            columns |= {key + end: values for key, values in found.items()}
        return pd.DataFrame(columns)


class Known(keras.losses.Loss):
    """A loss of each class for itself, over those that are known: a target that is not a number counts nothing."""

    def __init__(self, inner: keras.losses.Loss) -> None:
        super().__init__(name="known")
        self.inner = inner

    def call(self, y_true: Any, y_pred: Any) -> Any:
        ops = keras.ops
        known = ops.logical_not(ops.isnan(y_true))
        # one class at a time, since Keras's losses give the mean over the last axis
        each = self.inner.call(ops.expand_dims(ops.where(known, y_true, 0), -1), ops.expand_dims(y_pred, -1))
        counted = ops.cast(known, each.dtype)
        return ops.sum(each * counted, axis=-1) / ops.maximum(ops.sum(counted, axis=-1), 1)


class Diagnoses:
    """One of several diagnoses: a softmax over them, and a set of those that can't be ruled out."""

    several = False

    def __init__(self, settings: Medical, classes: list[str]) -> None:
        self.settings, self.classes = settings, classes
        self.outputs = len(classes)
        self.meaning = (
            "a logit for each class in the order of facts.classes; a patient's are the means of the images', and the "
            f"probabilities are softmax(logits / temperature{' + bias' if settings.calibration == 'platt' else ''}) "
            "with facts.calibration"
        )

    def targets(self, rows: pd.DataFrame) -> np.ndarray:
        return np.eye(len(self.classes), dtype=np.float32)[labels.codes(rows, self.classes)]

    def loss(self) -> keras.losses.Loss:
        return imaging.loss(self.settings, several=False)

    def surprise(self, cases: pd.DataFrame, logits: np.ndarray) -> float:
        chance = calibration.apply({"kind": "temperature", "temperature": 1.0}, logits)
        return point(multiclass(labels.codes(cases, self.classes), chance, chance.argmax(axis=1))["log_loss"])

    def refuse_too_few(self, cases: pd.DataFrame) -> None:
        """The sets hold the truth for a share of all patients; nothing is promised of each diagnosis."""
        needed = conformal.rows_for(self.settings.deferral.coverage)
        if len(cases) < needed:
            raise decision.too_few(self.settings, f"{needed} patients", str(len(cases)))

    def fit(self, cases: pd.DataFrame, logits: np.ndarray) -> dict[str, JSON]:
        truth = labels.codes(cases, self.classes)
        platt = self.settings.calibration == "platt"
        fitted = calibration.fit_bias(logits, truth) if platt else calibration.fit_temperature(logits, truth)
        chance = calibration.apply(fitted, logits)
        sets = conformal.fit(truth, chance, self.settings.deferral.coverage, by_class=False)
        return {"classes": self.classes, "calibration": fitted, "sets": sets}

    def answer(self, facts: Mapping[str, Any], logits: np.ndarray) -> pd.DataFrame:
        chance = calibration.apply(facts["calibration"], logits)
        possible = conformal.members(facts["sets"], chance, otherwise=chance.argmax(axis=1))
        found = labels.outputs(pd.RangeIndex(len(chance)), self.classes, chance)
        sure = possible.sum(axis=1) == 1
        sets = [[self.classes[place] for place in np.flatnonzero(row)] for row in possible]
        return found.assign(
            decision=np.where(sure, found["class"].to_numpy(object), decision.REFER),
            confidence=chance.max(axis=1),
            prediction_set=pd.Series(sets, dtype=object),
        )


def task(
    settings: Medical, asked: Answers, train: pd.DataFrame, choosing: pd.DataFrame, schema: Schema, seed: int
) -> finetune.Task:
    """What is learnt from images, and what chooses: the log loss of patients."""
    train = shown(settings, train, seed)
    chosen = patients.cases(settings, choosing)
    cells, patient, _ = patients.images_of(chosen)

    def measure(logits: np.ndarray) -> Mapping[str, float]:
        return {GOAL.metric: asked.surprise(chosen, patients.combined(settings, logits, patient))}

    return finetune.Task(
        train=list(train["image"]),
        targets=asked.targets(train),
        weights=_weights(settings, train, schema),
        several=asked.several,
        outputs=asked.outputs,
        choosing=cells,
        loss=asked.loss(),
        measure=measure,
        goal=GOAL,
    )


def shown(settings: Medical, rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The rows that an epoch shows: those of rare diagnoses several times, if they are to be balanced."""
    if settings.sampling == "as_is":
        return rows
    random, groups = np.random.default_rng(seed), rows.groupby("label").indices.values()
    most = max(map(len, groups))
    each = [np.concatenate([own] * (most // len(own)) + [random.permutation(own)[: most % len(own)]]) for own in groups]
    return rows.iloc[np.sort(np.concatenate(each))]


def _weights(settings: Medical, rows: pd.DataFrame, schema: Schema) -> np.ndarray:
    if settings.findings:  # no finding weighs more than another, so one class will do
        return training.row_weights(rows, np.zeros(len(rows), np.int64), ["any"], settings.training)
    classes = list(schema.targets[0].levels or ())
    return training.row_weights(rows, labels.codes(rows, classes), classes, settings.training)
