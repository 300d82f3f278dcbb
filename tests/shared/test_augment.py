"""Augmentation: what each kind does to images with a known answer, views by content, training on the fly."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from solvent import Data, Goal, Refused, Training, startup

startup.tensorflow()

import keras  # noqa: E402

from solvent import augment, devices, runtime, training  # noqa: E402
from solvent.augmentation import Augmentation  # noqa: E402

SIZE, COUNT = 32, 48
KEYS = [f"image {place}" for place in range(COUNT)]
CENTRE = (SIZE - 1) / 2
NOISE = np.random.default_rng(0).integers(0, 256, (COUNT, SIZE, SIZE, 3)).astype(np.uint8)


def views_of(image: np.ndarray, **on: Any) -> np.ndarray:
    """Views of copies of one image: each copy has a key of its own."""
    return augment.views(np.repeat(image[None], COUNT, axis=0), KEYS, 1, Augmentation(**on), 0).astype(np.float64)


def flat(grey: int) -> np.ndarray:
    return np.full((SIZE, SIZE, 3), grey, np.uint8)


def spot(right: float, down: float) -> np.ndarray:
    """A soft white spot, so many pixels from the centre."""
    y, x = np.mgrid[:SIZE, :SIZE] - CENTRE
    return np.repeat((255 * np.exp(-((x - right) ** 2 + (y - down) ** 2) / 6))[..., None], 3, axis=2).astype(np.uint8)


def places(spots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far the spots' centres of mass lie to the right of the image's centre and below it."""
    mass = spots[..., 0]
    y, x = np.mgrid[:SIZE, :SIZE] - CENTRE
    return (mass * x).sum(axis=(1, 2)) / mass.sum(axis=(1, 2)), (mass * y).sum(axis=(1, 2)) / mass.sum(axis=(1, 2))


def test_the_section_imports_no_keras() -> None:
    code = "import sys, solvent.augmentation; assert not {'keras', 'tensorflow'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_by_default_nothing_is_on() -> None:
    assert augment.layers(Augmentation(), SIZE) is None
    assert augment.layers(Augmentation(mixup=0.2), SIZE) is None
    np.testing.assert_array_equal(augment.views(NOISE, KEYS, 1, Augmentation(), 0), NOISE)
    network = keras.Sequential([keras.Input((SIZE, SIZE, 3)), keras.layers.Flatten()])
    assert augment.augmented(network, Augmentation(), SIZE) is network


