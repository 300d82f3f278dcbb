"""What every solution promises, as checks that any vertical's tests can run.

    @pytest.mark.parametrize("check", contract.CHECKS, ids=contract.title)
    def test_contract(check, kit):
        check(kit)

A `Kit` trains four times (as it is, killed and resumed, with a second seed, on shuffled targets) and starts one new
process, whatever the number of checks.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from . import config, promises, run, tables
from .bundle import Bundle
from .errors import Refused
from .evaluation import OURS, Judge, Scored
from .prepare import prepare
from .schema import Schema
from .solution import Goal, Later, Sample, Solution, Table
from .training import Store

__all__ = ["CHECKS", "Kit", "title"]

TOLERANCE = 1e-5


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


class Kit:
    """A solution, its sample, and what was trained on it, each made when it is first asked for."""

    def __init__(self, solution: Solution[Any], target: str, folder: Path) -> None:
        self.solution, self.target, self.folder = solution, target, folder
        self.kills = 0
        module = importlib.import_module(target.partition(":")[0])
        self.package = Path(module.__file__ or "").parent
        self.module = module.__name__

    @cached_property
    def sample(self) -> Sample:
        return self.solution.sample(0)

    @cached_property
    def schema(self) -> Schema:
        return self.bundle.schema

    @cached_property
    def targets(self) -> list[str]:
        """The user's own names of the target columns."""
        return [self.schema.source(field.name) for field in self.schema.targets]

    @cached_property
    def bundle(self) -> Bundle:
        """Trained on the sample as it is."""
        return run.train(self.config("rows", self.sample.rows), self.folder / "bundle")

    @cached_property
    def resumed(self) -> Bundle:
        """Trained with the same seed, killed right before a checkpoint and again right after one, resumed each time."""
        settings, out = self.config("rows", self.sample.rows), self.folder / "resumed"
        for resume, kill in ((False, _killed(2, written=False)), (True, _killed(3, written=True))):
            try:
                with kill:
                    return run.train(settings, out, resume=resume)
            except Killed:
                self.kills += 1
        return run.train(settings, out, resume=True)

    @cached_property
    def reseeded(self) -> Bundle:
        """Trained on the sample with a second seed."""
        settings = {**self.config("rows", self.sample.rows), "device": {"seed": 1}}
        return run.train(settings, self.folder / "reseeded")

    @cached_property
    def unlearnable(self) -> Bundle:
        """Trained on the sample with its targets shuffled."""
        rows = self.sample.rows.copy()
        order = np.random.default_rng(0).permutation(len(rows))
        rows[self.targets] = rows[self.targets].iloc[order].to_numpy()
        return run.train(self.config("shuffled", rows), self.folder / "unlearnable")

    @cached_property
    def rows(self) -> Table:
        """Some of the sample's rows as a user has them, without targets."""
        return self.sample.rows.drop(columns=self.targets).head(200)

    @cached_property
    def scored(self) -> Table:
        return self.bundle.score(self.rows)

    @cached_property
    def elsewhere(self) -> dict[str, Any]:
        """What a new process found: the modules that importing the package brought, and its scores."""
        bundle = self.bundle  # trained before the other process needs it
        tables.write(self.rows, self.folder / "new_rows.parquet")
        program = ELSEWHERE.format(
            module=self.module,
            bundle=str(bundle.path),
            rows=str(self.folder / "new_rows.parquet"),
            out=str(self.folder / "elsewhere.parquet"),
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"a new process can't score with the bundle:\n{done.stderr}"
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return {**found, "scores": pd.read_parquet(self.folder / "elsewhere.parquet"), "noise": done.stderr}

    def config(self, name: str, rows: Table) -> dict[str, Any]:
        """A config that trains on these rows."""
        path = self.folder / f"{name}.parquet"
        tables.write(rows, path)
        side = {}
        for key, table in self.sample.side.items():
            tables.write(table, self.folder / f"{key}.parquet")
            side[key] = str(self.folder / f"{key}.parquet")
        return {
            "solution": self.target,
            "intended_use": "a test of the contract",
            "data": {"rows": str(path), "columns": dict(self.sample.columns), "side": side},
            "settings": dict(self.sample.settings),
        }


ELSEWHERE = """
import json, sys
import {module}
heavy = sorted({{"keras", "tensorflow", "pandas", "sklearn"}} & set(sys.modules))
import pandas as pd
import solvent
pd.read_parquet({rows!r}).pipe(solvent.Bundle.load({bundle!r}).score).to_parquet({out!r})
print(json.dumps({{"heavy": heavy}}))
"""


@contextmanager
def _killed(checkpoint: int, *, written: bool) -> Iterator[None]:
    """Let training die right after its n-th checkpoint is written, or right before: then an epoch's weights may lie
    there as the best, and no state that names them."""
    original, saved = Store.save, 0

    def save(self: Store, *arguments: Any) -> None:
        nonlocal saved
        saved += 1
        if written:
            original(self, *arguments)
        if saved == checkpoint:
            raise Killed
        if not written:
            original(self, *arguments)

    Store.save = save  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        Store.save = original  # type: ignore[method-assign]


def it_learns_its_sample(kit: Kit) -> None:
    _reaches_the_floor(kit.bundle, kit.sample.floor)


def it_learns_its_sample_with_a_second_seed(kit: Kit) -> None:
    """So the first was not a lucky one; whatever draws nothing at random gives the same again."""
    assert kit.reseeded.facts["test"]["rows"] == kit.bundle.facts["test"]["rows"], "the seed moved the split"
    _reaches_the_floor(kit.reseeded, kit.sample.floor)


def it_does_not_learn_shuffled_targets(kit: Kit) -> None:
    """The headline lies inside the 99.9 % interval of chance, found by permuting the truth against the scores."""
    bundle = kit.unlearnable
    prepared = prepare(config.load(kit.config("shuffled", pd.read_parquet(kit.folder / "shuffled.parquet"))))
    judge = Judge(kit.solution, bundle.settings, bundle.schema)
    scored = Scored.of(judge.cases(prepared.part("test"), bundle.fitted), {OURS: bundle.scorer()})
    names = [field.name for field in bundle.schema.targets]
    random = np.random.default_rng(0)
    chance = []
    for _ in range(200):
        permuted = scored.rows.copy()
        permuted[names] = scored.rows[names].iloc[random.permutation(len(permuted))].to_numpy()
        chance.append(judge.measure(permuted, scored.ours).headline)
    low, high = np.mean(chance) - 3.29 * np.std(chance), np.mean(chance) + 3.29 * np.std(chance)
    assert low <= _headline(bundle) <= high, (
        f"{_headline(bundle):.4f} on shuffled targets; chance: {low:.4f} to {high:.4f}"
    )


def scoring_gives_one_row_per_case_with_the_declared_outputs(kit: Kit) -> None:
    strange = kit.rows.set_axis(kit.rows.index[::-1] * 3 + 7)
    for table in (strange, strange.head(0), strange.head(1)):
        scored = kit.bundle.score(table)
        assert scored.index.equals(table.index)
        assert list(scored) == [*(item.name for item in kit.bundle.outputs), promises.ERROR]
        assert list(scored.dtypes) == list(kit.scored.dtypes)
    assert kit.scored[promises.ERROR].isna().all(), kit.scored[promises.ERROR].dropna().iloc[0]
    for item in kit.bundle.outputs:
        assert kit.scored[item.name].notna().any(), f"{item.name} is null in every row of the sample"


def a_table_of_nulls_is_scored_or_fails_row_by_row(kit: Kit) -> None:
    nulls = kit.rows.head(3).astype(object)
    nulls[:] = None
    scored = kit.bundle.score(nulls)
    assert len(scored) == 3
    names = [item.name for item in kit.bundle.outputs]
    for _, row in scored.iterrows():
        assert row[names].isna().all() if pd.notna(row[promises.ERROR]) else row[names].notna().any()


def the_target_is_never_read_while_scoring(kit: Kit) -> None:
    with_targets = kit.sample.rows.head(len(kit.rows)).copy()
    _same(kit.bundle.score(with_targets), kit.scored, 0)
    with_targets[kit.targets] = with_targets[kit.targets].iloc[::-1].to_numpy()
    _same(kit.bundle.score(with_targets), kit.scored, 0)


def each_entity_alone_scores_as_in_the_whole_table(kit: Kit) -> None:
    key = _entities(kit)
    for value in key.unique()[:5]:
        part = kit.rows[key == value]
        _same(kit.bundle.score(part), kit.scored.loc[part.index], TOLERANCE)


def the_parts_change_no_score(kit: Kit) -> None:
    """Whichever rows are scored together, since batch scoring cuts a table anywhere between two entities."""
    key = _entities(kit)
    order = key.unique()
    for parts in (3, 20):
        cut = np.array_split(order, parts)
        scored = pd.concat([kit.bundle.score(kit.rows[key.isin(part)]) for part in cut if len(part)])
        _same(scored.loc[kit.rows.index], kit.scored, 1e-6)


def a_saved_bundle_scores_the_same_in_a_new_process(kit: Kit) -> None:
    _same(kit.elsewhere["scores"], kit.scored, 1e-6)


def importing_the_package_imports_nothing_heavy(kit: Kit) -> None:
    assert kit.elsewhere["heavy"] == [], f"importing {kit.module} imports {kit.elsewhere['heavy']}: use later(...)"


def nothing_but_messages_reaches_standard_error(kit: Kit) -> None:
    said = "holds rows or pictures of people in"  # a bundle that does says so whenever it is loaded
    noise = [line for line in kit.elsewhere["noise"].splitlines() if line.strip() and said not in line]
    assert noise == [], f"scoring printed on standard error: {noise[:3]}"


def explain_gives_one_row_for_each_row_with_the_same_index(kit: Kit) -> None:
    """Of a solution that explains; Bundle.explain of one that doesn't is refused."""
    if kit.solution.explain is None:
        return
    rows = kit.rows.head(20)
    explained = kit.bundle.explain(rows)
    assert explained[promises.ERROR].isna().all(), explained[promises.ERROR].dropna().iloc[0]
    assert explained.drop(columns=promises.ERROR).notna().any(axis=1).all(), "a row is not explained at all"
    strange = rows.set_axis(rows.index[::-1] * 3 + 7)
    key = _entities(kit).loc[rows.index]
    for part in (strange, strange.head(0), strange[(key == key.iloc[0]).to_numpy()]):
        found = kit.bundle.explain(part)
        assert found.index.equals(part.index)
        _same(found, explained.set_axis(strange.index).loc[part.index], TOLERANCE)


def a_missing_column_is_named(kit: Kit) -> None:
    field = next(item for item in kit.schema.fields if item.role == "feature")
    try:
        kit.bundle.score(kit.rows.drop(columns=field.source))
    except Refused as error:
        assert field.source in str(error), f"{field.source!r} is not in the message: {error}"
    else:
        raise AssertionError(f"scoring without the column {field.source!r} was not refused")


def a_bad_cell_fails_its_row_and_no_other(kit: Kit) -> None:
    field = next((item for item in kit.schema.features if item.kind == "number"), None)
    field = field or next(item for item in kit.schema.fields if item.required and item.role == "feature")
    broken = kit.rows.astype({field.source: object})
    broken.iloc[1, list(broken).index(field.source)] = "not a number" if field.kind == "number" else None
    scored = kit.bundle.score(broken)
    assert field.source in scored[promises.ERROR].iloc[1]
    assert scored.drop(columns=promises.ERROR).iloc[1].isna().all()
    key = _entities(kit)
    others = (key != key.iloc[1]).to_numpy()
    _same(scored[others], kit.scored[others], TOLERANCE)


def every_rival_runs_and_is_reported(kit: Kit) -> None:
    page = (kit.bundle.path / "report.html").read_text(encoding="utf-8")
    rivals = kit.solution.rivals_of(kit.bundle.settings)
    assert rivals, "a solution needs at least one strong simple rival"
    for name in rivals:
        assert kit.bundle.facts["rivals"][name]["metrics"][kit.bundle.facts["goal"]["metric"]]["value"] is not None
        assert name.replace("&", "&amp;") in page
    assert kit.bundle.facts["test"]["baseline"]["name"] in rivals


def two_runs_with_one_seed_agree(kit: Kit) -> None:
    _same(kit.resumed.score(kit.rows), kit.scored, 0)


def a_killed_training_resumes_to_the_same_metrics(kit: Kit) -> None:
    assert kit.resumed.facts["test"] == kit.bundle.facts["test"]
    for name, model in kit.bundle.fitted.models.items():
        for ours, theirs in zip(model.weights, kit.resumed.fitted.models[name].weights, strict=True):
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def registered_keras_names_begin_with_the_package(kit: Kit) -> None:
    import keras

    for function in (kit.solution.fit, kit.solution.scorer):
        if isinstance(function, Later):
            importlib.import_module(function.module)
    for name, kind in keras.saving.get_custom_objects().items():
        if kind.__module__ == kit.module or kind.__module__.startswith(f"{kit.module}."):
            assert name.startswith(kit.module), f"the Keras name {name!r} does not begin with {kit.module!r}"


def its_example_runs(kit: Kit) -> None:
    example = kit.package / "example.yaml"
    assert example.is_file(), f"{kit.package} has no example.yaml"
    here = f"solution={kit.target}"  # also before it is installed
    given = config.load(example, changes=[here])
    named = yaml.safe_load(example.read_text(encoding="utf-8"))["solution"]
    assert named in (kit.solution.name, kit.target), f"example.yaml is of the solution {named!r}"
    for dataset in kit.solution.datasets:
        used = given.data.rows is not None and given.data.rows.dataset == dataset.name
        if used and dataset.package and not importlib.util.find_spec(dataset.package):
            import pytest

            pytest.skip(f"example.yaml needs the package {dataset.package}: pip install {dataset.package}")
    bundle = run.train(example, kit.folder / "example", changes=[here, "settings.training.epochs=1"])
    assert bundle.facts["test"]["rows"] > 0


def its_readme_names_every_setting(kit: Kit) -> None:
    text = (kit.package / "README.md").read_text(encoding="utf-8")
    for name in kit.solution.settings.model_fields:
        assert f"`{name}`" in text, f"README.md does not explain the setting `{name}`"


CHECKS: list[Callable[[Kit], None]] = [
    it_learns_its_sample,
    it_learns_its_sample_with_a_second_seed,
    it_does_not_learn_shuffled_targets,
    scoring_gives_one_row_per_case_with_the_declared_outputs,
    a_table_of_nulls_is_scored_or_fails_row_by_row,
    the_target_is_never_read_while_scoring,
    each_entity_alone_scores_as_in_the_whole_table,
    the_parts_change_no_score,
    a_saved_bundle_scores_the_same_in_a_new_process,
    explain_gives_one_row_for_each_row_with_the_same_index,
    importing_the_package_imports_nothing_heavy,
    nothing_but_messages_reaches_standard_error,
    a_missing_column_is_named,
    a_bad_cell_fails_its_row_and_no_other,
    every_rival_runs_and_is_reported,
    two_runs_with_one_seed_agree,
    a_killed_training_resumes_to_the_same_metrics,
    registered_keras_names_begin_with_the_package,
    its_example_runs,
    its_readme_names_every_setting,
]


def title(check: Any) -> str:
    """A check's name, for pytest's ids."""
    return str(check.__name__)


def _reaches_the_floor(bundle: Bundle, floor: float) -> None:
    goal, value = Goal(**bundle.facts["goal"]), _headline(bundle)
    assert value == value, f"{goal.metric} is no number on the sample"
    assert not goal.better(floor, value), f"{goal.metric} is {value:.4f} on the sample; its floor is {floor}"


def _entities(kit: Kit) -> pd.Series[Any]:
    """The entity of each row; each row is one where the solution has none."""
    own: pd.Series[Any] = kit.rows.index.to_series()
    for field in kit.schema.by_role("entity"):
        own = kit.rows[field.source]
    return own


def _headline(bundle: Bundle) -> float:
    return float(bundle.facts["test"]["metrics"][bundle.facts["goal"]["metric"]]["value"])


def _same(found: Table, expected: Table, tolerance: float) -> None:
    pd.testing.assert_frame_equal(
        found, expected, check_exact=tolerance == 0, rtol=0, atol=tolerance, check_index_type=False
    )
