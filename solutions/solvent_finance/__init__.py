"""Credit risk: loan applications in; probability of default, points, a decision and its reasons out."""

from solvent import Solution, later

from .datasets import DATASETS
from .settings import Credit, columns, headline, split

__all__ = ["SOLUTION"]

SOLUTION = Solution(
    name="credit",
    summary="Scores loans: probability of default, scorecard points, decision, reasons.",
    settings=Credit,
    columns=columns,
    headline=headline,
    split=split,
    fit=later("solvent_finance.model:fit"),
    scorer=later("solvent_finance.model:scorer"),
    rivals={
        "WOE + logistic regression": later("solvent_finance.rivals:woe"),
        "gradient boosting": later("solvent_finance.rivals:boosting"),
    },
    metrics=later("solvent_finance.portfolio:metrics"),
    checks=later("solvent_finance.decision:checks"),
    figures=later("solvent_finance.portfolio:figures"),
    explain=later("solvent_finance.reasons:explain"),
    sample=later("solvent_finance.sample:loans"),
    datasets=DATASETS,
)
