"""The report and the model card, on made bundles whose every number is known."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import solvent
from solvent import Bundle, Figure, Marked, Texts, report
from solvent.report import curves, metric_names, sections, wording
from solvent.report.class_table import class_table
from solvent.report.number_target import mean_and_reach
from solvent.report.scored import Cases
from solvent.report.two_classes import operating_point
from solvent.report.verdict import verdict
from solvent_finance import SOLUTION

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))
import ruler

HOSTILE = "<script>alert('x')</script> $x$ & \"quoted\""
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install -y chromium")


def _estimate(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
    return {"value": value, "low": low, "high": high}


def loans() -> tuple[dict[str, Any], pd.DataFrame]:
    """Two classes: 891 test rows, two rivals."""
    random = np.random.default_rng(0)
    bad = random.permutation(891) < 250
    strength = random.normal(size=891) + 1.35 * bad

    def probability(noise: float) -> np.ndarray:
        logit = 1.35 * (strength + noise * random.normal(size=891)) / (1 + noise) - 1.9
        return np.asarray(1 / (1 + np.exp(-logit)))

    ours, theirs = probability(0.0), probability(0.15)
    scores = pd.DataFrame(
        {
            "id": np.arange(891),
            "truth": np.where(bad, "bad", "good"),
            "probability": ours,
            "decision": np.where(ours >= 0.2375, "refer", "accept"),
            "gradient boosting: probability": theirs,
            "WOE + logistic regression: probability": probability(0.3),
        }
    )
    flagged = ours >= 0.2375
    hits, misses = int((flagged & bad).sum()), int((~flagged & bad).sum())
    false, right = int((flagged & ~bad).sum()), int((~flagged & ~bad).sum())
    epochs = np.arange(1, 42)
    bundle = {
        "format": 1,
        "contract_version": 1,
        "solution": "credit",
        "target": "solvent_finance:SOLUTION",
        "summary": "Scores loans: probability of default, scorecard points, decision, reasons.",
        "created": "2026-11-23T10:40:00+00:00",
        "command": "solvent train example.yaml --out runs/german",
        "versions": {
            "solvent-suite": "0.1.0",
            "python": "3.11.7",
            "keras": "3.15.1",
            "tensorflow": "2.21.0",
            "numpy": "2.4.6",
        },
        "machine": {"cpus": 2, "gpus": 0, "strategy": "cpu", "precision": "float32"},
        "config": {
            "solution": "credit",
            "data": {
                "rows": "credit.csv",
                "columns": {"target": "Status", "id": "Loan"},
                "split": {"by": "stratified"},
            },
            "settings": {"positive": "bad", "training": {"epochs": 200, "patience": 10}},
        },
        "settings": {"positive": "bad", "smoothness": 0.1, "training": {"epochs": 200, "patience": 10, "ema": None}},
        "facts": {
            "classes": ["bad", "good"],
            "positive": "bad",
            "operating_point": {
                "rule": "least cost: 1 a false positive, 5 a false negative",
                "value": 0.2375,
                "chosen_on": "validation rows (calibration half)",
                "rows": 446,
                "positives": 125,
                "sensitivity": 0.832,
                "specificity": 0.661,
            },
            "calibration": {"kind": "platt", "slope": 1.08, "intercept": -0.031},
            "points_to_double_odds": 20,
            "choices": [
                {
                    "what": "smoothness",
                    "tried": [
                        {"value": 0.01, "auc": 0.781},
                        {"value": 0.1, "auc": 0.794},
                        {"value": 1.0, "auc": 0.788},
                    ],
                    "won": 0.1,
                    "chosen_on": "validation rows (choice half)",
                    "metric": "auc",
                },
                {
                    "what": "calibration",
                    "tried": [{"value": "platt", "log_loss": 0.447}, {"value": "isotonic", "log_loss": 0.452}],
                    "won": "platt",
                    "chosen_on": "validation rows (choice half)",
                    "metric": "log_loss",
                },
            ],
        },
        "schema": {
            "fields": [
                _field("id", "Loan", "id", "id"),
                _field("target", "Status", "target", "category", levels=["bad", "good"]),
                _field("Income", kind="number", unit="EUR", low=6.0, high=959.0, mean=141.7, missing=0.083),
                _field("Seniority", kind="number", unit="years", low=0.0, high=48.0, mean=7.99, allowed=[0, 60]),
                _field("Home", kind="category", levels=["ignore", "other", "owner", "parents", "priv", "rent"]),
                _field("Records", kind="category", levels=["no", "yes"], meaning="earlier defaults on file"),
            ],
            "ignored": [["comment", "free text, which this solution does not read"]],
        },
        "outputs": [
            {"name": "probability", "type": "float", "meaning": "of default, calibrated"},
            {"name": "points", "type": "integer", "meaning": "scorecard points, higher is safer"},
        ],
        "batch_rows": 1024,
        "personal": [],
        "parameters": 12345,
        "data": {
            "source": "credit.csv",
            "rows": 4454,
            "sha256": "9f2c" * 16,
            "set_aside": {"train": 2, "valid": 0, "test": 1, "reasons": {"Income: 'abc' is not a number": 3}},
            "split": {
                "given": False,
                "by": "stratified",
                "seed": 0,
                "fractions": [0.6, 0.2, 0.2],
                "rows": {"train": 2671, "valid": 891, "test": 891},
            },
            "parts": {
                "train": {"rows": 2670, "target": {"bad": 0.281, "good": 0.719}, "from": None, "to": None},
                "valid": {"rows": 891, "target": {"bad": 0.2817, "good": 0.7183}, "from": None, "to": None},
                "test": {"rows": 891, "target": {"bad": 0.2806, "good": 0.7194}, "from": None, "to": None},
            },
        },
        "findings": [
            _finding(
                "equal_rows", "note", "14 rows equal another row in every column; 5 of them lie across the split."
            ),
            _finding(
                "missing_share",
                "warning",
                "Column Assets: 52 % of the training cells are missing.",
                "Say what a gap means.",
            ),
            _finding(
                "target_leak", "refusal", "Column Records alone decides the target.", "Leave it out.", allowed=True
            ),
        ],
        "goal": {"metric": "auc", "higher": True},
        "test": {
            "solution": "credit",
            "rows": 891,
            "set_aside": 1,
            "headline": "auc",
            "metrics": {
                "auc": _estimate(0.83412, 0.80287, 0.86411),
                "average_precision": _estimate(0.65107, 0.58812, 0.71263),
                "accuracy": _estimate(0.74411, 0.71493, 0.77217),
                "log_loss": _estimate(0.43381, 0.40072, 0.46891),
                "brier": _estimate(0.14012, 0.12781, 0.15233),
                "profit_per_loan": _estimate(31.2512),
                "ks": _estimate(float("nan"), None, None),
            },
            "baseline": {
                "name": "gradient boosting",
                "auc": _estimate(0.81317, 0.78013, 0.84522),
                "average_precision": _estimate(0.61893, 0.55321, 0.68241),
            },
        },
        "rivals": {
            "WOE + logistic regression": {
                "valid": 0.802,
                "metrics": {"auc": _estimate(0.80921, 0.77514, 0.84107), "accuracy": _estimate(0.731, 0.702, 0.76)},
                "difference": _estimate(0.02491, -0.00112, 0.05013),
                "seconds": 3.11,
            },
            "gradient boosting": {
                "valid": 0.811,
                "metrics": {"auc": _estimate(0.81317, 0.78013, 0.84522), "accuracy": _estimate(0.738, 0.709, 0.767)},
                "difference": _estimate(0.02095, 0.00812, 0.03417),
                "seconds": 1.52,
            },
        },
        "protocol": "95 % percentile bootstrap, 1,000 resamples over 891 rows, the model held fixed.",
        "valid": 0.8214,
        "confusion": {"classes": ["bad", "good"], "rows_are": "truth", "counts": [[hits, misses], [false, right]]},
        "slices": [
            {"column": "Home", "level": "owner", "rows": 421, "value": 0.851, "low": 0.808, "high": 0.889},
            {"column": "Home", "level": "rent", "rows": 191, "value": 0.741, "low": 0.652, "high": 0.8213},
            {"column": "Home", "level": "priv", "rows": 12, "value": None, "low": None, "high": None},
            {"column": "Home", "level": "missing", "rows": 25, "value": None, "low": None, "high": None},
            {"column": "Records", "level": "no", "rows": 736, "value": 0.829, "low": 0.79, "high": 0.862},
            {"column": "Records", "level": "yes", "rows": 155, "value": 0.772, "low": 0.691, "high": 0.846},
        ],
        "training": [
            {
                "stage": "network",
                "epochs": 41,
                "best_epoch": 31,
                "best": 0.8214,
                "seconds": 12.1,
                "stopped": "patience",
                "history": {
                    "epoch": epochs.tolist(),
                    "loss": (0.42 + 0.25 * np.exp(-epochs / 7)).tolist(),
                    "auc": (0.8214 - 0.2 * np.exp(-epochs / 6) - 0.00006 * (epochs - 31.0) ** 2).tolist(),
                    "log_loss": (0.44 + 0.22 * np.exp(-epochs / 6) + 0.00004 * (epochs - 31.0) ** 2).tolist(),
                    "learning_rate": np.linspace(1e-3, 1e-5, 41).tolist(),
                },
            }
        ],
        "seconds": {"read": 0.1, "fit": 14.2, "rivals": 6.0, "evaluate": 2.1},
        "folds": None,
        "intended_use": "To rank applications for a human decision.",
        "limits": ["Ranges were learnt from 2,670 loans.", "Not tested on applicants outside Spain."],
    }
    return bundle, scores


def _field(
    name: str, source: str | None = None, role: str = "feature", kind: str = "number", **more: Any
) -> dict[str, Any]:
    blank = dict.fromkeys(("unit", "allowed", "low", "high", "levels", "mean", "deviation", "longest"))
    return {"name": name, "source": source or name, "role": role, "kind": kind, "required": False, "meaning": "",
            "codes": [], "missing": 0.0, **blank, **more}  # fmt: skip


def _finding(name: str, severity: str, message: str, cure: str = "", allowed: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "severity": severity,
        "message": message,
        "cure": cure,
        "columns": [],
        "count": 0,
        "allowed": allowed,
    }


def dishes() -> tuple[dict[str, Any], pd.DataFrame]:
    """Five classes."""
    bundle, _ = loans()
    classes = ["bread", "pasta", "rice", "salad", "soup"]
    random = np.random.default_rng(1)
    truth = random.choice(5, 600, p=[0.3, 0.25, 0.2, 0.15, 0.1])
    probability = random.normal(size=(600, 5)) + 2.4 * np.eye(5)[truth]
    probability = np.exp(probability) / np.exp(probability).sum(axis=1, keepdims=True)
    named = probability.argmax(axis=1)
    scores = pd.DataFrame({"truth": np.array(classes)[truth], "class": np.array(classes)[named]})
    for at, level in enumerate(classes):
        scores[f"probability_{level}"] = probability[:, at]
        scores[f"nearest mean: probability_{level}"] = (probability[:, at] + 0.2) / 2
    counts = np.zeros((5, 5), int)
    np.add.at(counts, (truth, named), 1)
    bundle |= {
        "solution": "vision",
        "training": [],
        "summary": "Names the dish on a picture.",
        "goal": {"metric": "accuracy", "higher": True},
        "facts": {"classes": classes, "calibration": {"kind": "temperature", "temperature": 1.31}},
        "confusion": {"classes": classes, "rows_are": "truth", "counts": counts.tolist()},
        "slices": [],
        "findings": [],
        "protocol": "95 % percentile bootstrap, 1,000 resamples over 600 rows, the model held fixed.",
    }
    bundle["test"] = {
        "rows": 600,
        "set_aside": 0,
        "headline": "accuracy",
        "metrics": {"accuracy": _estimate(0.781, 0.748, 0.812), "f1": _estimate(0.772, 0.736, 0.804)},
        "baseline": {"name": "nearest mean", "accuracy": _estimate(0.779, 0.747, 0.811)},
    }
    bundle["rivals"] = {
        "nearest mean": {
            "valid": 0.77,
            "metrics": {"accuracy": _estimate(0.779, 0.747, 0.811)},
            "difference": _estimate(0.002, -0.012, 0.016),
            "seconds": 0.2,
        }
    }
    return bundle, scores


def courses() -> tuple[dict[str, Any], pd.DataFrame]:
    """The same dishes, measured class by class; soup is the weakest, rice was never named."""
    bundle, scores = dishes()
    levels = bundle["facts"]["classes"]
    bundle["schema"] = {"fields": [_field("label", "Dish", "target", "category", levels=levels)], "ignored": []}
    for place, level in enumerate(levels):
        f1 = (0.91, 0.82, None, 0.73, 0.14)[place]
        for metric, value in (("precision", f1 and f1 + 0.05), ("recall", f1 and f1 - 0.05), ("f1", f1)):
            found = _estimate(value, value and value - 0.111, value and value + 0.0222)
            bundle["test"]["metrics"][f"{metric} of {level}"] = found
            bundle["rivals"]["nearest mean"]["metrics"][f"{metric} of {level}"] = found
        bundle["test"]["baseline"][f"f1 of {level}"] = _estimate(0.555, 0.444, 0.666)
    return bundle, scores


def tags() -> tuple[dict[str, Any], pd.DataFrame]:
    """Three classes of which a row has none, one or several; a threshold for each, one of which was not chosen."""
    bundle, _ = courses()
    levels = ["bar", "disc", "my_ring"]
    random = np.random.default_rng(3)
    has = random.random((300, 3)) < [0.6, 0.3, 0.1]
    logits = 2.5 * has - 1.5 + random.normal(0, 1, has.shape)
    probability = 1 / (1 + np.exp(-logits))
    cuts = {"bar": 0.4567, "disc": 0.3333, "my_ring": 0.5}
    called = probability >= list(cuts.values())
    names = np.array(levels)
    scores = pd.DataFrame(
        {"truth": [names[row].tolist() for row in has], "classes": [names[row].tolist() for row in called]}
    )
    for place, level in enumerate(levels):
        scores[f"probability_{level}"] = probability[:, place]
        scores[f"nearest mean: probability_{level}"] = (probability[:, place] + 0.3) / 2
    point = {"rule": "the largest F1 of each class", "value": cuts, "chosen_on": "validation rows", "rows": 50}
    bundle["schema"]["fields"] = [_field("label", "Tags", "target", "list", levels=levels)]
    bundle["facts"] = {"classes": levels, "operating_point": point | {"not_chosen": ["my_ring"]}}
    bundle |= {"confusion": None, "goal": {"metric": "average_precision", "higher": True}}
    metrics = {
        f"{metric} of {level}": _estimate(0.9 - 0.1 * place, 0.5, 0.95)
        for place, level in enumerate(levels)
        for metric in ("precision", "recall", "f1", "average_precision")
    }
    overall = {"average_precision": _estimate(0.8, 0.75, 0.85), "accuracy": _estimate(0.7, 0.6, 0.75)}
    bundle["test"] |= {"rows": 300, "headline": "average_precision", "metrics": overall | metrics}
    bundle["test"]["baseline"] = {"name": "nearest mean", **overall, "f1 of bar": _estimate(0.31, 0.2, 0.4)}
    bundle["rivals"]["nearest mean"]["metrics"] = overall | metrics
    bundle["data"]["parts"]["test"]["target"] = {"bar": 0.6, "disc": 0.3, "my_ring": 0.1}
    return bundle, scores


def prices() -> tuple[dict[str, Any], pd.DataFrame]:
    """A number target, lower is better, our model worse than the baseline."""
    bundle, _ = loans()
    random = np.random.default_rng(2)
    truth = random.gamma(4, 50, 1500)
    scores = pd.DataFrame(
        {
            "truth": truth,
            "prediction": truth * 0.9 + 20 + random.normal(0, 30, 1500),
            "ridge: prediction": truth * 0.95 + 10 + random.normal(0, 27, 1500),
        }
    )
    scores.loc[[3, 8], "prediction"] = np.nan
    bundle |= {
        "solution": "prices",
        "training": [],
        "goal": {"metric": "rmse", "higher": False},
        "facts": {},
        "confusion": None,
        "slices": [{"column": "Town", "level": "Porto", "rows": 300, "value": 35.0, "low": 33.1, "high": 37.2}],
        "protocol": "95 % percentile bootstrap, 1,000 resamples over 1,500 rows, the model held fixed.",
    }
    bundle["data"]["parts"]["test"]["target"] = {"mean": 201.2, "deviation": 99.8, "low": 8.1, "high": 702.0}
    bundle["test"] = {
        "rows": 1500,
        "set_aside": 0,
        "headline": "rmse",
        "metrics": {"rmse": _estimate(31.4, 30.3, 32.6), "mae": _estimate(25.1, 24.2, 26.0)},
        "baseline": {"name": "ridge", "rmse": _estimate(28.1, 27.2, 29.1)},
    }
    bundle["rivals"] = {
        "ridge": {
            "valid": 28.4,
            "metrics": {"rmse": _estimate(28.1, 27.2, 29.1)},
            "difference": _estimate(3.31, 2.04, 4.57),
            "seconds": 0.02,
        }
    }
    return bundle, scores


def _weighed(bundle: dict[str, Any], scores: pd.DataFrame) -> tuple[dict[str, Any], pd.DataFrame]:
    """The same with a column of weights: 0, 1 and 2."""
    bundle["schema"]["fields"].append(_field("weight", "loans", "weight"))
    return bundle, scores.assign(weight=np.arange(len(scores)) % 3)


def _compared(
    level: str, rows: int, deserving: int, rate: Any = None, ratio: Any = None, true: Any = None, difference: Any = None
) -> dict[str, Any]:
    nothing = (None, None, None)
    rates = {"rate": rate, "ratio": ratio, "true_positive_rate": true, "difference": difference}
    found = {name: _estimate(*(numbers or nothing)) for name, numbers in rates.items()}
    return {"level": level, "reference": False, "rows": rows, "deserving": deserving, **found}


def compared() -> tuple[dict[str, Any], pd.DataFrame]:
    """Two protected columns: one with every kind of level, one with no level that can be the reference."""
    bundle, scores = loans()
    m = _compared("m", 500, 360, (0.8, 0.76, 0.83), None, (0.9, 0.87, 0.93)) | {"reference": True}
    levels = [
        _compared("f", 300, 210, (0.5, 0.44, 0.56), (0.625, 0.55, 0.71), (0.6, 0.53, 0.67), (-0.3, -0.38, -0.22)),
        m,
        _compared("d", 40, 15, (0.7, 0.55, 0.84), (0.875, 0.69, 1.06)),
        _compared("x", 31, 25, (1.0, 1.0, 1.0), (1.31, 1.27, 1.35), (1.0, 1.0, 1.0), (0.1, 0.07, 0.13)),
        _compared("missing", 19, 12),
    ]
    told = {"output": "class", "adverse": "bad"}
    few = {"column": "Faith", "reference": None, "levels": [_compared("old", 12, 9)], "left_out": 7}
    bundle["fairness"] = [
        {"column": "Sex", "reference": "m", "levels": levels, "left_out": 0, **told},
        {**few, **told},
    ]
    return bundle, scores


def untested() -> dict[str, Any]:
    bundle, _ = loans()
    bundle["test"] = bundle["confusion"] = None
    bundle["slices"] = []
    bundle["protocol"] = None
    bundle["data"]["parts"]["test"] = None
    for rival in bundle["rivals"].values():
        rival |= {"metrics": None, "difference": None}
    return bundle


def hostile() -> tuple[dict[str, Any], pd.DataFrame]:
    """Every string that a user or a domain may choose is an attack."""
    bundle, scores = compared()

    def poison(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: poison(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [poison(item, key) for item in value]
        kept = ("metric", "headline", "severity", "rows_are", "created", "stopped", "role")
        return HOSTILE + value if isinstance(value, str) and key not in kept else value

    rivals = {HOSTILE + name: poison(rival) for name, rival in bundle["rivals"].items()}
    bundle = poison(bundle) | {"rivals": rivals}
    bundle["data"]["set_aside"]["reasons"] = {HOSTILE: 3}
    scores["truth"] = HOSTILE + scores["truth"]
    return bundle, scores.rename(columns=lambda name: HOSTILE + name if ": " in name else name)


def _plot(axes: Any) -> None:
    axes.plot([1, 10, 100], [0.2, 0.4, 0.9], label=HOSTILE)
    axes.set_xscale("log")
    axes.set_title("$broken {math")
    axes.legend()


PLOT = Figure(title=f"Domain {HOSTILE}", caption="Made by the domain.", draw=_plot)


class _Page(HTMLParser):
    """What a browser would make of the page: tags, attributes, text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] or "" for _, attributes in self.tags if attribute in attributes]


