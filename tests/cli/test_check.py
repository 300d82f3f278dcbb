"""`solvent check`: what training would read, cut and notice, before anything is trained."""

import json
import subprocess
import sys

import pytest


def files(project):
    return {path.relative_to(project.folder): path.read_bytes() for path in project.folder.rglob("*")}


def test_check_shows_the_parts_the_columns_and_the_findings_and_writes_nothing(project, rows):
    project.write_rows(rows.assign(comment="x", income=[*rows["income"][:-2], "abc", "xyz"]))
    project.write_config(data={"columns": {"target": "status", "id": "loan", "ignore": ["comment"]}})
    before = files(project)
    done = project.solvent("check", project.config)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "credit: loans.csv, 1,500 rows"
    assert "  2 set aside: income: … is not a number" in lines
    sizes = {line.split()[0]: line.split()[1] for line in lines if line.startswith(("Training", "Validation", "Test"))}
    assert sizes == {"Training": "898", "Validation": "300", "Test": "300"}
    (income,) = (line for line in lines if line.startswith("income"))
    assert income.split()[1:3] == ["feature", "number"]
    assert any(line.startswith("left out: comment (") for line in lines)
    assert any(line.startswith("warning: rows_set_aside: 2 rows") for line in lines)
    assert f"solvent train {project.config}" in lines[-1]
    assert files(project) == before


def test_check_says_what_training_writes_into_the_bundle(project, bundle):
    found = json.loads(project.solvent("check", project.config, "--json").stdout)
    facts = json.loads((bundle / "bundle.json").read_text())
    for part in ("solution", "data", "schema", "findings", "folds"):
        assert found[part] == facts[part], part


def test_check_shows_all_that_it_found_and_exits_as_training_would(project, rows):
    project.write_rows(rows.assign(ended=rows["status"]).drop_duplicates("loan"))
    done = project.solvent("check", project.config)
    assert done.exit_code == 2
    assert "refusal: target_leak: " in done.stdout and "Training" in done.stdout
    assert done.stderr == project.refused()
    allowed = project.solvent("check", project.config, "--set", "data.allow=[target_leak]")
    assert allowed.exit_code == 0
    assert "Allowed by data.allow: [target_leak]" in allowed.stdout


def test_check_refuses_a_class_that_the_settings_name_and_the_table_has_not(project):
    done = project.solvent("check", project.config, "--set", "settings.positive=broke")
    assert done.exit_code == 2
    assert "Training" in done.stdout and "class counts 'broke' as adverse" in done.stderr


@pytest.mark.parametrize("change", ["data.rows=lost.csv", "data.columns.target=statsu", "settings.bins=1"])
def test_check_refuses_what_it_can_not_read(project, change):
    done = project.solvent("check", project.config, "--set", change)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.count("Error: ") == 1


def test_check_with_folds_speaks_of_all_rows(project):
    project.write_config(data={"split": {"by": "stratified", "folds": 5}})
    done = project.solvent("check", project.config)
    assert "All rows  1,500" in done.stdout


def test_check_does_not_wait_for_tensorflow(project):
    program = "import sys; from solvent.cli import main; main(sys.argv[1:], standalone_mode=False)\n"
    program += "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program, "check", str(project.config)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
