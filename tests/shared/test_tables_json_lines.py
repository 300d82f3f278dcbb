"""JSON Lines in and out, on lines whose right reading is known."""

import json

import numpy as np
import pandas as pd
import pytest

from solvent import tables
from solvent.errors import Refused
from solvent.tables import BAD_ROW


def written(tmp_path, content, name="loans.jsonl"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def cells(table):
    return table.astype(object).where(table.notna(), None).to_dict("list")


def test_an_object_a_line_is_a_row_and_cells_keep_their_types(tmp_path):
    content = (
        b'\xef\xbb\xbf{"id": 9007199254740993, "home": "K\xc3\xb6ln", "items": ["a", 1, {"x": [2]}]}\r\n'
        b"\n  \n"
        b'{"id": 2.5, "more": {"a": {"b": null}}, "open": true, "home": null}'
    )
    table = tables.read(written(tmp_path, content))
    assert list(table.columns) == ["id", "home", "items", "more", "open"]
    assert cells(table) == {
        "id": [2**53 + 1, 2.5],
        "home": ["Köln", None],
        "items": [["a", 1, '{"x": [2]}'], None],
        "more": [None, '{"a": {"b": null}}'],
        "open": [None, True],
    }
    assert [type(cell) for cell in table["id"]] == [int, float]
    assert set(map(str, table.dtypes)) == {"object"}


def test_numbers_that_json_does_not_have_are_left_to_the_schema(tmp_path):
    table = tables.read(written(tmp_path, '{"a": NaN}\n{"a": Infinity}\n{"a": -Infinity}\n'))
    assert np.isnan(table["a"][0])
    assert table["a"][1:].tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[1, 2]", "no JSON object but a list"),
        ("3", "no JSON object but a number"),
        ('{"a": 1', "no JSON object (Expecting ',' delimiter)"),
        ('{"a": 1} {"a": 2}', "no JSON object (Extra data)"),
        ('{"a": 1, "z": 2}', "the key 'z' is none of the file's columns"),
        ('{"a": 1, "a": 2}', "a JSON object with the key 'a' twice"),
        ('{"a": ' + "[" * 9 + "]" * 9 + "}", "a JSON object that is nested too deeply"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "a JSON object that is nested too deeply"),
        ('{"a": ' + '{"b":' * 100_000 + "1" + "}" * 100_000 + "}", "a JSON object that is nested too deeply"),
        ('{"a": 18446744073709551616}', "a JSON object with an integer of more than 64 bits; write it as a text"),
        ('{"a": ' + "9" * 5000 + "}", "no JSON object that can be read"),
        (r'{"a": "\ud83d"}', "a JSON object with half a character (a lone surrogate)"),
    ],
    ids=range(12),
)
def test_a_line_that_is_no_row_keeps_its_place_with_the_reason(tmp_path, monkeypatch, line, reason):
    monkeypatch.setattr(tables.json_lines, "SAMPLE", 20)
    path = written(tmp_path, '{"a": 0}\n' * 3 + line + "\n" + '{"a": 18446744073709551615}\n{"a": "\\ud83d\\ude00"}\n')
    table = tables.read(path)
    assert table["a"].isna().tolist() == [False, False, False, True, False, False]
    assert table["a"].tolist()[4:] == [2**64 - 1, "😀"]
    assert table[BAD_ROW].notna().tolist() == [False, False, False, True, False, False]
    assert table[BAD_ROW][3].startswith(reason)
    assert len(tables.typed(table, {})) == 6


def test_bad_lines_keep_their_places_in_every_part_and_block(tmp_path, monkeypatch):
    monkeypatch.setattr(tables.json_lines, "READ", 64)
    lines = ["oops" if row % 7 == 3 else json.dumps({"a": row}) for row in range(200)]
    path = written(tmp_path, "\n".join(lines))
    whole = tables.read(path)
    assert whole.index[whole[BAD_ROW].notna()].tolist() == [row for row in range(200) if row % 7 == 3]
    assert whole["a"].dropna().tolist() == [row for row in range(200) if row % 7 != 3]
    parts = list(tables.chunks(path, 3))
    pd.testing.assert_frame_equal(pd.concat(parts)[whole.columns], whole, check_index_type=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "loans.jsonl holds no row, so it has no columns"),
        ("{}\n{}\n", "loans.jsonl: the objects in its first lines have no keys"),
        ('{" ": 1}\n', "loans.jsonl: the key ' ' can't be a column's name"),
        (f'{{"{BAD_ROW}": 1}}\n', "the key '__bad_row__' can't be a column's name"),
        (
            "a,b\n1,2\n",
            "loans.jsonl: expected JSON Lines, a JSON object in each line; the first line is no JSON object",
        ),
        ('{"a": 1}\n\n{"a": "é"}\n'.encode("latin-1"), "loans.jsonl line 3: byte 8 is not UTF-8"),
        ('{"a": 1}\n'.encode("utf-16"), "loans.jsonl line 1: byte 1 is not UTF-8"),
        ('{"a": 1}\n'.encode("utf-16-le"), "the first line is no JSON object"),
    ],
)
def test_a_file_that_is_no_json_lines_is_refused(tmp_path, content, message):
    with pytest.raises(Refused, match=message):
        tables.read(written(tmp_path, content))


