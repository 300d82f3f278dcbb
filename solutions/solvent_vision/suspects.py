"""Labels that the other images speak against."""

from collections.abc import Iterator, Sequence

import keras
import numpy as np

from solvent import Data, Finding, finetune, labels, linear
from solvent.scan.labels import Fold, check_labels

from .settings import Vision

__all__ = ["findings"]

FOLDS, NETWORKS = 5, 3
STRENGTH = 0.1


def findings(settings: Vision, data: Data, task: finetune.Task) -> tuple[Finding, ...]:
    """Compare the training labels with the answers of models that have not seen them.

    These are logistic regressions on the features of a backbone that came with its weights. One that was trained on
    these very labels has learnt the wrong ones by heart, so that further networks have to be trained.
    """
    nothing = settings.weights == "none"
    wanted = settings.check_labels == "always" or (settings.check_labels == "auto" and not nothing)
    if settings.labels == "several" or not wanted:
        return ()
    classes = list(data.schema.targets[0].levels)

    def networks(folds: Sequence[Fold]) -> Iterator[np.ndarray]:
        unseen = keras.ops.softmax(finetune.unseen_logits(settings, task, data, folds)).numpy()
        return (unseen[held] for _, held in folds)

    def regressions(folds: Sequence[Fold]) -> Iterator[np.ndarray]:
        features = finetune.frozen_features(settings, task.train, data.seed)
        truth = np.eye(len(classes))[labels.codes(data.train, classes)]
        for learnt, held in folds:
            model = linear.regression(STRENGTH, features[learnt], truth[learnt])
            yield linear.chances(model, features[held], len(classes))

    if nothing:
        return check_labels(data, "image", NETWORKS, networks)
    return check_labels(data, "image", FOLDS, regressions)
