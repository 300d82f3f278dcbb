"""Train, evaluate, compare: the one place that strings the steps together."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from . import bundle as bundles
from . import config as configs
from . import devices, drift, promises, report, scan, split, startup, tables, training, workers
from .bundle import Bundle
from .errors import Refused, WorkerDone
from .evaluation import OURS, Judge, Scored, score_table
from .prepare import Prepared, fingerprint, prepare
from .record import limits, plain, recorded, versions
from .schema import Schema
from .solution import CONTRACT_VERSION, JSON, Data, Fitted, Refitted, Series, Table
from .tables import Source
from .wording import listed
from .work import identify, work_folder

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
        WorkerDone: at the end, on a worker that is not the chief: the chief leaves the bundle.
        SolventError: if another worker is lost.
    """
    out = Path(out).absolute()
    bundles.refuse_to_replace(out)
    run = configs.load(config, changes=changes)
    startup.tensorflow()  # takes seconds: a mistake in the config is told before
    clock = Clock()
    with clock("read"), devices.scope(run.device) as placement:
        outside = promises.checked_outside(run.solution.outside, run.solution.outside(run.settings))
        prepared = replace(prepare(run), outside=outside)
        identity = identify(run, prepared)
        workers.agree("another config, other rows, other code or other versions", identity)
        worker = placement.worker
    command = command or f"solvent.train({run.file!r}, out={out.name!r})"
    with work_folder(out, identity, resume, worker) as work:
        _train(run, prepared, out, work, clock, command)
    if worker:
        raise WorkerDone(f"worker {worker} of {placement.workers} is done: the chief has left the bundle.")
    return Bundle.load(out)


def _train(run: configs.Run, prepared: Prepared, out: Path, work: Path, clock: Clock, command: str) -> None:
    """Fit, measure, save."""
    judge = Judge(run.solution, run.settings, prepared.schema)
    with devices.scope(run.device) as placement:
        folds = _cross_validate(run, prepared, judge, work, clock)
        cut = _without_test(prepared.cuts[0]) if folds else prepared.cuts[0]
        trial = _try(run, prepared, judge, cut, work / "run", clock)
        scored = Scored.joined([fold.scored for fold in folds if fold.scored]) if folds else trial.scored
        with clock("evaluate"):
            measured = judge.report(
                scored,
                _means([fold.valid for fold in folds or [trial]]),
                trial.seconds,
                outputs=prepared.outputs,
                slices=_slices(run, folds or [trial]),
                copied=_copied(prepared),
                set_aside=prepared.facts["set_aside"]["test"],
                folds=len(folds),
            )
            drawn = run.solution.figures(run.settings, trial.fitted, scored.rows, scored.ours) if scored else []
            figures = promises.checked_figures(run.solution.figures, drawn)
            figures = [figure for figure in figures if not (folds and figure.unseen)]
            reference = drift.reference(_one_a_score(run, trial.data), trial.data.schema, trial.usual_scores)
            if scored:
                seen = drift.chances(prepared.outputs, prepared.schema, scored.rows, scored.ours)
                reference = {**reference, "chances": seen}
    scores = score_table(prepared.schema, scored) if scored else None
    kept = {} if scores is None else {promises.TEST_SCORES: scores}
    stages = [stage for fold in [*folds, trial] for stage in training.stages(fold.data.work)]
    findings = [*prepared.findings, *trial.fitted.findings]
    for item in trial.fitted.findings:
        if item.severity == "warning":
            log.warning("%s: %s %s", item.name, item.message, item.cure)
    facts = plain(
        {
            "format": bundles.FORMAT,
            "contract_version": CONTRACT_VERSION,
            "solution": run.solution.name,
            "target": run.name,
            "summary": run.solution.summary,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": command,
            "versions": versions(run.name),
            "machine": placement.to_json(),
            "config": run.given,
            "config_folder": str(run.base.resolve()),
            "settings": run.settings.model_dump(mode="json"),
            "facts": trial.fitted.facts,
            "models": sorted(trial.fitted.models),
            "parameters": sum(model.count_params() for model in trial.fitted.models.values()),
            "files": sorted(trial.fitted.files),
            # where anything holds people, the test cases are people too
            "personal": sorted({*trial.fitted.personal, *kept}) if trial.fitted.personal else [],
            "batch_rows": trial.fitted.batch_rows,
            "runtime": None,
            "schema": trial.data.schema.to_json(),
            "outputs": [asdict(item) for item in prepared.outputs],
            "data": prepared.facts,
            "findings": recorded(findings),
            "goal": asdict(judge.goal),
            "meanings": {name: asdict(item) for name, item in run.solution.meanings.items()},
            **measured,
            "training": training.stages(trial.data.work),
            "folds": {"k": len(folds)} if folds else None,
            "intended_use": run.intended_use,
            "limits": limits(prepared, stages, run.settings, tested=scored is not None, folds=len(folds)),
            "seconds": clock.seconds,
        }
    )
    texts = {
        "report.html": report.html(facts, scores, figures, [item.picture for item in findings]),
        "MODEL_CARD.md": report.model_card(facts),
        "reference.json": json.dumps(plain(reference), indent=1),
    }
    if not placement.worker:
        bundles.save(out, fitted=trial.fitted, facts=facts, texts=texts, tables=kept)
    with devices.scope(run.device):
        workers.from_chief("saved")  # only then may the others forget what they have


