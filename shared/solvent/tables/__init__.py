"""Tables in and out: CSV, Parquet, SQL, folders of images. It knows nothing of roles."""

from .delimited import BAD_ROW
from .parquet import NULLABLE, typed
from .source import Source, append_csv, chunks, ending, folder, label, read, ready_parts, with_files, write

__all__ = [
    "BAD_ROW",
    "NULLABLE",
    "Source",
    "append_csv",
    "chunks",
    "ending",
    "folder",
    "label",
    "read",
    "ready_parts",
    "typed",
    "with_files",
    "write",
]
