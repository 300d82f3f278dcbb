"""The stability index by hand, and its noise by simulation."""

import numpy as np
import pytest
from scipy.stats import chi2

from solvent.metrics import psi, psi_without_shift


def test_the_index_is_that_of_the_definition():
    """Half and half, then three quarters and one quarter: 0.25 log 1.5 + 0.25 log 2 = 0.25 log 3."""
    assert psi([50, 50], [30, 10]) == pytest.approx(0.25 * np.log(3))
    assert psi([30, 10], [50, 50]) == pytest.approx(0.25 * np.log(3))
    assert psi([20, 30, 50], [2, 3, 5]) == pytest.approx(0)


def test_a_bin_that_one_side_lacks_counts_half_a_row_and_one_that_both_lack_nothing():
    expected = (0.9 - 1) * np.log(0.9) + (0.1 - 0.5 / 100) * np.log(0.1 / (0.5 / 100))
    assert psi([100, 0], [90, 10]) == pytest.approx(expected)
    assert psi([100, 0, 0], [90, 0, 10]) == pytest.approx(expected)


def test_what_can_not_be_compared_is_refused():
    with pytest.raises(ValueError, match="found counts no row in its 2 bins"):
        psi([1, 2], [0, 0])
    with pytest.raises(ValueError, match=r"expected shape \(2,\), got \(3,\)"):
        psi([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match=r"reference\[1\] is -2"):
        psi_without_shift([1, -2], [1, 2])


def test_with_many_rows_in_every_bin_the_noise_is_the_published_chi_square():
    found = psi_without_shift(np.full(10, 500), np.full(10, 200))
    assert found == pytest.approx(chi2.ppf(0.95, 9) * (1 / 5000 + 1 / 2000), rel=0.08)


@pytest.mark.parametrize(
    ("shares", "then", "now"),
    [
        (np.full(10, 0.1), 1000, 400),
        (np.full(32, 1 / 32), 600, 200),  # here the chi-square point is passed in 10 of 100 draws
        (1 / np.arange(1, 33) ** 1.5, 600, 50),  # and here in none: half rows fill the empty bins
    ],
)
def test_without_a_shift_the_noise_is_passed_in_5_of_100_draws(shares, then, now):
    random = np.random.default_rng(0)
    shares, passed = shares / shares.sum(), 0
    for _ in range(400):
        both = random.multinomial(then, shares), random.multinomial(now, shares)
        passed += psi(*both) > psi_without_shift(*both)
    assert 0.02 <= passed / 400 <= 0.085  # standard error 0.011


def test_a_real_shift_passes_the_noise():
    assert psi([300, 300, 300], [40, 30, 50]) < psi_without_shift([300, 300, 300], [40, 30, 50])
    assert psi([300, 300, 300], [70, 30, 20]) > psi_without_shift([300, 300, 300], [70, 30, 20])
