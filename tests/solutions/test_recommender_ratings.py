"""Recommender: ratings that are foretold, what they are measured by, and the simple way to foretell them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from solvent import Data, Fitted, Refused, tables, train
from solvent.metrics import Resampling, estimate, point
from solvent_recommender import SOLUTION, hybrid, model, ranking, ratings
from solvent_recommender.cases import cases
from solvent_recommender.catalogue import Catalogue
from solvent_recommender.interactions import Histories, Known
from solvent_recommender.model import choosing
from solvent_recommender.outcome import metrics, slices
from solvent_recommender.part import Part
from solvent_recommender.sample import tastes
from solvent_recommender.settings import PARTS, Recommender, columns

SETTINGS = Recommender(ratings=True)
OWN, OTHER = 4.5, 2.0  # what a user gives items of their kind, and others


@pytest.fixture(scope="module")
def made():
    return tastes(0)


@pytest.fixture(scope="module")
def config(tmp_path_factory, made):
    where = tmp_path_factory.mktemp("rated")
    number = made.rows["customer"].str[1:].astype(int) % 4
    own = made.rows["item"].str.partition("-")[0] == number.map(dict(enumerate(("tea", "boat", "drum", "seed"))))
    tables.write(made.rows.assign(rating=np.where(own, OWN, OTHER)), where / "rows.parquet")
    tables.write(made.side["items"], where / "items.parquet")
    return {
        "solution": "solvent_recommender:SOLUTION",
        "data": {
            "rows": str(where / "rows.parquet"),
            "columns": {**made.columns, "rating": "rating"},
            "side": {"items": str(where / "items.parquet")},
        },
        "settings": {
            "items": made.settings["items"],
            "parts": ["popularity", "ease", "ranking"],
            "ratings": True,
            "ranking": {
                "width": 8,
                "history": 16,
                "training": {"epochs": 25, "batch_size": 128, "learning_rate": 0.01},
            },
        },
    }


@pytest.fixture(scope="module")
def bundle(config, tmp_path_factory):
    return train(config, tmp_path_factory.mktemp("bundle") / "rated")


def test_ratings_are_nearer_to_the_truth_than_levels_where_users_differ_by_taste(bundle):
    ours = bundle.facts["test"]["metrics"]
    for name in SOLUTION.rivals:
        theirs = bundle.facts["rivals"][name]["metrics"]
        assert ours["rmse"]["value"] < 0.7 * theirs["rmse"]["value"]
        assert ours["mae"]["value"] < 0.7 * theirs["mae"]["value"]
    assert ours["rmse"]["low"] < ours["rmse"]["value"] < ours["rmse"]["high"]
    assert "RMSE" in (bundle.path / "report.html").read_text()


def test_what_is_rated_high_is_a_part_of_lists_that_beats_what_is_popular(bundle):
    found = bundle.fitted.facts["weights"]
    assert found["parts"] == ["popularity", "ease", "ranking"]
    assert found["ndcg"]["ranking"] > found["ndcg"]["popularity"] + 0.1


def test_what_ranks_again_scores_only_the_best_of_the_other_parts_that_a_user_may_have(monkeypatch):
    monkeypatch.setattr(hybrid, "CANDIDATES", 2)
    histories = Histories(np.array([0, 1, 1]), np.array([3]), np.array([True]), np.zeros(1, np.float32))
    ahead = np.array([[5, 4, 3, 9, 0], [0, 1, 2, np.nan, 4]], np.float32)
    asked = []

    def again(_, places):
        asked.extend(places)
        found = np.full(ahead.shape, np.nan, np.float32)
        for row, own in enumerate(places):
            found[row, own] = -own
        return found

    parts = {"second": Part(None, None, "", "", again=again), "first": Part(lambda _: ahead, None, "", "")}
    usable = np.array([True, True, True, True, False])
    parts["equal"] = Part(lambda _: np.ones((2, 5), np.float32), None, "", "")  # it knows nothing of anybody
    parts["beside"] = Part(lambda _: ahead[:, ::-1], None, "", "")  # it only parts what is equal
    open_items = hybrid.open_to(histories, usable, seen=False)
    found = hybrid.standards(parts, histories, open_items, ("second", "first", "equal"))
    assert list(found) == ["second", "first", "equal", "beside"]
    assert [own.tolist() for own in asked] == [[0, 1], [1, 2]]  # 3 was had, 4 is off offer
    np.testing.assert_allclose(found["second"][0], [1, -1, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(found["second"][1], [np.nan, 1, -1, np.nan, np.nan])


def test_a_second_stage_without_a_first_is_refused():
    with pytest.raises(ValueError, match="name some beside it"):
        Recommender(parts=("ranking",), ratings=True)


def test_the_second_stage_alone_scores_all_items(bundle):
    alone = Recommender(**{**bundle.settings.model_dump(), "model": "ranking", "parts": PARTS})
    made = model._restored(
        alone, replace(bundle.fitted, facts={**bundle.fitted.facts, "weights": hybrid.alone("ranking")})
    )
    histories, _ = made.known.asked(pd.DataFrame({"user": ["U000"]}), made.catalogue.ids)
    open_items = hybrid.open_to(histories, made.catalogue.offered, seen=False)
    assert not np.isnan(hybrid.standards(made.parts, histories, open_items, PARTS)["ranking"]).any()


def test_lists_by_ratings_without_ratings_are_refused():
    with pytest.raises(ValueError, match="needs ratings: true"):
        Recommender(parts=("popularity", "ranking"))


def test_as_many_ratings_come_back_as_items_were_asked_for(bundle):
    found = bundle.score(
        pd.DataFrame({"customer": ["U000", "U001", "new"], "rate": [["tea-00", "boat-01", "gone"], None, []]})
    )
    assert found["error"].isna().all()
    first = found["ratings"].iloc[0]
    assert len(first) == 3 and first[0] > first[1] + 1
    assert all(OTHER <= value <= OWN for value in first)
    assert found["ratings"].iloc[1] is None
    assert len(found["ratings"].iloc[2]) == 0
    without = bundle.score(pd.DataFrame({"customer": ["U000"]}))
    assert without["ratings"].isna().all() and without["items"].iloc[0]


def test_a_new_users_ratings_follow_from_the_history_in_the_row(bundle):
    asked = [["tea-20", "drum-22"]] * 2
    history = [["tea-00", "tea-04", "tea-08", "tea-12", "tea-16"], ["drum-02", "drum-06", "drum-10", "drum-14"]]
    found = bundle.score(pd.DataFrame({"customer": ["x", "y"], "history": history, "rate": asked}))["ratings"]
    assert found.iloc[0][0] > found.iloc[0][1] + 0.5
    assert found.iloc[1][1] > found.iloc[1][0] + 0.5


def test_a_new_item_is_rated_by_its_content(bundle, made):
    items = made.side["items"]
    new = items.iloc[[0]].assign(item="fresh", title="Fresh tea")
    score = bundle.scorer({"items": pd.concat([items, new], ignore_index=True)})
    found = score(pd.DataFrame({"user": pd.Series(["U000", "U001"], dtype="str"), "rate": [["fresh"], ["fresh"]]}))
    assert found["ratings"].iloc[0][0] > found["ratings"].iloc[1][0] + 0.5


def test_a_users_ratings_depend_on_no_other_row(bundle):
    asked = pd.DataFrame({"customer": [f"U{row:03d}" for row in range(30)], "rate": [["tea-00", "seed-03"]] * 30})
    together, alone = bundle.score(asked)["ratings"], bundle.score(asked.iloc[[7]])["ratings"]
    np.testing.assert_allclose(together.iloc[7], alone.iloc[0], atol=1e-6)


def test_levels_are_those_of_the_ridge_regression_on_users_and_items():
    random = np.random.default_rng(0)
    pairs = [(user, item) for user in range(12) for item in range(8) if random.random() < 0.6]
    rows = pd.DataFrame(pairs, columns=["user", "item"]).astype(str)
    rows["rating"] = random.normal(3, 1, len(rows))
    known = Known.of(SETTINGS, rows)
    catalogue = Catalogue.of(SETTINGS, known.items, pd.DataFrame({"item": known.items.to_numpy()}))
    user, item = known.users.get_indexer(rows["user"]), known.items.get_indexer(rows["item"])
    x = np.zeros((len(rows), 20))
    x[np.arange(len(rows)), user] = x[np.arange(len(rows)), 12 + item] = 1
    mean = rows["rating"].mean()
    expected = np.linalg.solve(x.T @ x + ratings.DRAWN * np.eye(20), x.T @ (rows["rating"] - mean))
    rate = ratings.levels(rows, known, catalogue)
    asked, _ = known.asked(pd.DataFrame({"user": [*known.users, "new"]}), catalogue.ids)
    found = rate(asked, [np.array([0, 7, -1])] * 13)
    for row in range(12):
        np.testing.assert_allclose(found[row], mean + expected[row] + [expected[12], expected[19], 0], atol=1e-3)
    np.testing.assert_allclose(found[12], mean + np.array([expected[12], expected[19], 0]), atol=1e-3)


def test_errors_are_of_all_ratings_and_resampled_by_users():
    rows = pd.DataFrame({"rated": [[1.0, 2.0, 3.0], [5.0], np.nan] * 20})
    scored = pd.DataFrame({"ratings": [[2.0, 2.0, 3.0], [3.0], None] * 20})
    found = ratings.measured(SETTINGS, rows, scored)
    assert point(found["rmse"]) == pytest.approx(np.sqrt((1 + 4) / 4))
    assert point(found["mae"]) == pytest.approx((1 + 2) / 4)
    interval = estimate(found, Resampling(60))["rmse"]
    assert interval.low < point(found["rmse"]) < interval.high
    assert ratings.measured(Recommender(), rows, scored) == {}


def test_of_a_pair_that_is_rated_twice_the_last_counts_and_what_is_not_rated_is_not_asked_for():
    rows = pd.DataFrame(
        {
            "user": ["u", "u", "u", "v", "u"],
            "item": ["a", "b", "a", "a", "c"],
            "rating": [1.0, 2.0, 5.0, 4.0, None],
            "time": pd.to_datetime(["2025-01-01", "2025-01-02", "2025-01-03", "2025-01-01", "2025-01-04"]),
        }
    )
    found = cases(Recommender(ratings=True, liked_from=4), rows).set_index("user")
    assert found.loc["u", "item"] == ["a"]
    assert dict(zip(found.loc["u", "rate"], found.loc["u", "rated"], strict=True)) == {"b": 2.0, "a": 5.0}
    assert found.loc["v", "rated"] == [4.0]
    assert "rate" not in cases(Recommender(), rows)
    assert "rate" not in cases(SETTINGS, rows.drop(columns="rating"))


def test_who_liked_nothing_of_what_they_rated_is_measured_by_ratings_and_by_no_list():
    rows = pd.DataFrame(
        {"user": ["low", "u", "low", "none"], "item": ["a", "b", "b", "a"], "rating": [1.0, 5.0, 2.0, None]}
    )
    settings = Recommender(ratings=True, liked_from=4)
    found = cases(settings, rows)
    assert found["user"].tolist() == ["u", "low"] and found.index.tolist() == [1, 0]
    assert found["item"].tolist() == [["b"], []] and found["rating"].tolist() == [[5.0], []]
    assert found["rated"].tolist() == [[5.0], [1.0, 2.0]]
    assert cases(Recommender(liked_from=4), rows)["user"].tolist() == ["u"]
    scored = pd.DataFrame(
        {"items": [["b"], ["a"]], "ratings": [[5.0], [2.0, 2.0]], "candidates": 2}, index=found.index
    ).assign(novelty=0.0, diversity=0.0, popularity=0.0)
    measured = metrics(settings, found, scored)
    assert point(measured["ndcg@10"]) == 1
    assert point(measured["rmse"]) == pytest.approx(np.sqrt(1 / 3))
    known = Fitted({}, assets={"histories": Known.of(settings, rows).events()})
    assert all(levels.isna().tolist() == [False, True] for levels in slices(settings, known, found).values())
    data = Data(rows, rows.assign(user=rows["user"] + "2"), None, {}, 0, None)
    assert choosing(settings, data)["user"].tolist() == ["u2"]


def test_a_layer_that_crosses_is_that_of_hand():
    keras = pytest.importorskip("keras")
    from solvent_recommender.crosses import Cross

    first, last = np.array([[1.0, 2.0]], np.float32), np.array([[3.0, 5.0]], np.float32)
    layer = Cross()
    layer(first, last)
    layer.dense.set_weights([np.array([[1.0, 0.0], [2.0, 1.0]], np.float32), np.array([0.5, -1.0], np.float32)])
    # last W + b = [3 + 10 + 0.5, 5 - 1]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(first, last)), [[13.5 + 3, 8.0 + 5]])


def test_ratings_without_a_rating_are_refused(config, tmp_path):
    rows = pd.read_parquet(config["data"]["rows"]).drop(columns="rating")
    tables.write(rows, tmp_path / "rows.parquet")
    data = {"rows": str(tmp_path / "rows.parquet"), "columns": {"user": "customer"}}
    with pytest.raises(Refused, match="no row has a rating"):
        train({**config, "data": data, "settings": {"ratings": True}}, tmp_path / "refused")


def test_only_who_asks_for_ratings_has_their_columns():
    assert [item.name for item in columns(SETTINGS).outputs if item.name == "ratings"] == ["ratings"]
    assert "rate" in [item.name for item in columns(SETTINGS).inputs]
    plain = columns(Recommender())
    assert not {"rate", "ratings"} & {item.name for item in (*plain.inputs, *plain.outputs)}


def test_a_rating_is_learnt_from_all_else_that_its_user_had():
    table = pd.DataFrame({"user": ["u"] * 4 + ["v"], "item": ["c", "a", "d", "b", "b"], "rating": [5.0, 1, 3, 4, 2]})
    known = Known.of(SETTINGS, table)
    assets = {"scale": np.array([3.0, 1.0, 1.0, 5.0]), "counts": np.bincount(known.histories.item)}
    rows = ranking._rows(SETTINGS, table, known, np.zeros((4, 1), np.float32), assets)
    inputs, value, _ = rows.take(np.arange(5))
    names = [{known.items[place - 1] for place in row if place} for row in inputs["history"]]
    assert names == [{"a", "d", "b"}, {"c", "d", "b"}, {"c", "a", "b"}, {"c", "a", "d"}, set()]
    np.testing.assert_allclose(value[:, 0], [2, -2, 0, 1, -1])
