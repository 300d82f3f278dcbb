"""Fit the models, choose by validation rows, refit on all; make lists with what a bundle holds."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse

from solvent import Data, Fitted, Refused
from solvent.metrics import Metric, Resampling, compare, point, ranking
from solvent.solution import Score

from . import content, ease, findings, hybrid, likeness, neighbours, popularity, rules, two_tower, weights
from . import crosses as crosses  # its layers are registered before a bundle is read
from . import ranking as rating
from .cases import attainable, cases
from .catalogue import Catalogue, learnt, side_table
from .engine import Engine
from .interactions import Known
from .lists import scorer as lists
from .part import Part
from .people import People, learn
from .settings import Recommender, headline
from .topk import best
from .two_tower import Predict

if TYPE_CHECKING:
    import keras

__all__ = ["choose", "choosing", "engine", "fit", "fitted_parts", "needed", "scorer"]

log = logging.getLogger("solvent")

MODULES: Mapping[str, Any] = {"popularity": popularity, "neighbours": neighbours, "ease": ease, "content": content}
AT_ONCE = 256  # users
PERSONAL = ("ease_rows", "ease_inverse", "users")  # EASE by users, where these are fewer than items; the side table
FEWEST_NEW = 50  # new users who choose whether such are served by what is known about them
MOST_MONITORED = 5_000  # users by whom a network's epochs are compared
MOST_USUAL = 5_000  # users beside whose lists those to come are held
WHAT = {"popularity": "popularity, half-life in days", "ease": "EASE, strength of its penalty"}  # that is chosen


def fit(settings: Recommender, data: Data) -> Fitted:
    """Every model's choice and the hybrid's weights are found on validation rows by models of the training rows; then
    all are fitted on both."""
    held = choosing(settings, data)
    known, _ = told(settings, data, Known.of(settings, data.train))
    table = side_table(settings, known.items, data.side)
    catalogue = rules.limited(settings.scoring, Catalogue.of(settings, known.items, table))
    rules.refuse_unknown_pins(settings.scoring, catalogue.ids.append(pd.Index(data.valid["item"], dtype=object)))
    chosen, choices = {}, []
    for name in needed(settings, settings.used):
        chosen[name], tried = choose(settings, name, known, catalogue, held)
        choices += tried
    models, assets, epochs = _learnt(settings, data, chosen, known, catalogue, held, None)
    chosen_for_new: dict[str, np.ndarray] = {}
    if "two_tower" in settings.used and known.people is not None:
        chosen_for_new, tried = _for_new(settings, models, assets, known, catalogue, held)
        assets |= chosen_for_new
        choices += tried
    weighed = hybrid.alone(settings.model)
    if settings.model == "hybrid":
        parts = ready(assets, catalogue, Fitted(models, batch_rows=two_tower.BATCH_ROWS).predict)
        like = similar(settings, assets, known, catalogue)[1]
        weighed = _weighed(settings, parts, known, catalogue, like, held, data.seed)
    valid = lists(
        engine(settings, Fitted(models, assets=assets, batch_rows=two_tower.BATCH_ROWS), weighed, known, catalogue)
    )(cases(settings, data.valid))
    rows = pd.concat([data.train, data.valid]).sort_index()
    known, people = told(settings, data, Known.of(settings, rows))
    table = side_table(settings, known.items, data.side)
    catalogue = Catalogue.of(settings, known.items, table)
    models, assets, _ = _learnt(settings, data, chosen, known, catalogue, held, epochs)
    newest = findings.newest(rows)
    facts = {"weights": weighed, "choices": choices, "users": len(known.users), "items": len(known.items)}
    fitted = Fitted(
        models,
        {**facts, "epochs": epochs, "newest": newest},
        {
            **assets,
            **chosen_for_new,
            **people,
            "histories": known.events(),
            "items": table,
            "learnt": learnt(settings, known.items, table),
        },
        personal=frozenset({"histories", *(name for name in PERSONAL if name in {**assets, **people})}),
        valid=valid,
        findings=(
            findings.learnt_until(newest),
            *findings.never_on_offer(known, catalogue),
            *ease.left_out(known, settings.ease_items),
        ),
        batch_rows=two_tower.BATCH_ROWS,
    )
    return replace(fitted, usual=lists(_restored(settings, fitted))(_some_users(known, data.seed)))


def _some_users(known: Known, seed: int) -> pd.DataFrame:
    """Known users, as they are scored: their lists are what those to come are held beside. Users of the validation rows
    were given theirs by less, and many of them as new ones."""
    some = pd.Series(known.users, dtype="str")
    return pd.DataFrame({"user": some.sample(min(len(some), MOST_USUAL), random_state=seed).reset_index(drop=True)})


def choosing(settings: Recommender, data: Data) -> pd.DataFrame:
    """The validation cases that choices are made by.

    Raises:
        Refused: if there are none.
    """
    held = _liking(cases(settings, attainable(settings, data.valid, data.train)))
    if held.empty and not _liking(cases(settings, data.valid)).empty:
        raise Refused(
            "All that users had in the validation rows they had before, and settings.scoring.seen is false: no list "
            "could be right. Set settings.scoring.seen: true to recommend what a user had again."
        )
    if held.empty:
        raise Refused(
            "No user liked anything in the validation rows, so nothing can be chosen by them. Lower "
            "settings.liked_from, or give that part more rows in data.split.fractions."
        )
    return held


def _liking(found: pd.DataFrame) -> pd.DataFrame:
    return found[found["item"].map(len) > 0]


def _learnt(
    settings: Recommender,
    data: Data,
    chosen: Mapping[str, Any],
    known: Known,
    catalogue: Catalogue,
    held: pd.DataFrame,
    epochs: Mapping[str, int] | None,
) -> tuple[dict[str, keras.Model], dict[str, np.ndarray], dict[str, int]]:
    """All models that the settings use.

    Args:
        epochs: of each network; None while validation cases say when to stop.

    Returns:
        networks, assets, and after how many epochs each network was best.
    """
    assets = fitted_parts(settings, chosen, known, catalogue)
    some = held.sample(min(len(held), MOST_MONITORED), random_state=data.seed)
    measure = partial(_measured, settings, known=known, catalogue=catalogue, held=some) if epochs is None else None
    models: dict[str, keras.Model] = {}
    best_epochs = {}
    for name in two_tower.NETWORKS:
        if name in settings.used:
            count = None if epochs is None else epochs[name]
            found = two_tower.fit(settings, name, data, known, catalogue, headline(settings), measure, count)
            models |= found[0]
            assets |= {f"{name}_{key}": value for key, value in found[1].items()}
            best_epochs[name] = found[2]["best_epoch"]
    if settings.ratings:
        found = rating.fit(settings, data, known, catalogue, None if epochs is None else epochs["ranking"])
        models |= found[0]
        assets |= {f"ranking_{key}": value for key, value in found[1].items()}
        best_epochs["ranking"] = found[2]["best_epoch"]
    return models, assets, best_epochs


def told(settings: Recommender, data: Data, known: Known) -> tuple[Known, dict[str, pd.DataFrame]]:
    """What is known with what the side table says of users, and the assets by which a bundle reads it.

    Raises:
        Refused: if the settings name columns and there is no such table, or the other way round.
    """
    table = data.side.get("users")
    if (table is None) == bool(settings.users.about):
        raise Refused(
            "settings.users.about names columns of the side table of users, and data.side has none. Add side: {users: "
            "TABLE}, or leave settings.users out."
            if table is None
            else "data.side has a table of users, and settings.users.about names none of its columns. Name those that "
            "tell something of a user, or leave the table out."
        )
    if table is None:
        return known, {}
    traits = learn(settings.users, table, known.users)
    return known.told(People.read(settings.users, traits, table)), {"users": table, "traits": traits}


def _for_new(
    settings: Recommender,
    models: Mapping[str, keras.Model],
    assets: Mapping[str, np.ndarray],
    known: Known,
    catalogue: Catalogue,
    held: pd.DataFrame,
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Whether users without a history are served by what is known about them: if that beats what is popular on those
    validation users of whom anything is known, at the lower end of the interval. Users with a training row don't count:
    from what is known about them the towers learnt their taste."""
    assert known.people is not None
    some = held[known.people.of(held["user"]).any(axis=1) & (known.users.get_indexer(held["user"]) < 0)]
    metric, ways = f"ndcg@{settings.at[0]}", {"what is popular": "popularity", "what is known about them": "two_tower"}
    entry = {"what": "users without a history, by", "chosen_on": "validation users without a training row"}
    if len(some) < FEWEST_NEW:
        few = f"too few users: it takes {FEWEST_NEW} validation users without a training row, and there are {len(some)}"
        popular = next(iter(ways))
        entry |= {"tried": [{"value": popular}], "won": popular, "metric": None, "chosen_on": few}
        return {"two_tower_told": np.array([0])}, [entry]
    parts = ready({**assets, "two_tower_told": np.array([1])}, catalogue, Fitted(models, batch_rows=256).predict)
    popular, about = (_ndcg(settings, parts[name], known, catalogue, some) for name in ways.values())
    gains = bool((compare(about, popular, Resampling(len(some))).low or 0) > 0)
    tried = [{"value": value, metric: point(each)} for value, each in zip(ways, (popular, about), strict=True)]
    return {"two_tower_told": np.array([gains])}, [
        {**entry, "tried": tried, "won": list(ways)[gains], "metric": metric}
    ]


