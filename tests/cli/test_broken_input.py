"""Broken input, as users give it: one clear message with the cure, the documented exit code, never a traceback."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest


def broken(rows, column, values):
    """The rows with the first cells of a column replaced."""
    cells = rows[column].astype("object").to_list()
    cells[: len(values)] = values
    return rows.assign(**{column: cells})


# The config


def test_a_wrong_type_in_the_config_is_named_with_its_line_its_path_and_what_was_found(project):
    project.write_config(settings={"training": {"epochs": "many"}})
    line = project.config.read_text().splitlines().index("    epochs: many") + 1
    said = project.refused()
    assert f"config.yaml line {line}, settings.training.epochs: expected a whole number (found 'many')." in said


def test_several_errors_are_said_at_once_each_with_its_path(project):
    project.write_config(
        data={"max_bad": 7, "split": {"by": "colour"}},
        device={"seed": "zero"},
        settings={"budget": -1, "training": {"learning_rate": "fast"}},
        intended_use=3,
    )
    said = project.refused()
    for path in (
        "data.max_bad: expected less than or equal to 1 (found 7; 7 % is 0.07)",
        "data.split.by: expected 'random', 'stratified'",
        "device.seed: expected a whole number (found 'zero')",
        "settings.budget: expected greater than 0 (found -1)",
        "settings.training.learning_rate: expected ",
        "intended_use: expected a text (found 3)",
    ):
        assert path in said
    assert len(said.strip().splitlines()) == 6


def test_an_unknown_key_is_named_with_the_one_that_was_meant(project):
    project.write_config(settings={"training": {"epoch": 3}})
    said = project.refused()
    assert "settings.training.epoch: unknown key. Did you mean 'epochs'? Known: epochs, " in said


def test_an_unknown_key_at_the_top_lists_the_known_ones(project):
    project.write_config(setings={})
    said = project.refused()
    assert "setings: unknown key. Did you mean 'settings'?" in said
    assert "Known: solution, data, device, settings, intended_use." in said


def test_a_key_that_stands_twice_is_refused_with_both_lines(project):
    project.config.write_text("solution: credit\ndata: {rows: loans.csv}\nsolution: sentiment\n")
    assert "line 3: the key 'solution' stands in line 1 already" in project.refused()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("solution: credit\ndata: {rows: [loans.csv\n", "line 3"),
        ("solution: credit\n\tdata: {}\n", "line 2"),
        ("solution: {{ name }}\n", "line 1"),
    ],
    ids=["an open bracket", "a tab", "a template that nobody filled"],
)
def test_a_config_that_is_not_yaml_is_refused_with_the_line(project, text, where):
    project.config.write_text(text)
    assert f"config.yaml is not YAML: {where}, column" in project.refused()


@pytest.mark.parametrize(("text", "found"), [("", "nothing"), ("- a\n- b\n", "a list"), ("credit\n", "a str")])
def test_a_config_that_is_no_mapping_is_refused(project, text, found):
    project.config.write_text(text)
    assert f"expected the keys solution, data, device, settings, intended_use at the top, found {found}" in (
        project.refused()
    )


def test_a_config_in_another_encoding_is_refused(project):
    project.config.write_bytes("solution: crédit\n".encode("latin-1"))
    assert "config.yaml: byte 13 is not UTF-8. Save the config as UTF-8." in project.refused()


def test_a_missing_config_is_named_with_the_one_beside_it(project, solvent):
    result = solvent("train", project.folder / "confg.yaml", "--out", project.folder / "bundle")
    assert result.exit_code == 2
    assert "There is no config file" in result.stderr
    assert "Did you mean 'config.yaml'?" in result.stderr


def test_a_config_without_rows_says_how_to_give_them(project):
    project.config.write_text("solution: credit\n")
    assert "data.rows: no rows to train on. Give rows: (one table, which is cut), or train:" in project.refused()


def test_an_unknown_solution_lists_the_installed_ones(project):
    project.write_config(solution="kredit")
    said = project.refused()
    assert "solution: There is no solution 'kredit'. Did you mean 'credit'?" in said
    assert "Installed: credit, inspection, maintenance, medical, recommender, sentiment" in said


@pytest.mark.parametrize("change", ["settings.training.epochs", "=5", "settings..epochs=5"])
def test_a_set_without_a_value_shows_how_to_write_one(project, change):
    assert "expected a.b=value, as in --set settings.training.epochs=5" in project.refused("--set", change)


def test_a_set_that_is_no_yaml_is_refused(project):
    said = project.refused("--set", "settings.smoothness=[1, 2")
    assert "--set 'settings.smoothness=[1, 2': '[1, 2' is not YAML" in said


def test_a_set_through_a_value_is_refused(project):
    said = project.refused("--set", "settings.smoothness.first=1")
    assert "smoothness holds a value, not keys" in said


def test_a_set_of_a_wrong_type_says_that_the_option_is_wrong_and_not_the_file(project):
    said = project.refused("--set", "settings.training.epochs=many")
    assert "--set, settings.training.epochs: expected" in said
    assert "config.yaml" not in said


# The tables


def test_a_missing_data_file_is_named_with_the_one_beside_it(project):
    project.write_config(data={"rows": "loan.csv"})
    said = project.refused()
    assert "data.rows: there is no file or folder" in said
    assert "Did you mean 'loans.csv'?" in said


def test_a_missing_target_column_says_how_to_name_it(project):
    project.write_config(data={"columns": {"id": "loan"}})
    said = project.refused()
    assert "loans.csv has no column 'target' for target (how the loan ended)" in said
    assert "columns: {target: YOUR_COLUMN}" in said


def test_a_column_that_the_table_lacks_is_named_with_the_one_that_was_meant(project):
    project.write_config(data={"columns": {"target": "statsu", "id": "loan"}})
    said = project.refused()
    assert "columns.target: loans.csv has no column 'statsu'. Did you mean 'status'?" in said
    assert "Its columns: loan, home, age, income, debt, status." in said


def test_an_unknown_role_is_named_with_the_one_that_was_meant(project):
    project.write_config(data={"columns": {"target": "status", "entitty": "loan"}})
    said = project.refused()
    assert "'entitty' is neither a role nor a column that this solution names. Did you mean 'entity'?" in said


def test_one_column_with_two_roles_is_refused(project):
    project.write_config(data={"columns": {"target": "status", "id": "loan", "entity": "loan"}})
    assert "columns: 'loan' has the roles id and entity; a column has one" in project.refused()


def test_a_damaged_encoding_is_refused_with_the_row_and_the_byte(project):
    text = project.table.read_text().replace("L00003,owner", "L00003,größer").replace("L00007,rent", "L00007,größer")
    head, tail = text.encode().split("L00007,größer".encode())
    project.table.write_bytes(head + "L00007,größer".encode("latin-1") + tail)
    said = project.refused()
    assert "loans.csv row 8" in said
    assert "byte 0xf6 is not UTF-8" in said
    assert "Save the file again as UTF-8" in said


def test_an_empty_table_is_refused(project):
    project.table.write_text("")
    assert "loans.csv is empty. Expected a header line" in project.refused()


def test_a_table_of_nothing_but_a_header_is_refused(project, rows):
    project.write_rows(rows.head(0))
    assert "loans.csv has a header and no rows. Expected rows of data below it." in project.refused()


def test_a_given_test_table_without_rows_is_refused_and_not_taken_for_none(project, rows):
    rows.head(0).to_csv(project.folder / "test.csv", index=False)
    project.write_config(data={"rows": None, "train": "loans.csv", "test": "test.csv"})
    assert "test.csv has a header and no rows" in project.refused()


def test_one_class_only_is_refused(project, rows):
    project.write_rows(rows.assign(status="good"))
    said = project.refused()
    assert "Column status: all 900 train rows have the one value 'good'; nothing can be learnt from that." in said
    assert "Give rows of the other classes" in said


def test_a_target_without_any_value_is_refused(project, rows):
    project.write_rows(rows.assign(status=np.nan))
    assert "None of the 900 training rows is good. The usual reasons: status: is missing." in project.refused()


def test_a_column_without_any_value_is_left_out_and_noted(project, rows):
    project.write_rows(rows.assign(comment=np.nan))
    result = project.train()
    assert result.exit_code == 0
    facts = json.loads((project.folder / "bundle" / "bundle.json").read_text())
    noted = next(item for item in facts["findings"] if item["name"] == "ignored_column")
    assert "comment (all its cells are missing in the training rows)" in noted["message"]
    assert "comment" not in [field["source"] for field in facts["schema"]["fields"]]


def test_a_repeated_id_is_refused_even_if_it_is_the_only_one(project, rows):
    project.write_rows(broken(rows, "loan", ["L00009"]))
    said = project.refused()
    assert "Column loan: 1 id occurs more than once, in 2 rows (for example 'L00009', in" in said
    assert "data.allow: [repeated_id]" in said


def test_infinite_numbers_are_refused_with_row_and_column(project, rows):
    project.write_rows(broken(rows, "income", ["inf"] * 20))
    said = project.refused()
    assert "20 of 1500 rows can't be used; data.max_bad allows 1.0%" in said
    assert "loans.csv row 1, income: is infinite" in said
    assert "or raise data.max_bad to set such rows aside" in said


def test_words_in_a_number_column_are_refused_with_row_and_column(project, rows):
    project.write_rows(broken(rows, "debt", [1.0, 2.0, *["abc"] * 20]))
    said = project.refused()
    assert "20 of 1500 rows can't be used" in said
    assert "loans.csv row 3, debt: 'abc' is not a number" in said
    assert said.count("'abc'") == 10  # the first ones are enough


def test_few_bad_rows_are_set_aside_counted_and_reported(project, rows):
    project.write_rows(broken(rows, "debt", ["abc", "abc"]))
    result = project.train("--set", "settings.training.epochs=1")
    assert result.exit_code == 0
    assert "2 rows can't be used and were left out (loans.csv row 1, debt: 'abc' is not a number" in result.stderr
    aside = json.loads((project.folder / "bundle" / "bundle.json").read_text())["data"]["set_aside"]
    assert sum(aside[part] for part in ("train", "valid", "test")) == 2


def test_a_column_that_gives_the_target_away_is_refused_unless_it_is_allowed(project, rows):
    project.write_rows(rows.assign(closed_as=rows["status"].map({"good": 0, "bad": 1})))
    said = project.refused()
    assert "Column closed_as alone decides the target status" in said
    assert "data.columns: {ignore: [closed_as]}" in said
    assert "data.allow: [target_leak]" in said

    result = project.train("--set", "data.allow=[target_leak]")
    assert result.exit_code == 0
    assert "target_leak: Column closed_as alone decides the target status" in result.stderr
    report = (project.folder / "bundle" / "report.html").read_text()
    assert "Column closed_as alone decides the target status" in report
    assert "1 refusal that was overridden" in report


def test_a_parquet_file_that_was_cut_off_is_refused(project, rows):
    whole = project.folder / "loans.parquet"
    rows.to_parquet(whole)
    whole.write_bytes(whole.read_bytes()[:-100])
    project.write_config(data={"rows": "loans.parquet"})
    assert "loans.parquet is no whole Parquet file" in project.refused()


def test_a_positive_class_that_does_not_exist_lists_the_classes(project):
    project.write_config(settings={"positive": "default"})
    said = project.refused()
    assert "counts 'default' as adverse, and status has the classes bad, good" in said


def test_a_gpu_that_is_not_there_is_not_silently_replaced(project):
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    project.write_config(device={"strategy": "gpu"})
    said = project.refused()
    assert "device.strategy: gpu" in said
    assert "TensorFlow sees no GPU here" in said


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"by": "column", "column": "home"}, "Row 1, column home: 'rent' names no part"),
        ({"by": "group"}, "data.split.by is group, but no column has the role group or entity"),
        ({"fractions": [0.5, 0.2, 0.2]}, "data.split.fractions: the fractions of train, valid and test sum to 0.9"),
        ({"fractions": [0.8, 0.0, 0.2]}, "data.split.fractions: without validation rows nothing can be chosen"),
    ],
)
def test_a_split_that_cannot_be_made_says_why(project, split, message):
    project.write_config(data={"split": split})
    assert message in project.refused()


def test_a_split_that_leaves_a_part_empty_is_refused(project, rows):
    project.write_rows(rows.assign(branch=np.where(np.arange(len(rows)) % 2, "a", "b")))
    project.write_config(data={"columns": {"target": "status", "group": "branch"}, "split": {"by": "group"}})
    said = project.refused()
    assert "The split by group of 1500 rows leaves" in said
    assert "values of branch, which leaves 2 units" in said


def test_a_folder_that_is_no_bundle_is_not_replaced(project, solvent):
    out = project.folder / "results"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    result = solvent("train", project.config, "--out", out)
    assert result.exit_code == 2
    assert f"{out} is already there and is no bundle. Name another --out, or move it away." in result.stderr
    assert (out / "thesis.txt").read_text() == "years of work"


# Bundles


@pytest.fixture
def copied(bundle, tmp_path):
    return shutil.copytree(bundle, tmp_path / "copied")


@pytest.fixture
def loans(rows, tmp_path):
    """The rows as a file, with their targets."""
    rows.head(300).to_csv(tmp_path / "given.csv", index=False)
    return tmp_path / "given.csv"


def test_a_bundle_with_one_changed_byte_is_refused(copied, loans, solvent):
    model = copied / "models" / "model.keras"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    result = solvent("evaluate", copied, loans)
    assert result.exit_code == 2
    assert "is damaged (changed: models/model.keras). Copy it again, or train again." in result.stderr


def test_a_bundle_that_lacks_a_file_is_refused(copied, loans, solvent):
    (copied / "reference.json").unlink()
    result = solvent("score", copied, loans, loans.parent / "scores.csv")
    assert result.exit_code == 2
    assert "is damaged (missing: reference.json)" in result.stderr
    assert not (loans.parent / "scores.csv").exists()


@pytest.mark.parametrize("command", ["evaluate", "score", "compare", "report"])
def test_what_is_no_bundle_is_refused_by_every_command(command, loans, solvent):
    folder = loans.parent
    arguments = {
        "evaluate": [folder, loans],
        "score": [folder, loans, folder / "scores.csv"],
        "compare": [folder, folder, loans],
        "report": [folder],
    }
    result = solvent(command, *arguments[command])
    assert result.exit_code == 2
    assert "Give the folder that `solvent train --out` made." in result.stderr


def test_an_unknown_metric_lists_the_known_ones(bundle, loans, solvent):
    result = solvent("evaluate", bundle, loans, "--min", "acu=0.8")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "credit has no metric 'acu'. Did you mean 'auc'? Known: auc, " in result.stderr


@pytest.mark.parametrize("bar", ["auc", "auc=high", "auc=nan", "=0.8"])
def test_a_bar_that_is_no_number_is_refused_before_anything_is_measured(bundle, loans, solvent, bar):
    result = solvent("evaluate", bundle, loans, "--min", bar)
    assert result.exit_code == 2
    assert f"--min '{bar}'" in result.stderr
    assert result.stdout == ""


def test_a_missed_bar_exits_3_and_still_shows_the_metrics(bundle, loans, solvent):
    result = solvent("evaluate", bundle, loans, "--min", "auc=0.999", "--max", "brier=0.001", "--json")
    assert result.exit_code == 3
    metrics = json.loads(result.stdout)["metrics"]
    assert f"auc is {metrics['auc']['value']:.4f}, the bar is at least 0.999" in result.stderr
    assert f"brier is {metrics['brier']['value']:.4f}, the bar is at most 0.001" in result.stderr


def test_rows_to_evaluate_without_targets_are_refused(bundle, rows, tmp_path, solvent):
    rows.drop(columns="status").to_csv(tmp_path / "new.csv", index=False)
    result = solvent("evaluate", bundle, tmp_path / "new.csv")
    assert result.exit_code == 2
    assert "new.csv has no column 'status' (target)" in result.stderr


def test_rows_to_score_without_a_column_are_refused(bundle, rows, tmp_path, solvent):
    rows.rename(columns={"income": "Income"}).to_csv(tmp_path / "new.csv", index=False)
    result = solvent("score", bundle, tmp_path / "new.csv", tmp_path / "scores.csv")
    assert result.exit_code == 2
    assert "new.csv has no column 'income'" in result.stderr
    assert "Did you mean 'Income'?" in result.stderr
    assert not (tmp_path / "scores.csv").exists()


def test_too_many_bad_rows_exit_4_and_publish_nothing(bundle, rows, tmp_path, solvent):
    broken(rows.head(100), "debt", ["abc"] * 3).to_csv(tmp_path / "new.csv", index=False)
    result = solvent("score", bundle, tmp_path / "new.csv", tmp_path / "scores.csv", "--json")
    assert result.exit_code == 4
    assert result.stdout == ""
    assert "3 of new.csv's 100 rows can't be scored (3.00%); 1.00% may be." in result.stderr
    assert "or allow more (--max-bad" in result.stderr
    assert not (tmp_path / "scores.csv").exists()


def test_an_output_that_is_not_ours_is_not_replaced(bundle, loans, solvent):
    mine = loans.parent / "scores.csv"
    mine.write_text("mine")
    result = solvent("score", bundle, loans, mine)
    assert result.exit_code == 2
    assert str(mine) in result.stderr
    assert mine.read_text() == "mine"


def test_an_unknown_side_table_is_refused(bundle, loans, solvent):
    result = solvent("score", bundle, loans, loans.parent / "scores.csv", "--side", f"items={loans}")
    assert result.exit_code == 2
    assert "The bundle has no side table 'items' to replace. It has: none." in result.stderr


# Usage


@pytest.mark.parametrize(
    "arguments",
    [["train"], ["train", "config.yaml"], ["score", "b", "i", "o", "--max-bad", "2"], ["scor"], ["list", "--jsn"]],
    ids=" ".join,
)
def test_wrong_usage_exits_2_and_says_how_to_get_help(solvent, arguments):
    result = solvent(*arguments)
    assert result.exit_code == 2
    assert "Try 'solvent" in result.stderr or "Try 'main" in result.stderr


def test_a_file_that_cannot_be_written_exits_1_since_the_command_may_be_tried_again(solvent, monkeypatch, tmp_path):
    def full(path, **_):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "mkdir", full)
    result = solvent("data", "get", "credit_data", "--to", tmp_path / "data")
    assert result.exit_code == 1
    assert f"Error: {tmp_path / 'data'}: No space left on device." in result.stderr


def test_a_repeated_id_is_set_aside_while_scoring(bundle, rows, tmp_path, solvent):
    pd.concat([rows.head(200), rows.head(1)]).to_csv(tmp_path / "new.csv", index=False)
    result = solvent("score", bundle, tmp_path / "new.csv", tmp_path / "scores.csv", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["rows_set_aside"] == 1
    scored = pd.read_csv(tmp_path / "scores.csv")
    assert scored["loan"].is_unique
    assert len(scored) == 200
