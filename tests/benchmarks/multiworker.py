"""Whether two processes that train together leave the bundle of one, also where one of them is killed and all go on.

    python tests/benchmarks/multiworker.py [--kills 3] [--seed 0]

`solvent train` runs on the credit solution's public loans, by one process and by two on this machine with
`device.strategy: multiworker`. Compared are all weights and the test headline; the bar is 1e-5.

Then a training of the sentiment solution on its made sample, with dropout, is disturbed: kill -9 strikes one of the two
workers, drawn at random, at random moments between the first and the last checkpoint. Measured is how long the other
one stays and what it says; both are started again with --resume. What they leave must equal the two workers'
undisturbed bundle to the last bit.

The seconds say what two processes cost on one machine, where they share the cores of one: no speed-up is to be seen.
"""

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from training_kills import COMMAND, TRAINING, differences, newest, write_config
from written import write

from solvent import Bundle
from solvent.record import versions

BAR = 1e-5
LONGEST = 900  # seconds until a worker counts as one that hangs


def credit_config(folder: Path) -> Path:
    config = {
        "solution": "credit",
        "data": {"rows": {"dataset": "credit_data"}, "columns": {"target": "Status", "id": "rownames"}},
        "device": {"strategy": "cpu"},
        "settings": {"positive": "bad"},
    }
    path = folder / "loans.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@dataclass
class Ended:
    """How the processes of a training ended.

    Args:
        seconds: from the start to the last one's end.
        struck: whether the kill struck.
        stayed: seconds from the kill to the other worker's end.
        span: from the first to the last checkpoint.
        says: the last lines of the other worker.
    """

    codes: list[int]
    seconds: float
    struck: bool = False
    stayed: float | None = None
    span: float = 0.0
    says: str = ""


def train(
    config: Path,
    out: Path,
    *,
    workers: int = 1,
    resume: bool = False,
    kill: tuple[int, float] | None = None,
) -> Ended:
    """Run a training to its end.

    Args:
        kill: which worker, and how many seconds after the first checkpoint.
    """
    began = time.monotonic()
    command = [*COMMAND, str(config), "--out", str(out), *["--resume"] * resume]
    if workers > 1:
        command += ["--set", "device.strategy=multiworker"]
    addresses = free_addresses(workers)
    logs = [out.with_name(f"{out.name}.log-{number}") for number in range(workers)]
    started = []
    for number, log in enumerate(logs):
        told = json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}})
        # The workers share the cores: more threads in each would wait for one another by spinning.
        threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // workers))}
        more = {"TF_CONFIG": told, **threads} if workers > 1 else {}
        with log.open("w") as file:
            started.append(
                subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file, env={**os.environ, **more})
            )
    work = out.parent / f".{out.name}.work"
    before = newest(work)
    first = last = struck = 0.0
    while any(process.poll() is None for process in started):
        now, found = time.monotonic(), newest(work)
        if found > before:
            first, last, before = first or now, now, found
        if kill is not None and first and not struck and now - first >= kill[1] and started[kill[0]].poll() is None:
            os.kill(started[kill[0]].pid, signal.SIGKILL)
            struck = now
        if struck and now - struck > LONGEST:
            for process in started:
                process.kill()
        time.sleep(0.005)
    ended = Ended([process.wait() for process in started], time.monotonic() - began, span=last - first)
    if struck and kill is not None:
        ended.struck, ended.stayed = True, time.monotonic() - struck
        ended.says = logs[1 - kill[0]].read_text().strip()
    elif any(ended.codes):
        raise SystemExit(f"solvent train ended with {ended.codes}:\n" + "\n".join(log.read_text() for log in logs))
    return ended


def free_addresses(count: int) -> list[str]:
    held = [socket.socket() for _ in range(count)]
    for item in held:
        item.bind(("localhost", 0))
    addresses = [f"localhost:{item.getsockname()[1]}" for item in held]
    for item in held:
        item.close()
    return addresses


