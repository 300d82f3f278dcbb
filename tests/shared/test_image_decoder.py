"""A domain's own decoder: every way to pixels takes it, and a bundle knows it."""

import dataclasses
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from solvent import Column, Columns, Decoder, images
from solvent.features import Frozen
from solvent.images import Unreadable
from solvent.scan.images import near_groups, sheet
from solvent.schema import Schema

TWICE = Decoder(function="toys.own_format:read", options='{"times": 2}', formats="TILE", method="brightness times")
THRICE = dataclasses.replace(TWICE, options='{"times": 3}')


def test_its_files_are_decoded_by_it_and_others_as_ever():
    assert (images.decode(b"TILE\x14", TWICE) == 40).all()
    assert images.decode(b"TILE\x14", TWICE).shape == (4, 6, 3)
    assert (images.pixels(b"TILE\x14", 8, decoder=TWICE) == 40).all()
    kept = io.BytesIO()
    Image.fromarray(np.full((5, 7, 3), (9, 80, 200), np.uint8)).save(kept, "PNG")
    assert (images.decode(kept.getvalue(), TWICE) == images.decode(kept.getvalue())).all()


def test_a_stream_gives_its_pixels_and_its_reasons():
    stream = images.Stream([b"TILE\x14", b"TILE", b"nothing"], 8, "pad", 3, TWICE)
    (batch,) = list(stream)
    assert batch[0, 4, 4, 0] == 40
    assert stream.errors == [
        None,
        "is cut off after TILE",
        "is no image of a known format (JPEG, PNG, BMP, GIF, TIFF, WebP, TILE)",
    ]


def test_what_one_decoder_saw_is_not_told_of_another():
    assert images.look(b"TILE\x14").error
    assert (images.look(b"TILE\x14", TWICE).error, images.look(b"TILE\x14", TWICE).width) == (None, 6)
    assert images.method(TWICE) != images.method(THRICE) != images.METHOD == images.method(None)
    frozen = [Frozen(None, "network", 8, "pad", 8, "float32", decoder=decoder) for decoder in (None, TWICE, THRICE)]
    assert len({each.key(0) for each in frozen}) == 3


def test_the_scan_looks_through_it():
    cells = [b"TILE\x14", b"TILE\x15", b"TILE\x50"]
    assert len(near_groups(cells, ["a", "b", "c"], TWICE)) == 3
    assert sheet([[(cell, "a tile") for cell in cells]], TWICE).startswith(b"\x89PNG")
    with pytest.raises(Unreadable):
        sheet([[(cell, "a tile") for cell in cells]], None)


def test_the_schema_keeps_it_and_the_check_before_training_uses_it():
    columns = Columns(inputs=(Column(name="image", kind="image", decoder=TWICE),))
    schema = Schema.declare(columns, {}, ["image"], table="tiles.csv")
    again = Schema.from_json(schema.to_json())
    assert again == schema
    assert again.field("image").decoder == TWICE
    checked = again.check(pd.DataFrame({"image": [b"TILE\x14", b"TILE"]}), targets=True)
    assert checked.bad["reasons"].tolist() == ["image: the image is cut off after TILE"]
