"""What must hold of a trained translator, token for token: greedy, kept or anew, alone or together; and what is kept.

    SOLVENT_DATA=FOLDER python tests/benchmarks/translation_holds.py --bundle BUNDLE [--sentences 500] [--rows 200]
    python tests/benchmarks/translation_holds.py --made --bundle runs/demo/bundle

On Multi30k's test sentences, or with --made on sentences of the made grammar, drawn anew, for a bundle of the demo;
float32. Compared are the greedy translations: with a beam of one; with the whole network for each token; each sentence
alone. Where two differ, the network is asked at the first place where they do: two tokens whose logits are within 1e-5
are a tie, and counted. Then --rows sentences with numbers, codes, placeholders, addresses and tags (of captions, which
have none, each gets one or two between its words): each must be kept, or the row flagged. Then as many with a noun that
the glossary calls by a word that training never saw: at least 98 % must be written.
"""

import argparse
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from translation_speed import arranged, in_a_graph
from written import write

import solvent
from solvent import datasets, text
from solvent_nlp.translation import decoding
from solvent_nlp.translation.datasets import DATASETS
from solvent_nlp.translation.decoding import Search, Steps, decoder
from solvent_nlp.translation.grammar import item, sentence
from solvent_nlp.translation.protecting import Protector
from solvent_nlp.translation.settings import KINDS

TIE, TERMS = 1e-5, 0.98
NOTHING = pd.DataFrame({"source": [], "target": []}, dtype="str")
GLOSSARY = {"invoice": "Faktura", "contract": "Kontrakt", "machine": "Apparat", "offer": "Quotation"}
OF_CAPTIONS = {"dog": "Wauwau", "bicycle": "Drahtesel", "beach": "Badeufer", "guitar": "Klampfe", "street": "Chaussee"}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--bundle", type=Path, required=True)
    arguments.add_argument("--made", action="store_true", help="sentences of the made grammar")
    arguments.add_argument("--sentences", type=int, default=500)
    arguments.add_argument("--rows", type=int, default=200)
    arguments.add_argument("--out", type=Path, default=Path("tests/benchmarks/results/translation_holds.json"))
    given = arguments.parse_args()
    bundle = solvent.Bundle.load(given.bundle)
    alike = same_tokens(bundle, drawn(given.sentences, made=given.made))
    for name, (differ, ties) in alike.items():
        print(f"{name}: {differ} of {given.sentences} differ from greedy, {ties} of them by a tie", flush=True)
    kept = items_kept(bundle, drawn(given.rows, made=given.made, items=True))
    print(f"{given.rows} rows with items: {kept['kept']} kept, {kept['flagged']} flagged, {kept['neither']} neither")
    glossary = pd.DataFrame((GLOSSARY if given.made else OF_CAPTIONS).items(), columns=["source", "target"])
    terms = terms_written(bundle, drawn(20 * given.rows, made=given.made), glossary, given.rows)
    print(f"terms: {terms['written']} of {terms['rows']} written, {terms['flagged']} of the others flagged")
    held = {
        "the same tokens but for ties": all(differ == ties for differ, ties in alike.values()),
        "all kept or flagged": kept["neither"] == 0,
        "98 % of terms": terms["written"] >= TERMS * terms["rows"],
    }
    for name, holds in held.items():
        print(f"{name}: {'met' if holds else 'MISSED'}")
    protocol = {name: getattr(given, name) for name in ("made", "sentences", "rows")} | {"bundle": str(given.bundle)}
    versions = {name: version(name) for name in ("keras", "tensorflow")}
    write(given.out, protocol, versions, differ=alike, items=kept, terms=terms)


def drawn(many: int, *, made: bool, items: bool = False) -> list[str]:
    """Captions, or sentences of up to two clauses, as in training; with `items` such as hold some."""
    random = np.random.default_rng(11)
    found: list[str] = []
    if not made:
        rows = datasets.load(next(dataset for dataset in DATASETS if dataset.name == "multi30k"))
        for caption in rows[rows["part"] == "test"]["english"].iloc[:many]:
            words = caption.split()
            for _ in range(random.integers(1, 3) if items else 0):
                words.insert(int(random.integers(1, len(words))), item(random))
            found.append(" ".join(words))
        return found
    while len(found) < many:
        source = sentence(random, int(random.integers(1, 3)), items=items)[0]
        if not items or Protector.of(KINDS, NOTHING).masked(source).values:
            found.append(source)
    return found


