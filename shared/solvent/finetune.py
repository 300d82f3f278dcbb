"""Train a network on images: a head on cached features, then block by block; or all of it from nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from . import augment, heads, images, linear, runtime, training, transfer
from .devices import placement
from .features import Features, Frozen
from .precision import in_precision
from .recipe import Reader, Recipe
from .schedule import Training
from .solution import JSON, Data, Goal

__all__ = ["BATCH_ROWS", "Network", "Task", "frozen", "frozen_features", "learn", "side", "unseen_logits"]

log = logging.getLogger("solvent")
BATCH_ROWS = 32  # images in a call of a network
PIXELS_IN_MEMORY = 2 << 30  # bytes; more are decoded again in every epoch
FEW = 50_000  # images and views from which a line is found exactly; with more of them steps come as far


@dataclass(frozen=True)
class Task:
    """What a network has to learn of images.

    Args:
        train: the cells of the training images.
        targets: float32, shape `(images, k)`; the network has `outputs` of them, or the loss knows better.
        weights: of the training images, `(images,)`.
        several: whether an image may have several of the classes, so that each logit is a question of its own.
        choosing: the cells of the images that choose: epochs, dropout, whether a stage is kept.
        loss: a Keras loss on (targets, logits).
        measure: logits of the choosing images, `(images, outputs)` -> metrics.
        goal: the one of these metrics that chooses.
    """

    train: Sequence[Any]
    targets: np.ndarray
    weights: np.ndarray
    several: bool
    outputs: int
    choosing: Sequence[Any]
    loss: keras.losses.Loss
    measure: Callable[[np.ndarray], Mapping[str, float]]
    goal: Goal


@dataclass(frozen=True)
class Network:
    """What was learnt.

    Args:
        model: image `(size, size, 3)`, RGB from 0 to 255 -> logits `(outputs,)`.
        logits: cells of images -> their logits, by way of the cached features where parts are frozen.
        choices: what was tried on the choosing images, and what won.
    """

    model: keras.Model
    logits: Callable[[Sequence[Any]], np.ndarray]
    choices: list[JSON]


def learn(recipe: Recipe, task: Task, data: Data, stage: str = "network") -> Network:
    """Train what a recipe says.

    Args:
        stage: a name, one of a kind within the run, for a network that is trained from nothing.

    Raises:
        Refused: if the weights can't be had, or the recipe doesn't fit the backbone.
    """
    size = side(recipe)
    backbone = transfer.build(recipe.backbone, recipe.weights, size, seed=data.seed)
    if recipe.weights == "none":
        return _from_nothing(backbone, size, recipe, task, data, stage)
    return _on_features(backbone, size, recipe, task, data)


def frozen_features(recipe: Recipe, cells: Sequence[Any], seed: int) -> np.ndarray:
    """What the head reads of images as they are, from the backbone as it came: float32, `(images, channels)`.

    Of a backbone without weights this would be noise: there it is the pixels, shrunk to 16 by 16.
    """
    if recipe.weights == "none":
        shrunk = images.Stream(cells, 16, recipe.resize, 256, recipe.decoder).array()
        return shrunk.reshape(len(cells), -1).astype(np.float32) / 255
    size = side(recipe)
    backbone = transfer.build(recipe.backbone, recipe.weights, size, seed=seed)
    averages = heads.averages(backbone, recipe.backbone, recipe.head.blocks)
    return Features(_frozen(averages, recipe, seed), cells).array()


def side(recipe: Reader) -> int:
    """The side of the images that the network reads, in pixels."""
    return recipe.size or transfer.backbone(recipe.backbone).size


# From nothing


def unseen_logits(recipe: Recipe, task: Task, data: Data, parts: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Train a network for each part of the training images that it leaves out.

    Args:
        parts: for each network the positions that it learns from, and those that it leaves out.

    Returns:
        The logits of all training images by the networks that had not seen them, `(images, outputs)`.
    """
    found = np.zeros((len(task.train), task.outputs), np.float32)
    for number, (learnt, held) in enumerate(parts, start=1):
        inner = replace(
            task,
            train=[task.train[place] for place in learnt],
            targets=task.targets[learnt],
            weights=task.weights[learnt],
        )
        network = learn(recipe, inner, data, f"without-part-{number}")
        found[held] = network.logits([task.train[place] for place in held])
    return found


def _from_nothing(backbone: keras.Model, size: int, recipe: Recipe, task: Task, data: Data, stage: str) -> Network:
    """All layers, on pixels that are augmented anew in every step."""
    head = heads.Layers(recipe.head, task.outputs, recipe.head.dropout[0], None, data.seed)
    averages = heads.averages(backbone, recipe.backbone, blocks=1)
    model = keras.Model(backbone.input, head(averages.output), name="network")
    _on_pixels(model, stage, size, recipe, task, recipe.training, data, {})

    def logits(cells: Sequence[Any]) -> np.ndarray:
        return _predicted(model, cells, size, recipe)

    return Network(model, logits, [])


