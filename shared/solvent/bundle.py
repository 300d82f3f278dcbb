"""The folder that training leaves, and all that later steps read: whole or absent, no pickle, checked on loading."""

from __future__ import annotations

import importlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from . import promises, startup
from .errors import Refused, SolventError
from .fetched import local, named
from .files import sha256, sync_folder
from .precision import float32
from .record import plain
from .registry import find
from .runtime import TENSORFLOW, forms
from .schema import Checked, Schema
from .solution import JSON, Asset, Fitted, Later, Output, Score, Solution, Table
from .tables import Source
from .wording import listed, suggestion

if TYPE_CHECKING:
    import keras

__all__ = ["Bundle", "save"]

log = logging.getLogger("solvent")
FORMAT = 1
SUMS = "SHA256SUMS"


@dataclass(frozen=True, repr=False)
class Bundle:
    """A trained solution that scores alone, without its training data.

    Args:
        facts: what bundle.json holds; its `runtime` is the one that scores here, None for TensorFlow.
        reference: the distributions of inputs and scores in training; see `drift.reference`.
        sha256: of the list of checksums: it changes with any file of the bundle.
    """

    path: Path
    solution: Solution[Any]
    settings: Any
    fitted: Fitted
    schema: Schema
    facts: dict[str, JSON]
    reference: dict[str, JSON]
    sha256: str

    @classmethod
    def load(cls, path: str | Path, runtime: str | None = None) -> Bundle:
        """Load a bundle and check every file against its checksum.

        Args:
            path: its folder, or its address in an object store, such as `s3://models/credit`: it is fetched once.
            runtime: `tensorflow`, to score as the model was trained; else the one that `solvent optimize` has accepted.

        Raises:
            Refused: if it is no bundle, is damaged, or needs a solution, a newer version, a package or a processor
                that is not there.
        """
        startup.tensorflow()
        with named():
            return cls._load(path, runtime)

    @classmethod
    def _load(cls, path: str | Path, runtime: str | None) -> Bundle:
        folder = local(path).resolve()  # a link may be turned to another bundle while this one scores
        total = _verify(folder)
        facts = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
        if facts["format"] > FORMAT:
            raise Refused(
                f"{folder} has format {facts['format']}; this solvent reads up to {FORMAT}. Update solvent-suite."
            )
        facts["runtime"] = forms.chosen(facts, runtime, str(path))
        solution = find(facts["target"])
        try:
            settings = solution.settings(**facts["settings"])
        except ValidationError as error:
            wrong = ", ".join(".".join(map(str, item["loc"])) for item in error.errors())
            raise Refused(
                f"{folder} was made by a {facts['solution']} with other settings than the installed one: {wrong}. "
                f"Install the version that made it ({facts['versions']}), or train again."
            ) from error
        for function in (solution.fit, solution.scorer):
            if isinstance(function, Later):  # its module registers the Keras classes that the models are made of
                importlib.import_module(function.module)
        if facts["personal"]:
            log.warning("%s holds rows or pictures of people in: %s.", folder, ", ".join(facts["personal"]))
        models = {name: _load_model(folder / "models" / f"{name}.keras") for name in facts["models"]}
        fitted = Fitted(
            models=models,
            facts={**facts["facts"], **(facts["runtime"] or {}).get("facts", {})},  # what its promises need set anew
            assets={file.stem: _load_asset(file) for file in sorted((folder / "assets").glob("*"))},
            personal=frozenset(facts["personal"]),
            batch_rows=facts["batch_rows"],
            forms=forms.load(folder / forms.FOLDER, facts["runtime"], models),
        )
        schema = Schema.from_json(facts["schema"])
        reference = json.loads((folder / "reference.json").read_text(encoding="utf-8"))
        return cls(folder, solution, settings, fitted, schema, facts, reference, total)

    def __repr__(self) -> str:
        return f"Bundle({str(self.path)!r}: {self.headline})"

    def __reduce__(self) -> tuple[Any, ...]:
        """For another process a bundle is the folder that it is loaded from, and how it scores here."""
        return _again, (self.path, (self.facts["runtime"] or {}).get("name", TENSORFLOW), self.settings, self.sha256)

    def has_changed(self) -> bool:
        """Whether the folder holds another bundle by now than the one that was loaded."""
        try:
            return sha256(self.path / SUMS) != self.sha256
        except FileNotFoundError:
            return True

    def with_scoring(self, changes: Mapping[str, JSON]) -> Bundle:
        """The bundle with other values of its settings' part `scoring`, the one that a job may replace.

        Raises:
            Refused: for a key or a value that the part doesn't take.
        """
        given = self.settings.model_dump()
        if "scoring" not in given:
            raise Refused(f"{self.path} can't score otherwise: {self.solution.name} has no settings `scoring`.")
        try:
            settings = type(self.settings)(**{**given, "scoring": {**given["scoring"], **changes}})
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
            known = listed(type(self.settings.scoring).model_fields) or "none"
            raise Refused(f"{self.path} can't score so: {wrong}. Known values of scoring: {known}.") from error
        return replace(self, settings=settings)

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        """The columns that scoring adds."""
        return tuple(Output(**item) for item in self.facts["outputs"])

    @property
    def joins(self) -> bool:
        """Whether batch scoring writes one row for each entity."""
        return self.solution.joins

    @property
    def headline(self) -> str:
        """The headline on the test rows with its interval, beside the baseline's, in one line."""
        from .report import headline_sentence

        return headline_sentence(self.facts)

    @property
    def verdict(self) -> str:
        """Whether the model is worth it beside the baseline, in one sentence."""
        from .report.verdict import verdict

        return verdict(self.facts).sentence

    def source(self, given: Any) -> Source:
        """Where a table comes from, read as the training table was, in what is not named: with its decimal sign, and
        with its names for the columns of a folder of images, and by which files are images."""
        source = Source.of(given)
        columns = {
            "image": [field for field in self.schema.features if field.kind == "image"],
            # to score, the folders at the top may well be the patients or machines
            "label": self.schema.by_role("entity") or self.schema.targets,
            "id": self.schema.by_role("id"),
        }
        known: dict[str, JSON] = {name: fields[0].source for name, fields in columns.items() if fields}
        known["every"] = any(field.decoder is not None for field in columns["image"])
        known["decimal"] = self.facts["data"].get("decimal", ".")
        return source.model_copy(update={key: known[key] for key in set(known) - source.model_fields_set})

    def scorer(self, side: Mapping[str, Table] | None = None) -> Score:
        """Make the function that scores checked rows; do this once a process.

        Args:
            side: side tables that replace the assets of their names.

        Raises:
            Refused: if there is no asset of such a name.
        """
        side = dict(side or {})
        if unknown := sorted(set(side) - set(self.fitted.assets)):
            given = self.facts["config"]["data"].get("side") or {}
            raise Refused(
                f"The bundle has no side table {unknown[0]!r} to replace.{suggestion(unknown[0], self.fitted.assets)} "
                f"It has: {listed(name for name in given if name in self.fitted.assets)}."
            )
        fitted = replace(self.fitted, assets={**self.fitted.assets, **side})
        made = self.solution.scorer(self.settings, fitted)
        return promises.checked_score(self.solution.scorer, made, self.outputs)

    @cached_property
    def _score(self) -> Score:
        return self.scorer()

    def score(self, frame: Table, folder: str | Path = "") -> Table:
        """Score a table of the user's own columns.

        Args:
            folder: what relative paths of images in its cells start from; the current folder.

        Returns:
            One row for each row of `frame`, with its index: the declared outputs, and `error` where a row
            could not be scored; `context` too, where some rows were read for others' sake only.

        Raises:
            Refused: if a column is missing.
        """
        checked = self._checked(frame, folder)
        errors = checked.bad["reasons"] if len(checked.bad) else None
        parts = [self._score(checked.good), promises.empty(self.outputs, checked.bad.index, errors)]
        scored = pd.concat([part for part in parts if len(part)] or parts[:1]).sort_index()
        if promises.CONTEXT in scored and scored[promises.CONTEXT].dtype == object:  # bad rows are no context
            scored[promises.CONTEXT] = scored[promises.CONTEXT].eq(True)
        return scored.set_axis(frame.index)

    def explain(self, frame: Table, folder: str | Path = "") -> Table:
        """Say of each row of a table of the user's own columns why it is scored as it is.

        Args:
            folder: what relative paths of images in its cells start from; the current folder.

        Returns:
            One row for each row of `frame`, with its index: what the solution's `explain` gives, and `error` where a
            row could not be read; `context` too, where some rows were read for others' sake only.

        Raises:
            Refused: if a column is missing, or the solution has no `explain`.
        """
        function = self.solution.explain
        if function is None:
            raise Refused(
                f"{self.solution.name} does not explain its scores beyond what it says of each row: "
                f"{listed(output.name for output in self.outputs)}. Score the table instead: solvent score."
            )
        checked = self._checked(frame, folder)
        found = function(self.settings, self.fitted, checked.good)
        explained = promises.checked_explained(function, found, checked.good).reindex(range(len(frame)))
        if len(checked.bad):
            explained.loc[checked.bad.index, promises.ERROR] = checked.bad["reasons"]
        if promises.CONTEXT in explained:  # bad rows are none
            explained[promises.CONTEXT] = explained[promises.CONTEXT].eq(True).fillna(False).astype(bool)
        return explained.set_axis(frame.index)

    def _checked(self, frame: Table, folder: str | Path) -> Checked:
        """The rows of a table of the user's own columns, numbered from 0, the good ones and the bad ones."""
        renamed = self.schema.rename(frame, table_name="the table", targets=False, folder=Path(folder))
        return self.schema.check(renamed.reset_index(drop=True), targets=False)


