"""Object stores: what is scored from one into one is what is scored here, whatever fails, and readers see one run."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from solvent import Refused, SolventError, demo, fetched, stores, tables
from solvent.drift import Alarms
from solvent.errors import Locked
from solvent.jobs.check import check
from solvent.jobs.reading import load
from solvent.jobs.run import days, run
from solvent.score import score

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

from made_loans import bundle, by_income, content_of, loans

import s3 as servers
from s3 import s3, server  # noqa: F401

INCOMES = [20, 30, "abc", 40, 50, 13, 60]
OUT = "s3://out-bucket/may/scores"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOLVENT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(stores, "SECONDS_BEFORE_RETRY", 0.01)
    return tmp_path / "cache"


@pytest.fixture
def memory() -> Any:
    """A store of this process."""
    fsspec = pytest.importorskip("fsspec", reason="pip install 'solvent-suite[s3]'")
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    return files


def put(files: Any, path: str, incomes: list[Any], tmp_path: Path, start: int = 0) -> Path:
    """Put a table of made loans there; gives the same file here."""
    here = loans(tmp_path / Path(path).name, incomes, start=start)
    files.pipe_file(path, here.read_bytes())
    return here


def scored(tmp_path: Path, source: Any, output: Any, function: Any = by_income, **more: Any) -> dict[str, Any]:
    made = bundle(tmp_path, function=function)
    return score(made, source, output, **{"chunk_rows": 2, "max_bad": 0.5, **more})


def locally(tmp_path: Path, source: Path, name: str = "local") -> dict[str, bytes]:
    """The bytes of the scores and of the rows set aside of a run on this machine."""
    scored(tmp_path, source, tmp_path / name)
    found = content_of(tmp_path, name)
    return {what: found[what] for what in sorted(found) if what.endswith((".parquet", ".csv"))}


def followed(files: Any, output: str) -> dict[str, bytes]:
    """The files that the manifest of a folder names, by their names in the run, with the sums that it says."""
    manifest = json.loads(files.cat_file(f"{output}/manifest.json"))
    found = {}
    for each in [*manifest["parts"], *manifest["quarantine"]]:
        content = files.cat_file(f"{output}/{each['name']}")
        assert hashlib.sha256(content).hexdigest() == each["sha256"]
        assert len(content) == each["bytes"]
        found[each["name"].removeprefix(manifest["run"] + "/")] = content
    return found


# A real server, which fails


@pytest.mark.s3
def test_what_is_scored_through_failures_has_the_bytes_of_a_local_run(tmp_path: Path, s3: Any) -> None:  # noqa: F811
    source = put(s3.files, "in-bucket/loans.csv", [*INCOMES * 2], tmp_path)
    expected = locally(tmp_path, source)
    s3.share, s3.slow = 0.15, 0.05
    scored(tmp_path, "s3://in-bucket/loans.csv", OUT)
    manifest = scored(tmp_path, "s3://in-bucket/loans.csv", f"{OUT}.csv")
    s3.share = 0.0
    files = s3.files
    assert followed(files, OUT) == expected
    assert files.cat_file(f"{OUT}.csv") == locally(tmp_path, source, "local.csv")["local.csv"]
    assert json.loads(files.cat_file(f"{OUT}.csv.manifest.json")) == manifest
    assert manifest["parts"][0]["sha256"] == hashlib.sha256(files.cat_file(f"{OUT}.csv")).hexdigest()
    assert sum(s3.faults.values()) >= 8, s3.faults
    assert not list((tmp_path / "cache").rglob("*.work"))
    s3.seen.clear()
    assert scored(tmp_path, "s3://in-bucket/loans.csv", f"{OUT}.csv") == manifest
    assert not s3.seen["PUT"]


@pytest.mark.s3
def test_a_run_that_is_killed_at_an_upload_is_gone_on_with(tmp_path: Path, s3: Any) -> None:  # noqa: F811
    source = put(s3.files, "in-bucket/loans.csv", [*INCOMES * 3], tmp_path)
    expected = locally(tmp_path, source)
    put(s3.files, "in-bucket/old.csv", [70, 80], tmp_path)
    scored(tmp_path, "s3://in-bucket/old.csv", OUT)
    before = followed(s3.files, OUT)
    program = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[1] / "toys")!r})
from pathlib import Path
from made_loans import bundle
from solvent import stores
from solvent.score import score
left, at = [int(sys.argv[1])], {{name: getattr(stores, name) for name in ("upload", "write")}}
def dies(name):
    def called(*arguments):
        left[0] -= 1
        if left[0] < 0:
            os._exit(9)
        return at[name](*arguments)
    return called
stores.upload, stores.write, stores.AT_ONCE = dies("upload"), dies("write"), 1
score(bundle(Path({str(tmp_path)!r})), "s3://in-bucket/loans.csv", {OUT!r}, chunk_rows=2, max_bad=0.5)
"""
    for number in (3, len(expected) + 3):  # amid the parts; before the manifest
        ended = subprocess.run([sys.executable, "-c", program, str(number)], capture_output=True, text=True)
        assert ended.returncode == 9, ended.stderr
        assert followed(s3.files, OUT) == before
    assert stores.entry(f"{OUT}/manifest.json") is not None
    s3.seen.clear()
    unused = bundle(tmp_path, function=lambda rows: pytest.fail("scored again"))
    score(unused, "s3://in-bucket/loans.csv", OUT, chunk_rows=2, max_bad=0.5)
    assert followed(s3.files, OUT) == expected
    assert s3.seen["PUT"] <= 4  # the run's own manifest and mark, the drift report, the manifest


