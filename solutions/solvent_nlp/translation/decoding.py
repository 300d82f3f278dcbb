"""From sources to translations in one compiled graph: what was computed of earlier tokens is kept, and never anew."""

from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import keras
import numpy as np
import tensorflow as tf

from solvent.text import Vocabulary

__all__ = ["Search", "decoder"]

NONE = -1e9  # the logarithm of the probability of what may not be
CUT = -1e4  # what a translation that was cut at its limit ranks below one that came to its end
Batch = tuple[np.ndarray, np.ndarray]
Form = Callable[[Batch], dict[str, np.ndarray]]


class Search(NamedTuple):
    """How translations are looked for; see the settings `scoring`."""

    beam: int = 1
    length_penalty: float = 1.0
    block_repeats: int | None = None


class Ended(NamedTuple):
    """Translations that are finished, the best first: tokens `(texts, beam, length)`, all else `(texts, beam)`.

    Args:
        rank: NONE where there is none yet.
        mean: of the logarithms of its tokens' probabilities, that of its end among them.
        lowest: of them.
    """

    tokens: Any
    rank: Any
    score: Any
    mean: Any
    lowest: Any


_compiled: WeakKeyDictionary[keras.Model, dict[Search, Form]] = WeakKeyDictionary()


def decoder(model: keras.Model, search: Search) -> Form:
    """From a batch to its translations, traced once for all shapes; the same for the same model and search.

    The function takes source tokens `(texts, length)`, 0 behind their ends, and how many tokens the longest translation
    may have `(texts,)`, the same for all. It gives `tokens` `(texts, beam, limit)` and, of shape `(texts, beam)`,
    `score` (the sum of the logarithms over the length to `length_penalty`; NONE where there is no translation), `mean`
    and `lowest` of the logarithms. A translation ends by itself; one that does not is cut, and ranks behind the others.
    A network without an encoder is given what its texts begin with in place of a source, equally many tokens of each:
    they stand at the beginning of its `tokens`, and count neither in the scores nor in what it may write.
    """
    kept = _compiled.setdefault(model, {})
    if search not in kept:
        # Through the graph's own pieces: the model must not be held by what it is the key of.
        network = Steps(model)

        def translate(source: Any, limit: Any) -> dict[str, Any]:
            look = _greedy if search.beam == 1 else _beam
            return look(network, search, source, tf.reduce_max(limit))

        signature = [tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None,), tf.int32)]
        graph = tf.function(translate, input_signature=signature, autograph=False)

        def run(batch: Batch) -> dict[str, np.ndarray]:
            traced = graph.get_concrete_function()
            return {name: tensor.numpy() for name, tensor in traced(*map(tf.constant, batch)).items()}

        kept[search] = run
    return kept[search]


