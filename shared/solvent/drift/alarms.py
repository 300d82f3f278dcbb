"""When drift raises an alarm."""

from __future__ import annotations

from pydantic import Field

from ..solution import Section

__all__ = ["Alarms"]


class Alarms(Section):
    """When drift raises an alarm: a change that is large, and that chance doesn't explain.

    Millions of rows make the smallest change significant, and a handful makes any index large by chance; so a measure
    raises an alarm only where it passes its own threshold and its adjusted p-value lies under `significance`. The
    thresholds hold for inputs and outputs.

    Args:
        psi: the population stability index may be so large. By custom 0.1 to 0.25 is some shift, and more a large one.
        missing: the share of missing cells may be so much higher or lower than in training.
        unseen: the share of levels that training never had may be so much higher than what is to be expected: a
            column of many rare levels always has some.
        significance: the chance that a run in which nothing has moved raises any alarm at all, whatever the number of
            its columns.
        fewest_rows: with fewer scored rows no alarm is raised, and that is said.
        ignore: inputs (under the user's own names) and outputs that raise none, since they are known to move; a name
            that is neither is refused.

    Source: Siddiqi, Credit Risk Scorecards, 2006 (0.1 and 0.25).
    """

    psi: float = Field(default=0.25, gt=0, allow_inf_nan=False)
    missing: float = Field(default=0.05, ge=0, le=1)
    unseen: float = Field(default=0.01, ge=0, le=1)
    significance: float = Field(default=0.01, gt=0, lt=1)
    fewest_rows: int = Field(default=100, ge=1)
    ignore: tuple[str, ...] = ()
