"""Parts that nobody has seen a defect of: image AUC on drawn parts, and on steel with one kind held back as unknown.

    python tests/benchmarks/inspection.py
    SOLVENT_DATA=FOLDER python tests/benchmarks/inspection.py --weights vgg16_..._notop.h5 [--kinds 6] [--steel-only]

No training and no validation row is bad: what is learnt and where the threshold lies goes by good parts alone. All
settings are the data sets' own, but for the path of the weights. How long a network without weights is trained was
chosen by the AUC on the data set `drawn_parts` (seed 20) and on trial draws before it; so what is measured here is
another draw, of other lots, that was never looked at while anything was chosen: 1,200 photos of 64 pixels in 150 lots,
whole lots in one part. NEU surface defects: each kind in turn is in the test part only, the five others (60 % learnt
from, 20 % for the threshold, 20 % tested) count as usual; VGG16 with ImageNet weights at 128 pixels. Beside it the
rival on the same rows: Mahalanobis's distance to the mean feature.
Intervals: 95 %, bootstrap over test photos (over lots on drawn parts); paired for the difference. The bar: an AUC of
0.95 on drawn parts.
"""

import argparse
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from written import write

import solvent
from solvent import datasets
from solvent_inspection import sample
from solvent_inspection.datasets import DATASETS
from solvent_inspection.steel import with_unknown

BAR = 0.95
SEED, LOTS = 20261130, 150  # of a draw that chose nothing: once something was changed by its figures, draw another
KNOWN = {item.name: item for item in DATASETS}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--weights", help="of VGG16; without them, drawn parts only")
    arguments.add_argument("--kinds", type=int, default=6, help="how many kinds of steel are held back in turn")
    arguments.add_argument("--method", default="memory")
    arguments.add_argument("--out", type=Path, default=Path("tests/benchmarks/results/inspection.json"))
    arguments.add_argument("--steel-only", action="store_true", help="leave the drawn parts out")
    given = arguments.parse_args()
    found, met = [], None
    if not given.steel_only:
        found.append(measured("drawn parts", drawn(), KNOWN["drawn_parts"].config, {"method": given.method}))
        met = found[0]["auc"]["value"] >= BAR
        print(f"AUC on drawn parts {found[0]['auc']['value']:.4f} >= {BAR}: {'met' if met else 'MISSED'}", flush=True)
    if given.weights:
        photos = datasets.load(KNOWN["neu_scratches_unknown"])
        kinds = sorted(photos["label"].unique())
        for kind in sorted(kinds, key=lambda name: name != "scratches")[: given.kinds]:
            usual = [name for name in kinds if name != kind]
            settings = {"method": given.method, "weights": str(Path(given.weights).resolve()), "good": usual}
            rows = with_unknown(photos, kind).rename(columns={"part": "cut"})
            found.append(measured(f"steel, {kind} unknown", rows, KNOWN["neu_scratches_unknown"].config, settings))
    write(
        given.out,
        {"method": given.method, "what": __doc__},
        {name: version(name) for name in ("keras", "tensorflow", "numpy", "pillow")},
        found=found,
        met=met,
    )


def drawn() -> pd.DataFrame:
    """Drawn parts with a column `cut`: of every five lots three are learnt from, one sets the threshold, one is tested;
    from all but the last the bad parts are taken out."""
    rows, _ = sample.drawn(1200, 64, SEED, lots=LOTS)
    lot = rows["lot"].str[1:].astype(int) % 5
    rows["cut"] = np.select([lot < 3, lot == 3], ["train", "valid"], "test")
    return rows[(rows["state"] == "good") | (rows["cut"] == "test")]


def measured(name: str, rows: pd.DataFrame, config: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Train, test, print a line."""
    with tempfile.TemporaryDirectory() as folder:
        rows.to_parquet(Path(folder, "rows.parquet"))
        split = {"by": "column", "column": "cut"}
        data = {"rows": str(Path(folder, "rows.parquet")), "columns": config["columns"], "split": split}
        bundle = solvent.train(
            {"solution": "solvent_inspection:SOLUTION", "data": data, "settings": {**config["settings"], **settings}},
            Path(folder, "bundle"),
        )
    rival, theirs = next(iter(bundle.facts["rivals"].items()))
    metrics = bundle.facts["test"]["metrics"]
    found = {
        "name": name,
        "rows": {part: int((rows["cut"] == part).sum()) for part in ("train", "valid", "test")},
        **{key: metrics[key] for key in ("auc", "average_precision", "sensitivity", "false_alarm_rate")},
        "rival": rival,
        "rival auc": theirs["metrics"]["auc"],
        "difference": theirs["difference"],
        "seconds": bundle.facts["seconds"],
    }
    print(
        f"{name:32s} AUC {told(found['auc'])}; rival {told(found['rival auc'])}; paired {told(found['difference'])}; "
        f"stopped: {told(found['sensitivity'])} of the bad, {told(found['false_alarm_rate'])} of the good; "
        f"fitted in {found['seconds']['fit']:.0f} s, {found['rows']}",
        flush=True,
    )
    return found


def told(estimate: dict[str, Any]) -> str:
    if estimate["low"] is None:
        return f"{estimate['value']:.3f}"
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"


if __name__ == "__main__":
    main()
