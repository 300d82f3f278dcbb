"""Accuracy of VGG16 on photos of steel by 5-fold cross-validation: the head alone, with the last block, and the rival.

    SOLVENT_DATA=FOLDER python tests/benchmarks/vision_folds.py --weights vgg16_..._notop.h5 [--folds 5] [--out FILE]

NEU surface defects, 1,800 photos in 6 classes at 224 pixels; folds keep the shares of classes and the two identical
photos together. In each fold the runner cuts a fifth of the rest as validation rows, which choose everything; default
settings. The bar: a mean accuracy of 0.995.
"""

import argparse
import os
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold
from written import write

import solvent
from solvent import images

BAR = 0.995
RIVAL = "features + logistic regression"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--weights", required=True)
    arguments.add_argument("--folds", type=int, default=5)
    arguments.add_argument("--blocks", type=int, default=1, help="blocks of the backbone that are trained too")
    arguments.add_argument("--precision", default="auto", help="of the training: device.precision")
    arguments.add_argument("--out", type=Path, default=Path("tests/benchmarks/results/vision_folds.json"))
    given = arguments.parse_args()
    top = Path(os.environ["SOLVENT_DATA"], "vision", "neu-steel-surface").resolve()
    photos = sorted(top.glob("*/*.jpg"))
    rows = pd.DataFrame({"image": [str(photo) for photo in photos], "label": [photo.parent.name for photo in photos]})
    copies = [images.content_hash(cell) for cell in rows["image"]]
    folds = StratifiedGroupKFold(given.folds, shuffle=True, random_state=0).split(rows, rows["label"], copies)
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        for number, (learnt, held) in enumerate(folds, start=1):
            data = {}
            for part, places in (("train", learnt), ("test", held)):
                rows.iloc[places].to_csv(Path(name, f"{part}-{number}.csv"), index=False)
                data[part] = str(Path(name, f"{part}-{number}.csv"))
            row: dict[str, Any] = {"fold": number, "photos": len(held)}
            for blocks in (0, given.blocks):
                settings = {"weights": str(Path(given.weights).resolve()), "fine_tune": {"blocks": blocks}}
                device = {"precision": given.precision}
                config = {"solution": "vision", "data": data, "device": device, "settings": settings}
                bundle = solvent.train(config, Path(name, f"bundle-{number}-{blocks}"))
                key = "head" if blocks == 0 else "fine-tuned"
                row[key] = bundle.facts["test"]["metrics"]["accuracy"]["value"]
                row[f"{key} log loss"] = bundle.facts["test"]["metrics"]["log_loss"]["value"]
                row[f"{key} choices"] = bundle.facts["facts"]["choices"]
                row["rival"] = bundle.facts["rivals"][RIVAL]["metrics"]["accuracy"]["value"]
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
        {"photos": len(rows), "size": 224, "folds": given.folds, "precision": given.precision, "what": __doc__},
        {name: version(name) for name in ("keras", "tensorflow", "numpy", "pillow", "scikit-learn")},
        folds=found,
        means=means,
        met=met,
    )


if __name__ == "__main__":
    main()
