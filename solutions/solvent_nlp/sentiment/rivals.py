"""The strong simple models that the network is measured against, fitted on the same rows."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_union

from solvent import Data
from solvent.labels import codes
from solvent.metrics import calibration, row_weights
from solvent.solution import Score
from solvent.split import halves

from .answers import calibrated, outputs
from .ngrams import log_count_ratios, pieces
from .settings import Sentiment
from .texts import joined

__all__ = ["logistic", "nb_svm", "regression", "tfidf"]

STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)
INTERPOLATION = 0.25  # beta, as the paper has it

FEW = 200  # training texts, of which none may share a sequence of characters

Logits = Callable[[scipy.sparse.csr_matrix], np.ndarray]


class Rows(NamedTuple):
    """Texts as `features`, shape `(rows, ngrams)`, the numbers of their classes and their weights, `(rows,)`."""

    features: scipy.sparse.csr_matrix
    labels: np.ndarray
    weight: np.ndarray


def logistic(settings: Sentiment, data: Data) -> Score:
    """TF-IDF of words and of characters inside words, then logistic regression; C chosen on validation rows."""

    def fit(strength: float, learnt: Rows, choosing: Rows) -> Logits:
        return regression(strength, *learnt).predict_log_proba

    return _chosen(settings, data, tfidf(settings, len(data.train)), fit)


def tfidf(settings: Sentiment, rows: int) -> FeatureUnion:
    """Words, signs and pairs of neighbours; characters inside words, if they occur in more than one of many texts."""
    seldom = 2 if rows >= FEW else 1
    given: dict[str, Any] = {"sublinear_tf": True, "lowercase": settings.fold_case}
    return make_union(
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b|[^\w\s]", **given),
        TfidfVectorizer(ngram_range=settings.ngrams.characters, analyzer="char_wb", min_df=seldom, **given),
    )


def regression(
    strength: float, features: scipy.sparse.csr_matrix, labels: np.ndarray, weight: np.ndarray
) -> LogisticRegression:
    return LogisticRegression(C=strength, solver="newton-cg").fit(features, labels, weight)


def nb_svm(settings: Sentiment, data: Data) -> Score:
    """NB-SVM: which n-grams a text has, each times its log-count ratio, then a linear model of each class against the
    rest, drawn towards naive Bayes, which is what equal weights would be. C chosen on validation rows.

    Two things are not the paper's: logistic regression in place of the SVM, no worse on SST-2; and once drawn, a
    line is placed anew, on the validation rows that choose, since its old place is wrong where classes are not of one
    size (on reviews of which 36 % are of one class, 7 % were called so).

    Source: Wang and Manning, Baselines and Bigrams: Simple, Good Sentiment and Topic Classification, ACL 2012.
    """
    classes = len(data.schema.targets[0].levels)
    known: list[np.ndarray] = []  # the same for each strength
    characters, fold = settings.ngrams.characters[1], settings.fold_case
    features = CountVectorizer(analyzer=lambda text: pieces(text, 2, characters, fold), binary=True)

    def fit(strength: float, learnt: Rows, choosing: Rows) -> Logits:
        lines, offsets = [], []
        if not known:
            known.append(log_count_ratios(*learnt, classes))
        (ratios,) = known
        for place in [1] if classes == 2 else range(classes):
            scaled = learnt.features.multiply(ratios[place][None, :]).tocsr()
            model = regression(strength, scaled, learnt.labels == place, learnt.weight)
            (own,), (offset,) = model.coef_, model.intercept_
            line = ratios[place] * ((1 - INTERPOLATION) * np.abs(own).mean() + INTERPOLATION * own)
            given = choosing.labels == place
            if 0 < choosing.weight @ given < choosing.weight.sum():
                placed = calibration.fit_platt(choosing.features @ line, given, choosing.weight)
                line, offset = placed["slope"] * line, placed["intercept"]
            lines.append(line)
            offsets.append(offset)
        if classes == 2:  # what speaks for the one speaks against the other
            lines, offsets = [-lines[0], *lines], [-offsets[0], *offsets]
        return lambda found: found @ np.transpose(lines) + offsets

    return _chosen(settings, data, features, fit)


def _chosen(settings: Sentiment, data: Data, features: Any, fit: Callable[[float, Rows, Rows], Logits]) -> Score:
    """The strength is chosen on one half of the validation rows, the temperature on the other.

    Args:
        features: of scikit-learn, from texts to `Rows.features`.
        fit: of a strength, the training rows and the rows that choose.
    """
    choosing, rest = halves(data.valid, data.schema, data.seed)
    classes = list(data.schema.targets[0].levels)

    def rows(table: pd.DataFrame, read: Callable[[pd.Series], scipy.sparse.csr_matrix]) -> Rows:
        return Rows(read(joined(table)), codes(table, classes), row_weights(table.get("weight"), len(table)))

    learnt = rows(data.train, features.fit_transform)
    chosen_on, kept = rows(choosing, features.transform), rows(rest, features.transform)
    best, reached = None, -1.0
    for strength in STRENGTHS:
        logits = fit(strength, learnt, chosen_on)
        if (right := _right(logits(chosen_on.features), chosen_on)) > reached:
            best, reached = logits, right
    facts = calibrated(settings, classes, best(kept.features), rest)

    def score(table: pd.DataFrame) -> pd.DataFrame:
        return outputs(settings, facts, table.index, best(features.transform(joined(table))))

    return score


def _right(logits: np.ndarray, rows: Rows) -> float:
    return float(rows.weight @ (logits.argmax(axis=1) == rows.labels))
