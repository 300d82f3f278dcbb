"""How long work shows itself: a bar on a terminal, plain log lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from .logs import as_json

__all__ = ["Bar", "bar"]

log = logging.getLogger("solvent")
SECONDS_BETWEEN_LINES = 10.0


class Bar:
    """Counts steps; made by `bar`."""

    def __init__(self, total: int | None, what: str, start: int) -> None:
        self.total, self.what, self.done = total, what, start
        self._said = time.monotonic()
        drawn = sys.stderr.isatty() and not as_json()
        self._tqdm = tqdm(total=total, desc=what, initial=start, leave=False) if drawn else None

    def note(self, note: str) -> None:
        """Say how far the step is that is under way."""
        self.step(note, count=0)

    def step(self, note: str = "", count: int = 1) -> None:
        """Say that `count` more steps are done."""
        self.done += count
        if self._tqdm is not None:
            self._tqdm.set_postfix_str(note, refresh=False)
            self._tqdm.update(count)
        elif time.monotonic() - self._said >= SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            total = f" of {self.total:,}" if self.total else ""
            log.info("%s: %s%s%s", self.what, f"{self.done:,}", total, note and f", {note}")

    def close(self) -> None:
        if self._tqdm is not None:
            self._tqdm.close()


@contextmanager
def bar(total: int | None, what: str, start: int = 0) -> Iterator[Bar]:
    """Show the progress of `total` steps of `what`."""
    shown = Bar(total, what, start)
    try:
        yield shown
    finally:
        shown.close()
