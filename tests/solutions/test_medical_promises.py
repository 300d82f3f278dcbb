"""Medical: what is promised holds over redraws of patients; metrics and curves by hand. No network is trained."""

import numpy as np
import pandas as pd
import pytest

from solvent import Refused
from solvent.metrics import Resampling, estimate, point
from solvent_medical import decision, patients
from solvent_medical.answers import answers
from solvent_medical.curves import net_benefit, risk_coverage
from solvent_medical.datasets import DATASETS
from solvent_medical.measures import metrics, of_question
from solvent_medical.settings import Medical

SETTINGS = Medical(positive="ill", operating_point={"sensitivity": 0.9, "confidence": 0.95}, deferral={"coverage": 0.9})
DRAWS = 200


def drawn(random, count):
    """Patients of one to four images, a third of them ill, and the logits that one fitted model gives their images.

    Images of one patient are alike, so that it matters that patients and not images are counted.
    """
    ill = random.random(count) < 1 / 3
    own = np.where(ill, 1.2, -1.2) + random.normal(0, 1.2, count)
    many = random.integers(1, 5, count)
    patient = np.repeat(np.arange(count), many)
    logits = own[patient] + random.normal(0, 0.5, len(patient))
    return ill.astype(float), patients.combined(SETTINGS, 3 * logits[:, None], patient)[:, 0]


def test_the_promised_sensitivity_and_coverage_hold_over_200_redraws_for_one_fitted_model():
    random = np.random.default_rng(1)
    truth, logit = drawn(random, 100_000)
    ill_ones = np.sort(logit[truth == 1])  # the truth about this model
    kept, covered = [], {0: [], 1: []}
    for _ in range(DRAWS):
        ill, own = drawn(random, 240)
        facts = decision.fit(SETTINGS, "ill", own, ill)
        value = facts["operating_point"]["value"]
        cut = (np.log(value / (1 - value)) - facts["calibration"]["intercept"]) / facts["calibration"]["slope"]
        kept.append(1 - np.searchsorted(ill_ones, cut) / len(ill_ones) >= 0.9)
        new_truth, new = drawn(random, 240)
        sets = decision.answer(facts, new)["prediction_set"]
        for answer, word in ((0, "negative"), (1, "positive")):
            covered[answer].append(np.mean([word in each for each in sets[new_truth == answer]]))
    # The true sensitivity reaches 0.9 in at least 95 % of draws; 0.95 * 200 less three deviations of a binomial.
    assert sum(kept) >= 190 - 3 * np.sqrt(200 * 0.95 * 0.05)
    for each in covered.values():
        # On average at least 0.9, and no more than one patient more than that, within three standard errors.
        assert abs(np.mean(each) - 0.9) <= 3 * np.std(each) / np.sqrt(DRAWS) + 1 / 50


def test_the_empirical_threshold_would_break_the_same_promise():
    """So the test above can fail."""
    random = np.random.default_rng(1)
    truth, logit = drawn(random, 100_000)
    ill_ones = np.sort(logit[truth == 1])
    kept = []
    for _ in range(DRAWS):
        ill, own = drawn(random, 240)
        cut = np.quantile(own[ill == 1], 0.1)
        kept.append(1 - np.searchsorted(ill_ones, cut) / len(ill_ones) >= 0.9)
    assert sum(kept) < 0.7 * DRAWS


def test_a_referred_patient_is_never_missed_and_refer_is_said_where_the_two_rules_disagree():
    facts = {
        "calibration": {"kind": "temperature", "temperature": 1.0},
        "operating_point": {"value": 0.2},
        "sets": {"limits": [0.3, 0.6]},  # negative is possible from 0.7 on, positive from 0.4 on
    }
    chance = np.array([0.1, 0.25, 0.35, 0.45, 0.9])
    found = decision.answer(facts, np.log(chance / (1 - chance)))
    assert found["decision"].tolist() == ["negative", "refer", "positive", "positive", "positive"]
    assert found["flagged"].tolist() == [False, True, True, True, True]
    np.testing.assert_allclose(found["confidence"], [0.9, 0.25, 0.35, 0.45, 0.9])  # that this answer is right
    assert [list(each) for each in found["prediction_set"]] == [
        ["negative"],
        ["negative"],
        ["positive"],  # no answer is possible: that of the operating point
        ["positive"],
        ["positive"],
    ]


