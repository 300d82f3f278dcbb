"""What the scan says of text columns, on made tables whose answer is known."""

import pandas as pd
import pytest

from solvent.scan import scan
from solvent.scan.texts import EMOJI, KINDS
from solvent.schema import Field, Schema
from solvent.solution import Finding

KNOWN = Schema(fields=(Field(name="text", source="Review", role="feature", kind="text"),))
ENGLISH = [f"The soup was good, number {number}." for number in range(1000, 1400)]
CHINESE = [f"汤很好喝,号码 {number}" for number in range(1000, 1400)]


def table(texts: list[str | None]) -> pd.DataFrame:
    return pd.DataFrame({"text": pd.Series(texts, dtype="str")})


def found(**parts: list[str | None]) -> dict[str, Finding]:
    return {item.name: item for item in scan({part: table(texts) for part, texts in parts.items()}, KNOWN, given=False)}


def test_clean_english_texts_give_a_note_and_nothing_else() -> None:
    findings = found(train=ENGLISH[:200], valid=ENGLISH[200:300], test=ENGLISH[300:])
    assert list(findings) == ["texts"]
    note = findings["texts"]
    assert (note.severity, note.count, note.columns) == ("note", 400, ("Review",))
    assert note.message == (
        "Column Review: 400 texts: half have up to 31 characters, 95 % up to 31, the longest 31. "
        "Written in: Latin 100.0%."
    )


def test_the_note_tells_lengths_scripts_blanks_and_emoji_over_all_parts() -> None:
    cells = [*("a" * length for length in range(1, 90)), *["汤很好喝"] * 6, *["1234"] * 3, "a 😀", "🇩🇪 soup"]
    message = found(train=[*cells, None, "  "], valid=["z" * 400])["texts"].message
    assert message == (
        # by length the 51st and the 96th of 101: eleven are no rows of a's, and shorter
        "Column Review: 101 texts: half have up to 40 characters, 95 % up to 85, the longest 400. "
        "Written in: Latin 91.1%, Han 5.9%, without letters 3.0%. 2 rows are blank. 2 texts (2.0%) with emoji."
    )


def test_at_most_six_scripts_are_named_and_none_that_is_rare() -> None:
    scripts = ["soup", "汤", "суп", "수프", "ซุป", "ひ", "חם", "ζω"]
    message = found(train=[text for text in scripts for _ in range(100)])["texts"].message
    assert message.split("Written in: ")[1].count("%") == 6
    assert "Written in: Latin 99.5%." in found(train=["soup"] * 199 + ["汤"])["texts"].message
    assert "Latin 99.0%, Han 1.0%." in found(train=["soup"] * 198 + ["汤"] * 2)["texts"].message


def test_a_column_without_texts_and_a_table_without_a_text_column_have_no_note() -> None:
    assert "texts" not in found(train=[None] * 60, test=[" "] * 60)
    assert scan({"train": pd.DataFrame({"other": ["x"] * 60})}, KNOWN, given=False) == []


BROKEN = {
    "HTML tags": ["good<br />but", "<b>good</b>", '<a href="x.html">here</a>', "<P>Good", "x <!-- y --> z"],
    "HTML entities": ["Tom &amp; Jerry", "it&#39;s", "it&#x27;s", "caf&eacute;", "a&nbsp;b"],
    "characters lost in reading (�)": ["caf�", "�"],
    "UTF-8 read as Latin-1": [
        *(text.encode().decode("cp1252") for text in ("café", "it’s", "“so", "naïve", "£5", "Größe", "5 €", "😊", "™")),
        *(text.encode().decode("latin-1") for text in ("café", "it’s", "déjà vu", "汤很好喝", "суп", "สวัสดี", "شكرا")),
    ],
}
WHOLE = [
    "I <3 soup, 2 < 3 > 1, a<b and c>d, <john@soup.com>, <name>",
    "AT&T; Q&A; salt & pepper; R&D, &c; &unknownthing;",
    "“LE CAFÉ” “MENÜ» MÃE, «À\xa0», CITÉ… L'ÉTÉ’S ÎLE–ÎLE NÃO MAÇÃ…",
    "Größe, cœur, naïve “quoted” text – dash… ½ £5 5€ 20°C ©2024™",
    "汤很好喝 суп ひらがな สวัสดี شكرا 👍",
]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in BROKEN.items() for text in texts])
def test_remains_of_a_format_are_told_from_each_other(kind: str, text: str) -> None:
    assert [what for what, look in KINDS.items() if look(f"ok {text}")] == [kind]


