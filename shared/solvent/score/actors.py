"""Scoring by processes of a Ray cluster: each makes the scorer once, then takes one part after the other.

This process gives them the parts and has them back; a part is kept until what became of it is here. Where a process or
its node dies, the part goes to another one. A part at which several died is scored in this process, behind a look at
its rows (`poison.py`), so that every part comes to its end, whatever becomes of the cluster.
"""

from __future__ import annotations

import importlib
import logging
import os
import platform
import re
import secrets
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pyarrow as pa

from .. import record
from ..errors import Refused, SolventError
from ..runtime import processor
from ..wording import listed, many
from .engine import Home, Made, Task
from .parts import Scored, score_part
from .poison import DEATHS, Mark

__all__ = ["Scorer", "actors", "connected", "environment", "packed", "ray_itself"]

log = logging.getLogger("solvent")
ADDRESS, HERE = "RAY_ADDRESS", "local"
DEVICES = "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"  # 0: Ray hides no graphics card of a node, as nothing does here
CARRIED = ("TF_", "KERAS_", "OMP_", "OPENBLAS_", "MKL_", "ONEDNN_", "DNNL_", "OV_")  # what it is computed with
AHEAD = 2  # parts that are held while an earlier one is under way, beside one for each process
MOST_UNREADY = 10  # processes in a row that die before they are ready
PATIENCE = 600.0  # seconds without a process that could score
CONNECTS = 10.0  # seconds in which a cluster has to answer
TICK = 1.0  # seconds after which it is looked whether the run has to end


def packed(thing: Any) -> bytes:
    """A thing on its way to another process."""
    # Ray's own way gives arrays that nobody can write to, other than those that scorers get elsewhere
    return bytes(ForkingPickler.dumps(thing))


class Scorer:
    """What a process of the cluster does; see `score_part`.

    Args:
        paths: where this process finds Python's modules.
        folder: that relative paths start from.
    """

    def __init__(self, paths: Sequence[str], folder: str) -> None:
        sys.path[:0] = [each for each in paths if each not in sys.path]
        self._folder = folder

    def make(self, versions: Mapping[str, str], target: str, given: bytes) -> None:
        """Make the scorer.

        Args:
            versions: that the packages must have, since scores may depend on them.
            target: the solution.
            given: the bundle, side tables, and the other arguments of `score_part`.
        """
        node = platform.node()
        try:
            os.chdir(self._folder)
        except OSError as error:
            raise Refused(f"{self._folder} can't be entered on the node {node} ({error.strerror}). {SHARED}") from error
        there = record.versions(target)
        if others := [name for name, version in versions.items() if there.get(name) != version]:
            found = listed((f"{name} {there.get(name, 'none')}" for name in others), 5)
            expected = listed((versions[name] for name in others), 5)
            raise Refused(
                f"The node {node} has {found}; expected {expected} as here, since scores may depend on it. Install the "
                "same versions on every node."
            )
        try:
            bundle, side, self._arguments = ForkingPickler.loads(given)
        except Refused as error:  # it was loaded well where the run was started
            raise Refused(f"On the node {node}: {error} {SHARED}") from error
        source = self._arguments["folder"]
        if not source.is_dir() and any(each.kind == "image" for each in self._arguments["schema"].features):
            raise Refused(f"{source}, where the images are, is not there on the node {node}. {SHARED}")
        self._score = bundle.scorer(side)

    def score(self, part: bytes) -> bytes:
        scored = score_part(ForkingPickler.loads(part), score=self._score, **self._arguments)
        pa.default_memory_pool().release_unused()
        return packed(scored)


SHARED = (
    "With Ray every node reads bundle and images itself, under the same paths: put them where all nodes see them, such "
    "as a network file system."
)


@contextmanager
def actors(home: Home, versions: Mapping[str, str]) -> Iterator[Actors]:
    """Give the engine, once a first process of the cluster can score.

    Raises:
        Refused: if Ray is not installed, or a node has other packages or no bundle.
        SolventError: if there is no cluster at the address, or it gives no process.
    """
    ray = ray_itself()
    with connected(ray):
        engine = Actors(ray, home)
        try:
            engine.start(versions)
            yield engine
        except ray.exceptions.RayError as error:
            raise SolventError(
                f"Ray failed: {_first_line(error)} Nothing was published; resume by the same command, or score by this "
                "machine alone: --engine local."
            ) from error
        finally:
            engine.end()


