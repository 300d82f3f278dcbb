"""TensorFlow starts without its notes, beside the legacy Keras that TensorFlow Recommenders needs."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest

PROGRAM = """
import os
import tempfile
import warnings
from pathlib import Path

import solvent
from solvent import Data, Goal, Training, startup

startup.tensorflow()
import keras
import numpy as np
import tensorflow as tf

from solvent import devices, runtime, training

x = np.ones((32, 3), "float32")
with devices.scope(devices.Device(strategy="cpu")), tempfile.TemporaryDirectory() as folder:
    for number in range(7):
        inputs = keras.Input((3,))
        model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dropout(0.1)(inputs)))
        training.fit(
            model,
            training.arrays(x, x[:, :1]),
            stage=f"run-{number}",
            training=Training(epochs=2, patience=1, learning_rate="auto" if number == 0 else 0.01),
            loss="mse",
            monitor=lambda: {"score": float(runtime.predict(model, x, 8)[0, 0])},
            goal=Goal("score"),
            data=Data(None, None, None, {}, 0, Path(folder)),
        )
print("keras", keras.__version__)
print("legacy", os.environ["TF_USE_LEGACY_KERAS"], tf.keras.Model.__module__ if RECOMMENDERS else "tf_keras")
if RECOMMENDERS:
    import tensorflow_recommenders as tfrs

    task = tfrs.tasks.Retrieval()
    same = keras.ops.convert_to_tensor(np.eye(4, dtype="float32") * 9)
    print("retrieval", float(tf.function(task)(same, same)))
os.write(2, b"a plain line\\n")
tf.get_logger().warning("a warning of TensorFlow")
warnings.warn("a warning of Python", stacklevel=1)
"""
HAS_RECOMMENDERS = importlib.util.find_spec("tensorflow_recommenders") is not None


@pytest.fixture(scope="module")
def ran() -> subprocess.CompletedProcess[str]:
    quiet = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "KERAS_"))}
    program = PROGRAM.replace("RECOMMENDERS", str(HAS_RECOMMENDERS))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=quiet)
    assert done.returncode == 0, done.stderr
    return done


def test_standard_error_holds_warnings_and_nothing_else(ran: subprocess.CompletedProcess[str]) -> None:
    lines = ran.stderr.splitlines()
    expected = [
        "a plain line",
        "WARNING:tensorflow:a warning of TensorFlow",
        "<string>:.*UserWarning: a warning of Python",
    ]
    assert len(lines) == len(expected), ran.stderr
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, line), ran.stderr


def test_keras_is_keras_3_while_tf_keras_is_the_legacy_one(ran: subprocess.CompletedProcess[str]) -> None:
    said = dict(line.split(maxsplit=1) for line in ran.stdout.splitlines())
    assert said["keras"].startswith("3.")
    assert said["legacy"].startswith("1 tf_keras")


@pytest.mark.skipif(not HAS_RECOMMENDERS, reason="pip install 'solvent-suite[recommender]'")
def test_tensorflow_recommenders_works_in_the_same_process(ran: subprocess.CompletedProcess[str]) -> None:
    # Each query's own candidate has the logit 81, the three others 0: the loss is 4 log(1 + 3 exp(-81)), about 0.
    said = dict(line.split(maxsplit=1) for line in ran.stdout.splitlines())
    assert float(said["retrieval"]) == pytest.approx(0.0, abs=1e-5)


WITHHELD = """
import os
import sys
import types

from solvent import startup

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "keras":
            os.write(2, b"2026-01-01 00:00:00.000001: I tensorflow/core/util/port.cc:153] oneDNN is on.\\n")
            os.write(2, b"I0000 00:00:1767225600.000001 1 port.cc:153] a note\\n")
            os.write(2, b"2026-01-01 00:00:00.000001: W tensorflow/x.cc:1] the disk is nearly full\\n")
            os.write(2, b"2026-01-01 00:00:00.000001: E tensorflow/x.cc:1] an error\\n")
            os.write(2, b"no newline at the end")
            raise ImportError("no keras today")

sys.meta_path.insert(0, Finder())
try:
    startup.tensorflow()
except ImportError as error:
    print(error)
"""


def test_notes_are_withheld_and_warnings_pass_also_when_the_import_fails() -> None:
    done = subprocess.run([sys.executable, "-c", WITHHELD], capture_output=True, text=True)
    assert done.stdout == "no keras today\n", done.stderr
    assert [line.rpartition("] ")[2] for line in done.stderr.splitlines()] == [
        "the disk is nearly full",
        "an error",
        "no newline at the end",
    ]
