"""The scan, the description of parts and the reference where a row may have several classes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from solvent import drift
from solvent.prepare import _describe
from solvent.scan import scan, untaught
from solvent.schema import Field, Schema
from solvent.solution import Finding
from solvent.split import Parts

LABEL = Field(name="label", source="Shapes", role="target", kind="list")
KNOWN = Schema(fields=(replace(LABEL, levels=("bar", "disc", "ring")),))


def rows(**times: int) -> pd.DataFrame:
    """So many rows of each combination of classes, as `bar_disc=3`; `none` is the empty list."""
    cells = [[] if name == "none" else name.split("_") for name, count in times.items() for _ in range(count)]
    return pd.DataFrame({"label": pd.Series(cells, dtype=object)})


def found(schema: Schema = KNOWN, **parts: pd.DataFrame) -> dict[str, Finding]:
    return {item.name: item for item in scan(parts, schema, given=False)}


EVEN = rows(none=20, bar=40, bar_disc=40, disc_ring=40)


def test_ordinary_lists_give_a_note_of_the_rows_without_a_class_and_nothing_else() -> None:
    findings = found(train=EVEN, valid=EVEN, test=EVEN)
    assert set(findings) == {"no_class"}
    assert findings["no_class"].severity == "note"
    assert findings["no_class"].message == "Column Shapes: 20 of 140 training rows have no class."


@pytest.mark.parametrize(("part", "severity"), [("train", "refusal"), ("valid", "warning"), ("test", "refusal")])
def test_rows_that_all_have_the_same_classes_teach_and_measure_nothing(part: str, severity: str) -> None:
    alike = pd.concat([rows(bar_disc=60), rows(disc_bar=60)])  # whatever their order
    findings = found(**{"train": EVEN, "valid": EVEN, "test": EVEN, part: alike})
    assert findings["one_class"].severity == severity
    assert f"all 120 {part} rows have the same classes (bar, disc)" in findings["one_class"].message
    empty = found(train=EVEN, test=EVEN, valid=rows(none=30))
    assert "(none)" in empty["one_class"].message


def test_a_class_with_a_single_training_row_and_one_that_every_row_has_are_named() -> None:
    train = rows(bar=30, bar_disc=30, bar_ring=1)
    findings = found(train=train, test=EVEN)
    assert "1 class with a single training row: ring." in findings["one_class"].message
    assert "every training row has bar," in findings["ever_present_class"].message
    assert {findings[name].severity for name in ("one_class", "ever_present_class")} == {"warning"}


@pytest.mark.parametrize(("without", "severity"), [(50, None), (51, "note"), (501, "warning")])
def test_a_rare_class_is_judged_by_the_rows_without_it(without: int, severity: str | None) -> None:
    findings = found(train=rows(ring=5, bar=without // 2, disc=without - without // 2), test=EVEN)
    assert (findings["imbalance"].severity if "imbalance" in findings else None) == severity
    if severity == "note":
        message = "Column Shapes: 'ring' has only 5 of 56 training rows. Always answering that it is not there is right"
        assert findings["imbalance"].message == f"{message} in 91.1% of the rows."


def test_a_class_with_few_test_rows_or_none_is_told() -> None:
    few = found(train=EVEN, test=rows(none=60, bar_disc=60, ring=7))
    assert "Class 'ring' of Shapes has 7 test rows" in few["few_rows"].message
    assert few["few_rows"].count == 7
    none = found(train=EVEN, test=rows(none=60, bar_disc=60))
    assert "Class 'ring' of Shapes has no test row: nothing is measured of it." in none["few_rows"].message


def test_a_class_that_only_test_rows_have_is_refused() -> None:
    schema = Schema(fields=(replace(LABEL, levels=("1", "2")),))
    table = pd.DataFrame({"label": ["[1]", "1|2", "[2, 3]", "3", "[]", "3|4", None]}, index=range(10, 17))
    cut = Parts(np.array([0, 1]), np.array([2]), np.array([3, 4, 5, 6]), {})
    finding = next(iter(untaught(table, cut, schema)))
    assert finding.severity == "refusal"
    assert "1 valid row and 2 test rows with 2 classes that no usable training row has: '3', '4'." in finding.message
    assert finding.count == 3
    assert list(untaught(table.iloc[[0, 1, 4]], Parts(cut.train, cut.valid, cut.train, {}), schema)) == []


def test_a_target_of_amounts_is_told_as_what_it_is() -> None:
    schema = Schema(fields=(replace(LABEL, kind="category", levels=("0.5", "1")),))
    table = pd.DataFrame({"label": ["0.5", "1", *(f"{number / 7:.3f}" for number in range(30))]})
    cut = Parts(np.array([0, 1]), np.array([], int), np.arange(2, 32), {})
    assert "this solution learns classes and no amounts" in next(iter(untaught(table, cut, schema))).cure


def test_a_part_is_described_by_the_share_of_rows_that_have_each_class() -> None:
    described: Any = _describe(rows(none=1, bar=1, bar_disc=2), KNOWN)
    assert described == {"rows": 4, "target": {"bar": 0.75, "disc": 0.5}, "from": None, "to": None}


def test_the_reference_of_an_output_of_lists_holds_the_share_of_rows_with_each_class() -> None:
    scored = rows(none=100, bar=60, bar_disc=4).rename(columns={"label": "classes"})
    found = drift.reference(scored, KNOWN, scored)["outputs"]["classes"]
    assert list(found["levels"]) == ["bar"]  # four rows could tell who they are
    assert found["levels"]["bar"] == pytest.approx(64 / 164, abs=0.1) and found["counted"] == 82
    images = pd.DataFrame({"heat_map": [b"png", b"png"]})
    assert drift.reference(images, KNOWN, images)["outputs"] == {}
