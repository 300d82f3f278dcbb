"""Recommender: the two towers and their loss, against values of hand."""

import numpy as np
import pandas as pd
import pytest

from solvent_recommender import two_tower
from solvent_recommender.interactions import Histories, Known
from solvent_recommender.settings import Towers
from solvent_recommender.towers import Forget, Pairs, item_tower, user_tower


def test_the_loss_is_that_of_hand_also_for_items_that_are_one_in_a_billion():
    """Softmax over the batch of similarity / temperature - log q, an item that is there twice no negative of itself."""
    towers = Towers(width=8, history=4, temperature=0.2)
    pairs = Pairs(user_tower(5, towers), item_tower(5, 1, towers), towers)
    random = np.random.default_rng(0)
    user, item = (random.normal(size=(4, 8)).astype(np.float32) for _ in range(2))
    number = np.array([1, 2, 1, 3], np.int32)
    share = np.array([1e-9, 0.3, 1e-9, 1e-4], np.float32)
    logits = (user @ item.T).astype(np.float64) / 0.2 - np.log(share.astype(np.float64))
    logits[0, 2] = logits[2, 0] = -np.inf
    expected = np.mean(np.log(np.exp(logits).sum(axis=1)) - np.diag(logits))
    found = pairs.compute_loss({"share": share, "item": number}, None, {"user": user, "item": item})
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_some_items_are_known_by_their_content_alone_in_training_and_none_while_scoring():
    forget = Forget(0.3)
    item, content = np.arange(1, 4001, dtype=np.int32), np.ones((4000, 2), np.float32)
    content[::2] = 0  # of these there is nothing else to know them by
    (found,) = forget([item, content], training=True)
    kept = np.asarray(found)
    assert (kept[::2] == item[::2]).all()
    assert np.mean(kept[1::2] == 0) == pytest.approx(0.3, abs=0.04)
    assert (kept[kept > 0] == item[kept > 0]).all()
    (same,) = forget([item, content], training=False)
    np.testing.assert_array_equal(same, item)
    assert Forget.from_config(forget.get_config()).share == 0.3


def test_in_training_the_item_tower_takes_some_items_for_new_ones():
    towers = Towers(width=8, history=4)
    tower = item_tower(400, 2, towers)
    content = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    known = {"item": np.arange(1, 401, dtype=np.int32), "content": content}
    new = tower({**known, "item": np.zeros(400, np.int32)}).numpy()

    def alike(found):
        return np.isclose(found, new, atol=1e-6).all(axis=1).mean()

    assert alike(tower(known, training=True).numpy()) == pytest.approx(0.1, abs=0.05)
    assert alike(tower(known).numpy()) == 0


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_row_is_read_by_the_last_items_that_its_user_liked_but_its_own(in_memory, monkeypatch):
    monkeypatch.setattr(two_tower, "BAGS_IN_MEMORY", 100 if in_memory else 0)
    item = np.array([4, 1, 3, 0, 2, 5, 2])  # the first user had six, oldest first, and did not like 0; the second one 2
    liked = np.array([True, True, True, False, True, True, True])
    histories = Histories(np.array([0, 6, 7]), item, liked, np.zeros(7, np.float32))
    bags = two_tower.others(histories, 6, 3)
    found = bags(np.array([0, 0, 0, 1]), np.array([5, 3, 4, 2]))
    assert [sorted(row - 1) for row in found] == [[1, 2, 3], [1, 2, 5], [2, 3, 5], [-1, -1, -1]]
    long = two_tower.others(histories, 6, 9)(np.array([0]), np.array([2]))
    assert sorted(long[0]) == [0, 0, 0, 0, 0, 2, 4, 5, 6]
    new = two_tower.others(histories, 5, 3)(np.array([0]), np.array([2]))
    assert sorted(new[0] - 1) == [1, 3, 4], "items from 5 on are new and left out"


def test_content_of_a_history_is_the_mean_over_its_items_that_have_any_without_the_one_that_is_asked_for():
    events = pd.DataFrame({"user": list("aaab"), "item": list("xyzx"), "liked": [True, True, True, True], "age": 0.0})
    known = Known.restored(events)
    content_of = np.array([[2.0, 0.0], [0.0, 4.0], [0.0, 0.0]], np.float32)  # nothing is known of z
    taken = two_tower.rows(known, content_of, Towers(history=4, dropout=0.0), ordered=False).take(np.arange(4))[0]
    np.testing.assert_allclose(taken["taste"], [[0, 4], [2, 0], [1, 2], [0, 0]])
    np.testing.assert_allclose(
        two_tower.taste(two_tower._some(np.array([[1, 2, 3], [1, 0, 0]]), 3), content_of), [[1, 2], [2, 0]]
    )
    nothing = two_tower.rows(known, np.zeros((3, 1), np.float32), Towers(history=4), ordered=False)
    assert "taste" not in nothing.take(np.arange(2))[0]


def test_training_reads_the_content_of_some_of_a_history_anew_for_each_batch():
    """That of all but one item would tell which one is left out."""
    history, random = np.tile(np.arange(1, 101, dtype=np.int32), (200, 1)), np.random.default_rng(0)
    some = two_tower._some(history, 120, 0.3, random).toarray()
    assert some[:, :100].mean() == pytest.approx(0.7, abs=0.02) and not some[:, 100:].any()
    assert (some[0] != some[1]).any()


def test_the_user_tower_reads_content_where_there_is_no_id():
    tower = user_tower(3, Towers(width=8, history=2, dropout=0.0), topics=2)
    tower.get_layer("liked").set_weights([np.eye(2, 8, dtype=np.float32)])
    inputs = {"history": np.zeros((2, 2), np.int32), "taste": np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)}
    first, second = tower.predict(inputs, verbose=0)
    assert abs(first - second).max() > 0.1
