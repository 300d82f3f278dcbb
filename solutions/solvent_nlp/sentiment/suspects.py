"""Labels that the other texts speak against."""

from collections.abc import Iterator, Sequence

import numpy as np

from solvent import Data, Finding, labels
from solvent.metrics import row_weights
from solvent.scan.labels import Fold, check_labels

from .rivals import regression, tfidf
from .settings import Sentiment
from .texts import joined

__all__ = ["findings"]

FOLDS = 5
STRENGTH = 3.0


def findings(settings: Sentiment, data: Data) -> tuple[Finding, ...]:
    """Compare the training labels with the answers of logistic regressions that have not seen them."""
    if not settings.check_labels:
        return ()
    classes = list(data.schema.targets[0].levels)

    def answers(folds: Sequence[Fold]) -> Iterator[np.ndarray]:
        # Which words there are and how rare they are comes from all texts: no label is seen by that.
        rows = tfidf(settings, len(data.train)).fit_transform(joined(data.train))
        given, weight = labels.codes(data.train, classes), row_weights(data.train.get("weight"), len(data.train))
        for learnt, held in folds:
            model = regression(STRENGTH, rows[learnt], given[learnt], weight[learnt])
            chance = np.zeros((len(held), len(classes)))
            chance[:, model.classes_] = model.predict_proba(rows[held])  # that of a class without a row stays 0
            yield chance

    return check_labels(data, "text", FOLDS, answers)
