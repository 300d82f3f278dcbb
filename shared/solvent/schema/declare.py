"""Who is who: the config's `data.columns`, the solution's columns and the table's header become fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError, model_validator

from ..errors import Refused
from ..solution import JSON, Columns, Kind, Role, Section
from ..tables import BAD_ROW
from ..wording import listed, suggestion
from .field import Field

__all__ = ["declared_fields"]

SINGLE: dict[Role, Kind | None] = {"id": "id", "entity": "id", "group": "id", "time": None, "weight": "number"}
SEVERAL = ("protected", "passthrough", "ignore")
KEPT: tuple[Role, ...] = ("protected", "passthrough")
OWN_NAMES = ("row", "reasons", *SINGLE)  # what the check adds to bad rows; a role that a column does not have


class Declared(Section):
    """What a config says about one of the user's columns."""

    kind: Kind | None = None
    unit: str | None = None
    range: tuple[float, float] | None = None
    codes: tuple[float | str, ...] = ()
    meaning: str = ""
    required: bool | None = None

    @model_validator(mode="after")
    def _low_first(self) -> Declared:
        if self.range and not self.range[0] <= self.range[1]:
            raise ValueError("range: expected [low, high]")
        return self


class Declaration:
    """`data.columns`, understood: which column has which role, and what is said about it.

    Args:
        single: a role or a solution's name -> the user's column.
        several: protected, passthrough, ignore -> the user's columns.
        described: the user's column -> its kind, unit, ...
        misplaced: roles and names whose column the table lacks; a problem says so already.
        problems: all that is wrong, a sentence each.
    """

    def __init__(self, columns: Columns, declared: Mapping[str, JSON], names: Sequence[str], table: str) -> None:
        self.single: dict[str, str] = {}
        self.several: dict[str, list[str]] = {role: [] for role in SEVERAL}
        self.described: dict[str, Declared] = {}
        self.misplaced: set[str] = set()
        self.problems: list[str] = []
        self._names, self._table = names, table
        self._solution = [*columns.inputs, *columns.targets]
        for key, value in declared.items():
            self._take(str(key), value)
        self._refuse_two_roles()

    def _take(self, key: str, value: JSON) -> None:
        if value is None:
            return
        if isinstance(value, Mapping):
            self._describe(key, value)
        elif key in SEVERAL:
            listed_columns = value if isinstance(value, list | tuple) else [value]
            self.several[key] = [str(name) for name in listed_columns if self._is_there(key, str(name))]
        elif isinstance(value, list | tuple):
            self.problems.append(f"columns.{key}: expected one column, got {len(value)}.")
        elif role := self._role(key):
            later = any(column.name == role and column.scored_only for column in self._solution)
            if later or self._is_there(key, str(value)):
                self.single[role] = str(value)
            else:
                self.misplaced.add(role)

    def _role(self, key: str) -> str | None:
        """The name inside the house: a solution's column, the only one that has this role, or a general role."""
        named = [column.name for column in self._solution]
        if key in named:
            return key
        with_role = [column.name for column in self._solution if column.role == key]
        if len(with_role) == 1:
            return with_role[0]
        if key in SINGLE:
            return key
        known = [*named, *(role for role in (*SINGLE, *SEVERAL) if role not in named)]
        self.problems.append(
            f"columns.{key}: {key!r} is neither a role nor a column that this solution names."
            f"{suggestion(key, known)} Known: {listed(known)}."
        )
        return None

    def _is_there(self, key: str, name: str) -> bool:
        if name not in self._names:
            self.problems.append(
                f"columns.{key}: {self._table} has no column {name!r}.{suggestion(name, self._names)} "
                f"Its columns: {listed(self._names)}."
            )
        return name in self._names

    def _describe(self, name: str, value: Mapping[str, Any]) -> None:
        if self._is_there(name, name):
            try:
                self.described[name] = Declared.model_validate(value)
            except ValidationError as error:
                self.problems += [
                    f"columns.{'.'.join(map(str, (name, *each['loc'])))}: {each['msg']}." for each in error.errors()
                ]

    def _refuse_two_roles(self) -> None:
        roles: dict[str, list[str]] = {}
        for role, name in self.single.items():
            roles.setdefault(name, []).append(role)
        for role, several in self.several.items():
            for name in several:
                roles.setdefault(name, []).append(role)
        self.problems += [
            f"columns: {name!r} has the roles {' and '.join(both)}; a column has one. Copy it under another name."
            for name, both in roles.items()
            if len(both) > 1
        ]


