"""Figures of the scored test rows. Which ones, the columns and the facts say, never the solution's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .figures import Drawn, Studio
from .number_target import number_target
from .scored import canonical, models
from .several_classes import several_classes
from .two_classes import two_classes

__all__ = ["outcomes"]

JSON = Any


def outcomes(studio: Studio, bundle: Mapping[str, JSON], scores: Any) -> list[Drawn]:
    """The curves that the columns of `scores` allow; none where there is nothing to draw."""
    if scores is None or not bundle.get("test") or "truth" not in scores or not len(scores):
        return []
    facts = bundle.get("facts") or {}
    classes = [canonical(level) for level in facts.get("classes") or []]
    if "probability" in scores and facts.get("positive") is not None:
        return two_classes(studio, bundle, scores, models(bundle), canonical(facts["positive"]))
    if classes and all(f"probability_{level}" in scores for level in classes):
        return several_classes(studio, scores, models(bundle), classes)
    if "prediction" in scores:
        return number_target(studio, scores, models(bundle))
    return []
