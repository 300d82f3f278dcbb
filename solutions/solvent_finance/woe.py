"""Weight of evidence by optbinning, in a process of its own.

Optbinning solves with OR-Tools, which crashes in a process that has loaded TensorFlow: each brings its own copy of
abseil. So this module, run as a program, bins a Parquet file and writes what it found as JSON.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from solvent import SolventError

__all__ = ["learn", "transform"]

RARE = 0.01  # levels with a smaller share of the rows share one bin
TARGET, WEIGHT = "target", "weight"
MEAN_WEIGHT = 10_000  # optbinning cuts the sum of a bin's weights off to a whole number


def learn(
    features: pd.DataFrame, defaulted: np.ndarray, parts: Sequence[np.ndarray], weight: pd.Series | None = None
) -> list[list[dict[str, Any]]]:
    """Find optimal bins of every column and their weights of evidence, for each of several parts of the rows.

    Args:
        defaulted: 1 or 0, shape `(rows,)`.
        parts: positions of rows.
        weight: of the rows, shape `(rows,)`; one of weight 2 counts as two rows do, one of weight 0 is left out.

    Returns:
        For each part one description a column: its `name`, the weight of `missing`, and `splits` with `weights`
        (bin k holds splits[k-1] <= x < splits[k]), or `levels` with the weight of each.
    """
    with tempfile.TemporaryDirectory() as folder:
        rows, chosen, found = (Path(folder) / name for name in ("rows.parquet", "parts.parquet", "bins.json"))
        frame = features.assign(**{TARGET: defaulted})
        if weight is not None:
            frame = frame.assign(**{WEIGHT: weight * (MEAN_WEIGHT / weight.mean())})
        frame.to_parquet(rows)
        places = pd.DataFrame({"part": np.repeat(np.arange(len(parts)), list(map(len, parts)))})
        places.assign(place=np.concatenate(parts)).to_parquet(chosen)
        done = subprocess.run(
            [sys.executable, "-m", "solvent_finance.woe", str(rows), str(chosen), str(found)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise SolventError(f"Optimal binning failed (exit code {done.returncode}): {done.stderr.strip()[-500:]}")
        return json.loads(found.read_text())


def transform(table: pd.DataFrame, bins: list[dict[str, Any]]) -> np.ndarray:
    """The weight of evidence of every cell, shape `(rows, columns)`; 0 for an unseen level."""
    columns = []
    for bin_ in bins:
        column = table[bin_["name"]]
        if "levels" in bin_:
            weights = column.map(bin_["levels"]).fillna(0.0).to_numpy(np.float64)
        else:
            places = np.searchsorted(bin_["splits"], column.to_numpy(np.float64), side="right")
            weights = np.asarray(bin_["weights"])[np.minimum(places, len(bin_["weights"]) - 1)]
        columns.append(np.where(column.isna(), bin_["missing"], weights))
    return np.column_stack(columns)


def _bin(column: pd.Series, defaulted: np.ndarray, weight: np.ndarray | None) -> dict[str, Any]:
    from optbinning import OptimalBinning

    number = pd.api.types.is_numeric_dtype(column)
    cells = column.to_numpy(np.float64) if number else column.astype(object).where(column.notna(), None).to_numpy()
    binning = OptimalBinning(
        str(column.name), dtype="numerical" if number else "categorical", cat_cutoff=None if number else RARE
    )
    binning.fit(cells, defaulted, weight)
    table = binning.binning_table.build()
    weights = [float(weight) for weight in table["WoE"].iloc[: len(table) - 3]]
    found = {"name": column.name, "missing": float(table["WoE"].iloc[-2])}
    if number:
        return {**found, "splits": [float(split) for split in binning.splits], "weights": weights}
    levels = {str(level): weight for group, weight in zip(binning.splits, weights, strict=True) for level in group}
    return {**found, "levels": levels}


def _learn(frame: pd.DataFrame) -> list[dict[str, Any]]:
    if WEIGHT in frame:
        frame = frame[frame[WEIGHT] > 0]
    target, weight = frame[TARGET].to_numpy(), frame[WEIGHT].to_numpy() if WEIGHT in frame else None
    return [_bin(frame[name], target, weight) for name in frame if name not in (TARGET, WEIGHT)]


if __name__ == "__main__":
    frame, parts = pd.read_parquet(sys.argv[1]), pd.read_parquet(sys.argv[2])
    learnt = [_learn(frame.iloc[part["place"].to_numpy()]) for _, part in parts.groupby("part")]
    Path(sys.argv[3]).write_text(json.dumps(learnt))
