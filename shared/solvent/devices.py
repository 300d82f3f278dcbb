"""Where a model runs: the strategy, the precision, the memory, XLA and the seed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import Field

from . import startup, workers
from .errors import Refused
from .runtime import processor
from .solution import Section

__all__ = ["Device", "Placement", "placement", "scope"]


class Device(Section):
    """The `device` part of a config.

    Args:
        strategy: `auto` takes every GPU there is, or else the CPU. `mirrored` copies the model to every GPU
            (or to every logical CPU) and splits each batch. `multiworker` does so over processes, on one machine or
            many, that the environment variable TF_CONFIG names: see `solvent.workers`.
        precision: `auto` is mixed_float16 on GPUs with tensor cores (compute capability 7 and up), float32 elsewhere.
        xla: compile training steps with XLA. Measured slower on CPUs.
        seed: of everything random. Two runs with one seed on one machine's CPU are equal.
    """

    strategy: Literal["auto", "cpu", "gpu", "mirrored", "multiworker"] = "auto"
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    xla: bool = False
    seed: int = Field(0, ge=0, le=2**32 - 1)


@dataclass(frozen=True)
class Placement:
    """What `auto` came to on this machine.

    Args:
        frozen: the precision in which layers compute that are not trained: with `auto`, half of float32's bits where
            the machine has instructions for that.
        workers: processes that train together.
        worker: which of them this one is; 0 is the chief, which leaves the bundle.
    """

    strategy: str
    precision: str
    cpus: int
    gpus: int
    replicas: int
    xla: bool
    seed: int
    frozen: str
    workers: int = 1
    worker: int = 0

    def to_json(self) -> dict[str, Any]:
        """What a bundle says of it: all but `worker`, as each bundle is the chief's."""
        return {name: value for name, value in asdict(self).items() if name != "worker"}


_current: Placement | None = None


def placement() -> Placement:
    """The placement of the `scope` that is open.

    Raises:
        RuntimeError: outside any scope.
    """
    if _current is None:
        raise RuntimeError("No device is chosen: call this inside `with devices.scope(device):`.")
    return _current


@contextmanager
def scope(device: Device) -> Iterator[Placement]:
    """Put everything that is built inside on the chosen devices, in the chosen precision, under one seed.

    Raises:
        Refused: if a GPU is asked for and there is none, or other workers and TF_CONFIG does not name them. Nothing
            falls back silently.
        SolventError: if another worker is lost.
        RuntimeError: inside another scope; TensorFlow's strategies don't nest.
    """
    startup.tensorflow()
    import keras
    import tensorflow as tf

    global _current
    if _current is not None:
        raise RuntimeError("A device is chosen already: scopes don't nest.")
    gpus = tf.config.list_physical_devices("GPU")
    strategy, name = _strategy(device, tf, gpus)
    precision = _precision(device, tf, {"gpu": gpus[:1], "mirrored": gpus, "multiworker": gpus}.get(name, []))
    before = keras.config.dtype_policy()
    keras.utils.set_random_seed(device.seed)
    tf.config.experimental.enable_op_determinism()
    keras.config.set_dtype_policy(precision)
    cluster = workers.cluster() if name == "multiworker" else None
    _current = Placement(
        strategy=name,
        precision=precision,
        cpus=os.cpu_count() or 1,
        gpus=len(gpus),
        replicas=strategy.num_replicas_in_sync,
        xla=device.xla,
        seed=device.seed,
        frozen=_frozen(precision) if device.precision == "auto" else precision,
        workers=len(cluster.addresses) if cluster else 1,
        worker=cluster.number if cluster else 0,
    )
    try:
        with strategy.scope(), workers.together():
            yield _current
    finally:
        _current = None
        keras.config.set_dtype_policy(before)


def _strategy(device: Device, tf: Any, gpus: list[Any]) -> tuple[Any, str]:
    wanted = device.strategy
    if wanted == "auto":
        wanted = "mirrored" if len(gpus) > 1 else "gpu" if gpus else "cpu"
    if wanted == "gpu":
        if not gpus:
            raise Refused(
                "device.strategy: gpu, but TensorFlow sees no GPU here. Check the driver with nvidia-smi, "
                "or set device.strategy: cpu."
            )
        return tf.distribute.OneDeviceStrategy("/gpu:0"), wanted
    if wanted == "cpu":
        return tf.distribute.OneDeviceStrategy("/cpu:0"), wanted
    if wanted == "multiworker":
        return workers.strategy(), wanted
    kind = "GPU" if gpus else "CPU"
    names = [item.name for item in tf.config.list_logical_devices(kind)]
    if len(names) < 2:
        raise Refused(
            f"device.strategy: mirrored needs two devices; TensorFlow sees {len(names)} {kind}. "
            "Set device.strategy: auto."
        )
    # NCCL is for GPUs; among logical CPUs the sum is taken on one of them.
    across = None if gpus else tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(names, cross_device_ops=across), wanted


def _frozen(training: str) -> str:
    """The precision of layers that are not trained: nothing adds up over steps there."""
    if training != "float32":
        return training
    return "float32" if processor.lacks("bf16") else "mixed_bfloat16"


def _precision(device: Device, tf: Any, gpus: list[Any]) -> str:
    if device.precision != "auto":
        return device.precision
    capabilities = [tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus]
    return "mixed_float16" if capabilities and min(capabilities) >= (7, 0) else "float32"
