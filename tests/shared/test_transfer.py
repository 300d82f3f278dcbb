from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras.applications import imagenet_utils

from solvent import transfer
from solvent.errors import Refused
from solvent.transfer import BACKBONES

WEIGHTS = Path(os.environ.get("SOLVENT_DATA", "")).parent / "weights" / "vgg16_imagenet_notop.weights.h5"
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
needs_weights = pytest.mark.skipif(
    "SOLVENT_DATA" not in os.environ or not WEIGHTS.exists(),
    reason=f"{WEIGHTS.name} is not here: put it into the folder `weights` beside the one that SOLVENT_DATA names",
)


# Building is what costs: one of each for all tests. Those that change a model build one of their own.
@pytest.fixture(scope="module", params=BACKBONES)
def built(request: pytest.FixtureRequest) -> tuple[str, keras.Model]:
    return request.param, transfer.build(request.param, "none", 32, seed=0)


@pytest.fixture(scope="module")
def cnn() -> keras.Model:
    return transfer.build("cnn", "none", 16, seed=0)


def test_the_registry_imports_no_keras() -> None:
    code = "import sys, solvent.transfer; assert not {'keras', 'tensorflow'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_an_image_goes_in_and_a_float32_map_comes_out(built: tuple[str, keras.Model]) -> None:
    _, model = built
    assert model.input.name == "image"
    assert model.input_shape == (None, 32, 32, 3)
    features = model(PIXELS).numpy()
    assert features.ndim == 4
    assert features.dtype == np.float32
    assert features.std() > 0
    np.testing.assert_array_equal(model(PIXELS.astype(np.float32)).numpy(), features)


