"""What the scan notices about images and labels: near copies, odd sizes, labels that look wrong."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from solvent import Column, Columns, Data, images
from solvent.scan import images as scan_images
from solvent.scan import scan
from solvent.scan.labels import check_labels, label_finding, suspicious
from solvent.schema import Field, Schema
from solvent.solution import Finding

SCHEMA = Schema(fields=(Field(name="image", source="file", role="feature", kind="image"),))


def named(findings: list[Finding], name: str) -> Finding:
    (found,) = [item for item in findings if item.name == name]
    return found


def encoded(pixels: np.ndarray, kind: str = "PNG", **options: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def photos(count: int) -> list[np.ndarray]:
    """Pieces of two photos that do not overlap."""
    pieces = []
    for photo in load_sample_images().images:
        pieces += [photo[y : y + 100, x : x + 100] for y in range(0, 400, 100) for x in range(0, 600, 100)]
    # the piece of plain sky would be a flat one
    return sorted(pieces, key=lambda piece: -piece.std())[:count]


def surfaces(count: int, kind: str) -> list[np.ndarray]:
    """Surfaces in one light, which differ in their grain only; or blank sheets of several greys."""
    random = np.random.default_rng(0)
    light = np.linspace(110, 160, 200)[None, :]
    grain = 8 if kind == "even" else 0
    found = [light + random.normal(0, grain, (200, 200)) for _ in range(count)]
    if kind == "blank":
        found = [np.full((200, 200), 200 + number) for number in range(count)]
    return [np.repeat(np.rint(one).astype(np.uint8)[..., None], 3, axis=2) for one in found]


def parts_of(**cells: list[object]) -> dict[str, pd.DataFrame]:
    return {part: pd.DataFrame({"image": pd.Series(given, dtype=object)}) for part, given in cells.items()}


def again(pixels: np.ndarray) -> list[bytes]:
    """What becomes of an image: saved as JPEG, made smaller, made brighter."""
    small = np.asarray(Image.fromarray(pixels).resize((70, 70)))
    brighter = np.clip(pixels * 1.05 + 4, 0, 255).astype(np.uint8)
    return [encoded(pixels, "JPEG", quality=50), encoded(small, "JPEG", quality=85), encoded(brighter)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """20 photos: the first was saved again in train, the second in test, and the third has an exact copy in test."""
    root = tmp_path_factory.mktemp("pictures")
    pieces = photos(20)
    contents = {f"train/{number}.png": encoded(piece) for number, piece in enumerate(pieces[:14])}
    contents |= {f"test/{number}.png": encoded(piece) for number, piece in enumerate(pieces[14:])}
    contents["train/0_saved.jpg"] = again(pieces[0])[0]
    contents["test/1_small.jpg"] = again(pieces[1])[1]
    contents["test/2_copy.png"] = contents["train/2.png"]
    for name, content in contents.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(content)
    return {part: sorted(str(file) for file in (root / part).iterdir()) for part in ("train", "test")}


def test_near_copies_are_found_inside_and_across_the_split(folder) -> None:
    found = scan(parts_of(**folder), SCHEMA, given=True, near_copies="refusal")
    near = named(found, "near_copies")
    assert (near.severity, near.count, near.columns) == ("refusal", 4, ("file",))
    assert "4 rows have images" in near.message and "1 of them have theirs on another side" in near.message
    # the pair that lies across is the example; paths are short
    assert "such as train/1.png in train and test/1_small.jpg in test" in near.message
    with Image.open(io.BytesIO(near.picture)) as picture:
        assert picture.format == "PNG" and picture.width == 4 * 112 + 2 * 4 + 18  # two pairs
    copies = named(found, "copies")
    assert copies.count == 2  # an exact copy is no near copy too


def test_one_image_with_several_labels_is_a_contradiction(folder) -> None:
    schema = Schema(fields=(*SCHEMA.fields, Field(name="label", source="kind", role="target", kind="category")))
    parts = parts_of(**folder)
    labelled = {part: table.assign(label="good") for part, table in parts.items()}
    assert "contradictions" not in {item.name for item in scan(labelled, schema, given=True)}
    labelled["test"].loc[parts["test"]["image"].str.contains("copy"), "label"] = "bad"
    found = named(scan(labelled, schema, given=True), "contradictions")
    assert (found.severity, found.count, found.columns) == ("warning", 2, ("file", "kind"))
    assert "1 image with copies under another label, in 2 rows" in found.message
    assert "train/2.png (good) and test/2_copy.png (bad)" in found.message


def test_several_labels_of_one_image_may_be_given_in_any_order() -> None:
    schema = Schema(fields=(*SCHEMA.fields, Field(name="label", source="kinds", role="target", kind="list")))
    photo, other = (encoded(piece) for piece in photos(2))
    lists = [["pit", "scratch"], ["scratch", "pit"], ["pit"], []]
    table = pd.DataFrame({"image": [photo, photo, other, other], "label": lists})
    assert "contradictions" not in {item.name for item in scan({"train": table[:3]}, schema, given=True)}
    found = named(scan({"train": table}, schema, given=True), "contradictions")
    assert "row 3 (pit) and row 4 (none)" in found.message and found.count == 2


@pytest.mark.parametrize(
    ("classes", "severity"), [(("Test", "cats"), "warning"), (("test", "val"), "refusal"), (("tests", "cats"), None)]
)
def test_classes_that_are_called_as_parts_are_told(classes: tuple[str, str], severity: str | None) -> None:
    schema = Schema(fields=(*SCHEMA.fields, Field(name="label", source="label", role="target", kind="category")))
    labels = [classes[number % 2] for number in range(8)]
    table = pd.DataFrame({"image": [encoded(piece) for piece in photos(8)], "label": labels})
    found = [item for item in scan({"train": table}, schema, given=True) if item.name == "part_as_class"]
    assert [item.severity for item in found] == ([severity] if severity else [])
    if found:
        assert classes[0] in found[0].message and "data: {train: FOLDER" in found[0].cure


def test_near_copies_on_one_side_are_only_noted(folder) -> None:
    everything = parts_of(train=folder["train"] + folder["test"])
    near = named(scan(everything, SCHEMA, given=True, near_copies="refusal"), "near_copies")
    assert near.severity == "note" and near.count == 4 and "0 of them have theirs on another" in near.message


@pytest.mark.parametrize("kind", ["even", "blank"])
def test_surfaces_that_hash_alike_are_no_near_copies(kind: str) -> None:
    cells = [encoded(surface) for surface in surfaces(12, kind)]
    marks = [images.look(cell).fingerprint for cell in cells]
    assert max((marks[0] ^ mark).bit_count() for mark in marks) <= scan_images.BITS
    assert not [item for item in scan(parts_of(train=cells), SCHEMA, given=True) if item.name == "near_copies"]


@pytest.mark.parametrize("plain", [False, True])
def test_an_image_that_was_saved_again_is_a_near_copy(plain: bool) -> None:
    cells, groups = [], []
    for number, pixels in enumerate(surfaces(4, "even") if plain else photos(4)):
        variants = again(pixels)
        # of an even surface, a small JPEG keeps the light and loses the grain
        cells += [encoded(pixels), *(variants[::2] if plain else variants)]
        groups += [number] * (3 if plain else 4)
    found = scan_images.near_groups(cells, [images.content_hash(cell) for cell in cells], None)
    assert pd.factorize(found)[0].tolist() == groups


def test_fingerprints_in_bands_give_the_pairs_of_a_full_comparison() -> None:
    random = np.random.default_rng(0)
    marks = random.integers(0, 2**64, 400, dtype=np.uint64)
    for row in range(1, 400, 4):  # some near, some a bit too far
        flipped = random.choice(64, random.integers(1, 10), replace=False)
        marks[row] = marks[row - 1] ^ np.uint64(sum(1 << int(bit) for bit in flipped))
    distance = np.bitwise_count(marks[:, None] ^ marks)
    expected = {(i, j) for i, j in zip(*np.nonzero(distance <= scan_images.BITS), strict=True) if i < j}
    found = {
        (min(i, j), max(i, j))
        for left, right in scan_images._near_marks(marks)
        for i, j in zip(left, right, strict=True)
    }
    assert {pair for pair in found if pair[0] != pair[1]} == expected and len(expected) > 40


def test_groups_are_those_of_the_whole_graph_when_its_edges_come_bit_by_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_images, "AT_ONCE", 2)
    edges = [(np.array([left]), np.array([right])) for left, right in ((0, 3), (1, 4), (5, 5), (3, 6), (4, 7), (6, 2))]
    labels = scan_images._joined(8, iter(edges))
    assert pd.factorize(labels)[0].tolist() == [0, 1, 0, 0, 1, 2, 0, 1]


def test_files_of_an_odd_size_are_noted(tmp_path: Path) -> None:
    sizes = [(100, 80), (110, 80)] * 20 + [(20, 16), (400, 80)]  # a thumbnail and a banner
    cells = []
    for number, (width, height) in enumerate(sizes):
        path = tmp_path / f"{number}.png"
        path.write_bytes(encoded(np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)))
        cells.append(str(path))
    odd = named(scan(parts_of(train=cells[:20], test=cells[20:]), SCHEMA, given=True), "odd_sizes")
    assert (odd.count, odd.severity, odd.columns) == (2, "note", ("file",)) and odd.picture
    assert "2 of 42 images of a size far from the rest's, which is about 105 × 80 pixels" in odd.message
    assert "41.png (400 × 80)" in odd.message and "40.png (20 × 16)" in odd.message
    mixed = [cells[41] if at % 8 == 0 else cell for at, cell in enumerate(cells)]  # such sizes are usual here
    assert not [item for item in scan(parts_of(train=mixed), SCHEMA, given=True) if item.name == "odd_sizes"]


def labelled(rows: int, swapped: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of three classes that come apart, given classes with some that are swapped, and where those are."""
    random = np.random.default_rng(0)
    truth = np.arange(rows) % 3
    logits = random.normal(0, 1, (rows, 3)) + 5 * np.eye(3)[truth]
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wrong = random.choice(rows, swapped, replace=False)
    given = truth.copy()
    given[wrong] = (given[wrong] + 1) % 3
    return probability, given, wrong


