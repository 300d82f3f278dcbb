"""Fit a Transformer to pairs of texts; translate with it, a memory and a glossary, and estimate the quality."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from solvent import Data, Fitted, Refused, text, training
from solvent.metrics import point
from solvent.solution import Score
from solvent.split import halves
from solvent.words import seen_words

from . import network, quality, reading, writing
from .columns import headline
from .memory import Match, Memory
from .metric import chrf_of
from .outcome import judged
from .protecting import Protector
from .reading import read
from .rouge import rouge_of
from .settings import KINDS, WRITTEN, Scoring, Translation
from .translator import Said, Translator, asked

__all__ = ["EMPTY", "fit", "glossary", "scorer", "translator"]

MONITORED = 500  # validation rows that an epoch is judged by, at most
BATCH_ROWS = 64
EMPTY = {"source": pd.Series(dtype="str"), "target": pd.Series(dtype="str")}
KEPT = Protector(KINDS, {})


def fit(settings: Translation, data: Data) -> Fitted:
    """Epochs are chosen by the headline of greedy translations, or summaries, of one half of the validation rows; the
    estimate of quality is learnt on the other half. For texts that go on see `writing`."""
    if settings.task != "translate" and data.side:
        raise Refused(f"data.side.{min(data.side)}: only translations have side tables; leave it out.")
    if unknown := set(data.side) - {"glossary", "memory"}:
        raise Refused(f"data.side.{min(unknown)}: translation knows the side tables glossary and memory.")
    if settings.task == "generate":
        return writing.fit(settings, data)
    choosing, rest = halves(data.valid, data.schema, data.seed)
    protector = Protector.of(settings.protect, data.side.get("glossary", pd.DataFrame(EMPTY)))
    pairs, facts, findings = reading.learnt(settings, data.train, protector)
    made = network.build(settings.network, len(pairs.vocabulary))
    assets = {
        "vocabulary": pairs.vocabulary.model,
        "seen_words": seen_words(pairs.sources),
        "glossary": data.side.get("glossary", pd.DataFrame(EMPTY)),
        "memory": data.side.get("memory", pd.DataFrame(EMPTY)),
    }
    fitted = Fitted({"model": made}, {"reading": facts}, assets, batch_rows=BATCH_ROWS)
    quick = settings.model_copy(update={"scoring": Scoring(beam=1, block_repeats=settings.scoring.block_repeats)})
    watched = choosing.iloc[:MONITORED]

    def monitor() -> dict[str, float]:
        said = translator(quick, fitted, retry=False).translate(texts_of(settings, watched))
        given = [each.text for each in said], watched["target"].tolist(), watched.get("weight")
        if settings.task == "summarise":
            return {"rouge_l": point(rouge_of(*given)["rouge_l"])}
        return {"chrf": point(chrf_of(*given))}

    record = training.fit(
        made,
        pairs.rows(),
        stage="translator",
        training=settings.training,
        loss=network.Smoothed(settings.label_smoothing),
        monitor=monitor,
        goal=headline(settings),
        data=data,
    )
    said = translator(settings, fitted).translate(texts_of(settings, rest))
    reached = judged(settings)([each.text for each in said], rest["target"].tolist())
    facts = {
        "reading": facts,
        "quality": quality.learnt(quality.features(said), reached, settings.review_share),
        "choices": [
            {
                "what": "epoch",
                "won": record["best_epoch"],
                "tried": [{"value": record["best_epoch"], headline(settings).metric: record["best"]}],
                "metric": headline(settings).metric,
                "chosen_on": f"{len(watched)} validation rows, choosing half, greedy",
            }
        ],
        "meaning": {
            "model": {
                "source": "subwords of the source by assets/vocabulary.bin, its end (3) behind them, 0 behind that",
                "target": "the mark of the start (2), then the subwords of the translation so far, 0 behind them",
                "output_0": "logits of the subword behind each of the translation's",
            }
        },
    }
    return Fitted(
        fitted.models, facts, assets, personal=_personal(data), findings=tuple(findings), batch_rows=BATCH_ROWS
    )


def _personal(data: Data) -> frozenset[str]:
    return frozenset({"memory"} if "memory" in data.side else ())  # approved texts may name people


def texts_of(settings: Translation, table: pd.DataFrame) -> list[str]:
    return [read(settings, cell) for cell in table["source"]]


def glossary(settings: Translation, assets: Mapping[str, Any]) -> Protector:
    """What a bundle keeps in its translations."""
    return Protector.of(settings.protect, assets["glossary"])


def translator(settings: Translation, fitted: Fitted, *, retry: bool = True) -> Translator:
    """The network of a bundle, or one that is being trained, at work."""
    return Translator(
        settings,
        text.Vocabulary(bytes(fitted.assets["vocabulary"])),
        glossary(settings, fitted.assets),
        fitted.facts["reading"],
        asked(fitted),
        retry,
    )


def scorer(settings: Translation, fitted: Fitted) -> Score:
    """Translate checked texts: those of the memory by it, all others by the network. Summarise them, or go on."""
    if settings.task == "generate":
        return writing.scorer(settings, fitted)
    working = translator(settings, fitted)
    memory = Memory.of(fitted.assets["memory"], working.protector, settings.scoring.fuzzy)

    def score(table: pd.DataFrame) -> pd.DataFrame:
        texts = texts_of(settings, table)
        known = memory.find(texts)
        open_ = [place for place, match in enumerate(known) if match is None]
        said = dict(zip(open_, working.translate([texts[place] for place in open_]), strict=True))
        sure = dict(
            zip(open_, quality.estimated(fitted.facts["quality"], quality.features(list(said.values()))), strict=True)
        )
        below = settings.scoring.review_below
        below = fitted.facts["quality"]["review_below"] if below is None else below
        rows = [
            _approved(settings, working.protector, each, match)
            if match is not None
            else _written(settings, working.protector, each, said[place], float(sure[place]), below)
            for place, (each, match) in enumerate(zip(texts, known, strict=True))
        ]
        return pd.DataFrame(rows, index=table.index)

    return score


def _approved(settings: Translation, protector: Protector, given: str, match: Match) -> dict[str, Any]:
    """A row of the memory: one for a similar text is to be looked at."""
    exact = match.similarity == 1
    found = {
        "translation": match.translation,
        "quality": 100 * match.similarity,
        "review": not exact,
        "origin": "memory" if exact else "fuzzy",
        "problems": "" if exact else "; ".join(protector.lost(given, match.translation)),
        "terms": "",
    }
    return found | ({"alternatives": []} if settings.alternatives else {})


def _written(
    settings: Translation, protector: Protector, given: str, said: Said, sure: float, below: float
) -> dict[str, Any]:
    lost = protector.lost(given, said.text) if settings.task == "translate" else made_up(given, said.text)
    if not said.text:
        lost = [*lost, "nothing was written"]
    found: dict[str, Any] = {
        WRITTEN[settings.task]: said.text,
        "quality": sure,
        "review": bool(lost) or sure < below,
        "problems": "; ".join(lost),
    }
    if settings.task == "translate":
        terms = dict.fromkeys(protector.used(given))
        found |= {"origin": "model", "terms": "; ".join(f"{source} = {target}" for source, target in terms)}
    if settings.alternatives:
        found["alternatives"] = [f"{each.score:.3f} {each.text}" for each in said.others[: settings.alternatives]]
    return found


def made_up(given: str, summary: str) -> list[str]:
    """What of the kinds that a translation keeps stands in a summary, but not in its text."""
    known = set(KEPT.items(given))
    return [f"not in the text: {item}" for item in dict.fromkeys(KEPT.items(summary)) if item not in known]