@pytest.fixture(scope="module")
def credit() -> str:
    return report.html(*loans(), figures=[PLOT])


@pytest.fixture(scope="module")
def priced() -> str:
    return report.html(*prices())


@pytest.fixture(scope="module")
def attacked() -> str:
    return report.html(*hostile(), figures=[PLOT])


def test_the_headline_stands_beside_the_baseline_s_with_intervals_and_the_protocol(credit: str) -> None:
    text = _Page(credit).text
    assert "0.834 95 % interval 0.803 to 0.864" in text
    assert "0.813 95 % interval 0.780 to 0.845" in text
    assert "+0.021 95 % interval +0.008 to +0.034" in text
    assert text.count("1,000 resamples over 891 rows, the model held fixed.") >= 3


@pytest.mark.parametrize(
    ("higher", "difference", "kind", "begins"),
    [
        (True, (0.021, 0.008, 0.034), "better", "Yes, the network is worth it"),
        (True, (0.021, -0.002, 0.044), "unproven", "The network is not shown to be better than gradient boosting"),
        (True, (0.021, 0.0, 0.044), "unproven", "The network is not shown to be better"),
        (True, (-0.021, -0.034, -0.008), "worse", "No, the network is not worth it"),
        (False, (-0.021, -0.034, -0.008), "better", "Yes, the network is worth it"),
        (False, (0.021, 0.008, 0.034), "worse", "No, the network is not worth it"),
        (False, (0.001, -0.008, 0.01), "unproven", "The network is not shown to be better"),
        (True, (0.021, None, None), "unknown", "No interval can be given"),
    ],
)
def test_one_sentence_says_whether_the_network_is_worth_it(
    higher: bool, difference: tuple[float, float, float], kind: str, begins: str
) -> None:
    bundle, _ = loans()
    bundle["goal"]["higher"], bundle["training"] = higher, []
    bundle["rivals"]["gradient boosting"]["difference"] = _estimate(*difference)
    found = verdict(bundle)
    assert found.kind == kind
    assert found.sentence.startswith(begins)
    for page in (_Page(report.html(bundle)).text, report.model_card(bundle)):
        assert found.sentence in page


