"""Where a network looks: maps with answers that are known by hand."""

import io
import os

import keras
import numpy as np
import pytest
from PIL import Image

from solvent import saliency, transfer

CORNERS = {0: (slice(0, 2), slice(0, 2)), 1: (slice(0, 2), slice(2, 4)), 2: (slice(2, 4), slice(0, 2))}


def colour_model(nested: bool = False) -> keras.Model:
    """Its convolution parts red, green and blue on a 4 x 4 map; class k is the amount of colour k."""
    image = keras.Input((16, 16, 3), name="image")
    pool = keras.layers.AveragePooling2D(4, name="small")
    convolution = keras.layers.Conv2D(3, 1, activation="relu", name="colours")
    inner = keras.Input((16, 16, 3))
    backbone = keras.Model(inner, convolution(pool(inner)), name="backbone")
    features = backbone(image) if nested else convolution(pool(image))
    head = keras.layers.Dense(3, name="logits")
    model = keras.Model(image, head(keras.layers.GlobalAveragePooling2D()(features)))
    convolution.set_weights([np.eye(3)[None, None], np.zeros(3)])
    head.set_weights([np.eye(3), np.zeros(3)])
    return model


def map_model(maps: np.ndarray, weights: np.ndarray) -> keras.Model:
    """Its feature map is the image itself, and its one logit the weighted sum over all of the map."""
    image = keras.Input(maps.shape[1:])
    convolution = keras.layers.Conv2D(maps.shape[-1], 1, name="map")
    head = keras.layers.Dense(1)
    model = keras.Model(image, head(keras.layers.Flatten()(convolution(image))))
    convolution.set_weights([np.eye(maps.shape[-1])[None, None], np.zeros(maps.shape[-1])])
    head.set_weights([weights.reshape(-1, 1), np.zeros(1)])
    return model


@pytest.fixture(scope="module")
def looking() -> keras.Model:
    return colour_model()


@pytest.fixture(scope="module")
def lights() -> np.ndarray:
    """One image three times: red in one corner, green in the next, blue in the third, on a dark noise."""
    image = np.random.default_rng(0).integers(0, 60, (16, 16, 3)).astype(np.uint8)
    for colour, (down, across) in CORNERS.items():
        image[down.start * 4 : down.stop * 4, across.start * 4 : across.stop * 4, colour] = 220
    return np.stack([image] * 3)


@pytest.mark.parametrize("plus_plus", [False, True])
def test_the_map_lies_on_the_corner_that_the_class_looks_at(looking, lights, plus_plus) -> None:
    maps = saliency.grad_cam(looking, lights, [0, 1, 2], layer="colours", plus_plus=plus_plus)
    assert maps.shape == (3, 4, 4) and maps.dtype == np.float32
    for row, corner in CORNERS.items():
        assert maps[row].max() == 1 and maps[row].min() >= 0
        assert maps[row][corner].sum() > 0.6 * maps[row].sum()  # 4 of 16 cells


def test_grad_cam_is_the_hand_formula() -> None:
    # channel 0: gradients 1, 0, 0, 3 have the mean 1; channel 1: -2, 0, 0, 0 have -0.5
    maps = np.array([[[[1, 4], [2, 0]], [[3, 0], [0, 2]]]], np.float32)
    weights = np.array([[[1, -2], [0, 0]], [[0, 0], [3, 0]]], np.float32)
    found = saliency.grad_cam(map_model(maps, weights), maps, [0], layer="map")
    # 1 - 0.5 * 4 = -1 counts as 0; 2; 3; 0 - 0.5 * 2 counts as 0
    np.testing.assert_allclose(found[0], np.array([[0, 2], [3, 0]]) / 3, atol=1e-6)


