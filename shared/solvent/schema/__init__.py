"""What each column is: kind, role, unit, range, levels; and which rows fit."""

from .check import Checked
from .field import Field
from .reasons import reason_kinds, without_cells
from .schema import Schema

__all__ = ["Checked", "Field", "Schema", "reason_kinds", "without_cells"]
