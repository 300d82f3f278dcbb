"""`solvent new`: copy a tested solution's package, rename it, and give it its own project and tests."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import keyword
import logging
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from . import __version__, origin
from .errors import Refused
from .registry import Installed, find, installed
from .solution import CONTRACT_VERSION
from .wording import listed, many, suggestion

__all__ = ["create", "upstream"]

log = logging.getLogger("solvent")
TEXTS = {".py", ".yaml", ".yml", ".md", ".toml"}


def create(name: str, like: str, to: Path, words: Mapping[str, str] | None = None) -> str:
    """Make a new vertical.

    Args:
        words: whole words or phrases of the origin, such as "loan", and what each is in the copy's texts and names.
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
    files = _project(name, known[like], words or {})
    for path, content in files.items():
        (to / path).parent.mkdir(parents=True, exist_ok=True)
        (to / path).write_bytes(content)
    origin.keep(to, files)
    return (
        f"{to}: solution {name}, begun as a copy of {like} {__version__}\n"
        f"next:   pip install -e '{to}[test]' && pytest {to}\n"
        f"then:   change {to / package / 'settings.py'} and {to / package / '__init__.py'}; they tell the whole story\n"
        f"later:  solvent new --diff --to {to}    # what has changed in {like} since"
    )


def upstream(copy: Path, *, merged: bool = False) -> str:
    """What changed in a copy's origin since the copy was made: not what its owner changed in it.

    Args:
        copy: the folder that `create` made.
        merged: note instead that the copy has these changes now, so that the next call tells of later ones only.

    Returns:
        A unified diff in the copy's own names, as `git apply` and `patch -p1` take it there, without the files that
        the copy has removed; empty where nothing changed. With `merged`, how many files changed.

    Raises:
        Refused: if the folder does not say what it was made from, or that is not installed.
    """
    before = origin.kept(copy)
    name, like, words = origin.names(copy, before)
    known = {item.name: item for item in installed()}
    if like not in known:
        raise Refused(
            f"{copy} was begun as a copy of {like}, which is not installed here. Install the package that has it; "
            f"installed are: {', '.join(known) or 'none'}."
        )
    now = _project(name, known[like], words)
    changed = {path for path in {*before, *now} if before.get(path) != now.get(path)}
    if merged:
        origin.keep(copy, now)
        return f"{copy}: up to {like} {__version__} ({many(len(changed), 'changed file')})"
    removed = {path for path in changed if path in before and not (copy / path).exists()}
    if removed:
        log.info("changed in %s, and left out here, since the copy has removed it: %s", like, listed(sorted(removed)))
    return origin.diff(before, now, changed - removed)


def _project(name: str, like: Installed, words: Mapping[str, str]) -> dict[str, bytes]:
    """The files of a new project by their paths, just as the installed solution gives them."""
    find(like.name)  # refuses one that can't be used here
    module, package = like.target.partition(":")[0], f"solvent_{name}"
    source = Path(importlib.import_module(module).__file__ or "").parent
    extra = f"[{like.extra}]" if like.extra else ""
    project = PROJECT.format(
        name=name,
        package=package,
        extra=extra,
        version=__version__,
        like=like.name,
        contract=CONTRACT_VERSION,
        words=", ".join(f"{json.dumps(old)} = {json.dumps(new)}" for old, new in words.items()),
    )
    files = {"pyproject.toml": project, "tests/test_contract.py": TESTS.format(package=package, name=name)}
    found = {path: text.encode() for path, text in files.items()}
    for path in sorted(source.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            place = _place(path.relative_to(source), words)
            if (copied := f"{package}/{place}") in found:
                raise Refused(f"With these words {like.name} has two files {place}. Choose another --word.")
            content = path.read_bytes()
            if path.suffix in TEXTS:
                content = _reworded(_renamed(content.decode(), module, package, like.name, name), words).encode()
            if path.suffix == ".py":
                _refuse_what_is_no_python(content, place)
            found[copied] = content
    return found


def _place(path: Path, words: Mapping[str, str]) -> str:
    """Where a file lies in the copy: a module is imported by its name, so that a word is another there too."""
    parts = [words.get(part, part) for part in path.parent.parts]
    return Path(*parts, words.get(path.stem, path.stem) + path.suffix).as_posix()


def _refuse_what_is_no_python(content: bytes, place: str) -> None:
    try:
        ast.parse(content)
    except SyntaxError as error:
        raise Refused(
            f"With these words {place} line {error.lineno} is no Python: {(error.text or '').strip()!r}. "
            "Choose another --word: one that is also a name in the code can only become a name."
        ) from error


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
        rf'(Solution\(\s*name=")({like})(")',  # no column of that name
        rf"(solution: )({like})(\s)",
        rf"(# )({like})(\n)",
        rf"(solvent (?:demo|new \w+ --like) )({like})(\b)",
    ]
    for place in places:
        text = re.sub(place, rf"\g<1>{name}\g<3>", text)
    return text


def _reworded(text: str, words: Mapping[str, str]) -> str:
    """The text with whole words replaced in one pass, of those that begin at one place the longest."""
    if not words:
        return text
    known = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{known})(?!\w)", lambda found: words[found[0]], text)


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

# Where this vertical came from; `solvent new --diff` shows what has changed there since.
[tool.solvent]
origin = "{like}"
origin_version = "{version}"
contract_version = {contract}
words = {{{words}}}
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