@pytest.mark.parametrize("text", WHOLE)
def test_whole_texts_hold_no_remains(text: str) -> None:
    assert [what for what, look in KINDS.items() if look(text)] == []


def test_remains_are_counted_by_kind_with_an_example_and_a_cure() -> None:
    remains = [f"{text} and a lot of soup behind it" for text in ("good<br />but", "it&#39;s", "it&#38;s <p>", "cafÃ©")]
    warning = found(train=ENGLISH[:200], test=[*ENGLISH[200:392], *remains])["text_remains"]
    assert (warning.severity, warning.count, warning.columns) == ("warning", 4, ("Review",))
    assert warning.message == (
        "Column Review: 4 of 396 texts hold remains of a format: HTML tags in 2 (such as 'good<br />but and a lo...'), "
        "HTML entities in 2 (such as 'it&#39;s and a lot ...'), UTF-8 read as Latin-1 in 1 (such as "
        "'cafÃ© and a lot o...')."
    )
    assert "the model's own cleaning" in warning.cure and "read the file as UTF-8" in warning.cure


def test_the_cure_speaks_of_what_was_found() -> None:
    html, broken = found(train=["<br>", "ok"])["text_remains"], found(train=["a �", "ok"])["text_remains"]
    assert "UTF-8" not in html.cure and "cleaning" in html.cure
    assert "UTF-8" in broken.cure and "cleaning" not in broken.cure
    assert "1 of 2 texts holds" in html.message


def test_few_remains_are_no_reason_to_warn() -> None:
    assert "text_remains" not in found(train=[*ENGLISH[:398], "a &amp; b", "c &amp; d"])  # 0.5 %, not more
    assert "text_remains" in found(train=[*ENGLISH[:397], "a &amp; b", "c &amp; d", "e &amp; f"])


def test_an_example_of_a_long_text_is_short_and_quickly_found() -> None:
    text = "soup " * 2000 + "<b " + "= " * 50_000 + "<br>" + " soup" * 2000
    message = found(train=[text])["text_remains"].message
    assert "such as '...= = = = = = <br> soup soup s...'" in message and len(message) < 200


def test_other_scripts_in_the_test_part_are_a_warning() -> None:
    warning = found(train=[*ENGLISH[:196], *CHINESE[:4]], test=[*ENGLISH[200:270], *CHINESE[200:230]])["scripts_differ"]
    assert (warning.severity, warning.count, warning.columns) == ("warning", 28, ("Review",))
    assert warning.message == (
        "Column Review: the 100 test texts are written in other scripts than the 200 training texts: "
        "Han 30.0% (in training 2.0%), Latin 70.0% (in training 98.0%)."
    )


def test_the_same_mix_of_scripts_few_texts_and_chance_are_no_warning() -> None:
    mixed = [text for pair in zip(ENGLISH, CHINESE, strict=True) for text in pair]
    assert "scripts_differ" not in found(train=mixed[:400], test=mixed[400:])
    assert "scripts_differ" not in found(train=ENGLISH, test=CHINESE[:49])
    assert "scripts_differ" not in found(train=ENGLISH, test=[*ENGLISH[:90], *CHINESE[:10]])  # a tenth, not more
    assert "scripts_differ" not in found(train=mixed[:60], test=[*ENGLISH[:22], *CHINESE[:30]])  # 8 % apart
    by_chance = [*ENGLISH[:22], *CHINESE[:38]]  # 13 % apart, as two draws of 60 from one mix may be
    assert "scripts_differ" not in found(train=mixed[:60], test=by_chance)


def test_with_folds_the_fold_is_named_whose_test_texts_are_written_otherwise() -> None:
    rows = table([*ENGLISH[:200], *CHINESE[:100]])
    even = {"train": rows[::2], "test": rows[1::2]}
    odd = {"train": rows.iloc[:200], "test": rows.iloc[200:]}
    findings = {item.name: item for item in scan({"train": rows}, KNOWN, given=False, folds=[even, odd])}
    assert findings["texts"].count == 300
    assert findings["scripts_differ"].message.startswith("In fold 2 of 2: Column Review: the 100 test texts")


@pytest.mark.parametrize("text", ["😀", "👍🏽", "🇩🇪", "❤️", "♥", "1️⃣", "⭐", "🤖", "✅", "⏰"])
def test_emoji_are_known(text: str) -> None:
    assert EMOJI.search(text)


@pytest.mark.parametrize("text", ["★★☆", "✓ done", "→ next", "20 °C ± 1", "•", "汤", "𝐛𝐨𝐥𝐝"])
def test_other_signs_are_no_emoji(text: str) -> None:
    assert not EMOJI.search(text)