def ray_itself() -> Any:
    """The package.

    Raises:
        Refused: if it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers of each start
    os.environ.setdefault(DEVICES, "0")
    if not {"ray", "RAY_AUTH_MODE", ADDRESS} & {*sys.modules, *os.environ}:
        # the ports of a cluster that is started here are open to the network, and whoever may speak to them can run
        # programs: only with this token. Ray reads it when it is imported, and never again
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise Refused("--engine ray needs Ray, which is not installed: pip install 'solvent-suite[ray]'.") from error


@contextmanager
def connected(ray: Any) -> Iterator[None]:
    """Be connected to the cluster that this process has already, or the one at RAY_ADDRESS, or a new one here.

    Raises:
        SolventError: if there is none at the address, or none can be started.
    """
    if ray.is_initialized():
        yield
        return
    address = os.environ.get(ADDRESS) or HERE
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as logs:
        if address == HERE:
            quiet |= {"include_dashboard": False, "_temp_dir": logs}
        _connect(ray, address, quiet)
        try:
            yield
        finally:
            ray.shutdown()


def _connect(ray: Any, address: str, quiet: Mapping[str, Any]) -> None:
    heard = signal.getsignal(signal.SIGTERM)
    try:
        # Ray itself asks on for a quarter of an hour
        if named := re.fullmatch(r"(?:ray://)?(.+):(\d+)", address):
            socket.create_connection((named[1].strip("[]"), int(named[2])), timeout=CONNECTS).close()
        ray.init(address=address, **quiet)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        where = "Ray could not be started" if address == HERE else f"There is no Ray cluster at {ADDRESS}={address}"
        raise SolventError(f"{where}: {_first_line(error)} Look at it, then resume by the same command.") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, heard)  # Ray ends the process at once, in the middle of a part


def environment() -> dict[str, str]:
    """What a process needs in its environment to compute as this one does: by default Ray gives it one thread."""
    own = {name: value for name, value in os.environ.items() if value and name.startswith(CARRIED)}
    threads = str(processor.threads())
    return {
        "OMP_NUM_THREADS": threads,
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
        DEVICES: "0",
        **own,
    }


class _Worker:
    """A process of the cluster.

    Args:
        ref: of what it is at: of making its scorer first, then of its task.
    """

    def __init__(self, actor: Any, ref: Any) -> None:
        self.actor, self.ref = actor, ref
        self.ready = False
        self.task: Task | None = None


class Actors:
    """The engine; made by `actors`."""

    def __init__(self, ray: Any, home: Home) -> None:
        self._ray, self._home, self._label = ray, home, home.arguments["label"]
        self._how: tuple[Any, ...] = ()  # a process makes its scorer
        self._workers: list[_Worker] = []
        self._deaths: Counter[int] = Counter()
        self._started, self._unready = False, 0
        self._alive = time.monotonic()  # when there was last a process that could score
        self._most = 1

    def start(self, versions: Mapping[str, str]) -> None:
        """Wait for the first process; the others are started as there are parts for them."""
        home, facts = self._home, self._home.bundle.facts
        given = packed((home.bundle, dict(home.side), dict(home.arguments)))
        self._how = (dict(versions), facts.get("target", facts["solution"]), self._ray.put(given))
        self._grow()
        threads = environment()["OMP_NUM_THREADS"]
        log.info(
            "%s: Ray has room for %s with %s each (OMP_NUM_THREADS, in a job limits.threads)",
            *(self._label, many(self._most, "scorer"), many(int(threads), "thread")),
        )
        while not any(worker.ready for worker in self._workers):
            self._collect({}, TICK, part=0)
            if not self._workers:
                self._grow()
        self._started = True

    def end(self) -> None:
        for worker in self._workers:
            self._ray.kill(worker.actor)
        self._workers.clear()

    def scored(self, tasks: Iterator[Task], mark: Mark) -> Iterator[Made]:
        held: deque[Task] = deque()  # read, and not given back yet
        found: dict[int, Scored | Exception] = {}
        failure: Exception | None = None
        more = True
        while more or held:
            waiting = self._waiting(held, found)
            if reads := more and len(held) < self._most + AHEAD and len(waiting) < self._free():
                try:
                    held.append(next(tasks))
                except StopIteration:
                    more = False
                except Exception as error:  # noqa: BLE001  (raised below, behind the parts before it)
                    more, failure = False, error
            self._give_out(self._waiting(held, found), held, found, mark)
            if held and held[0].number not in found:
                self._collect(found, 0 if reads else TICK, part=held[0].number)
            while held and held[0].number in found:
                task = held.popleft()
                scored = found.pop(task.number)
                if isinstance(scored, Exception):
                    raise scored
                yield Made(task.number, task.seen, scored)
        if failure is not None:
            raise failure

    def _waiting(self, held: Sequence[Task], found: Mapping[int, Any]) -> list[Task]:
        under_way = self._under_way()
        return [task for task in held if task.number not in found and task.number not in under_way]

    def _under_way(self) -> set[int]:
        return {worker.task.number for worker in self._workers if worker.task is not None}

    def _free(self) -> int:
        """How many more parts could be under way."""
        return max(self._most, len(self._workers)) - len(self._under_way())

    def _give_out(
        self, waiting: Sequence[Task], held: Sequence[Task], found: dict[int, Scored | Exception], mark: Mark
    ) -> None:
        for place, task in enumerate(waiting):
            if self._deaths[task.number] >= DEATHS:
                if task is held[0]:  # all before are given back: what it raises comes in its order
                    mark.begin(task.number, self._under_way())
                    found[task.number] = self._home.score(task, DEATHS)
                continue
            worker = next((each for each in self._workers if each.ready and each.task is None), None)
            if worker is None:
                if sum(not each.ready for each in self._workers) < len(waiting) - place:
                    self._grow()
                return
            self._deaths[task.number] = max(self._deaths[task.number], mark.begin(task.number, self._under_way()))
            if self._deaths[task.number] < DEATHS:
                worker.task, worker.ref = task, worker.actor.score.remote(packed(task.part))

    def _grow(self) -> None:
        """Start another process, if there is room for one."""
        threads = processor.threads()
        nodes = [int(node["Resources"].get("CPU", 0)) for node in self._ray.nodes() if node["Alive"]]
        processors = min(threads, max(nodes, default=0)) or threads  # a cluster without may grow if it is asked to
        self._most = max(1, sum(node // processors for node in nodes))
        if len(self._workers) >= self._most:
            return
        options = {"num_cpus": processors, "max_restarts": 0, "runtime_env": {"env_vars": environment()}}
        actor = self._ray.remote(**options)(Scorer).remote(sys.path, str(Path.cwd()))
        self._workers.append(_Worker(actor, actor.make.remote(*self._how)))

    def _collect(self, found: dict[int, Scored | Exception], seconds: float, part: int) -> None:
        """Take what has become of one part, or of a new process, if that is there within some seconds."""
        at_work = {worker.ref: worker for worker in self._workers if worker.ref is not None}
        if at_work:
            ready, _ = self._ray.wait(list(at_work), num_returns=1, timeout=seconds)
            for ref in ready:
                self._settle(at_work[ref], found)
        if any(worker.ready for worker in self._workers):
            self._alive = time.monotonic()
            return
        self._home.go_on(part)
        if not at_work:
            time.sleep(seconds)
        if time.monotonic() - self._alive > PATIENCE:
            raise SolventError(
                f"The Ray cluster has given no process with {many(processor.threads(), 'processor')} for "
                f"{PATIENCE / 60:g} minutes. Nothing was published; look at what else it does (ray status), then "
                "resume by the same command, or score by this machine alone: --engine local."
            )

    def _settle(self, worker: _Worker, found: dict[int, Scored | Exception]) -> None:
        task, ref = worker.task, worker.ref
        worker.task = worker.ref = None
        try:
            answer = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:  # what the function raised there
            raised: Exception = error.cause
            raised.__cause__ = error  # it tells where
            if task is None:
                raise self._not_made(raised) from error
            found[task.number] = raised
        except self._ray.exceptions.RayError as error:  # the process or its node has died, or what it gave got lost
            self._bury(worker, task, error)
        else:
            worker.ready, self._unready = True, 0
            if task is not None:
                found[task.number] = ForkingPickler.loads(answer)

    def _not_made(self, raised: Exception) -> Exception:
        """What is raised if a process can't make its scorer: of a later one no more than that, or what is scored
        already would be dropped for it."""
        return SolventError(str(raised)) if isinstance(raised, SolventError) and self._started else raised

    def _bury(self, worker: _Worker, task: Task | None, error: Exception) -> None:
        self._workers.remove(worker)
        self._ray.kill(worker.actor)
        what = f"{type(error).__name__}: {_first_line(error)}"
        self._home.go_on(task.number if task else 0)  # SIGTERM goes to all processes of a service at once
        if task is not None:
            self._deaths[task.number] += 1
            log.warning(
                "%s: a process of the cluster died at part %d, which goes to another one (%s)",
                *(self._label, task.number, what),
            )
            return
        self._unready += 1
        log.warning("%s: a process of the cluster died before it was ready (%s)", self._label, what)
        if self._unready >= MOST_UNREADY:
            raise SolventError(
                f"{MOST_UNREADY} processes of the Ray cluster died one after the other before they were ready. Look at "
                f"memory and at the packages of its nodes, then resume by the same command. The last one: {what}"
            )


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
