"""Credit: profit, portfolio and drift by hand; every figure draws."""

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from solvent import Fitted, Refused
from solvent.metrics import Resampling, draws, estimate, point
from solvent.report import drawing
from solvent_finance import portfolio
from solvent_finance.binning import bin_numbers
from solvent_finance.curves import Curves, Loans
from solvent_finance.decision import checks
from solvent_finance.figures import Watched, names_of_places
from solvent_finance.portfolio import figures, metrics
from solvent_finance.scorecard import Scale, Scorecard, Term
from solvent_finance.settings import Credit

SIX = Credit(profit={"repaid": 1, "defaulted": -4, "refused_good": -0.5, "refused_bad": 0.25}, budget=0.5)


def six(**more):
    """Six loans, the safest first; the second and third are equally safe. Cut-off 0.2."""
    rows = pd.DataFrame(
        {"target": ["good", "good", "bad", "good", "bad", "good"], "amount": [10.0, 20, 20, 30, 20, 0], **more}
    )
    scored = pd.DataFrame(
        {"probability": [0.05, 0.1, 0.1, 0.15, 0.3, 0.6], "decision": ["approve"] * 4 + ["refuse"] * 2}
    )
    return rows, scored


def test_profit_is_what_the_decisions_brought_for_each_loan():
    rows, scored = six()
    # Approved: 10 + 20 - 4 * 20 + 30 = -20; refused: 0.25 * 20 - 0.5 * 0 = 5.
    assert point(metrics(SIX, rows, scored)["profit"]) == pytest.approx(-15 / 6)
    # Without amounts: 3 repaid, 1 defaulted; 1 bad and 1 good refused.
    assert point(metrics(SIX, rows.drop(columns="amount"), scored)["profit"]) == pytest.approx((3 - 4 + 0.25 - 0.5) / 6)


def test_the_portfolio_takes_the_safest_and_the_last_ones_in_part():
    """Half of 100 is lent: 10 to the first, all 40 to the two equal ones; of 40, three quarters of each of the two."""
    rows, scored = six()
    refused = {"good": -0.5 * (10 + 20 + 30 + 0), "bad": 0.25 * 40}
    half = point(metrics(SIX, rows, scored)["portfolio_profit"])
    assert half == pytest.approx((sum(refused.values()) + 1.5 * (10 + 20) - 4.25 * 20) / 6)
    two_fifths = point(metrics(SIX.model_copy(update={"budget": 0.4}), rows, scored)["portfolio_profit"])
    assert two_fifths == pytest.approx((sum(refused.values()) + 1.5 * (10 + 15) - 4.25 * 15) / 6)


def test_no_money_goes_to_a_loan_that_is_better_refused():
    """Granting a good loan brings 1.5 more, a bad one 4.25 less: it pays below 1.5 / 5.75 = 0.261, so four loans do."""
    rows, scored = six()
    found = point(metrics(SIX.model_copy(update={"budget": 1.0}), rows, scored)["portfolio_profit"])
    assert found == pytest.approx(-15 / 6)


def test_no_order_of_the_rows_changes_a_portfolio():
    rows, scored = six()
    turned = [0, 2, 1, 3, 5, 4]
    both = [
        point(metrics(SIX, *tables)["portfolio_profit"]) for tables in (six(), (rows.loc[turned], scored.loc[turned]))
    ]
    assert both[0] == pytest.approx(both[1])


def test_a_loan_of_weight_three_is_three_loans():
    times = [1, 3, 0, 2, 1, 1]
    rows, scored = six(weight=np.array(times, float))
    copies = np.repeat(np.arange(6), times)
    repeated = metrics(SIX, rows.drop(columns="weight").iloc[copies], scored.iloc[copies])
    found = metrics(SIX, rows, scored)
    assert set(found) >= {"auc", "brier", "profit", "portfolio_profit"}
    assert {name: point(each) for name, each in found.items()} == pytest.approx(
        {name: point(each) for name, each in repeated.items()}
    )


