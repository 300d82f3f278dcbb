"""Translation: what a trained bundle gives, and what is done where something of a text was lost."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import solvent
from solvent import Bundle, Refused, text
from solvent.runtime.optimize import optimize
from solvent_nlp.translation import quality
from solvent_nlp.translation.decoding import NONE, Search
from solvent_nlp.translation.protecting import MARKS, Protector
from solvent_nlp.translation.sample import pairs
from solvent_nlp.translation.settings import KINDS, Scoring, Translation
from solvent_nlp.translation.translator import Piece, Said, Translator

SOLUTION = "solvent_nlp.translation:SOLUTION"
NOTHING = pd.DataFrame({"source": [], "target": []}, dtype="str")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Bundle:
    folder = tmp_path_factory.mktemp("translation")
    sample = pairs(0, items=True)
    sample.rows.to_parquet(folder / "rows.parquet")
    return solvent.train(
        {
            "solution": SOLUTION,
            "data": {"rows": str(folder / "rows.parquet"), "columns": dict(sample.columns)},
            "settings": {
                **sample.settings,
                "masked_words": 0.5,
                "alternatives": 2,
                "scoring": {"beam": 3},
            },
        },
        folder / "bundle",
    )


def texts(rows: int) -> list[str]:
    """Sentences of the sample's words with what must be kept."""
    random = np.random.default_rng(3)
    kinds: list[Callable[[int], str]] = [
        lambda n: f"{n}",
        lambda n: f"{n / 7:.2f}",
        lambda n: f"KX-{n}",
        lambda n: f"https://shop.example/a/{n}?b=1",
        lambda n: f"mail{n}@shop.example",
        lambda n: f"<b>{n}</b>",
        lambda n: f"{{name_{n % 7}}}",
        lambda n: f"%s {n}%",
    ]
    made = []
    for number in range(rows):
        one, two = (kinds[random.integers(len(kinds))](int(random.integers(1000))) for _ in range(2))
        form = f"{one}: the company sends an offer, {two}." if number % 4 == 0 else f"The buyer checks the offer {one}."
        made.append(form)
    return made


def test_of_200_rows_each_keeps_its_items_or_says_what_was_lost(bundle):
    given = texts(200)
    scored = bundle.score(pd.DataFrame({"english": given}))
    assert scored["error"].isna().all()
    kept = Protector.of(KINDS, NOTHING)
    lost = np.array([bool(kept.lost(*pair)) for pair in zip(given, scored["translation"], strict=True)])
    assert not (lost & (scored["problems"] == "")).any()
    assert (scored["review"] | ~lost).all()
    assert not (~lost & (scored["problems"] != "")).any()


def test_terms_of_a_glossary_that_training_never_saw_are_written(bundle):
    terms = pd.DataFrame({"source": ["invoice", "contract"], "target": ["Faktura", "Kontrakt"]})
    ways = [f"{one} {two}" for one in ("The manager", "A buyer", "The company") for two in ("checks", "has paid")]
    given = pd.DataFrame({"source": [f"{way} the {word}." for word in terms["source"] for way in ways]})
    scored = bundle.scorer({"glossary": terms})(given)
    wanted = np.repeat(terms["target"], len(ways))
    written = np.array([term in said for term, said in zip(wanted, scored["translation"], strict=True)])
    assert ((scored["problems"] != "") | written).all()
    assert scored["terms"].iloc[0] == "invoice = Faktura"
    with pytest.raises(Refused, match="no column 'target'"):
        bundle.scorer({"glossary": terms[["source"]]})


def test_the_memory_answers_first_and_similar_texts_are_to_be_reviewed(bundle):
    memory = pd.DataFrame({"source": ["The manager checks the offer 5."], "target": ["Der Chef prüft Angebot 5."]})
    given = pd.DataFrame({"source": ["The manager checks the offer 77.", "The buyer checks the offer 5."]})
    exact = bundle.scorer({"memory": memory})(given)
    assert exact["translation"].iloc[0] == "Der Chef prüft Angebot 77."
    assert exact["origin"].tolist() == ["memory", "model"]
    assert (exact["quality"].iloc[0], exact["review"].iloc[0]) == (100, False)
    fuzzy = bundle.with_scoring({"fuzzy": 0.8}).scorer({"memory": memory})(given)
    assert fuzzy["origin"].tolist() == ["memory", "fuzzy"]
    assert bool(fuzzy["review"].iloc[1])


def test_lines_and_sentences_of_a_long_text_are_translated_one_by_one_and_joined(bundle):
    one, two = "The manager checks the invoice.", "Today the buyer has paid the contract."
    each = bundle.score(pd.DataFrame({"english": [one, two, f"{one}\n\n{two}", f"{one} {two} " * 9]}))["translation"]
    assert each[2] == f"{each[0]}\n\n{each[1]}"
    assert each[3] == " ".join([each[0], each[1]] * 9)


