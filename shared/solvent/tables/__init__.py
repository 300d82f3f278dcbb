"""Tables in and out: CSV, Parquet, SQL, class folders. It knows nothing of roles."""

from .delimited import BAD_ROW
from .parquet import NULLABLE, typed
from .source import Source, chunks, folder, label, read, write

__all__ = ["BAD_ROW", "NULLABLE", "Source", "chunks", "folder", "label", "read", "typed", "write"]
