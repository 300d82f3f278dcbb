"""The translation solution's other tasks: summaries, and texts that go on from their beginnings."""

from math import exp, log
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from pydantic import ValidationError
from rouge_score.rouge_scorer import RougeScorer

import solvent
from solvent import Bundle, Refused, text
from solvent.metrics import point
from solvent_nlp.translation import network, rouge
from solvent_nlp.translation.decoding import Search, decoder
from solvent_nlp.translation.grammar import sentence
from solvent_nlp.translation.model import made_up
from solvent_nlp.translation.ngrams import Ngrams
from solvent_nlp.translation.outcome import perplexities
from solvent_nlp.translation.settings import Network, Translation
from solvent_nlp.translation.texts import Begun, cut

SOLUTION = "solvent_nlp.translation:SOLUTION"
SMALL = {"vocabulary": 350, "layers": 1, "width": 48, "inner": 48, "heads": 2, "dropout": 0.0}
QUICK = {"batch_size": 400, "learning_rate": 1e-2, "patience": None, "ema": None}
START, END = text.Vocabulary.start, text.Vocabulary.end


def trained(folder: Path, rows: pd.DataFrame, **settings) -> Bundle:
    rows.to_parquet(folder / "rows.parquet")
    columns = {name: name for name in ("source", "target") if name in rows}
    settings = {"network": SMALL, "subword_sampling": None, "scoring": {"beam": 2}, "alternatives": 1, **settings}
    data = {"rows": str(folder / "rows.parquet"), "columns": columns}
    return solvent.train({"solution": SOLUTION, "data": data, "settings": settings}, folder / "bundle")


def made(rows: int, sentences: int) -> list[list[str]]:
    random = np.random.default_rng(0)
    return [[sentence(random, 1, words=3, items=False)[0] for _ in range(sentences)] for _ in range(rows)]


# Summaries

WORDS = ["dog", "cat", "house", "tree", "river", "bird"]
FILLERS = [f"It was {word}." for word in ("late", "early", "cold", "warm")]


@pytest.fixture(scope="module")
def summaries(tmp_path_factory) -> Bundle:
    """What counts is said last: so the first three sentences are no good summary."""
    random = np.random.default_rng(0)
    found = [[WORDS[random.integers(6)] for _ in range(2)] for _ in range(500)]
    texts = [[*random.permutation(FILLERS)[:3], f"They saw a {one} and a {two}."] for one, two in found]
    rows = pd.DataFrame(
        {"source": ["\n".join(each) for each in texts], "target": [" or ".join(each) for each in found]}
    )
    folder = tmp_path_factory.mktemp("summaries")
    return trained(folder, rows, task="summarise", training={**QUICK, "learning_rate": 3e-3, "epochs": 16})


def test_summaries_are_measured_by_rouge_beside_the_first_three_sentences(summaries):
    metrics = summaries.facts["test"]["metrics"]
    assert set(metrics) == {"rouge_1", "rouge_2", "rouge_l", "quality_error", "to_review", "made_up"}
    assert set(summaries.facts["rivals"]) == {"nearest source", "first three sentences"}
    first = summaries.facts["rivals"]["first three sentences"]["metrics"]["rouge_l"]["value"]
    assert metrics["rouge_l"]["value"] > max(first, 80)  # two words at random and the "or" reach 50
    page = (summaries.path / "report.html").read_text(encoding="utf-8")
    assert "Worst summaries" in page and "rouge-score" in page


def test_a_text_is_summarised_as_one_whatever_its_lines_are_and_of_a_long_one_the_beginning_is_read(summaries):
    lines = [*FILLERS, "They saw a dog and a cat."]
    given = ["\n".join(lines), " ".join(lines), " ".join(lines * 60)]
    found = summaries.score(pd.DataFrame({"source": given}))
    assert list(found) == ["summary", "quality", "review", "problems", "alternatives", "error"]
    assert found["error"].isna().all()
    assert found["summary"][0] == found["summary"][1] and found["summary"][2]


def test_what_a_summary_makes_up_is_said():
    assert made_up("Order 4711 of 12.5 tons, see KX-9", "4711: KX-9") == []
    assert made_up("Order 4711", "Orders 4711, 4712 and 4712 by a@b.example") == [
        "not in the text: 4712",
        "not in the text: a@b.example",
    ]


