"""Two processes that train together equal one; what one of them is told wrong is refused.

Each has a port of its own on this machine. What happens when one is killed is tests/benchmarks/multiworker.py.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from solvent import Refused, SolventError, startup

startup.tensorflow()

import tensorflow as tf  # noqa: E402

import solvent  # noqa: E402
from solvent import devices, tables, workers  # noqa: E402

TOYS = Path(__file__).parents[1] / "toys"
sys.path.insert(0, str(TOYS))
import ruler  # noqa: E402

ADDRESSES = ["localhost:2222", "localhost:2223"]

# The same code in each of the workers, and in this process for the reference.
CODE = """
import numpy as np
from pathlib import Path
from solvent import Data, Goal, Training, devices, runtime, training, workers
import keras

random = np.random.default_rng(0)
x = random.normal(size=(41, 4)).astype("float32")
y = (x[:, :1] * 2 - x[:, 1:2]).astype("float32")


words = random.integers(1, 9, (41, 6)).astype("int32")
long = np.sort(random.integers(2, 7, 41))[::-1]  # words in each row
words[np.arange(6) >= long[:, None]] = 0


def texts():
    # Each batch is as long as its longest row, so that the two workers' parts of one differ.
    def take(places):
        return words[places][:, : long[places].max()], y[places], np.ones(len(places), "float32")

    return training.Rows(41, take, lengths=long)


def run(strategy, folder, worker, off=0.0, embedded=False, **settings):
    with devices.scope(devices.Device(strategy=strategy)) as placement:
        if embedded:
            inputs = keras.Input((None,), dtype="int32")
            hidden = keras.layers.Embedding(9, 8)(inputs)
            known = keras.ops.cast(keras.ops.expand_dims(keras.ops.not_equal(inputs, 0), -1), "float32")
            hidden = keras.ops.sum(hidden * known, axis=1)
        else:
            inputs = keras.Input((4,))
            hidden = keras.layers.Dense(8, activation="relu")(inputs)
            hidden = keras.layers.BatchNormalization(synchronized=placement.replicas > 1)(hidden)
        model = keras.Model(inputs, keras.layers.Dense(1)(hidden))
        seen = words if embedded else x
        record = training.fit(
            model,
            texts() if embedded else training.arrays(x, y),
            stage="run",
            training=Training(learning_rate=0.02, **settings),
            loss="mse",
            # An error of the other worker's own: all decisions must be the chief's.
            monitor=lambda: {"mse": float(np.mean((runtime.predict(model, seen, 16) - y) ** 2)) + off * worker},
            goal=Goal("mse", higher=False),
            data=Data(None, None, None, {}, 0, Path(folder)),
        )
        return [variable.numpy().tolist() for variable in model.weights], record["history"], record["epochs"]


def all_runs(strategy, folder, worker):
    found = {}
    found["averaged, clipped, decaying"] = run(
        strategy, folder / "a", worker, epochs=3, batch_size=16, ema=0.9, clip=0.5, weight_decay=0.1
    )
    found["three batches a step, the last of two"] = run(
        strategy, folder / "b", worker, epochs=3, batch_size=8, accumulate=3, clip=0.5, ema=0.9
    )
    found["a plateau, measured otherwise by the second worker"] = run(
        strategy, folder / "c", worker, off=1e3, epochs=6, batch_size=16, schedule="plateau", patience=3
    )
    found["texts whose lengths differ between the workers"] = run(
        strategy, folder / "d", worker, embedded=True, epochs=3, batch_size=8, clip=0.5
    )
    return found
"""

WORKER = """
import json, os, sys
from pathlib import Path
from solvent import startup
startup.tensorflow()
exec(os.environ["CODE"])
import solvent
from solvent import Refused, WorkerDone

folder, worker = Path(sys.argv[1]), int(sys.argv[2])
found = {"runs": all_runs("multiworker", folder / str(worker), worker)}
# A stage that the chief has finished and this worker has not begun, as after a restart.
found["passed over"] = run("multiworker", folder / ("0/a" if worker == 0 else "new"), worker, epochs=3, batch_size=16)
with devices.scope(devices.Device(strategy="multiworker")):
    workers.MOST = 1000
    found["sent"] = workers._sent(np.arange(5003).tobytes() if worker == 0 else b"mine").hex()
    found["told"] = workers.from_chief({"text": "Grün", "number": 0.1 + 0.2} if worker == 0 else None)
    try:
        workers.agree("another config", f"config {worker}")
    except Refused as error:
        found["refused"] = str(error)
try:
    bundle = solvent.train(folder / "config.json", folder / "bundle", changes=["device.strategy=multiworker"])
    found["train"] = bundle.facts["machine"]["workers"]
except WorkerDone as done:
    found["train"] = str(done)
