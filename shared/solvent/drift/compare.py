"""Compare the counts of the scored rows with a bundle's reference, and say what is alarming."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..errors import Refused
from ..solution import JSON
from ..wording import listed, many, suggestion
from .alarms import Alarms
from .counts import Counts
from .distribution import columns, seen_levels
from .expected import Expected, expected
from .moved import Measure, Moved, measured
from .two_samples import holm

__all__ = ["Drift", "compare"]


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How far the scored rows have moved from those that the bundle knows.

    Args:
        rows: that were scored.
        reference_rows: training rows, behind the inputs.
        output_rows: scores of the time of training, behind the outputs; None where the bundle is too old to say.
        inputs: by the user's own names.
        thresholds: None where no alarm was asked for.
        tests: how many p-values were adjusted together.
        alarms: a sentence for each column that has moved too far; the worst is the first.
        notes: what could not be judged, a sentence each.
        expected: what the decisions may be expected to reach, by the output that is a calibrated probability.
    """

    rows: int
    reference_rows: int
    output_rows: int | None
    inputs: Mapping[str, Moved]
    outputs: Mapping[str, Moved]
    thresholds: Alarms | None
    tests: int
    alarms: tuple[str, ...]
    notes: tuple[str, ...]
    expected: Mapping[str, Expected] = field(default_factory=dict)

    @property
    def columns(self) -> list[tuple[str, str, Moved]]:
        """Kind ("input" or "output"), name and column: first what raised an alarm, then by the index."""
        found = [
            (kind, name, moved)
            for kind, of_kind in (("input", self.inputs), ("output", self.outputs))
            for name, moved in of_kind.items()
        ]
        return sorted(found, key=lambda each: (*_severity(each[2]), *each[:2]))

    @property
    def sentence(self) -> str:
        """The result in one line, for a log."""
        then = f"{many(self.reference_rows, 'training row')}"
        if not self.inputs and self.output_rows is not None:
            then = f"{many(self.output_rows, 'score')} of the time of training"
        start = f"{many(self.rows, 'scored row')} beside {then}"
        if self.alarms:
            names = [name for _, name, moved in self.columns if moved.alarm]
            return f"{start}: {many(len(names), 'column has', 'columns have')} moved too far: {listed(names, 5)}."
        known = [(moved.psi, name) for _, name, moved in self.columns if moved.psi]
        worst = [f"The largest PSI is {known[0][0]:.2f} ({known[0][1]})."] if known else []
        what = "no alarm was asked for" if self.thresholds is None else "no drift alarm"
        return " ".join([f"{start}: {what}.", *worst, *self.notes])

    def to_json(self) -> dict[str, JSON]:
        """Plain JSON, without NaN; what could not be measured is null."""
        return {
            "rows": self.rows,
            "reference_rows": self.reference_rows,
            "output_rows": self.output_rows,
            "tests": self.tests,
            "thresholds": None if self.thresholds is None else self.thresholds.model_dump(mode="json"),
            "inputs": {name: moved.to_json() for name, moved in self.inputs.items()},
            "outputs": {name: moved.to_json() for name, moved in self.outputs.items()},
            "alarms": list(self.alarms),
            "notes": list(self.notes),
            "expected": {name: each.to_json() for name, each in self.expected.items()},
        }


