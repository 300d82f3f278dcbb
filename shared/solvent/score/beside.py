"""Reading and writing beside scoring: one item ahead, one item behind, each in a thread of its own, in order.

pyarrow and the database drivers let other threads run while they read and write. Whatever fails in a thread is raised
where its item is asked for, or where the next one is given; no thread outlives its block.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

__all__ = ["ahead", "behind"]

T = TypeVar("T")


@contextmanager
def ahead(items: Generator[T, None, None]) -> Iterator[Iterator[T]]:
    """Give the items; the next one is made in a thread while this one is used.

    All of the generator runs in that one thread, its end too: a database's connection may be tied to it.
    """

    def given() -> Iterator[T]:
        following = thread.submit(next, items, None)
        while (item := following.result()) is not None:
            following = thread.submit(next, items, None)
            yield item

    with ThreadPoolExecutor(1, thread_name_prefix="read") as thread:
        try:
            yield given()
        finally:
            thread.submit(items.close)


@contextmanager
def behind(work: Callable[[T], Any]) -> Iterator[Callable[[T], None]]:
    """Give a function that has `work` done on an item in a thread, while the next one is made.

    It waits until the item before is done, so that no more than one is held.
    """
    pending: list[Future[Any]] = []

    def give(item: T) -> None:
        while pending:
            pending.pop().result()
        pending.append(thread.submit(work, item))

    with ThreadPoolExecutor(1, thread_name_prefix="write") as thread:
        yield give
        while pending:
            pending.pop().result()
