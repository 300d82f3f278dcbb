"""The training loop: schedules, stopping, averaging, weights, exact resume, tracking."""

import csv
import gc
import json
import math
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from solvent import Data, Goal, Refused, SolventError, Training, startup

startup.tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from solvent import contract, devices, training  # noqa: E402
from solvent.training import checkpoint  # noqa: E402
from solvent.training.optimizer import adam  # noqa: E402

RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(48, 3)).astype("float32")
TRUE = np.array([[1.0], [-2.0], [0.5]], "float32")
Y = X @ TRUE + 0.3
SCORE = Goal("score")


@pytest.fixture(autouse=True)
def scope(request: pytest.FixtureRequest) -> Iterator[None]:
    if "undisturbed" in request.fixturenames:  # these open scopes of their own, as processes do
        yield
        return
    with devices.scope(devices.Device(strategy="cpu", seed=1)):
        yield


def data(work: Path, seed: int = 0) -> Data:
    return Data(None, None, None, {}, seed, work)  # type: ignore[arg-type]


def linear() -> keras.Model:
    inputs = keras.Input((3,))
    return keras.Model(inputs, keras.layers.Dense(1, name="out")(inputs))


def scripted(*scores: float) -> Callable[[], dict[str, float]]:
    """A monitor that gives these scores one after the other."""
    left = iter(scores)
    return lambda: {"score": next(left)}


def fit(
    model: keras.Model,
    work: Path,
    monitor: Callable[[], dict[str, float]] | None = None,
    *,
    rows: training.Rows | None = None,
    goal: Goal = SCORE,
    stage: str = "run",
    seed: int = 0,
    **settings: Any,
) -> dict[str, Any]:
    settings = {"epochs": 3, "batch_size": 16, "learning_rate": 0.05, "schedule": "constant", "warmup": 0, **settings}
    return training.fit(
        model,
        rows or training.arrays(X, Y),
        stage=stage,
        training=Training(**settings),
        loss="mse",
        monitor=monitor or scripted(*range(100)),
        goal=goal,
        data=data(work, seed),
    )


def weights(model: keras.Model) -> list[np.ndarray]:
    return [variable.numpy() for variable in model.weights]


@pytest.mark.parametrize(("higher", "scores"), [(True, (1, 3, 2, 3, 9)), (False, (3, 1, 2, 1, 0))])
def test_training_stops_when_the_headline_gets_no_better_and_keeps_the_best_epoch(
    tmp_path: Path, higher: bool, scores: tuple[float, ...]
) -> None:
    model, seen, monitor = linear(), [], scripted(*scores)

    def watching() -> dict[str, float]:
        seen.append(weights(model))
        return monitor()

    record = fit(model, tmp_path, watching, goal=Goal("score", higher), epochs=5, patience=2)
    assert (record["stopped"], record["epochs"], record["best_epoch"]) == ("patience", 4, 2)
    assert record["best"] == scores[1]
    for kept, best, last in zip(weights(model), seen[1], seen[3], strict=True):
        np.testing.assert_array_equal(kept, best)
        assert not np.array_equal(kept, last)


def test_without_patience_all_epochs_are_trained(tmp_path: Path) -> None:
    record = fit(linear(), tmp_path, scripted(9, 1, 1, 1), epochs=4, patience=None)
    assert (record["stopped"], record["epochs"], record["best_epoch"]) == ("epochs", 4, 1)


def test_without_rows_to_measure_on_the_last_epoch_is_kept_and_a_killed_stage_goes_on(tmp_path: Path) -> None:
    def refit(work: Path) -> tuple[dict[str, Any], list[np.ndarray]]:
        keras.utils.set_random_seed(3)
        model = linear()
        how = Training(epochs=4, batch_size=16, learning_rate=0.05, schedule="constant", warmup=0, patience=1)
        rows = training.arrays(X, Y)
        record = training.fit(
            model, rows, stage="refit", training=how, loss="mse", monitor=None, goal=SCORE, data=data(work)
        )
        return record, weights(model)

    record, undisturbed = refit(tmp_path / "whole")
    assert (record["epochs"], record["best_epoch"], record["best"], record["stopped"]) == (4, 4, None, "epochs")
    assert "score" not in record["history"]
    with pytest.raises(contract.Killed), contract._killed(2, written=True):
        refit(tmp_path / "killed")
    _, resumed = refit(tmp_path / "killed")
    for ours, theirs in zip(resumed, undisturbed, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_last_epoch_is_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    model, seen, monitor = linear(), [], scripted(9, 1, 2)

    def watching() -> dict[str, float]:
        seen.append(weights(model))
        return monitor()

    record = fit(model, tmp_path, watching, epochs=3, patience=None, keep="last")
    assert (record["best_epoch"], record["best"]) == (3, 2)
    for kept, last in zip(weights(model), seen[-1], strict=True):
        np.testing.assert_array_equal(kept, last)


@pytest.mark.parametrize("more", [{}, {"patience": None, "schedule": "plateau"}])
def test_to_keep_the_last_epoch_and_to_wait_for_a_better_one_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="waits for no better epoch"):
        Training(keep="last", **more)


