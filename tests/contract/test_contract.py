"""Every installed solution keeps the contract."""

import numpy as np
import pytest

from solvent import contract, installed
from solvent.training import Store
from solvent.training.checkpoint import State

SOLUTIONS = [item for item in installed() if not item.missing]


@pytest.fixture(scope="session")
def kits(tmp_path_factory):
    return {item.name: contract.Kit(item.load(), item.target, tmp_path_factory.mktemp(item.name)) for item in SOLUTIONS}


@pytest.mark.parametrize("check", contract.CHECKS, ids=contract.title)
@pytest.mark.parametrize("name", [item.name for item in SOLUTIONS])
def test_a_solution_keeps_the_contract(name, check, kits):
    check(kits[name])


def test_the_two_first_solutions_are_installed():
    assert {"credit", "sentiment"} <= {item.name for item in SOLUTIONS}


def test_a_kill_right_before_a_checkpoint_leaves_best_weights_that_no_state_names(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(contract.Killed), contract._killed(2, written=False):
        for epoch in (1, 2, 3):
            store.keep_best([np.ones(3)], epoch)
            store.save(State(learning_rate=0.1, epoch=epoch, best_epoch=epoch), [np.ones(3)])
    assert (store.state().epoch, store.state().best_epoch) == (1, 1)
    assert {path.name for path in tmp_path.glob("best-*")} == {"best-1.npz", "best-2.npz"}


@pytest.mark.parametrize("name", [item.name for item in SOLUTIONS])
def test_both_kills_strike_while_the_sample_is_trained(name, kits):
    assert kits[name].resumed
    assert kits[name].kills == 2
