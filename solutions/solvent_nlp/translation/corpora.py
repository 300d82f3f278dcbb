"""Pairs as translators have them, read into a table: two aligned files, tab separated lines, gettext catalogues.

python -m solvent_nlp.translation.corpora pairs.parquet train.en train.de
python -m solvent_nlp.translation.corpora pairs.csv messages.po
"""

import ast
import gzip
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

import pandas as pd

from solvent import Refused, tables

__all__ = ["aligned", "po", "read", "tsv"]

ENTRY = re.compile(r'(msgctxt|msgid_plural|msgid|msgstr(?:\[\d+\])?)\s+(".*")')


def aligned(sources: str | Path, targets: str | Path, source: str = "source", target: str = "target") -> pd.DataFrame:
    """Two files of as many lines, the n-th of the one translated by the n-th of the other; `.gz` ones are unpacked.

    Args:
        source, target: names of the columns.

    Raises:
        Refused: if they have different numbers of lines.
    """
    ours, theirs = _lines(sources), _lines(targets)
    if len(ours) != len(theirs):
        raise Refused(
            f"{sources} has {len(ours):,} lines, {targets} {len(theirs):,}: expected a translation for each line. "
            "Look for a line break inside a text, or for files of different versions."
        )
    return pd.DataFrame({source: ours, target: theirs})


def tsv(lines: TextIO, source: str = "source", target: str = "target") -> pd.DataFrame:
    """Lines of a text, a tab, its translation, perhaps further columns; quotes are plain signs.

    Raises:
        Refused: naming the first line without a tab.
    """
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        cells = line.rstrip("\n").split("\t")
        if len(cells) < 2:
            raise Refused(f"Line {number} has no tab: {line[:60]!r}. Expected a text, a tab and its translation.")
        found.append(cells[:2])
    return pd.DataFrame(found, columns=[source, target])


def po(lines: Iterable[str], source: str = "source", target: str = "target") -> pd.DataFrame:
    """Entries of a gettext catalogue that are translated: not the header, nor fuzzy, obsolete or empty ones.

    The singular is paired with msgstr[0], the plural with the last form.
    """
    found: list[tuple[str, str]] = []
    entry: dict[str, str] = {}
    fuzzy, open_key = False, ""

    def close() -> None:
        if entry.get("msgid") and not fuzzy:
            forms = [value for key, value in entry.items() if key.startswith("msgstr")]
            both = [(entry["msgid"], forms[0])] if forms else []
            if "msgid_plural" in entry and len(forms) > 1:
                both.append((entry["msgid_plural"], forms[-1]))
            found.extend(pair for pair in both if pair[1])

    for line in [*lines, ""]:
        text = line.strip()
        start = ENTRY.match(text)
        if not text or (start and start[1] in ("msgctxt", "msgid") and open_key.startswith("msgstr")):
            close()
            entry, fuzzy, open_key = {}, False, ""
        if text.startswith("#,") and "fuzzy" in text:
            fuzzy = True
        elif start:
            open_key = start[1]
            entry[open_key] = ast.literal_eval(start[2])
        elif text.startswith('"') and open_key:
            entry[open_key] += ast.literal_eval(text)
    return pd.DataFrame(found, columns=[source, target])


def read(*paths: str | Path) -> pd.DataFrame:
    """Two aligned files, a `.po` file, or one of tab separated lines, as columns `source` and `target`."""
    if len(paths) == 2:
        return aligned(*paths)
    (path,) = map(Path, paths)
    with _opened(path) as file:
        return po(file) if path.suffix == ".po" else tsv(file)


def _opened(path: str | Path) -> TextIO:
    if Path(path).suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="\n")
    return Path(path).open(encoding="utf-8", newline="\n")


def _lines(path: str | Path) -> list[str]:
    # Not splitlines(): a text may hold signs that Python takes for the end of a line.
    with _opened(path) as file:
        return [line.rstrip("\r\n") for line in file]


if __name__ == "__main__":
    tables.write(read(*sys.argv[2:]), Path(sys.argv[1]))
