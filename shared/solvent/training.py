"""One `fit` for all domains: schedules, early stopping on the validation headline, stages, exact resume.

Data order and dropout are functions of (seed, stage, epoch), and after each epoch one atomic checkpoint holds all
there is to know. So a killed training that goes on gives the weights of an undisturbed one. Keras's
`BackupAndRestore` was measured not to: early stopping, data order and dropout start again there.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import progress
from .checkpoint import State, Store
from .errors import SolventError
from .schedule import Training
from .solution import JSON, Data, Fitted, Goal

if TYPE_CHECKING:
    import keras

__all__ = ["Candidate", "Rows", "Training", "arrays", "choose", "class_weights", "fit", "stages"]

log = logging.getLogger("solvent")


@dataclass(frozen=True)
class Rows:
    """Training rows that are taken batch by batch.

    Args:
        count: how many there are.
        take: positions `(batch,)` -> (inputs, targets, weights `(batch,)`), trees of arrays.
    """

    count: int
    take: Callable[[np.ndarray], tuple[Any, Any, np.ndarray]]


def arrays(inputs: Any, targets: Any, weights: np.ndarray | None = None) -> Rows:
    """Rows that lie in memory: trees of arrays with one leading axis."""
    import keras

    count = len(keras.tree.flatten(inputs)[0])
    weighed = np.ones(count, np.float32) if weights is None else np.asarray(weights, np.float32)

    def take(positions: np.ndarray) -> tuple[Any, Any, np.ndarray]:
        pick = lambda array: array[positions]
        return keras.tree.map_structure(pick, inputs), keras.tree.map_structure(pick, targets), weighed[positions]

    return Rows(count, take)


def class_weights(codes: np.ndarray, classes: list[str], training: Training) -> np.ndarray:
    """A weight for each row from its class, with mean 1.

    Args:
        codes: the class of each row, `(rows,)`, positions in `classes`.

    Raises:
        SolventError: if `training.class_weight` names a class that there is not, or leaves one out.
    """
    if training.class_weight is None:
        return np.ones(len(codes), np.float32)
    if training.class_weight == "balanced":
        counts = np.bincount(codes, minlength=len(classes))
        by_class = len(codes) / (len(classes) * np.maximum(counts, 1))
    else:
        if set(training.class_weight) != set(classes):
            raise SolventError(
                f"settings.training.class_weight names {sorted(training.class_weight)}; expected each of {classes}."
            )
        by_class = np.array([training.class_weight[name] for name in classes])
    weights = by_class[codes]
    return np.asarray(weights / weights.mean(), np.float32)


def fit(
    model: keras.Model,
    rows: Rows,
    *,
    stage: str,
    training: Training,
    loss: Any,
    monitor: Callable[[], Mapping[str, float]],
    goal: Goal,
    data: Data,
) -> dict[str, Any]:
    """Train a model and leave its best weights in it.

    Args:
        stage: a name for this training, one of a kind within the run. A stage that a killed run has finished returns at once.
        loss: a Keras loss on (targets, outputs).
        monitor: called after each epoch, with the averaged weights in place where there are any:
            metrics on validation rows; `goal.metric` must be among them.

    Returns:
        The stage's record: epochs, best epoch, why it stopped, seconds, the history by column.

    Raises:
        SolventError: if the loss is not finite, or the model's outputs are not float32.
    """
    import keras

    from .devices import placement

    if wrong := sorted({str(output.dtype) for output in model.outputs} - {"float32"}):
        raise SolventError(f"The outputs of {model.name} are {wrong[0]}: give its last layer dtype='float32'.")
    store = Store(data.work / "stages" / stage)
    batch = min(training.batch_size, rows.count)
    steps = math.ceil(rows.count / batch)
    state = store.state()
    if state is None:
        rate = training.learning_rate
        if rate == "auto":
            rate = find_learning_rate(model, rows, batch, loss, seed=_seed(data.seed, stage, -1))
        state = State(learning_rate=rate)
    optimizer = _optimizer(training, state.learning_rate, steps)
    model.compile(optimizer=optimizer, loss=loss, jit_compile=placement().xla)
    optimizer.build(model.trainable_variables)
    variables = [*model.variables, *optimizer.variables]
    store.restore(variables)
    run_steps = _step_function(model, placement().xla)
    batches = _batches(rows, batch, (_seed(data.seed, stage, epoch) for epoch in range(state.epoch, training.epochs)))
    with progress.bar(training.epochs, f"training {stage}", start=state.epoch) as bar:
        while state.stopped is None:
            started = time.monotonic()
            _seed_layers(model, data.seed, stage, state.epoch)
            loss_value = _loss(model, run_steps, batches, steps)
            if not math.isfinite(loss_value):
                raise SolventError(
                    f"Stage {stage}, epoch {state.epoch + 1}: the loss is {loss_value}. "
                    "Lower settings.training.learning_rate or set settings.training.clip: 1.0."
                )
            rate = float(np.asarray(optimizer.learning_rate))
            raw = [variable.numpy() for variable in model.trainable_variables] if training.ema else None
            optimizer.finalize_variable_values(model.trainable_variables)
            measured = {name: float(value) for name, value in monitor().items()}
            best = state.record(training, goal, loss_value, rate, measured, time.monotonic() - started)
            if best:
                store.keep_best(model.variables, state.epoch)
            if raw is not None:
                for variable, value in zip(model.trainable_variables, raw, strict=True):
                    variable.assign(value)
            if state.factor_changed:
                optimizer.learning_rate = state.learning_rate * state.factor
            store.save(state, variables)
            _track(training, data.work, stage, state)
            bar.step(f"{goal.metric} {measured[goal.metric]:.4f}, best {state.best:.4f}")
    if state.best is None:
        raise SolventError(
            f"Stage {stage}: the validation {goal.metric} was never a number. Look at the validation rows."
        )
    store.load_best(state, model.variables)
    # What a domain draws next must not depend on whether this stage was trained or passed over.
    keras.utils.set_random_seed(_seed(data.seed, stage, -2)[0])
    return state.to_record(stage)


Candidate = tuple[Fitted, dict[str, Any]]


def choose(
    what: str, values: Sequence[Any], candidate: Callable[[Any], Candidate], goal: Goal
) -> tuple[Fitted, dict[str, JSON]]:
    """Train a candidate for each value and keep the one with the best validation headline.

    Args:
        what: the setting that the values are for.
        candidate: a value -> what was fitted with it, and the record that `fit` returned.

    Returns:
        The winner, and the entry of `facts["choices"]` that says what was tried.
    """
    best: Fitted | None = None
    won, tried = None, []
    for value in values:
        fitted, record = candidate(value)
        if goal.better(record["best"], won and won[goal.metric]):
            best, won = fitted, {"value": value, goal.metric: record["best"]}
        tried.append({"value": value, goal.metric: record["best"]})
    if best is None or won is None:
        raise SolventError(f"No {what} of {list(values)} gave a validation {goal.metric} that is a number.")
    return best, {
        "what": what,
        "tried": tried,
        "won": won["value"],
        "metric": goal.metric,
        "chosen_on": "validation rows, choosing half",
    }


def stages(work: Path) -> list[dict[str, Any]]:
    """The records of all stages that were trained in a work folder, in their order."""
    found = [(Store(path), path.name) for path in sorted((work / "stages").glob("*")) if path.is_dir()]
    records = [(store.state(), name) for store, name in found]
    done = [(state, name) for state, name in records if state is not None]
    return [state.to_record(name) for state, name in sorted(done, key=lambda pair: pair[0].begun)]


def _optimizer(training: Training, rate: float, steps: int) -> keras.Optimizer:
    import keras

    total = steps * training.epochs
    climb = round(total * training.warmup)
    schedule: Any = rate
    if training.schedule == "cosine":
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0 if climb else rate, total - climb, warmup_target=rate if climb else None, warmup_steps=climb
        )
    elif training.schedule == "constant" and climb:
        schedule = keras.optimizers.schedules.CosineDecay(0.0, total, alpha=1.0, warmup_target=rate, warmup_steps=climb)
    optimizer = keras.optimizers.AdamW(
        schedule,
        weight_decay=training.weight_decay,
        global_clipnorm=training.clip,
        use_ema=training.ema is not None,
        ema_momentum=training.ema or 0.0,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _step_function(model: keras.Model, xla: bool) -> Callable[[Any, int], None]:
    """Many training steps in one graph call: for small models the calls cost more than the steps."""
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    step = tf.function(model.train_step, jit_compile=True) if xla else model.train_step

    @tf.function(autograph=False, reduce_retracing=True)
    def run(iterator: Any, count: Any) -> None:
        def body(done: Any) -> Any:
            strategy.run(step, args=(iterator.get_next(),))
            return (done + 1,)

        tf.while_loop(lambda done: done < count, body, [tf.constant(0)])

    return lambda iterator, count: run(iterator, tf.constant(count))


def _batches(rows: Rows, batch: int, orders: Iterator[list[int]]) -> Iterator[Any]:
    """The batches of one epoch after the other, split among the replicas.

    Args:
        orders: the seed of each epoch's order.
    """
    import keras
    import tensorflow as tf

    def batches() -> Iterator[Any]:
        for seed in orders:
            order = np.random.default_rng(seed).permutation(rows.count)
            # The last batch is filled up from the start of the order: all batches have one shape, no row is left out.
            padded = np.resize(order, math.ceil(rows.count / batch) * batch)
            for start in range(0, len(padded), batch):
                yield rows.take(padded[start : start + batch])

    example = rows.take(np.arange(batch))
    signature = keras.tree.map_structure(lambda a: tf.TensorSpec((batch, *a.shape[1:]), a.dtype), example)
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(2)
    strategy = tf.distribute.get_strategy()
    return iter(strategy.experimental_distribute_dataset(dataset) if strategy.num_replicas_in_sync > 1 else dataset)


def _loss(model: keras.Model, run_steps: Callable[[Any, int], None], batches: Iterator[Any], steps: int) -> float:
    """Train so many steps; their mean loss."""
    model.reset_metrics()
    run_steps(batches, steps)
    return float(next(metric for metric in model.metrics if metric.name == "loss").result())


def _seed(seed: int, stage: str, epoch: int) -> list[int]:
    digest = hashlib.sha256(f"{seed}/{stage}/{epoch}".encode()).digest()
    return [int.from_bytes(digest[i : i + 4], "big") for i in (0, 4, 8, 12)]


def _seed_layers(model: keras.Model, seed: int, stage: str, epoch: int) -> None:
    """Start every random layer anew, so that its draws depend on the epoch and not on what went before."""
    known = {id(variable) for variable in model.weights}
    for index, state in enumerate(v for v in model.variables if id(v) not in known):
        state.assign(np.array([_seed(seed, f"{stage}/{index}", epoch)[0] >> 1, 0], np.uint32))


def find_learning_rate(model: keras.Model, rows: Rows, batch: int, loss: Any, *, seed: list[int]) -> float:
    """Look for a learning rate by a range test; the model's weights are left as they were.

    The rate climbs from 1e-6 to 1 in a hundred steps; chosen is a tenth of the rate at which the smoothed loss was lowest.
    Source: Smith, Cyclical Learning Rates for Training Neural Networks, 2017.
    """
    import keras

    before = [variable.numpy() for variable in model.variables]
    optimizer = keras.optimizers.AdamW(1e-6)
    model.compile(optimizer=optimizer, loss=loss)
    run_steps = _step_function(model, xla=False)
    rates, losses, smooth = np.geomspace(1e-6, 1.0, 100), [], 0.0
    batches = _batches(rows, batch, itertools.repeat(seed))
    for step, rate in enumerate(rates):
        optimizer.learning_rate = rate
        value = _loss(model, run_steps, batches, 1)
        smooth = 0.9 * smooth + 0.1 * value
        losses.append(smooth / (1 - 0.9 ** (step + 1)))
        if not math.isfinite(value) or losses[-1] > 4 * min(losses):
            break
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)
    finite = [value if math.isfinite(value) else math.inf for value in losses]
    chosen = float(rates[int(np.argmin(finite))] / 10)
    log.info("learning rate %.2g, found by a range test of %d steps", chosen, len(losses))
    return chosen


def _track(training: Training, work: Path, stage: str, state: State) -> None:
    row = {name: values[-1] for name, values in state.history.items()}
    if "tensorboard" in training.track:
        import tensorflow as tf

        with tf.summary.create_file_writer(str(work / "tensorboard" / stage)).as_default(step=state.epoch):
            for name, value in row.items():
                tf.summary.scalar(name, value)
    if "mlflow" in training.track:
        import mlflow

        mlflow.log_metrics({f"{stage}.{name}": value for name, value in row.items()}, step=state.epoch)
