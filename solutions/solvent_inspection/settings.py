"""What a user may set for the inspection of parts, and what it reads and writes. Imports neither keras nor pandas."""

from typing import Literal, Self

from pydantic import Field, model_validator

from solvent import Column, Columns, Goal, Meaning, Output, Section, Split
from solvent.recipe import Reader, refuse
from solvent.schedule import Training
from solvent.transfer import BACKBONES

__all__ = ["MEANINGS", "Costs", "Inspection", "Threshold", "columns", "headline", "split"]


class Costs(Section):
    """What wrong decisions cost, in any one unit.

    Args:
        missed: a bad part that passes.
        false_alarm: a good part that is stopped.
        defect_rate: the share of bad parts on the line; that of labelled photos is whatever was collected.
    """

    missed: float = Field(gt=0)
    false_alarm: float = Field(default=1.0, gt=0)
    defect_rate: float = Field(gt=0, lt=1)


class Threshold(Section):
    """From which score on a part is bad.

    Args:
        false_alarms: at most this share of good parts is stopped; kept by validation parts that chose nothing.
        confidence: how sure that promise is, over draws of independent parts. With a column `group` the threshold
            lies where it would without one, but nothing is promised: a new lot may differ from all others.
        costs: cut where wrong decisions cost least instead, which takes labelled defects among the validation parts.
            It promises nothing.
    """

    false_alarms: float = Field(default=0.05, gt=0, lt=1)
    confidence: float = Field(default=0.95, gt=0, lt=1)
    costs: Costs | None = None


class Inspection(Reader):
    """Settings of inspection: how images are read, and these.

    Args:
        good: the labels of parts as they should be; every other label is a defect.
        method: what is kept of good parts: a `memory` of their patches, from which a new patch is as odd as it is far
            from the nearest one; or a `gaussian` at each place, for parts that always lie alike in the photo.
        patches: how many the memory holds at most.
        threshold: from which score on a part is bad.
        training: of a network without weights, on good parts into which places are cut and pasted; its last epoch is
            kept, so that no row chooses.
    """

    good: tuple[str, ...] = Field(default=("good",), min_length=1)
    method: Literal["memory", "gaussian"] = "memory"
    patches: int = Field(default=2000, ge=10)
    threshold: Threshold = Threshold()
    training: Training = Training(epochs=8, batch_size=32, learning_rate=3e-3, patience=None, keep="last")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        refuse(
            {
                **self.problems,
                f"backbone: {self.backbone} knows no places; take one with convolutions": (
                    BACKBONES[self.backbone].convolution is None
                ),
                "training.class_weight: there are no classes to learn; leave it out": (
                    self.training.class_weight is not None
                ),
                "training.refit: the threshold needs parts that were not learnt from; leave it out": (
                    self.training.refit
                ),
            }
        )
        return self


def columns(settings: Inspection) -> Columns:
    return Columns(
        inputs=(
            Column(name="image", kind="image", meaning="path of the photo, from the table's folder on, or its bytes"),
        ),
        targets=(
            Column(
                name="label", kind="category", open=True, meaning=f"{' or '.join(settings.good)}, or a kind of defect"
            ),
        ),
        outputs=(
            Output(name="score", type="float", meaning="how odd it is, 0 to 1; half of the good parts are under 0.5"),
            Output(name="decision", type="string", meaning="good or bad: bad from the threshold on"),
            Output(name="p_value", type="float", meaning="share of good parts that look as odd"),
        ),
    )


def headline(settings: Inspection) -> Goal:
    return Goal("auc")


split = Split(by="stratified")

MEANINGS = {
    "auc": Meaning("chance that a bad part is scored higher than a good one; without bad ones not known", True),
    "average_precision": Meaning("area under precision and recall of bad parts; guessing gives their share", True),
    "sensitivity": Meaning("share of the bad parts that are stopped", True),
    "false_alarm_rate": Meaning("share of the good parts that are stopped", False),
    "precision": Meaning("share of the stopped parts that are bad, among these rows", True),
    "cost": Meaning("of wrong decisions, for each part on the line, at its share of bad parts", False),
}
