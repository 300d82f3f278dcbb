"""The strong simple models that the report shows beside ours: chosen on validation cases, refitted on all rows."""

from dataclasses import replace

import pandas as pd

from solvent import Data, Fitted, Refitted
from solvent.solution import Score

from . import hybrid
from .cases import cases
from .catalogue import Catalogue, side_table
from .engine import Engine
from .interactions import Known
from .lists import scorer
from .model import choose, choosing, engine, fitted_parts, needed
from .ratings import levels
from .settings import Recommender

__all__ = ["ease", "neighbours", "popularity"]


def popularity(settings: Recommender, data: Data) -> Refitted:
    """What most users liked lately: the half-life is chosen."""
    return _alone(settings, data, "popularity")


def neighbours(settings: Recommender, data: Data) -> Refitted:
    """What is near to what a user liked; popularity for a user who liked nothing yet."""
    return _alone(settings, data, "neighbours")


def ease(settings: Recommender, data: Data) -> Refitted:
    """EASE, its strength chosen; popularity for a user who liked nothing yet."""
    return _alone(settings, data, "ease")


def _alone(settings: Recommender, data: Data, name: str) -> Refitted:
    quiet = settings.model_copy(update={"scoring": settings.scoring.model_copy(update={"reasons": False})})
    weights = hybrid.alone(name)
    held = choosing(settings, data)
    known = Known.of(settings, data.train)
    catalogue = Catalogue.of(settings, known.items, side_table(settings, known.items, data.side))
    chosen = {each: choose(settings, each, known, catalogue, held)[0] for each in needed(settings, [name])}
    fitted = Fitted({}, assets=fitted_parts(settings, chosen, known, catalogue))
    valid = _scorer(quiet, engine(quiet, fitted, weights, known, catalogue), data.train)(cases(settings, data.valid))
    rows = pd.concat([data.train, data.valid]).sort_index()
    known = Known.of(settings, rows)
    catalogue = Catalogue.of(settings, known.items, side_table(settings, known.items, data.side))
    fitted = Fitted({}, assets=fitted_parts(settings, chosen, known, catalogue))
    return Refitted(_scorer(quiet, engine(quiet, fitted, weights, known, catalogue), rows), valid)


def _scorer(settings: Recommender, made: Engine, rows: pd.DataFrame) -> Score:
    """Lists, and ratings by the levels of users and items where the settings ask for them."""
    rate = levels(rows, made.known, made.catalogue) if settings.ratings else None
    return scorer(replace(made, rate=rate))
