"""Batch scoring of JPEG files with VGG16: files in, Parquet out, each runtime beside Keras's `model.predict`.

    python tests/benchmarks/vision_scoring.py --weights vgg16_notop.weights.h5 --data neu-steel-surface
    python tests/benchmarks/vision_scoring.py --bundle runs/neu/bundle [--files 5000] [--runs 1] [--out FILE]

Without --bundle one is trained first: VGG16 at 224 with those ImageNet weights, on the photos of --data (NEU surface
defects: a folder for each class). The files that are scored are made of those photos: 640 by 480, colour, noise on each
of its own, JPEG of quality 90. `solvent optimize` then makes each runtime, on validation rows.

Each case is a process of its own, and they take turns; start-up, until a first batch is scored, is not counted. Both
sides decode: `predict` by tf.data (decode_jpeg, resize, prefetch, all parallel) with the bundle's own network, and then
softmax and Parquet by pandas; ours is `solvent score`, with checks, calibration, quarantine and hashes. Shares are of
the seconds of the whole: decoding (CPU seconds, beside the network; for tf.data the pipeline alone), the network,
writing.

The peak is what the machine gives at most on one large matrix product in each precision, measured in this run; beside
it stands what the network's own multiplications come to. (Winograd convolutions need fewer than are counted.) The
accuracy drop is TensorFlow's float32 less int8's on the bundle's test rows, paired, with its 95 % interval.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from written import write

RUNTIMES = ("tensorflow", "tensorflow-bf16", "openvino-bf16", "openvino-int8")
CASES = ("predict float32", "predict mixed_bfloat16", *RUNTIMES)
LEAST, AIM, MOST_DROP = 3.5, 4.0, 0.005  # times predict in float32; of the accuracy
SIDE = 4096  # of the matrices whose product is the peak


# Made once


def make_files(case: Mapping[str, Any]) -> dict[str, Any]:
    photos = sorted(Path(case["data"]).rglob("*.jpg"))
    if not photos:
        sys.exit(f"--data {case['data']}: there are no .jpg files below it.")
    random, folder = np.random.default_rng(0), Path(case["files"])
    folder.mkdir()
    for number in range(case["count"]):
        photo = Image.open(photos[number % len(photos)]).convert("RGB").resize((640, 480), Image.Resampling.BICUBIC)
        noisy = np.asarray(photo, np.int16) + random.normal(0, 6, (480, 640, 1)).astype(np.int16)
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(folder / f"{number:05d}.jpg", quality=90)
    return {}


def train(case: Mapping[str, Any]) -> dict[str, Any]:
    import solvent

    settings = {"backbone": "vgg16", "weights": case["weights"], "size": 224}
    config = {"solution": "vision", "data": {"rows": case["data"]}, "settings": settings}
    return {"headline": solvent.train(config, case["bundle"]).headline}


def optimize(case: Mapping[str, Any]) -> dict[str, Any]:
    from solvent.runtime.optimize import optimize

    record = optimize(case["bundle"], case["runtime"], max_drop=1.0)  # the bar is this benchmark's own
    return {"record": record}


def drop(case: Mapping[str, Any]) -> dict[str, Any]:
    """The headline of the test rows in TensorFlow, and by how much less it is in another runtime."""
    from solvent import Bundle, config
    from solvent.evaluation import OURS, Judge, Scored
    from solvent.prepare import prepare

    plain, other = Bundle.load(case["bundle"], runtime="tensorflow"), Bundle.load(case["bundle"])
    rows = prepare(config.load(plain.facts["config"], base=Path(plain.facts["config_folder"]))).part("test")
    judge = Judge(plain.solution, plain.settings, plain.schema)
    scored = Scored.of(judge.cases(rows), {OURS: plain.scorer(), "other": other.scorer()})
    ours, theirs = (judge.measure(scored.rows, scored.by_model[name]) for name in (OURS, "other"))
    return {"rows": len(scored.rows), "tensorflow": ours.headline, "drop": ours.difference(theirs)}


def peak(case: Mapping[str, Any]) -> dict[str, Any]:
    """Multiplications and additions a second of one matrix product, by precision."""
    import openvino as ov
    from openvino import opset13 as ops

    from solvent import startup
    from solvent.runtime.openvino import quantised

    startup.tensorflow()
    import tensorflow as tf

    random = np.random.default_rng(0)
    left, right = (random.normal(size=(SIDE, SIDE)).astype(np.float32) for _ in range(2))
    given = ops.parameter([SIDE, SIDE], np.float32, name="input")
    product = ov.Model([ops.matmul(given, ops.constant(right), False, False)], [given])
    found: dict[str, float] = {}
    for precision, hint in (("float32", "f32"), ("bf16", "bf16"), ("int8", "f32")):
        model = quantised(product.clone(), [{"input": left}]) if precision == "int8" else product
        request = ov.Core().compile_model(
            model, "CPU", {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": os.cpu_count()}
        )
        request = request.create_infer_request()
        found[precision] = _best(lambda request=request: request.infer([left], share_inputs=True, share_outputs=True))
    for precision, kind in (("float32", tf.float32), ("bf16", tf.bfloat16)):
        a, b = tf.cast(left, kind), tf.cast(right, kind)
        found[precision] = max(found[precision], _best(lambda a=a, b=b: tf.reduce_sum(tf.matmul(a, b)[:1, :1]).numpy()))
    return {"operations_per_second": found, "network": _operations(case["bundle"])}


def _best(product: Callable[[], Any]) -> float:
    product()
    seconds = []
    for _ in range(4):
        started = time.perf_counter()
        product()
        seconds.append(time.perf_counter() - started)
    return 2 * SIDE**3 / min(seconds)


def _operations(bundle: str) -> float:
    """Multiplications and additions of all convolutions and dense layers for one image."""
    import keras

    from solvent import Bundle

    total = 0
    for layer in Bundle.load(bundle, runtime="tensorflow").fitted.models["model"]._flatten_layers():
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            total += 2 * int(np.prod(layer.kernel.shape)) * int(np.prod(layer.output.shape[1:-1]))
    return float(total)


# Measured


class Clocks:
    """Seconds by step, of all threads: on the clock and on the processor."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, np.ndarray] = defaultdict(lambda: np.zeros(2))
        self._lock = threading.Lock()

    def timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            start = np.array([time.perf_counter(), time.thread_time()])
            try:
                return function(*arguments, **options)
            finally:
                with self._lock:
                    self.spent[step] += np.array([time.perf_counter(), time.thread_time()]) - start

        return run