def test_warm_up_and_cosine_give_the_rates_computed_by_hand(tmp_path: Path) -> None:
    # 48 rows in batches of 12: 4 steps an epoch, 20 in all, of which 4 climb and 16 follow the half cosine.
    record = fit(linear(), tmp_path, epochs=5, batch_size=12, learning_rate=0.1, schedule="cosine", warmup=0.2)
    expected = [0.1, 0.1 * (1 + math.sqrt(0.5)) / 2, 0.05, 0.1 * (1 - math.sqrt(0.5)) / 2, 0.0]
    np.testing.assert_allclose(record["history"]["learning_rate"], expected, atol=1e-8)


def test_warm_up_and_a_straight_line_give_the_rates_computed_by_hand(tmp_path: Path) -> None:
    # 20 steps, of which 4 climb; 16 fall from 0.1 to 0.
    record = fit(linear(), tmp_path, epochs=5, batch_size=12, learning_rate=0.1, schedule="linear", warmup=0.2)
    np.testing.assert_allclose(record["history"]["learning_rate"], [0.1, 0.075, 0.05, 0.025, 0.0], atol=1e-8)


def test_the_rate_falls_with_the_inverse_square_root_of_the_steps_whatever_the_epochs_are(tmp_path: Path) -> None:
    settings = {"batch_size": 12, "learning_rate": 0.1, "schedule": "inverse_square_root"}
    # 4 steps an epoch, of which the first 4 climb.
    record = fit(linear(), tmp_path, epochs=5, warmup=0.2, **settings)
    expected = [0.1, 0.1 * math.sqrt(1 / 2), 0.1 * math.sqrt(1 / 3), 0.05, 0.1 * math.sqrt(1 / 5)]
    np.testing.assert_allclose(record["history"]["learning_rate"], expected, rtol=1e-6)
    longer = fit(linear(), tmp_path / "longer", epochs=10, warmup=0.1, **settings)
    np.testing.assert_allclose(longer["history"]["learning_rate"][:5], expected, rtol=1e-6)


def test_the_rate_climbs_by_equal_steps_in_the_warm_up(tmp_path: Path) -> None:
    record = fit(linear(), tmp_path, epochs=4, batch_size=48, learning_rate=0.1, schedule="constant", warmup=0.5)
    np.testing.assert_allclose(record["history"]["learning_rate"], [0.05, 0.1, 0.1, 0.1], atol=1e-8)


def test_a_warm_up_of_nearly_all_steps_leaves_one_to_train(tmp_path: Path) -> None:
    record = fit(linear(), tmp_path, epochs=1, batch_size=48, schedule="cosine", warmup=0.9)
    assert record["history"]["learning_rate"] == [0.0]


def test_a_plateau_halves_the_rate_after_a_third_of_the_patience(tmp_path: Path) -> None:
    scores = scripted(5, 4, 4, 6, 5, 5, 5, 5, 5)
    record = fit(linear(), tmp_path, scores, epochs=9, patience=6, schedule="plateau", learning_rate=0.08, warmup=0.5)
    # Halved after epoch 3 (two without a better one), 6 and 8; epoch 4 was better, the rate stays what it was.
    expected = [0.08, 0.08, 0.08, 0.04, 0.04, 0.04, 0.02, 0.02, 0.01]
    np.testing.assert_allclose(record["history"]["learning_rate"], expected, rtol=1e-6)


def test_the_range_test_finds_a_rate_that_trains_and_leaves_the_weights(tmp_path: Path) -> None:
    model = linear()
    before = weights(model)
    rows = training.arrays(X, Y)
    rate = training.find_learning_rate(model, rows, 16, "mse", seed=[1, 2, 3, 4])
    for old, new in zip(before, weights(model), strict=True):
        np.testing.assert_array_equal(old, new)
    assert 1e-3 < rate < 0.3
    record = fit(model, tmp_path, learning_rate="auto", epochs=30)
    losses = record["history"]["loss"]
    assert losses[-1] < 0.1 * losses[0]


