"""Whether a training that is killed and resumed leaves the bundle of an undisturbed one.

    python tests/benchmarks/training_kills.py [--kills 3] [--seed 0] [--out training_kills.json]

`solvent train` runs in a process of its own on the sentiment solution's made sample: dropout in the network, averaged
weights, early stopping, at most 25 epochs. Kill -9 strikes at random moments of the training, spread over the time from
its first to its last checkpoint in the undisturbed run; then `--resume` until it finishes. In the last trial all the
kills strike one training, one after the other. Compared, exactly: bundle.json's `test` and `training` (seconds left
out) and the weights of the model. About 15 seconds for each process that is started.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from solvent import Bundle, find, tables

COMMAND = [sys.executable, "-c", "from solvent.cli import main; main()", "--quiet", "train"]
TRAINING = {"epochs": 25, "patience": 6, "batch_size": 8, "learning_rate": 0.003, "ema": 0.95}


def write_config(folder: Path) -> Path:
    sample = find("sentiment").sample(0)
    tables.write(sample.rows, folder / "reviews.csv")
    config = {
        "solution": "sentiment",
        "data": {"rows": "reviews.csv", "columns": dict(sample.columns)},
        "device": {"strategy": "cpu"},
        "settings": {**sample.settings, "dropout": [0.2, 0.5], "training": TRAINING},
    }
    path = folder / "reviews.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def train(config: Path, out: Path, *, resume: bool, kill_after: float | None = None) -> tuple[float, bool]:
    """One process; killed so many seconds after its training began, if it is still there.

    Returns:
        Seconds between the first and the last checkpoint, and whether the kill struck.
    """
    work = out.parent / f".{out.name}.work"
    process = subprocess.Popen(
        [*COMMAND, str(config), "--out", str(out), *["--resume"] * resume], stdout=subprocess.DEVNULL
    )
    before = newest(work)
    first = last = 0.0
    while process.poll() is None:
        now, found = time.monotonic(), newest(work)
        if found > before:
            first, last, before = first or now, now, found
        if kill_after is not None and first and now - first >= kill_after:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            return last - first, True
        time.sleep(0.002)
    if process.returncode != 0:
        raise SystemExit(f"solvent train ended with exit code {process.returncode}.")
    return last - first, False


def newest(work: Path) -> float:
    """When the last checkpoint was written."""
    times = []
    for path in work.glob("*/stages/*/checkpoint.npz"):
        try:
            times.append(path.stat().st_mtime)
        except FileNotFoundError:  # the run has just finished
            continue
    return max(times, default=0.0)


def without_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_seconds(item) for key, item in value.items() if key != "seconds"}
    return [without_seconds(item) for item in value] if isinstance(value, list) else value


def differences(bundle: Bundle, reference: Bundle) -> list[str]:
    """What is not the same, to the last bit."""
    found = [
        part
        for part in ("test", "training")
        if without_seconds(bundle.facts[part]) != without_seconds(reference.facts[part])
    ]
    ours, theirs = (item.fitted.models["model"].get_weights() for item in (bundle, reference))
    if not all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True)):
        found.append("weights")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "training_kills.json")
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = write_config(folder)
        span, _ = train(config, folder / "undisturbed", resume=False)
        reference = Bundle.load(folder / "undisturbed")
        # One moment in each of as many equal parts of the training.
        moments = [span * (part + random.random()) / options.kills for part in range(options.kills)]
        trials = [[moment] for moment in moments] + [[span * random.random() / options.kills for _ in moments]]
        for number, kills in enumerate(trials):
            out = folder / f"killed-{number}"
            struck = [train(config, out, resume=place > 0, kill_after=kill)[1] for place, kill in enumerate(kills)]
            if struck[-1]:
                train(config, out, resume=True)
            rows.append(
                {
                    "killed_at_seconds": [round(kill, 3) for kill in kills],
                    "struck": sum(struck),
                    "differences": differences(Bundle.load(out), reference),
                }
            )
        epochs = [record["epochs"] for record in reference.facts["training"]]
    print(f"training took {span:.2f} s between its first and last checkpoint; epochs of its stages: {epochs}")
    print(f"{'killed after s':<28} {'kills':>5}  {'differs in'}")
    for row in rows:
        moments_text = ", ".join(f"{kill:.2f}" for kill in row["killed_at_seconds"])
        print(f"{moments_text:<28} {row['struck']:>5}  {', '.join(row['differences']) or 'nothing'}")
    protocol = {
        "compared": "bundle.json test and training (seconds left out), weights: equal to the last bit",
        "training": TRAINING,
        "seed": options.seed,
        "training_seconds": round(span, 3),
        "epochs": epochs,
        "versions": {"python": platform.python_version(), **reference.facts["versions"]},
        "cpus": os.cpu_count(),
        "date": time.strftime("%Y-%m-%d"),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"results": rows, "protocol": protocol}, indent=2) + "\n")
    if any(row["differences"] for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