def test_swapped_labels_are_found_first_and_few_others() -> None:
    probability, given, wrong = labelled(300, 10)
    found = suspicious(probability, given)
    assert set(wrong) <= set(found) and len(found) <= 13
    assert set(found[:9]) <= set(wrong)  # the most suspicious first


def test_right_labels_are_not_suspected() -> None:
    probability, given, _ = labelled(300, 0)
    assert len(suspicious(probability, given)) <= 3
    assert len(suspicious(probability[given == 0], given[given == 0])) == 0  # one class alone


def test_suspicious_labels_are_told_with_what_they_look_like() -> None:
    probability, given, wrong = labelled(300, 10)
    classes = ("clean", "pit", "scratch")
    target = Field(name="target", source="defect", role="target", kind="category", levels=classes)
    show = Field(name="text", source="remark", role="feature", kind="text")
    rows = pd.DataFrame({"target": np.array(classes)[given], "text": [f"remark {row}" for row in range(300)]})
    (finding,) = label_finding(rows, target, classes, probability, show)
    worst = suspicious(probability, given)[0]
    assert worst in wrong
    assert (
        f"'remark {worst}' is {classes[given[worst]]!r} and looks like {classes[given[worst] - 1]!r}" in finding.message
    )
    assert (finding.name, finding.severity, finding.columns) == ("suspicious_labels", "warning", ("defect",))
    assert finding.picture == b"" and finding.count >= 10
    sure = np.eye(3)[given] * 0.9 + 1 / 30
    assert label_finding(rows, target, classes, sure, show) == ()


