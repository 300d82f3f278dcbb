"""What is expected of a run before its labels are known, and what labels that come later say of it."""

import json
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from scipy.special import expit

from solvent import Column, Columns, Output, Refused
from solvent.cli import main
from solvent.drift import Counts, Drift, compare, reference
from solvent.drift import chances as known_chances
from solvent.drift.chances import ChanceCounts
from solvent.drift.expected import MEASURES, WARNING, expected
from solvent.jobs import history
from solvent.jobs import run as running
from solvent.jobs.labels import join
from solvent.jobs.reading import load
from solvent.metrics import binary, point
from solvent.promises import BrokenPromise, checked_columns, expanded
from solvent.report.drift import page
from solvent.schema import Field, Schema

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

import made_loans

CHANCE = Output(name="chance", type="float", chance_of="bad", positive="yes", decided_by="class")
OUTPUTS = (CHANCE, Output(name="class", type="string", predicts="bad"))
SCHEMA = Schema((Field(name="bad", source="Bad", role="target", kind="category", levels=("no", "yes")),))
TAKEN_FROM = 0.3


def rows(
    count: int, seed: int, mean: float, deviation: float, *, moved: float = 0.0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows with their truth, and what a model that is right makes of them.

    Args:
        mean, deviation: of the log odds: another one is a covariate shift.
        moved: by how much the log odds that the labels go by are other ones by now: concept drift.
    """
    random = np.random.default_rng(seed)
    line = random.normal(mean, deviation, count)
    truth = random.random(count) < expit(line + moved)
    chance = expit(line)
    scored = pd.DataFrame({"chance": chance, "class": np.where(chance > TAKEN_FROM, "yes", "no")})
    return pd.DataFrame({"bad": np.where(truth, "yes", "no")}), scored


def run_of(scored: pd.DataFrame, test_rows: int = 3000) -> Drift:
    """A run beside a bundle whose test rows were like those of training."""
    then, seen = rows(test_rows, 1, -1.5, 1.2)
    known = {**reference(then, SCHEMA, seen), "chances": known_chances(OUTPUTS, SCHEMA, then, seen)}
    known = json.loads(json.dumps(known))
    return compare(known, Counts.of(known, SCHEMA, pd.DataFrame(index=scored.index), scored))


def realised(now: pd.DataFrame, scored: pd.DataFrame) -> dict[str, float]:
    truth, taken = (now["bad"] == "yes").to_numpy(float), (scored["class"] == "yes").to_numpy(float)
    measured = binary(truth, scored["chance"], taken)
    return {name: point(measured[name]) for name in MEASURES if name != "rate"} | {"rate": truth.mean()}


@pytest.mark.parametrize(("mean", "deviation"), [(0.5, 1.2), (-3.0, 0.8), (-1.0, 2.5)])
def test_under_covariate_shift_the_truth_lies_within_the_interval(mean: float, deviation: float) -> None:
    now, scored = rows(4000, 2, mean, deviation)
    found = run_of(scored).expected["chance"]
    then = realised(*rows(4000, 3, -1.5, 1.2))
    for name, value in realised(now, scored).items():
        estimate = found.measures[name]
        assert estimate["low"] <= value <= estimate["high"], name
    # it is no empty promise: the interval leaves out what held in training
    outside = [not found.measures[name]["low"] <= then[name] <= found.measures[name]["high"] for name in MEASURES]
    assert sum(outside) >= 3


def test_nineteen_of_twenty_runs_lie_within_their_interval() -> None:
    inside = []
    for seed in range(100):
        now, scored = rows(500, 100 + seed, -0.5, 1.0)
        then, seen = rows(500, 1000 + seed, -1.5, 1.2)
        known = json.loads(json.dumps(known_chances(OUTPUTS, SCHEMA, then, seen)))
        found = expected("chance", known["chance"], ChanceCounts.of(known["chance"], scored, "chance")).measures
        truth = realised(now, scored)
        inside.append([found[name]["low"] <= truth[name] <= found[name]["high"] for name in MEASURES])
    # 95 of 100 to be expected; 88 or less has a chance of 1 in 200
    assert (np.sum(inside, axis=0) >= 89).all()
    # and no interval is so wide that all lie in it: the mean over the metrics
    assert np.mean(inside) <= 0.99


def test_under_concept_drift_it_is_wrong_and_the_report_says_that_it_would_be() -> None:
    now, scored = rows(4000, 2, -1.5, 1.2, moved=1.5)
    drifted = run_of(scored)
    found, truth = drifted.expected["chance"].measures, realised(now, scored)
    assert not found["accuracy"]["low"] <= truth["accuracy"] <= found["accuracy"]["high"]
    assert not found["rate"]["low"] <= truth["rate"] <= found["rate"]["high"]
    told = page(drifted, title="t", facts={})
    assert WARNING in told and "concept drift" in WARNING
    assert "Only labels tell." in drifted.expected["chance"].sentence
    assert drifted.to_json()["expected"]["chance"]["warning"] == WARNING


def test_what_is_expected_by_hand() -> None:
    facts = {
        "target": "Bad", "positive": "yes", "decided_by": "class",
        "calibration": {"intercept": 0.0, "slope": 1.0, "covariance": [[1e-9, 0], [0, 1e-9]], "rows": 9},
    }  # fmt: skip
    scored = pd.DataFrame({"chance": [0.2, 0.6, 0.9], "class": ["no", "no", "yes"]})
    found = expected("chance", facts, ChanceCounts.of(facts, scored, "chance")).measures
    assert found["accuracy"]["value"] == pytest.approx((0.8 + 0.4 + 0.9) / 3)
    assert found["precision"]["value"] == pytest.approx(0.9)
    assert found["recall"]["value"] == pytest.approx(0.9 / 1.7)
    assert found["rate"]["value"] == pytest.approx(1.7 / 3)
    # pairs of a positive above a negative: 0.6 > 0.2, 0.9 > 0.2, 0.9 > 0.6; a pair of a row with itself counts a half
    pairs = 0.6 * 0.8 + 0.9 * 0.8 + 0.9 * 0.4 + (0.2 * 0.8 + 0.6 * 0.4 + 0.9 * 0.1) / 2
    assert found["auc"]["value"] == pytest.approx(pairs / (1.7 * 1.3))
    assert found["auc"]["low"] is None  # of three rows no interval is worth anything


def test_a_calibration_that_test_rows_contradict_is_corrected() -> None:
    then, seen = rows(5000, 1, -1.5, 1.2)
    wrong = seen.assign(chance=expit(2 * np.log(seen["chance"] / (1 - seen["chance"])) + 1))  # much too sure
    line = known_chances(OUTPUTS, SCHEMA, then, wrong)["chance"]["calibration"]
    assert line["slope"] == pytest.approx(0.5, abs=0.06)
    assert line["intercept"] == pytest.approx(-0.5, abs=0.1)
    one_class = known_chances(OUTPUTS, SCHEMA, then[:5].assign(bad="no"), seen[:5])["chance"]["calibration"]
    assert abs(one_class["slope"] - 1) < 0.5 and np.isfinite(one_class["covariance"]).all()


def test_counts_of_parts_add_up_to_those_of_the_whole() -> None:
    _, scored = rows(1000, 4, -1, 2)
    scored.loc[5, "chance"] = np.nan
    scored.loc[6, "chance"] = 0.0
    scored.loc[7, "chance"] = 1.0
    facts = {"decided_by": "class", "positive": "yes"}
    whole = ChanceCounts.of(facts, scored, "chance")
    parts = [ChanceCounts.of(facts, scored[start : start + 7], "chance") for start in range(0, 1000, 7)]
    added = sum(parts[1:], parts[0])
    assert added == whole == ChanceCounts.from_json(json.loads(json.dumps(whole.to_json())))
    assert int(whole.table()[0].sum()) == 999
    assert ChanceCounts.of(facts, scored.drop(columns="chance"), "chance") == ChanceCounts()
    assert (ChanceCounts() + whole) == whole


def test_of_two_classes_the_last_one_has_a_chance_and_of_more_none() -> None:
    each = Output(name="chance", type="float", each="bad", chance_of="bad")
    columns = Columns(targets=(Column(name="bad", kind="category"),), outputs=(each, OUTPUTS[1]))
    two = {item.name: item for item in expanded(checked_columns(None, columns), SCHEMA)}
    assert (two["chance_yes"].positive, two["chance_yes"].decided_by) == ("yes", "class")
    assert two["chance_no"].chance_of is None
    three = Schema((replace(SCHEMA.fields[0], levels=("a", "b", "c")),))
    assert all(item.chance_of is None for item in expanded(columns, three))
    for wrong in (replace(CHANCE, chance_of="gone"), replace(CHANCE, positive=None), replace(CHANCE, decided_by="x")):
        with pytest.raises(BrokenPromise, match="as a chance of"):
            checked_columns(None, replace(columns, outputs=(wrong,)))


# Labels that come later


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A job of made loans that was run for two days, and what their labels will be."""
    then, seen = rows(3000, 1, -1.5, 1.2)
    made = made_loans.bundle(tmp_path, function=lambda table: by_income(table))
    known = known_chances(OUTPUTS, SCHEMA, then, seen)
    made = replace(made, outputs=OUTPUTS, reference={**made.reference, "chances": known})
    engine = SimpleNamespace(**vars(made), source=lambda given: given, has_changed=lambda: False, scorer=made.scorer)
    monkeypatch.setattr(running, "load_bundle", lambda *_: engine)
    content = {"bundle": "b", "source": "in-{date}.csv", "sink": "out-{date}", "keep": 1}
    (tmp_path / "nightly.yaml").write_text(yaml.safe_dump(content))
    labels = []
    for number, moved in ((2, 0.0), (3, 2.0)):
        now, scored = rows(800, number, -1.0, 1.2, moved=moved)
        incomes = (1 / scored["chance"]).tolist()
        made_loans.loans(tmp_path / f"in-2026-01-0{number}.csv", incomes, start=1000 * number)
        ids = [f"L{1000 * number + place:04d}" for place in range(800)]
        labels.append(pd.DataFrame({"loan": ids, "Bad": now["bad"]}))
    file = load(tmp_path / "nightly.yaml")
    for number in (2, 3):
        (outcome,) = running.run(file, [date(2026, 1, number)])
        assert outcome.exit_code == 0, outcome.message
    return file, labels


def by_income(table: pd.DataFrame) -> pd.DataFrame:
    chance = 1 / table["income"]
    taken = pd.Series(np.where(chance > TAKEN_FROM, "yes", "no"), index=table.index, dtype="str")
    return pd.DataFrame({"chance": chance, "class": taken, "error": pd.Series(None, index=table.index, dtype="str")})


def test_labels_are_joined_to_their_runs_and_concept_drift_is_seen(job) -> None:
    file, (first, second) = job
    both = pd.concat([first, second[:500], pd.DataFrame({"loan": ["other"], "Bad": ["yes"]})])
    as_expected, drifted = join(file, both, "labels.csv")
    assert (as_expected.rows, as_expected.outputs["chance"]["labelled"]) == (800, 800)
    assert as_expected.outputs["chance"]["outside"] == []
    assert drifted.outputs["chance"]["labelled"] == 500
    assert {"precision", "recall", "rate"} <= set(drifted.outputs["chance"]["outside"])
    assert "nightly 2026-01-03: chance: 500 of 800 rows; auc 0." in drifted.sentence and "outside" in drifted.sentence
    newest, oldest = history.earlier(file, "nightly", date(2026, 1, 4))
    assert (newest["date"], oldest["date"]) == ("2026-01-03", "2026-01-02")
    assert newest["outputs"]["chance"]["labelled"] == 500
    told = page(run_of(rows(500, 7, 0, 1)[1]), title="t", facts={}, earlier=[newest, oldest])
    assert (
        told.index(">2026-01-03<") < told.index(">outside<") < told.index(">2026-01-02<")
        and told.count(">outside<") == 1
    )
    # the next run of that day is as it was, and its page knows more by then
    before = (file.base / "out-2026-01-03" / "drift.html").read_text()
    (outcome,) = running.run(file, [date(2026, 1, 3)])
    after = (file.base / "out-2026-01-03" / "drift.html").read_text()
    assert outcome.exit_code == 0 and before != after and ">2026-01-02<" in after
    # entered once more, its labels stay
    assert history.earlier(file, "nightly", date(2026, 1, 4))[0]["outputs"]["chance"]["labelled"] == 500


def test_the_command_says_it_for_people_and_programs(job) -> None:
    file, (first, second) = job
    pd.concat([first, second]).to_csv(file.base / "labels.csv", index=False)
    arguments = ["job", "labels", str(file.path), str(file.base / "labels.csv")]
    said = CliRunner().invoke(main, arguments)
    assert said.exit_code == 0, said.output
    assert [line[:18] for line in said.output.splitlines()] == ["nightly 2026-01-02", "nightly 2026-01-03"]
    runs = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).output)["runs"]
    assert [each["outputs"]["chance"]["labelled"] for each in runs] == [800, 800]
    assert (runs[0]["date"], runs[0]["rows"]) == ("2026-01-02", 800)