def solvent_once(case: Mapping[str, Any]) -> dict[str, Any]:
    from solvent import Bundle, images
    from solvent.runtime import batches, tensorflow
    from solvent.score import run as scoring
    from solvent.score import writer

    runtime = "tensorflow" if case["case"] == "tensorflow" else None
    clocks, bundle = Clocks(), Bundle.load(case["bundle"], runtime=runtime)
    images.pixels = clocks.timed("decode", images.pixels)
    scoring.write_part = clocks.timed("write", scoring.write_part)
    writer.Files.join_into = clocks.timed("write", writer.Files.join_into)
    function = tensorflow.function  # bfloat16 asks it too, through its own module
    bundle.fitted.forms.update({name: clocks.timed("network", form) for name, form in bundle.fitted.forms.items()})
    if runtime:
        batches.tensorflow.function = lambda model: clocks.timed("network", function(model))
    scoring.score(bundle, case["first"], f"{case['output']}.first.parquet")
    clocks.spent.clear()
    started = time.perf_counter()
    manifest = scoring.score(bundle, case["source"], case["output"])
    seconds = time.perf_counter() - started
    assert manifest["runtime"] == case["case"]
    return {
        "seconds": seconds,
        "set_aside": manifest["rows_set_aside"],
        "decode": clocks.spent["decode"][1],
        "network": clocks.spent["network"][0],
        "write": clocks.spent["write"][0],
    }


def predict_once(case: Mapping[str, Any]) -> dict[str, Any]:
    from solvent import Bundle
    from solvent.precision import in_precision

    bundle = Bundle.load(case["bundle"], runtime="tensorflow")
    import tensorflow as tf

    size, rows, model = bundle.fitted.facts["size"], bundle.fitted.batch_rows, bundle.fitted.models["model"]
    classes = bundle.fitted.facts["classes"]
    if case["case"].endswith("bfloat16"):
        model = in_precision(model, "mixed_bfloat16")

    def pixels(path: Any) -> Any:
        return tf.image.resize(tf.io.decode_jpeg(tf.io.read_file(path), channels=3), (size, size))

    def batches(paths: list[str]) -> Any:
        found = tf.data.Dataset.from_tensor_slices(paths).map(pixels, num_parallel_calls=tf.data.AUTOTUNE)
        return found.batch(rows).prefetch(tf.data.AUTOTUNE)

    column = bundle.schema.field("image").source
    paths = list(pd.read_csv(case["source"])[column])
    model.predict(batches(paths[:rows]), verbose=0)
    started = time.perf_counter()
    logits = model.predict(batches(paths), verbose=0)
    network = time.perf_counter() - started
    chance = tf.nn.softmax(tf.cast(logits, tf.float32)).numpy()
    scores = pd.DataFrame(chance, columns=[f"probability_{name}" for name in classes])
    scores.insert(0, "class", np.array(classes)[chance.argmax(axis=1)])
    scores.assign(**{column: paths}).to_parquet(case["output"])
    seconds = time.perf_counter() - started
    alone = time.perf_counter()
    for _ in batches(paths):
        pass
    return {
        "seconds": seconds,
        "set_aside": 0,
        "decode": time.perf_counter() - alone,
        "network": network,
        "write": seconds - network,
    }


def score_once(case: Mapping[str, Any]) -> dict[str, Any]:
    return predict_once(case) if case["case"].startswith("predict") else solvent_once(case)


WORK = {"files": make_files, "train": train, "optimize": optimize, "drop": drop, "peak": peak, "score": score_once}


