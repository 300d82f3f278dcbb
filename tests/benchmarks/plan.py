"""How long and how dear it is to score a billion loans on N machines: a model, its inputs measured here, and a check.

    python tests/benchmarks/plan.py [--sizes 100000 300000 600000] [--rows 1000000000] [--cores 8] [--price 1.0]
    python tests/benchmarks/plan.py --bundle runs/german --table german.csv

The model: time = start + rows x (driver + carry + score / (nodes x cores)). One process, the driver, reads the source,
writes the parts, keeps the ledger and publishes; that does not get shorter with more machines (Amdahl). It also packs
each part for the scorers and unpacks what comes back. Scoring, with the checks of cells before it and the outputs' way
into Arrow after it, is shared by all cores. Taken as if driver and scorers took turns: where they work at once it is
shorter, at best by half. Not in it: the network between the machines, and storage that is slower than the disk here.

Measured, in seconds of one core's processor, so that other work on the machine matters little: `solvent score` on made
tables at the two smaller sizes, each in a process of its own that may use one core; start and seconds a row are the
line through them. The largest size is not used for that: it is predicted, and then measured. The scorers' share is
`score_part` alone, on a part of the same rows. Publishing is the same run into a folder of parts, which is only
renamed, beside one into a single file, for which they are joined.

Rows are those of the credit solution's public loans, drawn again and again with fresh ids, one in a thousand bad.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from scoring import drawn_portfolio
from written import write

COMMAND = [sys.executable, "-c", "from solvent.cli import main; main()", "--quiet"]
NODES = (1, 4, 16, 64)
PART_ROWS = 50_000
ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


@dataclass(frozen=True)
class Inputs:
    """What the model is made of, in seconds of one core.

    Args:
        start: until the first row, and after the last one.
        score: a row's share that any core can take.
        driver: a row's share that one process takes.
        carry: a row's share of the driver's packing and unpacking, where others score.
        publish: a row's share of joining the parts into one file; beside `driver`, as a folder needs none of it.
    """

    start: float
    score: float
    driver: float
    carry: float
    publish: float

    def alone(self, rows: int) -> float:
        """One process on one core."""
        return self.start + rows * (self.driver + self.score)

    def together(self, rows: int, cores: int) -> float:
        """A driver, and scorers on so many cores."""
        return self.start + rows * (self.driver + self.carry + self.score / cores)


def run(*command: str) -> float:
    """The processor's seconds that a process on one core took."""
    core = min(os.sched_getaffinity(0))
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **ONE_THREAD},
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command[2:])} ended with exit code {process.returncode}.")
    return used.ru_utime + used.ru_stime


def trained(folder: Path) -> tuple[Path, Path]:
    """A bundle of the credit solution and the table that it learnt from."""
    subprocess.run([*COMMAND, "data", "get", "credit_data", "--to", folder], check=True, stdout=subprocess.DEVNULL)
    config = {
        "solution": "credit",
        "data": {"rows": "credit_data.csv", "columns": {"target": "Status", "id": "rownames"}},
        "settings": {"positive": "bad"},
    }
    (folder / "loans.yaml").write_text(yaml.safe_dump(config))
    command = [*COMMAND, "train", folder / "loans.yaml", "--out", folder / "bundle"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "bundle", folder / "credit_data.csv"


def score(bundle: Path, source: Path, output: Path) -> float:
    return run(*COMMAND, "score", str(bundle), str(source), str(output))


def shares(bundle: Path, source: Path) -> tuple[float, float]:
    """Seconds of the processor that a row takes in `score_part`, and on its way there and back."""
    from multiprocessing.reduction import ForkingPickler

    import pandas as pd

    from solvent import Bundle
    from solvent.score.parts import Layout, Part, score_part

    loaded = Bundle.load(bundle)
    rows = pd.read_parquet(source).iloc[:PART_ROWS]
    layout, scorer = Layout.of(loaded.schema, loaded.outputs, rows), loaded.scorer()
    taken, carried = [], []
    for _ in range(4):
        before = time.process_time()
        scored = score_part(Part(rows), loaded.schema, scorer, layout, label="plan", folder=source.parent)
        taken.append((time.process_time() - before) / len(rows))
        back = bytes(ForkingPickler.dumps(scored))
        before = time.process_time()
        bytes(ForkingPickler.dumps(Part(rows)))
        ForkingPickler.loads(back)
        carried.append((time.process_time() - before) / len(rows))
    return statistics.median(taken[1:]), statistics.median(carried[1:])  # in the first one TensorFlow compiles


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.resolve().glob("*.parquet"))