def test_the_sentence_names_the_direction_and_the_size() -> None:
    bundle, _ = prices()
    assert verdict(bundle).sentence == (
        "No, the network is not worth it: on unseen rows its RMSE is 3.3 higher (worse) than that of ridge, and the "
        "whole 95 % interval of the paired difference (+2.0 to +4.6) lies on the worse side of zero; use ridge."
    )


def test_a_model_without_weights_is_not_called_a_network() -> None:
    bundle, _ = loans()
    bundle["parameters"] = 0
    assert verdict(bundle).sentence.startswith("Yes, the model is worth it")


def test_no_baseline_is_said() -> None:
    bundle, _ = loans()
    bundle["rivals"], bundle["test"]["baseline"] = {}, None
    text = _Page(report.html(bundle)).text
    assert "No simpler model was run beside it" in text
    assert "0.834 95 % interval 0.803 to 0.864" in text


def test_a_bundle_without_a_test_part_says_so_and_draws_no_curve() -> None:
    page = report.html(untested())
    text = _Page(page).text
    assert "No test part: nothing here is measured on unseen rows." in text
    assert "0.821" in text
    assert 'id="curves"' not in page
    assert "0.834" not in text
    assert "No test part: nothing here is measured on unseen rows." in report.model_card(untested())


def test_the_page_loads_nothing_and_runs_nothing(attacked: str) -> None:
    page = _Page(attacked)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "img", "base", "form"}
    assert all(address.startswith("#") for name in ("href", "src", "xlink:href") for address in page.values(name))
    assert not re.search(r"url\((?!#)|@import", attacked)
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "://" not in attacked


