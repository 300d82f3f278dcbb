"""Fit networks that each leave a fold of the machines out, and calibrate by what each made of its own fold."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd

from solvent import Data, Fitted, training
from solvent.metrics import point, regression
from solvent.promises import CONTEXT
from solvent.solution import JSON, Score
from solvent.split import Bags, bags, halves

from . import network
from .answers import Errors, answers, calibrated, findings, shares
from .lives import begins_later, cases, measured, remaining, twice
from .reading import BATCH, Reader, Rows
from .settings import Maintenance, headline

__all__ = ["Learning", "asked", "estimates", "fit", "scorer", "scoring"]

ERRORS = "errors"
SHORT = (
    "cycle: the window is shorter than settings.window, though the machine had run before its first row here, so it is "
    "read as one that begins there. If there are earlier rows, give them as context"
)
WANTED = {**dict.fromkeys(("true", "1", "yes"), True), **dict.fromkeys(("false", "0", "no"), False)}


@dataclass(frozen=True)
class Learning:
    """The rows that a model and its rivals learn from, and those that measure them.

    Args:
        life: remaining life up to the cap at each row of `dealt.rows`.
        at: positions of the rows that machines are measured at.
        choosing: positions among `at` of the rows of machines that may choose; the others calibrate.
    """

    settings: Maintenance
    data: Data
    dealt: Bags
    reader: Reader
    rows: Rows
    life: np.ndarray
    at: np.ndarray
    choosing: np.ndarray

    @classmethod
    def of(cls, settings: Maintenance, data: Data) -> "Learning":
        dealt = bags(data, refit=settings.training.refit, folds=settings.members)
        rows = dealt.rows
        at = measured(settings, rows)
        if settings.training.refit:
            choosing = np.isin(rows.index[at], halves(rows, data.schema, data.seed)[0].index)
        else:
            at = at[np.isin(at, dealt.valid)]
            choosing = np.isin(at, dealt.choosing)
        reader = Reader.learnt(settings, rows.iloc[dealt.learnt], data.schema, data.seed)
        return cls(
            settings,
            data,
            dealt,
            reader,
            reader.read(rows),
            np.minimum(remaining(settings, rows), settings.cap),
            at,
            choosing,
        )

    @property
    def longest(self) -> float:
        """The longest life that was learnt, up to the cap: what estimates are a share of."""
        return float(self.life[self.dealt.learnt].max())

    def learnt_by(self, member: int) -> np.ndarray:
        """Positions of the rows that a member learns from."""
        return np.flatnonzero(self.dealt.seen[:, member])

    def errors(self, estimates: np.ndarray) -> Errors:
        """How far off members are of machines that they had not seen.

        Args:
            estimates: of each member at `at`, shape `(rows, members)`.
        """
        unseen = self.dealt.unseen(estimates, self.at)
        machine = self.dealt.rows["machine"].iloc[self.at].reset_index(drop=True)
        return calibrated(self.settings, machine, unseen, self.life[self.at], self.choosing)

    def unseen(self, estimates: np.ndarray) -> dict[str, JSON]:
        """How good members are on machines that they had not seen; each machine counts as one."""
        machine = self.dealt.rows["machine"].iloc[self.at]
        found = regression(self.life[self.at], self.dealt.unseen(estimates, self.at), shares(machine, 1))
        measured = {name: point(found[name]) for name in ("rmse", "mae")}
        return {**measured, "machines": int(machine.nunique()), "rows": len(machine)}

    def valid(self, errors: Errors, estimate: Callable[[np.ndarray], np.ndarray]) -> pd.DataFrame:
        """The declared outputs for the cases of the validation rows, by members that had not seen them.

        Args:
            estimate: of positions -> each member's estimates, shape `(rows, members)`.
        """
        rows = cases(self.settings, self.data.valid)
        wanted = (rows["score_this"] == "true").to_numpy()
        positions = self.dealt.valid[wanted]
        told = answers(self.settings, errors, rows.index[wanted], self.dealt.unseen(estimate(positions), positions))
        return with_context(told, rows.index, wanted)


def fit(settings: Maintenance, data: Data) -> Fitted:
    """A network for each fold of the machines that is left out; what each made of its own fold calibrates."""
    learning = Learning.of(settings, data)
    models = {f"member-{member}": _member(learning, member) for member in range(settings.members)}
    fitted = Fitted(models, batch_rows=BATCH)

    def estimate(positions: np.ndarray) -> np.ndarray:
        return learning.longest * _shares(fitted, learning.rows, positions)

    estimates = estimate(learning.at)
    errors = learning.errors(estimates)
    machines = learning.dealt.rows["machine"].iloc[learning.at]
    facts: dict[str, JSON] = {
        "reader": learning.reader.to_json(),
        "longest": learning.longest,
        "unseen": learning.unseen(estimates),
        "interval": {
            **errors.to_json(),
            "coverage": settings.coverage,
            "machines": {
                "choosing": int(machines[learning.choosing].nunique()),
                "calibrating": int(machines[~learning.choosing].nunique()),
            },
        },
        "meaning": {name: _meaning(learning) for name in models},
    }
    return Fitted(
        models,
        facts,
        {ERRORS: errors.table()},
        valid=learning.valid(errors, estimate) if settings.training.refit else None,
        findings=findings(settings, errors),
        batch_rows=BATCH,
    )


def _member(learning: Learning, member: int) -> keras.Model:
    """Train a network on the machines of all folds but one."""
    settings, data = learning.settings, learning.data
    keras.utils.set_random_seed(data.seed * 1000 + member)
    model = network.build(settings, len(learning.reader.sensors))
    own, rows = learning.learnt_by(member), learning.rows
    target = (learning.life / learning.longest).astype(np.float32)[:, None]
    one = Fitted({"model": model}, batch_rows=BATCH)
    left_out = ~learning.dealt.seen[learning.at, member]
    judged = learning.at[left_out & (settings.training.refit | learning.choosing)]

    def take(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        places = own[positions]
        return rows.windows(places), target[places], np.ones(len(places), np.float32)

    def monitor() -> dict[str, float]:
        told = np.clip(one.predict(rows.batches(judged))[:, 0], 0, 1) * learning.longest
        found = regression(learning.life[judged], told)
        return {name: point(found[name]) for name in ("rmse", "mae")}

    training.fit(
        model,
        training.Rows(len(own), take),
        stage=f"member-{member}",
        training=settings.training,
        loss="mean_squared_error",  # the mean is asked for: where lives differ, the median lies elsewhere
        monitor=monitor,
        goal=headline(settings),
        data=data,
    )
    return model


def _shares(fitted: Fitted, rows: Rows, positions: np.ndarray) -> np.ndarray:
    """Each member's estimate as a share of the longest life, in [0, 1], shape `(positions, members)`."""
    if not len(positions):
        return np.zeros((0, len(fitted.models)))
    names = (f"member-{member}" for member in range(len(fitted.models)))
    told = [fitted.predict(rows.batches(positions), name)[:, 0] for name in names]
    return np.clip(np.column_stack(told).astype(np.float64), 0, 1)


