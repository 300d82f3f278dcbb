"""A made grammar of business sentences, English to German: articles, adjectives and verbs agree with nouns, verbs move.

Today the new manager has checked the invoices 4711, because the company must pay the price.
Heute hat der neue Leiter die Rechnungen 4711 geprüft, weil die Firma den Preis bezahlen muss.
"""

from typing import NamedTuple

import numpy as np

__all__ = ["item", "sentence"]


class Noun(NamedTuple):
    """`accusative` where it is not as the nominative."""

    english: str
    gender: str
    german: str
    plural: str
    accusative: str = ""


class Verb(NamedTuple):
    """English: infinitive, participle; German: he, they (which is the infinitive), participle."""

    english: str
    done: str
    he: str
    they: str
    participle: str


PEOPLE = [
    Noun("manager", "m", "Leiter", "Leiter"),
    Noun("buyer", "m", "Käufer", "Käufer"),
    Noun("company", "f", "Firma", "Firmen"),
    Noun("department", "f", "Abteilung", "Abteilungen"),
    Noun("team", "n", "Team", "Teams"),
    Noun("customer", "m", "Kunde", "Kunden", "Kunden"),
    Noun("supplier", "m", "Lieferant", "Lieferanten", "Lieferanten"),
    Noun("bank", "f", "Bank", "Banken"),
]
THINGS = [
    Noun("invoice", "f", "Rechnung", "Rechnungen"),
    Noun("contract", "m", "Vertrag", "Verträge"),
    Noun("offer", "n", "Angebot", "Angebote"),
    Noun("report", "m", "Bericht", "Berichte"),
    Noun("parcel", "n", "Paket", "Pakete"),
    Noun("delivery", "f", "Lieferung", "Lieferungen"),
    Noun("machine", "f", "Maschine", "Maschinen"),
    Noun("price", "m", "Preis", "Preise"),
    Noun("form", "n", "Formular", "Formulare"),
    Noun("account", "n", "Konto", "Konten"),
    Noun("payment", "f", "Zahlung", "Zahlungen"),
    Noun("plan", "m", "Plan", "Pläne"),
]
VERBS = [
    Verb("check", "checked", "prüft", "prüfen", "geprüft"),
    Verb("send", "sent", "sendet", "senden", "gesendet"),
    Verb("pay", "paid", "bezahlt", "bezahlen", "bezahlt"),
    Verb("order", "ordered", "bestellt", "bestellen", "bestellt"),
    Verb("sign", "signed", "unterschreibt", "unterschreiben", "unterschrieben"),
    Verb("cancel", "cancelled", "storniert", "stornieren", "storniert"),
    Verb("confirm", "confirmed", "bestätigt", "bestätigen", "bestätigt"),
    Verb("find", "found", "findet", "finden", "gefunden"),
    Verb("change", "changed", "ändert", "ändern", "geändert"),
    Verb("need", "needed", "braucht", "brauchen", "gebraucht"),
]
ADJECTIVES = [
    ("new", "neu"),
    ("old", "alt"),
    ("large", "groß"),
    ("small", "klein"),
    ("cheap", "billig"),
    ("late", "spät"),
]
TIMES = [("Today", "Heute"), ("On Monday", "Am Montag"), ("This week", "Diese Woche"), ("In Berlin", "In Berlin")]
JOINS = [("because", "weil", True), ("although", "obwohl", True), ("and", "und", False)]
# By article, then by case (n, a) and gender or plural: the German article, and the ending of the adjective behind it.
ARTICLES = {
    "the": "nm der e, nf die e, nn das e, np die en, am den en, af die e, an das e, ap die en",
    "this": "nm dieser e, nf diese e, nn dieses e, am diesen en, af diese e, an dieses e",
    "a": "nm ein er, nf eine e, nn ein es, am einen en, af eine e, an ein es",
}
ENDINGS = {
    (article, case): (word, ending)
    for article, forms in ARTICLES.items()
    for case, word, ending in map(str.split, forms.split(", "))
}


def sentence(random: np.random.Generator, clauses: int, *, words: int = 99, items: bool = True) -> tuple[str, str]:
    """A made sentence and its translation.

    Args:
        clauses: how many it is made of.
        words: so many nouns and verbs of each kind occur at most.
        items: whether numbers, codes and the like stand behind some nouns.
    """
    english, german = "", ""
    for number in range(clauses):
        if number == 0:
            time = TIMES[random.integers(len(TIMES))] if random.random() < 0.5 else ("", "")
            parts = _clause(random, words, time[1], last=False, items=items)
            english, german = f"{time[0]} {parts[0]}".strip(), parts[1]
        else:
            word, other, last = JOINS[random.integers(len(JOINS))]
            parts = _clause(random, words, "", last=last, items=items)
            english, german = f"{english}, {word} {parts[0]}", f"{german}, {other} {parts[1]}"
    return f"{english[0].upper()}{english[1:]}.", f"{german[0].upper()}{german[1:]}."


def _clause(random: np.random.Generator, words: int, front: str, *, last: bool, items: bool) -> tuple[str, str]:
    """A clause in both languages.

    Args:
        front: what stands before the German verb in place of the subject.
        last: whether the German verb comes last, as in a subordinate clause.
    """
    many = random.random() < 0.3
    who = _phrase(random, PEOPLE[:words], "n", many)
    what = _phrase(random, THINGS[:words], "a", random.random() < 0.3, items=items)
    verbs = VERBS[:words]
    verb = verbs[random.integers(len(verbs))]
    kind = random.integers(3)
    if kind == 0:
        said, finite, rest = verb.english + ("" if many else "s"), verb.they if many else verb.he, ""
    elif kind == 1:
        said, finite, rest = f"{'have' if many else 'has'} {verb.done}", "haben" if many else "hat", verb.participle
    else:
        said, finite, rest = f"must {verb.english}", "müssen" if many else "muss", verb.they
    order = (
        [who[1], what[1], rest, finite] if last else [front or who[1], finite, who[1] if front else "", what[1], rest]
    )
    return f"{who[0]} {said} {what[0]}", " ".join(part for part in order if part)


def _phrase(
    random: np.random.Generator, nouns: list[Noun], case: str, many: bool, *, items: bool = False
) -> tuple[str, str]:
    noun = nouns[random.integers(len(nouns))]
    article = "the" if many else ("the", "this", "a")[random.integers(3)]
    english, german = ADJECTIVES[random.integers(len(ADJECTIVES))] if random.random() < 0.4 else ("", "")
    word, ending = ENDINGS[article, case + ("p" if many else noun.gender)]
    name = noun.plural if many else (noun.accusative or noun.german) if case == "a" else noun.german
    article = "an" if article == "a" and (english or noun.english)[0] in "aeiou" else article
    english_noun = noun.english if not many else _plural(noun.english)
    ours = [article, english, english_noun]
    theirs = [word, german + ending if german else "", name]
    if items and random.random() < 0.3:
        kept = item(random)
        ours, theirs = [*ours, kept], [*theirs, kept]
    return " ".join(part for part in ours if part), " ".join(part for part in theirs if part)


def _plural(word: str) -> str:
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"


def item(random: np.random.Generator) -> str:
    """What stays as it is in every language."""
    number = int(random.integers(10, 100_000))
    kinds = [
        f"{number}",
        f"KX-{number}",
        f"{{order_{number % 10}}}",
        f"https://shop.example/{number}",
        f"<b>{number}</b>",
    ]
    return kinds[random.integers(len(kinds))]
