"""One YAML file becomes one `Run`; everything that is wrong with it is said at once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from .devices import Device
from .errors import Refused
from .solution import JSON, Section, Solution, find
from .split import Split
from .tables import Source

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
        given = {**self.given, "settings": {**self.given.get("settings", {}), **changes}}
        return replace(load(given, base=self.base), file=self.file)


PARTS = {"solution", "data", "device", "settings", "intended_use"}


def load(config: str | Path | Mapping[str, JSON], *, changes: Sequence[str] = (), base: Path | None = None) -> Run:
    """Read a config.

    Args:
        config: a YAML file's path, or what it would hold.
        changes: `a.b=c` each, as `--set` takes them; c is read as YAML.
        base: the folder that paths are relative to; the file's own, or the current one.

    Raises:
        Refused: with everything that is wrong, each with its path in the file and the cure.
    """
    if isinstance(config, Mapping):
        given, lines, file = dict(config), {}, "config"
        base = base or Path()
    else:
        path = Path(config)
        given, lines = _read(path)
        file, base = path.name, base or path.parent
    for change in changes:
        _change(given, change)
    problems: list[str] = []

    def say(place: Sequence[str | int], message: str) -> None:
        line = next((lines[key] for end in range(len(place), 0, -1) if (key := tuple(place[:end])) in lines), None)
        where = ".".join(map(str, place))
        problems.append(f"{file}{f' line {line}' if line else ''}, {where}: {message}")

    for key in set(given) - PARTS:
        say([str(key)], _unknown(str(key), PARTS))
    solution: Solution[Any] | None = None
    if not isinstance(given.get("solution"), str):
        say(["solution"], "is missing. Name one: solvent list shows them.")
    else:
        try:
            solution = find(given["solution"])
        except Refused as error:
            say(["solution"], str(error))
    parts: dict[str, Any] = {}
    types: dict[str, Any] = {"data": DataPart, "device": Device}
    if solution is not None:
        types["settings"] = solution.settings
    for part, kind in types.items():
        try:
            parts[part] = TypeAdapter(kind).validate_python(given.get(part) or {})
        except ValidationError as error:
            for item in error.errors():
                say([part, *_place(item["loc"])], _message(dict(item), kind))
    if "data" in parts:
        for place, message in _sources(parts["data"], base):
            say(["data", *place], message)
    use = given.get("intended_use")
    if use is not None and not isinstance(use, str):
        say(["intended_use"], f"{use!r} is not a text.")
    if problems or solution is None:
        raise Refused("\n".join(problems))
    return Run(
        solution=solution,
        name=given["solution"],
        data=parts["data"],
        device=parts["device"],
        settings=parts["settings"],
        intended_use=use,
        given=given,
        base=base,
        file=file,
    )


def _sources(data: DataPart, base: Path) -> list[tuple[list[str], str]]:
    """What is wrong with the tables that a config names."""
    wrong: list[tuple[list[str], str]] = []
    if (data.rows is None) == (data.train is None):
        wrong.append((["rows"], "give either rows: (one table, which is cut) or train: (and valid:, test:)."))
    if data.rows is not None and (data.valid is not None or data.test is not None):
        wrong.append((["rows"], "stands beside valid: or test:. Write train: instead of rows:."))
    named = {"rows": data.rows, "train": data.train, "valid": data.valid, "test": data.test}
    places = [([name], source) for name, source in named.items() if source is not None]
    places += [(["side", name], source) for name, source in data.side.items()]
    for place, source in places:
        if source.path is not None and not (base / source.path).exists():
            near = difflib.get_close_matches(Path(source.path).name, _names((base / source.path).parent), 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            wrong.append((place, f"there is no file {base / source.path}.{hint} Paths are relative to the config."))
    return wrong


def _names(folder: Path) -> list[str]:
    return [item.name for item in folder.iterdir()] if folder.is_dir() else []


def _read(path: Path) -> tuple[dict[str, Any], dict[tuple[str | int, ...], int]]:
    if not path.is_file():
        raise Refused(f"There is no config file {path}. A solution's README shows one; `solvent demo` writes one.")
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = dict(_lines(node, ()))
        given = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise Refused(f"{path.name}: byte {error.start} is not UTF-8. Save the config as UTF-8.") from error
    except yaml.YAMLError as error:
        raise Refused(f"{path.name} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(given, dict):
        raise Refused(
            f"{path.name}: expected the keys {', '.join(sorted(PARTS))} at the top, found {type(given).__name__}."
        )
    return given, lines


def _lines(node: Any, place: tuple[str | int, ...]) -> list[tuple[tuple[str | int, ...], int]]:
    """The line of every key, and a refusal of keys that stand twice."""
    found: list[tuple[tuple[str | int, ...], int]] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                raise yaml.YAMLError(f"line {line}: the key {key.value!r} stands twice")
            seen.add(key.value)
            here = (*place, key.value)
            found += [(here, line), *_lines(value, here)]
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            found += _lines(value, (*place, index))
    return found


def _change(given: dict[str, Any], change: str) -> None:
    path, sign, text = change.partition("=")
    if not sign or not path:
        raise Refused(f"--set {change!r}: expected a.b=value, as in --set settings.training.epochs=5.")
    *folders, last = path.split(".")
    place = given
    for folder in folders:
        place = place.setdefault(folder, {})
        if not isinstance(place, dict):
            raise Refused(f"--set {change!r}: {folder} holds a value, not keys.")
    try:
        place[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Refused(f"--set {change!r}: {text!r} is not YAML: {' '.join(str(error).split())}") from error


def _place(location: tuple[str | int, ...]) -> list[str | int]:
    # pydantic puts the tried type of a union into the location, as in ('rows', 'Source', 'path')
    return [item for item in location if isinstance(item, int) or not ("[" in item or item[:1].isupper())]


def _message(item: dict[str, Any], kind: type) -> str:
    if item["type"] == "extra_forbidden":
        place = _place(item["loc"])
        return _unknown(str(place[-1]), _keys(kind, place[:-1]))
    if item["type"] == "missing":
        return "is missing."
    text = str(item["msg"]).removeprefix("Value error, ")
    return f"{text[0].lower()}{text[1:]} (found {item['input']!r})."


def _keys(kind: Any, place: Sequence[str | int]) -> set[str]:
    """The keys that a section inside a part knows."""
    for key in place:
        fields = getattr(kind, "model_fields", {})
        if key not in fields:
            return set()
        kind = _section(fields[key].annotation)
    return set(getattr(kind, "model_fields", {}))


def _section(annotation: Any) -> Any:
    """The section among the types of an annotation such as `Split | None`."""
    options = [annotation, *getattr(annotation, "__args__", ())]
    return next((option for option in options if hasattr(option, "model_fields")), None)


def _unknown(key: str, known: set[str]) -> str:
    near = difflib.get_close_matches(key, known, 1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"unknown key.{hint} Known: {', '.join(sorted(known))}."
