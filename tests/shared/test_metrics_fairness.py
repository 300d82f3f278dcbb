"""Fairness against values counted by hand and against standard errors that are known; bands of numbers."""

import numpy as np
import pytest

from solvent import metrics
from solvent.metrics import Resampling
from solvent.metrics.fairness import against, bands, by_level

F, M = 1, 0


def counted(*cells):
    """Rows of (level, favourable, deserving, how many)."""
    rows = np.array(
        [(level, favourable, deserving) for level, favourable, deserving, many in cells for _ in range(many)]
    )
    return {"levels": rows[:, 0], "favourable": rows[:, 1] == 1, "deserving": rows[:, 2] == 1}


UNFAIR = counted(
    *((F, 1, 1, 30), (F, 0, 1, 30), (F, 1, 0, 10), (F, 0, 0, 30)),
    *((M, 1, 1, 96), (M, 0, 1, 24), (M, 1, 0, 24), (M, 0, 0, 56)),
)


def measured(rows=UNFAIR, reference=M, groups=None, **more):
    resampling = Resampling(len(rows["levels"]), groups, resamples=more.pop("resamples", 1000))
    return by_level(**rows, reference=reference, resampling=resampling, fewest=20, **more)


def test_rates_ratio_and_difference_are_those_counted_by_hand():
    found = measured()
    assert (found[F].rows, found[F].deserving, found[M].rows, found[M].deserving) == (100, 60, 200, 120)
    assert found[F].rate.value == pytest.approx(40 / 100)
    assert found[M].rate.value == pytest.approx(120 / 200)
    assert found[F].ratio.value == pytest.approx(2 / 3)
    assert found[F].true_positive_rate.value == pytest.approx(30 / 60)
    assert found[M].true_positive_rate.value == pytest.approx(96 / 120)
    assert found[F].difference.value == pytest.approx(-0.3)
    assert np.isnan(found[M].ratio.value) and np.isnan(found[M].difference.value)


def test_a_weight_counts_as_so_many_rows():
    weight = np.random.default_rng(0).integers(0, 4, 300)
    repeated = {name: np.repeat(values, weight) for name, values in UNFAIR.items()}
    weighed, counted_out = measured(weight=weight)[F], measured(repeated)[F]
    for name in ("rate", "ratio", "true_positive_rate", "difference"):
        assert getattr(weighed, name).value == pytest.approx(getattr(counted_out, name).value)
    assert weighed.rows == 100


def test_intervals_have_the_width_of_their_standard_errors():
    many = {name: np.tile(values, 20) for name, values in UNFAIR.items()}
    found = measured(many, resamples=4000)[F]
    rate = np.sqrt(0.4 * 0.6 / 2000)
    log_ratio = np.sqrt(0.6 / (0.4 * 2000) + 0.4 / (0.6 * 4000))
    difference = np.sqrt(0.5 * 0.5 / 1200 + 0.8 * 0.2 / 2400)
    assert found.rate.high - found.rate.low == pytest.approx(2 * 1.96 * rate, rel=0.05)
    assert np.log(found.ratio.high / found.ratio.low) == pytest.approx(2 * 1.96 * log_ratio, rel=0.05)
    assert found.difference.high - found.difference.low == pytest.approx(2 * 1.96 * difference, rel=0.05)


@pytest.mark.parametrize(("shift", "ratio", "difference"), [(0.0, 1.0, 0.0), (1.0, 0.5442, -0.3413)])
def test_intervals_hold_the_planted_truth_in_about_95_of_100_samples(shift, ratio, difference):
    """Scores tell the truth by +-1 with a deviation of 1; those of one level are lowered by the shift."""
    generator = np.random.default_rng(1)
    held = np.zeros(2)
    for _ in range(200):
        levels, deserving = generator.integers(0, 2, 600), generator.random(600) < 0.6
        score = np.where(deserving, 1, -1) + generator.normal(size=600) - shift * (levels == F)
        rows = {"levels": levels, "favourable": score > 0, "deserving": deserving}
        found = measured(rows, resamples=300)[F]
        held += [
            found.ratio.low <= ratio <= found.ratio.high,
            found.difference.low <= difference <= found.difference.high,
        ]
    assert (held >= 0.90 * 200).all() and (held <= 0.99 * 200).all()


