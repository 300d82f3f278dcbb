import hashlib
import http.server
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from solvent import Dataset, Folder, Refused, Remote, SolventError, cli, datasets

CONTENT = b"loan,bad\n" + b"".join(b"%d,%d\n" % (row, row % 3 == 0) for row in range(20_000))


class Shelf(http.server.ThreadingHTTPServer):
    """Serves one file, and remembers what it was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.content = CONTENT
        self.ranges = True
        self.lies_about_ranges = False
        self.cut_after: list[int] = []  # bytes sent before an answer is cut, one for each of the next answers
        self.statuses: list[int] = []  # answers before it serves the file
        self.asked: list[str | None] = []
        self.sent = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/loans.csv"


class Answer(http.server.BaseHTTPRequestHandler):
    server: Shelf

    def do_GET(self) -> None:
        shelf = self.server
        wanted = self.headers.get("Range")
        shelf.asked.append(wanted)
        if shelf.statuses:
            self.send_error(shelf.statuses.pop(0))
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and shelf.ranges else 0
        if start and start >= len(shelf.content):
            self.send_error(416)
            return
        body = shelf.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            begin = start - 1 if shelf.lies_about_ranges else start
            self.send_header("Content-Range", f"bytes {begin}-{len(shelf.content) - 1}/{len(shelf.content)}")
        self.end_headers()
        if shelf.cut_after:
            body = body[: shelf.cut_after.pop(0)]
        self.wfile.write(body)
        shelf.sent += len(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    server = Shelf()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOLVENT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SOLVENT_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(datasets, "SECONDS_BEFORE_RETRY", 0.0)
    return tmp_path / "cache" / "loans"


def loans(address: str, *, content: bytes = CONTENT, package: str | None = None) -> Dataset:
    remote = Remote(
        name="loans.csv", address=address, sha256=hashlib.sha256(content).hexdigest(), source="computed by the test"
    )
    return Dataset(
        name="loans",
        summary="Made loans.",
        licence="CC0",
        home="https://example.org/loans",
        read=lambda paths: pd.read_csv(paths["loans.csv"]),
        files=(remote,),
        package=package,
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_downloaded_once_and_then_read_from_the_cache(shelf: Shelf, cache: Path) -> None:
    table = datasets.load(loans(shelf.address))
    assert len(table) == 20_000
    assert table["bad"].sum() == 6_667
    assert datasets.fetch(loans(shelf.address)) == {"loans.csv": cache / "loans.csv"}
    assert shelf.asked == [None]
    assert names(cache) == ["loans.csv"]


def test_a_download_that_was_cut_goes_on_where_it_stopped(shelf: Shelf) -> None:
    shelf.cut_after = [10_000, 7_000]
    path = datasets.fetch(loans(shelf.address))["loans.csv"]
    assert path.read_bytes() == CONTENT
    assert shelf.asked == [None, "bytes=10000-", "bytes=17000-"]
    assert shelf.sent == len(CONTENT)


def test_a_download_that_another_process_left_is_gone_on_with(shelf: Shelf, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "loans.csv.part").write_bytes(CONTENT[:50_000])
    path = datasets.fetch(loans(shelf.address))["loans.csv"]
    assert path.read_bytes() == CONTENT
    assert shelf.asked == ["bytes=50000-"]
    assert names(cache) == ["loans.csv"]


def test_a_part_that_is_whole_already_is_only_renamed(shelf: Shelf, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "loans.csv.part").write_bytes(CONTENT)
    assert datasets.fetch(loans(shelf.address))["loans.csv"].read_bytes() == CONTENT
    assert shelf.sent == 0


def test_a_server_that_knows_no_ranges_is_asked_for_everything_again(shelf: Shelf) -> None:
    shelf.ranges = False
    shelf.cut_after = [10_000]
    assert datasets.fetch(loans(shelf.address))["loans.csv"].read_bytes() == CONTENT
    assert shelf.asked == [None, "bytes=10000-"]


def test_a_range_that_begins_elsewhere_is_not_glued_on(shelf: Shelf) -> None:
    shelf.cut_after = [10_000]
    shelf.lies_about_ranges = True
    assert datasets.fetch(loans(shelf.address))["loans.csv"].read_bytes() == CONTENT


def test_what_an_earlier_version_of_the_file_left_is_thrown_away(shelf: Shelf, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "loans.csv.part").write_bytes(b"x" * 500)
    assert datasets.fetch(loans(shelf.address))["loans.csv"].read_bytes() == CONTENT
    assert shelf.asked == ["bytes=500-", None]


def test_a_file_with_another_sha256_is_refused_and_not_kept(shelf: Shelf, cache: Path) -> None:
    with pytest.raises(Refused) as refusal:
        datasets.fetch(loans(shelf.address, content=b"what was meant"))
    message = str(refusal.value)
    assert hashlib.sha256(CONTENT).hexdigest() in message
    assert hashlib.sha256(b"what was meant").hexdigest() in message
    assert "computed by the test" in message
    assert shelf.address in message
    assert names(cache) == []


def test_a_file_may_be_known_by_its_md5(shelf: Shelf, cache: Path) -> None:
    known = loans(shelf.address)
    for content, right in ((CONTENT, True), (b"what was meant", False)):
        total = hashlib.md5(content, usedforsecurity=False).hexdigest()
        remote = Remote(name="loans.csv", address=shelf.address, md5=total, source="computed by the test")
        if right:
            assert datasets.fetch(replace(known, files=(remote,)))["loans.csv"].read_bytes() == CONTENT
            (cache / "loans.csv").unlink()
        else:
            with pytest.raises(Refused, match=f"its md5 is .* expected {total}"):
                datasets.fetch(replace(known, files=(remote,)))


def test_a_damaged_file_in_the_cache_is_replaced(shelf: Shelf, cache: Path) -> None:
    datasets.fetch(loans(shelf.address))
    (cache / "loans.csv").write_bytes(CONTENT[:-1])
    assert datasets.fetch(loans(shelf.address))["loans.csv"].read_bytes() == CONTENT
    assert shelf.asked == [None, None]


def test_a_busy_server_is_asked_again(shelf: Shelf) -> None:
    shelf.statuses = [503, 429]
    assert datasets.fetch(loans(shelf.address))["loans.csv"].read_bytes() == CONTENT


def test_a_missing_file_is_refused_at_once_with_the_cure(shelf: Shelf) -> None:
    shelf.statuses = [404]
    with pytest.raises(Refused, match="answers 404") as refusal:
        datasets.fetch(loans(shelf.address))
    assert "SOLVENT_DATA" in str(refusal.value)
    assert shelf.asked == [None]


def test_a_server_that_only_ever_cuts_is_given_up(shelf: Shelf) -> None:
    shelf.ranges = False
    shelf.cut_after = [10_000] * 100
    with pytest.raises(SolventError, match="bytes early") as failure:
        datasets.fetch(loans(shelf.address))
    assert not isinstance(failure.value, Refused)
    assert len(shelf.asked) == 1 + datasets.ATTEMPTS


def test_without_a_network_the_error_says_how_to_bring_the_file_by_hand(shelf: Shelf) -> None:
    dataset = loans(shelf.address)
    shelf.shutdown()
    shelf.socket.close()
    with pytest.raises(SolventError) as failure:
        datasets.load(dataset)
    assert failure.value.exit_code == 1
    for needed in (shelf.address, dataset.files[0].sha256, "export SOLVENT_DATA=", dataset.home):
        assert needed in str(failure.value)


def test_solvent_data_is_searched_before_the_network(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, content in (("a", b"another file of that name"), ("b/deep", CONTENT)):
        (tmp_path / "mine" / folder).mkdir(parents=True)
        (tmp_path / "mine" / folder / "loans.csv").write_bytes(content)
    (tmp_path / "mine" / "b" / "loop").symlink_to(tmp_path / "mine")
    monkeypatch.setenv("SOLVENT_DATA", str(tmp_path / "mine"))
    assert datasets.fetch(loans(shelf.address)) == {"loans.csv": tmp_path / "mine" / "b" / "deep" / "loans.csv"}
    assert shelf.asked == []


def test_a_file_of_the_name_with_another_sha256_is_named_when_the_network_fails(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loans.csv").write_bytes(b"another file of that name")
    monkeypatch.setenv("SOLVENT_DATA", str(tmp_path))
    shelf.statuses = [404]
    with pytest.raises(Refused) as refusal:
        datasets.fetch(loans(shelf.address))
    assert f"{tmp_path / 'loans.csv'} there has another sha256" in str(refusal.value)


def test_a_solvent_data_that_is_no_folder_is_refused(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOLVENT_DATA", str(tmp_path / "typo"))
    with pytest.raises(Refused, match="typo"):
        datasets.fetch(loans(shelf.address))


def test_get_puts_the_file_into_the_folder_that_was_asked_for(shelf: Shelf, tmp_path: Path, cache: Path) -> None:
    assert datasets.fetch(loans(shelf.address), tmp_path / "new" / "here")["loans.csv"].read_bytes() == CONTENT
    assert names(tmp_path / "new" / "here") == ["loans.csv"]
    datasets.fetch(loans(shelf.address), tmp_path / "new" / "here")
    assert len(shelf.asked) == 1
    datasets.fetch(loans(shelf.address))  # into the cache
    datasets.fetch(loans(shelf.address), tmp_path / "copied")
    assert (tmp_path / "copied" / "loans.csv").read_bytes() == CONTENT
    assert len(shelf.asked) == 2


def test_get_never_overwrites_a_file_of_the_users(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "loans.csv").write_bytes(b"the user's own")
    with pytest.raises(Refused, match="another file"):
        datasets.fetch(loans(shelf.address), tmp_path)
    assert (tmp_path / "loans.csv").read_bytes() == b"the user's own"


def test_two_at_once_download_it_once(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="solvent")
    with ThreadPool(4) as pool:
        paths = pool.map(lambda _: datasets.fetch(loans(shelf.address))["loans.csv"], range(4))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert shelf.asked == [None]


def test_a_data_set_that_a_package_carries_needs_the_package() -> None:
    carried = Dataset(
        name="frames",
        summary="",
        licence="CC0",
        home="https://example.org",
        read=lambda paths: pd.DataFrame({"paths": [len(paths)]}),
        package="pandas",
    )
    assert datasets.load(carried)["paths"].tolist() == [0]
    missing = Dataset(**{**carried.__dict__, "package": "no-such-package-here"})
    with pytest.raises(Refused, match="pip install no-such-package-here"):
        datasets.load(missing)


def test_a_name_with_a_path_in_it_is_a_mistake_of_the_domain(tmp_path: Path) -> None:
    remote = Remote(name="../loans.csv", address="http://127.0.0.1/", sha256="0", source="")
    with pytest.raises(ValueError, match="plain file name"):
        datasets.fetch(Dataset(name="x", summary="", licence="", home="", read=pd.DataFrame, files=(remote,)), tmp_path)


PHOTOS = {"dull/b.jpg": b"two", "dull/a.jpg": b"one", "shiny/a.jpg": b"three"}
# find . -name '*.jpg' -printf '%P\n' | LC_ALL=C sort | xargs sha256sum | sha256sum
PHOTOS_SUM = "e2576313af4a684f8f0b28ed70108dca25fd7c8b0a1df1363515418ccbe45cf8"


def metal(sum_of_list: str = PHOTOS_SUM) -> Dataset:
    folder = Folder(
        name="metal-2013",
        ending=".jpg",
        count=3,
        sha256=sum_of_list,
        source="computed by sha256sum",
        by_hand="Ask the authors for it.",
    )
    home = "https://example.org/metal"
    return Dataset(name="metal", summary="", licence="", home=home, read=lambda paths: paths, files=(folder,))


@pytest.fixture
def shelves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SOLVENT_DATA with the folder deep inside; other files lie beside the photos."""
    for name, content in {**PHOTOS, "boxes.zip": b"of no interest"}.items():
        path = tmp_path / "shelves" / "vision" / "metal-2013" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.setenv("SOLVENT_DATA", str(tmp_path / "shelves"))
    return tmp_path / "shelves"


