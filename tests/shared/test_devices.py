"""Strategy, precision, XLA and seed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from solvent import Data, Goal, Refused, Training, startup

startup.tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from solvent import devices, runtime, training  # noqa: E402
from solvent.precision import float32  # noqa: E402

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(40, 5)).astype("float32")
Y = (X[:, :1] - 2 * X[:, 1:2]).astype("float32")


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_numpy_cannot_take_is_refused_with_the_config(seed):
    with pytest.raises(ValidationError, match="seed"):
        devices.Device(seed=seed)


def recurrent() -> keras.Model:
    """A model of nested layers, each with a policy of its own."""
    inputs = keras.Input((5,))
    hidden = keras.layers.Dense(8, activation="relu")(inputs)
    hidden = keras.layers.Bidirectional(keras.layers.LSTM(2))(keras.layers.Reshape((2, 4))(hidden))
    hidden = keras.Sequential([keras.layers.Dropout(0.1), keras.layers.Dense(4)], name="inner")(hidden)
    return keras.Model(inputs, keras.layers.Dense(1, dtype="float32")(hidden))


def dense() -> keras.Model:
    inputs = keras.Input((5,))
    hidden = keras.layers.Dropout(0.1)(keras.layers.Dense(8, activation="relu")(inputs))
    return keras.Model(inputs, keras.layers.Dense(1, dtype="float32")(hidden))


def train(device: devices.Device, work: Path, build: Callable[[], keras.Model]) -> tuple[keras.Model, Any]:
    with devices.scope(device):
        model = build()
        record = training.fit(
            model,
            training.arrays(X, Y),
            stage="run",
            training=Training(epochs=4, batch_size=16, learning_rate=0.1, ema=0.5),
            loss="mse",
            monitor=lambda: {"mse": float(np.mean((runtime.predict(model, X, 16) - Y) ** 2))},
            goal=Goal("mse", higher=False),
            data=Data(None, None, None, {}, device.seed, work),  # type: ignore[arg-type]
        )
    return model, record


def policies(model: keras.Model) -> set[str]:
    found = {model.dtype_policy.name}
    for layer in model._flatten_layers():
        found.add(layer.dtype_policy.name)
    return found


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_a_mixed_model_trains_and_its_saved_one_is_float32(tmp_path: Path, precision: Any) -> None:
    model, record = train(devices.Device(strategy="cpu", precision=precision), tmp_path, recurrent)
    assert precision in policies(model)
    assert record["best"] < 0.9 * record["history"]["mse"][0]
    scores = runtime.predict(model, X, 16)
    assert scores.dtype == np.float32
    plain = float32(model)
    assert policies(plain) == {"float32"}
    for one, other in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    plain.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert policies(loaded) == {"float32"}
    np.testing.assert_allclose(runtime.predict(loaded, X, 16), scores, atol=0.05)


def test_a_model_whose_outputs_are_mixed_is_named(tmp_path: Path) -> None:
    def mixed() -> keras.Model:
        inputs = keras.Input((5,))
        return keras.Model(inputs, keras.layers.Dense(1)(inputs), name="careless")

    with pytest.raises(ValueError, match=r"outputs of careless are bfloat16: give its last layer dtype='float32'"):
        train(devices.Device(strategy="cpu", precision="mixed_bfloat16"), tmp_path, mixed)


def test_after_a_scope_the_precision_is_what_it_was() -> None:
    before = keras.config.dtype_policy().name
    with devices.scope(devices.Device(strategy="cpu", precision="mixed_bfloat16")) as placement:
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        assert devices.placement() is placement
    assert keras.config.dtype_policy().name == before
    with pytest.raises(RuntimeError, match="No device is chosen"):
        devices.placement()


def test_scopes_do_not_nest() -> None:
    device = devices.Device(strategy="cpu")
    with devices.scope(device) as outer:
        with pytest.raises(RuntimeError, match="scopes don't nest"), devices.scope(device):
            pass
        assert devices.placement() is outer


def test_one_seed_makes_two_runs_on_the_cpu_equal(tmp_path: Path) -> None:
    (one, first), (two, second), (three, _) = (
        train(devices.Device(strategy="cpu", seed=seed), tmp_path / name, dense)
        for seed, name in ((5, "a"), (5, "b"), (6, "c"))
    )
    assert first["history"] == second["history"]
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one.get_weights()[0], three.get_weights()[0])


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="there is a GPU")
def test_without_a_gpu_auto_is_the_cpu_in_float32() -> None:
    with devices.scope(devices.Device()) as placement:
        assert (placement.strategy, placement.precision, placement.replicas) == ("cpu", "float32", 1)


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="there is a GPU")
@pytest.mark.parametrize(("strategy", "says"), [("gpu", "sees no GPU here"), ("mirrored", "needs two devices")])
def test_devices_that_are_not_there_are_refused(strategy: Any, says: str) -> None:
    with (
        pytest.raises(Refused, match=rf"device\.strategy: {strategy}.*{says}"),
        devices.scope(devices.Device(strategy=strategy)),
    ):
        pass


def test_xla_gives_the_same_within_rounding(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    def without_dropout() -> keras.Model:
        inputs = keras.Input((5,))
        return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dense(8, activation="relu")(inputs)))

    plain, _ = train(devices.Device(strategy="cpu"), tmp_path / "plain", without_dropout)
    compiled, _ = train(devices.Device(strategy="cpu", xla=True), tmp_path / "xla", without_dropout)
    for one, other in zip(plain.get_weights(), compiled.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert not [warning for warning in recwarn if "jit_compile" in str(warning.message)]


# TensorFlow must be told of logical CPUs before it starts, so this needs a process of its own.
MIRRORED = """
import json, math, sys, tempfile
from pathlib import Path
import numpy as np
from solvent import Data, Goal, Training, startup
startup.tensorflow()
import keras
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from solvent import devices, runtime, training