def equality(name: str, config: Path) -> dict[str, Any]:
    """One process beside two."""
    outs = [config.parent / f"{name}-{workers}" for workers in (1, 2)]
    ended = [train(config, out, workers=place + 1) for place, out in enumerate(outs)]
    one, two = map(Bundle.load, outs)
    metric = one.facts["goal"]["metric"]
    headlines = [bundle.facts["test"]["metrics"][metric]["value"] for bundle in (one, two)]
    weights = [
        float(np.abs(ours - theirs).max())
        for model in one.fitted.models
        for ours, theirs in zip(*(b.fitted.models[model].get_weights() for b in (one, two)), strict=True)
    ]
    stages = [[record["epochs"] for record in bundle.facts["training"]] for bundle in (one, two)]
    return {
        "solution": name,
        "largest_difference_of_weights": max(weights),
        "metric": metric,
        "one_process": headlines[0],
        "two_processes": headlines[1],
        "stages": len(stages[0]),
        "same_epochs": stages[0] == stages[1],
        "seconds": [round(item.seconds, 1) for item in ended],
    }


def kills(config: Path, count: int, random: np.random.Generator) -> list[dict[str, Any]]:
    """One worker killed, all resumed; beside the undisturbed training of two."""
    undisturbed = train(config, config.parent / "undisturbed", workers=2)
    reference = Bundle.load(config.parent / "undisturbed")
    rows = []
    for number in range(count):
        # One moment in each of as many equal parts of the training.
        moment = undisturbed.span * (number + random.random()) / count
        killed = int(random.integers(2))
        out = config.parent / f"killed-{number}"
        ended = train(config, out, workers=2, kill=(killed, moment))
        found: dict[str, Any] = {
            "killed_worker": killed,
            "killed_at_seconds": round(moment, 2),
            "struck": ended.struck,
        }
        if ended.struck:
            found |= {
                "other_ended_with": ended.codes[1 - killed],
                "other_stayed_seconds": round(ended.stayed or 0.0, 1),
                "other_told_to_resume": bool(re.search(r"Start\s+all 2 workers again with --resume", ended.says)),
            }
            if not out.exists():
                train(config, out, workers=2, resume=True)
        rows.append({**found, "differences": differences(Bundle.load(out), reference)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "multiworker.json")
    options = parser.parse_args()
    equal, struck = [], []
    with tempfile.TemporaryDirectory() as name:
        reviews = write_config(Path(name))
        equal.append(equality("credit", credit_config(Path(name))))
        if options.kills:
            struck = kills(reviews, options.kills, np.random.default_rng(options.seed))
    print(f"{'solution':<12} {'weights differ by':>18} {'one process':>22} {'two':>10} {'stages':>7} {'seconds':>16}")
    for row in equal:
        seconds = " and ".join(map(str, row["seconds"]))
        print(
            f"{row['solution']:<12} {row['largest_difference_of_weights']:>18.1e} "
            f"{row['metric'] + ' ' + format(row['one_process'], '.6f'):>22} {row['two_processes']:>10.6f} "
            f"{row['stages']:>7} {seconds:>16}"
        )
    for row in struck:
        after = (
            f"the other stayed {row['other_stayed_seconds']} s and ended with {row['other_ended_with']}, "
            f"{'told to resume' if row['other_told_to_resume'] else 'not told to resume'}"
            if row["struck"]
            else "it had ended before"
        )
        print(
            f"worker {row['killed_worker']} killed after {row['killed_at_seconds']} s: {after}; "
            f"resumed, differs in {', '.join(row['differences']) or 'nothing'}"
        )
    protocol = {
        "bar": BAR,
        "compared": "one process and two: weights and test headline; killed and undisturbed: equal to the last bit",
        "training_that_is_killed": TRAINING,
        "seed": options.seed,
    }
    write(options.out, protocol, versions("sentiment"), equal=equal, kills=struck)
    apart = [row for row in equal if row["largest_difference_of_weights"] > BAR or not row["same_epochs"]]
    wrong = [row for row in struck if row["differences"] or (row["struck"] and not row["other_told_to_resume"])]
    if apart or wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