def test_a_block_s_end_cuts_the_model_into_two_that_make_the_whole(built: tuple[str, keras.Model]) -> None:
    name, model = built
    blocks = BACKBONES[name].blocks
    halves = {block: transfer.split_at(model, block) for block in ("image", *blocks)}
    sizes = [transfer.tensor(model, block).shape[1] for block in blocks]
    assert sizes == sorted(sizes, reverse=True), "from shallow to deep"
    whole = model(PIXELS).numpy()
    front, rear = halves[blocks[len(blocks) // 2]]
    np.testing.assert_array_equal(rear(front(PIXELS)).numpy(), whole)
    assert {id(variable) for half in (front, rear) for variable in half.weights} == {id(v) for v in model.weights}
    identity, everything = halves["image"]
    np.testing.assert_array_equal(identity(PIXELS).numpy(), PIXELS)
    np.testing.assert_array_equal(everything(PIXELS).numpy(), whole)


def test_grad_cam_s_layer_has_a_map_that_the_output_depends_on(built: tuple[str, keras.Model]) -> None:
    name, model = built
    layer = BACKBONES[name].convolution
    if layer is None:
        assert model.output_shape[1:3] == (1, 1)
        return
    assert len(transfer.tensor(model, layer).shape) == 4
    _, rear = transfer.split_at(model, layer)
    assert rear.output.shape == model.output.shape


def test_depth_grows_towards_the_image(built: tuple[str, keras.Model]) -> None:
    name, model = built
    blocks = BACKBONES[name].blocks
    depth = transfer.depth_of(model, blocks)
    assert set(depth) == {variable.path for variable in model.variables}
    in_order = [depth[variable.path] for variable in model.trainable_variables]
    assert in_order == sorted(in_order, reverse=True)
    assert set(in_order) == set(range(1, len(blocks) + 1))


@pytest.mark.parametrize("built", ["vgg16", "vgg19", "resnet50", "densenet121", "cnn"], indirect=True)
def test_preprocessing_in_the_graph_is_the_one_of_keras(built: tuple[str, keras.Model]) -> None:
    name, model = built
    inside = transfer.split_at(model, "preprocessed")[0](PIXELS).numpy()
    mode = BACKBONES[name].reads
    expected = imagenet_utils.preprocess_input(PIXELS.astype(np.float32), mode=mode)
    np.testing.assert_allclose(inside, expected, atol=1e-6 if mode != "caffe" else 0)


@pytest.mark.parametrize("built", ["efficientnet_v2_b0", "mobilenet_v3_small", "convnext_tiny"], indirect=True)
def test_where_keras_includes_preprocessing_grey_images_reach_the_first_convolution_normalised(
    built: tuple[str, keras.Model],
) -> None:
    _, model = built
    first = next(layer for layer in model.layers if layer.name in ("stem_conv", "conv", "convnext_tiny_stem"))
    source = next(node for nodes in model._nodes_by_depth.values() for node in nodes if node.operation is first)
    seen = keras.Model(model.input, source.input_tensors[0])(
        np.array([0, 255], np.uint8).repeat(3072).reshape(PIXELS.shape)
    )
    assert seen[0].numpy().max() < -0.9
    assert seen[1].numpy().min() > 0.9
    assert seen[1].numpy().max() < 2.7


def half_precision() -> keras.Model:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        return transfer.build("cnn", "none", 16, seed=0)
    finally:
        keras.config.set_dtype_policy("float32")


def test_in_mixed_precision_the_map_and_the_pixels_stay_float32() -> None:
    model = half_precision()
    assert model.output.dtype == "float32"
    assert transfer.tensor(model, "preprocessed").dtype == "float32"
    assert transfer.tensor(model, "block1").dtype == "bfloat16"


def test_one_seed_gives_one_start(cnn: keras.Model) -> None:
    again = transfer.build("cnn", "none", 16, seed=0)
    other = transfer.build("cnn", "none", 16, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(cnn.get_weights(), again.get_weights(), strict=True))
    assert not np.array_equal(cnn.get_weights()[0], other.get_weights()[0])


def test_the_hash_knows_weights_and_structure_but_no_counted_names(cnn: keras.Model) -> None:
    known = transfer.weights_hash(cnn)
    keras.layers.Activation("relu")(keras.Input((1,))[..., ::-1])  # lets Keras's counters run on
    again = transfer.build("cnn", "none", 16, seed=0)
    assert transfer.weights_hash(again) == known
    transfer.split_at(again, "block1")
    transfer.freeze(again, "block1")
    assert transfer.weights_hash(again) == known
    again.get_layer("block1_conv1").kernel.assign_add(keras.ops.ones(again.get_layer("block1_conv1").kernel.shape))
    larger = transfer.build("cnn", "none", 20, seed=0)
    other = transfer.build("cnn", "none", 16, seed=1)
    hashes = [known, *map(transfer.weights_hash, (again, half_precision(), larger, other))]
    assert len(set(hashes)) == 5


@pytest.mark.parametrize("built", ["convnext_tiny"], indirect=True)
def test_the_hash_passes_over_counted_names_within_nested_layers_too(built: tuple[str, keras.Model]) -> None:
    name, model = built
    again = transfer.build(name, "none", 32, seed=0)
    assert [op.name for op in again.operations] != [op.name for op in model.operations]
    assert transfer.weights_hash(again) == transfer.weights_hash(model)


def test_freezing_leaves_what_follows_but_no_batch_norm() -> None:
    model = transfer.build("cnn", "none", 16, seed=0)
    trained = transfer.freeze(model, "block1")
    assert set(trained) == {f"block{block}_{layer}/kernel" for block in (2, 3) for layer in ("conv1", "conv2", "short")}
    before = [variable.numpy() for variable in model.weights]
    model.compile("sgd", "mse")
    model.train_on_batch(PIXELS[:, :16, :16], np.ones((2, *model.output_shape[1:]), np.float32))
    moved = {v.path for v, old in zip(model.weights, before, strict=True) if not np.array_equal(v.numpy(), old)}
    assert moved == set(trained), "moving statistics too stay as they were"
    all_but_norms = transfer.freeze(model, "image")
    assert set(trained) < set(all_but_norms)
    assert not [path for path in all_but_norms if "norm" in path]


def test_a_cut_through_a_shortcut_is_refused(cnn: keras.Model) -> None:
    with pytest.raises(ValueError, match="can't be cut at block2_conv1: not everything passes through it"):
        transfer.split_at(cnn, "block2_conv1")
    with pytest.raises(ValueError, match=r"has no layer 'block9'. It has: image, .*block1_conv1"):
        transfer.split_at(cnn, "block9")


def test_unknown_backbones_small_images_and_weights_of_our_own_are_refused() -> None:
    with pytest.raises(Refused, match=r"no backbone 'vgg'. Known: vgg16, vgg19"):
        transfer.build("vgg", "none", 32, seed=0)
    with pytest.raises(Refused, match="vgg16 takes images of at least 32 pixels a side; the size is 31"):
        transfer.build("vgg16", "none", 31, seed=0)
    with pytest.raises(Refused, match="cnn is trained from nothing: set weights: none, not imagenet"):
        transfer.build("cnn", "imagenet", 32, seed=0)


def test_weights_that_cannot_be_downloaded_are_refused_with_file_address_and_cure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from keras.src.utils import file_utils

    download = file_utils.urlretrieve
    asked = []

    def unreachable(address: str, target: str, hook: Any) -> Any:
        asked.append(address)
        return download("http://127.0.0.1:9/", target, hook)  # the port of `discard`: closed

    monkeypatch.setattr(file_utils, "urlretrieve", unreachable)
    monkeypatch.setattr(file_utils.config, "keras_home", lambda: str(tmp_path))
    with pytest.raises(Refused) as refusal:
        transfer.build("vgg16", "imagenet", 32, seed=0)
    file = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    address = f"https://storage.googleapis.com/tensorflow/keras-applications/vgg16/{file}"
    assert asked == [address]
    for part in (f"the file {file}", address, f"weights: /path/to/{file}", "weights: none", "refused"):
        assert part in str(refusal.value)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("built", ["mobilenet_v3_small"], indirect=True)
def test_weights_come_from_a_file_of_either_format(built: tuple[str, keras.Model], tmp_path: Path) -> None:
    _, kept = built
    kept.save_weights(tmp_path / "new.weights.h5")
    kept.save(tmp_path / "whole.keras")
    kept.save(tmp_path / "old.h5")
    for name in ("new.weights.h5", "whole.keras", "old.h5"):
        loaded = transfer.build("mobilenet_v3_small", str(tmp_path / name), 32, seed=2)
        for one, other in zip(kept.get_weights(), loaded.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    def refused(path: Path) -> str:
        with pytest.raises(Refused) as refusal:
            transfer.build("vgg16", str(path), 32, seed=0)
        return str(refusal.value)

    assert "there is no file" in refused(tmp_path / "missing.h5")
    (tmp_path / "text.h5").write_text("no weights")
    message = refused(tmp_path / "text.h5")
    assert "doesn't fit the backbone vgg16" in message
    assert "keras.applications.VGG16 without its top" in message
    small = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3)])
    small.save_weights(tmp_path / "other.weights.h5")
    message = refused(tmp_path / "other.weights.h5")
    assert "block1_conv1" in message
    assert "(3, 3, 3, 64)" in message
    small.save(tmp_path / "other.h5")
    assert "expected 13 layers, found 1" in refused(tmp_path / "other.h5")


