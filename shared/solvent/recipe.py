"""How a network for images is put together and trained: sections that every domain with images embeds.

Imports no keras, so that settings stay instant to import; `finetune` does what is said here.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .schedule import Training
from .solution import Section

__all__ = ["FineTune", "Head"]


class Head(Section):
    """What is trained on top of a backbone.

    Args:
        blocks: the averages over the feature maps of so many last blocks are its inputs, side by side.
        units: of a hidden layer; 0 for none.
        dropout: share of its inputs that each step leaves out; several are tried on frozen features, and the best on
            validation rows wins. A network that is trained from nothing takes the first.
    """

    blocks: int = Field(2, ge=1)
    units: int = Field(0, ge=0)
    dropout: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field((0.2, 0.5), min_length=1)


class FineTune(Section):
    """Training of the backbone's last blocks too, one more in each stage; a stage that does not help is undone.

    Args:
        blocks: how many, from the top; 0 leaves all of them as they came.
        decay: a block's learning rate is that of the block above times this.
        training: of each stage. Layers of batch normalisation keep what they have learnt before.
    """

    blocks: int = Field(0, ge=0)
    decay: float = Field(0.3, gt=0, le=1)
    training: Training = Training(epochs=8, batch_size=32, learning_rate=3e-5, patience=3)
