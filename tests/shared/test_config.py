"""What a config file becomes, and what is said when it can't."""

import pytest
import yaml
from pydantic import ValidationError, model_validator

from solvent import Refused, Section, Training, config, documents

CREDIT = {"solution": "credit", "data": {"rows": "loans.csv"}}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "loans.csv").write_text("status\nbad\n")
    return tmp_path


@pytest.fixture
def load(folder):
    def run(content, *changes):
        path = folder / "config.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        return config.load(path, changes=changes)

    return run


@pytest.fixture
def refused(load):
    def run(content, *changes):
        with pytest.raises(Refused) as caught:
            load(content, *changes)
        return str(caught.value).splitlines()

    return run


def test_a_config_of_two_keys_has_the_defaults_of_everything_else(load, folder):
    run = load(CREDIT)
    assert run.solution.name == run.name == "credit"
    assert run.settings == run.solution.settings()
    assert (run.data.max_bad, run.data.allow, run.data.split) == (0.01, (), None)
    assert (run.device.precision, run.device.strategy, run.device.seed) == ("auto", "auto", 0)
    assert (run.base, run.file, run.given) == (folder, "config.yaml", CREDIT)


def test_an_empty_part_is_a_part_that_is_left_out(load):
    assert load("solution: credit\ndata: {rows: loans.csv}\nsettings:\ndevice:\n").settings.bins == 32


@pytest.mark.parametrize("part", ["data", "device", "settings"])
@pytest.mark.parametrize("content", [[], False, 0, "text"])
def test_a_part_that_is_no_mapping_is_refused_even_if_it_is_empty(refused, part, content):
    said = [line for line in refused({**CREDIT, part: content}) if f" {part}: " in line]
    assert said[0].endswith(f"{part}: expected keys with values (found {documents.shown(content)}).")


def test_paths_start_from_the_config_and_not_from_where_one_stands(load, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load(CREDIT).base == tmp_path


def test_a_path_may_start_at_home(load, folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    assert load({**CREDIT, "data": {"rows": "~/loans.csv"}}).data.rows.path == "~/loans.csv"


def test_a_mapping_is_a_config_too_and_is_not_changed(folder):
    given = {"solution": "credit", "data": {"rows": "loans.csv"}, "settings": {"training": {"epochs": 9}}}
    run = config.load(given, base=folder, changes=["settings.training.epochs=3", "data.max_bad=0.5"])
    assert (run.settings.training.epochs, run.data.max_bad) == (3, 0.5)
    assert given["settings"] == {"training": {"epochs": 9}}
    assert given["data"] == {"rows": "loans.csv"}


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("settings.positive=good", "good"),
        ("settings.positive='1'", "1"),
        ("settings.positive=a=b", "a=b"),
    ],
)
def test_a_change_is_read_as_yaml_after_its_first_equals_sign(load, change, value):
    assert load(CREDIT, change).settings.positive == value


def test_a_change_makes_the_parts_that_it_needs(load):
    assert load("solution: credit\ndata: {rows: loans.csv}\nsettings:\n", "settings.training.epochs=3").given[
        "settings"
    ] == {"training": {"epochs": 3}}


def test_the_last_of_several_changes_wins(load):
    assert load(CREDIT, "settings.bins=4", "settings.bins=5").settings.bins == 5


def test_a_run_with_other_settings_is_checked_again(load):
    run = load({**CREDIT, "settings": {"bins": 4, "rare": 7}})
    changed = run.with_settings({"bins": 5})
    assert (changed.settings.bins, changed.settings.rare, changed.base) == (5, 7, run.base)
    assert run.settings.bins == 4
    with pytest.raises(Refused, match=r"settings\.bins: expected a whole number"):
        run.with_settings({"bins": "many"})


def test_settings_may_be_added_to_a_run_that_has_none(load):
    assert load("solution: credit\ndata: {rows: loans.csv}\nsettings:\n").with_settings({"bins": 5}).settings.bins == 5


def test_problems_come_in_the_order_of_the_lines(refused):
    said = refused("settings: {budget: -1}\nsolution: credit\nsurprise: 1\ndevice: {seed: x}\ndata: {rows: lons.csv}\n")
    assert [line.split(":")[0] for line in said] == [
        "config.yaml line 1, settings.budget",
        "config.yaml line 3, surprise",
        "config.yaml line 4, device.seed",
        "config.yaml line 5, data.rows",
    ]


def test_a_capital_letter_in_an_unknown_key_is_no_reason_to_name_another(refused):
    (said,) = refused({**CREDIT, "settings": {"training": {"Epochs": 3}}})
    assert "settings.training.Epochs: unknown key. Did you mean 'epochs'?" in said


def test_an_unknown_key_of_a_source_knows_the_keys_of_sources(refused):
    said = refused({**CREDIT, "data": {"rows": "loans.csv", "side": {"Items": {"pth": "items.csv"}}}})
    assert "data.side.Items.pth: unknown key. Did you mean 'path'? Known: path, encoding," in said[0]


