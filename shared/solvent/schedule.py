"""The `training` section of a domain's settings. Imports no keras, so that settings stay instant to import."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PlainValidator, ValidationError, model_validator

from .solution import Section

__all__ = ["Training", "may_leave_refit", "refits"]

Track = Literal["tensorboard", "mlflow"]


def _number(value: Any) -> float:
    """A positive number; YAML takes 1e-3 for a text."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 < number < math.inf:
        raise ValueError("expected a number above 0")
    return number


# Each of the two takes a word or numbers: a validator of our own says both in one message, in place of one each.
def _rate(value: Any) -> float | str:
    try:
        return "auto" if value == "auto" else _number(value)
    except ValueError as error:
        raise ValueError(f"{error}, or auto") from error


def _weights(value: Any) -> str | dict[str, float] | None:
    if value is None or value == "balanced":
        return value  # type: ignore[no-any-return]
    if not isinstance(value, Mapping):
        raise ValueError("expected balanced, or a weight for each class, as in {great: 1, other: 2}")
    # YAML reads classes such as 1 and true as what they look like; a schema's classes are texts.
    names = [str(name).lower() if isinstance(name, bool) else str(name) for name in value]
    return dict(zip(names, map(_number, value.values()), strict=True))


class Training(Section):
    """How a network is trained.

    Args:
        epochs: at most so many passes over the training rows.
        max_minutes: a stage stops once it has trained for so long, after the epoch under way; such a run can be
            resumed, but not repeated.
        batch_size: rows in a step, over all replicas.
        accumulate: a step takes the mean gradient of so many batches, as if they were one, where that would not fit
            into memory: each counts what it holds, rows or, in batches by length, what their losses are means of. An
            epoch's last step takes what is left. Layers and losses that compare a batch's rows see each batch alone.
        learning_rate: of Adam, after the warm-up; `auto` looks for it by a range test.
        schedule: `cosine` and `linear` fall to 0 over `epochs`; `inverse_square_root` falls slowly from the warm-up on,
            whatever `epochs` is, so that training may stop anywhere; `plateau` starts without warm-up and halves the
            rate when the headline has not got better for a third of `patience`.
        warmup: share of all steps in which the rate climbs from 0.
        keep: the weights of the `best` epoch on validation rows, or those of the `last` one: where the rate falls to 0
            in a few epochs, the last is as good, and few validation rows choose by chance.
        patience: epochs without a better validation headline before training stops; null never stops early.
        weight_decay: of AdamW, on matrices; biases and scales are left out.
        clip: the norm of the whole gradient is cut to this.
        ema: momentum of a moving average of the weights, which is then what is evaluated and kept; null for none.
        class_weight: `balanced` weighs classes by their inverse frequency; or a weight for each class.
        refit: fit on the validation rows too once everything is chosen. What calibrates, cuts off and is reported of
            them then comes from models that had not seen them; rivals are refitted likewise.
        track: write each epoch also to TensorBoard or MLflow (the extra `track`); `solvent.track` says where to.
    """

    epochs: int = Field(default=50, ge=1)
    max_minutes: float | None = Field(default=None, gt=0)
    batch_size: int = Field(default=128, ge=1)
    accumulate: int = Field(default=1, ge=1)
    learning_rate: Annotated[float | Literal["auto"], PlainValidator(_rate)] = 1e-3
    schedule: Literal["constant", "cosine", "linear", "inverse_square_root", "plateau"] = "cosine"
    warmup: float = Field(default=0.05, ge=0, lt=1)
    keep: Literal["best", "last"] = "best"
    patience: int | None = Field(default=10, ge=1)
    weight_decay: float = Field(default=0.0, ge=0)
    clip: float | None = Field(default=None, gt=0)
    ema: float | None = Field(default=None, gt=0, lt=1)
    class_weight: Annotated[Literal["balanced"] | dict[str, float] | None, PlainValidator(_weights)] = None
    refit: bool = False
    track: tuple[Track, ...] = ()

    @model_validator(mode="after")
    def _the_last_epoch_is_reached(self) -> Self:
        if self.keep == "last" and (self.patience is not None or self.schedule == "plateau"):
            raise ValueError(
                "keep: last waits for no better epoch; set keep: best, or patience: null and another schedule"
            )
        return self


def refits(settings: Section) -> bool:
    """Whether a solution's settings ask to fit on the validation rows too."""
    return any(isinstance(part, Training) and part.refit for _, part in settings)


def may_leave_refit(settings: Section) -> bool:
    """Whether a solution's settings would take `refit: false` where they have it true: some refuse it."""
    given = settings.model_dump()
    off = {
        name: {**given[name], "refit": False} for name, part in settings if isinstance(part, Training) and part.refit
    }
    try:
        type(settings)(**{**given, **off})
    except ValidationError:
        return False
    return True
