"""`solvent new` for every solution, the whole way: a fresh environment, its tests, a training, a scoring.

    make bench NAME=new                                  every solution
    python tests/benchmarks/new.py credit medical        some of them

For each solution X, outside the repository: `solvent new acme --like X --to ../acme`, `pip install` of the suite and of
the copy in a new virtual environment, so with the extra of X and no other, `pytest`, `solvent train` on its example
and on its sample, `solvent score` of its sample's rows without their targets. Prints a table and writes
tests/benchmarks/results/new.json.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from solvent import contract, create, installed, tables

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results"
SHOWN = ("acme", "passed", "95 %", "scored")  # of what a step prints, the line that has one of these


def run(*command: object, cwd: Path) -> str:
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # what is installed, nothing else
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=own, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def try_one(name: str, folder: Path) -> list[tuple[str, float, str]]:
    """Each step, its seconds, and the last line that it printed."""
    acme, binaries = folder / "acme", folder / "venv" / "bin"
    item = next(item for item in installed() if item.name == name)
    kit = contract.Kit(item.load(), item.target, folder)
    config = {**kit.config("rows", kit.sample.rows), "solution": "acme"}
    (folder / "config.yaml").write_text(json.dumps(config))
    new_rows = folder / "new_rows.parquet"
    create.create("acme", name, acme)
    steps = [
        ("venv", [sys.executable, "-m", "venv", folder / "venv"]),
        (
            "install",
            [binaries / "pip", "install", "-q", "-c", ROOT / "constraints.txt", f"{ROOT}[demo]", f"{acme}[test]"],
        ),
        ("list", [binaries / "solvent", "list"]),
        ("tests", [binaries / "python", "-m", "pytest", "-q", acme]),
        ("train", [binaries / "solvent", "train", acme / "solvent_acme" / "example.yaml", "--out", folder / "bundle"]),
        ("sample", [binaries / "solvent", "train", folder / "config.yaml", "--out", folder / "own"]),
        ("score", [binaries / "solvent", "score", folder / "own", new_rows, folder / "scores.parquet"]),
    ]
    found = []
    for step, command in steps:
        if step == "score":
            schema = json.loads((folder / "own" / "bundle.json").read_text())["schema"]
            targets = [field["source"] for field in schema["fields"] if field["role"] == "target"]
            tables.write(kit.sample.rows.drop(columns=targets).head(200), new_rows)
        started = time.monotonic()
        lines = run(*command, cwd=folder).strip().splitlines()
        found.append(
            (
                step,
                time.monotonic() - started,
                next((line for line in lines if any(word in line for word in SHOWN)), ""),
            )
        )
    return found


def main() -> None:
    everything = {}
    asked = sys.argv[1:] or [item.name for item in installed()]
    for item in (item for item in installed() if item.name in asked):
        with tempfile.TemporaryDirectory() as folder:
            everything[item.name] = try_one(item.name, Path(folder))
        for step, seconds, line in everything[item.name]:
            print(f"{item.name:<12} {step:<8} {seconds:7.1f} s  {line}", flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "new.json").write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