def test_hostile_strings_are_shown_as_they_are(attacked: str) -> None:
    text = _Page(attacked).text
    assert "<script>" not in attacked
    assert f"Domain {HOSTILE}" in text
    svgs = re.findall(r"<svg.*?</svg>", attacked, re.S)
    assert any("&lt;script&gt;" in svg for svg in svgs)
    assert any("$broken {math" in svg for svg in svgs)


def test_powers_on_a_log_scale_are_readable(credit: str) -> None:
    assert "10²" in credit
    assert "mathdefault" not in credit


def test_ids_are_unique_and_every_reference_has_its_target(credit: str) -> None:
    page = _Page(credit)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    wanted = set(re.findall(r"url\(#([^)]+)\)", credit)) | {address[1:] for address in page.values("href")}
    wanted |= {name for names in page.values("aria-labelledby") for name in names.split()}
    assert wanted <= set(ids)


def test_every_figure_is_named_and_follows_the_theme(credit: str) -> None:
    page = _Page(credit)
    drawings = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(drawings) == 8  # forest, four curves, the domain's, two histories
    assert all(attributes["role"] == "img" and attributes["aria-labelledby"] for attributes in drawings)
    assert "var(--ours)" in credit
    for svg in re.findall(r"<svg.*?</svg>", credit, re.S):
        assert not re.search(r"#[0-9a-f]{6}\b", svg), "a colour of its own would not follow the theme"


def test_header_cells_have_a_scope(credit: str) -> None:
    assert all("scope" in attributes for tag, attributes in _Page(credit).tags if tag == "th")


def test_the_same_bundle_gives_the_same_bytes(credit: str) -> None:
    assert report.html(*loans(), figures=[PLOT]) == credit


def test_findings_come_most_serious_first_with_their_cure(credit: str) -> None:
    text = _Page(credit).text
    places = [text.index(word) for word in ("Target leak", "Missing share", "Equal rows")]
    assert places == sorted(places)
    assert "refusal, overridden by data.allow" in text
    assert "Cure: Say what a gap means." in text
    assert "1 refusal that was overridden and 1 warning" in text


def test_the_split_says_sizes_targets_and_what_was_set_aside(credit: str) -> None:
    text = _Page(credit).text.replace("\u00a0", " ")
    assert "2,670" in text
    assert "good 71.9 %, bad 28.1 % – – 2" in text
    assert "Income: 'abc' is not a number 3" in text


def test_training_choices_columns_and_versions_are_told(credit: str) -> None:
    text = _Page(credit).text.replace("\u00a0", " ")
    assert "The weights of epoch 31 were kept." in text
    assert "Smoothness : 0.1 won by AUC, on validation rows (choice half)." in text
    assert "6 to 959" in text
    assert "8.3 %" in text
    assert "comment free text, which this solution does not read" in text
    assert "patience: 10" in text
    assert "solvent train example.yaml --out runs/german" in text
    assert "3.15.1" in text


def test_what_is_not_a_number_is_a_dash(credit: str) -> None:
    text = _Page(credit).text
    assert not re.search(r"\b(nan|None|inf|null)\b", re.sub(r"ema: null", "", text))
    assert re.search(r"KS .{0,120} –", text)


def test_a_slice_that_is_worse_than_the_whole_is_marked(credit: str, priced: str) -> None:
    text = _Page(credit).text
    assert "rent weaker 191 0.741 0.652 to 0.821" in text
    assert text.count(" weaker ") == 1
    assert "priv 12 too few rows to measure: fewer than 20" in text
    assert "missing 25 not defined on these rows" in text
    assert "Porto weaker 300" in _Page(priced).text  # lower is better, and 33.1 lies above 31.4


def test_the_levels_of_a_protected_column_stand_beside_their_reference() -> None:
    page = report.html(compared()[0])
    text = _Page(page).text.replace("\u00a0", " ")
    assert "Sex reference: m; favourable: class other than bad" in text
    assert (
        "f under four fifths 300 0.500 0.440 to 0.560 0.625 0.550 to 0.710 0.600 0.530 to 0.670 210 rows "
        "−0.30 −0.38 to −0.22" in text
    )
    assert "m reference 500 0.800 0.760 to 0.830 1 0.900 0.870 to 0.930 360 rows 0" in text
    assert "d 40 0.700 0.550 to 0.840 0.875 0.690 to 1.060 too few rows: fewer than 20 15 rows –" in text
    assert "x reference under four fifths of it 31" in text
    assert "missing 19 too few rows to measure: fewer than 20" in text
    assert "Faith no level has enough rows to be the reference" in text
    assert "7 rarer levels are left out" in text
    assert "Equal rates are not all of fairness" in text
    assert "29 CFR 1607.4 D" in text
    protocol = "1,000 resamples over 891 rows"
    assert text.count(protocol) == _Page(report.html(loans()[0])).text.count(protocol) + 1


def test_the_line_of_four_fifths_lies_between_the_ratios_of_fairness() -> None:
    column, _ = sections.fairness(compared()[0])
    f, m, d, x, missing = (level["span"] for level in column["levels"])
    assert f.value < f.high < f.mark < d.value < m.value < x.value
    assert f.mark - f.value == pytest.approx((m.value - f.value) * (0.8 - 0.625) / (1 - 0.625), abs=0.02)
    assert (m.low, missing.value) == (None, None)
    assert [level["under"] for level in column["levels"]] == [True, False, False, False, False]
    assert [level["over"] for level in column["levels"]] == [False, False, False, True, False]


def test_the_model_card_tells_the_fairness_too() -> None:
    card = report.model_card(compared()[0])
    assert "- Sex (reference m; favourable: class other than bad)\n  - f: 300 rows, favourable 0.500" in card
    assert "ratio 0.625 (0.550 to 0.710), true-positive rate difference −0.30 (−0.38 to −0.22); under four" in card
    assert "  - d: 40 rows, favourable 0.700 (0.550 to 0.840), true-positive rate too few of 15 rows; ratio" in card
    assert "  - missing: 19 rows, too few to measure" in card
    assert "  - old: 12 rows, too few to measure" in card


@pytest.mark.parametrize("without", [{}, {"fairness": []}])
def test_a_bundle_that_compared_nothing_or_is_older_has_no_fairness(without: dict[str, Any]) -> None:
    bundle = loans()[0] | without
    assert 'id="fairness"' not in report.html(bundle)
    assert "Fairness" not in report.model_card(bundle)