def test_to_promise_more_never_refers_fewer():
    random = np.random.default_rng(5)
    ill, logit = drawn(random, 1000)
    _, new = drawn(random, 1000)
    coverages = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.995)
    before = np.zeros(len(new), bool)
    for coverage in coverages:
        settings = Medical(positive="ill", deferral={"coverage": coverage})
        referred = decision.answer(decision.fit(settings, "ill", logit, ill), new)["decision"] == "refer"
        assert not (before & ~referred).any()  # nor is anybody answered again
        before = referred
    assert before.mean() > 0.3
    kinds = random.integers(0, 3, 1000)
    logits = random.normal(0, 1, (1000, 3)) + 2 * np.eye(3)[kinds]
    cases, before = pd.DataFrame({"label": np.array(["a", "b", "c"])[kinds]}), np.zeros(1000, bool)
    for coverage in coverages:
        asked = answers(Medical(deferral={"coverage": coverage}), ["a", "b", "c"])
        referred = (asked.answer(asked.fit(cases, logits), logits)["decision"] == "refer").to_numpy()
        assert not (before & ~referred).any()
        before = referred
    assert before.mean() > 0.3


def test_too_few_patients_for_a_promise_are_refused_before_training_and_the_message_counts_them():
    with pytest.raises(Refused, match="needs 29 positives; here are 20"):
        decision.refuse_too_few(SETTINGS, "ill", np.repeat([1.0, 0.0], [20, 80]))
    with pytest.raises(Refused, match=r"needs 9 patients with and 9 without ill .* 30 with and 5 without"):
        decision.refuse_too_few(SETTINGS, "ill", np.repeat([1.0, 0.0, np.nan], [30, 5, 40]))
    decision.refuse_too_few(SETTINGS, "ill", np.repeat([1.0, 0.0], [29, 9]))
    diagnoses = answers(Medical(deferral={"coverage": 0.9}), ["a", "b", "c"])
    with pytest.raises(Refused, match=r"0\.9 needs 9 patients among the .* there are 8"):
        diagnoses.refuse_too_few(pd.DataFrame({"label": ["a"] * 8}))
    diagnoses.refuse_too_few(pd.DataFrame({"label": ["a"] * 9}))


def test_the_settings_that_come_with_chest_x_rays_ask_for_no_more_patients_than_there_are():
    (chest,) = (item for item in DATASETS if item.name == "chestmnist")
    settings = Medical(**chest.config["settings"])
    rarest = np.repeat([1.0, 0.0], [6, 5600])  # a hernia has 0.2 % of 5,610 calibrating images
    for name in settings.findings:
        decision.refuse_too_few(settings, name, rarest)


def test_an_operating_point_that_flags_nearly_everybody_is_told_of_with_a_cure():
    ill = np.repeat([1, 0], [29, 200])
    logit = np.concatenate([[-9.0], np.ones(28), np.full(190, -1.0), np.full(10, -10.0)])  # one odd patient sets it
    (found,) = decision.useless(SETTINGS, {"ill": decision.fit(SETTINGS, "ill", logit, ill)})
    assert "Nearly everybody is flagged for ill" in found.message and "29 patients with ill" in found.message
    assert "a specificity of 0.05" in found.message and "settings.operating_point.sensitivity" in found.cure
    logit[0] = 1.0
    assert not list(decision.useless(SETTINGS, {"ill": decision.fit(SETTINGS, "ill", logit, ill)}))
    other = Medical(positive="ill", operating_point={"specificity": 0.9})
    odd = np.concatenate([np.ones(29), [9.0], np.full(28, -1.0)])
    (found,) = decision.useless(other, {"ill": decision.fit(other, "ill", odd, np.repeat([1, 0], 29))})
    assert "Nearly nobody is flagged" in found.message and "29 patients without ill" in found.message
    assert "a sensitivity of 0.00" in found.message


