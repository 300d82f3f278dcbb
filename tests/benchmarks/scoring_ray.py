"""What scoring on Ray costs beside scoring here, whether it leaves the same bytes, and what kills do to it.

    python tests/benchmarks/scoring_ray.py [--rows 2000000] [--images 5000] [--kills 20] [--threads 1] [--out FILE]

Loans: a bundle of credit trained on its sample, and the sample's rows drawn again and again, with fresh ids, 0.1 % of
them bad. Images: a bundle of vision trained on its sample, and drawn photos as files, 0.1 % of them cut off.

Each run is a process of its own and leaves a folder: with one thread for each scorer here ("local") and on a Ray
cluster that the run starts on this machine ("ray"); then on Ray again while kill -9 hits a scorer drawn at random, at
moments drawn at random ("ray, killed"): the first once a scorer is at a part, then at intervals that spread the kills
over the run. A killed run that ends with exit code 1 is started again, as a scheduler would do it. "local, all" is
`local` without a limit of threads, the best that this machine does without Ray. Compared are the sha256 of all
published files but the manifest, which holds times. Seconds are those of the whole process; start-up is what comes
before the first part is asked for, of Ray with the start of the cluster and of its first scorer.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
from scoring import drawn_portfolio
from written import write

CASES = ("local", "ray", "ray, killed", "local, all")
CUT_OFF = 0.001  # share of the images
MOST_STARTS = 10


# What runs in a process of its own


def train(case: Mapping[str, Any]) -> None:
    import solvent
    from solvent import tables

    folder = Path(case["folder"])
    sample = solvent.find(case["solution"]).sample(0)
    rows = folder / f"rows{tables.ending(sample.rows)}"
    tables.write(sample.rows, rows)
    data = {"rows": str(rows), "columns": dict(sample.columns)}
    settings = {"solution": case["solution"], "data": data, "settings": dict(sample.settings)}
    solvent.train(settings, folder / "bundle")


def make_loans(case: Mapping[str, Any]) -> None:
    from solvent import Bundle

    folder = Path(case["folder"])
    drawn_portfolio(Bundle.load(folder / "bundle"), folder / "rows.csv", folder / "source.parquet", case["count"])


def make_images(case: Mapping[str, Any]) -> None:
    from solvent.surfaces import metal, png

    folder, draw = Path(case["folder"]), np.random.default_rng(0)
    (folder / "photos").mkdir()
    names = []
    for start in range(0, case["count"], 100):
        for place, photo in enumerate(metal(min(100, case["count"] - start), 96, draw)):
            content = png(photo)
            names.append(f"photos/{start + place:06d}.png")
            (folder / names[-1]).write_bytes(content[:100] if draw.random() < CUT_OFF else content)
    ids = [f"P{number:06d}" for number in range(len(names))]
    pd.DataFrame({"part": ids, "photo": names}).to_csv(folder / "source.csv", index=False)


def score(case: Mapping[str, Any]) -> None:
    from solvent import Bundle, SolventError
    from solvent.score import engine
    from solvent.score import score as scoring

    asked: list[float] = []
    made = engine.Task.__init__

    def told(self: Any, *given: Any) -> None:
        asked.append(time.time())
        made(self, *given)

    engine.Task.__init__ = told  # type: ignore[method-assign]
    bundle = Bundle.load(case["bundle"])
    try:
        manifest = scoring(bundle, case["source"], case["output"], engine=case["engine"], chunk_rows=case["chunk_rows"])
    except SolventError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    found = {"startup": (asked or [time.time()])[0] - case["started"]}
    print(json.dumps({**found, **{name: manifest[name] for name in ("rows_scored", "rows_set_aside")}}))


WORK = {"train": train, "loans": make_loans, "images": make_images, "score": score}


def command(work: str, case: Mapping[str, Any]) -> list[str]:
    return [sys.executable, __file__, "--work", work, "--case", json.dumps(dict(case))]


# The runs


def killed(process: subprocess.Popen[str], kills: int, seconds: float, draw: random.Random) -> int:
    """Kill scorers of a run while it lasts; how many were killed.

    Args:
        kills: as many at most.
        seconds: what an undisturbed run takes.
    """
    done = 0
    began = None
    while process.poll() is None and done < kills:
        time.sleep(draw.uniform(0, 2 * seconds / kills) if began else 0.05)
        scorers = _scorers(process.pid)
        began = began or any(each.endswith(".score") for _, each in scorers)
        if began and scorers and process.poll() is None:
            try:
                draw.choice(scorers)[0].kill()
            except psutil.NoSuchProcess:
                continue
            done += 1
    return done


def _scorers(process: int) -> list[tuple[psutil.Process, str]]:
    """The scorers below a process, and what Ray calls each: `ray::Scorer.score` while it is at a part."""
    found = []
    try:
        for each in psutil.Process(process).children(recursive=True):
            title = " ".join(each.cmdline()[:1])
            if title.startswith("ray::Scorer"):
                found.append((each, title))
    except psutil.NoSuchProcess:
        pass
    return found


def run(name: str, case: Mapping[str, Any], options: argparse.Namespace, seconds: float) -> dict[str, Any]:
    variables = dict(os.environ)
    for each in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        variables.pop(each, None)
        if name != "local, all":
            variables[each] = str(options.threads)
    given = {**case, "engine": "ray" if name.startswith("ray") else "local", "output": f"{case['output']} {name}"}
    kills, starts, draw, started = 0, 0, random.Random(options.seed), time.time()
    while starts < MOST_STARTS:
        starts += 1
        process = subprocess.Popen(
            command("score", {**given, "started": time.time()}), env=variables, stdout=subprocess.PIPE, text=True
        )
        if name == "ray, killed":
            kills += killed(process, options.kills - kills, seconds, draw)
        said, _ = process.communicate()
        if process.returncode == 0:
            break
        if process.returncode != 1 or name != "ray, killed":
            sys.exit(f"{name}: exit code {process.returncode}")
    else:
        sys.exit(f"{name}: not done after {MOST_STARTS} starts")
    took = time.time() - started
    return {
        "case": name,
        "seconds": took,
        "rows_per_second": case["count"] / took,
        "kills": kills,
        "starts": starts,
        "files": sums(Path(given["output"])),
        **json.loads(said.splitlines()[-1]),
    }


def sums(folder: Path) -> dict[str, str]:
    """The sha256 of the published files but the manifest."""
    place = folder.resolve()
    files = {str(path.relative_to(place)): path for path in place.rglob("*") if path.is_file()}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in sorted(files.items())
        if name != "manifest.json"
    }


def measure(what: str, solution: str, count: int, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    folder.mkdir()
    case: dict[str, Any] = {"folder": str(folder), "solution": solution, "count": count}
    subprocess.run(command("train", case), check=True, stdout=subprocess.DEVNULL)
    subprocess.run(command(what, case), check=True)
    (source,) = folder.glob("source.*")
    case |= {"bundle": str(folder / "bundle"), "source": str(source), "output": str(folder / "scores")}
    case["chunk_rows"] = options.chunk_rows if what == "loans" else options.chunk_images
    runs: list[dict[str, Any]] = []
    for name in CASES:
        runs.append(run(name, case, options, runs[1]["seconds"] - runs[1]["startup"] if len(runs) > 1 else 0))
        shutil.rmtree(folder / f".scores {name}.runs")
    expected = runs[0]["files"]
    for each in runs:
        each |= {"same_bytes": each["files"] == expected, "files": len(each["files"])}
    return {"what": what, "count": count, "chunk_rows": case["chunk_rows"], "runs": runs}


def show(found: Mapping[str, Any]) -> None:
    print(f"\n{found['count']:,} {found['what']}, {found['chunk_rows']:,} in a part")
    print(f"{'case':<12} {'seconds':>8} {'start-up':>8} {'rows/s':>9} {'times':>6} {'kills':>5} {'starts':>6}  bytes")
    for each in found["runs"]:
        print(
            f"{each['case']:<12} {each['seconds']:>8.1f} {each['startup']:>8.1f} {each['rows_per_second']:>9,.0f} "
            f"{each['seconds'] / found['runs'][0]['seconds']:>5.2f}x {each['kills']:>5} {each['starts']:>6}  "
            f"{'the same' if each['same_bytes'] else 'OTHER'} ({each['files']} files)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000, help="0: no loans")
    parser.add_argument("--images", type=int, default=5_000, help="0: no images")
    parser.add_argument("--chunk-rows", type=int, default=50_000)
    parser.add_argument("--chunk-images", type=int, default=250)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1, help="of one scorer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "scoring_ray.json")
    parser.add_argument("--work", choices=WORK, help=argparse.SUPPRESS)
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        WORK[options.work](options.case)
        return
    import ray

    results = []
    with tempfile.TemporaryDirectory() as top:
        for what, solution, count in (("loans", "credit", options.rows), ("images", "vision", options.images)):
            if count:
                results.append(measure(what, solution, count, Path(top, what), options))
                show(results[-1])
    protocol = {name: getattr(options, name) for name in ("chunk_rows", "chunk_images", "kills", "threads", "seed")}
    versions = {"ray": ray.__version__, "pandas": pd.__version__, "pyarrow": pa.__version__}
    write(options.out, protocol, versions, results=results)
    if not all(each["same_bytes"] for found in results for each in found["runs"] if each["case"] != "local, all"):
        sys.exit("NOT the same bytes")


if __name__ == "__main__":
    main()