def measure(bundle: Path, table: Path, folder: Path, sizes: list[int]) -> tuple[Inputs, dict[str, Any]]:
    """The inputs, from all sizes but the largest, and how far the largest is from what they predict."""
    from solvent import Bundle

    found: dict[int, float] = {}
    for rows in sizes:
        source = folder / f"{rows}.parquet"
        drawn_portfolio(Bundle.load(bundle), table, source, rows)
        found[rows] = score(bundle, source, folder / f"scored-{rows}")
    small, large, last = sizes
    single = score(bundle, folder / f"{large}.parquet", folder / "scored.parquet")
    publish = max(0.0, single - found[large]) / large
    a_row = (found[large] - found[small]) / (large - small)
    command = [sys.executable, __file__, "--share-of", bundle, folder / f"{large}.parquet"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **ONE_THREAD})
    share, carry = map(float, done.stdout.split()[-2:])
    inputs = Inputs(found[small] - small * a_row, share, a_row - share, carry, publish)
    predicted = inputs.alone(last)
    written_bytes = folder_bytes(folder / f"scored-{last}")
    checked = {
        "measured_seconds": {str(rows): round(seconds, 2) for rows, seconds in found.items()},
        "into_one_file_seconds": round(single, 2),
        "rows_per_second_and_core": round(1 / a_row),
        "scoring_rows_per_second_and_core": round(1 / share),
        "publish_seconds_per_gb": round(publish * last / (written_bytes / 1e9), 2),
        "bytes_a_row_in": round((folder / f"{last}.parquet").stat().st_size / last, 1),
        "bytes_a_row_out": round(written_bytes / last, 1),
        "rows": last,
        "predicted_seconds": round(predicted, 2),
        "off": round(predicted / found[last] - 1, 4),
    }
    return inputs, checked


def plan(inputs: Inputs, rows: int, cores: int, price: float) -> list[dict[str, Any]]:
    """Hours and cost for each number of machines."""
    found = []
    for nodes in NODES:
        hours = inputs.together(rows, nodes * cores) / 3600
        bound = (inputs.start + rows * (inputs.driver + inputs.carry)) / 3600
        found.append(
            {
                "nodes": nodes,
                "cores": nodes * cores,
                "hours": hours,
                "of_it_the_driver_alone": bound / hours,
                "node_hours": nodes * hours,
                "cost": nodes * hours * price,
            }
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs=3, default=[100_000, 300_000, 600_000], help="the last is predicted")
    parser.add_argument("--rows", type=int, default=1_000_000_000)
    parser.add_argument("--cores", type=int, default=8, help="of a machine")
    parser.add_argument("--price", type=float, default=1.0, help="of a machine for an hour")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--table", type=Path, help="the table whose rows the bundle scores")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "plan.json")
    parser.add_argument("--share-of", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.share_of:
        print(*shares(*options.share_of))
        return
    if (options.bundle is None) != (options.table is None):
        parser.error("--bundle and --table need each other")
    with tempfile.TemporaryDirectory() as name:
        bundle, table = (options.bundle, options.table) if options.bundle else trained(Path(name))
        inputs, checked = measure(bundle, table, Path(name), sorted(options.sizes))
        versions = json.loads((bundle / "bundle.json").read_text())["versions"]
    found = plan(inputs, options.rows, options.cores, options.price)
    print(
        f"start {inputs.start:.1f} s; a row {inputs.driver * 1e6:.1f} us of the driver, {inputs.carry * 1e6:.1f} more "
        f"to carry it ({inputs.publish * 1e6:.1f} more to publish one file), {inputs.score * 1e6:.1f} us of a scorer; "
        f"{checked['bytes_a_row_in']} bytes in, {checked['bytes_a_row_out']} out"
    )
    print(
        f"{checked['rows']:,} rows: predicted {checked['predicted_seconds']} s, measured "
        f"{checked['measured_seconds'][str(checked['rows'])]} s ({checked['off']:+.1%})"
    )
    print(f"\n{options.rows:,} rows on machines of {options.cores} cores at {options.price:g} an hour")
    print(f"{'machines':>8} {'hours':>8} {'the driver':>11} {'machine hours':>14} {'cost':>10}")
    for row in found:
        print(
            f"{row['nodes']:>8} {row['hours']:>8.2f} {row['of_it_the_driver_alone']:>11.0%} "
            f"{row['node_hours']:>14.1f} {row['cost']:>10.2f}"
        )
    protocol = {"seconds": "of one core's processor", "sizes": sorted(options.sizes), "cores": options.cores}
    write(options.out, protocol, versions, inputs=asdict(inputs), checked=checked, plan=found, rows=options.rows)


if __name__ == "__main__":
    main()