def test_a_folder_is_found_by_its_name_and_the_sum_of_its_files(shelves: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = shelves / "vision" / "metal-2013"
    assert datasets.fetch(metal()) == {"metal-2013": found}
    monkeypatch.setenv("SOLVENT_DATA", str(found))
    assert datasets.fetch(metal()) == {"metal-2013": found}
    (shelves / "metal-2013" / "dull").mkdir(parents=True)  # another one of that name, met first
    monkeypatch.setenv("SOLVENT_DATA", str(shelves))
    assert datasets.fetch(metal()) == {"metal-2013": found}


@pytest.mark.parametrize("change", ["a photo less", "another photo", "a photo more", "another name"])
def test_a_folder_with_another_photo_is_refused_with_both_sums(shelves: Path, change: str) -> None:
    folder = shelves / "vision" / "metal-2013"
    if change == "a photo less":
        (folder / "dull" / "a.jpg").unlink()
    elif change == "another name":
        (folder / "dull" / "a.jpg").rename(folder / "dull" / "c.jpg")
    else:
        (folder / "dull" / ("a.jpg" if change == "another photo" else "c.jpg")).write_bytes(b"four")
    with pytest.raises(Refused) as refusal:
        datasets.fetch(metal())
    count = {"a photo less": 2, "a photo more": 4}.get(change, 3)
    for needed in (str(folder), f"its {count} .jpg files (expected 3)", PHOTOS_SUM, "computed by sha256sum"):
        assert needed in str(refusal.value)


def test_a_folder_that_is_not_there_is_refused_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused, match="SOLVENT_DATA is not set") as refusal:
        datasets.fetch(metal())
    for needed in ("Ask the authors for it.", "export SOLVENT_DATA=", "https://example.org/metal"):
        assert needed in str(refusal.value)
    monkeypatch.setenv("SOLVENT_DATA", str(tmp_path))
    with pytest.raises(Refused, match="none below SOLVENT_DATA"):
        datasets.fetch(metal())


