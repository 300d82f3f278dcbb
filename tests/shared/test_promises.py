"""A half-edited vertical: what each function returned instead, and what was expected of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import solvent
from solvent import (
    Column,
    Columns,
    Figure,
    Finding,
    Fitted,
    Goal,
    Marked,
    Output,
    Sums,
    Texts,
    Weighted,
    promises,
)
from solvent.promises import BrokenPromise
from solvent.schema import Field, Schema

GOOD = Columns(targets=(Column(name="target", kind="category"),), outputs=(Output(name="share", type="float"),))


def fit(settings, data):
    """Stands for the function of a vertical; messages name it by its module."""


def said(check, *arguments):
    with pytest.raises(BrokenPromise) as caught:
        check(fit, *arguments)
    message = str(caught.value)
    name, sign, rest = message.partition(" returned ")
    assert name.endswith("test_promises:fit")
    assert sign
    return rest


def test_a_function_that_is_imported_later_is_named_by_its_path():
    with pytest.raises(BrokenPromise, match=r"^solvent_finance\.network:fit returned None \(is a return missing\?\)"):
        promises.checked_fitted(solvent.later("solvent_finance.network:fit"), None)


def test_a_broken_promise_is_no_refusal_of_the_users_data():
    assert BrokenPromise.exit_code == 1


# columns


def test_good_columns_are_given_back():
    assert promises.checked_columns(fit, GOOD) is GOOD


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (None, "None (is a return missing?); expected solvent.Columns."),
        ({"inputs": ()}, "a dict; expected solvent.Columns."),
        (replace(GOOD, outputs=()), "no outputs; expected at least one solvent.Output."),
        (
            replace(GOOD, outputs=Output(name="share", type="float")),
            "outputs as an Output; expected a tuple, such as (Output(...),).",
        ),
        (replace(GOOD, inputs=("income",)), "inputs with a str; expected solvent.Column in it."),
        (
            replace(GOOD, inputs=(Column(name="income", kind="float"),)),
            "income of kind 'float'; expected one of number, category, text, image, id, time, list.",
        ),
        (
            replace(GOOD, outputs=(Output(name="share", type="double"),)),
            "share of type 'double'; expected one of float, integer, string, boolean, bytes, list, time.",
        ),
        (
            replace(GOOD, outputs=(Output(name="share", type="float", each="label"),)),
            "share for each 'label'; expected the name of a target (target).",
        ),
        (
            replace(GOOD, outputs=(Output(name="class", type="string", adverse="bad"),)),
            "class with the adverse class 'bad'; expected predicts to name the target (target) that has this class.",
        ),
        (
            replace(GOOD, inputs=(Column(name="share", kind="number"),)),
            "the name 'share' twice; expected each name once among inputs, targets and outputs.",
        ),
        (
            replace(GOOD, outputs=(Output(name="error", type="string"),)),
            "a column named 'error'; expected another name: the runner adds that column itself.",
        ),
    ],
)
def test_other_columns_are_told(columns, message):
    assert said(promises.checked_columns, columns) == message


def test_an_output_for_each_class_is_one_for_each_level():
    schema = Schema((Field(name="target", source="end", role="target", kind="category", levels=("bad", "good")),))
    columns = replace(GOOD, outputs=(Output(name="share", type="float", meaning="share of", each="target"),))
    assert [(item.name, item.type, item.meaning) for item in promises.expanded(columns, schema)] == [
        ("share_bad", "float", "share of: bad"),
        ("share_good", "float", "share of: good"),
    ]


def test_a_class_that_makes_the_name_of_another_output_is_refused():
    schema = Schema((Field(name="target", source="end", role="target", kind="category", levels=("bad", "best")),))
    outputs = (Output(name="share_best", type="float"), Output(name="share", type="float", each="target"))
    with pytest.raises(solvent.Refused, match=r"two outputs the name 'share_best'\. Rename a class"):
        promises.expanded(replace(GOOD, outputs=outputs), schema)


def test_an_adverse_class_is_one_of_the_targets_where_they_are_known():
    columns = replace(GOOD, outputs=(Output(name="class", type="string", predicts="target", adverse="bda"),))
    target = Field(name="target", source="end", role="target", kind="category", levels=("bad", "good"))
    message = r"'bda' as adverse, and end has the classes bad, good\. Did you mean 'bad'"
    with pytest.raises(solvent.Refused, match=message):
        promises.expanded(columns, Schema((target,)))
    assert promises.checked_columns(fit, columns) is columns
    assert promises.expanded(columns, Schema((replace(target, levels=None),))) == columns.outputs
    good = replace(columns, outputs=(replace(columns.outputs[0], adverse="bad"),))
    assert promises.expanded(good, Schema((target,))) == good.outputs


# headline, checks, figures, cases


def test_a_headline_is_a_goal():
    assert promises.checked_goal(fit, Goal("auc")) == Goal("auc")
    assert said(promises.checked_goal, "auc") == "a str; expected solvent.Goal, such as Goal('auc')."


def test_checks_are_a_list_of_findings():
    finding = Finding(name="odd", severity="note", message="Odd.")
    assert promises.checked_findings(fit, (item for item in [finding])) == [finding]
    assert said(promises.checked_findings, None).startswith("None (is a return missing?); expected a list of")
    assert said(promises.checked_findings, "odd").startswith("a str; expected a list of solvent.Finding")
    assert said(promises.checked_findings, [finding, "odd"]).startswith("a str among others; expected a list of")


def test_figures_are_figures():
    figure = Figure(title="Shape", caption="", draw=print)
    assert promises.checked_figures(fit, [figure]) == [figure]
    message = "a Figure; expected solvent.Figure or solvent.Texts, none or several."
    assert said(promises.checked_figures, figure) == message
    assert said(promises.checked_figures, [print]).startswith("the function print (is a call missing?) among others")


def test_figures_and_texts_keep_their_order():
    figure = Figure(title="Shape", caption="", draw=print)
    pieces = (("not ", np.float32(-1)), ("bad", 1), (".", 0.0))
    texts = Texts(title="Mistakes", caption="", items=(Marked(pieces=pieces), Marked(pieces=())))
    assert promises.checked_figures(fit, (item for item in [texts, figure, texts])) == [texts, figure, texts]


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ("bad", "a str; expected solvent.Marked as the items of 'Mistakes'."),
        ([("bad", 0.5)], "a tuple among others; expected solvent.Marked as the items of 'Mistakes'."),
        ([Marked(pieces="bad")], "pieces as a str; expected a text and its weight in [-1, 1] for each piece of "),
        (
            [Marked(pieces=("bad", 0.5))],
            "the piece 'bad'; expected a text and its weight in [-1, 1] for each piece of ",
        ),
        ([Marked(pieces=(("bad", 1.5),))], "the piece ('bad', 1.5); expected a text and its weight in [-1, 1]"),
        ([Marked(pieces=(("bad", float("nan")),))], "the piece ('bad', nan); expected a text and its weight in"),
        ([Marked(pieces=((b"bad", 0.5),))], "the piece (b'bad', 0.5); expected a text and its weight in [-1, 1]"),
    ],
)
def test_other_texts_are_told(items, message):
    assert said(promises.checked_figures, [Texts(title="Mistakes", caption="", items=items)]).startswith(message)


CASES = pd.DataFrame({"text": ["a", "bb", "cc"]}, index=[7, 8, 9])


def test_slices_are_categoricals_whose_order_is_kept_or_numbers_and_others_are_sorted():
    size = pd.Categorical(["long", None, "short"], ["short", "long", "huge"], ordered=True)
    given = {
        "size": pd.Series(size, CASES.index),
        "kind": pd.Series(["b", "a", None], CASES.index),
        "letters": pd.Series([2, 10, None], CASES.index),
    }
    found = promises.checked_slices(fit, given, CASES)
    assert found["letters"].tolist()[:2] == [2.0, 10.0]
    assert [list(found[name].cat.categories) for name in ("size", "kind")] == [["short", "long", "huge"], ["a", "b"]]
    assert found["size"].cat.codes.tolist() == [1, -1, 0]
    assert promises.checked_slices(fit, {}, CASES) == {}


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        (
            None,
            "None (is a return missing?); expected a mapping of names to Series, each with the level of every case.",
        ),
        ({"size": ["long", "short", "short"]}, "'size' with a list; expected a mapping of names to Series"),
        ({1: CASES["text"]}, "1 with a Series; expected a mapping of names to Series"),
        ({"size": CASES["text"][:2]}, "'size' with 2 cells; expected the same index as the 3 cases it got."),
        (
            {"size": CASES["text"].reset_index(drop=True)},
            "'size' with 3 cells with another index; expected the same index as the 3 cases it got.",
        ),
        ({"size": pd.Series([["a"], ["b"], []], CASES.index)}, "'size' with cells that can't be levels (unhashable"),
    ],
)
def test_other_slices_are_told(slices, message):
    assert said(promises.checked_slices, slices, CASES).startswith(message)


def test_cases_are_a_table_that_names_each_row_once():
    table = pd.DataFrame({"user": [1, 2]}, index=[4, 5])
    assert promises.checked_cases(fit, table) is table
    assert said(promises.checked_cases, [1, 2]) == "a list; expected a DataFrame."
    twice = table.set_axis([4, 4])
    assert said(promises.checked_cases, twice) == "the index 4 twice; expected an index that names each case once."


# fit


def test_a_fitted_without_models_is_good():
    fitted = Fitted({}, {"share": 0.5}, {"people": pd.DataFrame()}, frozenset({"people"}))
    assert promises.checked_fitted(fit, fitted) is fitted


@pytest.mark.parametrize(
    ("fitted", "message"),
    [
        (None, "None (is a return missing?); expected solvent.Fitted."),
        (fit, "the function fit (is a call missing?); expected solvent.Fitted."),
        (Fitted("model"), "models as a str; expected a mapping of names, such as {'model': ...}."),
        (Fitted({}, [1]), "facts as a list; expected a mapping of names, such as {'model': ...}."),
        (Fitted({"model": 3}), "models['model'] as an int; expected a keras.Model."),
        (Fitted({}, assets={"items": [1]}), "assets['items'] as a list; expected a DataFrame, an array or bytes."),
        (
            Fitted({}, assets={"a/b": b""}),
            "assets named 'a/b'; expected a name of letters, digits, - and _, since it becomes a file's name.",
        ),
        (
            Fitted({}, assets={"items": b""}, personal=frozenset({"users"})),
            "personal 'users' that is no asset or file; expected names among "
            "['items', 'report.html', 'test_scores.parquet'].",
        ),
        (
            Fitted({}, assets={"items": b""}, personal="items"),
            "personal as a str; expected a frozenset of names of assets.",
        ),
        (Fitted({}, batch_rows=0), "batch_rows=0; expected a whole number of rows, 1 or more."),
        (Fitted({}, files={"card.csv": "a"}), "files['card.csv'] as a str; expected bytes."),
        (
            Fitted({}, files={"a/b.csv": b""}),
            "files named 'a/b.csv'; expected letters, digits, ., - and _, since it lies in the bundle's folder under "
            "this name.",
        ),
        (
            Fitted({}, files={"Report.html": b""}),
            "files named 'Report.html', which the bundle has already; expected a name of its own.",
        ),
    ],
)
def test_another_fitted_is_told(fitted, message):
    assert said(promises.checked_fitted, fitted) == message


# metrics


def test_good_metrics_are_given_back():
    metrics = {
        "accuracy": Sums(np.ones((5, 2)), lambda sums: sums[..., 0] / sums[..., 1]),
        "auc": Weighted(5, lambda weights: weights.mean(axis=1)),
        "share": 0.5,
        "rows": np.int64(5),
    }
    assert promises.checked_metrics(fit, metrics, Goal("auc"), 5) == metrics


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (0.5, "a float; expected a mapping of metric names to numbers, Sums or Weighted."),
        ({"accuracy": 1.0}, "the metrics ['accuracy']; expected the headline 'auc' among them."),
        ({"auc": "high"}, "auc as a str; expected a number, Sums or Weighted."),
        ({"auc": Weighted(4, np.mean)}, "auc over 4 rows; expected one entry for each of the 5 rows."),
        ({"auc": Sums(np.ones((4, 2)), np.mean)}, "auc over 4 rows; expected one entry for each of the 5 rows."),
        ({"auc": Sums(np.ones(5), np.mean)}, "auc with Sums.rows of shape (5,); expected shape (5, k)."),
    ],
)
def test_other_metrics_are_told(metrics, message):
    assert said(promises.checked_metrics, metrics, Goal("auc"), 5) == message


# scorer

OUTPUTS = (Output(name="share", type="float"), Output(name="grade", type="integer"))
ROWS = pd.DataFrame({"income": [1.0, 2.0, 3.0]}, index=[7, 8, 9])


def scored(**columns):
    return pd.DataFrame({"share": [0.1, 0.2, 0.3], "grade": [1, 2, 3], **columns}, index=ROWS.index)


def test_a_scorer_gives_the_declared_columns_in_their_order_and_types_and_error():
    score = promises.checked_score(fit, lambda table: scored()[["grade", "share"]], OUTPUTS)
    found = score(ROWS)
    assert list(found) == ["share", "grade", "error"]
    assert [str(dtype) for dtype in found.dtypes] == ["float64", "Int64", "str"]
    assert found["error"].isna().all()
    assert found.index.tolist() == [7, 8, 9]


def test_a_row_with_an_error_is_null_elsewhere():
    found = promises.checked_score(fit, lambda table: scored(error=[None, "no income", None]), OUTPUTS)(ROWS)
    assert found.loc[8].drop("error").isna().all()
    assert found.loc[8, "error"] == "no income"
    assert found.loc[[7, 9], "share"].tolist() == [0.1, 0.3]


def test_a_row_without_a_number_is_an_error_and_not_a_good_row():
    grades = pd.array([1, 2, None], dtype="Int64")
    found = promises.checked_score(fit, lambda table: scored(share=[np.nan, np.inf, 0.3], grade=grades), OUTPUTS)(ROWS)
    assert found["error"].tolist() == [
        "the model gave no number for share",
        "the model gave no number for share",
        "the model gave no number for grade",
    ]
    assert found.drop(columns="error").isna().all(axis=None)


def test_a_nullable_output_may_be_null_but_not_infinite():
    outputs = (Output(name="share", type="float", nullable=True), Output(name="grade", type="integer"))
    found = promises.checked_score(fit, lambda table: scored(share=[np.nan, -np.inf, 0.3]), outputs)(ROWS)
    assert found["error"].fillna("").tolist() == ["", "the model gave no number for share", ""]
    assert found["grade"].tolist()[::2] == [1, 3]


def test_a_word_that_is_missing_is_an_error_and_the_scorers_own_error_stays():
    outputs = (Output(name="share", type="float"), Output(name="class", type="string"))
    table = scored(**{"class": ["a", None, None], "error": [None, None, "no income"]}).drop(columns="grade")
    found = promises.checked_score(fit, lambda rows: table, outputs)(ROWS)
    assert found["error"].fillna("").tolist() == ["", "the model gave no value for class", "no income"]


def test_outputs_for_each_class_are_nullable_if_they_were_declared_so():
    schema = Schema((Field(name="target", source="end", role="target", kind="category", levels=("bad", "good")),))
    columns = replace(GOOD, outputs=(Output(name="share", type="float", each="target", nullable=True),))
    assert [item.nullable for item in promises.expanded(columns, schema)] == [True, True]


def test_no_rows_have_the_declared_types_too():
    found = promises.checked_score(fit, lambda table: scored().head(0), OUTPUTS)(ROWS.head(0))
    assert [str(dtype) for dtype in found.dtypes] == ["float64", "Int64", "str"]
    assert found.empty


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "a scorer that returned None (is a return missing?); expected a DataFrame."),
        (np.ones((3, 2)), "a scorer that returned an ndarray; expected a DataFrame."),
        (scored().head(2), "a scorer that returned 2 rows; expected the same index as the 3 rows it got."),
        (
            scored().reset_index(drop=True),
            "a scorer that returned 3 rows with another index; expected the same index as the 3 rows it got.",
        ),
        (
            scored().drop(columns="grade"),
            "a scorer whose table lacks ['grade']; expected the declared outputs ['grade', 'share'].",
        ),
        (
            scored().rename(columns={"grade": "mark"}),
            "a scorer whose table lacks ['grade'], and has ['mark'], which columns() does not declare: was one "
            "renamed; expected the declared outputs ['grade', 'share'].",
        ),
        (
            scored(points=1),
            "a scorer whose table also has ['points']; expected only what columns() declares; add solvent.Output.",
        ),
        (
            pd.concat([scored(), scored()["share"]], axis=1),
            "a scorer whose table has 'share' twice; expected each declared output once.",
        ),
    ],
)
def test_another_table_of_scores_is_told(table, message):
    def check(function):
        promises.checked_score(function, lambda rows: table, OUTPUTS)(ROWS)

    assert said(check) == message


def test_cells_of_another_type_are_told():
    def check(function):
        promises.checked_score(function, lambda rows: scored(share=["a", "b", "c"]), OUTPUTS)(ROWS)

    assert said(check).startswith("share as str; expected cells of the declared type float (")


@pytest.mark.parametrize(
    ("context", "found"),
    [
        ([True, np.nan, np.nan], "context as object with 2 nulls"),
        (pd.array([True, None, False], dtype="boolean"), "context as boolean with 1 nulls"),
        ([1, 0, 0], "context as int64 with 0 nulls"),
        (["false"] * 3, "context as str with 0 nulls"),
    ],
)
def test_context_that_is_not_said_of_every_row_is_told_and_not_taken_for_true(context, found):
    def check(function):
        promises.checked_score(function, lambda rows: scored(context=context), OUTPUTS)(ROWS)

    assert said(check).startswith(f"{found}; expected booleans: ")


def test_a_whole_number_is_not_rounded_into_one():
    def check(function):
        promises.checked_score(function, lambda rows: scored(grade=[1.5, 2.0, 3.0]), OUTPUTS)(ROWS)

    assert said(check).startswith("grade as float64; expected cells of the declared type integer (")


def test_a_scorer_that_is_no_function_is_told_at_once():
    assert said(promises.checked_score, scored(), OUTPUTS) == "a DataFrame; expected a function from table to table."


# The seams of a whole run

SEAMS = {
    "columns": ("Columns", lambda settings: None),
    "headline": ("Goal", lambda settings: "accuracy"),
    "checks": ("list of solvent.Finding", lambda settings, table: None),
    "fit": ("Fitted", lambda settings, data: None),
    "scorer": ("function from table to table", lambda settings, fitted: None),
    "metrics": ("mapping of metric names", lambda settings, rows, scored: None),
    "cases": ("DataFrame", lambda settings, rows, *fitted: None),
    "slices": ("mapping of names to Series", lambda settings, fitted, rows: None),
    "figures": ("Figure", lambda settings, fitted, rows, scored: None),
    "rivals": ("function from table to table", lambda settings, data: None),
}


@pytest.mark.parametrize("seam", SEAMS)
def test_every_function_of_a_solution_is_checked_in_a_run(seam, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "toys")
    import counting

    expected, wrong = SEAMS[seam]
    wrong.__qualname__ = f"half_edited_{seam}"
    change = {"the rival": wrong} if seam == "rivals" else wrong
    monkeypatch.setattr(counting, "HALF_EDITED", replace(counting.SOLUTION, **{seam: change}), raising=False)
    counting.sample(0).rows.to_csv(tmp_path / "rows.csv", index=False)
    config = {
        "solution": "counting:HALF_EDITED",
        "data": {"rows": str(tmp_path / "rows.csv"), "columns": {"target": "heat"}},
    }
    with pytest.raises(BrokenPromise, match=rf"half_edited_{seam} returned .*; expected .*{expected}"):
        solvent.train(config, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_what_is_wrong_with_the_metrics_is_told_before_any_rival_is_trained(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "toys")
    import counting

    trained = []
    change = {
        "metrics": lambda settings, rows, scored: {"accuracy": "much"},
        "rivals": {"it": lambda *_: trained.append(1)},
    }
    monkeypatch.setattr(counting, "HALF_EDITED", replace(counting.SOLUTION, **change), raising=False)
    counting.sample(0).rows.to_csv(tmp_path / "rows.csv", index=False)
    rows = {"rows": str(tmp_path / "rows.csv"), "columns": {"target": "heat"}}
    with pytest.raises(BrokenPromise, match="as a str; expected a number"):
        solvent.train({"solution": "counting:HALF_EDITED", "data": rows}, tmp_path / "bundle")
    assert trained == []
