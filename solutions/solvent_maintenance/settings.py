"""What a user may set for predictive maintenance, and what it reads and writes. Imports neither keras nor pandas."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from solvent import Column, Columns, Goal, Output, Section, Split, Training

__all__ = ["Maintenance", "Network", "Scoring", "columns", "headline", "split"]


class Scoring(Section):
    """The part of the settings that a scoring job may replace.

    Args:
        horizon: `probability` is of a failure within so many cycles, those until the next time that somebody decides.
        early_cycle: what a cycle costs that a machine would still have run when it is stopped because of an alarm.
        missed_failure: what a failure within the horizon costs that no alarm foretold.
    """

    horizon: float = Field(30, gt=0)
    early_cycle: float = Field(1.0, gt=0)
    missed_failure: float = Field(100.0, gt=0)


class Network(Section):
    """What the networks are made of.

    Args:
        units: of each layer: of the LSTM and GRU, filters of the CNN, width of the Transformer.
        layers: one upon the other.
        kernel: of the CNN: how many neighbouring cycles a filter reads.
        heads: of the Transformer.
        dropout: share of the last layer's inputs that each training step leaves out.
    """

    units: int = Field(32, ge=2, le=1024)
    layers: int = Field(1, ge=1, le=12)
    kernel: int = Field(5, ge=1, le=64)
    heads: int = Field(4, ge=1, le=32)
    dropout: float = Field(0.2, ge=0, lt=1)


TRAINING: Mapping[str, Any] = {
    "epochs": 12,
    "batch_size": 256,
    "learning_rate": 4e-3,
    "keep": "last",
    "patience": None,
    "clip": 1.0,
    "ema": 0.98,
    "refit": True,
}


class Maintenance(Section):
    """Settings of predictive maintenance.

    Args:
        model: `lstm`, `gru`, `cnn` (in time) or a small `transformer`; all read the same windows.
        network: what it is made of.
        window: cycles that it reads, up to and with the one that is scored; what a machine has less is marked as
            missing.
        cap: remaining life above this is not told apart, in cycles: a machine that is new shows no wear.
        runs_to_failure: the last row of each machine is its failure, and the table has no column `rul`: the remaining
            life is counted from `cycle`.
        operating: columns of operating settings (of load, height, product), which sensors depend on. They tell the
            modes apart, and are no sensors.
        modes: of operation; sensors are standardised in each. 1 leaves the operating settings out.
        members: networks that each leave out a fold of the machines. Their mean is what scores; the interval comes from
            what each made of the machines that it had not seen.
        cuts: cycles at which a machine that ran to failure is measured, one at random in each of so many equal
            stretches of its life; one that had not failed yet is measured at its last. Each machine counts as one.
        coverage: of the intervals: the share of machines whose remaining life, up to the cap, lies in theirs.
        scoring: what a job may replace: horizon and costs.
    """

    model: Literal["lstm", "gru", "cnn", "transformer"] = "gru"
    network: Network = Network()
    window: int = Field(50, ge=1, le=4096)
    cap: float = Field(125, gt=0)
    runs_to_failure: bool = False
    operating: tuple[str, ...] = ()
    modes: int = Field(1, ge=1, le=50)
    members: int = Field(5, ge=1, le=50)
    cuts: int = Field(10, ge=1, le=1000)
    coverage: float = Field(0.9, gt=0, lt=1)
    scoring: Scoring = Scoring()
    training: Training = Training(**TRAINING)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = {
            "training.class_weight: the target has no classes; leave it out": self.training.class_weight is not None,
            "training.refit: out-of-fold scores need folds; set members: 2 or more, or training.refit: false": (
                self.training.refit and self.members < 2
            ),
            "training.keep: best would choose epochs by the machines that calibrate; set training.refit: false, or "
            "training.keep: last": self.training.refit and self.training.keep == "best",
            "modes: name the columns of operating settings that tell them apart, as in operating: [load]": (
                self.modes > 1 and not self.operating
            ),
            "scoring.horizon: what lies above cap is not told apart; expected one below cap": (
                self.scoring.horizon >= self.cap
            ),
            "network.units: the Transformer shares them among its heads; expected a multiple of network.heads": (
                self.model == "transformer" and self.network.units % self.network.heads > 0
            ),
        }
        if found := [message for message, wrong in problems.items() if wrong]:
            raise ValueError("; ".join(found))
        return self


def columns(settings: Maintenance) -> Columns:
    rul = Column(
        name="rul",
        kind="number",
        meaning="remaining useful life, in cycles; where every machine ran to failure set settings: "
        "{runs_to_failure: true}",
    )
    return Columns(
        inputs=(
            Column(name="machine", kind="id", role="entity", meaning="whose row it is"),
            Column(
                name="cycle",
                kind="number",
                role="time",
                meaning="how long the machine has run: cycles, hours or days, in the unit of the remaining life",
            ),
            Column(
                name="score_this",
                kind="category",
                required=False,
                scored_only=True,
                meaning="false for an earlier row that is only read as context of a later one; true, or empty, else",
            ),
        ),
        targets=() if settings.runs_to_failure else (rul,),
        outputs=(
            Output(name="prediction", type="float", meaning="remaining useful life, in cycles, at most cap"),
            Output(name="low", type="float", meaning="the interval's lower end"),
            Output(name="high", type="float", meaning="its upper end; where it is cap, that or more"),
            Output(name="probability", type="float", meaning="of a failure within the horizon"),
            Output(
                name="alarm",
                type="boolean",
                meaning="whether stopping it now is cheaper than going on, by what an early cycle and a missed failure "
                "cost",
            ),
        ),
        features=("number",),
    )


def headline(settings: Maintenance) -> Goal:
    return Goal("rmse", higher=False)


split = Split(by="group")