def in_a_process(work: str, **case: Any) -> dict[str, Any]:
    print(f"{time.strftime('%H:%M:%S')} {work} {case.get('case', case.get('runtime', ''))}", file=sys.stderr)
    command = [sys.executable, __file__, "--work", work, "--case", json.dumps(case)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


# The tables


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    bundle = options.bundle
    if bundle is None:
        bundle = folder / "bundle"
        print(in_a_process("train", data=options.data, weights=options.weights, bundle=str(bundle))["headline"])
    in_a_process("files", data=options.data, files=str(folder / "files"), count=options.files)
    copies, records = {}, {}
    for name in RUNTIMES:
        copies[name] = str(shutil.copytree(bundle, folder / name))
        if name != "tensorflow":
            records[name] = in_a_process("optimize", bundle=copies[name], runtime=name)["record"]
    column = _image_column(Path(bundle))
    paths = sorted(str(path) for path in (folder / "files").iterdir())
    pd.DataFrame({column: paths}).to_csv(folder / "files.csv", index=False)
    pd.DataFrame({column: paths[:32]}).to_csv(folder / "first.csv", index=False)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in CASES}
    for _ in range(options.runs):
        for number, name in enumerate(CASES):
            case = {
                "case": name,
                "bundle": copies.get(name, copies["tensorflow"]),
                "source": str(folder / "files.csv"),
                "first": str(folder / "first.csv"),
                "output": str(folder / f"scores-{number}.parquet"),
            }
            runs[name].append(in_a_process("score", **case))
    return {
        "runs": runs,
        "records": records,
        "drop": in_a_process("drop", bundle=copies["openvino-int8"]),
        "peak": in_a_process("peak", bundle=copies["tensorflow"]),
    }


def _image_column(bundle: Path) -> str:
    fields = json.loads((bundle / "bundle.json").read_text())["schema"]["fields"]
    return next(field["source"] for field in fields if field["kind"] == "image")


def table(found: Mapping[str, Any], files: int) -> list[dict[str, Any]]:
    """A row for each case: medians over the runs."""
    rows = []
    for name, runs in found["runs"].items():
        median = {what: statistics.median(run[what] for run in runs) for what in runs[0]}
        precision = "int8" if "int8" in name else "bf16" if "bf" in name else "float32"
        rate = files / median["seconds"]
        used = rate * found["peak"]["network"] / found["peak"]["operations_per_second"][precision]
        rows.append({"case": name, "images_per_second": rate, **median, "share_of_peak": used})
    for row in rows:
        row["times_predict"] = row["images_per_second"] / rows[0]["images_per_second"]
    return rows


def show(rows: list[dict[str, Any]], found: Mapping[str, Any]) -> None:
    names = ("images/s", "times", "seconds", "network", "decode", "write", "peak")
    print(f"{'case':<24} " + " ".join(f"{name:>8}" for name in names))
    for row in rows:
        shares = [row[what] / row["seconds"] for what in ("network", "decode", "write")]
        print(
            f"{row['case']:<24} {row['images_per_second']:>8.1f} {row['times_predict']:>7.2f}x {row['seconds']:>8.1f} "
            f"{shares[0]:>8.0%} {shares[1]:>8.0%} {shares[2]:>8.1%} {row['share_of_peak']:>8.0%}"
        )
    print(f"int8 must be {LEAST} times predict in float32, and aims at {AIM}")
    giga = {name: f"{value / 1e9:,.0f}" for name, value in found["peak"]["operations_per_second"].items()}
    print(f"peak, billions of operations a second: {giga}; an image takes {found['peak']['network'] / 1e9:.1f}")
    drop = found["drop"]
    low, high = drop["drop"]["low"], drop["drop"]["high"]
    interval = "no interval" if low is None else f"95 %: {low:.4f} to {high:.4f}"
    print(
        f"int8 on {drop['rows']} test rows: {drop['tensorflow']:.4f} less {drop['drop']['value']:.4f} ({interval}); "
        f"{MOST_DROP} may be"
    )


def main() -> None:
    data = Path(os.environ.get("SOLVENT_DATA", "data")) / "vision" / "neu-steel-surface"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="a trained bundle of vision")
    parser.add_argument("--data", default=str(data), help="folder of class folders of .jpg photos")
    parser.add_argument("--weights", default="imagenet", help="of VGG16 without its top, where no --bundle is given")
    parser.add_argument("--files", type=int, default=5_000)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "vision_scoring.json")
    parser.add_argument("--work", choices=WORK, help=argparse.SUPPRESS)
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print(json.dumps(WORK[options.work](options.case)))
        return
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options, Path(folder))
    rows = table(found, options.files)
    show(rows, found)
    versions = {name: record["versions"] for name, record in found["records"].items()}
    protocol = {
        "bundle": str(options.bundle or "trained here: VGG16 at 224"),
        "files": options.files,
        "photos": "640 by 480, JPEG quality 90, made of the photos of --data with noise",
        "runs": f"medians of {options.runs} processes each, in turns; start-up is not counted",
        "peak": f"one product of two matrices of {SIDE}, best of 4, OpenVINO's or TensorFlow's",
    }
    write(options.out, protocol, versions, results=rows, **{key: found[key] for key in ("records", "drop", "peak")})


if __name__ == "__main__":
    main()