@pytest.mark.parametrize("wrong", [{"flip": "left"}, {"zoom": 1}, {"rand_augment": 0}, {"cutmix": 2}, {"turn": 3}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Augmentation(**wrong)


@pytest.mark.parametrize(
    ("flip", "kinds"),
    [("horizontal", {(0, 0), (1, 0)}), ("vertical", {(0, 0), (0, 1)}), ("both", {(0, 0), (0, 1), (1, 0), (1, 1)})],
)
def test_flips_flip_about_half_of_the_images_each_way(flip: str, kinds: set[tuple[int, int]]) -> None:
    image = NOISE[0]
    known = {(x, y): image[:: 1 - 2 * y, :: 1 - 2 * x] for x, y in [(0, 0), (0, 1), (1, 0), (1, 1)]}
    found = [next(kind for kind in known if np.array_equal(view, known[kind])) for view in views_of(image, flip=flip)]
    assert set(found) == kinds
    assert min(found.count(kind) for kind in kinds) > COUNT / len(kinds) / 3


def test_rotation_turns_both_ways_up_to_its_degrees() -> None:
    right, down = places(views_of(spot(6, 0), rotation=40))
    np.testing.assert_allclose(np.hypot(right, down), 6, atol=0.3)
    angles = np.degrees(np.arctan2(down, right))
    assert angles.min() == pytest.approx(-40, abs=6)
    assert angles.max() == pytest.approx(40, abs=6)
    assert abs(angles).max() < 41


def test_zoom_goes_in_and_out_and_keeps_the_shape() -> None:
    right, down = places(views_of(spot(6, 6), zoom=0.3))
    np.testing.assert_allclose(right, down, atol=0.2)
    assert right.min() == pytest.approx(6 / 1.3, abs=0.4)
    assert right.max() == pytest.approx(6 / 0.7, abs=0.5)


def test_translation_shifts_in_both_directions_up_to_its_share() -> None:
    for shift in places(views_of(spot(0, 0), translation=0.25)):
        assert shift.min() == pytest.approx(-8, abs=1)
        assert shift.max() == pytest.approx(8, abs=1)
        assert abs(shift).max() < 8.1


def test_crop_shows_a_part_at_a_place_that_each_image_draws_for_itself() -> None:
    ramp = np.repeat(np.repeat(np.arange(0, 256, 8, np.uint8)[None, :, None], SIZE, axis=0), 3, axis=2)
    views = views_of(ramp, crop=0.25)[:, 0, :, 0]
    slopes = (views[:, 22] - views[:, 10]) / 12
    np.testing.assert_allclose(slopes, 8 * 0.75, atol=0.1)
    starts = np.round(views[:, 0] / 8)
    assert set(starts) <= set(range(9)), "24 of 32 pixels begin at 0 to 8"
    assert len(set(starts)) > 5


def test_brightness_moves_all_pixels_of_an_image_up_or_down_alike() -> None:
    views = views_of(flat(100), brightness=0.2)
    assert (views.std(axis=(1, 2, 3)) == 0).all()
    shifts = views[:, 0, 0, 0] - 100
    assert -51 <= shifts.min() < -40
    assert 40 < shifts.max() <= 51


def test_contrast_rises_and_falls_around_the_mean() -> None:
    half = flat(80)
    half[:, SIZE // 2 :] = 120
    views = views_of(half, contrast=0.5)
    np.testing.assert_allclose(views.mean(axis=(1, 2, 3)), 100, atol=0.5)
    factors = (views[:, 0, -1, 0] - views[:, 0, 0, 0]) / 40
    assert 0.48 <= factors.min() < 0.65
    assert 1.35 < factors.max() <= 1.52


def test_erasing_paints_a_grey_box_over_half_of_the_images() -> None:
    views = views_of(flat(0), erasing=0.3)
    shares = (views[..., 0] > 0).mean(axis=(1, 2))
    assert set(np.unique(views)) == {0.0, 128.0}
    assert 0.25 < (shares == 0).mean() < 0.75
    assert 0.15 < shares.max() <= 0.34
    erased = views[shares.argmax(), :, :, 0] > 0
    assert erased[np.ix_(erased.any(axis=1), erased.any(axis=0))].all(), "a box"


def test_rand_augment_draws_operations_for_each_image_and_is_as_strong_as_it_is_set() -> None:
    image = np.clip(40 + spot(-6, 3) / 2 + np.arange(SIZE)[:, None, None], 0, 255).astype(np.uint8)
    weak, strong = views_of(image, rand_augment=0.05), views_of(image, rand_augment=1.0)
    changed = [abs(views - image).mean(axis=(1, 2, 3)) for views in (weak, strong)]
    assert np.median(changed[0]) < 4 < np.median(changed[1])
    assert len({view.tobytes() for view in strong}) > COUNT / 2
    levels = [len(np.unique(view)) for view in strong]
    assert min(levels) <= 16 < np.median(levels), "some are posterised, most are not"
    assert sum(abs(view.min()) == 0 and view.max() == 255 for view in strong) < COUNT / 2, "some have auto contrast"


ALL = {
    "flip": "both", "rotation": 20, "zoom": 0.2, "crop": 0.2, "translation": 0.2, "brightness": 0.5, "contrast": 0.9,
    "rand_augment": 1.0, "erasing": 0.3,
}  # fmt: skip


def test_a_view_depends_on_key_number_and_seed_alone() -> None:
    on = Augmentation(**ALL)
    views = augment.views(NOISE, KEYS, 1, on, 0)
    order = np.random.default_rng(1).permutation(COUNT)[:7]
    np.testing.assert_array_equal(augment.views(NOISE[order], [KEYS[at] for at in order], 1, on, 0), views[order])
    np.testing.assert_array_equal(augment.views(NOISE[3:4], KEYS[3:4], 1, on, 0), views[3:4])
    for other in (
        augment.views(NOISE, KEYS, 2, on, 0),
        augment.views(NOISE, KEYS, 1, on, 1),
        augment.views(NOISE, KEYS[::-1], 1, on, 0),
    ):
        assert (other != views).any(axis=(1, 2, 3)).mean() > 0.9
    assert views.dtype == np.uint8
    assert augment.views(NOISE[:0], [], 1, on, 0).shape == (0, SIZE, SIZE, 3)


def test_everything_at_once_keeps_the_range() -> None:
    layer = augment.layers(Augmentation(**ALL), SIZE)
    augmented = layer(NOISE[:12], training=True).numpy()
    assert augmented.dtype == np.float32
    assert augmented.min() >= 0
    assert augmented.max() <= 255
    np.testing.assert_array_equal(layer(NOISE[:12], training=False).numpy(), NOISE[:12])


def test_views_with_mixing_are_refused() -> None:
    for on in (Augmentation(mixup=0.2), Augmentation(cutmix=1.0, flip="both")):
        with pytest.raises(Refused, match="no views of single images"):
            augment.views(NOISE, KEYS, 1, on, 0)


def test_examples_are_sixteen_and_show_the_mixing_too() -> None:
    images = np.stack([flat(0), flat(255)])
    plain = augment.examples(images, Augmentation(flip="both"), 0)
    np.testing.assert_array_equal(plain, np.concatenate([images] * 8))
    mixed = augment.examples(images, Augmentation(mixup=1.0), 0)
    assert mixed.dtype == np.uint8
    assert len(set(mixed[:, 0, 0, 0].tolist())) > 5
    np.testing.assert_array_equal(mixed, augment.examples(images, Augmentation(mixup=1.0), 0))


class Seen(keras.losses.Loss):
    """Keeps what reached the network and the loss: the network hands its pixels on."""

    def call(self, targets: Any, outputs: Any) -> Any:
        self.kept = (targets.numpy(), outputs.numpy())
        return keras.ops.mean(outputs, axis=-1)


def mixed_by_training(**on: Any) -> tuple[np.ndarray, np.ndarray]:
    """Targets and pixels of a training step on images that are 0, 1, 2, ... all over, each a class of its own."""
    network = keras.Sequential([keras.Input((SIZE, SIZE, 3)), keras.layers.Flatten(), Scale()])
    images = np.broadcast_to(np.arange(COUNT)[:, None, None, None], (COUNT, SIZE, SIZE, 3)).astype(np.uint8)
    model, seen = augment.Augmented(network, Augmentation(**on), SIZE), Seen()
    model.compile("sgd", seen, run_eagerly=True)
    model.train_on_batch(images, np.eye(COUNT, dtype=np.float32))
    return seen.kept[0], seen.kept[1].reshape(COUNT, SIZE, SIZE, 3)


class Scale(keras.layers.Layer):
    """One weight, so that there is something to train."""

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, inputs: Any) -> Any:
        return inputs * self.scale


@pytest.mark.parametrize("on", [{"mixup": 1.0}, {"cutmix": 1.0}, {"mixup": 1.0, "cutmix": 1.0}])
def test_targets_are_mixed_as_the_images_are(on: dict[str, float]) -> None:
    targets, pixels = mixed_by_training(**on)
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-5)
    # An image that is its class's number all over: its mean is the mean class of the mixed target.
    np.testing.assert_allclose(pixels.mean(axis=(1, 2, 3)), targets @ np.arange(COUNT), rtol=1e-4, atol=1e-4)
    assert (np.sort(targets, axis=1)[:, -2] > 0.05).sum() > COUNT / 3, "many are mixed"
    pasted = pixels.std(axis=(1, 2, 3)) > 1e-3
    assert pasted.any() == ("cutmix" in on)
    blended = ~pasted & (np.sort(targets, axis=1)[:, -2] > 0.05)
    assert blended.any() == ("mixup" in on)


def test_mixed_weights_give_the_mixed_weighted_loss() -> None:
    random = np.random.default_rng(0)
    targets, logits = np.eye(4, dtype=np.float32), random.normal(size=4).astype(np.float32)
    losses = -np.log(np.exp(logits) / np.exp(logits).sum())
    weights = np.array([1, 2, 0, 4], np.float32)
    mix = [keras.layers.MixUp(1.0)]
    _, shares, _ = augment._mixed(mix, NOISE[:4], targets, None, [7, 0])
    _, mixed, weighed = augment._mixed(mix, NOISE[:4], targets, weights, [7, 0])
    np.testing.assert_allclose(
        weighed.numpy() * (mixed.numpy() @ losses), shares.numpy() @ (weights * losses), rtol=1e-5
    )


def test_mixing_numbers_for_targets_is_told() -> None:
    network = keras.Sequential([keras.Input((SIZE, SIZE, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model = augment.Augmented(network, Augmentation(mixup=0.2), SIZE)
    with pytest.raises(ValueError, match=r"mix targets of shape \(batch, classes\), not \(6,\)"):
        model.train_step((NOISE[:6], np.zeros(6, np.float32), None))


def fitted(folder: Path, on: Augmentation, epochs: int = 3, seed: int = 0) -> tuple[list[np.ndarray], keras.Model]:
    """Train to tell white spots on the left from those on the right."""
    with devices.scope(devices.Device(strategy="cpu")):
        inputs = keras.Input((SIZE, SIZE, 3))
        pooled = keras.layers.AveragePooling2D(8)(keras.layers.Rescaling(1 / 255)(inputs))
        network = keras.Model(inputs, keras.layers.Dense(2, name="logits")(keras.layers.Flatten()(pooled)))
        images = np.stack([spot(-8 if place % 2 else 8, place % 5) for place in range(24)])
        targets = np.eye(2, dtype=np.float32)[np.arange(24) % 2]

        def monitor() -> dict[str, float]:
            found = runtime.predict(network, images, 24)
            return {"accuracy": float((found.argmax(axis=1) == targets.argmax(axis=1)).mean())}

        training.fit(
            augment.augmented(network, on, SIZE),
            training.arrays(images, targets),
            stage="run",
            training=Training(epochs=epochs, batch_size=8, learning_rate=0.05, schedule="constant", ema=0.5),
            loss=keras.losses.CategoricalCrossentropy(from_logits=True),
            monitor=monitor,
            goal=Goal("accuracy"),
            data=Data(None, None, None, {}, seed, folder),  # type: ignore[arg-type]
        )
        assert monitor()["accuracy"] > 0.9
        return network.get_weights(), network


MIXED = Augmentation(rotation=20, brightness=0.3, erasing=0.1, mixup=0.2, cutmix=0.5)


def test_a_training_with_augmentation_repeats_and_resumes_exactly(tmp_path: Path) -> None:
    weights, network = fitted(tmp_path / "one", MIXED)
    killed = tmp_path / "two"
    stop = training.Store.save
    calls = []

    def killing(store: training.Store, *arguments: Any) -> None:
        stop(store, *arguments)
        calls.append(arguments)
        if len(calls) == 1:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.Store, "save", killing)
        with pytest.raises(KeyboardInterrupt):
            fitted(killed, MIXED)
    resumed, _ = fitted(killed, MIXED)
    assert len(calls) == 1
    assert all(np.array_equal(one, other) for one, other in zip(weights, resumed, strict=True))
    plain, _ = fitted(tmp_path / "plain", Augmentation())
    assert not all(np.allclose(one, other) for one, other in zip(weights, plain, strict=True))
    images = NOISE[:8].astype(np.float32)
    model = augment.Augmented(network, MIXED, SIZE)
    np.testing.assert_array_equal(model.predict(images, verbose=0), network.predict(images, verbose=0))


def test_mixed_precision_rounds_no_pixel_and_scales_the_loss() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        inputs = keras.Input((SIZE, SIZE, 3))
        exact = keras.layers.Flatten(dtype="float32")(inputs)
        model = augment.Augmented(keras.Model(inputs, exact), Augmentation(brightness=0.5), SIZE)
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile("adam", "mse")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    pixels = np.full((1, SIZE, SIZE, 3), 100.33, np.float32)  # 100.3125 in float16
    np.testing.assert_array_equal(model(pixels).numpy(), pixels.reshape(1, -1))


def test_xla_is_refused_before_it_fails() -> None:
    network = keras.Sequential([keras.Input((SIZE, SIZE, 3)), keras.layers.Flatten()])
    with (
        devices.scope(devices.Device(strategy="cpu", xla=True)),
        pytest.raises(Refused, match=r"device.xla: true can't compile augmentation"),
    ):
        augment.augmented(network, Augmentation(flip="both"), SIZE)


def test_registered_names_are_the_house_s_own() -> None:
    for found in (augment.Augment, augment.Augmented):
        assert keras.saving.get_registered_name(found).startswith("solvent>")


def test_two_replicas_augment_as_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = augment.layers(Augmentation(rotation=40, brightness=0.3), SIZE)

    def augmented(images: np.ndarray) -> np.ndarray:
        layer.generator.state.assign([7, 0])
        return np.asarray(layer(images, training=True))

    whole = augmented(NOISE[:6])
    halves = []
    for replica in (0, 1):
        context = SimpleNamespace(num_replicas_in_sync=2, replica_id_in_sync_group=replica)
        with monkeypatch.context() as patch:
            patch.setattr("tensorflow.distribute.get_replica_context", lambda context=context: context)
            halves.append(augmented(NOISE[:6][3 * replica :][:3]))
    np.testing.assert_array_equal(np.concatenate(halves), whole)