def test_a_file_that_leaves_a_variable_without_a_number_is_refused(tmp_path: Path) -> None:
    model = transfer.build("mobilenet_v3_small", "none", 32, seed=1)
    kernel = model.get_layer("conv").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    model.save_weights(tmp_path / "torn.weights.h5")
    with pytest.raises(Refused, match=r"leaves 1 of the 206 variables .* without a number: conv/kernel"):
        transfer.build("mobilenet_v3_small", str(tmp_path / "torn.weights.h5"), 32, seed=1)


@pytest.mark.weights
@needs_weights
def test_real_vgg16_gives_the_features_that_keras_gives() -> None:
    model = transfer.build("vgg16", str(WEIGHTS), 32, seed=0)
    theirs = keras.applications.VGG16(include_top=False, weights=str(WEIGHTS), input_shape=(32, 32, 3))
    expected = theirs(keras.applications.vgg16.preprocess_input(PIXELS.astype(np.float32))).numpy()
    np.testing.assert_allclose(model(PIXELS).numpy(), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.weights
@needs_weights
def test_weights_that_keras_has_downloaded_are_the_ones_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    from keras.src.utils import file_utils

    monkeypatch.setattr(file_utils, "get_file", lambda *_, **__: str(WEIGHTS))
    downloaded = transfer.build("vgg16", "imagenet", 32, seed=0)
    given = transfer.build("vgg16", str(WEIGHTS), 32, seed=1)
    assert transfer.weights_hash(downloaded) == transfer.weights_hash(given)
    kernel = given.get_layer("block1_conv1").kernel.numpy()
    np.testing.assert_allclose(kernel[0, 0, 0, :3], [0.42947057, 0.11727387, 0.03401296], rtol=1e-6)