def _meaning(learning: Learning) -> dict[str, JSON]:
    return {
        "inputs": {
            "window": f"the last {learning.settings.window} cycles of a machine up to the one that is scored, oldest "
            f"first: {', '.join(learning.reader.sensors)}, each less its mean and over its deviation in the mode of "
            "operation (facts.reader), then 1; a cycle before the machine's first is all 0"
        },
        "outputs": {"output_0": f"remaining useful life as a share of {learning.longest:g} cycles"},
    }


def scorer(settings: Maintenance, fitted: Fitted) -> Score:
    """Score rows of machines; rows that are only context are read and not answered."""
    reader = Reader.from_json(fitted.facts["reader"])
    errors = Errors.from_json(fitted.facts["interval"], np.asarray(fitted.assets[ERRORS]))

    def estimate(table: pd.DataFrame, wanted: np.ndarray) -> np.ndarray:
        return estimates(fitted, reader.read(table), wanted)

    return scoring(settings, errors, estimate)


def estimates(fitted: Fitted, rows: Rows, positions: np.ndarray) -> np.ndarray:
    """The remaining life in cycles by the mean of all members, shape `(positions,)`."""
    return float(fitted.facts["longest"]) * _shares(fitted, rows, positions).mean(axis=1)


def scoring(settings: Maintenance, errors: Errors, estimate: Callable[[pd.DataFrame, np.ndarray], np.ndarray]) -> Score:
    """A scorer of anything that estimates the remaining life.

    Args:
        estimate: a table and positions in it -> cycles, shape `(positions,)`.
    """

    def score(table: pd.DataFrame) -> pd.DataFrame:
        wanted, reasons = asked(table)
        told = answers(settings, errors, table.index[wanted], estimate(table, np.flatnonzero(wanted)))
        found = with_context(told, table.index, wanted).assign(error=reasons)
        if "score_this" in table:  # who sends new rows alone may have left out what they need
            young = begins_later(table, settings.window) & wanted & reasons.isna().to_numpy()
            found["note"] = pd.Series(None, index=table.index, dtype="str").mask(young, SHORT)
        return found

    return score


def with_context(told: pd.DataFrame, index: pd.Index, wanted: np.ndarray) -> pd.DataFrame:
    """Answers for some of the rows; the others, if there are any, are marked as context."""
    if wanted.all():
        return told
    found = told.astype({"alarm": "boolean"}).reindex(index)
    return found.assign(**{CONTEXT: ~wanted})


def asked(table: pd.DataFrame) -> tuple[np.ndarray, pd.Series]:
    """Which rows are to be answered, shape `(rows,)`, and why those of some machines can't be, null for others."""
    wanted, unclear = _wanted(table)
    reasons = {
        "cycle: this machine has one twice, so its rows have no order": twice(table),
        "score_this: a row of this machine is neither true nor false": unclear,
    }
    errors = pd.Series(None, index=table.index, dtype="str")
    for why, rows in reasons.items():
        errors = errors.mask(rows, why)
    return wanted, errors


def _wanted(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Which rows are to be answered, and which are of a machine of which that is not clear."""
    if "score_this" not in table:
        return np.ones(len(table), dtype=bool), np.zeros(len(table), dtype=bool)
    said = table["score_this"].map(lambda cell: WANTED.get(str(cell).strip().lower()), na_action="ignore")
    unclear = (table["score_this"].notna() & said.isna()).to_numpy()
    torn = table["machine"].isin(table.loc[unclear, "machine"].unique()).to_numpy()
    return said.fillna(True).to_numpy(bool), torn
