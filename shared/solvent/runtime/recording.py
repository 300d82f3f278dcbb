"""What a scorer asks of its models: so shared code gets a model's real inputs without knowing the domain."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..schema import Schema
from ..solution import Table
from . import tensorflow

if TYPE_CHECKING:
    import keras

    from ..bundle import Bundle

__all__ = ["asked", "some"]

MOST_ROWS = 300  # that are kept of one model


def asked(bundle: Bundle, cases: Table) -> dict[str, list[tuple[Any, Any]]]:
    """Score cases in TensorFlow, and keep what each model was asked and what it answered.

    Returns:
        By the model's name, inputs and outputs batch by batch, without padding; only of models that were asked.
    """
    fitted = bundle.fitted
    kept: dict[str, list[tuple[Any, Any]]] = {name: [] for name in fitted.models}
    forms = {name: _recorded(model, kept[name]) for name, model in fitted.models.items()}
    bundle.solution.scorer(bundle.settings, replace(fitted, forms=forms))(cases)
    return {name: batches for name, batches in kept.items() if batches}


def some(rows: Table, schema: Schema, most: int, seed: int) -> Table:
    """At least one and about `most` of the rows, drawn at random; those of an entity, or a group, together."""
    whole = schema.by_role("entity") or schema.by_role("group")
    named = whole and whole[0].name in rows
    units = np.unique(rows[whole[0].name].astype("str"), return_inverse=True)[1] if named else np.arange(len(rows))
    order = np.random.default_rng(seed).permutation(units.max() + 1)
    before = np.cumsum(np.bincount(units)[order]) - np.bincount(units)[order]
    return rows[np.isin(units, order[before < most])]


def _recorded(model: keras.Model, kept: list[tuple[Any, Any]]) -> Any:
    import keras

    run = tensorflow.function(model)

    def form(batch: Any) -> Any:
        found = run(batch)
        if sum(len(keras.tree.flatten(inputs)[0]) for inputs, _ in kept) < MOST_ROWS:
            rows = _without_padding(batch)
            kept.append(keras.tree.map_structure(lambda array: np.array(array[:rows]), (batch, found)))
        return found

    return form


def _without_padding(batch: Any) -> int:
    """How many rows of a batch are no copies of its last one, which `predict` pads with."""
    import keras

    leaves = [np.asarray(leaf) for leaf in keras.tree.flatten(batch)]
    rows = len(leaves[0])
    while rows > 1 and all(np.array_equal(leaf[rows - 1], leaf[rows - 2]) for leaf in leaves):
        rows -= 1
    return rows