def _one_a_score(run: configs.Run, data: Data) -> Table:
    """The training rows as scoring counts them: one of each entity, where the rows of an entity share one score."""
    entities = data.schema.by_role("entity")
    if not run.solution.joins or not entities:
        return data.train
    return data.train[~data.train[entities[0].name].duplicated()]


def _slices(run: configs.Run, trials: Sequence[Trial]) -> dict[str, Series]:
    """The levels that the solution tells the test cases apart by, each case by the model that had not seen it."""
    function = run.solution.slices
    found = [
        promises.checked_slices(function, function(run.settings, trial.fitted, trial.scored.rows), trial.scored.rows)
        for trial in trials
        if trial.scored is not None and len(trial.scored.rows)
    ]
    joined = {name: pd.concat([levels[name] for levels in found if name in levels]) for name in (found or [{}])[0]}
    # Categoricals of different levels are joined to plain cells.
    return {name: levels.astype("category") if levels.dtype == object else levels for name, levels in joined.items()}


def evaluate(bundle: str | Path | Bundle, table: Source | str | Path | Table) -> dict[str, JSON]:
    """Measure a bundle on a table with targets.

    Returns:
        solution, rows, headline, metrics with 95 % intervals; the baseline's if these are the bundle's test rows;
        `set_aside`, how many rows could not be scored, `max_bad`, the share that the bundle's config allows, and
        `too_many_bad`, whether there are more: then the metrics are of too few rows to be held against a bar. The share
        is of rows, or of entities where rows have them, since one case may be of many rows: `bad` says which, with
        `unit`, `set_aside` and `of`.
    """
    loaded, rows, aside = _checked_rows(bundle, table)
    judge = Judge(loaded.solution, loaded.settings, loaded.schema)
    cases = judge.cases(rows, loaded.fitted)
    told = loaded.scorer()(cases)
    scored = Scored.told(cases, {OURS: told})
    measured = judge.measure(scored.rows, scored.ours)
    own = loaded.facts["test"] is not None and fingerprint(rows, loaded.schema) == loaded.facts["data"]["test_sha256"]
    bad = _units(loaded.schema, aside) | _units(loaded.schema, cases[told["error"].notna()])
    every = bad | _units(loaded.schema, scored.rows)
    max_bad = float(loaded.facts["config"]["data"].get("max_bad", configs.DataPart.model_fields["max_bad"].default))
    found: dict[str, JSON] = plain(
        {
            "solution": loaded.solution.name,
            "rows": len(scored.rows),
            "set_aside": len(aside) + scored.failed,
            "bad": {"unit": _unit(loaded.schema), "set_aside": len(bad), "of": len(every)},
            "max_bad": max_bad,
            "too_many_bad": len(bad) > max_bad * len(every),
            "headline": measured.goal.metric,
            "metrics": measured.estimates(),
            "baseline": loaded.facts["test"]["baseline"] if own else None,
            "protocol": measured.resampling.protocol,
        }
    )
    return found


def _unit(schema: Schema) -> str:
    """What is counted in words: rows, or the entities that they are of."""
    entities = schema.by_role("entity")
    return f"values of {entities[0].source}" if entities else "rows"


