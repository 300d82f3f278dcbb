"""The classic way to use VGG16 and ours, on photos of steel, in one run: seconds, accuracy, their paired difference.

    SOLVENT_DATA=FOLDER python tests/benchmarks/vision_recipe.py --weights vgg16_..._notop.h5 [--epochs 10]

The classic recipe: `flow_from_directory`, rescaled by 1/255, batches of 32; VGG16 without its top and frozen, Flatten,
Dense 256 relu, Dense sigmoid, binary cross-entropy, Adam 1e-4; the held-out photos are its validation data, as usual.
Ours: `solvent train` with its default settings on the same photos, each from an empty cache (stage 1: the head on
frozen features; stage 2: that, and then the last block trained too, with --precision for what is trained).

Photos: NEU surface defects, 224 pixels, 80/20 by class without the two photos that are identical. Each way is a process
of its own, timed from its start until it has answered all held-out photos and ended; ours also cuts its validation rows
from the 80 %, fits the rival and writes the report in that time. Accuracies on the held-out photos; the difference's
interval is a paired bootstrap of 1,000 resamples.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from written import write

from solvent.metrics import Resampling, compare, mean

FASTER, LEAST_DIFFERENCE = 10.0, -0.01
IDENTICAL = ("patches_101.jpg", "patches_105.jpg")

CLASSIC = """
import sys, json
import keras, numpy as np
from keras.src.legacy.preprocessing.image import ImageDataGenerator
folder, weights, epochs, out = sys.argv[1:5]
keras.utils.set_random_seed(0)
flow = lambda part, shuffle: ImageDataGenerator(rescale=1 / 255).flow_from_directory(
    f"{folder}/{part}", target_size=(224, 224), batch_size=32, class_mode="categorical", shuffle=shuffle)
train, held = flow("train", True), flow("test", False)
base = keras.applications.VGG16(weights=weights, include_top=False, input_shape=(224, 224, 3))
base.trainable = False
model = keras.Sequential([base, keras.layers.Flatten(), keras.layers.Dense(256, activation="relu"),
                          keras.layers.Dense(len(train.class_indices), activation="sigmoid")])
model.compile(keras.optimizers.Adam(1e-4), "binary_crossentropy", metrics=["accuracy"])
model.fit(train, epochs=int(epochs), validation_data=held, verbose=2)
names = sorted(train.class_indices, key=train.class_indices.get)
answers = model.predict(held, verbose=0).argmax(axis=1)
json.dump({name: names[answer] for name, answer in zip(held.filenames, answers.tolist())}, open(out, "w"))
"""

OURS = """
import sys, json, pandas as pd
import solvent
config, bundle, out = sys.argv[1:4]
trained = solvent.train(json.load(open(config)), bundle)
scores = pd.read_parquet(f"{bundle}/test_scores.parquet")
json.dump({"seconds": trained.facts["seconds"], "truth": scores["truth"].tolist(), "class": scores["class"].tolist(),
           "ids": scores["id"].tolist(), "choices": trained.facts["facts"]["choices"]}, open(out, "w"))
"""


def parts(to: Path) -> None:
    """Links to the photos, in `train/CLASS` and `test/CLASS`."""
    top = Path(os.environ["SOLVENT_DATA"], "vision", "neu-steel-surface")
    random = np.random.default_rng(0)
    for folder in sorted(item for item in top.iterdir() if item.is_dir()):
        photos = [photo for photo in sorted(folder.glob("*.jpg")) if photo.name not in IDENTICAL]
        held = set(random.permutation(len(photos))[: round(len(photos) / 5)].tolist())
        for place, photo in enumerate(photos):
            link = to / ("test" if place in held else "train") / folder.name / photo.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(photo.resolve())


def timed(program: str, *arguments: str, cache: Path) -> float:
    """Seconds of a process from its start to its end."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "SOLVENT_CACHE": str(cache)}
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, env=environment)
    return time.monotonic() - begun


