"""Repeated ids, against what a Python set finds."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from solvent.score import repeats
from solvent.score.repeats import Marks, Seen


def by_a_set(parts):
    seen, found = set(), []
    for part in parts:
        found.append([cell in seen for cell in part.tolist()])
        seen.update(part.tolist())
    return found


def found_by_marks(parts):
    seen = Seen()
    return [seen.add(part).tolist() for part in parts]


DRAWN = np.random.default_rng(0).integers(-400, 400, 1000)
IDS = {
    "texts": pd.Series([f"loan ü{number}" for number in DRAWN]),
    "long texts": pd.Series(["x" * 500 + f"{number}" for number in DRAWN]),
    "numbers": pd.Series(DRAWN),
    "nullable numbers": pd.Series(DRAWN, dtype="Int64"),
    "big numbers": pd.Series(2**60 + DRAWN),
    "fractions": pd.Series(DRAWN / 4),
    "days": pd.Series(np.datetime64("2024-01-01", "us") + DRAWN),
    "bytes": pd.Series([f"{number}".encode() for number in DRAWN], dtype=object),
    "a query's cells": pd.Series(
        [(int(n), float(n), str(n), Decimal(int(n)) / 4)[place % 4] for place, n in enumerate(DRAWN)], dtype=object
    ),
}


@pytest.mark.parametrize("rows", [1, 30, 333, 1000])
@pytest.mark.parametrize("ids", IDS)
def test_it_finds_what_a_set_finds(ids, rows):
    parts = [IDS[ids].iloc[start : start + rows] for start in range(0, 1000, rows)]
    wanted = by_a_set(parts)
    assert found_by_marks(parts) == wanted
    assert rows == 1000 or sum(map(sum, wanted)) > 100


def test_zero_has_one_sign_and_equal_numbers_are_one_id_whatever_their_type():
    assert found_by_marks([pd.Series([0.0]), pd.Series([-0.0])]) == [[False], [True]]
    cells = [7, 7.0, Decimal(7), "7", True, 1, float("inf"), Decimal("Infinity"), b"7", memoryview(b"7")]
    parts = [pd.Series([cell], dtype=object) for cell in cells]
    assert [one for [one] in found_by_marks(parts)] == [
        False,
        True,
        True,
        False,
        False,
        True,
        False,
        False,
        False,
        True,
    ]


def test_marks_that_agree_in_their_first_half_are_told_apart_by_their_second(monkeypatch):
    def marks(ids):
        return Marks(ids.to_numpy(np.uint64) // np.uint64(100), ids.to_numpy(np.uint32) % np.uint32(100))

    monkeypatch.setattr(repeats, "_marks", marks)
    parts = [pd.Series(part) for part in ([101, 305, 107, 103, 305], [102, 103, 999], [107, 102, 104, 101, 305, 999])]
    assert found_by_marks(parts) == by_a_set(parts)


def test_marks_take_12_bytes_for_each_different_id_in_few_runs():
    seen = Seen()
    for start in range(0, 100_000, 2000):
        seen.add(pd.Series([f"L{place}" for place in range(start, start + 2000)] * 2))
    runs = [run for share in seen._shares for run in share]
    assert sum(part.nbytes for run in runs for part in run) == 12 * 100_000
    assert max(len(share) for share in seen._shares) <= 8
    for run in runs:
        assert (run.first[1:] > run.first[:-1]).all()


def test_no_ids_are_none():
    seen = Seen()
    assert seen.add(pd.Series([], dtype="str")).tolist() == []
    assert seen.add(pd.Series(["a", "a"])).tolist() == [False, False]
    assert seen.add(pd.Series([], dtype="str")).tolist() == []
    assert seen.add(pd.Series(["a"])).tolist() == [True]
