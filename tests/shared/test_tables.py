"""Tables in and out, on files whose right reading is known."""

import logging
import os
import sqlite3
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from solvent import tables
from solvent.errors import Refused, SolventError
from solvent.tables import BAD_ROW, Source, database


def written(tmp_path, content, name="loans.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def cells(table):
    return table.astype(object).where(table.notna(), None).to_dict("list")


def test_cells_of_a_csv_file_are_text_or_missing(tmp_path):
    table = tables.read(written(tmp_path, 'a,b,c\n01,"x, y",NA\n1.50,None,\n,"two\nlines",null\n'))
    assert cells(table) == {"a": ["01", "1.50", None], "b": ["x, y", "None", "two\nlines"], "c": [None, None, None]}
    assert table.index.equals(pd.RangeIndex(3))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path, delimiter):
    content = "\n".join(delimiter.join(row) for row in [("name", "note"), ("a", "one; two"), ("b", '"x, y"')])
    content = content.replace("one; two", '"one; two"')
    assert list(tables.read(written(tmp_path, content)).columns) == ["name", "note"]


def test_decimal_commas_do_not_hide_the_semicolon(tmp_path):
    path = written(tmp_path, "a;b;c\n1,5;2,5;x\n3,5;4,5;1,5 m\n")
    assert tables.read(path)["a"].tolist() == ["1,5", "3,5"]
    assert cells(tables.read({"path": path, "decimal": ","})) == {
        "a": ["1.5", "3.5"],
        "b": ["2.5", "4.5"],
        "c": ["x", "1,5 m"],
    }


def test_two_possible_delimiters_are_not_guessed_between(tmp_path):
    path = written(tmp_path, "a,b;c\n1,2;3\n")
    with pytest.raises(Refused, match=r"loans.csv: both ',' and ';' could separate .* Name the delimiter"):
        tables.read(path)
    assert list(tables.read(Source(path=str(path), delimiter=";")).columns) == ["a,b", "c"]


def test_a_single_column_is_a_table(tmp_path):
    assert cells(tables.read(written(tmp_path, "text\nhello\nworld\n"))) == {"text": ["hello", "world"]}


def test_ragged_rows_keep_their_places(tmp_path):
    table = tables.read(written(tmp_path, "a,b\n1,2\n3\n\n4,5\n6,7,8\n"))
    assert table["a"].fillna("-").tolist() == ["1", "-", "4", "-"]
    assert table[BAD_ROW].fillna("-").tolist() == ["-", "1 field, expected 2", "-", "3 fields, expected 2"]


def test_ragged_rows_keep_their_places_in_every_part_and_block(tmp_path, monkeypatch):
    monkeypatch.setattr(tables.delimited, "BLOCK", 64)
    rows = [str(row) if row % 7 == 3 else f"{row},x" for row in range(200)]
    path = written(tmp_path, "a,b\n" + "\n".join(rows) + "\n")
    whole = tables.read(path)
    bad = [row for row in range(200) if row % 7 == 3]
    assert whole.index[whole[BAD_ROW].notna()].tolist() == bad
    assert whole["a"].dropna().tolist() == [str(row) for row in range(200) if row % 7 != 3]
    parts = list(tables.chunks(path, 3))
    assert [BAD_ROW in part for part in parts] == [any(row in part.index for row in bad) for part in parts]
    pd.testing.assert_frame_equal(pd.concat(parts)[whole.columns], whole, check_index_type=False)


def test_nothing_but_ragged_rows_is_still_a_table(tmp_path):
    table = tables.read(written(tmp_path, "a,b\n1\n2\n"))
    assert len(table) == 2
    assert table[BAD_ROW].notna().all()


@pytest.mark.parametrize("content", ["a,b\n", "a,b"])
def test_a_header_alone_is_an_empty_table(tmp_path, content):
    path = written(tmp_path, content)
    assert tables.read(path).shape == (0, 2)
    assert [part.shape for part in tables.chunks(path, 5)] == [(0, 2)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_recognised(tmp_path, encoding):
    path = written(tmp_path, "näme,b\nZoë,1\n日本,2\n".encode(encoding))
    assert cells(tables.read(path)) == {"näme": ["Zoë", "日本"], "b": ["1", "2"]}


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("name,city\nMüller,Köln\nJosé,São Paulo\n", "cp1252"),
        ("имя,город\nИван,Москва\nОльга,Казань\n", "cp1251"),
        ("名前,都市\n太郎,東京\n花子,大阪\n", "cp932"),
    ],
)
def test_an_older_encoding_is_guessed_and_said(tmp_path, caplog, text, encoding):
    caplog.set_level(logging.INFO, logger="solvent")
    table = tables.read(written(tmp_path, text.encode(encoding)))
    assert table.to_csv(index=False) == text
    assert f"loans.csv is not UTF-8; read as {encoding}" in caplog.text


