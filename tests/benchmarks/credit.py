"""How well credit orders loans that it has not seen: ours, its rivals and four references on two public data sets.

    make bench NAME=credit
    python tests/benchmarks/credit.py [--sets german,taiwan] [--models ours,woe,lightgbm,ebm] [--folds N]
                                      [--cache FOLDER] [--out credit.json]

Every model gets the same training and test rows, all published attributes, and chooses everything inside the training
rows. Ours is the product with its default settings: `fit` on the training rows, a stratified fifth of them as its
validation rows, then the scores of the test rows. The references need packages that only this benchmark uses:

    pip install lightgbm interpret-core catboost

- German credit, 1,000 loans: RepeatedStratifiedKFold(10, 2, random_state=0). The interval of a mean difference is the
  corrected resampled one: t with J - 1 degrees of freedom, variance (1/J + test rows / training rows) s² over J splits.
  Source: Nadeau and Bengio, Inference for the Generalization Error, Machine Learning 52, 2003.
- Taiwan default, 30,000 clients: a stratified 25 % test, train_test_split with seeds 0, 1, 2. The interval of a
  difference is the paired bootstrap's over the test rows of each seed.

Every model of a set runs in a process of its own, on two threads, one after the other: OR-Tools and TensorFlow crash in
one process. Each split's answer is kept in the cache under the hash of what made it, so a run that was killed goes on
where it was, and a model whose code has changed is fitted again. Seconds are of fitting and scoring one split, the
median, in the run that filled the cache. Exits with 3 where a bar is missed, 1 where a model failed; an aim may be
missed.
"""

import argparse
import hashlib
import importlib.util
import inspect
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold, StratifiedKFold, train_test_split
from written import write

from solvent import Data, Refitted, SolventError, Split, datasets, files, find, metrics
from solvent.prepare import fingerprint
from solvent.schema import Schema
from solvent.split import cut

RESULTS = Path(__file__).parent / "results"
THREADS = 2
OURS, WOE, LIGHTGBM, EBM = "ours", "woe", "lightgbm", "ebm"


# The sets


