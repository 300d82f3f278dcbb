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

TARGET = "target"


def learn(features: pd.DataFrame, defaulted: np.ndarray) -> list[dict[str, Any]]:
    """Find optimal bins of every column and their weights of evidence.

    Args:
        defaulted: 1 or 0, shape `(rows,)`.

    Returns:
        One description a column: its `name`, the weight of `missing`, and `splits` with `weights` (bin k holds
        splits[k-1] <= x < splits[k]), or `levels` with the weight of each.
    """
    with tempfile.TemporaryDirectory() as folder:
        rows, found = Path(folder) / "rows.parquet", Path(folder) / "bins.json"
        features.assign(**{TARGET: defaulted}).to_parquet(rows)
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


def _bin(column: pd.Series, defaulted: np.ndarray) -> dict[str, Any]:
    from optbinning import OptimalBinning

    number = pd.api.types.is_numeric_dtype(column)
    cells = column.to_numpy(np.float64) if number else column.astype(object).where(column.notna(), None).to_numpy()
    binning = OptimalBinning(str(column.name), dtype="numerical" if number else "categorical").fit(cells, defaulted)
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
    Path(sys.argv[2]).write_text(json.dumps([_bin(frame[name], target) for name in frame]))
