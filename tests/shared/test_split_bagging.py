"""Bags: who learns from which rows, who chooses and who calibrates."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from solvent import Data
from solvent.errors import Refused
from solvent.schema import Field, Schema
from solvent.split import Bags, bags, halves

TRAIN, VALID, FOLDS, REPEATS = 600, 200, 5, 3


def data(rows: pd.DataFrame, seed: int = 0, train: int = TRAIN, **columns: str) -> Data:
    """Columns as `role kind`. The rows are cut after `train`, and keep an index that is no range."""
    told = {"label": "target category", **columns}
    fields = [
        Field(name=name, source=name, role=role, kind=kind)
        for name, (role, kind) in ((name, text.split()) for name, text in told.items())
    ]
    rows = rows.set_axis(np.arange(len(rows))[::-1] * 7 + 1000)
    schema = Schema(fields=tuple(fields), kinds=("number", "category", "text"))
    return Data(rows.iloc[:train], rows.iloc[train:], schema, {}, seed, Path())


def labelled(bad: float = 0.2, rows: int = TRAIN + VALID) -> pd.DataFrame:
    return pd.DataFrame({"label": np.where(np.arange(rows) % 100 < 100 * bad, "bad", "good")})


def folds_of(dealt: Bags, repeat: int) -> np.ndarray:
    """The fold of each row in one deal, after checking that it has exactly one."""
    left_out = ~dealt.seen[:, repeat * FOLDS : (repeat + 1) * FOLDS]
    assert (left_out.sum(axis=1) == 1).all()
    return left_out.argmax(axis=1)


def test_when_refitting_every_row_is_unseen_by_one_model_of_each_deal_and_learnt_by_the_others() -> None:
    given = data(labelled())
    dealt = bags(given, refit=True, folds=FOLDS, repeats=REPEATS)
    assert dealt.seen.shape == (TRAIN + VALID, FOLDS * REPEATS)
    deals = np.stack([folds_of(dealt, repeat) for repeat in range(REPEATS)])
    assert (np.array([np.bincount(deal) for deal in deals]) == 160).all()
    assert (deals[0] != deals[1]).mean() > 0.5 < (deals[1] != deals[2]).mean(), "each repeat deals anew"
    everything = list(range(TRAIN + VALID))
    assert list(dealt.choosing) == list(dealt.calibrating) == list(dealt.learnt) == everything
    assert list(dealt.valid) == everything[TRAIN:]
    assert list(dealt.rows.index) == [*given.train.index, *given.valid.index]


def test_without_refitting_no_model_sees_a_validation_row_and_its_halves_are_apart() -> None:
    given = data(labelled())
    dealt = bags(given, refit=False, folds=FOLDS, repeats=REPEATS)
    assert not dealt.seen[TRAIN:].any()
    assert (dealt.seen[:TRAIN].sum(axis=1) == (FOLDS - 1) * REPEATS).all()
    assert list(dealt.learnt) == list(range(TRAIN))
    assert not set(dealt.choosing) & set(dealt.calibrating)
    assert sorted([*dealt.choosing, *dealt.calibrating]) == list(dealt.valid) == list(range(TRAIN, TRAIN + VALID))
    assert (dealt.chosen_on, dealt.calibrated_on) == (
        "validation rows, choosing half",
        "validation rows, calibrating half",
    )
    for half in (dealt.choosing, dealt.calibrating):
        assert (dealt.rows.iloc[half]["label"] == "bad").mean() == pytest.approx(0.2, abs=0.01)


def test_one_fold_leaves_nothing_out_and_nothing_to_refit_by() -> None:
    dealt = bags(data(labelled()), refit=False, folds=1)
    assert dealt.seen[:TRAIN].all() and not dealt.seen[TRAIN:].any()
    with pytest.raises(ValueError, match="2 folds or more"):
        bags(data(labelled()), refit=True, folds=1)


@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize("role", ["entity", "group"])
def test_entities_and_groups_stay_whole_in_folds_and_halves(role: str, refit: bool) -> None:
    """Validation rows are of the same people as training rows: nobody is seen and unseen at once."""
    random = np.random.default_rng(0)
    rows = labelled().assign(person=random.integers(0, 90, TRAIN + VALID).astype(str))
    dealt = bags(data(rows, person=f"{role} category"), refit=refit, folds=FOLDS, repeats=REPEATS)
    learnt = dealt.rows.iloc[dealt.learnt]
    for model in dealt.seen[dealt.learnt].T:
        assert pd.Series(model, learnt.index).groupby(learnt["person"]).nunique().max() == 1
    if not refit:
        choosing, calibrating = (set(dealt.rows.iloc[half]["person"]) for half in (dealt.choosing, dealt.calibrating))
        assert not choosing & calibrating


def test_copies_of_a_text_are_left_out_together() -> None:
    number = np.random.default_rng(1).integers(0, 250, TRAIN + VALID)
    rows = labelled().assign(letter=[f"dear bank,{' ' * (1 + at % 3)}letter {item}" for at, item in enumerate(number)])
    dealt = bags(data(rows, letter="feature text"), refit=True, folds=FOLDS, repeats=REPEATS)
    for model in dealt.seen.T:
        assert pd.Series(model).groupby(number).nunique().max() == 1


@pytest.mark.parametrize("bad", [0.03, 0.2])
def test_every_fold_keeps_the_shares_of_the_classes_to_the_row(bad: float) -> None:
    dealt = bags(data(labelled(bad)), refit=True, folds=FOLDS, repeats=REPEATS)
    default = (dealt.rows["label"] == "bad").to_numpy()
    for repeat in range(REPEATS):
        counts = np.bincount(folds_of(dealt, repeat), default, FOLDS)
        assert np.abs(counts - default.sum() / FOLDS).max() < 1


def test_a_number_for_a_target_is_dealt_without_classes() -> None:
    rows = pd.DataFrame({"label": np.arange(TRAIN + VALID) / 7})
    dealt = bags(data(rows, label="target number"), refit=True, folds=FOLDS)
    assert (np.bincount(folds_of(dealt, 0)) == 160).all()


def test_one_seed_gives_one_deal_and_another_seed_another() -> None:
    first, again, other = (bags(data(labelled(), seed), refit=True, folds=FOLDS, repeats=2) for seed in (3, 3, 4))
    assert np.array_equal(first.seen, again.seen)
    assert (first.seen != other.seen).any(axis=1).mean() > 0.5


def test_the_deals_of_neighbouring_seeds_have_nothing_in_common() -> None:
    """Or runs of seeds 0, 1, 2 would share their networks' rows, and look more alike than they are."""
    dealt = [bags(data(labelled(), seed), refit=True, folds=FOLDS, repeats=REPEATS) for seed in (0, 1, 2)]
    deals = [folds_of(each, repeat) for each in dealt for repeat in range(REPEATS)]
    agree = [(first == second).mean() for at, first in enumerate(deals) for second in deals[:at]]
    assert max(agree) < 0.4, "of five folds a fifth agrees by chance"


