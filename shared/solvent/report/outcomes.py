"""Figures of the scored test rows. Which ones, the columns and the facts say, never the solution's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..schema.kinds import canonical
from . import sections
from .figures import Drawn, Studio
from .number_target import number_target
from .scored import Cases, models
from .several_classes import several_classes
from .several_labels import several_labels
from .two_classes import two_classes

__all__ = ["outcomes"]

JSON = Any


def outcomes(studio: Studio, bundle: Mapping[str, JSON], scores: Any) -> list[Drawn]:
    """The curves that the columns of `scores` allow; none where there is nothing to draw."""
    if scores is None or "truth" not in scores:
        return []
    cases = Cases.of(bundle, scores)
    facts = bundle["facts"]
    # A solution may keep its classes as they were given, 1 or True; the rows have the schema's spelling of them.
    positive = canonical(facts.get("positive"))
    classes = [level for item in facts.get("classes") or [] if (level := canonical(item)) is not None]
    if "probability" in scores and positive is not None:
        return two_classes(studio, bundle, cases, models(bundle), positive)
    if classes and all(f"probability_{level}" in scores for level in classes):
        if sections.lists(bundle):
            return several_labels(studio, bundle, cases, models(bundle), classes)
        return several_classes(studio, cases, models(bundle), classes)
    if "prediction" in scores:
        return number_target(studio, cases, models(bundle))
    return []