def test_a_specificity_may_be_asked_for_instead():
    settings = Medical(positive="ill", operating_point={"specificity": 0.8, "confidence": 0.9})
    assert settings.operating_point.sensitivity is None
    ill, logit = drawn(np.random.default_rng(3), 400)
    point_ = decision.fit(settings, "ill", logit, ill)["operating_point"]
    assert point_["specificity"] >= 0.8
    assert "specificity" in point_["rule"]


def test_the_worst_of_several_images_is_stated_as_it_comes_true():
    """The images' own logits are right; the largest of up to four is not, and no temperature brings it back."""
    random = np.random.default_rng(6)
    ill = (random.random(6000) < 0.2).astype(float)
    patient = np.repeat(np.arange(6000), random.integers(1, 5, 6000))
    logits = np.where(ill[patient] == 1, 1, -1) + random.normal(0, 1.4, len(patient)) + np.log(0.2 / 0.8)
    logit = patients.combined(Medical(positive="ill", combine="worst"), logits[:, None], patient)[:, 0]
    for given, close in (({}, True), ({"calibration": "temperature"}, False)):
        facts = decision.fit(Medical(positive="ill", combine="worst", **given), "ill", logit, ill)
        stated = decision.answer(facts, logit)["probability"].mean()
        assert (abs(stated - ill.mean()) < 0.005) == close


def test_diagnoses_are_stated_as_they_come_true_where_training_balanced_them():
    random = np.random.default_rng(7)
    kinds = random.choice(3, 6000, p=[0.8, 0.15, 0.05])
    logits = random.normal(0, 1, (6000, 3)) + 1.5 * np.eye(3)[kinds]  # right for equal shares
    cases = pd.DataFrame({"label": np.array(["a", "b", "c"])[kinds]})
    for given, close in (({}, True), ({"calibration": "temperature"}, False)):
        asked = answers(Medical(**given), ["a", "b", "c"])
        found = asked.answer(asked.fit(cases, logits), logits)
        stated = found[["probability_a", "probability_b", "probability_c"]].mean()
        assert np.allclose(stated, np.bincount(kinds) / 6000, atol=0.01) == close


def test_platt_moves_probabilities_that_were_learnt_on_other_shares():
    random = np.random.default_rng(4)
    ill = (random.random(4000) < 0.1).astype(float)
    logit = np.where(ill == 1, 1.0, -1.0) + random.normal(0, 1, 4000)  # right for shares of one half
    for way, close in (("temperature", False), ("platt", True)):
        facts = decision.fit(Medical(positive="ill", calibration=way), "ill", logit, ill)
        mean = decision.answer(facts, logit)["probability"].mean()
        assert (abs(mean - 0.1) < 0.01) == close


# 3 ill and 5 others; the third ill one is missed, one of the others is flagged, one of each is referred.
TRUTH = np.array([1, 1, 1, 0, 0, 0, 0, 0.0])
SCORED = pd.DataFrame(
    {
        "decision": ["positive", "refer", "negative", "positive", "refer", "negative", "negative", "negative"],
        "probability": [0.9, 0.8, 0.3, 0.7, 0.2, 0.2, 0.1, 0.05],
        "flagged": [True, True, False, True, False, False, False, False],
        "confidence": [0.9, 0.8, 0.7, 0.7, 0.8, 0.8, 0.9, 0.95],
        "prediction_set": [["positive"], ["negative", "positive"], ["negative"], ["positive"], [], *[["negative"]] * 3],
    }
)


