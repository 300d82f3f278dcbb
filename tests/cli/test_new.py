"""`solvent new`: a copy whose tests pass at once, also outside the repository."""

import os
import subprocess
import sys
import tomllib

import pytest
from click.testing import CliRunner

from solvent import cli, installed
from solvent.create import create
from solvent.errors import Refused

NAMES = [item.name for item in installed() if not item.missing]


def new(*arguments):
    return CliRunner().invoke(cli.main, ["new", *map(str, arguments)])


@pytest.mark.parametrize("like", NAMES)
def test_a_copy_names_only_itself(like, tmp_path):
    done = new("acme", "--like", like, "--to", tmp_path / "acme")
    assert done.exit_code == 0, done.output
    origin = next(item for item in installed() if item.name == like).target.partition(":")[0]
    texts = {
        path: path.read_text() for path in (tmp_path / "acme").rglob("*") if path.suffix in {".py", ".yaml", ".md"}
    }
    assert len(texts) > 5
    assert not [path for path, text in texts.items() if origin in text]
    assert 'name="acme"' in (tmp_path / "acme" / "solvent_acme" / "__init__.py").read_text()
    assert "solution: acme" in (tmp_path / "acme" / "solvent_acme" / "example.yaml").read_text()
    project = tomllib.loads((tmp_path / "acme" / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["solvent.solutions"] == {"acme": "solvent_acme:SOLUTION"}
    assert project["tool"]["solvent"]["origin"] == like
    assert project["tool"]["solvent"]["contract_version"] == 1


def test_a_copys_own_tests_pass_in_a_new_process_outside_the_repository(tmp_path):
    """Installed by path; the full install with pip is `make bench NAME=new`."""
    create("acme", "sentiment", tmp_path / "acme")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not example"],
        cwd=tmp_path / "acme",
        env={**os.environ, "PYTHONPATH": str(tmp_path / "acme")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout


@pytest.mark.parametrize("name", ["Acme", "9lives", "class", "a-b", "../x"])
def test_a_name_that_can_be_no_package_is_refused(name, tmp_path):
    done = new(name, "--like", "credit", "--to", tmp_path / "x")
    assert done.exit_code == 2
    assert "lower-case letters" in done.output
    assert not (tmp_path / "x").exists()


def test_a_name_that_is_taken_is_refused(tmp_path):
    with pytest.raises(Refused, match="already"):
        create("credit", "sentiment", tmp_path / "x")


@pytest.mark.parametrize(
    ("name", "taken"), [("finance", "solvent_finance"), ("nlp", "solvent_nlp"), ("suite", "solvent-suite")]
)
def test_a_name_whose_package_or_distribution_is_installed_is_refused(name, taken, tmp_path):
    done = new(name, "--like", "credit", "--to", tmp_path / "x")
    assert done.exit_code == 2
    assert taken in done.output and "Choose another name" in done.output
    assert not (tmp_path / "x").exists()


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("keep me")
    done = new("acme", "--like", "credit", "--to", tmp_path)
    assert done.exit_code == 2
    assert (tmp_path / "mine.txt").read_text() == "keep me"


def test_an_unknown_origin_lists_the_known_ones(tmp_path):
    done = new("acme", "--like", "credits", "--to", tmp_path / "x")
    assert done.exit_code == 2
    assert "Did you mean 'credit'?" in done.output
    assert "credit, medical, recommender, sentiment" in done.output


def test_an_origin_that_is_not_a_name_of_an_installed_solution_is_refused(tmp_path):
    done = new("acme", "--like", "solvent_finance:SOLUTION", "--to", tmp_path / "x")
    assert done.exit_code == 2
    assert "no installed solution 'solvent_finance:SOLUTION'" in done.output
    assert not (tmp_path / "x").exists()