def test_the_range_test_falls_back_where_no_rate_lowers_the_loss() -> None:
    rows = training.arrays(np.zeros((16, 3), "float32"), np.zeros((16, 1), "float32"))
    assert training.find_learning_rate(linear(), rows, 16, "mse", seed=[1, 2, 3, 4]) == 1e-3


def apply(optimizer: keras.Optimizer, gradients: list[np.ndarray]) -> None:
    """One step with these gradients, in a replica as in training."""
    tensors = [keras.ops.convert_to_tensor(gradient, "float32") for gradient in gradients]
    tf.distribute.get_strategy().run(lambda: optimizer.apply(tensors) and None)


def test_the_gradients_norm_is_cut() -> None:
    matrix, bias = keras.Variable(np.zeros((1, 2)), name="kernel"), keras.Variable(np.zeros(1), name="bias")
    for clip, expected in [(1.0, [0.3, 0.4]), (100.0, [3.0, 4.0]), (None, [3.0, 4.0])]:
        optimizer = adam(Training(clip=clip, schedule="constant", warmup=0), 0.1, 1, [matrix, bias])
        optimizer.build([matrix, bias])
        # The norm of [3, 4] and sqrt(75) is 10: a clip of 1 leaves a tenth.
        apply(optimizer, [np.array([[3.0, 4.0]]), np.array([math.sqrt(75)])])
        momentum = next(variable for variable in optimizer.variables if "kernel_momentum" in variable.name)
        np.testing.assert_allclose(momentum.numpy()[0], 0.1 * np.array(expected), rtol=1e-6)  # (1 - beta_1) of it


def test_weight_decay_shrinks_matrices_and_leaves_biases_and_scales() -> None:
    variables = [
        keras.Variable(np.ones((2, 2)), name="kernel"),
        keras.Variable(np.ones(2), name="bias"),
        keras.Variable(np.ones((2, 2)), name="bias"),  # as in attention
        keras.Variable(np.ones(2), name="scale"),
    ]
    optimizer = adam(Training(weight_decay=0.5, schedule="constant", warmup=0), 0.1, 1, variables)
    optimizer.build(variables)
    apply(optimizer, [np.zeros(variable.shape) for variable in variables])
    assert [float(variable.numpy().flat[0]) for variable in variables] == [pytest.approx(0.95), 1, 1, 1]


def test_averaged_weights_are_what_is_evaluated_and_kept(tmp_path: Path) -> None:
    raw: list[list[np.ndarray]] = []
    averaged: list[list[np.ndarray]] = []

    def watch(model: keras.Model, seen: list[list[np.ndarray]]) -> Callable[[], dict[str, float]]:
        scores = scripted(1, 2, 5, 3)

        def monitor() -> dict[str, float]:
            seen.append(weights(model))
            return scores()

        return monitor

    plain = linear()
    start = plain.get_weights()
    fit(plain, tmp_path / "raw", watch(plain, raw), epochs=4, batch_size=48)  # one step an epoch
    model = linear()
    model.set_weights(start)
    fit(model, tmp_path / "ema", watch(model, averaged), epochs=4, batch_size=48, ema=0.75)
    by_hand = raw[0]
    for step in range(1, 4):
        by_hand = [0.75 * old + 0.25 * new for old, new in zip(by_hand, raw[step], strict=True)]
        for ours, expected in zip(averaged[step], by_hand, strict=True):
            np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-7)
    for kept, best in zip(weights(model), averaged[2], strict=True):
        np.testing.assert_array_equal(kept, best)


def test_class_weights_are_balanced_given_or_refused() -> None:
    codes, classes, rows = np.array([0, 0, 0, 1]), ["no", "yes"], pd.DataFrame(index=range(4))
    balanced = training.row_weights(rows, codes, classes, Training(class_weight="balanced"))
    np.testing.assert_allclose(balanced, [2 / 3, 2 / 3, 2 / 3, 2])
    given = training.row_weights(rows, codes, classes, Training(class_weight={"no": 1, "yes": 5}))
    np.testing.assert_allclose(given, [0.5, 0.5, 0.5, 2.5])
    np.testing.assert_array_equal(training.row_weights(rows, codes, classes, Training()), 1)
    with pytest.raises(Refused, match=r"names \['ja', 'no'\]; expected each of \['no', 'yes'\]"):
        training.row_weights(rows, codes, classes, Training(class_weight={"no": 1, "ja": 2}))


