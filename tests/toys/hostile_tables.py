"""Hostile tables: damaged files, absurd cells and names, zip bombs, odd places."""

import bz2
import csv
import gzip
import io
import json
import lzma
import math
import os
import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import made_loans
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from solvent.score import score

__all__ = ["CASES", "SCORING", "damaged", "read_back", "scoring", "wrong_rows"]


def by_income(rows: pd.DataFrame) -> pd.DataFrame:
    """As made_loans has it, and no points for incomes that are no integer of 64 bits."""
    kept = rows.assign(income=rows["income"].mask(rows["income"].abs() > 1e15, 1))
    scored = made_loans.by_income(kept)
    lost = kept["income"] != rows["income"]
    return scored.assign(probability=scored["probability"].mask(lost, 1 / rows["income"]))


BUNDLE = made_loans.bundle(Path("/nonexistent"), function=by_income)
SCORING = {"now": False}  # what is written meanwhile is Solvent's
COLUMNS = ("loan", "branch", "given", "income")
SINKS = ("out", "out.csv", "out.jsonl", "out.parquet")
NULLS = ("", "NA", "N/A", "NaN", "nan", "NULL", "null")
ROWS = 24
Row = dict[str, Any]


@contextmanager
def scoring() -> Iterator[None]:
    SCORING["now"] = True
    try:
        yield
    finally:
        SCORING["now"] = False


# Rows, files and their damage


def made_rows(chance: random.Random) -> list[Row]:
    """Loans, a few of them bad; `given` repeats the income, so that each published row can be checked by itself."""
    rows = []
    for number in range(ROWS):
        income: Any = chance.randint(1, 99_999) if chance.random() > 0.1 else chance.choice(["abc", "", "inf", "13"])
        branch = chance.choice(["01", "02", "Köln", 'a "b"', "x,y", "two\nlines", ""])
        rows.append({"loan": f"L{number:04d}", "branch": branch, "given": income, "income": income})
    return rows


def as_csv(rows: Sequence[Row], names: Sequence[str] = COLUMNS, delimiter: str = ",", end: str = "\n") -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, lineterminator=end)
    writer.writerow(names)
    writer.writerows([row.get(name, "") for name in names] for row in rows)
    return file.getvalue().encode()


def as_jsonl(rows: Sequence[Row], plain: bool = True) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=not plain).encode() + b"\n" for row in rows)


