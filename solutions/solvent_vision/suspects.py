"""Labels that the other images speak against."""

import keras
import numpy as np
from sklearn.model_selection import StratifiedKFold

from solvent import Data, Finding, finetune, labels
from solvent.scan.labels import label_finding

from .rivals import chances, regression
from .settings import Vision

__all__ = ["findings"]

FOLDS, NETWORKS = 5, 3
MOST_ROWS = 20_000  # that are looked at, drawn at random, where there are more
STRENGTH = 0.1


def findings(settings: Vision, data: Data, task: finetune.Task, network: finetune.Network) -> tuple[Finding, ...]:
    """Compare the training labels with the answers of models that have not seen them.

    These are logistic regressions on the features of a backbone that came with its weights. One that was trained on
    these very labels has learnt the wrong ones by heart, so that further networks have to be trained.
    """
    classes, nothing = list(data.schema.targets[0].levels), settings.weights == "none"
    codes = labels.codes(data.train, classes) if settings.labels == "one" else np.zeros(0, np.int64)
    fewest = int(np.bincount(codes, minlength=len(classes)).min())
    wanted = settings.check_labels == "always" or (settings.check_labels == "auto" and not nothing)
    folds = min(NETWORKS if nothing else FOLDS, fewest)
    if not wanted or folds < 2:
        return ()
    parts = StratifiedKFold(folds, shuffle=True, random_state=data.seed)
    if nothing:
        logits = finetune.unseen_logits(settings, task, data, parts.split(codes, codes))
        rows, unseen = data.train, keras.ops.softmax(logits).numpy()
    else:
        order = np.random.default_rng(data.seed).permutation(len(codes))[:MOST_ROWS]
        rows, codes, features = data.train.iloc[order], codes[order], network.averages(task.train)[order]
        truth, unseen = np.eye(len(classes))[codes], np.zeros((len(codes), len(classes)))
        for learnt, held in parts.split(features, codes):
            model = regression(STRENGTH, features[learnt], truth[learnt], several=False)
            unseen[held] = chances(model, features[held], len(classes))
    return label_finding(rows, data.schema.targets[0], classes, unseen, data.schema.field("image"))
