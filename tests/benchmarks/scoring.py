"""How fast `solvent score` is from Parquet to Parquet, in how much memory, and where the time goes.

    python tests/benchmarks/scoring.py [--runs 5] [--chunk-rows N] [--out scoring.json]
    python tests/benchmarks/scoring.py --bundle runs/german --rows german.csv

Without a bundle: a made portfolio of 20 columns (an id, a date, 10 numbers, 8 categories; 5 % missing cells, 0.1 % of
the rows bad) and a scorer that answers as a scorecard does, at once: a probability, points, two words, three reasons.
With a bundle: the rows of a table, drawn again and again, with fresh ids, 0.1 % of them bad. Either way with checks,
quarantine and reasons.

Each run is a process of its own. Start-up is from before Python starts until the bundle has scored one row: it is shown
beside. Rows a second are those of all that follows, up to the published file. The peak is the process's highest
resident set. "pyarrow" reads the same file, decodes it into pandas and writes it again, with pyarrow's own threads, in
a process of its own too; they take turns. Where the time goes is from one more run with clocks in it: each step's own
seconds, waiting included, and those of the processor, in the thread that it runs in. Threads run beside each other.
"""

import argparse
import functools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from written import write

SIZES = (500_000, 2_000_000)
LEAST, MOST_GROWTH, AIM = 150_000, 0.1, 4.0  # rows a second, share of the peak, times pyarrow
NUMBERS = [f"number_{place}" for place in range(10)]
CATEGORIES = [f"category_{place}" for place in range(8)]
MISSING, BAD = 0.05, 0.001


# The made portfolio, and a bundle for it


def portfolio(rows: int, start: int = 0) -> pa.Table:
    random = np.random.default_rng((0, start))
    absent = lambda: random.random(rows) < MISSING  # noqa: E731
    columns: dict[str, Any] = {"loan": pa.array(np.char.mod("L%010d", np.arange(start, start + rows)))}
    days = np.datetime64("2020-01-01") + random.integers(0, 1500, rows)
    columns["applied"] = pa.array(days)
    for place, name in enumerate(NUMBERS):
        values = random.normal(50, 10, rows)
        if place == 0:
            values[random.random(rows) < BAD] = np.inf
        columns[name] = pa.array(np.round(values), mask=absent()) if place >= 7 else pa.array(values, mask=absent())
        if place >= 8:
            columns[name] = columns[name].cast(pa.int64())
    for place, name in enumerate(CATEGORIES):
        levels = pa.array([f"{name} {level}" for level in range(3 + 4 * place)])
        columns[name] = levels.take(pa.array(random.integers(0, len(levels), rows), mask=absent()))
    return pa.table(columns)


WORDS = pa.array(["debts in relation to income", "short history", "late payments", "many enquiries", "high use"])


def scorer(rows: pd.DataFrame) -> pd.DataFrame:
    """A scorecard's answer without its work."""
    total = rows["number_0"].fillna(50).to_numpy() + rows["number_1"].fillna(50).to_numpy()
    points = np.round(600 - total).astype(np.int64)
    probability = 1 / (1 + np.exp((points - 500) / 72.13))
    refused = (points <= 490).astype(np.int64)
    columns: dict[str, Any] = {"probability": probability, "points": points}
    columns["class"] = _words(["good", "bad"], refused)
    columns["decision"] = _words(["approve", "refuse"], refused)
    for place in range(3):
        reason = (points + place) % 7
        columns[f"reason_{place + 1}"] = _words(WORDS, np.minimum(reason, 4), reason > 4)
    return pd.DataFrame(columns, index=rows.index)


def _words(words: Any, codes: np.ndarray, absent: np.ndarray | None = None) -> Any:
    return pd.array(pa.array(words, pa.large_string()).take(pa.array(codes, mask=absent)), dtype="str")


@dataclass(frozen=True)
class Made:
    """A bundle without a model."""

    schema: Any
    outputs: tuple[Any, ...]
    path: Path = Path("made")
    sha256: str = "0" * 64
    facts: Mapping[str, Any] = field(default_factory=lambda: {"solution": "made", "personal": []})
    reference: Mapping[str, Any] = field(default_factory=dict)
    settings: Any = None

    def has_changed(self) -> bool:
        return False

    def source(self, given: Any) -> Any:
        return given

    def scorer(self, side: Any = None) -> Any:
        from solvent import promises

        return promises.checked_score(scorer, scorer, self.outputs)


def made_bundle() -> Made:
    from solvent import Column, Columns, Output, drift
    from solvent.schema import Schema

    outputs = (
        Output(name="probability", type="float"),
        Output(name="points", type="integer"),
        Output(name="class", type="string"),
        Output(name="decision", type="string"),
        *(Output(name=f"reason_{place}", type="string", nullable=True) for place in (1, 2, 3)),
    )
    target = Column(name="target", kind="category", role="target")
    columns = Columns(targets=(target,), outputs=outputs, features=("number", "category"))
    rows = portfolio(20_000).to_pandas().assign(target="good")
    declared = {"id": "loan", "passthrough": ["applied"], "number_0": {"range": [-1000, 1000]}}
    schema = Schema.declare(columns, declared, list(rows), table="made")
    schema = schema.learn(schema.rename(rows, table_name="made", targets=True))
    good = schema.check(schema.rename(rows, table_name="made", targets=False), targets=False).good
    return Made(schema, outputs, reference=drift.reference(good, schema, scorer(good)))


