"""Scoring from an S3 server into it, with injected errors and slow answers, beside the same run on this machine.

    python tests/benchmarks/scoring_s3.py [--rows 200000] [--errors 0.05] [--slow 0.02] [--runs 3] [--out s3.json]

Made loans (a hundredth of them bad) and a scorer that answers at once. The server is moto's, behind a
proxy that lets a share of all requests fail (500, 503, cut off before, after and amid the answer; the draw is seeded)
and answers others late; the client's own retries are switched off. Each run has a cache of its own: it fetches,
scores, uploads. Compared is the sha256 of every file of scores and of rows set aside, as the manifest in the store
names them, with that of the local run. Then the same command again, which has nothing to do.
"""

import argparse
import hashlib
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from written import write

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

from kills import make
from made_loans import bundle

import s3
from solvent import stores
from solvent.score import score

CHUNK_ROWS = 10_000
OUTPUT = "s3://out-bucket/scores"


def timed(folder: Path, source: Any, output: Any) -> tuple[float, dict[str, Any]]:
    started = time.monotonic()
    manifest = score(bundle(folder), source, output, chunk_rows=CHUNK_ROWS, max_bad=0.1)
    return time.monotonic() - started, manifest


def local_sums(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.parquet"))
    }


def sums_in_store(files: Any) -> dict[str, str]:
    """By the manifest; the bytes are read again, and not its word taken for them."""
    manifest = json.loads(files.cat_file(f"{OUTPUT}/manifest.json"))
    named = [*manifest["parts"], *manifest["quarantine"]]
    content = {each["name"]: files.cat_file(f"{OUTPUT}/{each['name']}") for each in named}
    run = f"{manifest['run']}/"
    return {name.removeprefix(run): hashlib.sha256(found).hexdigest() for name, found in sorted(content.items())}


def measure(top: Path, proxy: s3.Proxy, options: argparse.Namespace, number: int) -> dict[str, Any]:
    folder = top / str(number)
    folder.mkdir()
    os.environ["SOLVENT_CACHE"] = str(folder / "cache")
    source = make(folder / "loans.csv", options.rows, number * options.rows)
    files = s3.client()
    files.put_file(str(source), "in-bucket/loans.csv")
    here, _ = timed(folder, source, folder / "out")
    proxy.share, proxy.slow = options.errors, options.slow
    proxy.faults.clear()
    proxy.seen.clear()
    there, manifest = timed(folder, "s3://in-bucket/loans.csv", OUTPUT)
    requests, faults = sum(proxy.seen.values()), dict(proxy.faults)
    again, _ = timed(folder, "s3://in-bucket/loans.csv", OUTPUT)
    proxy.share = proxy.slow = 0.0
    expected, found = local_sums((folder / "out").resolve()), sums_in_store(files)
    whole = manifest["rows_read"] == options.rows == manifest["rows_scored"] + manifest["rows_set_aside"]
    return {
        "local_seconds": here,
        "s3_seconds": there,
        "again_seconds": again,
        "requests": requests,
        "faults": faults,
        "files": len(expected),
        "same": whole and expected == found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--errors", type=float, default=0.05)
    parser.add_argument("--slow", type=float, default=0.02)
    parser.add_argument("--seconds", type=float, default=1.0, help="how late a slow answer comes")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "scoring_s3.json")
    options = parser.parse_args()
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else a line for each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    proxy = s3.Proxy(server.get_host_and_port()[1], options.seed)
    proxy.seconds = options.seconds
    os.environ.update(s3.environment(proxy.address))
    for bucket in ("in", "out"):
        s3.client().mkdir(f"{bucket}-bucket")
    print(
        f"{'run':>3} {'local s':>8} {'s3 s':>8} {'again s':>8} {'requests':>9} {'faults':>7} {'files':>6}  same bytes"
    )
    results = []
    with tempfile.TemporaryDirectory() as top:
        for number in range(options.runs):
            found = measure(Path(top), proxy, options, number)
            results.append(found)
            seconds = " ".join(f"{found[f'{name}_seconds']:>8.1f}" for name in ("local", "s3", "again"))
            faults = sum(found["faults"].values())
            print(
                f"{number:>3} {seconds} {found['requests']:>9} {faults:>7} {found['files']:>6}  {found['same']}",
                flush=True,
            )
    server.stop()
    protocol = {
        **{name: getattr(options, name) for name in ("rows", "errors", "slow", "seconds", "runs", "seed")},
        "chunk_rows": CHUNK_ROWS,
        "attempts": stores.ATTEMPTS,
        "seconds_before_retry": stores.SECONDS_BEFORE_RETRY,
    }
    versions = {"pandas": pd.__version__, **{name: version(name) for name in ("pyarrow", "fsspec", "s3fs", "moto")}}
    medians = {
        name: statistics.median(each[name] for each in results)
        for name in ("local_seconds", "s3_seconds", "again_seconds", "requests")
    }
    write(options.out, protocol, versions, results=results, medians=medians)
    if not all(each["same"] for each in results):
        sys.exit("NOT the same")


if __name__ == "__main__":
    main()