def test_rouge_is_what_the_library_says_and_counts_words_of_any_script():
    pairs = [
        ("The buyer's offer, of 12_3 parts.", "An offer of the buyer: 12 3 parts!"),
        ("police killed the gunman", "the gunman police killed"),
    ]
    library = RougeScorer(["rouge1", "rouge2", "rougeL"])
    wanted = np.mean([[score.fmeasure for score in library.score(b, a).values()] for a, b in pairs], axis=0)
    found = rouge.rouge_of(*map(list, zip(*pairs, strict=True)))
    np.testing.assert_allclose([point(each) for each in found.values()], 100 * wanted)
    assert rouge.sentence_rouge(["Прекрасный дом"], ["прекрасный сад"]) == pytest.approx([50])
    assert rouge.sentence_rouge(["größer"], ["größer"]) == pytest.approx([100])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"task": "summarise", "protect": ("numbers",)}, "protect: only translations have it"),
        ({"task": "summarise", "scoring": {"fuzzy": 0.9}}, "scoring.fuzzy: only translations have it"),
        ({"task": "generate", "joined": 0.1}, "joined: only translations have it"),
        ({"task": "generate", "scoring": {"review_below": 5}}, "scoring.review_below: texts that go on"),
    ],
)
def test_what_only_translations_have_is_refused_elsewhere(settings, says):
    with pytest.raises(ValidationError, match=says):
        Translation(**settings)


# Texts


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Bundle:
    """Each begins as the prompt says; some begin with nothing. A few rows have no text."""
    pairs = [each[0].split(" ", 2) for each in made(500, 1)]
    begun = [" ".join(words[:2]) if place % 3 else None for place, words in enumerate(pairs)]
    rest = [words[2] if place % 3 else " ".join(words) for place, words in enumerate(pairs)]
    rest = [None if place % 50 == 7 else each for place, each in enumerate(rest)]
    rows = pd.DataFrame({"source": begun, "target": rest})
    folder = tmp_path_factory.mktemp("texts")
    return trained(folder, rows, task="generate", training={**QUICK, "epochs": 10})


def test_texts_are_measured_by_perplexity_beside_counts_of_the_same_subwords(texts):
    found = texts.facts["test"]["metrics"]
    assert set(found) == {"perplexity", "perplexity_of_subwords"}
    rival = texts.facts["rivals"]["n-grams"]["metrics"]["perplexity"]
    assert 1 < found["perplexity"]["low"] < found["perplexity"]["value"] < found["perplexity"]["high"] < 6
    assert 1 < rival["value"] < 6  # the grammar is nearly one of four words: both know it
    page = (texts.path / "report.html").read_text(encoding="utf-8")
    assert "Least expected texts" in page and "n-grams" in page


def test_a_text_is_judged_as_the_network_says_by_hand_and_goes_on_from_its_beginning(texts):
    rows = pd.DataFrame(
        {
            "source": ["The manager", "The manager", None, "The manager"],
            "target": ["checks the invoice.", None, "The manager checks the invoice.", "invoice the checks."],
        }
    )
    found = texts.score(rows)
    assert found["error"].isna().all()
    assert found["surprise"].isna().tolist() == [False, True, False, False]
    assert found["surprise"][3] > 2 * found["surprise"][0]
    assert found["text"][0] == found["text"][1] == found["text"][3] and found["text"][0].endswith(".")
    vocabulary = text.Vocabulary(bytes(texts.fitted.assets["vocabulary"]))
    begun, said = vocabulary.encode(["The manager", "checks the invoice."])
    whole = np.concatenate([[START], begun, said, [END]]).astype(np.int32)
    logits = np.array(texts.fitted.models["model"](whole[None, :-1])[0], np.float64)
    logarithms = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    each = logarithms[np.arange(len(whole) - 1), whole[1:]][len(begun) :]
    assert found["surprise"][0] == pytest.approx(-each.sum(), rel=1e-4)
    assert found["subwords"][0] == len(each)
    assert texts.with_scoring({"longest": 1}).score(rows)["text"].str.split().str.len().max() == 1


def test_perplexity_weighs_words_alike_and_rows_without_text_count_nothing():
    given = pd.Series(["tea, please", None, "tea"])
    found = perplexities(given, pd.Series([4 * log(3), np.nan, 2 * log(9)]), pd.Series([8, None, 4]))
    assert point(found["perplexity"]) == pytest.approx(exp((4 * log(3) + 2 * log(9)) / 6))
    assert point(found["perplexity_of_subwords"]) == pytest.approx(exp((4 * log(3) + 2 * log(9)) / 12))


