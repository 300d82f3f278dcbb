"""Classes that have an order, such as stars: their mean, and errors in steps."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from solvent import Refused, Sums
from solvent.metrics import mean

from .settings import Sentiment

__all__ = ["check", "expected", "metrics"]


def check(settings: Sentiment, classes: Sequence[str]) -> None:
    """Raise Refused if the order does not name just the classes that there are."""
    if settings.order is not None and set(settings.order) != set(classes):
        raise Refused(
            f"settings.order names {list(settings.order)}; the training rows have the classes {list(classes)}. Name "
            "each of them once, from the lowest to the highest."
        )


def expected(settings: Sentiment, classes: Sequence[str], chance: np.ndarray) -> np.ndarray:
    """The mean place of the class, 1 for the lowest, by the probabilities `(rows, classes)`; shape `(rows,)`."""
    return np.asarray(chance @ _places(settings, classes))


def metrics(settings: Sentiment, rows: pd.DataFrame, scored: pd.DataFrame) -> dict[str, Sums]:
    """How many steps the class that was named lies from the right one (`mae`), and the share within one step."""
    places = pd.Series(range(len(settings.order)), index=list(settings.order))
    steps = np.abs(places[scored["class"]].to_numpy() - places[rows["label"]].to_numpy())
    return {"mae": mean(steps, rows.get("weight")), "within_one_step": mean(steps <= 1, rows.get("weight"))}


def _places(settings: Sentiment, classes: Sequence[str]) -> np.ndarray:
    return np.array([1.0 + settings.order.index(name) for name in classes])