def test_the_curves_follow_the_kind_of_the_target(credit: str, priced: str) -> None:
    def titles(page: str) -> set[str]:
        return set(re.findall(r"<h3>([^<]*)</h3>", page))

    assert {"ROC curve", "Precision and recall", "Calibration", "Our scores by class"} <= titles(credit)
    several = report.html(*dishes())
    assert {"Class by class", "Calibration of the named class"} <= titles(several)
    assert "ROC curve" not in titles(several)
    assert {"Observed against predicted", "Residuals along the prediction"} <= titles(priced)
    assert "1,498 test rows, 2 without a score left out" in _Page(priced).text


def test_scores_without_known_columns_draw_no_curves() -> None:
    bundle, _ = loans()
    page = report.html(bundle, pd.DataFrame({"truth": ["a", "b"], "translation": ["c", "d"]}))
    assert "<h3>ROC curve</h3>" not in page


def test_forty_classes_show_the_most_frequent_mistakes() -> None:
    bundle, _ = dishes()
    counts = np.eye(40, dtype=int) * 10
    counts[3, 7] = 5
    bundle["confusion"] = {"classes": [f"c{at}" for at in range(40)], "rows_are": "truth", "counts": counts.tolist()}
    assert re.search(r"c3 c7 5 33\.3.%", _Page(report.html(bundle)).text)


def _table(page: str, name: str) -> list[list[str]]:
    """The cells' text of the table with this label, line by line, its header first."""
    found = re.search(rf'aria-label="{name}">\s*<table.*?</table>', page, re.S)
    assert found is not None
    lines = re.findall(r"<tr.*?</tr>", found[0], re.S)
    return [
        [
            re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", cell)).strip()
            for cell in re.findall(r"<t[hd].*?</t[hd]>", line, re.S)
        ]
        for line in lines
    ]


def test_classes_have_one_table_the_weakest_first_and_stand_in_no_other() -> None:
    bundle, scores = courses()
    page = report.html(bundle, scores)
    head, *lines = _table(page, "Class by class")
    assert head == ["Class", "Test rows", "Precision", "Recall", "F1", "F1, drawn", "Baseline’s F1"]
    assert [line[0] for line in lines] == ["soup", "salad", "pasta", "bread", "rice"]
    soup = int((scores["truth"] == "soup").sum())
    share = f"{soup} {wording.share(soup, 600)}".replace("\u00a0", " ")
    assert lines[0][1].replace("\u00a0", " ") == share
    assert lines[0][2:] == ["0.190 0.079 to 0.212", "0.0900 −0.0210 to 0.1122", "0.140 0.029 to 0.162", "",
                            "0.555 0.444 to 0.666"]  # fmt: skip
    assert lines[-1][2:5] == ["–", "–", "–"]
    assert [line[0].split(" ")[0] for line in _table(page, "All metrics")[1:]] == ["Accuracy", "F1"]
    assert "<h3>Class by class</h3>\n  <svg" not in page  # the figure would say it again
    assert "<h3>Class by class</h3>\n  <svg" in report.html(*dishes())


def test_without_the_scores_no_rows_are_counted() -> None:
    assert _table(report.html(courses()[0]), "Class by class")[0][:2] == ["Class", "Precision"]


def test_a_headline_of_one_class_stays_among_all_metrics() -> None:
    bundle, _ = courses()
    bundle["goal"]["metric"] = bundle["test"]["headline"] = "recall of soup"
    bundle["test"]["baseline"]["recall of soup"] = _estimate(0.1)
    row = sections.metrics(bundle)[0]
    assert (row["label"], row["meaning"]) == ("Recall of soup", "share of the rows that are soup that we name so")
    assert [item["name"] for item in sections.metrics(bundle)] == ["recall of soup", "accuracy", "f1"]


def test_a_domain_s_own_metric_with_of_in_its_name_is_no_class() -> None:
    bundle, _ = courses()
    bundle["test"]["metrics"]["precision of the top decile"] = _estimate(0.3)
    assert "precision of the top decile" in [item["name"] for item in sections.metrics(bundle)]


def test_several_classes_a_row_have_thresholds_shares_and_figures_of_their_own() -> None:
    bundle, scores = tags()
    page = report.html(bundle, scores)
    head, *lines = _table(page, "Class by class")
    assert head == ["Class", "Test rows", "Threshold", "Precision", "Recall", "F1", "Average precision", "F1, drawn",
                    "Baseline’s F1"]  # fmt: skip
    assert [line[0] for line in lines] == ["my_ring", "disc", "bar"]
    assert [line[2] for line in lines] == ["0.500 not chosen", "0.333", "0.457"]
    assert lines[2][1].startswith(f"{sum('bar' in names for names in scores['truth'])} ")
    assert [line[-1] for line in lines] == ["–", "–", "0.310 0.200 to 0.400"]
    titles = set(re.findall(r"<h3>([^<]*)</h3>", page))
    assert {"Calibration of all classes", "Precision and recall by class"} <= titles
    assert not {"Calibration of the named class", "Our confidence, right and wrong", "ROC curve"} & titles
    text = _Page(page).text
    empty = sum(not names for names in scores["truth"])
    assert f"{empty} of the test rows have no class" in text
    assert "0.4567" not in text  # thresholds stand in the table, and nowhere else
    assert "mean over classes: area under precision and recall" in text
    assert "share of rows with exactly the right classes" in text
    assert "a row may have several classes, or none" in text


def test_weighted_rows_of_several_classes_are_drawn_by_their_weight() -> None:
    bundle, scores = _weighed(*tags())
    assert "200 test rows; rows count by their weight; 3 classes" in _Page(report.html(bundle, scores)).text


def test_the_calibration_of_all_classes_counts_each_class_of_each_row() -> None:
    bundle, scores = tags()
    page = report.html(bundle, scores)
    figure = re.search(r"<h3>Calibration of all classes</h3>.*?</figure>", page, re.S)
    assert figure is not None
    pooled = scores[[f"probability_{name}" for name in ("bar", "disc", "my_ring")]].to_numpy().ravel()
    for count in np.histogram(pooled, np.linspace(0, 1, 11))[0]:
        assert f">{count}<" in figure[0]


def test_the_model_card_shows_the_ten_weakest_classes_and_their_thresholds() -> None:
    card = report.model_card(tags()[0])
    assert "| my\\_ring | 0.500 | 0.700 (0.500 to 0.950) | 0.700 (0.500 to 0.950) |" in card
    assert not re.search(r"F1 of (bar|disc|my)", card)
    assert "0.4567" not in card
    bundle, _ = courses()
    levels = [f"c{place:02}" for place in range(12)]
    bundle["schema"]["fields"][0]["levels"] = levels
    bundle["test"]["metrics"] |= {f"f1 of {name}": _estimate(place / 12) for place, name in enumerate(levels)}
    card = report.model_card(bundle)
    assert "The 10 classes of the lowest F1; report.html has the other 2 too." in card
    assert "| c09 |" in card
    assert "| c10 |" not in card


def test_thresholds_are_shown_where_nothing_was_measured() -> None:
    bundle, _ = tags()
    bundle["test"] = None
    table = class_table(bundle)
    assert table is not None
    assert [(row.name, row.threshold) for row in table.rows] == [("bar", 0.4567), ("disc", 0.3333), ("my_ring", 0.5)]
    assert class_table(loans()[0]) is None


def test_many_classes_of_lists_are_cut_without_adding_their_shares() -> None:
    bundle, _ = tags()
    bundle["data"]["parts"]["test"]["target"] = {f"c{place}": 0.5 - place / 20 for place in range(9)}
    text = _Page(report.html(bundle)).text.replace("\u00a0", " ")
    assert "c5 25.0 %, 3 more, each at most 20.0 %" in text


@pytest.mark.parametrize(
    ("name", "label", "rises"),
    [
        ("auc", "AUC", True),
        ("ndcg@10", "NDCG@10", True),
        ("f1 of my_class", "F1 of my_class", True),
        ("average_precision of a@b of c", "Average precision of a@b of c", True),
        ("profit_of_the_year", "Profit of the year", None),
        ("share of x", "Share of x", None),
    ],
)
def test_metrics_are_called_by_their_usual_names(name: str, label: str, rises: bool | None) -> None:
    assert metric_names.metric_label(name) == label
    assert metric_names.metric_rises(name, {"metric": "rmse", "higher": False}) is rises


