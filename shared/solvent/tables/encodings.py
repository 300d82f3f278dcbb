"""Which encoding a text file is in."""

from __future__ import annotations

import codecs
import logging
from collections.abc import Iterator
from pathlib import Path

from charset_normalizer import from_bytes

from ..errors import Refused
from .opening import opened

__all__ = ["found", "known"]

MARKS = (  # the UTF-32 mark begins with the UTF-16 one
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
ONE_BYTE = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256"]
SEVERAL_BYTES = ["cp932", "gb18030", "big5", "euc_kr", "euc_jp"]
SAMPLE = 1 << 17  # bytes on either side of the first one that is not UTF-8
BLOCK = 16 << 20
WESTERN = frozenset("ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜßàáâãäåæçèéêëìíîïñòóôõöøùúûüÿ€‚„…‘’“”•–—§°«»´²½¡\xa0")

log = logging.getLogger("solvent")


def known(path: Path, encoding: str) -> str:
    """Python's name of an encoding; one that it doesn't know is refused."""
    try:
        b"x".decode(encoding, errors="ignore")  # refuses base64 and other codecs that make no text
        return codecs.lookup(encoding).name
    except (LookupError, ValueError) as error:  # ValueError for idna, which is no file's, and for zero bytes
        raise Refused(
            f"{path.name}: there is no encoding {encoding!r}. Usual ones: utf-8, utf-16, cp1252, cp1251, cp932."
        ) from error


def found(path: Path) -> str:
    """The encoding of a file: its byte order mark's, UTF-8, else a guess, which is logged.

    Raises:
        Refused: if the file is UTF-8 in parts only: a guess would garble those.
    """
    with opened(path) as file:
        start = file.read(4)
    for mark, encoding in MARKS:
        if start.startswith(mark):
            return encoding
    damage = _first_damage(path)
    return "utf-8" if damage is None else _guess(path, damage)


def _blocks(path: Path, end: int | None = None) -> Iterator[bytes]:
    """The bytes of a file up to a position, or to its end; one block is in memory."""
    read = 0
    with opened(path) as file:
        while block := file.read(BLOCK if end is None else min(BLOCK, end - read)):
            read += len(block)
            yield block


def _first_damage(path: Path) -> int | None:
    """Where the file stops being UTF-8: a position in bytes, or None."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    read = held = 0
    try:
        for block in _blocks(path):
            held = len(decoder.getstate()[0])
            decoder.decode(block)
            read += len(block)
        held = len(decoder.getstate()[0])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return read - held + error.start
    return None


def _guess(path: Path, damage: int) -> str:
    sample, place = _around(path, damage)
    best = from_bytes(sample, cp_isolation=[*ONE_BYTE, *SEVERAL_BYTES]).best()
    guess = best.encoding if best else None
    if guess in (None, "cp1250") and _looks_western(sample):
        guess = "cp1252"
    if guess is None or _is_partly_utf8(path, guess):
        likely = f" If all of it is in one other encoding, name that: encoding: {guess}." if guess else ""
        raise Refused(
            f"{path.name} {_place(path, damage)}: byte 0x{sample[place]:02x} is not UTF-8, though other parts "
            f"of the file are. Save the file again as UTF-8.{likely}"
        )
    log.info(
        "%s is not UTF-8; read as %s (%r). If that is wrong, name its encoding.",
        path.name,
        guess,
        _line_around(sample, place).decode(guess, errors="replace")[:60],
    )
    return guess


def _around(path: Path, damage: int) -> tuple[bytes, int]:
    """What lies on either side of a position, and the position in that."""
    sample, end = b"", 0
    for block in _blocks(path, damage + SAMPLE):
        end += len(block)
        sample = (sample + block)[-2 * SAMPLE :]
    start = max(0, damage - SAMPLE)
    return sample[start - (end - len(sample)) :], damage - start


def _looks_western(sample: bytes) -> bool:
    """Most bytes mean the same in cp1250 and cp1252, and charset-normalizer then names the rarer one."""
    try:
        text = sample.decode("cp1252")
    except UnicodeDecodeError:
        return False
    return all(letter in WESTERN for letter in text if not letter.isascii())


def _is_partly_utf8(path: Path, guess: str) -> bool:
    """Whether content that is not UTF-8 holds letters of it. In Asian encodings a few look so by chance."""
    letters = broken = 0
    for marked in codecs.iterdecode(_blocks(path), "utf-8", errors="replace"):
        damaged = marked.count("\ufffd")
        broken += damaged
        letters += sum(not letter.isascii() for letter in marked) - damaged
    return letters > (0 if guess in ONE_BYTE else broken // 5)


def _line_around(content: bytes, position: int) -> bytes:
    start = content.rfind(b"\n", 0, position) + 1
    end = content.find(b"\n", position)
    return content[start : end if end >= 0 else len(content)].strip()


def _place(path: Path, position: int) -> str:
    """Row, line and byte of a position. Newlines inside quotation marks begin no row."""
    row, line, ended = 0, 1, 0
    quoted = begun = False
    for block in _blocks(path, position):
        line += block.count(b"\n")
        between = block.split(b'"')
        outside = b"".join(between[quoted::2])
        quoted ^= len(between) % 2 == 0
        if not begun:
            outside = outside.lstrip(b"\r\n")
            begun = bool(outside)
        inside = outside.rstrip(b"\r\n")
        if inside:
            row, ended = row + ended + inside.count(b"\n"), 0
        ended += outside[len(inside) :].count(b"\n")
    row += ended > 0
    where = f"row {row}" if row else "header"
    return f"{where} (line {line}, byte {position + 1})"
