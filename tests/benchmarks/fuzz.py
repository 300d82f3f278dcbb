"""Score hostile inputs of every kind: never a traceback, a hang, a file outside the output folder, or a wrong row.

    python tests/benchmarks/fuzz.py [--cases 22000] [--seed 0] [--kinds CSV Parquet ...] [--out fuzz.json]

tests/toys/hostile.py makes the cases, runs them, and holds what is published against what a plain reader (csv, json,
pyarrow, Pillow) finds in the same file. A batch of cases runs in a process of its own, so that a crash and a hang (no
end within the limit) are caught, counted, and gone on behind. What it writes is seen by Python's audit hook, and what
lies in the case's folder afterwards is looked at. One drift report in ten is really made, and the packages' versions
are looked up once: they take most of a small run's time.
"""

import argparse
import logging
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL
import pyarrow as pa
from written import write

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

import hostile

from solvent import record
from solvent.score import finish

SHARES = {  # of all cases
    "CSV": 0.19,
    "JSON Lines": 0.12,
    "compressed CSV": 0.1,
    "compressed JSON Lines": 0.07,
    "Parquet": 0.13,
    "odd cells and names": 0.07,
    "absurd sizes": 0.002,
    "zip bombs": 0.001,
    "odd places": 0.02,
    "images": 0.08,
    "image bombs": 0.002,
    "image paths": 0.05,
    "image folders": 0.02,
    "job files": 0.145,
}
BATCH = 250
ENDS = ("refused", "failed", "too many bad rows", "published")


def hurry() -> None:
    """Leave out, nine times in ten, what every run repeats."""
    page, count = finish.page, iter(range(10**9))
    finish.page = lambda *given, **named: "" if next(count) % 10 else page(*given, **named)
    record.versions = cache(record.versions)
    logging.disable(logging.CRITICAL)


def child(kind: str, numbers: range, pipe: Any, other_end: Any) -> None:
    """Run cases, and say of each that it begins and what came of it."""
    other_end.close()  # else a parent that is gone is waited for
    with pipe, tempfile.TemporaryDirectory(dir=FOLDER, prefix="fuzz-") as top:
        for number in numbers:
            pipe.send((number, os.getpid(), top))
            folder = Path(top, "case")
            folder.mkdir()
            found = hostile.run(kind, number, folder)
            shutil.rmtree(folder)
            pipe.send(asdict(found))
        pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def batch(kind: str, numbers: range, seconds: float) -> Iterator[dict[str, Any] | float]:
    """What came of each case, and the peak memory in MB; a crash or a hang ends one case, and the next goes on."""
    while numbers:
        reading, writing = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("fork").Process(target=child, args=(kind, numbers, writing, reading))
        process.start()
        writing.close()
        number, end, top = numbers[0], None, None
        try:
            while True:
                if not reading.poll(seconds):
                    end = "hang"
                    os.kill(process.pid or 0, signal.SIGKILL)
                    break
                said = reading.recv()
                if isinstance(said, tuple):
                    number, _, top = said
                else:
                    yield said
                    number += not isinstance(said, float)
        except EOFError:
            pass
        process.join()
        if end is None and process.exitcode:
            end = "crash"
        if end is None:
            return
        if top:
            shutil.rmtree(top, ignore_errors=True)
        yield asdict(hostile.Found(kind, number, end, f"exit code {process.exitcode}"))
        numbers = range(number + 1, numbers.stop)


def measure(kind: str, numbers: range, seconds: float) -> dict[str, Any]:
    ends: Counter[str] = Counter()
    bad: list[dict[str, Any]] = []
    peak, started, slowest, last = 0.0, time.monotonic(), 0.0, time.monotonic()
    for first in range(numbers.start, numbers.stop, BATCH):
        for found in batch(kind, range(first, min(first + BATCH, numbers.stop)), seconds):
            if isinstance(found, float):
                peak = max(peak, found)
                continue
            slowest, last = max(slowest, time.monotonic() - last), time.monotonic()
            ends[found["end"]] += 1
            if found["end"] in ("traceback", "hang", "crash") or found["wrong"] or found["outside"]:
                bad.append(found)
                said = "\n".join(found["said"].splitlines()[-12:])
                print(
                    f"{kind} {found['number']}: {found['end']}, {found['wrong']}, {found['outside'][:3]}\n{said}",
                    flush=True,
                )
    return {
        "kind": kind,
        "cases": len(numbers),
        **{end.replace(" ", "_"): ends[end] for end in ENDS},
        "wrong_rows": sum(found["wrong"] is not None for found in bad),
        "tracebacks": ends["traceback"] + ends["crash"],
        "hangs": ends["hang"],
        "files_outside": sum(bool(found["outside"]) for found in bad),
        "seconds": round(time.monotonic() - started, 1),
        "slowest_case": round(slowest, 1),
        "peak_mb": round(peak),
        "bad": [{name: found[name] for name in ("number", "end", "wrong", "outside")} for found in bad],
    }


FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None  # flushing to a disk would take most of the time
COLUMNS = {  # of the results, and how the table calls them
    "cases": "cases",
    "refused": "refused",
    "failed": "failed",
    "too_many_bad_rows": "too many",
    "published": "published",
    "wrong_rows": "wrong",
    "tracebacks": "traceback",
    "hangs": "hang",
    "files_outside": "outside",
    "seconds": "seconds",
    "slowest_case": "slowest",
    "peak_mb": "peak MB",
}
MOST = ("slowest_case", "peak_mb")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=22_000)
    parser.add_argument(
        "--seed", type=int, default=0, help="other cases: they are counted on from here, times a million"
    )
    parser.add_argument("--kinds", nargs="+", choices=SHARES, default=list(SHARES))
    parser.add_argument("--number", type=int, help="one case, of one kind")
    parser.add_argument("--limit", type=float, default=120, help="seconds that a case may take")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "fuzz.json")
    options = parser.parse_args()
    hurry()
    start, results = options.seed * 1_000_000, []
    print(f"{'kind':<22}" + "".join(f"{title:>10}" for title in COLUMNS.values()), flush=True)
    for kind in options.kinds:
        numbers = range(start, start + max(1, round(options.cases * SHARES[kind])))
        if options.number is not None:
            numbers = range(options.number, options.number + 1)
        found = measure(kind, numbers, options.limit)
        results.append(found)
        print(f"{kind:<22}" + "".join(f"{found[name]:>10}" for name in COLUMNS), flush=True)
    total = {name: sum(found[name] for found in results) for name in COLUMNS if name not in MOST}
    total |= {name: max(found[name] for found in results) for name in MOST}
    print(f"{'all':<22}" + "".join(f"{total[name]:>10.0f}" for name in COLUMNS), flush=True)
    versions = {"pandas": pd.__version__, "pyarrow": pa.__version__, "numpy": np.__version__, "pillow": PIL.__version__}
    write(
        options.out,
        {"cases": options.cases, "seed": options.seed, "limit_seconds": options.limit},
        versions,
        results=results,
    )
    if any(found["bad"] for found in results):
        sys.exit("NOT held")


if __name__ == "__main__":
    main()
