"""Labels that the other images speak against."""

import keras
import numpy as np

from solvent import Data, Finding, finetune, labels
from solvent.scan.labels import label_finding
from solvent.split import parts

from .rivals import chances, regression
from .settings import Vision

__all__ = ["findings"]

FOLDS, NETWORKS = 5, 3
STRENGTH = 0.1


def findings(settings: Vision, data: Data, task: finetune.Task) -> tuple[Finding, ...]:
    """Compare the training labels with the answers of models that have not seen them, nor copies, nor their group.

    These are logistic regressions on the features of a backbone that came with its weights. One that was trained on
    these very labels has learnt the wrong ones by heart, so that further networks have to be trained. Classes with
    fewer rows than there are folds are left out.
    """
    nothing = settings.weights == "none"
    wanted = settings.check_labels == "always" or (settings.check_labels == "auto" and not nothing)
    if settings.labels == "several" or not wanted:
        return ()
    classes = list(data.schema.targets[0].levels)
    codes, folds = labels.codes(data.train, classes), NETWORKS if nothing else FOLDS
    asked = np.bincount(codes, minlength=len(classes)) >= folds
    rows = np.flatnonzero(asked[codes])
    if asked.sum() < 2:
        return ()
    cut = list(parts(data.train, data.schema, folds, data.seed))
    unseen = np.zeros((len(codes), len(classes)))
    if nothing:
        unseen = keras.ops.softmax(finetune.unseen_logits(settings, task, data, cut)).numpy()
    else:
        features, truth = finetune.frozen_features(settings, task.train, data.seed), np.eye(len(classes))[codes]
        for learnt, held in cut:
            model = regression(STRENGTH, features[learnt], truth[learnt], several=False)
            unseen[held] = chances(model, features[held], len(classes))
    return label_finding(
        data.train.iloc[rows], data.schema.targets[0], classes, unseen[rows], data.schema.field("image")
    )