def test_a_resampled_portfolio_is_that_of_the_loans_drawn():
    rows, scored = six()
    drawn = np.array([[2, 0, 1, 1, 0, 2], [0, 1, 1, 0, 4, 0]])
    found = metrics(SIX, rows, scored)["portfolio_profit"].value(drawn)
    for value, times in zip(found, drawn, strict=True):
        copies = np.repeat(np.arange(6), times)
        assert value == pytest.approx(point(metrics(SIX, rows.iloc[copies], scored.iloc[copies])["portfolio_profit"]))


@pytest.mark.parametrize(("amount", "text"), [(np.nan, "nan"), (-5.0, "-5"), (np.inf, "inf")])
def test_an_amount_that_can_not_be_lent_is_refused_with_the_cure(amount, text):
    rows, _ = six()
    rows.loc[3, "amount"] = amount
    with pytest.raises(Refused, match=rf"1 of 6 loans .*row 4, {text}\).*AMOUNT: {{required: true, range: \[0, "):
        checks(SIX, rows)
    assert checks(SIX, six()[0]) == []


INCOMES = {"name": "income", "codes": [-9.0], "edges": [1000.0, 2000.0, 3000.0, 4500.0]}
HOMES = {"name": "home", "codes": [], "levels": ["family", "owner", "rent"]}
BINS = [INCOMES, HOMES]
SCALE = Scale(500, 50.0)


def table(count, seed, poorer=0.0):
    """Loans whose risk falls with income and is higher for tenants, more so for poor ones."""
    random = np.random.default_rng(seed)
    income = np.round(random.lognormal(7.8 - poorer, 0.5, count))
    return pd.DataFrame(
        {
            "income": np.where(random.random(count) < 0.05, np.nan, np.where(random.random(count) < 0.03, -9, income)),
            "home": random.choice(HOMES["levels"], count, p=[0.2, 0.5, 0.3]),
            "amount": np.round(random.lognormal(8, 0.6, count)),
            "time": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(random.integers(0, 190, count)), "D"),
        }
    )


def made_card(trained):
    """A scorecard as training would leave it, with the counts of the training loans and the outcomes it claims."""
    used = bin_numbers(trained, BINS)
    pair_groups = np.array([0, 0, 0, 1, 1, 2, 2, 2]), np.array([0, 0, 0, 1, 2])
    given = [
        ((0,), (np.arange(8),), np.array([-10, 0, -35, -60, -25, 0, 30, 55])),
        ((1,), (np.arange(5),), np.array([0, 0, 0, 40, -45])),
        ((0, 1), pair_groups, np.array([[0, 0, 0], [0, 5, -20], [0, -3, 12]])),
    ]
    empty = [Term(columns, groups, points, *[np.zeros(points.shape)] * 3) for columns, groups, points in given]
    card = Scorecard(BINS, 640, tuple(empty), SCALE)
    chance = SCALE.probability(card.points(used))
    bad = np.random.default_rng(9).random(len(used)) < chance
    terms = []
    for term in empty:
        loans, defaulted = (
            np.bincount(term.place(used), weights, term.points.size).reshape(term.points.shape)
            for weights in (np.ones(len(used)), bad)
        )
        terms.append(replace(term, loans=loans, defaulted=defaulted, deviation=SCALE.factor * 2 / np.sqrt(loans + 1)))
    return replace(card, terms=tuple(terms))


@pytest.fixture(scope="module")
def trained():
    """What training on 1,200 loans leaves, and 400 test loans that are poorer, with their scores."""
    card = made_card(table(1200, 0))
    edges = np.unique(np.quantile(card.points(bin_numbers(table(1200, 0), BINS)), np.linspace(0, 1, 11)[1:-1]))
    band = np.searchsorted(edges, card.points(bin_numbers(table(1200, 0), BINS)))
    columns = [
        {"name": name, "source": source, "words": source, "deviation": None, "unit": unit}
        for name, source, unit in (("income", "monthly_income", "EUR"), ("home", "home", None))
    ]
    facts = {
        "positive": "bad",
        "bins": BINS,
        "scorecard": card.to_json(),
        "operating_point": {"rule": "most profit", "value": 0.155, "negative": "good"},
        "columns": columns,
        "reference": {"edges": edges.tolist(), "shares": (np.bincount(band) / len(band)).tolist(), "rows": len(band)},
    }
    rows = table(400, 1, poorer=0.2)
    points = card.points(bin_numbers(rows, BINS))
    chance = SCALE.probability(points)
    rows["target"] = np.where(np.random.default_rng(2).random(400) < chance, "bad", "good")
    refuse = points <= SCALE.highest_refused(0.155)
    scored = pd.DataFrame({"probability": chance, "points": points, "decision": np.where(refuse, "refuse", "approve")})
    return Fitted({}, facts), rows, scored


