"""How much of a Parquet file is in memory while it is read part by part."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from solvent import tables

ROWS, COLUMNS = 200_000, 4


@pytest.fixture(scope="module")
def loans(tmp_path_factory):
    """One row group of 200,000 loans: 6.4 MB of numbers that can't be compressed."""
    path = tmp_path_factory.mktemp("loans") / "loans.parquet"
    columns = {f"number_{place}": np.random.default_rng(place).random(ROWS) for place in range(COLUMNS)}
    pq.write_table(pa.table(columns), path, use_dictionary=False)
    assert pq.ParquetFile(path).num_row_groups == 1
    return path


def test_a_row_group_is_read_piece_by_piece(loans):
    before = pa.total_allocated_bytes()
    parts = tables.chunks(loans, 10_000)
    held = []
    for part in parts:
        held.append(pa.total_allocated_bytes() - before)
        del part
    assert len(held) == 20
    # a part is 0.3 MB, a column's buffer 0.06; a row group would be 6.4
    assert max(held) < 2e6


def test_pieces_are_parts_where_parts_are_large(loans):
    wanted = pq.read_table(loans).to_pandas()
    for rows in (7_000, 10_000, 64_000, 150_000, ROWS):
        found = list(tables.chunks(loans, rows))
        assert [len(part) for part in found] == [rows] * (ROWS // rows) + [ROWS % rows] * (ROWS % rows > 0)
        assert all((part == wanted.loc[part.index]).all(axis=None) for part in found)
