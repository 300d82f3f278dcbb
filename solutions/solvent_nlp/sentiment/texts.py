"""What is read of a row: its text, cleaned, and a second one behind it."""

import html
import re
import unicodedata

import pandas as pd

__all__ = ["BREAK", "cleaned", "joined"]

BREAK = " \u2016 "  # between a text and a second one: a sign that hardly any text holds
# Names of elements, so that a text's own "<3" or "a <b" stays.
ELEMENTS = (
    "a|abbr|article|aside|b|big|blockquote|body|br|button|center|code|dd|del|div|dl|dt|em|figcaption|figure|font|footer|"
    "form|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|label|li|link|main|mark|meta|nav|ol|option|p|pre|q|s|section|"
    "select|small|source|span|strike|strong|sub|summary|sup|table|tbody|td|textarea|tfoot|th|thead|time|title|tr|tt|u|ul|"
    "video|wbr"
)
TAG = re.compile(rf"</?(?:{ELEMENTS})(?:\s[^<>=]*=[^<>]*)?\s?/?>", re.IGNORECASE)
HIDDEN = {"<!--": "-->", "<script": "</script>", "<style": "</style>"}  # with all that stands between
ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][\da-fA-F]{1,6}|[a-zA-Z][a-zA-Z\d]{1,31});")
# What is not shown: controls, halves of characters, and what a copied text drags along. The joiners stay, which emoji,
# Arabic and Hindi need.
UNSEEN = re.compile(
    r"[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\ufeff\ud800-\udfff]"
)
SPACE = re.compile(r"\s+")


def cleaned(text: str) -> str:
    """The text as people read it: entities written out, elements of HTML and unseen characters taken out, Unicode in
    the form NFKC, each run of white space one blank."""
    if "<" in text:
        text = TAG.sub(" ", _shown(text))
    if "&" in text:
        text = TAG.sub(" ", ENTITY.sub(lambda found: html.unescape(found.group()), text))
    # White space first: some of its signs are controls, and part words.
    return SPACE.sub(" ", UNSEEN.sub("", SPACE.sub(" ", unicodedata.normalize("NFKC", text)))).strip()


def _shown(text: str) -> str:
    """The text without comments, scripts and styles; one that has no end is text."""
    folded, kept, at = text.lower(), [], 0
    if len(folded) != len(text):  # a few letters grow when they are folded: then only what is written so is found
        folded = text
    ends = {start: folded.rfind(end) for start, end in HIDDEN.items()}
    while at < len(text):
        starts = [(folded.find(start, at), start) for start, last in ends.items() if last >= at]
        starts = [(place, start) for place, start in starts if 0 <= place < ends[start]]
        if not starts:
            break
        place, start = min(starts)
        end = folded.find(HIDDEN[start], place + len(start))
        if end < 0:
            break
        kept.append(text[at:place])
        at = end + len(HIDDEN[start])
    return " ".join([*kept, text[at:]])


def joined(table: pd.DataFrame) -> pd.Series:
    """One cleaned string for each row, never null: `text`, and `second` behind a break where the table has it."""
    found = table["text"].map(cleaned)
    if "second" in table:
        found = found + BREAK + table["second"].map(cleaned, na_action="ignore").fillna("")
    return found