def test_a_column_with_the_role_weight_multiplies_the_class_weights() -> None:
    codes, rows = np.array([0, 0, 0, 1]), pd.DataFrame({"weight": [1.0, 2.0, 3.0, 2.0]})
    found = training.row_weights(rows, codes, ["no", "yes"], Training())
    np.testing.assert_allclose(found, [0.5, 1, 1.5, 1])
    both = training.row_weights(rows, codes, ["no", "yes"], Training(class_weight={"no": 1, "yes": 3}))
    np.testing.assert_allclose(both, np.array([1, 2, 3, 6]) / 3)


def test_balanced_classes_weigh_the_same_in_sum_whatever_their_rows_weigh() -> None:
    codes, rows = np.array([0, 0, 0, 1]), pd.DataFrame({"weight": [1.0, 2.0, 3.0, 2.0]})
    found = training.row_weights(rows, codes, ["no", "yes"], Training(class_weight="balanced"))
    np.testing.assert_allclose(found, [1 / 3, 2 / 3, 1, 2])


@pytest.mark.parametrize(("weight", "named"), [([0.0, 0, 0, 0], "'no', 'yes'"), ([1.0, 1, 1, 0], "'yes'")])
def test_a_class_whose_rows_all_have_no_weight_is_refused(weight: list[float], named: str) -> None:
    with pytest.raises(Refused, match=rf"role weight is 0 in every training row of class {named}: .*data\.columns"):
        training.row_weights(pd.DataFrame({"weight": weight}), np.array([0, 0, 0, 1]), ["no", "yes"], Training())


