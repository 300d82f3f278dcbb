"""Sentences a second: decoding with what was computed kept, against the usual ways with the same weights.

    SOLVENT_DATA=FOLDER python tests/benchmarks/translation_speed.py [--bundle BUNDLE] [--sentences 1000] [--slow 100]
    python tests/benchmarks/translation_speed.py --made --bundle runs/demo/bundle

Multi30k's test sentences, or with --made sentences of the made grammar for a bundle of the demo, greedy, float32, one
run after the other on the same sentences: (1) the public example's way: each sentence alone, and for each token the
whole network on all tokens so far, called as it is; (2) the same in a graph, in the batches that we make; (3) ours;
(4) ours with a beam; (5) CTranslate2 with the same weights and batches (the extra `bench`; the script refuses where it
is not installed, unless --without-ctranslate2 is given). The first is measured on --slow of the sentences, spread over
them, since it takes long. How many sentences (1), (2) and (5) write otherwise than (3) is counted. Without --bundle a
network is trained for one epoch: speed depends on how long translations are, so the tokens are told too. Bars: 30 times
(1), 4 times (2).
"""

import argparse
import importlib.util
import os
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from written import write

import solvent
from solvent import datasets, text
from solvent_nlp.translation.datasets import DATASETS
from solvent_nlp.translation.decoding import Search, decoder
from solvent_nlp.translation.grammar import sentence
from solvent_nlp.translation.reading import cleaned

