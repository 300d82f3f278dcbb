"""Recommender: who had what in; lists of items with scores and reasons out, for old and new users and items."""

from solvent import Solution, later

from .datasets import DATASETS
from .meanings import MEANINGS
from .settings import Recommender, columns, headline, split

__all__ = ["SOLUTION"]

SOLUTION = Solution(
    name="recommender",
    summary="Recommends items: lists with scores and reasons, for new users by their history, new items by content.",
    settings=Recommender,
    columns=columns,
    headline=headline,
    split=split,
    cases=later("solvent_recommender.cases:cases"),
    checks=later("solvent_recommender.checks:checks"),
    fit=later("solvent_recommender.model:fit"),
    scorer=later("solvent_recommender.model:scorer"),
    rivals={
        "decayed popularity": later("solvent_recommender.rivals:popularity"),
        "item neighbours": later("solvent_recommender.rivals:neighbours"),
        "EASE": later("solvent_recommender.rivals:ease"),
    },
    forget=later("solvent_recommender.cases:forget"),
    metrics=later("solvent_recommender.outcome:metrics"),
    slices=later("solvent_recommender.outcome:slices"),
    meanings=MEANINGS,
    figures=later("solvent_recommender.figures:figures"),
    sample=later("solvent_recommender.sample:tastes"),
    datasets=DATASETS,
)
