"""Hostile images: damaged bytes, decompression bombs, paths and folders that lead to what is no image."""

import io
import os
import random
import struct
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from hostile_tables import SINKS, damaged, read_back, scoring
from made_loans import Fake
from PIL import Image, ImageOps

from solvent import Column, Columns, Output, drift, images
from solvent.schema import Schema
from solvent.score import score

__all__ = ["CASES"]

warnings.simplefilter("ignore", Image.DecompressionBombWarning)
OUTPUTS = (Output(name="brightness", type="float"),)


def by_brightness(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean of all levels of each image; decoded as vision's scorer does it, and once more at full size."""
    cells = list(rows["image"])
    stream = images.Stream(cells, 8, "stretch", 4)
    list(stream)
    errors, found = list(stream.errors), []
    for place, cell in enumerate(cells):
        try:
            found.append(None if errors[place] else float(images.decode(cell).mean()))
        except images.Unreadable as error:
            errors[place] = str(error)
            found.append(None)
    texts = [reason and f"image: {images.shown(cell)} {reason}" for cell, reason in zip(cells, errors, strict=True)]
    return pd.DataFrame(
        {"brightness": pd.Series(found, rows.index, "float64"), "error": pd.Series(texts, rows.index, "str")}
    )


def _bundle() -> Fake:
    training = pd.DataFrame({"image": [encoded("PNG", "L", level) for level in (0, 255)], "label": ["a", "b"]})
    columns = Columns(
        inputs=(Column(name="image", kind="image"),),
        targets=(Column(name="label", kind="category", role="target"),),
        outputs=OUTPUTS,
    )
    schema = Schema.declare(columns, {}, list(training), table="training.csv")
    schema = schema.learn(schema.rename(training, table_name="training.csv", targets=True))
    good = schema.check(schema.rename(training, table_name="training.csv", targets=False), targets=False).good
    reference = drift.reference(good, schema, by_brightness(good))
    facts = {"solution": "brightness", "personal": []}
    return Fake(Path("/nonexistent"), schema, OUTPUTS, facts=facts, reference=reference, function=by_brightness)


# Images


def encoded(form: str, mode: str, level: int, **options: Any) -> bytes:
    file = io.BytesIO()
    grey = np.full((21, 33), level, np.uint8)
    grey[::3, ::5] = 255 - level
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    image.save(file, form, **options)
    return file.getvalue()


def made_image(chance: random.Random) -> tuple[str, bytes]:
    form, modes = chance.choice(
        [
            ("PNG", ("L", "RGB", "RGBA", "P", "1", "I;16", "LA")),
            ("JPEG", ("L", "RGB", "CMYK")),
            ("GIF", ("L", "P")),
            ("BMP", ("L", "RGB", "1")),
            ("TIFF", ("L", "RGB", "I;16", "CMYK", "1", "F", "RGBA")),
            ("WEBP", ("RGB", "RGBA")),
        ]
    )
    mode, level = chance.choice(modes), chance.randrange(256)
    options: dict[str, Any] = {}
    if form == "JPEG" or (form == "PNG" and chance.random() < 0.3):
        exif = Image.Exif()
        exif[images.ORIENTATION] = chance.choice([1, 3, 6, 8, 9, 0])
        options = {"exif": exif.tobytes()}
    if form == "TIFF" and mode != "F":
        options = {"compression": chance.choice([None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])}
    if form == "JPEG":
        options["progressive"] = chance.random() < 0.3
    suffix = {"JPEG": ".jpg", "TIFF": ".tif"}.get(form, f".{form.lower()}")
    return suffix, encoded(form, mode, level, **options)


def plain_brightness(content: bytes) -> float | None:
    """By Pillow alone; None where the mode leaves a choice (transparency, 16 bit)."""
    image = Image.open(io.BytesIO(content))
    image.load()
    if image.mode not in ("L", "RGB", "1", "CMYK") or "transparency" in image.info:
        return None
    return float(np.asarray(ImageOps.exif_transpose(image).convert("RGB")).mean())


def wrong_rows(
    published: Sequence[Mapping[str, Any]], contents: Mapping[str, bytes], key: str, manifest: Mapping[str, Any]
) -> str | None:
    """The first row that is none of the source's, or whose brightness is not that of its bytes."""
    names = [row[key] for row in published]
    if manifest["rows_read"] != manifest["rows_scored"] + manifest["rows_set_aside"]:
        return "rows read are not rows scored and set aside"
    if len(names) != manifest["rows_scored"] or (key == "photo" and names != sorted(set(names))):
        return f"not the rows in their order: {names}"
    for row in published:
        if row[key] not in contents:
            return f"no image of the source's: {row}"
        expected = plain_brightness(contents[row[key]])
        if expected is not None and abs(float(row["brightness"]) - expected) > 1e-9:
            return f"{row}, expected a brightness of {expected}"
    return None


def scored(chance: random.Random, folder: Path, source: Any, **changes: Any) -> tuple[list[Any], dict[str, Any]]:
    output = folder / "out" / chance.choice(SINKS)
    with scoring():
        manifest = score(BUNDLE, source, output, chunk_rows=chance.choice([3, 100]), max_bad=1, **changes)
    return read_back(output, manifest), manifest


# The cases


def damaged_images(chance: random.Random, folder: Path) -> str | None:
    """Six images, most of them damaged, as files that a CSV names or as cells of a Parquet file."""
    contents: dict[str, bytes] = {}
    cells: list[Any] = []
    inside, as_cells = folder / "in", chance.random() < 0.5
    for number in range(6):
        suffix, content = made_image(chance)
        if number:
            content = damaged(content, chance)
        contents[f"p{number}"] = content
        path = inside / f"p{number}{suffix}"
        path.write_bytes(content)
        cells.append(content if as_cells else path.name)
    table = pd.DataFrame({"photo": list(contents), "image": cells})
    source = inside / ("photos.parquet" if as_cells else "photos.csv")
    if as_cells:
        pq.write_table(pa.table({"photo": list(contents), "image": pa.array(cells, pa.binary())}), source)
    else:
        table.to_csv(source, index=False)
    published, manifest = scored(chance, folder, source, ids=["photo"])
    intact = "p0" in [row["photo"] for row in published]
    if not intact and not (contents["p0"].startswith((b"II", b"MM"))):  # levels that are fractions are refused
        return "an intact image was set aside"
    return wrong_rows(published, contents, "photo", manifest)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, bits: int, colour: int, rows: int | None = None, *more: bytes) -> bytes:
    """A PNG of zeros; `rows` of it are really there."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    packer = zlib.compressobj(1)
    line = bytes(1 + (width * bits * channels + 7) // 8)
    body = b"".join(packer.compress(line) for _ in range(height if rows is None else rows)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(768)) if colour == 3 else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + palette
        + b"".join(more)
        + chunk(b"IDAT", body)
        + chunk(b"IEND", b"")
    )


def tiff(width: int, height: int, bits: int = 8, length: int = 10) -> bytes:
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
            (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, length)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(4 + 10)


SIDE = 13_000  # 169 million pixels, which Pillow still opens


def image_bombs(chance: random.Random, folder: Path) -> str | None:
    """Headers of absurd sizes, and small files of very many pixels, beside one that is as it should be."""
    absurd = chance.choice(
        [(65_535, 65_535), (2**31 - 1, 2**31 - 1), (1, 2**31 - 1), (0, 0), (2**31 - 1, 1), (30_000, 30_000)]
    )
    small = [min(65_535, side) for side in absurd]
    made: list[Callable[[], bytes]] = [
        lambda: png(*absurd, 8, 2, rows=2 if absurd[0] < 10**6 else 0),
        lambda: png(*absurd, 1, 0, rows=2 if absurd[0] < 10**6 else 0),
        lambda: tiff(*absurd),
        lambda: tiff(*absurd, bits=16, length=2**32 - 1),
        lambda: b"GIF89a" + struct.pack("<HHBBB", *small, 0xF7, 0, 0) + bytes(768) + b"," + struct.pack("<HHHHB", 0,
        0, *small, 0) + b"\x08\x01\0\0;",
        lambda: b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, *absurd, 1, 24, 0, 0, 0, 0, 0,
        0) + bytes(50),
        lambda: b"\xff\xd8\xff\xc0" + struct.pack(">HBHHB", 11, 8, *small, 1) + b"\x01\x11\0" + bytes(40),
        lambda: b"RIFF" + struct.pack("<I", 100) + b"WEBPVP8X" + struct.pack("<II", 10,
        0) + b"\xff\x3f\x00\xff\x3f\x00" + bytes(80),
        lambda: png(8, 8, 8, 0, None, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200_000_000), 1))),
        lambda: png(8, 8, 8, 0, None, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(200_000_000), 1))),
        lambda: png(SIDE, SIDE, *chance.choice([(1, 0), (8, 0), (8, 2), (8, 3), (8, 4), (8, 6), (16, 0), (16, 2)])),
    ]  # fmt: skip
    inside, names = folder / "in", []
    (inside / "p0.png").write_bytes(encoded("PNG", "L", 77))
    for number in (1, 2, 3):
        names.append(f"p{number}.png")
        (inside / names[-1]).write_bytes(chance.choice(made)())
    with (inside / "p4.png").open("wb") as file:  # a hole of a terabyte behind a head
        file.write(encoded("PNG", "L", 1))
        file.truncate(2**40)
    source = inside / "photos.csv"
    lines = [f"p{number},p{number}.png" for number in range(5)]
    source.write_text("\n".join(["photo,image", *lines]) + "\n")
    published, manifest = scored(chance, folder, source, ids=["photo"])
    found = {row["photo"]: float(row["brightness"]) for row in published}
    if manifest["rows_read"] != 5 or "p0" not in found or "p4" in found:
        return f"expected p0 scored and p4 set aside of 5, found {found}"
    black = {name: level for name, level in found.items() if name != "p0" and level not in (0, 255)}
    return f"not black: {black}" if black else None


def image_paths(chance: random.Random, folder: Path) -> str | None:
    """A table that names whatever a path can lead to."""
    inside, outside = folder / "in", folder / "job"
    (inside / "sub").mkdir()
    outside.mkdir()
    good = {
        name: encoded("PNG", "L", level) for name, level in (("sub/a.png", 10), ("b.png", 20), ("../job/c.png", 30))
    }
    for name, content in good.items():
        (inside / name).write_bytes(content)
    (inside / "out.png").symlink_to(outside / "c.png")
    (inside / "loop.png").symlink_to("loop.png")
    (inside / "zero.png").symlink_to("/dev/zero")
    (inside / "tree").symlink_to("/")
    (inside / "empty.png").touch()
    os.mkfifo(inside / "pipe.png")
    good["out.png"] = good[str(outside / "c.png")] = good["sub/../sub/a.png"] = good["../job/c.png"]
    good["sub/../sub/a.png"] = good["sub/a.png"]
    good["./b.png"] = good[" b.png "] = good["sub/./../b.png"] = good["b.png/"] = good["b.png\n"] = good["b.png"]
    hostile = [
        "../../etc/passwd", "../" * 30 + "etc/passwd", "/etc/passwd", "/dev/zero", "/dev/random", "/dev/stdin",
        "/dev/full", "/dev/tty",
        "/dev/null", "/proc/self/mem", "/proc/kmsg", "/proc/self/environ", "pipe.png", "loop.png", "zero.png",
        "tree/dev/zero", "tree",
        ".", "..", "/", "sub", "empty.png", "gone.png", "x" * 5000, "a/" * 3000, "~", "~root/x.png", "$HOME/x.png",
        "file:///etc/passwd",
        "http://127.0.0.1:1/x.png", "b.png/x", "C:\\x.png", "sub\\a.png", "\\\\host\\share", "a\nb.png",
        "photos.csv", "\u202e.png",
        "*.png", "|ls", "`id`", "%00", "con", "/dev/fd/0", "/proc/self/fd/0", "/dev/shm", "\ufeffb.png", "fd:0",
        "é.png", "\x01", "-",
    ]  # fmt: skip
    form = chance.choice(["csv", "jsonl", "parquet"])
    if form != "csv":
        hostile += ["a\0b", "b.png\0.jpg", "\0"]
    cells = [chance.choice(hostile if chance.random() < 0.6 else list(good)) for _ in range(8)]
    contents = {f"p{number}": good[cell] for number, cell in enumerate(cells) if cell in good}
    table = pd.DataFrame({"photo": [f"p{number}" for number in range(8)], "image": cells})
    source = inside / f"photos.{form}"
    if form == "jsonl":
        table.to_json(source, orient="records", lines=True)
    elif form == "csv":
        table.to_csv(source, index=False)
    else:
        table.to_parquet(source)
    options = {"ids": ["photo"]} if chance.random() < 0.8 else {}
    published, manifest = scored(chance, folder, source, **options)
    if not options:
        return None if manifest["rows_read"] == 8 else "rows are lost"
    if lost := set(contents) - {row["photo"] for row in published}:
        return f"good images were set aside: {[cells[int(name[1:])] for name in lost]}"
    return wrong_rows(published, contents, "photo", manifest)


def image_folders(chance: random.Random, folder: Path) -> str | None:
    """A folder of images, and among them what only looks so."""
    inside, outside = folder / "in", folder / "job"
    outside.mkdir()
    contents: dict[str, bytes] = {}
    for number in range(4):
        contents[f"p{number}.png"] = encoded("PNG", "L", 40 * number)
        (inside / f"p{number}.png").write_bytes(contents[f"p{number}.png"])
    (outside / "c.png").write_bytes(contents["p3.png"])
    odd: list[Callable[[], Any]] = [
        lambda: os.mkfifo(inside / "pipe.png"),
        lambda: (inside / "zero.png").symlink_to("/dev/zero"),
        lambda: (inside / "gone.png").symlink_to("nothing"),
        lambda: (inside / "loop.png").symlink_to("loop.png"),
        lambda: (inside / "up").symlink_to(inside),
        lambda: (inside / "away.png").symlink_to(outside / "c.png"),
        lambda: (inside / "linked").symlink_to(outside),
        lambda: (inside / "dir.png").mkdir(),
        lambda: (inside / "empty.png").touch(),
        lambda: (inside / ("n" * 251 + ".png")).write_bytes(contents["p1.png"]),
        lambda: (inside / "new\nline.png").write_bytes(contents["p1.png"]),
        lambda: (inside / "'\"<b>,;.png").write_bytes(contents["p1.png"]),
        lambda: (inside / " .png").write_bytes(contents["p1.png"]),
        lambda: Path(os.fsdecode(os.fsencode(inside) + b"/\xff\xfe.png")).write_bytes(contents["p1.png"]),
        lambda: (inside / "broken.jpg").write_bytes(damaged(contents["p2.png"], chance)),
        lambda: (inside / "text.gif").write_text("no image"),
        lambda: (inside / "scan.dcm").write_bytes(bytes(128) + b"DICM"),
        lambda: (inside / "\u202egnp.png").write_bytes(contents["p0.png"]),
        lambda: (inside / "=cmd.png").write_bytes(contents["p0.png"]),
    ]
    for make in chance.sample(odd, chance.choice([1, 2, 4])):
        make()
    published, manifest = scored(chance, folder, inside)
    if lost := set(contents) - {row["image"] for row in published}:
        return f"good images were set aside: {sorted(lost)}"
    there = {str(path.relative_to(inside)): path.read_bytes() for path in inside.rglob("*") if path.is_file()}
    there |= {f"linked/{path.name}": path.read_bytes() for path in outside.iterdir() if (inside / "linked").exists()}
    return wrong_rows(published, there, "image", manifest)


BUNDLE = _bundle()
CASES: dict[str, Callable[[random.Random, Path], str | None]] = {
    "images": damaged_images,
    "image bombs": image_bombs,
    "image paths": image_paths,
    "image folders": image_folders,
}
