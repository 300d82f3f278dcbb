"""A large table of sentences through the batch engine: sentences a second, stopped and resumed on the way.

    python tests/benchmarks/translation_rows.py [--bundle BUNDLE] [--rows 100000] [--beam 1] [--stop 1]

Made business sentences with ids, from Parquet to Parquet in parts of 10,000. The run is stopped after --stop minutes
(with the part under way), and the same call goes on until all is done. Then the first 500 rows are translated alone:
they must be what the whole run wrote. Without --bundle a network is trained for one epoch.
"""

import argparse
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from written import write

import solvent
from solvent.errors import SolventError
from solvent.score import score
from solvent_nlp.translation.datasets import DATASETS
from solvent_nlp.translation.grammar import sentence

MADE = next(item for item in DATASETS if item.name == "made_business")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--bundle", type=Path)
    arguments.add_argument("--rows", type=int, default=100_000)
    arguments.add_argument("--beam", type=int, default=1)
    arguments.add_argument("--stop", type=float, default=1.0)
    arguments.add_argument("--out", type=Path, default=Path("tests/benchmarks/results/translation_rows.json"))
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = solvent.Bundle.load(given.bundle) if given.bundle else trained(folder / "bundle")
        bundle = bundle.with_scoring({"beam": given.beam})
        random = np.random.default_rng(7)
        texts = [sentence(random, int(random.integers(1, 3)))[0] for _ in range(given.rows)]
        beside = [field.source for field in bundle.schema.fields if field.role == "passthrough"]
        rows = pd.DataFrame({"row": np.arange(given.rows), "english": texts, **dict.fromkeys(beside, "")})
        rows.to_parquet(folder / "rows.parquet", index=False)
        bundle.score(rows.drop(columns="row").head(64))  # compiles what is compiled once
        calls, started = 0, time.perf_counter()
        while True:
            calls += 1
            try:
                minutes = given.stop if calls == 1 else None
                score(bundle, folder / "rows.parquet", folder / "out.parquet", ids=["row"], max_minutes=minutes)
                break
            except SolventError as error:
                print(error, flush=True)
        seconds = time.perf_counter() - started
        found = pd.read_parquet(folder / "out.parquet")
        alone = bundle.score(rows.drop(columns="row").head(500))
    same = (found["translation"].head(500) == alone["translation"]).sum()
    told = {
        "sentences_a_second": given.rows / seconds,
        "calls": calls,
        "rows": len(found),
        "first_500_alike": int(same),
        "not_kept": float((found["problems"].fillna("") != "").mean()),
    }
    print(told)
    write(given.out, {"rows": given.rows, "beam": given.beam}, {"tensorflow": version("tensorflow")}, **told)


def trained(out: Path) -> solvent.Bundle:
    data = {"rows": {"dataset": MADE.name}, "columns": MADE.config["columns"], "split": MADE.config["split"]}
    settings = {**MADE.config["settings"]}
    settings["training"] = {**settings["training"], "epochs": 1}
    return solvent.train({"solution": "solvent_nlp.translation:SOLUTION", "data": data, "settings": settings}, out)


if __name__ == "__main__":
    main()
