"""Machines' lives: what remains of them at each row, and at which rows a machine is measured."""

import zlib

import numpy as np
import pandas as pd

from solvent import Finding, Fitted
from solvent.sequences import Series
from solvent.wording import listed

from .settings import Maintenance

__all__ = ["begins_later", "cases", "checks", "failed", "measured", "remaining", "series", "twice"]

TOLERANCE = 1e-6  # of a cycle


def series(rows: pd.DataFrame) -> Series:
    return Series.of(rows["machine"], rows["cycle"])


def remaining(settings: Maintenance, rows: pd.DataFrame) -> np.ndarray:
    """The remaining useful life at each row, in cycles, not capped, shape `(rows,)`.

    Args:
        rows: all of each machine's.
    """
    if settings.runs_to_failure:
        cycle = rows["cycle"]
        return (cycle.groupby(rows["machine"]).transform("max") - cycle).to_numpy(np.float64)
    return rows["rul"].to_numpy(np.float64)


def failed(rows: pd.DataFrame, life: np.ndarray) -> pd.Series:
    """Which machines ran to failure, by their names: at their last row no more is left than a usual step of theirs.

    Lives are counted down to 0 by some, to 1 or to half an hour by others.

    Args:
        life: remaining at each row, shape `(rows,)`.
    """
    order = np.argsort(rows["cycle"].to_numpy(), kind="stable")
    left = pd.Series(life, index=rows.index).iloc[order].groupby(rows["machine"].iloc[order], sort=False).last()
    return left <= _step(rows) + TOLERANCE


def begins_later(rows: pd.DataFrame, window: int) -> np.ndarray:
    """Which rows lack a part of their window that may lie in rows of the machine that are not here, shape `(rows,)`.

    The machine had run for more than a usual step by its first row here. Whether anybody recorded that is not known.
    """
    order, machine = series(rows), rows["machine"]
    short = order.places - order.begins[order.places] + 1 < window
    first = rows["cycle"].groupby(machine).transform("min")
    return short & (first > machine.map(_step(rows)) + TOLERANCE).to_numpy()


def _step(rows: pd.DataFrame) -> pd.Series:
    """The usual one from a cycle to the next, the median, by the machines' names; 0 for one of a single row."""
    ordered = rows.sort_values("cycle", kind="stable")
    apart = ordered["cycle"].groupby(ordered["machine"], sort=False).diff()
    return apart.groupby(ordered["machine"], sort=False).median().fillna(0)


def measured(settings: Maintenance, rows: pd.DataFrame) -> np.ndarray:
    """Positions of the rows at which machines are measured, sorted.

    A machine that had not failed at its last row is measured there: nothing is known that came later. One that ran to
    failure would have nothing to tell there; it is measured in each of `cuts` equal stretches of its rows, at one drawn
    at random. The draw depends on the machine's name alone, so it is the same in every table.
    """
    ran_out, found = failed(rows, remaining(settings, rows)), []
    for machine, positions in rows.groupby("machine", sort=False).indices.items():
        ordered = positions[np.argsort(rows["cycle"].to_numpy()[positions], kind="stable")]
        if not ran_out[machine]:
            found.append(ordered[-1:])
            continue
        random = np.random.default_rng(zlib.crc32(str(machine).encode()))
        stretches = np.array_split(ordered, min(settings.cuts, len(ordered)))
        found.append(np.array([stretch[random.integers(len(stretch))] for stretch in stretches]))
    return np.sort(np.concatenate(found)) if found else np.array([], np.int64)


def cases(settings: Maintenance, rows: pd.DataFrame, *fitted: Fitted) -> pd.DataFrame:
    """All rows, those that machines are not measured at as context of the others; with `rul`, where it is counted."""
    wanted = np.full(len(rows), "false", dtype=object)
    wanted[measured(settings, rows)] = "true"
    return rows.assign(score_this=wanted, rul=remaining(settings, rows))


def twice(rows: pd.DataFrame) -> np.ndarray:
    """Which rows are of a machine that has a cycle twice, so that its rows have no order; shape `(rows,)`."""
    repeated = rows.duplicated(["machine", "cycle"], keep=False)
    return rows["machine"].isin(rows.loc[repeated, "machine"].unique()).to_numpy()


def checks(settings: Maintenance, rows: pd.DataFrame) -> list[Finding]:
    """A cycle that a machine has twice; a remaining life that does not fall with cycles, is below 0, or ends early."""
    found = []
    if (machines := rows.loc[twice(rows), "machine"].unique()).size:
        found.append(
            Finding(
                name="cycle_twice",
                severity="refusal",
                message=f"{len(machines):,} machines, such as {machines[0]!r}, have a cycle twice: no order is known.",
                cure="Give each row of a machine its own cycle, or leave copied rows out.",
                columns=("machine", "cycle"),
                count=len(machines),
            )
        )
    if "rul" not in rows:
        return found
    if (below := int((rows["rul"] < 0).sum())) > 0:
        found.append(
            Finding(
                name="negative_life",
                severity="refusal",
                message=f"{below:,} rows have a remaining life below 0.",
                cure="Leave out what was recorded after a failure, or give it a machine of its own.",
                columns=("rul",),
                count=below,
            )
        )
    if len(rows) and not failed(rows, rows["rul"].to_numpy(np.float64)).any():
        least = rows["rul"].groupby(rows["machine"]).min().min()
        found.append(
            Finding(
                name="no_failure",
                severity="warning",
                message=f"No machine runs to its failure: at the last row of each at least {least:g} cycles are left. "
                "So each is measured at its last row alone, and intervals and probabilities rest on these.",
                cure="Give machines up to their failure, or count lives down to it: to at most one step.",
                columns=("cycle", "rul"),
            )
        )
    end = (rows["cycle"] + rows["rul"]).groupby(rows["machine"])
    moved = end.max() - end.min() > 1.5  # a unit: whole ones may be counted from 0 or from 1
    if moved.any():
        names = listed([str(name) for name in moved.index[moved][:3]])
        found.append(
            Finding(
                name="life_moves",
                severity="warning",
                message=f"In {int(moved.sum()):,} machines cycle and remaining life don't add up to one end ({names}).",
                cure="Give both in one unit; a repair begins another life: give it a machine of its own.",
                columns=("cycle", "rul"),
                count=int(moved.sum()),
            )
        )
    return found
