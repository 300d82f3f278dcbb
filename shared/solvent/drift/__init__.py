"""The scored data beside the training data: what a bundle keeps for it, counts of each part, the comparison, alarms."""

from .alarms import Alarms
from .compare import Drift, compare
from .counts import Counts
from .distribution import reference
from .expected import Expected, chances
from .moved import Moved

__all__ = ["Alarms", "Counts", "Drift", "Expected", "Moved", "chances", "compare", "reference"]