def needed(settings: Recommender, used: Iterable[str]) -> list[str]:
    """The models without a network that are fitted: those that are used, popularity for users of whom nothing is known,
    and the content by which a list's variety is measured."""
    wanted = dict.fromkeys([*used, "popularity", *(["content"] if settings.items.described else [])])
    return [name for name in wanted if name in MODULES]


def fitted_part(
    settings: Recommender, name: str, known: Known, catalogue: Catalogue, choice: Any
) -> dict[str, np.ndarray]:
    """What a model learns."""
    options = {"neighbours": {"distance": settings.distance}, "ease": {"most": settings.ease_items}}
    found: dict[str, np.ndarray] = MODULES[name].fit(known, catalogue, choice, **options.get(name, {}))
    return found


def fitted_parts(
    settings: Recommender, chosen: Mapping[str, Any], known: Known, catalogue: Catalogue
) -> dict[str, np.ndarray]:
    """What several models learn, each name with its model's before it."""
    return {
        f"{name}_{key}": value
        for name, choice in chosen.items()
        for key, value in fitted_part(settings, name, known, catalogue, choice).items()
    }


def _weighed(
    settings: Recommender,
    parts: Mapping[str, Part],
    known: Known,
    catalogue: Catalogue,
    like: scipy.sparse.csr_array,
    held: pd.DataFrame,
    seed: int,
) -> dict[str, Any]:
    """The hybrid's weights, by validation cases."""
    places = [catalogue.ids.get_indexer(pd.Index(items, dtype=object)) for items in held["item"]]
    return weights.learn(
        {name: parts[name] for name in settings.parts},
        known.asked(held, catalogue.ids)[0],
        [found[found >= 0] for found in places],
        np.array([int((found < 0).sum()) for found in places]),
        catalogue,
        like,
        settings.at[0],
        seed,
        seen=settings.scoring.seen,
    )


