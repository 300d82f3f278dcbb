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
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .. import progress, workers
from ..errors import Refused, SolventError
from ..schedule import Training
from ..solution import JSON, Data, Fitted, Goal, Table
from ..wording import listed
from .checkpoint import State, Store
from .feeding import Feed, Rows, example, shape
from .track import require, tracking

if TYPE_CHECKING:
    import keras

    from .optimizer import ClippedAdam

__all__ = ["Candidate", "choose", "find_learning_rate", "fit", "row_weights", "stages"]

log = logging.getLogger("solvent")
SECONDS_A_CALL = 1.0


def row_weights(rows: Table, codes: np.ndarray, classes: list[str], training: Training) -> np.ndarray:
    """What each training row counts, with mean 1: its class's weight times its own, if a column has the role `weight`.

    A row of weight 2 counts as two rows do, also where `balanced` weighs classes by how frequent they are.

    Args:
        codes: the class of each row, `(rows,)`, positions in `classes`.
        classes: the levels of the target, as the user wrote them.

    Raises:
        Refused: if `training.class_weight` names a class that there is not, or leaves one out; or if all rows of a
            class weigh 0.
    """
    own = rows["weight"].to_numpy(np.float64) if "weight" in rows else np.ones(len(codes))
    by_rows, by_weight = np.bincount(codes, minlength=len(classes)), np.bincount(codes, own, minlength=len(classes))
    if nothing := [name for name, rows, weight in zip(classes, by_rows, by_weight, strict=True) if rows and not weight]:
        raise Refused(
            f"The column with the role weight is 0 in every training row of class {listed(map(repr, nothing))}: there "
            "is nothing to learn it from. Give some of these rows a weight above 0, leave the class's rows out, or "
            "take weight out of data.columns."
        )
    if training.class_weight is None:
        by_class = np.ones(len(classes))
    elif training.class_weight == "balanced":
        by_class = own.sum() / (len(classes) * np.where(by_rows > 0, by_weight, 1))
    else:
        if set(training.class_weight) != set(classes):
            raise Refused(
                f"settings.training.class_weight names {sorted(training.class_weight)}; expected each of {classes}."
            )
        by_class = np.array([training.class_weight[name] for name in classes])
    weights = by_class[codes] * own
    return np.asarray(weights / weights.mean(), np.float32)


