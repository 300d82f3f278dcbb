"""Accuracy of VGG16 on photos of steel by 5-fold cross-validation: the head alone, with the last block, and the rival.

    SOLVENT_DATA=FOLDER python tests/benchmarks/vision_folds.py --weights vgg16_..._notop.h5 [--folds 5] [--out FILE]

NEU surface defects, 1,800 photos in 6 classes at 224 pixels; folds keep the shares of classes and the two identical
photos together. In each fold a fifth of the rest are validation rows, which choose everything; default settings. The
solution's own `fit`, `scorer` and rival answer the held-out photos; the network does so in bfloat16 with --fast. The
bar: a mean accuracy of 0.995 of the head.
"""

import argparse
import os
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold
from written import write

from solvent import Data, devices, images, split, startup
from solvent.schema import Schema

BAR = 0.995


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--weights", required=True)
    arguments.add_argument("--folds", type=int, default=5)
    arguments.add_argument("--blocks", type=int, default=1, help="blocks of the backbone that are trained too")
    arguments.add_argument("--fast", action="store_true", help="train blocks and answer in bfloat16")
    arguments.add_argument("--out", type=Path, default=Path("tests/benchmarks/results/vision_folds.json"))
    given = arguments.parse_args()
    startup.tensorflow()
    from solvent.runtime import tensorflow as forms
    from solvent_vision import model, rivals
    from solvent_vision.settings import Vision, columns

    top = Path(os.environ["SOLVENT_DATA"], "vision", "neu-steel-surface").resolve()
    photos = sorted(top.glob("*/*.jpg"))
    rows = pd.DataFrame({"image": [str(photo) for photo in photos], "label": [photo.parent.name for photo in photos]})
    copies = [images.content_hash(cell) for cell in rows["image"]]
    folds = StratifiedGroupKFold(given.folds, shuffle=True, random_state=0).split(rows, rows["label"], copies)
    declared = Schema.declare(columns(Vision()), {}, list(rows), table="NEU")
    device = devices.Device(precision="mixed_bfloat16" if given.fast else "auto")
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        for number, (rest, held) in enumerate(folds, start=1):
            inner = split.cut(rows.iloc[rest], split.Split(by="stratified", fractions=(0.8, 0.2, 0.0)), declared)
            train, valid, test = rows.iloc[rest[inner.train]], rows.iloc[rest[inner.valid]], rows.iloc[held]
            row: dict[str, Any] = {"fold": number, "photos": len(held)}
            for key, blocks in (("head", 0), ("fine-tuned", given.blocks)):
                settings = Vision(weights=str(Path(given.weights).resolve()), fine_tune={"blocks": blocks})
                data = Data(train, valid, declared.learn(train), {}, 0, Path(name, f"{number}-{blocks}"))
                with devices.scope(device):
                    fitted = model.fit(settings, data)
                    if given.fast:
                        fitted = replace(fitted, forms={"model": forms.bfloat16(fitted.models["model"])})
                    scored = model.scorer(settings, fitted)(test)
                    row[key] = float((scored["class"] == test["label"]).mean())
                    row[f"{key} choices"] = fitted.facts["choices"]
                    if blocks == 0:
                        answers = rivals.logistic(settings, data)(test)
                        row["rival"] = float((answers["class"] == test["label"]).mean())
            print({key: value for key, value in row.items() if "choices" not in key}, flush=True)
            found.append(row)
    means = {key: float(np.mean([row[key] for row in found])) for key in ("head", "fine-tuned", "rival")}
    for key, value in means.items():
        each = " ".join(f"{row[key]:.4f}" for row in found)
        print(f"{key:12s} mean {value:.4f}   folds {each}")
    added = [row["fine-tuned"] - row["head"] for row in found]
    print(f"fine-tuning adds {np.mean(added):+.4f} on average, {min(added):+.4f} to {max(added):+.4f} by fold")
    met = means["head"] >= BAR
    print(f"mean accuracy of the head {means['head']:.4f} >= {BAR}: {'met' if met else 'MISSED'}")
    write(
        given.out,
        {"photos": len(rows), "size": 224, "folds": given.folds, "fast": given.fast, "what": __doc__},
        {name: version(name) for name in ("keras", "tensorflow", "numpy", "pillow", "scikit-learn")},
        folds=found,
        means=means,
        met=met,
    )


if __name__ == "__main__":
    main()