def declared_fields(
    columns: Columns, declared: Mapping[str, JSON], names: Sequence[str], table: str
) -> tuple[tuple[Field, ...], tuple[tuple[str, str], ...]]:
    """The fields of a table in the order of its columns, and its ignored columns with the reason.

    Raises:
        Refused: with every problem at once.
    """
    names = [str(name) for name in names if name != BAD_ROW]
    said = Declaration(columns, declared, names, table)
    found = _solutions_fields(columns, said, names, table) + _fields_with_a_role(columns, said)
    taken = {field.source for field in found}
    ignored = [(name, "the config says so") for name in said.several["ignore"]]
    others = [name for name in names if name not in taken and name not in said.several["ignore"]]
    house = {field.name for field in found} | set(OWN_NAMES)
    if columns.features:
        features = (Field(name=_house_name(name, house), source=name, role="feature") for name in others)
        found += [_described(field, said) for field in features]
    else:
        ignored += [(name, "this solution reads only the columns that it names") for name in others]
    if said.problems:
        raise Refused("data.columns can't be used:\n" + "\n".join(f"- {problem}" for problem in said.problems))
    there = {name: place for place, name in enumerate(names)}
    return tuple(sorted(found, key=lambda field: there.get(field.source, len(names)))), tuple(ignored)


def _solutions_fields(columns: Columns, said: Declaration, names: Sequence[str], table: str) -> list[Field]:
    found = []
    roles = {source: role for role, source in said.single.items()}
    roles |= {source: role for role in SEVERAL for source in said.several[role]}
    for column in (*columns.inputs, *columns.targets):
        target = column in columns.targets
        source = said.single.get(column.name, column.name)
        if column.name not in said.single and source in roles:  # what is protected or ignored is never read by its name
            if column.required:
                said.problems.append(
                    f"columns.{roles[source]}: this solution reads {source!r} as {column.name}; a column has one role. "
                    f"Name another for it: columns: {{{column.name}: YOUR_COLUMN}}."
                )
        elif source in names or column.scored_only:
            field = Field(
                name=column.name,
                source=source,
                role="target" if target and column.role == "feature" else column.role,
                kind=column.kind,
                required=column.required,
                shared=column.shared,
                decoder=column.decoder,
                scored_only=column.scored_only,
                open=column.open,
                named=True,
                meaning=column.meaning,
            )
            found.append(_described(field, said))
        elif column.required and column.name not in said.misplaced:
            said.problems.append(
                f"{table} has no column {source!r} for {column.name} ({column.meaning or column.kind})."
                f"{suggestion(source, names)} Name yours: columns: {{{column.name}: YOUR_COLUMN}}. "
                f"Its columns: {listed(names)}."
            )
    return found


def _fields_with_a_role(columns: Columns, said: Declaration) -> list[Field]:
    named = {column.name for column in (*columns.inputs, *columns.targets)}
    found = [
        Field(name=role, source=said.single[role], role=role, kind=kind, required=role in ("id", "entity"))
        for role, kind in SINGLE.items()
        if role in said.single and role not in named
    ]
    taken = {*named, *(field.name for field in found), *OWN_NAMES}
    found += [
        Field(name=_house_name(name, taken), source=name, role=role) for role in KEPT for name in said.several[role]
    ]
    return [_described(field, said) for field in found]


def _house_name(name: str, taken: set[str]) -> str:
    return f"column {name}" if name in taken else name


def _described(field: Field, said: Declaration) -> Field:
    """The field with what the config says about its column."""
    about = said.described.get(field.source)
    if about is None:
        return field
    if field.kind and about.kind and about.kind != field.kind:
        said.problems.append(
            f"columns.{field.source}.kind: {field.name} is read as {field.kind}, not as {about.kind}. Leave it out."
        )
    return replace(
        field,
        kind=field.kind or about.kind,
        required=field.required if about.required is None else about.required,
        unit=about.unit,
        meaning=about.meaning or field.meaning,
        allowed=about.range,
        codes=about.codes,
    )