def choose(
    settings: Recommender, name: str, known: Known, catalogue: Catalogue, held: pd.DataFrame
) -> tuple[Any, list[dict[str, Any]]]:
    """Try a model's choices on validation cases.

    Returns:
        The one with the best headline, and what `facts["choices"]` says of it.
    """
    values = MODULES[name].choices(known)
    if len(values) == 1:
        return values[0], []
    headline = f"ndcg@{settings.at[0]}"
    tried = []
    for value in values:
        part = MODULES[name].load(fitted_part(settings, name, known, catalogue, value), catalogue)
        tried.append({"value": value, headline: _measured(settings, part, known, catalogue, held)})
    won = max(tried, key=lambda each: each[headline])["value"]
    return won, [{"what": WHAT[name], "tried": tried, "won": won, "metric": headline, "chosen_on": "validation cases"}]


def _measured(settings: Recommender, part: Part, known: Known, catalogue: Catalogue, held: pd.DataFrame) -> float:
    """The headline of one model alone."""
    return point(_ndcg(settings, part, known, catalogue, held))


def _ndcg(settings: Recommender, part: Part, known: Known, catalogue: Catalogue, held: pd.DataFrame) -> Metric:
    found: list[np.ndarray] = []
    for begin in range(0, len(held), AT_ONCE):
        histories, _ = known.asked(held.iloc[begin : begin + AT_ONCE], catalogue.ids)
        total = np.nan_to_num(part.scores(histories), nan=-np.inf)
        total[:, ~catalogue.offered] = -np.inf
        if not settings.scoring.seen:
            total[histories.owner, histories.item] = -np.inf
        found += [catalogue.ids.to_numpy()[places[places >= 0]] for places in best(total, settings.at[0])]
    return ranking(held["item"], found, settings.at[:1])[f"ndcg@{settings.at[0]}"]


