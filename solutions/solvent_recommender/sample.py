"""Made interactions with a known answer: users with tastes, items of kinds."""

import numpy as np
import pandas as pd

from solvent import Sample

__all__ = ["tastes"]

KINDS = {
    "tea": "green leaves black leaves cup warm",
    "boat": "sail mast rope harbour wave",
    "drum": "stick beat rhythm skin band",
    "seed": "soil flower spade garden rain",
}
USERS, ITEMS, EACH = 160, 64, 16
OWN = 0.85  # of what a user has is of their kind


def tastes(seed: int) -> Sample:
    """160 users, each with a taste for one of four kinds of items; 16 of 64 items each in a year."""
    random = np.random.default_rng(seed)
    names = list(KINDS)
    kind = np.arange(ITEMS) % len(names)
    items = pd.DataFrame(
        {
            "item": [f"{names[k]}-{number:02d}" for number, k in enumerate(kind)],
            "title": [f"{names[k].title()} number {number}" for number, k in enumerate(kind)],
            "kind": [names[k] for k in kind],
            "text": [" ".join(random.choice(KINDS[names[k]].split(), 3)) for k in kind],
            "price": random.uniform(1, 50, ITEMS).round(2),
            "stock": 1 + random.integers(0, 9, ITEMS),
        }
    )
    rows = []
    for user in range(USERS):
        own = kind == user % len(names)
        chance = np.where(own, OWN / own.sum(), (1 - OWN) / (~own).sum())
        had = random.choice(ITEMS, EACH, replace=False, p=chance)
        days = random.uniform(0, 365, EACH)
        rows += [(f"U{user:03d}", items["item"][place], day) for place, day in zip(had, days, strict=True)]
    table = pd.DataFrame(rows, columns=["customer", "item", "day"])
    table["time"] = pd.Timestamp("2025-01-01") + pd.to_timedelta(table.pop("day"), unit="D").dt.floor("min")
    table = table.sort_values("time", ignore_index=True)
    return Sample(
        rows=table,
        settings={
            "parts": ["popularity", "neighbours", "ease", "content", "two_tower"],
            "items": {"title": "title", "categories": "kind", "text": "text", "numbers": ["price"]},
            "towers": {"width": 16, "history": 16},
            "training": {"epochs": 4, "batch_size": 256},
        },
        floor=0.35,
        columns={"user": "customer"},
        side={"items": items},
    )
