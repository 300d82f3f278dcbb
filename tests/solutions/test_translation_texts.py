"""Translation: pairs as they are read, what is kept of a text, sentences, the memory, and the metrics."""

import io
import os
import zipfile

import numpy as np
import pandas as pd
import pytest
from sacrebleu.metrics import BLEU, CHRF, TER

from solvent import Refused, config, datasets
from solvent.metrics import point
from solvent_nlp.translation import corpora, public, reading, sample
from solvent_nlp.translation.cleaning import checks, suspects
from solvent_nlp.translation.datasets import DATASETS
from solvent_nlp.translation.dictionary import Dictionary
from solvent_nlp.translation.grammar import sentence
from solvent_nlp.translation.memory import Memory
from solvent_nlp.translation.metric import bleu_of, chrf_of, ter_of
from solvent_nlp.translation.overlap import sentence_chrf
from solvent_nlp.translation.protecting import MARKS, Protector
from solvent_nlp.translation.sentences import halved, pieces
from solvent_nlp.translation.settings import KINDS, Translation

NONE = pd.DataFrame({"source": [], "target": []}, dtype="str")
ALL = Protector.of(KINDS, NONE)


# Pairs


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
def test_the_config_of_each_data_set_is_understood(dataset):
    run = config.load(
        {"solution": "solvent_nlp.translation:SOLUTION", "data": {"rows": {"dataset": dataset.name}}}
        | {"settings": dataset.config.get("settings", {})}
    )
    assert run.data.rows.dataset == dataset.name


def test_two_files_are_paired_line_by_line_whatever_signs_are_in_the_lines(tmp_path):
    (tmp_path / "a").write_text("tea\u2028milk\nA cat\x85.\r\n\n", encoding="utf-8", newline="")
    (tmp_path / "b").write_text("Tee\nEine Katze\nleer\n", encoding="utf-8")
    assert corpora.read(tmp_path / "a", tmp_path / "b").to_numpy().tolist() == [
        ["tea\u2028milk", "Tee"],
        ["A cat\x85.", "Eine Katze"],
        ["", "leer"],
    ]
    (tmp_path / "b").write_text("Tee\n", encoding="utf-8")
    with pytest.raises(Refused, match=r"has 3 lines.*1: expected a translation for each line"):
        corpora.read(tmp_path / "a", tmp_path / "b")


def test_lines_with_tabs_and_catalogues_are_read(tmp_path):
    with pytest.raises(Refused, match="Line 2 has no tab"):
        corpora.tsv(io.StringIO('"Go\tVe\tCC-BY\nHi Hola\n'))
    assert corpora.tsv(io.StringIO('"Go\tVe\tCC-BY\n\n')).to_numpy().tolist() == [['"Go', "Ve"]]
    (tmp_path / "m.po").write_text(
        'msgid ""\nmsgstr "Language: de\\n"\n\n# c\nmsgctxt "menu"\nmsgid "Save %s"\nmsgstr ""\n"%s "\n"speichern"\n'
        'msgid "one file"\nmsgid_plural "{n} files"\nmsgstr[0] "eine Datei"\nmsgstr[1] "{n} Dateien"\n\n'
        '#, fuzzy\nmsgid "old"\nmsgstr "alt"\n\nmsgid "new"\nmsgstr ""\n\n#~ msgid "gone"\n#~ msgstr "weg"\n',
        encoding="utf-8",
    )
    assert corpora.read(tmp_path / "m.po").to_numpy().tolist() == [
        ["Save %s", "%s speichern"],
        ["one file", "eine Datei"],
        ["{n} files", "{n} Dateien"],
    ]


def test_tatoeba_is_read_from_its_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "spa-eng.zip", "w") as archive:
        archive.writestr("spa-eng/spa.txt", "Go.\tVe.\nGo.\tVete.\n")
    table = public.tatoeba({"spa-eng.zip": tmp_path / "spa-eng.zip"})
    assert table.to_dict("list") == {"english": ["Go.", "Go."], "spanish": ["Ve.", "Vete."]}


