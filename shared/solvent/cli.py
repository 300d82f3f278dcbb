"""The command line: each command parses, calls one function, prints. Nothing heavy is imported at the top."""

from __future__ import annotations

import json
import logging
import math
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from . import __version__, installed, stores
from .errors import BarMissed, Refused, SolventError, WorkerDone
from .jobs.command import job
from .logs import AsJSON, as_json
from .registry import Installed
from .runtime import FORMATS
from .runtime import NAMES as RUNTIMES
from .solution import Dataset
from .wording import listed, suggestion

__all__ = ["main"]

MOST_REASONS = 5
# What importing a module that somebody is working on may raise.
BROKEN = (SolventError, ImportError, SyntaxError, NameError, AttributeError, TypeError, ValueError)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
CHANGES = click.option(
    "--set", "changes", multiple=True, metavar="A.B=C", help="Replace a value of the config; may be repeated."
)
CONFIG = click.option(
    "--config", type=Path, default=None, help="A config whose `data` names the training rows where they are now."
)


def place(text: str) -> str | Path:
    """A path of this machine; an address in an object store stays the text that it is."""
    return text if stores.is_address(text) else Path(text)


class Commands(click.Group):
    """Commands whose errors are one clear message and the documented exit code."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except SolventError as error:
            _say(str(error))
            context.exit(error.exit_code)
        except BrokenPipeError:
            raise  # the reader of standard output has gone: click ends quietly
        except OSError as error:
            _say(f"{error.filename or 'a file'}: {error.strerror or error}.")
            context.exit(SolventError.exit_code)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, package_name="solvent-suite")
@click.option("--quiet", "-q", is_flag=True, help="Say only warnings and errors.")
@click.option("--json-logs", is_flag=True, help="Write each log record on standard error as one JSON line.")
def main(quiet: bool, json_logs: bool) -> None:
    """Industry solutions on Keras: train on your own data, trust the numbers, score every night.

    \b
    Exit codes: 0 done; 1 failed, try again; 2 usage, config or data refused; 3 a bar was not met;
    4 too many bad rows; 5 another run holds the lock.
    """
    log = logging.getLogger("solvent")
    log.handlers = [logging.StreamHandler(sys.stderr)]
    if json_logs:
        log.handlers[0].setFormatter(AsJSON())
    log.setLevel(logging.WARNING if quiet else logging.INFO)
    log.propagate = False


main.add_command(job)


@main.command(name="list")
@AS_JSON
def list_(as_json: bool) -> None:
    """Show the solutions that are installed."""
    rows = [
        {"name": item.name, "summary": _summary(item), "package": item.target.partition(":")[0]} for item in installed()
    ]
    if as_json:
        _print({"solutions": rows})
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        click.echo(f"{row['name']:<{width}}  {row['summary']}")


@main.command()
@click.argument("solution")
@click.option("--out", type=Path, default=None, help="Folder for everything that the demo makes [runs/demo-SOLUTION].")
def demo(solution: str, out: Path | None) -> None:
    """Run a solution end to end on data that needs no download: train, evaluate, score, report."""
    from . import demo as demos

    click.echo(demos.run(solution, out or Path("runs") / f"demo-{solution.rpartition(':')[0] or solution}"))


@main.command()
@click.argument("config", type=Path)
@CHANGES
@AS_JSON
def check(config: Path, changes: tuple[str, ...], as_json: bool) -> None:
    """Look at CONFIG's data as `train` would, and train nothing; exit 2 where `train` would refuse them.

    Prints the parts with their sizes and targets, what each column is taken for, and all that the scan noticed.
    """
    from .check import check as run

    found = run(config, changes=changes)
    if as_json:
        _print(found.facts)
    else:
        click.echo(found.text())
    found.refuse()
    if not as_json:
        click.echo(f"next:   solvent train {config} --out runs/{config.stem}")


@main.command()
@click.argument("config", type=Path)
@CHANGES
@click.option("--out", type=Path, required=True, help="Folder of the bundle.")
@click.option("--resume", is_flag=True, help="Go on with a training that was killed.")
def train(config: Path, changes: tuple[str, ...], out: Path, resume: bool) -> None:
    """Train what CONFIG says and leave a bundle."""
    from .run import train as run

    sets = [part for change in changes for part in ("--set", change)]
    command = shlex.join(["solvent", "train", str(config), *sets, "--out", str(out)])
    try:
        bundle = run(config, out, changes=changes, resume=resume, command=command)
    except WorkerDone as done:
        click.echo(done)
        return
    click.echo(bundle.headline)
    if bundle.facts["test"]:
        click.echo(bundle.verdict)
    click.echo(f"report: {out / 'report.html'}\nnext:   solvent score {out} NEW_ROWS.csv scores.csv")


@main.command()
@click.argument("bundle", type=place)
@click.argument("table")
@click.option("--min", "least", multiple=True, metavar="METRIC=VALUE", help="Exit 3 if the metric is lower.")
@click.option("--max", "most", multiple=True, metavar="METRIC=VALUE", help="Exit 3 if the metric is higher.")
@AS_JSON
def evaluate(bundle: str | Path, table: str, least: tuple[str, ...], most: tuple[str, ...], as_json: bool) -> None:
    """Measure BUNDLE on TABLE, which has the targets."""
    from .run import evaluate as run

    bars = [(*_bar(text, "--min"), 1.0) for text in least] + [(*_bar(text, "--max"), -1.0) for text in most]
    found = run(bundle, table)
    unknown = sorted({name for name, _, _ in bars} - set(found["metrics"]))
    if unknown:
        known = found["metrics"]
        hint = suggestion(unknown[0], known)
        raise Refused(f"{found['solution']} has no metric {unknown[0]!r}.{hint} Known: {listed(known, len(known))}.")
    if as_json:
        _print(found)
    else:
        width = max(map(len, found["metrics"]))
        for name, item in found["metrics"].items():
            click.echo(f"{name:<{width}}  {_estimate(item)}")
        click.echo(found["protocol"])
        if found["set_aside"]:
            click.echo(f"{found['set_aside']} rows could not be read and are not among them")
    missed, bad = [], found["bad"]
    if bars and found["too_many_bad"]:
        missed.append(
            f"{bad['set_aside']} of {bad['of']} {bad['unit']} were set aside, more than the {found['max_bad']:.1%} "
            "that the bundle's data.max_bad allows: no bar is met without them"
        )
    for name, bar, sign in bars:
        value = found["metrics"][name]["value"]
        if value is None or sign * value < sign * bar:
            missed.append(f"{name} is {_number(value)}, the bar is {'at least' if sign > 0 else 'at most'} {bar:g}")
    if missed:
        raise BarMissed("; ".join(missed))


@main.command()
@click.argument("first", type=place)
@click.argument("second", type=place)
@click.argument("table")
@AS_JSON
def compare(first: str | Path, second: str | Path, table: str, as_json: bool) -> None:
    """The paired difference of two bundles' headlines on TABLE, with its interval."""
    from .run import compare as run

    found = run(first, second, table)
    if as_json:
        _print(found)
        return
    for name in ("first", "second", "difference"):
        click.echo(f"{name:<10} {found['headline']} {_estimate(found[name]) if found[name] else 'not known'}")
    click.echo(found["protocol"])


