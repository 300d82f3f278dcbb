"""The nouns: what a solution declares, what it may see, what it leaves behind.

Nothing here imports keras, pandas or scikit-learn, so that a domain's `__init__.py` stays instant to import.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, model_validator

from .errors import SolventError

if TYPE_CHECKING:
    import keras
    import numpy as np

    from .schema import Schema
    from .split import Split

__all__ = [
    "CONTRACT_VERSION",
    "Column",
    "Columns",
    "Data",
    "Dataset",
    "Decoder",
    "Figure",
    "Finding",
    "Fitted",
    "Folder",
    "Goal",
    "Marked",
    "Meaning",
    "Output",
    "Refitted",
    "Remote",
    "Sample",
    "Section",
    "Solution",
    "Sums",
    "Texts",
    "Weighted",
    "later",
]

CONTRACT_VERSION = 1

JSON = Any  # whatever json.dumps takes
Table = Any  # a pandas DataFrame; named here so that importing this module imports no pandas
Series = Any  # a pandas Series, likewise
Asset = Any  # Table | np.ndarray | bytes
Score = Callable[[Table], Table]

Kind = Literal["number", "category", "text", "image", "id", "time", "list"]
Role = Literal["feature", "target", "id", "entity", "time", "group", "protected", "weight", "passthrough"]
Type = Literal["float", "integer", "string", "boolean", "bytes", "list", "time"]
Severity = Literal["note", "warning", "refusal"]


class Section(BaseModel):
    """A part of the config: frozen, and it refuses keys that it doesn't know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _over_its_own_defaults(cls, given: Any) -> Any:
        """A part that is given in part keeps the rest of this section's own default, not of the part's type."""
        if not isinstance(given, Mapping):
            return given
        parts = {name: field.default for name, field in cls.model_fields.items() if isinstance(field.default, Section)}
        return {
            key: {**parts[key].model_dump(), **value} if key in parts and isinstance(value, Mapping) else value
            for key, value in given.items()
        }


S = TypeVar("S", bound=Section)


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """How a domain reads image files of a format that Pillow doesn't know. Equal ones decode every file alike.

    Args:
        function: "module:name" of a function of a file's contents and the options: it returns uint8, grey
            `(height, width)` or RGB `(height, width, 3)`; None for contents of another format, which are then read as
            ever; and raises `images.Unreadable` with the reason.
        options: keyword arguments of the function: a JSON object as text, its keys sorted.
        formats: what it reads, for a message: "DICOM".
        method: how, in words that a bundle keeps; they change with the pixels that the function makes.
    """

    function: str
    options: str
    formats: str
    method: str


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column that a solution names: the user maps one of their own columns to it.

    Args:
        role: `feature` for what the model reads; a domain may give its own name to a general role
            (a patient is an `entity`).
        required: whether a missing *cell* fails its row, and a missing column refuses the table. A target that is not
            required is not known for every row, and a missing cell is no mistake; its column may be left out, such as
            the ratings where there are only views.
        scored_only: a table that is scored may have it; training reads it never and needs it nowhere.
        shared: whether many rows may share a text or an image in it, such as the question that they answer: equal ones
            are no copies.
        decoder: of images that Pillow doesn't read.
        open: of a target with classes: rows of one will do to learn from, and later ones may be of any, as where all
            others are told by what they are not.
    """

    name: str
    kind: Kind
    role: Role = "feature"
    required: bool = True
    shared: bool = False
    decoder: Decoder | None = None
    scored_only: bool = False
    open: bool = False
    meaning: str = ""


@dataclass(frozen=True, kw_only=True)
class Output:
    """A column that scoring adds. It has this type also where a part holds nothing but nulls.

    Args:
        each: a target with classes: there is one such column for each class, named `name_class`.
        predicts: a target with classes: the cells are the class that the solution decides for. The confusion table
            counts them.
        adverse: the one of those classes that is to the disadvantage of the person decided on, such as a refusal. The
            report then compares the levels of the protected columns.
        nullable: whether a row that was scored may have nothing here.
        chance_of: a target: the cells are the calibrated probability that it is `positive`, whatever else it may be.
            What a run's decisions may be expected to reach is then told before its labels are known. With `each` it
            holds where the target has two classes.
        positive: the class that `chance_of` speaks of; with `each` the last one.
        decided_by: the output that says whether a row is taken for it: boolean, or holding the class. By default the
            one that predicts the target.
    """

    name: str
    type: Type
    meaning: str = ""
    each: str | None = None
    predicts: str | None = None
    adverse: str | None = None
    nullable: bool = False
    chance_of: str | None = None
    positive: str | None = None
    decided_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What a solution reads and writes.

    Args:
        features: the kinds that the table's other columns may have to be read as features;
            empty where the other columns are of no interest.
        resample: the column whose equal cells intervals draw together, where no role says it: such as a user, of whom
            each fold may have a case. Empty where each case stands for itself.
    """

    inputs: tuple[Column, ...] = ()
    targets: tuple[Column, ...] = ()
    outputs: tuple[Output, ...] = ()
    features: tuple[Kind, ...] = ()
    resample: str = ""


