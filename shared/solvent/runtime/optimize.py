"""`solvent optimize`: another runtime for a bundle, accepted only if its headline holds on validation rows."""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from .. import bundle as bundles
from ..bundle import Bundle
from ..errors import BarMissed, Refused
from ..evaluation import Judge, Scored
from ..promises import checked_facts, checked_fitted, checked_score, is_context
from ..record import plain
from ..schedule import refits
from ..solution import JSON, Fitted, Table
from ..split import halves
from . import NAMES, TENSORFLOW, forms, recording, validation

__all__ = ["optimize", "sentence"]

log = logging.getLogger("solvent")
SAMPLE_ROWS = 300  # that show what the models are asked, and that ranges of 8 bits are taken from


def optimize(path: str | Path, to: str, *, max_drop: float = 0.005, config: str | Path | None = None) -> JSON:
    """Give a bundle another runtime, if the headline on its validation rows does not drop by more than `max_drop`.

    Args:
        to: one of `runtime.NAMES`; `tensorflow` takes the present one back.
        max_drop: in units of the headline, whichever way it is better.
        config: see `validation.rows`.

    Returns:
        What was measured, which bundle.json now holds as `runtime`; None for `tensorflow`. If the bundle had accepted a
        faster runtime before, it stays, and its name stands under `stays`.

    Raises:
        Refused: if this machine, the bundle or its data don't allow it; the bundle is unchanged.
        BarMissed: if the headline drops by more; the bundle is unchanged.
    """
    if to not in NAMES:
        raise Refused(f"There is no runtime {to!r}. Known: {', '.join(NAMES)}.")
    bundle = Bundle.load(path, runtime=TENSORFLOW)
    with tempfile.TemporaryDirectory() as made:
        record = None if to == TENSORFLOW else _accepted(bundle, to, max_drop, config, Path(made))
        # of the bundle itself: this one was loaded with another
        present = json.loads((Path(path) / "bundle.json").read_text(encoding="utf-8"))["runtime"]
        if record and present and present["name"] != to and _times(present) > _times(record):
            return {**record, "stays": present["name"]}
        bundles.save_runtime(bundle, record, Path(made))
    return record


def _times(record: JSON) -> float:
    """How many times as fast as TensorFlow a runtime was."""
    speed = record["rows_per_second"]
    return float(speed[record["name"]] / speed[TENSORFLOW])


def sentence(record: JSON) -> str:
    """What was measured, in two lines for people."""
    drop, speed = record["drop"], record["rows_per_second"]
    interval = f" (95 %: {drop['low']:.4f} to {drop['high']:.4f})" if drop["low"] is not None else ""
    ours, theirs = speed[record["name"]], speed[TENSORFLOW]
    stays = f"\n{record['stays']} is faster and stays; to drop it first: --to {TENSORFLOW}" if "stays" in record else ""
    anew = (
        f"\nset anew for it, by the rows that set it before: {', '.join(record['facts'])}" if "facts" in record else ""
    )
    return (
        f"{record['headline']} {_shown(record['value'])}, {_shown(record[TENSORFLOW])} in {TENSORFLOW}: a drop of "
        f"{_shown(drop['value'])}{interval}, {record['max_drop']:g} may be\n"
        f"{ours:.3g} rows a second, {theirs:.3g} in {TENSORFLOW}: {_times(record):.2f} times\n"
        f"{record['protocol']}{anew}{stays}"
    )


def _shown(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.4f}"


