"""Classes in tables and in networks, on rows whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from solvent import labels, metrics
from solvent.errors import Refused

CLASSES = ["pit", "clean", "stain"]  # in no order of the alphabet: the order given is the order that counts


def test_codes_follow_the_order_of_the_classes_and_an_unknown_one_is_minus_one():
    rows = pd.DataFrame({"label": ["stain", "pit", "clean", "rust"]})
    assert labels.codes(rows, CLASSES).tolist() == [2, 0, 1, -1]


def test_flags_follow_the_order_of_the_classes_and_an_empty_list_has_none():
    rows = pd.DataFrame({"label": [["stain", "pit"], [], np.array(["clean"], dtype=object)]}, index=[7, 3, 5])
    found = labels.flags(rows, CLASSES)
    assert found.dtype == np.float32
    assert found.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    assert labels.flags(rows.head(0), CLASSES).shape == (0, 3)


def test_the_most_probable_class_is_named():
    probability = np.array([[0.2, 0.3, 0.5], [0.7, 0.2, 0.1]])
    found = labels.outputs(pd.Index([4, 2]), CLASSES, probability)
    assert list(found) == ["class", "probability_pit", "probability_clean", "probability_stain"]
    assert found["class"].to_dict() == {4: "stain", 2: "pit"}
    assert found.loc[2, "probability_pit"] == 0.7


def test_the_classes_that_reach_their_own_threshold_are_named_in_the_order_of_the_classes():
    probability = np.array([[0.5, 0.1, 0.9], [0.49, 0.1, 0.89], [1.0, 1.0, 1.0]])
    cut = {"stain": 0.9, "clean": 0.2, "pit": 0.5}  # whatever their own order
    found = labels.outputs_several(pd.Index([4, 2, 9]), CLASSES, probability, cut)
    assert found["classes"].to_dict() == {4: ["pit", "stain"], 2: [], 9: ["pit", "clean", "stain"]}
    assert all(type(name) is str for names in found["classes"] for name in names)
    assert found.loc[2, "probability_stain"] == 0.89


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_lists_of_one_length_stay_lists(rows):
    found = labels.outputs_several(pd.RangeIndex(rows), ["a"], np.ones((rows, 1)), {"a": 0.5})
    assert found["classes"].tolist() == [["a"]] * rows
    assert found["classes"].dtype == object


def test_each_class_gets_the_threshold_of_its_largest_f1():
    truth = np.array([[1, 0], [1, 1], [0, 1], [0, 0], [0, 0]])
    probability = np.array([[0.9, 0.9], [0.7, 0.3], [0.4, 0.6], [0.2, 0.2], [0.1, 0.1]])
    # a: both positives and nothing else lie above 0.55. b: the two highest have one positive (F1 1/2), the three
    # highest both (F1 4/5), which is the largest; between 0.3 and 0.2.
    found = labels.thresholds(truth, probability, ["a", "b"], "these rows")
    assert found == {
        "rule": "the largest F1 of each class",
        "value": {"a": pytest.approx(0.55), "b": pytest.approx(0.25)},
        "chosen_on": "these rows",
        "rows": 5,
    }


def test_thresholds_count_rows_by_their_weight():
    truth = np.array([[1], [0], [1], [0]])
    probability = np.array([[0.8], [0.6], [0.4], [0.2]])
    # All rows alike: the three highest, F1 4/5. With a heavy negative at 0.6: the highest alone, 2/3 against 4/14.
    assert labels.thresholds(truth, probability, ["a"], "")["value"]["a"] == pytest.approx(0.3)
    assert labels.thresholds(truth, probability, ["a"], "", [1, 10, 1, 1])["value"]["a"] == pytest.approx(0.7)
    # Weights are as good as repeated rows.
    weight = np.array([2, 3, 1, 1])
    repeated = labels.thresholds(np.repeat(truth, weight, axis=0), np.repeat(probability, weight, axis=0), ["a"], "")
    assert labels.thresholds(truth, probability, ["a"], "", weight)["value"] == repeated["value"]


def test_a_class_that_no_row_has_or_every_row_gets_one_half_and_is_named():
    truth = np.array([[0, 1, 1, 1], [0, 1, 0, 0], [0, 1, 0, 0]])
    probability = np.array([[0.9, 0.1, 0.8, 0.8], [0.8, 0.1, 0.2, 0.2], [0.8, 0.1, 0.2, 0.2]])
    found = labels.thresholds(truth, probability, ["never", "always", "some", "weightless"], "", [1, 1, 1])
    assert found["value"] == {"never": 0.5, "always": 0.5, "some": 0.5, "weightless": 0.5}
    assert found["not_chosen"] == ["never", "always"]
    # The only row that has it counts for nothing.
    assert labels.thresholds(truth[:, 3:], probability[:, 3:], ["a"], "", [0, 1, 1])["not_chosen"] == ["a"]
    with pytest.raises(Refused):  # what it is kept from
        metrics.operating_point.best(truth[:, 0], probability[:, 0], "f1")


def test_one_class_a_row_is_measured_as_a_whole_and_class_by_class():
    rows = pd.DataFrame({"label": ["pit", "pit", "clean", "stain"], "weight": [1.0, 2, 3, 4]})
    probability = np.array([[0.8, 0.1, 0.1], [0.3, 0.4, 0.3], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]])
    found = labels.measure(rows, labels.outputs(rows.index, CLASSES, probability))
    by_hand = {"accuracy": 8 / 10, "recall of pit": 1 / 3, "precision of clean": 3 / 5, "f1 of stain": 1}
    assert {name: metrics.point(found[name]) for name in by_hand} == pytest.approx(by_hand)
    assert {name.partition(" of ")[2] for name in found} == {"", *CLASSES}
    assert "average_precision of pit" not in found


def test_several_classes_a_row_are_measured_as_a_whole_and_class_by_class():
    rows = pd.DataFrame({"label": [["pit", "stain"], [], ["clean"], ["stain"]]})
    probability = np.array([[0.8, 0.1, 0.9], [0.1, 0.4, 0.6], [0.2, 0.7, 0.1], [0.6, 0.2, 0.7]])
    scored = labels.outputs_several(rows.index, CLASSES, probability, dict.fromkeys(CLASSES, 0.5))
    assert scored["classes"].tolist() == [["pit", "stain"], ["stain"], ["clean"], ["pit", "stain"]]
    found = labels.measure_several(rows, scored)
    by_hand = {
        "accuracy": 2 / 4,
        "precision of pit": 1 / 2,
        "recall of stain": 1,
        "f1 of stain": 4 / 5,
        "average_precision of pit": 1,
        "precision": (1 / 2 + 1 + 2 / 3) / 3,
    }
    assert {name: metrics.point(found[name]) for name in by_hand} == pytest.approx(by_hand)
