"""Recommender: the lists that a bundle makes for known and new users, of known and new items, under rules."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest

from solvent import Bundle, Data, Refused, compare, evaluate, score, tables, train
from solvent.config import load
from solvent.metrics import point, ranking
from solvent.runtime.optimize import optimize
from solvent_recommender import model, rivals, rules
from solvent_recommender.cases import cases, forget
from solvent_recommender.interactions import Known
from solvent_recommender.sample import tastes
from solvent_recommender.settings import Recommender, Scoring

TARGET = "solvent_recommender:SOLUTION"


@pytest.fixture(scope="module")
def made():
    return tastes(0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, made):
    where = tmp_path_factory.mktemp("tastes")
    tables.write(made.rows, where / "rows.parquet")
    tables.write(made.side["items"], where / "items.parquet")
    return where


def data_of(folder, made):
    return {
        "rows": str(folder / "rows.parquet"),
        "columns": dict(made.columns),
        "side": {"items": str(folder / "items.parquet")},
    }


@pytest.fixture(scope="module")
def bundle(folder, made):
    settings = {**made.settings, "parts": ["popularity", "neighbours", "ease", "content"], "scoring": {"length": 20}}
    config = {
        "solution": TARGET,
        "data": data_of(folder, made),
        "settings": settings,
    }
    return train(config, folder / "bundle")


def kinds(items):
    return [item.partition("-")[0] for item in items]


def asked(*users, **columns):
    return pd.DataFrame({"customer": list(users), **columns})


def with_scoring(bundle, **changes):
    return bundle.with_scoring(changes)


def test_users_get_what_is_of_their_taste_and_nothing_that_they_had(bundle, made):
    found = bundle.score(asked("U000", "U001", "U002", "U003"))
    learnt = made.rows.iloc[: round(0.8 * len(made.rows))]  # of rows in order of time, train and valid
    for row, kind in enumerate(("tea", "boat", "drum", "seed")):
        had = set(learnt.loc[learnt["customer"] == f"U{row:03d}", "item"])
        items = found["items"].iloc[row]
        assert kinds(items[:2]) == [kind] * 2
        assert len(set(items)) == len(items) == 20
        assert found["candidates"].iloc[row] == 64
        assert len(had) > 8 and not set(items) & had
        assert found["scores"].iloc[row] == sorted(found["scores"].iloc[row], reverse=True)


def test_a_new_user_is_served_by_the_history_in_the_row(bundle):
    history = ["drum-02", "drum-06", "drum-10"]
    found = bundle.score(asked("nobody", "nobody else", history=[history, None]))
    assert kinds(found["items"].iloc[0][:5]) == ["drum"] * 5
    assert not set(history) & set(found["items"].iloc[0])
    assert any("Drum number" in reason for reason in found["reasons"].iloc[0])
    assert set(found["reasons"].iloc[1]) == {"popular now"}


def test_a_history_may_be_a_text_with_bars_as_a_csv_has_it(bundle):
    as_list = bundle.score(asked("x", history=[["tea-00", "tea-04"]]))
    as_text = bundle.score(asked("x", history=["tea-00|tea-04"]))
    pd.testing.assert_frame_equal(as_list, as_text)


def test_a_changed_history_changes_that_users_list_and_no_other(bundle):
    before = bundle.score(asked("a", "b", "U005", history=[["tea-00"], ["boat-01"], None]))
    after = bundle.score(asked("a", "b", "U005", history=[["tea-00"], ["seed-03", "seed-07"], None]))
    pd.testing.assert_frame_equal(before.drop(index=1), after.drop(index=1))
    assert kinds(after["items"].iloc[1][:3]) == ["seed"] * 3
    assert before["items"].iloc[1] != after["items"].iloc[1]


def test_a_new_item_reaches_the_users_of_its_kind_and_no_others(bundle, made, folder):
    items = made.side["items"]
    new = pd.DataFrame(
        {"item": ["fresh"], "title": ["A fresh one"], "kind": ["drum"], "text": ["stick beat rhythm"], "price": [9.0]}
    ).assign(stock=3)
    lists = bundle.scorer({"items": pd.concat([items, new], ignore_index=True)})
    users = [f"U{number:03d}" for number in range(160)]
    found = lists(pd.DataFrame({"user": pd.Series(users, dtype="str")}))
    reached = np.array(["fresh" in items[:8] for items in found["items"]])
    own = np.arange(160) % 4 == 2
    assert reached[own].mean() > 0.9
    assert not any("fresh" in items[:4] for items in found["items"][~own])
    row = np.flatnonzero(own & reached)[0]
    assert "similar to Drum number" in found["reasons"].iloc[row][found["items"].iloc[row].index("fresh")]


def test_items_that_are_not_in_tonights_table_are_not_recommended(bundle, made):
    left = made.side["items"].iloc[::2]
    found = bundle.scorer({"items": left})(pd.DataFrame({"user": pd.Series(["U000", "U001"], dtype="str")}))
    assert set(np.concatenate(found["items"].to_list())) <= set(left["item"])
    assert (found["candidates"] == 32).all()


def test_what_users_had_still_tells_of_them_on_a_night_when_it_is_off_offer(bundle, made):
    """Of the drums only a new one is on offer tonight."""
    new = pd.DataFrame(
        {"item": ["fresh"], "title": ["A fresh one"], "kind": ["drum"], "text": ["stick beat rhythm"], "price": [9.0]}
    ).assign(stock=3)
    others = made.side["items"].query("kind != 'drum'")
    tonight = bundle.scorer({"items": pd.concat([others, new], ignore_index=True)})
    history = [["drum-02", "drum-06", "drum-10"], ["tea-00", "tea-04", "tea-08"]]
    found = tonight(pd.DataFrame({"user": ["x", "y"], "history": history}))
    assert "fresh" in found["items"].iloc[0][:3]
    assert "fresh" not in found["items"].iloc[1][:3]
    why = found["reasons"].iloc[0][found["items"].iloc[0].index("fresh")]
    assert why.startswith("similar to Drum number")


def test_measured_on_a_table_of_old_and_new_rows_only_the_new_ones_count(bundle, made):
    """No list holds what its user has had, so these pairs are no misses."""
    found = evaluate(bundle, made.rows)["metrics"]
    assert found["ndcg@10"]["value"] == pytest.approx(bundle.facts["test"]["metrics"]["ndcg@10"]["value"])
    assert found["recall@20"]["value"] == pytest.approx(bundle.facts["test"]["metrics"]["recall@20"]["value"])


def test_two_bundles_are_compared_on_what_neither_of_them_knows(bundle, folder, made):
    """The other one learnt from fewer rows: for it, more of the table is new."""
    tables.write(made.rows.iloc[:1600], folder / "early.parquet")
    data = {**data_of(folder, made), "rows": str(folder / "early.parquet")}
    settings = {"parts": ["popularity", "neighbours"]}
    early = train({"solution": TARGET, "data": data, "settings": settings}, folder / "early")
    found = compare(bundle, early, made.rows)
    truth = cases(bundle.settings, made.rows.rename(columns={"customer": "user"}), bundle.fitted, early.fitted)
    assert found["rows"] == len(truth)
    for name, each in (("first", bundle), ("second", early)):
        value = point(ranking(truth["item"], each.scorer()(truth[["user"]])["items"], [10])["ndcg@10"])
        assert found[name]["value"] == pytest.approx(value)
    turned = compare(early, bundle, made.rows)["difference"]
    assert turned["value"] == pytest.approx(-found["difference"]["value"])
    with pytest.raises(Refused, match="no case in common"):
        compare(bundle, with_scoring(bundle, seen=True), made.rows)


def test_a_pinned_item_that_is_in_no_list_is_told_of_and_refused_in_training_if_there_is_none(
    bundle, folder, made, caplog
):
    items = made.side["items"].assign(stock=lambda table: np.where(table["item"] == "tea-00", 0, 1))
    pinned = with_scoring(bundle, pinned=("tea-00", "tea-000", "boat-01"), in_stock="stock")
    pinned.scorer({"items": items})
    assert "pinned: 'tea-00', 'tea-000' are in no list" in caplog.text and "boat-01" not in caplog.text
    settings = {"scoring": {"pinned": ["tea-000"]}}
    with pytest.raises(Refused, match=r"pinned names 'tea-000'.*Did you mean 'tea-00'\?"):
        train({"solution": TARGET, "data": data_of(folder, made), "settings": settings}, folder / "refused")
    with pytest.raises(ValueError, match="3 items don't fit into lists of length 2"):
        Scoring(pinned=("a", "b", "c", "a"), length=2)


def test_a_history_may_be_what_a_csv_file_gives(bundle, folder):
    """pandas writes lists as Python shows them; a file of single ids that are numbers has a column of numbers."""
    history = [["tea-00", "tea-04"], ["boat-01"]]
    users = asked("x", "y", history=history)
    users.to_csv(folder / "shown.csv", index=False)
    assert "['tea-00', 'tea-04']" in (folder / "shown.csv").read_text()
    found = bundle.score(pd.read_csv(folder / "shown.csv"))
    assert found["error"].isna().all()
    pd.testing.assert_frame_equal(found, bundle.score(users))
    assert bundle.score(asked("x", "y", history=[7, 8.0]))["error"].isna().all()


def test_no_users_id_is_in_the_report(bundle):
    text = (bundle.path / "report.html").read_text()
    assert "Lists to judge by eye" in text and "user 1 of 5" in text
    assert not re.search(r"U\d{3}\b", text)


def test_a_rule_that_cannot_be_is_refused_before_anything_is_fitted(folder, made, monkeypatch):
    def fitted(*_):
        raise AssertionError("too late")

    monkeypatch.setattr("solvent_recommender.model.choose", fitted)
    config = {
        "solution": TARGET,
        "data": data_of(folder, made),
        "settings": {"scoring": {"in_stock": "stok"}},
    }
    with pytest.raises(Refused, match=r"'stok'.*stock"):
        train(config, folder / "refused")


def test_a_side_table_that_nobody_reads_is_refused(folder, made):
    config = {
        "solution": TARGET,
        "data": {
            "rows": str(folder / "rows.parquet"),
            "columns": dict(made.columns),
            "side": {"item": str(folder / "items.parquet")},
        },
    }
    with pytest.raises(Refused, match=r"data\.side\.item: .*Did you mean 'items'"):
        train(config, folder / "refused")


def test_a_batch_job_takes_the_side_table_and_is_published_whole(bundle, made, folder):
    tables.write(made.rows[["customer"]].drop_duplicates(), folder / "users.csv")
    side = {"items": made.side["items"].iloc[:40]}
    score.score(bundle, folder / "users.csv", folder / "lists", chunk_rows=50, side=side)
    parts = sorted((folder / "lists").glob("part-*.parquet"))
    assert len(parts) == 4
    found = pd.concat(map(pd.read_parquet, parts))
    assert len(found) == 160 and found["customer"].is_unique
    assert set(np.concatenate(found["items"].to_list())) <= set(made.side["items"]["item"].iloc[:40])


def test_rules_hold_in_every_list(bundle, made):
    users = asked(*[f"U{number:03d}" for number in range(20)])
    had = made.rows.iloc[: round(0.8 * len(made.rows))].groupby("customer")["item"].agg(set)
    found = with_scoring(bundle, only={"kind": ["tea", "boat"]}, length=8).score(users)
    assert {kind for row in found["items"] for kind in kinds(row)} == {"tea", "boat"}
    found = with_scoring(bundle, per_category=2).score(users)
    assert all(max(kinds(row).count(kind) for kind in set(kinds(row))) <= 2 and len(row) == 8 for row in found["items"])
    found = with_scoring(bundle, pinned=("seed-63", "nothing"), length=5).score(users)
    own = {user for user, items in had.items() if "seed-63" in items}
    assert 0 < len(own & set(users["customer"])) < 20
    for user, row, why in zip(users["customer"], found["items"], found["reasons"], strict=True):
        assert len(row) == 5
        assert ("seed-63" in row) == (user not in own)
        assert user in own or (row[0] == "seed-63" and why[0] == "pinned")
    found = with_scoring(bundle, seen=True).score(users)
    again = [len(set(row) & had[user]) for user, row in zip(users["customer"], found["items"], strict=True)]
    assert np.mean(again) > 5 and (found["candidates"] == 64).all()


def test_the_users_that_it_knows_have_moved_nowhere_and_unknown_items_are_counted(bundle, folder):
    users = pd.DataFrame({"customer": [f"U{number:03d}" for number in range(160)]})
    tables.write(users, folder / "all.csv")
    drift = score.score(bundle, folder / "all.csv", folder / "all.parquet")["drift"]
    assert drift["output_rows"] == 160
    assert all(drift["outputs"][name]["psi"] < 0.01 for name in ("popularity", "novelty", "diversity"))
    assert all(found["psi"] < 0.25 for found in drift["outputs"].values() if found["psi"])  # items: by half of them
    tables.write(users[:3].assign(history=["tea-00|gone", "tea-00,tea-04", "tea-00"]), folder / "some.csv")
    assert score.score(bundle, folder / "some.csv", folder / "some.parquet")["notes"] == {
        "history: some of its items are unknown, and are passed over": 1,
        "history: none of its items is known": 1,
    }


def test_the_report_says_up_to_when_the_bundle_knows_what_its_metrics_mean_and_nothing_that_it_refuses(bundle, made):
    newest = made.rows["time"].iloc[round(0.8 * len(made.rows)) - 1]
    (note,) = (found for found in bundle.facts["findings"] if found["name"] == "learnt_until")
    assert f"is of {newest}" in note["message"] and "fractions: [0.9, 0.1, 0]" in note["cure"]
    assert not any("refit" in limit for limit in bundle.facts["limits"])
    page = (bundle.path / "report.html").read_text(encoding="utf-8")
    assert "how unevenly the lists deal out the candidates" in page and "AUC" not in page
    assert {name.partition("@")[0] for name in bundle.facts["test"]["metrics"]} <= set(bundle.facts["meanings"])
    with pytest.raises(Refused, match=r"no side table 'item' to replace\. Did you mean 'items'\? It has: items\."):
        bundle.scorer({"item": made.side["items"]})


def test_an_item_that_is_recommended_again_is_no_reason_for_itself(bundle, made):
    title = dict(zip(made.side["items"]["item"], made.side["items"]["title"], strict=True))
    found = with_scoring(bundle, seen=True).score(asked(*[f"U{number:03d}" for number in range(20)]))
    for items, reasons in zip(found["items"], found["reasons"], strict=True):
        assert not any(why.endswith(f" {title[item]}") for item, why in zip(items, reasons, strict=True))


def test_choices_are_made_among_the_items_that_rules_let_in(folder, made, monkeypatch):
    class Asked(Exception):
        pass

    def choose(settings, name, known, catalogue, held):
        raise Asked(catalogue.ids[catalogue.offered].tolist())

    monkeypatch.setattr("solvent_recommender.model.choose", choose)
    monkeypatch.setattr("solvent_recommender.rivals.choose", choose)
    rows = made.rows.rename(columns={"customer": "user"})
    settings = Recommender(items={"categories": "kind"}, scoring={"only": {"kind": ["tea", "boat"]}})
    data = Data(rows.iloc[:1500], rows.iloc[1500:2000], None, made.side, 0, folder)
    for fitted in (model.fit, rivals.ease):
        with pytest.raises(Asked) as found:
            fitted(settings, data)
        assert set(kinds(found.value.args[0])) == {"tea", "boat"}


def test_what_is_out_of_stock_is_not_recommended(bundle, made):
    items = made.side["items"].assign(stock=[0, 3] * 32)
    found = with_scoring(bundle, in_stock="stock").scorer({"items": items})(
        pd.DataFrame({"user": pd.Series(["U000", "U001"], dtype="str")})
    )
    assert set(np.concatenate(found["items"].to_list())) <= set(items.loc[items["stock"] > 0, "item"])


def test_diversity_makes_lists_more_various(bundle):
    users = asked(*[f"U{number:03d}" for number in range(20)])
    plain = with_scoring(bundle, length=8).score(users)["diversity"].mean()
    various = with_scoring(bundle, length=8, diversity=0.5).score(users)["diversity"].mean()
    assert various > plain + 0.1


def test_mmr_is_that_of_hand():
    """Scores of 1, 0.9 and 0.2 are 1, 0.875 and 0 among themselves, and so are they a constant higher or lower."""
    for likeness, expected in ((0.9, [0, 2, 1]), (0.86, [0, 1, 2])):  # 0.5 * 0.875 less half the likeness, beside 0
        like = np.array([[1, likeness, 0], [likeness, 1, 0], [0, 0, 1]])
        for higher in (0, 7, -7):
            found = rules.arranged(
                Scoring(length=3, diversity=0.5),
                np.array([], int),
                np.array([0, 1, 2]),
                np.array([1.0, 0.9, 0.2]) + higher,
                lambda places, like=like: like[np.ix_(places, places)],
                [("x",)] * 3,
            )
            assert found.tolist() == expected


def test_a_rule_that_names_no_column_is_refused_with_those_there_are(bundle):
    with pytest.raises(Refused, match=r"'regoin'.*kind"):
        with_scoring(bundle, only={"regoin": ["DE"]}).score(asked("U000"))


def test_a_side_table_without_its_columns_or_with_an_item_twice_is_refused(bundle, made):
    items = made.side["items"]
    with pytest.raises(Refused, match="no column 'kind'"):
        bundle.scorer({"items": items.drop(columns="kind")})
    with pytest.raises(Refused, match="more than once"):
        bundle.scorer({"items": pd.concat([items, items.head(1)])})


def test_lists_that_are_measured_longer_than_they_are_are_refused(folder, made):
    config = {
        "solution": TARGET,
        "data": {"rows": str(folder / "rows.parquet"), "columns": dict(made.columns)},
        "settings": {"parts": ["popularity"], "at": [10, 50]},
    }
    assert load(config).settings.at == (10, 50)
    with pytest.raises(Refused, match=r"scoring.length"):
        train(config, folder / "refused")


def test_the_bundle_says_that_it_holds_rows_about_people(bundle):
    assert "histories" in bundle.facts["personal"]
    assert "histories" in (bundle.path / "MODEL_CARD.md").read_text()
    assert Bundle.load(bundle.path).fitted.personal == bundle.fitted.personal


def test_validation_rows_that_nobody_liked_are_refused(folder, made):
    place = np.arange(len(made.rows))
    rated = made.rows.assign(rating=np.where(place < 0.6 * len(place), 4, 1) + place % 2)
    tables.write(rated, folder / "rated.parquet")
    config = {
        "solution": TARGET,
        "data": {"rows": str(folder / "rated.parquet"), "columns": dict(made.columns)},
        "settings": {"parts": ["popularity"], "liked_from": 4},
    }
    with pytest.raises(Refused, match="No user liked anything in the validation rows"):
        train(config, folder / "refused")


def test_a_training_that_would_not_refit_is_refused():
    with pytest.raises(ValueError, match="newest rows tell the most"):
        Recommender(training={"refit": False})


def test_parts_beside_one_model_alone_are_refused():
    with pytest.raises(ValueError, match="parts are those of the hybrid, and model is ease"):
        Recommender(model="ease", parts=("popularity", "ease"))


def test_a_part_that_is_named_twice_is_refused():
    with pytest.raises(ValueError, match="each model once"):
        Recommender(parts=("ease", "ease"))


def test_two_towers_alone_find_tastes_and_the_search_is_that_of_all_scores(folder, made):
    """A rule that reorders nothing makes the same lists by way of all scores."""
    config = {
        "solution": TARGET,
        "data": data_of(folder, made),
        "settings": {
            **{name: value for name, value in made.settings.items() if name != "parts"},
            "model": "two_tower",
            "training": {"epochs": 6, "batch_size": 256},
        },
    }
    bundle = train(config, folder / "towers")
    assert bundle.facts["test"]["metrics"]["ndcg@10"]["value"] > 0.4
    users = asked(*[f"U{number:03d}" for number in range(40)], "new", "other", history=[None] * 41 + [["seed-03"]])
    searched = bundle.score(users)
    scored = with_scoring(bundle, per_category=1000).score(users)
    shared = [len(set(a[:10]) & set(b[:10])) for a, b in zip(searched["items"], scored["items"], strict=True)]
    assert np.mean(shared) > 9.9  # by way of all scores, popularity parts what is nearly equal
    assert searched["items"].iloc[40] == scored["items"].iloc[40]
    assert set(searched["reasons"].iloc[40]) == {"popular now"}
    assert kinds(searched["items"].iloc[41][:3]) == ["seed"] * 3
    new = made.side["items"].iloc[[0]].assign(item="fresh", title="Fresh tea")
    lists = bundle.scorer({"items": pd.concat([made.side["items"], new])})
    found = lists(pd.DataFrame({"user": ["x"], "history": [["tea-04", "tea-08", "tea-12"]]}))
    assert "fresh" in found["items"].iloc[0][:14]
    # A history of an item that is new since training is read by its content.
    found = lists(pd.DataFrame({"user": ["y"], "history": [["fresh"]]}))
    assert kinds(found["items"].iloc[0][:3]) == ["tea"] * 3
    assert found["reasons"].iloc[0][0] != "popular now"


@pytest.fixture(scope="module")
def walks(tmp_path_factory):
    """Everyone walks round a circle of 24 items from some place; only the order says which way."""
    where = tmp_path_factory.mktemp("walks")
    random = np.random.default_rng(0)
    steps = [
        (f"u{user}", (start + step) % 24) for user, start in enumerate(random.integers(0, 24, 300)) for step in range(7)
    ]
    rows = pd.DataFrame(steps, columns=["user", "item"])
    rows["time"] = pd.Timestamp("2025-01-01") + pd.to_timedelta(np.tile(np.arange(7), 300), unit="D")
    tables.write(rows, where / "walks.parquet")
    config = {
        "solution": TARGET,
        "data": {
            "rows": str(where / "walks.parquet"),
            "split": {"by": "last", "within": "user", "fractions": [0.7, 0.15, 0.15]},
        },
        "settings": {
            "model": "next_item",
            "towers": {"width": 16, "history": 8, "dropout": 0.1},
            "training": {"epochs": 15, "batch_size": 128, "learning_rate": 0.01, "patience": 5},
        },
    }
    return train(config, where / "bundle")


def test_another_runtime_is_measured_by_lists_that_may_hold_what_is_held_out(walks, tmp_path):
    """The refitted model knows the validation rows as what users have had, and lists leave that out."""
    copy = shutil.copytree(walks.path, tmp_path / "bundle")
    record = optimize(copy, "openvino-float32")
    assert record["models"] == ["next_item_items", "next_item_users"]
    assert record["tensorflow"] > 0.8
    assert abs(record["drop"]["value"]) < 0.005
    user = walks.fitted.assets["histories"]["user"].iloc[0]
    had = walks.fitted.assets["histories"].query("user == @user")["item"]
    for each in (walks, Bundle.load(copy)):
        assert not set(had) & set(each.score(pd.DataFrame({"user": [user]}))["items"].iloc[0])


def test_what_is_forgotten_keeps_users_and_items_in_their_places(walks):
    events = walks.fitted.assets["histories"]
    some = events[(events["user"] == "u7") | (events["item"] == "3")]
    before = Known.restored(events)
    after = Known.restored(forget(walks.settings, walks.fitted, some).assets["histories"])
    assert after.users.equals(before.users) and after.items.equals(before.items)
    place, item = before.users.get_loc("u7"), before.items.get_loc("3")
    for row in range(len(before.users)):
        left = before.histories.of(row) if row != place else np.array([], int)
        assert after.histories.of(row).tolist() == left[left != item].tolist()


def test_the_next_item_follows_from_the_order_of_a_history(walks):
    histories = [[str(at % 24) for at in range(begin, begin + 4)] for begin in range(24)]
    found = walks.score(pd.DataFrame({"user": [f"n{at}" for at in range(24)], "history": histories}))
    expected = [str((begin + 4) % 24) for begin in range(24)]
    assert np.mean([items[0] == wanted for items, wanted in zip(found["items"], expected, strict=True)]) > 0.8
    back = [history[::-1] for history in histories]
    turned = walks.score(pd.DataFrame({"user": [f"n{at}" for at in range(24)], "history": back}))
    assert turned["items"].to_list() != found["items"].to_list()
    assert (
        walks.facts["test"]["metrics"]["ndcg@10"]["value"]
        > walks.facts["rivals"]["EASE"]["metrics"]["ndcg@10"]["value"]
    )
