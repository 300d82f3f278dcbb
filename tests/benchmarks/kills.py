"""kill -9 at random moments of a scoring run, each followed by the same command: what is published has the same bytes.

    python tests/benchmarks/kills.py [--kills 50] [--rows 60000] [--out kills.json]

Made loans (a hundredth of them bad) and a scorer that answers at once, so that most of the time goes into what is to be
killed: reading, writing parts, the ledger, the publication. For each sink (a folder of Parquet, one Parquet file, CSV,
JSON Lines, a table of SQLite that is replaced, one that is merged into) a run in a process of its own is killed; half
of the moments are drawn from the clock, half from the changes of the disk (a file opened to write, renamed, linked, cut
off, removed). Then the same call is made again. Compared are all bytes of data and quarantine with those of an
undisturbed run, in the table all rows; the manifest and the ledger differ in their times alone. Before each kill an
older run is published: until the new one is, its bytes must be there.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from written import write

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

from made_loans import bundle, content_of

from solvent.score import score

CHUNK_ROWS = 2_000
SINKS = ("folder", "parquet", "csv", "jsonl", "sql replace", "sql merge")
CHANGES = {"os.rename", "os.link", "os.symlink", "os.truncate", "os.remove", "os.rmdir", "os.mkdir"}


def make(path: Path, rows: int, start: int) -> Path:
    draw = random.Random(start)
    incomes = [
        draw.choice(["abc", "inf", ""]) if draw.random() < 0.01 else draw.randint(14, 99_999) for _ in range(rows)
    ]
    lines = [f"L{start + i:07d},{i % 40:02d},{income}" for i, income in enumerate(incomes)]
    path.write_text("\n".join(["loan,branch,income", *lines]) + "\n")
    return path


class Place:
    """A sink in a folder, and what is published there."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.name = {"folder": "out", "parquet": "out.parquet", "csv": "out.csv", "jsonl": "out.jsonl"}.get(kind, "out")

    @property
    def sink(self) -> Any:
        if not self.kind.startswith("sql"):
            return self.folder / self.name
        address = f"sqlite:///{self.folder / 'scores.db'}"
        return {"sql": address, "table": "scores", "mode": self.kind[4:], "folder": str(self.folder / self.name)}

    def run(self, source: Path) -> dict[str, Any]:
        return score(bundle(self.folder), source, self.sink, chunk_rows=CHUNK_ROWS, max_bad=0.1)

    def published(self) -> str:
        """A hash of all data and of all rows set aside."""
        found = hashlib.sha256()
        for name, content in sorted(content_of(self.folder, self.name).items()):
            found.update(f"{name} {hashlib.sha256(content).hexdigest()}".encode())
        if self.kind.startswith("sql"):
            found.update(repr(self.rows()).encode())
        return found.hexdigest()

    def data(self) -> str:
        """A hash of what readers read, where one step publishes it."""
        if self.kind.startswith("sql"):
            return hashlib.sha256(repr(self.rows()).encode()).hexdigest()
        return (
            self.published()
            if self.kind == "folder"
            else hashlib.sha256((self.folder / self.name).read_bytes()).hexdigest()
        )

    def rows(self) -> list[Any]:
        with sqlite3.connect(self.folder / "scores.db") as connection:
            return connection.execute("SELECT * FROM scores ORDER BY loan").fetchall()


def in_a_child(work: Callable[[], Any], event: int | None = None, seconds: float | None = None) -> tuple[bool, int]:
    """Run in a process of its own, and kill it at a change of the disk or after some seconds.

    Returns:
        Whether it was killed, and how many changes of the disk it came to.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        count = 0

        def hook(name: str, arguments: tuple[Any, ...]) -> None:
            nonlocal count
            to_write = name == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if name in CHANGES or to_write:
                count += 1
                if event is not None and count > event:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        work()
        os.write(writing, str(count).encode())
        os._exit(0)
    os.close(writing)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    killed = bool(os.waitpid(child, 0)[1])
    with os.fdopen(reading) as file:
        count = int(file.read() or 0)
    return killed, count


def stage(place: Place) -> str:
    """Where the kill has hit, as the disk shows it."""
    runs = place.folder / f".{place.name}.runs"
    if any(runs.glob("*.tmp")):
        return "publication"
    work = next(iter(runs.glob("*.work")), None)
    if work is None:
        return "before or after"
    return "a write" if list(work.rglob(".*.tmp")) else "between writes"


def measure(kind: str, kills: int, rows: int, draw: random.Random) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as top:
        old, new = make(Path(top, "old.csv"), rows // 4, 10**6), make(Path(top, "new.csv"), rows, 0)
        before, clean = Place(kind, Path(top, "before")), Place(kind, Path(top, "clean"))
        before.folder.mkdir()
        in_a_child(lambda: before.run(old))
        shutil.copytree(before.folder, clean.folder, symlinks=True)
        started = time.monotonic()
        _, events = in_a_child(lambda: clean.run(new))
        seconds = time.monotonic() - started
        expected, was, becomes = clean.published(), before.data(), clean.data()
        hits: Counter[str] = Counter()
        wrong = torn = finished = 0
        place = Place(kind, Path(top, "killed"))
        for number in range(kills):
            shutil.rmtree(place.folder, ignore_errors=True)
            shutil.copytree(before.folder, place.folder, symlinks=True)
            moment = {"seconds": draw.uniform(0, seconds)} if number % 2 else {"event": draw.randrange(events)}
            killed, _ = in_a_child(lambda: place.run(new), **moment)
            finished += not killed
            hits[stage(place)] += killed
            torn += place.data() not in (was, becomes)
            in_a_child(lambda: place.run(new))
            manifest = place.run(new)  # nothing is to do any more
            same = place.published() == expected
            whole = manifest["rows_read"] == rows == manifest["rows_scored"] + manifest["rows_set_aside"]
            clean_up = not list(place.folder.rglob("*.tmp")) and not list(place.folder.rglob("*.work"))
            wrong += not (same and whole and clean_up)
    return {
        "sink": kind,
        "kills": kills - finished,
        "came_too_late": finished,
        "hits": dict(hits),
        "torn_while_killed": torn,
        "wrong_after_resume": wrong,
        "undisturbed_seconds": seconds,
        "changes_of_the_disk": events,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sinks", nargs="+", choices=SINKS, default=SINKS)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "kills.json")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    print(f"{'sink':<12} {'kills':>5} {'too late':>8} {'old or new':>10} {'same bytes':>10}  where they hit")
    results = []
    for kind in options.sinks:
        found = measure(kind, options.kills, options.rows, draw)
        results.append(found)
        hits = ", ".join(f"{where} {count}" for where, count in sorted(found["hits"].items()) if count)
        whole, same = (options.kills - found[what] for what in ("torn_while_killed", "wrong_after_resume"))
        print(f"{kind:<12} {found['kills']:>5} {found['came_too_late']:>8} {whole:>10} {same:>10}  {hits}", flush=True)
    protocol = {"rows": options.rows, "chunk_rows": CHUNK_ROWS, "kills": options.kills, "seed": options.seed}
    write(options.out, protocol, {"pandas": pd.__version__, "pyarrow": pa.__version__}, results=results)
    if any(found["wrong_after_resume"] or found["torn_while_killed"] for found in results):
        sys.exit("NOT the same")


if __name__ == "__main__":
    main()
