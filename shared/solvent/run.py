"""Train, evaluate, compare: the one place that strings the steps together."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from . import bundle as bundles
from . import config as configs
from . import devices, drift, promises, report, split, startup, tables, training
from .bundle import Bundle
from .errors import Refused
from .evaluation import OURS, Judge, Scored, score_table
from .prepare import Prepared, fingerprint, prepare
from .record import limits, plain, versions
from .solution import CONTRACT_VERSION, JSON, Data, Fitted, Score, Table
from .tables import Source

__all__ = ["compare", "evaluate", "train"]

log = logging.getLogger("solvent")


@dataclass
class Clock:
    """Seconds spent by step."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[step] = round(self.seconds.get(step, 0.0) + time.monotonic() - started, 3)


def train(
    config: str | Path | Mapping[str, JSON],
    out: str | Path,
    *,
    changes: Sequence[str] = (),
    resume: bool = False,
    command: str | None = None,
) -> Bundle:
    """Train what a config says and leave a bundle.

    Args:
        config: a YAML file's path, or what it would hold.
        out: the bundle's folder; one that is there already is replaced once the new one is whole.
        changes: `a.b=c` each, replacing values of the config.
        resume: go on with a training that was killed; its result is that of an undisturbed one.
        command: what the report names as the way to get this bundle again.

    Raises:
        Refused: with everything that is wrong with config or data.
    """
    out = Path(out)
    bundles.refuse_to_replace(out)
    run = configs.load(config, changes=changes)
    startup.tensorflow()  # takes seconds: a mistake in the config is told before
    clock = Clock()
    with clock("read"):
        prepared = prepare(run)
    work = _open_work(out, run, prepared, resume)
    judge = Judge(run.solution, run.settings, prepared.schema)
    with devices.scope(run.device) as placement:
        out_of_fold = _cross_validate(run, prepared, judge, work, clock)
        cut = prepared.cuts[0] if out_of_fold is None else _without_test(prepared.cuts[0])
        data = _data(run, prepared, cut, work / "run")
        fitted, scorers, seconds = _fit(run, prepared, data, clock)
        scored = out_of_fold
        if len(cut.test):
            with clock("score"):
                scored = Scored.of(judge.cases(prepared.table.iloc[cut.test]), scorers)
        with clock("evaluate"):
            measured = judge.report(scored, judge.headlines(data.valid, scorers), seconds, fitted.facts)
            drawn = run.solution.figures(run.settings, fitted, scored.rows, scored.ours) if scored else []
            figures = promises.checked_figures(run.solution.figures, drawn)
            reference = drift.reference(data.train, data.schema, scorers[OURS](judge.cases(data.valid)))
    stages = training.stages(data.work)
    folds = len(prepared.cuts) if out_of_fold else 0
    facts = plain(
        {
            "format": bundles.FORMAT,
            "contract_version": CONTRACT_VERSION,
            "solution": run.solution.name,
            "target": run.name,
            "summary": run.solution.summary,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": command or f"solvent.train({run.file!r}, out={str(out)!r})",
            "versions": versions(),
            "machine": placement.to_json(),
            "config": run.given,
            "settings": run.settings.model_dump(mode="json"),
            "facts": fitted.facts,
            "models": sorted(fitted.models),
            "parameters": sum(model.count_params() for model in fitted.models.values()),
            "personal": sorted(fitted.personal),
            "batch_rows": fitted.batch_rows,
            "schema": data.schema.to_json(),
            "outputs": [asdict(item) for item in prepared.outputs],
            "data": prepared.facts,
            "findings": [asdict(item) for item in prepared.findings],
            "goal": asdict(judge.goal),
            **measured,
            "training": stages,
            "folds": {"k": folds} if folds else None,
            "intended_use": run.intended_use,
            "limits": limits(prepared, stages, tested=scored is not None, folds=folds),
            "seconds": clock.seconds,
        }
    )
    scores = score_table(prepared.schema, scored) if scored else None
    texts = {
        "report.html": report.html(facts, scores, figures),
        "MODEL_CARD.md": report.model_card(facts),
        "reference.json": json.dumps(plain(reference), indent=1),
    }
    kept = {} if scores is None else {"test_scores.parquet": scores}
    bundles.save(out, fitted=fitted, facts=facts, texts=texts, tables=kept)
    _keep_tracks(data.work, out)
    shutil.rmtree(work)
    return Bundle.load(out)


def evaluate(bundle: str | Path | Bundle, table: Source | str | Path | Table) -> dict[str, JSON]:
    """Measure a bundle on a table with targets.

    Returns:
        solution, rows, headline, metrics with 95 % intervals; the baseline's if these are the bundle's test rows.
    """
    loaded, rows, set_aside = _checked_rows(bundle, table)
    judge = Judge(loaded.solution, loaded.settings, loaded.schema)
    scored = Scored.of(judge.cases(rows), {OURS: loaded.scorer()})
    measured = judge.measure(scored.rows, scored.ours)
    own = loaded.facts["test"] is not None and fingerprint(rows) == loaded.facts["data"]["test_sha256"]
    found: dict[str, JSON] = plain(
        {
            "solution": loaded.solution.name,
            "rows": len(scored.rows),
            "set_aside": set_aside + scored.failed,
            "headline": measured.goal.metric,
            "metrics": measured.estimates(),
            "baseline": loaded.facts["test"]["baseline"] if own else None,
            "protocol": measured.resampling.protocol,
        }
    )
    return found


