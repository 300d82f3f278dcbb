"""Scoring on a Ray cluster leaves what scoring here leaves, whatever dies in the middle."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from solvent import Refused, SolventError, record
from solvent.cli import main
from solvent.errors import TooManyBadRows
from solvent.promises import BrokenPromise
from solvent.score import actors, score, stop
from solvent.score.ledger import LEDGER

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

from made_loans import Held, Raising, Telling, aborting, bundle, by_income, by_threads, content_of, loans

TOYS = Path(__file__).parents[1] / "toys"
INCOMES = [20, 30, "abc", 40, 50, 13, 60, 70, 80, 90, 100, 110, "", 120]
CURE = "Ray is not installed: pip install 'solvent-suite[ray]'"


class Nodes:
    """A cluster of two nodes on this machine, with a processor each."""

    def __init__(self, cluster: Any) -> None:
        self.address = cluster.address
        self._cluster, self._second = cluster, cluster.add_node(num_cpus=1)

    def lose_one(self) -> None:
        self._cluster.remove_node(self._second, allow_graceful=False)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    ray: Any = pytest.importorskip("ray", reason=CURE)
    from ray.cluster_utils import Cluster

    # a node that is lost is noticed in seconds, not in a minute
    noticed = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 3}
    head = {"num_cpus": 1, "include_dashboard": False, "_system_config": noticed}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        # before there is a second node, so that this process does not go with that
        ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
        yield Nodes(cluster)
    finally:
        ray.shutdown()
        cluster.shutdown()


def run(
    folder: Path, engine: Any, function: Callable[[pd.DataFrame], pd.DataFrame] = by_income, **more: Any
) -> dict[str, Any]:
    made = bundle(folder, function=function)
    return score(made, folder / "loans.csv", folder / "out", engine=engine, chunk_rows=2, max_bad=0.5, **more)


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, bytes]:
    """What an undisturbed run leaves; the same rows are in `tmp_path/loans.csv`."""
    (tmp_path / "undisturbed").mkdir()
    for folder in (tmp_path, tmp_path / "undisturbed"):
        loans(folder / "loans.csv", INCOMES)
    run(tmp_path / "undisturbed", "local")
    return content_of(tmp_path / "undisturbed", "out")


def entries(folder: Path) -> int:
    """How many parts the ledger of an unfinished run has."""
    (ledger,) = (folder / ".out.runs").glob(f"*.work/{LEDGER}")
    return len(ledger.read_text().splitlines()) - 1


@pytest.mark.ray
def test_ray_leaves_the_same_bytes_and_computes_with_the_same_threads(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        monkeypatch.setenv(name, "3")
    found, manifests = [], []
    for engine in ("local", "ray"):
        (tmp_path / engine).mkdir()
        loans(tmp_path / engine / "loans.csv", INCOMES)
        manifests.append(run(tmp_path / engine, engine, by_threads))
        found.append(content_of(tmp_path / engine, "out"))
    assert found[0] == found[1]
    assert len([name for name in found[1] if name.startswith("part-")]) == 7
    assert len([name for name in found[1] if name.startswith("quarantine")]) == 3
    decisions = pd.read_parquet(tmp_path / "ray" / "out" / "part-00000.parquet")["decision"]
    assert decisions.tolist() == ["3 3", "3 3"]
    own = {"output", "source", "bundle", "started", "finished", "seconds", "rows_per_second", "token"}
    local, ray = ({name: each[name] for name in set(each) - own} for each in manifests)
    assert ray == local


@pytest.mark.ray
def test_each_engine_goes_on_where_the_other_was(
    nodes: Nodes, tmp_path: Path, expected: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SolventError, match="no more"):
        run(tmp_path, "local", Raising(50, SolventError("no more")))
    assert entries(tmp_path) == 2
    with pytest.raises(SolventError, match="no more"):
        run(tmp_path, "ray", Raising(100, SolventError("no more")))
    assert entries(tmp_path) == 5  # all before it, in their order, as here
    with caplog.at_level(logging.INFO, "solvent"):
        run(tmp_path, "local")
    assert "going on behind 5 finished parts" in caplog.text
    assert content_of(tmp_path, "out") == expected


@pytest.mark.ray
@pytest.mark.parametrize(
    "error", [BrokenPromise("a Series"), KeyError("income")], ids=lambda error: type(error).__name__
)
def test_what_is_raised_there_is_raised_here(nodes: Nodes, tmp_path: Path, error: Exception) -> None:
    loans(tmp_path / "loans.csv", INCOMES)
    with pytest.raises(type(error)) as raised:
        run(tmp_path, "ray", Raising(20, error))
    assert type(raised.value) is type(error) and str(raised.value) == str(error)


def once(folder: Path, processes: int, act: Callable[[list[Path]], None]) -> threading.Thread:
    """Do something once so many processes say that they are at work, each at a part; then let them go on."""

    def wait() -> None:
        while len(at_work := list(folder.glob("*.pid"))) < processes:
            time.sleep(0.01)
        act(at_work)
        (folder / "go").touch()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


@pytest.mark.ray
def test_a_process_that_is_killed_loses_nothing(
    nodes: Nodes, tmp_path: Path, expected: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    killer = once(tmp_path, 1, lambda at_work: os.kill(int(at_work[0].name.partition("-")[0]), signal.SIGKILL))
    with caplog.at_level(logging.WARNING, "solvent"):
        manifest = run(tmp_path, "ray", Held(tmp_path))
    killer.join()
    assert "a process of the cluster died at part" in caplog.text and "is it a row?" not in caplog.text
    assert manifest["rows_read"] == len(INCOMES)
    assert content_of(tmp_path, "out") == expected


@pytest.mark.ray
def test_a_row_that_kills_processes_is_looked_for_here_and_set_aside(
    nodes: Nodes, tmp_path: Path, expected: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "solvent"):
        manifest = run(tmp_path, "ray", aborting)
    assert caplog.text.count("a process of the cluster died at part 2") == 2
    assert "1 rows kill the process and are set aside: 6" in caplog.text
    assert manifest["reasons"]["scoring it kills the process (SIGABRT), alone and once more"] == 1
    found = content_of(tmp_path, "out")
    scored = {name for name in expected if name.startswith("part-")}
    assert {name: found[name] for name in scored} == {name: expected[name] for name in scored}


@pytest.mark.ray
def test_told_to_end_it_keeps_the_parts_under_way(nodes: Nodes, tmp_path: Path, expected: dict[str, bytes]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SolventError, match=r"SIGTERM: ended after \d parts.*resume by the same command") as failure:
        run(tmp_path, "ray", Telling(30, os.getpid()))
    assert failure.value.exit_code == 1 and stop.asked() and signal.getsignal(signal.SIGTERM) == before
    done = entries(tmp_path)
    assert 1 <= done <= 3 and f"after {done} parts" in str(failure.value)
    with pytest.raises(SolventError, match="the limit of 0 minutes: ended after"):
        run(tmp_path, "ray", max_minutes=0)
    assert done < entries(tmp_path) < 7
    run(tmp_path, "local")
    assert content_of(tmp_path, "out") == expected


@pytest.mark.ray
def test_a_process_of_its_own_finds_the_cluster_by_its_address_and_prints_nothing(
    nodes: Nodes, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    program = (
        "import json, sys\n"
        "from pathlib import Path\n"
        f"sys.path.insert(0, {str(TOYS)!r})\n"
        "from made_loans import bundle\n"
        "from solvent.score import score\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "made = score(bundle(folder), folder / 'loans.csv', folder / 'out', engine='ray', chunk_rows=2, max_bad=0.5)\n"
        "print(json.dumps(made))\n"
    )
    variables = {**os.environ, "RAY_ADDRESS": nodes.address}
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=False)
    assert done.stderr == "" and json.loads(done.stdout)["rows_read"] == len(INCOMES)
    assert content_of(tmp_path, "out") == expected


@pytest.mark.ray
def test_an_address_without_a_cluster_is_named(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason=CURE)
    program = (
        "from pathlib import Path\n"
        "from solvent.score.actors import connected, ray_itself\n"
        "with connected(ray_itself()): pass\n"
    )
    variables = {**os.environ, "RAY_ADDRESS": "127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=False)
    assert "There is no Ray cluster at RAY_ADDRESS=127.0.0.1:9" in done.stderr.splitlines()[-1]


@pytest.mark.ray
def test_a_node_that_is_lost_loses_nothing(  # the last one, since it is not there any more
    nodes: Nodes, tmp_path: Path, expected: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    loser = once(tmp_path, 2, lambda _: nodes.lose_one())
    with caplog.at_level(logging.WARNING, "solvent"):
        manifest = run(tmp_path, "ray", Held(tmp_path))
    loser.join()
    assert "a process of the cluster died at part" in caplog.text
    assert manifest["rows_read"] == len(INCOMES)
    assert content_of(tmp_path, "out") == expected


# What needs no cluster


def test_without_ray_the_cure_is_named_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    loans(tmp_path / "loans.csv", INCOMES)
    with pytest.raises(Refused, match=r"pip install 'solvent-suite\[ray\]'"):
        run(tmp_path, "ray")
    assert not list((tmp_path / ".out.runs").glob("*.work"))


def test_an_unknown_engine_is_refused(tmp_path: Path) -> None:
    loans(tmp_path / "loans.csv", INCOMES)
    with pytest.raises(Refused, match="engine='spark': expected local or ray"):
        run(tmp_path, "spark")


def packed(folder: Path) -> bytes:
    made = bundle(folder)
    return actors.packed((made, {}, {"schema": made.schema, "folder": folder}))


def test_a_node_that_would_score_otherwise_is_refused_with_the_cure(tmp_path: Path) -> None:
    versions = record.versions("loans")
    actors.Scorer([], str(tmp_path)).make(versions, "loans", packed(tmp_path))
    with pytest.raises(Refused, match=r"keras .*expected 0\.1 as here.*Install the same versions on every node"):
        actors.Scorer([], str(tmp_path)).make({**versions, "keras": "0.1"}, "loans", packed(tmp_path))
    with pytest.raises(Refused, match=r"/gone can't be entered on the node .*where all nodes see them"):
        actors.Scorer([], str(tmp_path / "gone")).make(versions, "loans", packed(tmp_path))


def test_a_scorer_computes_with_the_threads_of_the_process_that_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        monkeypatch.delenv(name, raising=False)
    every = str(os.cpu_count())
    assert (actors.environment()["OMP_NUM_THREADS"], actors.environment()["TF_NUM_INTRAOP_THREADS"]) == (every, every)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    found = actors.environment()
    assert (found["OMP_NUM_THREADS"], found["TF_ENABLE_ONEDNN_OPTS"]) == ("5", "0")


def test_the_command_hands_the_engine_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def told(*_: Any, engine: str, **__: Any) -> None:
        asked.append(engine)
        raise TooManyBadRows("enough")

    made = type("Loaded", (), {"source": staticmethod(lambda given: given)})
    monkeypatch.setattr("solvent.bundle.Bundle.load", lambda *_: made)
    monkeypatch.setattr("solvent.score.score", told)
    for options in ([], ["--engine", "ray"]):
        assert CliRunner().invoke(main, ["score", "b", "in.csv", str(tmp_path / "out"), *options]).exit_code == 4
    assert asked == ["local", "ray"]
