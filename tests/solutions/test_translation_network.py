"""Translation: what the network may see, and what decoding makes of it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from solvent_nlp.translation import decoding, network
from solvent_nlp.translation.decoding import NONE, Search, decoder
from solvent_nlp.translation.settings import Network

SUBWORDS, END = 14, 3
SMALL = Network(layers=2, width=16, inner=24, heads=2, dropout=0.3)


@pytest.fixture(scope="module")
def model():
    """A network of large random weights, so that its answers differ."""
    keras.utils.set_random_seed(0)
    made = network.build(SMALL, SUBWORDS)
    random = np.random.default_rng(0)
    made.set_weights([weight + random.normal(0, 0.4, weight.shape) for weight in made.get_weights()])
    return made


def sources(rows: int, seed: int = 0) -> np.ndarray:
    """Tokens with their end behind them, of different lengths, padded."""
    random = np.random.default_rng(seed)
    found = np.zeros((rows, 8), np.int32)
    for row, length in zip(found, random.integers(1, 8, rows), strict=True):
        row[:length], row[length] = random.integers(4, SUBWORDS, length), END
    return found


def limit(rows: int, tokens: int = 12) -> np.ndarray:
    return np.full(rows, tokens, np.int32)


def begun(tokens: np.ndarray) -> np.ndarray:
    """Translations as the decoder reads them: the mark of the start, then all tokens."""
    return np.concatenate([np.full((len(tokens), 1), 2, np.int32), tokens.astype(np.int32)], axis=1)


def logarithms(model: keras.Model, source: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Of the probabilities of what comes next, computed anew from all tokens before it; what may never come is NONE."""
    found = np.array(compiled(model)((source, begun(tokens))), np.float64)
    found -= np.log(np.exp(found).sum(axis=2, keepdims=True))
    found[:, :, :3] = NONE
    return found


def compiled(model: keras.Model):
    """The same in a graph: layer by layer a call takes long."""
    if not hasattr(model, "graph_of_it"):
        wanted = [(tf.TensorSpec((None, None), tf.int32),) * 2]
        model.graph_of_it = tf.function(lambda pair: model(pair, training=False), input_signature=wanted)
    return model.graph_of_it


