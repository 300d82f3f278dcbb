"""Weight of evidence by optbinning, in a process of its own.

Optbinning solves with OR-Tools, which crashes in a process that has loaded TensorFlow: each brings its own copy of
abseil. So this module, run as a program, bins a Parquet file and writes what it found as JSON.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from solvent import SolventError

__all__ = ["learn", "transform"]

RARE = 0.01  # levels with a smaller share of the rows share one bin
TARGET, WEIGHT = "target", "weight"
MEAN_WEIGHT = 10_000  # optbinning cuts the sum of a bin's weights off to a whole number


def learn(features: pd.DataFrame, defaulted: np.ndarray, weight: pd.Series | None = None) -> list[dict[str, Any]]:
    """Find optimal bins of every column and their weights of evidence.

    Args:
        defaulted: 1 or 0, shape `(rows,)`.
        weight: of the rows, shape `(rows,)`; one of weight 2 counts as two rows do, one of weight 0 is left out.

    Returns:
        One description a column: its `name`, the weight of `missing`, and `splits` with `weights` (bin k holds
        splits[k-1] <= x < splits[k]), or `levels` with the weight of each.
    """
    with tempfile.TemporaryDirectory() as folder:
        rows, found = Path(folder) / "rows.parquet", Path(folder) / "bins.json"
        frame = features.assign(**{TARGET: defaulted})
        if weight is not None:
            frame = frame.assign(**{WEIGHT: weight * (MEAN_WEIGHT / weight.mean())})[weight > 0]
        frame.to_parquet(rows)
        done = subprocess.run(
            [sys.executable, "-m", "solvent_finance.woe", str(rows), str(found)],
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


if __name__ == "__main__":
    frame = pd.read_parquet(sys.argv[1])
    target = frame.pop(TARGET).to_numpy()
    weights = frame.pop(WEIGHT).to_numpy() if WEIGHT in frame else None
    Path(sys.argv[2]).write_text(json.dumps([_bin(frame[name], target, weights) for name in frame]))