def drawn_portfolio(bundle: Any, table: Path, path: Path, rows: int) -> None:
    """The table's rows, drawn with replacement, as `bundle` reads them, with fresh ids; of 1,000 rows one is bad."""
    from solvent import tables
    from solvent.schema import kinds

    found = tables.read(bundle.source(str(table)))
    for each in bundle.schema.fields:
        if each.role == "entity":
            sys.exit(f"{each.source} is an entity: its rows can't be drawn one by one.")
        if each.kind == "number" and each.source in found and each.role != "id":
            cells = kinds.read(found[each.source], "number")
            found[each.source] = found[each.source] if cells.unreadable.any() else cells.values
    random = np.random.default_rng(0)
    drawn = found.iloc[random.integers(0, len(found), rows)].reset_index(drop=True)
    numbers = [each.source for each in bundle.schema.features if pd.api.types.is_numeric_dtype(found[each.source])]
    if numbers:
        drawn[numbers[0]] = drawn[numbers[0]].astype(float).mask(random.random(rows) < BAD, np.inf)
    for each in bundle.schema.by_role("id"):
        texts = not pd.api.types.is_numeric_dtype(found[each.source])
        drawn[each.source] = np.char.mod("L%010d", np.arange(rows)) if texts else np.arange(rows)
    pq.write_table(tables.parquet.typed(drawn, {}), path)


# What runs in a process of its own


class Clocks:
    """Each step's own time on the clock and on the processor, in seconds, without that of steps within it."""

    def __init__(self) -> None:
        self.spent: defaultdict[tuple[str, str], np.ndarray] = defaultdict(lambda: np.zeros(2))
        self._here = threading.local()

    def timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*arguments: Any, **options: Any) -> Any:
            outer, self._here.inner = getattr(self._here, "inner", 0.0), 0.0
            start = np.array([time.perf_counter(), time.thread_time()])
            try:
                return function(*arguments, **options)
            finally:
                whole = np.array([time.perf_counter(), time.thread_time()]) - start
                self.spent[step, threading.current_thread().name] += whole - self._here.inner
                self._here.inner = outer + whole

        return run

    def timed_parts(self, step: str, function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def run(*arguments: Any, **options: Any) -> Iterator[Any]:
            parts = function(*arguments, **options)
            following = self.timed(step, lambda: next(parts, None))
            while (part := following()) is not None:
                yield part

        return run


def with_clocks() -> Clocks:
    """Put clocks around the steps of scoring. Imports what it holds, so that start-up has it all."""
    from solvent import drift, tables
    from solvent.schema import Schema
    from solvent.score import finish, identity, ledger, parts, run, writer

    clocks = Clocks()
    tables.chunks = clocks.timed_parts("read and decode", tables.chunks)
    for owner, name, step in (
        (parts, "_repeated", "repeated ids"),
        (Schema, "check", "check the cells"),
        (parts, "_set_aside", "rows set aside"),
        (tables, "typed", "outputs into Arrow"),
        (run, "score_part", "part the rows, count reasons"),
        (identity.Content, "sums", "hash the source"),
        (run, "write_part", "write the parts"),
        (drift.Counts, "of", "count for drift"),
        (ledger.Ledger, "add", "the ledger"),
        (writer.Files, "join_into", "join the parts"),
        (finish, "sha256", "hash the output"),
        (finish, "page", "the drift report"),
    ):
        setattr(owner, name, clocks.timed(step, getattr(owner, name)))
    return clocks


def score_once(case: Mapping[str, Any]) -> dict[str, Any]:
    from solvent.bundle import Bundle
    from solvent.score import score

    bundle = Bundle.load(case["bundle"]) if case["bundle"] else made_bundle()
    clocks = with_clocks() if case["clocks"] else None
    for left in Path(case["output"]).parent.glob(f"{Path(case['output']).name}*"):
        left.unlink()  # what is published already would not be scored again
    ready = bundle.scorer()
    score(Ready(bundle, ready), case["first"], f"{case['first']}.scored.parquet", max_bad=1)
    if clocks:
        clocks.spent.clear()
        ready = clocks.timed("score", ready)
    started = time.perf_counter()
    startup = time.time() - case["started"]
    manifest = score(Ready(bundle, ready), case["source"], case["output"], max_bad=1, chunk_rows=case["chunk_rows"])
    seconds = time.perf_counter() - started
    steps = [[step, thread, *spent.tolist()] for (step, thread), spent in clocks.spent.items()] if clocks else []
    return {"seconds": seconds, "startup": startup, "steps": steps, "set_aside": manifest["rows_set_aside"]}


@dataclass(frozen=True)
class Ready:
    """A bundle whose scorer is there already."""

    bundle: Any
    ready: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bundle, name)

    def scorer(self, side: Any = None) -> Any:
        return self.ready


