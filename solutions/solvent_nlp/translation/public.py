"""Readers of the public data sets: from the files as they are published to a table of pairs."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from .corpora import aligned, tsv

__all__ = ["multi30k", "tatoeba"]


def multi30k(files: Mapping[str, Path]) -> pd.DataFrame:
    """Captions; `part` is the published one, val called valid; the test part is test_2016_flickr.

    Source: Elliott et al., Multi30K: Multilingual English-German Image Descriptions, 2016.
    """
    parts = []
    for part, name in {"train": "train", "valid": "val", "test": "test_2016_flickr"}.items():
        table = aligned(files[f"{name}.en.gz"], files[f"{name}.de.gz"], "english", "german")
        ids = [f"{part}/{number:05d}" for number in range(len(table))]
        parts.append(table.assign(id=ids, part=part))
    return pd.concat(parts, ignore_index=True)


def tatoeba(files: Mapping[str, Path]) -> pd.DataFrame:
    """Pairs, the shortest first; an English sentence stands there once for each of its translations."""
    with zipfile.ZipFile(files["spa-eng.zip"]) as members:
        text = members.read("spa-eng/spa.txt").decode("utf-8")
    return tsv(io.StringIO(text), "english", "spanish")
