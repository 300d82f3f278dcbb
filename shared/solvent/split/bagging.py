"""Several models on one table, each without a fold of it: so that every row has scores by models that never saw it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..errors import Refused
from ..solution import Data
from . import Bags, cutting

__all__ = ["bags"]


def bags(data: Data, *, refit: bool, folds: int, repeats: int) -> Bags:
    """What `split.bags` promises."""
    rows: pd.DataFrame = pd.concat([data.train, data.valid])
    valid = np.arange(len(data.train), len(rows))
    dealt = rows if refit else data.train
    seen = np.zeros((len(rows), folds * repeats), dtype=bool)
    seen[: len(dealt)] = True
    if folds > 1:
        for repeat in range(repeats):
            fold_of = cutting.fold_numbers(dealt, data.schema, folds, data.seed, repeat)
            seen[np.arange(len(dealt)), repeat * folds + fold_of] = False
    for field in data.schema.targets:
        if field.kind == "category" and any(rows[field.name][own].nunique() < 2 for own in seen.T):
            raise Refused(
                f"Without one of {folds} folds, the rows that are learnt from hold one class of {field.source} only: "
                "rows of the other are too few, or belong together. Give more rows of it, or use fewer folds."
            )
    if refit:
        if folds == 1:
            raise ValueError("refit needs 2 folds or more: with one, every model has seen every row.")
        everything = np.arange(len(rows))
        words = f"training and validation rows, out of {folds} folds"
        return Bags(rows, seen, everything, everything, valid, words, words)
    halves = cutting.halves(data.valid, data.schema, data.seed)
    choosing, calibrating = (valid[0] + data.valid.index.get_indexer(half.index) for half in halves)
    return Bags(
        rows, seen, choosing, calibrating, valid, "validation rows, choosing half", "validation rows, calibrating half"
    )
