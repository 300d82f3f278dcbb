"""Sentiment: texts in; a class with calibrated probabilities out. Also for topics, intents, stars."""

from solvent import Solution, later

from .settings import DATASETS, Sentiment, columns, headline, split

__all__ = ["SOLUTION"]

SOLUTION = Solution(
    name="sentiment",
    summary="Classifies texts: sentiment, topics, intents; calibrated probabilities.",
    settings=Sentiment,
    columns=columns,
    headline=headline,
    split=split,
    fit=later("solvent_nlp.sentiment.network:fit"),
    scorer=later("solvent_nlp.sentiment.network:scorer"),
    rivals={"TF-IDF + logistic regression": later("solvent_nlp.sentiment.rivals:logistic")},
    metrics=later("solvent_nlp.sentiment.outcome:metrics"),
    figures=later("solvent_nlp.sentiment.outcome:figures"),
    sample=later("solvent_nlp.sentiment.sample:reviews"),
    datasets=DATASETS,
)
