"""What the processor computes by itself. Elsewhere a precision is slow, or gives other numbers than those accepted."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["instructions", "lacks", "threads"]

NEEDS = {"bf16": ("amx_bf16", "avx512_bf16"), "int8": ("amx_int8", "avx512_vnni", "avx_vnni")}  # one of them


def lacks(precision: str) -> str | None:
    """What is missing here for a precision, in words; None where nothing is."""
    needed = NEEDS.get(precision)
    if needed is None or instructions().intersection(needed):
        return None
    return f"this processor has none of {', '.join(needed)}"


def instructions() -> frozenset[str]:
    """The instruction sets as Linux names them; none where it is not Linux on x86."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.is_file() else []
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    return frozenset(flags.split())


def threads() -> int:
    """How many threads may compute at once: what a job's limits say, or else one for each processor."""
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