@main.command()
@click.argument("bundle", type=place)
@click.argument("source", metavar="INPUT")
@click.argument("output", type=place)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="What scores: this process, or the Ray cluster at RAY_ADDRESS, else one on this machine.",
)
@click.option(
    "--chunk-rows", type=click.IntRange(1), default=None, help="Rows in a part [50,000; texts 10,000; images 1,000]."
)
@click.option(
    "--max-bad",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    help="Share of rows that may be set aside.",
)
@click.option(
    "--side", multiple=True, metavar="NAME=TABLE", help="Replace a side table of the bundle; may be repeated."
)
@AS_JSON
def score(
    bundle: str | Path,
    source: str,
    output: str | Path,
    engine: Any,
    chunk_rows: int | None,
    max_bad: float,
    side: tuple[str, ...],
    as_json: bool,
) -> None:
    """Score INPUT with BUNDLE into OUTPUT (.csv, .jsonl, .parquet, or a folder of parts).

    Each of the three may be an address in an object store, such as s3://bucket/scores.

    The same command goes on where an earlier one was killed, and leaves alone what is published already.
    """
    from . import tables
    from .bundle import Bundle
    from .score import score as run

    sides = {name: tables.read(tables.Source.of(path)) for name, path in (_pair(text, "--side") for text in side)}
    loaded = Bundle.load(bundle)
    manifest = run(
        loaded, loaded.source(source), output, engine=engine, chunk_rows=chunk_rows, max_bad=max_bad, side=sides
    )
    if as_json:
        _print(manifest)
    else:
        joined = f"{manifest['rows_joined']} joined to one of these, " if manifest["rows_joined"] else ""
        context = f"{manifest['rows_context']} read as context, " if manifest["rows_context"] else ""
        counted = f"{manifest['rows_scored']} rows scored, {joined}{context}{manifest['rows_set_aside']} set aside"
        click.echo(f"{counted}: {output}")
        if aside := [each["name"] for each in manifest["quarantine"]]:
            for reason, count in list(manifest["reasons"].items())[:MOST_REASONS]:
                click.echo(f"  set aside: {reason} ({count})")
            folder = aside[0].rpartition("/")[0]
            click.echo(f"  the rows and why: {output}{f'/{folder}' if folder else '.quarantine.parquet'}")