def test_long_texts_are_cut_and_every_token_is_wanted_once_but_for_the_beginning():
    pieces, owner = cut(Begun([np.array([7, 8]), np.array([])], [np.array([4, 5, 6]), np.array([9])]), 4)
    assert [piece.tolist() for piece in pieces] == [
        [[START, 0], [7, 0], [8, 4], [4, 5]],
        [[START, 6], [6, END]],
        [[START, 9], [9, END]],
    ]
    assert owner.tolist() == [0, 0, 1]


def test_probabilities_of_counts_are_those_by_hand_and_sum_to_one():
    a, b, c, d = range(4, 8)
    model = Ngrams.learnt([[START, a, b, c, END], [START, a, b, d, END], [START, b, c, END]], 9)
    for before in [(), (START,), (a,), (a, b), (START, a, b), (c, c), (START, c)]:
        assert sum(model.chance(before, token) for token in (1, END, a, b, c, d, 8, 9, 10)) == pytest.approx(1)
    # c follows b twice: behind a, and behind the start; d once. b alone stands behind two others, c behind one.
    assert model.counts[(b, c)] == 2 and model.counts[(b, d)] == 1
    assert model.counts[(b,)] == 2 and model.counts[(c,)] == 1 and model.counts[(END,)] == 2
    assert model.after[(b,)] == (3, 2)
    lower = (1 - model.discounts[0] + model.discounts[0] * 5 / 9) / 7
    by_hand = (2 - model.discounts[1] + model.discounts[1] * 2 * lower) / 3
    assert model.chance((b,), c) == pytest.approx(by_hand)
    assert model.goes_on([a], 9) in ([b, c], [b, d])


def test_a_decoder_alone_goes_on_as_all_tokens_computed_anew_say():
    keras.utils.set_random_seed(0)
    model = network.build(Network(layers=2, width=16, inner=24, heads=2, dropout=0.0), 14, reads=False)
    random = np.random.default_rng(0)
    model.set_weights([weight + random.normal(0, 0.4, weight.shape) for weight in model.get_weights()])
    begun = random.integers(4, 14, (20, 3)).astype(np.int32)
    whole = tf.function(
        lambda tokens: model(tokens, training=False), input_signature=[tf.TensorSpec((None, None), tf.int32)]
    )
    said = np.concatenate([np.full((20, 1), START, np.int32), begun], axis=1)
    ends, score, many = np.zeros(20, bool), np.zeros(20), np.zeros(20)
    for _ in range(6):
        logits = np.array(whole(said), np.float64)[:, -1]
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        logits[:, :3] = -np.inf
        score, many = score + np.where(ends, 0, logits.max(axis=1)), many + ~ends
        best = np.where(ends, 0, logits.argmax(axis=1)).astype(np.int32)
        said, ends = np.concatenate([said, best[:, None]], axis=1), ends | (best == END)
    found = decoder(model, Search())((begun, np.full(20, 6, np.int32)))
    np.testing.assert_array_equal(found["tokens"][:, 0], np.where(said == END, 0, said)[:, 1:])
    np.testing.assert_allclose(found["score"][:, 0], score / many, atol=1e-4)
    beams = decoder(model, Search(3))((begun, np.full(20, 6, np.int32)))
    assert (beams["tokens"][:, :, :3] == begun[:, None]).all()
    for tokens, score in zip(beams["tokens"][:, 0], beams["score"][:, 0], strict=True):
        ended = tokens[tokens > 0].tolist() + [END] * bool(tokens[-1] == 0)
        given = np.array([[START, *ended]], np.int32)
        logits = np.array(whole(given[:, :-1]), np.float64)[0]
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        each = logits[np.arange(len(ended)), ended][3:]
        assert score == pytest.approx(each.mean(), abs=1e-4)
    empty = decoder(model, Search(3))((begun[:, :0], np.full(20, 6, np.int32)))["tokens"]
    assert empty.shape == (20, 3, 6) and (empty == empty[:1]).all()


def test_a_training_without_texts_is_refused(tmp_path):
    rows = pd.DataFrame({"source": [f"tea {n}" for n in range(40)]})
    with pytest.raises(Refused, match="map target"):
        trained(tmp_path, rows, task="generate", training={"epochs": 1})
