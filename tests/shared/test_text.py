"""Subwords that spell every text, windows that cut nothing off, buckets that change no order."""

import numpy as np
import pytest

from solvent import text
from solvent.errors import Refused

TEXTS = ["the tea is good", "the tea is bad", "good soup and bad bread", "a cup of tea"] * 30


@pytest.fixture(scope="module")
def vocabulary() -> text.Vocabulary:
    return text.train_vocabulary(TEXTS, 400, fold_case=True)


def spelled(vocabulary: text.Vocabulary, given: str) -> str:
    pieces = vocabulary.pieces(vocabulary.encode([given])[0])
    raw = b"".join(bytes([int(piece[3:5], 16)]) if piece.startswith("<0x") else piece.encode() for piece in pieces)
    return raw.decode().replace("▁", " ").strip()


@pytest.mark.parametrize("given", ["good tea", "brutal Ω-ray 茶 🙂", "tea\u2016bad", "xyzzy"])
def test_every_text_can_be_spelled_also_with_characters_that_training_never_saw(
    vocabulary: text.Vocabulary, given: str
) -> None:
    assert spelled(vocabulary, given) == given.lower().replace("ω", "ω")


def test_case_is_folded_where_that_is_asked_for(vocabulary: text.Vocabulary) -> None:
    first, second = vocabulary.encode(["Good TEA", "good tea"])
    np.testing.assert_array_equal(first, second)
    first, second = text.train_vocabulary(TEXTS, 400, fold_case=False).encode(["Good TEA", "good tea"])
    assert first.tolist() != second.tolist()


def test_a_blank_text_has_no_tokens_and_no_text_no_list(vocabulary: text.Vocabulary) -> None:
    assert [found.tolist() for found in vocabulary.encode(["", "   "])] == [[], []]
    assert vocabulary.encode([]) == []


def test_the_same_texts_give_the_same_vocabulary_and_frequent_words_are_one_token(vocabulary: text.Vocabulary) -> None:
    assert text.train_vocabulary(TEXTS, 400, fold_case=True).model == vocabulary.model
    assert vocabulary.pieces(vocabulary.encode(["tea"])[0]) == ["▁tea"]
    assert 256 < len(vocabulary) <= 400


def test_blank_texts_alone_are_refused() -> None:
    with pytest.raises(Refused, match="All training texts are blank"):
        text.train_vocabulary(["", "  "], 400, fold_case=True)


def test_windows_overlap_reach_the_end_and_leave_nothing_out() -> None:
    sequences = [np.arange(length) for length in (0, 3, 5, 6, 17)]
    cut = text.windows(sequences, length=5, overlap=2)
    assert [piece.tolist() for piece in cut.pieces[:4]] == [[], [0, 1, 2], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]
    for number, sequence in enumerate(sequences):
        own = [piece for piece, owner in zip(cut.pieces, cut.owner, strict=True) if owner == number]
        assert sorted(set(np.concatenate(own).tolist())) == sequence.tolist()
        assert all(len(piece) == min(5, len(sequence)) for piece in own)
    np.testing.assert_allclose(np.bincount(cut.owner, cut.share), 1)


def test_pooling_is_the_mean_over_a_sequences_windows() -> None:
    cut = text.Windows([np.zeros(1)] * 4, np.array([0, 1, 1, 2]))
    values = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 8.0], [7.0, 0.0]])
    np.testing.assert_allclose(cut.pooled(values), [[1, 2], [4, 6], [7, 0]])


def test_answers_come_in_the_order_of_the_sequences_and_each_is_padded_to_its_own_bucket() -> None:
    random = np.random.default_rng(0)
    sequences = [random.integers(1, 50, length) for length in random.integers(1, 41, 300)]
    shapes: list[tuple[int, int]] = []

    def predict(batches):  # type: ignore[no-untyped-def]
        found = []
        for batch in batches:
            shapes.append(batch.shape)
            found.append(np.column_stack([batch.sum(axis=1), (batch > 0).sum(axis=1)]))
        return np.concatenate(found)

    found = text.in_buckets(predict, sequences, text.padded, rows=16, most=40)
    np.testing.assert_array_equal(found, [[sequence.sum(), len(sequence)] for sequence in sequences])
    assert {length for _, length in shapes} == {8, 16, 24, 32, 40}
    assert max(rows for rows, _ in shapes) == 16


@pytest.mark.parametrize(("length", "bucket"), [(0, 8), (8, 8), (9, 16), (33, 48), (100, 100), (97, 100)])
def test_a_length_goes_to_the_next_bucket_and_never_over_the_longest(length: int, bucket: int) -> None:
    assert text.bucket(length, 100) == bucket


def test_sampled_tokens_spell_the_same_text_in_other_ways_and_a_seed_gives_the_same_again():
    texts = ["tea with milk and honey", "honey tea", "milk with tea and more milk"] * 20
    vocabulary = text.train_vocabulary(texts, 300, fold_case=False, as_written=True)
    first, again, other = (vocabulary.sampled(texts, 0.1, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(*both) for both in zip(first, again, strict=True))
    assert any(not np.array_equal(*both) for both in zip(first, other, strict=True))
    assert vocabulary.decode(first) == vocabulary.decode(vocabulary.encode(texts)) == texts


def test_symbols_are_never_cut_and_characters_that_training_never_saw_are_spelled_as_they_were_written():
    vocabulary = text.train_vocabulary(
        ["tea for ⟦0⟧", "½ … Ａ"] * 9, 300, fold_case=False, as_written=True, symbols=["⟦0⟧"]
    )
    (tokens,) = vocabulary.encode(["Ａ½… ☃x⟦0⟧."])
    assert vocabulary.pieces(tokens).count("⟦0⟧") == 1
    assert vocabulary.decode([tokens]) == ["Ａ½… ☃x⟦0⟧."]
    assert vocabulary.decode([np.array([vocabulary.start, *tokens, vocabulary.end, vocabulary.padding])]) == [
        "Ａ½… ☃x⟦0⟧."
    ]
    assert vocabulary.decode([]) == []
