"""Tables in and out: CSV, JSON Lines, Parquet, SQL, folders of them and of images. It knows nothing of roles."""

from .delimited import BAD_ROW
from .opening import is_table
from .parquet import NULLABLE, typed
from .source import Source, chunks, files, folder, label, place, read, ready_parts, rows
from .writing import append_csv, append_jsonl, ending, with_files, write

__all__ = [
    "BAD_ROW",
    "NULLABLE",
    "Source",
    "append_csv",
    "append_jsonl",
    "chunks",
    "ending",
    "files",
    "folder",
    "is_table",
    "label",
    "place",
    "read",
    "ready_parts",
    "rows",
    "typed",
    "with_files",
    "write",
]
