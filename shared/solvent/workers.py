"""Several processes, on one machine or on many, that train one network together.

Each runs the whole command with the same config and is told by TF_CONFIG who it is. Worker 0 is the chief: it leaves
the bundle, and where two might differ, in a metric's last bit or in what was kept before a restart, the chief's counts.

All must make the same variables and take the same steps in the same order, as each of these waits for the others.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from .errors import Refused, SolventError
from .files import replacing
from .solution import JSON

__all__ = ["Cluster", "agree", "chief", "cluster", "from_chief", "same_files", "shares", "strategy", "together"]

log = logging.getLogger("solvent")
EXAMPLE = '{"cluster": {"worker": ["host-a:2222", "host-b:2222"]}, "task": {"type": "worker", "index": 0}}'
MOST = 1 << 22  # numbers of 4 bytes in a message


@dataclass(frozen=True)
class Cluster:
    """Who trains together, and which of them this process is.

    Args:
        addresses: `host:port` of each worker; the first is the chief's.
        number: of this process, counted from 0.
    """

    addresses: tuple[str, ...]
    number: int


def cluster() -> Cluster:
    """What TF_CONFIG says.

    Raises:
        Refused: if it is not set or says something else.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        raise Refused(
            "device.strategy: multiworker needs the environment variable TF_CONFIG, which names all workers and says "
            f"which one this process is, such as\n  TF_CONFIG='{EXAMPLE}'\n"
            "Set it, with another index for each process; or set device.strategy: auto."
        )
    try:
        given = json.loads(text)
        jobs, task = given["cluster"], given["task"]
        if unknown := sorted(set(jobs) - {"chief", "worker"}):
            raise Refused(_wrong(f"cluster has the job {unknown[0]!r}; known are chief and worker", text))
        addresses = [*jobs.get("chief", []), *jobs.get("worker", [])]
        kind, index = str(task["type"]), int(task["index"])
        number = index + (len(jobs.get("chief", [])) if kind == "worker" else 0)
        if kind not in jobs or not 0 <= index < len(jobs[kind]):
            raise Refused(_wrong(f"task {kind} {index} is none of cluster's", text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(_wrong(f"{type(error).__name__}: {error}", text)) from error
    if len(jobs.get("chief", [])) > 1:
        raise Refused(_wrong("cluster has more than one chief", text))
    for address in addresses:
        host, _, port = str(address).rpartition(":")
        if not host or not port.isdigit():
            raise Refused(_wrong(f"{address!r} is no host:port", text))
    if len(set(addresses)) < len(addresses):
        raise Refused(_wrong("cluster names an address twice", text))
    return Cluster(tuple(addresses), number)


def _wrong(what: str, text: str) -> str:
    return f"TF_CONFIG: {what}. Expected such as\n  {EXAMPLE}\nbut got\n  {text}"


@lru_cache(maxsize=1)
def strategy() -> Any:
    """TensorFlow's strategy for the workers of TF_CONFIG; one for the whole process. Waits until all are there.

    Raises:
        Refused: if TensorFlow has been at work in this process before.
    """
    import tensorflow as tf

    found = cluster()
    others = [address for number, address in enumerate(found.addresses) if number != found.number]
    log.info("worker %d of %d waits for %s", found.number, len(found.addresses), ", ".join(others))
    # NCCL is for GPUs and chosen there; RING runs on gRPC anywhere.
    gpus = tf.config.list_physical_devices("GPU")
    kinds = tf.distribute.experimental.CommunicationImplementation
    options = tf.distribute.experimental.CommunicationOptions(implementation=kinds.AUTO if gpus else kinds.RING)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    except RuntimeError as error:
        raise Refused(
            "device.strategy: multiworker must come before all else that TensorFlow does in a process, and something "
            f"came before ({error}). Train in a new process."
        ) from error
    except tf.errors.OpError as error:
        raise SolventError(
            f"Worker {found.number} could not meet {', '.join(others)}: {error.message} Look whether each of them was "
            "started, and whether its address in TF_CONFIG can be reached and its port is free; then start all again."
        ) from error


@contextmanager
def together() -> Iterator[None]:
    """Inside, the loss of another worker is told as what it is.

    Raises:
        SolventError: saying how to go on.
    """
    import tensorflow as tf

    # What was seen where a worker was killed, stopped, or came back as another process.
    lost = (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.DeadlineExceededError,
        tf.errors.CancelledError,
    )
    try:
        yield
    except (*lost, tf.errors.InternalError, tf.errors.FailedPreconditionError) as error:
        said = str(error.message)
        if _count() == 1 or not (isinstance(error, lost) or "ollective" in said):
            raise
        raise SolventError(
            f"Worker {_number()} has lost another one, which has ended or can't be reached: its own log says why. "
            f"Start all {_count()} workers again with --resume; they go on after the last epoch that was kept. "
            f"TensorFlow says: {said.splitlines()[0][-300:]}"
        ) from error


def chief() -> bool:
    """Whether this process decides and keeps: the chief of several workers, or the only process."""
    return _number() == 0


def from_chief(value: JSON) -> JSON:
    """The chief's value, on all workers; where there is one process, its own. All must call it."""
    if _count() == 1:
        return value
    return json.loads(_sent(json.dumps(value).encode()))


def agree(what: str, identity: str) -> None:
    """Look that all workers were started with the same.

    Args:
        identity: a text that is the same where all is the same.

    Raises:
        Refused: on a worker that has another one than the chief.
    """
    if from_chief(identity) != identity:
        raise Refused(f"Worker {_number()} was started with {what} than the chief. Start all workers with the same.")


def same_files(folder: Path, pattern: str) -> None:
    """Make the files of a folder that match a pattern the chief's, on all workers. All must call it."""
    if _count() == 1:
        return
    own = sorted(path.name for path in folder.glob(pattern))
    names = from_chief([*own])
    for name in names:
        content = _sent((folder / name).read_bytes() if chief() else b"")
        if not chief():
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(folder / name) as path:
                path.write_bytes(content)
    for name in set(own) - set(names):
        (folder / name).unlink()


def shares() -> tuple[int, range]:
    """How many equal parts the workers cut each batch into, and which of them are this one's.

    One where a process is alone: TensorFlow cuts for the devices of one process.
    """
    found = _multiworker()
    if found is None:
        return 1, range(1)
    local = len(found.extended.worker_devices)
    return found.num_replicas_in_sync, range(_number() * local, (_number() + 1) * local)


def _multiworker() -> Any:
    """The strategy of several workers whose scope is open; None in any other."""
    import tensorflow as tf

    found = tf.distribute.get_strategy()
    return found if isinstance(found, tf.distribute.MultiWorkerMirroredStrategy) else None


def _number() -> int:
    return 0 if _multiworker() is None else cluster().number


def _count() -> int:
    return 1 if _multiworker() is None else len(cluster().addresses)


def _sent(content: bytes) -> bytes:
    """The chief's bytes, on all workers: each adds zeros to them."""
    high, low = divmod(len(content), 1 << 30)
    high, low = map(int, _summed(np.array([high, low], np.int32)))
    size = (high << 30) + low
    numbers = np.zeros(-(-size // 4), np.int32)
    if chief():
        numbers.view(np.uint8)[:size] = np.frombuffer(content, np.uint8)
    parts = []
    for start in range(0, len(numbers), MOST):
        part = numbers[start : start + MOST]
        padded = np.zeros(1 << max(len(part) - 1, 1).bit_length(), np.int32)  # few sizes: each is traced once
        padded[: len(part)] = part
        parts.append(_summed(padded)[: len(part)])
    return b"".join(part.tobytes() for part in parts)[:size]


def _summed(numbers: np.ndarray) -> np.ndarray:
    """The chief's numbers, on all workers."""
    import tensorflow as tf

    mine = numbers if chief() else np.zeros_like(numbers)
    return np.asarray(_sum(len(mine))(tf.constant(mine)))


@lru_cache(maxsize=64)
def _sum(size: int) -> Any:
    import tensorflow as tf

    found = _multiworker()

    def share(numbers: Any) -> Any:
        replica = tf.distribute.get_replica_context()
        # A worker's numbers are on each of its devices; they count once.
        first = tf.equal(replica.replica_id_in_sync_group % len(found.extended.worker_devices), 0)
        return replica.all_reduce(tf.distribute.ReduceOp.SUM, numbers * tf.cast(first, numbers.dtype))

    def run(numbers: Any) -> Any:
        return found.experimental_local_results(found.run(share, args=(numbers,)))[0]

    return tf.function(run, autograph=False).get_concrete_function(tf.TensorSpec((size,), tf.int32))