def test_a_damaged_utf8_file_is_refused_with_its_place(tmp_path):
    path = written(tmp_path, 'näme,b\n"Zoë\nx",1\n'.encode() + b"M\xfcller,2\n")
    with pytest.raises(Refused, match=r"loans.csv row 2 \(line 4, byte 21\): byte 0xfc is not UTF-8.*encoding: cp"):
        tables.read(path)
    assert tables.read({"path": path, "encoding": "cp1252"}).iloc[1, 0] == "Müller"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "loans.csv is empty. Expected a header"),
        ("a,b,a\n1,2,3\n", "loans.csv, header: 'a' is there twice"),
        (",a\n0,1\n", r"column 1 of 2 .* has no name.*to_csv\(index=False\)"),
        ("a,b\n1,2\n".encode("utf-16-le"), "zero bytes.*utf-16-le"),
        ('a,b\n1,2\n3,"x\n4,5\n', r"loans.csv row 2 \(line 3\): a quotation mark .* is left open"),
        ('a,b\n1,"x\n2,3\n4,"y"\n', r"loans.csv row 1 \(line 2\): a quotation mark .* stands alone"),
    ],
)
def test_a_broken_csv_file_is_refused_with_place_and_cure(tmp_path, content, message):
    with pytest.raises(Refused, match=message):
        tables.read(written(tmp_path, content))


def test_a_mixture_of_encodings_is_refused_not_guessed_at(tmp_path):
    path = written(tmp_path, "name\nZoë\n".encode() + b"M\xfcller\nJos\xe9\n" * 3)
    with pytest.raises(Refused, match=r"loans.csv row 2 \(line 3, byte 12\): byte 0xfc is not UTF-8"):
        tables.read(path)


def test_an_unknown_encoding_and_one_that_does_not_fit_are_refused(tmp_path):
    path = written(tmp_path, b"a,b\n1,\x81\n")
    with pytest.raises(Refused, match=r"there is no encoding 'utf-9'. Usual ones: utf-8"):
        tables.read({"path": path, "encoding": "utf-9"})
    with pytest.raises(Refused, match="there is no encoding 'base64'"):
        tables.read({"path": path, "encoding": "base64"})
    with pytest.raises(Refused, match=r"can't be read as cp1252: .*Name the encoding"):
        tables.read({"path": path, "encoding": "cp1252"})


def test_a_missing_file_is_refused_with_the_nearest_name(tmp_path):
    written(tmp_path, "a\n1\n")
    with pytest.raises(Refused, match=r"no file or folder .*laons.csv. Did you mean 'loans.csv'\?"):
        tables.read("laons.csv", base=tmp_path)


def test_a_spreadsheet_is_refused_with_the_cure(tmp_path):
    with pytest.raises(Refused, match=r"loans.xlsx: a table ends in .csv.*Save it as CSV"):
        tables.read(written(tmp_path, b"PK", "loans.xlsx"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "expected one of path:"),
        ({"path": "a.csv", "sql": "sqlite:///x", "query": "select 1"}, "expected one of path:"),
        ({"sql": "sqlite:///x"}, "sql: and query: need each other"),
        ({"path": "a.csv", "delimter": ";"}, "delimter: Extra inputs"),
        ({"path": "a.csv", "delimiter": ";;"}, "expected one character"),
        ({"path": "a.csv", "delimiter": '"'}, "expected one character, of ASCII, and no quotation mark"),
    ],
)
def test_a_source_that_makes_no_sense_is_refused(source, message):
    with pytest.raises(Refused, match=message):
        tables.read(source)


