"""How images are read, and a network for them is put together and trained: the settings of domains with images.

Imports no keras, so that settings stay instant to import; `finetune` does what is said here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from .augmentation import Augmentation
from .schedule import Training
from .solution import Decoder, Section
from .transfer import BACKBONES

__all__ = ["FineTune", "Head", "Reader", "Recipe", "problems", "refuse"]


class Head(Section):
    """What is trained on top of a backbone.

    Args:
        blocks: the averages over the feature maps of so many last blocks are its inputs, side by side.
        units: of a hidden layer; 0 for none.
        dropout: share of its inputs that each step leaves out; several are tried on frozen features, and the best on
            validation rows wins. A network that is trained from nothing takes the first.
    """

    blocks: int = Field(default=2, ge=1)
    units: int = Field(default=0, ge=0)
    dropout: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field(default=(0.2, 0.5), min_length=1)


class FineTune(Section):
    """Training of the backbone's last blocks too, one more in each stage; a stage that does not help is undone.

    Args:
        blocks: how many, from the top; 0 leaves all of them as they came.
        decay: a block's learning rate is that of the block above times this.
        training: of each stage. Layers of batch normalisation keep what they have learnt before.
    """

    blocks: int = Field(default=0, ge=0)
    decay: float = Field(default=0.3, gt=0, le=1)
    training: Training = Training(epochs=8, batch_size=32, learning_rate=3e-5, patience=3)


class Reader(Section):
    """The network that reads the images, and how they reach it: the settings that every domain with images has.

    Args:
        backbone: the network that reads the images; `cnn` and `mlp` are small ones, trained from nothing.
        weights: where the backbone's weights come from: imagenet (downloaded once); the path of a weights file (a
            relative one starts from the current folder); or none: then all of it is trained from a random start, which
            takes thousands of images. `cnn` and `mlp` have none.
        size: side of the images that it reads, in pixels; its own where it is not given.
        resize: how an image becomes a square: stretch, crop (the middle) or pad.
    """

    backbone: str = "vgg16"
    weights: str = "imagenet"
    size: int | None = Field(default=None, ge=8, le=2048)
    resize: Literal["stretch", "crop", "pad"] = "stretch"

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

    @property
    def decoder(self) -> Decoder | None:
        """Of image files that Pillow doesn't read; a domain that has such says how."""
        return None

    @property
    def problems(self) -> dict[str, bool]:
        """What may be wrong with settings that are each right, and whether it is."""
        about = BACKBONES[self.backbone]
        return {
            f"weights: the backbone {self.backbone} is trained from nothing; write weights: none": (
                about.constructor is None and self.weights != "none"
            ),
            f"size: the backbone {self.backbone} takes images of {about.least} pixels and more": (
                self.size is not None and self.size < about.least
            ),
        }


class Recipe(Reader):
    """How a network learns to tell classes of images: settings that a domain's own begin with, by inheriting this.

    Nothing else gives keys that stand beside a domain's own. What fits together `problems` says, which a domain calls.

    Args:
        head: what is trained on top; with weights: none it reads the last block alone.
        fine_tune: how many of the backbone's blocks are trained too.
        augmentation: changes that leave the class as it is.
        views: augmented views of each training image that a frozen backbone reads, beside the image itself. (Networks
            that are trained from the image on see another view in every epoch.)
        loss: `focal` lets easy rows count less.
        label_smoothing: share of the truth that is spread over all classes.
    """

    head: Head = Head()
    fine_tune: FineTune = FineTune()
    augmentation: Augmentation = Augmentation()
    views: int = Field(default=0, ge=0, le=64)
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    training: Training = Training(epochs=60, batch_size=64, learning_rate=2e-3, patience=8)

    @property
    def trained_from_the_image(self) -> bool:
        """Whether all blocks are trained in the end, so that each step reads images and not cached features."""
        return self.weights == "none" or self.fine_tune.blocks == len(BACKBONES[self.backbone].blocks)

    @property
    def trained_on_views(self) -> bool:
        """Whether training sees augmented images."""
        return self.augmentation != Augmentation() and (self.trained_from_the_image or self.views > 0)


def problems(recipe: Recipe, scored_views: int) -> dict[str, bool]:
    """What may be wrong with settings that are each right, and whether it is; a domain's settings add theirs.

    Args:
        scored_views: augmented views of each image that scoring reads too.
    """
    about, nothing = BACKBONES[recipe.backbone], recipe.weights == "none"
    blocks, off = len(about.blocks), recipe.augmentation.alone == Augmentation()
    whole, seen = recipe.trained_from_the_image, recipe.views or scored_views
    mixing = recipe.augmentation != recipe.augmentation.alone
    tuning = recipe.fine_tune.training
    return {
        **recipe.problems,
        f"head.blocks: the backbone {recipe.backbone} has {blocks} blocks": not nothing and recipe.head.blocks > blocks,
        f"fine_tune.blocks: the backbone {recipe.backbone} has {blocks} blocks": recipe.fine_tune.blocks > blocks,
        "fine_tune: with weights: none all blocks are trained; leave it out": nothing and recipe.fine_tune.blocks > 0,
        "views: with weights: none every epoch sees another view of each image; leave it out": nothing
        and recipe.views > 0,
        "views: augmentation is off, so all views would be alike; set some of it": recipe.views > 0 and off,
        "augmentation: a frozen backbone reads each image once, as it is; set views: 4, or leave it out": (
            not off and not whole and not seen
        ),
        "augmentation: mixup and cutmix mix images in each step, and a frozen backbone reads each once; leave "
        "them out, or use weights: none": mixing and (not whole or recipe.views > 0),
        "fine_tune.training: class_weight and refit are said in training, for all stages; leave them out here": (
            tuning.class_weight is not None or tuning.refit
        ),
        "training.refit: this solution does not fit on validation rows; leave it out": recipe.training.refit,
    }


def refuse(problems: Mapping[str, object]) -> None:
    """Raise ValueError with all that is wrong, in one message."""
    if found := [message for message, wrong in problems.items() if wrong]:
        raise ValueError("; ".join(found))
