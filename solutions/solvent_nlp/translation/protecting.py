"""What comes out of a translation as it went in: placeholders, tags, addresses, codes, numbers; and a glossary's terms.

Each is replaced by a mark that the network has learnt to carry over, and put back in the end; then the translation is
looked through again, since nothing but a look at it says whether all was kept.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import pandas as pd

from solvent import Refused
from solvent.words import UNSPACED_RUN

__all__ = ["MARKS", "Masked", "Protector", "filled"]

MARKS = tuple(f"⟦{number}⟧" for number in range(16))  # more of them in a text stay as they are
PATTERNS: Mapping[str, str] = {
    "placeholders": r"\{\{[^{}]*\}\}|\$?\{[\w.:-]*\}|%\(\w+\)[a-zA-Z]|%[sdif](?!\w)|⟦\d+⟧",
    "tags": r"</?[A-Za-z][^<>]*>|&(?:#\d+|[A-Za-z]\w*);",
    "addresses": r"(?:https?://|www\.)[^\s<>\"]*[\w/#=&-]|[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "codes": r"(?<![\w-])(?=[A-Z\d/_-]*\d)(?=[A-Z\d/_-]*[A-Z])[A-Z\d]+(?:[-/_][A-Z\d]+)*(?![\w-])",
    "numbers": r"(?<!\w)\d+(?:[.,:/-]\d+)*%?(?!\w)",
}


@dataclass(frozen=True)
class Masked:
    """A text with marks in place of what is kept, and what belongs in their places in the translation."""

    text: str
    values: tuple[str, ...]

    def holds(self, translation: str) -> bool:
        """Whether a translation has each mark once, and no other."""
        found = Counter(mark for mark in MARK.findall(translation))
        return found == Counter(MARKS[: len(self.values)])

    def restored(self, translation: str) -> str:
        """The translation with the values in the marks' places; a mark that stands for nothing goes."""
        known = dict(zip(MARKS, self.values, strict=False))
        return MARK.sub(lambda mark: known.get(mark[0], ""), translation)


MARK = re.compile("⟦\\d+⟧")


@dataclass(frozen=True)
class Protector:
    """What is kept.

    Args:
        kinds: names of `PATTERNS`.
        terms: a source's term -> what it is called in the translation.
    """

    kinds: tuple[str, ...]
    terms: Mapping[str, str]

    @classmethod
    def of(cls, kinds: tuple[str, ...], glossary: pd.DataFrame) -> "Protector":
        """With the terms of a table with the columns `source` and `target`, also where they begin a sentence.

        Raises:
            Refused: if the table lacks a column, or calls a term by two names.
        """
        if missing := {"source", "target"} - set(glossary):
            raise Refused(
                f"The glossary has no column {min(missing)!r}. Expected source and target, a term in each row."
            )
        rows = glossary[["source", "target"]].dropna().astype(str).apply(lambda cells: cells.str.strip())
        rows = rows[(rows != "").all(axis=1)].drop_duplicates()
        if len(twice := rows[rows["source"].duplicated(keep=False)]):
            told = " and ".join(map(repr, twice[twice["source"] == twice["source"].iloc[0]]["target"]))
            raise Refused(f"The glossary calls {twice['source'].iloc[0]!r} both {told}. Keep one of them.")
        terms = {upper(source): upper(target) for source, target in rows.itertuples(index=False)}
        return cls(kinds, {**terms, **dict(rows.itertuples(index=False))})

    def items(self, text: str) -> list[str]:
        """What a text has of it, as it stands there."""
        return [match[0] for match in self._spans(text)]

    def masked(self, text: str) -> Masked:
        """The text with marks."""
        spans = [(*match.span(), self._value(match)) for match in self._spans(text)][: len(MARKS)]
        marked = [(start, end, MARKS[number]) for number, (start, end, _) in enumerate(spans)]
        return Masked(filled(text, marked), tuple(value for _, _, value in spans))

    def shared(self, source: str, target: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """Where a pair has what is kept, in the source and in the translation."""
        found, taken = [], [(len(target), len(target))]
        for match in self._spans(source):
            value = self._value(match)
            place = next(
                (
                    other.span()
                    for other in re.finditer(_whole(value), target)
                    if all(other.end() <= start or other.start() >= end for start, end in taken)
                ),
                None,
            )
            if place:
                found.append((match.span(), place))
                taken.append(place)
        return found

    def used(self, text: str) -> list[tuple[str, str]]:
        """The terms that a text has, and what each should be called in the translation."""
        return [(match[0], self.terms[match[0]]) for match in self._spans(text) if match[0] in self.terms]

    def lost(self, source: str, translation: str) -> list[str]:
        """What a translation has less or more often than it should: as in `lost 4711`, `added 4712`; terms too."""
        terms = self.used(source)
        without = filled(source, [(*match.span(), " ") for match in self._spans(source) if match[0] in self.terms])
        wanted = self._counted([without, *(term for _, term in terms)])
        # A term that holds a number is looked at as a term: its number is one of those that are wanted.
        found = self._counted([translation])
        said = [f"lost {item}" for item in (wanted - found).elements()]
        said += [f"added {item}" for item in (found - wanted).elements()]
        for term, many in Counter(term for _, term in terms).items():
            if len(re.findall(_whole(term), translation)) < many:
                said.append(f"term {term}")
        return said

    def _counted(self, texts: Iterable[str]) -> Counter[str]:
        pattern = _compiled(self.kinds, ())
        return Counter(match[0] for text in texts for match in pattern.finditer(text)) if self.kinds else Counter()

    def _spans(self, text: str) -> list[re.Match[str]]:
        if not self.kinds and not self.terms:
            return []
        return list(_compiled(self.kinds, tuple(self.terms)).finditer(text))

    def _value(self, match: re.Match[str]) -> str:
        return self.terms.get(match[0], match[0])


def upper(text: str) -> str:
    return text[:1].upper() + text[1:]


@lru_cache(maxsize=8)
def _compiled(kinds: tuple[str, ...], terms: tuple[str, ...]) -> re.Pattern[str]:
    # The longest term first, so that "net price" is not found as "price".
    ordered = sorted(terms, key=len, reverse=True)
    return re.compile("|".join([*map(_whole, ordered), *(PATTERNS[kind] for kind in kinds)]))


def _whole(value: str) -> str:
    """A pattern of a word, or words, that are no part of another; where no blanks part the words they may be."""
    inside = [bool(re.match(r"\w", end)) and not UNSPACED_RUN.match(end) for end in (value[:1], value[-1:])]
    return (r"(?<!\w)" if inside[0] else "") + re.escape(value) + (r"(?!\w)" if inside[1] else "")


def filled(text: str, spans: Sequence[tuple[int, int, str]]) -> str:
    """The text with other words in some places: where each begins and ends, and what it says. They don't overlap."""
    parts, at = [], 0
    for start, end, value in sorted(spans):
        parts += [text[at:start], value]
        at = end
    return "".join([*parts, text[at:]])
