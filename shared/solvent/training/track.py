"""Each epoch's numbers to TensorBoard and MLflow, for those who ask for it in `training.track`.

| what        | where it goes                                                                                    |
|-------------|--------------------------------------------------------------------------------------------------|
| TensorBoard | `track/tensorboard/STAGE` in the run's work folder, `NAME.track` beside the bundle in the end     |
| MLflow      | where MLflow was told to log: MLFLOW_TRACKING_URI, `mlflow.set_tracking_uri`, a run that is open |
| MLflow      | told nothing: `track/mlflow` there too; never ./mlruns or ./mlflow.db                            |

A stage is one MLflow run, nested in the caller's own if there is one. A stage that is resumed is a new one, as MLflow
can't take entries back. If MLflow fails later on, that is a warning: training goes on.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .. import workers
from ..errors import Refused, SolventError

if TYPE_CHECKING:
    from ..schedule import Training

__all__ = ["require", "tracking"]

log = logging.getLogger("solvent")
Write = Callable[[Mapping[str, float], int], None]


def require(track: Sequence[str]) -> None:
    """Look that what is asked for is installed.

    Raises:
        Refused: naming what to install.
    """
    for name in track:
        if importlib.util.find_spec(name) is None:
            raise Refused(f"settings.training.track: {name} is not installed: pip install 'solvent-suite[track]'")


@contextmanager
def tracking(training: Training, work: Path, stage: str) -> Iterator[Write]:
    """Give a function that writes an epoch's numbers (by name) and its number, counted from 1. Of several workers the
    chief writes.
    """
    kinds = {"tensorboard": _tensorboard, "mlflow": _mlflow}
    names = training.track if workers.chief() else ()
    with ExitStack() as stack:
        writers = [stack.enter_context(kinds[name](training, work / "track" / name, stage)) for name in names]

        def write(row: Mapping[str, float], epoch: int) -> None:
            for writer in writers:
                writer(row, epoch)

        yield write


@contextmanager
def _tensorboard(training: Training, folder: Path, stage: str) -> Iterator[Write]:
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(folder / stage))

    def write(row: Mapping[str, float], epoch: int) -> None:
        with writer.as_default(step=epoch):
            for name, value in row.items():
                tf.summary.scalar(name, value)
        writer.flush()

    yield write
    writer.close()


@contextmanager
def _mlflow(training: Training, folder: Path, stage: str) -> Iterator[Write]:
    # MLflow prints a run's address on standard output, where `--json` promises one object and nothing else.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # Nor does a training tell a third party that it took place, unless the user wants that.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow
    from mlflow.exceptions import MlflowException

    told = mlflow.is_tracking_uri_set() or mlflow.active_run() is not None  # type: ignore[no-untyped-call]
    if not told:
        # Of its local stores, the slim MLflow brings only this one, and wants it to be asked for.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        mlflow.set_tracking_uri(folder.absolute().as_uri())
    where = mlflow.get_tracking_uri()

    def write(row: Mapping[str, float], epoch: int) -> None:
        try:
            mlflow.log_metrics({re.sub(r"[^\w\-. /]", "_", name): value for name, value in row.items()}, step=epoch)
        except MlflowException as error:
            log.warning("epoch %d of %s is not in MLflow at %s: %s", epoch, stage, where, error)

    try:
        try:
            run = mlflow.start_run(run_name=stage, nested=True)
            mlflow.log_params(training.model_dump(mode="json"))
        except MlflowException as error:
            raise SolventError(
                f"settings.training.track: MLflow can't log to {where}: {error} Look at MLFLOW_TRACKING_URI, "
                "or leave mlflow out of track."
            ) from error
        with run:
            yield write
    finally:
        if not told:
            mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