def _again(path: Path, runtime: str, settings: Any, sha256: str) -> Bundle:
    """A bundle of another process, loaded here."""
    loaded = Bundle.load(path, runtime)
    if loaded.sha256 != sha256:
        raise SolventError(f"{path} was changed meanwhile. Try again.")
    return replace(loaded, settings=settings)


def save(
    path: Path,
    *,
    fitted: Fitted,
    facts: Mapping[str, JSON],
    texts: Mapping[str, str],
    tables: Mapping[str, Table],
) -> None:
    """Write a bundle: into a temporary folder first, so that `path` is a whole bundle or absent.

    Args:
        fitted: as `as_saved` gives it.
        facts: bundle.json.
        texts: further files by name, such as report.html.
        tables: further Parquet files by name, such as test_scores.parquet.

    Raises:
        Refused: if something that is no bundle is there already.
    """
    refuse_to_replace(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    (temporary / "models").mkdir(parents=True)
    (temporary / "assets").mkdir()
    for name, model in fitted.models.items():
        model.save(temporary / "models" / f"{name}.keras")
    for name, asset in fitted.assets.items():
        _save_asset(temporary / "assets", name, asset)
    text = json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False)
    for name, content in {**texts, "bundle.json": text}.items():
        (temporary / name).write_text(content, encoding="utf-8")
    for name, table in tables.items():
        table.to_parquet(temporary / name, index=False)
    for name, data in fitted.files.items():
        (temporary / name).write_bytes(data)
    _publish(temporary, path)


