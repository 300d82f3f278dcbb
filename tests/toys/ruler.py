"""A toy solution with a number for a target, a goal that is lower, entities and a side table: y = 2x + 1."""

from dataclasses import replace

import numpy as np
import pandas as pd

from solvent import Column, Columns, Data, Fitted, Goal, Output, Sample, Section, Solution, Split, Training, training
from solvent.metrics import point, regression

ZERO = pd.DataFrame({"offset": [0.0]})


class Ruler(Section):
    training: Training = Training(epochs=15, batch_size=32, learning_rate=0.1, patience=5)
    deep: bool = False


def columns(settings):
    return Columns(
        inputs=(
            Column(name="machine", kind="id", role="entity"),
            Column(name="x", kind="number"),
        ),
        targets=(Column(name="y", kind="number"),),
        outputs=(Output(name="prediction", type="float"),),
    )


def headline(settings):
    return Goal("rmse", higher=False)


def fit(settings, data: Data):
    import keras

    model = keras.Sequential(
        [
            keras.Input((1,)),
            *([keras.layers.Dense(8, activation="relu")] if settings.deep else []),
            keras.layers.Dense(1, dtype="float32"),
        ]
    )
    fitted = Fitted({"model": model})

    def monitor():
        found = metrics(settings, data.valid, scorer(settings, replace(fitted, assets={"offsets": ZERO}))(data.valid))
        return {"rmse": point(found["rmse"])}

    training.fit(
        model,
        training.arrays(
            data.train[["x"]].to_numpy("float32"), data.train[["y"]].to_numpy("float32"), data.train.get("weight")
        ),
        stage="line",
        training=settings.training,
        loss="mse",
        monitor=monitor,
        goal=headline(settings),
        data=data,
    )
    offsets = data.side.get("offsets", ZERO)
    return Fitted({"model": model}, {"note": "a line"}, {"offsets": offsets}, personal=frozenset({"offsets"}))


def scorer(settings, fitted):
    offset = float(fitted.assets["offsets"]["offset"].iloc[0])

    def score(table):
        found = fitted.predict(table[["x"]].to_numpy("float32"))[:, 0] + offset
        return pd.DataFrame({"prediction": found}, index=table.index)

    return score


def mean(settings, data: Data):
    value = float(data.train["y"].mean())
    return lambda table: pd.DataFrame({"prediction": value}, index=table.index)


def metrics(settings, rows, scored):
    return regression(rows["y"], scored["prediction"], rows.get("weight"))


def rows(machines=30, each=12, seed=0):
    random = np.random.default_rng(seed)
    x = random.uniform(-1, 1, machines * each)
    machine = np.repeat([f"M{number:02d}" for number in range(machines)], each)
    return pd.DataFrame({"unit": machine, "x": x, "y": 2 * x + 1 + random.normal(0, 0.1, len(x))})


SOLUTION = Solution(
    name="ruler",
    summary="A straight line.",
    settings=Ruler,
    columns=columns,
    split=Split(by="group"),
    headline=headline,
    fit=fit,
    scorer=scorer,
    rivals={"mean": mean},
    metrics=metrics,
    sample=lambda seed: Sample(rows=rows(seed=seed), settings={}, floor=0.2, columns={"machine": "unit"}),
)
