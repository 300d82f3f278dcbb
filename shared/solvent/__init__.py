"""Solvent: industry solutions on Keras. Train on your own data, trust the numbers, score every night.

import solvent
bundle = solvent.train("config.yaml", out="runs/first")
print(bundle.headline)
scored = bundle.score(frame)
"""

import os as _os

# TensorFlow and Keras read these once, when they are first imported, so they are set before anything else.
_os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# TensorFlow's start-up notes about CPU features and missing GPU libraries are no news to a user; errors still show.
_os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow Recommenders refuses to import while `tf.keras` is Keras 3. With this, `tf.keras` is the legacy package,
# `import keras` is still Keras 3, and both live in one process.
_os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

from .errors import BarMissed, Refused, SolventError, TooManyBadRows, WorkerDone
from .registry import find, installed
from .schedule import Training
from .solution import (
    Column,
    Columns,
    Data,
    Dataset,
    Decoder,
    Figure,
    Finding,
    Fitted,
    Folder,
    Goal,
    Marked,
    Meaning,
    Output,
    Refitted,
    Remote,
    Sample,
    Section,
    Solution,
    Sums,
    Texts,
    Weighted,
    later,
)
from .split import Split

if TYPE_CHECKING:
    from .bundle import Bundle
    from .run import compare, evaluate, train

__version__ = _version("solvent-suite")

__all__ = [
    "BarMissed",
    "Bundle",
    "Column",
    "Columns",
    "Data",
    "Dataset",
    "Decoder",
    "Figure",
    "Finding",
    "Fitted",
    "Folder",
    "Goal",
    "Marked",
    "Meaning",
    "Output",
    "Refitted",
    "Refused",
    "Remote",
    "Sample",
    "Section",
    "Solution",
    "SolventError",
    "Split",
    "Sums",
    "Texts",
    "TooManyBadRows",
    "Training",
    "Weighted",
    "WorkerDone",
    "compare",
    "evaluate",
    "find",
    "installed",
    "later",
    "train",
]

# These import pandas or keras, so they are imported when they are first asked for.
_ON_DEMAND = {"Bundle": "bundle", "compare": "run", "evaluate": "run", "train": "run"}


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        return getattr(_import_module(f".{_ON_DEMAND[name]}", __name__), name)
    raise AttributeError(f"module 'solvent' has no attribute {name!r}")