def ready(assets: Mapping[str, Any], catalogue: Catalogue, predict: Predict) -> dict[str, Part]:
    """The models whose assets are there."""
    found = {name: module.load(own, catalogue) for name, module in MODULES.items() if (own := _of(assets, name))}
    for name in two_tower.NETWORKS:
        if own := _of(assets, name):
            found[name] = two_tower.load(name, own, catalogue, predict)
    if own := _of(assets, "ranking"):
        found["ranking"] = rating.part(own, catalogue, predict)
    return found


def engine(
    settings: Recommender, fitted: Fitted, weighed: Mapping[str, Any], known: Known, catalogue: Catalogue
) -> Engine:
    """What makes lists: the models that the weights name."""
    parts = ready(fitted.assets, catalogue, fitted.predict)
    own, like = similar(settings, fitted.assets, known, catalogue)
    used = {name: parts[name] for name in weighed["parts"]}
    if weighed.get("alone"):  # it has nobody's candidates to rank again
        used = {name: replace(part, again=None) for name, part in used.items()}
    ratings = _of(fitted.assets, "ranking")
    rate = rating.load(ratings, catalogue, fitted.predict) if ratings else None
    return Engine(settings, weighed, used, known, catalogue, own, like, rate)


def similar(
    settings: Recommender, assets: Mapping[str, Any], known: Known, catalogue: Catalogue
) -> tuple[scipy.sparse.csr_array, scipy.sparse.csr_array]:
    """What `likeness.vectors` and `hybrid.newcomers` give; without content a new item is like none."""
    described = settings.items.described
    own = likeness.vectors(known, catalogue, _of(assets, "content") if described else None)
    if described:
        return own, hybrid.newcomers(own, catalogue.known)
    return own, scipy.sparse.csr_array((len(catalogue) - catalogue.known, catalogue.known), dtype=np.float32)


def _of(assets: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key.removeprefix(f"{name}_"): value for key, value in assets.items() if key.startswith(f"{name}_")}


def scorer(settings: Recommender, fitted: Fitted) -> Score:
    """Make lists from a bundle's models; `items` and `users` may have been replaced by tonight's."""
    made = _restored(settings, fitted)
    rules.warn_of_lost_pins(settings.scoring, made.catalogue)
    if newest := fitted.facts.get("newest"):  # older bundles don't say
        log.info("What users had after %s is not known here: %s.", newest, findings.CURE)
    return lists(made)


def _restored(settings: Recommender, fitted: Fitted) -> Engine:
    known = Known.restored(fitted.assets["histories"])
    if settings.users.about:
        known = known.told(People.read(settings.users, fitted.assets["traits"], fitted.assets["users"]))
    catalogue = Catalogue.of(settings, known.items, fitted.assets["items"], fitted.assets["learnt"])
    return engine(settings, fitted, fitted.facts["weights"], known, catalogue)