def test_a_folder_is_copied_to_where_it_is_asked_for(shelves: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert datasets.fetch(metal(), tmp_path / "mine") == {"metal-2013": tmp_path / "mine" / "metal-2013"}
    copied = {path.relative_to(tmp_path / "mine" / "metal-2013") for path in (tmp_path / "mine").rglob("*.*")}
    assert copied == {Path(name) for name in PHOTOS}
    (tmp_path / "mine" / "metal-2013" / "dull" / "a.jpg").write_bytes(b"the user's own")
    with pytest.raises(Refused, match="is not it"):
        datasets.fetch(metal(), tmp_path / "mine")
    assert (tmp_path / "mine" / "metal-2013" / "dull" / "a.jpg").read_bytes() == b"the user's own"


def test_get_writes_images_as_parquet_and_plain_cells_as_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {"photos": pd.DataFrame({"photo": [None, b"\x89PNG"]}), "loans": pd.DataFrame({"loan": [1]})}
    known = [
        ("toy", Dataset(name=name, summary="", licence="", home="", made=True, read=lambda _, table=table: table))
        for name, table in tables.items()
    ]
    monkeypatch.setattr(cli, "_datasets", lambda: iter(known))
    for name in tables:
        done = CliRunner().invoke(cli.main, ["data", "get", name, "--to", str(tmp_path)])
        assert done.exit_code == 0, done.output
    assert names(tmp_path) == ["loans.csv", "photos.parquet"]
    assert pd.read_parquet(tmp_path / "photos.parquet")["photo"].tolist() == [None, b"\x89PNG"]
