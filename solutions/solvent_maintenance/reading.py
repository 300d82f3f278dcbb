"""From rows to what a network reads: sensors that vary, standardised in each mode of operation, as windows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans

from solvent import Refused
from solvent.schema import Schema
from solvent.sequences import Series
from solvent.solution import JSON
from solvent.wording import listed, suggestion

from .lives import series
from .settings import Maintenance

__all__ = ["Reader", "Rows"]

CONSTANT = 1e-9  # of a sensor's size: what varies less is rounding
FARTHEST = 10.0  # deviations: a sensor that fails must not drown the others
BATCH = 1024


@dataclass(frozen=True)
class Rows:
    """A table as a network reads it.

    Args:
        values: shape `(rows, sensors)`.
    """

    order: Series
    values: np.ndarray
    window: int

    def windows(self, ends: np.ndarray) -> np.ndarray:
        """Shape `(ends, window, sensors + 1)`."""
        return self.order.windows(self.values, ends, self.window)

    def batches(self, ends: np.ndarray) -> Iterator[np.ndarray]:
        return self.order.batches(self.values, ends, self.window, BATCH)


@dataclass(frozen=True)
class Reader:
    """What was learnt about the columns.

    Args:
        sensors: the columns that are read, in the house's names.
        operating: the columns that tell the modes apart.
        centres: of the modes, in the columns' own units over `scale`, shape `(modes, operating)`.
        mean, deviation: of each sensor in each mode, shape `(modes, sensors)`.
    """

    window: int
    sensors: list[str]
    operating: list[str]
    scale: np.ndarray
    centres: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def learnt(cls, settings: Maintenance, rows: pd.DataFrame, schema: Schema, seed: int) -> Self:
        """Find the modes, and in each the sensors' mean and deviation. What is constant in every mode is left out.

        Raises:
            Refused: if a setting names a column that is not there, or nothing varies.
        """
        names = {field.source: field.name for field in schema.features if not field.scored_only}
        if unknown := [name for name in settings.operating if name not in names]:
            raise Refused(
                f"settings.operating names {unknown[0]!r}, which is no column of numbers."
                f"{suggestion(unknown[0], names)} Known: {listed(names)}."
            )
        operating = [names[name] for name in settings.operating] if settings.modes > 1 else []
        sensors = [name for source, name in names.items() if source not in settings.operating]
        scale, centres = _modes(rows[operating].to_numpy(np.float64), settings.modes, seed)
        mode = _nearest(rows[operating].to_numpy(np.float64) / scale, centres)
        by_mode = rows[sensors].groupby(mode)
        every = range(len(centres))
        mean = by_mode.mean().reindex(every).fillna(rows[sensors].mean()).fillna(0).to_numpy(np.float64)
        deviation = by_mode.std(ddof=0).reindex(every).fillna(0).to_numpy(np.float64)
        varies = deviation > CONSTANT * np.maximum(np.abs(mean), 1)
        kept = varies.any(axis=0)
        if not kept.any():
            raise Refused(f"No sensor varies in the training rows: {listed(sensors)}. Give columns of numbers that do.")
        deviation = np.where(varies, deviation, 1.0)
        return cls(
            settings.window,
            [name for name, there in zip(sensors, kept, strict=True) if there],
            operating,
            scale,
            centres,
            mean[:, kept],
            deviation[:, kept],
        )

    def mode(self, table: pd.DataFrame) -> np.ndarray:
        """The number of each row's mode of operation, shape `(rows,)`."""
        return _nearest(table[self.operating].to_numpy(np.float64) / self.scale, self.centres)

    def read(self, table: pd.DataFrame) -> Rows:
        """A gap is filled by the machine's last known value, or by the mode's mean."""
        order, mode = series(table), self.mode(table)
        values = (table[self.sensors].to_numpy(np.float64) - self.mean[mode]) / self.deviation[mode]
        bounded = np.clip(values, -FARTHEST, FARTHEST).astype(np.float32)
        return Rows(order, order.filled(bounded), self.window)

    def to_json(self) -> dict[str, JSON]:
        arrays = {name: getattr(self, name).tolist() for name in ("scale", "centres", "mean", "deviation")}
        return {"window": self.window, "sensors": self.sensors, "operating": self.operating, **arrays}

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Self:
        arrays = {name: np.array(facts[name]) for name in ("scale", "centres", "mean", "deviation")}
        if not facts["operating"]:
            arrays["centres"] = np.zeros((1, 0))
        return cls(window=facts["window"], sensors=facts["sensors"], operating=facts["operating"], **arrays)


def _modes(values: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The columns' deviations, and the modes' centres in these."""
    if not values.shape[1]:
        return np.zeros(0), np.zeros((1, 0))
    deviation = np.nanstd(values, axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)
    known = values[~np.isnan(values).any(axis=1)] / scale
    if len(np.unique(known, axis=0)) < count:
        raise Refused(f"settings.modes is {count}, and the operating settings take fewer values. Name fewer modes.")
    return scale, KMeans(count, n_init=4, random_state=seed).fit(known).cluster_centers_


def _nearest(values: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The centre that lies nearest; a value that is missing counts nothing."""
    distance = np.nan_to_num((values[:, None, :] - centres[None]) ** 2).sum(axis=2)
    return distance.argmin(axis=1)
