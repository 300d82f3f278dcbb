"""Every installed solution keeps the contract."""

import pytest

from solvent import contract, installed

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
