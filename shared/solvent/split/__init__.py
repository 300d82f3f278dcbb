"""Cut a table into training, validation and test rows.

What is never torn apart, whatever `by` says:

- an entity (or a group, where no column has the role `entity`): a patient's images, a machine's series;
- copies of a text or an image.

Rows that belong together make a *unit*, and units are dealt out. Where the order of time or a column decides, a unit
goes to the latest part that any of its rows goes to. Two choices are the user's own and tear entities: `within`, if it
names the entity's column, and `column`; the scan then refuses them unless they are allowed.

Domains import `Split` for their settings, so what needs numpy and pandas is in `cutting` and imported by the first cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field as Setting
from pydantic import field_validator, model_validator

from ..solution import JSON, Section

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from ..schema import Schema
    from ..solution import Data

__all__ = ["PARTS", "Bags", "Parts", "Split", "bags", "cut", "folds", "halves", "parts", "refuse_lost_classes"]

PARTS = ("train", "valid", "test")


class Split(Section):
    """How a table is cut into training, validation and test rows.

    Args:
        by: `random`; `stratified` keeps the shares of the target's classes (of its deciles, if it is a number);
            `group` cuts whole groups; `time` trains on the oldest rows; `last` tests on the last rows of each
            value of `within`; `column` follows a column that holds train, valid or test.
        fractions: of train, valid and test; they sum to 1. A part whose fraction is 0 stays empty.
        within: for `random` and `last`: each value of this column (a user) is cut on its own.
        column: for `column`: the column that names the part of each row.
        folds: an out-of-fold report over this many folds, at least 2.
    """

    by: Literal["random", "stratified", "group", "time", "last", "column"] = "random"
    fractions: tuple[
        Annotated[float, Setting(ge=0, le=1)],
        Annotated[float, Setting(ge=0, le=1)],
        Annotated[float, Setting(ge=0, le=1)],
    ] = (0.6, 0.2, 0.2)
    seed: int = Setting(default=0, ge=0, le=2**32 - 1)
    within: str | None = None
    column: str | None = None
    folds: int | None = Setting(default=None, ge=2)

    @field_validator("fractions")
    @classmethod
    def _sum_to_one(cls, fractions: tuple[float, float, float]) -> tuple[float, float, float]:
        if not abs(sum(fractions) - 1) < 1e-6:
            raise ValueError(
                f"the fractions of train, valid and test sum to {sum(fractions):g}; they must sum to 1, "
                "for example [0.6, 0.2, 0.2]."
            )
        if fractions[0] == 0:
            raise ValueError("the fraction of train is 0; training needs rows, for example [0.6, 0.2, 0.2].")
        return fractions

    @model_validator(mode="after")
    def _keys_fit_together(self) -> Split:
        problems = []
        if self.by == "last" and self.within is None:
            problems.append("by: last needs within: COLUMN, whose values have their last rows tested; or use by: time")
        if self.within is not None and self.by not in ("random", "last"):
            problems.append(f"within goes with by: random or by: last, not with by: {self.by}; leave it out")
        if self.by == "column" and self.column is None:
            problems.append("by: column needs column: COLUMN, which holds train, valid or test in each row")
        if self.column is not None and self.by != "column":
            problems.append(f"column goes with by: column, not with by: {self.by}; leave it out")
        if self.folds is not None and self.by not in ("random", "stratified", "group"):
            problems.append(f"folds go with by: random, stratified or group, not with by: {self.by}; leave them out")
        if problems:
            raise ValueError("; ".join(problems) + ".")
        return self

    def untested(self) -> Split:
        """The same split without a test part: for training rows whose test rows are given apart, or missing."""
        train, valid, _ = self.fractions
        fractions = (train / (train + valid), valid / (train + valid), 0.0)
        return self.model_copy(update={"fractions": fractions, "folds": None})


@dataclass(frozen=True)
class Parts:
    """Where the rows of a table go.

    Args:
        train, valid, test: positions of rows, sorted, disjoint; together they are all rows.
        facts: what a reader of the report needs to know: by, seed, rows, boundaries, what was kept together.
    """

    train: NDArray[np.int64]
    valid: NDArray[np.int64]
    test: NDArray[np.int64]
    facts: dict[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True)
class Bags:
    """Who learns from which rows, and which rows choose and calibrate.

    Args:
        rows: the training rows, then the validation rows.
        seen: which model learns from which row, bool, shape `(rows, models)`.
        choosing: positions of the rows that choose.
        calibrating: positions of the rows that calibrate and cut off.
        valid: positions of the validation rows.
        chosen_on: the choosing rows in words, for `facts["choices"]`.
        calibrated_on: the calibrating rows in words.
    """

    rows: pd.DataFrame
    seen: NDArray[np.bool_]
    choosing: NDArray[np.int64]
    calibrating: NDArray[np.int64]
    valid: NDArray[np.int64]
    chosen_on: str
    calibrated_on: str

    @property
    def learnt(self) -> NDArray[np.int64]:
        """Positions of the rows that some model learns from."""
        import numpy as np

        return np.flatnonzero(self.seen.any(axis=1))

    def unseen(self, scores: NDArray[np.float64], positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Each row's mean score over the models that have not seen it; NaN where all have.

        Args:
            scores: of the rows at `positions`, shape `(rows, models)`.
        """
        import numpy as np

        by = ~self.seen[positions]
        count = by.sum(axis=1)
        return np.asarray(np.where(count > 0, np.where(by, scores, 0).sum(axis=1) / np.maximum(count, 1), np.nan))


