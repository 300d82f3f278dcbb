"""Sentiment: texts in; a class with calibrated probabilities out, and the words that decided. Also for topics, intents,
stars."""

from solvent import Solution, later

from .datasets import DATASETS
from .settings import Sentiment, columns, headline, split

__all__ = ["SOLUTION"]

SOLUTION = Solution(
    name="sentiment",
    summary="Classifies texts: sentiment, topics, intents; calibrated probabilities, abstaining, deciding words.",
    settings=Sentiment,
    columns=columns,
    headline=headline,
    split=split,
    outside=later("solvent_nlp.sentiment.model:outside"),
    fit=later("solvent_nlp.sentiment.model:fit"),
    scorer=later("solvent_nlp.sentiment.model:scorer"),
    recalibrate=later("solvent_nlp.sentiment.model:recalibrate"),
    rivals={
        "TF-IDF + logistic regression": later("solvent_nlp.sentiment.rivals:logistic"),
        "NB-SVM": later("solvent_nlp.sentiment.rivals:nb_svm"),
    },
    metrics=later("solvent_nlp.sentiment.outcome:metrics"),
    slices=later("solvent_nlp.sentiment.slices:slices"),
    figures=later("solvent_nlp.sentiment.outcome:figures"),
    explain=later("solvent_nlp.sentiment.why:explain"),
    sample=later("solvent_nlp.sentiment.sample:reviews"),
    datasets=DATASETS,
)
