"""Fit the models, choose by validation rows, refit on all; make lists with what a bundle holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse

from solvent import Data, Fitted, Refused
from solvent.metrics import point, ranking
from solvent.solution import Score

from . import content, ease, hybrid, likeness, neighbours, popularity, two_tower, weights
from . import towers as towers  # its layers are registered before a bundle is read
from .cases import cases
from .catalogue import Catalogue, side_table
from .engine import Engine
from .interactions import Known
from .lists import scorer as lists
from .part import Part
from .settings import Recommender, headline
from .topk import best
from .two_tower import Predict

if TYPE_CHECKING:
    import keras

__all__ = ["choose", "engine", "fit", "fitted_parts", "needed", "scorer"]

MODULES: Mapping[str, Any] = {"popularity": popularity, "neighbours": neighbours, "ease": ease, "content": content}
AT_ONCE = 256  # users
PERSONAL = ("ease_rows", "ease_inverse")  # EASE by users, where these are fewer than items
MOST_MONITORED = 5_000  # users by whom a network's epochs are compared


def fit(settings: Recommender, data: Data) -> Fitted:
    """Every model's choice and the hybrid's weights are found on validation rows by models of the training rows; then
    all are fitted on both."""
    if max(settings.at) > settings.scoring.length:
        raise Refused(
            f"settings.at measures lists of {max(settings.at)}, and settings.scoring.length is "
            f"{settings.scoring.length}. Make the lists as long, or measure shorter ones."
        )
    held = cases(settings, data.valid)
    if held.empty:
        raise Refused(
            "No user liked anything in the validation rows, so nothing can be chosen by them. Lower "
            "settings.liked_from, or give that part more rows in data.split.fractions."
        )
    known = Known.of(settings, data.train)
    table = side_table(settings, known.items, data.side.get("items"))
    catalogue = Catalogue.of(settings, known.items, table)
    chosen, choices = {}, []
    for name in needed(settings, settings.used):
        chosen[name], tried = choose(settings, name, known, catalogue, held)
        choices += tried
    models, assets, epochs = _learnt(settings, data, chosen, known, catalogue, held, None)
    weighed = hybrid.alone(settings.model)
    if settings.model == "hybrid":
        parts = ready(assets, catalogue, Fitted(models, batch_rows=two_tower.BATCH_ROWS).predict)
        weighed = _weighed(settings, parts, known, catalogue, held, data.seed)
    valid = lists(
        engine(settings, Fitted(models, assets=assets, batch_rows=two_tower.BATCH_ROWS), weighed, known, catalogue)
    )(held)
    known = Known.of(settings, pd.concat([data.train, data.valid]).sort_index())
    table = side_table(settings, known.items, data.side.get("items"))
    catalogue = Catalogue.of(settings, known.items, table)
    models, assets, _ = _learnt(settings, data, chosen, known, catalogue, held, epochs)
    facts = {"weights": weighed, "choices": choices, "users": len(known.users), "items": len(known.items)}
    return Fitted(
        models,
        {**facts, "epochs": epochs},
        {**assets, "histories": known.events(), "items": table},
        personal=frozenset({"histories", *(name for name in PERSONAL if name in assets)}),
        valid=valid,
        batch_rows=two_tower.BATCH_ROWS,
    )


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
    return models, assets, best_epochs


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
        settings.at[0],
        seed,
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
    return won, [{"what": name, "tried": tried, "won": won, "metric": headline, "chosen_on": "validation cases"}]


def _measured(settings: Recommender, part: Part, known: Known, catalogue: Catalogue, held: pd.DataFrame) -> float:
    """The headline of one model alone."""
    found: list[np.ndarray] = []
    for begin in range(0, len(held), AT_ONCE):
        histories, _ = known.asked(held.iloc[begin : begin + AT_ONCE], catalogue.ids)
        total = np.nan_to_num(part.scores(histories), nan=-np.inf)
        total[:, ~catalogue.offered] = -np.inf
        total[histories.owner, histories.item] = -np.inf
        found += [catalogue.ids.to_numpy()[places[places >= 0]] for places in best(total, settings.at[0])]
    return point(ranking(held["item"], found, settings.at[:1])[f"ndcg@{settings.at[0]}"])


def ready(assets: Mapping[str, Any], catalogue: Catalogue, predict: Predict) -> dict[str, Part]:
    """The models whose assets are there."""
    found = {name: module.load(own, catalogue) for name, module in MODULES.items() if (own := _of(assets, name))}
    for name in two_tower.NETWORKS:
        if own := _of(assets, name):
            found[name] = two_tower.load(name, own, catalogue, predict)
    return found


def engine(
    settings: Recommender, fitted: Fitted, weighed: Mapping[str, Any], known: Known, catalogue: Catalogue
) -> Engine:
    """What makes lists: the models that the weights name."""
    parts = ready(fitted.assets, catalogue, fitted.predict)
    described = _of(fitted.assets, "content")
    own = likeness.vectors(known, catalogue, described if settings.items.described else None)
    like = scipy.sparse.csr_array((len(catalogue) - catalogue.known, catalogue.known), dtype=np.float32)
    if settings.items.described:
        like = hybrid.newcomers(own, catalogue.known)
    return Engine(settings, weighed, {name: parts[name] for name in weighed["parts"]}, known, catalogue, own, like)


def _of(assets: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key.removeprefix(f"{name}_"): value for key, value in assets.items() if key.startswith(f"{name}_")}


def scorer(settings: Recommender, fitted: Fitted) -> Score:
    """Make lists from a bundle's models; `items` may have been replaced by tonight's."""
    known = Known.restored(fitted.assets["histories"])
    catalogue = Catalogue.of(settings, known.items, fitted.assets["items"])
    return lists(engine(settings, fitted, fitted.facts["weights"], known, catalogue))
