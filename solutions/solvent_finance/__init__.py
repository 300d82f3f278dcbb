"""Credit risk: loan applications in; probability of default and a decision out."""

from solvent import Solution, later

from .settings import DATASETS, Credit, columns, headline, split

__all__ = ["SOLUTION"]

SOLUTION = Solution(
    name="credit",
    summary="Scores loans: probability of default and a decision at the cut-off of least cost.",
    settings=Credit,
    columns=columns,
    headline=headline,
    split=split,
    fit=later("solvent_finance.network:fit"),
    scorer=later("solvent_finance.network:scorer"),
    rivals={
        "WOE + logistic regression": later("solvent_finance.rivals:woe"),
        "gradient boosting": later("solvent_finance.rivals:boosting"),
    },
    metrics=later("solvent_finance.portfolio:metrics"),
    figures=later("solvent_finance.portfolio:figures"),
    sample=later("solvent_finance.sample:loans"),
    datasets=DATASETS,
)