random = np.random.default_rng(0)
x = random.normal(size=(41, 4)).astype("float32")
y = (x[:, :1] * 2 - x[:, 1:2]).astype("float32")


def run(strategy, **settings):
    with devices.scope(devices.Device(strategy=strategy)) as placement:
        inputs = keras.Input((4,))
        hidden = keras.layers.Dense(8, activation="relu")(inputs)
        hidden = keras.layers.BatchNormalization(synchronized=True)(hidden)
        model = keras.Model(inputs, keras.layers.Dense(1)(hidden))
        with tempfile.TemporaryDirectory() as folder:
            record = training.fit(
                model,
                training.arrays(x, y),
                stage="run",
                training=Training(epochs=4, learning_rate=0.02, **settings),
                loss="mse",
                monitor=lambda: {"mse": float(np.mean((runtime.predict(model, x, 16) - y) ** 2))},
                goal=Goal("mse", higher=False),
                data=Data(None, None, None, {}, 0, Path(folder)),
            )
        return placement.replicas, [variable.numpy() for variable in model.weights], record["history"]


found = {}
for name, settings, batch in [
    ("averaged, clipped, decaying", {"ema": 0.9, "clip": 0.5, "weight_decay": 0.1}, 16),
    ("three batches a step, the last of two", {"accumulate": 3, "clip": 0.5, "ema": 0.9}, 8),
    ("an odd batch, made even, and a plateau", {"schedule": "plateau", "patience": 3}, 15),
]:
    single = run("cpu", **settings, batch_size=math.ceil(batch / 2) * 2)
    mirrored = run("mirrored", **settings, batch_size=batch)
    found[name] = {
        "replicas": mirrored[0],
        "weights": max(float(abs(a - b).max()) for a, b in zip(single[1], mirrored[1], strict=True)),
        "loss": float(np.abs(np.subtract(single[2]["loss"], mirrored[2]["loss"])).max()),
        "moved": single[2]["loss"][0] - single[2]["loss"][-1],
    }
print(json.dumps(found))
"""


def test_two_mirrored_devices_train_as_one() -> None:
    ran = subprocess.run([sys.executable, "-c", MIRRORED], capture_output=True, text=True, env={**os.environ})
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert len(found) == 3
    for name, item in found.items():
        assert item["replicas"] == 2
        assert item["moved"] > 0.1, name
        assert item["weights"] < 1e-5, name
        assert item["loss"] < 1e-5, name
