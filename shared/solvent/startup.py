"""Import TensorFlow without its start-up notes on standard error."""

from __future__ import annotations

import os
import re
import sys
import tempfile

__all__ = ["tensorflow"]

# Notes of level I about CPU features and missing GPU libraries, and the line that announces them. TensorFlow 2.21
# writes them whatever TF_CPP_MIN_LOG_LEVEL says, straight to file descriptor 2.
NOISE = re.compile(rb"(WARNING: All log messages before absl::InitializeLog|I0000 |\d{4}-\d\d-\d\d [\d:.]+: I )")


def tensorflow() -> None:
    """Import TensorFlow and Keras; warnings and errors still reach standard error."""
    # Memory as it is needed, not all of a GPU at once. TensorFlow reads this when it first touches a GPU, and from
    # Python it can be set only before that, so the environment is the one place that always counts.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if "tensorflow" in sys.modules:
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            import keras  # noqa: F401
            import tensorflow as tf

            tf.config.list_physical_devices()  # the search for GPUs has notes of its own
        finally:
            os.dup2(original, 2)
            os.close(original)
            caught.seek(0)
            for line in caught:
                if not NOISE.match(line):
                    os.write(2, line)
