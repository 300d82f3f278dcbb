"""The templates of the pages, and the words that they may use as filters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2

__all__ = ["environment"]


def environment(*words: Callable[..., Any]) -> jinja2.Environment:
    """A jinja environment that escapes all, refuses unknown names, and knows each word by its name as a filter."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {word.__name__: word for word in words}
    return made