def cut(table: pd.DataFrame, split: Split, schema: Schema) -> Parts:
    """Cut a table into training, validation and test rows.

    Args:
        table: house names; cells may still be raw strings.

    Raises:
        Refused: if a column that `by` needs is not there, or a part would be empty.
    """
    from . import cutting

    return cutting.cut(table, split, schema)


def halves(table: pd.DataFrame, schema: Schema, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cut a validation table in two: rows to choose by, and rows to calibrate on that chose nothing.

    Whole entities or groups stay on one side, copies too; the shares of a category target's classes are kept.

    Raises:
        Refused: if there are fewer than two units to cut.
    """
    from . import cutting

    return cutting.halves(table, schema, seed)


def bags(data: Data, *, refit: bool, folds: int, repeats: int = 1) -> Bags:
    """Deal the rows that are learnt from into folds, for models that each leave one out; entities, groups and copies
    stay whole, the shares of a category target's classes are kept.

    Args:
        refit: learn from the validation rows too. Then every row chooses and calibrates by its out-of-fold scores; else
            one half of the validation rows chooses and the other calibrates.
        folds: 1 leaves nothing out.
        repeats: how often the rows are dealt out; there are `folds` times `repeats` models.

    Raises:
        Refused: if the rows can't be cut.
    """
    from . import bagging

    return bagging.bags(data, refit=refit, folds=folds, repeats=repeats)


def parts(
    table: pd.DataFrame, schema: Schema, folds: int, seed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Deal training rows into folds, for models that each leave one out; entities, groups and copies stay whole, the
    shares of a category target's classes are kept.

    Returns:
        For each fold the positions that are learnt from, and those that are left out.

    Raises:
        Refused: if fewer units than folds can be kept apart.
    """
    import numpy as np

    from . import cutting

    number = cutting.fold_numbers(table, schema, folds, seed, 0)
    return [(np.flatnonzero(number != fold), np.flatnonzero(number == fold)) for fold in range(folds)]


def folds(table: pd.DataFrame, split: Split, schema: Schema) -> list[Parts]:
    """Cut a table `split.folds` times: every row is tested once, validation rows are cut from the rest.

    Raises:
        Refused: if the split names no folds, or there are fewer units than folds.
    """
    from . import cutting

    return cutting.folds(table, split, schema)


def refuse_lost_classes(table: pd.DataFrame, cuts: Sequence[Parts], schema: Schema, seed: int) -> None:
    """Refuse folds in which a class is lost, before anything is trained: a rare one needs rows in every fold.

    Args:
        table: typed good rows, which the positions of `cuts` are of.
        seed: that validation rows are cut in two by.

    Raises:
        Refused: if the training part of a fold lacks a class, or the validation rows that choose, or those that
            calibrate, are of one class.
    """
    from . import classes

    classes.refuse_lost_classes(table, cuts, schema, seed)
