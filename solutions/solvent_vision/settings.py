"""What a user may set for image classification, and what it reads and writes. Imports neither keras nor pandas."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from solvent import Column, Columns, Goal, Output, Section, Split, Training
from solvent.augmentation import Augmentation
from solvent.recipe import FineTune, Head
from solvent.transfer import BACKBONES

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


class Vision(Section):
    """Settings of image classification.

    Args:
        backbone: the network that reads the images; `cnn` and `mlp` are small ones, trained from nothing.
        weights: where the backbone's weights come from: imagenet (downloaded once); the path of a weights file (a
            relative one starts from the current folder); or none: then all of it is trained from a random start, which
            takes thousands of images. `cnn` and `mlp` have none.
        size: side of the images that it reads, in pixels; its own where it is not given.
        resize: how an image becomes a square: stretch, crop (the middle) or pad.
        labels: `one` class for each image, or `several`: the label cells are lists.
        head: what is trained on top; with weights: none it reads the last block alone.
        fine_tune: how many of the backbone's blocks are trained too.
        augmentation: changes that leave the class as it is.
        views: augmented views of each training image that a frozen backbone reads, beside the image itself. (Networks
            that are trained from the image on see another view in every epoch.)
        loss: `focal` lets easy rows count less.
        label_smoothing: share of the truth that is spread over all classes.
        distill: learn from a teacher too.
        check_labels: look for labels that are probably wrong, by models that have not seen them. On a frozen backbone's
            features that is cheap; with weights: none three more networks are trained, each on two thirds of the
            images. `auto` looks where it is cheap. Not for images of several labels.
    """

    backbone: str = "vgg16"
    weights: str = "imagenet"
    size: int | None = Field(None, ge=8, le=2048)
    resize: Literal["stretch", "crop", "pad"] = "stretch"
    labels: Literal["one", "several"] = "one"
    head: Head = Head()
    fine_tune: FineTune = FineTune()
    augmentation: Augmentation = Augmentation()
    views: int = Field(0, ge=0, le=64)
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    distill: Distill | None = None
    check_labels: Literal["auto", "always", "never"] = "auto"
    scoring: Scoring = Scoring()
    training: Training = Training(epochs=60, batch_size=64, learning_rate=2e-3, patience=8)

    @model_validator(mode="before")
    @classmethod
    def _small_ones_have_no_weights(cls, given: Any) -> Any:
        about = BACKBONES.get(given.get("backbone", "")) if isinstance(given, Mapping) else None
        return {"weights": "none", **given} if about is not None and about.constructor is None else given

    @field_validator("backbone")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in BACKBONES:
            raise ValueError(f"expected one of {', '.join(BACKBONES)}")
        return name

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """What one section asks for must be there in the others."""
        about, nothing, several = BACKBONES[self.backbone], self.weights == "none", self.labels == "several"
        blocks, off = len(about.blocks), self.augmentation.alone == Augmentation()
        whole = self.trained_from_the_image
        mixing = self.augmentation != self.augmentation.alone
        tuning = self.fine_tune.training
        problems = {
            f"weights: the backbone {self.backbone} is trained from nothing; write weights: none": (
                about.constructor is None and not nothing
            ),
            f"head.blocks: the backbone {self.backbone} has {blocks} blocks": not nothing and self.head.blocks > blocks,
            f"fine_tune.blocks: the backbone {self.backbone} has {blocks} blocks": self.fine_tune.blocks > blocks,
            "fine_tune: with weights: none all blocks are trained; leave it out": nothing and self.fine_tune.blocks > 0,
            "views: with weights: none every epoch sees another view of each image; leave it out": nothing
            and self.views,
            "views: augmentation is off, so all views would be alike; set some of it": self.views and off,
            "scoring.views: augmentation is off, so all views would be alike; set some of it": (
                self.scoring.views and off
            ),
            "augmentation: a frozen backbone reads each image once, as it is; set views: 4, or leave it out": (
                not off and not whole and not self.views and not self.scoring.views
            ),
            f"size: the backbone {self.backbone} takes images of {about.least} pixels and more": (
                self.size is not None and self.size < about.least
            ),
            "augmentation: mixup and cutmix mix images in each step, and a frozen backbone reads each once; leave "
            "them out, or use weights: none": mixing and (not whole or self.views),
            "training.class_weight: not for images of several labels; leave it out": (
                several and self.training.class_weight is not None
            ),
            "distill: not for images of several labels; leave it out": several and self.distill,
            "check_labels: not for images of several labels; leave it out": several and self.check_labels == "always",
            "fine_tune.training: class_weight and refit are said in training, for all stages; leave them out here": (
                tuning.class_weight is not None or tuning.refit
            ),
            "loss: focal and distill can't be combined; leave one out": self.loss == "focal" and self.distill,
            "training.refit: this solution does not fit on validation rows; leave it out": self.training.refit,
        }
        if found := [message for message, wrong in problems.items() if wrong]:
            raise ValueError("; ".join(found))
        return self

    @property
    def trained_from_the_image(self) -> bool:
        """Whether all blocks are trained in the end, so that each step reads images and not cached features."""
        return self.weights == "none" or self.fine_tune.blocks == len(BACKBONES[self.backbone].blocks)

    @property
    def trained_on_views(self) -> bool:
        """Whether training sees augmented images."""
        return self.augmentation != Augmentation() and (self.trained_from_the_image or self.views > 0)


def columns(settings: Vision) -> Columns:
    image = Column(name="image", kind="image", meaning="path of the photo, from the table's folder on, or its bytes")
    probability = Output(name="probability", type="float", each="label", meaning="calibrated probability of the class")
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