@pytest.mark.data
@pytest.mark.skipif(
    "SOLVENT_DATA" not in os.environ, reason="spa-eng.zip is not here: export SOLVENT_DATA=FOLDER_THAT_HOLDS_IT"
)
def test_the_published_pairs_are_read():
    known = {dataset.name: dataset for dataset in DATASETS}
    captions = datasets.load(known["multi30k"])
    assert captions.groupby("part").size().to_dict() == {"test": 1000, "train": 29000, "valid": 1014}
    first = captions.iloc[0]
    assert (first["english"], first["german"]) == (
        "Two young, White males are outside near many bushes.",
        "Zwei junge weiße Männer sind im Freien in der Nähe vieler Büsche.",
    )
    sentences = datasets.load(known["tatoeba_spa_eng"])
    assert len(sentences) == 118_964
    assert sentences.iloc[0].tolist() == ["Go.", "Ve."]


def test_verbs_and_articles_of_the_made_grammar_agree():
    random = np.random.default_rng(5)
    for _ in range(300):
        english, german = sentence(random, 2)
        first, second = german.rstrip(".").split(", ")
        clause = english.rstrip(".").split(", ")[1]
        if clause.startswith(("because", "although")):  # the verb moves to the end
            last = second.split()[-1]
            wanted = {"has": "hat", "have": "haben"}
            modal = "must" in clause
            assert last in ({"muss", "müssen"} if modal else set(wanted.values()) | {last})
        assert ("the invoice " in english) <= ("die Rechnung" in german)
        assert ("a contract" in english) <= ("einen Vertrag" in german)
        assert first[0].isupper()
    found = sample.business({})
    assert not found["english"].duplicated().any()
    assert found.groupby(["part", "length"]).size().to_dict() == {
        ("test", "as in training"): 200,
        ("test", "longer"): 50,
        ("train", "as in training"): 5000,
        ("valid", "as in training"): 200,
    }


def test_pairs_that_look_wrong_are_counted_and_left_out():
    rows = pd.DataFrame(
        {
            "source": [f"the invoice of customer {name} was paid" for name in "abcdefgh"],
            "target": [f"die Rechnung des Kunden {name} wurde bezahlt" for name in "abcdefgh"],
        }
    )
    rows.loc[1, "target"] = "die"
    rows.loc[2, "target"] = rows.loc[2, "source"]
    rows.loc[3, "target"] = "счёт клиента был оплачен вчера"
    rows.loc[5, "source"] = rows.loc[4, "source"]
    wrong = suspects(rows)
    assert {name: wrong.index[wrong[name]].tolist() for name in wrong} == {
        "length_ratio": [1],
        "untranslated": [2],
        "wrong_script": [3],
    }
    found = {item.name: item for item in checks(Translation(), rows)}
    assert {name: item.count for name, item in found.items()} == {
        "length_ratio": 1,
        "untranslated": 1,
        "wrong_script": 1,
        "several_translations": 1,
    }
    assert "left out of training" in found["untranslated"].message
    pairs, _, notes = reading.learnt(Translation(network={"vocabulary": 400}), rows, ALL)
    assert len(pairs.sources) == 5
    assert "3 of 8" in notes[0].message
    kept, _, _ = reading.learnt(Translation(network={"vocabulary": 400}, clean=False), rows, ALL)
    assert len(kept.sources) == 8


# Training rows


