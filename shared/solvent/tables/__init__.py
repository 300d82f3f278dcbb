"""Tables in and out: CSV, Parquet, SQL, class folders. It knows nothing of roles."""

from .delimited import BAD_ROW
from .parquet import NULLABLE, typed
from .source import Source, append_csv, chunks, folder, label, read, write

__all__ = ["BAD_ROW", "NULLABLE", "Source", "append_csv", "chunks", "folder", "label", "read", "typed", "write"]
