"""What the labels of images are: targets of a network, outputs of a score, metrics."""

from collections.abc import Callable, Mapping

import keras
import numpy as np
import pandas as pd

from solvent import Goal, Sums, Weighted, finetune, imaging, labels
from solvent.metrics import calibration, multiclass, multilabel, point

from .settings import Vision

__all__ = ["GOAL", "Answers", "metrics"]

# A proper score chooses epochs and dropout: near perfection the accuracy of some hundred images tells nothing apart.
GOAL = Goal("log_loss", higher=False)
CHOSEN_ON = "validation rows, calibrating half"


class Answers:
    """What the labels are: one class or several; as targets of a network, and from its logits back to outputs."""

    def __init__(self, settings: Vision, classes: list[str]) -> None:
        self.settings, self.classes = settings, classes
        self.several = settings.labels == "several"

    def targets(self, rows: pd.DataFrame) -> np.ndarray:
        """0 or 1, float32, shape `(rows, classes)`."""
        if self.several:
            return labels.flags(rows, self.classes)
        return np.eye(len(self.classes), dtype=np.float32)[labels.codes(rows, self.classes)]

    def task(self, train: pd.DataFrame, choosing: pd.DataFrame) -> finetune.Task:
        """What is learnt, and what chooses; every training image weighs 1."""
        return finetune.Task(
            train=list(train["image"]),
            targets=self.targets(train),
            weights=np.ones(len(train), np.float32),
            several=self.several,
            outputs=len(self.classes),
            choosing=list(choosing["image"]),
            loss=imaging.loss(self.settings, several=self.several),
            measure=self.measure(choosing),
            goal=GOAL,
        )

    def measure(self, rows: pd.DataFrame) -> Callable[[np.ndarray], Mapping[str, float]]:
        """Logits of these rows -> metrics, before any calibration."""
        truth, weight = self.targets(rows), rows.get("weight")

        def measured(logits: np.ndarray) -> Mapping[str, float]:
            if self.several:
                chance = keras.ops.sigmoid(logits).numpy()
                found = multilabel(truth, chance, chance >= 0.5, weight)
            else:
                chance = keras.ops.softmax(logits).numpy()
                found = multiclass(truth.argmax(axis=1), chance, chance.argmax(axis=1), weight)
            return {name: point(found[name]) for name in ("accuracy", "log_loss")}

        return measured

    def calibrated(self, logits: np.ndarray, rows: pd.DataFrame) -> dict[str, object]:
        """The facts that turn logits into outputs: a temperature; for several labels thresholds too."""
        truth, weight = self.targets(rows), rows.get("weight")
        if not self.several:
            return {"calibration": calibration.fit_temperature(logits, truth.argmax(axis=1), weight)}
        weights = None if weight is None else np.repeat(weight.to_numpy(), len(self.classes))
        fitted = calibration.fit_temperature(_yes_or_no(logits), truth.ravel(), weights)
        chance = self.probability(fitted, logits)
        return {
            "calibration": fitted,
            "operating_point": labels.thresholds(truth, chance, self.classes, CHOSEN_ON, weight),
        }

    def probability(self, fitted: Mapping[str, object], logits: np.ndarray) -> np.ndarray:
        """Calibrated, shape `(rows, classes)`."""
        if self.several:
            return calibration.apply(fitted, _yes_or_no(logits))[:, 1].reshape(logits.shape)
        return calibration.apply(fitted, logits)

    def meaning(self) -> str:
        """What the network gives, for whoever runs it in another program."""
        if self.several:
            return (
                "a logit for each class in the order of facts.classes; its probability is "
                "sigmoid(logit / facts.calibration.temperature), and the row has the classes that reach their "
                "facts.operating_point.value"
            )
        return (
            "a logit for each class in the order of facts.classes; the probabilities are "
            "softmax(logits / facts.calibration.temperature)"
        )

    def outputs(self, index: pd.Index, facts: Mapping[str, object], logits: np.ndarray) -> pd.DataFrame:
        """The declared outputs."""
        chance = self.probability(facts["calibration"], logits)
        if self.several:
            return labels.outputs_several(index, self.classes, chance, facts["operating_point"]["value"])
        return labels.outputs(index, self.classes, chance)


def _yes_or_no(logits: np.ndarray) -> np.ndarray:
    """Each logit as the second of two classes, shape `(rows * classes, 2)`."""
    return np.column_stack([np.zeros(logits.size), logits.ravel()])


def metrics(settings: Vision, rows: pd.DataFrame, scored: pd.DataFrame) -> dict[str, float | Sums | Weighted]:
    """Those of `solvent.labels`: over all classes, and class by class."""
    measure = labels.measure_several if settings.labels == "several" else labels.measure
    return dict(measure(rows, scored))
