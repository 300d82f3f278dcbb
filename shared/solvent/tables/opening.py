"""Open a file of text, compressed or not, and say by its name what it holds. What is damaged or cut off raises OSError.

gzip, bzip2 and xz carry checksums. zstd does where its writer adds one (the command does, pyarrow does not).
"""

from __future__ import annotations

import io
import lzma
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

__all__ = [
    "COMPRESSED",
    "DELIMITED",
    "JSON_LINES",
    "KINDS",
    "PARQUET",
    "inner",
    "is_compressed",
    "is_table",
    "opened",
    "streamed",
]

DELIMITED = (".csv", ".tsv", ".txt")
JSON_LINES = (".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
KINDS = {  # of tables, by the ending of their names
    **dict.fromkeys(DELIMITED, "CSV"),
    **dict.fromkeys(JSON_LINES, "JSON Lines"),
    **dict.fromkeys(PARQUET, "Parquet"),
}

COMPRESSED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz"}
BLOCK = 1 << 16  # compressed bytes that are read at once
XZ_MEMORY = 256 << 20  # bytes; xz -9 needs 65 MiB, a made-up header could ask for 4 GiB


def is_compressed(path: Path) -> bool:
    return path.suffix.lower() in COMPRESSED


def inner(path: Path) -> str:
    """The ending that says what is in a file: ".csv" of loans.csv and of Loans.CSV.gz."""
    return Path(path.stem if is_compressed(path) else path.name).suffix.lower()


def is_table(path: Path) -> bool:
    """Whether a file is a table by its name; what else a source reads is an image."""
    return inner(path) in KINDS


def opened(path: Path) -> IO[bytes]:
    """The bytes of a file, decompressed as they are read; memory doesn't depend on how many there are."""
    kind = COMPRESSED.get(path.suffix.lower())
    if kind is None:
        return path.open("rb")
    if kind == "xz":
        return io.BufferedReader(cast(io.RawIOBase, _Xz(path)), BLOCK)
    return cast("IO[bytes]", pa.CompressedInputStream(pa.OSFile(str(path)), kind))


def streamed(path: Path) -> Any:
    """The same for pyarrow's readers, which open a plain file on their own: that is faster."""
    return opened(path) if is_compressed(path) else path


class _Xz(io.RawIOBase):
    """An xz file, of several streams too. The lzma module's own reader ignores what it can't read behind the first."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._stream = self._new()
        self._begun = False  # whether a stream is open that has to end
        self._held = b""  # compressed bytes that are read already

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        wanted = memoryview(buffer).nbytes
        try:
            content = self._some(wanted)
        except lzma.LZMAError as error:
            raise OSError(f"xz: {error}") from error
        memoryview(buffer).cast("B")[: len(content)] = content
        return len(content)

    def _some(self, most: int) -> bytes:
        while True:
            if self._stream.eof:
                self._held = self._stream.unused_data
                self._stream, self._begun = self._new(), False
            if self._stream.needs_input and not self._held:
                self._held = self._file.read(BLOCK)
                if not self._held and self._begun:
                    raise OSError("Truncated compressed stream")
                if not self._held:
                    return b""
            if not self._begun:
                self._held = self._held.lstrip(b"\0")  # streams may be padded with zeros
                self._begun = bool(self._held)
                if not self._begun:
                    continue
            fed, self._held = self._held, b""
            if content := self._stream.decompress(fed, most):
                return content
