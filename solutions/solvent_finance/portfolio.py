"""What a portfolio of scored loans shows: metrics, and the shape functions behind the scores."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from solvent import Figure, Fitted, Sums, Weighted
from solvent.metrics import binary

from .binning import bin_numbers, names_of_bins, sizes
from .decision import truth
from .settings import Credit

__all__ = ["figures", "metrics"]

MOST_FIGURES = 6


def metrics(settings: Credit, rows: pd.DataFrame, scored: pd.DataFrame) -> dict[str, float | Sums | Weighted]:
    """AUC, Gini, KS, Brier, log loss, ECE of the probability; precision and recall of the refusals."""
    refused = (scored["decision"] == "refuse").to_numpy(np.int64)
    return dict(binary(truth(settings, rows), scored["probability"].to_numpy(), refused, rows.get("weight")))


def figures(settings: Credit, fitted: Fitted, rows: pd.DataFrame, scored: pd.DataFrame) -> Iterator[Figure]:
    """The shape functions that move the scores of these rows most."""
    bins = fitted.facts["bins"]
    values = np.split(fitted.models["model"].get_layer("shapes").values.numpy(), np.cumsum(sizes(bins))[:-1])
    used = bin_numbers(rows, bins)
    spread = [np.std(value[used[:, place]]) for place, value in enumerate(values)]
    for place in np.argsort(spread)[::-1][:MOST_FIGURES]:
        counts = np.bincount(used[:, place], minlength=len(values[place]))
        yield _shape(bins[place], values[place], counts)


def _shape(bin_: dict[str, Any], values: np.ndarray, counts: np.ndarray) -> Figure:
    kept = np.flatnonzero(counts)
    names = [names_of_bins(bin_)[index] for index in kept]

    def draw(axes: Any) -> None:
        axes.barh(range(len(kept)), values[kept])
        axes.set_yticks(range(len(kept)), names)
        axes.invert_yaxis()
        axes.set_xlabel("added to the log odds of default")

    return Figure(
        title=f"Shape of {bin_['name']}",
        caption=f"What each bin of {bin_['name']} adds to the log odds of default, before calibration.",
        draw=draw,
        height=max(2.2, 0.26 * len(kept) + 0.9),
    )
