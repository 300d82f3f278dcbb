"""Log records as JSON, one object a line, for a system that collects logs."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

__all__ = ["AsJSON", "as_json"]


class AsJSON(logging.Formatter):
    """Writes `{"time", "level", "logger", "message"}`, a record's own `fields`, `"traceback"` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        said |= getattr(record, "fields", {})
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


def as_json() -> bool:
    """Whether Solvent's log is written as JSON, so that nothing else may stand between its lines."""
    return any(isinstance(handler.formatter, AsJSON) for handler in logging.getLogger("solvent").handlers)