def _accepted(bundle: Bundle, to: str, max_drop: float, config: str | Path | None, folder: Path) -> JSON:
    """Make the runtime in a folder, measure it, and give the record that says so."""
    forms.refuse_here(to, f"{bundle.path} is unchanged.")
    if to.endswith("int8") and importlib.util.find_spec("nncf") is None:
        raise Refused(f"{to} needs the package nncf: pip install nncf. {bundle.path} is unchanged.")
    seed = bundle.facts["machine"]["seed"]
    rows = validation.rows(bundle, config)
    unknowing = bundle.solution.forget(bundle.settings, bundle.fitted, rows)
    bundle = replace(bundle, fitted=checked_fitted(bundle.solution.forget, unknowing))
    ranging, measuring = halves(rows, bundle.schema, seed) if to.endswith("int8") else (rows, rows)
    judge = Judge(bundle.solution, bundle.settings, bundle.schema)
    sample = judge.cases(recording.some(ranging, bundle.schema, SAMPLE_ROWS, seed))
    batches = recording.asked(bundle, sample)
    if not batches:
        raise Refused(f"{bundle.path}: its scorer asks no network, so there is nothing to run in another runtime.")
    log.info("%s: making %s of %s", bundle.path, to, ", ".join(batches))
    inputs = {name: [given for given, _ in found] for name, found in batches.items()}
    forms.make(folder, to, bundle.fitted.models, inputs, bundle.fitted.batch_rows)
    record: dict[str, Any] = {"name": to, "models": sorted(batches), "versions": _versions(to)}
    if to.endswith("int8"):
        record["unquantised"] = forms.unquantised(bundle.fitted.models[name] for name in batches)
    fitted = replace(bundle.fitted, forms=forms.load(folder, record, bundle.fitted.models))
    # What was promised of one network's scores is not promised of another's, however near they are.
    again = bundle.solution.recalibrate(bundle.settings, fitted, bundle.schema, rows)
    if anew := plain(checked_facts(bundle.solution.recalibrate, again)):
        fitted, record["facts"] = replace(fitted, facts={**fitted.facts, **anew}), anew
    compared = _compare(bundle, judge, judge.cases(measuring), fitted, sample, to)
    record |= {
        **compared,
        "max_drop": max_drop,
        "protocol": f"{_which(bundle, to, len(sample), anew)} {compared['protocol']}",
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    record = plain(record)
    if not compared["drop"]["value"] <= max_drop:  # also where it is not a number
        raise BarMissed(f"{sentence(record)}\n{to} is not accepted; {bundle.path} is unchanged.")
    speed = record["rows_per_second"]
    if speed[to] < speed[TENSORFLOW]:
        log.warning("%s is slower than %s here: it is accepted as asked.", to, TENSORFLOW)
    return record


def _compare(bundle: Bundle, judge: Judge, cases: Table, fitted: Fitted, sample: Table, to: str) -> dict[str, Any]:
    """The headline of the same cases in TensorFlow and in another runtime, their paired difference, and the speed.

    Rows that are only read as context are no cases: they count neither among the rows nor in the speed.
    """
    tables, seconds = {}, {}
    for name, each in {TENSORFLOW: bundle.fitted, to: fitted}.items():
        made = bundle.solution.scorer(bundle.settings, each)
        score = checked_score(bundle.solution.scorer, made, bundle.outputs)
        score(sample)  # compiles what is compiled once; its first row alone may be context, and ask no network
        log.info("scoring %d validation rows in %s", len(cases), name)
        started = time.perf_counter()
        tables[name] = score(cases)
        seconds[name] = time.perf_counter() - started
    answered = int((~is_context(tables[TENSORFLOW])).sum())
    lost = tables[to]["error"].notna() & tables[TENSORFLOW]["error"].isna()
    if lost.any():
        raise BarMissed(
            f"{int(lost.sum())} of {answered} validation cases can't be scored in {to} "
            f"({tables[to]['error'][lost].iloc[0]}). It is not accepted; {bundle.path} is unchanged."
        )
    scored = Scored.of(cases, {name: partial(_known, table) for name, table in tables.items()})
    before, after = (judge.measure(scored.rows, scored.by_model[name]) for name in (TENSORFLOW, to))
    better, worse = (before, after) if judge.goal.higher else (after, before)
    drop = better.difference(worse) or {"value": better.headline - worse.headline, "low": None, "high": None}
    return {
        "headline": judge.goal.metric,
        "higher": judge.goal.higher,
        TENSORFLOW: before.headline,
        "value": after.headline,
        "drop": drop,
        "rows": len(scored.rows),
        "rows_per_second": {name: answered / taken for name, taken in seconds.items()},
        "protocol": after.resampling.protocol,
    }


def _known(scored: Table, rows: Table) -> Table:
    return scored


def _which(bundle: Bundle, to: str, sample: int, anew: Iterable[str]) -> str:
    """On which rows it was measured, and what else these rows did.

    Args:
        anew: the facts that were set anew for it.
    """
    says = "Validation rows, each scored in both runtimes."
    if to.endswith("int8"):
        says = (
            f"One half of the validation rows, each scored in both runtimes; {sample} cases of the other half gave the "
            "ranges of the 8 bits."
        )
    if names := ", ".join(anew):
        says += f" What was set anew for it ({names}) was set by rows among these, and looks a little too good on them."
    if refits(bundle.settings):
        says += (
            " The network had seen these rows (training.refit): both headlines are too good, the drop is what counts."
        )
    return says


def _versions(to: str) -> dict[str, str]:
    engine, _, precision = to.partition("-")
    names = (engine, "nncf") if precision == "int8" else (engine,)
    return {name: importlib.import_module(name).__version__ for name in names}
