"""One column as the house knows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..solution import Decoder, Kind, Role
from .kinds import canonical

__all__ = ["Field"]


@dataclass(frozen=True, kw_only=True)
class Field:
    """A column as the house knows it.

    Args:
        name: inside the house.
        source: the user's own name of the column.
        kind: None until `Schema.learn` has found it, and for what only passes through.
        required: whether a missing cell makes its row bad; of a target, in training.
        shared: whether equal texts or images in it are ordinary, and no copies.
        decoder: of images that Pillow doesn't read.
        scored_only: whether only tables that are scored may have it.
        open: whether a target's classes may be others than those of the training rows.
        named: whether the solution names this column; others have a general role, or are features by their kind.
        allowed: the declared range, both ends included.
        codes: declared cells that mean "no information".
        low, high: range of the finite training values, codes left out.
        levels: categories in the training rows, sorted, codes left out.
        missing: share of the training rows, in [0, 1].
        mean, deviation: of the finite training values, codes left out; the population's deviation.
        longest: characters of the longest training text.
    """

    name: str
    source: str
    role: Role
    kind: Kind | None = None
    required: bool = False
    shared: bool = False
    decoder: Decoder | None = None
    scored_only: bool = False
    open: bool = False
    named: bool = False
    unit: str | None = None
    meaning: str = ""
    allowed: tuple[float, float] | None = None
    codes: tuple[str | float, ...] = ()
    low: float | None = None
    high: float | None = None
    levels: tuple[str, ...] | None = None
    missing: float = 0.0
    mean: float | None = None
    deviation: float | None = None
    longest: int | None = None

    @property
    def words(self) -> list[str]:
        """The codes that are words."""
        return [code for code in self.codes if isinstance(code, str)]

    @property
    def states(self) -> list[Any]:
        """The codes as the cells of a checked table have them; each is a state of its own.

        A word among numbers is read as missing, so it is none.
        """
        if self.kind == "number":
            return [code for code in self.codes if not isinstance(code, str)]
        return [canonical(code) for code in self.codes]

    def is_needed(self, targets: bool) -> bool:
        """Whether a table must have it: training needs all; scoring no target, and nothing that only splits."""
        if self.scored_only:
            return False
        if self.role == "target":
            return targets
        return targets or self.required or self.role in ("feature", "entity", "id", "passthrough")

    def is_read(self, targets: bool) -> bool:
        """Whether this column is read where a table has it."""
        if self.scored_only:
            return not targets
        return self.is_needed(targets) or (self.named and self.role != "target")
