"""`{date}` in the texts of a job: the day of a run, or days before it, in a format of digits and separators."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from ..errors import Refused

__all__ = ["comes_again", "day_of", "mistakes", "named", "rendered"]

# Nothing but digits and separators can come of it, so that it is safe in paths and in SQL.
DATE = re.compile(r"\{date(-\d{1,4})?(?::((?:%[YmdjVGu]|[-_/.])+))?\}")
ALIKE = re.compile(r"\{\s*date(?!\w)[^{}]*\}?", re.IGNORECASE)
EARLIEST = 1950  # {date-9999} is then still a year of four digits


def day_of(text: str) -> date:
    """Read YYYY-MM-DD.

    Raises:
        Refused: if it is no day, or one before 1950.
    """
    try:
        day = date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII) else None
    except ValueError:
        day = None
    if day is None or day.year < EARLIEST:
        raise Refused(f"{text!r} is no day. Expected YYYY-MM-DD, such as 2026-01-31, from {EARLIEST} on.")
    return day


def rendered(value: Any, day: date) -> Any:
    """The value with every `{date}` in its texts replaced; other braces are left alone."""
    if isinstance(value, str):
        return DATE.sub(lambda found: _written(found, day), value)
    if isinstance(value, Mapping):
        return {key: rendered(each, day) for key, each in value.items()}
    return [rendered(each, day) for each in value] if isinstance(value, list | tuple) else value


def named(value: Any) -> bool:
    """Whether a text of the value names `{date}`."""
    return any(DATE.search(text) for _, text in _texts(value, ()))


def comes_again(text: str, days: Sequence[date]) -> tuple[date, date] | None:
    """Two of the days that give one text though a day between them gives another: the first such two, or None."""
    last: dict[str, date] = {}
    before = ""
    for day in days:
        written = str(rendered(text, day))
        if written != before and written in last:
            return last[written], day
        last[written], before = day, written
    return None


def mistakes(value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where a text looks as if it named the date, but in no form that is known."""
    for place, text in _texts(value, ()):
        for found in ALIKE.finditer(text):
            if not DATE.fullmatch(found[0]):
                yield (
                    place,
                    f"{found[0]!r} is no date. Expected {{date}}, {{date-1}} for the day before, or {{date:%Y%m%d}}, "
                    "with nothing but %Y %m %d %j %V %G %u and - _ / . behind the colon.",
                )


def _written(found: re.Match[str], day: date) -> str:
    back, form = found.groups()
    return (day + timedelta(days=int(back or 0))).strftime(form or "%Y-%m-%d")


def _texts(value: Any, place: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _texts(each, (*place, key))
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from _texts(each, (*place, index))