def of(rows, scored, settings=SIX):
    loans = Loans.of(settings, rows, scored)
    return loans, Curves.of(settings, loans)


def test_a_perfect_order_has_all_defaults_in_the_riskiest_fifth():
    rows = pd.DataFrame({"target": ["bad"] * 20 + ["good"] * 80})
    scored = pd.DataFrame({"probability": np.linspace(0.99, 0.01, 100), "decision": ["refuse"] * 20 + ["approve"] * 80})
    _, curves = of(rows, scored)
    np.testing.assert_allclose(curves.lift.up, [5, 5, *[0] * 8], atol=1e-9)
    np.testing.assert_allclose(curves.gains.up, np.minimum(1, curves.gains.across * 5), atol=1e-9)
    # Down to the 80 safest nobody defaults; then one more of each loan that is approved.
    share = curves.bad_rate.across
    np.testing.assert_allclose(curves.bad_rate.up, np.maximum(0, share - 0.8) / share, atol=1e-9)
    assert curves.decided["bad_rate"].value == 0 and curves.decided["approved"].value == 0.8


def test_equal_scores_find_no_more_defaults_than_any_order():
    rows = pd.DataFrame({"target": ["bad", "good", "good", "good"] * 25})
    _, curves = of(rows, pd.DataFrame({"probability": [0.3] * 100, "decision": ["refuse"] * 100}))
    np.testing.assert_allclose(curves.lift.up, 1)
    np.testing.assert_allclose(curves.bad_rate.up, 0.25)


def test_profit_at_every_cut_off_is_what_such_decisions_bring():
    rows, scored = six()
    _, curves = of(rows, scored)
    for cutoff, found in zip(curves.profit.across, curves.profit.up, strict=True):
        # The step begins right above the cut-off named.
        decision = np.where(scored["probability"] > cutoff, "refuse", "approve")
        assert found == pytest.approx(point(metrics(SIX, rows, scored.assign(decision=decision))["profit"]))
    amount, chance = rows["amount"].to_numpy(), scored["probability"].to_numpy()
    assert curves.expected_profit[-1] == pytest.approx((amount * (1 - 5 * chance)).sum() / 6)
    assert curves.expected_profit[0] == pytest.approx((amount * (-0.5 + 0.75 * chance)).sum() / 6)


def test_the_portfolios_curve_goes_through_its_metric(trained):
    _, rows, scored = trained
    settings = Credit(budget=0.3)
    _, curves = of(rows, scored, settings)
    found = metrics(settings, rows, scored)
    assert curves.worth_lending > 0.3
    assert curves.lent.up[30] == pytest.approx(point(found["portfolio_profit"]))
    everything = rows["amount"] * np.where(rows["target"] == "bad", -5, 1)
    assert curves.lent.up[-1] == pytest.approx(everything.mean())
    assert curves.lent.up[0] == 0 and curves.expected_lent[0] == 0


def test_bands_and_points_have_the_intervals_of_the_metrics(trained):
    _, rows, scored = trained
    settings = Credit(budget=0.3)
    _, curves = of(rows, scored, settings)
    found = metrics(settings, rows, scored)
    expected = estimate({name: found[name] for name in ("profit", "portfolio_profit")}, Resampling(400))
    assert curves.decided["profit"] == expected["profit"]
    assert curves.decided["portfolio"] == expected["portfolio_profit"]
    assert curves.lent.low[30] == pytest.approx(expected["portfolio_profit"].low)
    assert curves.lent.high[30] == pytest.approx(expected["portfolio_profit"].high)


