"""The contract holds for a solution with entities and a number for a target too, and it catches one that breaks it."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from solvent import contract

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))
import ruler


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return contract.Kit(ruler.SOLUTION, "ruler:SOLUTION", tmp_path_factory.mktemp("ruler"))


CHECKS = [
    contract.it_learns_its_sample,
    contract.it_does_not_learn_shuffled_targets,
    contract.the_target_is_never_read_while_scoring,
    contract.each_entity_alone_scores_as_in_the_whole_table,
    contract.a_bad_cell_fails_its_row_and_no_other,
    contract.a_killed_training_resumes_to_the_same_metrics,
]


@pytest.mark.parametrize("check", CHECKS, ids=contract.title)
def test_a_solution_with_entities_passes(check, kit):
    check(kit)


def test_a_solution_that_learns_nothing_is_caught(kit, tmp_path):
    lazy = contract.Kit(kit.solution, kit.target, tmp_path)
    lazy.sample = replace(kit.sample, settings={"training": {"epochs": 1, "learning_rate": 1e-6}})
    with pytest.raises(AssertionError, match=r"rmse is \d\.\d+ on the sample; its floor is 0\.2"):
        contract.it_learns_its_sample(lazy)


def test_a_readme_that_is_missing_is_caught(kit):
    with pytest.raises(FileNotFoundError):
        contract.its_readme_names_every_setting(kit)
