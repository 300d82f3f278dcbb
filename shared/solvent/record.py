"""What bundle.json says of a run besides its measurements: versions, limits, everything as plain JSON."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from packaging.requirements import Requirement

from .registry import installed
from .schedule import may_leave_refit, refits

if TYPE_CHECKING:
    from .prepare import Prepared
    from .solution import JSON, Finding

__all__ = ["limits", "plain", "recorded", "versions"]

SUITE = "solvent-suite"


def limits(
    prepared: Prepared, stages: Sequence[Mapping[str, Any]], settings: Any, *, tested: bool, folds: int
) -> list[str]:
    """What a reader must keep in mind, from the facts of this run."""
    says = ["The figures hold for rows like these: the same source, the same time, the same way of being chosen."]
    if not tested:
        says.append("There was no test part: nothing here is measured on rows that the model has not seen.")
    if folds:
        says.append(
            f"Figures are out-of-fold over {folds} models; the bundle's own model was then fitted on "
            "all rows but those that choose and calibrate."
        )
    elif prepared.facts["split"].get("by") in ("random", "stratified", "group"):
        says.append("The split is not by time: how well the model does on later rows is not known.")
    if prepared.facts["split"].get("by") in ("time", "last") and refits(settings) and may_leave_refit(settings):
        says.append(
            "training.refit: older and newer rows chose and calibrated together. Where rates change with time, "
            "training.refit: false lets the newer validation rows do it."
        )
    says += [
        f"Stage {item['stage']} was bounded by time: it can be resumed, but not repeated exactly."
        for item in stages
        if item["stopped"] == "max_minutes"
    ]
    if weighed := prepared.schema.by_role("weight"):
        says.append(f"Rows count by {weighed[0].source}, in training and in every metric.")
    if ranges := sum(field.low is not None for field in prepared.schema.features):
        says.append(
            f"{ranges} number columns have a training range; rows outside it are scored and counted, and less certain."
        )
    return says


def versions(solution: str) -> dict[str, str]:
    """The exact versions of Python, of the suite, of the solution's distribution, and of what both require.

    Args:
        solution: as the config names it.
    """
    own = next((item for item in installed() if solution in (item.name, item.target)), None)
    found = {"python": platform.python_version()}
    for name, extra in {SUITE: None, **({own.distribution: own.extra} if own else {})}.items():
        found |= {name: version(name)} | _required(name, extra)
    return found


def _required(distribution: str, extra: str | None) -> dict[str, str]:
    found = {}
    for requirement in map(Requirement, requires(distribution) or []):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra or ""}):
            try:
                found[requirement.name] = version(requirement.name)
            except PackageNotFoundError:  # such as tensorflow-cpu in tensorflow's place
                continue
    return found


def recorded(findings: Iterable[Finding]) -> list[dict[str, JSON]]:
    """What bundle.json says of findings; their pictures are in the report."""
    return [{name: value for name, value in asdict(item).items() if name != "picture"} for item in findings]


def plain(value: Any) -> Any:
    """The value with JSON's own types only; what is missing or not a finite number is null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    return value if isinstance(value, str) else str(value)