def save_runtime(bundle: Bundle, record: JSON, made: Path) -> None:
    """Replace the runtime of a bundle on the disk: by a new folder, so that there is a whole bundle at any time.

    Args:
        record: what bundle.json says of it; None for TensorFlow.
        made: the folder whose files become the bundle's `runtime/`.

    Raises:
        SolventError: if the bundle was changed since it was loaded.
    """
    path = bundle.path.resolve()
    if bundle.has_changed():
        raise SolventError(f"{bundle.path} was changed meanwhile. It is left as it is now; try again.")
    temporary = _temporary(path)
    shutil.copytree(path, temporary, ignore=lambda folder, _: [forms.FOLDER] if Path(folder) == path else [])
    if any(made.iterdir()):
        shutil.copytree(made, temporary / forms.FOLDER)
    text = json.dumps({**bundle.facts, "runtime": record}, indent=1, ensure_ascii=False, allow_nan=False)
    (temporary / "bundle.json").write_text(text, encoding="utf-8")
    (temporary / SUMS).unlink()
    _publish(temporary, path)


def _temporary(path: Path) -> Path:
    """A name beside a bundle's, with nothing there."""
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    return temporary


def _publish(temporary: Path, path: Path) -> None:
    """Write the checksums of a folder, and put it in the place of the bundle at `path`."""
    files = sorted(file for file in temporary.rglob("*") if file.is_file())
    lines = [f"{sha256(file)}  {file.relative_to(temporary).as_posix()}\n" for file in files]
    (temporary / SUMS).write_text("".join(lines), encoding="utf-8")
    for file in [*files, temporary / SUMS]:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    old = path.parent / f".{path.name}.{os.getpid()}.old"
    if path.exists():
        path.rename(old)
    temporary.rename(path)
    sync_folder(path.parent)
    for left in path.parent.glob(f".{path.name}.*"):
        if left.suffix in (".tmp", ".old"):  # also those of a save that was killed
            shutil.rmtree(left, ignore_errors=True)


