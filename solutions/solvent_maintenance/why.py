"""Which sensors an estimate comes from: what it would be if one of them had been as usual all along."""

from dataclasses import replace

import numpy as np
import pandas as pd

from solvent import Fitted
from solvent.promises import CONTEXT

from .model import asked, estimates
from .reading import Reader
from .settings import Maintenance

__all__ = ["explain"]

NAMED = 3
FAINTEST = 0.05  # cycles: what moves the estimate less is not named


def explain(settings: Maintenance, fitted: Fitted, rows: pd.DataFrame) -> pd.DataFrame:
    """The sensors that move the estimate most, strongest first: "vibration -8.2; current -3.0".

    A number is by how many cycles the estimate is longer, or shorter, than with the sensor at its mean in the mode of
    operation in all of the window. Rows that are not scored, being context or of a machine without an order, are not
    explained either.
    """
    reader = Reader.from_json(fitted.facts["reader"])
    wanted, errors = asked(rows)
    read, ends = reader.read(rows), np.flatnonzero(wanted & errors.isna().to_numpy())
    told = estimates(fitted, read, ends)
    effects = np.zeros((len(ends), len(reader.sensors)))
    for place in range(len(reader.sensors)):
        usual = read.values.copy()
        usual[:, place] = 0
        effects[:, place] = told - estimates(fitted, replace(read, values=usual), ends)
    named = pd.Series([_named(reader.sensors, own) for own in effects], index=rows.index[ends], dtype="str")
    found = pd.DataFrame({"sensors": named.reindex(rows.index), "error": errors})
    return found if wanted.all() else found.assign(**{CONTEXT: ~wanted & errors.isna().to_numpy()})


def _named(sensors: list[str], effects: np.ndarray) -> str:
    strongest = np.argsort(-np.abs(effects), kind="stable")[:NAMED]
    found = [f"{sensors[place]} {effects[place]:+.1f}" for place in strongest if abs(effects[place]) >= FAINTEST]
    return "; ".join(found) or "none moves it"