def test_the_history_grows_only_by_what_is_new(job) -> None:
    file, (first, second) = job
    path, both = file.base / ".nightly.yaml.history.jsonl", pd.concat([first, second])
    join(file, both, "labels.csv")
    before = path.read_bytes()
    running.run(file, [date(2026, 1, 2)])
    join(file, both, "labels.csv")
    assert path.read_bytes() == before
    join(file, both[:-1], "labels.csv")  # another number of labels for the second day alone
    assert len(path.read_bytes().split()) > len(before.split())
    assert len([line for line in path.read_text().splitlines() if line]) == 5
    assert history.earlier(file, "nightly", date(2026, 1, 4))[0]["outputs"]["chance"]["labelled"] == 799
    # a run between has taken the first one's place, and its labels are entered again
    manifest = {"rows_read": 1, "drift": {"expected": {"chance": {"measures": {}}}}}
    day, identity = date(2026, 1, 2), history.runs(file, "nightly")[date(2026, 1, 2)]
    for each in ("another", identity):
        history.enter(file, "nightly", day, {**manifest, "identity": each})
    join(file, both, "labels.csv")
    assert history.earlier(file, "nightly", date(2026, 1, 3))[0]["outputs"]["chance"]["labelled"] == 800


def test_labels_that_fit_no_run_are_refused_with_the_cure(job) -> None:
    file, (first, _) = job
    with pytest.raises(Refused, match="has no column 'Bad'"):
        join(file, first.rename(columns={"Bad": "bad"}), "labels.csv")
    with pytest.raises(Refused, match=r"\['L2000'\] has two labels"):
        join(file, pd.concat([first[:1].assign(Bad="no"), first[:1].assign(Bad="yes")]), "labels.csv")
    with pytest.raises(
        Refused, match=r"labels\.csv: Bad is 'YES', which the model does not know.*Expected 'no', 'yes'"
    ):
        join(file, first.assign(Bad=first["Bad"].replace("yes", "YES")), "labels.csv")
    assert (
        join(file, first.assign(Bad=first["Bad"].mask(first["Bad"] == "no")), "l")[0].outputs["chance"]["labelled"] > 0
    )
    none = join(file, first[:0], "labels.csv")
    assert [each.sentence.partition(": ")[2] for each in none] == ["none of its rows has a label"] * 2
    (file.base / "out-2026-01-02").unlink()
    for folder in (file.base / ".out-2026-01-02.runs").iterdir():
        (folder / "manifest.json").unlink()
    assert "no longer there" in join(file, first, "labels.csv")[0].sentence
    (file.base / ".nightly.yaml.history.jsonl").unlink()
    with pytest.raises(Refused, match=r"No run of nightly\.yaml is known"):
        join(file, first, "labels.csv")
