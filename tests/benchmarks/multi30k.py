"""Multi30k, English to German: what so many minutes of training on this machine's cores reach.

    SOLVENT_DATA=FOLDER python tests/benchmarks/multi30k.py [--minutes 15 30 60 90] [--epochs N] [--preset tiny]

29,000 captions train, 1,014 val, 1,000 test (test_2016_flickr). Each budget is a training of its own with
`solvent.train`: two epochs are timed first, then it gets as many as fit into its minutes, so that the learning rate
has fallen to 0 by their end; time for translating val after each epoch counts. One half of val chooses the epoch,
test only measures. BLEU is sacreBLEU's on detokenised, cased text, beam 5; `lowercased` is what comes nearest to the
tokenised, lowercased BLEU of papers (41.0 of a Transformer-tiny in print). Bars: 30 BLEU at 90 minutes; aims: 34 at
90, 37 at 180.
"""

import argparse
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from sacrebleu.metrics import BLEU
from written import write

import solvent
from solvent import datasets
from solvent_nlp.translation.datasets import DATASETS

SOLUTION = "solvent_nlp.translation:SOLUTION"
BARS = {90.0: (("must", 30.0), ("aim", 34.0)), 180.0: (("aim", 37.0),)}
SPARE = 0.97  # of the minutes are planned for: epochs differ


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--minutes", type=float, nargs="+", default=[15.0, 30.0, 60.0, 90.0])
    arguments.add_argument("--epochs", type=int, help="planned for each budget, in place of timing two first")
    arguments.add_argument("--preset", default="tiny")
    arguments.add_argument("--dropout", type=float, default=0.3)
    arguments.add_argument("--vocabulary", type=int, default=8000)
    arguments.add_argument("--batch", type=int, default=4096, help="subwords in a step, with padding")
    arguments.add_argument("--rate", type=float, default=3e-3)
    arguments.add_argument("--precision", default="mixed_bfloat16")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--keep", type=Path, help="a folder for the bundles, which are else thrown away")
    arguments.add_argument("--out", type=Path, default=Path("tests/benchmarks/results/multi30k.json"))
    given = arguments.parse_args()
    curve: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        rows = datasets.load(next(item for item in DATASETS if item.name == "multi30k"))
        for part, table in rows.groupby("part"):
            table.drop(columns="part").to_parquet(Path(temporary, f"{part}.parquet"), index=False)
        each = None
        if given.epochs is None:
            probe = trained(given, Path(temporary), folder / "probe", epochs=2, minutes=None)
            each = probe.facts["training"][0]["seconds"] / 2
            print(f"{probe.facts['parameters']:,} parameters, {each:.1f} s an epoch", flush=True)
        print(
            f"{'minutes':>8s} {'epochs':>7s} {'best':>5s} {'BLEU':>6s} {'95 %':>13s} {'lowercased':>10s} {'chrF':>6s}"
        )
        for minutes in given.minutes:
            epochs = given.epochs or max(1, int(SPARE * 60 * minutes / each))
            bundle = trained(given, Path(temporary), folder / f"{minutes:g}", epochs=epochs, minutes=minutes)
            curve.append(told(bundle, rows[rows["part"] == "test"], minutes))
    for row in curve:
        for kind, least in BARS.get(row["minutes"], ()):
            met = "met" if row["bleu"]["value"] >= least else "MISSED"
            print(f"{row['minutes']:g} minutes: {row['bleu']['value']:.2f} BLEU, {kind} {least:g}: {met}")
    print(curve[0]["signature"])
    protocol = {key: value for key, value in vars(given).items() if key not in ("out", "keep")}
    versions = {name: version(name) for name in ("keras", "tensorflow", "sacrebleu")}
    write(given.out, protocol, versions, seconds_an_epoch=each, curve=curve)


def trained(given: argparse.Namespace, parts: Path, out: Path, *, epochs: int, minutes: float | None) -> solvent.Bundle:
    return solvent.train(
        {
            "solution": SOLUTION,
            "data": {
                # Each part as it is published: a split by column would move what stands in two of them.
                **{part: str(parts / f"{part}.parquet") for part in ("train", "valid", "test")},
                "columns": {"source": "english", "target": "german", "id": "id"},
            },
            "device": {"seed": given.seed, "precision": given.precision},
            "settings": {
                "preset": given.preset,
                "network": {"vocabulary": given.vocabulary, "dropout": given.dropout},
                "scoring": {"beam": 5},
                "training": {
                    "epochs": epochs,
                    "max_minutes": minutes,
                    "batch_size": given.batch,
                    "learning_rate": given.rate,
                    "patience": None,
                },
            },
        },
        out,
    )


def told(bundle: solvent.Bundle, test: pd.DataFrame, minutes: float) -> dict[str, Any]:
    """A line for a budget, and what is written of it."""
    scores = pd.read_parquet(bundle.path / "test_scores.parquet").set_index("id").loc[test["id"]]
    said, wanted = scores["translation"].tolist(), test["german"].tolist()
    cased, lowercased = BLEU(), BLEU(lowercase=True)
    plain, low = cased.corpus_score(said, [wanted]).score, lowercased.corpus_score(said, [wanted]).score
    metrics, stage = bundle.facts["test"]["metrics"], bundle.facts["training"][0]
    if abs(plain - metrics["bleu"]["value"]) > 1e-6:
        raise AssertionError(f"sacreBLEU says {plain}, the report {metrics['bleu']['value']}")
    bleu = metrics["bleu"]
    print(
        f"{minutes:8g} {stage['epochs']:7d} {stage['best_epoch']:5d} {plain:6.2f} "
        f"{bleu['low']:6.2f}-{bleu['high']:6.2f} {low:10.2f} {metrics['chrf']['value']:6.2f}",
        flush=True,
    )
    return {
        "minutes": minutes,
        "trained_minutes": stage["seconds"] / 60,
        "epochs": stage["epochs"],
        "best_epoch": stage["best_epoch"],
        "valid_chrf": stage["best"],
        **{name: metrics[name] for name in ("bleu", "chrf", "ter")},
        "lowercased": low,
        "signature": str(cased.get_signature()),
        "signature_lowercased": str(lowercased.get_signature()),
        "rivals": {name: each["metrics"]["bleu"]["value"] for name, each in bundle.facts["rivals"].items()},
    }


if __name__ == "__main__":
    main()
