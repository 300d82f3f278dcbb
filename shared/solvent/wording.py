"""How messages name and count things: the nearest known name, lists, counts."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["listed", "many", "suggestion"]


def suggestion(name: str, known: Iterable[str]) -> str:
    """ " Did you mean 'income'?" with its leading space, or nothing where no known name is near."""
    by_lower_case = {item.lower(): item for item in known}
    near = get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.6)
    return f" Did you mean {by_lower_case[near[0]]!r}?" if near else ""


def listed(names: Iterable[str], most: int = 20) -> str:
    """Names in one line; a long list is cut, and says by how many."""
    every = [str(name) for name in names]
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return (", ".join(every[:most]) or "none") + more


def many(count: int, one: str, several: str = "") -> str:
    """Such as "1 row", "2,000 rows"."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"