@pytest.mark.s3
def test_what_is_uploaded_is_not_sent_again_by_a_machine_that_knows_nothing_of_it(
    tmp_path: Path,
    s3: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = put(s3.files, "in-bucket/loans.csv", [*INCOMES * 3], tmp_path)

    def fails(*_: Any) -> None:
        raise SolventError("the machine is gone")

    with monkeypatch.context() as patch, pytest.raises(SolventError, match="is gone"):
        patch.setattr(stores, "write", fails)
        scored(tmp_path, "s3://in-bucket/loans.csv", OUT)
    monkeypatch.setenv("SOLVENT_CACHE", str(tmp_path / "another machine"))
    s3.seen.clear()
    scored(tmp_path, "s3://in-bucket/loans.csv", OUT)
    assert followed(s3.files, OUT) == locally(tmp_path, source)
    assert s3.seen["PUT"] <= 4


@pytest.mark.s3
def test_a_reader_that_follows_the_manifest_sees_one_whole_run_at_any_moment(tmp_path: Path, s3: Any) -> None:  # noqa: F811
    files = s3.files
    put(files, "in-bucket/loans.csv", INCOMES, tmp_path)
    scored(tmp_path, "s3://in-bucket/loans.csv", OUT)
    first = followed(files, OUT)
    source = put(files, "in-bucket/loans.csv", [70, 80, 90] * 4, tmp_path)
    seen: list[dict[str, bytes]] = []
    problems: list[BaseException] = []
    over = threading.Event()

    def reads() -> None:
        reader = servers.client()
        while not over.is_set():
            try:
                seen.append(followed(reader, OUT))
            except (OSError, AssertionError) as error:
                problems.append(error)

    reading = threading.Thread(target=reads)
    reading.start()
    s3.slow, s3.seconds = 0.5, 0.05
    scored(tmp_path, "s3://in-bucket/loans.csv", OUT)
    over.set()
    reading.join()
    second = followed(files, OUT)
    assert not problems
    assert len(seen) >= 3 and all(each in (first, second) for each in seen)
    assert second == locally(tmp_path, source)


@pytest.mark.s3
def test_what_is_not_there_or_not_allowed_is_named_with_its_exit_code(tmp_path: Path, s3: Any) -> None:  # noqa: F811
    put(s3.files, "in-bucket/loans.csv", INCOMES, tmp_path)

    def said(source: str, output: str) -> tuple[int, str]:
        with pytest.raises(SolventError) as failure:
            scored(tmp_path, source, output)
        assert servers.SECRET not in str(failure.value)
        return failure.value.exit_code, str(failure.value)

    code, text = said("s3://in-bucket/loanz.csv", OUT)
    assert code == 2 and "There is no object s3://in-bucket/loanz.csv" in text
    code, text = said("s3://nobody-has/loans.csv", OUT)
    assert code == 2 and "no object s3://nobody-has/loans.csv" in text
    code, text = said("s3://in-bucket/loans.csv", "s3://nobody-has/scores")
    assert code == 2 and "Make it, or name another" in text
    s3.denied = ("PUT",)
    code, text = said("s3://in-bucket/loans.csv", OUT)
    assert code == 2 and "may not be written" in text and "credentials come from the environment" in text
    s3.denied = ("HEAD", "GET")
    code, text = said("s3://in-bucket/loans.csv", OUT)
    assert code == 2 and "s3://" in text and "may not be looked at" in text
    s3.denied, s3.share = (), 1.0
    code, text = said("s3://in-bucket/loans.csv", OUT)
    assert code == 1 and "It was tried 5 times. The same command goes on" in text
    s3.share = 0.0
    assert scored(tmp_path, "s3://in-bucket/loans.csv", OUT)["rows_scored"] == 5


@pytest.mark.s3
def test_another_machine_that_publishes_meanwhile_is_not_written_over(tmp_path: Path, s3: Any) -> None:  # noqa: F811
    files = s3.files
    put(files, "in-bucket/loans.csv", INCOMES, tmp_path)
    put(files, "in-bucket/others.csv", [70, 80], tmp_path)
    others: list[dict[str, bytes]] = []

    def both(rows: pd.DataFrame) -> pd.DataFrame:
        if not others:
            os.environ["SOLVENT_CACHE"] = str(tmp_path / "another machine")
            scored(tmp_path, "s3://in-bucket/others.csv", OUT)
            os.environ["SOLVENT_CACHE"] = str(tmp_path / "cache")
            others.append(followed(files, OUT))
        return by_income(rows)

    with pytest.raises(Locked, match=r"Another run has written s3://out-bucket/may/scores/manifest.json"):
        scored(tmp_path, "s3://in-bucket/loans.csv", OUT, both)
    assert followed(files, OUT) == others[0]
    assert scored(tmp_path, "s3://in-bucket/loans.csv", OUT, both)["rows_scored"] == 5


@pytest.mark.s3
def test_the_command_line_scores_with_a_bundle_of_a_store(
    tmp_path: Path,
    s3: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from click.testing import CliRunner

    from solvent.cli import main

    demo.run("counting:SOLUTION", tmp_path / "demo")
    files = s3.files
    files.put(str(tmp_path / "demo" / "bundle"), "models-bucket/counting", recursive=True)
    files.put_file(str(tmp_path / "demo" / "new_rows.csv"), "in-bucket/new.csv")

    def command(*arguments: str) -> Any:
        return CliRunner().invoke(main, ["score", *arguments])

    made = command("s3://models-bucket/counting", "s3://in-bucket/new.csv", f"{OUT}.parquet", "--json")
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["bundle"] == "s3://models-bucket/counting"
    assert "cache" not in made.output
    made_here = tmp_path / "s.parquet"
    here = command(str(tmp_path / "demo" / "bundle"), str(tmp_path / "demo" / "new_rows.csv"), str(made_here))
    assert here.exit_code == 0, here.output
    assert files.cat_file(f"{OUT}.parquet") == made_here.read_bytes()
    files.pipe_file("models-bucket/counting/bundle.json", b"{}")
    damaged = command("s3://models-bucket/counting", "s3://in-bucket/new.csv", OUT)
    assert damaged.exit_code == 2
    assert "s3://models-bucket/counting is damaged (changed: bundle.json)" in damaged.output


# Any store: here one in memory


def test_something_foreign_at_the_address_is_refused_and_left(tmp_path: Path, memory: Any) -> None:
    put(memory, "/in/loans.csv", INCOMES, tmp_path)
    memory.pipe_file("/out/scores/mine.txt", b"mine")
    memory.pipe_file("/out/x.csv", b"mine")
    memory.pipe_file("/out/y/manifest.json", b'{"files": []}')
    for output, named in (("scores", "scores/mine.txt"), ("x.csv", "x.csv"), ("y", "y/manifest.json")):
        with pytest.raises(Refused, match=f"memory://out/{named} is no output of solvent score, or was changed"):
            scored(tmp_path, "memory://in/loans.csv", f"memory://out/{output}")
    assert sorted(memory.find("/out")) == ["/out/scores/mine.txt", "/out/x.csv", "/out/y/manifest.json"]
    scored(tmp_path, "memory://in/loans.csv", "memory://out/z.csv")
    memory.pipe_file("/out/z.csv", b"changed")
    with pytest.raises(Refused, match=r"memory://out/z.csv is no output of solvent score, or was changed"):
        scored(tmp_path, "memory://in/loans.csv", "memory://out/z.csv", chunk_rows=3)


@pytest.mark.parametrize("output", ["scores", "scores.csv"])
def test_a_file_that_is_lost_or_changed_is_scored_again_and_older_runs_go(
    tmp_path: Path, memory: Any, output: str
) -> None:
    for number, incomes in enumerate(([20], [30], [40], [50])):
        put(memory, "/in/loans.csv", incomes, tmp_path)
        manifest = scored(tmp_path, "memory://in/loans.csv", f"memory://out/{output}", keep=2)
        runs = {name.split("/")[4] for name in memory.find("/out/scores/_runs")} if output == "scores" else set()
        assert len(runs) == (min(number + 1, 2) if output == "scores" else 0)
    data = (
        f"/out/{manifest['parts'][0]['name']}" if output != "scores" else f"/out/scores/{manifest['parts'][0]['name']}"
    )
    content = memory.cat_file(data)
    memory.rm_file(data)
    scored(tmp_path, "memory://in/loans.csv", f"memory://out/{output}", keep=2)
    assert memory.cat_file(data) == content


def test_alarms_that_are_asked_for_later_are_judged_without_scoring_again(tmp_path: Path, memory: Any) -> None:
    put(memory, "/in/loans.csv", list(range(20, 420)), tmp_path)
    made = bundle(tmp_path)
    made = replace(made, reference={**made.reference, "rows": 5000, "output_rows": 5000})
    for output, where in (
        ("memory://out/scores", "scores/manifest.json"),
        ("memory://out/s.csv", "s.csv.manifest.json"),
    ):
        assert score(made, "memory://in/loans.csv", output)["drift"]["alarms"] == []
        unused = replace(made, function=lambda rows: pytest.fail("scored again"))
        judged = score(unused, "memory://in/loans.csv", output, alarms=Alarms())
        assert judged["drift"]["alarms"]
        assert json.loads(memory.cat_file(f"/out/{where}")) == judged


def test_a_source_that_changes_while_it_is_scored_is_noticed(tmp_path: Path, memory: Any) -> None:
    put(memory, "/in/loans.csv", INCOMES, tmp_path)

    def changes(rows: pd.DataFrame) -> pd.DataFrame:
        put(memory, "/in/loans.csv", [1], tmp_path)
        return by_income(rows)

    with pytest.raises(SolventError, match=r"loans.csv was changed while it was read"):
        scored(tmp_path, "memory://in/loans.csv", "memory://out/scores", changes)
    assert not memory.exists("/out/scores/manifest.json")


def test_an_object_that_changes_while_it_is_fetched_is_noticed(
    tmp_path: Path, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(memory, "/in/loans.csv", INCOMES, tmp_path)
    as_ever = stores.download

    def changed(there: stores.Entry, path: Path) -> None:
        as_ever(there, path)
        put(memory, "/in/loans.csv", INCOMES, tmp_path)

    monkeypatch.setattr(stores, "download", changed)
    with pytest.raises(SolventError, match=r"memory://in/loans.csv was changed while it was fetched"):
        tables.read("memory://in/loans.csv")
    assert not list((tmp_path / "cache" / "stores" / "in").glob("*/*/"))


def test_folders_patterns_and_outputs_of_ours_are_read_as_here(tmp_path: Path, memory: Any) -> None:
    for number, (day, name) in enumerate(((1, "a"), (1, "b"), (2, "a"))):
        put(memory, f"/in/rows/day=2026-01-0{day}/{name}.csv", [day * 10, 5], tmp_path, start=10 * number)
    memory.pipe_file("/in/rows/_note.csv", b"not,read\n")
    assert tables.read("memory://in/rows")["day"].tolist() == ["2026-01-01"] * 4 + ["2026-01-02"] * 2
    found = tables.read("memory://in/rows/day=*/a.csv")
    assert found["income"].astype(int).tolist() == [10, 5, 20, 5]
    manifest = scored(tmp_path, "memory://in/rows/", "memory://out/scores")
    scored(tmp_path, "memory://in/rows/day=*/a.csv", "memory://out/scores")  # an older run stays beside it
    assert len(tables.read("memory://out/scores")) == 4
    assert manifest["rows_scored"] == 6
    with pytest.raises(Refused, match=r"No object fits memory://in/rows/\*\.csvx"):
        tables.read("memory://in/rows/*.csvx")
    with pytest.raises(Refused, match=r"memory://in/rows is the output too"):
        scored(tmp_path, "memory://in/rows", "memory://in/rows")
    with pytest.raises(Refused, match=r"memory://in/rows/out lies in memory://in/rows, which is read"):
        scored(tmp_path, "memory://in/rows", "memory://in/rows/out")
    put(memory, "/in/loans.csv", [20], tmp_path)
    scored(tmp_path, "memory://in/loans*.csv", "memory://in/loans-scored.csv")
    with pytest.raises(Refused, match=r"would replace memory://in/loans-scored.csv, which is read"):
        scored(tmp_path, "memory://in/loans*.csv", "memory://in/loans-scored.csv")


def test_a_message_names_the_address_and_not_where_it_was_fetched_to(tmp_path: Path, memory: Any) -> None:
    memory.pipe_file("/in/mixed/a.csv", b"a\n1\n")
    memory.pipe_file("/in/mixed/b.jsonl", b'{"a": 1}\n')
    for read in (tables.read, tables.files, lambda source: list(tables.chunks(source, 5))):
        with pytest.raises(Refused, match=r"^memory://in/mixed holds files of several kinds"):
            read("memory://in/mixed")


def test_what_is_fetched_is_fetched_once_until_it_changes(
    tmp_path: Path, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought: list[str] = []
    as_ever = stores.download

    def counted(there: stores.Entry, path: Path) -> None:
        brought.append(there.address)
        as_ever(there, path)

    monkeypatch.setattr(stores, "download", counted)
    put(memory, "/in/loans.csv", [20], tmp_path)
    first = fetched.fetched("memory://in/loans.csv")
    assert fetched.fetched("memory://in/loans.csv") == first and len(brought) == 1
    put(memory, "/in/loans.csv", [30], tmp_path)
    second = fetched.fetched("memory://in/loans.csv")
    assert second != first and len(brought) == 2
    assert fetched.by_address(f"{second} and {first}") == "memory://in/loans.csv and memory://in/loans.csv"
    os.utime(first.parent, (0, 0))
    put(memory, "/in/others.csv", [30], tmp_path)
    fetched.fetched("memory://in/others.csv")
    assert not first.exists() and second.exists()
    second.write_bytes(b"")  # as after a power cut
    assert fetched.fetched("memory://in/loans.csv").read_text().endswith("30\n")


@pytest.mark.parametrize(
    "address",
    ["s3://user:pass@bucket/x.csv", "https://host/x.csv?X-Amz-Signature=pass", "abfs://c@a.net/x.csv?sv=1&sig=pass"],
)
def test_an_address_with_a_secret_in_it_is_refused_and_not_shown(tmp_path: Path, address: str) -> None:
    job = tmp_path / "job.yaml"
    for key in ("bundle", "source", "sink"):
        job.write_text(yaml.safe_dump({"bundle": "b", "source": "in.csv", "sink": "out", key: address}))
        with pytest.raises(
            Refused, match=rf"job.yaml line \d, {key}.*: .*Give credentials by the environment"
        ) as refused:
            load(job)
        assert "pass@" not in str(refused.value) and "=pass" not in str(refused.value)


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec = pytest.importorskip("fsspec", reason="pip install 'solvent-suite[s3]'")

    def missing(protocol: str) -> Any:
        raise ImportError("Install it")

    monkeypatch.setattr(fsspec, "get_filesystem_class", missing)
    with pytest.raises(Refused, match=r"pip install 'solvent-suite\[s3\]'"):
        tables.read("s3://in/loans.csv")
    with pytest.raises(Refused, match=r"pip install 'solvent-suite\[gcs\]'"):
        tables.read("gs://in/loans.csv")
    monkeypatch.undo()
    with pytest.raises(Refused, match=r"no store is known by nope://"):
        tables.read("nope://in/loans.csv")


def test_a_key_that_can_be_no_file_of_this_machine_is_refused(memory: Any) -> None:
    memory.pipe_file("/in/rows/../up.csv", b"a\n1\n")
    with pytest.raises(Refused, match=r"can't be the name of a file"):
        tables.read("memory://in/rows")


def test_a_job_reads_and_writes_a_store_day_by_day(
    tmp_path: Path, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(memory, "/in/2026-01-02.csv", INCOMES, tmp_path)
    memory.pipe_file("/models/credit/SHA256SUMS", b"made")
    made = bundle(tmp_path)
    loaded: list[Path] = []

    class Made:
        source = staticmethod(lambda given: given)

        def __getattr__(self, name: str) -> Any:
            return getattr(made, name)

    monkeypatch.setattr("solvent.bundle.Bundle.load", lambda path: loaded.append(path) or Made())
    path = tmp_path / "nightly.yaml"
    job = {
        "bundle": "memory://models/credit",
        "source": "memory://in/{date}.csv",
        "sink": "memory://out/{date}",
        "limits": {"max_bad": 0.5, "quiet_seconds": 0},
    }
    path.write_text(yaml.safe_dump(job))
    file = load(path)
    found = check(file, days(file, "2026-01-02")[0])
    assert [each.said for each in found if not each.good] == []
    assert "memory://out/2026-01-02 can be written to" in [each.said for each in found]
    assert memory.find("/out") == []
    done, early = run(file, days(file, first="2026-01-02", last="2026-01-03"))
    assert done.exit_code == 0 and "5 rows scored, 2 set aside: memory://out/2026-01-02" in done.message
    assert (early.exit_code, early.may_retry) == (1, True)
    assert "There is no memory://in/2026-01-03.csv (yet)" in early.message
    assert (loaded[0] / "SHA256SUMS").read_bytes() == b"made"
    path.write_text(yaml.safe_dump({**job, "keep_days": 5}))
    with pytest.raises(Refused, match=r"keep_days: it removes files of this machine. Let the bucket do it"):
        load(path)