def test_grad_cam_plus_plus_is_the_hand_formula() -> None:
    maps = np.array([[[[1, 4], [2, 0]], [[3, 0], [0, 2]]]], np.float32)
    gradients = np.array([[[1, -2], [0, 0.5]], [[0, 0], [3, 0]]], np.float32)
    found = saliency.grad_cam(map_model(maps, gradients), maps, [0], layer="map", plus_plus=True)
    # both channels' maps sum to 6: 1 / (2 + 6 * 1) + 3 / (2 + 6 * 3) = 0.275, and 0.5 / (2 + 6 * 0.5) = 0.1
    expected = 0.275 * maps[0, ..., 0] + 0.1 * maps[0, ..., 1]
    np.testing.assert_allclose(found[0], expected / expected.max(), atol=1e-6)
    # the same by the paper's words: second and third derivatives of exp(logit)
    sums = maps.sum(axis=(0, 1, 2))
    square, cube = gradients**2, gradients**3
    share = np.divide(square, 2 * square + sums * cube, out=np.zeros_like(square), where=square > 0)
    by_paper = (maps[0] * (share * np.maximum(gradients, 0)).sum(axis=(0, 1))).sum(axis=-1)
    np.testing.assert_allclose(found[0], by_paper / by_paper.max(), atol=1e-6)


def test_random_weights_destroy_the_map(looking, lights) -> None:
    """Adebayo et al., Sanity Checks for Saliency Maps, 2018."""
    trained = saliency.grad_cam(looking, lights, [0, 1, 2], layer="colours")
    model = colour_model()
    likeness = []
    for seed in range(10):
        random = np.random.default_rng(seed)
        for layer in (model.get_layer("colours"), model.get_layer("logits")):
            layer.set_weights([random.normal(size=item.shape) for item in layer.get_weights()])
        maps = saliency.grad_cam(model, lights, [0, 1, 2], layer="colours")
        likeness.append(np.corrcoef(trained.ravel(), maps.ravel())[0, 1] if maps.any() else 0.0)
    assert abs(np.mean(likeness)) < 0.3


def test_a_nested_model_is_explained_as_the_flat_one(looking, lights) -> None:
    nested = colour_model(nested=True)
    flat = saliency.grad_cam(looking, lights, [0, 1, 2], layer="colours")
    for name in ("colours", "backbone/colours", "backbone"):
        np.testing.assert_array_equal(saliency.grad_cam(nested, lights, [0, 1, 2], layer=name), flat)
    assert saliency.last_convolution(nested) == "backbone/colours"
    assert "call" not in vars(nested.get_layer("backbone"))  # the model is as it was


def test_the_map_of_an_image_depends_on_no_other_image(looking, lights) -> None:
    one = saliency.grad_cam(looking, lights[:1], [0], layer="colours")
    many = saliency.grad_cam(looking, np.repeat(lights[:1], 20, axis=0), [0] * 20, layer="colours")
    np.testing.assert_array_equal(many, np.repeat(one, 20, axis=0))


def test_nothing_that_speaks_for_a_class_is_an_empty_map(looking) -> None:
    assert not saliency.grad_cam(looking, np.zeros((1, 16, 16, 3), np.uint8), [1], layer="colours").any()
    assert len(saliency.grad_cam(looking, np.zeros((0, 16, 16, 3), np.uint8), [], layer="colours")) == 0


def test_what_cannot_be_explained_is_told(looking, lights) -> None:
    with pytest.raises(ValueError, match=r"no layer 'colour'\. Did you mean 'colours'"):
        saliency.grad_cam(looking, lights, [0, 1, 2], layer="colour")
    with pytest.raises(ValueError, match=r"'logits' of .* expected a feature map"):
        saliency.grad_cam(looking, lights, [0, 1, 2], layer="logits")
    with pytest.raises(ValueError, match=r"one of 3 classes, 0 to 2"):
        saliency.grad_cam(looking, lights, [0, 1, 3], layer="colours")
    dense = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match=r"no convolution .* `occlusion`"):
        saliency.last_convolution(dense)


