"""`solvent new`: copy a tested solution's package, rename it, and give it its own project and tests."""

from __future__ import annotations

import importlib
import importlib.util
import keyword
import re
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from . import __version__
from .errors import Refused
from .registry import find, installed
from .solution import CONTRACT_VERSION
from .wording import suggestion

__all__ = ["create"]

TEXTS = {".py", ".yaml", ".yml", ".md", ".toml"}


def create(name: str, like: str, to: Path) -> str:
    """Make a new vertical.

    Args:
        name: of the new solution: lower-case letters, digits and underscores.
        like: an installed solution's name.
        to: the new project's folder; must be empty or not there.

    Returns:
        What to print: where it is and what to type next.

    Raises:
        Refused: if the name can't be used, `like` is not installed, or the folder holds something.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise Refused(
            f"The name {name!r} can't be a package: use lower-case letters, digits and underscores, a letter first."
        )
    known = {item.name: item for item in installed()}
    package = f"solvent_{name}"
    if like not in known:
        raise Refused(
            f"There is no installed solution {like!r} to begin with.{suggestion(like, known)} "
            f"Installed: {', '.join(known) or 'none'}."
        )
    if name in known:
        raise Refused(f"There is a solution {name!r} already ({known[name].target}). Choose another name.")
    if importlib.util.find_spec(package) or _is_installed(f"solvent-{name}"):
        raise Refused(f"A package {package} or solvent-{name} is installed already. Choose another name.")
    if to.exists() and (to.is_file() or any(to.iterdir())):
        raise Refused(f"{to} is already there and not empty. Name another --to.")
    find(like)  # refuses one that can't be used here
    origin = known[like]
    module = origin.target.partition(":")[0]
    source = Path(importlib.import_module(module).__file__ or "").parent
    shutil.copytree(source, to / package, ignore=shutil.ignore_patterns("__pycache__"))
    for path in sorted((to / package).rglob("*")):
        if path.suffix in TEXTS:
            path.write_text(_renamed(path.read_text(encoding="utf-8"), module, package, like, name), encoding="utf-8")
    extra = f"[{origin.extra}]" if origin.extra else ""
    (to / "pyproject.toml").write_text(
        PROJECT.format(**locals(), version=__version__, contract=CONTRACT_VERSION), encoding="utf-8"
    )
    (to / "tests").mkdir()
    (to / "tests" / "test_contract.py").write_text(TESTS.format(package=package, name=name), encoding="utf-8")
    return (
        f"{to}: solution {name}, begun as a copy of {like} {__version__}\n"
        f"next:   pip install -e '{to}[test]' && pytest {to}\n"
        f"then:   change {to / package / 'settings.py'} and {to / package / '__init__.py'}; they tell the whole story"
    )


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def _renamed(text: str, module: str, package: str, like: str, name: str) -> str:
    """A file of the copy: its own package, its own name, nothing else changed."""
    text = re.sub(rf"(?<![\w.]){re.escape(module)}(?!\w)", package, text)
    places = [
        rf'(name=")({like})(")',
        rf"(solution: )({like})(\s)",
        rf"(# )({like})(\n)",
        rf"(solvent (?:demo|new \w+ --like) )({like})(\b)",
    ]
    for place in places:
        text = re.sub(place, rf"\g<1>{name}\g<3>", text)
    return text


PROJECT = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "solvent-{name}"
version = "0.1.0"
description = "The solution {name} for Solvent"
readme = "{package}/README.md"
requires-python = ">=3.11"
dependencies = ["solvent-suite{extra}>={version}"]

[project.optional-dependencies]
test = ["pytest>=9"]

[project.entry-points."solvent.solutions"]
{name} = "{package}:SOLUTION"

[tool.hatch.build.targets.wheel]
packages = ["{package}"]

[tool.pytest.ini_options]
testpaths = ["tests"]

# Where this vertical came from: compare with it when the origin changes.
[tool.solvent]
origin = "{like}"
origin_version = "{version}"
contract_version = {contract}
"""

TESTS = '''\
"""What every solution promises. Add tests of your own business beside this file."""

import pytest
from solvent import contract

from {package} import SOLUTION


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return contract.Kit(SOLUTION, "{package}:SOLUTION", tmp_path_factory.mktemp("{name}"))


@pytest.mark.parametrize("check", contract.CHECKS, ids=contract.title)
def test_contract(check, kit):
    check(kit)
'''
