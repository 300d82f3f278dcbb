"""What scoring says of a text, how it is measured, and what the report shows of it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from solvent import Figure, Fitted, Sums, Weighted
from solvent.metrics import multiclass

from .settings import Sentiment

__all__ = ["codes", "figures", "metrics", "outcome"]

PREFIX = "probability_"


def codes(rows: pd.DataFrame, classes: list[str]) -> np.ndarray:
    """The class of each row as its position in `classes`, shape `(rows,)`."""
    return pd.Index(classes).get_indexer(rows["label"])


def outcome(index: pd.Index, classes: list[str], probability: np.ndarray) -> pd.DataFrame:
    """The declared outputs.

    Args:
        probability: shape `(rows, classes)`.
    """
    best = np.asarray(classes, dtype=object)[probability.argmax(axis=1)]
    columns = {PREFIX + name: probability[:, place] for place, name in enumerate(classes)}
    return pd.DataFrame({"class": best, **columns}, index=index)


def metrics(settings: Sentiment, rows: pd.DataFrame, scored: pd.DataFrame) -> dict[str, float | Sums | Weighted]:
    """Accuracy; precision, recall, F1, AUC, average precision as means over classes; log loss, Brier, ECE."""
    names = [name for name in scored if name.startswith(PREFIX)]
    classes = [name.removeprefix(PREFIX) for name in names]
    decided = pd.Index(classes).get_indexer(scored["class"])
    return dict(multiclass(codes(rows, classes), scored[names].to_numpy(), decided, rows.get("weight")))


def figures(settings: Sentiment, fitted: Fitted, rows: pd.DataFrame, scored: pd.DataFrame) -> Iterator[Figure]:
    """Accuracy by length of the text."""
    length = rows["text"].str.len()
    right = (rows["label"] == scored["class"]).astype(float)
    bands = pd.qcut(length, 5, duplicates="drop")
    table = right.groupby(bands, observed=True).agg(["mean", "size"])

    def draw(axes: Any) -> None:
        axes.bar(range(len(table)), table["mean"])
        names = [
            f"{max(0, band.left):,.0f} to {band.right:,.0f}\n({size} texts)" for band, size in table["size"].items()
        ]
        axes.set_xticks(range(len(table)), names)
        axes.set_ylabel("accuracy")
        axes.set_xlabel("characters")

    yield Figure(
        title="Accuracy by length",
        caption="Share of the test texts that were classed rightly, by their length in characters.",
        draw=draw,
        width=7.0,
    )