def test_suspicious_labels_of_images_have_a_contact_sheet(folder) -> None:
    cells = folder["train"]
    codes = np.arange(len(cells)) % 2
    probability = np.where(np.eye(2)[codes] > 0, 0.95, 0.05)
    codes[3] = 1 - codes[3]
    rows = pd.DataFrame({"target": np.array(["pit", "scratch"])[codes], "image": cells})
    target = Field(name="target", source="defect", role="target", kind="category", levels=("pit", "scratch"))
    (finding,) = label_finding(rows, target, ("pit", "scratch"), probability, SCHEMA.field("image"))
    assert finding.count == 1 and "/".join(Path(cells[3]).parts[-2:]) in finding.message
    with Image.open(io.BytesIO(finding.picture)) as picture:
        assert picture.size == (112, 112 + 3 * 14 + 6)


def remarks(tmp_path: Path, label: list[str], group: list[int] | None = None) -> Data:
    """Rows of two texts in three: every third one is a copy of the one before."""
    text = [f"remark {row - (row % 3 == 2)}" for row in range(len(label))]
    table = pd.DataFrame({"text": text, "label": label, "group": group or range(len(label))})
    roles = {"text": "text", "label": "label"} | ({} if group is None else {"group": "group"})
    declared = Columns(
        inputs=(Column(name="text", kind="text", meaning="what is said"),),
        targets=(Column(name="label", kind="category", meaning="its class"),),
        outputs=(),
    )
    schema = Schema.declare(declared, roles, list(table), table="made")
    renamed = schema.rename(table, table_name="made", targets=True)
    schema = schema.learn(renamed)
    return Data(schema.check(renamed, targets=True).good, table.head(0), schema, {}, 0, tmp_path)


