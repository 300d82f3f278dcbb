"""The forms of a model behind `Fitted.predict`: they answer as TensorFlow does; a bundle takes one only if it holds."""

import importlib.util
import itertools
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import solvent
from solvent import BarMissed, Bundle, Refused, SolventError, startup, tables
from solvent.schema import Schema
from solvent.score import score

startup.tensorflow()

import keras  # noqa: E402

from solvent import runtime  # noqa: E402
from solvent.promises import BrokenPromise  # noqa: E402
from solvent.runtime import export as exporting  # noqa: E402
from solvent.runtime import forms, openvino, processor, recording  # noqa: E402
from solvent.runtime.export import export  # noqa: E402
from solvent.runtime.optimize import optimize, sentence  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))
import ruler  # noqa: E402
import tiles  # noqa: E402

ROWS, BATCH_ROWS = 37, 16
RANDOM = np.random.default_rng(0)
NARROW = [
    pytest.param(name, marks=pytest.mark.skipif(bool(processor.lacks(name.partition("-")[2])), reason="processor"))
    for name in ("tensorflow-bf16", "openvino-bf16", "openvino-int8")
]
INT8 = pytest.mark.skipif(bool(processor.lacks("int8")), reason="processor")


# The forms of a model


def conv() -> tuple[keras.Model, Any]:
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    hidden = keras.layers.Conv2D(8, 3, activation="relu")(keras.layers.Rescaling(1 / 255)(image))
    hidden = keras.layers.BatchNormalization()(keras.layers.Conv2D(8, 3, activation="relu")(hidden))
    out = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(hidden))
    return keras.Model(image, out, name="conv"), RANDOM.integers(0, 256, (ROWS, 16, 16, 3), dtype="uint8")


def tree() -> tuple[keras.Model, Any]:
    left, right = keras.Input((4,), name="left"), keras.Input((None,), dtype="int32", name="right")
    unread = keras.Input((2,), name="another")
    total = keras.ops.cast(keras.ops.sum(right, axis=-1, keepdims=True), "float32")
    held = keras.layers.Normalization(mean=[1, 2, 3, 4], variance=[1, 4, 9, 16])(left)  # constants, not weights
    outputs = {"sum": keras.layers.Dense(3)(held) + total, "pair": (total, keras.ops.cast(right, "int32"))}
    inputs = {"left": RANDOM.normal(size=(ROWS, 4)), "right": RANDOM.integers(0, 9, (ROWS, 5))}
    model = keras.Model({"left": left, "right": right, "another": unread}, outputs, name="tree")
    return model, {**inputs, "another": np.zeros((ROWS, 2))}


def recurrent() -> tuple[keras.Model, Any]:
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    hidden = keras.layers.Embedding(20, 4, mask_zero=True)(tokens)
    hidden = keras.layers.LSTM(3)(hidden)
    model = keras.Model(tokens, keras.layers.Dense(2)(hidden), name="recurrent")
    return model, RANDOM.integers(0, 20, (ROWS, 6)).astype("int32")


MODELS = {"conv": conv, "tree": tree, "recurrent": recurrent}


@pytest.fixture(scope="module")
def formed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Any]:
    """A model, its inputs and its form, made once each."""
    models = {name: make() for name, make in MODELS.items()}
    kept: dict[tuple[str, str], Any] = {}

    def get(kind: str, name: str) -> Any:
        model, inputs = models[kind]
        if (kind, name) not in kept:
            folder = tmp_path_factory.mktemp(name)
            batch = keras.tree.map_structure(lambda array: array[:BATCH_ROWS], inputs)
            forms.make(folder, name, {"model": model}, {"model": [batch]}, BATCH_ROWS)
            record = {"name": name, "models": ["model"]}
            kept[kind, name] = forms.load(folder, record, {"model": model})["model"]
        return model, inputs, kept[kind, name]

    return get


def of(rows: Any, inputs: Any) -> Any:
    return keras.tree.map_structure(lambda array: array[rows], inputs)


def close(found: Any, expected: Any, atol: float) -> None:
    keras.tree.assert_same_structure(found, expected)
    for ours, theirs in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, atol=atol)


@pytest.mark.parametrize("kind", MODELS)
def test_openvino_in_float32_answers_as_tensorflow_does(formed: Any, kind: str) -> None:
    model, inputs, form = formed(kind, "openvino-float32")
    expected = runtime.predict(model, inputs, BATCH_ROWS)
    close(runtime.predict(model, inputs, BATCH_ROWS, form), expected, 1e-4)
    close(runtime.predict(model, of(slice(0), inputs), BATCH_ROWS, form), of(slice(0), expected), 0)


