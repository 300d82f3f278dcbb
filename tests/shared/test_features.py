"""The cache of features: what comes out of it is what the network gives, bit for bit, and never anything older."""

import io
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from solvent import Refused, startup
from solvent.augmentation import Augmentation

startup.tensorflow()

import keras  # noqa: E402

from solvent import images, runtime, transfer  # noqa: E402
from solvent.features import Features, Frozen, folder  # noqa: E402
from solvent.precision import in_precision  # noqa: E402

SIZE = 16
RANDOM = np.random.default_rng(0)
CELLS = []
for _ in range(21):
    _file = io.BytesIO()
    Image.fromarray(RANDOM.integers(0, 256, (20, 24, 3), np.uint8)).save(_file, "PNG")
    CELLS.append(_file.getvalue())


def network(precision: str = "float32", seed: int = 0) -> Frozen:
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(8, 3, activation="relu")(keras.layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(6, 3)(x)))
    name = transfer.weights_hash(model)
    return Frozen(in_precision(model, precision), name, SIZE, "stretch", 8, precision)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SOLVENT_CACHE", str(tmp_path))


def calls(monkeypatch) -> list[int]:
    """The rows of each call of a network from now on."""
    rows: list[int] = []
    real = runtime.predict

    def counted(model, inputs, batch_rows):
        rows.append(len(inputs))
        return real(model, inputs, batch_rows)

    monkeypatch.setattr(runtime, "predict", counted)
    return rows


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_cached_features_equal_computed_ones_bit_for_bit_in_any_order(precision):
    frozen = network(precision)
    computed = np.concatenate(list(frozen.compute(CELLS)))
    np.testing.assert_array_equal(Features(frozen, CELLS).array(), computed)
    order = RANDOM.permutation(len(CELLS))
    again = Features(frozen, [CELLS[place] for place in order])
    np.testing.assert_array_equal(again.array(), computed[order])
    np.testing.assert_array_equal(again.take(np.array([4, 4, 0])), computed[order][[4, 4, 0]])


def test_flat_images_beside_others_are_kept_as_they_were_computed():
    """A batch of which every feature fits into half the bits lies in one shard with one that does not."""
    image = keras.Input((SIZE, SIZE, 3))
    averages = keras.layers.GlobalAveragePooling2D(dtype="float32")(image)
    frozen = Frozen(keras.Model(image, averages), "averages", SIZE, "stretch", 8, "float32")
    flat = []
    for level in range(8):
        file = io.BytesIO()
        Image.new("RGB", (4, 4), (100 + level,) * 3).save(file, "PNG")
        flat.append(file.getvalue())
    found = Features(frozen, [*flat, *CELLS]).array()
    np.testing.assert_array_equal(found[:8, 0], 100 + np.arange(8))
    np.testing.assert_array_equal(found, np.concatenate(list(frozen.compute([*flat, *CELLS]))))


def test_a_disk_that_is_too_small_is_said_before_it_is_full(monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 100})())
    with pytest.raises(
        Refused, match=r"would take 0\.0 GB, and .* has 0\.0 GB free. Name another folder in SOLVENT_CACHE"
    ):
        Features(network(), CELLS)


def test_features_do_not_depend_on_which_images_were_computed_together():
    frozen = network()
    whole = np.concatenate(list(frozen.compute(CELLS)))
    alone = np.concatenate([next(frozen.compute([cell])) for cell in CELLS])
    # on processors without AVX-512 an image's place in its batch decides over the last bit
    np.testing.assert_allclose(whole, alone, rtol=1e-6, atol=1e-7)


def test_across_precisions_they_agree_within_a_hundredth():
    exact, half = (Features(network(name), CELLS).array() for name in ("float32", "mixed_bfloat16"))
    assert not np.array_equal(exact, half)
    np.testing.assert_allclose(half, exact, atol=1e-2 * np.abs(exact).max())


