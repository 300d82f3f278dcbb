"""Ending well: after the part under way, once the system or the clock asks for it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Why", "asked", "listening", "timed_out"]

Why = Callable[[bool], str | None]
_terminated = threading.Event()
_out_of_time = threading.Event()


def asked() -> bool:
    """Whether this process was told to end (SIGTERM) while it scored."""
    return _terminated.is_set()


def timed_out() -> bool:
    """Whether the last scoring ended because of its limit of time."""
    return _out_of_time.is_set()


@contextmanager
def listening(max_minutes: float | None) -> Iterator[Why]:
    """Give a function that says why scoring has to end now, or None. SIGTERM ends nothing at once within the block.

    Python gives signals to the main thread alone: in another one only the clock is heard. The function is told whether
    a part is done: the clock lets each attempt do one, so that attempts come to an end.
    """
    started = time.monotonic()
    _out_of_time.clear()

    def why(done: bool) -> str | None:
        if asked():
            return "SIGTERM"
        if done and max_minutes is not None and time.monotonic() - started >= 60 * max_minutes:
            _out_of_time.set()
            return f"the limit of {max_minutes:g} minutes"
        return None

    if threading.current_thread() is not threading.main_thread():
        yield why
        return

    def note(*_: Any) -> None:
        _terminated.set()

    _terminated.clear()
    before = signal.signal(signal.SIGTERM, note)
    try:
        yield why
    finally:
        signal.signal(signal.SIGTERM, before)