(folder / f"found-{worker}").write_text(json.dumps(found))
"""


def free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for item in held:
        item.bind(("localhost", 0))
    ports = [item.getsockname()[1] for item in held]
    for item in held:
        item.close()
    return ports


def tf_config(addresses: list[str], number: int) -> str:
    return json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """What two workers found."""
    folder = tmp_path_factory.mktemp("workers")
    tables.write(ruler.rows(), folder / "rows.csv")
    config = {"solution": "ruler:SOLUTION", "data": {"rows": "rows.csv", "columns": {"machine": "unit"}}}
    (folder / "config.json").write_text(json.dumps(config))
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    path = os.pathsep.join([str(TOYS), *filter(None, [os.environ.get("PYTHONPATH")])])
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(folder), str(number)],
            env={**os.environ, "CODE": CODE, "PYTHONPATH": path, "TF_CONFIG": tf_config(addresses, number)},
            stderr=(folder / f"log-{number}").open("w"),
        )
        for number in range(2)
    ]
    codes = [process.wait() for process in started]
    assert codes == [0, 0], "\n".join((folder / f"log-{number}").read_text() for number in range(2))
    return folder, [json.loads((folder / f"found-{number}").read_text()) for number in range(2)]


def test_two_workers_train_as_one_process(
    trained: tuple[Path, list[dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from solvent.training.optimizer import ClippedAdam

    whole = ClippedAdam.apply

    def dense(self: ClippedAdam, grads: Any, variables: Any = None) -> None:
        whole(self, [tf.convert_to_tensor(each) for each in grads], variables)

    # As among workers: of an embedding's sparse gradient Adam squares the rows of one token before they are added up.
    monkeypatch.setattr(ClippedAdam, "apply", dense)
    names: dict[str, Any] = {}
    exec(CODE, names)
    alone = names["all_runs"]("cpu", tmp_path, 0)
    _, (chief, other) = trained
    assert len(alone) == 4
    for name, (weights, history, epochs) in alone.items():
        together = chief["runs"][name]
        assert history["loss"][0] - history["loss"][-1] > 0.1, name
        assert together[2] == epochs, name
        for ours, theirs in zip(together[0], weights, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5, err_msg=name)
        for column in history:
            np.testing.assert_allclose(together[1][column], history[column], atol=1e-5, err_msg=name)
        assert together[1:] == other["runs"][name][1:], name
        for ours, theirs in zip(together[0], other["runs"][name][0], strict=True):
            np.testing.assert_array_equal(ours, theirs, err_msg=name)


def test_a_stage_that_the_chief_has_finished_is_finished_on_all_workers(
    trained: tuple[Path, list[dict[str, Any]]],
) -> None:
    folder, found = trained
    first = found[0]["runs"]["averaged, clipped, decaying"]
    for item in found:
        assert item["passed over"][1] == first[1]
        for ours, theirs in zip(item["passed over"][0], first[0], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert not list((folder / "new").rglob("history.csv")), "nothing was trained there"


def test_what_the_chief_says_arrives_whole(trained: tuple[Path, list[dict[str, Any]]]) -> None:
    for item in trained[1]:
        assert bytes.fromhex(item["sent"]) == np.arange(5003).tobytes()
        assert item["told"] == {"text": "Grün", "number": 0.1 + 0.2}


def test_a_worker_that_was_started_with_something_else_than_the_chief_is_refused(
    trained: tuple[Path, list[dict[str, Any]]],
) -> None:
    chief, other = trained[1]
    assert "refused" not in chief
    assert other["refused"].startswith("Worker 1 was started with another config than the chief")


def test_the_chief_leaves_the_bundle_of_one_process_and_the_other_says_so(
    trained: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    folder, (chief, other) = trained
    assert chief["train"] == 2
    assert other["train"] == "worker 1 of 2 is done: the chief has left the bundle."
    assert sorted(path.name for path in folder.glob(".bundle*")) == [], "no work folder is left"
    alone = solvent.train(folder / "config.json", tmp_path / "bundle", changes=["device.strategy=cpu"])
    together = solvent.Bundle.load(folder / "bundle")
    ours, theirs = (item.fitted.models["model"].get_weights() for item in (together, alone))
    for one, two in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)
    ours, theirs = (item.facts["test"]["metrics"]["rmse"]["value"] for item in (together, alone))
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_without_tf_config_workers_are_refused_with_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with (
        pytest.raises(Refused, match=r'needs the environment variable TF_CONFIG(.|\n)*"index": 0'),
        devices.scope(devices.Device(strategy="multiworker")),
    ):
        pass


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ('{"cluster": {"worker": ["a:1"]}}', "KeyError: 'task'"),
        (tf_config(["a:1", "b:1"], 2), "task worker 2 is none of cluster's"),
        (tf_config(["a:1", "b"], 0), "'b' is no host:port"),
        (tf_config(["a:1", "a:1"], 0), "an address twice"),
        ('{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}', "has the job 'ps'"),
        (
            '{"cluster": {"chief": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}}',
            "cluster has more than one chief",
        ),
    ],
)
def test_a_tf_config_that_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch, text: str, says: str) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(Refused, match=rf"^TF_CONFIG: .*{says}(.|\n)*Expected such as"):
        workers.cluster()


def test_a_chief_that_is_named_as_such_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = {"worker": ["b:1", "c:1"], "chief": ["a:1"]}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": jobs, "task": {"type": "worker", "index": 1}}))
    assert workers.cluster() == workers.Cluster(("a:1", "b:1", "c:1"), 2)


def test_workers_in_a_process_where_tensorflow_was_at_work_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tf.constant(1)
    monkeypatch.setenv("TF_CONFIG", tf_config(ADDRESSES, 0))
    with pytest.raises(Refused, match="must come before all else that TensorFlow does in a process"):
        workers.strategy()


def test_a_lost_worker_is_told_with_what_to_do_and_other_errors_come_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_count", lambda: 2)
    monkeypatch.setattr(workers, "_number", lambda: 1)
    says = r"Worker 1 has lost another one.*Start all 2 workers again with --resume"
    with pytest.raises(SolventError, match=says), workers.together():
        raise tf.errors.UnavailableError(None, None, "Collective ops is aborted by: Connection refused")
    for error in (tf.errors.ResourceExhaustedError, tf.errors.InternalError):
        with pytest.raises(error), workers.together():
            raise error(None, None, "out of memory")
    monkeypatch.setattr(workers, "_count", lambda: 1)
    with pytest.raises(tf.errors.UnavailableError), workers.together():
        raise tf.errors.UnavailableError(None, None, "no connection")