def test_parquet_types_do_not_depend_on_missing_cells(tmp_path):
    path = tmp_path / "loans.parquet"
    table = pa.table(
        {
            "count": [2**60 + 1, None],
            "amount": [Decimal("1.50"), None],
            "day": pa.array([0, None], pa.date32()),
            "home": pa.array(["own", None]).dictionary_encode(),
            "open": [True, None],
            "__index_level_0__": [1, 2],
        }
    )
    pq.write_table(table, path)
    read = tables.read(path)
    assert {name: str(kind) for name, kind in read.dtypes.items()} == {
        "count": "Int64",
        "amount": "float64",
        "day": "datetime64[ms]",
        "home": "str",
        "open": "boolean",
    }
    assert read["count"][0] == 2**60 + 1
    pd.testing.assert_frame_equal(pd.concat(tables.chunks(path, 1)), read, check_index_type=False)


def test_a_truncated_parquet_file_is_refused(tmp_path):
    path = tmp_path / "loans.parquet"
    tables.write(pd.DataFrame({"a": range(1000)}), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(Refused, match=r"loans.parquet is no whole Parquet file"):
        tables.read(path)


def test_a_folder_of_parquet_parts_is_one_table(tmp_path):
    tables.write(pd.DataFrame({"a": [3, 4], "b": ["x", None]}), tmp_path / "part-00001.parquet")
    tables.write(pd.DataFrame({"a": [1, 2], "b": [None, None]}), tmp_path / "part-00000.parquet")
    assert tables.read(tmp_path)["a"].tolist() == [1, 2, 3, 4]
    tables.write(pd.DataFrame({"a": ["x"], "b": ["y"]}), tmp_path / "part-00002.parquet")
    with pytest.raises(Refused, match=r"part-00002.parquet and part-00000.parquet differ in the type of a column.* a "):
        tables.read(tmp_path)
    tables.write(pd.DataFrame({"a": [1]}), tmp_path / "part-00002.parquet")
    with pytest.raises(Refused, match=r"part-00000.parquet has a column 'b', part-00002.parquet has none"):
        tables.read(tmp_path)


def touched(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_folder_of_class_folders_is_a_table(tmp_path):
    touched(tmp_path, "dog/2.PNG", "cat/1.jpg", "cat/notes.txt", ".cache/3.jpg", "dog/more/4.webp", "words/notes.txt")
    found = {"image": ["cat/1.jpg", "dog/2.PNG", "dog/more/4.webp"], "label": ["cat", "dog", "dog"]}
    assert cells(tables.read(tmp_path)) == found
    assert tables.folder(tmp_path) == tmp_path
    with pytest.raises(Refused, match=r"is no table: expected .*parquet files .* sub-folder of images .*notes.txt"):
        tables.read(tmp_path / "words")


def test_a_folder_of_images_without_classes_is_a_table_to_score(tmp_path):
    touched(tmp_path, "2.png", "1.jpg", "later/3.tif")
    assert cells(tables.read(tmp_path)) == {"image": ["1.jpg", "2.png", "later/3.tif"]}


def test_a_folder_that_is_cut_already_is_its_parts(tmp_path):
    touched(tmp_path, "train/cat/1.png", "val/dog/2.png", "Testing/cat/3.png", ".git/x")
    parts = tables.ready_parts(tmp_path)
    assert {name: Path(source.path).name for name, source in parts.items()} == {
        "train": "train",
        "valid": "val",
        "test": "Testing",
    }
    assert list(parts) == ["train", "valid", "test"], "what is cut further is the first of them"
    assert cells(tables.read(parts["valid"])) == {"image": ["dog/2.png"], "label": ["dog"]}
    with pytest.raises(Refused, match=r"is cut into Testing, train, val already\. Name one of them"):
        tables.read(tmp_path)
    touched(tmp_path, "validation/dog/4.png")
    with pytest.raises(Refused, match="two of them are the same part"):
        tables.ready_parts(tmp_path)


@pytest.mark.parametrize("stray", ["test/9.png", "more/dog/1.png", "train/preview.png", "cover.jpg"])
def test_a_folder_that_is_cut_and_holds_other_images_is_refused(stray, tmp_path):
    """Else its classes would be train and test."""
    touched(tmp_path, "train/cat/1.png", "train/dog/2.png", "val/cat/3.png", stray)
    with pytest.raises(Refused, match=f"also holds {stray}. Move that away, or name the parts apart"):
        tables.ready_parts(tmp_path)
    with pytest.raises(Refused, match="also holds"):
        tables.read(tmp_path)


def test_folders_without_images_and_those_of_archivers_do_not_count(tmp_path):
    touched(
        tmp_path, "train/cat/1.png", "val/cat/2.png", "annotations/1.json", "__MACOSX/train/cat/._1.png", ".x/y.png"
    )
    assert set(tables.ready_parts(tmp_path)) == {"train", "valid"}


def test_files_without_an_ending_are_images_by_their_mark(tmp_path):
    """Scanners name files so: IM000001, or by a number with dots; an index of them, and notes, are no images."""
    (tmp_path / "ann" / "1").mkdir(parents=True)
    for name in ("ann/1/IM000001", "ann/1/1.2.840.7", "DICOMDIR"):
        (tmp_path / name).write_bytes(bytes(128) + b"DICM and so on")
    (tmp_path / "README").write_text("a note")
    (tmp_path / "ann" / "1.2.840.8").write_text("no image")
    os.mkfifo(tmp_path / "ann" / "pipe")  # to open it would never end
    found = tables.read(str(tmp_path))
    assert found.to_dict("list") == {"image": ["ann/1/1.2.840.7", "ann/1/IM000001"], "label": ["ann", "ann"]}
    assert tables.rows(tables.Source.of(str(tmp_path))) == 2


def test_linked_class_folders_are_read_and_a_link_that_leads_back_is_not_followed(tmp_path):
    touched(tmp_path, "elsewhere/1.png", "photos/cat/2.png")
    (tmp_path / "photos" / "dog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "cat" / "loop").symlink_to(tmp_path / "photos")
    found = cells(tables.read(tmp_path / "photos"))
    assert found == {"image": ["cat/2.png", "dog/1.png"], "label": ["cat", "dog"]}


def test_pictures_in_cells_become_files_and_no_other_file_is_lost(tmp_path):
    table = pd.DataFrame({"id": [7, 8, 9], "heat": [b"\x89PNG one", None, b"other"]})
    found = tables.with_files(table, tmp_path / "out_files")
    assert found["heat"].tolist()[::2] == ["out_files/heat-1.png", "out_files/heat-3.bin"]
    assert found["heat"].isna().tolist() == [False, True, False]
    assert (tmp_path / found["heat"][0]).read_bytes() == b"\x89PNG one"
    tables.with_files(table.head(1), tmp_path / "out_files")
    assert [path.name for path in (tmp_path / "out_files").iterdir()] == ["heat-1.png"]
    touched(tmp_path, "out_files/mine.txt")
    with pytest.raises(Refused, match="holds other files"):
        tables.with_files(table, tmp_path / "out_files")


def test_classes_that_are_called_train_and_test_are_classes(tmp_path):
    touched(tmp_path, "train/1.png", "test/2.png")
    assert tables.ready_parts(tmp_path) == {}
    assert cells(tables.read(tmp_path))["label"] == ["test", "train"]
    touched(tmp_path, "bus/3.png")
    assert tables.ready_parts(tmp_path) == {}


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.db"
    connection = sqlite3.connect(path)
    connection.execute("create table loans (id integer, home text)")
    connection.executemany("insert into loans values (?, ?)", [(2**60 + 1, "own"), (None, None), (3, "10%:x")])
    connection.commit()
    connection.close()
    return path


def test_a_query_is_a_table(shop, monkeypatch):
    monkeypatch.setenv("SHOP", str(shop))
    source = {
        "sql": "sqlite:///${SHOP}",
        "query": "select * from loans where home is null or home like '%' or ':x' = ''",
    }
    table = tables.read(source)
    assert cells(table) == {"id": [2**60 + 1, None, 3], "home": ["own", None, "10%:x"]}
    pd.testing.assert_frame_equal(pd.concat(tables.chunks(source, 2)), table, check_index_type=False)
    assert tables.label({"sql": f"sqlite:///{shop}", "query": "select 1"}) == "query on shop.db"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select * from lones", "refuses the query: no such table: lones"),
        ("selekt", "refuses the query"),
        ("select id, id from loans", "returns 'id' twice"),
    ],
)
def test_a_bad_query_is_refused(shop, query, message):
    with pytest.raises(Refused, match=message):
        tables.read({"sql": f"sqlite:///{shop}", "query": query})


def test_a_bad_address_is_refused_and_no_password_is_shown(tmp_path, monkeypatch):
    def refusal(address):
        with pytest.raises(SolventError) as caught:
            tables.read({"sql": address, "query": "select 1"})
        return str(caught.value)

    monkeypatch.setenv("PASSWORD", "p@ss/w:rd")
    monkeypatch.delenv("NOT_SET", raising=False)
    assert "There is no database" in refusal(f"sqlite:///{tmp_path}/none.db")
    assert not (tmp_path / "none.db").exists()
    assert "NOT_SET is not set in the environment" in refusal("postgresql://me:${NOT_SET}@host/shop")
    assert "pip install" in refusal("mysql://me:${PASSWORD}@host/shop")
    assert "Expected for example postgresql://" in refusal("postgres9://me:${PASSWORD}@host/shop")
    literal = refusal("postgresql://me:hunter2@host/shop")
    assert "its password stands in the address" in literal
    assert "hunter2" not in literal + tables.label({"sql": "postgresql://me:hunter2@host/shop", "query": "select 1"})


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://host/shop?user=me&password=hunter2",
        "postgresql://host/shop?sslkey=a&SSLPassword=hunter2",
        "mysql://host/shop?passwd=hunter2",
        "mysql://host/shop?pwd=${PASSWORD}&pwd=hunter2",
        "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BUID%3Dme%3BPWD%3Dhunter2",
        "postgresql://me:hunter2@host:${PORT}/shop",
        "postgresql://me@host:${PORT}/shop?password=hunter2",
    ],
)
def test_a_password_anywhere_in_the_address_is_refused_and_not_shown(address):
    with pytest.raises(Refused, match=r"its password stands in the address.*write \$\{NAME\} in its place") as caught:
        tables.read({"sql": address, "query": "select 1"})
    assert "hunter2" not in str(caught.value)


