"""Hostile job files: damaged YAML, absurd values, paths that lead away. What can be loaded is run with made loans."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from hostile_tables import BUNDLE, HOSTILE_TEXTS, as_csv, csv_rows, damaged, made_rows, read_back, scoring, wrong_rows

from solvent.jobs import check as checking
from solvent.jobs import run as running
from solvent.jobs.job import JobFile, planned
from solvent.jobs.reading import load

__all__ = ["CASES"]

DAY = date(2026, 1, 2)
JOB = """\
# nightly scores
bundle: bundle
source: {path: "in/loans-{date}.csv", encoding: utf-8}
sink: out/{date:%Y%m%d}.parquet
ids: []
passthrough: [given]
mask: [income]
engine: local
chunk_rows: 20
limits: {max_bad: 1, min_rows: 1, least_share: 0.1, threads: 1, quiet_seconds: 0}
alarms: {psi: 0.25}
keep: 2
retries: {times: 1, wait_seconds: 1}
notify: {command: [notify, "{job}", "{date}"], "on": [failed]}
schedule: {at: "03:30", timezone: Europe/Berlin, days: [mon, fri]}
"""
SEVERAL = """\
jobs:
  north: &one
    bundle: bundle
    source: in/loans-{date}.csv
    sink: out/north-{date}
    passthrough: [given]
    limits: {max_bad: 1}
  south:
    <<: *one
    sink: {path: out/south.csv}