@dataclass(frozen=True)
class Goal:
    """A metric and the direction in which it gets better."""

    metric: str
    higher: bool = True

    def better(self, new: float, old: float | None) -> bool:
        """Whether `new` is strictly better than `old`; anything beats None, and NaN beats nothing."""
        if new != new:
            return False
        return old is None or (new > old if self.higher else new < old)


@dataclass(frozen=True)
class Meaning:
    """What a solution's own metric means, or one of the suite's where it means something else there.

    Args:
        text: in a few words, as the report shows it.
        higher: whether higher is better; None where neither is.
    """

    text: str
    higher: bool | None = None


@dataclass(frozen=True)
class Sums:
    """A metric that is a function of sums over rows: a thousand resamples are one matrix product.

    Args:
        rows: shape `(rows, k)`.
        value: sums `(..., k)` -> values `(...)`.
        shares: the value goes by shares: two columns each, what is counted and of how much. One of 0 or 1 is so in
            every resample, and bounded otherwise (`metrics.estimate`).
    """

    rows: np.ndarray
    value: Callable[[np.ndarray], np.ndarray]
    shares: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Weighted:
    """A metric that is no function of sums, but of how often each row was drawn (AUC, KS).

    Args:
        rows: how many rows it is over.
        value: weights `(resamples, rows)` -> values `(resamples,)`.
        orders: the value says how well two classes are told apart, 1 at best, or is the mean over several such pairs:
            what each row weighs in either class, shape `(rows, 2)`. A perfect order is perfect in every resample, and
            bounded otherwise (`metrics.estimate`).
        worst: the value at worst.
    """

    rows: int
    value: Callable[[np.ndarray], np.ndarray]
    orders: tuple[np.ndarray, ...] = ()
    worst: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What the scan noticed about the data.

    Args:
        name: the word that `data.allow` takes to override a refusal.
        message: what, where, how many.
        cure: what to do about it.
        columns: the user's own names of the columns concerned.
        count: rows (or columns, groups) concerned.
        picture: a PNG that the report shows below the message; bundle.json does not hold it.
    """

    name: str
    severity: Severity
    message: str
    cure: str = ""
    columns: tuple[str, ...] = ()
    count: int = 0
    allowed: bool = False
    picture: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A plot for the report: `draw` gets matplotlib axes in the report's style.

    Args:
        unseen: it compares the model with rows that it has not seen; left out where the scores are out of fold, since
            the kept model has then seen them all.
    """

    title: str
    caption: str
    draw: Callable[[Any], None]
    width: float = 5.0
    height: float = 3.4
    unseen: bool = False


