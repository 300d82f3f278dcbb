"""Windows over series by entity, on series whose every number is known."""

import numpy as np
import pytest

from solvent.sequences import Series

#          0    1    2    3    4    5
ENTITY = ["b", "a", "b", "a", "b", "a"]
ORDER = [20, 3, 10, 1, 30, 2]
VALUES = np.array([[20.0], [3], [10], [1], [30], [2]], np.float32)


def test_rows_of_one_entity_follow_each_other_in_their_order():
    series = Series.of(ENTITY, ORDER)
    assert series.rows.tolist() == [2, 0, 4, 3, 5, 1]
    assert series.begins.tolist() == [0, 0, 0, 3, 3, 3]
    assert series.rows[series.places].tolist() == [0, 1, 2, 3, 4, 5]


def test_a_window_holds_an_entitys_last_rows_and_says_which_are_there():
    found = Series.of(ENTITY, ORDER).windows(VALUES, [4, 1, 5, 2], 3)
    assert found.shape == (4, 3, 2)
    assert found[..., 0].tolist() == [[10, 20, 30], [1, 2, 3], [0, 1, 2], [0, 0, 10]]
    assert found[..., 1].tolist() == [[1, 1, 1], [1, 1, 1], [0, 1, 1], [0, 0, 1]]


def test_windows_do_not_depend_on_how_the_table_is_ordered_or_what_else_is_in_it():
    alone = [place for place, entity in enumerate(ENTITY) if entity == "a"][::-1]
    part = Series.of([ENTITY[place] for place in alone], [ORDER[place] for place in alone])
    whole = Series.of(ENTITY, ORDER)
    assert np.array_equal(part.windows(VALUES[alone], [0, 1, 2], 2), whole.windows(VALUES, alone, 2))


def test_batches_are_the_same_windows():
    series = Series.of(ENTITY, ORDER)
    parts = list(series.batches(VALUES, np.arange(6), 2, 4))
    assert [len(part) for part in parts] == [4, 2]
    assert np.array_equal(np.concatenate(parts), series.windows(VALUES, np.arange(6), 2))


def test_a_gap_takes_the_entitys_last_known_number_and_never_anothers():
    values = np.array([[np.nan], [np.nan], [10], [np.nan], [30], [2]], np.float32)
    assert Series.of(ENTITY, ORDER).filled(values)[:, 0].tolist() == [10, 2, 10, 0, 30, 2]


@pytest.mark.parametrize("length", [1, 5])
def test_no_rows_have_no_windows(length):
    series = Series.of([], [])
    assert series.windows(np.zeros((0, 3), np.float32), [], length).shape == (0, length, 4)