def test_training_rows_are_the_pairs_shifted_with_their_tokens_weighed_alike():
    rows = pd.DataFrame(
        {"source": ["tea", "milk and 12 cups of tea"] * 10, "target": ["Tee", "Milch und 12 Tassen"] * 10}
    )
    settings = Translation(network={"vocabulary": 300}, subword_sampling=None, masked_words=0)
    pairs, facts, _ = reading.learnt(settings, rows, ALL)
    (source, begun), said, weights = pairs.rows().take(np.array([0, 1, 3]))
    vocabulary = pairs.vocabulary
    assert source.shape[0] == begun.shape[0] == 3 and begun.shape == said.shape
    assert (begun[:, 0] == vocabulary.start).all()
    np.testing.assert_array_equal(begun[:, 1:][begun[:, 1:] > 0], said[(said > 0) & (said != vocabulary.end)])
    assert [(row == vocabulary.end).sum() for row in (*source, *said)] == [1] * 6
    np.testing.assert_allclose(weights / weights[0], (said > 0).sum(axis=1) / (said[0] > 0).sum())
    assert weights.mean() == pytest.approx(1)
    texts = vocabulary.decode(begun)
    assert texts[0] == "Tee"
    mark = next(mark for mark in MARKS if mark in texts[1])
    assert texts[1] == f"Milch und {mark} Tassen"
    assert vocabulary.decode(source)[1] == f"milk and {mark} cups of tea"
    np.testing.assert_array_equal(pairs.rows().take(np.array([0, 1, 3]))[0][0], source)
    assert facts["longest_source"] >= (source > 0).sum(axis=1).max() - 1


def test_pairs_are_joined_to_longer_ones_as_long_as_these_are_not_too_long():
    rows = pd.DataFrame(
        {"source": ["tea", "milk", "a cup of tea"] * 4, "target": ["Tee", "Milch", "eine Tasse Tee"] * 4}
    )
    settings = Translation(network={"vocabulary": 300}, subword_sampling=None, masked_words=0, joined=0.5, clean=False)
    pairs, facts, _ = reading.learnt(settings, rows, ALL)
    assert facts["pairs"] == 12
    assert len(pairs.sources) == len(pairs.targets) == len(pairs.lengths) == len(pairs.weights) == 18
    known = dict(zip(rows["source"], rows["target"], strict=True))
    for source, target in zip(pairs.sources[12:], pairs.targets[12:], strict=True):
        assert any(
            (source, target) == (f"{first} {second}", f"{known[first]} {known[second]}")
            for first in known
            for second in known
        )
    both = [pairs.vocabulary.encode(texts) for texts in (pairs.sources, pairs.targets)]
    assert all(length > max(map(len, tokens)) for length, *tokens in zip(pairs.lengths, *both, strict=True))
    short = settings.model_copy(update={"longest": 14, "joined": 1.0})
    kept, facts, _ = reading.learnt(short, rows, ALL)
    assert facts["pairs"] == 12 < len(kept.sources) < 24
    assert max(map(len, kept.vocabulary.encode([*kept.sources, *kept.targets]))) < 14


def test_subwords_and_marks_are_drawn_anew_for_other_batches_and_spell_the_same():
    rows = pd.DataFrame(
        {"source": [f"tea {n} is good" for n in range(9)], "target": [f"Tee {n} ist gut" for n in range(9)]}
    )
    pairs, _, _ = reading.learnt(Translation(network={"vocabulary": 300}, masked_words=0), rows, ALL)
    first, second = (pairs.rows().take(np.array([0, other]))[0][0][0] for other in (1, 2))
    assert not np.array_equal(first, second)
    for tokens in (first, second):
        (said,) = pairs.vocabulary.decode([tokens])
        assert said == "tea 0 is good" or any(said == f"tea {mark} is good" for mark in MARKS)


def test_words_that_stand_in_the_same_pairs_translate_each_other():
    sources = ["red house", "blue house", "red car", "blue car"]
    targets = ["rotes Haus", "blaues Haus", "rotes Auto", "blaues Auto"]
    words = Dictionary.learnt(sources, targets)
    assert words.word_by_word("blue house, green!") == "blaues Haus, green!"
    assert words.aligned("blue house", "blaues Haus") == [((0, 4), (0, 6)), ((5, 10), (7, 11))]


# What is kept


