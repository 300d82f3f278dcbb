"""Loaded first in every test process."""

# Before TensorFlow, which brings an SQLite of its own, without mathematical functions, that would be used instead.
import sqlite3  # noqa: F401
