"""What a user may set for translation. Imports neither keras nor pandas."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from solvent import Section, Split, Training

__all__ = ["KINDS", "WRITTEN", "Network", "Scoring", "Translation", "split"]

KINDS = ("placeholders", "tags", "addresses", "codes", "numbers")
Kind = Literal["placeholders", "tags", "addresses", "codes", "numbers"]


class Network(Section):
    """What the Transformer is made of; what is left out is as the preset has it.

    Args:
        vocabulary: subwords of both languages together, learnt from the training texts; 256 of them are bytes.
        layers: of the encoder, and as many of the decoder.
        width: of the vector that stands for a subword.
        inner: width of the two dense layers inside each layer.
        heads: of attention; they share the width.
        dropout: share of what each part of a layer adds that a training step leaves out.
    """

    vocabulary: int = Field(8000, ge=300, le=250_000)
    layers: int = Field(4, ge=1, le=24)
    width: int = Field(128, ge=8, le=2048, multiple_of=2)
    inner: int = Field(256, ge=8, le=8192)
    heads: int = Field(4, ge=1, le=64)
    dropout: float = Field(0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} can't be shared by {self.heads} heads; expected a multiple of them")
        return self


class Scoring(Section):
    """The part of the settings that a scoring job may replace.

    Args:
        beam: so many translations are followed at once; 1 takes the likeliest next subword each time, and is fastest.
        length_penalty: a translation's score is the logarithm of its probability over its length to this power; above
            1 favours long ones.
        block_repeats: no sequence of so many subwords may occur twice in a translation; null allows any.
        longest: subwords of a translation, at most; null for what training says about the length of the source.
        fuzzy: a source that is at least so similar to one of the memory takes its translation; null for equal ones.
        review_below: estimated quality under which a row is to be reviewed; null for what was chosen in training.
    """

    beam: int = Field(4, ge=1, le=32)
    length_penalty: float = Field(1.0, ge=0, le=5)
    block_repeats: int | None = Field(8, ge=2)
    longest: int | None = Field(None, ge=1)
    fuzzy: float | None = Field(None, gt=0.5, le=1)
    review_below: float | None = Field(None, ge=0, le=100)


# Parameters without the vocabulary's: 1.3, 7.4 and 44 million.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {"layers": 4, "width": 128, "inner": 256, "heads": 4},
    "small": {"layers": 4, "width": 256, "inner": 1024, "heads": 4},
    "base": {"layers": 6, "width": 512, "inner": 2048, "heads": 8},
}
# What only translations have is off where something else is written.
OF_TASK: Mapping[str, Mapping[str, Any]] = {
    "translate": {},
    "summarise": {"clean": False, "protect": (), "masked_words": 0.0, "longest": 512},
    "generate": {
        "clean": False,
        "protect": (),
        "masked_words": 0.0,
        "longest": 256,
        "subword_sampling": None,
        "label_smoothing": 0.0,
    },
}
WRITTEN: Mapping[str, str] = {"translate": "translation", "summarise": "summary", "generate": "text"}
TRAINING: Mapping[str, Any] = {
    "epochs": 40,
    "batch_size": 4096,
    "learning_rate": 2e-3,
    "warmup": 0.05,
    "patience": 10,
    "clip": 1.0,
    "ema": 0.995,
}


class Translation(Section):
    """Settings of translation.

    Args:
        task: what is written: a translation, a summary in the same language, or a text that goes on from its beginning.
        preset: size of the network.
        network: of it, what is to be another than the preset's.
        subword_sampling: how much likelier ways to cut a text into subwords are preferred in training, where each text
            is cut anew in each epoch; null for always the likeliest way.
        label_smoothing: share of the probability that training wants to see spread over all subwords.
        longest: subwords of a text that is translated at once; longer ones are cut into sentences, and left out of
            training. Of a text to be summarised so many are read, and a text to be learnt from, or to be judged, is cut
            into pieces of so many.
        clean: leave pairs out of training that look wrong: see the findings of the scan.
        protect: what comes out as it went in.
        masked_words: share of training pairs in which a word and its translation become a placeholder, so that the
            network learns to write around terms that it is given.
        joined: how many texts of two pairs, one behind the other, training has besides, as a share of the pairs: from
            them the network learns texts that are longer than any pair.
        alternatives: further translations of each row that are given, the best first; at most `scoring.beam` - 1.
        review_share: share of the rows like the validation rows that are to be reviewed: those of the lowest
            estimated quality.
        training: `batch_size` counts subwords, with padding.
    """

    task: Literal["translate", "summarise", "generate"] = "translate"
    preset: Literal["tiny", "small", "base"] = "tiny"
    network: Network = Network()
    subword_sampling: float | None = Field(0.2, ge=0, le=10)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    longest: int = Field(128, ge=8, le=1024)
    clean: bool = True
    protect: tuple[Kind, ...] = KINDS
    masked_words: float = Field(0.1, ge=0, lt=1)
    joined: float = Field(0.0, ge=0, le=1)
    alternatives: int = Field(0, ge=0, le=31)
    review_share: float = Field(0.1, ge=0, lt=1)
    scoring: Scoring = Scoring()
    training: Training = Training(**TRAINING)

    @model_validator(mode="before")
    @classmethod
    def _as_the_preset_has_it(cls, given: Any) -> Any:
        preset = given.get("preset", "tiny") if isinstance(given, Mapping) else None
        if not isinstance(preset, str) or preset not in PRESETS:
            return given
        network = given.get("network", {})
        return {**given, "network": {**PRESETS[preset], **network}} if isinstance(network, Mapping) else given

    @model_validator(mode="before")
    @classmethod
    def _as_the_task_has_it(cls, given: Any) -> Any:
        task = given.get("task") if isinstance(given, Mapping) else None
        return {**OF_TASK[task], **given} if isinstance(task, str) and task in OF_TASK else given

    @field_validator("protect")
    @classmethod
    def _each_once(cls, protect: tuple[Kind, ...]) -> tuple[Kind, ...]:
        return tuple(kind for kind in KINDS if kind in protect)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        other = self.task != "translate"
        only = f"only translations have it; with task: {self.task} leave it out"
        problems = {
            **{f"{name}: {only}": other and bool(getattr(self, name)) for name in ("clean", "protect", "masked_words")},
            f"joined: {only}": other and self.joined > 0,
            f"scoring.fuzzy: {only}": other and self.scoring.fuzzy is not None,
            "scoring.review_below: texts that go on have no quality; leave it out": (
                self.task == "generate" and self.scoring.review_below is not None
            ),
            f"alternatives: a beam of {self.scoring.beam} has {self.scoring.beam - 1} further translations at most": (
                self.alternatives >= self.scoring.beam
            ),
            "training.refit: this solution does not fit on validation rows; leave it out": self.training.refit,
            "training.class_weight: there are no classes; leave it out": self.training.class_weight is not None,
        }
        if found := [message for message, wrong in problems.items() if wrong]:
            raise ValueError("; ".join(found))
        return self


split = Split(by="random")
