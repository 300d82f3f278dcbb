"""Damaged files of every form: read, or refused with the file's name; never another error, never fewer rows."""

import bz2
import gzip
import lzma
import random

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from solvent import tables
from solvent.errors import Refused, SolventError

ROWS = 60


def whole_files(folder):
    """A small file of each form."""
    generator = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "id": np.arange(ROWS),
            "amount": generator.random(ROWS).round(3),
            "home": generator.choice(["own", "rent", "Köln"], ROWS),
            "open": generator.random(ROWS) > 0.5,
            "day": pd.date_range("2026-01-01", periods=ROWS),
            "items": [["a", "b"]] * ROWS,
        }
    )
    tables.write(table, folder / "loans.csv")
    tables.write(table, folder / "loans.jsonl")
    pq.write_table(tables.typed(table, {}), folder / "loans.parquet", row_group_size=25)
    pq.write_table(
        tables.typed(table, {}), folder / "plain.parquet", use_dictionary=False, compression="none", data_page_size=64
    )
    for name in ("loans.csv", "loans.jsonl"):
        content = (folder / name).read_bytes()
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        (folder / f"{name}.bz2").write_bytes(bz2.compress(content))
        (folder / f"{name}.xz").write_bytes(lzma.compress(content))
        with pa.CompressedOutputStream(str(folder / f"{name}.zst"), "zstd") as file:
            file.write(content)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def damaged(content, chance):
    """The content with one thing wrong."""
    place = chance.randrange(len(content))
    kind = chance.randrange(8)
    if kind == 0:
        return content[:place]
    if kind in (1, 2):
        flipped = bytearray(content)
        for _ in range(chance.choice([1, 1, 4, 30])):
            flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        return bytes(flipped)
    if kind == 3:
        return content[:place] + b"\0" * chance.choice([1, 8, 300]) + content[place:]
    if kind == 4:
        return content[:place] + chance.randbytes(chance.choice([1, 4, 50])) + content[place + 4 :]
    if kind == 5:
        absurd = [b"\xff\xff\xff\xff\x7f", b"9" * 5000, b"[" * 5000, b'"', b"\r", b"\xed\xa0\x80", b"\\ud800", b"1e999"]
        return content[:place] + chance.choice(absurd) + content[place:]
    if kind == 6:
        return content + content[place:]
    return content.decode("latin-1").encode(chance.choice(["utf-16", "utf-16-le", "utf-32", "utf-8"]))


def used(table):
    """What is done to every table: its cells are looked at, and hashed as Arrow's."""
    arrow = tables.typed(table, {})
    arrow.validate(full=True)
    for name in table.columns:
        table[name].head(3).tolist()
    return len(table)


def outcome(path):
    try:
        tables.files(path)
        tables.rows(path)
        return sum(used(part) for part in tables.chunks(path, 20))
    except SolventError as error:
        assert path.name in str(error), error
        return type(error)


def test_damaged_files_are_read_or_refused(tmp_path):
    chance = random.Random(7)
    files = whole_files(tmp_path)
    path = tmp_path / "case"
    path.mkdir()
    refused = 0
    for number in range(600):
        name = list(files)[number % len(files)]
        (path / name).write_bytes(damaged(files[name], chance))
        refused += outcome(path / name) in (Refused, SolventError)
    assert refused > 200
    assert all(outcome(tmp_path / name) == ROWS for name in files)


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "zst"])
def test_a_compressed_file_that_is_cut_off_is_refused_wherever_it_is_cut(tmp_path, ending):
    content = whole_files(tmp_path)[f"loans.csv.{ending}"]
    path = tmp_path / f"cut.csv.{ending}"
    for size in (*range(1, 40), *range(40, len(content), 29), *range(len(content) - 12, len(content))):
        path.write_bytes(content[:size])
        with pytest.raises(Refused, match=rf"cut.csv.{ending} is damaged or cut off: .*Write or copy it again"):
            tables.read(path)


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz"])
def test_bytes_behind_a_compressed_file_are_refused_not_ignored(tmp_path, ending):
    content = whole_files(tmp_path)[f"loans.csv.{ending}"]
    path = tmp_path / f"more.csv.{ending}"
    path.write_bytes(content + b"garbage, or a second stream that is damaged")
    with pytest.raises(Refused, match="is damaged"):
        tables.read(path)


def test_a_parquet_file_whose_pages_have_changed_is_refused(tmp_path):
    """Where the writer left checksums, a flipped bit in a number is seen."""
    path = tmp_path / "loans.parquet"
    numbers = np.random.default_rng(0).random(1000)
    pq.write_table(pa.table({"a": numbers}), path, use_dictionary=False, compression="none", write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[content.index(numbers[500].tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(Refused, match=r"loans.parquet is damaged: .*CRC"):
        tables.read(path)
