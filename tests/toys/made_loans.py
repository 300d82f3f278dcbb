"""Made loans and a bundle without a model, whose scores are known: 1 / income."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from solvent import Column, Columns, Output, drift
from solvent.schema import Schema

__all__ = [
    "OUTPUTS",
    "Fake",
    "Held",
    "Raising",
    "Telling",
    "aborting",
    "bundle",
    "by_income",
    "by_threads",
    "content_of",
    "loans",
]

OUTPUTS = (
    Output(name="probability", type="float"),
    Output(name="decision", type="string"),
    Output(name="points", type="integer"),
    Output(name="reviewed", type="time"),
)


def by_income(rows: pd.DataFrame) -> pd.DataFrame:
    """A known answer: 1 / income, declined under 10, an error for an income of 13."""
    unlucky = rows["income"] == 13
    return pd.DataFrame(
        {
            "probability": (1 / rows["income"]).mask(unlucky),
            "decision": pd.Series(np.where(rows["income"] < 10, "decline", "accept"), index=rows.index).mask(unlucky),
            "points": rows["income"].round().astype("Int64").mask(unlucky),
            "reviewed": pd.Series(pd.NaT, index=rows.index, dtype="datetime64[us]"),
            "error": pd.Series(None, index=rows.index, dtype="str").mask(unlucky, "the scorer can't take 13"),
        },
        index=rows.index,
    )


def aborting(rows: pd.DataFrame) -> pd.DataFrame:
    """The same, but an income of 13 kills the process, as a broken decoder would."""
    if (rows["income"] == 13).any():
        os.abort()
    return by_income(rows)


def by_threads(rows: pd.DataFrame) -> pd.DataFrame:
    """The same, but the decision says with how many threads OpenMP and TensorFlow would compute here."""
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    return by_income(rows).assign(decision=" ".join(os.environ.get(name, "?") for name in names))


@dataclass(frozen=True)
class Raising:
    """The same, but one income raises."""

    income: float
    error: Exception

    def __call__(self, rows: pd.DataFrame) -> pd.DataFrame:
        if (rows["income"] == self.income).any():
            raise self.error
        return by_income(rows)


@dataclass(frozen=True)
class Held:
    """The same, but a file says which process is at work, and each part waits for the file `go`."""

    folder: Path

    def __call__(self, rows: pd.DataFrame) -> pd.DataFrame:
        (self.folder / f"{os.getpid()}-{rows.index[0]}.pid").touch()
        while not (self.folder / "go").exists():
            time.sleep(0.02)
        return by_income(rows)


@dataclass(frozen=True)
class Telling:
    """The same, but an income tells a process to end."""

    income: float
    process: int

    def __call__(self, rows: pd.DataFrame) -> pd.DataFrame:
        if (rows["income"] == self.income).any():
            os.kill(self.process, signal.SIGTERM)
        return by_income(rows)


@dataclass(frozen=True)
class Fake:
    """A bundle without a model."""

    path: Path
    schema: Schema
    outputs: tuple[Output, ...] = OUTPUTS
    sha256: str = "5" * 64
    facts: Mapping[str, Any] = field(default_factory=lambda: {"solution": "loans", "personal": ["histories"]})
    settings: Any = None
    joins: bool = False
    reference: Mapping[str, Any] = field(default_factory=lambda: {"rows": 0, "inputs": {}, "outputs": {}})
    function: Callable[[pd.DataFrame], pd.DataFrame] = by_income

    def has_changed(self) -> bool:
        return False

    def scorer(self, side: Mapping[str, pd.DataFrame] | None = None) -> Callable[[pd.DataFrame], pd.DataFrame]:
        return self.function


def bundle(tmp_path: Path, columns: Mapping[str, Any] | None = None, **changes: Any) -> Fake:
    declared = {"id": "loan", "passthrough": ["branch"]} if columns is None else columns
    training = pd.DataFrame(
        {
            "loan": ["x1", "x2"],
            "branch": ["01", "02"],
            "income": ["1", "100000"],
            "machine": ["a", "b"],
            "bad": ["0", "1"],
        }
    )
    solution = Columns(
        inputs=(Column(name="income", kind="number"),),
        targets=(Column(name="bad", kind="category", role="target"),),
        outputs=OUTPUTS,
    )
    schema = Schema.declare(solution, declared, list(training), table="training.csv")
    schema = schema.learn(schema.rename(training, table_name="training.csv", targets=True))
    good = schema.check(schema.rename(training, table_name="training.csv", targets=False), targets=False).good
    reference = drift.reference(good, schema, by_income(good))
    return replace(Fake(tmp_path / "bundle", schema, reference=reference), **changes)


def loans(path: Path, incomes: list[Any], *, start: int = 0) -> Path:
    rows = [f"L{start + i:04d},{i % 3:02d},{income}" for i, income in enumerate(incomes)]
    path.write_text("\n".join(["loan,branch,income", *rows]) + "\n", encoding="utf-8")
    return path


def content_of(folder: Path, name: str) -> dict[str, bytes]:
    """The bytes of all published files but the manifest, which holds times."""
    place = (folder / name).resolve()
    inside = {str(path.relative_to(place)): path for path in place.rglob("*")}
    files = {**inside, **{path.name: path for path in folder.glob(f"{name}*")}}
    return {what: path.read_bytes() for what, path in files.items() if path.is_file() and "manifest" not in what}
