"""A small trained bundle for the whole session, and a way to run the command line inside this process."""

import importlib
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from solvent.cli import main
from solvent_finance.sample import loans

SETTINGS = {
    "smoothness": [10.0],
    "training": {"epochs": 2, "patience": 8, "batch_size": 128, "learning_rate": 0.05},
}


@pytest.fixture(autouse=True)
def logger_as_it_was():
    """The command line sets the logger up for a process of its own; other tests look at what it says."""
    log = logging.getLogger("solvent")
    before = log.handlers, log.level, log.propagate
    yield
    log.handlers, log.level, log.propagate = before


@pytest.fixture
def solvent():
    """Run `solvent ARGUMENTS`; anything but a clean exit is a failure here, as a traceback is for a user."""

    def run(*arguments):
        result = CliRunner().invoke(main, [str(item) for item in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture(scope="session")
def rows():
    return loans(0).rows


@pytest.fixture
def by_path(monkeypatch):
    """Import the package of a folder that `solvent new` made, as if it were installed; none is left afterwards."""
    imported = []

    def load(folder, package):
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
        imported.append(package)
        return importlib.import_module(package)

    yield load
    for name in list(sys.modules):
        if name.partition(".")[0] in imported:
            del sys.modules[name]


@dataclass(frozen=True)
class Project:
    """A folder with a table of loans and a config; both can be replaced before `solvent train` sees them."""

    folder: Path
    solvent: Any

    @property
    def table(self) -> Path:
        return self.folder / "loans.csv"

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    def write_rows(self, rows: pd.DataFrame) -> None:
        rows.to_csv(self.table, index=False)

    def write_config(self, *, data: dict[str, Any] | None = None, **parts: Any) -> None:
        usual = {"rows": self.table.name, "columns": {"target": "status", "id": "loan"}}
        content = {"solution": "credit", "data": {**usual, **(data or {})}, "settings": SETTINGS, **parts}
        self.config.write_text(yaml.safe_dump(content, sort_keys=False))

    def train(self, *options: Any) -> Any:
        return self.solvent("train", self.config, "--out", self.folder / "bundle", *options)

    def refused(self, *options: Any) -> str:
        """What `solvent train` says about a config or data that it refuses."""
        result = self.train(*options)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        assert "Traceback" not in result.stderr
        assert result.stderr.count("Error: ") == 1
        assert not (self.folder / "bundle").exists()
        return str(result.stderr)


@pytest.fixture
def project(tmp_path, solvent, rows):
    made = Project(tmp_path, solvent)
    made.write_rows(rows)
    made.write_config()
    return made


@pytest.fixture(scope="session")
def bundle(tmp_path_factory, rows):
    """A bundle of the solution credit, trained for two epochs on its made loans. Copy it before changing it."""
    import solvent

    folder = tmp_path_factory.mktemp("bundle")
    made = Project(folder, None)
    made.write_rows(rows)
    made.write_config()
    solvent.train(made.config, folder / "credit")
    return folder / "credit"
