"""A toy solution with two networks, one behind the other, whose weights are set by hand: light tiles and dark ones."""

import numpy as np
import pandas as pd

from solvent import Column, Columns, Data, Fitted, Goal, Output, Sample, Section, Solution, Split, Sums

SIZE, BATCH_ROWS = 8, 16


class Tiles(Section):
    pass


def columns(settings):
    return Columns(
        inputs=(Column(name="grey", kind="number"),),
        targets=(Column(name="label", kind="category"),),
        outputs=(Output(name="light", type="float"), Output(name="class", type="string", predicts="label")),
    )


def pixels(grey):
    """Tiles of one grey with a little noise, shape `(rows, size, size, 3)`, uint8."""
    noise = np.random.default_rng(0).integers(-9, 10, (SIZE, SIZE, 3))
    return np.clip(np.asarray(grey)[:, None, None, None] + noise, 0, 255).astype("uint8")


def networks():
    """`eye` sees how light a tile is, four times over; `head` says whether that is about a half or more."""
    import keras

    image = keras.Input((SIZE, SIZE, 3), name="image")
    kernel, grey = keras.layers.Conv2D(4, 3, padding="same", activation="relu"), keras.layers.GlobalAveragePooling2D()
    eye = keras.Model(image, grey(kernel(keras.layers.Rescaling(1 / 255)(image))), name="eye")
    kernel.set_weights([np.full((3, 3, 3, 4), 1 / 27), np.zeros(4)])
    seen = keras.Input((4,), name="seen")
    dense = keras.layers.Dense(1)
    head = keras.Model(seen, dense(seen), name="head")
    dense.set_weights([np.full((4, 1), 5.0), np.full(1, -9.0)])
    return {"eye": eye, "head": head}


def fit(settings, data: Data):
    meaning = {"eye": {"image": "pixels of 0 to 255", "output_0": "how light it is, 0 to 1, four times"}}
    return Fitted(networks(), {"meaning": meaning}, batch_rows=BATCH_ROWS)


def scorer(settings, fitted):
    def score(table):
        grey = table["grey"].to_numpy()
        parts = (pixels(grey[at : at + 10]) for at in range(0, len(grey), 10))
        logit = fitted.predict(fitted.predict(parts, model="eye"), model="head")[:, 0].astype("float64")
        return pd.DataFrame(
            {"light": 1 / (1 + np.exp(-logit)), "class": np.where(logit > 0, "light", "dark")}, index=table.index
        )

    return score


def metrics(settings, rows, scored):
    right = (rows["label"] == scored["class"]).to_numpy(np.float64)
    return {"accuracy": Sums(np.column_stack([right, np.ones(len(right))]), lambda sums: sums[..., 0] / sums[..., 1])}


def darkness(settings, data: Data):
    commonest = data.train["label"].mode()[0]
    return lambda table: pd.DataFrame({"light": 0.5, "class": commonest}, index=table.index)


def rows(count=160):
    grey = np.random.default_rng(0).permutation(np.linspace(20, 235, count).round())
    return pd.DataFrame({"grey": grey, "shade": np.where(grey > 128, "light", "dark")})


SOLUTION = Solution(
    name="tiles",
    summary="Light tiles and dark ones.",
    settings=Tiles,
    columns=columns,
    split=Split(by="stratified", fractions=(0.3, 0.5, 0.2)),
    headline=lambda settings: Goal("accuracy"),
    fit=fit,
    scorer=scorer,
    rivals={"the commonest": darkness},
    metrics=metrics,
    sample=lambda seed: Sample(rows=rows(), settings={}, floor=0.8, columns={"label": "shade"}),
)
