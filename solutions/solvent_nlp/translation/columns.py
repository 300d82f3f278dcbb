"""What is read and written, by the task; what it is measured by, and beside what. Imports neither keras nor pandas."""

from collections.abc import Mapping
from typing import Any

from solvent import Column, Columns, Goal, Meaning, Output, later

from .settings import Translation

__all__ = ["MEANINGS", "columns", "headline", "rivals"]

MEANINGS = {
    "perplexity": Meaning("effective number of choices for each word of the texts, their ends among them", False),
    "perplexity_of_subwords": Meaning("likewise for each subword: compares models of one vocabulary alone", False),
}


def columns(settings: Translation) -> Columns:
    if settings.task != "translate":
        return _of_summaries(settings) if settings.task == "summarise" else _of_texts(settings)
    outputs = [
        Output(name="translation", type="string", meaning="the text in the other language"),
        Output(
            name="quality", type="float", meaning="what chrF a person's translation would give it, estimated, 0 to 100"
        ),
        Output(name="review", type="boolean", meaning="whether a person should look at it"),
        Output(
            name="origin",
            type="string",
            meaning="where it is from: the model, the memory, or a similar text of the memory (fuzzy)",
        ),
        Output(
            name="problems",
            type="string",
            meaning="what of the text was not kept, such as a number; empty where all was",
        ),
        Output(name="terms", type="string", meaning="the glossary's terms that were used; empty where there are none"),
    ]
    return Columns(
        inputs=(Column(name="source", kind="text", meaning="what is translated"),),
        targets=(Column(name="target", kind="text", meaning="its translation by a person"),),
        outputs=(*outputs, *_alternatives(settings)),
    )


def _of_summaries(settings: Translation) -> Columns:
    return Columns(
        inputs=(Column(name="source", kind="text", meaning="what is summarised"),),
        targets=(Column(name="target", kind="text", meaning="its summary by a person"),),
        outputs=(
            Output(name="summary", type="string", meaning="what the text says, in short"),
            Output(
                name="quality",
                type="float",
                meaning="what ROUGE-L a person's summary would give it, estimated, 0 to 100",
            ),
            Output(name="review", type="boolean", meaning="whether a person should look at it"),
            Output(
                name="problems",
                type="string",
                meaning="numbers, codes, addresses and the like that the text has not; empty where there are none",
            ),
            *_alternatives(settings),
        ),
    )


def _of_texts(settings: Translation) -> Columns:
    # The texts are no target: nothing else is asked for, and copies of one belong on one side of the split.
    return Columns(
        inputs=(
            Column(name="source", kind="text", required=False, shared=True, meaning="what a text begins with"),
            Column(
                name="target",
                kind="text",
                required=False,
                meaning="how it goes on: what is learnt; where it is given in scoring, it is judged",
            ),
        ),
        outputs=(
            Output(name="text", type="string", meaning="how the network goes on from the beginning"),
            Output(
                name="surprise",
                type="float",
                nullable=True,
                meaning="of the text that is given: less the logarithm of its probability, in nats",
            ),
            Output(name="subwords", type="integer", nullable=True, meaning="of that text, its end among them"),
            *_alternatives(settings),
        ),
    )


def _alternatives(settings: Translation) -> tuple[Output, ...]:
    meaning = "what else might be written, the best first, with their scores"
    return (Output(name="alternatives", type="list", meaning=meaning),) if settings.alternatives else ()


def headline(settings: Translation) -> Goal:
    known = {"translate": Goal("chrf"), "summarise": Goal("rouge_l"), "generate": Goal("perplexity", higher=False)}
    return known[settings.task]


def rivals(settings: Translation) -> Mapping[str, Any]:
    """The simple ways that a network must beat, by the task."""
    if settings.task == "generate":
        return {"n-grams": later("solvent_nlp.translation.rival_texts:ngrams")}
    nearest = {"nearest source": later("solvent_nlp.translation.rivals:nearest_source")}
    if settings.task == "summarise":
        return {**nearest, "first three sentences": later("solvent_nlp.translation.rivals:first_sentences")}
    return {**nearest, "word by word": later("solvent_nlp.translation.rivals:word_by_word")}
