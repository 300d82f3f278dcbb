"""Writing systems: in which one a text is written."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["NONE", "main_script"]

NONE = "none"  # of a text without letters

# The first word of a letter's name in Unicode is its script, but for these. Letters of no script are left out.
SCRIPTS = {
    "CJK": "Han",
    "IDEOGRAPHIC": "Han",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "KATAKANA-HIRAGANA": "Japanese",
    "HALFWIDTH": "Japanese",
    "HENTAIGANA": "Japanese",
    "MASU": "Japanese",
    "MYANMAR": "Burmese",
    "TURNED": "Latin",
    "ROMAN": "Latin",
    "MODIFIER": "",
    "CARON": "",
    "VERTICAL": "",
}

AT_ONCE = 1_000_000  # characters held in memory
A_TEXT = 64  # characters that a text of none counts for there: counts by script take memory too


def main_script(texts: Sequence[str]) -> NDArray[np.str_]:
    """Find the writing system that most letters of each text belong to.

    Kana and Han are one, Japanese, in a text where kana occur. Accents, vowel signs, digits, punctuation and emoji are
    no letters; letters in another shape (fullwidth, bold) count as what they mean. Of two scripts with equally many
    letters it is the first in the alphabet.

    Returns:
        shape `(texts,)`: names in English, such as Latin, Han, Japanese, Hangul; `none` for a text without letters.
    """
    found = [np.empty(0, dtype=np.str_)]
    found += [_most(some) for some in _at_once(texts)]
    return np.concatenate(found)


def _at_once(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Texts after texts that are not too much at once."""
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + A_TEXT)
    cuts = np.flatnonzero(np.diff(ends // AT_ONCE)) + 1
    for start, end in zip([0, *cuts.tolist()], [*cuts.tolist(), len(texts)], strict=True):
        if start < end:
            yield texts[start:end]


def _most(texts: Sequence[str]) -> NDArray[np.str_]:
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.int64)
    distinct = np.flatnonzero(np.bincount(codes))
    scripts = [_script(chr(code)) for code in distinct.tolist()]
    names = sorted({"Han", "Japanese", *scripts} - {""})
    column = {name: at for at, name in enumerate([*names, ""])}
    columns = np.zeros(codes.max(initial=0) + 1, dtype=np.int64)
    columns[distinct] = [column[script] for script in scripts]
    rows = np.repeat(np.arange(len(texts)), np.fromiter(map(len, texts), np.int64, len(texts)))
    width = len(column)
    counts = np.bincount(rows * width + columns[codes], minlength=len(texts) * width).reshape(-1, width)[:, :-1]
    han, japanese = counts[:, column["Han"]], counts[:, column["Japanese"]]
    kana = japanese > 0
    japanese[kana] += han[kana]
    han[kana] = 0
    return np.where(counts.any(axis=1), np.array(names)[counts.argmax(axis=1)], NONE)


@cache
def _script(character: str) -> str:
    """The script of a letter; nothing for what is no letter, or belongs to no script."""
    if not unicodedata.category(character).startswith("L"):
        return ""
    plain = unicodedata.normalize("NFKC", character)
    letter = next((item for item in plain if unicodedata.category(item).startswith("L")), character)
    name = unicodedata.name(letter, "TANGUT").split()[0]  # Tangut's are the letters that Python knows no names of
    return SCRIPTS.get(name, name.title())
