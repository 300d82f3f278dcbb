"""What a user may set for image classification, and what it reads and writes. Imports neither keras nor pandas."""

from typing import Literal, Self

from pydantic import Field, model_validator

from solvent import Column, Columns, Goal, Output, Section, Split
from solvent.augmentation import Augmentation
from solvent.recipe import Recipe, problems, refuse

__all__ = ["Distill", "Scoring", "Vision", "columns", "headline", "split"]


class Scoring(Section):
    """The part of the settings that a scoring job may replace.

    Args:
        views: augmented views of each image whose logits are averaged with its own; 0 for the image alone.
    """

    views: int = Field(0, ge=0, le=32)


class Distill(Section):
    """Learning from a larger network's answers, beside the labels.

    Args:
        teacher: a bundle of this solution with the same classes; a relative path starts from the current folder.
        weight: share of the teacher in the loss; the labels have the rest.
        temperature: softens the answers of both, so that the order among the wrong classes counts too.
            Source: Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network, 2015.
    """

    teacher: str
    weight: float = Field(0.7, gt=0, le=1)
    temperature: float = Field(2.0, gt=0)


class Vision(Recipe):
    """Settings of image classification: those of every network for images, and these.

    Args:
        labels: `one` class for each image, or `several`: the label cells are lists.
        distill: learn from a teacher too.
        check_labels: look for labels that are probably wrong, by models that have not seen them. On a frozen backbone's
            features that is cheap; with weights: none three more networks are trained, each on two thirds of the
            images. `auto` looks where it is cheap. Not for images of several labels.
    """

    labels: Literal["one", "several"] = "one"
    distill: Distill | None = None
    check_labels: Literal["auto", "always", "never"] = "auto"
    scoring: Scoring = Scoring()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """What one section asks for must be there in the others."""
        several, off = self.labels == "several", self.augmentation.alone == Augmentation()
        own = {
            "scoring.views: augmentation is off, so all views would be alike; set some of it": (
                self.scoring.views > 0 and off
            ),
            "training.class_weight: not for images of several labels; leave it out": (
                several and self.training.class_weight is not None
            ),
            "distill: not for images of several labels; leave it out": several and self.distill is not None,
            "check_labels: not for images of several labels; leave it out": several and self.check_labels == "always",
            "loss: focal and distill can't be combined; leave one out": (
                self.loss == "focal" and self.distill is not None
            ),
        }
        refuse({**problems(self, self.scoring.views), **own})
        return self


def columns(settings: Vision) -> Columns:
    image = Column(name="image", kind="image", meaning="path of the photo, from the table's folder on, or its bytes")
    probability = Output(
        name="probability",
        type="float",
        each="label",
        chance_of="label" if settings.labels != "several" else None,
        meaning="calibrated probability of the class",
    )
    if settings.labels == "several":
        return Columns(
            inputs=(image,),
            targets=(Column(name="label", kind="list", meaning="its classes"),),
            outputs=(Output(name="classes", type="list", meaning="the classes above their threshold"), probability),
        )
    return Columns(
        inputs=(image,),
        targets=(Column(name="label", kind="category", meaning="its class"),),
        outputs=(
            Output(name="class", type="string", predicts="label", meaning="the most probable class"),
            probability,
        ),
    )


def headline(settings: Vision) -> Goal:
    return Goal("average_precision" if settings.labels == "several" else "accuracy")


split = Split(by="stratified")
