"""Long texts cut into sentences, so that each is as long as what training has seen, and joined again as they stood."""

import re
from collections.abc import Callable

__all__ = ["ABBREVIATIONS", "halved", "pieces"]

# Behind them a full stop ends no sentence. Short words with capital letters, and single letters, count too.
ABBREVIATIONS = frozenset(
    """approx art bzw ca co corp dept dr e.g ed est etc evtl fig ggf i.e inc jr ltd max mrs mr ms min mio mrd nr no prof
    sr st str tel u.a usw vgl vol vs z.b zzgl""".split()  # noqa: SIM905
)
END = re.compile(r"(?<=[.!?…])[\"'”’»)\]]*\s+(?=[\"'“„«(\[¿¡]*[^\W_a-z])|(?<=[。！？])|\s*\n\s*")


def pieces(text: str, *, every: bool) -> list[tuple[str, str]]:
    """The text's sentences, each with the white space behind it; joined they are the text.

    Args:
        every: cut between sentences; else only where a line ends.
    """
    found, start = [], 0
    for match in END.finditer(text):
        ends_line = "\n" in match[0]
        if not ends_line and (not every or _abbreviated(text[start : match.start()])):
            continue
        quote = len(match[0]) - len(match[0].lstrip("\"'”’»)]"))
        cut = match.start() + quote
        if text[start:cut].strip():
            found.append((text[start:cut], text[cut : match.end()]))
            start = match.end()
    if text[start:].strip() or not found:
        found.append((text[start:], ""))
    elif start < len(text):
        found[-1] = (found[-1][0], found[-1][1] + text[start:])
    return found


def halved(sentence: str, gap: str, fits: Callable[[str], bool]) -> list[tuple[str, str]]:
    """A sentence cut in halves, and they again, until each fits; at the blank nearest the middle, if there is one."""
    middle = len(sentence) // 2
    if middle == 0 or fits(sentence):
        return [(sentence, gap)]
    blanks = [match.span() for match in re.finditer(r"(?<=\S)\s+(?=\S)", sentence)]
    start, end = min(blanks, key=lambda span: abs(span[0] - middle), default=(middle, middle))
    return [*halved(sentence[:start], sentence[start:end], fits), *halved(sentence[end:], gap, fits)]


def _abbreviated(text: str) -> bool:
    word = text.split()[-1] if text.split() else ""
    if not word.endswith("."):
        return False
    word = word[:-1].lstrip("(\"'“„«[").casefold()
    return word in ABBREVIATIONS or len(word) == 1 or (word.isdecimal() and len(word) < 3)