def said(model: keras.Model, source: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The logarithm of each token's probability, and how many count, the end among them unless it was cut."""
    width = tokens.shape[1]
    length = (tokens > 0).sum(axis=1)
    whole = np.where(np.arange(width) == length[:, None], END, tokens)
    found = logarithms(model, source, whole)[:, :-1]
    ended = np.minimum(length + 1, width)
    each = np.take_along_axis(found, whole[:, :, None], 2)[:, :, 0]
    return np.where(np.arange(width) < ended[:, None], each, 0), ended


def uncached(model: keras.Model, source: np.ndarray, tokens: int) -> np.ndarray:
    """Greedy decoding by a full pass for each token."""
    found = np.zeros((len(source), 0), np.int32)
    done = np.zeros(len(source), bool)
    for _ in range(tokens):
        best = logarithms(model, source, found)[:, -1].argmax(axis=1)
        found = np.concatenate([found, np.where(done, 0, best)[:, None]], axis=1)
        done |= best == END
    return np.where(found == END, 0, found)


def test_padding_changes_no_logit(model):
    source, target = sources(6), begun(sources(6, seed=1))
    plain = np.array(compiled(model)((source, target)))
    wider = np.array(compiled(model)((np.pad(source, ((0, 0), (0, 9))), np.pad(target, ((0, 0), (0, 5))))))
    np.testing.assert_allclose(wider[:, : target.shape[1]], plain, atol=1e-5)


def test_no_place_sees_what_comes_behind_it_and_all_see_the_whole_source(model):
    source, target = np.repeat(sources(1), 9, axis=0), np.repeat(begun(sources(1, seed=1)), 9, axis=0)
    for place in range(1, 9):
        target[place, place] = other(target[place, place])
    found = np.array(compiled(model)((source, target)))
    for place in range(1, 9):
        np.testing.assert_allclose(found[place, :place], found[0, :place], atol=1e-6)
        assert np.abs(found[place, place] - found[0, place]).max() > 1e-3
    last = np.flatnonzero(source[0])[-2]
    source[0, last] = other(source[0, last])
    changed = np.array(compiled(model)((source, np.repeat(target[:1], 9, axis=0))))
    assert (np.abs(changed[0] - changed[1]).max(axis=1) > 1e-4).all()


def other(token: int) -> int:
    return 4 + (int(token) - 3) % (SUBWORDS - 4)


def test_the_loss_is_the_mean_over_tokens_by_hand_and_padding_counts_nothing():
    logits = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
    tokens = np.array([[4, 1, 3], [2, 0, 0]])
    logarithms = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
    losses = -(0.9 * np.take_along_axis(logarithms, tokens[:, :, None], 2)[..., 0] + 0.1 * logarithms.mean(axis=2))
    each = np.array([losses[0].mean(), losses[1, 0]])
    found = network.Smoothed(0.1)
    np.testing.assert_allclose(found.call(tokens, logits), each, rtol=1e-5)
    weighed = found(tokens, logits, sample_weight=np.array([3, 1]) / 2)  # in proportion to their tokens
    assert float(weighed) == pytest.approx((losses[0].sum() + losses[1, 0]) / 4, rel=1e-5)
    logits[1, 1:] = 1e3
    np.testing.assert_allclose(found.call(tokens, logits), each, rtol=1e-5)


def test_a_share_of_the_numbers_is_left_out_in_training_and_the_mean_stays():
    from solvent_nlp.translation.layers import Dropout

    layer = Dropout(0.25)
    ones = np.ones((40, 501), np.float32)
    found = np.array(layer(ones, training=True))
    assert (found == 0).mean() == pytest.approx(0.25, abs=0.01)
    assert found.mean() == pytest.approx(1, abs=0.02)
    assert not np.array_equal(found, np.array(layer(ones, training=True)))
    np.testing.assert_array_equal(layer(ones), ones)


def test_what_is_kept_of_earlier_tokens_gives_what_is_computed_anew(model):
    source = sources(60)
    found = decoder(model, Search())((source, limit(60)))
    np.testing.assert_array_equal(found["tokens"][:, 0], uncached(model, source, 12))
    each, ended = said(model, source, found["tokens"][:, 0])
    np.testing.assert_allclose(found["mean"][:, 0], each.sum(axis=1) / ended, atol=1e-4)
    np.testing.assert_allclose(found["lowest"][:, 0], each.min(axis=1), atol=1e-4)


def test_a_beam_of_one_is_greedy_and_a_text_alone_is_translated_as_among_others(model):
    source = sources(60, seed=2)
    together = decoder(model, Search(3, block_repeats=4))((source, limit(60)))
    steps = decoding.Steps(model)
    one = decoding._beam(steps, Search(), tf.constant(source), tf.constant(12))
    greedy = decoder(model, Search())((source, limit(60)))
    np.testing.assert_array_equal(one["tokens"], greedy["tokens"])
    np.testing.assert_allclose(one["score"], greedy["score"], atol=1e-4)
    for row in range(0, 60, 12):
        alone = decoder(model, Search(3, block_repeats=4))((source[[row] * 4], limit(4)))
        np.testing.assert_array_equal(alone["tokens"][0], together["tokens"][row])
        np.testing.assert_allclose(alone["score"][0], together["score"][row], atol=1e-4)


def test_the_scores_of_a_beam_are_those_of_its_translations_the_best_first(model):
    source = sources(20, seed=3)
    found = decoder(model, Search(4, length_penalty=0.6))((source, limit(20)))
    for place in range(4):
        each, ended = said(model, source, found["tokens"][:, place])
        np.testing.assert_allclose(found["score"][:, place], each.sum(axis=1) / ended**0.6, atol=1e-3)
    assert all(len({tuple(tokens) for tokens in row}) == 4 for row in found["tokens"])
    whole = (found["tokens"][:, :, -1] == 0).all(axis=1)  # a translation that was cut ranks behind those that end
    assert whole.sum() > 5 and (np.diff(found["score"][whole], axis=1) <= 1e-5).all()
    greedy = decoder(model, Search(1, length_penalty=0.6))((source, limit(20)))
    assert found["score"][:, 0].mean() > greedy["score"][:, 0].mean()


def test_no_sequence_is_repeated_where_that_is_blocked_and_no_translation_is_longer_than_asked(model):
    source = sources(40, seed=4)
    for beam in (1, 3):
        free, blocked = (
            decoder(model, Search(beam, block_repeats=many))((source, limit(40, 20)))["tokens"].reshape(-1, 20)
            for many in (None, 2)
        )

        def repeats(rows):
            pairs = [list(zip(row[row > 0][:-1], row[row > 0][1:], strict=True)) for row in rows]
            return sum(len(each) - len(set(each)) for each in pairs)

        assert repeats(free) > 0
        assert repeats(blocked) == 0
    assert decoder(model, Search(3))((source, limit(40, 5)))["tokens"].shape == (40, 3, 5)


def test_a_network_learns_to_turn_a_sequence_round():
    keras.utils.set_random_seed(1)
    random = np.random.default_rng(0)
    learner = network.build(Network(layers=1, width=32, inner=64, heads=2, dropout=0.0), SUBWORDS)
    learner.compile(keras.optimizers.Adam(4e-3), network.Smoothed(), jit_compile=False)

    def drawn(rows: int) -> tuple[np.ndarray, np.ndarray]:
        source, target = np.zeros((2, rows, 6), np.int32)
        for ours, theirs in zip(source, target, strict=True):
            tokens = random.integers(4, SUBWORDS, random.integers(2, 6))
            ours[: len(tokens) + 1], theirs[: len(tokens) + 1] = [*tokens, END], [*tokens[::-1], END]
        return source, target

    source, target = drawn(12_800)
    learner.fit((source, begun(target)[:, :-1]), target, batch_size=64, epochs=2, verbose=0)
    source, target = drawn(100)
    found = decoder(learner, Search())((source, limit(100, 6)))["tokens"][:, 0]
    assert (found == np.where(target == END, 0, target)).all(axis=1).mean() > 0.9