def _on_pixels(
    model: keras.Model,
    stage: str,
    size: int,
    recipe: Recipe,
    task: Task,
    how: Training,
    data: Data,
    factors: Mapping[str, float],
) -> dict[str, Any]:
    """Train a network from the image on; its weights end as the best epoch's."""
    pixels = _Pixels(task.train, size, recipe)
    rows = training.Rows(
        len(task.train), lambda at: (pixels.take(at), task.targets[at], task.weights[at].astype(np.float32))
    )
    chosen_on = _Pixels(task.choosing, size, recipe)

    def monitor() -> Mapping[str, float]:
        return task.measure(runtime.predict(model, chosen_on.batches(), BATCH_ROWS))

    augmented = augment.augmented(model, recipe.augmentation, size)
    return training.fit(
        augmented,
        rows,
        stage=stage,
        training=how,
        loss=task.loss,
        monitor=monitor,
        goal=task.goal,
        data=data,
        factors=factors,
    )


class _Pixels:
    """The pixels of images: kept where they are few, else decoded each time."""

    def __init__(self, cells: Sequence[Any], size: int, recipe: Recipe) -> None:
        self.cells, self.size, self.recipe = list(cells), size, recipe
        self.kept: np.ndarray | None = None
        if len(self.cells) * size * size * 3 <= PIXELS_IN_MEMORY:
            self.kept = np.empty((len(self.cells), size, size, 3), np.uint8)
            done = 0
            for batch in self._stream(self.cells):
                self.kept[done : done + len(batch)] = batch
                done += len(batch)

    def take(self, positions: np.ndarray) -> np.ndarray:
        """uint8, shape `(positions, size, size, 3)`."""
        if self.kept is not None:
            return np.asarray(self.kept[positions])
        return np.concatenate(list(self._stream([self.cells[position] for position in positions])))

    def batches(self) -> Iterator[np.ndarray]:
        return self._stream(self.cells) if self.kept is None else iter([self.kept])

    def _stream(self, cells: Sequence[Any]) -> Iterator[np.ndarray]:
        return _stream(cells, self.size, self.recipe)


def _stream(cells: Sequence[Any], size: int, recipe: Recipe) -> Iterator[np.ndarray]:
    return images.Stream(cells, size, recipe.resize, BATCH_ROWS, recipe.decoder).whole()


def _predicted(model: keras.Model, cells: Sequence[Any], size: int, recipe: Recipe) -> np.ndarray:
    found: np.ndarray = runtime.predict(model, _stream(cells, size, recipe), BATCH_ROWS)
    return found


# On frozen features


def _on_features(backbone: keras.Model, size: int, recipe: Recipe, task: Task, data: Data) -> Network:
    """The head on cached averages; then, if asked for, the last blocks behind cached feature maps."""
    averages = heads.averages(backbone, recipe.backbone, recipe.head.blocks)
    kept = _frozen(averages, recipe, data.seed)
    features, chosen_on = Features(kept, task.train, recipe.views).array(), Features(kept, task.choosing).array()
    rows = training.arrays(features, *_for_all_views(task, recipe))

    def candidate(dropout: float) -> tuple[heads.Layers, dict[str, Any]]:
        head = heads.Layers(recipe.head, task.outputs, dropout, features, data.seed)
        small = head.alone(features.shape[1:])
        record = training.fit(
            small,
            rows,
            stage=f"head-dropout-{dropout:g}",
            training=recipe.training,
            loss=task.loss,
            monitor=lambda: task.measure(runtime.predict(small, chosen_on, BATCH_ROWS)),
            goal=task.goal,
            data=data,
        )
        return head, record

    head, choice = training.choose("dropout", recipe.head.dropout, candidate, task.goal)
    small = head.alone(features.shape[1:])
    choices = [choice]
    if not recipe.head.units and len(features) <= FEW:
        choices.append(_exact(head, small, features, chosen_on, recipe, task, choice))
    model = keras.Model(backbone.input, head(averages.output), name="network")

    def logits(cells: Sequence[Any]) -> np.ndarray:
        found: np.ndarray = runtime.predict(small, Features(kept, cells).array(), BATCH_ROWS)
        return found

    network = Network(model, logits, choices)
    for number in range(1, recipe.fine_tune.blocks + 1):
        network, better = _with_block(network, number, size, recipe, task, data)
        if not better:
            break
    return network


