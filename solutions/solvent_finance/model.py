"""Fit the scorecard: networks that each leave a fold of the loans out, averaged into one table of whole points."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from solvent import Data, Fitted, Refused, training
from solvent.metrics import binary, point, rows_as_telling
from solvent.solution import Score
from solvent.split import bags
from solvent.wording import suggestion

from . import sheets, sql
from .binning import bin_numbers
from .changes import changeable
from .decision import calibrate, calibrated, cutoff, decide, outputs, scale, truth
from .design import Design
from .network import in_bag_log_loss, scorecard_network, training_network
from .pairs import strongest
from .reasons import Reasons
from .scorecard import Scorecard, Term
from .settings import Credit, headline
from .shapes import centred, held_back, structure

__all__ = ["fit", "scorer"]

STEPS = 128  # in an epoch at most: more loans make larger steps, not more of them
MOST_SEARCHED = 100_000  # loans among which pairs are looked for
MOST_PLACES = 50  # of a column in a pair
COUNTABLE = 2**24  # up to here float32 holds every whole number
BANDS = 10  # of the score, for its stability


def fit(settings: Credit, data: Data) -> Fitted:
    """Bins; a network for each smoothness; the pairs that it leaves; then points, calibration and cut-off.

    Everything is chosen, calibrated and cut off by scores of networks that have not seen the loan; but which pairs
    there are to choose from, and an automatic trend, is found on all loans that are learnt from.
    """
    refuse_unknown_columns(settings, data)
    dealt = bags(data, refit=settings.training.refit, folds=settings.folds, repeats=settings.repeats)
    design = Design.of(settings, data, dealt)
    changeable(settings, design.bins, _columns(settings, data))  # refuses what has no such order
    goal = headline(settings)

    @cache
    def candidate(smoothness: float, count: int) -> training.Candidate:
        stage = f"smoothness-{smoothness!r}" + f"-pairs-{count}" * (count > 0)
        return _train(settings, data, design, stage, smoothness, ranked[:count])

    ranked: list[tuple[int, int]] = []
    plain, smoothness = training.choose("smoothness", settings.smoothness, lambda value: candidate(value, 0), goal)
    ranked = _pairs(settings, design, plain, data.seed)
    counts = sorted({min(count, len(ranked)) for count in settings.pairs})
    networks, pairs = training.choose("pairs", counts, lambda count: candidate(smoothness["won"], count), goal)
    choices = [{**choice, "chosen_on": dealt.chosen_on} for choice in (smoothness, pairs)]
    return _finish(settings, data, design, networks, ranked[: pairs["won"]], choices)


def _train(
    settings: Credit, data: Data, design: Design, stage: str, smoothness: float, pairs: list[tuple[int, int]]
) -> training.Candidate:
    """All bags' networks with one smoothness and these pairs, and the record of their training."""
    dealt, own = design.bags, settings.training
    layout, pull = structure(settings, design, smoothness, pairs)
    fitted = Fitted({"model": training_network(layout, pull)}, batch_rows=8192)
    numbers = design.numbers[dealt.learnt]
    truths = np.column_stack([design.defaulted[dealt.learnt], design.in_bag]).astype("float32")
    choosing, weight = dealt.rows.iloc[dealt.choosing], dealt.rows.iloc[dealt.choosing].get("weight")
    answers = truth(settings, choosing)

    def monitor() -> dict[str, float]:
        log_odds = dealt.unseen(fitted.predict(design.numbers[dealt.choosing]), dealt.choosing)
        found = binary(answers, expit(log_odds), np.zeros(len(answers)), weight)
        return {name: point(found[name]) for name in ("auc", "log_loss")}

    record = training.fit(
        fitted.models["model"],
        training.arrays(numbers, truths),
        stage=stage,
        training=own.model_copy(update={"batch_size": max(own.batch_size, -(-len(numbers) // STEPS))}),
        loss=in_bag_log_loss,
        monitor=monitor,
        goal=headline(settings),
        data=data,
    )
    return fitted, record


def _pairs(settings: Credit, design: Design, plain: Fitted, seed: int) -> list[tuple[int, int]]:
    """The pairs that the columns' own values leave something to, strongest first.

    A column with a trend is in none: what it does together with another could turn its trend around. Nor is one of
    very many levels: its table with another column would be too large to read.
    """
    positions = design.bags.learnt
    if len(positions) > MOST_SEARCHED:
        positions = np.sort(np.random.default_rng(seed).choice(positions, MOST_SEARCHED, replace=False))
    log_odds = design.bags.unseen(plain.predict(design.numbers[positions]), positions)
    chance, weight = expit(log_odds), design.weight[positions]
    able = [c for c, group in enumerate(design.groups) if c not in design.trends and group.max() < MOST_PLACES]
    return strongest(
        design.numbers[positions],
        design.groups,
        weight * (design.defaulted[positions] - chance),
        weight * chance * (1 - chance),
        able,
        max(settings.pairs),
        seed,
    )


def _finish(
    settings: Credit,
    data: Data,
    design: Design,
    networks: Fitted,
    pairs: list[tuple[int, int]],
    choices: list[dict[str, Any]],
) -> Fitted:
    """Calibrate by unseen scores; average the networks into whole points; write the table down for people and SQL."""
    dealt = design.bags
    by_network = networks.predict(design.numbers)
    log_odds = dealt.unseen(by_network, np.arange(len(dealt.rows)))
    calibrating = dealt.rows.iloc[dealt.calibrating]
    calibration = calibrate(settings, log_odds[dealt.calibrating], calibrating)
    log_odds = calibrated(calibration, log_odds)
    cut = cutoff(settings, log_odds[dealt.calibrating], calibrating, dealt.calibrated_on)
    card = _card(settings, design, networks, by_network.mean(axis=1), pairs, calibration)
    highest = card.scale.highest_refused(cut["value"])
    columns = _columns(settings, data)
    unseen_points = np.rint(card.scale.points(log_odds)).astype(np.int64)
    at = dealt.valid
    held = decide(settings, card.scale.probability(unseen_points[at]), unseen_points[at], cut)
    layer = networks.models["model"].get_layer("additive")
    facts = {
        "positive": settings.positive,
        "bins": design.bins,
        "scorecard": card.to_json(),
        "columns": columns,
        "calibration": calibration,
        "operating_point": cut,
        "reference": _bands(unseen_points[dealt.learnt], design.counts[dealt.learnt]),
        "choices": choices,
    }
    return Fitted(
        {"model": scorecard_network(layer.settings, card.values, card.start)},
        facts,
        files={
            "scorecard.csv": sheets.csv_file(card, data.schema, highest),
            "scorecard.xlsx": sheets.xlsx_file(card, data.schema, highest),
            "scorecard.sql": sql.statement(card, data.schema, highest).encode(),
        },
        valid=outputs(settings, data.valid.index, held),
        batch_rows=8192,
    )


def _card(
    settings: Credit,
    design: Design,
    networks: Fitted,
    log_odds: np.ndarray,
    pairs: list[tuple[int, int]],
    calibration: dict[str, Any],
) -> Scorecard:
    """The average of the networks as whole points, each column's and pair's with mean 0 over the training loans."""
    layer = networks.models["model"].get_layer("additive")
    values, held = layer.values.numpy().astype(np.float64), held_back(layer, design, log_odds)
    start, terms = centred(design, values, held, pairs, settings.folds)
    line = scale(settings)
    slope = -line.factor * calibration["slope"]
    start = line.points(calibrated(calibration, layer.bias.numpy().mean() + start))[0]
    found = tuple(
        Term(
            columns=term.columns,
            groups=term.groups,
            points=np.rint(slope * term.values).astype(np.int64),
            deviation=abs(slope) * term.error,
            loans=term.loans,
            defaulted=term.defaulted,
        )
        for term in terms
    )
    card = Scorecard(design.bins, round(float(start)), found, line)
    refuse_uncountable(card)
    return card


def refuse_uncountable(card: Scorecard) -> None:
    """Raise Refused if the network, which counts in float32, could give other points than the table and SQL."""
    most = abs(card.start) + sum(int(np.abs(term.points).max()) for term in card.terms)
    if most >= COUNTABLE:
        raise Refused(
            f"A loan could come to {most:,} points, and the network counts exactly below {COUNTABLE:,} only. Lower "
            "settings.points_to_double_odds or settings.base_points."
        )


def _bands(points: np.ndarray, weight: np.ndarray) -> dict[str, Any]:
    """How the training loans' points are spread, by networks that have not seen the loan; how many loans tell it."""
    shares = np.linspace(0, 1, BANDS + 1)[1:-1]
    edges = np.unique(np.quantile(points, shares, weights=weight, method="inverted_cdf"))
    counts = np.bincount(np.searchsorted(edges, points, side="left"), weight, len(edges) + 1)
    return {"edges": edges.tolist(), "shares": (counts / counts.sum()).tolist(), "rows": rows_as_telling(weight)}


def _columns(settings: Credit, data: Data) -> list[dict[str, Any]]:
    """What reasons and explanations say of each feature."""
    return [
        {
            "name": field.name,
            "source": field.source,
            "words": settings.words.get(field.source) or field.meaning or field.source,
            "deviation": field.deviation,
            "unit": field.unit,
        }
        for field in data.schema.features
    ]


def refuse_unknown_columns(settings: Credit, data: Data) -> None:
    """Raise Refused if a setting names a column that is no feature, or a trend of one that has no order."""
    kinds = {field.source: field.kind for field in data.schema.features}
    problems = [
        f"settings.{setting} names {name!r}, which is no feature.{suggestion(name, kinds)}"
        for setting in ("monotone", "words", "changeable")
        for name in getattr(settings, setting)
        if name not in kinds
    ]
    if problems:
        problems.append(f"Features: {', '.join(kinds)}.")
    problems += [
        f"settings.monotone names {name!r}, a {kinds[name]}: only numbers have an order. "
        "Leave it out, or give its levels as numbers."
        for name in settings.monotone
        if kinds.get(name, "number") != "number"
    ]
    if problems:
        raise Refused("\n".join(problems))


def scorer(settings: Credit, fitted: Fitted) -> Score:
    """Score checked loans: bins, points, probability, decision, reasons."""
    facts = fitted.facts
    card = Scorecard.from_json(facts["bins"], facts["scorecard"])
    words = [column["words"] for column in facts["columns"]]
    reasons = Reasons(card, words, settings.reasons, settings.reference)

    def score(table: pd.DataFrame) -> pd.DataFrame:
        numbers = bin_numbers(table, facts["bins"])
        points = np.rint(fitted.predict(numbers)[:, 0]).astype(np.int64)
        decided = decide(settings, card.scale.probability(points), points, facts["operating_point"])
        return outputs(settings, table.index, decided, reasons(numbers))

    return score
