"""Learning from a larger network: its softened answers beside the labels."""

import keras
import numpy as np
import pandas as pd

from solvent import Bundle, Refused, images

from .settings import Vision

__all__ = ["softened"]


def softened(
    settings: Vision, rows: pd.DataFrame, targets: np.ndarray, classes: list[str]
) -> tuple[np.ndarray, keras.losses.Loss]:
    """Targets that hold the teacher's logits too, shape `(rows, 2 * classes)`, and the loss that reads them.

    A teacher that was trained on rows which are test rows here hands on what it has seen: train both with one `data`.

    Raises:
        Refused: if the teacher is no bundle for the same classes of images.
    """
    distill = settings.distill
    bundle = Bundle.load(distill.teacher)
    theirs = list(bundle.fitted.facts.get("classes", ()))
    if sorted(theirs) != sorted(classes) or "size" not in bundle.fitted.facts:
        raise Refused(
            f"settings.distill.teacher: {distill.teacher} is a bundle of {bundle.solution.name} for the classes "
            f"{theirs}; expected one of images for {classes}."
        )
    stream = images.Stream(
        list(rows["image"]), bundle.fitted.facts["size"], bundle.settings.resize, bundle.fitted.batch_rows
    )
    logits = bundle.fitted.predict(stream.whole())[:, [theirs.index(name) for name in classes]]
    return np.hstack([targets, logits.astype(np.float32)]), Distillation(
        len(classes), distill.weight, distill.temperature, settings.label_smoothing
    )


class Distillation(keras.losses.Loss):
    """Cross-entropy with the labels, and with a teacher's answers at a temperature, squared so that both weigh alike.

    Source: Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network, 2015.
    """

    def __init__(self, classes: int, weight: float, temperature: float, label_smoothing: float) -> None:
        super().__init__(name="distillation")
        self.classes, self.weight, self.temperature = classes, weight, temperature
        self.labels = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=label_smoothing, reduction="none"
        )

    def call(self, y_true: object, y_pred: object) -> object:
        own, teacher = y_true[:, : self.classes], y_true[:, self.classes :]
        soft = keras.ops.softmax(teacher / self.temperature)
        answers = keras.ops.categorical_crossentropy(soft, y_pred / self.temperature, from_logits=True)
        taught = self.temperature**2 * answers
        return self.weight * taught + (1 - self.weight) * self.labels(own, y_pred)
