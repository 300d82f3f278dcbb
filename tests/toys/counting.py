"""The smallest solution there can be: it answers with the commonest class of each level of the column `colour`."""

import numpy as np
import pandas as pd

from solvent import Column, Columns, Fitted, Goal, Output, Sample, Section, Solution, Split, Sums

__all__ = ["SOLUTION", "Counting"]


class Counting(Section):
    """Settings of counting."""

    answer: str | None = None


def columns(settings):
    return Columns(
        inputs=(Column(name="colour", kind="category"),),
        targets=(Column(name="target", kind="category"),),
        outputs=(Output(name="class", type="string"), Output(name="share", type="float", each="target")),
        features=("number", "category"),
    )


def fit(settings, data):
    shares = pd.crosstab(data.train["colour"], data.train["target"], normalize="index")
    return Fitted({}, {"shares": {str(level): row.to_dict() for level, row in shares.iterrows()}})


def scorer(settings, fitted):
    return lambda table: answer(table, fitted.facts["shares"])


def answer(table, shares):
    classes = sorted({name for row in shares.values() for name in row})
    found = pd.DataFrame(
        {f"share_{name}": [shares.get(level, {}).get(name, 0.0) for level in table["colour"]] for name in classes},
        index=table.index,
        dtype="float64",
    )
    best = np.array(classes)[found.to_numpy().argmax(axis=1)] if len(found) else []
    return found.assign(**{"class": pd.Series(best, index=table.index, dtype="str")})


def commonest(settings, data):
    shares = data.train["target"].value_counts(normalize=True).to_dict()
    return lambda table: answer(table, dict.fromkeys(table["colour"].unique(), shares))


def metrics(settings, rows, scored):
    right = (rows["target"] == scored["class"]).to_numpy(np.float64)
    return {"accuracy": Sums(np.column_stack([right, np.ones(len(right))]), lambda sums: sums[..., 0] / sums[..., 1])}


def sample(seed):
    """Red things are hot in nine of ten rows, blue ones in one of ten."""
    random = np.random.default_rng([seed, 7])
    colour = random.choice(["red", "blue"], 400)
    hot = random.random(400) < np.where(colour == "red", 0.9, 0.1)
    rows = pd.DataFrame({"colour": colour, "weight": random.normal(size=400), "heat": np.where(hot, "hot", "cold")})
    return Sample(rows=rows, columns={"target": "heat"}, settings={}, floor=0.8)


SOLUTION = Solution(
    name="counting",
    summary="Counts classes by colour.",
    settings=Counting,
    columns=columns,
    split=Split(by="stratified"),
    headline=lambda settings: Goal("accuracy"),
    fit=fit,
    scorer=scorer,
    rivals={"the commonest class": commonest},
    metrics=metrics,
    sample=sample,
)