@pytest.mark.parametrize("name", ["openvino-float32", *NARROW])
def test_a_form_gives_the_same_for_the_same_rows_wherever_they_are_cut(formed: Any, name: str) -> None:
    model, inputs, form = formed("conv", name)
    whole = runtime.predict(model, inputs, BATCH_ROWS, form)
    np.testing.assert_array_equal(runtime.predict(model, inputs, BATCH_ROWS, form), whole)
    for cut in (1, 5, 16):
        parts = [runtime.predict(model, part, BATCH_ROWS, form) for part in (inputs[:cut], inputs[cut:])]
        np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)
        np.testing.assert_allclose(
            runtime.predict(model, iter([inputs[:cut], inputs[cut:]]), BATCH_ROWS, form), whole, atol=1e-6
        )


@pytest.mark.parametrize("name", NARROW)
def test_a_narrow_form_is_near_and_not_the_same(formed: Any, name: str) -> None:
    model, inputs, form = formed("conv", name)
    expected = runtime.predict(model, inputs, BATCH_ROWS)
    apart = np.abs(runtime.predict(model, inputs, BATCH_ROWS, form) - expected).max()
    assert 1e-5 < apart < 0.1 * np.abs(expected).max()


@INT8
@pytest.mark.skipif(bool(processor.lacks("bf16")), reason="processor")
def test_what_8_bits_leave_out_of_attention_is_bfloat16_and_no_other_network_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras.utils.set_random_seed(0)
    tokens = keras.Input((12, 16), name="tokens")
    model = keras.Model(tokens, keras.layers.MultiHeadAttention(2, 8)(tokens, tokens), name="attends")
    inputs = RANDOM.normal(size=(BATCH_ROWS, 12, 16)).astype("float32")
    assert forms.unquantised([conv()[0], model]) == "bf16"
    assert forms.unquantised([conv()[0], recurrent()[0]]) == "float32"
    forms.make(tmp_path, "openvino-int8", {"model": model}, {"model": [inputs]}, BATCH_ROWS)
    record = {"name": "openvino-int8", "models": ["model"]}
    exact = runtime.predict(model, inputs, BATCH_ROWS)
    found = {}
    for rest in ("float32", "bf16"):
        form = forms.load(tmp_path, {**record, "unquantised": rest}, {"model": model})["model"]
        found[rest] = runtime.predict(model, inputs, BATCH_ROWS, form)
        assert np.abs(found[rest] - exact).mean() < 0.1 * np.abs(exact).mean()
    assert np.abs(found["bf16"] - found["float32"]).max() > 0, "the record says in what it runs"
    monkeypatch.setattr(processor, "instructions", lambda: frozenset({"avx512_vnni"}))
    assert forms.unquantised([model]) == "float32", "what the processor does not compute by itself is slow"


def test_arrays_given_by_name_reach_the_inputs_of_their_names(tmp_path: Path) -> None:
    """In the order of the alphabet they would be the wrong way round."""
    first, second = keras.Input((2,), name="second"), keras.Input((2,), name="first")
    model = keras.Model([first, second], first - 2 * second)
    forms.make(tmp_path, "openvino-float32", {"m": model}, {"m": []}, 4)
    form = forms.load(tmp_path, {"name": "openvino-float32", "models": ["m"]}, {"m": model})["m"]
    given = {"first": np.ones((4, 2), "float32"), "second": np.full((4, 2), 5, "float32")}
    np.testing.assert_array_equal(runtime.predict(model, given, 4, form), np.full((4, 2), 3))
    np.testing.assert_array_equal(runtime.predict(model, given, 4), np.full((4, 2), 3))