class Steps:
    """A network's decoder, one token at a time."""

    def __init__(self, model: keras.Model) -> None:
        self.parts = {layer.name: layer for layer in model.layers}
        self.layers = sum(f"decoder_{number}_self" in self.parts for number in range(len(self.parts)))
        reads = "encoder_norm" in self.parts
        self.encoder = keras.Model(model.inputs[0], self.parts["encoder_norm"].output) if reads else None

    def read(self, source: Any, beam: int) -> tuple[list[Any], list[Any], Any]:
        """What stays the same of the source (keys and values of each layer), the empty caches, where tokens are."""
        fixed: list[Any] = [None] * self.layers
        if self.encoder is not None:
            memory = self.encoder(source, training=False)
            fixed = [self.parts[f"decoder_{number}_source"].kept(memory) for number in range(self.layers)]
        attention = self.parts["decoder_0_self"]
        shape = (tf.shape(source)[0] * beam, attention.heads, 0, attention.width // attention.heads)
        return fixed, [(tf.zeros(shape, attention.compute_dtype),) * 2 for _ in fixed], tf.not_equal(source, 0)

    def begun(self, source: Any) -> Any:
        """How many tokens each text begins with that are given."""
        return tf.shape(source)[1] if self.encoder is None else 0

    def given(self, chance: Any, source: Any, place: Any, beam: int) -> Any:
        """Logarithms of the probabilities, where a text's beginning is given: nothing else may stand there."""
        if self.encoder is not None:
            return chance
        known = tf.pad(source, [[0, 0], [0, 1]])[:, tf.minimum(place, tf.shape(source)[1])]
        only = tf.one_hot(tf.repeat(known, beam), tf.shape(chance)[1], on_value=0.0, off_value=NONE)
        return tf.where(place < tf.shape(source)[1], only, chance)

    def next(self, tokens: Any, place: Any, fixed: Any, caches: Any, there: Any) -> tuple[Any, list[Any]]:
        """Logits of what comes behind tokens `(texts, beam)` at a place, `(texts * beam, subwords)`, and the caches."""
        shape = tf.shape(tokens)
        side_by_side = tf.concat([shape, [self.parts["decoder_0_self"].width]], 0)
        states = self.parts["positions"](self.parts["subwords"](tf.reshape(tokens, (-1, 1))), place)
        grown = []
        for number, (cache, source) in enumerate(zip(caches, fixed, strict=True)):
            normal = self.parts[f"decoder_{number}_self_norm"](states)
            layer = self.parts[f"decoder_{number}_self"]
            keys, values = (tf.concat(both, 2) for both in zip(cache, layer.kept(normal), strict=True))
            grown.append((keys, values))
            states += layer.mixed(layer.weights_of(layer.queries(normal), keys), values)
            if source is not None:
                # The translations of one text look at the same source: for this part they are its places.
                normal = tf.reshape(self.parts[f"decoder_{number}_source_norm"](states), side_by_side)
                layer = self.parts[f"decoder_{number}_source"]
                weights = layer.weights_of(layer.queries(normal), source[0], there[:, None, None, :])
                states += tf.reshape(layer.mixed(weights, source[1]), tf.shape(states))
            normal = self.parts[f"decoder_{number}_inner_norm"](states)
            states += self.parts[f"decoder_{number}_inner_narrow"](self.parts[f"decoder_{number}_inner_wide"](normal))
        logits = self.parts["subwords"](self.parts["decoder_norm"](states), reverse=True)
        return tf.cast(logits[:, 0], tf.float32), grown


def _chances(logits: Any, history: Any, search: Search) -> Any:
    """Logarithms of the probabilities of what may come next, `(rows, subwords)`; NONE for what may not.

    Args:
        history: the tokens so far, `(rows, length)`, the mark of the start first.
    """
    chance = logits - tf.reduce_logsumexp(logits, axis=1, keepdims=True)
    never = [Vocabulary.padding, Vocabulary.unknown, Vocabulary.start]
    chance += tf.reduce_sum(tf.one_hot(never, tf.shape(logits)[1], on_value=NONE, off_value=0.0), axis=0)
    if search.block_repeats is None:
        return chance
    said, before = history[:, 1:], search.block_repeats - 1
    ways = tf.maximum(tf.shape(said)[1] - before, 0)  # places behind such a sequence; its last one stands at the end
    same = tf.ones((tf.shape(said)[0], ways), tf.bool)
    for step in range(before):
        same &= said[:, step : step + ways] == said[:, ways + step : ways + step + 1]
    places = tf.cast(tf.where(same), tf.int32)
    tokens = tf.gather_nd(said[:, before:], places)
    return tf.tensor_scatter_nd_update(
        chance, tf.stack([places[:, 0], tokens], 1), tf.fill((tf.shape(places)[0],), NONE)
    )


def _greedy(network: Steps, search: Search, source: Any, limit: Any) -> dict[str, Any]:
    """The likeliest next token each time."""
    rows, begun = tf.shape(source)[0], network.begun(source)
    limit += begun
    fixed, caches, there = network.read(source, 1)
    tokens = tf.fill((rows, 1), Vocabulary.start)

    def body(place: Any, tokens: Any, caches: Any, total: Any, lowest: Any, length: Any, done: Any) -> Any:
        logits, caches = network.next(tokens[:, -1:], place, fixed, caches, there)
        chance = network.given(_chances(logits, tokens, search), source, place, 1)
        best = tf.argmax(chance, axis=1, output_type=tf.int32)
        said = tf.where(done, 0.0, tf.reduce_max(chance, axis=1))
        length += tf.cast(~done & (place >= begun), tf.int32)
        tokens = tf.concat([tokens, tf.where(done, Vocabulary.padding, best)[:, None]], 1)
        return (
            place + 1,
            tokens,
            caches,
            total + said,
            tf.minimum(lowest, said),
            length,
            done | (best == Vocabulary.end),
        )

    place, tokens, _, total, lowest, length, _ = tf.while_loop(
        lambda place, *state: (place < limit) & ~tf.reduce_all(state[-1]),
        body,
        [
            tf.constant(0),
            tokens,
            caches,
            tf.zeros(rows),
            tf.zeros(rows),
            tf.zeros(rows, tf.int32),
            tf.zeros(rows, tf.bool),
        ],
        shape_invariants=_shapes([tf.TensorShape([]), tf.TensorShape([None, None])], caches, 4),
    )
    tokens = tf.where(tokens == Vocabulary.end, Vocabulary.padding, tokens)[:, 1:]
    many = tf.cast(tf.maximum(length, 1), tf.float32)
    found = {
        "tokens": tf.pad(tokens, [[0, 0], [0, limit - place]]),
        "score": total / many**search.length_penalty,
        "mean": total / many,
        "lowest": lowest,
    }
    return {name: tensor[:, None] for name, tensor in found.items()}


def _beam(network: Steps, search: Search, source: Any, limit: Any) -> dict[str, Any]:
    """Follow the `beam` best beginnings until as many translations have come to their ends.

    A translation ends if its end is among the `beam` best next steps; so with a beam of 1 this is what `_greedy` does.
    """
    beam, twice, rows, begun = search.beam, 2 * search.beam, tf.shape(source)[0], network.begun(source)
    limit += begun
    fixed, caches, there = network.read(source, beam)
    tokens = tf.fill((rows, beam, 1), Vocabulary.start)
    total = tf.tile([[0.0] + [NONE] * (beam - 1)], (rows, 1))  # all beginnings are the same at first: one counts
    nothing = tf.fill((rows, beam), NONE)
    ended = Ended(tf.zeros_like(tokens), nothing, nothing, nothing, nothing)

    def body(place: Any, tokens: Any, caches: Any, total: Any, lowest: Any, ended: Ended) -> Any:
        logits, caches = network.next(tokens[:, :, -1], place, fixed, caches, there)
        chance = _chances(logits, tf.reshape(tokens, (rows * beam, -1)), search)
        chance = network.given(chance, source, place, beam)
        chance, which = tf.math.top_k(chance, twice)
        chance, which = (tf.reshape(each, (rows, beam, twice)) for each in (chance, which))
        sums = tf.reshape(total[:, :, None] + chance, (rows, -1))
        sums, places = tf.math.top_k(sums, twice)
        parents = places // twice
        said = tf.gather(tf.reshape(which, (rows, -1)), places, batch_dims=1)
        low = tf.minimum(
            tf.gather(lowest, parents, batch_dims=1),
            tf.gather(tf.reshape(chance, (rows, -1)), places, batch_dims=1),
        )
        history = tf.gather(tokens, parents, batch_dims=1)
        full = tf.reduce_all(ended.rank > NONE / 2, axis=1, keepdims=True)
        ends = (said == Vocabulary.end) & (tf.range(twice) < beam)[None] & ~full & (sums > NONE / 2)
        ended = _best(ended, _finished(search, history, sums, low, place + 1 - begun, ends), beam)
        ended = ended._replace(tokens=tf.pad(ended.tokens, [[0, 0], [0, 0], [0, 1]]))
        total, alive = tf.math.top_k(tf.where(said == Vocabulary.end, NONE, sums), beam)
        parents, said, low = (tf.gather(each, alive, batch_dims=1) for each in (parents, said, low))
        tokens = tf.concat([tf.gather(history, alive, batch_dims=1), said[:, :, None]], 2)
        flat = tf.reshape(parents + tf.range(rows)[:, None] * beam, (-1,))
        caches = [tuple(tf.gather(each, flat) for each in cache) for cache in caches]
        return place + 1, tokens, caches, total, low, ended

    def goes_on(place: Any, *state: Any) -> Any:
        return (place < limit) & ~tf.reduce_all(state[-1].rank > NONE / 2)

    shapes = _shapes([tf.TensorShape([]), tf.TensorShape([None, beam, None])], caches, 0)
    flat = tf.TensorShape([None, beam])
    shapes += [flat, flat, Ended(tf.TensorShape([None, beam, None]), flat, flat, flat, flat)]
    place, tokens, _, total, lowest, ended = tf.while_loop(
        goes_on, body, [tf.constant(0), tokens, caches, total, tf.zeros((rows, beam)), ended], shape_invariants=shapes
    )
    cut = _finished(search, tokens, total, lowest, tf.maximum(place - begun, 1), total > NONE / 2)
    ended = _best(ended, cut._replace(rank=cut.rank + CUT), beam)
    return {
        "tokens": tf.pad(ended.tokens[:, :, 1:], [[0, 0], [0, 0], [0, limit - place]]),
        "score": ended.score,
        "mean": ended.mean,
        "lowest": ended.lowest,
    }


def _finished(search: Search, tokens: Any, total: Any, lowest: Any, length: Any, which: Any) -> Ended:
    """Translations of one length; those that are not among `which` rank last."""
    many = tf.cast(length, tf.float32)
    score = tf.where(which, total / many**search.length_penalty, NONE)
    return Ended(tokens, score, score, tf.where(which, total / many, NONE), lowest)


def _best(first: Ended, second: Ended, many: int) -> Ended:
    """The best of two lists."""
    both = Ended(*(tf.concat(pair, 1) for pair in zip(first, second, strict=True)))
    places = tf.math.top_k(both.rank, many)[1]
    return Ended(*(tf.gather(each, places, batch_dims=1) for each in both))


def _shapes(first: list[Any], caches: Any, rest: int) -> list[Any]:
    """What stays the same of the shapes from token to token."""
    grown = [tuple(tf.TensorShape([None, each.shape[1], None, each.shape[3]]) for each in cache) for cache in caches]
    return [*first, grown, *[tf.TensorShape([None])] * rest]