def compare(reference: Mapping[str, JSON], counts: Counts, alarms: Alarms | None = None) -> Drift:
    """Compare the counts of all parts with the reference.

    The p-values of every column, of its distribution, its missing cells and its unseen levels, are adjusted together
    by Holm's method: it holds whatever depends on what. The tests take the rows as independent; rows that belong
    together (a machine's series) make them too sure, which is why an alarm needs its threshold passed as well.

    Args:
        reference: what `drift.reference` gave in training; older ones do too: without `output_rows` nothing is
            tested of the outputs, and without `seen` as many unseen levels are expected as there may be.
        alarms: None raises none.

    Raises:
        Refused: if `ignore` names what is neither an input nor an output of the reference.

    Source: Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    rows, output_rows = reference["rows"], reference.get("output_rows")
    if alarms is not None:
        _check_ignored(alarms, [*reference["inputs"], *reference["outputs"]])
    inputs = {
        name: measured(facts, rows, counts.inputs[name], None if "edges" in facts else seen_levels(reference, name))
        for name, facts in columns(reference, "inputs").items()
    }
    outputs = {
        name: measured(facts, output_rows, counts.outputs[name])
        for name, facts in columns(reference, "outputs").items()
    }
    every = [measure for moved in (*inputs.values(), *outputs.values()) for measure in moved.measures]
    p_values = [measure.p for measure in every if measure.p is not None]
    adjusted = iter(holm(p_values))
    judged = alarms if alarms is not None and counts.rows >= alarms.fewest_rows else None

    def finished(name: str, moved: Moved) -> Moved:
        moved = moved.adjusted(adjusted)
        told = _told(moved, judged) if judged is not None and name not in judged.ignore else ""
        return replace(moved, alarm=told or None)

    inputs = {name: finished(name, moved) for name, moved in inputs.items()}
    outputs = {name: finished(name, moved) for name, moved in outputs.items()}
    drift = Drift(
        rows=counts.rows,
        reference_rows=rows,
        output_rows=output_rows,
        inputs=inputs,
        outputs=outputs,
        thresholds=alarms,
        tests=len(p_values),
        alarms=(),
        notes=_notes(counts, output_rows, alarms),
        expected={
            name: expected(name, facts, counts.chances[name])
            for name, facts in reference.get("chances", {}).items()
            if name in counts.chances
        },
    )
    return replace(
        drift,
        alarms=tuple(
            f"{name}{' (output)' if kind == 'output' else ''}: {moved.alarm}."
            for kind, name, moved in drift.columns
            if moved.alarm
        ),
    )


def _check_ignored(alarms: Alarms, known: list[str]) -> None:
    for name in alarms.ignore:
        if name not in known:
            raise Refused(
                f"alarms: ignore: drift is not measured of a column {name!r}.{suggestion(name, known)} "
                f"It is of: {listed(known)}."
            )


def _severity(moved: Moved) -> tuple[bool, float, float]:
    gone = abs((moved.missing.now or 0.0) - (moved.missing.then or 0.0))
    beyond = 0.0 if moved.unseen is None else moved.unseen.now or 0.0
    return moved.alarm is None, -(moved.psi or 0.0), -max(gone, beyond)


def _told(moved: Moved, alarms: Alarms) -> str:
    """What of a column passes its threshold and is no chance."""

    def is_significant(measure: Measure) -> bool:
        return measure.adjusted_p is not None and measure.adjusted_p < alarms.significance

    said = []
    if moved.psi is not None and moved.psi > alarms.psi and is_significant(moved.distribution):
        said.append(f"PSI {moved.psi:.2f} ({alarms.psi:g} may be)")
    now, then = moved.missing.now, moved.missing.then
    if now is not None and then is not None and abs(now - then) > alarms.missing and is_significant(moved.missing):
        said.append(f"{_percent(now)} missing, {_percent(then)} in training ({_points(alarms.missing)} apart may be)")
    unseen = moved.unseen
    if unseen is not None and unseen.now is not None and unseen.then is not None:
        beyond = unseen.now - unseen.then
        if beyond > alarms.unseen and is_significant(unseen):
            names = listed([repr(name) for name in moved.new], 3)
            said.append(
                f"{_percent(unseen.now)} of a level that training never had ({_percent(unseen.then + alarms.unseen)} "
                f"may be){': ' + names if moved.new else ''}"
            )
    return "; ".join(said)


def _notes(counts: Counts, output_rows: int | None, alarms: Alarms | None) -> tuple[str, ...]:
    said = []
    if alarms is not None and counts.rows < alarms.fewest_rows:
        few = many(counts.rows, "row was", "rows were")
        said.append(f"{few} scored: with fewer than {alarms.fewest_rows:,} no alarm is raised.")
    if output_rows is None and counts.outputs:
        said.append(
            "The bundle is older than the tests of outputs: they are not tested, and raise no alarm. Train it again."
        )
    counted = [*counts.inputs.items(), *counts.outputs.items()]
    absent = [name for name, each in counted if counts.rows and not each.rows]
    if absent:
        said.append(f"Not among the scored rows, so not compared: {listed(absent)}.")
    return tuple(said)


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _points(share: float) -> str:
    return f"{100 * share:g} points"
