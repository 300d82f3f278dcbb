"""Loaded first in every test process."""

import os

# Before TensorFlow, which brings an SQLite of its own, without mathematical functions, that would be used instead.
import sqlite3  # noqa: F401

if "PYTEST_XDIST_WORKER" in os.environ:
    # There are as many workers as cores. With more threads each, OpenMP's wait for one another by spinning: a report's
    # fixture with boosting took 12.6 s alone, and 40 s and more beside other work.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