@dataclass(frozen=True, kw_only=True)
class Marked:
    """A text whose pieces speak for or against an answer.

    Args:
        pieces: in their order, joined they are the text; each with a weight in [-1, 1]: above 0 it speaks for the
            answer, below 0 against it, at 0 it is not marked.
        caption: of this text, such as "praise 0.93 · label: blame".
    """

    pieces: tuple[tuple[str, float], ...]
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Texts for the report, marked by what speaks for and against each answer; none of them, and nothing is shown.

    Args:
        unseen: as `Figure` has it.
    """

    title: str
    caption: str
    items: tuple[Marked, ...]
    unseen: bool = False


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Made rows with a known answer, and settings that fit them in seconds.

    Args:
        rows: at least a few hundred rows with targets.
        columns: roles of the rows' columns, as `data.columns` of the config has them.
        floor: a headline that a fit must reach on these rows.
    """

    rows: Table
    settings: Mapping[str, JSON]
    floor: float
    columns: Mapping[str, JSON] = field(default_factory=dict)
    side: Mapping[str, Table] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A file of a public data set.

    Args:
        source: where its sum was taken from.
        sha256, md5: one of them: of the file as it lies at `address`. MD5 tells damage, and no forgery.
    """

    name: str
    address: str
    source: str
    sha256: str = ""
    md5: str = ""


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder of a public data set that no program may download: found by its name, trusted by the sum of its files.

    Args:
        ending: of the files that count, such as ".jpg"; what else lies there is of no interest.
        count: of these files.
        sha256: of their list as `sha256sum` prints it, `SHA256  PATH` in the order of the paths, which are relative
            to the folder; with `source`, where that sum was taken from.
        by_hand: how to get the folder, in sentences.
    """

    name: str
    ending: str
    count: int
    sha256: str
    source: str
    by_hand: str


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Public data that a solution can fetch, or made data that it draws.

    Args:
        files: what to download or to find; empty where nothing is needed, or an installed package carries the data.
        package: the pip package that carries it offline, if one does.
        made: no measurement, but made by the solution's own code; whoever shows it says so.
        read: paths by name -> the table of rows.
        config: the `data` and `settings` parts of a config that trains on it.
    """

    name: str
    summary: str
    licence: str
    home: str
    read: Callable[[Mapping[str, Path]], Table]
    files: tuple[Remote | Folder, ...] = ()
    package: str | None = None
    made: bool = False
    config: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True)
class Data:
    """What a domain may see while fitting: no test row is among it.

    Args:
        side: named side tables of the config.
        work: a folder that survives a kill; `training.fit(..., stage="head")` keeps its checkpoints there.
    """

    train: Table
    valid: Table
    schema: Schema
    side: Mapping[str, Table]
    seed: int
    work: Path


@dataclass(frozen=True)
class Fitted:
    """What training leaves behind.

    Args:
        facts: small and readable; `facts["choices"]` says what was tried on validation rows, and what won;
            `facts["meaning"][MODEL]` what goes in and comes out of a network, by the names that `export` gives them
            ("output_0"): units, range, layout.
        assets: tables, arrays or bytes that scoring needs.
        personal: names of what holds rows or pictures of people: of assets, of files, and `report.html` where its
            figures show some. Where there is any, the scores of the test cases are among them.
        valid: the declared outputs for the cases of the validation rows, by models that had not seen them; needed
            where `fit` refits on these rows (`training.refit`).
        usual: the declared outputs for rows like those that will be scored, by what is left behind; where their
            distribution is another than that of `valid`. The drift of scores is measured from it.
        files: further files for people and other programs; scoring reads none of them. They lie in the bundle's folder
            under their names, and a bundle that is loaded holds none.
        findings: what fitting noticed about the training rows, notes and warnings; the report shows them beside the
            scan's. A bundle that is loaded holds none.
        batch_rows: rows in each call of a model. The last batch is padded, so that no score depends
            on how the input was cut.
        forms: what answers in a model's place, by its name; `Bundle.load` gives the forms of the bundle's accepted
            runtime.
    """

    models: Mapping[str, keras.Model]
    facts: dict[str, JSON] = field(default_factory=dict)
    assets: Mapping[str, Asset] = field(default_factory=dict)
    personal: frozenset[str] = frozenset()
    valid: Table | None = None
    usual: Table | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    batch_rows: int = 1024
    forms: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)

    def predict(self, inputs: Any, model: str = "model") -> Any:
        """Run a model over rows: the one door to inference.

        Args:
            inputs: a tree of arrays with one leading axis of rows, or an iterator of such trees.

        Returns:
            A tree of float32 arrays, one leading axis of as many rows.
        """
        from . import runtime

        return runtime.predict(self.models[model], inputs, self.batch_rows, self.forms.get(model))


@dataclass(frozen=True)
class Refitted:
    """A rival that was fitted on the validation rows too once it was chosen.

    Args:
        score: of the refitted model.
        valid: what its forerunners, which had not seen them, made of the cases of the validation rows.
    """

    score: Score
    valid: Table


class Later:
    """A function that is imported on its first call. Made by `later`."""

    def __init__(self, path: str) -> None:
        module, _, name = path.partition(":")
        if not module or not name.isidentifier():
            raise ValueError(f"later({path!r}): expected 'package.module:function'.")
        self.path, self.module, self.name = path, module, name
        self._function: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if self._function is None:
            self._function = getattr(importlib.import_module(self.module), self.name, None)
        if self._function is None:
            raise SolventError(f"later({self.path!r}): the module {self.module} has no {self.name}. Correct the name.")
        return self._function(*arguments, **options)

    def __repr__(self) -> str:
        return self.path


def later(path: str) -> Any:
    """Name a function without importing its module: `later("package.module:function")`."""
    return Later(path)


def _all_rows(settings: Section, rows: Table, *fitted: Fitted) -> Table:
    return rows


def _all_of_it(settings: Section, fitted: Fitted, rows: Table) -> Fitted:
    return fitted


def _nothing(*_: Any) -> list[Any]:
    return []


def _none(*_: Any) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Solution(Generic[S]):
    """One vertical: its settings, its columns and a few functions. Table in, table out.

    Args:
        outside: a hash of each thing that training takes beside tables and settings, such as pretrained weights, by the
            setting that names it. It is called before any row is read and refuses what can't be had; a training that
            was killed goes on with the same things only.
        notice: what is said beside every intended use, such as that this is no medical device. A solution that has one
            demands that the config states `intended_use`.
        joins: whether all rows of an entity share one score: batch scoring then writes a row for each entity, which is
            known by the entity alone; what passes through is that of its first row.
        cases: settings, rows with targets -> those to score and to measure by, such as one for each user. After these
            two it gets what each training left that is measured on new rows, two where they are compared: what one of
            them knows already is no case; nothing for validation rows, which a model has seen that was refitted.
        truth: the settings that the headline's truth depends on, such as a cap or the good labels: two bundles
            are compared only where they agree in these.
        near_copies: how severe it is that texts or images on both sides of the split are nearly the same.
        scorer: its function gives the declared outputs; `error` where a row could not be scored, and why; `note` where
            it was, and something is worth a word, such as an id that nobody knows: the manifest counts equal ones;
            `context` true where a row was read for other rows' sake and gets no answer, such as earlier rows of a
            machine's series: all its outputs are null, it is counted and neither measured nor published.
        recalibrate: facts that were set by validation rows and promise something of scores, such as an operating point,
            set anew by the same rows for another form of the network (`optimize`), which `Fitted.predict` then asks.
            It gets all validation rows with their targets.
        forget: what training left, without what it remembers of some rows themselves, such as what a user is known to
            have had by them: a model that was refitted on validation rows can then be asked for their answers
            (`optimize`). What its networks learnt stays.
        slices: by a name, the level that each test case belongs to, same index, missing where it is in none. The
            headline is also measured in each level: those of a categorical in its order, others sorted.
        rivals: by their names; or a function of the settings that gives them, where they are others for other settings.
        meanings: by a metric's name, without its "@", what it means; of metrics that are not named it is the suite's.
    """

    name: str
    summary: str
    settings: type[S]
    columns: Callable[[S], Columns]
    split: Split
    headline: Callable[[S], Goal]
    fit: Callable[[S, Data], Fitted]
    scorer: Callable[[S, Fitted], Score]
    rivals: Mapping[str, Callable[[S, Data], Score | Refitted]] | Callable[[S], Mapping[str, Callable[..., Any]]]
    metrics: Callable[[S, Table, Table], Mapping[str, float | Sums | Weighted]]
    sample: Callable[[int], Sample]
    cases: Callable[..., Table] = _all_rows
    outside: Callable[[S], Mapping[str, str]] = _none
    notice: str = ""
    joins: bool = False
    truth: Sequence[str] = ()
    near_copies: Severity = "note"
    checks: Callable[[S, Table], list[Finding]] = _nothing
    recalibrate: Callable[[S, Fitted, Schema, Table], Mapping[str, JSON]] = _none
    forget: Callable[[S, Fitted, Table], Fitted] = _all_of_it
    slices: Callable[[S, Fitted, Table], Mapping[str, Series]] = _none
    meanings: Mapping[str, Meaning] = field(default_factory=dict)
    figures: Callable[[S, Fitted, Table, Table], Iterable[Figure | Texts]] = _nothing
    explain: Callable[[S, Fitted, Table], Table] | None = None
    datasets: Sequence[Dataset] = ()
    contract_version: int = CONTRACT_VERSION

    def rivals_of(self, settings: S) -> Mapping[str, Callable[[S, Data], Score | Refitted]]:
        """The rivals of a training with these settings."""
        return self.rivals(settings) if callable(self.rivals) else self.rivals
