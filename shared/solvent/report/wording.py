"""Numbers, intervals and names as the page and the model card write them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

__all__ = [
    "MINUS",
    "NOTHING",
    "count",
    "decimals",
    "duration",
    "estimate",
    "finite",
    "humane",
    "interval",
    "moment",
    "number",
    "percent",
    "plain",
    "share",
    "shorten",
    "signed",
    "tally",
    "tied",
]

NOTHING = "–"
MINUS = "\u2212"
_SPACE = "\u00a0"
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]+")

_ACRONYMS = {"cpus": "CPUs", "gpus": "GPUs", "sha256": "SHA-256", "id": "ID"}


def finite(value: Any) -> float | None:
    """The value as a float, or None if it is no finite number."""
    if value is None or isinstance(value, bool | str):
        return None
    try:
        result = float(value)
    except (TypeError, ValueError):
        return None
    return result if math.isfinite(result) else None


def decimals(value: float, significant: int = 3) -> int:
    """Decimals that show `value` to so many significant digits, between 0 and 6."""
    if value == 0:
        return significant - 1
    return min(6, max(0, significant - 1 - math.floor(math.log10(abs(value)))))


def _fixed(value: float, places: int, sign: bool = False) -> str:
    text = f"{value:+,.{places}f}" if sign else f"{value:,.{places}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def number(value: Any, significant: int = 3) -> str:
    """A number to so many significant digits; all digits before the point are kept."""
    known = finite(value)
    if known is None:
        return NOTHING
    if known != 0 and (abs(known) < 1e-5 or abs(known) >= 1e12):
        return f"{known:.{significant - 1}e}".replace("-", MINUS)
    return _fixed(known, decimals(known, significant))


def count(value: Any) -> str:
    """A whole number with thousands apart."""
    known = finite(value)
    return NOTHING if known is None else _fixed(known, 0)


def tally(value: Any) -> str:
    """A count of rows, or with one decimal the sum of their weights, which is a float."""
    return _fixed(value, 1) if isinstance(value, float) else count(value)


def percent(share: Any) -> str:
    """A share in 0..1 as a percentage."""
    known = finite(share)
    if known is None:
        return NOTHING
    hundred = 100 * known
    places = 0 if known in (0, 1) else 2 if abs(hundred) < 1 or 99 < abs(hundred) < 100 else 1
    return _fixed(hundred, places) + _SPACE + "%"


def share(part: Any, whole: Any) -> str:
    """`part` of `whole` as a percentage."""
    top, bottom = finite(part), finite(whole)
    return NOTHING if top is None or not bottom else percent(top / bottom)


def _places(found: Mapping[str, Any], difference: bool) -> int:
    known = [
        item for item in map(finite, (found.get("value"), found.get("low"), found.get("high"))) if item is not None
    ]
    if not known:
        return 2
    if not difference:
        return decimals(known[0])
    places = decimals(max(known, key=abs), 2)
    # A bound that is not zero must not read as zero: the verdict hangs on its sign.
    for item in known:
        while item != 0 and places < 8 and round(item, places) == 0:
            places += 1
    return places


def estimate(found: Mapping[str, Any] | None) -> str:
    """The value of {"value", "low", "high"}, to three significant digits."""
    value = finite((found or {}).get("value"))
    return NOTHING if found is None or value is None else _fixed(value, _places(found, False))


def interval(found: Mapping[str, Any] | None, difference: bool = False) -> str:
    """`low to high` with the decimals of the value, or an empty string where there is no interval."""
    low, high = finite((found or {}).get("low")), finite((found or {}).get("high"))
    if found is None or low is None or high is None:
        return ""
    places = _places(found, difference)
    return f"{_fixed(low, places, difference)} to {_fixed(high, places, difference)}"


def signed(found: Mapping[str, Any] | None) -> str:
    """A difference with its sign."""
    value = finite((found or {}).get("value"))
    return NOTHING if found is None or value is None else _fixed(value, _places(found, True), sign=True)


def shorten(text: Any, longest: int = 60) -> str:
    """A user's string on one line, without characters that can't be seen, cut in its middle if it is long."""
    line = _UNSEEN.sub(" ", str(text)).strip()
    if len(line) <= longest:
        return line
    tail = (longest - 1) // 3
    return f"{line[: longest - 1 - tail]}…{line[len(line) - tail :]}"


def duration(seconds: Any) -> str:
    """Seconds as seconds, minutes or hours, whichever reads best."""
    known = finite(seconds)
    if known is None:
        return NOTHING
    for most, size, unit in ((120, 1, "s"), (7200, 60, "min"), (math.inf, 3600, "h")):
        if abs(known) < most:
            return f"{known / size:.3g}{_SPACE}{unit}"
    return NOTHING


def humane(name: Any) -> str:
    """A key of a mapping as words: `chosen_on` -> `Chosen on`."""
    words = _ACRONYMS.get(name) or shorten(name, 80).replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _short(value: float) -> str:
    """A number as a person would write it: four digits, and no zeros that say nothing."""
    if not math.isfinite(value):
        return NOTHING
    if 10_000 <= abs(value) < 1e12:
        return count(value)
    return f"{value:.4g}".replace("-", MINUS)


def tied(text: str) -> str:
    """No line breaks between a number and its percent sign."""
    return re.sub(r"(?<=\d) %", f"{_SPACE}%", text)


def plain(value: Any, longest: int = 200) -> str:
    """Any JSON value as one readable line."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value) if abs(value) >= 10_000 else str(value).replace("-", MINUS)
    if isinstance(value, float):
        return _short(value)
    if isinstance(value, Mapping):
        return shorten("; ".join(f"{shorten(key)}: {plain(item)}" for key, item in value.items()) or NOTHING, longest)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return shorten(", ".join(plain(item) for item in value) or NOTHING, longest)
    return shorten(value if isinstance(value, str) else json.dumps(value, default=str), longest) or NOTHING


def moment(text: Any) -> str:
    """An ISO time as `23 November 2026, 10:40 UTC`; anything else as it is."""
    try:
        when = datetime.fromisoformat(str(text))
    except ValueError:
        return plain(text)
    if when.tzinfo is None:
        return f"{when.day} {when:%B %Y, %H:%M}"
    when = when.astimezone(UTC)
    return f"{when.day} {when:%B %Y, %H:%M} UTC"