START, END = text.Vocabulary.start, text.Vocabulary.end
EXAMPLE, UNCACHED = 30.0, 4.0
CONVERTED = "CTranslate2, greedy"
BATCH = 64
Batch = tuple[np.ndarray, int]
Way = Callable[[np.ndarray, int], np.ndarray]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--bundle", type=Path)
    arguments.add_argument("--made", action="store_true", help="sentences of the made grammar")
    arguments.add_argument("--sentences", type=int, default=1000)
    arguments.add_argument("--slow", type=int, default=100)
    arguments.add_argument("--beam", type=int, default=5)
    arguments.add_argument("--threads", type=int, default=os.cpu_count(), help="of CTranslate2")
    arguments.add_argument("--without-ctranslate2", action="store_true")
    arguments.add_argument("--out", type=Path, default=Path("tests/benchmarks/results/translation_speed.json"))
    given = arguments.parse_args()
    if not given.without_ctranslate2 and importlib.util.find_spec("ctranslate2") is None:
        arguments.error("ctranslate2 is not installed: pip install 'solvent-suite[bench]', or --without-ctranslate2")
    with tempfile.TemporaryDirectory() as folder:
        bundle = solvent.Bundle.load(given.bundle) if given.bundle else trained(Path(folder, "bundle"))
    model = bundle.fitted.models["model"]
    sources = tokens_of(bundle, given.sentences, made=given.made)
    few = sources[:: max(1, len(sources) // given.slow)][: given.slow]
    ways: dict[str, tuple[Way, int, list[np.ndarray]]] = {
        "alone, all tokens anew": (lambda *batch: anew(model, *batch), 1, few),
        "batches, all tokens anew": (in_a_graph(model), BATCH, sources),
        "ours, greedy": (ours(model, Search()), BATCH, sources),
        f"ours, beam {given.beam}": (ours(model, Search(given.beam)), BATCH, sources),
    }
    with tempfile.TemporaryDirectory() as folder:
        if not given.without_ctranslate2:
            from translation_converted import Converted

            vocabulary = text.Vocabulary(bytes(bundle.fitted.assets["vocabulary"]))
            ways[CONVERTED] = (Converted(model, vocabulary, Path(folder), given.threads), BATCH, sources)
    speed: dict[str, dict[str, float]] = {}
    written: dict[str, list[np.ndarray]] = {}
    for name, (way, rows, some) in ways.items():
        batches = arranged(some, rows)
        for tokens, limit, _ in batches[:1]:
            way(tokens, limit)  # compiles what is compiled once
        started = time.perf_counter()
        found = [(places, way(tokens, limit)) for tokens, limit, places in batches]
        seconds = time.perf_counter() - started
        said: list[Any] = [None] * len(some)
        for places, rows_of in found:
            for place, row in zip(places, rows_of, strict=False):
                said[place] = row[row > 0]
        written[name] = said
        many = sum(len(row) + 1 for row in said)
        speed[name] = {"sentences": len(some) / seconds, "tokens": many / seconds, "tokens_each": many / len(some)}
        print(f"{name:26s} {len(some) / seconds:9.2f} sentences/s {many / seconds:10.1f} tokens/s", flush=True)
    greedy = written["ours, greedy"]
    other = sum(not np.array_equal(*pair) for pair in zip(greedy, written["batches, all tokens anew"], strict=True))
    print(f"{other} of {len(greedy)} sentences differ from those written without what is kept")
    alone = written["alone, all tokens anew"]
    spread = greedy[:: max(1, len(sources) // given.slow)][: given.slow]
    singly = sum(not np.array_equal(*pair) for pair in zip(spread, alone, strict=True))
    print(f"{singly} of {len(alone)} differ from those written alone")
    differ = {"batches, all tokens anew": other, "alone, all tokens anew": singly}
    if CONVERTED in written:
        differ[CONVERTED] = sum(not np.array_equal(*pair) for pair in zip(greedy, written[CONVERTED], strict=True))
        times = speed["ours, greedy"]["tokens"] / speed[CONVERTED]["tokens"]
        print(f"{differ[CONVERTED]} of {len(greedy)} sentences differ from those of {CONVERTED}")
        print(f"{times:8.2f} times the tokens a second of {CONVERTED}")
    against = speed["ours, greedy"]["sentences"]
    bars = {"alone, all tokens anew": EXAMPLE, "batches, all tokens anew": UNCACHED}
    for name, least in bars.items():
        times = against / speed[name]["sentences"]
        print(f"{times:8.1f} times {name}, at least {least:g}: {'met' if times >= least else 'MISSED'}")
    protocol = {
        "sentences": len(sources),
        "made": given.made,
        "slow": len(few),
        "batch": BATCH,
        "bundle": str(given.bundle),
        "threads": given.threads,
    }
    packages = ("keras", "tensorflow", *(["ctranslate2"] if CONVERTED in written else []))
    versions = {name: version(name) for name in packages}
    write(given.out, protocol, versions, speed=speed, differ=differ, parameters=model.count_params())


def trained(out: Path) -> solvent.Bundle:
    return solvent.train(
        {
            "solution": "solvent_nlp.translation:SOLUTION",
            "data": {
                "rows": {"dataset": "multi30k"},
                "columns": {"source": "english", "target": "german", "id": "id"},
                "split": {"by": "column", "column": "part"},
                "allow": ["copies_across"],
            },
            "device": {"precision": "mixed_bfloat16"},
            "settings": {"scoring": {"beam": 1}, "training": {"epochs": 1}},
        },
        out,
    )


def tokens_of(bundle: solvent.Bundle, many: int, *, made: bool) -> list[np.ndarray]:
    if made:
        random = np.random.default_rng(7)
        sources = [sentence(random, int(random.integers(1, 3)), items=False)[0] for _ in range(many)]
    else:
        rows = datasets.load(next(item for item in DATASETS if item.name == "multi30k"))
        sources = rows[rows["part"] == "test"]["english"].map(cleaned).tolist()[:many]
    vocabulary = text.Vocabulary(bytes(bundle.fitted.assets["vocabulary"]))
    return [np.append(tokens, np.int32(END)) for tokens in vocabulary.encode(sources)]


def arranged(sources: list[np.ndarray], rows: int) -> list[tuple[np.ndarray, int, list[int]]]:
    """Batches of like length as Translator makes them: tokens, how long a translation may be, whose they are."""
    lengths = np.array([text.bucket(len(tokens), 256) for tokens in sources])
    found = []
    for length in np.unique(lengths):
        same = sorted(np.flatnonzero(lengths == length).tolist(), key=lambda place: len(sources[place]))
        for start in range(0, len(same), rows):
            places = same[start : start + rows]
            filled = [*places, *[places[-1]] * (rows - len(places))]
            found.append((text.padded([sources[place] for place in filled], int(length)), 2 * int(length), places))
    return found


def anew(model: Any, source: np.ndarray, limit: int) -> np.ndarray:
    """One sentence; the whole network for each token, layer by layer."""
    said = np.full((1, 1), START, np.int32)
    while said.shape[1] <= limit:
        logits = np.array(model((source, said), training=False))[0, -1]
        logits[:3] = -np.inf
        best = int(logits.argmax())
        if best == END:
            break
        said = np.append(said, [[best]], axis=1).astype(np.int32)
    return said[:, 1:]


def in_a_graph(model: Any) -> Way:
    """A batch; the whole network for each token, in one graph."""
    never = tf.constant([[-1e9] * 3 + [0.0] * (model.output.shape[-1] - 3)])

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((), tf.int32)], autograph=False)
    def run(source: Any, limit: Any) -> Any:
        rows = tf.shape(source)[0]

        def body(said: Any, done: Any) -> Any:
            logits = model((source, said), training=False)[:, -1] + never
            best = tf.where(done, 0, tf.argmax(logits, axis=1, output_type=tf.int32))
            return tf.concat([said, best[:, None]], 1), done | (best == END)

        said, _ = tf.while_loop(
            lambda said, done: (tf.shape(said)[1] <= limit) & ~tf.reduce_all(done),
            body,
            [tf.fill((rows, 1), START), tf.zeros(rows, tf.bool)],
            shape_invariants=[tf.TensorShape([None, None]), tf.TensorShape([None])],
        )
        return tf.where(said == END, 0, said)[:, 1:]

    return lambda source, limit: run(tf.constant(source), tf.constant(limit)).numpy()


def ours(model: Any, search: Search) -> Way:
    form = decoder(model, search)
    return lambda source, limit: form((source, np.full(len(source), limit, np.int32)))["tokens"][:, 0]


if __name__ == "__main__":
    main()
