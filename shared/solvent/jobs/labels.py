"""Labels that arrive later: joined by id to what earlier runs published, and held beside what was expected of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import fetched, stores
from ..drift.expected import MEASURES
from ..errors import Refused, SolventError
from ..score.publish import MANIFEST, Destination
from ..score.remote import RUNS
from ..solution import JSON
from ..wording import listed, suggestion
from . import history
from .job import Job, JobFile, planned

if TYPE_CHECKING:
    import pandas as pd

    from ..drift.expected import Expected

__all__ = ["Labelled", "join"]

GONE = "its scores are no longer there: replaced or removed. Name {date} in the sink, or raise keep"


@dataclass(frozen=True)
class Labelled:
    """What labels say of one run.

    Args:
        rows: that it scored.
        outputs: by name `labelled`, how many rows have a label; `expected` and `realised` of these, by metric, and
            `outside`, the metrics whose realised value is not in the expected interval. Empty where none has a label.
        problem: why the run can't be joined, or "".
    """

    job: str
    day: date
    rows: int
    outputs: Mapping[str, JSON]
    problem: str = ""

    @property
    def sentence(self) -> str:
        if self.problem or not self.outputs:
            return f"{self.job} {self.day}: {self.problem or 'none of its rows has a label'}"
        said = []
        for name, found in self.outputs.items():
            values = []
            for measure in ("auc", "accuracy", "rate"):
                value, expected = found["realised"][measure], found["expected"][measure]
                if value is not None and expected["low"] is not None:
                    outside = ", outside" if measure in found["outside"] else ""
                    values.append(
                        f"{measure} {value:.3f} (expected {expected['low']:.3f} to {expected['high']:.3f}{outside})"
                    )
            said.append(
                f"{name}: {found['labelled']:,} of {self.rows:,} rows; {', '.join(values) or 'too few to judge'}"
            )
        return f"{self.job} {self.day}: {'; '.join(said)}"

    def to_json(self) -> dict[str, JSON]:
        return {
            "job": self.job,
            "date": self.day.isoformat(),
            "rows": self.rows,
            "outputs": dict(self.outputs),
            "problem": self.problem or None,
        }


def join(file: JobFile, table: pd.DataFrame, name: str) -> list[Labelled]:
    """Join labels to every run of the file's jobs that is still on the disk, and enter what they say in the history.

    Args:
        table: the columns that tell a job's rows apart, and the target, all under the user's own names. A row without
            a label says nothing.
        name: of the table, for messages.

    Raises:
        Refused: if a column is missing, a label is none of the target's, an id has two labels, or no run is there to be
            joined to.
        SolventError: if the history can't be read or written.
    """
    found = [each for job in file.jobs for each in _of_job(file, job, table, name)]
    if not found:
        raise Refused(
            f"No run of {file.path.name} is known of which anything was expected. That needs a bundle with a "
            "calibrated probability and test rows, and a run since: solvent job run."
        )
    return found


def _of_job(file: JobFile, name: str, table: pd.DataFrame, label: str) -> Iterator[Labelled]:
    for day, identity in history.runs(file, name).items():
        published = _published(file.jobs[name], day, file.base, identity)
        if isinstance(published, str):
            yield Labelled(name, day, 0, {}, published)
            continue
        folder, manifest = published
        outputs = {
            output: said
            for output, facts in manifest["drift"]["expected"].items()
            if (said := _said(output, facts, _joined(output, facts, folder, manifest, table, label))) is not None
        }
        if outputs:
            history.enter_labels(file, name, day, identity, outputs)
        yield Labelled(name, day, manifest["rows_scored"], outputs)


def _published(job: Job, day: date, base: Path, identity: str) -> tuple[Path, dict[str, JSON]] | str:
    """The folder of a run's files and its manifest; or why there is none."""
    sink = planned(job, day, base).sink
    if sink.path is None:
        return "its scores lie in a database's table; labels are joined to files only"
    if stores.is_address(sink.path):
        return _of_store(sink.path, identity)
    destination = Destination(Path(sink.path))
    earlier = [each / MANIFEST for each in destination.runs.glob(f"{identity}*")]
    for path in (destination.manifest, *earlier):
        try:
            manifest: dict[str, JSON] = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            raise SolventError(f"{path} can't be read: {error}.") from error
        if manifest.get("identity") == identity:
            return path.parent, manifest
    return GONE