def test_what_a_solution_says_of_its_metrics_goes_before_what_the_suite_says() -> None:
    own = {"gini": {"text": "how unevenly", "higher": False}, "novelty": {"text": "bits", "higher": None}}
    goal = {"metric": "auc", "higher": True}
    assert metric_names.metric_meaning("gini@10", own) == "how unevenly"
    assert metric_names.metric_rises("gini@10", goal, own) is False
    assert metric_names.metric_rises("novelty", goal, own) is None
    assert metric_names.metric_meaning("gini") == "2 × AUC − 1"
    assert metric_names.metric_rises("gini", goal) is True


def test_the_best_value_of_a_stage_is_named_by_the_metric_that_chose_its_epoch() -> None:
    bundle, _ = loans()
    stage = bundle["training"][0]
    stage["history"]["auc"][30] = stage["best"]
    assert sections.stages(bundle)[0]["metric"] == "auc"
    stage["best"] = stage["history"]["log_loss"][30]
    assert sections.stages(bundle)[0]["metric"] == "log_loss"
    lines = _table(report.html(bundle), "Stages of training")
    assert lines[0][3] == "Its validation"
    assert lines[1][3].endswith("Log loss")


def test_personal_assets_are_said() -> None:
    bundle, _ = loans()
    bundle["personal"], bundle["training"] = ["histories"], []
    for text in (_Page(report.html(bundle)).text, report.model_card(bundle)):
        assert re.search(r"rows or pictures of people in:? ?histories", text)
    assert "No asset or file is declared to hold rows or pictures of people" in report.model_card(loans()[0])


def test_the_headline_in_one_line() -> None:
    assert report.headline_sentence(loans()[0]) == (
        "AUC 0.834 (95 % interval 0.803 to 0.864) on 891 test rows; "
        "baseline gradient boosting 0.813 (95 % interval 0.780 to 0.845). "
        "1 row could not be read or scored and is not among them."
    )
    assert report.headline_sentence(untested()).startswith(
        "No test part: nothing is measured on unseen rows; AUC 0.821"
    )


def test_cases_are_called_by_what_they_are() -> None:
    bundle, scores = loans()
    bundle["test"]["unit"], bundle["training"] = "patient", []
    page, card = _Page(report.html(bundle, scores)).text, report.model_card(bundle)
    for text in (report.headline_sentence(bundle), page, card):
        assert "891 test patients" in text and "891 test rows" not in text


def test_rows_that_are_in_no_number_are_said_beside_the_headline() -> None:
    bundle, _ = loans()
    bundle["test"]["set_aside"] = 8
    bundle["training"] = []
    said = "8 rows could not be read or scored and are not among them."
    page = report.html(bundle)
    card = re.search(r'<div class="verdict.*?</div>', page, re.S)
    assert card is not None
    assert f"On 891 test rows. {said}" in card[0]
    assert report.headline_sentence(bundle).endswith(said)
    assert said in report.model_card(bundle).split("## Model")[0]
    bundle["test"]["set_aside"] = 0
    for text in (report.html(bundle), report.headline_sentence(bundle), report.model_card(bundle)):
        assert "could not be read or scored" not in text


def test_without_a_confusion_table_no_operating_point_is_drawn() -> None:
    bundle, scores = loans()
    assert "The dot is the operating point." in report.html(bundle, scores)
    bundle["confusion"] = None
    page = report.html(bundle, scores)
    assert "<h3>ROC curve</h3>" in page
    assert "The dot is the operating point." not in page


def test_classes_that_were_numbers_or_truth_values_in_the_file_are_found() -> None:
    bundle, scores = loans()
    scores["truth"] = scores["truth"].map({"bad": "1", "good": "0"})
    for positive in (1, 1.0, "1.0"):
        bundle["facts"] |= {"classes": [0, 1], "positive": positive}
        bundle["confusion"]["classes"] = ["1", "0"]
        page = report.html(bundle, scores)
        assert "250 are “1”" in page
        assert "The dot is the operating point." in page


def test_weighted_counts_have_one_decimal() -> None:
    bundle, scores = _weighed(*loans())
    bundle["confusion"]["counts"] = [[180.25, 20.0], [300.0, 1400.06]]
    text = _Page(report.html(bundle, scores)).text.replace("\u00a0", " ")
    assert "bad 180.2 90.0 % 20.0 10.0 % 200.2" in text
    assert "rows count by their weight, 1,900.3 in all" in text


def test_rows_of_no_weight_are_not_there_and_others_count_by_theirs() -> None:
    bundle, scores = _weighed(*loans())
    repeated = scores.loc[scores.index.repeat(scores["weight"])].reset_index(drop=True)
    whole = Cases.of(loans()[0], repeated.drop(columns="weight"))
    kept = Cases.of(bundle, scores)
    assert (kept.weight > 0).all()
    assert len(kept.table) < len(scores)
    for curve in (curves.roc, curves.precision_recall):
        weighed, counted = (
            curve((cases.table["truth"] == "bad").to_numpy(float), cases.table["probability"].to_numpy(), cases.weight)
            for cases in (kept, whole)
        )
        np.testing.assert_allclose(weighed, counted)
    page = report.html(bundle, scores)
    assert f"{len(kept.table):,} test rows; rows count by their weight" in page
    assert "count by their weight" not in report.html(*loans())


def test_figures_of_a_number_count_rows_by_their_weight() -> None:
    values, weight = np.array([1.0, 2.0, 5.0]), np.array([2.0, 2.0, 2.0])
    mean, reach = mean_and_reach(values, weight)
    assert mean == pytest.approx(8 / 3)
    assert reach == pytest.approx(1.959964 * values.std(ddof=1) / 3**0.5)
    assert mean_and_reach(values, np.array([1.0, 1.0, 2.0]))[0] == pytest.approx(13 / 4)
    page = report.html(*_weighed(*prices()))
    assert "999 test rows, 1 without a score left out; rows count by their weight" in page  # the other has no weight


def test_weighted_class_by_class_draws_no_interval() -> None:
    bundle, scores = _weighed(*dishes())
    bundle["confusion"]["counts"] = (np.array(bundle["confusion"]["counts"]) * 1.5).tolist()
    page = report.html(bundle, scores)
    assert "Rows count by their weight, without intervals; weight of the test rows of the class in brackets" in page
    assert "900.0 in all" in page
    assert "the columns below add up our rows&#39; weights" in page


def test_the_model_card_tells_the_whole_story() -> None:
    card = report.model_card(loans()[0])
    for heading in ("Model", "Evaluation", "Data", "What the scan found", "Intended use", "Limits", "Personal data",
                    "To reproduce it"):  # fmt: skip
        assert f"\n## {heading}\n" in card
    assert "0.834 (0.803 to 0.864)" in card
    assert "+0.021 (+0.008 to +0.034)" in card
    assert "1,000 resamples over 891 rows" in card
    assert "Home = rent" in card
    assert "To rank applications for a human decision." in card
    assert "refusal, overridden" in card


def test_the_model_card_escapes_what_users_wrote() -> None:
    card = report.model_card(hostile()[0])
    prose = re.sub(r"^(`{3,}).*?^\1$", "", card, flags=re.S | re.M)
    assert "<script>" not in prose
    assert r"\$x\$" in prose
    for line in prose.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) in (4, 5, 6)  # no cell broke its table


