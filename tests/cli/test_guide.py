"""The guide in solutions/README.md, followed word for word: churn made from credit, on a table that is new to it."""

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from solvent import Bundle, contract

GUIDE = (Path(__file__).parents[2] / "solutions" / "README.md").read_text(encoding="utf-8")
FROM_ONE_TRAINING = [
    contract.it_learns_its_sample,
    contract.scoring_gives_one_row_per_case_with_the_declared_outputs,
    contract.the_target_is_never_read_while_scoring,
    contract.explain_gives_one_row_for_each_row_with_the_same_index,
    contract.a_missing_column_is_named,
    contract.a_bad_cell_fails_its_row_and_no_other,
    contract.every_rival_runs_and_is_reported,
    contract.its_readme_names_every_setting,
]


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, flags=re.DOTALL)


@pytest.fixture
def churn(tmp_path, solvent, by_path, monkeypatch):
    """The folder of the copy, changed as the guide says."""
    monkeypatch.chdir(tmp_path)
    copy, remove = (shlex.split(block) for block in blocks("bash"))
    assert (copy[:2], remove[0]) == (["solvent", "new"], "rm")
    assert solvent(*copy[1:]).exit_code == 0
    own_tests_pass(tmp_path / "churn")
    for name in remove[1:]:
        (tmp_path / "churn" / "solvent_churn" / name).unlink()
    subprocess.run(["git", "apply", "-"], cwd=tmp_path / "churn", input="".join(blocks("diff")), text=True, check=True)
    by_path(tmp_path / "churn", "solvent_churn")
    return tmp_path / "churn"


def own_tests_pass(copy):
    """Those of the copy before anything is changed in it, but for those that train once more."""
    names = [f"tests/test_contract.py::test_contract[{contract.title(check)}]" for check in FROM_ONE_TRAINING]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(copy), *sys.path])}
    command = [sys.executable, "-m", "pytest", "-q", *names, "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"{len(FROM_ONE_TRAINING)} passed" in done.stdout


def phone_contracts(rows=700):
    """Customers of a phone company: one with complaints leaves sooner, one with a long contract later."""
    random = np.random.default_rng(3)
    kind = random.choice(["prepaid", "12 months", "24 months"], rows)
    complaints = random.poisson(0.6, rows)
    odds = 1.5 * complaints - 2.0 * (kind == "24 months") - 1.0
    left = random.random(rows) < 1 / (1 + np.exp(-odds))
    return pd.DataFrame(
        {
            "number": [f"0170-{each}" for each in range(rows)],
            "contract_kind": kind,
            "gb_used": random.gamma(1.5, 8, rows).round(1),
            "complaints": complaints,
            "churned": np.where(left, "yes", "no"),
        }
    )


def test_the_guides_churn_passes_its_own_tests_and_trains_and_scores_a_table_of_ones_own(churn, solvent, tmp_path):
    own = runpy.run_path(str(churn / "tests" / "test_contract.py"))
    kit = contract.Kit(own["SOLUTION"], "solvent_churn:SOLUTION", tmp_path)
    for check in FROM_ONE_TRAINING:
        own["test_contract"](check, kit)

    table = phone_contracts()
    table.to_csv(tmp_path / "phone.csv", index=False)
    roles = {"target": "churned", "id": "number", "contract": "contract_kind"}
    quick = {**kit.sample.settings, "training": {"epochs": 4, "refit": False, "learning_rate": 0.05}}
    config = {
        "solution": "solvent_churn:SOLUTION",
        "data": {"rows": "phone.csv", "columns": roles},
        "settings": {**quick, "calls": 0.3},
    }
    (tmp_path / "phone.yaml").write_text(json.dumps(config))
    assert "Training    420" in solvent("check", tmp_path / "phone.yaml").stdout
    trained = solvent("train", tmp_path / "phone.yaml", "--out", tmp_path / "bundle")
    assert trained.exit_code == 0, trained.output
    table.drop(columns="churned").to_csv(tmp_path / "new.csv", index=False)
    assert solvent("score", tmp_path / "bundle", tmp_path / "new.csv", tmp_path / "scores.csv").exit_code == 0
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert set(scores["decision"]) == {"leave alone", "call"}
    risk = scores["probability"].groupby(table["complaints"].clip(upper=2)).mean()
    assert risk.is_monotonic_increasing
    bundle = Bundle.load(tmp_path / "bundle")
    assert bundle.facts["test"]["metrics"]["saved"]["value"] > 0
    assert bundle.facts["test"]["metrics"]["reached"]["value"] > 0.3  # by chance it would be the share of calls
    assert "Who leaves, by contract" in (tmp_path / "bundle" / "report.html").read_text()
    assert "loan" not in (tmp_path / "bundle" / "report.html").read_text()


def test_every_check_that_the_guide_names_is_one_of_the_contract():
    named = set(re.findall(r"`((?:it|a|the|each|every|scoring)_\w+)`", GUIDE))
    assert len(named) > 5
    assert named <= {contract.title(check) for check in contract.CHECKS}