@pytest.mark.parametrize(
    ("kind", "given", "items"),
    [
        (
            "numbers",
            "pay 1,000.50 by 12:30, 5-10 of 3 (20%), not 2nd or A4.",
            ["1,000.50", "12:30", "5-10", "3", "20%"],
        ),
        ("codes", "order KX-204, A4 and B/12; not IT, 2nd or x2", ["KX-204", "A4", "B/12"]),
        (
            "addresses",
            "see https://a.example/x?y=1, or mail a.b+c@d.example.",
            ["https://a.example/x?y=1", "a.b+c@d.example"],
        ),
        ("tags", 'a <b class="x">bold</b> &amp; a < b', ['<b class="x">', "</b>", "&amp;"]),
        (
            "placeholders",
            "Hi {name}, %s of %(total)d, {{ x }}, ${VAR} 5% off",
            ["{name}", "%s", "%(total)d", "{{ x }}", "${VAR}"],
        ),
    ],
)
def test_what_is_kept_is_found(kind, given, items):
    masked = Protector.of((kind,), NONE).masked(given)
    assert list(masked.values) == items
    assert masked.restored(masked.text) == given
    assert not any(item in masked.text.replace("2nd", "") for item in items if len(item) > 2)


def test_a_translation_that_lost_changed_or_made_up_something_is_found_out():
    given = "Order 4711 costs 20 and 20 for {name}."
    assert ALL.lost(given, "{name}: 20 und 20 kostet Auftrag 4711.") == []
    assert ALL.lost(given, "{name}: 20 kostet Auftrag 4712.") == ["lost 4711", "lost 20", "added 4712"]
    masked = ALL.masked(given)
    assert masked.text == "Order ⟦0⟧ costs ⟦1⟧ and ⟦2⟧ for ⟦3⟧."
    assert masked.holds("⟦3⟧ ⟦0⟧ ⟦1⟧ ⟦2⟧")
    assert not masked.holds("⟦3⟧ ⟦0⟧ ⟦1⟧ ⟦1⟧") and not masked.holds("⟦0⟧ ⟦1⟧ ⟦2⟧ ⟦3⟧ ⟦4⟧")


def test_terms_of_a_glossary_are_put_in_the_longest_first_also_where_a_sentence_begins():
    terms = pd.DataFrame({"source": ["price", "net price", "plan 9"], "target": ["Preis", "Nettopreis", "Plan Neun"]})
    kept = Protector.of(KINDS, terms)
    masked = kept.masked("Net price and price of plan 9, prices too.")
    assert masked.values == ("Nettopreis", "Preis", "Plan Neun")
    assert masked.text == "⟦0⟧ and ⟦1⟧ of ⟦2⟧, prices too."
    given = "Net price of plan 9"
    assert kept.lost(given, "Nettopreis von Plan Neun") == []
    assert kept.lost(given, "Nettopreis von Plan 9") == ["added 9", "term Plan Neun"]
    assert kept.used(given) == [("Net price", "Nettopreis"), ("plan 9", "Plan Neun")]
    twice = pd.concat([terms, pd.DataFrame({"source": ["price"], "target": ["Kosten"]})])
    with pytest.raises(Refused, match="calls 'price' both 'Preis' and 'Kosten'"):
        Protector.of(KINDS, twice)
    with pytest.raises(Refused, match="no column 'target'"):
        Protector.of(KINDS, terms[["source"]])


# Sentences


@pytest.mark.parametrize(
    ("given", "sentences"),
    [
        ("One. Two? Three!", ["One.", "Two?", "Three!"]),
        ('He said "Go." Then he left.', ['He said "Go."', "Then he left."]),
        (
            "Mr. Smith paid approx. 3.50 on the 3. of May. Done.",
            ["Mr. Smith paid approx. 3.50 on the 3. of May.", "Done."],
        ),
        ("z. B. Tee. Dann Kaffee.", ["z. B. Tee.", "Dann Kaffee."]),
        ("好。很好！再来", ["好。", "很好！", "再来"]),
        ("first line\nsecond line", ["first line", "second line"]),
        ("no end", ["no end"]),
        ("...", ["..."]),
    ],
)
def test_sentences_are_cut_and_joined_again(given, sentences):
    found = pieces(given, every=True)
    assert [sentence for sentence, _ in found] == sentences
    assert "".join(sentence + gap for sentence, gap in found) == given
    assert [sentence for sentence, _ in pieces(given, every=False)] == given.split("\n")


# The memory


