"""What each column is: kind, role, unit, range, levels; and which rows fit."""

from .check import Checked
from .field import Field
from .schema import Schema

__all__ = ["Checked", "Field", "Schema"]
