"""The commands `solvent job ...`: each parses, calls one function, prints. Nothing heavy is imported at the top."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..errors import Refused
from ..wording import many

__all__ = ["job"]

JOB = click.argument("job_file", metavar="JOB", type=Path)


@click.group()
def job() -> None:
    """Score every night what a job file says."""


@job.command()
@JOB
@click.option("--date", "day", metavar="YYYY-MM-DD", default=None, help="The day to run for [today].")
@click.option("--from", "first", metavar="YYYY-MM-DD", default=None, help="Back-fill: the first day.")
@click.option("--to", "last", metavar="YYYY-MM-DD", default=None, help="Back-fill: the last day.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
def run(job_file: Path, day: str | None, first: str | None, last: str | None, as_json: bool) -> None:
    """Run JOB; a run that was killed is gone on with by the same command.

    Of several runs each is made, whatever became of the others; the worst one gives the exit code: 1, then 2, 4, 5, 3.
    """
    from .reading import load
    from .run import days, verdict
    from .run import run as run_jobs

    file = load(job_file)
    outcomes = run_jobs(file, days(file, day, first, last))
    if as_json:
        runs = [outcome.to_json() for outcome in outcomes]
        click.echo(json.dumps({"runs": runs}, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        for outcome in outcomes:
            ended = f"exit {outcome.exit_code}" if outcome.manifest is None else outcome.message
            click.echo(f"{outcome.job} {outcome.day}: {ended}")
    if (error := verdict(outcomes)) is not None:
        raise error


@job.command()
@JOB
@click.option("--date", "day", metavar="YYYY-MM-DD", default=None, help="The day whose source is looked at [today].")
def check(job_file: Path, day: str | None) -> None:
    """Try JOB out without publishing: its bundle, the first rows, every place and program; exit 2 if it would fail."""
    from .check import check as check_jobs
    from .reading import load
    from .run import days

    file = load(job_file)
    findings = check_jobs(file, days(file, day)[0])
    for finding in findings:
        click.echo(f"{'ok     ' if finding.good else 'PROBLEM'} {finding.job}, {finding.what}: {finding.said}")
    if problems := sum(not finding.good for finding in findings):
        raise Refused(f"{many(problems, 'problem')} in {job_file}: it would fail.")


@job.command()
@JOB
@click.argument("table", metavar="LABELS")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
def labels(job_file: Path, table: str, as_json: bool) -> None:
    """Join LABELS that arrived since, a table of ids and the target, to JOB's published runs: was what they were
    expected to reach so? The next drift report shows it."""
    from .. import tables
    from .labels import join
    from .reading import load

    file = load(job_file)
    found = join(file, tables.read(tables.Source.of(table)), table)
    if as_json:
        runs = [each.to_json() for each in found]
        click.echo(json.dumps({"runs": runs}, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        for each in found:
            click.echo(each.sentence)


@job.command()
@JOB
@click.option("--for", "kind", type=click.Choice(["cron", "systemd", "airflow", "kubernetes", "docker"]), required=True)
def schedule(job_file: Path, kind: str) -> None:
    """Print the definition that makes a scheduler run JOB; docker is the image for Kubernetes."""
    from .reading import load
    from .schedules import definition

    click.echo(definition(load(job_file), kind), nl=False)
