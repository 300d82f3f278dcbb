"""Which runtime answers in a model's place, and what a bundle keeps of it in its folder `runtime/`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Refused
from ..solution import JSON
from . import NAMES, TENSORFLOW, processor, tensorflow

if TYPE_CHECKING:
    import keras

__all__ = ["FOLDER", "chosen", "load", "make", "refuse_here", "unquantised"]

FOLDER = "runtime"
Form = Callable[[Any], Any]


def refuse_here(name: str, cure: str, *, rest: str = "float32") -> None:
    """Raise Refused if this machine can't run what `name` names: nothing runs in another form silently.

    Args:
        rest: what `unquantised` gave when it was made.
    """
    engine, _, precision = name.partition("-")
    packages = {"openvino": ["openvino"]}.get(engine, [])
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    reason = f"the package {missing[0]} is not installed (pip install {missing[0]})" if missing else None
    reason = reason or processor.lacks(precision) or processor.lacks(rest)
    if reason:
        raise Refused(f"The runtime {name} can't be used here: {reason}. {cure}")


def chosen(facts: Mapping[str, JSON], wanted: str | None, label: str) -> JSON:
    """The record of the runtime that a bundle is loaded with; None for plain TensorFlow.

    Args:
        facts: bundle.json.
        wanted: None for the one that the bundle records.
        label: names the bundle in messages.

    Raises:
        Refused: if the bundle has no such runtime, or this machine can't run it.
    """
    record = facts.get(FOLDER)
    if wanted == TENSORFLOW or (wanted is None and record is None):
        return None
    if record is None or wanted not in (None, record["name"]):
        there = [TENSORFLOW, *([record["name"]] if record else [])]
        cure = f" `solvent optimize {label} --to {wanted}` makes it." if wanted in NAMES else ""
        raise Refused(f"{label} has no runtime {wanted!r}. It has: {', '.join(there)}.{cure}")
    refuse_here(
        record["name"],
        f"{label} was accepted with it. To score as trained, Bundle.load({label!r}, runtime={TENSORFLOW!r}), or take "
        f"it back for good: solvent optimize {label} --to {TENSORFLOW}.",
        rest=_rest(record),
    )
    return record


def load(folder: Path, record: JSON, models: Mapping[str, keras.Model]) -> dict[str, Form]:
    """What answers in each model's place; models that have no form of their own stay with TensorFlow.

    Args:
        folder: that `make` wrote into.
        record: what `chosen` gave.
    """
    if record is None:
        return {}
    engine, _, precision = record["name"].partition("-")
    if engine == TENSORFLOW:
        return {name: tensorflow.bfloat16(models[name]) for name in record["models"]}
    from . import openvino

    rest = _rest(record) if precision == "int8" else precision
    return {name: openvino.compiled(folder / f"{name}.xml", rest, models[name]) for name in record["models"]}


def make(
    folder: Path, to: str, models: Mapping[str, keras.Model], batches: Mapping[str, Sequence[Any]], rows: int
) -> None:
    """Write each model's form into a folder.

    Args:
        batches: what each model was asked, by its name: trees of arrays of `rows` rows or fewer.
        rows: of a batch.

    Raises:
        Refused: if a model can't be converted; the message names it and says why.
    """
    engine, _, precision = to.partition("-")
    if engine == TENSORFLOW:
        return  # it is made when it is loaded
    from . import openvino, saved_model

    for name in batches:
        converted = openvino.convert(models[name], rows)
        if precision == "int8":
            given = [saved_model.named(models[name], _filled_up(batch, rows)) for batch in batches[name]]
            converted = openvino.quantised(converted, given, attention=_attends(models[name]))
        openvino.write(converted, folder / f"{name}.xml")


def unquantised(models: Iterable[keras.Model]) -> str:
    """The precision here of what 8 bits leave out: bfloat16 pays for attention, whose scores are products of their own.

    Elsewhere float32 is no slower, and nearer to the original.
    """
    return "bf16" if any(map(_attends, models)) and processor.lacks("bf16") is None else "float32"


def _rest(record: JSON) -> str:
    return str(record.get("unquantised", "float32"))  # older bundles don't say


def _attends(model: keras.Model) -> bool:
    # By name: KerasHub's encoders have layers of attention of their own.
    return any("Attention" in type(layer).__name__ for layer in model._flatten_layers())


def _filled_up(batch: Any, rows: int) -> Any:
    """A batch of `rows` rows: all of them, over and over, since a single one would weigh too much in the ranges."""
    import keras
    import numpy as np

    return keras.tree.map_structure(lambda array: array[np.arange(rows) % len(array)], batch)
