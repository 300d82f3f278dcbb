"""What every benchmark writes: its results, and under which protocol, versions, machine and day they were measured."""

import json
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["write"]


def write(path: Path, protocol: Mapping[str, Any], versions: Mapping[str, str], **found: Any) -> None:
    """Write what was found as JSON, and how.

    Args:
        versions: of the packages that were measured.
    """
    about = {
        **protocol,
        "versions": {"python": platform.python_version(), **versions},
        "cpus": os.cpu_count(),
        "date": time.strftime("%Y-%m-%d"),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**found, "protocol": about}, indent=2) + "\n")