def test_groups_are_drawn_whole():
    tenfold = {name: np.repeat(values, 10) for name, values in UNFAIR.items()}
    once, grouped = measured()[F], measured(tenfold, groups=np.repeat(np.arange(300), 10))[F]
    for name in ("rate", "ratio", "true_positive_rate", "difference"):
        ours, theirs = getattr(once, name), getattr(grouped, name)
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))


def test_a_level_of_fewer_than_20_rows_is_not_measured():
    found = measured(counted((F, 1, 1, 10), (F, 0, 1, 9), (M, 1, 1, 50), (M, 0, 0, 50)))
    assert found[F].rows == 19
    assert all(
        np.isnan(getattr(found[F], name).value) for name in ("rate", "ratio", "true_positive_rate", "difference")
    )
    assert found[M].rate.value == 0.5


def test_fewer_than_20_deserving_rows_have_no_true_positive_rate_but_a_ratio():
    found = measured(counted((F, 1, 1, 10), (F, 0, 1, 9), (F, 0, 0, 1), (M, 1, 1, 50), (M, 0, 0, 50)))[F]
    assert found.ratio.value == pytest.approx(1.0)
    assert np.isnan(found.true_positive_rate.value) and np.isnan(found.difference.value)


def test_fewer_than_20_groups_in_a_level_give_values_without_an_interval():
    groups = np.where(UNFAIR["levels"] == F, np.arange(300) % 19, 100 + np.arange(300))
    found = measured(groups=groups)
    assert found[F].ratio.value == pytest.approx(2 / 3)
    assert found[F].rate.low is None and found[F].ratio.low is None and found[F].difference.high is None
    assert found[M].rate.low is not None


def test_a_ratio_to_nothing_is_undefined_and_no_reference_compares_nothing():
    refused = counted((F, 1, 1, 30), (M, 0, 1, 30))
    assert np.isnan(measured(refused)[F].ratio.value)
    assert measured(refused)[F].difference.value == 1.0
    alone = measured(refused, reference=None)[F]
    assert alone.rate.value == 1.0 and np.isnan(alone.ratio.value) and np.isnan(alone.difference.value)


def test_rows_of_a_negative_level_take_no_part():
    rows = {**UNFAIR, "levels": np.where(np.arange(300) % 2, -1, UNFAIR["levels"])}
    assert sorted(measured(rows)) == [M, F]
    assert measured(rows)[F].rows + measured(rows)[M].rows == 150


def test_all_rows_stand_in_every_metric_so_that_both_levels_are_drawn_together():
    level, reference = UNFAIR["levels"] == F, UNFAIR["levels"] == M
    found = against(level, reference, UNFAIR["favourable"], UNFAIR["deserving"])
    assert {len(metric.rows) for metric in found.values()} == {300}
    draws = metrics.draws(found["ratio"], Resampling(300))
    assert np.isfinite(draws).all() and draws.std() > 0
    with pytest.raises(ValueError, match=r"level\[0\] is 2"):
        against(UNFAIR["levels"] * 2, reference, UNFAIR["favourable"], UNFAIR["deserving"])


def test_bands_are_quarters_whose_ends_are_values():
    ends, band = bands(np.array([8.0, 1, 2, 3, 4, 5, 6, 7]))
    assert ends.tolist() == [2, 4, 6]
    assert band.tolist() == [3, 0, 0, 1, 1, 2, 2, 3]


def test_bands_are_quarters_of_the_weight():
    ends, band = bands(np.array([1.0, 2, 3, 4]), np.array([6, 1, 2, 3]))
    assert ends.tolist() == [1, 3]  # 6 of 12 are at most 1, 9 are at most 3
    assert band.tolist() == [0, 1, 1, 2]


def test_a_value_that_most_rows_have_is_not_cut_in_two():
    ends, band = bands(np.array([1.0, 5, 5, 5, 5, 5, 5, 9]))
    assert ends.tolist() == [5]
    assert band.tolist() == [0, 0, 0, 0, 0, 0, 0, 1]
    ends, band = bands(np.array([1.0, 5, 5, 5, 5, 5]))
    assert ends.tolist() == [] and band.tolist() == [0] * 6


def test_times_have_bands_too():
    days = np.array(["2000-01-01", "1990-01-01", "1980-01-01", "1970-01-01"], dtype="datetime64[us]")
    ends, band = bands(days)
    assert [str(end)[:10] for end in ends] == ["1970-01-01", "1980-01-01", "1990-01-01"]
    assert band.tolist() == [3, 2, 1, 0]
