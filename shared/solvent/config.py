"""One YAML file becomes one `Run`; everything that is wrong with it is said at once."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from . import documents, stores
from .devices import Device
from .documents import Place
from .errors import Refused
from .registry import find
from .solution import JSON, Section, Solution
from .split import Split
from .tables import Source
from .wording import listed, suggestion

__all__ = ["DataPart", "Run", "load"]


class DataPart(Section):
    """The `data` part of a config: where the rows are, what their columns mean, how they are cut.

    Args:
        rows: one table that is cut by `split`; or `train`, `valid`, `test` each on its own.
        max_bad: the share of rows that may be set aside because a cell of theirs can't be read.
        allow: names of findings that would refuse the data, and that you have looked at.
    """

    rows: Source | None = None
    train: Source | None = None
    valid: Source | None = None
    test: Source | None = None
    split: Split | None = None
    side: dict[str, Source] = Field(default_factory=dict)
    columns: dict[str, JSON] = Field(default_factory=dict)
    max_bad: float = Field(0.01, ge=0, le=1)
    allow: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """A config that has been read and checked.

    Args:
        given: the config as it was written; secrets stand in it as ${NAME}.
        base: the folder that its paths are relative to.
    """

    solution: Solution[Any]
    name: str
    data: DataPart
    device: Device
    settings: Any
    intended_use: str | None
    given: Mapping[str, JSON]
    base: Path
    file: str

    def with_settings(self, changes: Mapping[str, JSON]) -> Run:
        """The same run with some settings replaced, checked again."""
        given = {**self.given, "settings": {**(self.given.get("settings") or {}), **changes}}
        return replace(load(given, base=self.base), file=self.file)


PARTS = ("solution", "data", "device", "settings", "intended_use")


def load(config: str | Path | Mapping[str, JSON], *, changes: Sequence[str] = (), base: Path | None = None) -> Run:
    """Read a config.

    Args:
        config: a YAML file's path, or what it would hold.
        changes: `a.b=c` each, as `--set` takes them; c is read as YAML.
        base: the folder that paths are relative to; the file's own, or the current one.

    Raises:
        Refused: with everything that is wrong, each with its path in the file and the cure.
    """
    lines: dict[Place, int] = {}
    if isinstance(config, Mapping):
        given, file = copy.deepcopy(dict(config)), "config"
        base = base or Path()
    else:
        path = Path(config)
        hint = "A solution's README shows one; `solvent demo` writes one."
        given, lines = documents.read(path, kind="config", keys=PARTS, hint=hint)
        file, base = path.name, base or path.parent
    changed = {_change(given, change) for change in changes}
    problems: list[tuple[float, str]] = []

    def say(place: Place, message: str) -> None:
        above = [place[:end] for end in range(len(place), 0, -1)]
        line = next((lines[part] for part in above if part in lines), None)
        where = "--set" if changed.intersection(above) else f"{file}{f' line {line}' if line else ''}"
        problems.append((line or math.inf, f"{where}, {'.'.join(map(str, place))}: {message}"))

    for key in given:
        if key not in PARTS:
            say((key,), documents.unknown(key, PARTS))
    solution = _solution(given, say)
    parts: dict[str, Any] = {}
    types: dict[str, Any] = {"data": DataPart, "device": Device}
    if solution is not None:
        types["settings"] = solution.settings
    for part, kind in types.items():
        content = {} if given.get(part) is None else given[part]
        try:
            parts[part] = TypeAdapter(kind).validate_python(content)
        except ValidationError as error:
            for place, message in documents.messages(error, content, kind):
                say((part, *place), message)
    if "data" in parts:
        for place, message in _sources(parts["data"], base, solution):
            say(("data", *place), message)
    use = given.get("intended_use")
    if use is not None and not isinstance(use, str):
        say(("intended_use",), f"expected a text (found {documents.shown(use)}).")
    if solution is not None and solution.notice and (use is None or (isinstance(use, str) and not use.strip(". \n"))):
        say(
            ("intended_use",),
            f"is missing. State for what, for whom and on whose images this is meant: {solution.name} is for "
            f"{solution.notice}.",
        )
    if problems or solution is None:
        raise Refused("\n".join(message for _, message in sorted(problems, key=lambda problem: problem[0])))
    return Run(
        solution=solution,
        name=given["solution"],
        data=parts["data"],
        device=parts["device"],
        settings=parts["settings"],
        intended_use=f"{use.rstrip('. ')}. {solution.notice[:1].upper()}{solution.notice[1:]}."
        if use and solution.notice
        else use,
        given=given,
        base=base,
        file=file,
    )


def _solution(given: Mapping[str, JSON], say: Any) -> Solution[Any] | None:
    name = given.get("solution")
    if name is None:
        say(("solution",), "is missing. Name one: `solvent list` shows them.")
    elif not isinstance(name, str):
        say(("solution",), f"expected a name (found {documents.shown(name)}). `solvent list` shows them.")
    else:
        try:
            return find(name)
        except Refused as error:
            say(("solution",), str(error))
    return None


# Tables


def _sources(data: DataPart, base: Path, solution: Solution[Any] | None) -> Iterator[tuple[Place, str]]:
    """What is wrong with the tables that a config names, without reading one."""
    apart = [name for name in ("train", "valid", "test") if getattr(data, name) is not None]
    if data.rows is None and data.train is None:
        yield ("rows",), "no rows to train on. Give rows: (one table, which is cut), or train: (and valid:, test:)."
    elif data.rows is not None and apart:
        yield ("rows",), f"stands beside {listed(f'{name}:' for name in apart)}. Give one table, or the parts apart."
    elif data.train is not None and data.valid is not None and data.split is not None:
        yield ("split",), "train: and valid: are given, so nothing is left to split. Leave it out."
    elif data.rows is None and data.split is not None and data.split.folds is not None:
        yield ("split", "folds"), "folds cut one table. Give rows: in place of train:, or leave folds out."
    elif data.split is not None and data.split.fractions[1] == 0 and data.split.by != "column":
        yield ("split", "fractions"), "without validation rows nothing can be chosen, such as [0.8, 0.2, 0] leaves."
    for place, source in _named(data):
        if source.path is not None and not stores.is_address(source.path):  # reading says what is wrong there
            path = base / Path(source.path).expanduser()
            if not path.exists():
                beside = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
                yield (
                    place,
                    f"there is no file or folder {path}.{suggestion(path.name, beside)} "
                    "A relative path starts from the config's folder.",
                )
        if source.dataset is not None and solution is not None:
            known = [item.name for item in solution.datasets]
            if source.dataset not in known:
                yield (
                    (*place, "dataset"),
                    f"{solution.name} knows no data set {source.dataset!r}.{suggestion(source.dataset, known)} "
                    f"Known: {listed(known)}.",
                )


def _named(data: DataPart) -> Iterator[tuple[Place, Source]]:
    for name in ("rows", "train", "valid", "test"):
        if (source := getattr(data, name)) is not None:
            yield (name,), source
    for name, source in data.side.items():
        yield ("side", name), source


# YAML


def _change(given: dict[str, Any], change: str) -> Place:
    """Replace one value, and give its place."""
    path, sign, text = change.partition("=")
    if not sign or not all(path.split(".")):
        raise Refused(f"--set {change!r}: expected a.b=value, as in --set settings.training.epochs=5.")
    *folders, last = path.split(".")
    place = given
    for folder in folders:
        if place.get(folder) is None:
            place[folder] = {}
        place = place[folder]
        if not isinstance(place, dict):
            raise Refused(f"--set {change!r}: {folder} holds a value, not keys.")
    try:
        place[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Refused(f"--set {change!r}: {text!r} is not YAML: {documents.problem(error)}") from error
    return (*folders, last)