def test_the_choosing_half_is_not_a_fold_of_the_same_random_numbers() -> None:
    """Folds and halves are drawn from streams of their own."""
    given = data(labelled())
    dealt = bags(given, refit=True, folds=2)
    chosen = dealt.rows.index.isin(halves(dealt.rows, given.schema, given.seed)[0].index)
    assert 0.4 < (dealt.seen[:, 0] == chosen).mean() < 0.6


def test_an_unseen_score_is_the_mean_over_exactly_the_models_that_have_not_seen_the_row() -> None:
    seen = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]], bool)
    none = np.array([], np.int64)
    dealt = Bags(pd.DataFrame(index=range(4)), seen, none, none, none, "", "")
    scores = np.array([[1.0, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4]])
    np.testing.assert_array_equal(dealt.unseen(scores, np.arange(4)), [3.0, 2.5, 4.0, np.nan])
    np.testing.assert_array_equal(dealt.unseen(scores[:2], np.array([2, 0])), [4.0, 3.0])
    hidden = np.where(seen, np.nan, scores)
    np.testing.assert_array_equal(dealt.unseen(hidden, np.arange(4)), [3.0, 2.5, 4.0, np.nan])


def test_more_folds_than_groups_are_refused_with_the_cure() -> None:
    rows = labelled().assign(person=np.where(np.arange(TRAIN + VALID) % 2, "a", "b"))
    with pytest.raises(Refused, match=r"5 folds are asked for.*only 2 groups.*fewer folds"):
        bags(data(rows, person="entity category"), refit=True, folds=FOLDS)