def compressed(content: bytes, ending: str) -> bytes:
    if ending == "zst":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as file:
            file.write(content)
        return sink.getvalue().to_pybytes()
    return {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[ending](content)


def decompressed(content: bytes, ending: str) -> bytes:
    if ending == "zst":
        return pa.CompressedInputStream(pa.BufferReader(content), "zstd").read()
    return {"gz": gzip.decompress, "bz2": bz2.decompress, "xz": lzma.decompress}[ending](content)


ABSURD = (
    b"\xff\xff\xff\xff\x7f", b"9" * 5000, b"[" * 5000, b'"', b"\r", b"\xed\xa0\x80", b"\\ud800", b"1e999", b"\0",
    b"\xef\xbb\xbf", b"\xff\xfe", b",", b"\n", b"\n\n\n", b'""', b"NaN", b"{}", b"-", b"\x1a", b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"\r\n", b"'", b";", b"\t",
)  # fmt: skip


def damaged(content: bytes, chance: random.Random) -> bytes:
    """The content with one thing wrong, or a few."""
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        size = max(len(content), 1)
        place, other = sorted((chance.randrange(size), chance.randrange(size)))
        kind = chance.randrange(10)
        if kind == 0:
            content = content[:place]
        elif kind in (1, 2) and content:
            flipped = bytearray(content)
            for _ in range(chance.choice([1, 1, 4, 30])):
                flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            content = bytes(flipped)
        elif kind == 3:
            content = content[:place] + b"\0" * chance.choice([1, 8, 300]) + content[place:]
        elif kind == 4:
            content = content[:place] + chance.randbytes(chance.choice([1, 4, 50])) + content[place + 4 :]
        elif kind == 5:
            content = content[:place] + chance.choice(ABSURD) + content[place:]
        elif kind == 6:
            content = content[:other] + content[place:]  # a block twice
        elif kind == 7:
            middle = (place + other) // 2
            content = content[:place] + content[middle:other] + content[place:middle] + content[other:]
        elif kind == 8:
            content = content[:place] + content[other:]
        else:
            encoding = chance.choice(["utf-16", "utf-16-le", "utf-32", "utf-8", "cp1252", "utf-8-sig", "cp037"])
            content = content.decode("latin-1").encode(encoding, "replace")
    return content


# What a plain reader finds


def plain_text(content: bytes) -> str:
    for mark, encoding in (
        (b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")
    ):  # fmt: skip
        if content.startswith(mark):
            return content.decode(encoding)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def csv_rows(content: bytes, delimiter: str = ",") -> list[Row | None]:
    """Rows by the csv module; None for those that don't fit the header."""
    csv.field_size_limit(1 << 30)
    text = io.StringIO(plain_text(content), newline="")
    names, *rows = [row for row in csv.reader(text, delimiter=delimiter) if row]
    return [dict(zip(names, row, strict=True)) if len(row) == len(names) else None for row in rows]


def jsonl_rows(content: bytes) -> list[Row | None]:
    found: list[Row | None] = []
    for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        if line.strip(b" \t\r\n"):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            found.append(row if isinstance(row, dict) else None)
    return found


def parquet_rows(path: Path) -> list[Row | None]:
    return list(pq.ParquetFile(path, page_checksum_verification=True).read(use_threads=False).to_pylist())


def read_back(output: Path, manifest: dict[str, Any]) -> list[Row]:
    """What was published."""
    folder = output if output.suffix == "" else output.parent
    found: list[Row] = []
    for part in manifest["parts"]:
        path = folder / part["name"]
        if path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                found += csv.DictReader(file)
        elif path.suffix == ".jsonl":
            found += [json.loads(line) for line in path.read_bytes().split(b"\n") if line]
        else:
            found += pq.read_table(path).to_pylist()
    return found


def wrong_rows(published: Sequence[Row], rows: Sequence[Row | None] | None, manifest: dict[str, Any]) -> str | None:
    """The first thing that is wrong: rows lost, doubled, in another order, or that the source doesn't have.

    Args:
        rows: what a plain reader finds; None where there is none.
    """
    if len(published) != manifest["rows_scored"]:
        return f"{len(published)} rows are published, {manifest['rows_scored']} were scored"
    if manifest["rows_read"] != manifest["rows_scored"] + manifest["rows_set_aside"]:
        return "rows read are not rows scored and set aside"
    if rows is None:
        return None
    if manifest["rows_read"] != len(rows):
        return f"{manifest['rows_read']} rows were read, a plain reader finds {len(rows)}"
    place = 0
    for row in published:
        while place < len(rows) and not _same(row, rows[place]):
            place += 1
        if place == len(rows):
            return f"published, and no row of the source further down: {str(row)[:500]}"
        place += 1
    return None


def _same(row: Row, other: Row | None) -> bool:
    if other is None or not all(_equal(row.get(name), other.get(name)) for name in ("loan", "branch", "given")):
        return False
    try:
        income = float(str(other["income"]).strip())
        expected = 1 / income if income else math.copysign(math.inf, income)
        return math.isclose(float(row["probability"]), expected, rel_tol=1e-9)
    except (ValueError, LookupError):
        return False


def _equal(one: Any, other: Any) -> bool:
    if isinstance(other, list | dict) or isinstance(one, list | dict):
        return True  # written as text in several ways
    if isinstance(other, int | float) and not isinstance(other, bool):
        try:
            return math.isclose(float(one), other, rel_tol=1e-12) or (math.isnan(other) and one in (None, ""))
        except (TypeError, ValueError, OverflowError):
            return one in (None, "") and other != other
    if isinstance(other, bool):
        return str(one).lower() == str(other).lower()
    return _spelled(one) == _spelled(other)


def _spelled(cell: Any) -> str:
    """As text. Which letters bytes are that are no UTF-8 is a guess, so that none is compared beyond ASCII."""
    text = "" if cell is None else str(cell)
    return "" if text in NULLS or not text.strip() else re.sub(r"[^\x00-\x7f]+", "?", text).strip()


def scored(chance: random.Random, folder: Path, source: Any, **changes: Any) -> tuple[list[Row], dict[str, Any]]:
    output = folder / "out" / chance.choice(SINKS)
    options: dict[str, Any] = {
        "chunk_rows": chance.choice([5, 20, 1000, 1000]),
        "max_bad": chance.choice([1, 1, 1, 0.3]),
    }
    if chance.random() < 0.1:
        options["mask"] = ["income"]
    with scoring():
        manifest = score(BUNDLE, source, output, **{"passthrough": ["given"], **options, **changes})
    return read_back(output, manifest), manifest


# The cases


def _file(form: str, endings: Sequence[str]) -> Callable[[random.Random, Path], str | None]:
    def case(chance: random.Random, folder: Path) -> str | None:
        rows, delimiter = made_rows(chance), chance.choice(",,,;\t|")
        content = as_jsonl(rows)
        if form == "csv":
            content = as_csv(rows, delimiter=delimiter, end=chance.choice(["\n", "\n", "\r\n"]))
        ending = chance.choice(endings)
        after = bool(ending) and chance.random() < 0.7
        if not after:
            content = damaged(content, chance)
        if ending:
            content = compressed(content, ending)
        if after:
            content = damaged(content, chance)
        path = folder / "in" / f"loans.{form}{ending and f'.{ending}'}"
        path.write_bytes(content)
        published, manifest = scored(chance, folder, path)
        try:
            content = decompressed(content, ending) if ending else content
            expected = csv_rows(content, delimiter) if form == "csv" else jsonl_rows(content)
        except (OSError, EOFError, lzma.LZMAError, ValueError, UnicodeError, csv.Error) as error:
            return f"published, and no plain reader reads it: {error!r}"
        return wrong_rows(published, expected, manifest)

    return case


def parquet(chance: random.Random, folder: Path) -> str | None:
    rows = made_rows(chance)
    typed = chance.random() < 0.5
    cells = {name: [str(row[name]) for row in rows] for name in COLUMNS}
    table = pa.table(cells)
    if typed:
        incomes = pa.array([row["income"] if isinstance(row["income"], int) else None for row in rows], pa.int64())
        table = table.set_column(2, "given", incomes).set_column(3, "income", incomes.cast(pa.float64()))
    path, sums = folder / "in" / "loans.parquet", chance.random() < 0.5
    pq.write_table(
        table,
        path,
        row_group_size=chance.choice([7, 100]),
        use_dictionary=chance.random() < 0.5,
        compression=chance.choice(["none", "snappy", "gzip", "zstd", "brotli", "lz4"]),
        data_page_size=chance.choice([64, 1 << 20]),
        data_page_version=chance.choice(["1.0", "2.0"]),
        write_page_checksum=sums,
        write_statistics=chance.random() < 0.5,
        store_schema=chance.random() < 0.5,
    )
    path.write_bytes(damaged(path.read_bytes(), chance))
    published, manifest = scored(chance, folder, path)
    return wrong_rows(published, parquet_rows(path), manifest)


HOSTILE_TEXTS = (
    "", " ", "0", "007", "=cmd|' /C calc'!A0", "../../x", "/etc/passwd", "a\nb", "a\r\nb", "a\rb", '"', "'", "\\", "\t",
    "\u202eabc", "😀", "e\u0301", "\ufeff", "\u2028", "\x85", "\x1b[31m", "<script>alert(1)</script>", "{{7*7}}",
    "%s%n", "$(id)",
    "NA", "null", "None", "nan", "True", "1e5", "-", "x" * 10_000, "__bad_row__", "${HOME}", "\x01", "L0001", "a,b;c|d",
)  # fmt: skip
HOSTILE_NUMBERS = (
    "0", "-0", "1e400", "-1e400", "1e-320", "1e308", "9" * 400, "1" * 5000, "0" * 300 + "7", "1,5", "1_000", "0x10",
    "٣", "½",
    "1e", "+", ".", "5.", ".5", "+5", " 5 ", "5\n", "\t6", "1e5", "1E+05", "inf", "-inf", "Infinity", "nan", "NaN",
    "12 %", "€5",
    "1.7976931348623157e308", "4.9e-324", "9007199254740993", "18446744073709551616", "2026-01-01", "true", "1d",
    "1f", "1\0",
    "١٢", "1\u00a0000", "−5", "13", "13.0", "1/2", "[1]", "{}",
)  # fmt: skip
HOSTILE_DAYS = (
    "0000-00-00",
    "9999-12-31",
    "-0001-01-01",
    "2026-02-30",
    "1e9",
    "99999-01-01",
    "2026-01-01T25:00",
    "now",
    "0",
)
HOSTILE_NAMES = (
    "x" * 10_000, "a\nb", "a\0b", "__bad_row__", "row", "reasons", "error", "probability", "column row", "", " ",
    "loan ", "LOAN",
    "<b>", "{{x}}", "../x", "__index_level_0__", "😀", "\ufeff", "\x01", "index", "level_0", "carried given", "0",
    "a" * 300,
)  # fmt: skip


def odd_cells(chance: random.Random, folder: Path) -> str | None:
    """Files that are whole, with absurd cells and names in them."""
    form, delimiter = chance.choice(["csv", "jsonl", "parquet"]), chance.choice(",,,;\t|")
    rows = made_rows(chance)
    names = list(COLUMNS)
    extra = [chance.choice(HOSTILE_NAMES) for _ in range(chance.choice([0, 0, 1, 2]))]
    names += extra
    for row in rows:
        row.update(dict.fromkeys(extra, chance.choice(HOSTILE_TEXTS + HOSTILE_DAYS)))
        if chance.random() < 0.3:
            row["loan"] = chance.choice(HOSTILE_TEXTS)
        if chance.random() < 0.3:
            row["branch"] = chance.choice(HOSTILE_TEXTS)
        if chance.random() < 0.4:
            row["income"] = row["given"] = chance.choice(HOSTILE_NUMBERS)
    if form == "jsonl" and chance.random() < 0.5:
        odd = (
            None,
            True,
            False,
            [],
            {},
            [1],
            {"a": 1},
            1e308,
            -0.0,
            2**63,
            2**64,
            10**30,
            0.1,
            "a\0b",
            "\ud800",
            [[[]]],
        )
        for row in rows:
            row[chance.choice(names)] = chance.choice(odd)
    chance.shuffle(names)
    path = folder / "in" / f"loans.{form}"
    if form == "csv":
        path.write_bytes(as_csv(rows, names, delimiter))
    elif form == "jsonl":
        path.write_bytes(as_jsonl([{name: row[name] for name in names} for row in rows], plain=False))
    else:
        cells = [pa.array([str(row[name]) for row in rows]) for name in names]
        pq.write_table(pa.Table.from_arrays(cells, names), path)
    options = {"passthrough": ["given", *extra[:1]]} if chance.random() < 0.5 else {}
    published, manifest = scored(chance, folder, path, **options)
    content = path.read_bytes()
    if form == "parquet":
        return wrong_rows(published, parquet_rows(path), manifest)
    return wrong_rows(published, csv_rows(content, delimiter) if form == "csv" else jsonl_rows(content), manifest)


def absurd_sizes(chance: random.Random, folder: Path) -> str | None:
    """Very long cells, very many columns, very many blank lines, deep nests."""
    rows = made_rows(chance)[:4]
    names = list(COLUMNS)
    shape = chance.choice(["wide", "wider", "long", "longer", "blank", "deep", "keys", "quoted", "fields"])
    form = chance.choice(["csv", "jsonl"])
    if shape in ("wide", "wider"):
        names += [f"c{number}" for number in range(10_000 if shape == "wide" else 120_000)]
        rows = rows if shape == "wide" else rows[:1]
    elif shape in ("long", "longer"):
        rows[1]["branch"] = chance.choice('a,"\n') * (1_000_000 if shape == "long" else 40_000_000)
    full = [{name: row.get(name, "1") for name in names} for row in rows]
    content = as_csv(full, names) if form == "csv" else as_jsonl(full)
    head, _, rest = content.partition(b"\n")
    if shape == "blank":
        content = head + b"\n" * chance.choice([10**5, 3 * 10**7]) + rest
    elif shape == "deep":
        content = content + b'{"loan": ' + b"[" * 10**6 + b"]" * 10**6 + b"}\n"
    elif shape == "keys":
        content = content + b"{" + b",".join(b'"k%d": 1' % number for number in range(10**5)) + b"}\n"
    elif shape == "quoted":
        content = content + b'"' * chance.choice([10**6 + 1, 4 * 10**7]) + b"\n"
    elif shape == "fields":
        content = content + b"," * 10**7 + b"\n"
    path = folder / "in" / f"loans.{form}"
    path.write_bytes(content)
    published, manifest = scored(chance, folder, path)
    plain = {"csv": csv_rows, "jsonl": jsonl_rows}[form]
    return wrong_rows(published, plain(content) if shape != "quoted" else None, manifest)


def bombs(chance: random.Random, folder: Path) -> str | None:
    """A small file of a gigabyte: of one byte, of one endless line, behind whole rows or alone."""
    form, ending = chance.choice(["csv", "jsonl"]), chance.choice(["gz", "bz2", "xz", "zst"])
    rows = made_rows(chance)
    head = (as_csv(rows) if form == "csv" else as_jsonl(rows)) if chance.random() < 0.7 else b""
    filling = chance.choice([b"\0", b"a", b"\n", b'"', b",", b" ", b"1,", b"\r", b"{", b"\xff", b"\r\n", b"0"])
    block = compressed(filling * ((16 << 20) // len(filling)), ending)
    path = folder / "in" / f"loans.{form}.{ending}"
    with path.open("wb") as file:
        file.write(compressed(head, ending) if head else b"")
        for _ in range(16 if ending == "bz2" else 64):
            file.write(block)
    published, manifest = scored(chance, folder, path)
    return wrong_rows(published, None, manifest)


def odd_places(chance: random.Random, folder: Path) -> str | None:
    """Sources and outputs that are no files: pipes, devices, loops of links, names that can't be."""
    (rows, inside) = (made_rows(chance), folder / "in")
    good = inside / "good.csv"
    good.write_bytes(as_csv(rows))
    ending = chance.choice([".csv", ".jsonl", ".parquet", ".csv.gz", ".jsonl.xz", ".csv.zst"])
    odd = inside / f"odd{ending}"
    what = chance.randrange(16)
    source: Any = odd
    if what == 0:
        os.mkfifo(odd)
    elif what == 1:
        odd.symlink_to(chance.choice(["/dev/zero", "/dev/full", "/dev/null", "/dev/urandom", "/dev/stdin", "/dev/tty"]))
    elif what == 2:
        odd.symlink_to(odd)
    elif what == 3:
        odd.symlink_to(inside / "gone")
    elif what == 4:
        odd.mkdir()
        os.mkfifo(odd / f"part{ending}")
    elif what == 5:
        source = inside / chance.choice(
            ["a\0b.csv", "x" * 300 + ".csv", "y/" * 3000 + "z.csv", "\ud800.csv", "[.csv", "*.csv", "**"]
        )
    elif what == 6:
        odd.write_bytes(good.read_bytes())  # another form than its name says
    elif what == 7:
        odd.touch()
    elif what == 8:
        odd = inside / "day=%ff" / f"part{ending}"
        odd.parent.mkdir()
        odd.write_bytes(good.read_bytes())
        good.unlink()
        source = inside
    elif what == 9:
        os.mkfifo(inside / f"pipe{good.suffix}")
        source = chance.choice([inside, inside / "*.csv"])
    elif what == 10:
        odd.symlink_to("/proc/self/mem" if chance.random() < 0.5 else "/proc/self/environ")
    elif what == 11:
        source = {"path": good, **chance.choice([{"encoding": "rot13"}, {"encoding": "idna"}, {"delimiter": "\0"},
        {"encoding": "utf-7"},
                                                 {"delimiter": "é"}, {"decimal": ","}, {"encoding": "a\0"},
                                                 {"encoding": "punycode"}, {"encoding": "utf-16"}])}  # fmt: skip
    else:
        source = good
    output = folder / "out" / chance.choice(SINKS)
    if what == 12:
        output = (
            folder
            / "out"
            / chance.choice(
                ["a\0b", "x" * 250, "x" * 300 + ".csv", "\ud800.csv", "n\nn.csv", " ", "a/b/c.csv", "[*].csv"]
            )
        )
    elif what == 13:
        chance.choice([os.mkfifo, Path.mkdir, Path.touch])(output)
    elif what == 14:
        output.symlink_to(chance.choice(["/dev/null", "/dev/full", folder / "in", folder / "in" / "made.csv", output]))
        output = output.rename(output.with_name(f"there-{output.name}"))
    elif what == 15:
        output = inside / "good.csv"
    with scoring():
        manifest = score(BUNDLE, source, output, passthrough=["given"], max_bad=1)
    return wrong_rows(
        read_back(output, manifest),
        None if what == 11 else csv_rows(good.read_bytes()) if good.exists() else None,
        manifest,
    )


CASES: dict[str, Callable[[random.Random, Path], str | None]] = {
    "CSV": _file("csv", [""]),
    "JSON Lines": _file("jsonl", [""]),
    "compressed CSV": _file("csv", ["gz", "bz2", "xz", "zst"]),
    "compressed JSON Lines": _file("jsonl", ["gz", "bz2", "xz", "zst"]),
    "Parquet": parquet,
    "odd cells and names": odd_cells,
    "absurd sizes": absurd_sizes,
    "zip bombs": bombs,
    "odd places": odd_places,
}
