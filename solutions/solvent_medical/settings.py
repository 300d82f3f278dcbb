"""What a user may set for medical images, and what it reads and writes. Imports neither keras nor pandas."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from solvent import Column, Columns, Decoder, Goal, Output, Section, Split
from solvent.augmentation import Augmentation
from solvent.recipe import Recipe, problems, refuse
from solvent.transfer import BACKBONES

from .presets import PRESETS, Modality
from .reading import Reading

__all__ = ["Deferral", "Medical", "OperatingPoint", "Synthetic", "columns", "headline", "split"]

SENSITIVITY = 0.9

Rate = Annotated[float, Field(gt=0, lt=1)]


class OperatingPoint(Section):
    """From which probability on a patient is flagged.

    Args:
        sensitivity: at least this share of ill patients is to be flagged; 0.9 where neither is given.
        specificity: or at most 1 less this share of the others is to be flagged.
        confidence: how sure the promise is over draws of calibrating patients. A sensitivity of 0.9 at 0.95 needs 29
            ill patients among them.
        prevalence: of the disease where the model will be used; of several findings by name, such as {edema: 0.02}.
            Predictive values are then also shown for it: a study that gathered cases has far more of them.
    """

    sensitivity: float | None = Field(None, gt=0, lt=1)
    specificity: float | None = Field(None, gt=0, lt=1)
    confidence: float = Field(0.95, gt=0, lt=1)
    prevalence: Rate | dict[str, Rate] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.sensitivity is not None and self.specificity is not None:
            raise ValueError("give a sensitivity or a specificity, one of them")
        return self

    @property
    def least_sensitivity(self) -> float | None:
        """What is promised of the ill; None where a specificity is promised of the others."""
        return None if self.specificity is not None else self.sensitivity or SENSITIVITY


class Deferral(Section):
    """When a patient is referred to people.

    Args:
        coverage: the share of patients, among the ill and among the others alike, whose set of possible answers holds
            the right one. Who has more than one is referred, and whose only one is not the operating point's answer.
            The more is promised, the more are referred.
        views: augmented views of each image whose logits are averaged with its own, in calibration and scoring alike.
    """

    coverage: float = Field(0.9, gt=0, lt=1)
    views: int = Field(0, ge=0, le=32)


class Synthetic(Section):
    """Semi-synthetic images beside the real ones, made by a small class-conditional variational autoencoder.

    It learns from training images only, and what it makes is thrown away unless it helps on validation patients. That
    takes a second training.

    Args:
        share: made images of each class, as a share of the real ones.
        epochs: of the autoencoder, at most.
    """

    share: float = Field(0.5, gt=0, le=5)
    epochs: int = Field(60, ge=1)


class Medical(Recipe):
    """Settings of medical images: those of every network for images, and these.

    Args:
        positive: the diagnosis that is looked for; all others are negative. Without one, and without findings, one of
            several diagnoses is named.
        findings: or several findings at once, each a column of 0 and 1 that is empty where it is not known.
        independent_rows: why each row is a patient of its own; only then may the table have no patients.
        combine: how a patient's images make one answer: the `worst` of them, or their `mean`.
        modality: what took the images. It sets the augmentation, unless that is given.
        reading: how DICOM files become pictures.
        identifying: whether files may be trained on and scored that still say whose they are; `refuse` refuses such a
            table before training, and sets such patients aside in scoring.
        operating_point: from which probability on a patient is flagged, where something is looked for.
        deferral: when a patient is referred to people.
        calibration: `platt`: slope and intercept of the logit; of several diagnoses a temperature and a bias of each.
            `temperature` alone makes all answers more or less sure and can't move them, which they need where a
            patient's is the worst of several images, or where training saw other shares of diagnoses (sampling, class
            weights). So it is not the default, though it is usual.
        sampling: `balanced` shows the images of rare diagnoses as often as those of common ones.
        members: networks that are trained from other random starts and whose logits are averaged: an ensemble is surer
            where it should be, and takes as many times as long. Heat maps are of the first.
        synthetic: for too little data, made images beside the real ones; null, the default, makes none.
    """

    positive: str | None = None
    findings: tuple[str, ...] = ()
    independent_rows: str | None = Field(None, min_length=10)
    combine: Literal["worst", "mean"] = "mean"
    modality: Modality | None = None
    reading: Reading = Reading()
    identifying: Literal["refuse", "allow"] = "refuse"
    operating_point: OperatingPoint = OperatingPoint()
    deferral: Deferral = Deferral()
    calibration: Literal["platt", "temperature"] = "platt"
    sampling: Literal["as_is", "balanced"] = "as_is"
    members: int = Field(1, ge=1, le=20)
    synthetic: Synthetic | None = None

    @model_validator(mode="before")
    @classmethod
    def _augmentation_of_the_modality(cls, given: Any) -> Any:
        """What is admissible, where augmented images are seen at all."""
        if not isinstance(given, Mapping) or given.get("modality") not in PRESETS or "augmentation" in given:
            return given
        about = BACKBONES.get(given.get("backbone", "vgg16"))
        deferral, tuned = (
            part.model_dump() if isinstance(part, Section) else part or {}
            for part in (given.get("deferral"), given.get("fine_tune"))
        )
        seen = (
            (about is not None and about.constructor is None)
            or given.get("weights") == "none"
            or given.get("views")
            or (about is not None and tuned.get("blocks") == len(about.blocks))
            or deferral.get("views")
        )
        return {**given, "augmentation": PRESETS[given["modality"]][0]} if seen else given

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """What one section asks for must be there in the others."""
        several, named = bool(self.findings), self.positive is not None
        rates = self.operating_point.prevalence
        own = {
            "operating_point: where one of several diagnoses is named, nothing is flagged; name the one that is looked "
            "for as positive, or leave it out": not self.questions and self.operating_point != OperatingPoint(),
            "operating_point.prevalence: each finding has its own; write {NAME: RATE}, with names of findings": (
                several and rates is not None and (not isinstance(rates, dict) or not set(rates) <= set(self.findings))
            ),
            "operating_point.prevalence: one disease is looked for; write its rate, as in prevalence: 0.01": (
                not several and isinstance(rates, dict)
            ),
            "positive: findings are each looked for; leave it out": several and named,
            "findings: each is a column of its own; name each once": len(set(self.findings)) < len(self.findings),
            "combine: of several diagnoses none is the worst; name the one that is looked for as positive, or use "
            "combine: mean": self.combine == "worst" and not named and not several,
            "training.class_weight: not for several findings; leave it out": (
                several and self.training.class_weight is not None
            ),
            "sampling: not for several findings; leave it out": several and self.sampling == "balanced",
            "synthetic: not for several findings; leave it out": several and self.synthetic is not None,
            "synthetic: made images are tried with one network; leave members out": (
                self.synthetic is not None and self.members > 1
            ),
            "sampling: balanced, and training.class_weight both make up for rare diagnoses; leave one out": (
                self.sampling == "balanced" and self.training.class_weight is not None
            ),
            "deferral.views: augmentation is off, so all views would be alike; set modality, or some of it": (
                self.deferral.views > 0 and self.augmentation.alone == Augmentation()
            ),
            "augmentation: mixup and cutmix mix diagnoses that are not known for every image; leave them out": (
                several and self.augmentation != self.augmentation.alone
            ),
        }
        refuse({**problems(self, self.deferral.views), **own})
        return self

    @property
    def questions(self) -> tuple[str, ...]:
        """What is answered by positive or negative; nothing where one of several diagnoses is named."""
        return self.findings or ((self.positive,) if self.positive is not None else ())

    def ending(self, question: str) -> str:
        """What the outputs of one question end with: its name, where several findings are looked for."""
        return f"_{question}" if self.findings else ""

    def prevalence(self, question: str) -> float | None:
        """Of what is looked for, where the model will be used."""
        rates = self.operating_point.prevalence
        return rates.get(question) if isinstance(rates, dict) else rates

    @property
    def decoder(self) -> Decoder:
        return self.reading.decoder


def columns(settings: Medical) -> Columns:
    image = Column(
        name="image",
        kind="image",
        decoder=settings.decoder,
        meaning="path of the picture or DICOM file, from the table's folder on, or its bytes",
    )
    patient = Column(
        name="patient",
        kind="id",
        role="entity",
        meaning="whose image it is; without such a column say why each row is a patient of its own: "
        "settings: {independent_rows: WHY}",
    )
    groups = [
        Column(name=name, kind=kind, role="protected", required=False, meaning=meaning)
        for name, kind, meaning in (
            ("site", "category", "where it was taken"),
            ("sex", "category", "of the patient"),
            ("age", "number", "of the patient, in years"),
            ("device", "category", "that took it"),
        )
    ]
    inputs = (image, *groups) if settings.independent_rows else (image, patient, *groups)
    if settings.findings:
        targets = tuple(
            Column(name=name, kind="category", required=False, meaning="1 where it is there, 0 where not, else empty")
            for name in settings.findings
        )
        outputs = tuple(
            item
            for name in settings.findings
            for item in _answers_of(settings.ending(name), f" of the finding {name}", name, "1")
        )
        return Columns(inputs=inputs, targets=targets, outputs=outputs)
    label = Column(name="label", kind="category", meaning="the diagnosis")
    if settings.positive is not None:
        return Columns(
            inputs=inputs,
            targets=(label,),
            outputs=_answers_of("", f" of {settings.positive}", "label", settings.positive),
        )
    outputs = (
        Output(name="decision", type="string", meaning="the diagnosis, or refer"),
        Output(name="class", type="string", predicts="label", meaning="the most probable diagnosis"),
        Output(name="probability", type="float", each="label", meaning="calibrated probability of the diagnosis"),
        Output(name="confidence", type="float", meaning="calibrated probability of the most probable diagnosis"),
        Output(name="prediction_set", type="list", meaning="the diagnoses that can't be ruled out"),
    )
    return Columns(inputs=inputs, targets=(label,), outputs=outputs)


def _answers_of(end: str, of: str, target: str, positive: str) -> tuple[Output, ...]:
    return (
        Output(name=f"decision{end}", type="string", meaning=f"positive, negative or refer{of}"),
        Output(
            name=f"probability{end}",
            type="float",
            chance_of=target,
            positive=positive,
            decided_by=f"flagged{end}",
            meaning=f"calibrated probability{of}",
        ),
        Output(name=f"flagged{end}", type="boolean", meaning="whether that reaches the operating point"),
        Output(
            name=f"confidence{end}",
            type="float",
            meaning="calibrated probability that the answer at the operating point is right",
        ),
        Output(name=f"prediction_set{end}", type="list", meaning="the answers that can't be ruled out"),
    )


def headline(settings: Medical) -> Goal:
    return Goal("auc")


split = Split(by="stratified")