schedule: {at: 04:15}
"""
VALUES: tuple[Any, ...] = (
    *HOSTILE_TEXTS, None, True, [], {}, -1, 0, 1e308, float("nan"), float("inf"), 10**30, "{date", "{date-9999}",
    "{date:%s}", "~nobody/x",
    "../../etc/passwd", "out/../../../x", "/dev/zero", "in/" + "x/" * 500, "in/**/*", "sqlite:///out/x.db",
    {"sql": "x", "query": "y"},
    {"sql": "sqlite:///out/x.db", "table": "scores", "folder": "out/f"}, ["a"] * 1000, date(2026, 1, 2),
    {"a": {"b": {"c": []}}}, b"\xff",
)  # fmt: skip
PLAUSIBLE: dict[str, tuple[Any, ...]] = {  # the file says it, and running has to bear it
    "source": ("in", "in/*.csv", "in/**", "in/{date}/../*{date}.csv", "nightly.yaml", "out", "in/loans-{date}.csv/",
    "in/gone-{date}.csv", ".", "in/[.csv"),
    "sink": ("out/x.csv", "out/a/b/c.jsonl", "out/../out/x", "out/" + "x" * 300, "out/{date:%Y/%m/%d}/x.parquet",
    "out", "out/", "out/\u202ex.csv",
             {"sql": "sqlite:///out/x.db", "table": "scores", "folder": "out/f"}, {"sql": "sqlite:///out/x.db",
             "table": "a\"; DROP", "folder": "out/f"},
             {"sql": "sqlite:///out/x.db", "table": "sqlite_master", "folder": "out/f"}, {"sql": "sqlite:///out",
             "table": "t", "folder": "out/f"}),
    "ids": (["loan"], ["branch"], ["income"], ["gone"], ["loan", "loan"], [""], ["x" * 10_000], ["a\nb"], ["given"]),
    "passthrough": (["given", "given"], ["income"], ["gone"], ["error"], ["given", "loan"], [""], []),
    "mask": (["loan"], ["gone"], ["income", "given", "branch"], ["row"], ["reasons"]),
    "engine": ("local", "spark"),
    "chunk_rows": (1, 10**18, 2**63, 10**30, 3),
    "keep": (1, 10**18, 10**30),
    "limits": ({"max_bad": 0}, {"max_bad": 1, "min_rows": 10**30}, {"max_minutes": 1e-300, "max_bad": 1},
    {"max_bad": 1, "max_minutes": 1e308},
               {"quiet_seconds": 1e308}, {"least_share": 1, "max_bad": 1}, {"threads": 2, "max_bad": 1},
               {"max_minutes": float("inf"), "max_bad": 1}),
    "retries": ({"times": 20, "wait_seconds": 86_400}, {"times": 1, "wait_seconds": 0}, {"times": 20,
    "wait_seconds": 1e-300}),
    "side": ({"items": "in/loans-{date}.csv"}, {"items": "gone.csv"}, {"../x": "in"}, {"x" * 1000: "nightly.yaml"}),
    "alarms": ({}, {"psi": 1e-300}, {"psi": 1e308}, {"psi": 0}),
    "scoring": ({"a": 1}, {}),
    "bundle": ("out", "../../etc", "gone"),
}  # fmt: skip
RAW = (
    "&a [*a]", "*gone", "!!python/object/apply:os.system [id]", "!!binary aGk=", "!!float .nan", "[" * 3000,
    "{a: " * 500, "- " * 2000,
    "1" * 5000, "1:" * 20_000 + "1", "9999-99-99", "2026-01-01T99:99:99Z", "0o9", "0x", "|\n  x", ">-\n  y", "'",
    '"\\U00110000"', '"\\ud800"',
    '"\\0"', "!!set {a, b}", "!!omap [a: 1]", "%YAML 9.9", "---\n---", "\t- a", "? a\n: b", "<<: [1]", "=",
    "!!timestamp x", "!<tag:x> 1", "on", "~",
    "a: &x [1,2]\nb: &y [*x,*x,*x,*x,*x,*x,*x,*x]\nc: &z [*y,*y,*y,*y,*y,*y,*y,*y,*y]\nd: [*z,*z,*z,*z,*z,*z,*z,*z]",
    "\x07", "\ufeff",
)  # fmt: skip


def job_files(chance: random.Random, folder: Path) -> str | None:
    """A job file with something absurd in it: loaded, checked now and then, and run if it stays in its folder."""
    rows = made_rows(chance)
    job = folder / "in"
    source = job / "in" / "loans-2026-01-02.csv"
    source.parent.mkdir()
    source.write_bytes(as_csv(rows))
    (job / "out").symlink_to(folder / "out")
    path = job / "nightly.yaml"
    path.write_bytes(_content(chance))
    with scoring():
        file = load(path)
        if not _stays(file, job, folder / "out"):
            return None
        return _run(file, chance.random() < 0.1, source)


def _content(chance: random.Random) -> bytes:
    text = chance.choice([JOB, JOB, SEVERAL])
    way = chance.randrange(4)
    if way == 0:
        return damaged(text.encode(), chance)
    if way == 1:
        lines = text.splitlines()
        place = chance.randrange(len(lines))
        key = lines[place].partition(":")[0]
        lines[place] = chance.choice(
            [f"{key}: {chance.choice(RAW)}", chance.choice(RAW), f"{chance.choice(RAW)}: 1", lines[place] * 2]
        )
        return "\n".join(lines).encode()
    content = yaml.safe_load(text)
    if way == 2:
        one = content.get("jobs", {}).get("south", content)
        for key in chance.sample(list(PLAUSIBLE), 2):
            one[key] = chance.choice(PLAUSIBLE[key])
        return _dumped(content)
    for _ in range(chance.choice([1, 1, 2])):
        part: Any = content
        while isinstance(part, dict) and part:
            key = chance.choice(list(part))
            if not isinstance(part[key], dict) or chance.random() < 0.4:
                part[chance.choice([key, key, key, "x" * 300, "{date}", " "])] = chance.choice(VALUES)
                break
            part = part[key]
    return _dumped(content)


def _dumped(content: Any) -> bytes:
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False).encode("utf-8", "surrogatepass")


def _stays(file: JobFile, *folders: Path) -> bool:
    """Whether all that the jobs name lies in the case's folders: a job's owner may name any place, the fuzz may not."""

    def inside(path: str | None, within: tuple[Path, ...]) -> bool:
        return path is None or "\0" in path or any(Path(path).resolve().is_relative_to(each) for each in within)

    plans = [planned(each, DAY, file.base) for each in file.jobs.values()]
    return all(
        inside(plan.source.path, folders)
        and all(
            place is None or inside(str(Path(place).parent), folders[1:])
            for place in (plan.sink.path, plan.sink.folder)
        )
        and (plan.sink.sql or "sqlite:///" + str(folders[1])).startswith(f"sqlite:///{folders[1]}")
        and plan.source.sql is None
        for plan in plans
    )


def _run(file: JobFile, check_too: bool, source: Path) -> str | None:
    """Run with the made loans' bundle in the place of the job's, without waiting, and without telling anybody."""
    engine = SimpleNamespace(
        **vars(BUNDLE), source=lambda given: given, has_changed=BUNDLE.has_changed, scorer=BUNDLE.scorer
    )
    before = running.load_bundle, checking.load_bundle, running.time
    running.load_bundle = checking.load_bundle = lambda *_: engine
    running.time = SimpleNamespace(sleep=lambda _: None, time=before[2].time, monotonic=before[2].monotonic)
    try:
        if check_too:
            checking.check(file, DAY)
        quiet = replace(file, jobs={name: job.model_copy(update={"notify": None}) for name, job in file.jobs.items()})
        outcomes = running.run(quiet, [DAY])
    finally:
        running.load_bundle, checking.load_bundle, running.time = before
    for outcome in outcomes:
        if "Please report it" in outcome.message:
            raise AssertionError(outcome.message)
        manifest: Any = outcome.manifest
        if manifest and manifest["parts"]:
            place = planned(file.jobs[outcome.job], DAY, file.base).sink.path
            given = "given" in file.jobs[outcome.job].passthrough
            expected = csv_rows(source.read_bytes()) if given else None
            if wrong := wrong_rows(read_back(Path(str(place)), manifest), expected, manifest):
                return wrong
    if error := running.verdict(outcomes):
        raise error
    return None


CASES: dict[str, Callable[[random.Random, Path], str | None]] = {"job files": job_files}
