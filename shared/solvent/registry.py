"""Which solutions are installed: found by their entry points, or by `module:SOLUTION` before they are installed."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from .errors import Refused
from .solution import CONTRACT_VERSION, Solution
from .wording import suggestion

__all__ = ["Installed", "find", "installed"]


@dataclass(frozen=True)
class Installed:
    """An entry of the group `solvent.solutions`: where a solution lives, and whether it can run here.

    Args:
        extra: the extra of the distribution that brings what it needs, None where it needs none.
        missing: packages of that extra that are not installed.
    """

    name: str
    target: str
    distribution: str
    extra: str | None
    missing: tuple[str, ...] = ()

    @property
    def cure(self) -> str:
        return f"pip install '{self.distribution}[{self.extra}]'"

    def load(self) -> Solution[Any]:
        return _load(self.target)


def installed() -> list[Installed]:
    """Every solution that an installed package announces, by name."""
    found = []
    for entry in entry_points(group="solvent.solutions"):
        distribution = entry.dist.name if entry.dist else entry.module
        extra = entry.extras[0] if entry.extras else None
        missing = _missing(entry.dist.requires or [], extra) if entry.dist and extra else ()
        target = f"{entry.module}:{entry.attr}"
        found.append(Installed(entry.name, target, distribution, extra, missing))
    return sorted(found, key=lambda item: item.name)


def _missing(requires: Sequence[str], extra: str | None) -> tuple[str, ...]:
    from importlib.metadata import PackageNotFoundError, version

    from packaging.requirements import Requirement

    missing = []
    for requirement in map(Requirement, requires):
        if requirement.marker is None or not requirement.marker.evaluate({"extra": extra or ""}):
            continue
        if requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version(requirement.name)
        except PackageNotFoundError:
            missing.append(requirement.name)
    return tuple(missing)


def find(name: str) -> Solution[Any]:
    """Find a solution by its name, or by `module:SOLUTION` before it is installed.

    Raises:
        Refused: if there is none of that name, or what it needs is not installed.
    """
    if ":" in name:
        return _load(name)
    known = {item.name: item for item in installed()}
    if name not in known:
        raise Refused(
            f"There is no solution {name!r}.{suggestion(name, known)} Installed: {', '.join(known) or 'none'}. "
            "Install its package, or write module:SOLUTION."
        )
    if known[name].missing:
        raise Refused(f"The solution {name} needs {', '.join(known[name].missing)}: {known[name].cure}")
    return known[name].load()


def _load(target: str) -> Solution[Any]:
    module, _, attribute = target.partition(":")
    if not module or module.startswith(".") or not attribute:
        raise Refused(f"The solution {target!r} is not understood: expected a name, or package.module:SOLUTION.")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0] and error.name != module:
            raise
        raise Refused(f"There is no module {module!r} for the solution {target!r} on the Python path.") from error
    except AttributeError as error:
        raise Refused(f"The module {module} has no {attribute}. Name the solution's own: {module}:SOLUTION.") from error
    if not isinstance(found, Solution):
        raise Refused(f"{target} is a {type(found).__name__}; expected a solvent.Solution.")
    if found.contract_version > CONTRACT_VERSION:
        raise Refused(
            f"{target} follows version {found.contract_version} of the contract; this solvent knows "
            f"{CONTRACT_VERSION}. Update it: pip install --upgrade solvent-suite"
        )
    return found