def _units(schema: Schema, rows: Table) -> set[str]:
    entities = schema.by_role("entity")
    return set(map(str, rows[entities[0].name] if entities else rows.index))


def compare(
    first: str | Path | Bundle, second: str | Path | Bundle, table: Source | str | Path | Table
) -> dict[str, JSON]:
    """The paired difference (first less second) of two bundles' headlines on the same rows. What one of them knows
    already is a case of neither.

    Raises:
        Refused: if the two have different headlines or ask for different targets of a row, or no row that both can
            score.
    """
    bundles_rows = [_checked_rows(bundle, table)[:2] for bundle in (first, second)]
    judges = [Judge(loaded.solution, loaded.settings, loaded.schema) for loaded, _ in bundles_rows]
    _refuse_incomparable(judges)
    scored = []
    for judge, (loaded, rows) in zip(judges, bundles_rows, strict=True):
        known = [other.fitted for other, _ in bundles_rows if other.solution is loaded.solution]
        scored.append(Scored.of(judge.cases(rows, *known), {OURS: loaded.scorer()}))
    both = scored[0].rows.index.intersection(scored[1].rows.index)
    if both.empty:
        raise Refused(
            "The two bundles have no case in common: each knows or sets aside all rows of the other's, or their "
            "settings ask for other things. Give rows that are new to both, or train both with the same settings."
        )
    _refuse_other_targets(judges, [item.rows.loc[both] for item in scored])
    ours, theirs = (
        judge.measure(item.rows.loc[both], item.ours.loc[both]) for judge, item in zip(judges, scored, strict=True)
    )
    found: dict[str, JSON] = plain(
        {
            "headline": ours.goal.metric,
            "higher": ours.goal.higher,
            "rows": len(both),
            "first": ours.headline_estimate(),
            "second": theirs.headline_estimate(),
            "difference": ours.difference(theirs),
            "protocol": ours.resampling.protocol,
        }
    )
    return found


def _refuse_incomparable(judges: Sequence[Judge]) -> None:
    """Two bundles can be compared if they answer the same question: one headline, the same targets of the same rows."""
    goals = [judge.goal for judge in judges]
    if goals[0] != goals[1]:
        raise Refused(f"One is measured by {goals[0].metric}, the other by {goals[1].metric}: they can't be compared.")
    sources = [[field.source for field in judge.schema.targets] for judge in judges]
    levels = [[field.levels for field in judge.schema.targets] for judge in judges]
    positives = [getattr(judge.settings, "positive", None) for judge in judges]
    if sources[0] != sources[1] or levels[0] != levels[1] or positives[0] != positives[1]:
        raise Refused(
            f"The two predict different things ({listed(sources[0])} and {listed(sources[1])}, or other classes): "
            "they can't be compared."
        )
    truths = [{name: getattr(judge.settings, name) for name in judge.solution.truth} for judge in judges]
    for name in sorted(set(truths[0]) | set(truths[1])):
        given = [truth.get(name) for truth in truths]
        if given[0] != given[1]:
            raise Refused(
                f"settings.{name} is {given[0]!r} in the one and {given[1]!r} in the other, so each is measured by "
                "another truth: they can't be compared. Train both with the same."
            )


def _refuse_other_targets(judges: Sequence[Judge], rows: Sequence[Table]) -> None:
    """By their settings two bundles may read different targets out of the same rows."""
    for fields in zip(*(judge.schema.targets for judge in judges), strict=True):
        if any(field.name not in part for field, part in zip(fields, rows, strict=True)):
            continue
        cells = [list(map(repr, part[field.name].tolist())) for field, part in zip(fields, rows, strict=True)]
        if differ := sum(first != second for first, second in zip(*cells, strict=True)):
            raise Refused(
                f"Of {differ:,} of {len(cells[0]):,} cases the two bundles' settings ask for another {fields[0].name}: "
                "they can't be compared. Train both with the same settings of what counts as right."
            )


