"""A model as OpenVINO runs it: converted, quantised, compiled for this machine's processor."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Refused
from . import saved_model, symbolic
from .processor import threads

if TYPE_CHECKING:
    import keras
    import openvino as ov

__all__ = ["compiled", "convert", "quantised", "write"]

HINTS = {"float32": "f32", "bf16": "bf16"}


def convert(model: keras.Model, rows: int | None) -> ov.Model:
    """The model in OpenVINO's form, for batches of `rows` rows, or of any number.

    Raises:
        Refused: if it has an operation that OpenVINO doesn't know, or doesn't say what its inputs are.
    """
    import openvino as ov
    from openvino.frontend import GeneralFailure, NotImplementedFailure, OpConversionFailure, OpValidationFailure

    with tempfile.TemporaryDirectory() as folder:
        saved_model.write(model, Path(folder), rows)
        try:
            # Not ov.convert_model: it knows fewer operations (no LSTM), and sends statistics of its use to Intel.
            return ov.Core().read_model(folder)
        except (RuntimeError, GeneralFailure, NotImplementedFailure, OpConversionFailure, OpValidationFailure) as error:
            raise Refused(f"The model {model.name} can't be converted to OpenVINO: {_first_lines(error)}") from error


def quantised(converted: ov.Model, batches: Sequence[Mapping[str, np.ndarray]], *, attention: bool = False) -> ov.Model:
    """The model with weights and activations of 8 bits, ranges taken from batches of its inputs.

    Args:
        attention: whether it is a transformer, whose scores of attention stay as they are.

    Source: post-training quantisation with fast bias correction, https://github.com/openvinotoolkit/nncf.
    """
    os.environ.setdefault("NNCF_CI", "1")  # else it sends statistics of its use to Intel
    import nncf

    nncf.set_log_level(30)
    with contextlib.redirect_stdout(io.StringIO()):  # progress bars
        return nncf.quantize(
            converted,
            nncf.Dataset(list(batches)),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(batches),
            model_type=nncf.ModelType.TRANSFORMER if attention else None,
        )


def write(converted: ov.Model, path: Path) -> None:
    """Write the model as PATH (.xml) and its weights beside it (.bin), in full precision."""
    import openvino as ov

    ov.save_model(converted, path, compress_to_fp16=False)


def compiled(path: Path, precision: str, model: keras.Model) -> Callable[[Any], Any]:
    """The model of a file, ready for batches of arrays, with the same tree of inputs and outputs as `model`.

    Args:
        precision: one of HINTS, of all that is not quantised.
    """
    import keras
    import openvino as ov

    request = (
        ov.Core()
        .compile_model(
            path,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": HINTS[precision],
                "PERFORMANCE_HINT": "LATENCY",  # one batch at a time, on all processors
                "INFERENCE_NUM_THREADS": threads(),
            },
        )
        .create_infer_request()
    )
    outputs = symbolic.outputs(model)
    names = [f"output_{i}" for i in range(len(keras.tree.flatten(outputs)))]
    alone = threading.Lock()  # a request runs once at a time

    def run(batch: Any) -> Any:
        with alone:
            found = request.infer(saved_model.named(model, batch), share_inputs=True)
            arrays = [np.array(found[name], np.float32) for name in names]
        return keras.tree.pack_sequence_as(outputs, arrays)

    return run


def _first_lines(error: Exception) -> str:
    """OpenVINO's own words, without the place in its source and the advice to extend it."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(("Check '", "FrontEnd API", "To facilitate"))]
    return " ".join(said[:4]) or type(error).__name__
