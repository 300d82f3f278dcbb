"""Made loans with a known risk."""

import numpy as np
import pandas as pd

from solvent import Sample

__all__ = ["loans"]

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