def _exact(
    head: heads.Layers,
    small: keras.Model,
    features: np.ndarray,
    chosen_on: np.ndarray,
    recipe: Recipe,
    task: Task,
    steps: Mapping[str, Any],
) -> JSON:
    """Put logistic regression in the place of the line that steps came to, if it is better on the choosing images.

    Few images have many lines that part them, and which of these is the best is a matter of the penalty, not of when to
    stop. Blocks that are trained later start from the better head.

    Source: Kumar et al., Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution, 2022.
    """
    scaled, dense = np.asarray(head.layers[0](features)), head.layers[-1]
    targets, weights = _for_all_views(task, recipe)
    metric, kept = task.goal.metric, dense.get_weights()
    best = next(row[metric] for row in steps["tried"] if row["value"] == steps["won"])
    tried, won = [{"value": "steps", metric: best}], "steps"
    for strength in linear.STRENGTHS:
        dense.set_weights(linear.line(strength, scaled, targets, weights / (recipe.views + 1), task.several))
        value = task.measure(runtime.predict(small, chosen_on, BATCH_ROWS))[metric]
        tried.append({"value": f"penalty, C = {strength:g}", metric: value})
        if task.goal.better(value, best):
            best, won, kept = value, tried[-1]["value"], dense.get_weights()
    dense.set_weights(kept)
    return {"what": "the head's line: by steps, or exactly", "tried": tried, "won": won, **_chosen(task)}


def _with_block(
    network: Network, number: int, size: int, recipe: Recipe, task: Task, data: Data
) -> tuple[Network, bool]:
    """Train the last `number` blocks and the head; take it back if it does not help."""
    model, about = network.model, transfer.backbone(recipe.backbone)
    ends = ("image", *about.blocks)
    below = ends[len(ends) - 1 - number]
    # What the head averages must pass through the cut too.
    boundary = ends[min(len(ends) - 1 - number, len(ends) - recipe.head.blocks)]
    transfer.freeze(model, below)
    depths = transfer.depth_of(model, about.blocks)
    factors = {path: recipe.fine_tune.decay ** max(depth - 1, 0) for path, depth in depths.items()}
    front, rear = transfer.split_at(model, boundary)
    weights, stage, how = model.get_weights(), f"block-{number}", recipe.fine_tune.training
    if boundary == "image":

        def logits(cells: Sequence[Any]) -> np.ndarray:
            return _predicted(model, cells, size, recipe)

        before = task.measure(logits(task.choosing))[task.goal.metric]
        record = _on_pixels(model, stage, size, recipe, task, how, data, factors)
    else:
        kept = _frozen(front, recipe, data.seed)
        maps, chosen_on = Features(kept, task.train, recipe.views), Features(kept, task.choosing)
        targets, weighed = _for_all_views(task, recipe)

        def logits(cells: Sequence[Any]) -> np.ndarray:
            found: np.ndarray = runtime.predict(rear, Features(kept, cells).batches(BATCH_ROWS), BATCH_ROWS)
            return found

        def monitor() -> Mapping[str, float]:
            return task.measure(runtime.predict(rear, chosen_on.batches(BATCH_ROWS), BATCH_ROWS))

        before = monitor()[task.goal.metric]
        record = training.fit(
            rear,
            training.Rows(len(maps), lambda at: (maps.take(at), targets[at], weighed[at])),
            stage=stage,
            training=how,
            loss=task.loss,
            monitor=monitor,
            goal=task.goal,
            data=data,
            factors=factors,
        )
    better = task.goal.better(record["best"], before)
    if not better:
        model.set_weights(weights)
    model.trainable = True  # what was frozen is no property of the model that is kept
    log.info("block %d from the top: %s %.4f, before %.4f", number, task.goal.metric, record["best"], before)
    choice = {
        "what": f"the last {number} blocks trained too",
        "tried": [{"value": "before", task.goal.metric: before}, {"value": "after", task.goal.metric: record["best"]}],
        "won": "after" if better else "before",
        **_chosen(task),
    }
    found = replace(network, logits=logits if better else network.logits, choices=[*network.choices, choice])
    return found, better


def frozen(model: keras.Model, reader: Reader) -> Frozen:
    """A network as it computes features that are kept: in the best precision for layers that are not trained."""
    precision = placement().frozen
    return Frozen(
        in_precision(model, precision),
        transfer.weights_hash(model),
        side(reader),
        reader.resize,
        BATCH_ROWS,
        precision,
        decoder=reader.decoder,
    )


def _frozen(model: keras.Model, recipe: Recipe, seed: int) -> Frozen:
    """A part of the network whose augmented views are read too."""
    return replace(frozen(model, recipe), augmentation=recipe.augmentation, seed=seed)


def _for_all_views(task: Task, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Targets and weights of the images and of their augmented views."""
    times = recipe.views + 1
    return np.concatenate([task.targets] * times), np.concatenate([task.weights] * times)


def _chosen(task: Task) -> dict[str, JSON]:
    return {"metric": task.goal.metric, "chosen_on": "validation rows, choosing half"}
