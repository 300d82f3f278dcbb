"""Laws 1 and 2: shared code knows no domain, and no domain knows another."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED = sorted((ROOT / "shared" / "solvent").rglob("*.py"))
NLP = ROOT / "solutions" / "solvent_nlp"
PACKAGES = sorted(
    {path.parent for path in (ROOT / "solutions").rglob("__init__.py") if "SOLUTION = Solution(" in path.read_text()}
)


def imported(path: Path) -> set[str]:
    """The absolute modules that a file imports anywhere in it, and those that it names for `later`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {item.name for item in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= set(re.findall(r"^(solvent_[\w.]+):\w+$", node.value))
    return names


def module(package: Path) -> str:
    return ".".join(package.relative_to(ROOT / "solutions").parts)


def test_there_are_domains_to_look_at():
    assert {"solvent_finance", "solvent_nlp.sentiment"} <= {module(package) for package in PACKAGES}


@pytest.mark.parametrize("path", SHARED, ids=lambda path: str(path.relative_to(ROOT)))
def test_shared_code_imports_no_domain_and_asks_for_no_name(path):
    text = path.read_text(encoding="utf-8")
    assert not {name for name in imported(path) if name.startswith("solvent_")}
    assert not re.search(r"(?i)solution\.name\s*[!=]=", text), "shared code compares a name: law 1"
    domains = {
        name for package in PACKAGES for name in re.findall(r'name="(\w+)",\n', (package / "__init__.py").read_text())
    }
    compared = re.findall(r"""[!=]=\s*["'](\w+)["']""", text)
    assert not domains & set(compared)


@pytest.mark.parametrize("package", PACKAGES, ids=module)
def test_a_domain_imports_solvent_and_itself_only(package):
    for path in package.rglob("*.py"):
        others = {name for name in imported(path) if name.startswith("solvent_")}
        assert {name for name in others if not (name + ".").startswith(module(package) + ".")} == set(), path


def test_no_module_is_named_for_nothing_it_holds():
    empty = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
    assert not {path for path in SHARED if path.stem in empty}


def test_no_class_inherits_but_from_keras_pydantic_and_errors():
    """Law 3: reuse by calling, and by embedding settings sections."""
    allowed = {
        "Section",
        "Reader",  # the section of settings that every domain with images begins with, beside its own keys
        "Recipe",  # what those that learn classes of images begin with
        "BaseModel",
        "SolventError",
        "Exception",
        "BaseException",
        "Protocol",
        "NamedTuple",
        "Generic",
    }
    allowed |= {"Unpickler"}  # Python's documented way of refusing what a pickle would call
    allowed |= {"Formatter", "RawIOBase"}  # the standard library's way of adding a form of log, a kind of file
    allowed |= {"Layer", "Loss", "Metric", "Model", "Callback", "Constraint", "Group", "Adam", "SeedGenerator"}
    allowed |= {"LearningRateSchedule"}
    for path in [*SHARED, *(ROOT / "solutions").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
                names = {base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "?") for base in bases}
                assert names <= allowed, f"{path.name}: class {node.name} inherits from {names - allowed}"
