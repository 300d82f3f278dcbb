"""Loaded first in every test process."""

import os

# Before TensorFlow, which brings an SQLite of its own, without mathematical functions, that would be used instead.
import sqlite3  # noqa: F401

if "PYTEST_XDIST_WORKER" in os.environ:
    # There are as many workers as cores. With more threads each, OpenMP's wait for one another by spinning: boosting
    # was measured to take up to twenty times as long.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