def test_classes_that_yaml_reads_as_numbers_or_truths_are_names() -> None:
    assert Training(class_weight={0: 1, True: 2}).class_weight == {"0": 1.0, "true": 2.0}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"learning_rate": 0}, "number above 0, or auto"),
        ({"learning_rate": "fast"}, "number above 0, or auto"),
        ({"class_weight": {"a": -1}}, "number above 0"),
        ({"class_weight": "equal"}, "expected balanced, or a weight for each class"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_one_message(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        Training(**settings)
    assert caught.value.error_count() == 1


def test_a_learning_rate_is_a_number_a_text_that_yaml_made_of_one_or_auto() -> None:
    assert [Training(learning_rate=given).learning_rate for given in (1, "1e-3", "auto")] == [1.0, 0.001, "auto"]


def test_rows_without_weight_teach_nothing(tmp_path: Path) -> None:
    wrong = Y.copy()
    wrong[24:] *= -1
    weight = np.repeat([2.0, 0.0], 24)
    model = linear()
    settings = {"epochs": 40, "learning_rate": 0.2, "schedule": "cosine"}
    fit(model, tmp_path / "weighted", rows=training.arrays(X, wrong, weight), **settings)
    np.testing.assert_allclose(model.get_layer("out").kernel.numpy(), TRUE, atol=0.05)
    other = linear()
    fit(other, tmp_path / "equal", rows=training.arrays(X, wrong), **settings)
    assert abs(other.get_layer("out").kernel.numpy() - TRUE).max() > 0.5


def test_the_history_is_kept_as_csv(tmp_path: Path) -> None:
    record = fit(linear(), tmp_path, scripted(0.5, 0.75, 0.25))
    with (tmp_path / "stages" / "run" / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "loss", "score", "learning_rate"]
    assert [float(row["score"]) for row in rows] == [0.5, 0.75, 0.25]
    assert [float(row["loss"]) for row in rows] == record["history"]["loss"]
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]


def test_a_metric_that_is_absent_in_an_epoch_leaves_a_gap(tmp_path: Path) -> None:
    found = iter([{"score": 1.0}, {"score": 2.0, "auc": 0.5}, {"score": 3.0}])
    record = fit(linear(), tmp_path, lambda: next(found))
    np.testing.assert_array_equal(record["history"]["auc"], [np.nan, 0.5, np.nan])


def test_a_monitor_without_the_headline_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gave \['auc'\]; expected the headline 'score'"):
        fit(linear(), tmp_path, lambda: {"auc": 1.0})


def test_a_headline_that_never_is_a_number_is_an_error_also_after_resuming(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(SolventError, match="score was never a number"):
            fit(linear(), tmp_path, scripted(*[math.nan] * 3))


def test_training_stops_after_its_minutes(tmp_path: Path) -> None:
    record = fit(linear(), tmp_path, epochs=50, max_minutes=1e-9)
    assert (record["stopped"], record["epochs"]) == ("max_minutes", 1)


def test_a_loss_that_is_not_finite_is_named_with_the_cure(tmp_path: Path) -> None:
    bad = X.copy()
    bad[5, 1] = np.inf
    with pytest.raises(SolventError, match=r"Stage run, epoch 1: the loss is (nan|inf)\. Lower .*learning_rate"):
        fit(linear(), tmp_path, rows=training.arrays(bad, Y))


def test_no_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no training rows"):
        fit(linear(), tmp_path, rows=training.arrays(X[:0], Y[:0]))


def test_an_error_while_taking_rows_comes_through_as_itself(tmp_path: Path) -> None:
    whole = training.arrays(X, Y)
    calls = iter(range(100))

    def take(positions: np.ndarray) -> Any:
        if next(calls) == 4:
            raise Refused("photo.jpg is no image.")
        return whole.take(positions)

    with pytest.raises(Refused, match=r"photo\.jpg is no image"):
        fit(linear(), tmp_path, rows=training.Rows(48, take))


def test_a_finished_stage_returns_at_once_without_a_step(tmp_path: Path) -> None:
    model = linear()
    first = fit(model, tmp_path)

    def never(*_: Any) -> Any:
        raise AssertionError("a finished stage was trained again")

    again = linear()
    second = fit(again, tmp_path, never, rows=training.Rows(48, never))
    assert second == first
    for one, other in zip(weights(model), weights(again), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_drawn_after_a_stage_is_the_same_whether_it_was_trained_or_passed_over(tmp_path: Path) -> None:
    drawn: list[list[np.ndarray]] = []
    for _ in range(2):
        fit(linear(), tmp_path, epochs=1)
        drawn.append([linear().get_layer("out").kernel.numpy(), np.random.random(3), keras.random.normal((3,)).numpy()])
    for one, other in zip(*drawn, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    fit(linear(), tmp_path)
    inputs = keras.Input((3,))
    other = keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(inputs))
    with pytest.raises(Refused, match="of another network than this one with 1"):
        fit(other, tmp_path)


def test_a_trained_model_holds_no_optimizer(tmp_path: Path) -> None:
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dense(200)(inputs)))
    model.save(tmp_path / "before.keras")
    fit(model, tmp_path, epochs=1)
    model.save(tmp_path / "after.keras")
    assert (tmp_path / "after.keras").stat().st_size < 1.1 * (tmp_path / "before.keras").stat().st_size


def test_a_model_that_is_a_class_of_its_own_trains_with_its_own_loss(tmp_path: Path) -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.out = keras.layers.Dense(1)

        def call(self, inputs: Any, training: bool = False) -> Any:
            return self.out(inputs)

        def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> Any:
            return keras.ops.mean(keras.ops.abs(y - y_pred))

    record = training.fit(
        Own(),
        training.arrays(X, Y),
        stage="run",
        training=Training(epochs=30, learning_rate=0.1, batch_size=48),
        loss=None,
        monitor=scripted(*range(30)),
        goal=SCORE,
        data=data(tmp_path),
    )
    assert record["history"]["loss"][-1] < 0.6 * record["history"]["loss"][0]


def test_several_inputs_and_outputs_train(tmp_path: Path) -> None:
    left, right = keras.Input((2,), name="left"), keras.Input((1,), name="right")
    joined = keras.layers.Concatenate()([left, right])
    outputs = {"a": keras.layers.Dense(1, name="a")(joined), "b": keras.layers.Dense(1, name="b")(joined)}
    model = keras.Model({"left": left, "right": right}, outputs)
    rows = training.arrays({"left": X[:, :2], "right": X[:, 2:]}, {"a": Y, "b": -Y}, np.ones(48))
    record = training.fit(
        model,
        rows,
        stage="run",
        training=Training(epochs=20, learning_rate=0.1, batch_size=48),
        loss={"a": "mse", "b": "mse"},
        monitor=scripted(*range(20)),
        goal=SCORE,
        data=data(tmp_path),
    )
    assert record["history"]["loss"][-1] < 0.5 * record["history"]["loss"][0]


def test_a_model_and_its_rows_are_let_go_after_training(tmp_path: Path) -> None:
    model, rows = linear(), training.arrays(X.copy(), Y)
    held = [weakref.ref(model), weakref.ref(rows.take)]
    fit(model, tmp_path, rows=rows, epochs=5, patience=1, monitor=scripted(2, 1))
    del model, rows
    gc.collect()
    assert [reference() for reference in held] == [None, None]


def orders(work: Path, *, seed: int = 0, stage: str = "run") -> list[list[int]]:
    """The positions of each epoch, in the order in which they were taken."""
    whole, taken = training.arrays(X, Y), []

    def take(positions: np.ndarray) -> Any:
        taken.append(positions.tolist())
        return whole.take(positions)

    fit(linear(), work, rows=training.Rows(48, take), epochs=2, batch_size=20, stage=stage, seed=seed)
    epochs = np.array(taken[1:]).reshape(-1, 60)  # the first was taken for its shape
    return [list(epoch) for epoch in epochs.tolist()]


def test_the_order_of_the_rows_depends_on_seed_stage_and_epoch_alone(tmp_path: Path) -> None:
    first, second = orders(tmp_path / "a")
    assert orders(tmp_path / "b") == [first, second]
    assert len(first) == 60
    assert set(first[:48]) == set(second[:48]) == set(range(48))
    assert first[48:] == first[:12]
    others = [second, orders(tmp_path / "c", seed=1)[0], orders(tmp_path / "d", stage="other")[0]]
    assert all(other != first for other in others)


def test_rows_of_like_lengths_come_together_each_once_an_epoch_padded_to_their_own_length(tmp_path: Path) -> None:
    lengths = np.random.default_rng(0).permutation(np.repeat([2, 5, 9], 40))
    taken: list[list[int]] = []

    def take(positions: np.ndarray) -> Any:
        taken.append(positions.tolist())
        longest = int(lengths[positions].max())
        inputs = (np.arange(longest) < lengths[positions][:, None]).astype(np.float32)
        return inputs, inputs.sum(axis=1, keepdims=True), np.ones(len(positions), np.float32)

    given = keras.Input((None,))
    summed = keras.layers.Dense(1)(keras.ops.sum(given, axis=1, keepdims=True))
    model = keras.Model(given, summed)
    fit(model, tmp_path, rows=training.Rows(120, take, lengths), epochs=2, batch_size=20, learning_rate=0.3)
    batches = np.array(taken[-12:])  # before them stand those that were taken for their shapes
    assert [sorted(epoch.ravel().tolist()) for epoch in batches.reshape(2, -1)] == [list(range(120))] * 2
    assert not np.array_equal(batches[:6], batches[6:])
    assert all(len(set(lengths[batch])) == 1 for batch in batches)
    assert [lengths[batch[0]] for batch in batches[:6]] != sorted(lengths[batch[0]] for batch in batches[:6])


def test_batches_by_length_cost_the_same_and_hold_each_row_of_an_epoch(tmp_path: Path) -> None:
    lengths = np.random.default_rng(0).permutation(np.repeat([2, 5, 10], [40, 40, 7]))
    taken: list[list[int]] = []

    def take(positions: np.ndarray) -> Any:
        taken.append(positions.tolist())
        inputs = np.ones((len(positions), int(lengths[positions].max())), np.float32)
        return inputs, inputs.sum(axis=1, keepdims=True), np.ones(len(positions), np.float32)

    given = keras.Input((None,))
    model = keras.Model(given, keras.layers.Dense(1)(keras.ops.sum(given, axis=1, keepdims=True)))
    rows = training.Rows(87, take, lengths, by_length=True)
    fit(model, tmp_path, rows=rows, epochs=2, batch_size=40, learning_rate=0.3)
    steps = 2 + 5 + 2  # 20 rows of length 2 at once, 8 of length 5, 4 of length 10
    first, second = taken[-2 * steps : -steps], taken[-steps:]
    for epoch in (first, second):
        assert {place for batch in epoch for place in batch} == set(range(87))
        assert all(len(batch) * lengths[batch].max() == 40 and len(set(lengths[batch])) == 1 for batch in epoch)
    assert first != second


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_several_batches_whose_gradients_are_averaged_train_as_one_large_batch(tmp_path: Path, schedule: str) -> None:
    def trained(**batches: int) -> tuple[dict[str, Any], list[np.ndarray]]:
        keras.utils.set_random_seed(5)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(1)])
        how = {"schedule": schedule, "warmup": 0.4, "clip": 0.5, "ema": 0.5, "weight_decay": 0.1, "patience": 3}
        record = fit(model, tmp_path / str(batches), scripted(*[9] + 9 * [1]), epochs=4, **how, **batches)
        return record, weights(model)

    whole, expected = trained(batch_size=24)  # two steps an epoch
    for batches in ({"batch_size": 8, "accumulate": 3}, {"batch_size": 24, "accumulate": 1}):
        record, found = trained(**batches)
        assert record["history"]["learning_rate"] == pytest.approx(whole["history"]["learning_rate"], rel=1e-6)
        assert record["history"]["loss"] == pytest.approx(whole["history"]["loss"], rel=1e-5)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_batches_by_length_count_in_an_average_what_they_hold(tmp_path: Path) -> None:
    """One step an epoch, of batches of 20, 5, 5, 4 and 4 rows, against one of all rows."""
    lengths = np.repeat([2, 8, 10], [20, 10, 8])

    def take(positions: np.ndarray) -> Any:
        tokens = lengths[positions].astype(np.float32)
        return X[positions], np.column_stack([Y[positions], tokens]), tokens / tokens.mean()

    def first(truth: Any, found: Any) -> Any:
        return keras.ops.square(truth[:, 0] - found[:, 0])

    def trained(name: str, rows: training.Rows, **batches: int) -> list[np.ndarray]:
        keras.utils.set_random_seed(5)
        model = linear()
        how = Training(epochs=6, learning_rate=0.1, warmup=0, **batches)
        work = data(tmp_path / name)
        training.fit(model, rows, stage="run", training=how, loss=first, monitor=None, goal=SCORE, data=work)
        return weights(model)

    counted = training.Rows(38, take, lengths, by_length=True, counted=lambda targets: targets[:, 1].sum())
    found = trained("parts", counted, batch_size=40, accumulate=9)
    whole = trained("whole", training.Rows(38, take), batch_size=38)
    for ours, theirs in zip(found, whole, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_killed_training_of_several_batches_a_step_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    def trained(work: Path) -> list[np.ndarray]:
        keras.utils.set_random_seed(3)
        model = noisy()
        how = {"schedule": "cosine", "warmup": 0.2, "ema": 0.8, "clip": 1.0, "keep": "last", "patience": None}
        fit(model, work, epochs=4, batch_size=16, accumulate=2, **how)
        return weights(model)

    undisturbed = trained(tmp_path / "whole")  # three batches an epoch: a step of two and one of what is left
    with pytest.raises(contract.Killed), contract._killed(2, written=True):
        trained(tmp_path / "killed")
    for ours, theirs in zip(trained(tmp_path / "killed"), undisturbed, strict=True):
        np.testing.assert_array_equal(ours, theirs)


class Killed(Exception):
    pass


def noisy() -> keras.Model:
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(6, activation="tanh")(inputs)
    hidden = keras.layers.GaussianNoise(0.1)(keras.layers.Dropout(0.3)(hidden))
    return keras.Model(inputs, keras.layers.Dense(1, name="out")(hidden))


def two_stages(work: Path, seed: int = 1) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    """What a process does, in a scope of its own: two candidates one after the other; their records and states."""
    records, left = [], []
    with devices.scope(devices.Device(strategy="cpu", seed=seed)):
        for stage in ("first", "second"):
            model = noisy()

            def monitor(model: keras.Model = model) -> dict[str, float]:
                # Jumps with the last bits of the weights, so that patience and plateau come into play.
                error = float(np.mean((np.asarray(model(X)) - Y) ** 2))
                return {"jumpy": 1e5 * error % 1, "mse": error}

            record = training.fit(
                model,
                training.arrays(X, Y),
                stage=stage,
                training=Training(
                    epochs=9, batch_size=20, learning_rate=0.05, schedule="plateau", patience=4, ema=0.8, clip=1.0
                ),
                loss="mse",
                monitor=monitor,
                goal=Goal("jumpy", higher=False),
                data=data(work, seed),
            )
            records.append({name: value for name, value in record.items() if name != "seconds"})
            left += [variable.numpy() for variable in model.variables]
    return records, left


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    return two_stages(tmp_path_factory.mktemp("undisturbed"))


def same(one: tuple[Any, list[np.ndarray]], other: tuple[Any, list[np.ndarray]]) -> bool:
    return one[0] == other[0] and all(np.array_equal(a, b) for a, b in zip(one[1], other[1], strict=True))


def test_early_stopping_and_plateau_come_into_play_in_the_training_that_is_killed(
    undisturbed: tuple[list[dict[str, Any]], list[np.ndarray]],
) -> None:
    records = undisturbed[0]
    assert "patience" in {record["stopped"] for record in records}
    assert any(len(set(record["history"]["learning_rate"])) > 1 for record in records)


@pytest.mark.parametrize("moment", ["before the checkpoint", "after the checkpoint"])
@pytest.mark.parametrize("saves", [(1, 2), (6, 4)])
def test_a_killed_training_goes_on_to_the_same_bits(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: tuple[list[dict[str, Any]], list[np.ndarray]],
    saves: tuple[int, ...],
    moment: str,
) -> None:
    whole = checkpoint.Store.save
    for deadly in saves:
        count = iter(range(1, 100))

        def save(self: Any, *given: Any, deadly: int = deadly, count: Iterator[int] = count) -> None:
            last = next(count) == deadly
            if last and moment.startswith("before"):
                raise Killed
            whole(self, *given)
            if last:
                raise Killed

        monkeypatch.setattr(checkpoint.Store, "save", save)
        with pytest.raises(Killed):
            two_stages(tmp_path)
    monkeypatch.setattr(checkpoint.Store, "save", whole)
    assert same(two_stages(tmp_path), undisturbed)
    for stage, record in zip(("first", "second"), undisturbed[0], strict=True):
        with (tmp_path / "stages" / stage / "history.csv").open() as file:
            assert [float(row["mse"]) for row in csv.DictReader(file)] == record["history"]["mse"]


def test_a_kill_while_the_checkpoint_is_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: tuple[list[dict[str, Any]], list[np.ndarray]]
) -> None:
    count, whole = iter(range(1, 100)), np.savez

    def savez(file: Any, **given: Any) -> None:
        if next(count) == 6:
            file.write(b"half a checkpoint")
            raise Killed
        whole(file, **given)

    monkeypatch.setattr(np, "savez", savez)
    with pytest.raises(Killed):
        two_stages(tmp_path)
    monkeypatch.setattr(np, "savez", whole)
    assert same(two_stages(tmp_path), undisturbed)


