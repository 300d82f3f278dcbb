"""`solvent export`: a bundle's networks in other programs' formats, compared with TensorFlow on real rows."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tables
from ..bundle import Bundle
from ..errors import Refused, SolventError
from ..evaluation import Judge
from ..files import sync_folder
from ..record import plain
from ..solution import JSON, Table
from . import FORMATS, TENSORFLOW, recording, saved_model, symbolic, validation

if TYPE_CHECKING:
    import keras

    from ..tables import Source

__all__ = ["export", "sentence"]

log = logging.getLogger("solvent")
ABOUT = "export.json"
ROWS = 64  # that are compared
TOLERANCE = 1e-3  # of the largest absolute output, or of 1 where that is smaller

Named = dict[str, np.ndarray]
Run = Callable[[Named], Mapping[str, np.ndarray]]


def export(
    path: str | Path,
    to: str,
    out: str | Path,
    *,
    rows: Source | str | Path | None = None,
    config: str | Path | None = None,
) -> JSON:
    """Write the networks of a bundle, as they were trained, in another format, and compare them on real rows.

    Args:
        to: one of `runtime.FORMATS`.
        out: a folder that is not there yet; it is whole or absent. It gets a file or folder for each network, and
            `export.json`, which says what goes in and what comes out.
        rows: a table to compare on, without targets; else the bundle's own validation rows.
        config: see `validation.rows`.

    Returns:
        What `export.json` holds.

    Raises:
        Refused: if a package is missing, a network can't be converted, or something is at `out` already.
        SolventError: if what was written gives other numbers; nothing is left at `out`.
    """
    if to not in FORMATS:
        raise Refused(f"There is no format {to!r}. Known: {', '.join(FORMATS)}.")
    out = Path(out).absolute()
    if out.exists():
        raise Refused(f"{out} is there already. Name another OUT, or move it away.")
    write, packages = WRITERS[to]
    if missing := [name for name in packages if importlib.util.find_spec(name) is None]:
        raise Refused(f"--to {to} needs {' and '.join(missing)}: pip install {' '.join(missing)}")
    bundle = Bundle.load(path, runtime=TENSORFLOW)
    batches = recording.asked(bundle, _cases(bundle, rows, config))
    if not batches:
        raise Refused(f"{bundle.path}: its scorer asks no network, so there is nothing to export.")
    if left := sorted(set(bundle.fitted.models) - set(batches)):
        log.warning("%s: left out, since scoring asks them nothing: %s.", bundle.path, ", ".join(left))
    with _whole_or_absent(out) as folder:
        meaning = bundle.fitted.facts.get("meaning", {})
        networks = {
            name: _network(bundle.fitted.models[name], folder / name, write, batches[name], meaning.get(name, {}))
            for name in batches
        }
        about: JSON = plain(
            {
                "solution": bundle.facts["solution"],
                "bundle_sha256": bundle.sha256,
                "format": to,
                "versions": bundle.facts["versions"],
                "networks": networks,
                "batch": "the first axis of each input is rows, of any number",
                "scored_by": "the solution, which makes `outputs` of the networks' raw outputs with `facts`",
                "outputs": [asdict(output) for output in bundle.outputs],
                "facts": bundle.fitted.facts,
            }
        )
        (folder / ABOUT).write_text(json.dumps(about, indent=1, ensure_ascii=False), encoding="utf-8")
    return about


def sentence(about: JSON) -> str:
    """What was compared, a line for each network."""
    return "\n".join(
        f"{item['file']}: differs by {item['parity']['largest_difference']:.2g} at most from TensorFlow on "
        f"{item['parity']['rows']} rows ({item['parity']['tolerance']:.2g} may be)"
        for item in about["networks"].values()
    )


def _cases(bundle: Bundle, table: Source | str | Path | None, config: str | Path | None) -> Table:
    seed = bundle.facts["machine"]["seed"]
    if table is None:
        judge = Judge(bundle.solution, bundle.settings, bundle.schema)
        return judge.cases(recording.some(validation.rows(bundle, config), bundle.schema, ROWS, seed))
    source = bundle.source(table)
    renamed = bundle.schema.rename(
        tables.read(source), table_name=tables.label(source), targets=False, folder=tables.folder(source)
    )
    good = bundle.schema.check(renamed, targets=False).good
    if good.empty:
        raise Refused(f"{tables.label(source)}: no row of it can be scored, so there is nothing to compare on.")
    return recording.some(good, bundle.schema, ROWS, seed)


def _network(
    model: keras.Model,
    path: Path,
    write: Callable[[keras.Model, Path], tuple[Path, Run]],
    batches: list[Any],
    meaning: Mapping[str, str],
) -> JSON:
    """Write one network, compare it on the batches, and give what `export.json` says of it.

    Args:
        meaning: of the inputs and outputs that its solution says something of, by their names.
    """
    import keras

    try:
        file, run = write(model, path)
        found = [run(saved_model.named(model, inputs)) for inputs, _ in batches]
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:  # the converters' own
        raise Refused(f"The model {path.name} can't be converted: {type(error).__name__}: {error}") from error
    largest, scale, rows = 0.0, 1.0, 0
    for (inputs, outputs), ours in zip(batches, found, strict=True):
        for i, expected in enumerate(keras.tree.flatten(outputs)):
            largest = max(largest, float(np.abs(ours[f"output_{i}"] - expected).max(initial=0.0)))
            scale = max(scale, float(np.abs(expected).max(initial=0.0)))
        rows += len(keras.tree.flatten(inputs)[0])
    if not largest <= TOLERANCE * scale:
        raise SolventError(
            f"The model {path.name} was converted, but its outputs differ by {largest:.3g} from TensorFlow's on {rows} "
            f"rows; {TOLERANCE * scale:.3g} may be. Nothing was written; export to another format."
        )
    outputs = keras.tree.flatten(symbolic.outputs(model))
    return {
        "file": file.name,
        "inputs": [_described(spec.name, spec.shape, spec.dtype.name, meaning) for spec in saved_model.specs(model)],
        "outputs": [_described(f"output_{i}", output.shape, "float32", meaning) for i, output in enumerate(outputs)],
        "output_layers": [output.name for output in outputs],
        "parity": {"rows": rows, "largest_difference": largest, "tolerance": TOLERANCE * scale},
    }


def _described(name: str, shape: Any, dtype: str, meaning: Mapping[str, str]) -> JSON:
    said = {"meaning": meaning[name]} if name in meaning else {}
    return {"name": name, "shape": list(shape), "dtype": dtype, **said}


@contextmanager
def _whole_or_absent(out: Path) -> Iterator[Path]:
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.parent / f".{out.name}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        temporary.rename(out)
        sync_folder(out.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


# One for each format: write a model, and give its file and what runs it there


def _saved_model(model: keras.Model, path: Path) -> tuple[Path, Run]:
    import tensorflow as tf

    saved_model.write(model, path)
    loaded = tf.saved_model.load(str(path))

    def run(inputs: Named) -> Mapping[str, np.ndarray]:
        tensors = {name: tf.constant(array) for name, array in inputs.items()}
        found = loaded.signatures[saved_model.ENDPOINT](**tensors)
        return {name: tensor.numpy() for name, tensor in found.items()}

    return path, run


def _onnx(model: keras.Model, path: Path) -> tuple[Path, Run]:
    import onnxruntime
    import tensorflow as tf
    import tf2onnx
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    file, specs = path.with_suffix(".onnx"), saved_model.specs(model)
    function = tf.function(saved_model.flat(model), input_signature=specs, autograph=False)
    # Frozen first: tf2onnx would take constants that a layer holds, such as a mean, for inputs.
    frozen = convert_variables_to_constants_v2(function.get_concrete_function())
    given, found = ([tensor.name for tensor in tensors] for tensors in (frozen.inputs, frozen.outputs))
    names = {name: spec.name for name, spec in zip(given, specs, strict=True)}
    names |= {name: f"output_{i}" for i, name in enumerate(found)}
    tf2onnx.convert.from_graph_def(
        frozen.graph.as_graph_def(),
        input_names=given,
        output_names=found,
        tensors_to_rename=names,
        output_path=str(file),
    )
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    return file, lambda inputs: dict(zip(outputs, session.run(outputs, inputs), strict=True))


def _openvino(model: keras.Model, path: Path) -> tuple[Path, Run]:
    import keras

    from . import openvino

    file = path.with_suffix(".xml")
    openvino.write(openvino.convert(model, None), file)
    form = openvino.compiled(file, "float32", model)

    def run(inputs: Named) -> Mapping[str, np.ndarray]:
        found = keras.tree.flatten(form(keras.tree.pack_sequence_as(symbolic.inputs(model), list(inputs.values()))))
        return {f"output_{i}": array for i, array in enumerate(found)}

    return file, run


def _litert(model: keras.Model, path: Path) -> tuple[Path, Run]:
    import tensorflow as tf
    from tensorflow.lite.python.convert_phase import ConverterError

    file, folder = path.with_suffix(".tflite"), path.with_suffix(".saved_model")
    saved_model.write(model, folder)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    try:
        file.write_bytes(converter.convert())
    except ConverterError as error:
        raise RuntimeError(str(error).partition("\n")[0]) from error
    shutil.rmtree(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the interpreter moves to a package of its own
        interpreter = tf.lite.Interpreter(str(file))
    runner = interpreter.get_signature_runner(saved_model.ENDPOINT)
    return file, lambda inputs: runner(**inputs)


# What writes each format, and the packages that it needs beside TensorFlow
WRITERS: dict[str, tuple[Callable[[keras.Model, Path], tuple[Path, Run]], tuple[str, ...]]] = {
    "savedmodel": (_saved_model, ()),
    "onnx": (_onnx, ("tf2onnx", "onnxruntime")),
    "openvino": (_openvino, ("openvino",)),
    "litert": (_litert, ()),
}