def same_tokens(bundle: solvent.Bundle, sources: list[str]) -> dict[str, tuple[int, int]]:
    """How many sentences each other way writes otherwise than greedy decoding in batches, and how many by a tie."""
    model = bundle.fitted.models["model"]
    vocabulary = text.Vocabulary(bytes(bundle.fitted.assets["vocabulary"]))
    tokens = [np.append(each, np.int32(vocabulary.end)) for each in vocabulary.encode(sources)]
    greedy, steps = decoder(model, Search()), Steps(model)
    signature = [tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((), tf.int32)]
    beam = tf.function(
        lambda source, limit: decoding._beam(steps, Search(), source, limit), input_signature=signature, autograph=False
    )
    whole = in_a_graph(model)
    wholly = tf.function(lambda pair: model(pair, training=False), input_signature=[(signature[0],) * 2])
    differ = {"a beam of one": [0, 0], "all tokens anew": [0, 0], "each alone": [0, 0]}
    for source, limit, places in arranged(tokens, 64):
        ours = greedy((source, np.full(len(source), limit, np.int32)))["tokens"][:, 0]
        alone = [greedy((row[None], np.full(1, limit, np.int32)))["tokens"][0, 0] for row in source[: len(places)]]
        others = {
            "a beam of one": beam(tf.constant(source), tf.constant(limit))["tokens"].numpy()[:, 0],
            "all tokens anew": whole(source, limit),
            "each alone": np.stack(alone),
        }
        for name, theirs in others.items():
            for row in range(len(places)):
                if place := first_difference(ours[row], theirs[row]):
                    differ[name][0] += 1
                    differ[name][1] += tied(wholly, source[row], ours[row], theirs[row], place - 1)
    return {name: (found[0], found[1]) for name, found in differ.items()}


def first_difference(ours: np.ndarray, theirs: np.ndarray) -> int:
    """Behind how many tokens, the differing one among them, two translations part; 0 where they don't."""
    width = max(len(ours), len(theirs))
    both = [np.pad(each, (0, width - len(each))) for each in (ours, theirs)]
    apart = np.flatnonzero(both[0] != both[1])
    return int(apart[0]) + 1 if len(apart) else 0


def tied(wholly: Any, source: np.ndarray, ours: np.ndarray, theirs: np.ndarray, place: int) -> bool:
    begun = np.concatenate([[text.Vocabulary.start], ours[:place]]).astype(np.int32)
    logits = wholly((tf.constant(source[None]), tf.constant(begun[None]))).numpy()[0, -1]
    ends = [int(each[place]) if place < len(each) else 0 for each in (ours, theirs)]
    first, second = (logits[token or text.Vocabulary.end] for token in ends)
    return bool(abs(first - second) <= TIE)


def items_kept(bundle: solvent.Bundle, given: list[str]) -> dict[str, int]:
    beside = [field.source for field in bundle.schema.fields if field.role == "passthrough"]
    scored = bundle.score(pd.DataFrame({"english": given, **dict.fromkeys(beside)}))
    protector = Protector.of(KINDS, NOTHING)
    whole = np.array([not protector.lost(*pair) for pair in zip(given, scored["translation"], strict=True)])
    flagged = (scored["review"].astype(bool) & (scored["problems"] != "")).to_numpy()
    return {
        "kept": int(whole.sum()),
        "flagged": int((~whole & flagged).sum()),
        "neither": int((~whole & ~flagged).sum()),
    }


def terms_written(bundle: solvent.Bundle, sentences: list[str], glossary: pd.DataFrame, many: int) -> dict[str, int]:
    """Of those sentences that hold a term."""
    held = Protector.of(KINDS, glossary)
    found = [each for each in sentences if held.used(each)][:many]
    scored = bundle.scorer({"glossary": glossary})(pd.DataFrame({"source": found}))
    written = np.array(
        [
            all(target in said for _, target in held.used(source))
            for source, said in zip(found, scored["translation"], strict=True)
        ]
    )
    flagged = (scored["problems"] != "").to_numpy()
    return {"rows": len(found), "written": int(written.sum()), "flagged": int((~written & flagged).sum())}


if __name__ == "__main__":
    main()
