"""The folder of a training that is under way: locked while it runs, kept when it is killed, gone when it is done."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .config import Run
from .errors import Refused
from .files import held, sha256
from .prepare import Prepared, fingerprint
from .promises import BrokenPromise
from .record import plain, versions

__all__ = ["identify", "work_folder"]

log = logging.getLogger("solvent")


@contextmanager
def work_folder(out: Path, identity: str, resume: bool, worker: int = 0) -> Iterator[Path]:
    """Give the work folder of the bundle `out`; it is kept if the block is killed or fails in a way that may pass.

    Args:
        identity: of the training, as `identify` gives it.
        worker: the number of this one of several; all but the chief, 0, have folders of their own beside its.

    Raises:
        Locked: if another process trains there.
        Refused: if an unfinished training is there and `resume` is false, or it was of another config, other rows,
            other code or other versions.
    """
    work = out.parent / f".{out.name}{f'.worker-{worker}' if worker else ''}.work"
    with held(work, f"Another training is at work in {work}. Wait for it, or name another --out."):
        _check(work, identity, resume)
        try:
            yield work
        except (BrokenPromise, Refused):
            shutil.rmtree(work)  # the same command would fail again, and a mended one can't go on from here
            raise
        _keep_tracks(work, out)
        shutil.rmtree(work)


def _check(work: Path, identity: str, resume: bool) -> None:
    mark = work / "identity"
    started = any(work.glob("*/stages/*/checkpoint.npz"))
    if started and not resume:
        raise Refused(
            f"{work} holds an unfinished training. Add --resume to go on, or delete that folder to start again."
        )
    if started and mark.read_text() != identity:
        raise Refused(
            f"{work} holds a training of another config, other rows, other weights, other code or other versions: it "
            "can't go on. Put back what changed, or delete that folder and train without --resume."
        )
    if resume and not started:
        log.warning("nothing to resume at %s: starting from the beginning", work)
    mark.write_text(identity)


def identify(run: Run, prepared: Prepared) -> str:
    """A hash of all that a training depends on."""
    parts: dict[str, Any] = {
        "settings": run.settings.model_dump(mode="json"),
        "data": run.data.model_dump(mode="json"),
        "device": run.device.model_dump(mode="json"),
        "rows": prepared.facts["sha256"],
        "side": {name: fingerprint(table) for name, table in prepared.side.items()},
        "outside": dict(prepared.outside),
        "code": _code(run.solution.settings.__module__),
        "versions": versions(run.name),
    }
    return hashlib.sha256(json.dumps(plain(parts), sort_keys=True).encode()).hexdigest()


def _code(module: str) -> dict[str, str]:
    """The hash of each file of the package that a solution's settings live in, or of its one module."""
    loaded = sys.modules[module]
    file = Path(loaded.__file__ or "")
    files = sorted(file.parent.rglob("*.py")) if loaded.__package__ else [file]
    return {str(path.relative_to(file.parent)): sha256(path) for path in files}


def _keep_tracks(work: Path, out: Path) -> None:
    """What TensorBoard or MLflow wrote in the work folder stays, beside the bundle, as NAME.track."""
    for track in work.glob("run/track"):
        kept = out.with_name(f"{out.name}.track")
        shutil.rmtree(kept, ignore_errors=True)
        shutil.move(track, kept)
