"""The judge's tables: what is counted, and what is left out loudly."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import solvent
from solvent import Column, Columns, Fitted, Goal, Output, Refused, Section, Solution, Split, promises
from solvent.evaluation import OURS, Judge, Scored, score_table
from solvent.metrics import mean
from solvent.schema import Field, Schema

ROWS = pd.DataFrame(
    {
        "heat": ["hot"] * 60 + ["cold"] * 60,
        "sex": (["f"] * 25 + ["m"] * 25 + [None] * 10) * 2,
        "weight": [1.0] * 60 + [2.0] * 60,
    }
)
SCHEMA = Schema(
    (
        Field(name="heat", source="heat", role="target", kind="category", levels=("cold", "hot")),
        Field(name="sex", source="Geschlecht", role="protected", kind="category", levels=("f", "m")),
        Field(name="weight", source="n", role="weight", kind="number"),
    )
)
OUTPUTS = (Output(name="says", type="string", predicts="heat"),)


def right(settings, rows, scored):
    return {"accuracy": mean((rows["heat"] == scored["says"]).to_numpy(float), rows["weight"])}


SOLUTION = Solution(
    name="weather",
    summary="",
    settings=Section,
    columns=lambda settings: Columns(outputs=OUTPUTS),
    split=Split(),
    headline=lambda settings: Goal("accuracy"),
    fit=None,
    scorer=None,
    rivals={},
    metrics=right,
    sample=None,
)
SAYS = pd.DataFrame({"says": ["hot"] * 50 + ["cold"] * 10 + ["cold"] * 60})


@pytest.fixture
def judge():
    return Judge(SOLUTION, Section(), SCHEMA)


@pytest.fixture
def scored():
    return Scored(ROWS, {OURS: SAYS, "always hot": SAYS.assign(says="hot")}, failed=3)


def report(judge, scored, **more):
    options = {"outputs": OUTPUTS, "slices": {}, "copied": pd.Index([]), "set_aside": 2, "folds": 0, **more}
    return judge.report(scored, {OURS: 0.9, "always hot": 0.5}, {"always hot": 0.1}, **options)


def test_the_confusion_counts_the_solutions_own_decisions_by_weight(judge, scored):
    assert report(judge, scored)["confusion"] == {
        "classes": ["cold", "hot"],
        "rows_are": "truth",
        "counts": [[120.0, 0.0], [10.0, 50.0]],
    }


def test_without_an_output_that_decides_there_is_no_confusion(judge, scored):
    assert report(judge, scored, outputs=(Output(name="says", type="string"),))["confusion"] is None


def test_rows_that_could_not_be_read_or_scored_are_counted(judge, scored):
    assert report(judge, scored)["test"]["set_aside"] == 5


def test_a_slice_of_missing_levels_is_shown_and_small_slices_are_not_measured(judge, scored):
    slices = {item["level"]: item for item in report(judge, scored)["slices"]}
    assert {level: item["rows"] for level, item in slices.items()} == {"f": 50, "m": 50, "missing": 20}
    assert slices["f"]["column"] == "Geschlecht"
    assert slices["f"]["value"] == 1.0
    assert slices["missing"]["value"] == pytest.approx((10 * 2 + 0) / 30)
    few = Scored(ROWS.iloc[:15], {OURS: SAYS.iloc[:15], "always hot": SAYS.iloc[:15]}, 0)
    assert report(judge, few)["slices"][0]["value"] is None


def sliced(more, **roles):
    """The slices of the rows with further columns, each of which has a role, and whether ours is right in them."""
    fields = [Field(name=f"own {name}", source=name, role=role) for name, role in roles.items()]
    rows = ROWS.assign(**{f"own {name}": cells for name, cells in more.items()})
    judge = Judge(SOLUTION, Section(), Schema((*SCHEMA.fields, *fields)))
    found = report(judge, Scored(rows, {OURS: SAYS, "always hot": SAYS.assign(says="hot")}, 0))["slices"]
    return [(item["column"], item["level"], item["rows"], item["value"]) for item in found if item["rows"] < 50]


def test_what_passes_through_with_few_levels_is_sliced_whatever_its_cells_are():
    # ours errs in the rows 50 to 59 alone, which weigh 1 as the 50 before do; the 60 after weigh 2
    wrong = pytest.approx(0.5)
    columns = {
        "branch": ["north"] * 40 + ["south"] * 20 + ["north"] * 10 + [" "] * 50,
        "open": np.repeat([True, False], [80, 40]),
        "grade": np.repeat([10, 2, 7], [40, 20, 60]),
        "mixed": [1, "1.0"] * 20 + ["a"] * 20 + [None] * 60,
        "day": pd.to_datetime(["2024-05-31"] * 40 + ["2024-06-01"] * 80),
        "tags": [["x"]] * 40 + [["x", "y"]] * 80,
        "kind": pd.Categorical(["b"] * 40 + ["a"] * 80, ["b", "a", "never"]),
        "amount": np.arange(120) / 7,
        "always": ["the same"] * 100 + [None] * 20,
    }
    assert sliced({"branch": columns["branch"]}, branch="passthrough") == [
        ("Geschlecht", "missing", 20, pytest.approx(20 / 30)),
        ("branch", "south", 20, wrong),
    ]
    found = {name: sliced({name: cells}, **{name: "passthrough"})[1:] for name, cells in columns.items()}
    assert found["open"] == [("open", "false", 40, 1.0)]
    assert found["grade"] == [("grade", "2", 20, wrong), ("grade", "10", 40, 1.0)]  # and 7, of 60 rows, between
    assert found["mixed"] == [("mixed", "1", 40, 1.0), ("mixed", "a", 20, wrong)]
    assert found["day"] == [("day", "2024-05-31 00:00:00", 40, 1.0)]
    assert found["tags"] == [("tags", "['x']", 40, 1.0)]
    assert found["kind"] == [("kind", "b", 40, 1.0)]
    assert found["amount"] == found["always"] == []


def test_protected_columns_are_sliced_first_then_features_then_what_passes_through():
    names = [f"c{place}" for place in range(8)]
    cells = {name: np.where(np.arange(120) < 30, "a", "b") for name in names}
    roles = dict.fromkeys(names, "passthrough") | {"c7": "protected"}
    assert [column for column, *_ in sliced(cells, **roles)] == ["Geschlecht", "c7", "c0", "c1", "c2", "c3", "c4", "c5"]
    feature = Field(name="sky", source="sky", role="feature", kind="category", levels=("clear", "grey"))
    passed = Field(name="shop", source="shop", role="passthrough")
    rows = ROWS.assign(sky="clear", shop=np.where(np.arange(120) < 30, "a", "b"))
    judge = Judge(SOLUTION, Section(), Schema((feature, passed, *SCHEMA.fields)))
    found = report(judge, Scored(rows, {OURS: SAYS, "always hot": SAYS}, 0))["slices"]
    assert list(dict.fromkeys(item["column"] for item in found)) == ["Geschlecht", "sky", "shop"]


def test_a_passed_column_that_the_cases_lack_is_not_sliced(scored):
    judge = Judge(SOLUTION, Section(), Schema((*SCHEMA.fields, Field(name="x", source="x", role="passthrough"))))
    assert {item["column"] for item in report(judge, scored)["slices"]} == {"Geschlecht"}


def test_the_headline_is_also_given_in_the_levels_that_a_solution_tells_apart(judge, scored):
    size = pd.Categorical([None] * 30 + ["long"] * 30 + ["short"] * 60, ["short", "long", "huge"])
    words = np.repeat([2.5, 10.0, np.nan], [50, 20, 50])
    given = {
        "size": pd.Series(size),
        "words": pd.Series(words),
        "Geschlecht": pd.Series(["other"] * 120),
        "heat": ROWS["heat"],
    }
    slices = promises.checked_slices(None, given, ROWS)
    found = report(judge, scored, slices=slices)["slices"][3:]  # beside those of the column Geschlecht
    assert [(item["column"], item["level"], item["rows"], item["value"]) for item in found] == [
        ("size", "short", 60, 1.0),
        ("size", "long", 30, pytest.approx(20 / 30)),
        ("words", "2.5", 50, 1.0),
        ("words", "10", 20, pytest.approx(20 / 30)),  # 10 rows of weight 1 are wrong, 10 of weight 2 right
        ("Geschlecht, as the solution finds it", "other", 120, pytest.approx(170 / 180)),
        ("heat", "cold", 60, 1.0),
        ("heat", "hot", 60, pytest.approx(50 / 60)),
    ]
    assert found[1]["low"] < 20 / 30 < found[1]["high"]


@pytest.mark.parametrize("folds", [None, 2])
def test_a_bundle_and_its_report_hold_the_slices_of_a_column_and_of_the_solution(folds, tmp_path, monkeypatch):
    """Red is hot in the north, where most rows are, and cold in the south: the model is right there and wrong here."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "toys")
    import counting

    asked = []

    def slices(settings, fitted, rows):
        asked.append(len(rows))
        climate = rows["shop"].map({"north": "cool", "south": "warm"}).astype(pd.CategoricalDtype(["warm", "cool"]))
        return {"climate": climate, f"{len(fitted.facts['shares'])} colours": rows["shop"].where(climate == "cool")}

    monkeypatch.setattr(counting, "SLICED", replace(counting.SOLUTION, slices=slices), raising=False)
    random = np.random.default_rng(0)
    red, north = random.random(800) < 0.5, random.random(800) < 0.7
    rows = pd.DataFrame({"colour": np.where(red, "red", "blue"), "shop": np.where(north, "north", "south")})
    rows.assign(heat=np.where(red == north, "hot", "cold")).to_csv(tmp_path / "rows.csv", index=False)
    split = {"by": "random", "fractions": [0.5, 0.2, 0.3]} if folds is None else {"by": "random", "folds": folds}
    columns = {"target": "heat", "passthrough": ["shop"]}
    data = {"rows": str(tmp_path / "rows.csv"), "columns": columns, "split": split}
    bundle = solvent.train({"solution": "counting:SLICED", "data": data}, tmp_path / "bundle")
    tested = bundle.facts["test"]["rows"]
    assert asked == ([400, 400] if folds else [240]), "each case by the model that had not seen it"
    assert tested == (800 if folds else 240)
    found = [item for item in bundle.facts["slices"] if item["column"] != "colour"]
    assert [(item["column"], item["level"], item["value"]) for item in found] == [
        ("shop", "north", 1.0),
        ("shop", "south", 0.0),
        ("climate", "warm", 0.0),
        ("climate", "cool", 1.0),
        ("2 colours", "north", 1.0),
    ]
    warm, cool = found[2]["rows"], found[3]["rows"]
    assert warm + cool == tested
    assert [item["rows"] for item in found] == [cool, warm, warm, cool, cool]
    assert all(item["low"] == item["value"] == item["high"] for item in found)
    page = (bundle.path / "report.html").read_text(encoding="utf-8")
    assert all(f">{name}</th>" in page for name in ("shop", "climate", "2 colours"))
    assert "climate = warm" in (bundle.path / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_the_headline_is_also_given_without_copies(judge, scored):
    copies = report(judge, scored, copied=ROWS.index[:50])["slices"][0]
    assert (copies["column"], copies["level"], copies["rows"]) == ("copies", "left out", 70)
    assert copies["value"] == pytest.approx(120 / 130)


def test_the_baseline_is_the_best_rival_on_validation_rows_and_differences_are_paired(judge, scored):
    found = report(judge, scored)
    assert found["test"]["baseline"]["name"] == "always hot"
    assert found["rivals"]["always hot"]["difference"]["value"] == pytest.approx((170 - 60) / 180)
    assert found["test"]["metrics"]["accuracy"]["value"] == pytest.approx(170 / 180)


def test_where_validation_rows_tell_of_no_headline_the_first_rival_is_the_baseline(judge, scored):
    options = {"outputs": OUTPUTS, "slices": {}, "copied": pd.Index([]), "set_aside": 0, "folds": 0}
    found = judge.report(scored, {OURS: np.nan, "always hot": np.nan}, {"always hot": 0.1}, **options)
    assert found["test"]["baseline"]["name"] == "always hot"


def test_the_protocol_of_folds_says_that_models_are_pooled(judge, scored):
    protocol = report(judge, scored, folds=5)["protocol"]
    assert protocol.startswith("Out-of-fold scores of 5 models, pooled.")
    assert "each model held fixed" in protocol


def test_the_score_table_holds_truth_weight_and_every_models_outputs(scored):
    table = score_table(SCHEMA, scored)
    assert list(table) == ["truth", "weight", "says", "always hot: says"]
    np.testing.assert_array_equal(table["weight"], ROWS["weight"])


def test_rows_that_one_model_cannot_score_are_left_out_of_all():
    def fine(table):
        return pd.DataFrame({"says": "hot", "error": None}, index=table.index)

    def picky(table):
        return pd.DataFrame({"says": "hot", "error": [None] * 118 + ["no", "no"]}, index=table.index)

    found = Scored.of(ROWS, {OURS: fine, "picky": picky})
    assert (len(found.rows), found.failed) == (118, 2)
    assert found.ours.index.equals(found.by_model["picky"].index)


# Fairness: cold is the class that nobody wants.

ADVERSE = (Output(name="says", type="string", predicts="heat", adverse="cold"),)


def fairness(rows, says, *, outputs=ADVERSE, **kinds):
    """The report's fairness of rows whose protected columns have these kinds."""
    protected = [Field(name=name, source=name.upper(), role="protected", kind=kind) for name, kind in kinds.items()]
    weight = [Field(name="n", source="n", role="weight", kind="number")] if "n" in rows else []
    fields = (SCHEMA.fields[0], *protected, *weight)
    solution = replace(SOLUTION, metrics=lambda settings, rows, scored: {"accuracy": 1.0})
    judge = Judge(solution, Section(), Schema(fields))
    return report(judge, Scored(rows, {OURS: pd.DataFrame({"says": says}), "always hot": SAYS}, 0), outputs=outputs)


def made(shift, rows=3000, seed=0):
    """Both sexes are hot in 6 of 10 rows; a thermometer reads women lower by `shift`, and above 0 is called hot."""
    random = np.random.default_rng(seed)
    table = pd.DataFrame({"sex": random.choice(["f", "m"], rows, p=[0.4, 0.6]), "hot": random.random(rows) < 0.6})
    reading = np.where(table["hot"], 1, -1) + random.normal(size=rows) - shift * (table["sex"] == "f")
    table["heat"] = np.where(table.pop("hot"), "hot", "cold")
    return table, np.where(reading > 0, "hot", "cold")


def test_a_planted_unfairness_shows(scored):
    rows, says = made(shift=1.0)
    found = fairness(rows, says, sex="category")["fairness"]
    assert [(item["column"], item["output"], item["adverse"], item["reference"]) for item in found] == [
        ("SEX", "says", "cold", "m")
    ]
    woman, man = found[0]["levels"]
    hot, called = rows["heat"] == "hot", pd.Series(says) == "hot"
    women, men = rows["sex"] == "f", rows["sex"] == "m"
    assert (woman["level"], woman["rows"], woman["deserving"]) == ("f", women.sum(), (women & hot).sum())
    assert woman["ratio"]["value"] == pytest.approx(called[women].mean() / called[men].mean())
    assert woman["difference"]["value"] == pytest.approx(called[women & hot].mean() - called[men & hot].mean())
    # By the normal distribution: of hot rows 0.5 of the women and 0.8413 of the men, of cold ones 0.0228 and 0.1587.
    assert woman["ratio"]["low"] < (0.6 * 0.5 + 0.4 * 0.0228) / (0.6 * 0.8413 + 0.4 * 0.1587) < woman["ratio"]["high"]
    assert woman["difference"]["low"] < 0.5 - 0.8413 < woman["difference"]["high"] < -0.2
    assert woman["ratio"]["high"] < 0.8
    assert (man["reference"], man["ratio"]["value"]) == (True, pytest.approx(float("nan"), nan_ok=True))


def test_without_unfairness_the_intervals_cover_equality():
    woman, _ = fairness(*made(shift=0.0), sex="category")["fairness"][0]["levels"]
    assert woman["ratio"]["low"] < 1 < woman["ratio"]["high"]
    assert woman["difference"]["low"] < 0 < woman["difference"]["high"]


def test_the_heaviest_level_is_the_reference_and_missing_or_few_rows_never_are():
    rows = pd.DataFrame({"heat": "hot", "sex": ["f"] * 30 + ["m"] * 40 + ["x"] * 19 + [None] * 60})
    says = ["hot"] * 149
    assert fairness(rows, says, sex="category")["fairness"][0]["reference"] == "m"
    heavy = rows.assign(n=[2.0] * 30 + [1.0] * 40 + [99.0] * 79)
    found = fairness(heavy, says, sex="category")["fairness"][0]
    assert found["reference"] == "f"
    assert [(level["level"], level["rows"]) for level in found["levels"]] == [
        ("f", 30), ("m", 40), ("x", 19), ("missing", 60)
    ]  # fmt: skip
    assert np.isnan(found["levels"][2]["rate"]["value"])
    assert found["levels"][3]["ratio"]["value"] == 1.0
    few = fairness(rows.iloc[70:89].reset_index(drop=True), says[:19], sex="category")["fairness"][0]
    assert few["reference"] is None


def test_a_column_called_weight_that_has_another_role_weighs_nothing():
    rows, says = made(shift=1.0)
    plain = fairness(rows, says, sex="category")["fairness"]
    assert fairness(rows.assign(weight=np.arange(3000.0)), says, sex="category")["fairness"] == plain


def test_numbers_and_times_of_many_values_stand_in_bands_in_fairness_and_slices():
    rows, says = made(shift=0.0)
    ages = np.arange(3000) % 60 + 20.0
    ages[:120] = np.nan
    born = pd.Timestamp("2000-01-01") - pd.to_timedelta(np.arange(3000) % 60, unit="D")
    found = fairness(rows.assign(age=ages, born=born, children=np.arange(3000) % 3.0),
                     says, age="number", born="time", children="number")  # fmt: skip
    age, birth, children = found["fairness"]
    assert [level["level"] for level in age["levels"]] == [
        "up to 34", "over 34 to 49", "over 49 to 64", "over 64", "missing"
    ]  # fmt: skip
    assert [level["rows"] for level in birth["levels"]] == [750, 750, 750, 750]
    assert birth["levels"][0]["level"] == "up to 1999-11-17"
    assert [level["level"] for level in children["levels"]] == ["0", "1", "2"]
    assert [item["level"] for item in found["slices"] if item["column"] == "AGE"] == [
        level["level"] for level in age["levels"]
    ]


def test_rare_levels_of_a_column_with_many_are_counted_and_left_out():
    rows, says = made(shift=0.0)
    towns = np.where(np.arange(3000) % 100 < 30, np.arange(3000) % 100, 0)
    found = fairness(rows.assign(town=[f"T{town:02d}" for town in towns]), says, town="category")["fairness"][0]
    assert (len(found["levels"]), found["left_out"], found["reference"]) == (20, 10, "T00")


def test_without_an_adverse_class_a_protected_column_or_a_test_part_there_is_no_fairness(judge, scored):
    assert report(judge, scored)["fairness"] == []
    assert fairness(*made(0.0))["fairness"] == []
    assert fairness(*made(0.0), sex="category")["fairness"] != []
    assert report(judge, None, outputs=ADVERSE)["fairness"] == []


# A protected column is never a feature: a whole training, by a solution that reads all it is allowed to.


def greedy_fit(settings, data):
    """Remembers the heat of every combination of features."""
    names = [field.name for field in data.schema.features if field.kind == "category"]
    keys = data.train[names].astype(str).agg(" ".join, axis=1)
    return Fitted({}, {"names": names, "says": data.train["target"].groupby(keys).agg(lambda t: t.mode()[0]).to_dict()})


def greedy_scorer(settings, fitted):
    def score(table):
        keys = table[fitted.facts["names"]].astype(str).agg(" ".join, axis=1)
        return pd.DataFrame({"says": keys.map(fitted.facts["says"]).fillna("cold").astype(str)}, index=table.index)

    return score


GREEDY = replace(
    SOLUTION,
    columns=lambda settings: Columns(
        inputs=(Column(name="town", kind="category", required=False),),
        targets=(Column(name="target", kind="category"),),
        features=("category",),
        outputs=(Output(name="says", type="string", predicts="target", adverse="cold"),),
    ),
    fit=greedy_fit,
    scorer=greedy_scorer,
    rivals={"the same": lambda settings, data: greedy_scorer(settings, greedy_fit(settings, data))},
    metrics=lambda settings, rows, scored: {"accuracy": mean((rows["target"] == scored["says"]).to_numpy(float))},
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """`sex` and `town` alone decide the target; both are protected, `town` though the solution names it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "toys")
        import counting

        patch.setattr(counting, "GREEDY", GREEDY, raising=False)
        folder = tmp_path_factory.mktemp("greedy")
        random = np.random.default_rng(0)
        rows = pd.DataFrame({"sex": random.choice(["f", "m"], 900), "colour": random.choice(["red", "blue"], 900)})
        women = rows["sex"] == "f"
        rows = rows.assign(heat=np.where(women, "cold", "hot"), town=np.where(women, "A", "B"))
        rows.to_csv(folder / "rows.csv", index=False)
        columns = {"target": "heat", "protected": ["sex", "town"]}
        config = {"solution": "counting:GREEDY", "data": {"rows": str(folder / "rows.csv"), "columns": columns}}
        yield rows, solvent.train(config, folder / "bundle")


def test_a_protected_column_reaches_neither_the_features_nor_a_rival(trained):
    _, bundle = trained
    assert bundle.facts["facts"]["names"] == ["colour"]
    assert 0.4 < bundle.facts["test"]["metrics"]["accuracy"]["value"] < 0.6  # sex alone would give 1
    assert 0.4 < bundle.facts["test"]["baseline"]["accuracy"]["value"] < 0.6


def test_a_bundle_scores_without_its_protected_columns(trained):
    rows, bundle = trained
    found = bundle.score(rows.drop(columns=["sex", "town", "heat"]))
    pd.testing.assert_frame_equal(found, bundle.score(rows))
    pd.testing.assert_frame_equal(found, bundle.score(rows.assign(sex=rows["sex"].iloc[::-1].to_numpy())))


def test_a_real_report_and_card_tell_the_fairness_of_the_bundle(trained):
    _, bundle = trained
    assert [(item["column"], len(item["levels"])) for item in bundle.facts["fairness"]] == [("sex", 2), ("town", 2)]
    assert bundle.facts["outputs"][0]["adverse"] == "cold"
    assert 'id="fairness"' in (bundle.path / "report.html").read_text(encoding="utf-8")
    card = (bundle.path / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "- sex (reference " in card and "says other than cold" in card


@pytest.mark.parametrize(("role", "column"), [("protected", "town"), ("ignore", "town"), ("passthrough", "town")])
def test_a_column_that_a_solution_names_but_does_not_need_gives_way_to_the_config(role, column):
    schema = Schema.declare(GREEDY.columns(None), {role: [column], "target": "heat"}, ["heat", column], table="t.csv")
    assert schema.features == ()


def test_a_column_that_a_solution_needs_cannot_be_protected():
    columns = replace(GREEDY.columns(None), inputs=(Column(name="town", kind="category"),))
    message = r"columns\.protected: this solution reads 'town' as town; a column has one role\. Name another for it"
    with pytest.raises(Refused, match=message):
        Schema.declare(columns, {"protected": ["town"], "target": "heat"}, ["heat", "town"], table="t.csv")
