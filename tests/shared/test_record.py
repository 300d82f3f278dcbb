"""What bundle.json and reference.json say of a run."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pydantic import model_validator

from solvent import Section, Training, drift
from solvent.record import limits, plain, versions
from solvent.schema import Field, Schema

SCHEMA = Schema(
    (
        Field(name="income", source="Income", role="feature", kind="number"),
        Field(name="home", source="Home", role="feature", kind="category"),
        Field(name="name", source="Name", role="id", kind="id"),
    )
)


def test_plain_knows_the_values_of_numpy_and_pandas():
    value = {
        1: np.int64(3),
        "flag": np.bool_(True),
        "numbers": np.array([[1.5, np.nan], [np.inf, -2.0]]),
        "missing": [pd.NA, pd.NaT, None, float("nan")],
        "set": frozenset({"a"}),
        "time": pd.Timestamp("2024-01-31"),
    }
    assert plain(value) == {
        "1": 3,
        "flag": True,
        "numbers": [[1.5, None], [None, -2.0]],
        "missing": [None, None, None, None],
        "set": ["a"],
        "time": "2024-01-31 00:00:00",
    }
    json.dumps(plain(value), allow_nan=False)


def test_a_truth_value_does_not_become_a_number():
    assert plain([True, np.bool_(False)]) == [True, False]
    assert [type(item) for item in plain([True, np.bool_(False)])] == [bool, bool]


class Free(Section):
    training: Training = Training(refit=True)


class Fixed(Free):
    @model_validator(mode="after")
    def _always(self):
        if not self.training.refit:
            raise ValueError("it always refits")
        return self


@pytest.mark.parametrize(("settings", "said"), [(Free(), True), (Fixed(), False), (Free(training=Training()), False)])
def test_refit_false_is_recommended_only_where_the_settings_take_it(settings, said):
    facts = {"split": {"by": "time"}}
    prepared = SimpleNamespace(facts=facts, schema=SCHEMA)
    found = limits(prepared, [], settings, tested=True, folds=0)
    assert any("training.refit: false" in limit for limit in found) is said


def test_versions_name_what_a_result_depends_on():
    found = versions("counting:SOLUTION")
    assert found["numpy"] == np.__version__
    assert {"python", "keras", "tensorflow", "solvent-suite"} <= set(found)


def test_the_reference_holds_the_shares_of_bins_and_levels():
    train = pd.DataFrame(
        {
            "income": [*range(1, 101), *[np.nan] * 25],
            "home": pd.Series(["owner"] * 60 + ["rent"] * 40 + [None] * 25, dtype="str"),
            "name": [f"n{number}" for number in range(125)],
        }
    )
    found = drift.reference(train, SCHEMA, pd.DataFrame({"share": np.full(10, 0.5), "error": [None] * 10}))
    assert found["rows"] == 125
    assert set(found["inputs"]) == {"Income", "Home"}
    assert found["inputs"]["Income"]["missing"] == 0.2
    assert found["inputs"]["Income"]["edges"] == pytest.approx([10.9, 20.8, 30.7, 40.6, 50.5, 60.4, 70.3, 80.2, 90.1])
    assert found["inputs"]["Income"]["shares"] == [0.1] * 10
    assert found["inputs"]["Home"] == {"missing": 0.2, "levels": {"owner": 0.6, "rent": 0.4}}
    assert found["outputs"] == {"share": {"missing": 0.0, "edges": [0.5], "shares": [1.0, 0.0]}}


def test_the_reference_tells_nobody():
    train = pd.DataFrame(
        {"income": [1.0] * 33, "home": ["flat"] * 30 + ["12 Elm Street", "3 Oak Lane", "flat 9"], "name": 1}
    )
    texts = pd.DataFrame({"translation": [f"Dear Ms {letter}" for letter in "ABCDEFGHI"]}, dtype="str")
    found = drift.reference(train, SCHEMA, texts)
    # chosen in one half of the rows, counted in the other: 14 to 17 rows of 17
    assert found["inputs"]["Home"]["levels"] == {"flat": pytest.approx(30 / 33, abs=0.1)}
    assert found["outputs"]["translation"] == {"missing": 0.0, "levels": {}, "counted": 5}


def test_a_column_without_a_value_has_a_reference_too():
    train = pd.DataFrame({"income": [np.nan] * 3, "home": pd.Series([None] * 3, dtype="str"), "name": 1})
    found = drift.reference(train, SCHEMA, pd.DataFrame({"share": pd.Series([], dtype="float64")}))
    assert found["inputs"]["Income"] == {"missing": 1.0, "edges": [], "shares": [0.0]}
    assert found["inputs"]["Home"] == {"missing": 1.0, "levels": {}}
    assert found["outputs"] == {}  # nothing is known of it


def test_declared_codes_are_states_and_no_numbers_of_the_reference():
    field = Field(name="income", source="Income", role="feature", kind="number", codes=(-9, "none"))
    train = pd.DataFrame({"income": [-9.0] * 5 + [*range(1, 11)] + [np.nan] * 5})
    found = drift.reference(train, Schema((field,)), pd.DataFrame())["inputs"]["Income"]
    assert found["states"] == {"-9": 0.25}
    assert found["missing"] == 0.25
    assert min(found["edges"]) == pytest.approx(1.9)
    assert found["shares"] == [0.1] * 10
