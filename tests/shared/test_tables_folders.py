"""Folders, patterns and partitions: which files they stand for, in which order."""

from pathlib import Path

import pandas as pd
import pytest

from solvent import tables
from solvent.errors import Refused
from solvent.tables import Source


def put(folder, **files):
    """Files by name, `__` for a slash and `_e_` for an equals sign."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pd.DataFrame):
            tables.write(content, path)
        else:
            path.write_text(content)


def names(source, folder):
    return [path.relative_to(folder).as_posix() for path in tables.files(source)]


def test_a_pattern_is_its_files_in_the_order_of_their_names(tmp_path):
    put(
        tmp_path,
        **{
            "loans-2.csv": "b,a\n4,3\n",
            "loans-10.csv": "a,b\n1,2\n",
            "loans-3.csv.tmp": "half",
            "loans-4.csv.part": "half",
            "notes.csv": "x\n1\n",
            ".loans-5.csv": "a,b\n9,9\n",
        },
    )
    table = tables.read("loans-*.csv", base=tmp_path)
    assert table.to_dict("list") == {"a": ["1", "3"], "b": ["2", "4"]}
    assert table.index.tolist() == [0, 1]
    assert names(tmp_path / "loans-*", tmp_path) == ["loans-10.csv", "loans-2.csv"]
    assert names(tmp_path / "loans-[0-9].csv", tmp_path) == ["loans-2.csv"]
    assert tables.label(tmp_path / "loans-*.csv") == "loans-*.csv"
    assert tables.folder(tmp_path / "*" / "loans-*.csv") == tmp_path


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path):
    put(tmp_path, **{"loans[1].csv": "a\n1\n", "loans1.csv": "a\n2\n", "in [old]/b.csv": "a\n3\n"})
    assert tables.read(tmp_path / "loans[1].csv")["a"].tolist() == ["1"]
    assert tables.read("*.csv", base=tmp_path / "in [old]")["a"].tolist() == ["3"]


def test_a_pattern_that_fits_nothing_is_refused_with_what_is_there(tmp_path):
    put(tmp_path, **{"laons-1.csv": "a\n1\n", "in/loans-1.csv.tmp": "a\n"})
    with pytest.raises(Refused, match=r"No table file fits .*loans-\*.csv. .* holds: in/, laons-1.csv"):
        tables.read(tmp_path / "loans-*.csv")
    with pytest.raises(Refused, match=r"No table file fits .* holds: loans-1.csv.tmp"):
        tables.files(tmp_path / "in" / "loans-*")
    with pytest.raises(Refused, match=r"There is no folder .*none"):
        tables.read(tmp_path / "none" / "loans-*")


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_folder_is_its_table_files_and_hidden_ones_are_none(tmp_path, form):
    one, two = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), pd.DataFrame({"b": ["z"], "a": [3]})
    tables.write(two, tmp_path / f"part-00001.{form}")
    tables.write(one, tmp_path / f"part-00000.{form}")
    for name in ("_SUCCESS", f".part-00002.{form}", f"_part-00003.{form}", f"part-00004.{form}.tmp", "README.txt"):
        (tmp_path / name).touch()
    table = tables.read(tmp_path)
    assert list(table.columns) == ["a", "b"]
    assert table["a"].astype(int).tolist() == [1, 2, 3]
    assert names(tmp_path, tmp_path) == [f"part-00000.{form}", f"part-00001.{form}"]
    assert tables.folder(tmp_path) == tmp_path.parent
    if form == "jsonl":  # whose files may leave out what is null
        return
    tables.write(pd.DataFrame({"a": [1], "c": ["z"]}), tmp_path / f"part-00002.{form}")
    message = f"part-00000.{form} has a column 'b', part-00002.{form} has none"
    with pytest.raises(Refused, match=message):
        tables.read(tmp_path)
    with pytest.raises(Refused, match=message):  # before the first row
        next(tables.chunks(tmp_path, 1))


def test_an_extra_column_is_refused_too(tmp_path):
    put(tmp_path, **{"1.csv": "a\n1\n", "2.csv": "a,b\n1,2\n"})
    with pytest.raises(Refused, match=r"2.csv has a column 'b', 1.csv has none"):
        tables.read(tmp_path)


def test_a_part_of_json_lines_without_rows_is_no_obstacle(tmp_path):
    put(tmp_path, **{"1.jsonl": "", "2.jsonl": '{"a": 1}\n', "3.jsonl": "\n"})
    assert tables.read(tmp_path)["a"].tolist() == [1]


def test_a_folder_of_several_kinds_or_with_a_file_twice_is_refused(tmp_path):
    put(tmp_path, **{"1.csv": "a\n1\n", "2.jsonl": '{"a": 1}\n'})
    with pytest.raises(Refused, match=r"several kinds: 1.csv is CSV, 2.jsonl is JSON Lines.*by a pattern: \*.csv"):
        tables.read(tmp_path)
    assert tables.read(tmp_path / "*.csv")["a"].tolist() == ["1"]
    put(tmp_path / "twice", **{"1.csv": "a\n1\n", "1.csv.gz": ""})
    with pytest.raises(Refused, match=r"1.csv and 1.csv.gz lie in .*: the same rows twice\?"):
        tables.read(tmp_path / "twice")


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_partitions_are_columns_of_text(tmp_path, form):
    folders = {
        "day=2026-01-02/region=EU": 3,
        "day=2026-01-01/region=__HIVE_DEFAULT_PARTITION__": 2,
        "day=2026-01-01/region=K%C3%B6ln%2FBonn": 1,
        "_temporary/day=2026-01-03/region=EU": 9,
        ".old/region=EU": 9,
    }
    for folder, number in folders.items():
        tables.write(pd.DataFrame({"a": [number]}), tmp_path / folder / f"part-0.{form}")
    table = tables.read(tmp_path)
    assert table["a"].astype(int).tolist() == [1, 2, 3]
    assert table["day"].tolist() == ["2026-01-01", "2026-01-01", "2026-01-02"]
    assert table["region"].fillna("-").tolist() == ["Köln/Bonn", "-", "EU"]
    assert [str(table[key].dtype) for key in ("day", "region")] == ["str", "str"]
    assert len(tables.files(tmp_path)) == 3
    assert tables.read(tmp_path / "day=2026-01-0[2-9]" / "*" / f"*.{form}")["day"].tolist() == ["2026-01-02"]
    assert list(tables.read(tmp_path / "day=2026-01-02")["region"]) == ["EU"]


def test_partitions_of_other_keys_and_a_key_that_is_a_column_are_refused(tmp_path):
    put(tmp_path, **{"day=1/1.csv": "a\n1\n", "region=EU/2.csv": "a\n1\n"})
    with pytest.raises(Refused, match=r"partitioned in several ways: day=1/1.csv and region=EU/2.csv"):
        tables.read(tmp_path)
    put(tmp_path / "more", **{"a=1/1.csv": "a\n1\n"})
    with pytest.raises(Refused, match=r"1.csv has a column 'a', and lies in a folder a=\.\.\. too"):
        tables.read(tmp_path / "more")


def test_images_in_folders_with_an_equals_sign_are_still_images(tmp_path):
    put(tmp_path, **{"kind=cat/1.png": "", "kind=dog/2.png": "", "list.csv": "image\n", "kind=dog/notes.csv": "a\n"})
    assert tables.read(tmp_path)["label"].tolist() == ["kind=cat", "kind=dog"]
    assert names(tmp_path, tmp_path) == ["kind=cat/1.png", "kind=dog/2.png"]
    assert tables.folder(tmp_path) == tmp_path
    assert tables.rows(tmp_path) == 2


def test_every_file_of_a_folder_of_images_is_one_where_it_may_have_any_name(tmp_path):
    good = "\0" * 128 + "DICM"
    put(
        tmp_path,
        **{
            "p1/IM1": good,
            "p1/IM2": "damaged from its first byte on",
            "p2/0001.IMA": "",
            "p2/sub/1.2.840.113": "x",
            "p2/DICOMDIR": good,
            "p2/report.xml": "<x/>",
            "p2/list.csv.gz": "",
            "p2/.hidden": "x",
            "astray": "x",
        },
    )
    assert tables.read(tmp_path)["image"].tolist() == ["p1/IM1"]
    every = {"path": tmp_path, "every": True}
    found = tables.read(every)
    assert found["image"].tolist() == ["astray", "p1/IM1", "p1/IM2", "p2/0001.IMA", "p2/sub/1.2.840.113"]
    assert found["label"].fillna("-").tolist() == ["-", "p1", "p1", "p2", "p2"]
    assert tables.rows(every) == len(tables.files(every)) == 5


def test_an_output_of_scoring_is_a_source(tmp_path):
    run = tmp_path / ".scores.runs" / "0123"
    score = pd.DataFrame({"p": [0.5]})
    put(run, **{"part-00000.parquet": score, "quarantine/part-00000.parquet": pd.DataFrame({"row": [2]})})
    put(run, **{"manifest.json": "{}", "_SUCCESS": "", "drift.html": ""})
    (tmp_path / "scores").symlink_to(Path(".scores.runs", "0123"))
    assert tables.read(tmp_path / "scores")["p"].tolist() == [0.5]
    assert names(tmp_path / "scores", tmp_path / "scores") == ["part-00000.parquet"]


def test_files_are_refused_where_reading_is_and_a_query_has_none(tmp_path):
    assert tables.files({"sql": "sqlite:///none.db", "query": "select 1"}) == []
    assert tables.files({"dataset": "german"}) == []
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(Refused):
            tables.files(path)


def test_rows_are_counted_or_estimated(tmp_path):
    table = pd.DataFrame({"a": range(1000), "b": ['two\n"lines"'] * 1000})
    for name in ("a.parquet", "in/b.parquet", "in/c.parquet", "a.csv", "a.jsonl"):
        tables.write(table, tmp_path / name)
    assert tables.rows(tmp_path / "a.parquet") == 1000
    assert tables.rows(tmp_path / "in") == 2000
    assert tables.rows(tmp_path / "a.csv") == 1000
    assert tables.rows(tmp_path / "a.jsonl") == 1000
    large = pd.DataFrame({"a": range(10**6, 14 * 10**5)})
    tables.write(large, tmp_path / "large.csv")
    assert tables.rows(tmp_path / "large.csv") == pytest.approx(400_000, rel=0.01)


def test_rows_that_cannot_be_known_are_none_and_never_an_error(tmp_path):
    put(tmp_path, **{"a.csv.gz": "", "b.parquet": "no", "c.xlsx": ""})
    for name in ("a.csv.gz", "b.parquet", "c.xlsx", "none.csv", "no-*.csv", "."):
        assert tables.rows(tmp_path / name) is None
    assert tables.rows({"sql": "sqlite:///none.db", "query": "select 1"}) is None
    assert tables.rows({}) is None


def test_a_key_orders_a_query_and_nothing_else():
    assert Source.of({"sql": "sqlite:///a.db", "query": "select 1", "key": "id"}).key == "id"
    with pytest.raises(Refused, match="key: is the column that orders the rows of a query; it needs sql:"):
        Source.of({"path": "a.csv", "key": "id"})