def test_the_metrics_of_eight_patients_are_those_of_a_pocket_calculator():
    found = {name: point(metric) for name, metric in of_question(TRUTH, SCORED, prevalence=0.01).items()}
    expected = {
        "auc": 14 / 15,
        "sensitivity": 2 / 3,
        "specificity": 4 / 5,
        "ppv": 2 / 3,
        "npv": 4 / 5,
        "referred": 2 / 8,
        "accuracy_answered": 4 / 6,
        "sensitivity_answered": 1 / 2,
        "specificity_answered": 3 / 4,
        "set_coverage": 5 / 8,
        "set_coverage_positive": 2 / 3,
        "set_coverage_negative": 3 / 5,
        "ppv@0.01": (2 / 3 * 0.01) / (2 / 3 * 0.01 + 1 / 5 * 0.99),
        "npv@0.01": (4 / 5 * 0.99) / (4 / 5 * 0.99 + 1 / 3 * 0.01),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_patients_for_whom_a_finding_is_not_known_are_not_measured_and_findings_are_averaged():
    settings = Medical(findings=["edema", "mass"])
    rows = pd.DataFrame({"edema": ["1", "1", "1", *"00000"], "mass": [None, "1", "1", *"0000", None]})
    scored = pd.concat([SCORED.add_suffix("_edema"), SCORED.add_suffix("_mass")], axis=1)
    found = {name: point(metric) for name, metric in metrics(settings, rows, scored).items()}
    assert found["sensitivity of edema"] == pytest.approx(2 / 3)
    assert found["sensitivity of mass"] == pytest.approx(1 / 2)  # the second and third only
    assert found["specificity of mass"] == pytest.approx(3 / 4)
    assert found["sensitivity"] == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_each_finding_has_the_prevalence_that_it_will_meet():
    settings = Medical(findings=["edema", "mass", "node"], operating_point={"prevalence": {"edema": 0.01, "mass": 0.1}})
    rows = pd.DataFrame(dict.fromkeys(settings.findings, TRUTH))
    scored = pd.concat([SCORED.add_suffix(f"_{name}") for name in settings.findings], axis=1)
    found = {name: point(metric) for name, metric in metrics(settings, rows, scored).items() if "@" in name}
    assert found == pytest.approx(
        {
            "ppv@0.01 of edema": (2 / 3 * 0.01) / (2 / 3 * 0.01 + 1 / 5 * 0.99),
            "npv@0.01 of edema": (4 / 5 * 0.99) / (4 / 5 * 0.99 + 1 / 3 * 0.01),
            "ppv@0.1 of mass": (2 / 3 * 0.1) / (2 / 3 * 0.1 + 1 / 5 * 0.9),
            "npv@0.1 of mass": (4 / 5 * 0.9) / (4 / 5 * 0.9 + 1 / 3 * 0.1),
        }
    )


def test_twelve_of_twelve_are_no_certainty_nor_is_what_follows_from_them():
    """A bootstrap alone says 1.0 (1.0 to 1.0) of all of these."""
    truth = np.repeat([1.0, 0.0], [12, 60])
    words = np.where(truth == 1, "positive", "negative")
    scored = pd.DataFrame({"decision": words, "probability": 0.2 + 0.6 * truth, "flagged": truth == 1})
    scored = scored.assign(confidence=0.8, prediction_set=[[word] for word in words])
    told = estimate(of_question(truth, scored, prevalence=0.01), Resampling(72))
    low = {12: 12 / (12 + 1.96**2), 60: 60 / (60 + 1.96**2), 72: 72 / (72 + 1.96**2)}
    of_the_ill, of_the_others = ("sensitivity", "ppv"), ("specificity", "npv")
    for name, count in {
        **dict.fromkeys((*of_the_ill, "sensitivity_answered", "set_coverage_positive"), 12),
        **dict.fromkeys((*of_the_others, "specificity_answered", "set_coverage_negative"), 60),
        **dict.fromkeys(("accuracy", "accuracy_answered", "set_coverage"), 72),
    }.items():
        assert told[name].value == told[name].high == 1
        assert told[name].low == pytest.approx(low[count], abs=1e-4), name
    true, false = 0.01 * low[12], 0.99 * (1 - low[60])
    assert told["ppv@0.01"].low == pytest.approx(true / (true + false), abs=1e-3)  # 0.11
    true, false = 0.99 * low[60], 0.01 * (1 - low[12])
    assert told["npv@0.01"].low == pytest.approx(true / (true + false), abs=1e-4)
    both = Medical(findings=["edema", "mass"])
    rows = pd.DataFrame({"edema": truth, "mass": truth})
    mean = metrics(both, rows, pd.concat([scored.add_suffix("_edema"), scored.add_suffix("_mass")], axis=1))
    assert estimate(mean, Resampling(72))["sensitivity"].low == pytest.approx(low[12], abs=1e-4)


def test_the_decision_curve_is_the_papers():
    found = net_benefit(TRUTH, SCORED["probability"].to_numpy(), np.array([0.25, 0.5]))
    # at 0.25 four are flagged, three of them ill; at 0.5 three, two of them ill
    np.testing.assert_allclose(found.model, [3 / 8 - 1 / 3 * 1 / 8, 2 / 8 - 1 * 1 / 8])
    np.testing.assert_allclose(found.all_flagged, [3 / 8 - 1 / 3 * 5 / 8, 3 / 8 - 5 / 8])


def test_the_risk_of_the_most_confident_counts_ties_together():
    answered, wrong = risk_coverage(np.array([1, 0, 1, 0.0]), np.array([0.9, 0.6, 0.8, 0.6]))
    np.testing.assert_allclose(answered, [0.25, 0.5, 1])
    np.testing.assert_allclose(wrong, [0, 0, 0.5])


def test_the_images_of_a_patient_make_one_answer_by_the_declared_rule():
    logits, patient = np.array([[1.0], [3.0], [-2.0]]), np.array([0, 0, 1])
    for rule, expected in (("worst", [3.0, -2.0]), ("mean", [2.0, -2.0])):
        settings = Medical(positive="ill", combine=rule)
        np.testing.assert_allclose(patients.combined(settings, logits, patient)[:, 0], expected)


def test_a_case_holds_all_images_of_a_patient_and_is_ill_if_one_image_is():
    rows = pd.DataFrame(
        {
            "patient": ["a", "b", "a", "c"],
            "image": ["1.png", "2.png", "3.png", "4.png"],
            "label": ["well", "well", "ill", "well"],
            "site": ["x", "y", "x", "y"],
        },
        index=[10, 11, 12, 13],
    )
    cases = patients.cases(Medical(positive="ill"), rows)
    assert cases.index.tolist() == [10, 11, 13]
    assert cases["image"].tolist() == [["1.png", "3.png"], ["2.png"], ["4.png"]]
    assert cases["label"].tolist() == ["ill", "well", "well"]
    cells, patient, own = patients.images_of(cases)
    assert (cells, patient.tolist(), own.tolist()) == (["1.png", "3.png", "2.png", "4.png"], [0, 0, 1, 2], [0, 1, 2])
    cells, patient, own = patients.images_of(rows)
    assert (cells, patient.tolist(), own.tolist()) == (rows["image"].tolist(), [0, 1, 0, 2], [0, 1, 0, 2])


def test_a_patient_is_without_a_finding_only_if_that_is_known_of_all_images():
    rows = pd.DataFrame({"patient": list("aabbccddd"), "image": list("123456789")})
    for nothing in (None, np.nan):
        told = pd.Series(["0", nothing, "1", nothing, "0", "0", nothing, nothing, nothing], dtype=object)
        cases = patients.cases(Medical(findings=["mass"]), rows.assign(mass=told))
        np.testing.assert_equal(patients.findings_of(cases, ["mass"])[:, 0], [np.nan, 1, 0, np.nan])
