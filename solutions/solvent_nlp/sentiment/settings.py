"""What a user may set for text classification, and what it reads and writes. Imports neither keras nor pandas."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from solvent import Column, Columns, Goal, Output, Section, Split, Training

__all__ = [
    "Augmentation",
    "Encoder",
    "Network",
    "Ngrams",
    "Scoring",
    "Sentiment",
    "Windows",
    "columns",
    "headline",
    "split",
]


class Scoring(Section):
    """The part of the settings that a scoring job may replace.

    Args:
        abstain_below: the confidence under which an answer abstains; null for the one that was chosen in training.
    """

    abstain_below: float | None = Field(None, ge=0, le=1)


class Ngrams(Section):
    """What `model: bow` counts.

    Args:
        words: longest sequence of words that is a feature.
        characters: shortest and longest sequence of characters inside words that is a feature.
        most: so many features are kept at most, half words, half characters: those that stand in the most texts.
    """

    words: int = Field(2, ge=1, le=5)
    characters: tuple[int, int] = (2, 5)
    most: int = Field(2**16, ge=2**8, le=2**20)

    @field_validator("characters")
    @classmethod
    def _from_short_to_long(cls, characters: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= characters[0] <= characters[1] <= 20:
            raise ValueError("expected the shortest and the longest, from 1 to 20, as in [2, 5]")
        return characters


class Network(Section):
    """What `model: cnn` and `model: lstm` are made of.

    Args:
        vocabulary: subwords, learnt from the training texts; 256 of them are bytes.
        width: of the vector that stands for a subword.
        kernels: of the cnn: how many neighbouring subwords each group of filters reads.
        filters: of the cnn: in each group.
        units: of the lstm: in each direction.
    """

    vocabulary: int = Field(8000, ge=300, le=250_000)
    width: int = Field(128, ge=4, le=1024)
    kernels: tuple[Annotated[int, Field(ge=1, le=16)], ...] = Field((3, 4, 5), min_length=1)
    filters: int = Field(128, ge=1, le=2048)
    units: int = Field(96, ge=1, le=2048)


class Encoder(Section):
    """What `model: encoder` starts from.

    Args:
        preset: a pretrained encoder for KerasHub: one of its names, `hf://ORGANISATION/NAME`, or a folder in KerasHub's
            or Hugging Face's layout (a relative path starts from the current folder).
        pooling: what stands for a text: the `mean` over its tokens, or the `first` one.
        freeze: so many of the lowest layers, and what lies under them, stay as they came.
        decay: a layer's learning rate is that of the layer above times this.
    """

    preset: str
    pooling: Literal["mean", "first"] = "mean"
    freeze: int = Field(0, ge=0)
    decay: float = Field(0.85, gt=0, le=1)


class Windows(Section):
    """How long texts are read: piece by piece, and the answers averaged. Nothing is cut off.

    Args:
        length: tokens in a window, the marks of its start and end among them.
        overlap: tokens that two neighbours share.
    """

    length: int = Field(128, ge=8, le=1024)
    overlap: int = Field(16, ge=0)

    @model_validator(mode="after")
    def _moves_on(self) -> Self:
        if self.overlap > self.length - 4:
            raise ValueError(f"overlap: with windows of {self.length} tokens at most {self.length - 4} may be shared")
        return self


class Augmentation(Section):
    """How training texts are changed at random, token by token, anew in every epoch. Off at scoring.

    Args:
        drop: share of the tokens that become unknown ones.
        delete: share of the tokens that are taken out.
        swap: share of the tokens that change places with the next one.
    """

    drop: float = Field(0.0, ge=0, lt=1)
    delete: float = Field(0.0, ge=0, lt=1)
    swap: float = Field(0.0, ge=0, lt=1)


# A pretrained network wants few and small steps, one that starts from nothing many.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "bow": {
        "dropout": (0.2, 0.5),
        "training": {"epochs": 30, "batch_size": 32, "learning_rate": 0.02, "patience": 10},
    },
    "cnn": {
        "dropout": (0.5,),
        "training": {"epochs": 20, "batch_size": 64, "learning_rate": 1e-3, "patience": 4, "clip": 1.0},
    },
    "lstm": {
        "dropout": (0.5,),
        "training": {"epochs": 20, "batch_size": 64, "learning_rate": 2e-3, "patience": 4, "clip": 1.0},
    },
    "encoder": {
        "dropout": (0.1,),
        "agreement": 4.0,
        "training": {
            "epochs": 4,
            "batch_size": 32,
            "learning_rate": 1e-4,
            "schedule": "linear",
            "warmup": 0.1,
            "weight_decay": 0.01,
            "clip": 1.0,
            "keep": "last",
            "patience": None,
        },
    },
}


class Sentiment(Section):
    """Settings of text classification.

    Args:
        model: `bow` weighs sequences of words and characters (seconds to train); `cnn` and `lstm` learn subwords
            and their order from nothing; `encoder` fine-tunes a pretrained one.
        ngrams: of the bow.
        network: of the cnn and the lstm.
        encoder: of the encoder.
        windows: how long texts are read by all but the bow, which reads any length at once.
        augmentation: of training texts; not for the bow.
        dropout: share of the last layer's inputs that each training step leaves out; several are tried, and the best on
            validation rows wins. Its default depends on the model, as `training`'s and `agreement`'s do.
        agreement: each training text is read twice in a step, with other dropout, and how far the two answers are apart
            counts so much beside their errors; 0 for once. It makes a step twice as long, and a pretrained network
            better.
        fold_case: upper and lower case are one. (A pretrained encoder has its own way.)
        order: the classes from the lowest to the highest, such as stars: then the mean class is given too, and errors
            are measured in steps.
        target_precision: answers are right at least so often where they don't abstain; null for no abstaining.
        check_labels: look for training labels that are probably wrong, by models that have not seen them.
    """

    model: Literal["bow", "cnn", "lstm", "encoder"] = "bow"
    ngrams: Ngrams = Ngrams()
    network: Network = Network()
    encoder: Encoder | None = None
    windows: Windows = Windows()
    augmentation: Augmentation = Augmentation()
    dropout: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field(min_length=1)
    agreement: float = Field(0.0, ge=0, le=100)
    fold_case: bool = True
    order: tuple[str, ...] | None = None
    target_precision: float | None = Field(0.95, gt=0, lt=1)
    check_labels: bool = True
    scoring: Scoring = Scoring()
    training: Training

    @model_validator(mode="before")
    @classmethod
    def _as_the_model_needs(cls, given: Any) -> Any:
        model = given.get("model", "bow") if isinstance(given, Mapping) else None
        if not isinstance(model, str) or model not in DEFAULTS:
            return given
        usual = DEFAULTS[model]
        training = given.get("training", {})
        if isinstance(training, Mapping):
            training = {**usual["training"], **training}
        return {**usual, **given, "training": training}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """What one section asks for must be of use to the model."""
        problems = {
            "encoder: name its preset, encoder: {preset: NAME or FOLDER}": self.model == "encoder" and not self.encoder,
            f"encoder: model: {self.model} has none; leave it out, or write model: encoder": (
                self.model != "encoder" and self.encoder is not None
            ),
            "augmentation: the bow knows no order of tokens; leave it out": (
                self.model == "bow" and self.augmentation != Augmentation()
            ),
            "order: name two classes or more, each once": (
                self.order is not None and (len(self.order) < 2 or len(set(self.order)) < len(self.order))
            ),
            "scoring.abstain_below: target_precision is null, so nothing abstains; leave it out": (
                self.target_precision is None and self.scoring.abstain_below is not None
            ),
            "training.refit: this solution does not fit on validation rows; leave it out": self.training.refit,
        }
        if found := [message for message, wrong in problems.items() if wrong]:
            raise ValueError("; ".join(found))
        return self


def columns(settings: Sentiment) -> Columns:
    outputs = [
        Output(name="class", type="string", predicts="label", meaning="the most probable class"),
        Output(
            name="probability",
            type="float",
            each="label",
            chance_of="label",
            meaning="calibrated probability of the class",
        ),
    ]
    if settings.order is not None:
        outputs.append(
            Output(
                name="expected",
                type="float",
                meaning=f"the mean of the classes' places, from 1 ({settings.order[0]}) to {len(settings.order)} "
                f"({settings.order[-1]}), by their probabilities",
            )
        )
    if settings.target_precision is not None:
        outputs.append(
            Output(name="abstain", type="boolean", meaning="whether the answer is too unsure to be acted upon")
        )
    return Columns(
        inputs=(
            Column(name="text", kind="text", meaning="what is classified"),
            Column(
                name="second",
                kind="text",
                required=False,
                shared=True,
                meaning="a text that belongs to it, such as the question that it answers",
            ),
        ),
        targets=(Column(name="label", kind="category", meaning="its class"),),
        outputs=tuple(outputs),
    )


def headline(settings: Sentiment) -> Goal:
    return Goal("accuracy")


split = Split(by="stratified")
