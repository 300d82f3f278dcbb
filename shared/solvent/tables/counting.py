"""How many rows files have, about, without reading them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import parquet
from .opening import KINDS, inner, is_compressed

__all__ = ["rows"]

SAMPLE = 1 << 20  # bytes


def rows(paths: Sequence[Path]) -> int | None:
    """How many rows the files of a source have; None where one is compressed.

    Raises:
        SolventError, OSError: if a file can't be read.
    """
    kind = KINDS.get(inner(paths[0]))
    if kind is None:  # images
        return len(paths)
    if kind == "Parquet":
        return sum(map(parquet.row_count, paths))
    if any(map(is_compressed, paths)):
        return None
    headers = kind == "CSV"
    sample, most = paths[0], SAMPLE
    for path in paths:  # the first one may be empty
        if path.stat().st_size:
            sample = path
            break
    with sample.open("rb") as file:
        head = file.read(most)
    size = sum(path.stat().st_size for path in paths)
    found = _lines(head, quoted=headers)
    if len(paths) == 1 and len(head) < most:
        return max(found - headers, 0)
    return max(round(found * size / max(len(head), 1)) - headers * len(paths), 0)


def _lines(content: bytes, quoted: bool) -> int:
    """Lines that are not blank; newlines inside quotation marks end none, unless they are JSON's."""
    outside = b"".join(content.split(b'"')[::2]) if quoted else content
    return sum(1 for line in outside.split(b"\n") if line.strip())