def test_neither_function_changes_the_bundle() -> None:
    bundle = loans()[0] | {"training": []}
    before = copy.deepcopy(bundle)
    report.html(bundle)
    report.model_card(bundle)
    assert repr(bundle) == repr(before)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0.83412, "0.834"),
        (12345.678, "12,346"),
        (-0.0213, "−0.0213"),
        (0, "0.00"),
        (1.2e-7, "1.20e−07"),
    ],
)
def test_numbers_keep_three_significant_digits(value: float | None, shown: str) -> None:
    assert wording.number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.283, "28.3 %"), (1, "100 %"), (0, "0 %"), (0.0004, "0.04 %"), (None, "–")]
)
def test_shares_are_percentages(value: float | None, shown: str) -> None:
    assert wording.percent(value).replace("\u00a0", " ") == shown


def test_a_bound_that_is_not_zero_never_reads_as_zero() -> None:
    assert wording.interval(_estimate(0.5, 0.0004, 1.0), difference=True) == "+0.0004 to +1.0000"


def test_a_long_or_invisible_name_is_shortened() -> None:
    assert wording.shorten("a" * 100, 20) == "a" * 13 + "…" + "a" * 6
    assert wording.shorten("a\nb\u202ec\x00") == "a b c"


MISTAKES = Texts(
    title="Surest mistakes",
    caption="Praise that was blame, and the reverse.",
    items=(
        Marked(
            pieces=(("A ", 0.0), ("<b>great</b>", 0.93), (" film", -0.004), ("?\n", 0), (HOSTILE, -1.0)),
            caption=f"praise 0.93 · label: {HOSTILE}",
        ),
        Marked(pieces=(("هذا الفيلم ", 0.0), ("رائع", 0.8), (" جدا", 0.0))),
    ),
)