def test_a_password_from_the_environment_reaches_the_driver_and_no_message(shop, monkeypatch):
    monkeypatch.setenv("PASSWORD", "hunter2")
    url = database._url(f"sqlite:///{shop}?password=${{PASSWORD}}&timeout=5", shop.parent)
    assert dict(url.query) == {"password": "hunter2", "timeout": "5"}
    engine = sqlalchemy.create_engine(url)
    assert database.said(SQLAlchemyError("no user with 'hunter2'."), engine) == "no user with '***'"


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_written_table_reads_back(tmp_path, ending):
    path = tmp_path / "deep" / f"scores.{ending}"
    table = pd.DataFrame(
        {"p": [0.1, None], "n": [3.0, None], "items": [["a", "b"], None], "ok": [True, None], "png": [b"\x89", None]},
        index=[7, 9],
    )
    types = {"p": "float", "n": "integer", "items": "list", "ok": "boolean", "png": "bytes", "none": "string"}
    tables.write(table.assign(none=None), path, types)
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    if ending == "csv":
        assert path.read_text() == 'p,n,items,ok,png,none\n0.1,3,"[""a"", ""b""]",true,"iQ==",\n,,,,,\n'
    else:
        kinds = [str(kind) for kind in pq.read_schema(path).types]
        assert kinds == ["double", "int64", "list<element: string>", "bool", "binary", "string"]
        assert tables.read(path)["n"].tolist() == [3, pd.NA]


