"""What the metrics of lists mean, and which way is better. Imports neither keras nor pandas."""

from solvent import Meaning

__all__ = ["MEANINGS"]

MEANINGS = {
    "ndcg": Meaning("how high in the list the items stand that the user came to like; 1 is all of them on top", True),
    "recall": Meaning("share of the items that the user came to like that are in the list", True),
    "precision": Meaning("share of the list that the user came to like", True),
    "map": Meaning("mean over users of the precision at each hit", True),
    "mrr": Meaning("mean over users of 1 / the place of the first hit", True),
    "hit_rate": Meaning("share of the users whose list has a hit", True),
    "coverage": Meaning("share of the candidates that are in somebody's list", True),
    "gini": Meaning("how unevenly the lists deal out the candidates: 0 to all alike, 1 all to one", False),
    "novelty": Meaning("mean of -log2 of the share of users who had each item, in bits: higher is less known"),
    "diversity": Meaning("1 less the mean likeness of two items of a list: higher is more varied"),
    "popularity": Meaning("mean share of users who had each item: lower is less known"),
    "rmse": Meaning("root of the mean squared error of the ratings foretold, in units of the rating", False),
    "mae": Meaning("mean absolute error of the ratings foretold, in units of the rating", False),
}