def test_a_model_that_cannot_be_converted_is_named_with_the_reason(tmp_path: Path) -> None:
    class Unknown(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            import tensorflow as tf

            return tf.math.betainc(inputs, inputs, inputs)

    inputs = keras.Input((2,))
    model = keras.Model(inputs, Unknown()(inputs), name="odd")
    with pytest.raises(Refused, match=r"The model odd can't be converted to OpenVINO: .*Betainc"):
        openvino.convert(model, 4)


# Bundles


def config(folder: Path, solution: Any, rows: pd.DataFrame, columns: dict[str, str]) -> Path:
    """A config beside its rows, which it names by a relative path."""
    tables.write(rows, folder / "rows.csv")
    content = {"solution": f"{solution.__name__}:SOLUTION", "data": {"rows": "rows.csv", "columns": columns}}
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    return folder / "config.yaml"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiles")
    solvent.train(config(folder, tiles, tiles.rows(), {"label": "shade"}), folder / "bundle")
    return folder


@pytest.fixture
def bundle(project: Path, tmp_path: Path) -> Path:
    """A copy, so that it may be changed."""
    return Path(shutil.copytree(project / "bundle", tmp_path / "bundle"))


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def greys(rows: int = 37) -> pd.DataFrame:
    return pd.DataFrame({"grey": np.linspace(25, 230, rows)})


@pytest.fixture
def unchanged(bundle: Path) -> Iterator[None]:
    before = content(bundle)
    yield
    assert content(bundle) == before
    assert [item.name for item in bundle.parent.iterdir() if item.name.startswith(".")] == []


@INT8
def test_an_accepted_runtime_is_recorded_and_scores_from_then_on(bundle: Path, tmp_path: Path) -> None:
    plain = Bundle.load(bundle)
    record = optimize(bundle, "openvino-int8", max_drop=0.05)
    assert record["drop"]["low"] <= record["drop"]["value"] <= record["drop"]["high"]
    assert record["drop"]["value"] == pytest.approx(record["tensorflow"] - record["value"])
    assert record["rows"] == 40, "half of the 80 validation rows: the other half gave the ranges"
    assert "One half of the validation rows" in record["protocol"]
    assert set(record["versions"]) == {"openvino", "nncf"}
    assert record["unquantised"] == "float32", "no attention here"
    assert set(record["rows_per_second"]) == {"tensorflow", "openvino-int8"}
    loaded = Bundle.load(bundle)
    assert loaded.facts["runtime"] == record == json.loads((bundle / "bundle.json").read_text())["runtime"]
    assert sorted(loaded.fitted.forms) == ["eye", "head"]
    ours, theirs = loaded.score(greys())["light"], plain.score(greys())["light"]
    assert 1e-6 < (ours - theirs).abs().max() < 0.1
    pd.testing.assert_series_equal(Bundle.load(bundle, runtime="tensorflow").score(greys())["light"], theirs)
    tables.write(greys(), tmp_path / "new.csv")
    assert score(loaded, tmp_path / "new.csv", tmp_path / "scores.csv")["runtime"] == "openvino-int8"
    again = Bundle.load(bundle, runtime="tensorflow")
    assert score(again, tmp_path / "new.csv", tmp_path / "plain.csv")["runtime"] == "tensorflow"
    with pytest.raises(SolventError, match="was changed"):  # `plain` is the bundle as it was before
        score(plain, tmp_path / "new.csv", tmp_path / "old.csv")


def test_what_is_promised_of_scores_is_set_anew_for_another_network(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recalibrate(settings: Any, fitted: Any, schema: Schema, valid: pd.DataFrame) -> dict[str, Any]:
        assert fitted.forms
        assert set(valid) >= {"grey", "label"}
        return {"operating_point": {"value": 0.25, "rows": len(valid)}}

    monkeypatch.setattr(tiles, "SOLUTION", replace(tiles.SOLUTION, recalibrate=recalibrate))
    record = optimize(bundle, "openvino-float32")
    assert record["facts"] == {"operating_point": {"value": 0.25, "rows": 80}}
    assert "set anew for it, by the rows that set it before: operating_point" in sentence(record)
    assert "What was set anew for it (operating_point) was set by rows among these" in record["protocol"]
    assert Bundle.load(bundle).fitted.facts["operating_point"]["value"] == 0.25
    assert "operating_point" not in Bundle.load(bundle, runtime="tensorflow").fitted.facts
    monkeypatch.setattr(tiles, "SOLUTION", replace(tiles.SOLUTION, recalibrate=lambda *_: None))
    with pytest.raises(BrokenPromise, match="expected a dictionary of facts"):
        optimize(bundle, "openvino-float32")


def test_a_refitted_model_is_asked_without_what_it_remembers_of_the_rows_that_it_was_refitted_on(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here it remembers all answers as they are not: every one that it knows is wrong."""
    own = tiles.SOLUTION

    def forget(settings: Any, fitted: Any, valid: pd.DataFrame) -> Any:
        assert set(valid) >= {"grey", "label"}
        return replace(fitted, facts={**fitted.facts, "remembers": False})

    def scorer(settings: Any, fitted: Any) -> Any:
        score = own.scorer(settings, fitted)
        swapped = {"light": "dark", "dark": "light"}
        if not fitted.facts.get("remembers", True):
            return score
        return lambda table: score(table).assign(**{"class": lambda found: found["class"].map(swapped)})

    monkeypatch.setattr(tiles, "SOLUTION", replace(own, scorer=scorer, forget=forget))
    record = optimize(bundle, "openvino-float32")
    assert record["tensorflow"] == record["value"] > 0.9
    monkeypatch.setattr(tiles, "SOLUTION", replace(own, forget=lambda *_: None))
    with pytest.raises(BrokenPromise, match=r"expected solvent\.Fitted"):
        optimize(bundle, "openvino-float32")


def test_a_runtime_that_was_damaged_is_refused(bundle: Path) -> None:
    optimize(bundle, "openvino-float32")
    with (bundle / "runtime" / "eye.bin").open("ab") as file:
        file.write(b"x")
    with pytest.raises(Refused, match=r"changed: runtime/eye\.bin"):
        Bundle.load(bundle)


def test_a_runtime_can_be_taken_back(bundle: Path) -> None:
    before = content(bundle)
    optimize(bundle, "openvino-float32")
    assert sorted(item.name for item in (bundle / "runtime").iterdir()) == [
        "eye.bin",
        "eye.xml",
        "head.bin",
        "head.xml",
    ]
    optimize(bundle, "tensorflow")
    assert content(bundle) == before


@pytest.mark.skipif(processor.lacks("bf16") is not None, reason="the processor has no bfloat16: run it on one that has")
def test_of_two_accepted_runtimes_the_faster_stays(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speeds = {"openvino-float32": 3.0, "tensorflow-bf16": 2.0, "openvino-bf16": 4.0}
    module = importlib.import_module("solvent.runtime.optimize")
    monkeypatch.setattr(module, "_times", lambda record: speeds[record["name"]])
    optimize(bundle, "openvino-float32")
    slower = optimize(bundle, "tensorflow-bf16", max_drop=1)
    assert slower["stays"] == "openvino-float32"
    assert "openvino-float32 is faster and stays" in module.sentence(slower)
    assert Bundle.load(bundle).facts["runtime"]["name"] == "openvino-float32"
    assert "stays" not in optimize(bundle, "openvino-bf16", max_drop=1)
    assert Bundle.load(bundle).facts["runtime"]["name"] == "openvino-bf16"


@pytest.mark.parametrize("name", NARROW)
def test_a_runtime_over_the_bar_is_refused_and_nothing_changes(bundle: Path, unchanged: None, name: str) -> None:
    with pytest.raises(BarMissed, match=r"a drop of .* -1 may be(.|\n)*is not accepted; .* is unchanged"):
        optimize(bundle, name, max_drop=-1)


def worse(model: keras.Model, factor: float) -> keras.Model:
    copy = keras.models.clone_model(model)
    copy.set_weights([factor * weight for weight in model.get_weights()])
    return copy


@pytest.mark.parametrize(
    ("factor", "says"),
    [(-1.0, r"a drop of 0\.\d+ \(95 %: 0\.\d+ to [01]\.\d+\)"), (np.nan, "80 of 80 validation cases can't be scored")],
)
def test_a_form_that_is_worse_is_refused(
    bundle: Path, unchanged: None, monkeypatch: pytest.MonkeyPatch, factor: float, says: str
) -> None:
    convert = openvino.convert
    damaged = lambda model, rows: convert(worse(model, factor) if model.name == "head" else model, rows)  # noqa: E731
    monkeypatch.setattr(openvino, "convert", damaged)
    with pytest.raises(BarMissed, match=says):
        optimize(bundle, "openvino-float32")


def test_where_lower_is_better_a_rise_is_the_drop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = config(tmp_path, ruler, ruler.rows(), {"machine": "unit"})
    (tmp_path / "config.yaml").write_text(path.read_text() + "settings: {training: {epochs: 2}}\n")
    solvent.train(path, tmp_path / "bundle")
    record = optimize(tmp_path / "bundle", "openvino-float32")
    assert (record["headline"], record["higher"]) == ("rmse", False)
    assert record["drop"]["value"] == pytest.approx(0, abs=1e-4)
    convert = openvino.convert
    monkeypatch.setattr(openvino, "convert", lambda model, rows: convert(worse(model, -1), rows))
    with pytest.raises(BarMissed, match=r"rmse .*: a drop of 0\.[1-9]|a drop of [1-9]"):
        optimize(tmp_path / "bundle", "openvino-float32")
    assert Bundle.load(tmp_path / "bundle").facts["runtime"] == record


def test_rows_that_are_read_as_context_are_neither_measured_nor_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every second row is context; ours asks the network of the others alone."""
    own = ruler.SOLUTION

    def scorer(settings: Any, fitted: Any) -> Any:
        score = own.scorer(settings, fitted)

        def answered(table: pd.DataFrame) -> pd.DataFrame:
            context = np.arange(len(table)) % 2 == 0
            return score(table[~context]).reindex(table.index).assign(context=context)

        return answered

    path = config(tmp_path, ruler, ruler.rows(), {"machine": "unit"})
    (tmp_path / "config.yaml").write_text(path.read_text() + "settings: {training: {epochs: 2}}\n")
    solvent.train(path, tmp_path / "bundle")
    whole = optimize(tmp_path / "bundle", "openvino-float32")
    monkeypatch.setattr(ruler, "SOLUTION", replace(own, scorer=scorer))
    monkeypatch.setattr(time, "perf_counter", itertools.count().__next__)
    record = optimize(tmp_path / "bundle", "openvino-float32")
    assert record["rows"] == whole["rows"] / 2
    assert record["rows_per_second"] == {"tensorflow": record["rows"], "openvino-float32": record["rows"]}
    assert record["drop"]["value"] == pytest.approx(0, abs=1e-4)


# Finding the validation rows again


def test_data_that_has_moved_is_found_by_another_config(project: Path, tmp_path: Path) -> None:
    home = Path(shutil.copytree(project, tmp_path / "home"))
    solvent.train(home / "config.yaml", home / "bundle")
    moved = Path(shutil.copytree(home, tmp_path / "moved"))
    (home / "rows.csv").unlink()
    with pytest.raises(Refused, match=rf"there is no file or folder {home}/rows\.csv(.|\n)*--config CONFIG"):
        optimize(home / "bundle", "openvino-float32")
    assert optimize(home / "bundle", "openvino-float32", config=moved / "config.yaml")["rows"] == 80


def test_other_rows_are_refused(project: Path, bundle: Path, unchanged: None, tmp_path: Path) -> None:
    other = config(tmp_path, tiles, tiles.rows().assign(grey=lambda table: table["grey"] + 1), {"label": "shade"})
    with pytest.raises(Refused, match=r"config\.yaml holds 160 rows that are not those that it was trained on"):
        optimize(bundle, "openvino-float32", config=other)


# A machine that can't


def test_a_processor_without_the_instructions_refuses_with_the_cure(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    optimize(bundle, "openvino-float32")
    facts = json.loads((bundle / "bundle.json").read_text())
    facts["runtime"]["name"] = "openvino-bf16"
    monkeypatch.setattr(processor, "instructions", lambda: frozenset({"avx2"}))
    with pytest.raises(Refused, match=r"none of amx_bf16, avx512_bf16\..*runtime='tensorflow'.*--to tensorflow"):
        forms.chosen(facts, None, "runs/bundle")
    assert forms.chosen(facts, "tensorflow", "runs/bundle") is None
    facts["runtime"] |= {"name": "openvino-int8", "unquantised": "bf16"}
    monkeypatch.setattr(processor, "instructions", lambda: frozenset({"avx512_vnni"}))
    with pytest.raises(Refused, match="none of amx_bf16, avx512_bf16"):
        forms.chosen(facts, None, "runs/bundle")
    assert Bundle.load(bundle).facts["runtime"]["name"] == "openvino-float32", "float32 needs nothing special"


def test_a_missing_package_refuses_with_the_cure(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    optimize(bundle, "openvino-float32")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refused, match=r"pip install openvino\).*runtime='tensorflow'"):
        Bundle.load(bundle)
    assert Bundle.load(bundle, runtime="tensorflow").facts["runtime"] is None


def test_a_runtime_that_the_bundle_does_not_have_is_named_with_those_it_has(bundle: Path) -> None:
    with pytest.raises(Refused, match=r"has no runtime 'openvino-int8'. It has: tensorflow\. `solvent optimize"):
        Bundle.load(bundle, runtime="openvino-int8")


# What the models are asked


def test_every_model_is_recorded_as_it_is_asked_and_without_padding(bundle: Path) -> None:
    loaded = Bundle.load(bundle)
    table = pd.DataFrame({"grey": np.arange(20.0, 40.0)})
    batches = recording.asked(loaded, table)
    assert sorted(batches) == ["eye", "head"]
    inputs = np.concatenate([given for given, _ in batches["eye"]])
    np.testing.assert_array_equal(inputs, tiles.pixels(table["grey"]))
    outputs = np.concatenate([found for _, found in batches["eye"]])
    np.testing.assert_array_equal(outputs, runtime.predict(loaded.fitted.models["eye"], inputs, tiles.BATCH_ROWS))
    np.testing.assert_array_equal(outputs, np.concatenate([given for given, _ in batches["head"]]))


def test_some_rows_keep_entities_whole() -> None:
    schema = Schema.declare(ruler.columns(None), {"machine": "unit"}, ["unit", "x", "y"], table="rows")
    rows = schema.rename(ruler.rows(machines=30, each=12), table_name="rows", targets=True)
    some = recording.some(rows, schema, 50, seed=0)
    assert len(some) == 60, "five machines of twelve rows are the fewest that hold fifty"
    assert set(some["machine"].value_counts()) == {12}
    assert some.index.is_monotonic_increasing


# Export


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("savedmodel", ["eye", "head"]),
        ("openvino", ["eye.bin", "eye.xml", "head.bin", "head.xml"]),
        ("litert", ["eye.tflite", "head.tflite"]),
        ("onnx", ["eye.onnx", "head.onnx"]),
    ],
)
def test_an_exported_network_gives_the_same_and_says_what_it_takes(
    bundle: Path, unchanged: None, tmp_path: Path, name: str, files: list[str]
) -> None:
    if name == "onnx":
        pytest.importorskip("tf2onnx")
    about = export(bundle, name, tmp_path / "out")
    assert sorted(item.name for item in (tmp_path / "out").iterdir()) == sorted([*files, "export.json"])
    assert json.loads((tmp_path / "out" / "export.json").read_text()) == about
    eye = about["networks"]["eye"]
    image = {"name": "image", "shape": [None, 8, 8, 3], "dtype": "float32"}
    assert eye["inputs"] == [{**image, "meaning": "pixels of 0 to 255"}]
    lightness = {"name": "output_0", "shape": [None, 4], "dtype": "float32"}
    assert eye["outputs"] == [{**lightness, "meaning": "how light it is, 0 to 1, four times"}]
    assert [set(each) for each in about["networks"]["head"]["outputs"]] == [{"name", "shape", "dtype"}]
    assert eye["parity"]["rows"] == 64
    assert eye["parity"]["largest_difference"] < 1e-5
    assert [output["name"] for output in about["outputs"]] == ["light", "class"]


def test_networks_with_several_inputs_and_open_sizes_are_exported_too(tmp_path: Path) -> None:
    model, inputs = tree()
    batch = (inputs, runtime.predict(model, inputs, ROWS))
    for name, (write, packages) in exporting.WRITERS.items():
        if all(importlib.util.find_spec(package) for package in packages):
            about = exporting._network(model, tmp_path / name, write, [batch], {})
            assert about["parity"]["largest_difference"] < 1e-5, name


def test_a_network_that_a_format_cannot_hold_is_named_with_the_reason(tmp_path: Path) -> None:
    write, _ = exporting.WRITERS["litert"]
    with pytest.raises(Refused, match=r"The model recurrent can't be converted: .*TensorList"):
        exporting._network(recurrent()[0], tmp_path / "recurrent", write, [], {})


def test_an_export_can_be_compared_on_rows_of_ones_own(bundle: Path, tmp_path: Path) -> None:
    tables.write(greys(), tmp_path / "new.csv")
    about = export(bundle, "savedmodel", tmp_path / "out", rows=tmp_path / "new.csv")
    assert about["networks"]["head"]["parity"]["rows"] == 37


def test_an_export_that_gives_other_numbers_leaves_nothing(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, _ = exporting.WRITERS["savedmodel"]
    wrong = lambda model, path: right(worse(model, 2), path)  # noqa: E731
    monkeypatch.setitem(exporting.WRITERS, "savedmodel", (wrong, ()))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SolventError, match=r"The model \w+ was converted, but its outputs differ by \d"):
        export(bundle, "savedmodel", tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before


def test_an_export_never_replaces_what_is_there_and_names_a_missing_package(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused, match="bundle is there already"):
        export(bundle, "savedmodel", bundle)
    monkeypatch.setitem(exporting.WRITERS, "onnx", (exporting.WRITERS["onnx"][0], ("not_a_package",)))
    with pytest.raises(Refused, match="--to onnx needs not_a_package: pip install not_a_package"):
        export(bundle, "onnx", tmp_path / "out")