@main.command()
@click.argument("bundle", type=place)
@click.argument("table")
@click.argument("out", type=Path)
def explain(bundle: str | Path, table: str, out: Path) -> None:
    """Say in OUT (.csv or .parquet) why BUNDLE scores each row of TABLE as it does.

    Pictures are bytes in Parquet; beside a CSV they are files, in the folder OUT_files.
    """
    from . import tables
    from .bundle import Bundle
    from .promises import CONTEXT, is_context
    from .score.parts import Layout
    from .solution import Output

    _refuse_as_output(out, Path(bundle), table)
    loaded = Bundle.load(bundle)
    source = loaded.source(table)
    rows = tables.read(source)
    explained = loaded.explain(rows, tables.folder(source))
    read = is_context(explained)
    explained = explained[~read].drop(columns=CONTEXT, errors="ignore")
    added = [Output(name=name, type="string") for name in explained]
    carried = Layout.of(loaded.schema, added, rows).carried
    found = rows.loc[~read, list(carried)].join(explained)
    if out.suffix.lower() == ".csv":
        found = tables.with_files(found, out.with_name(f"{out.stem}_files"))
    tables.write(found, out)
    failed = int(explained["error"].notna().sum())
    context = f"{read.sum()} read as context, " if read.any() else ""
    click.echo(f"{len(explained) - failed} rows explained, {context}{failed} with an error: {out}")


@main.command()
@click.argument("bundle", type=Path)
@click.option("--open", "open_", is_flag=True, help="Open it in the browser.")
def report(bundle: Path, open_: bool) -> None:
    """Say where BUNDLE's report is."""
    path = bundle / "report.html"
    if not path.is_file():
        raise Refused(f"{bundle} has no report.html. Give the folder that `solvent train --out` made.")
    click.echo(path)
    if open_:
        click.launch(str(path))


@main.command()
@click.argument("bundle", type=Path)
@click.option("--to", type=click.Choice(RUNTIMES), required=True, help="tensorflow takes the present one back.")
@click.option(
    "--max-drop",
    type=float,
    default=0.005,
    show_default=True,
    help="How much worse the headline may be on validation rows.",
)
@CONFIG
def optimize(bundle: Path, to: str, max_drop: float, config: Path | None) -> None:
    """Give BUNDLE a faster runtime, if its headline holds on its validation rows; else exit 3, and nothing changes."""
    from .runtime.optimize import optimize as run
    from .runtime.optimize import sentence

    record = run(bundle, to, max_drop=max_drop, config=config)
    click.echo(
        f"{sentence(record)}\n{to} is accepted: {bundle}" if record else f"{bundle} scores with {to} from now on"
    )


@main.command()
@click.argument("bundle", type=Path)
@click.option("--to", type=click.Choice(FORMATS), required=True)
@click.argument("out", type=Path)
@click.option("--rows", metavar="TABLE", default=None, help="Compare on these rows [the bundle's validation rows].")
@CONFIG
def export(bundle: Path, to: str, out: Path, rows: str | None, config: Path | None) -> None:
    """Write BUNDLE's networks, as trained, into the new folder OUT, and compare them with TensorFlow on real rows."""
    from .runtime.export import export as run
    from .runtime.export import sentence

    click.echo(f"{sentence(run(bundle, to, out, rows=rows, config=config))}\n{out}")