def _checked_rows(bundle: str | Path | Bundle, table: Source | str | Path | Table) -> tuple[Bundle, Table, Table]:
    """A bundle, the good rows of a user's table with their targets, and those that were set aside, not read."""
    loaded = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
    if isinstance(table, pd.DataFrame):
        raw, label, folder = table.reset_index(drop=True), "the table", Path()
    else:
        source = loaded.source(table)
        raw, label, folder = tables.read(source), tables.label(source), tables.folder(source)
    renamed = loaded.schema.rename(raw, table_name=label, targets=True, folder=folder)
    checked = loaded.schema.check(renamed, targets=True)
    if len(checked.bad):
        example = checked.bad.iloc[0]
        log.warning("%s: %d rows set aside (row %d, %s).", label, len(checked.bad), example["row"], example["reasons"])
    return loaded, checked.good, renamed.loc[checked.bad.index]


@dataclass(frozen=True)
class Trial:
    """Our model and the rivals, fitted on one cut of the rows.

    Args:
        valid: every model's headline on the validation rows.
        seconds: what each rival took.
        usual_scores: ours, beside which those to come are held.
        scored: the test cases; None where the cut has none.
    """

    data: Data
    fitted: Fitted
    seconds: dict[str, float]
    valid: dict[str, float]
    usual_scores: Table
    scored: Scored | None


def _try(run: configs.Run, prepared: Prepared, judge: Judge, cut: split.Parts, work: Path, clock: Clock) -> Trial:
    """Fit all models on the train and valid rows of a cut, and score its test cases."""
    solution, settings, outputs = run.solution, run.settings, prepared.outputs
    train_rows, valid_rows, test_rows = (prepared.table.iloc[part] for part in (cut.train, cut.valid, cut.test))
    schema = prepared.schema.with_statistics(train_rows)  # of these rows, not of other folds'
    data = Data(train_rows, valid_rows, schema, prepared.side, run.device.seed, work)
    with clock("fit"):
        fitted = bundles.as_saved(promises.checked_fitted(solution.fit, solution.fit(settings, data)))
    scorers = {OURS: promises.checked_score(solution.scorer, solution.scorer(settings, fitted), outputs)}
    # What is said of validation rows must come from models that had not seen them.
    unseen = promises.checked_unseen(solution.fit, scorers[OURS], fitted.valid, settings, outputs)
    with clock("score"):
        cases = judge.cases(valid_rows)
        told = {OURS: unseen(cases)}
        judge.headlines(Scored.told(cases, told))  # what is wrong with the metrics is told before rivals are trained
    rivals = Clock()
    for name, rival in solution.rivals_of(settings).items():
        log.info("rival: %s", name)
        with clock("rivals"), rivals(name):
            found = rival(settings, data)
            score, held = (found.score, found.valid) if isinstance(found, Refitted) else (found, None)
            scorers[name] = promises.checked_score(rival, score, outputs)
            unseen = promises.checked_unseen(rival, scorers[name], held, settings, outputs)
        with clock("score"):
            told[name] = unseen(cases)
    valid = Scored.told(cases, told)
    with clock("score"):
        scored = Scored.of(judge.cases(test_rows, fitted), scorers) if len(test_rows) else None
    usual = promises.checked_usual(solution.fit, fitted, valid.ours, outputs)
    return Trial(data, fitted, rivals.seconds, judge.headlines(valid), usual, scored)


def _cross_validate(run: configs.Run, prepared: Prepared, judge: Judge, work: Path, clock: Clock) -> list[Trial]:
    """A trial for each fold; none where the config asks for no folds."""
    if len(prepared.cuts) == 1:
        return []
    trials = []
    for number, cut in enumerate(prepared.cuts):
        log.info("fold %d of %d", number + 1, len(prepared.cuts))
        trials.append(_try(run, prepared, judge, cut, work / f"fold-{number}", clock))
    return trials


def _means(headlines: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Every model's validation headline, averaged over the folds."""
    return {name: float(np.mean([each[name] for each in headlines])) for name in headlines[0]}


def _copied(prepared: Prepared) -> pd.Index:
    """The test rows that are copies; where we cut the table, copies lie on one side and there are none."""
    if not prepared.facts["split"]["given"]:
        return pd.Index([])
    return scan.copied_rows({name: prepared.part(name) for name in split.PARTS}, prepared.schema)


def _without_test(cut: split.Parts) -> split.Parts:
    """Train takes the test rows in, valid stays: for the model that is kept after cross-validation."""
    none = np.array([], dtype=np.intp)
    return split.Parts(np.sort(np.concatenate([cut.train, cut.test])), cut.valid, none, cut.facts)
