"""A bundle's own validation rows, found again by the config that it holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .. import config as configs
from ..errors import Refused
from ..prepare import prepare
from ..solution import JSON, Table

if TYPE_CHECKING:
    from ..bundle import Bundle

__all__ = ["rows"]


def rows(bundle: Bundle, config: str | Path | None = None) -> Table:
    """The rows that chose and calibrated when the bundle was trained, good ones only, with their targets.

    Args:
        config: a YAML file whose `data` part is read in place of the bundle's own, where the data has moved.

    Raises:
        Refused: if the data is not there any more, or is not what the bundle was trained on.
    """
    given: Mapping[str, JSON] = bundle.facts["config"]
    if config is None:
        base = Path(bundle.facts.get("config_folder", ""))
        where = f"the data that its config names (relative paths start from {base.resolve()})"
    else:
        data, base, where = configs.load(config).given["data"], Path(config).parent, f"the data of {config}"
        given = {**given, "data": data}
    cure = "Give a config whose `data` names the same rows where they are now: --config CONFIG."
    try:
        prepared = prepare(configs.load(given, base=base))
    except Refused as error:
        raise Refused(
            f"{bundle.path}: its validation rows were looked for in {where}, and:\n{error}\n{cure}"
        ) from error
    if prepared.facts["sha256"] != bundle.facts["data"]["sha256"]:
        raise Refused(
            f"{bundle.path}: {where} holds {prepared.facts['rows']} rows that are not those that it was trained on "
            f"({bundle.facts['data']['rows']} rows; the sums of their cells and parts differ). {cure}"
        )
    return prepared.part("valid")