def _of_store(address: str, identity: str) -> tuple[Path, dict[str, JSON]] | str:
    """The same of an output in an object store."""
    if Destination(Path(address)).form != "folder":
        return "its scores are one object of a store; labels are joined to a folder there, or to files here"
    runs = {name.rpartition("/")[0] for name in stores.below(address) if name.startswith(f"{RUNS}/{identity}-")}
    for run in sorted(run for run in runs if run.count("/") == 1):
        folder = fetched.fetched(stores.join(address.rstrip("/"), run))
        if (folder / MANIFEST).is_file():
            return folder, json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return GONE


def _joined(
    output: str, facts: Mapping[str, JSON], folder: Path, manifest: Mapping[str, JSON], table: pd.DataFrame, label: str
) -> pd.DataFrame:
    """Rows that have a label: `truth` (boolean), the probability, the decision."""
    import pandas as pd

    from .. import tables
    from ..schema import kinds

    ids: list[str] = manifest["ids"]
    target, decided_by = str(facts["target"]), str(facts["decided_by"])
    if not ids:
        raise Refused(f"{folder}: the scores have no id to be joined by. Name one in the job: ids: [COLUMN].")
    for name in (*ids, target):
        if name not in table:
            raise Refused(
                f"{label} has no column {name!r}.{suggestion(name, [*map(str, table)])} Expected the ids and the "
                f"target as the scored tables name them: {listed([*ids, target])}."
            )
    truth = kinds.read(table[target], "category").values
    levels = facts.get("levels")  # a run of an earlier release has written none
    if levels and (strange := sorted(set(truth.dropna()) - set(levels))):
        raise Refused(
            f"{label}: {target} is {listed(map(repr, strange))}, which the model does not know."
            f"{suggestion(strange[0], levels)} Expected {listed(map(repr, levels))}, spelled as in training, or a "
            "blank where there is no label."
        )
    known = _keys(table[truth.notna().to_numpy()], ids).assign(truth=(truth.dropna() == facts["positive"]).to_numpy())
    known = known.drop_duplicates()
    if (twice := known.duplicated(ids)).any():
        raise Refused(f"{label}: {known.loc[twice, ids].iloc[0].tolist()} has two labels. Leave one of them.")
    types = {each["name"]: each["type"] for each in manifest["columns"]}
    wanted = [*ids, output, decided_by]
    scores = pd.concat([tables.read(str(folder / each["name"]))[wanted] for each in manifest["parts"]])
    decision = scores[decided_by]
    if types[decided_by] == "bool":  # a text in CSV
        decision = decision.astype("str").str.lower() == "true"
    rows = _keys(scores, ids).assign(
        **{output: kinds.read(scores[output], "number").values.to_numpy(), decided_by: decision.to_numpy()}
    )
    return rows.merge(known, on=list(ids), validate="many_to_one")


def _keys(table: pd.DataFrame, ids: Sequence[str]) -> pd.DataFrame:
    """The ids as texts, each cell read in one way whichever file it came from."""
    import pandas as pd

    from ..schema import kinds

    return pd.DataFrame({name: kinds.read(table[name], "category").values.to_numpy() for name in ids})


def _said(output: str, facts: Mapping[str, JSON], rows: pd.DataFrame) -> dict[str, Any] | None:
    """What was expected of the rows, and what their labels say; None where there are none."""
    from ..drift.chances import ChanceCounts, decided
    from ..drift.expected import expected
    from ..metrics import binary, point

    rows = rows[rows[output].notna() & rows[facts["decided_by"]].notna()]
    if rows.empty:
        return None
    before: Expected = expected(output, facts, ChanceCounts.of(facts, rows, output))
    truth = rows["truth"].to_numpy(float)
    taken = decided(rows[str(facts["decided_by"])], facts["positive"]).astype(float)
    measured = binary(truth, rows[output].to_numpy(float), taken)
    realised = {name: point(measured[name]) for name in MEASURES if name in measured} | {"rate": float(truth.mean())}
    shown = {name: None if value != value else value for name, value in realised.items()}
    return {
        "labelled": len(rows),
        "expected": before.measures,
        "realised": shown,
        "outside": [
            name
            for name, value in shown.items()
            if value is not None
            and before.measures[name]["low"] is not None
            and not before.measures[name]["low"] <= value <= before.measures[name]["high"]  # type: ignore[operator]
        ],
    }