def compare(
    first: str | Path | Bundle, second: str | Path | Bundle, table: Source | str | Path | Table
) -> dict[str, JSON]:
    """The paired difference (first less second) of two bundles' headlines on the same rows.

    Raises:
        Refused: if the two have different headlines, or no row that both can score.
    """
    judges, scored = [], []
    for bundle in (first, second):
        loaded, rows, _ = _checked_rows(bundle, table)
        judges.append(Judge(loaded.solution, loaded.settings, loaded.schema))
        scored.append(Scored.of(judges[-1].cases(rows), {OURS: loaded.scorer()}))
    goal, other = judges[0].goal, judges[1].goal
    if goal != other:
        raise Refused(f"{first} is measured by {goal.metric}, {second} by {other.metric}: they can't be compared.")
    both = scored[0].rows.index.intersection(scored[1].rows.index)
    ours, theirs = (
        judge.measure(item.rows.loc[both], item.ours.loc[both]) for judge, item in zip(judges, scored, strict=True)
    )
    found: dict[str, JSON] = plain(
        {
            "headline": goal.metric,
            "higher": goal.higher,
            "rows": len(both),
            "first": ours.headline_estimate(),
            "second": theirs.headline_estimate(),
            "difference": ours.difference(theirs),
            "protocol": ours.resampling.protocol,
        }
    )
    return found


def _checked_rows(bundle: str | Path | Bundle, table: Source | str | Path | Table) -> tuple[Bundle, Table, int]:
    """A bundle, the good rows of a user's table with their targets, and how many were set aside."""
    loaded = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
    if isinstance(table, pd.DataFrame):
        raw, label = table.reset_index(drop=True), "the table"
    else:
        source = Source.of(table)
        raw, label = tables.read(source), tables.label(source)
    checked = loaded.schema.check(loaded.schema.rename(raw, table_name=label, targets=True), targets=True)
    if len(checked.bad):
        example = checked.bad.iloc[0]
        log.warning("%s: %d rows set aside (row %d, %s).", label, len(checked.bad), example["row"], example["reasons"])
    return loaded, checked.good, len(checked.bad)


def _open_work(out: Path, run: configs.Run, prepared: Prepared, resume: bool) -> Path:
    """The folder of a run that is under way; it goes when the bundle is whole."""
    work = out.parent / f".{out.name}.work"
    given = json.dumps([plain(run.given), prepared.facts["sha256"], versions()], sort_keys=True)
    identity = hashlib.sha256(given.encode()).hexdigest()
    mark = work / "identity"
    started = any(work.glob("*/stages/*/checkpoint.npz"))
    if started and not resume:
        raise Refused(
            f"{work} holds an unfinished training. Add --resume to go on, or delete that folder to start again."
        )
    if started and mark.read_text() != identity:
        raise Refused(
            f"{work} holds a training of another config, other rows or other versions: it can't go on. "
            "Put back what changed, or delete that folder and train without --resume."
        )
    if resume and not started:
        log.warning("nothing to resume at %s: starting from the beginning", work)
    work.mkdir(parents=True, exist_ok=True)
    mark.write_text(identity)
    return work


def _keep_tracks(work: Path, out: Path) -> None:
    """What TensorBoard or MLflow wrote in the work folder stays, beside the bundle, as NAME.track."""
    if (work / "track").exists():
        kept = out.with_name(f"{out.name}.track")
        shutil.rmtree(kept, ignore_errors=True)
        shutil.move(work / "track", kept)


def _data(run: configs.Run, prepared: Prepared, cut: split.Parts, work: Path) -> Data:
    train_rows, valid_rows = prepared.table.iloc[cut.train], prepared.table.iloc[cut.valid]
    schema = prepared.schema.with_statistics(train_rows)  # of these rows, not of other folds'
    return Data(train_rows, valid_rows, schema, prepared.side, run.device.seed, work)


def _fit(
    run: configs.Run, prepared: Prepared, data: Data, clock: Clock
) -> tuple[Fitted, dict[str, Score], dict[str, float]]:
    """Fit our model and the rivals on the same rows; the scorers of all, and the rivals' seconds."""
    solution, settings, outputs = run.solution, run.settings, prepared.outputs
    with clock("fit"):
        fitted = promises.checked_fitted(solution.fit, solution.fit(settings, data))
    scorers = {OURS: promises.checked_score(solution.scorer, solution.scorer(settings, fitted), outputs)}
    rivals = Clock()
    for name, rival in solution.rivals.items():
        log.info("rival: %s", name)
        with clock("rivals"), rivals(name):
            scorers[name] = promises.checked_score(rival, rival(settings, data), outputs)
    return fitted, scorers, rivals.seconds


def _cross_validate(run: configs.Run, prepared: Prepared, judge: Judge, work: Path, clock: Clock) -> Scored | None:
    """The out-of-fold scores of all rows; None where the config asks for no folds."""
    if len(prepared.cuts) == 1:
        return None
    scored: Scored | None = None
    for number, cut in enumerate(prepared.cuts):
        log.info("fold %d of %d", number + 1, len(prepared.cuts))
        data = _data(run, prepared, cut, work / f"fold-{number}")
        _, scorers, _ = _fit(run, prepared, data, clock)
        found = Scored.of(judge.cases(prepared.table.iloc[cut.test]), scorers)
        scored = found if scored is None else scored.join(found)
    return scored


def _without_test(cut: split.Parts) -> split.Parts:
    """Train takes the test rows in, valid stays: for the model that is kept after cross-validation."""
    none = np.array([], dtype=np.intp)
    return split.Parts(np.sort(np.concatenate([cut.train, cut.test])), cut.valid, none, cut.facts)