class _Words(HTMLParser):
    """The texts of a page, each as its pieces: what stands there, and the attributes of its mark if it has one."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[dict[str, Any]] = []
        self._open, self._mark = False, {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "p":
            self._open = given.get("class") == "words"
            self.texts += [{"dir": given.get("dir"), "pieces": []}] if self._open else []
        assert not self._open or tag in ("p", "mark")
        self._mark = given if tag == "mark" else {}

    def handle_endtag(self, tag: str) -> None:
        self._open, self._mark = self._open and tag != "p", {}

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[-1]["pieces"].append((data, self._mark))


@pytest.fixture(scope="module")
def told() -> str:
    bundle, _ = loans()
    return report.html(bundle | {"training": []}, figures=[MISTAKES, PLOT, replace(MISTAKES, title="Others")])


def test_texts_are_shown_as_they_are_whatever_they_hold(told: str) -> None:
    assert "<b>great" not in told and "<script>" not in told
    english, arabic, *others = _Words(told).texts
    assert "".join(words for words, _ in english["pieces"]) == f"A <b>great</b> film?\n{HOSTILE}"
    assert "".join(words for words, _ in arabic["pieces"]) == "هذا الفيلم رائع جدا"
    assert english["dir"] == arabic["dir"] == "auto"
    assert len(others) == 2
    text = _Page(told).text
    assert f"praise 0.93 · label: {HOSTILE}" in text
    assert "Praise that was blame, and the reverse. 891 test rows." in text


def test_pieces_are_marked_for_and_against_by_their_weight_and_not_by_colour_alone(told: str) -> None:
    english, arabic, *_ = _Words(told).texts
    marks = [(words, mark) for words, mark in english["pieces"] + arabic["pieces"] if mark]
    assert marks == [
        ("<b>great</b>", {"class": "for", "style": "--weight:0.93", "title": "+0.93"}),
        (" film", {"class": "against", "style": "--weight:0.004", "title": "−0.0040"}),
        (HOSTILE, {"class": "against", "style": "--weight:1.0", "title": "−1.0"}),
        ("رائع", {"class": "for", "style": "--weight:0.8", "title": "+0.80"}),
    ]
    assert _Page(told).text.count("Underlined : speaks for the answer. Dotted : speaks against it.") == 2
    plain = Texts(title="Unmarked", caption="", items=(Marked(pieces=(("word", 0.0),)),))
    page = report.html(untested(), figures=[plain])
    assert "word</p>" in page
    assert "Underlined" not in page


def test_texts_and_figures_keep_the_order_in_which_they_were_given(told: str) -> None:
    places = [told.index(f"<h3>{title}") for title in ("Surest mistakes", "Domain ", "Others")]
    assert places == sorted(places)
    assert told.count('<section id="domain"') == 1
    assert "and shows texts of single rows" in told


def test_a_long_text_is_cut_and_says_so() -> None:
    pieces = (("x" * 1000, 0.5), ("y" * 1000, -0.5), ("z" * 345, 0.0), ("!", 0.1), ("", 0.1))
    texts = Texts(title="Long", caption="", items=(Marked(pieces=pieces), Marked(pieces=(("w" * 1500, 0.0),))))
    page = report.html(untested(), figures=[texts])
    cut, whole = ("".join(words for words, _ in text["pieces"]) for text in _Words(page).texts)
    assert cut == "x" * 1000 + "y" * 500 + "…"
    assert "The first 1,500 of 2,346 characters; the rest holds 1 marked piece." in page
    assert whole == "w" * 1500


def test_texts_that_are_empty_show_nothing_and_an_empty_text_is_a_dash(credit: str) -> None:
    empty = Texts(title="Nothing to see", caption="", items=())
    assert report.html(*loans(), figures=[PLOT, empty]) == credit
    assert 'id="domain"' not in report.html(untested(), figures=[empty])
    page = report.html(untested(), figures=[replace(empty, items=(Marked(pieces=()),))])
    assert _Words(page).texts == [{"dir": "auto", "pieces": [("–", {})]}]


def test_what_no_page_can_hold_is_replaced_and_joiners_stay() -> None:
    words = "a\ud800\x00b \u200cمی\u200cخواهم 👩\u200d🔬"
    page = report.html(untested(), figures=[replace(MISTAKES, items=(Marked(pieces=((words, 0.2),)),))])
    assert words.replace("\ud800", "\ufffd").replace("\x00", "\ufffd") in page
    page.encode("utf-8")


def test_importing_the_report_loads_no_plotting() -> None:
    code = "import sys, solvent.report; print({'matplotlib', 'jinja2', 'pandas', 'keras'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(credit: str, theme: int) -> None:
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", re.findall(r":root \{(.*?)\}", credit, re.S)[theme]))
    pairs = [(text, ground) for text in ("ink", "muted", "ours", "baseline", "bad") for ground in ("panel", "ground")]
    pairs += [(tone, f"wash-{tone}") for tone in ("good", "warn", "bad")] + [("muted", "wash-plain")]
    pairs += [("ink", f"wash-{tone}") for tone in ("good", "warn", "bad", "plain")] + [("panel", "ours")]
    for text, ground in pairs:
        dark, bright = sorted((_luminance(colours[text]), _luminance(colours[ground])))
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, (text, ground)
    most = int(re.findall(r"var\(--weight\) \* (\d+)%", credit)[0]) / 100  # the strongest mark behind ink
    for tone in ("ours", "baseline"):
        mixed = (
            round(most * int(colours[tone][at : at + 2], 16) + (1 - most) * int(colours["panel"][at : at + 2], 16))
            for at in (1, 3, 5)
        )
        dark, bright = sorted((_luminance(colours["ink"]), _luminance("#" + "".join(f"{part:02x}" for part in mixed))))
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, tone


@pytest.mark.parametrize(
    ("seconds", "shown"), [(14.21, "14.2 s"), (0.02, "0.02 s"), (750, "12.5 min"), (9000, "2.5 h")]
)
def test_durations_have_a_fitting_unit(seconds: float, shown: str) -> None:
    assert wording.duration(seconds).replace("\u00a0", " ") == shown


def test_a_domain_may_draw_images_hatches_and_bands() -> None:
    def draw(axes: Any) -> None:
        axes.imshow(np.arange(12).reshape(3, 4))
        axes.fill_between([0, 1, 2], [0, 1, 0], hatch="//")
        axes.scatter([0, 1], [1, 0], c=[0.2, 0.8])
        axes.set_title("\x00\u202e漢字 ]]>")

    figures = [Figure(title="One", caption="", draw=draw), Figure(title="Two", caption="", draw=draw)]
    page = report.html(loans()[0] | {"training": []}, figures=figures)
    ids = _Page(page).values("id")
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(ids)
    assert page.count("data:image/png;base64,") == 2
    assert "漢字 ]]&gt;" in page


# What training really writes: 2 epochs of credit with weights and a bad row, 1 epoch of a line with folds.


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("credit")
    sample = SOLUTION.sample(0)
    rows = sample.rows.assign(loans=np.random.default_rng(0).choice([0.0, 1.0, 2.5], len(sample.rows)))
    rows["debt"] = rows["debt"].astype(object)
    rows.loc[:7, "debt"] = "lost"
    rows.to_csv(folder / "loans.csv", index=False)
    config = {
        "solution": "credit",
        "data": {"rows": str(folder / "loans.csv"), "columns": {**sample.columns, "weight": "loans"}},
        "settings": {**sample.settings, "training": {**sample.settings["training"], "epochs": 2}},
        "intended_use": "A test.",
    }
    return solvent.train(config, folder / "bundle")


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("ruler")
    ruler.rows(machines=60, each=4).to_csv(folder / "rows.csv", index=False)
    split = {"by": "group", "folds": 2}
    return solvent.train(
        {
            "solution": "ruler:SOLUTION",
            "data": {"rows": str(folder / "rows.csv"), "columns": {"machine": "unit"}, "split": split},
            "settings": {"training": {"epochs": 1}},
        },
        folder / "bundle",
    )


def _texts(bundle: Bundle) -> tuple[str, str]:
    page = _Page((bundle.path / "report.html").read_text(encoding="utf-8")).text
    return page.replace("\u00a0", " "), (bundle.path / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_a_real_report_says_all_that_the_bundle_holds(written: Bundle) -> None:
    facts = written.facts
    page, card = _texts(written)
    version = facts["versions"]["solvent-suite"]
    assert f"Solvent {version} " in page
    assert f"Written by Solvent {version};" in page
    assert f"solvent-suite: {version}" in card
    test = facts["test"]
    for found in (test["metrics"]["auc"], test["baseline"]["auc"]):
        shown = f"{wording.estimate(found)} 95 % interval {wording.interval(found)}"
        assert shown in page
        assert f"{wording.estimate(found)} ({wording.interval(found)})" in card
    assert f"AUC of the baseline, {test['baseline']['name']}" in page
    assert page.count(facts["protocol"]) >= 3
    assert facts["protocol"] in card
    assert facts["findings"]
    for finding in facts["findings"]:
        assert re.sub(r"\s+", " ", finding["message"]) in page
    assert test["set_aside"] > 0
    assert "could not be read or scored and" in written.headline
    for limit in facts["limits"]:
        assert limit in page
    assert {"ROC curve", "Precision and recall", "Calibration", "Our scores by class"} <= set(
        re.findall(r"<h3>([^<]*)</h3>", (written.path / "report.html").read_text(encoding="utf-8"))
    )


def test_a_real_confusion_table_is_that_of_the_decisions(written: Bundle) -> None:
    page, _ = _texts(written)
    counts = written.facts["confusion"]["counts"]
    assert [[isinstance(count, float) for count in row] for row in counts] == [[True, True], [True, True]]
    for level, row in zip(written.facts["confusion"]["classes"], counts, strict=True):
        shares = [f"{wording.tally(count)} {wording.share(count, sum(row))}" for count in row]
        assert f"{level} {' '.join(shares)} {wording.tally(float(sum(row)))}".replace("\u00a0", " ") in page


def test_the_slices_of_a_real_report_have_their_numbers(written: Bundle) -> None:
    page, _ = _texts(written)
    assert written.facts["slices"]
    for item in written.facts["slices"]:
        told = f"{item['rows']} {wording.estimate(item)} {wording.interval(item)}"
        assert re.search(rf"{item['level']}( weaker)? {re.escape(told)}", page)


def test_real_curves_agree_with_the_weighted_metrics_in_their_legends(written: Bundle) -> None:
    scores = pd.read_parquet(written.path / "test_scores.parquet")
    cases = Cases.of(written.facts, scores)
    assert 0 < len(cases.table) < len(scores)
    truth, metrics = (cases.table["truth"] == "bad").to_numpy(float), written.facts["test"]["metrics"]
    false, true = curves.roc(truth, cases.table["probability"].to_numpy(), cases.weight)
    assert np.trapezoid(true, false) == pytest.approx(metrics["auc"]["value"])
    recall, precision = curves.precision_recall(truth, cases.table["probability"].to_numpy(), cases.weight)
    assert np.diff(recall, prepend=0) @ precision == pytest.approx(metrics["average_precision"]["value"])


def test_the_operating_point_of_a_real_report_lies_on_its_curve(written: Bundle) -> None:
    cases = Cases.of(written.facts, pd.read_parquet(written.path / "test_scores.parquet"))
    truth = (cases.table["truth"] == "bad").to_numpy(float)
    false, true = curves.roc(truth, cases.table["probability"].to_numpy(), cases.weight)
    point = operating_point(written.facts, "bad")
    assert point is not None
    assert np.hypot(false - point.false_rate, true - point.recall).min() < 1e-9
    assert point.recall == pytest.approx(written.facts["test"]["metrics"]["recall"]["value"])


def test_a_report_of_folds_says_what_was_measured_and_what_was_kept(folded: Bundle) -> None:
    page, card = _texts(folded)
    protocol = folded.facts["protocol"]
    assert "2 models" in protocol
    assert protocol in page
    assert protocol in card
    assert "Each row was measured by the one of 2 models that had not seen it." in page
    assert "fitted on all rows but those that choose and calibrate." in page
    assert "fitted on all rows." not in page
    assert "All rows 240 100 %" in page
    assert "first fold" not in page
    assert "Observed against predicted" in page
    for limit in folded.facts["limits"]:
        assert limit in page


def test_a_solution_without_classes_shows_no_decisions(folded: Bundle) -> None:
    assert folded.facts["confusion"] is None
    assert "Truth in rows" not in _texts(folded)[0]


@pytest.mark.browser
@needs_chromium
def test_a_browser_shows_the_page_without_an_error(attacked: str, tmp_path: Any) -> None:
    page = tmp_path / "report.html"
    # The page itself allows no script; this copy measures the figures and writes what it sees into the document.
    probe = """<script>addEventListener('load', () => { const sizes = [...document.querySelectorAll('figure svg')].map(
        s => s.getBoundingClientRect()).filter(r => r.width > 100 && r.height > 60).length;
        document.body.dataset.figures = sizes;
        const page = document.documentElement;
        document.body.dataset.overflow = page.scrollWidth - page.clientWidth; })</script>"""
    policy = re.search(r"<meta http-equiv=[^>]*>", attacked)
    assert policy is not None
    page.write_text(attacked.replace(policy[0], "").replace("</body>", probe + "</body>"))
    seen = _browse(page, tmp_path, "--dump-dom")
    assert 'data-figures="8"' in seen
    assert 'data-overflow="0"' in seen  # nothing is wider than the window
    assert "0.834" in seen


@pytest.mark.browser
@needs_chromium
def test_a_browser_obeys_the_policy_of_the_page(credit: str, tmp_path: Any) -> None:
    page = tmp_path / "report.html"
    page.write_text(credit)
    assert "Is the network worth it?" in _browse(page, tmp_path, "--dump-dom")


def _browse(page: Any, folder: Any, *options: str) -> str:
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
               "--disable-background-networking", "--disable-component-update", "--disable-sync",
               f"--user-data-dir={folder / 'profile'}", "--window-size=1300,900", "--enable-logging=stderr", "--v=0",
               *options, page.as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout
