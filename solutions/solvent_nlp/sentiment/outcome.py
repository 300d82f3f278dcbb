"""How scored texts are measured, and what the report shows of them."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from solvent import Figure, Fitted, Sums, Weighted, labels

from .settings import Sentiment

__all__ = ["figures", "metrics"]


def metrics(settings: Sentiment, rows: pd.DataFrame, scored: pd.DataFrame) -> dict[str, float | Sums | Weighted]:
    """Those of `solvent.labels`: over all classes, and class by class."""
    return dict(labels.measure(rows, scored))


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
