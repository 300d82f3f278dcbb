"""`solvent new`: a copy whose tests pass at once, also outside the repository."""

import json
import os
import re
import runpy
import subprocess
import sys
import tomllib

import pandas as pd
import pytest
from click.testing import CliRunner

from solvent import Bundle, cli, contract, create, installed, origin, tables
from solvent.errors import Refused

NAMES = [item.name for item in installed() if not item.missing]
WITHOUT_ANOTHER_TRAINING = [
    contract.scoring_gives_one_row_per_case_with_the_declared_outputs,
    contract.the_target_is_never_read_while_scoring,
    contract.explain_gives_one_row_for_each_row_with_the_same_index,
    contract.a_missing_column_is_named,
    contract.a_bad_cell_fails_its_row_and_no_other,
    contract.every_rival_runs_and_is_reported,
    contract.registered_keras_names_begin_with_the_package,
    contract.its_readme_names_every_setting,
]


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


@pytest.mark.parametrize("like", NAMES)
def test_a_copy_trains_scores_and_keeps_the_contract(like, tmp_path, by_path, solvent):
    """By path and with one epoch; all of the contract, installed by pip, is `make bench NAME=new`."""
    assert new("acme", "--like", like, "--to", tmp_path / "acme").exit_code == 0
    package = by_path(tmp_path / "acme", "solvent_acme")
    own = runpy.run_path(str(tmp_path / "acme" / "tests" / "test_contract.py"))
    kit = contract.Kit(package.SOLUTION, "solvent_acme:SOLUTION", tmp_path)
    (tmp_path / "config.yaml").write_text(json.dumps(kit.config("rows", kit.sample.rows)))
    short = "settings.training.epochs=1"
    trained = solvent("train", tmp_path / "config.yaml", "--set", short, "--out", tmp_path / "bundle")
    assert trained.exit_code == 0, trained.output
    kit.bundle = Bundle.load(tmp_path / "bundle")
    tables.write(kit.rows, tmp_path / "new_rows.parquet")
    scored = solvent("score", tmp_path / "bundle", tmp_path / "new_rows.parquet", tmp_path / "scores.parquet")
    assert scored.exit_code == 0, scored.output
    outputs = {item.name for item in kit.bundle.outputs}
    assert outputs <= set(pd.read_parquet(tmp_path / "scores.parquet"))
    for check in WITHOUT_ANOTHER_TRAINING:
        own["test_contract"](check, kit)


def test_a_copys_own_tests_pass_in_a_new_process_outside_the_repository(tmp_path):
    """Those that one training is enough for."""
    create.create("acme", "sentiment", tmp_path / "acme")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "missing or bad_cell or readme"],
        cwd=tmp_path / "acme",
        env={**os.environ, "PYTHONPATH": str(tmp_path / "acme")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "3 passed" in done.stdout


@pytest.mark.parametrize("name", ["Acme", "9lives", "class", "a-b", "../x"])
def test_a_name_that_can_be_no_package_is_refused(name, tmp_path):
    done = new(name, "--like", "credit", "--to", tmp_path / "x")
    assert done.exit_code == 2
    assert "lower-case letters" in done.output
    assert not (tmp_path / "x").exists()


def test_a_name_that_is_taken_is_refused(tmp_path):
    with pytest.raises(Refused, match="already"):
        create.create("credit", "sentiment", tmp_path / "x")


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
    assert "credit, inspection, maintenance, medical, recommender, sentiment" in done.output


def test_an_origin_that_is_not_a_name_of_an_installed_solution_is_refused(tmp_path):
    done = new("acme", "--like", "solvent_finance:SOLUTION", "--to", tmp_path / "x")
    assert done.exit_code == 2
    assert "no installed solution 'solvent_finance:SOLUTION'" in done.output
    assert not (tmp_path / "x").exists()


@pytest.fixture
def older(tmp_path):
    """A copy as an earlier credit would have given it: a line less in one module, one module less, one more."""
    copy = tmp_path / "acme"
    create.create("acme", "credit", copy, {"loan": "member", "loans": "members"})
    files = origin.kept(copy)
    card, gone = "solvent_acme/scorecard.py", "solvent_acme/gone.py"
    lines = files[card].splitlines(keepends=True)
    files[card] = b"".join(line for line in lines if b"class Term" not in line)
    files[gone] = b"LAST = 1"
    del files["solvent_acme/woe.py"]
    for path in (card, gone):
        (copy / path).write_bytes(files[path])
    (copy / "solvent_acme/woe.py").unlink()
    origin.keep(copy, files)
    return copy


def git(folder, *arguments, given=None):
    who = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
    return subprocess.run(["git", *who, *arguments], cwd=folder, input=given, text=True, check=True)


def test_words_are_others_in_the_whole_copy(older):
    settings = (older / "solvent_acme" / "settings.py").read_text()
    assert "for each member" in settings and "loan" not in settings
    assert 'sample=later("solvent_acme.sample:members")' in (older / "solvent_acme" / "__init__.py").read_text()


def test_a_module_that_is_called_by_a_word_is_renamed_with_all_that_import_it(tmp_path):
    create.create("acme", "credit", tmp_path / "acme", {"profit": "saving"})
    package = tmp_path / "acme" / "solvent_acme"
    assert (package / "saving.py").is_file() and not (package / "profit.py").exists()
    assert "from .saving import" in (package / "decision.py").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"profit": "what it brings"}, "is no Python: "),
        ({"profit": "curves"}, "two files curves.py"),
    ],
)
def test_words_that_would_break_the_copy_are_refused_before_anything_is_written(words, says, tmp_path):
    with pytest.raises(Refused, match=re.escape(says)):
        create.create("acme", "credit", tmp_path / "acme", words)
    assert not (tmp_path / "acme").exists()