def test_only_images_that_are_not_there_are_computed(monkeypatch):
    frozen = network()
    Features(frozen, CELLS[:10])
    rows = calls(monkeypatch)
    Features(frozen, CELLS[:10])
    assert rows == []
    Features(frozen, CELLS)
    assert sum(rows) == 11


def test_equal_images_are_computed_once(monkeypatch):
    rows = calls(monkeypatch)
    found = Features(network(), [CELLS[0], CELLS[1], CELLS[0]]).array()
    assert sum(rows) == 2
    np.testing.assert_array_equal(found[0], found[2])


def test_a_changed_image_meets_no_old_feature(tmp_path):
    path, frozen = tmp_path / "photo.png", network()
    path.write_bytes(CELLS[0])
    before = Features(frozen, [str(path)]).array()
    path.write_bytes(CELLS[1] + b" ")  # another size in any case: a file is known by its time and size
    after = Features(frozen, [str(path)]).array()
    np.testing.assert_array_equal(after, Features(frozen, [CELLS[1]]).array())
    assert not np.array_equal(before, after)


@pytest.mark.parametrize(
    "change",
    [
        {"size": 17},
        {"resize": "crop"},
        {"batch_rows": 4},
        {"precision": "mixed_bfloat16"},
        {"name": "another network"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_setting_has_a_key_of_its_own(change):
    frozen = network()
    assert replace(frozen, **change).key(0) != frozen.key(0) == network().key(0)


def test_other_weights_have_another_key_and_the_same_ones_the_same():
    assert network(seed=1).key(0) != network(seed=0).key(0) == network(seed=0).key(0)


def test_augmented_views_follow_the_images_and_have_keys_of_their_own():
    frozen = replace(network(), augmentation=Augmentation(flip="horizontal", rotation=20), seed=3)
    found = Features(frozen, CELLS, views=2)
    assert len(found) == 3 * len(CELLS)
    plain, first, second = found.array().reshape(3, len(CELLS), -1)
    np.testing.assert_array_equal(plain, Features(network(), CELLS).array())
    assert not np.array_equal(first, plain)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(Features(frozen, CELLS[5:7], views=1).array()[2:], first[5:7])
    other = replace(frozen, seed=4)
    assert (other.key(0), frozen.key(0)) == (frozen.key(0), network().key(0))
    assert len({frozen.key(1), frozen.key(2), other.key(1)}) == 3


def test_a_kill_keeps_the_shards_that_were_whole(monkeypatch):
    frozen = network()
    monkeypatch.setattr("solvent.features.SHARD_BYTES", 1)
    real, done = runtime.predict, []

    def killed(model, inputs, batch_rows):
        if done:
            raise KeyboardInterrupt
        done.append(len(inputs))
        return real(model, inputs, batch_rows)

    monkeypatch.setattr(runtime, "predict", killed)
    with pytest.raises(KeyboardInterrupt):
        Features(frozen, CELLS)
    monkeypatch.setattr(runtime, "predict", real)
    rows = calls(monkeypatch)
    assert len(Features(frozen, CELLS)) == len(CELLS)
    assert sum(rows) == len(CELLS) - done[0]
    assert not list(folder().rglob("*.tmp"))


PROCESS = """
import sys
sys.path.insert(0, {tests!r})
import test_features as mine
from solvent.features import Features
import numpy as np
np.save(sys.argv[1], Features(mine.network(), mine.CELLS).array())
"""


def test_two_processes_may_fill_one_cache_at_once(tmp_path):
    program = PROCESS.format(tests=str(__file__).rpartition("/")[0])
    outs = [tmp_path / f"{number}.npy" for number in (1, 2)]
    both = [subprocess.Popen([sys.executable, "-c", program, str(out)]) for out in outs]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    first, second = map(np.load, outs)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, Features(network(), CELLS).array())


def test_an_image_that_cannot_be_read_is_an_error_here():
    with pytest.raises(images.Unreadable, match="known format"):
        Features(network(), [CELLS[0], b"no image"])
