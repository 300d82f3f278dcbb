"""`solvent new` for every solution, the whole way: a fresh environment, its tests, a training, a scoring.

    make bench NAME=new

For each solution X, outside the repository: `solvent new acme --like X --to ../acme`, `pip install` of the suite and of
the copy in a new virtual environment, `pytest`, `solvent train` on its example.yaml, `solvent score` of its sample.
Prints a table and writes tests/benchmarks/results/new.json.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from solvent import installed, tables

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results"


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def try_one(name: str, folder: Path) -> list[tuple[str, float, str]]:
    """Each step, its seconds, and the last line that it printed."""
    acme, binaries = folder / "acme", folder / "venv" / "bin"
    rows = folder / "rows.csv"
    sample = next(item for item in installed() if item.name == name).load().sample(0)
    tables.write(sample.rows, rows)
    steps = [
        ("new", [Path(sys.executable).parent / "solvent", "new", "acme", "--like", name, "--to", acme]),
        ("venv", [sys.executable, "-m", "venv", folder / "venv"]),
        (
            "install",
            [binaries / "pip", "install", "-q", "-c", ROOT / "constraints.txt", f"{ROOT}[demo]", f"{acme}[test]"],
        ),
        ("list", [binaries / "solvent", "list"]),
        ("tests", [binaries / "python", "-m", "pytest", "-q", acme]),
        ("train", [binaries / "solvent", "train", acme / "solvent_acme" / "example.yaml", "--out", folder / "bundle"]),
    ]
    found = []
    for step, command in steps:
        started = time.monotonic()
        lines = run(*command, cwd=folder).strip().splitlines()
        found.append(
            (
                step,
                time.monotonic() - started,
                next((line for line in lines if "acme" in line or "passed" in line or "95 %" in line), ""),
            )
        )
    config = {
        "solution": "acme",
        "data": {"rows": str(rows), "columns": dict(sample.columns)},
        "settings": dict(sample.settings),
    }
    (folder / "config.yaml").write_text(json.dumps(config))
    run(binaries / "solvent", "train", folder / "config.yaml", "--out", folder / "own", cwd=folder)
    started = time.monotonic()
    printed = run(binaries / "solvent", "score", folder / "own", rows, folder / "scores.csv", cwd=folder)
    found.append(("score", time.monotonic() - started, printed.strip()))
    return found


def main() -> None:
    everything = {}
    for item in installed():
        with tempfile.TemporaryDirectory() as folder:
            everything[item.name] = try_one(item.name, Path(folder))
        for step, seconds, line in everything[item.name]:
            print(f"{item.name:<12} {step:<8} {seconds:7.1f} s  {line}", flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "new.json").write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