def as_saved(fitted: Fitted) -> Fitted:
    """What a bundle gives back of what training left: so that what is measured is what will score."""
    return replace(
        fitted, models={name: float32(model) for name, model in fitted.models.items()}, facts=plain(fitted.facts)
    )


def refuse_to_replace(path: Path) -> None:
    """Raise Refused if `path` is taken by something that is no bundle."""
    if path.exists() and not (path / SUMS).is_file() and (path.is_file() or any(path.iterdir())):
        raise Refused(f"{path} is already there and is no bundle. Name another --out, or move it away.")


def _verify(folder: Path) -> str:
    """Compare every file with its checksum; give the sha256 of the list."""
    if not (folder / SUMS).is_file():
        what = "has no SHA256SUMS" if folder.is_dir() else "is not there"
        raise Refused(f"{folder} is no bundle: it {what}. Give the folder that `solvent train --out` made.")
    listed = {}
    for line in (folder / SUMS).read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    present = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()} - {SUMS}
    damaged = sorted(name for name in set(listed) & present if sha256(folder / name) != listed[name])
    lost, strange = sorted(set(listed) - present), sorted(present - set(listed))
    if damaged or lost or strange or "bundle.json" not in listed:
        wrong = {"changed": damaged, "missing": lost, "not listed": strange}
        says = [f"{what}: {', '.join(names)}" for what, names in wrong.items() if names]
        raise Refused(f"{folder} is damaged ({'; '.join(says) or 'no bundle.json'}). Copy it again, or train again.")
    return sha256(folder / SUMS)


def _load_model(path: Path) -> keras.Model:
    import keras

    return keras.saving.load_model(path, compile=False, safe_mode=True)


def _save_asset(folder: Path, name: str, asset: Asset) -> None:
    if isinstance(asset, pd.DataFrame):
        asset.to_parquet(folder / f"{name}.parquet")
    elif isinstance(asset, np.ndarray):
        np.save(folder / f"{name}.npy", asset, allow_pickle=False)
    else:
        (folder / f"{name}.bin").write_bytes(asset)


def _load_asset(path: Path) -> Asset:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    if path.suffix == ".npy":
        return np.load(path, mmap_mode="r", allow_pickle=False)
    return path.read_bytes()
