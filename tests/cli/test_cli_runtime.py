"""`solvent optimize` and `solvent export` on a scorecard: what they print, leave and refuse."""

import json
import shutil

import pandas as pd
import pytest


@pytest.fixture
def own(bundle, tmp_path):
    """A copy of the session's bundle, which may be changed."""
    return shutil.copytree(bundle, tmp_path / "own")


def test_optimize_says_what_it_measured_and_the_scores_stay(own, rows, tmp_path, solvent):
    rows.head(300).to_csv(tmp_path / "new.csv", index=False)
    solvent("score", own, tmp_path / "new.csv", tmp_path / "before.csv")
    done = solvent("optimize", own, "--to", "openvino-float32", "--max-drop", "0.001")
    assert done.exit_code == 0, done.stderr
    assert "a drop of 0.0000" in done.stdout
    assert "rows a second" in done.stdout
    assert f"is accepted: {own}" in done.stdout
    manifest = json.loads(solvent("score", own, tmp_path / "new.csv", tmp_path / "after.csv", "--json").stdout)
    assert manifest["runtime"] == "openvino-float32"
    before, after = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("before", "after"))
    pd.testing.assert_frame_equal(after, before)
    assert f"{own} scores with tensorflow" in solvent("optimize", own, "--to", "tensorflow").stdout


def test_a_drop_over_the_bar_is_exit_code_3(own, solvent):
    done = solvent("optimize", own, "--to", "openvino-float32", "--max-drop", "-1")
    assert done.exit_code == 3
    assert "is not accepted" in done.stderr
    assert done.stdout == ""


def test_rows_that_are_not_the_bundles_own_are_exit_code_2(own, project, rows, solvent):
    project.write_rows(rows.head(500))
    done = solvent("optimize", own, "--to", "openvino-float32", "--config", project.config)
    assert done.exit_code == 2
    assert "not those that it was trained on" in done.stderr
    assert "--config CONFIG" in done.stderr


def test_export_leaves_a_folder_and_says_by_how_much_it_differs(own, tmp_path, solvent):
    done = solvent("export", own, "--to", "savedmodel", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert "model: differs by 0 at most from TensorFlow on 64 rows" in done.stdout
    assert (tmp_path / "out" / "model" / "saved_model.pb").is_file()
    again = solvent("export", own, "--to", "savedmodel", tmp_path / "out")
    assert again.exit_code == 2
    assert "is there already" in again.stderr