def fit(
    model: keras.Model,
    rows: Rows,
    *,
    stage: str,
    training: Training,
    loss: Any,
    monitor: Callable[[], Mapping[str, float]] | None,
    goal: Goal,
    data: Data,
    factors: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Train a model and leave its best weights in it.

    Layers that draw at random must own a `keras.random.SeedGenerator`, as Keras's own do: it is what is set anew each
    epoch. Afterwards the model is not compiled, so that a bundle holds no optimizer.

    Args:
        stage: a name for this training, one of a kind within the run. A stage that a killed run has finished returns
            at once.
        loss: a Keras loss on (targets, outputs); None for a model that has a `compute_loss` of its own.
        monitor: called after each epoch, with the averaged weights in place where there are any:
            metrics on validation rows; `goal.metric` must be among them. None where no row is left to measure on, as in
            a refit: the weights of the last epoch are kept, and nothing stops early.
        factors: of the learning rate, by a variable's path: layers that are nearly right already move slower.

    Returns:
        The stage's record: epochs, best epoch, why it stopped, seconds, the history by column. The history's learning
        rate is the one at the epoch's end.

    Raises:
        SolventError: if the loss is not finite, or the headline never is a number.
        Refused: if what `training.track` needs is not installed, or the checkpoint is of another network.
    """
    import keras

    from ..devices import placement

    replicas = placement().replicas
    require(training.track)
    if not model.built:
        model(example(rows, shape(rows, training.batch_size, replicas)[0])[0])
    outputs = getattr(model, "outputs", None) or []  # a model that is a class of its own has none
    if wrong := sorted({str(output.dtype) for output in outputs} - {"float32"}):
        raise ValueError(f"The outputs of {model.name} are {wrong[0]}: give its last layer dtype='float32'.")
    store = Store(data.work / "stages" / stage)
    store.follow()
    state = store.state()
    if state is None or state.stopped is None:
        state = _train(model, rows, store, state, stage, training, loss, monitor, goal, data, factors)
    if not state.best_epoch:
        raise SolventError(
            f"Stage {stage}: the validation {goal.metric} was never a number. Look at the validation rows."
        )
    store.load_best(state, model.variables)
    # What a domain draws next must not depend on whether this stage was trained or passed over.
    keras.utils.set_random_seed(_seed(data.seed, stage, -2)[0])
    return state.to_record(stage)


def _train(
    model: keras.Model,
    rows: Rows,
    store: Store,
    state: State | None,
    stage: str,
    training: Training,
    loss: Any,
    monitor: Callable[[], Mapping[str, float]] | None,
    goal: Goal,
    data: Data,
    factors: Mapping[str, float] | None,
) -> State:
    """The epochs of a stage that is not finished yet."""
    from ..devices import placement
    from .optimizer import adam

    if state is None:
        rate = training.learning_rate
        if rate == "auto":
            seed = _seed(data.seed, stage, -1)
            rate = find_learning_rate(model, rows, training.batch_size, loss, seed=seed, accumulate=training.accumulate)
        state = State(learning_rate=rate)
    orders = (_seed(data.seed, stage, epoch) for epoch in range(state.epoch, training.epochs))
    with (
        closing(Feed(rows, training.batch_size, orders, training.accumulate)) as feed,
        progress.bar(training.epochs, f"training {stage}", start=state.epoch) as bar,
        tracking(training, data.work, stage) as track,
    ):
        made = adam(training, state.learning_rate, feed.steps, model.trainable_variables, factors)
        _compile(model, made, loss)
        optimizer, random_states = model.optimizer, _random_states(model)
        variables = [*model.variables, *optimizer.variables]
        store.restore(variables)
        steps = Steps(model, made, feed, placement().xla)
        while state.stopped is None:
            started = time.monotonic()
            _seed_layers(random_states, data.seed, stage, state.epoch)
            loss_value = steps.run(feed.steps, lambda done: bar.note(f"step {done} of {feed.steps}"))
            if not math.isfinite(loss_value):
                raise SolventError(
                    f"Stage {stage}, epoch {state.epoch + 1}: the loss is {loss_value}. "
                    "Lower settings.training.learning_rate or set settings.training.clip: 1.0."
                )
            rate = float(np.asarray(optimizer.learning_rate))
            raw = [variable.numpy() for variable in model.trainable_variables] if training.ema else None
            optimizer.finalize_variable_values(model.trainable_variables)
            measured = monitor and {name: float(value) for name, value in monitor().items()}
            # All that is decided follows from these: another worker's may differ in their last bits.
            found = workers.from_chief([loss_value, rate, measured, time.monotonic() - started])
            best = state.record(training, goal, *found)
            if best:
                store.keep_best(model.variables, state.epoch)
            if raw is not None:
                for variable, value in zip(model.trainable_variables, raw, strict=True):
                    variable.assign(value)
            if state.factor_changed:
                optimizer.learning_rate = state.learning_rate * state.factor
            store.save(state, variables)
            track({name: values[-1] for name, values in state.history.items()}, state.epoch)
            so_far = "none" if state.best is None else f"{state.best:.4f}"
            bar.step(
                f"{goal.metric} {measured[goal.metric]:.4f}, best {so_far}" if measured else f"loss {loss_value:.4f}"
            )
    _uncompile(model)
    return state


T = TypeVar("T")
Candidate = tuple[Fitted, dict[str, Any]]


def choose(
    what: str, values: Sequence[Any], candidate: Callable[[Any], tuple[T, dict[str, Any]]], goal: Goal
) -> tuple[T, dict[str, JSON]]:
    """Train a candidate for each value and keep the one with the best validation headline.

    Args:
        what: the setting that the values are for.
        candidate: a value -> what was fitted with it, and the record that `fit` returned.

    Returns:
        The winner, and the entry of `facts["choices"]` that says what was tried.
    """
    best: T | None = None
    won, tried = None, []
    for value in values:
        fitted, record = candidate(value)
        if goal.better(record["best"], None if won is None else won[goal.metric]):
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


class Steps:
    """Training steps of a compiled model, many in one call of a graph: for small models the calls cost most.

    Args:
        optimizer: the model's, or what that wraps.
    """

    def __init__(self, model: keras.Model, optimizer: ClippedAdam, feed: Feed, xla: bool) -> None:
        import tensorflow as tf

        strategy = tf.distribute.get_strategy()
        # Two of them: in the one gradients are only added up.
        step, add = (tf.function(model.train_step, jit_compile=True) if xla else model.train_step for _ in range(2))

        @tf.function(autograph=False)  # type: ignore[untyped-decorator]
        def run(iterator: Any, count: Any, place: Any) -> None:
            def more(number: Any) -> Any:
                with optimizer.adding():  # around all replicas, which are traced in threads
                    strategy.run(add, args=(iterator.get_next(),))
                return (number + 1,)

            def body(done: Any) -> Any:
                if feed.accumulate > 1:
                    strategy.run(optimizer.forget)
                    others = tf.minimum(feed.accumulate, feed.batches - (place + done) * feed.accumulate) - 1
                    tf.while_loop(lambda number: number < others, more, [tf.constant(0)])
                strategy.run(step, args=(iterator.get_next(),))
                return (done + 1,)

            tf.while_loop(lambda done: done < count, body, [tf.constant(0)])

        self.model, self.feed = model, feed
        # A concrete function: TensorFlow takes one tf.function for each stage for a mistake, and warns.
        self._run = run.get_concrete_function(feed.iterator, *[tf.TensorSpec((), tf.int32)] * 2)
        self._at_once, self._place = 1, 0

    def run(self, count: int, say: Callable[[int], None] = lambda done: None) -> float:
        """Train so many steps of one epoch; their mean loss. Every second or so `say` is told how many are done."""
        import tensorflow as tf

        self.model.reset_metrics()
        done = 0
        while done < count:
            began = time.monotonic()
            now = min(self._at_once, count - done)
            try:
                self._run(self.feed.iterator, tf.constant(now), tf.constant(self._place))
            except tf.errors.OpError:
                if self.feed.error is not None:
                    raise self.feed.error from None
                raise
            done += now
            self._place = (self._place + now) % self.feed.steps
            if time.monotonic() - began < SECONDS_A_CALL / 2:
                self._at_once *= 2
            say(done)
        return float(next(metric for metric in self.model.metrics if metric.name == "loss").result())


def _compile(model: keras.Model, optimizer: keras.Optimizer, loss: Any) -> None:
    # XLA is up to `Steps`: Keras leaves it off wherever operations are deterministic.
    model.compile(optimizer=optimizer, loss=loss, jit_compile=False)
    # The model's own: in mixed_float16 that is a wrapper, whose loss scale belongs into the checkpoint too.
    model.optimizer.build(model.trainable_variables)


def _uncompile(model: keras.Model) -> None:
    model.optimizer, model.compiled = None, False


def _seed(seed: int, stage: str, epoch: int) -> list[int]:
    digest = hashlib.sha256(f"{seed}/{stage}/{epoch}".encode()).digest()
    return [int.from_bytes(digest[i : i + 4], "big") for i in (0, 4, 8, 12)]


def _random_states(model: keras.Model) -> list[Any]:
    """The state of each layer that draws at random."""
    known = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in known]


def _seed_layers(states: Sequence[Any], seed: int, stage: str, epoch: int) -> None:
    """Start every random layer anew, so that its draws depend on the epoch and not on what went before."""
    for index, state in enumerate(states):
        state.assign(np.array([_seed(seed, f"{stage}/{index}", epoch)[0] >> 1, 0], np.uint32))


def find_learning_rate(
    model: keras.Model, rows: Rows, batch_size: int, loss: Any, *, seed: list[int], accumulate: int = 1
) -> float:
    """Look for a learning rate by a range test; the model's weights are left as they were.

    The rate climbs from 1e-6 to 1 in a hundred steps; chosen is a tenth of the rate at which the smoothed loss was
    lowest. A loss that never falls tells nothing: then it is 1e-3.
    Source: Smith, Cyclical Learning Rates for Training Neural Networks, 2017.
    """
    from .optimizer import ClippedAdam

    before = [variable.numpy() for variable in model.variables]
    optimizer = ClippedAdam(1e-6, accumulate=accumulate > 1)
    _compile(model, optimizer, loss)
    _seed_layers(_random_states(model), seed[0], "learning rate", 0)
    rates, losses, smooth = np.geomspace(1e-6, 1.0, 100), [], 0.0
    with closing(Feed(rows, batch_size, itertools.repeat(seed), accumulate)) as feed:
        steps = Steps(model, optimizer, feed, xla=False)
        for step, rate in enumerate(rates):
            model.optimizer.learning_rate = rate
            value = steps.run(1)
            if not math.isfinite(value):
                break
            smooth = 0.9 * smooth + 0.1 * value
            losses.append(smooth / (1 - 0.9 ** (step + 1)))
            if losses[-1] - min(losses) > 3 * abs(min(losses)):
                break
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)
    _uncompile(model)
    lowest = int(np.argmin(losses)) if losses else 0
    if lowest == 0:
        log.warning(
            "a range test of %d steps found no learning rate at which the loss falls: taking 0.001", len(losses)
        )
        return 1e-3
    chosen = float(rates[lowest] / 10)
    log.info("learning rate %.2g, found by a range test of %d steps", chosen, len(losses))
    return chosen
