"""What is noticed about texts: lengths and writing systems, remains of a format, parts that are written differently."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from html.entities import html5
from typing import Any

import numpy as np
import pandas as pd

from ..schema import Field, Schema
from ..scripts import NONE, main_script
from ..solution import Finding
from ..wording import listed, many

__all__ = ["described", "scripts_differ"]

Frames = Mapping[str, pd.DataFrame]
Place = tuple[int, int]  # where something begins in a text, and where it ends

SCRIPTS, SHARE = 6, 0.005  # so many are named, of those that have more than this share of the texts
REMAINS = 0.005  # of the texts; fewer are no reason to warn
AROUND = 12  # characters shown on both sides of an example
DIFFERENT, FEWEST = 0.1, 50  # total variation distance; texts on each side
BY_CHANCE = 0.001  # in few texts shares differ by chance alone

TAG = re.compile(
    r"<!--|</?(?:a|abbr|article|b|blockquote|body|br|center|code|dd|del|div|dl|dt|em|figure|font|footer|form|h[1-6]|head"
    r"|header|hr|html|i|iframe|img|input|ins|label|li|link|meta|nav|ol|p|pre|q|s|script|section|small|span|strike"
    r"|strong|style|sub|sup|table|tbody|td|th|thead|title|tr|tt|u|ul|video)(?:\s[^<>=]*=[^<>]*|\s*/?)>",
    re.IGNORECASE,
)
ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.IGNORECASE)

# UTF-8 in Latin-1 or in Windows' cp1252, which has signs where Latin-1 has control characters. A first byte and one of
# those that follow are seldom neighbours in a text, but ALL CAPS in quotes have them (CAFÉ”): what Latin letters and
# punctuation become is known; of other scripts several in a row are asked for.
FOLLOWS = "[\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
MOJIBAKE = re.compile(
    rf"[ÃÂ][\x80-\xba\xbc-\xbfŒœŠšŽžŸƒ‰‡†€]|â(?:€|\x80|„¢|\x84¢|‚¬|\x82¬)|ð(?:Ÿ|\x9f)"
    rf"|(?:[\xc2-\xdf]{FOLLOWS}){{3}}|(?:[\xe0-\xef]{FOLLOWS}{{2}}){{2}}"
)
# What is shown in colour by default, or is asked to be (FE0F), and hearts and faces that often lack that
EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff\U0001f300-\U0001f64f\U0001f680-\U0001f6ff\U0001f7e0-\U0001f7eb\U0001f90c-\U0001f9ff"
    "\U0001fa70-\U0001faff\ufe0f\u20e3☹☺♥❤⌚⌛⏩-⏬⏰⏳☔☕♈-♓♿⚓⚡⚽⚾⛄⛅⛔⛪⛳⛵⛺⛽✅✊✋✨❌❎❓-❕❗➕-➗➰➿⬛⬜⭐⭕]"
)


def described(parts: Frames, schema: Schema) -> Iterator[Finding]:
    """Lengths and writing systems, finding `texts`; tags, entities and broken characters, finding `text_remains`."""
    for field in schema.features:
        if field.kind != "text":
            continue
        cells = [table[field.name] for table in parts.values() if field.name in table]
        texts = [text for column in cells for text in _texts(column)]
        if texts:
            yield _described(field, texts, blank=sum(map(len, cells)) - len(texts))
            yield from _remains(field, texts)


def scripts_differ(parts: Frames, schema: Schema) -> Iterator[Finding]:
    """Texts of the test part that are written in other scripts than those of training."""
    if not {"train", "test"} <= set(parts):
        return
    from scipy.stats import chi2_contingency

    for field in schema.features:
        if field.kind != "text" or not all(field.name in parts[part] for part in ("train", "test")):
            continue
        train, test = (main_script(_texts(parts[part][field.name])) for part in ("train", "test"))
        if min(len(train), len(test)) < FEWEST:
            continue
        counts = pd.DataFrame({"train": pd.Series(train).value_counts(), "test": pd.Series(test).value_counts()})
        counts = counts.fillna(0).sort_index()
        shares = counts / counts.sum()
        apart = (shares["test"] - shares["train"]).abs().round(6).sort_values(ascending=False, kind="stable")
        distance = float(apart.sum()) / 2
        if distance <= DIFFERENT or chi2_contingency(counts.to_numpy()).pvalue >= BY_CHANCE:
            continue
        told = (
            f"{_called(script)} {shares['test'][script]:.1%} (in training {shares['train'][script]:.1%})"
            for script in apart.index[apart > SHARE]
        )
        yield Finding(
            name="scripts_differ",
            severity="warning",
            message=f"Column {field.source}: the {len(test):,} test texts are written in other scripts than the "
            f"{len(train):,} training texts: {listed(told, SCRIPTS)}.",
            cure="Check where the rows come from. Training should hold what is written as the texts to be scored are; "
            "data.split: {by: random} mixes all rows.",
            columns=(field.source,),
            count=round(distance * len(test)),
        )


def _texts(cells: pd.Series[Any]) -> list[str]:
    """The texts of a column; cells that are missing or blank are left out."""
    return [text for text in map(str, cells.dropna()) if text.strip()]


def _described(field: Field, texts: Sequence[str], *, blank: int) -> Finding:
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    half, most = np.quantile(lengths, [0.5, 0.95], method="inverted_cdf")
    scripts = pd.Series(main_script(texts)).value_counts(normalize=True)
    named = (f"{_called(script)} {share:.1%}" for script, share in scripts[scripts > SHARE][:SCRIPTS].items())
    emoji = sum(1 for text in texts if not text.isascii() and EMOJI.search(text))
    says = [
        f"{many(len(texts), 'text')}: half have up to {many(half, 'character')}, 95 % up to {most:,}, the longest "
        f"{lengths.max():,}.",
        f"Written in: {', '.join(named)}.",
    ]
    if blank:
        says.append(f"{many(blank, 'row')} {'is' if blank == 1 else 'are'} blank.")
    if emoji:
        says.append(f"{many(emoji, 'text')} ({emoji / len(texts):.1%}) with emoji.")
    return Finding(
        name="texts",
        severity="note",
        message=f"Column {field.source}: {' '.join(says)}",
        cure="Check that this is what the column should hold, and that the model reads texts as long as these.",
        columns=(field.source,),
        count=len(texts),
    )


def _called(script: Any) -> str:
    return "without letters" if script == NONE else str(script)


def _remains(field: Field, texts: Sequence[str]) -> Iterator[Finding]:
    found = {
        what: {at: place for at, text in enumerate(texts) if (place := look(text))} for what, look in KINDS.items()
    }
    holding = set[int]().union(*found.values())
    if len(holding) <= REMAINS * len(texts):
        return
    told = []
    for what, places in found.items():
        if places:
            first, place = next(iter(places.items()))
            told.append(f"{what} in {len(places):,} (such as {_cutting(texts[first], place)!r})")
    cures = []
    if any(places for what, places in found.items() if what in HTML):
        cures.append(
            "The solution's README says whether the model's own cleaning takes tags and entities out or keeps them."
        )
    if any(places for what, places in found.items() if what not in HTML):
        cures.append(
            "Broken characters have to be mended at the source: read the file as UTF-8 (data.rows: {path: ..., "
            "encoding: utf-8}), or write it anew where it was read in another encoding."
        )
    yield Finding(
        name="text_remains",
        severity="warning",
        message=f"Column {field.source}: {len(holding):,} of {many(len(texts), 'text')} "
        f"{'holds' if len(holding) == 1 else 'hold'} remains of a format: {', '.join(told)}.",
        cure=" ".join(cures),
        columns=(field.source,),
        count=len(holding),
    )


def _cutting(text: str, place: Place) -> str:
    """What was found, with a little of what stands around it."""
    start, end = max(0, place[0] - AROUND), min(len(text), place[1], place[0] + 4 * AROUND) + AROUND
    return ("..." if start else "") + text[start:end] + ("..." if end < len(text) else "")


def _tag(text: str) -> Place | None:
    return _span(TAG.search(text)) if "<" in text else None


def _entity(text: str) -> Place | None:
    if "&" not in text:
        return None
    found = (match for match in ENTITY.finditer(text) if match[0][1] == "#" or match[0][1:] in html5)
    return _span(next(found, None))


def _lost(text: str) -> Place | None:
    at = text.find("\N{REPLACEMENT CHARACTER}")
    return None if at < 0 else (at, at + 1)


def _misread(text: str) -> Place | None:
    return None if text.isascii() else _span(MOJIBAKE.search(text))


def _span(match: re.Match[str] | None) -> Place | None:
    return match.span() if match else None


HTML = ("HTML tags", "HTML entities")
KINDS: Mapping[str, Callable[[str], Place | None]] = {
    "HTML tags": _tag,
    "HTML entities": _entity,
    "characters lost in reading (\N{REPLACEMENT CHARACTER})": _lost,
    "UTF-8 read as Latin-1": _misread,
}
