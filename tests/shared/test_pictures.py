"""Pictures of the report: contact sheets below findings, galleries of images, and where they are kept."""

import base64
import io
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import solvent
from solvent import Finding, tables
from solvent.promises import BrokenPromise
from solvent.report import drawing, pictures
from solvent.report.pictures import Tile

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))
import ruler

SIDE, GAP, APART = pictures.SIDE, pictures.GAP, pictures.APART
RED = np.full((40, 40, 3), (200, 10, 10), np.uint8)
NOISE = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)


def opened(picture: bytes) -> Image.Image:
    return Image.open(io.BytesIO(picture))


def test_groups_are_side_by_side_and_never_torn() -> None:
    sheet = opened(pictures.contact_sheet([[Tile(RED)] * 4, [Tile(RED)] * 2, [Tile(RED)] * 3])).convert("RGBA")
    assert sheet.size == (6 * SIDE + 4 * GAP + APART, 2 * SIDE + APART)
    colours = np.asarray(sheet)
    red = (colours[..., 3] == 255) & (np.abs(colours[..., :3].astype(int) - RED[0, 0]).max(axis=-1) < 8)
    assert red.sum() == 9 * SIDE * SIDE
    assert colours[SIDE + APART // 2, :, 3].max() == 0  # the page shows through between the lines


def test_a_sheet_holds_24_tiles_in_whole_groups_and_under_600_kb() -> None:
    sheet = pictures.contact_sheet([[Tile(NOISE, "pit\nscratch")] * 5] * 5)
    assert opened(sheet).size == (5 * SIDE + 4 * GAP, 4 * (SIDE + 34) + 3 * APART)  # the fifth group has no room
    full = pictures.contact_sheet([[Tile(NOISE, "pit\nscratch")] * 2] * 12)
    assert opened(full).height == 4 * (SIDE + 34) + 3 * APART
    assert len(full) < 600_000
    assert pictures.contact_sheet([]) == pictures.contact_sheet([[]]) == b""
    with pytest.raises(ValueError, match="A group of 7 tiles; expected at most 6"):
        pictures.contact_sheet([[Tile(RED)] * 7])


def test_images_of_any_shape_fit_their_tile() -> None:
    for shape in ((1, 500, 3), (500, 1, 3), (3, 3, 3)):
        assert opened(pictures.contact_sheet([[Tile(np.zeros(shape, np.uint8), "a" * 200)]])).size == (SIDE, SIDE + 20)


def gallery(tiles: list[Tile]) -> str:
    figure = pictures.figure("Sure and right", "What it was sure of.", tiles)
    return drawing.inline(
        lambda canvas: figure.draw(canvas.add_subplot()),
        key="figure-1",
        title=figure.title,
        description=figure.caption,
        width=figure.width,
        height=figure.height,
    )


def test_a_gallery_holds_small_jpegs_and_escaped_captions() -> None:
    svg = gallery([Tile(NOISE, "<b>pit</b> & $x$\n0.97"), Tile(RED, "scratch")])
    photos = re.findall(r'<image[^>]*href="data:image/jpeg;base64,([^"]+)"', svg)
    assert len(photos) == 2 and "image/png" not in svg and "pixelated" not in svg
    assert opened(base64.b64decode(photos[0])).size == (160, 160)
    assert opened(base64.b64decode(photos[1])).getpixel((80, 80)) == pytest.approx((200, 10, 10), abs=4)
    assert "&lt;b&gt;pit&lt;/b&gt; &amp; $x$" in svg and ">0.97<" in svg
    assert "There is no such image." in gallery([])
    assert len(gallery([Tile(NOISE, "pit")] * 30)) < 24 * 30_000  # noise is the worst case


def test_a_finding_of_fitting_is_in_the_bundle_and_its_picture_in_the_report_alone(monkeypatch, tmp_path) -> None:
    picture = pictures.contact_sheet([[Tile(RED)]])
    finding = Finding(name="odd_rows", severity="warning", message="Some are odd.", picture=picture)

    def fit(settings: object, data: object) -> solvent.Fitted:
        return replace(ruler.fit(settings, data), findings=(finding,))

    monkeypatch.setattr(ruler, "SOLUTION", replace(ruler.SOLUTION, fit=fit))
    tables.write(ruler.rows(), tmp_path / "rows.csv")
    data = {"rows": str(tmp_path / "rows.csv"), "columns": {"machine": "unit"}}
    settings = {"training": {"epochs": 1}}
    bundle = solvent.train({"solution": "ruler:SOLUTION", "data": data, "settings": settings}, tmp_path / "bundle")
    text = (bundle.path / "bundle.json").read_text()
    assert [item for item in json.loads(text)["findings"] if item["name"] == "odd_rows"] == [
        {"name": "odd_rows", "severity": "warning", "message": "Some are odd.", "cure": "", "columns": [], "count": 0,
         "allowed": False}
    ]  # fmt: skip
    page = (bundle.path / "report.html").read_text()
    assert page.count(f'<img src="data:image/png;base64,{base64.b64encode(picture).decode()}"') == 1
    assert "Some are odd." in (bundle.path / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        (None, "findings as None"),
        (("odd",), "a str among others"),
        ((Finding(name="odd", severity="refusal", message="Odd."),), "the finding 'odd' as a refusal"),
    ],
)
def test_what_fitting_noticed_is_checked(findings, said) -> None:
    with pytest.raises(BrokenPromise, match=said):
        solvent.promises.checked_fitted(ruler.fit, replace(solvent.Fitted({}), findings=findings))
