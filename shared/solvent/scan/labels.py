"""Labels that look wrong: rows whose given class models that have not seen them find unlikely."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from .. import labels
from ..errors import Refused
from ..report import pictures
from ..report.wording import shorten
from ..schema import Field
from ..solution import Data, Finding
from ..split import parts
from ..wording import many
from . import images

__all__ = ["Fold", "check_labels", "label_finding", "suspicious"]

WARNING = 0.01  # of the rows; of fewer it is a note

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]


def check_labels(
    data: Data, show: str, folds: int, answers: Callable[[Sequence[Fold]], Iterable[ArrayLike]]
) -> tuple[Finding, ...]:
    """Compare the training labels with the answers of models that have not seen them, nor copies, nor their group.

    Args:
        show: the feature that people can judge by, an image or a text.
        folds: classes with fewer rows than there are folds are left out.
        answers: gets the folds, each the positions that a model may learn from and those that it must not see; gives
            the probability of each class for the latter, fold by fold, shape `(rows left out, classes)`.

    Returns:
        What `label_finding` tells; nothing where fewer than two classes have enough rows. Where too few rows can be
        kept apart, a note that the labels were not checked.
    """
    target = data.schema.targets[0]
    classes = list(target.levels or ())
    given = labels.codes(data.train, classes)
    enough = np.bincount(given, minlength=len(classes)) >= folds
    if enough.sum() < 2:
        return ()
    try:
        dealt = parts(data.train, data.schema, folds, data.seed)
    except Refused as error:
        return _not_checked(target, str(error))
    if any(len(np.unique(given[learnt])) < 2 for learnt, _ in dealt):
        return _not_checked(target, "What belongs together holds nearly all rows of a class, so none can be left out.")
    unseen = np.zeros((len(given), len(classes)))
    for (_, held), probability in zip(dealt, answers(dealt), strict=True):
        unseen[held] = probability
    asked = np.flatnonzero(enough[given])
    return label_finding(data.train.iloc[asked], target, classes, unseen[asked], data.schema.field(show))


def _not_checked(target: Field, why: str) -> tuple[Finding, ...]:
    return (
        Finding(
            name="labels_not_checked",
            severity="note",
            message=f"Column {target.source}: wrong labels were not looked for. {why}",
            cure="Nothing else depends on it: leave it, or give more rows.",
            columns=(target.source,),
        ),
    )


def suspicious(probability: ArrayLike, codes: ArrayLike) -> NDArray[np.intp]:
    """Find the rows whose given class is probably wrong, by confident learning.

    Args:
        probability: of each class by models that have not seen the row (out-of-fold), shape `(rows, classes)`.
        codes: the number of the given class of each row, shape `(rows,)`.

    Returns:
        Their positions, the most suspicious first: by how much less likely the given class is than the likeliest.

    Source: Northcutt et al., Confident Learning: Estimating Uncertainty in Dataset Labels, 2021.
    """
    from cleanlab.filter import find_label_issues

    given = np.asarray(codes, dtype=np.int64)
    if len(np.unique(given)) < 2:
        return np.zeros(0, np.intp)
    found = find_label_issues(
        given,
        np.asarray(probability, dtype=np.float64),
        return_indices_ranked_by="normalized_margin",
        filter_by="confident_learning",
        n_jobs=1,
    )
    return np.asarray(found, dtype=np.intp)


def label_finding(
    rows: pd.DataFrame, target: Field, classes: Sequence[str], probability: ArrayLike, show: Field
) -> tuple[Finding, ...]:
    """Tell of the rows whose label looks wrong: finding `suspicious_labels`, for `Fitted.findings`.

    Args:
        rows: training rows; those whose target is none of the classes are left out.
        classes: in the order of the probabilities.
        probability: of each class by models that have not seen the row (out-of-fold), shape `(rows, classes)`.
        show: the feature that people can judge by, an image or a text.

    Returns:
        One finding, with a picture where `show` is an image; none where no label is suspicious.
    """
    likely = np.asarray(probability)
    codes = pd.Index(classes).get_indexer(pd.Index(rows[target.name]))
    known = np.flatnonzero((codes >= 0) & np.isfinite(likely).all(axis=1) & rows[show.name].notna().to_numpy())
    found = known[suspicious(likely[known], codes[known])]
    if not len(found):
        return ()
    first = found[: pictures.MOST_TILES]
    suggested = likely[first].argmax(axis=1)
    cells = rows[show.name].iloc[first].tolist()
    names = [_named(cell, row, show) for cell, row in zip(cells, rows.index[first], strict=True)]
    share = len(found) / len(known)
    examples = [
        f"{name} is {classes[codes[at]]!r} and looks like {classes[to]!r} ({likely[at, to]:.2f})"
        for name, at, to in zip(names, first, suggested, strict=True)
    ]
    tiles = [
        [(cell, f"{classes[codes[at]]}\n→ {classes[to]}\n{name}")]
        for cell, at, to, name in zip(cells, first, suggested, names, strict=True)
    ]
    return (
        Finding(
            name="suspicious_labels",
            severity="warning" if share > WARNING else "note",
            message=f"Column {target.source}: {many(len(found), 'training row')} of {len(known):,} ({share:.1%}) look "
            f"as if their class were another, to models that had not seen them. {'; '.join(examples[:5])}.",
            cure="Look at them, the most suspicious first, and correct or remove what is wrong. A hard row that has "
            "its right class should stay.",
            columns=(target.source,),
            count=len(found),
            picture=images.sheet(tiles, show.decoder) if show.kind == "image" else b"",
        ),
    )


def _named(cell: Any, row: Any, show: Field) -> str:
    return images.named(cell, row) if show.kind == "image" else repr(shorten(cell, 60))
