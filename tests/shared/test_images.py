"""Decoding: every format gives the same pixels, and what can't be read says why."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from solvent import images

# Red at the top left, green right of it, blue below, white: which way up an image is can be seen.
CORNERS = np.zeros((40, 60, 3), np.uint8)
CORNERS[:20, :30], CORNERS[:20, 30:], CORNERS[20:, :30], CORNERS[20:, 30:] = (
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 255),
)


def encoded(array: np.ndarray, form: str, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "GIF"])
def test_formats_without_loss_give_the_pixels_that_were_saved(form):
    np.testing.assert_array_equal(images.decode(encoded(CORNERS, form)), CORNERS)


@pytest.mark.parametrize(("form", "options"), [("JPEG", {"quality": 95}), ("WEBP", {"lossless": True})])
def test_formats_with_loss_come_near(form, options):
    found = images.decode(encoded(CORNERS, form, **options))
    assert np.abs(found[10, 15].astype(int) - CORNERS[10, 15]).max() < 12
    assert np.abs(found[30, 45].astype(int) - CORNERS[30, 45]).max() < 12


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [(3, CORNERS[::-1, ::-1]), (6, np.rot90(CORNERS)), (8, np.rot90(CORNERS, -1)), (2, CORNERS[:, ::-1])],
)
def test_a_photo_is_turned_as_its_camera_says(orientation, stored):
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = images.decode(encoded(np.ascontiguousarray(stored), "PNG", exif=exif.tobytes()))
    np.testing.assert_array_equal(found, CORNERS)


def test_grey_levels_of_16_bit_are_scaled_to_8():
    levels = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    np.testing.assert_array_equal(images.decode(encoded(levels, "PNG"))[0, :, 0], [0, 1, 128, 255])
    np.testing.assert_array_equal(images.decode(encoded(levels, "TIFF"))[0, :, 2], [0, 1, 128, 255])


def test_what_is_transparent_is_white_and_grey_and_palettes_become_rgb():
    clear = np.zeros((2, 2, 4), np.uint8)
    clear[0] = (10, 20, 30, 255)
    found = images.decode(encoded(clear, "PNG"))
    assert found[0, 0].tolist() == [10, 20, 30]
    assert found[1, 0].tolist() == [255, 255, 255]
    grey = images.decode(encoded(np.array([[7, 200]], np.uint8), "PNG"))
    assert grey.tolist() == [[[7, 7, 7], [200, 200, 200]]]
    file = io.BytesIO()
    Image.fromarray(CORNERS).quantize(8).save(file, "PNG")
    np.testing.assert_array_equal(images.decode(file.getvalue()), CORNERS)


def test_a_square_is_stretched_cut_or_padded():
    whole = encoded(CORNERS, "PNG")
    stretched, cut, padded = (images.pixels(whole, 20, resize) for resize in ("stretch", "crop", "pad"))
    assert stretched.shape == cut.shape == padded.shape == (20, 20, 3)
    assert stretched[0, 0].tolist() == [255, 0, 0]
    # crop keeps the middle 40 of 60 columns, so the seam between the colours stays in the middle
    assert cut[0, 8].tolist() == [255, 0, 0]
    assert cut[0, 11].tolist() == [0, 255, 0]
    # pad: 13 of 20 rows hold the image, grey is above and below
    assert padded[0, 0].tolist() == [images.PADDING] * 3
    assert padded[10, 0].tolist() != [images.PADDING] * 3


def test_a_large_jpeg_is_decoded_smaller_and_looks_as_if_it_were_not():
    random = np.random.default_rng(0)
    large = np.asarray(Image.fromarray(random.integers(0, 255, (12, 16, 3), np.uint8)).resize((1600, 1200), 3))
    scaled = images.pixels(encoded(large, "JPEG", quality=95), 100)
    plain = images.pixels(encoded(large, "PNG"), 100)
    assert np.abs(scaled.astype(int) - plain).mean() < 3


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (b"", "is empty"),
        (b"no image at all", "no image of a known format"),
        (encoded(CORNERS, "PNG")[:80], "is damaged"),
        (encoded(CORNERS, "JPEG")[:-200], "is damaged"),
        (encoded(np.full((2, 2), 0.5, np.float32), "TIFF"), "fractions"),
    ],
)
def test_what_cannot_be_read_says_why(contents, reason):
    with pytest.raises(images.Unreadable, match=reason):
        images.decode(contents)
    assert reason in images.look(contents).error


def test_a_missing_file_and_a_folder_are_unreadable(tmp_path):
    assert "no such file" in images.look(str(tmp_path / "gone.png")).error
    assert "is a directory" in images.look(str(tmp_path)).error
    (tmp_path / "photo.png").write_bytes(encoded(CORNERS, "PNG"))
    os.chmod(tmp_path / "photo.png", 0o000)  # noqa: PTH101
    if os.geteuid() != 0:
        assert "permission denied" in images.look(str(tmp_path / "photo.png")).error


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x" * 5000, "file name too long"),
        ("a\0b", "is no name of a file"),
        ("\ud800", "is no name of a file"),
        ("parts\\a.png", "no such file; write / between folders"),
    ],
)
def test_a_cell_that_is_no_name_of_a_file_fails_alone(name, reason):
    assert reason in images.look(name).error
    with pytest.raises(images.Unreadable, match=reason):
        images.pixels(name, 8)


def test_a_photo_of_too_many_pixels_is_said_to_be_large_and_not_damaged(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    large = encoded(np.full((70, 70, 3), 9, np.uint8), "PNG")
    assert images.look(large).error == "has too many pixels; 0 million are read at most"


def test_images_that_must_be_whole_name_the_first_that_is_not(tmp_path):
    (tmp_path / "good.png").write_bytes(encoded(CORNERS, "PNG"))
    stream = images.Stream([str(tmp_path / "good.png"), str(tmp_path / "gone.png")], 8, "stretch", 4)
    with pytest.raises(images.Unreadable, match=f"'{tmp_path.name}/gone.png' there is no such file"):
        list(stream.whole())


def test_a_stream_gives_all_images_in_their_order_and_a_bad_one_as_zeros():
    cells = [encoded(np.full((8, 8, 3), level, np.uint8), "PNG") for level in range(1, 11)]
    cells[3] = b"nothing"
    stream = images.Stream(cells, 8, "stretch", 4)
    batches = list(stream)
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert np.concatenate(batches)[:, 0, 0, 0].tolist() == [1, 2, 3, 0, 5, 6, 7, 8, 9, 10]
    assert [error is not None for error in stream.errors] == [place == 3 for place in range(10)]


def test_a_file_that_changes_is_looked_at_again(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(encoded(CORNERS, "PNG"))
    first = images.look(str(path))
    assert (first.width, first.height) == (60, 40)
    path.write_bytes(encoded(np.zeros((5, 9, 3), np.uint8), "PNG"))
    again = images.look(str(path))
    assert (again.width, again.height) == (9, 5)
    assert images.content_hash(str(path)) == again.sha256 != first.sha256


def test_a_brighter_copy_has_nearly_the_same_fingerprint_and_another_image_has_not():
    random = np.random.default_rng(1)
    small = random.integers(0, 200, (8, 9), np.uint8)
    photo = np.asarray(Image.fromarray(small).resize((90, 80), 3))
    other = np.asarray(Image.fromarray(random.integers(0, 200, (8, 9), np.uint8)).resize((90, 80), 3))
    marks = [images.look(encoded(each, "JPEG", quality=60)).fingerprint for each in (photo, photo + 20, other)]
    assert (marks[0] ^ marks[1]).bit_count() <= 3
    assert (marks[0] ^ marks[2]).bit_count() >= 15


def test_what_is_no_file_is_unreadable_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    with (tmp_path / "hole.png").open("wb") as file:
        file.truncate(2**40)
    for name, reason in (
        ("pipe", "a pipe or a device"),
        ("zero", "a pipe or a device"),
        ("hole", "larger than 600 MB"),
    ):
        assert reason in images.look(str(tmp_path / f"{name}.png")).error


def test_formats_that_start_programs_are_unknown():
    assert "no image of a known format" in images.look(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n").error


@pytest.mark.parametrize("mode", ["RGBA", "LA", "I;16"])
def test_an_image_converted_in_strips_is_the_same(monkeypatch, mode):
    levels = np.random.default_rng(0).integers(0, 65536, (23, 17, 4))
    if mode == "I;16":
        contents = encoded(levels[..., 0].astype(np.uint16), "PNG")
    else:
        contents = encoded((levels[..., : len(mode)] >> 8).astype(np.uint8), "PNG")
    whole = images.decode(contents)
    monkeypatch.setattr(images, "STRIP_PIXELS", 40)
    monkeypatch.setattr(images, "LARGE_PIXELS", 10)
    np.testing.assert_array_equal(images.decode(contents), whole)
