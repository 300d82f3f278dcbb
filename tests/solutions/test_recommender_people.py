"""Recommender: the users' side table, and what it does for users without a history."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from solvent import Bundle, Refused, tables, train
from solvent_recommender import people
from solvent_recommender.people import People
from solvent_recommender.sample import tastes
from solvent_recommender.settings import Recommender, Towers, Users

KINDS = ("tea", "boat", "drum", "seed")
COLUMNS = Users(id="who", about=("age", "likes"))


def table(count=40):
    place = np.arange(count)
    likes = [f"{KINDS[k % 4]}|all" if k % 2 else KINDS[k % 4] for k in place]
    return pd.DataFrame({"who": [f"u{k}" for k in place], "age": 20 + place % 5, "likes": likes})


COUNT = 240  # users, the last 80 of whom come after the training rows


@pytest.fixture(scope="module")
def made():
    """A year of 160 users, and what 80 others have at once, after two thirds of it."""
    found, other = tastes(0), tastes(1).rows
    number = other["customer"].str[1:].astype(int)
    late = other[number < COUNT - 160].assign(
        customer=[f"U{160 + each:03d}" for each in number[number < COUNT - 160]],
        time=lambda rows: pd.Timestamp("2025-09-01") + (rows["time"] - pd.Timestamp("2025-01-01")) / 10,
    )
    rows = pd.concat([found.rows, late]).sort_values("time", ignore_index=True)
    return replace(found, rows=rows)


@pytest.fixture(scope="module")
def config(tmp_path_factory, made):
    """Users whose kind stands in the side table, and beside it a column that tells nothing."""
    where = tmp_path_factory.mktemp("people")
    tables.write(made.rows, where / "rows.parquet")
    tables.write(made.side["items"], where / "items.parquet")
    tables.write(users(range(COUNT)), where / "users.parquet")
    return {
        "solution": "solvent_recommender:SOLUTION",
        "data": {
            "rows": str(where / "rows.parquet"),
            "split": {"by": "time", "fractions": [0.4, 0.4, 0.2]},
            "columns": dict(made.columns),
            "side": {"items": str(where / "items.parquet"), "users": str(where / "users.parquet")},
        },
        "settings": {
            **made.settings,
            "parts": ["popularity", "two_tower"],
            "users": {"id": "user", "about": ["kind"]},
            "training": {"epochs": 6, "batch_size": 256, "learning_rate": 0.01},
        },
    }


def users(numbers):
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "user": [f"U{k:03d}" for k in numbers],
            "kind": [KINDS[k % 4] for k in numbers],
            "noise": random.choice(list("abcd"), len(numbers)),
        }
    )


@pytest.fixture(scope="module")
def bundle(config, tmp_path_factory):
    return train(config, tmp_path_factory.mktemp("bundle") / "people")


def test_numbers_are_counted_from_their_mean_and_levels_are_ones():
    found = people.learn(COLUMNS, table(), pd.Index([f"u{k}" for k in range(40)]))
    assert found["column"].tolist() == ["age", *["likes"] * 5]
    assert found["level"].tolist()[1:] == ["all", "boat", "drum", "seed", "tea"]
    read = People.read(COLUMNS, found, table().assign(age=[None, *table()["age"].iloc[1:]]))
    assert read.of(pd.Index(["u0"]))[0].tolist() == [0, 0, 0, 0, 0, 1]
    one = read.of(pd.Index(["u1"]))[0]
    np.testing.assert_allclose(one, [(21 - 22) / np.sqrt(2), 1, 1, 0, 0, 0], rtol=1e-6)
    assert not read.of(pd.Index(["nobody"])).any()


def test_a_level_that_hardly_anyone_has_or_that_is_new_tells_nothing():
    rows = table()
    rows.loc[:3, "likes"] = "rare"
    found = people.learn(COLUMNS, rows, pd.Index(rows["who"]))
    assert "rare" not in set(found["level"])
    read = People.read(COLUMNS, found, rows.head(2).assign(likes=["rare", "never seen"], age=22))
    assert not read.numbers.any()


def test_only_users_that_are_learnt_from_say_what_is_usual():
    rows = table()
    found = people.learn(COLUMNS, rows, pd.Index([f"u{k}" for k in range(0, 40, 5)]))
    assert found.loc[0, "mean"] == 20 and found.loc[0, "deviation"] == 1


def test_a_table_without_its_columns_with_a_user_twice_or_with_none_that_is_known_is_refused():
    known = pd.Index(["u0", "u1"])
    with pytest.raises(Refused, match="no column 'likes'"):
        people.learn(COLUMNS, table().drop(columns="likes"), known)
    with pytest.raises(Refused, match="row 41 is of a user who has a row before"):
        people.learn(COLUMNS, pd.concat([table(), table().head(1)]), known)
    with pytest.raises(Refused, match="row 1 has no id"):
        people.learn(COLUMNS, table().assign(who=[None, *table()["who"].iloc[1:]]), known)
    with pytest.raises(Refused, match="none of the 40 users"):
        people.learn(COLUMNS, table(), pd.Index(["x"]))


def test_a_new_user_gets_what_is_of_their_kind_by_tonights_table(bundle):
    entry = next(each for each in bundle.fitted.facts["choices"] if each["what"] == "users without a history, by")
    assert entry["won"] == "what is known about them"
    assert entry["chosen_on"] == "validation users without a training row"
    popular, about = (each["ndcg@10"] for each in entry["tried"])
    assert about > popular + 0.1
    asked = pd.DataFrame({"user": pd.Series(["n0", "n1", "n2"], dtype="str")})
    tonight = pd.DataFrame({"user": ["n0", "n1"], "kind": ["tea", "drum"]})
    found = bundle.scorer({"users": tonight})(asked)
    for row, kind in enumerate(("tea", "drum")):
        assert np.mean([item.startswith(kind) for item in found["items"].iloc[row][:6]]) > 0.8
    assert set(found["reasons"].iloc[2]) == {"popular now"}
    pd.testing.assert_frame_equal(bundle.scorer()(asked).iloc[[2]], found.iloc[[2]])


def test_the_bundle_says_that_the_table_is_about_people(bundle):
    assert {"users", "histories"} <= set(bundle.facts["personal"])
    assert Bundle.load(bundle.path).fitted.personal == bundle.fitted.personal


def test_what_tells_nothing_of_taste_serves_no_new_user(config, tmp_path):
    settings = {**config["settings"], "users": {"about": ["noise"]}, "training": {"epochs": 2, "batch_size": 256}}
    bundle = train({**config, "settings": settings}, tmp_path / "noise")
    entry = next(each for each in bundle.fitted.facts["choices"] if each["what"] == "users without a history, by")
    assert entry["won"] == "what is popular"
    asked = pd.DataFrame({"user": pd.Series(["n0", "n1"], dtype="str")})
    tonight = pd.DataFrame({"user": ["n0", "n1"], "noise": ["a", "b"]})
    found = bundle.scorer({"users": tonight})(asked)
    assert found["items"].iloc[0] == found["items"].iloc[1]


def test_users_with_a_training_row_do_not_say_whether_what_is_known_serves_new_ones(config, made, tmp_path):
    """From what is known about them the towers learnt their taste."""
    tables.write(tastes(0).rows, tmp_path / "old.parquet")
    data = {**config["data"], "rows": str(tmp_path / "old.parquet")}
    settings = {**config["settings"], "training": {"epochs": 1, "batch_size": 256}}
    bundle = train({**config, "data": data, "settings": settings}, tmp_path / "old")
    entry = next(each for each in bundle.fitted.facts["choices"] if each["what"] == "users without a history, by")
    assert entry["won"] == "what is popular"
    assert "it takes 50 validation users without a training row, and there are 0" in entry["chosen_on"]


def test_each_step_reads_other_users_by_what_is_known_about_them_alone():
    """All had one item; a tower that reads a user without a history gives another vector."""
    towers = pytest.importorskip("solvent_recommender.towers")
    tower = towers.user_tower(3, Towers(width=8, history=2, dropout=0.0), about=1)
    inputs = {"history": np.ones((2000, 2), np.int32), "about": np.ones((2000, 1), np.float32)}
    told = ~np.isclose(tower(inputs).numpy()[:1], tower(inputs, training=True).numpy(), atol=1e-6).all(axis=1)
    again = ~np.isclose(tower(inputs).numpy()[:1], tower(inputs, training=True).numpy(), atol=1e-6).all(axis=1)
    assert told.mean() == pytest.approx(0.2, abs=0.04) and again.mean() == pytest.approx(0.2, abs=0.04)
    assert (told != again).any()
    inputs["about"] = np.zeros((2000, 1), np.float32)  # of whom nothing else is known
    np.testing.assert_allclose(tower(inputs), tower(inputs, training=True), atol=1e-6)


def test_what_no_model_would_read_is_refused():
    with pytest.raises(ValueError, match="only two_tower and the ratings read"):
        Recommender(users={"about": ["age"]})


def test_a_table_that_no_setting_reads_and_a_setting_without_its_table_are_refused(config, tmp_path):
    settings = {**config["settings"], "users": {}}
    with pytest.raises(Refused, match="names none of its columns"):
        train({**config, "settings": settings}, tmp_path / "unread")
    data = {**config["data"], "side": {"items": config["data"]["side"]["items"]}}
    with pytest.raises(Refused, match=r"data\.side has none"):
        train({**config, "data": data}, tmp_path / "missing")