def test_a_line_longer_than_a_block_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tables.delimited, "BLOCK", 100)
    with pytest.raises(Refused, match=r"loans.jsonl line 2 is longer than"):
        tables.read(written(tmp_path, '{"a": 1}\n{"a": "' + "x" * 200 + '"}\n{"a": 1}\n'))


def test_a_written_table_is_json_lines(tmp_path):
    table = pd.DataFrame(
        {
            'the "id"': pd.array([2**60 + 1, None], dtype="Int64"),
            "p": [0.1, np.nan],
            "whole": [3.0, 1e22],
            "home": ['Kö"ln\n', None],
            "ok": pd.array([True, None], dtype="boolean"),
            "items": [["a", None], []],
            "numbers": [[0.5, float("nan")], None],
            "png": [b"\x89", None],
            "time": pd.to_datetime(["2026-01-01 12:03:04", None]),
            "none": [None, None],
        },
        index=[7, 9],
    )
    tables.write(table, tmp_path / "scores.jsonl")
    lines = (tmp_path / "scores.jsonl").read_bytes().decode().splitlines()
    assert lines[0] == (
        r'{"the \"id\"":1152921504606846977,"p":0.1,"whole":3.0,"home":"Kö\"ln\n","ok":true,"items":["a",null],'
        '"numbers":[0.5,null],"png":"iQ==","time":"2026-01-01 12:03:04.000000","none":null}'
    )
    assert json.loads(lines[1]) == dict.fromkeys(table.columns, None) | {"whole": 1e22, "items": []}
    read = tables.read(tmp_path / "scores.jsonl")
    assert read['the "id"'][0] == 2**60 + 1
    assert isinstance(read["whole"][0], float)


def test_rows_are_appended_and_floats_come_back_bit_by_bit(tmp_path):
    numbers = np.random.default_rng(0).standard_normal(1000) * 10.0 ** np.arange(-500, 500, 1).clip(-300, 300)
    table = pd.DataFrame({"a": numbers, "b": np.arange(1000)})
    path = tmp_path / "scores.jsonl"
    with path.open("wb") as file:
        for start in range(0, 1000, 300):
            tables.append_jsonl(table.iloc[start : start + 300], file)
        tables.append_jsonl(table.head(0), file)
    read = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["a"] for row in read] == numbers.tolist()
    assert [row["b"] for row in read] == list(range(1000))


@pytest.mark.parametrize("cell", [float("inf"), [1.0, float("-inf")]])
def test_infinite_numbers_are_refused_and_nothing_is_written(tmp_path, cell):
    with pytest.raises(Refused, match=r"The column p holds .* infinite number, which JSON doesn't have"):
        tables.write(pd.DataFrame({"p": [cell]}), tmp_path / "scores.jsonl")
    assert not list(tmp_path.iterdir())


def test_a_file_that_lacks_a_key_has_it_missing(tmp_path):
    (tmp_path / "1.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "2.jsonl").write_text('{"b": "x", "a": 2}\n')
    (tmp_path / "3.jsonl").write_text("")
    table = tables.read(tmp_path)
    assert list(table.columns) == ["a", "b"]
    assert table.values.tolist() == [[1, None], [2, "x"]]


@pytest.mark.parametrize("blank", [b"\r", b" ", b"\t \r"])
def test_endless_blanks_without_a_line_end_are_not_held_and_say_nothing(tmp_path, monkeypatch, blank):
    monkeypatch.setattr(tables.json_lines, "READ", 64)
    monkeypatch.setattr(tables.json_lines, "SAMPLE", 64)
    monkeypatch.setattr(tables.delimited, "BLOCK", 500)
    path = written(tmp_path, blank * 2000 + b'{"a": 1}\n' + blank * 2000 + b"\n" + b'{"a": 2}')
    assert cells(tables.read(path)) == {"a": [1, 2]}