def test_a_value_that_fits_no_type_of_a_union_is_one_problem(refused):
    (said,) = refused({**CREDIT, "settings": {"training": {"class_weight": 3}}})
    assert "settings.training.class_weight: " in said
    assert said.count("(found 3)") == 1


class Shop(Section):
    title: str | None = None
    low: int = 0
    high: int = 1

    @model_validator(mode="after")
    def _in_order(self):
        if self.low > self.high:
            raise ValueError("low: is over high")
        return self


def messages(given):
    with pytest.raises(ValidationError) as caught:
        Shop(**given)
    return [message for _, message in documents.messages(caught.value, given, Shop)]


def test_a_list_in_place_of_a_text_is_called_so_and_a_rule_between_settings_shows_no_long_value():
    assert messages({"title": ["category"]}) == ['expected one text, not a list (found ["category"]).']
    assert messages({"low": 2}) == ['low: is over high (found {"low": 2}).']
    assert messages({"low": 2, "title": "a" * 60}) == ["low: is over high."]


def test_a_share_that_is_given_in_percent_is_told_how_it_is_written(refused):
    (said,) = refused({**CREDIT, "data": {"rows": "loans.csv", "max_bad": 5}})
    assert said.endswith("data.max_bad: expected less than or equal to 1 (found 5; 5 % is 0.05).")


def test_an_item_of_a_list_is_named_by_its_place(refused):
    (said,) = refused({**CREDIT, "settings": {"smoothness": [1, "strong"]}})
    assert said.endswith("settings.smoothness.1: expected a number (found 'strong').")


def test_a_password_is_in_no_message(refused):
    source = {"sql": "postgresql://reader:s3cret@host/shop"}
    (said,) = refused({**CREDIT, "data": {"rows": source}})
    assert "sql: and query: need each other" in said
    assert "reader:***@host" in said
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "data.rows: no rows to train on."),
        ({"valid": "loans.csv"}, "data.rows: no rows to train on."),
        ({"rows": "loans.csv", "test": "loans.csv"}, "data.rows: stands beside test:."),
        ({"rows": "loans.csv", "train": "loans.csv"}, "data.rows: stands beside train:."),
        ({"train": "loans.csv", "split": {"by": "random", "folds": 3}}, "data.split.folds: folds cut one table."),
        (
            {"train": "loans.csv", "valid": "loans.csv", "split": {"by": "random"}},
            "data.split: train: and valid: are given, so nothing is left to split.",
        ),
        ({"rows": {"dataset": "credit_dat"}}, "data.rows.dataset: credit knows no data set 'credit_dat'. Did you mean"),
        ({"rows": "loans.csv", "side": {"items": "films.csv"}}, "data.side.items: there is no file or folder"),
    ],
)
def test_tables_that_do_not_go_together_are_refused(refused, data, message):
    assert any(message in line for line in refused({"solution": "credit", "data": data}))


def test_a_public_data_set_needs_no_file(load):
    assert load({**CREDIT, "data": {"rows": {"dataset": "credit_data"}}}).data.rows.dataset == "credit_data"


def test_a_key_that_stands_twice_inside_a_part_is_refused(refused):
    (said,) = refused("solution: credit\ndata:\n  rows: loans.csv\n  max_bad: 0\n  rows: other.csv\n")
    assert said == ("config.yaml is not YAML: line 5: the key 'rows' stands in line 3 already. Remove one of them.")


def test_anchors_and_merges_are_yaml(load):
    text = "solution: credit\ndata: {rows: &table loans.csv, side: {items: *table}}\n"
    run = load(text + "settings: {training: {<<: {epochs: 3, patience: 4}, patience: 2}}\n")
    assert run.data.side["items"].path == "loans.csv"
    assert (run.settings.training.epochs, run.settings.training.patience) == (3, 2)


def test_a_document_that_holds_itself_is_refused_and_not_followed_for_ever(refused):
    said = refused("solution: credit\ndata: {rows: loans.csv}\nsettings: &me {training: *me}\n")
    assert any("its anchors repeat one another without end" in line for line in said)


@pytest.mark.parametrize("name", [":SOLUTION", "solvent_finance:", ".finance:SOLUTION"])
def test_half_a_name_of_a_module_is_refused(refused, name):
    (said,) = refused({**CREDIT, "solution": name})
    assert "expected a name, or package.module:SOLUTION" in said


def test_what_is_no_solution_is_refused(refused):
    (said,) = refused({**CREDIT, "solution": "solvent_finance.settings:Credit"})
    assert "expected a solvent.Solution" in said


def test_a_missing_solution_and_a_missing_file_are_said_together(refused):
    said = refused({"data": {"rows": "lons.csv"}})
    assert any("solution: is missing" in line for line in said)
    assert any("Did you mean 'loans.csv'?" in line for line in said)


def test_a_section_that_is_given_in_part_keeps_the_rest_of_the_domains_own_defaults():
    class Domain(Section):
        training: Training = Training(learning_rate=0.02, batch_size=64)

    found = Domain(training={"epochs": 3}).training
    assert (found.epochs, found.learning_rate, found.batch_size) == (3, 0.02, 64)
    assert Domain(training={"learning_rate": 0.5}).training.batch_size == 64
