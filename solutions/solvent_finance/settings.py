"""What a user may set for credit risk, and what it reads and writes. Imports neither keras nor pandas."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from solvent import Column, Columns, Goal, Output, Section, Split, Training

__all__ = ["DECISIONS", "Credit", "Profit", "Scoring", "columns", "headline", "split"]

DECISIONS = ("approve", "refuse")  # below the cut-off, at or above it
Trend = Literal["rising", "falling", "auto"]
Direction = Literal["rising", "falling", "any"]


class Scoring(Section):
    """The part of the settings that a scoring job may replace.

    Args:
        cutoff: refuse a loan whose probability of default is at or above it; null takes the one of most profit
            that training chose.
    """

    cutoff: float | None = Field(None, ge=0, le=1)


class Profit(Section):
    """What each outcome brings: for each loan, or for each unit of its amount where a column `amount` is named.

    Args:
        repaid: a loan that was granted and repaid.
        defaulted: a loan that was granted and not repaid.
        refused_good: a loan that was refused and would have been repaid.
        refused_bad: a loan that was refused and would not have been repaid.
    """

    repaid: float = 1.0
    defaulted: float = -5.0
    refused_good: float = 0.0
    refused_bad: float = 0.0

    @model_validator(mode="after")
    def _right_decisions_pay(self) -> "Profit":
        if not (self.repaid > self.refused_good and self.defaulted < self.refused_bad):
            raise ValueError(
                "expected repaid above refused_good and defaulted below refused_bad: else one decision is always best"
            )
        return self


class Credit(Section):
    """Settings of credit risk.

    Args:
        positive: the level of the target that means default; its probability is scored.
        bins: at most so many bins for a number, of about equal numbers of training loans.
        rare: levels of a category with fewer training loans share one bin with unseen ones.
        smoothness: how strongly neighbouring bins are drawn together; several are tried, and the best on
            validation rows wins.
        shrinkage: how strongly a level is drawn to most of what it says alone, as so many loans would.
        pairs: how many pairs of columns may act together; several are tried, and the best on validation rows wins.
        folds: each network of the average leaves out one of so many folds of the training rows.
        repeats: how often the rows are dealt into folds; the average has `folds` times `repeats` networks.
        monotone: columns whose risk only rises or falls; `auto` finds the direction on training rows.
        base_points: points at odds of 1:1.
        points_to_double_odds: points that double the odds of repayment.
        reasons: how many reasons each loan gets at most.
        reference: what points are lost against: the column's `average` bin, or its `best`.
        words: a column's reason in words; without, its `meaning`, else its name.
        changeable: columns that an applicant can change, and in which direction.
        profit: what each outcome brings; it chooses the cut-off.
        budget: the share of all that is asked for that can be lent, in the report's portfolio.
        calibration: how the networks' log odds become probabilities.
    """

    positive: str = "bad"
    bins: int = Field(32, ge=2, le=255)
    rare: int = Field(20, ge=1)
    smoothness: tuple[Annotated[float, Field(ge=0)], ...] = Field((30.0, 100.0, 300.0), min_length=1)
    shrinkage: float = Field(60.0, gt=0)
    pairs: tuple[Annotated[int, Field(ge=0)], ...] = Field((0, 10, 20), min_length=1)
    folds: int = Field(8, ge=2)
    repeats: int = Field(2, ge=1)
    monotone: Mapping[str, Trend] = Field(default_factory=dict)
    base_points: int = Field(500, ge=-1_000_000, le=1_000_000)  # the network adds points up exactly below 2^24
    # below 10, rounding each bin to whole points would cost more than a tenth of a unit of log odds
    points_to_double_odds: float = Field(50.0, ge=10, le=10_000)
    reasons: int = Field(3, ge=1, le=10)
    reference: Literal["average", "best"] = "average"
    words: Mapping[str, str] = Field(default_factory=dict)
    changeable: Mapping[str, Direction] = Field(default_factory=dict)
    profit: Profit = Profit()
    budget: float = Field(0.5, gt=0, le=1)
    calibration: Literal["platt", "none"] = "platt"
    scoring: Scoring = Scoring()
    training: Training = Training(
        epochs=40, batch_size=256, learning_rate=0.02, schedule="cosine", patience=None, refit=True
    )


def columns(settings: Credit) -> Columns:
    reasons = (
        Output(name=f"reason_{number}", type="string", meaning=f"reason {number} for points lost", nullable=True)
        for number in range(1, settings.reasons + 1)
    )
    return Columns(
        inputs=(Column(name="amount", kind="number", required=False, meaning="amount of the loan"),),
        targets=(Column(name="target", kind="category", meaning="how the loan ended"),),
        features=("number", "category"),
        outputs=(
            Output(
                name="probability",
                type="float",
                chance_of="target" if settings.calibration != "none" else None,
                positive=settings.positive,
                meaning="probability of default, calibrated",
            ),
            Output(name="points", type="integer", meaning="points of the scorecard: more are better"),
            Output(
                name="class",
                type="string",
                predicts="target",
                adverse=settings.positive,
                meaning="the class that it comes to",
            ),
            Output(name="decision", type="string", meaning=f"{' or '.join(DECISIONS)}, by the cut-off"),
            *reasons,
        ),
    )


def headline(settings: Credit) -> Goal:
    return Goal("auc")


split = Split(by="stratified")
