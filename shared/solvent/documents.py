"""A YAML file that a user wrote: read whole, with the line of each key; and what is wrong with it, in its own words."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from .errors import Refused
from .wording import listed, suggestion

__all__ = ["Place", "messages", "problem", "read", "shown", "unknown"]

Place = tuple[str | int, ...]
MOST_BYTES, MOST_NODES = 1_000_000, 100_000
MERGE, TEXT = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:str"


def read(path: Path, *, kind: str, keys: Sequence[str], hint: str = "") -> tuple[dict[str, Any], dict[Place, int]]:
    """Read a file whose top is a mapping.

    Args:
        kind: what messages call it, such as "config".
        keys: that its top may have.
        hint: where one is to be had.

    Returns:
        Its content, and the line of each key.

    Raises:
        Refused: if it isn't there, or is no such file; the message says where.
    """
    if not path.is_file():
        beside = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        raise Refused(f"There is no {kind} file {path}.{suggestion(path.name, beside)}{hint and f' {hint}'}")
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise Refused(f"{path.name} is larger than 1 MB, so it is no {kind} file.")
    try:
        text = data.decode("utf-8")
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if _written_out(node, {}) > MOST_NODES:
            raise Refused(f"{path.name}: its anchors repeat one another without end. Write them out.")
        lines = dict(_lines(node, ()))
        _name_keys_as_written(node, set())
        given = loader.construct_document(node) if node is not None else None
        content = json.dumps(given, ensure_ascii=False, default=str)
        if "\\u0000" in content or content.encode("utf-8", "replace").decode() != content:
            raise Refused(
                f"{path.name}: a text holds a character that no path or name may have, such as \\0. Remove it."
            )
    except UnicodeDecodeError as error:
        raise Refused(f"{path.name}: byte {error.start + 1} is not UTF-8. Save the {kind} as UTF-8.") from error
    except yaml.YAMLError as error:
        raise Refused(f"{path.name} is not YAML: {problem(error)}") from error
    except (ValueError, ArithmeticError, LookupError, AttributeError, TypeError, RecursionError) as error:
        # what PyYAML raises for absurd numbers, dates, tags and depths
        said = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise Refused(f"{path.name} is not YAML: {said}.") from error
    if not isinstance(given, dict):
        found = "nothing" if given is None else f"a {type(given).__name__}"
        raise Refused(f"{path.name}: expected the keys {listed(keys)} at the top, found {found}.")
    return given, lines


def _written_out(node: Any, known: dict[int, float]) -> float:
    """How many values a document holds once its anchors are written out; a few lines can make billions."""
    if id(node) not in known:
        known[id(node)] = math.inf  # where it holds itself
        children = node.value if isinstance(node, yaml.CollectionNode) else []
        parts = (part for child in children for part in (child if isinstance(child, tuple) else (child,)))
        known[id(node)] = 1 + sum(_written_out(part, known) for part in parts)
    return known[id(node)]


def _name_keys_as_written(node: Any, seen: set[int]) -> None:
    """Keys are texts: YAML 1.1 takes `on` for true."""
    if not isinstance(node, yaml.CollectionNode) or id(node) in seen:
        return
    seen.add(id(node))
    for child in node.value:
        key, value = child if isinstance(child, tuple) else (None, child)
        if isinstance(key, yaml.ScalarNode) and key.tag != MERGE:
            key.tag = TEXT
        _name_keys_as_written(value, seen)


def problem(error: yaml.YAMLError) -> str:
    """Where and what, in one line, without the excerpt that YAML's own message has."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        said = "; ".join(filter(None, (error.context, error.problem)))
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {said}."
    return " ".join(str(error).split())