@pytest.mark.parametrize("rows", [0, 2])
def test_a_column_of_nulls_has_its_declared_type(tmp_path, rows):
    declared = {"a": "float", "b": "integer", "c": "string", "d": "boolean", "e": "bytes", "f": "list", "g": "time"}
    path = tmp_path / "part.parquet"
    tables.write(pd.DataFrame({name: [None] * rows for name in declared}), path, declared)
    assert [str(kind) for kind in pq.read_schema(path).types] == [
        "double",
        "int64",
        "string",
        "bool",
        "binary",
        "list<element: string>",
        "timestamp[us]",
    ]


def test_undeclared_cells_of_several_types_are_written_as_strings(tmp_path):
    tables.write(pd.DataFrame({"a": [1, "x", None]}, dtype=object), tmp_path / "a.parquet")
    assert tables.read(tmp_path / "a.parquet")["a"].fillna("-").tolist() == ["1", "x", "-"]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "scores.parquet"
    tables.write(pd.DataFrame({"p": [1.0]}), path)
    with pytest.raises(Refused, match="The column p was declared as float, its cells are not"):
        tables.write(pd.DataFrame({"p": ["x"]}), path, {"p": "float"})
    with pytest.raises(Refused, match=r"expected a name that ends in .csv, .jsonl or .parquet"):
        tables.write(pd.DataFrame({"p": [1.0]}), tmp_path / "scores.xlsx")
    assert tables.read(path)["p"].tolist() == [1.0]
    assert list(tmp_path.iterdir()) == [path]