def copy_once(case: Mapping[str, Any]) -> dict[str, Any]:
    started = time.perf_counter()
    table = pq.read_table(case["source"])
    frame = table.to_pandas()
    pq.write_table(table, case["output"])
    return {"seconds": time.perf_counter() - started, "rows": len(frame)}


def make(case: Mapping[str, Any]) -> dict[str, Any]:
    if case["bundle"]:
        from solvent.bundle import Bundle

        drawn_portfolio(Bundle.load(case["bundle"]), Path(case["rows_of"]), Path(case["source"]), case["rows"])
    else:
        pq.write_table(portfolio(case["rows"]), case["source"])
    pq.write_table(pq.read_table(case["source"]).slice(0, 1), case["first"])
    return {}


WORK = {"make": make, "score": score_once, "copy": copy_once}


def in_a_process(work: str, **case: Any) -> dict[str, Any]:
    command = [sys.executable, __file__, "--work", work, "--case"]
    started = time.time()
    done = subprocess.run([*command, json.dumps({**case, "started": started})], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


# The tables


def measure(rows: int, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    case = {
        "source": str(folder / f"{rows}.parquet"),
        "first": str(folder / "first.parquet"),
        "output": str(folder / f"scored-{rows}.parquet"),
        "bundle": options.bundle,
        "rows_of": options.rows,
        "rows": rows,
        "chunk_rows": options.chunk_rows,
        "clocks": False,
    }
    in_a_process("make", **case)
    scored, copied = [], []
    for _ in range(options.runs):
        scored.append(in_a_process("score", **case))
        copied.append(in_a_process("copy", **{**case, "output": str(folder / "copied.parquet")}))
    clocked = in_a_process("score", **{**case, "clocks": True})
    median = lambda found, what: statistics.median(each[what] for each in found)  # noqa: E731
    seconds, pyarrow_seconds = median(scored, "seconds"), median(copied, "seconds")
    return {
        "rows": rows,
        "set_aside": scored[0]["set_aside"],
        "rows_per_second": rows / seconds,
        "seconds": seconds,
        "startup_seconds": median(scored, "startup"),
        "peak_mb": median(scored, "peak_mb"),
        "pyarrow_seconds": pyarrow_seconds,
        "ratio": seconds / pyarrow_seconds,
        "runs": [each["seconds"] for each in scored],
        "pyarrow_runs": [each["seconds"] for each in copied],
        "clocked_seconds": clocked["seconds"],
        "steps": clocked["steps"],
    }


def show(results: list[dict[str, Any]]) -> None:
    print(
        f"{'rows':>10} {'set aside':>9} {'rows/s':>9} {'least':>8} {'seconds':>8} {'start-up s':>10} {'peak MB':>8} "
        f"{'pyarrow s':>9} {'ratio':>6} {'aim':>5}"
    )
    for each in results:
        print(
            f"{each['rows']:>10,} {each['set_aside']:>9,} {each['rows_per_second']:>9,.0f} {LEAST:>8,} "
            f"{each['seconds']:>8.2f} {each['startup_seconds']:>10.2f} {each['peak_mb']:>8,.0f} "
            f"{each['pyarrow_seconds']:>9.2f} {each['ratio']:>5.2f}x {AIM:>4.1f}x"
        )
    growth = results[-1]["peak_mb"] / results[0]["peak_mb"] - 1
    print(f"peak memory grows by {growth:+.1%} over these sizes; {MOST_GROWTH:.0%} may be")
    last = results[-1]
    print(f"\nwhere the time goes: {last['rows']:,} rows in {last['clocked_seconds']:.2f} s with clocks")
    print(f"{'step':<30} {'thread':<12} {'seconds':>8} {'CPU s':>8}")
    for step, thread, seconds, processor in sorted(last["steps"], key=lambda each: -each[3]):
        print(f"{step:<30} {thread:<12} {seconds:>8.2f} {processor:>8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle")
    parser.add_argument("--rows", help="the table whose rows the bundle scores")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--chunk-rows", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "scoring.json")
    parser.add_argument("--work", choices=WORK, help=argparse.SUPPRESS)
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        found = WORK[options.work](options.case)
        print(json.dumps({**found, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
        return
    if (options.bundle is None) != (options.rows is None):
        parser.error("--bundle and --rows need each other")
    with tempfile.TemporaryDirectory() as folder:
        results = [measure(rows, Path(folder), options) for rows in sorted(options.sizes)]
    show(results)
    protocol = {
        "bundle": options.bundle or "made",
        "rows": options.rows or "made",
        "runs": f"medians of {options.runs} processes each, Solvent and pyarrow in turns",
        "chunk_rows": options.chunk_rows,
        "pyarrow": "read_table, to_pandas, write_table",
    }
    write(options.out, protocol, {"pandas": pd.__version__, "pyarrow": pa.__version__}, results=results)


if __name__ == "__main__":
    main()