def ours(folder: Path, weights: str, blocks: int, precision: str) -> tuple[float, dict[str, Any]]:
    """Train with the default settings, and `blocks` of the backbone."""
    tables = {}
    for part in ("train", "test"):
        photos = sorted((folder / part).glob("*/*.jpg"))
        rows = pd.DataFrame(
            {
                "image": [str(photo) for photo in photos],
                "label": [photo.parent.name for photo in photos],
                "id": [f"{photo.parent.name}/{photo.name}" for photo in photos],
            }
        )
        rows.to_csv(folder / f"{part}.csv", index=False)
        tables[part] = str(folder / f"{part}.csv")
    config = {
        "solution": "vision",
        "data": {**tables, "columns": {"id": "id"}},
        "device": {"precision": precision if blocks else "auto"},
        "settings": {"weights": weights, "fine_tune": {"blocks": blocks}},
    }
    (folder / "config.json").write_text(json.dumps(config))
    out, cache = folder / f"ours-{blocks}.json", folder / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    seconds = timed(OURS, str(folder / "config.json"), str(folder / f"bundle-{blocks}"), str(out), cache=cache)
    return seconds, json.loads(out.read_text())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--weights", required=True)
    arguments.add_argument("--epochs", type=int, default=10)
    arguments.add_argument("--precision", default="auto", help="device.precision of stage 2")
    arguments.add_argument("--out", type=Path, default=Path("tests/benchmarks/results/vision_recipe.json"))
    given = arguments.parse_args()
    weights = str(Path(given.weights).resolve())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts(folder)
        found = {blocks: ours(folder, weights, blocks, given.precision) for blocks in (0, 1)}
        classic_out = folder / "classic.json"
        classic = timed(CLASSIC, name, weights, str(given.epochs), str(classic_out), cache=folder / "none")
        theirs = json.loads(classic_out.read_text())
    rows: list[dict[str, Any]] = []
    truth = {place: place.split("/")[0] for place in theirs}
    right = {place: theirs[place] == truth[place] for place in theirs}
    rows.append({"what": "classic recipe", "seconds": classic, "accuracy": float(np.mean(list(right.values())))})
    for blocks, (seconds, answered) in found.items():
        own = {place: given == truth[place] for place, given in zip(answered["ids"], answered["class"], strict=True)}
        assert sorted(own) == sorted(right), "both ways must answer the same photos"
        order = sorted(right)
        both = [mean(np.array([each[place] for place in order], float)) for each in (own, right)]
        difference = compare(*both, Resampling(len(order)))
        rows.append(
            {
                "what": f"ours, stage {blocks + 1}",
                "seconds": seconds,
                "accuracy": float(np.mean(list(own.values()))),
                "faster": classic / seconds,
                "difference": difference.value,
                "low": difference.low,
                "high": difference.high,
                "steps": answered["seconds"],
                "choices": answered["choices"],
            }
        )
    print(f"{'':22s}{'seconds':>9s}{'accuracy':>10s}{'faster':>9s}   ours - classic, paired 95 %")
    for row in rows:
        line = f"{row['what']:22s}{row['seconds']:9.1f}{row['accuracy']:10.4f}"
        if "faster" in row:
            line += f"{row['faster']:8.1f}x   {row['difference']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f})"
        print(line)
    met = rows[1]["faster"] >= FASTER and rows[1]["low"] > LEAST_DIFFERENCE
    print(f"stage 1: {FASTER:g}x and a lower end above {LEAST_DIFFERENCE:+.2f}: {'met' if met else 'MISSED'}")
    write(
        given.out,
        {"photos": len(right), "size": 224, "epochs": given.epochs, "precision": given.precision, "what": __doc__},
        {name: version(name) for name in ("keras", "tensorflow", "numpy", "pillow")},
        rows=rows,
        met=met,
    )


if __name__ == "__main__":
    main()