def test_the_memory_answers_for_equal_texts_for_other_numbers_and_if_asked_for_similar_ones():
    table = pd.DataFrame(
        {
            "source": ["Order 12 of {name} was sent.", "The contract was signed today.", "From 5 to 5"],
            "target": [
                "Auftrag 12 von {name} wurde versandt.",
                "Der Vertrag wurde heute unterschrieben.",
                "Von 5 bis 5",
            ],
        }
    )
    asked = [
        "The contract was signed today.",
        "Order 99 of {first} was sent.",
        "The contract was signed yesterday.",
        "From 6 to 7",
        "Something else",
    ]
    exact = Memory.of(table, ALL, None).find(asked)
    assert [match.translation if match else None for match in exact] == [
        "Der Vertrag wurde heute unterschrieben.",
        "Auftrag 99 von {first} wurde versandt.",
        None,
        None,
        None,
    ]
    fuzzy = Memory.of(table, ALL, 0.8).find(asked)
    assert fuzzy[2].translation == "Der Vertrag wurde heute unterschrieben."
    assert fuzzy[2].similarity == pytest.approx(5 / 6)
    assert fuzzy[4] is None
    assert Memory.of(NONE, ALL, 0.8).find(["x"]) == [None]


# Metrics


def test_the_metrics_are_those_of_sacrebleu():
    random = np.random.default_rng(0)
    said, wanted = [], []
    for _ in range(40):
        german = sentence(random, 2)[1]
        words = german.split()
        said.append(" ".join(random.permutation(words)[: random.integers(1, len(words) + 1)]))
        wanted.append(german)
    said[0], said[1] = "", "x"
    assert point(chrf_of(said, wanted)) == pytest.approx(CHRF().corpus_score(said, [wanted]).score)
    assert point(bleu_of(said, wanted)) == pytest.approx(BLEU().corpus_score(said, [wanted]).score)
    assert point(ter_of(said, wanted)) == pytest.approx(TER().corpus_score(said, [wanted]).score)
    assert point(bleu_of(["a b"], ["a b c d e"])) == pytest.approx(BLEU().corpus_score(["a b"], [["a b c d e"]]).score)
    each = [CHRF().sentence_score(*pair).score for pair in zip(said, [[text] for text in wanted], strict=True)]
    np.testing.assert_allclose(sentence_chrf(said, wanted), each)


def test_a_row_of_weight_two_counts_as_two():
    said, wanted = ["ein Tee", "zwei Milch"], ["ein guter Tee", "zwei Glas Milch"]
    doubled = ([said[0], *said], [wanted[0], *wanted])
    for metric in (chrf_of, bleu_of, ter_of):
        assert point(metric(said, wanted, pd.Series([2.0, 1.0]))) == pytest.approx(point(metric(*doubled)))


def test_settings_that_do_not_fit_together_are_refused():
    with pytest.raises(ValueError, match="can't be shared by 3 heads"):
        Translation(network={"width": 64, "heads": 3})
    with pytest.raises(ValueError, match="3 further translations at most"):
        Translation(alternatives=4)
    assert Translation(preset="base", network={"layers": 2}).network.width == 512


def test_what_is_too_long_is_halved_at_blanks_until_it_fits():
    found = halved("one two three four", " ", lambda part: len(part) <= 9)
    assert found == [("one two", " "), ("three", " "), ("four", " ")]
    assert halved("abcdefgh", "", lambda part: len(part) <= 3) == [("ab", ""), ("cd", ""), ("ef", ""), ("gh", "")]


def test_tags_that_touch_words_and_terms_of_scripts_without_blanks_are_kept():
    assert ALL.shared("<b>12</b> cups", "<b>12</b> Tassen") == [((0, 3), (0, 3)), ((3, 5), (3, 5)), ((5, 9), (5, 9))]
    kept = Protector.of(KINDS, pd.DataFrame({"source": ["price", "价格"], "target": ["价格", "price"]}))
    assert kept.lost("the price is high", "这个价格很高") == []
    assert kept.masked("这个价格很高").text == "这个⟦0⟧很高"
    assert kept.masked("prices").text == "prices"