def test_labels_are_checked_by_models_that_have_seen_neither_the_row_nor_its_copy(tmp_path) -> None:
    truth = ["clean", "clean", "clean", "pit", "pit", "pit"] * 10 + ["rare"] * 3
    given = truth.copy()
    given[4], given[30] = "clean", "pit"
    data = remarks(tmp_path, given)
    right = np.eye(3)[[["clean", "pit", "rare"].index(name) for name in truth]] * 0.94 + 0.02
    asked = []

    def answers(folds):
        for learnt, held in folds:
            assert not set(learnt) & set(held) and len(learnt) + len(held) == len(truth)
            assert not set(data.train["text"].iloc[learnt]) & set(data.train["text"].iloc[held])
            asked.extend(held)
            yield right[held]

    (finding,) = check_labels(data, "text", 5, answers)
    assert sorted(asked) == list(range(63))
    assert finding.name == "suspicious_labels" and finding.count == 2
    assert f"{finding.count} training rows of 60" in finding.message  # the class of three rows is left out
    assert "'remark 4' is 'clean' and looks like 'pit'" in finding.message
    assert "'remark 30' is 'pit' and looks like 'clean'" in finding.message


def test_labels_are_not_checked_where_fewer_than_two_classes_have_rows_for_every_fold(tmp_path) -> None:
    data = remarks(tmp_path, ["clean"] * 20 + ["pit"] * 4)
    assert check_labels(data, "text", 5, lambda folds: pytest.fail("no model is needed")) == ()


def test_it_is_said_that_labels_could_not_be_checked(tmp_path) -> None:
    data = remarks(tmp_path, ["clean", "pit"] * 15, group=[row % 3 for row in range(30)])
    (finding,) = check_labels(data, "text", 5, lambda folds: pytest.fail("there are no folds"))
    assert (finding.name, finding.severity) == ("labels_not_checked", "note")
    assert "Column label: wrong labels were not looked for. 5 folds are asked for" in finding.message