FAMILIES = (
    "vgg16",
    "cnn",
    "mobilenet_v3_small",
    "resnet50",
    "efficientnet_v2_b0",
    "convnext_tiny",
    "densenet121",
)
QUICK = FAMILIES[:3]
EVERY = os.environ.get("SOLVENT_EVERY_BACKBONE") == "1"
slow = pytest.mark.skipif(not EVERY, reason="takes 20 s: SOLVENT_EVERY_BACKBONE=1")


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in QUICK else slow) for name in FAMILIES])
def test_every_family_of_backbones_is_explained_flat_and_nested(name: str) -> None:
    backbone = transfer.build(name, "none", 64, seed=0)
    head = keras.Sequential([keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(4)])
    image = keras.Input((64, 64, 3))
    flat = keras.Model(backbone.input, head(backbone.output))
    nested = keras.Model(image, head(backbone(image)))
    layer = transfer.backbone(name).convolution
    assert saliency.last_convolution(flat) == layer
    assert saliency.last_convolution(nested) == f"{name}/{layer}"
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    maps = saliency.grad_cam(flat, images, [0, 3], layer=layer)
    assert maps.shape[0] == 2 and maps.shape[1] == maps.shape[2] > 1
    assert np.isfinite(maps).all() and 0 <= maps.min() <= maps.max() <= 1
    np.testing.assert_allclose(saliency.grad_cam(nested, images, [0, 3], layer=layer), maps, atol=1e-4)


def brightness_of_corner(images: np.ndarray) -> np.ndarray:
    """The probability of class 1 is the brightness of the upper left quarter."""
    share = images[:, :8, :8].mean(axis=(1, 2, 3)) / 255
    return np.stack([1 - share, share], axis=1)


def test_occlusion_finds_the_place_that_the_probability_hangs_on() -> None:
    images = np.full((1, 16, 16, 3), 255, np.uint8)
    (found,) = saliency.occlusion(brightness_of_corner, images, [1], patch=8, stride=8)
    expected = np.zeros((16, 16))
    expected[:8, :8] = 1 - saliency.GREY / 255  # all of that quarter turns from white to grey
    np.testing.assert_allclose(found, expected, atol=1e-6)
    (other,) = saliency.occlusion(brightness_of_corner, images, [0], patch=8, stride=8)
    np.testing.assert_allclose(other, -expected, atol=1e-6)


def test_occlusion_covers_an_image_whose_size_is_no_multiple_of_the_stride() -> None:
    images = np.full((1, 15, 13, 3), 255, np.uint8)

    def loss(pixels: np.ndarray) -> np.ndarray:
        return pixels.mean(axis=(1, 2, 3))[:, None] / 255

    assert np.isfinite(saliency.occlusion(loss, images, [0], patch=6, stride=4)).all()
    with pytest.raises(ValueError, match="stride <= patch <= 13"):
        saliency.occlusion(loss, images, [0], patch=4, stride=5)
    with pytest.raises(ValueError, match="stride <= patch <= 13"):
        saliency.occlusion(loss, images, [0], patch=14, stride=5)


def test_an_overlay_leaves_the_rest_of_the_image_alone() -> None:
    image = np.full((40, 60, 3), 90, np.uint8)
    heat = np.zeros((4, 6))
    heat[0, 0] = 0.2
    laid = saliency.overlay(image, heat)
    assert laid.shape == image.shape and laid.dtype == np.uint8
    np.testing.assert_array_equal(laid[20:, 20:], image[20:, 20:])
    assert np.abs(laid[:3, :3].astype(int) - 90).max() > 50
    np.testing.assert_array_equal(saliency.overlay(image, -heat), image)
    weak, strong = (saliency.overlay(image, heat, most=most).astype(int) for most in (0.4, 0.1))
    assert 0 < np.abs(weak - 90).max() < np.abs(laid.astype(int) - 90).max()
    np.testing.assert_array_equal(strong[:3, :3], laid[:3, :3])
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(saliency.png(laid)))), laid)