def test_what_changed_upstream_is_a_diff_in_the_copys_names_and_leaves_the_owners_changes_out(older):
    (older / "solvent_acme" / "profit.py").write_text("MINE = True\n")
    done = new("--diff", "--to", older)
    assert done.exit_code == 0
    headers = [line for line in done.stdout.splitlines() if line.startswith(("--- ", "+++ "))]
    assert headers == [
        *("--- a/solvent_acme/gone.py", "+++ /dev/null"),
        *("--- a/solvent_acme/scorecard.py", "+++ b/solvent_acme/scorecard.py"),
        *("--- /dev/null", "+++ b/solvent_acme/woe.py"),
    ]
    assert "-LAST = 1\n\\ No newline at end of file\n" in done.stdout
    assert "+class Term:\n" in done.stdout and '"-m", "solvent_acme.woe"' in done.stdout
    assert "MINE" not in done.stdout and "loans" not in done.stdout


def test_what_changed_in_a_module_that_the_owner_removed_is_named_and_left_out(older):
    (older / "solvent_acme" / "scorecard.py").unlink()
    done = new("--diff", "--to", older)
    assert "scorecard.py" not in done.stdout and "+++ b/solvent_acme/woe.py" in done.stdout
    assert "the copy has removed it: solvent_acme/scorecard.py" in done.stderr


def test_git_merges_what_changed_upstream_into_a_copy_that_its_owner_changed_too(older, tmp_path):
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "as it was copied")
    card = older / "solvent_acme" / "scorecard.py"
    card.write_text("# mine\n" * 30 + card.read_text())
    git(tmp_path, "commit", "-qam", "mine")
    git(tmp_path, "apply", "--3way", "--directory=acme", given=new("--diff", "--to", older).stdout)
    now = tmp_path / "now"
    assert (
        new("acme", "--like", "credit", "--to", now, "--word", "loan=member", "--word", "loans=members").exit_code == 0
    )
    assert card.read_text() == "# mine\n" * 30 + (now / "solvent_acme" / "scorecard.py").read_text()
    assert (older / "solvent_acme" / "woe.py").read_text() == (now / "solvent_acme" / "woe.py").read_text()
    assert not (older / "solvent_acme" / "gone.py").exists()
    merged = new("--diff", "--merged", "--to", older)
    assert "3 changed files" in merged.stdout
    again = new("--diff", "--to", older)
    assert (again.exit_code, again.stdout) == (0, "")
    assert "nothing to merge" in again.stderr
    assert (older / "origin.zip").read_bytes() == (now / "origin.zip").read_bytes()


def test_a_folder_that_is_no_copy_or_whose_record_or_origin_is_lost_is_refused(older, tmp_path, monkeypatch):
    none = new("--diff", "--to", tmp_path)
    assert none.exit_code == 2 and "has no origin.zip" in none.stderr
    with monkeypatch.context() as patch:
        patch.setattr(create, "installed", lambda: [item for item in installed() if item.name != "credit"])
        lost = new("--diff", "--to", older)
    assert lost.exit_code == 2 and "a copy of credit, which is not installed" in lost.stderr
    origin.keep(older, {"README.md": b""})
    other = new("--diff", "--to", older)
    assert other.exit_code == 2 and "does not say what the copy was made from" in other.stderr
    (older / "origin.zip").write_bytes(b"PK")
    damaged = new("--diff", "--to", older)
    assert damaged.exit_code == 2 and "is damaged" in damaged.stderr


@pytest.mark.parametrize("arguments", [(), ("acme",), ("--diff", "acme"), ("acme", "--like", "credit", "--merged")])
def test_new_says_what_it_needs(arguments):
    done = new(*arguments)
    assert done.exit_code == 2
    assert "expected NAME and --like" in done.output or "--diff takes no NAME" in done.output
