"""What an epoch of solvent.training.fit costs beside Keras's own model.fit, in one process.

    python tests/benchmarks/training_overhead.py [--out training_overhead.json] [--runs 5]

Both train the same small network with Adam on the same rows, shuffled, batch 256, on one CPU device. Ours also writes
a checkpoint, the best weights and the history after each epoch, and follows Keras's with validation left out: the
monitor returns a number. An epoch's time is (time of many epochs - time of one epoch) / (many - 1), so that tracing and
compiling cancel out. Ours and theirs take turns; the median of the runs is shown.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from written import write

from solvent import Data, Goal, Training, startup

startup.tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from solvent import devices, training  # noqa: E402

CASES = {"tiny": (2_600, 8, 8, 41), "big": (100_000, 64, 64, 6)}  # rows, features, units, epochs
BATCH = 256
LIMIT = 1.2


def network(features: int, units: int) -> keras.Model:
    inputs = keras.Input((features,))
    hidden = keras.layers.Dense(units, activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.Dense(1)(hidden))


def ours(x: np.ndarray, y: np.ndarray, units: int, epochs: int) -> float:
    model = network(x.shape[1], units)
    counter = iter(range(epochs))
    with tempfile.TemporaryDirectory() as folder:
        data = Data(None, None, None, {}, 0, Path(folder))  # type: ignore[arg-type]
        start = time.perf_counter()
        training.fit(
            model,
            training.arrays(x, y),
            stage="run",
            training=Training(epochs=epochs, batch_size=BATCH, schedule="constant", warmup=0.0, patience=None),
            loss=keras.losses.BinaryCrossentropy(from_logits=True),
            monitor=lambda: {"score": float(next(counter))},
            goal=Goal("score"),
            data=data,
        )
        return time.perf_counter() - start


def theirs(x: np.ndarray, y: np.ndarray, units: int, epochs: int) -> float:
    model = network(x.shape[1], units)
    model.compile(optimizer="adam", loss=keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    start = time.perf_counter()
    model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0)
    return time.perf_counter() - start


def measure(name: str, runs: int) -> dict[str, object]:
    rows, features, units, epochs = CASES[name]
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, features)).astype("float32")
    y = (x[:, :1] > 0).astype("float32")
    found: dict[str, list[float]] = {"solvent": [], "keras": []}
    for _ in range(runs):
        for label, run in (("keras", theirs), ("solvent", ours)):
            one = run(x, y, units, 1)
            found[label].append((run(x, y, units, epochs) - one) / (epochs - 1))
    milliseconds = {label: 1000 * statistics.median(values) for label, values in found.items()}
    ratio = milliseconds["solvent"] / milliseconds["keras"]
    return {"case": name, "rows": rows, "features": features, "batch": BATCH, **milliseconds, "ratio": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "training_overhead.json")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with devices.scope(devices.Device(strategy="cpu")):
        results = [measure(name, options.runs) for name in CASES]
    print(f"{'case':>6} {'rows':>8} {'ours ms/epoch':>14} {'keras ms/epoch':>15} {'ratio':>6} {'limit':>6}")
    for row in results:
        print(
            f"{row['case']:>6} {row['rows']:>8,} {row['solvent']:>14.1f} {row['keras']:>15.1f} "
            f"{row['ratio']:>6.2f} {LIMIT:>6}"
        )
    protocol = {
        "ours": "a checkpoint, the best weights and the history after each epoch; each epoch is the best so far",
        "keras": "model.fit, shuffled, verbose=0, no validation, no checkpoint",
        "runs": options.runs,
    }
    write(options.out, protocol, {"keras": keras.__version__, "tensorflow": tf.__version__}, results=results)


if __name__ == "__main__":
    main()
