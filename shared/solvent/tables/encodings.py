"""Which encoding a text file is in."""

from __future__ import annotations

import codecs
import logging
from pathlib import Path

from charset_normalizer import from_bytes

from ..errors import Refused

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
    except LookupError as error:
        raise Refused(
            f"{path.name}: there is no encoding {encoding!r}. Usual ones: utf-8, utf-16, cp1252, cp1251, cp932."
        ) from error


def found(path: Path) -> str:
    """The encoding of a file: its byte order mark's, UTF-8, else a guess, which is logged.

    Raises:
        Refused: if the file is UTF-8 in parts only: a guess would garble those.
    """
    with path.open("rb") as file:
        start = file.read(4)
    for mark, encoding in MARKS:
        if start.startswith(mark):
            return encoding
    damage = _first_damage(path)
    return "utf-8" if damage is None else _guess(path, damage)


def _first_damage(path: Path) -> int | None:
    """Where the file stops being UTF-8: a position in bytes, or None."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    read = 0
    with path.open("rb") as file:
        while True:
            block = file.read(BLOCK)
            held = len(decoder.getstate()[0])
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                return read - held + error.start
            if not block:
                return None
            read += len(block)


def _guess(path: Path, damage: int) -> str:
    content = path.read_bytes()
    sample = content[max(0, damage - SAMPLE) : damage + SAMPLE]
    best = from_bytes(sample, cp_isolation=[*ONE_BYTE, *SEVERAL_BYTES]).best()
    guess = best.encoding if best else None
    if guess in (None, "cp1250") and _looks_western(sample):
        guess = "cp1252"
    if guess is None or _is_partly_utf8(content, guess):
        likely = f" If all of it is in one other encoding, name that: encoding: {guess}." if guess else ""
        raise Refused(
            f"{path.name} {_place(content, damage)}: byte 0x{content[damage]:02x} is not UTF-8, though other parts "
            f"of the file are. Save the file again as UTF-8.{likely}"
        )
    log.info(
        "%s is not UTF-8; read as %s (%r). If that is wrong, name its encoding.",
        path.name,
        guess,
        _line_around(content, damage).decode(guess, errors="replace")[:60],
    )
    return guess


def _looks_western(sample: bytes) -> bool:
    """Most bytes mean the same in cp1250 and cp1252, and charset-normalizer then names the rarer one."""
    try:
        text = sample.decode("cp1252")
    except UnicodeDecodeError:
        return False
    return all(letter in WESTERN for letter in text if not letter.isascii())


def _is_partly_utf8(content: bytes, guess: str) -> bool:
    """Whether content that is not UTF-8 holds letters of it. In Asian encodings a few look so by chance."""
    marked = content.decode("utf-8", errors="replace")
    broken = marked.count("\ufffd")
    letters = sum(not letter.isascii() for letter in marked) - broken
    return letters > (0 if guess in ONE_BYTE else broken // 5)


def _line_around(content: bytes, position: int) -> bytes:
    start = content.rfind(b"\n", 0, position) + 1
    end = content.find(b"\n", position)
    return content[start : end if end >= 0 else len(content)].strip()


def _place(content: bytes, position: int) -> str:
    """Row, line and byte of a position. Newlines inside quotation marks begin no row."""
    before = content[:position]
    outside_quotes = b"".join(before.split(b'"')[::2])
    row = outside_quotes.strip(b"\r\n").count(b"\n") + (outside_quotes.endswith(b"\n"))
    where = f"row {row}" if row else "header"
    return f"{where} (line {before.count(bytes([10])) + 1}, byte {position + 1})"
