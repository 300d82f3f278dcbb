"""Public data sets of machines that wear, as tables with a row for each machine and cycle."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from solvent import Refused

__all__ = ["cmapss_fd001"]

SETTINGS = [f"setting_{number}" for number in range(1, 4)]
SENSORS = [f"sensor_{number}" for number in range(1, 22)]
VALID = 20  # training engines that validate: the last ones


def cmapss_fd001(paths: Mapping[str, Path]) -> pd.DataFrame:
    """FD001 of C-MAPSS: engines of the published training and test parts, with `rul` at every cycle.

    An engine's remaining life at its last cycle is 0 in the training part, which ran to failure, and as published in
    the test part.
    """
    (folder,) = paths.values()
    train, test = (_engines(folder / f"{part}_FD001.txt", part) for part in ("train", "test"))
    left = np.loadtxt(folder / "RUL_FD001.txt")
    numbers = test["engine"].str.removeprefix("test-").astype(int)
    if numbers.max() != len(left):
        raise Refused(f"{folder} has {numbers.max()} test engines, and RUL_FD001.txt {len(left)} lives. Get it anew.")
    test["rul"] += left[numbers - 1]
    number = train["engine"].str.removeprefix("train-").astype(int)
    train["part"] = np.where(number > number.max() - VALID, "valid", "train")
    return pd.concat([train, test], ignore_index=True)


def _engines(path: Path, part: str) -> pd.DataFrame:
    """The rows of a file; `rul` counts the cycles to the engine's last row."""
    rows = pd.read_csv(path, sep=r"\s+", header=None, names=["engine", "cycle", *SETTINGS, *SENSORS])
    last = rows.groupby("engine")["cycle"].transform("max")
    rows = rows.assign(part=part, rul=(last - rows["cycle"]).astype(np.float64))
    rows["engine"] = part + "-" + rows["engine"].astype(str)
    return rows