def test_further_translations_are_given_with_their_scores_and_a_job_may_ask_for_another_search(bundle):
    given = pd.DataFrame({"english": ["The manager checks the invoice."]})
    scored = bundle.score(given)
    assert [len(found.split(" ", 1)) for found in scored["alternatives"][0]] == [2, 2]
    assert [float(found.split()[0]) for found in scored["alternatives"][0]] == sorted(
        (float(found.split()[0]) for found in scored["alternatives"][0]), reverse=True
    )
    short = bundle.with_scoring({"longest": 2}).score(given)["translation"][0]
    vocabulary = text.Vocabulary(bytes(bundle.fitted.assets["vocabulary"]))
    assert len(vocabulary.encode([short])[0]) <= 2
    assert bundle.with_scoring({"review_below": 100}).score(given)["review"][0]


def test_the_report_shows_signatures_examples_and_where_the_network_looked(bundle):
    page = (bundle.path / "report.html").read_text(encoding="utf-8")
    for words in ("Worst translations", "Is the quality known?", "Where the network looked", "nrefs:1|case:mixed"):
        assert words in page
    assert {"subwords of the source", "words that training never saw"} <= {
        item["column"] for item in bundle.facts["slices"]
    }


def test_another_runtime_is_refused_with_the_reason(bundle):
    with pytest.raises(Refused, match="decodes in TensorFlow"):
        optimize(bundle.path, "tensorflow-bf16")


# Without a network


@pytest.fixture(scope="module")
def vocabulary() -> text.Vocabulary:
    lines = ["The order is here.", "Der Auftrag 4711 ist da.", *MARKS] * 9
    return text.train_vocabulary(lines, 400, fold_case=False, as_written=True, symbols=MARKS)


def stub(vocabulary: text.Vocabulary, answers: Callable[[str, Search], list[str]]) -> Any:
    """Decoding that answers by a function from what it reads to translations, the best first."""

    def predict(search: Search, batch: Any) -> dict[str, np.ndarray]:
        source, limits = batch
        found = np.zeros((len(source), search.beam, int(limits[0])), np.int32)
        score = np.full((len(source), search.beam), NONE)
        for row, given in enumerate(vocabulary.decode(source)):
            for place, said in enumerate(answers(given, search)):
                tokens = vocabulary.encode([said])[0]
                found[row, place, : len(tokens)], score[row, place] = tokens, -1.0 - place
        return {"tokens": found, "score": score, "mean": score, "lowest": score}

    return predict


def translator(vocabulary: text.Vocabulary, answers: Callable[[str, Search], list[str]]) -> Translator:
    settings = Translation(scoring=Scoring(beam=2))
    facts = {"longest_source": 100, "longest_ratio": 3.0}
    return Translator(settings, vocabulary, Protector.of(KINDS, NOTHING), facts, stub(vocabulary, answers))


def test_what_the_best_translation_lost_is_looked_for_in_the_others_then_wider_then_without_marks(vocabulary):
    asked: list[tuple[str, int]] = []

    def answers(given: str, search: Search) -> list[str]:
        asked.append((given, search.beam))
        if given.startswith("second"):
            return ["Auftrag fehlt", f"Auftrag {MARKS[0]}"]
        if given.startswith("wide"):
            return [f"Auftrag {MARKS[0]} ist da" if search.beam > 2 else "Auftrag fehlt"]
        if given.startswith("plain"):
            return ["Auftrag 4711"] if "4711" in given else [f"Auftrag {MARKS[1]}"]
        return ["Auftrag fehlt"]

    given = ["second 4711", "wide 4711", "plain 4711", "never 4711"]
    said = translator(vocabulary, answers).translate(given)
    assert [each.text for each in said] == ["Auftrag 4711", "Auftrag 4711 ist da", "Auftrag 4711", "Auftrag fehlt"]
    assert [each.pieces[0].whole for each in said] == [True, True, True, False]
    assert sorted(asked) == sorted(
        [(f"{word} {MARKS[0]}", 2) for word in ("second", "wide", "plain", "never")]
        + [(f"{word} {MARKS[0]}", 8) for word in ("wide", "plain", "never")]
        + [("plain 4711", 8), ("never 4711", 8)]
    )


def test_a_translation_in_which_a_number_was_made_up_is_not_whole(vocabulary):
    (said,) = translator(vocabulary, lambda given, search: ["Auftrag 12"]).translate(["the order"])
    assert not said.pieces[0].whole


def test_quality_is_a_line_through_what_was_reached_and_a_share_lies_below_the_point():
    random = np.random.default_rng(0)
    known = np.column_stack([random.normal(-0.5, 0.2, 2000), random.normal(-2, 0.5, 2000), np.zeros(2000)])
    reached = np.clip(90 + 40 * known[:, 0] + random.normal(0, 1, 2000), 0, 100)
    facts = quality.learnt(known, reached, 0.1)
    found = quality.estimated(facts, known)
    assert np.abs(found - np.clip(90 + 40 * known[:, 0], 0, 100)).max() < 2
    assert (found < facts["review_below"]).mean() == pytest.approx(0.1, abs=0.002)
    pieces = (Piece("a", -1, -0.5, -2.0, True), Piece("b", -1, -0.7, -3.0, True))
    np.testing.assert_allclose(quality.features([Said("a b", pieces, ())]), [[-0.6, -3.0, np.log(2)]])
    assert quality.features([]).shape == (0, 3)
