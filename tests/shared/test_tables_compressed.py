"""Compressed text files read as what is in them, in bounded memory."""

import bz2
import gzip
import lzma
import tracemalloc

import pyarrow as pa
import pytest

from solvent import tables
from solvent.errors import Refused
from solvent.tables import BAD_ROW


def zstd(content):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as file:
        file.write(content)
    return sink.getvalue().to_pybytes()


COMPRESS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstd}


@pytest.fixture(params=list(COMPRESS))
def compressed(request, tmp_path):
    def write(name, *contents):
        path = tmp_path / f"{name}.{request.param}"
        path.write_bytes(b"".join(COMPRESS[request.param](content) for content in contents))
        return path

    return write


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_a_compressed_csv_file_reads_as_the_plain_one(compressed, tmp_path, encoding):
    content = 'name;city\nMüller;Köln\nJosé\n"two\nlines";São Paulo\n'.encode(encoding)
    plain = tmp_path / "loans.csv"
    plain.write_bytes(content)
    table = tables.read(compressed("Loans.CSV", content))
    assert table.equals(tables.read(plain))
    assert table["city"].fillna("-").tolist() == ["Köln", "-", "São Paulo"]
    assert table[BAD_ROW][1] == "1 field, expected 2"


def test_a_compressed_json_lines_file_is_a_table(compressed):
    assert tables.read(compressed("loans.ndjson", b'{"a": 1}\n{"a": [2]}\n'))["a"].tolist() == [1, [2]]


def test_a_file_of_several_streams_is_read_to_its_end(compressed):
    """As parallel compressors and `cat` make them; larger than all that is read at once."""
    contents = [b"a,b\n", *("".join(f"{row},{part}\n" for row in range(100_000)).encode() for part in range(2)), b"7,8"]
    parts = list(tables.chunks(compressed("loans.csv", *contents), 60_000))
    assert [len(part) for part in parts] == [60_000] * 3 + [20_001]
    assert sum(part["a"].astype("int64").sum() for part in parts) == 2 * sum(range(100_000)) + 7


def test_a_place_in_a_compressed_file_is_named_as_in_the_plain_one(compressed):
    path = compressed("loans.csv", 'näme,b\n"Zoë\nx",1\n'.encode() + b"M\xfcller,2\n")
    with pytest.raises(Refused, match=r"loans.csv.* row 2 \(line 4, byte 21\): byte 0xfc is not UTF-8"):
        tables.read(path)
    path = compressed("loans.csv", b'a,b\n1,2\n3,"x\n4,5\n')
    with pytest.raises(Refused, match=r"row 2 \(line 3\): a quotation mark .* is left open"):
        tables.read(path)


@pytest.mark.parametrize("ending", ["gz", "zst"])
@pytest.mark.parametrize(
    ("name", "head", "message"),
    [
        ("bomb.csv", b"a,b\n1,", "is longer than 4 MiB"),
        ("bomb.csv", b'a,b\n1,"', "is longer than 4 MiB|left open"),
        ("bomb.jsonl", b'{"a": 1}\n{"a": "', "bomb.jsonl.* line 2 is longer than 4 MiB"),
    ],
)
def test_an_endless_row_costs_time_and_no_memory(tmp_path, monkeypatch, ending, name, head, message):
    monkeypatch.setattr(tables.delimited, "BLOCK", 4 << 20)
    path = tmp_path / f"{name}.{ending}"
    path.write_bytes(COMPRESS[ending](head) + COMPRESS[ending](b"x" * (8 << 20)) * 8)
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(Refused, match=message):
            tables.read(path)
        assert tracemalloc.get_traced_memory()[1] < 120 << 20
    finally:
        tracemalloc.stop()


def test_what_a_compressed_file_holds_must_be_in_its_name(tmp_path):
    for name, message in {
        "loans.gz": "a table ends in .csv",
        "loans.csv.zip": "a table ends in .csv",
        "loans.parquet.gz": "a Parquet file is compressed inside. Decompress it: loans.parquet",
    }.items():
        (tmp_path / name).touch()
        with pytest.raises(Refused, match=message):
            tables.read(tmp_path / name)