def ten_folds_twice(truth: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    return RepeatedStratifiedKFold(n_splits=10, n_repeats=2, random_state=0).split(truth, truth)


def three_quarters(truth: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for seed in range(3):
        yield tuple(train_test_split(np.arange(len(truth)), test_size=0.25, stratify=truth, random_state=seed))


@dataclass(frozen=True)
class Set:
    """A public data set and how it is split.

    Args:
        dataset: its name among the solution's data sets.
        left_out: columns that are no published attribute, or name the row.
        folds: whether the splits are folds of the same rows, whose mean is compared; else each split is compared.
    """

    dataset: str
    target: str
    positive: str
    left_out: tuple[str, ...]
    splits: Callable[[np.ndarray], Iterator[tuple[np.ndarray, np.ndarray]]]
    folds: bool
    protocol: str


SETS = {
    "german": Set(
        dataset="german_credit",
        target="status",
        positive="bad",
        left_out=("sex",),  # read off personal_status by the reader
        splits=ten_folds_twice,
        folds=True,
        protocol="RepeatedStratifiedKFold(10, 2, random_state=0); 20 attributes; corrected resampled 95 % t interval",
    ),
    "taiwan": Set(
        dataset="taiwan_default",
        target="default",
        positive="1",
        left_out=("ID",),
        splits=three_quarters,
        folds=False,
        protocol="stratified 25 % test, seeds 0, 1, 2; 23 attributes; 95 % paired bootstrap of each seed's test rows",
    ),
}


@dataclass(frozen=True)
class Case:
    """One split of a set: the rows under their readers' names, and the positions of training and test rows."""

    of: Set
    rows: pd.DataFrame
    train: np.ndarray
    test: np.ndarray

    @property
    def truth(self) -> np.ndarray:
        return (self.rows[self.of.target].astype("str") == self.of.positive).to_numpy(np.int64)

    @property
    def features(self) -> pd.DataFrame:
        """What the references learn from: words are objects, which all of them know."""
        found = self.rows.drop(columns=self.of.target)
        return found.astype(dict.fromkeys(self.words, object))

    @property
    def words(self) -> list[str]:
        columns = self.rows.drop(columns=self.of.target)
        return [str(name) for name in columns if not pd.api.types.is_numeric_dtype(columns[name])]


def cases(of: Set, most: int | None) -> list[Case]:
    """The first so many splits of a set."""
    dataset = next(item for item in find("credit").datasets if item.name == of.dataset)
    try:
        rows = datasets.load(dataset).drop(columns=list(of.left_out))
    except SolventError as error:
        raise SystemExit(str(error)) from error
    truth = Case(of, rows, np.empty(0), np.empty(0)).truth
    return [Case(of, rows, train, test) for train, test in of.splits(truth)][:most]


# The models: a case -> the probability of default of its test rows, and what is worth telling of the fit

Answer = tuple[np.ndarray, dict[str, Any]]


def as_the_product_sees_it(case: Case, work: str) -> tuple[Any, Any, Data, pd.DataFrame]:
    """The solution, its default settings, what `fit` gets, and the test rows, checked as everywhere in Solvent."""
    solution = find("credit")
    settings = solution.settings(positive=case.of.positive)
    names = [str(name) for name in case.rows]
    declared = Schema.declare(solution.columns(settings), {"target": case.of.target}, names, table=case.of.dataset)
    rows = declared.rename(case.rows, table_name=case.of.dataset, targets=True)
    learnt = rows.iloc[case.train]
    parts = cut(learnt, Split(by="stratified", fractions=(0.8, 0.2, 0.0)), declared)
    schema = declared.learn(learnt.iloc[parts.train])
    good = schema.check(rows, targets=True).good
    if len(good) != len(rows):
        raise SystemExit(f"{case.of.dataset}: {len(rows) - len(good)} rows would be set aside; expected none.")
    learnt = good.iloc[case.train]
    data = Data(learnt.iloc[parts.train], learnt.iloc[parts.valid], schema, {}, 0, Path(work))
    return solution, settings, data, good.iloc[case.test]


def ours(case: Case) -> Answer:
    from solvent import devices

    with tempfile.TemporaryDirectory() as work, devices.scope(devices.Device()):
        solution, settings, data, test = as_the_product_sees_it(case, work)
        fitted = solution.fit(settings, data)
        scored = solution.scorer(settings, fitted)(test)
    facts = {
        "bags": f"{settings.folds} folds x {settings.repeats} repeats",
        **{choice["what"]: choice["won"] for choice in fitted.facts["choices"]},
        "points": f"{settings.base_points} at odds of 1:1, {settings.points_to_double_odds:g} double the odds",
        "lowest_points": int(scored["points"].min()),
        "highest_points": int(scored["points"].max()),
    }
    return scored["probability"].to_numpy(), facts


def rival(name: str) -> Callable[[Case], Answer]:
    def fit(case: Case) -> Answer:
        with tempfile.TemporaryDirectory() as work:
            solution, settings, data, test = as_the_product_sees_it(case, work)
            found = solution.rivals[name](settings, data)
        score = found.score if isinstance(found, Refitted) else found
        return score(test)["probability"].to_numpy(), {}

    return fit


def woe(case: Case) -> Answer:
    """Optimal binning of every column, its weights of evidence, logistic regression: nothing of ours in it."""
    from optbinning import BinningProcess
    from sklearn.linear_model import LogisticRegressionCV

    features, truth = case.features, case.truth[case.train]
    process = BinningProcess(list(features), categorical_variables=case.words)
    learnt = process.fit_transform(features.iloc[case.train], truth)
    strengths = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 10.0]
    model = LogisticRegressionCV(Cs=strengths, cv=5, scoring="roc_auc", max_iter=2000).fit(learnt, truth)
    unseen = process.transform(features.iloc[case.test])
    return model.predict_proba(unseen)[:, 1], {"C": float(np.ravel(model.C_)[0])}


def lightgbm(case: Case) -> Answer:
    """Leaves and trees are chosen by five folds of the training rows."""
    from lightgbm import LGBMClassifier

    features, truth = case.features, case.truth[case.train]
    for name in case.words:
        levels = sorted(features[name].iloc[case.train].unique())
        features[name] = pd.Categorical(features[name].where(features[name].isin(levels)), categories=levels)
    model = LGBMClassifier(
        learning_rate=0.03,
        subsample=0.8,
        subsample_freq=1,
        colsample_bytree=0.5,
        random_state=0,
        n_jobs=1,
        verbose=-1,
    )
    grid = {"num_leaves": [3, 8, 31], "n_estimators": [200, 400, 800]}
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    search = GridSearchCV(model, grid, scoring="roc_auc", cv=folds, n_jobs=THREADS)
    search.fit(features.iloc[case.train], truth)
    return search.predict_proba(features.iloc[case.test])[:, 1], search.best_params_


def ebm(case: Case) -> Answer:
    """Explainable boosting with its defaults."""
    from interpret.glassbox import ExplainableBoostingClassifier

    features = case.features
    model = ExplainableBoostingClassifier(n_jobs=THREADS).fit(features.iloc[case.train], case.truth[case.train])
    return model.predict_proba(features.iloc[case.test])[:, 1], {}


def catboost(case: Case) -> Answer:
    """CatBoost with its defaults."""
    from catboost import CatBoostClassifier

    features = case.features
    model = CatBoostClassifier(
        cat_features=case.words, random_seed=0, thread_count=THREADS, verbose=False, allow_writing_files=False
    )
    model.fit(features.iloc[case.train], case.truth[case.train])
    return model.predict_proba(features.iloc[case.test])[:, 1], {}


@dataclass(frozen=True)
class Model:
    """A way to scores.

    Args:
        package: what it is imported from, and what its scores depend on; a model of the house depends on all our code.
    """

    label: str
    fit: Callable[[Case], Answer]
    package: str
    distribution: str = ""

    def made_by(self) -> str:
        """What the answers depend on, but for the rows."""
        if self.distribution:
            source = inspect.getsource(self.fit) + inspect.getsource(Case)
            return f"{source} {self.distribution} {version(self.distribution)} scikit-learn {version('scikit-learn')}"
        folders = [Path(str(importlib.util.find_spec(name).origin)).parent for name in ("solvent", self.package)]
        sources = [path.read_text() for folder in folders for path in sorted(folder.rglob("*.py"))]
        return "".join([self.label, inspect.getsource(as_the_product_sees_it), inspect.getsource(ours), *sources])


HOUSE = "solvent_finance"
MODELS = {
    OURS: Model("ours", ours, HOUSE),
    "rival-woe": Model("our rival: WOE + logistic regression", rival("WOE + logistic regression"), HOUSE),
    "rival-boosting": Model("our rival: gradient boosting", rival("gradient boosting"), HOUSE),
    WOE: Model("WOE + logistic regression", woe, "optbinning", "optbinning"),
    LIGHTGBM: Model("LightGBM", lightgbm, "lightgbm", "lightgbm"),
    EBM: Model("EBM", ebm, "interpret", "interpret-core"),
    "catboost": Model("CatBoost", catboost, "catboost", "catboost"),
}


# Running them


def answers(set_name: str, model_name: str, options: argparse.Namespace) -> list[dict[str, Any]] | None:
    """A model's answer to every split: from the cache, the others from a process of its own; None where it failed."""
    found = [
        (options.cache / f"{set_name}-{model_name}-{number:02d}-{key(case, model_name)}.json")
        for number, case in enumerate(cases(SETS[set_name], options.folds))
    ]
    if missing := {number: str(path) for number, path in enumerate(found) if not path.exists()}:
        log = options.cache / f"{set_name}-{model_name}.log"
        command = [sys.executable, __file__, "--work", json.dumps([set_name, model_name, missing])]
        with log.open("w") as noise:
            done = subprocess.run(command, stdout=sys.stderr, stderr=noise, env=environment(), check=False)
        if done.returncode != 0:
            last = "\n".join(log.read_text().splitlines()[-5:])
            print(f"{set_name}: {model_name} failed (exit code {done.returncode}, {log}):\n{last}", file=sys.stderr)
            return None
    return [json.loads(path.read_text()) for path in found]


def key(case: Case, model_name: str) -> str:
    digest = hashlib.sha256(MODELS[model_name].made_by().encode())
    rows = [fingerprint(case.rows), case.of.target, case.of.positive]
    for part in (rows, case.train.tolist(), case.test.tolist()):
        digest.update(json.dumps(part).encode())
    return digest.hexdigest()[:16]


def environment() -> dict[str, str]:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    # Threads that spin while they wait made boosting on a thousand rows several times slower beside other work.
    quiet = {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONWARNINGS": "ignore"}
    return {**os.environ, **dict.fromkeys(names, str(THREADS)), **quiet}


def answer_missing(set_name: str, model_name: str, missing: Mapping[str, str]) -> None:
    """What the process of a model does: answer the splits that are missing, each into its file."""
    warnings.filterwarnings("ignore")
    every = cases(SETS[set_name], None)
    for number, path in missing.items():
        case = every[int(number)]
        started = time.perf_counter()
        probability, facts = MODELS[model_name].fit(case)
        answer = {
            "probability": probability.tolist(),
            "truth": case.truth[case.test].tolist(),
            "auc": roc_auc_score(case.truth[case.test], probability),
            "seconds": time.perf_counter() - started,
            "facts": facts,
        }
        with files.replacing(Path(path)) as temporary:
            temporary.write_text(json.dumps(answer))
        print(
            f"{set_name} {number:>2}: {model_name} {answer['auc']:.4f} in {answer['seconds']:.1f} s {facts}", flush=True
        )


# Comparing them


def corrected_interval(differences: np.ndarray, test_over_train: float) -> list[float] | None:
    """The corrected resampled 95 % interval of the mean of differences over splits; None of fewer than two."""
    count = len(differences)
    if count < 2:
        return None
    error = differences.std(ddof=1) * np.sqrt(1 / count + test_over_train)
    half = student.ppf(0.975, count - 1) * error
    return [float(differences.mean() - half), float(differences.mean() + half)]


def paired_interval(own: Mapping[str, Any], other: Mapping[str, Any]) -> list[float]:
    """The paired bootstrap's interval of a difference of AUCs on the same rows."""
    auc = [
        metrics.binary(each["truth"], each["probability"], np.zeros(len(each["truth"])))["auc"] for each in (own, other)
    ]
    found = metrics.compare(*auc, metrics.Resampling(len(own["truth"])))
    return [found.low, found.high]


def measured(of: Set, found: Mapping[str, Sequence[Mapping[str, Any]]], test_over_train: float) -> dict[str, Any]:
    """Every model's AUC, and ours less it; `intervals` holds one for all folds, or one for each split."""
    aucs = {name: np.array([each["auc"] for each in given]) for name, given in found.items()}
    result = {}
    for name, given in found.items():
        result[name] = {
            "auc": float(aucs[name].mean()),
            "deviation": float(aucs[name].std(ddof=1)) if len(given) > 1 else None,
            "aucs": aucs[name].tolist(),
            "seconds": statistics.median(each["seconds"] for each in given),
            "facts": [each["facts"] for each in given],
        }
        if OURS in found and name != OURS:
            differences = aucs[OURS] - aucs[name]
            intervals = (
                [corrected_interval(differences, test_over_train)]
                if of.folds
                else [paired_interval(own, other) for own, other in zip(found[OURS], given, strict=True)]
            )
            result[name] |= {"difference": float(differences.mean()), "intervals": intervals}
    return result


def bars(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What must hold and what is aimed at, of the models that ran."""

    def less(set_name: str, name: str) -> Any:
        return results.get(set_name, {}).get("models", {}).get(name, {}).get("difference")

    def own_auc(set_name: str) -> Any:
        return results.get(set_name, {}).get("models", {}).get(OURS, {}).get("auc")

    lowest = None
    if less("taiwan", WOE) is not None:
        lowest = min(low for low, _ in results["taiwan"]["models"][WOE]["intervals"])
    every = [
        ("german", "ours - WOE, mean", less("german", WOE), -0.005, True),
        ("german", "AUC of ours", own_auc("german"), 0.795, False),
        ("taiwan", "ours - WOE, lowest end of a seed's interval", lowest, 0.0, True),
        ("taiwan", "ours - LightGBM, mean", less("taiwan", LIGHTGBM), -0.002, True),
        ("taiwan", "ours - EBM, mean", less("taiwan", EBM), 0.0, False),
    ]
    return [
        {"set": set_name, "bar": bar, "must": must, "value": value, "limit": limit, "met": value >= limit}
        for set_name, bar, value, limit, must in every
        if value is not None
    ]


# The tables


def show(name: str, result: Mapping[str, Any]) -> None:
    of, models = SETS[name], result["models"]
    each = not of.folds and result["splits"] > 1
    print(f"\n{name}: {result['rows']:,} loans, {result['splits']} of {result['all_splits']} splits. {of.protocol}")
    seeds = "".join(f" {'seed ' + str(seed):>7}" for seed in range(result["splits"])) if each else ""
    print(f"{'model':<36} {'AUC':>7} {'sd':>6}{seeds} {'s/split':>8} {'ours - it':>9}  95 % interval")
    for model, row in models.items():
        sd = "" if row["deviation"] is None else f"{row['deviation']:.4f}"
        aucs = "".join(f" {auc:>7.4f}" for auc in row["aucs"]) if each else ""
        difference = f"{row['difference']:>+9.4f}" if "difference" in row else f"{'':>9}"
        between = "  ".join(f"{low:+.4f} to {high:+.4f}" for low, high in filter(None, row.get("intervals", [])))
        print(
            f"{MODELS[model].label:<36} {row['auc']:>7.4f} {sd:>6}{aucs} {row['seconds']:>8.1f} {difference}  {between}"
        )
    if OURS in models:
        facts = models[OURS]["facts"]
        for what in facts[0]:
            values = [fact[what] for fact in facts]
            told = ", ".join(f"{value} ({count}x)" for value, count in Counter(values).most_common())
            if what in ("lowest_points", "highest_points"):
                told = str((min if what == "lowest_points" else max)(values))
            print(f"  ours, {what.replace('_', ' ')}: {told}")


def show_bars(found: Sequence[Mapping[str, Any]]) -> None:
    print(f"\n{'set':<8} {'bar':<46} {'value':>8} {'limit':>9}")
    for bar in found:
        kind = "must" if bar["must"] else "aim"
        print(
            f"{bar['set']:<8} {bar['bar']:<46} {bar['value']:>+8.4f} >= {bar['limit']:>+6.3f}  {kind} "
            f"{'met' if bar['met'] else 'MISSED'}"
        )


def names_of(known: Mapping[str, Any]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return [name for name in known if name in names]

    return parse


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=names_of(SETS), default=list(SETS))
    parser.add_argument("--models", type=names_of(MODELS), default=list(MODELS), help=", ".join(MODELS))
    parser.add_argument("--folds", type=int, help="only the first so many splits of each set")
    parser.add_argument("--cache", type=Path, default=RESULTS / "credit")
    parser.add_argument("--out", type=Path, default=RESULTS / "credit.json")
    parser.add_argument("--work", type=json.loads, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parsed()
    if options.work:
        answer_missing(*options.work)
        return
    options.cache.mkdir(parents=True, exist_ok=True)
    there = [name for name in options.models if importlib.util.find_spec(MODELS[name].package)]
    for name in [name for name in options.models if name not in there]:
        print(f"{name} is left out: pip install {MODELS[name].distribution}", file=sys.stderr)
    results, failed = {}, False
    for set_name, every in {name: cases(SETS[name], None) for name in options.sets}.items():
        found = {name: answers(set_name, name, options) for name in there}
        failed = failed or None in found.values()
        results[set_name] = {
            "rows": len(every[0].rows),
            "splits": len(every[: options.folds]),
            "all_splits": len(every),
            "protocol": SETS[set_name].protocol,
            "models": measured(
                SETS[set_name],
                {name: given for name, given in found.items() if given is not None},
                len(every[0].test) / len(every[0].train),
            ),
        }
        show(set_name, results[set_name])
    reached = bars(results)
    show_bars(reached)
    packages = ("scikit-learn", "tensorflow", "keras", *filter(None, (MODELS[name].distribution for name in there)))
    protocol = {
        "ours": "default settings, a stratified fifth of the training rows as validation rows",
        "seconds": f"fitting and scoring a split, median, {THREADS} threads",
    }
    write(options.out, protocol, {name: version(name) for name in packages}, results=results, bars=reached)
    if failed:
        sys.exit(1)
    if any(bar["must"] and not bar["met"] for bar in reached):
        sys.exit(3)


if __name__ == "__main__":
    main()