@main.command()
@click.argument("name", required=False)
@click.option("--like", metavar="SOLUTION", help="The solution to begin with.")
@click.option("--to", type=Path, default=None, help="Folder of the new package [./NAME]; with --diff, of a copy [.].")
@click.option("--word", "words", multiple=True, metavar="OLD=NEW", help="In the copy OLD is NEW; may be repeated.")
@click.option("--diff", is_flag=True, help="Show what has changed in a copy's origin since it was made.")
@click.option("--merged", is_flag=True, help="With --diff: the copy has these changes; begin with later ones.")
def new(name: str | None, like: str | None, to: Path | None, words: tuple[str, ...], diff: bool, merged: bool) -> None:
    """Make a new vertical: a copy of a tested solution's package under a new NAME, with its tests.

    \b
      solvent new churn --like credit --word loan=customer --word loans=customers
      solvent new --diff --to churn | git apply --3way --directory=churn
      solvent new --diff --merged --to churn

    --diff prints a unified diff in the copy's names, of its origin's changes only; nothing where there are none.
    """
    from .create import create, upstream

    if diff:
        if name or like or words:
            raise click.UsageError("--diff takes no NAME, --like or --word: the copy knows how it was made.")
        found = upstream(to or Path(), merged=merged)
        click.echo(found, nl=merged)
        if not found:
            click.echo("There is nothing to merge.", err=True)
    elif name and like and not merged:
        click.echo(create(name, like, to or Path(name), dict(_pair(text, "--word") for text in words)))
    else:
        raise click.UsageError("expected NAME and --like SOLUTION, or --diff.")


@main.group()
def data() -> None:
    """Public data sets that the solutions can fetch."""


@data.command(name="list")
@AS_JSON
def data_list(as_json: bool) -> None:
    """Show the public data sets, with their licences."""
    rows = [
        {"name": item.name, "solution": solution, "summary": item.summary, "licence": item.licence}
        for solution, item in _datasets()
    ]
    if as_json:
        _print({"datasets": rows})
        return
    for row in rows:
        click.echo(f"{row['name']} ({row['solution']}): {row['summary']}. Licence: {row['licence']}")


@data.command(name="get")
@click.argument("name")
@click.option("--to", type=Path, default=Path("data"), show_default=True)
def data_get(name: str, to: Path) -> None:
    """Bring a public data set's rows as a table: CSV, or Parquet where cells are images or lists."""
    from . import datasets, tables

    known = {item.name: item for _, item in _datasets()}
    if name not in known:
        raise Refused(f"There is no data set {name!r}.{suggestion(name, known)} Known: {listed(known)}.")
    to.mkdir(parents=True, exist_ok=True)
    table = datasets.load(known[name])
    path = to / f"{name}{tables.ending(table)}"
    tables.write(table, path)
    click.echo(path)


def _summary(item: Installed) -> str:
    """What a solution is for, or why it can't be used: one that is broken must not hide the others."""
    if item.missing:
        return f"needs {', '.join(item.missing)}: {item.cure}"
    try:
        return item.load().summary
    except BROKEN as error:
        return f"can't be loaded: {type(error).__name__}: {error}"


def _datasets() -> Iterator[tuple[str, Dataset]]:
    """The public data sets of all solutions that can be used, each with its solution's name."""
    for item in installed():
        if not item.missing:
            try:
                solution = item.load()
            except BROKEN as error:
                logging.getLogger("solvent").warning("%s can't be loaded: %s", item.name, error)
                continue
            yield from ((item.name, dataset) for dataset in solution.datasets)


def _say(error: str) -> None:
    if as_json():
        logging.getLogger("solvent").error("%s", error)
    else:
        click.echo(f"Error: {error}", err=True)


def _print(value: Any) -> None:
    click.echo(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))


def _estimate(item: dict[str, float | None]) -> str:
    if item["value"] is None:
        return "not defined on these rows"
    interval = f" (95 %: {item['low']:.4f} to {item['high']:.4f})" if item["low"] is not None else ""
    return f"{item['value']:.4f}{interval}"


def _number(value: float | None) -> str:
    return "not defined on these rows" if value is None else f"{value:.4f}"


def _pair(text: str, option: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name or not value:
        raise Refused(f"{option} {text!r}: expected NAME=VALUE.")
    return name, value


def _refuse_as_output(out: Path, bundle: Path, table: str) -> None:
    """Raise Refused if OUT can't be written, or writing it would change what is read."""
    if out.suffix.lower() not in (".csv", ".parquet"):
        raise Refused(f"{out}: expected a name that ends in .csv or .parquet.")
    given, target = Path(table).expanduser().resolve(), out.resolve()
    if given in (target, target.parent) or bundle.resolve() in target.parents:
        raise Refused(f"{out} is the input, or lies in what is read. Name another output: an input is never changed.")


def _bar(text: str, option: str) -> tuple[str, float]:
    name, value = _pair(text, option)
    try:
        bar = float(value)
    except ValueError:
        bar = math.nan
    if math.isnan(bar):  # every comparison with it is false, so that the bar would always be met
        raise Refused(f"{option} {text!r}: {value!r} is not a number. Expected such as {option} {name}=0.8.")
    return name, bar
