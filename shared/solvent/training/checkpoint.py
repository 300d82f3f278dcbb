"""What a training stage knows after an epoch, kept in one file that is whole or absent."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import workers
from ..errors import Refused
from ..files import replacing

if TYPE_CHECKING:
    from ..schedule import Training
    from ..solution import Goal

__all__ = ["State", "Store"]


@dataclass
class State:
    """All that the training loop remembers from epoch to epoch, weights apart.

    Args:
        epoch: epochs that are finished.
        stopped: why the stage is finished; None while it is not.
        factor: what a plateau has left of the learning rate.
        begun: when the stage was first started, seconds since 1970.
    """

    learning_rate: float
    epoch: int = 0
    best: float | None = None
    best_epoch: int = 0
    waited: int = 0
    factor: float = 1.0
    factor_changed: bool = False
    seconds: float = 0.0
    stopped: str | None = None
    begun: float = field(default_factory=time.time)
    history: dict[str, list[float]] = field(default_factory=dict)

    def record(
        self,
        training: Training,
        goal: Goal,
        loss: float,
        rate: float,
        measured: dict[str, float] | None,
        seconds: float,
    ) -> bool:
        """Enter a finished epoch, decide whether to go on, and say whether it is the one to keep so far.

        Args:
            measured: on validation rows; None where there are none, and the last epoch is kept.
        """
        self.epoch += 1
        self.seconds += seconds
        unmeasured, measured = measured is None, measured or {}
        if not unmeasured and goal.metric not in measured:
            raise ValueError(f"The monitor gave {sorted(measured)}; expected the headline {goal.metric!r} among them.")
        if own := sorted({"epoch", "loss", "learning_rate"} & set(measured)):
            raise ValueError(f"The monitor gave {own[0]!r}, which is the loop's own name: give the metric another.")
        row = {"epoch": self.epoch, "loss": loss, **measured, "learning_rate": rate}
        for name, value in row.items():
            # A metric that was absent in an epoch has a gap there, so that all columns have one length.
            column = self.history.setdefault(name, [])
            column += [math.nan] * (self.epoch - 1 - len(column)) + [value]
        for column in self.history.values():
            column += [math.nan] * (self.epoch - len(column))
        so_far = self.best if training.keep == "best" else None
        better = unmeasured or goal.better(measured[goal.metric], so_far)
        self.factor_changed = False
        if unmeasured:
            self.best_epoch = self.epoch
        elif better:
            self.best, self.best_epoch, self.waited = measured[goal.metric], self.epoch, 0
        else:
            self.waited += 1
            rest = max(1, (training.patience or 9) // 3)
            if training.schedule == "plateau" and self.waited % rest == 0:
                self.factor, self.factor_changed = self.factor / 2, True
        if training.patience is not None and self.waited >= training.patience:
            self.stopped = "patience"
        elif self.epoch >= training.epochs:
            self.stopped = "epochs"
        elif training.max_minutes is not None and self.seconds >= 60 * training.max_minutes:
            self.stopped = "max_minutes"
        return better

    def to_record(self, stage: str) -> dict[str, Any]:
        """What the bundle and the report say about the stage."""
        return {
            "stage": stage,
            "epochs": self.epoch,
            "best_epoch": self.best_epoch,
            "best": self.best,
            "seconds": round(self.seconds, 3),
            "stopped": self.stopped,
            "learning_rate": self.learning_rate,
            "history": self.history,
        }


class Store:
    """The folder of one stage: its checkpoint, the best weights, the history as CSV."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoint = folder / "checkpoint.npz"

    def state(self) -> State | None:
        """The state that the last finished epoch left; None before the first."""
        if not self.checkpoint.exists():
            return None
        with np.load(self.checkpoint) as stored:
            return State(**json.loads(stored["state"].tobytes().decode()))

    def save(self, state: State, variables: Sequence[Any]) -> None:
        """Keep state and variables: after a kill at any moment either the old or the new ones are there, whole."""
        text = np.frombuffer(json.dumps(asdict(state)).encode(), np.uint8)
        self.folder.mkdir(parents=True, exist_ok=True)
        # The history goes first: a finished stage is not written again, one that goes on writes it anew. Nothing is
        # read back from it, so it need not survive a power cut, which would cost most of a short epoch.
        history = self.folder / "history.csv"
        with history.with_suffix(".tmp").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(state.history)
            writer.writerows(zip(*state.history.values(), strict=True))
        history.with_suffix(".tmp").replace(history)
        with replacing(self.checkpoint) as path, path.open("wb") as file:
            np.savez(file, allow_pickle=False, state=text, **_named(variables))
        for stale in set(self.folder.glob("best-*.npz")) - {self._best(state)}:
            stale.unlink()

    def follow(self) -> None:
        """Have what the chief has kept, where several workers train: one may have been killed before another."""
        workers.same_files(self.folder, "*.npz")

    def restore(self, variables: Sequence[Any]) -> None:
        """Bring the variables back to the last checkpoint, if there is one."""
        if self.checkpoint.exists():
            _assign(self.checkpoint, variables)

    def keep_best(self, variables: Sequence[Any], epoch: int) -> None:
        """Keep these weights as the best; they count once `save` has written a state that names their epoch."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.folder / f"best-{epoch}.npz") as path, path.open("wb") as file:
            np.savez(file, allow_pickle=False, **_named(variables))

    def load_best(self, state: State, variables: Sequence[Any]) -> None:
        """Put the best epoch's weights into the variables."""
        _assign(self._best(state), variables)

    def _best(self, state: State) -> Path:
        return self.folder / f"best-{state.best_epoch}.npz"


def _named(variables: Sequence[Any]) -> dict[str, np.ndarray]:
    return {f"v{index}": np.asarray(variable) for index, variable in enumerate(variables)}


def _assign(path: Path, variables: Sequence[Any]) -> None:
    with np.load(path) as stored:
        values = [stored[f"v{index}"] for index in range(sum(name != "state" for name in stored.files))]
    if [value.shape for value in values] != [tuple(variable.shape) for variable in variables]:
        raise Refused(
            f"{path} holds the {len(values)} variables of another network than this one with {len(variables)}: "
            f"its code or its name changed. Delete {path.parent} to train this stage again."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