def _lines(node: Any, place: Place) -> Iterator[tuple[Place, int]]:
    """The line of every key; a key that stands twice is no YAML, though PyYAML takes the last one silently.

    Anchors can make a document that holds itself, so places end at a depth that no config has.
    """
    if len(place) > 20:
        return
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line = key.start_mark.line + 1
            if key.value in seen:
                raise yaml.YAMLError(
                    f"line {line}: the key {key.value!r} stands in line {seen[key.value]} already. Remove one of them."
                )
            seen[key.value] = line
            yield (*place, key.value), line
            yield from _lines(value, (*place, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _lines(value, (*place, index))


# What pydantic found, in the config's own words


EXPECTED = {  # by pydantic's word for the error, where its own sentence speaks of Python
    **dict.fromkeys(("model_type", "dict_type", "mapping_type"), "expected keys with values"),
    **dict.fromkeys(("list_type", "tuple_type"), "expected a list"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "expected a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "expected a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "expected true or false"),
    "string_type": "expected a text; yes, no, true and numbers need quotes to be one",
}


def messages(error: ValidationError, content: Any, kind: Any) -> Iterator[tuple[Place, str]]:
    """A message for each place; what the types of a union say about one value is one message."""
    expected: dict[Place, list[str]] = {}
    inputs: dict[Place, Any] = {}
    kinds: dict[Place, set[str]] = {}
    for item in error.errors():
        place = _place(item["loc"], content, missing=item["type"] == "missing")
        if item["type"] == "extra_forbidden":
            yield place, unknown(place[-1], _keys(kind, place[:-1]))
        elif item["type"] == "missing":
            yield place, "is missing."
        else:
            expected.setdefault(place, []).append(_expected(item))
            inputs[place] = item["input"]
            kinds.setdefault(place, set()).add(item["type"])
    for place, texts in expected.items():
        joined = " or ".join([texts[0], *(text.removeprefix("expected ") for text in texts[1:])])
        found = f"found {shown(inputs[place])}{_as_share(inputs[place], joined)}"
        # what a rule between several keys says, a value that is cut makes no clearer
        whole = isinstance(inputs[place], Mapping) and kinds[place] == {"value_error"} and found.endswith("...")
        yield place, f"{joined}." if whole or found in joined else f"{joined} ({found})."


def _as_share(value: Any, expected: str) -> str:
    """How a share is written that was given in percent."""
    is_share = re.search(r"less than (or equal to )?1$", expected) is not None
    return (
        f"; {value:g} % is {value / 100:g}" if is_share and isinstance(value, int | float) and 1 < value <= 100 else ""
    )


def _expected(item: ErrorDetails) -> str:
    if item["type"] == "string_type" and isinstance(item["input"], (list, tuple)):
        return "expected one text, not a list"
    if item["type"] in EXPECTED:
        return EXPECTED[item["type"]]
    if item["type"] == "too_short":
        return f"expected {item['ctx']['min_length']} or more items"
    return item["msg"].removeprefix("Value error, ").replace("Input should be", "expected").rstrip(".")


def _place(location: Place, content: Any, *, missing: bool) -> Place:
    """The location in the config; pydantic also puts the tried type of a union into it."""
    place: list[str | int] = []
    for number, item in enumerate(location):
        in_list = isinstance(content, (list, tuple)) and isinstance(item, int) and item < len(content)
        if in_list or (isinstance(content, Mapping) and item in content):
            content = content[item]
            place.append(item)
        elif missing and number == len(location) - 1:
            place.append(item)
    return tuple(place)


def shown(value: Any) -> str:
    """A value in a message: short, and without the password or the signature of an address."""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    text = re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", text)
    text = re.sub(r"(?i)([?&][^=&\s]*(?:sig|token|secret|credential)[^=&\s]*=)[^&\s]+", r"\1***", text)
    return f"{text[:57]}..." if len(text) > 60 else repr(text) if isinstance(value, str) else text


def _keys(kind: Any, place: Place) -> list[str]:
    """The keys that a section inside a part knows."""
    for key in place:
        fields = getattr(kind, "model_fields", {})
        if isinstance(key, int) or key not in fields:
            continue  # an item of a list or a mapping has the section that stands in its type
        kind = _section(fields[key].annotation)
    return list(getattr(kind, "model_fields", {}))


def _section(annotation: Any) -> Any:
    """The section in a type such as `Split | None` or `dict[str, Source]`."""
    if hasattr(annotation, "model_fields"):
        return annotation
    if get_origin(annotation) is Literal:
        return None
    return next((found for each in get_args(annotation) if (found := _section(each)) is not None), None)


def unknown(key: Any, known: Sequence[str]) -> str:
    return f"unknown key.{suggestion(str(key), known)} Known: {listed(known)}."