def test_the_stages_of_a_run_are_listed_in_their_order(tmp_path: Path) -> None:
    fit(linear(), tmp_path, stage="b", epochs=1)
    fit(linear(), tmp_path, stage="a", epochs=1)
    assert [record["stage"] for record in training.stages(tmp_path)] == ["b", "a"]


def test_two_seeds_differ(tmp_path: Path, undisturbed: tuple[list[dict[str, Any]], list[np.ndarray]]) -> None:
    assert not same(two_stages(tmp_path, seed=2), undisturbed)


def test_the_best_candidate_wins_and_all_are_told() -> None:
    goal, best = Goal("rmse", higher=False), {1: 0.5, 2: math.nan, 3: 0.25}
    fitted, choice = training.choose("width", [1, 2, 3], lambda value: (value, {"best": best[value]}), goal)
    assert (fitted, choice["won"], [item["value"] for item in choice["tried"]]) == (3, 3, [1, 2, 3])


def test_tensorboard_gets_one_event_file_a_stage(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    record = fit(linear(), tmp_path, track=("tensorboard",))
    files = [path for path in tmp_path.rglob("*") if "tfevents" in path.name]
    assert [path.parent.relative_to(tmp_path) for path in files] == [Path("track/tensorboard/run")]
    events = EventAccumulator(str(files[0].parent)).Reload()
    written = [(event.step, events_value(event)) for event in events.Tensors("loss")]
    assert written == [(step + 1, pytest.approx(value)) for step, value in enumerate(record["history"]["loss"])]


def events_value(event: Any) -> float:
    return float(tf.make_ndarray(event.tensor_proto))


@pytest.fixture
def no_mlflow_yet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A current folder of its own, and an MLflow that was told nothing."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported
    import mlflow

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    mlflow.set_tracking_uri(None)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def test_mlflow_that_was_told_nothing_logs_into_the_work_folder(no_mlflow_yet: Path, capfd: Any) -> None:
    import mlflow

    found = iter([{"ndcg@10": 0.5}, {"ndcg@10": 0.75}])
    fit(linear(), no_mlflow_yet / "work", lambda: next(found), goal=Goal("ndcg@10"), epochs=2, track=("mlflow",))
    assert list((no_mlflow_yet / "here").iterdir()) == []
    assert not mlflow.is_tracking_uri_set()
    assert capfd.readouterr().out == ""
    client = mlflow.MlflowClient((no_mlflow_yet / "work" / "track" / "mlflow").as_uri())
    (run,) = client.search_runs(["0"])
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    assert run.data.params["learning_rate"] == "0.05"
    assert [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "ndcg_10")] == [(1, 0.5), (2, 0.75)]


def test_mlflow_logs_where_its_own_environment_says(no_mlflow_yet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (no_mlflow_yet / "theirs").as_uri())
    fit(linear(), no_mlflow_yet / "work", epochs=1, track=("mlflow",))
    assert (no_mlflow_yet / "theirs").is_dir()
    assert not (no_mlflow_yet / "work" / "track").exists()


@pytest.mark.parametrize("name", ["mlflow", "tensorboard"])
def test_tracking_with_what_is_not_installed_is_refused_before_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Any
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(Refused, match=rf"{name} is not installed: pip install 'solvent-suite\[track\]'"):
        fit(linear(), tmp_path, track=(name,))
    assert not (tmp_path / "stages").exists()


def test_the_record_is_plain_json(tmp_path: Path) -> None:
    record = fit(linear(), tmp_path)
    assert json.loads(json.dumps(record)) == record