def test_whole_groups_are_resampled_where_there_are_any(trained):
    _, rows, scored = trained
    loans, curves = of(rows.assign(group=np.arange(400) // 10), scored, Credit())
    assert "40 groups (400 rows)" in curves.protocol
    assert np.ptp(draws(loans.portfolio(Credit()), loans.resampling)) > 0


def axes_of(figure):
    """The figure on plain axes, to be read."""
    from matplotlib.figure import Figure

    axes = Figure(figsize=(figure.width, figure.height)).add_subplot()
    figure.draw(axes)
    return axes


def titled(drawn, title):
    (found,) = [figure for figure in drawn if figure.title == title]
    return found


@pytest.fixture(scope="module")
def drawn(trained):
    return list(figures(Credit(), *trained))


def test_every_figure_draws_in_the_colours_of_the_page(drawn):
    assert [figure.title for figure in drawn] == [
        "Gains",
        "Lift by tenths",
        "Approval rate and bad rate",
        "Profit by cut-off",
        "Portfolio under a budget",
        "Drift from training to test",
        "Drift by month",
        "Shape function of home",
        "Shape function of monthly_income",
        "monthly_income and home together",
    ]
    for number, figure in enumerate(drawn):
        svg = drawing.inline(
            lambda canvas, figure=figure: figure.draw(canvas.add_subplot()),
            key=f"figure-{number}",
            title=figure.title,
            description=figure.caption,
            width=figure.width,
            height=figure.height,
        )
        ElementTree.fromstring(svg)
        assert "var(--ours)" in svg and "#0a0b0" not in svg
        assert "nan" not in figure.caption


def test_a_drift_of_the_incomes_is_seen_and_the_homes_stay_in_the_noise(drawn):
    figure = titled(drawn, "Drift from training to test")
    assert "between 1,200 training loans and 400 test loans" in figure.caption
    assert "2 of 3 lie beyond" in figure.caption
    axes = axes_of(figure)
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["monthly_income", "score", "home"]
    pale = {patch.get_y() for patch in axes.patches if patch.get_alpha() < 0.5}
    assert len(axes.patches) == 3 and len(pale) == 1 and pale.pop() > 1.5


def test_months_of_few_loans_are_left_out_and_counted(drawn):
    figure = titled(drawn, "Drift by month")
    assert "1 with fewer than 50 loans left out" in figure.caption
    labels = [label.get_text() for label in axes_of(figure).get_xticklabels()]
    assert labels == ["2024-01", "2024-02", "2024-03", "2024-04", "2024-05", "2024-06"]


def test_a_month_is_hollow_where_its_own_columns_noise_explains_it(trained, drawn):
    fitted, rows, _ = trained
    term = Scorecard.from_json(BINS, fitted.facts["scorecard"]).own[0]
    income = Watched("monthly_income", term.loans, bin_numbers(rows, BINS)[:, 0])
    months = rows["time"].dt.strftime("%Y-%m")
    expected = [income.index(np.ones(400), (months == month).to_numpy()) for month in sorted(set(months))[:6]]
    axes = axes_of(titled(drawn, "Drift by month"))
    (line,) = [line for line in axes.lines if line.get_label() == "monthly_income"]
    np.testing.assert_allclose(line.get_ydata(), [index for index, _ in expected])
    (hollow,) = [other for other in axes.lines if other.get_color() == line.get_color() and other is not line]
    assert hollow.get_ydata().tolist() == [index for index, noise in expected if index <= noise]
    assert 0 < len(hollow.get_ydata()) < 6


def test_a_time_that_is_a_number_goes_by_tenths_of_its_range(trained):
    fitted, rows, scored = trained
    when = np.arange(400) // 80 * 25  # 0, 25, 50, 75, 100
    figure = titled(
        list(figures(Credit(), fitted, rows.assign(time=when), scored)), "Drift by tenth of the time's range"
    )
    labels = [label.get_text() for label in axes_of(figure).get_xticklabels()]
    assert labels == ["0 – 10", "20 – 30", "50 – 60", "70 – 80", "90 – 100"]
    assert "80 to 80 loans each. 5 with fewer than 50 loans left out" in figure.caption
    scattered = list(figures(Credit(), fitted, rows.assign(time=np.arange(400)), scored))  # 40 in each tenth
    assert scattered[5].title == "Drift from training to test" and "Shape" in scattered[6].title


def test_an_index_goes_by_weights_and_its_noise_by_how_much_they_tell():
    then, place = np.array([50.0, 30, 20]), np.array([0, 0, 1, 1, 1, 2])
    watched = Watched("home", then, place)
    index, noise = watched.index(np.ones(6))
    shares = np.array([2, 3, 1]) / 6
    assert index == pytest.approx(((shares - then / 100) * np.log(shares * 100 / then)).sum())
    assert watched.index(np.full(6, 2.0)) == (index, noise)
    unequal, wider = watched.index(np.array([3.9, 0.1, 2, 2, 2, 2]))
    assert unequal == pytest.approx(index) and wider > noise


def test_a_shape_function_shows_the_points_of_each_bin_with_their_interval(trained, drawn):
    fitted, _, _ = trained
    term = fitted.facts["scorecard"]["terms"][0]
    axes = axes_of(titled(drawn, "Shape function of monthly_income"))
    kept = [0, 2, 3, 4, 5, 6, 7]  # no loan had an unseen income
    assert [label.get_text() for label in axes.get_yticklabels()][2:] == [
        "≤ 1000",
        "≤ 2000",
        "≤ 3000",
        "≤ 4500",
        "> 4500",
    ]
    assert [patch.get_width() for patch in axes.patches] == [term["points"][at] for at in kept]
    (whiskers,) = axes.collections
    reach = 1.96 * np.array(term["deviation"])[kept]
    ends = np.array([segment[:, 0] for segment in whiskers.get_segments()])
    np.testing.assert_allclose(
        ends.T, [np.array(term["points"])[kept] - reach, np.array(term["points"])[kept] + reach], rtol=1e-3
    )
    assert axes.get_ylabel() == "monthly_income, EUR"
    loans, bad = term["loans"][4], term["defaulted"][4]
    right = [label.get_text() for label in axes.figure.axes[1].get_yticklabels()]
    assert right[3] == f"{loans:.0f} · {100 * bad / loans:.0f} %"


def test_a_pair_shows_points_and_half_intervals_by_named_ranges(trained, drawn):
    axes = axes_of(titled(drawn, "monthly_income and home together"))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["missing, code -9", "≤ 2000", "> 2000"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["family", "owner", "rent"]
    texts = [text.get_text() for text in axes.texts]
    assert {"+5", "−20", "−3", "+12", "0"} <= set(texts) and len(axes.patches) == 9


def test_places_without_training_loans_are_named_by_all_their_bins(trained):
    card = made_card(table(1200, 0))
    assert names_of_places(card, 1, np.array([0, 1, 2, 2, 3])) == ["missing", "unseen or rare", "family, owner", "rent"]


def test_loans_of_one_class_or_without_weight_draw_what_they_can(trained):
    fitted, rows, scored = trained
    titles = [figure.title for figure in figures(Credit(), fitted, rows.assign(target="good"), scored)]
    assert titles[0] == "Drift from training to test"
    assert not list(figures(Credit(), fitted, rows.assign(weight=0.0), scored))


def test_a_cut_off_that_approves_nobody_has_no_bad_rate(trained):
    fitted, rows, scored = trained
    found = list(figures(Credit(), fitted, rows, scored.assign(decision="refuse")))
    assert "0.0 % (0.0 % to 0.0 %) of the loans are approved, and – of these default" in found[2].caption
    axes_of(found[2])


def test_too_few_loans_have_curves_without_a_band():
    rows, scored = six()
    _, curves = of(rows, scored)
    assert curves.gains.low is None and curves.decided["profit"].low is None
    assert curves.protocol == "No interval: 6 rows are fewer than 20."
    assert axes_of(portfolio._gains(curves)).collections[:] == []
