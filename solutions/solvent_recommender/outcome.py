"""What lists are worth: hits in held-out items, and what the lists are like as a whole."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd

from solvent import Fitted
from solvent.metrics import Metric, quotient, ranking

from .interactions import Known
from .ratings import measured
from .settings import Recommender

__all__ = ["gini", "metrics", "slices"]


def metrics(settings: Recommender, rows: pd.DataFrame, scored: pd.DataFrame) -> dict[str, Metric]:
    """Of the lists at each length of `at`: what `solvent.metrics.ranking` measures. Of the lists at the first length:
    `coverage`, the share of the candidates that stands in some list, and `gini`, how unevenly the candidates do. Of
    the whole lists: `novelty`, `diversity` and `popularity`, as the outputs have them. Of ratings: what
    `ratings.measured` says."""
    found: dict[str, Metric] = dict(ranking(rows["item"], scored["items"], settings.at))
    shown = Counter(item for items in scored["items"] for item in items[: settings.at[0]])
    candidates = int(scored["candidates"].max())
    found["coverage"] = len(shown) / candidates if candidates else float("nan")
    found["gini"] = gini(np.array(list(shown.values())), candidates)
    for name in ("novelty", "diversity", "popularity"):
        values = scored[name].to_numpy(np.float64)
        there = ~np.isnan(values)
        found[name] = quotient(np.where(there, values, 0), there.astype(np.float64))
    return found | measured(settings, rows, scored)


def gini(counts: np.ndarray, of: int) -> float:
    """How unevenly things are dealt out: 0 where all get the same, towards 1 where one gets all.

    Args:
        counts: of those that got any.
        of: how many there are; the others got nothing.

    Source: Gini, Variabilita e mutabilita, 1912; by the sorted counts.
    """
    if not of or not counts.sum():
        return float("nan")
    ordered = np.concatenate([np.zeros(max(of - len(counts), 0)), np.sort(counts)])
    ranks = np.arange(1, len(ordered) + 1)
    return float((2 * ranks - len(ordered) - 1) @ ordered / (len(ordered) * ordered.sum()))


def slices(settings: Recommender, fitted: Fitted, rows: pd.DataFrame) -> Mapping[str, pd.Series]:
    """The test users by how much is known of them, and by whether some of what they should be given is new."""
    known = Known.restored(fitted.assets["histories"])
    histories, _ = known.asked(rows[["user"]], known.items)
    count = np.searchsorted((1, 20), histories.counts(), side="right")
    user = pd.Categorical.from_codes(
        count, ["cold: nothing liked yet", "light: up to 19", "heavy: 20 and more"], ordered=True
    )
    there = set(known.items)
    new = [not there.issuperset(items) for items in rows["item"]]
    some = pd.Categorical.from_codes(np.array(new, dtype=np.int64), ["none", "some"], ordered=True)
    return {
        "items that a user liked": pd.Series(user, index=rows.index),
        "held-out items that nobody had before": pd.Series(some, index=rows.index),
    }
