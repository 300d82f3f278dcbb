"""Recommender: what counts as a case, what is refused before training, which rules lists keep; without training."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from solvent import Data, Fitted, Refused
from solvent.evaluation import Judge
from solvent.schema import Schema
from solvent_recommender import SOLUTION, ease, findings, hybrid, likeness, lists, popularity, rules, weights
from solvent_recommender.cases import attainable, cases
from solvent_recommender.catalogue import Catalogue, learnt, side_table
from solvent_recommender.checks import checks
from solvent_recommender.engine import Engine
from solvent_recommender.interactions import Known
from solvent_recommender.model import choose, choosing
from solvent_recommender.part import Part
from solvent_recommender.settings import PARTS, Recommender, Scoring

SETTINGS = Recommender()


def pairs(*given, days=None):
    rows = pd.DataFrame(given, columns=["user", "item"], dtype="str")
    if days is not None:
        rows["time"] = pd.Timestamp("2025-01-01") + pd.to_timedelta(days, unit="D")
    return rows


def offered(known, *new, **columns):
    names = [*known.items, *new]
    return Catalogue.of(SETTINGS, known.items, pd.DataFrame({"item": names, **columns}))


def none_new(catalogue):
    return scipy.sparse.csr_array((len(catalogue) - catalogue.known, catalogue.known), dtype=np.float32)


def of_scores(scores, name="popularity"):
    """A part that has these scores for whoever is asked for, in their order."""
    return {name: Part(lambda asked: scores[: len(asked)], None, "", "")}


def made_lists(known, catalogue, scores, asked, **scoring):
    settings = Recommender(items={"categories": "kind"}, scoring=scoring)
    engine = Engine(
        settings,
        hybrid.alone("popularity"),
        of_scores(scores),
        known,
        catalogue,
        likeness.vectors(known, catalogue, None),
        none_new(catalogue),
    )
    asked = pd.DataFrame(asked if isinstance(asked, dict) else {"user": asked})
    return lists.scorer(engine)(asked.astype({"user": "str"}))


def test_the_order_of_a_history_is_that_of_its_times_however_long_the_table_is():
    """Seconds apart, ten years before the newest row, and the table isn't sorted."""
    times = pd.Timestamp("2015-01-01") + pd.to_timedelta([3, 1, 2, 0], unit="s")
    rows = pairs(("u", "d"), ("u", "b"), ("u", "c"), ("u", "a"), ("v", "a")).assign(
        time=[*times, pd.Timestamp("2025-01-01")]
    )
    known = Known.of(SETTINGS, rows)
    assert known.items[known.histories.of(0)].tolist() == ["a", "b", "c", "d"]
    again = Known.restored(known.events())
    assert again.items[again.histories.of(0)].tolist() == ["a", "b", "c", "d"]


def test_a_user_of_whom_nothing_is_known_gets_what_is_popular_from_any_hybrid():
    known = Known.of(SETTINGS, pairs(("u", "c"), ("v", "c"), ("v", "a"), ("w", "c"), ("w", "b"), ("x", "b")))
    catalogue = offered(known)
    knows = of_scores(np.eye(4, 3, dtype=np.float32), "neighbours")
    found = weights.learn(
        knows, known.histories, [np.array([0])] * 4, np.zeros(4, int), catalogue, none_new(catalogue), 3, 0
    )
    assert found["parts"] == ["neighbours", "popularity"]
    counts = popularity.fit(known, catalogue, None)
    parts = {
        "neighbours": Part(lambda asked: np.zeros((len(asked), 3), np.float32), None, "", ""),
        "popularity": popularity.load(counts, catalogue),
    }
    own = likeness.vectors(known, catalogue, None)
    engine = Engine(SETTINGS, found, parts, known, catalogue, own, none_new(catalogue))
    lists_of = lists.scorer(engine)(pd.DataFrame({"user": ["nobody"]}))
    assert lists_of["items"].iloc[0] == ["c", "b", "a"]


def test_popularity_that_earns_no_weight_still_parts_equal_scores():
    known = Known.of(SETTINGS, pairs(*[(f"u{user}", f"i{item}") for user in range(60) for item in (0, user % 5 + 1)]))
    catalogue = offered(known)
    right, wrong = np.zeros((60, 6), np.float32), np.zeros((60, 6), np.float32)
    right[:, 3], wrong[:, 5] = 1, 1
    nobody = Known.of(SETTINGS, pairs(*[(f"u{user}", "i0") for user in range(60)])).histories
    found = weights.learn(
        {**of_scores(right, "ease"), **of_scores(wrong, "popularity")},
        nobody,
        [np.array([3])] * 60,
        np.zeros(60, int),
        catalogue,
        none_new(catalogue),
        1,
        0,
    )
    assert (np.array(found["weights"])[:, 1] >= hybrid.TIE).all()


def test_new_items_are_weighed_by_the_scores_that_lists_give_them():
    """What each user should be given is the new item that is like the known one which a part finds for them."""
    known = Known.of(SETTINGS, pairs(*[(f"u{user:02d}", f"i{item}") for user in range(60) for item in range(4)]))
    catalogue = offered(known, "n0", "n1", "n2", "n3")
    like = scipy.sparse.csr_array(np.eye(4, dtype=np.float32))
    wanted = np.arange(60) % 4
    right = np.full((60, 8), np.nan, np.float32)
    right[:, :4] = 0
    right[np.arange(60), wanted] = 1
    nobody = known.histories.take(np.full(60, -1))
    parts = of_scores(right, "ease")
    found = weights.learn(parts, nobody, list(4 + wanted[:, None]), np.zeros(60, int), catalogue, like, 1, 0, seen=True)
    assert found["ndcg"]["ease"] < 0.5  # the known one and its like are equal, and the known one is first
    left = Catalogue(catalogue.ids, 4, np.arange(8) >= 4, catalogue.table, catalogue.columns)
    found = weights.learn(parts, nobody, list(4 + wanted[:, None]), np.zeros(60, int), left, like, 1, 0)
    assert found["ndcg"]["ease"] == 1


def test_what_new_items_get_of_several_parts_is_what_they_get_of_their_sum():
    random = np.random.default_rng(0)
    known = Known.of(SETTINGS, pairs(("u", "a"), ("v", "b"), ("v", "c"), ("w", "d")))
    like = scipy.sparse.csr_array(np.array([[0.5, 0.5, 0, 0], [0, 0, 0, 0]], np.float32))
    standards = {name: random.normal(size=(3, 6)).astype(np.float32) for name in ("ease", "content")}
    facts = {"parts": ["ease", "content"], "weights": [[0.3, 0.7]] * 5}
    total, _ = hybrid.combined(facts, standards, known.histories, like)
    own = {name: hybrid.with_new(each, known.histories, like) for name, each in standards.items()}
    np.testing.assert_allclose(total[:, :5], (0.3 * own["ease"] + 0.7 * own["content"])[:, :5], rtol=1e-5)
    np.testing.assert_allclose(own["ease"][0, 4], standards["ease"][0, 1], rtol=1e-6)  # u had a, so only b tells
    assert np.isneginf(total[:, 5]).all()  # like none


def test_what_a_user_had_before_is_no_case_unless_it_may_be_recommended_again():
    before, held = pairs(("u", "a"), ("v", "b")), pairs(("u", "a"), ("u", "b"), ("v", "b"))
    fitted = Fitted({}, assets={"histories": before})
    assert cases(SETTINGS, held, fitted)["item"].tolist() == [["b"]]
    again = Recommender(scoring={"seen": True})
    assert cases(again, held, fitted)["item"].tolist() == [["a", "b"], ["b"]]
    assert len(attainable(again, held, before)) == 3


def test_choices_look_among_what_was_had_only_where_it_may_be_recommended_again():
    """All buy bread again; of what nobody had yet, nothing is right."""
    rows = pairs(*[(f"u{user}", item) for user in range(8) for item in ("bread", f"x{user}")], days=range(16))
    known = Known.of(SETTINGS, rows)
    held = cases(SETTINGS, pairs(*[(f"u{user}", "bread") for user in range(8)]))
    found = {}
    for seen in (False, True):
        settings = Recommender(scoring={"seen": seen})
        _, tried = choose(settings, "popularity", known, offered(known), held)
        found[seen] = max(each["ndcg@10"] for each in tried[0]["tried"])
    assert found == {False: 0, True: 1}


def test_validation_rows_of_mere_repeats_are_refused_with_the_cure(tmp_path):
    rows = pairs(("u", "a"), ("v", "b"))
    data = Data(rows, rows, None, {}, 0, tmp_path)
    with pytest.raises(Refused, match=r"scoring\.seen: true"):
        choosing(SETTINGS, data)
    assert len(choosing(Recommender(scoring={"seen": True}), data)) == 2


def test_what_the_settings_ask_for_and_rows_lack_is_refused_before_training():
    rows = pairs(("u", "a"), ("v", "b"))
    with pytest.raises(Refused, match=r"lists of 50, and settings\.scoring\.length is 20"):
        checks(Recommender(at=(10, 50)), rows)
    with pytest.raises(Refused, match="no column is the rating"):
        checks(Recommender(liked_from=4), rows)
    with pytest.raises(Refused, match="highest rating is 3"):
        checks(Recommender(liked_from=4), rows.assign(rating=[1.0, 3.0]))
    with pytest.raises(Refused, match=r"columns\.weight"):
        checks(SETTINGS, rows.assign(weight=1.0))
    assert checks(Recommender(liked_from=2), rows.assign(rating=[1.0, 3.0])) == []


def test_interactions_that_occur_again_are_counted():
    (found,) = checks(SETTINGS, pairs(("u", "a"), ("u", "a"), ("u", "b"), ("v", "a")))
    assert (found.name, found.count, found.severity) == ("repeats", 1, "note")
    assert "scoring.seen: true" in found.cure


def test_rows_without_a_rating_are_counted_where_ratings_matter():
    rows = pairs(("u", "a"), ("v", "b"), ("w", "a")).assign(rating=[4.0, None, 5.0])
    (found,) = checks(Recommender(liked_from=4), rows)
    assert (found.name, found.count, found.severity) == ("unrated", 1, "note")
    assert checks(SETTINGS, rows) == []


def test_a_table_of_other_items_is_refused_with_both_spellings():
    known = Known.of(SETTINGS, pairs(("u", "17"), ("v", "18")))
    table = pd.DataFrame({"item": ["A-17", "A-18"]})
    with pytest.raises(Refused, match=r"none of the 2 ids in 'item', such as 'A-17'.*such as '17'"):
        Catalogue.of(SETTINGS, known.items, table)
    with pytest.raises(Refused, match="no row"):
        Catalogue.of(SETTINGS, known.items, table[:0])
    offer = pd.DataFrame({"item": ["17", "18"]})
    with pytest.raises(Refused, match="such as 'A-17'"):
        Catalogue.of(SETTINGS, known.items, table, learnt(SETTINGS, known.items, offer))


def test_tonights_table_may_hold_new_items_only_where_content_describes_them(caplog):
    settings = Recommender(items={"categories": "kind"})
    known = Known.of(settings, pairs(("u", "a"), ("v", "b")))
    before = pd.DataFrame({"item": ["a", "b", "c"], "kind": ["tea", "boat", "tea"], "price": [1, 2, 3]})
    kept = learnt(settings, known.items, before)
    assert kept["item"].tolist() == ["a", "b"]
    found = Catalogue.of(settings, known.items, pd.DataFrame({"kind": ["tea"], "item": ["new"]}), kept)
    assert found.categories == [("tea",), ("boat",), ("tea",)]
    assert found.offered.tolist() == [False, False, True]
    assert "none of the 1 ids" in caplog.text


def test_a_list_limited_by_category_is_as_long_as_the_catalogue_lets_it_be():
    """The 300 best items are of one kind; the others are far down."""
    known = Known.of(SETTINGS, pairs(*[("u", f"i{number:03d}") for number in range(310)]))
    kind = np.where(np.arange(310) < 300, "tea", "boat")
    kind[305:] = "drum"
    catalogue = Catalogue.of(
        Recommender(items={"categories": "kind"}), known.items, pd.DataFrame({"item": known.items, "kind": kind})
    )
    scores = -np.arange(310, dtype=np.float32)[None]
    found = made_lists(known, catalogue, scores, ["new"], length=6, per_category=2)
    assert found["items"].iloc[0] == ["i000", "i001", "i300", "i301", "i305", "i306"]
    found = made_lists(known, catalogue, scores, ["new"], length=6, per_category=2, diversity=0.3)
    assert sorted(kind[[int(item[1:]) for item in found["items"].iloc[0]]]) == ["boat"] * 2 + ["drum"] * 2 + ["tea"] * 2
    found = made_lists(known, catalogue, scores, ["new"], length=6, per_category=1)
    assert found["items"].iloc[0] == ["i000", "i300", "i305"]


def test_stock_may_be_a_number_or_yes_and_no_and_nothing_else():
    known = Known.of(SETTINGS, pairs(("u", "a"), ("v", "b"), ("v", "c")))
    for cells in (["yes", "No", None], [True, False, None], [2, 0, -1], ["0.5", "0", ""], ["TRUE", "false", "no"]):
        found = rules.usable(Scoring(in_stock="stock"), offered(known, stock=pd.Series(cells, dtype=object)))
        assert found.tolist() == [True, False, False]
    with pytest.raises(Refused, match=r"stock of 'b' is 'soon'"):
        rules.usable(Scoring(in_stock="stock"), offered(known, stock=["1", "soon", "0"]))


def test_a_rule_that_leaves_nothing_is_refused_with_what_the_column_holds():
    known = Known.of(SETTINGS, pairs(("u", "a"), ("v", "b"), ("v", "c")))
    catalogue = offered(known, kind=["boat", "tea|boat", "drum"], stock=[0, 0, 3])
    with pytest.raises(Refused, match=r"only: \{kind: \[teaa\]\} leaves nothing.*: 'boat', 'tea', 'drum'\."):
        rules.usable(Scoring(only={"kind": ("teaa",)}), catalogue)
    with pytest.raises(Refused, match=r"only: \{kind: \[tea\]\} leaves nothing.*: 'drum'\."):
        rules.usable(Scoring(in_stock="stock", only={"kind": ("tea",)}), catalogue)
    with pytest.raises(Refused, match=r"in_stock: stock leaves nothing.*: '0'\."):
        rules.usable(Scoring(in_stock="stock"), offered(known, stock=[0, 0, 0]))


def test_the_first_of_each_category_are_those_of_hand():
    scores = np.array([5, 4, 3, 2, 1, -np.inf, 0])
    one = np.eye(3)[[0, 0, 1, 0, 0, 2, 1]]
    one[3:5] = 0
    members, none = scipy.sparse.csr_array(one), np.array([], np.int64)
    assert rules.spread(scores, members, 1, 10, none).tolist() == [0, 2, 3, 4]
    assert rules.spread(scores, members, 2, 4, none).tolist() == [0, 1, 2, 3]
    assert rules.spread(scores, members, 1, 10, np.array([0])).tolist() == [2, 3, 4]
    assert rules.spread(scores, members, 1, 10, np.array([2])).tolist() == [0, 3, 4]


@pytest.mark.parametrize("seed", range(5))
def test_an_item_counts_in_all_of_its_categories_near_the_top_and_far_down(seed):
    random = np.random.default_rng(seed)
    known = Known.of(SETTINGS, pairs(*[("u", f"i{number:03d}") for number in range(300)]))
    kinds = [random.choice(list("abcdef"), random.integers(0, 4), replace=False) for _ in range(300)]
    catalogue = Catalogue.of(
        Recommender(items={"categories": "kind"}),
        known.items,
        pd.DataFrame({"item": known.items, "kind": ["|".join(own) for own in kinds]}),
    )
    pins = (5, 7)
    free = [number for number, own in enumerate(kinds) if len(own) == 0]
    scores = -np.arange(300, dtype=np.float32)[None]
    scores[0, free] -= 1000  # so that the first 200 are soon used up
    wanted, counts = list(pins), dict.fromkeys("abcdef", 0)
    for name in [name for place in pins for name in kinds[place]]:
        counts[name] += 1
    for place in np.argsort(-scores[0], kind="stable"):
        if place not in pins and len(wanted) < 20 and all(counts[name] < 2 for name in kinds[place]):
            wanted.append(int(place))
            for name in kinds[place]:
                counts[name] += 1
    found = made_lists(
        known, catalogue, scores, ["new"], length=20, per_category=2, pinned=tuple(known.items[place] for place in pins)
    )
    assert [int(item[1:]) for item in found["items"].iloc[0]] == wanted


def test_unknown_items_of_a_history_are_noted_and_one_of_nothing_else_is_warned_of(caplog):
    known = Known.of(SETTINGS, pairs(("u", "a"), ("v", "b"), ("v", "c")))
    scores = np.array([[3, 2, 1]] * 5, np.float32)
    asked = {"user": ["u", "v", "w", "x", "y"], "history": [["a", "gone"], ["a,b"], None, [], ["c"]]}
    found = made_lists(known, offered(known), scores, asked)
    assert found["note"].fillna("").tolist() == [
        "history: some of its items are unknown, and are passed over",
        "history: none of its items is known",
        "",
        "",
        "",
    ]
    assert "1 history consists of unknown items only" in caplog.text and "a,b" not in caplog.text
    assert "note" not in made_lists(known, offered(known), scores, {**asked, "history": [["a"], None, None, [], []]})


def test_items_that_users_had_and_that_are_not_on_offer_are_counted():
    known = Known.of(SETTINGS, pairs(("u", "a"), ("v", "b"), ("v", "c"), ("w", "b")))
    (found,) = findings.never_on_offer(known, Catalogue.of(SETTINGS, known.items, pd.DataFrame({"item": ["a", "c"]})))
    assert (found.count, found.severity) == (1, "warning")
    assert "1 of the 3 items that users had are not in the side table of items, such as 'b': 50.0%" in found.message
    assert findings.never_on_offer(known, offered(known)) == ()


def test_settings_that_name_columns_of_a_side_table_that_is_not_there_are_refused():
    named = Recommender(items={"id": "sku", "title": "name"})
    with pytest.raises(Refused, match=r"settings\.items names 'name', .* Add data\.side: \{items: TABLE\}"):
        side_table(named, pd.Index(["a"]), {})
    assert side_table(Recommender(items={"id": "sku"}), pd.Index(["a"]), {})["sku"].tolist() == ["a"]


def test_a_pinned_item_of_which_nothing_is_known_heads_the_list_once():
    known = Known.of(SETTINGS, pairs(("u", "a"), ("v", "b"), ("v", "c")))
    catalogue = offered(known, "fresh", kind="x")
    scores = np.array([[3, 2, 1, np.nan]], np.float32)
    pinned = ("fresh", "b", "fresh", "gone")
    found = made_lists(known, catalogue, scores, ["new"], length=3, pinned=pinned)
    assert found["items"].iloc[0] == ["fresh", "b", "a"]
    assert found["reasons"].iloc[0][:2] == ["pinned", "pinned"]
    assert found["scores"].iloc[0][0] is None and found["scores"].iloc[0][2] > 0
    had = made_lists(known, catalogue, scores, ["v"], length=3, pinned=pinned)
    assert had["items"].iloc[0] == ["fresh", "a"]


def test_diversity_is_that_of_hand_and_reads_only_what_lists_hold():
    own = scipy.sparse.csr_array(np.array([[1, 0], [0, 1], [0.6, 0.8], [0, 0]], np.float32))
    found = likeness.diversity(own, [np.array([0, 1]), np.array([0, 1, 2]), np.array([2]), np.array([], int)])
    np.testing.assert_allclose(found[:2], [1, 1 - (0 + 0.6 + 0.8) / 3], rtol=1e-6)
    assert np.isnan(found[2:]).all()
    large = scipy.sparse.random_array((100_000, 50), density=0.2, rng=np.random.default_rng(0), format="csr")
    large = scipy.sparse.csr_array(large.astype(np.float32))
    tracemalloc.start()
    likeness.diversity(large, [np.array([5, 7, 9])])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < large.data.nbytes / 10


def test_a_column_of_numbers_without_a_number_is_refused():
    known = Known.of(SETTINGS, pairs(("u", "a"), ("v", "b")))
    settings = Recommender(items={"numbers": ["price"]})

    def numbers(*cells):
        return Catalogue.of(settings, known.items, pd.DataFrame({"item": ["a", "b"], "price": cells})).numbers()

    with pytest.raises(Refused, match=r"no cell of 'price', such as '1,5', is a number \(write 1\.5"):
        numbers(None, "1,5")
    np.testing.assert_array_equal(numbers("2", "dear")[:, 0], [2, np.nan])
    assert np.isnan(numbers(None, None)).all()


def test_cases_of_one_user_in_several_folds_are_drawn_together():
    rows = pd.DataFrame({"user": [f"u{case % 25}" for case in range(50)], "item": [["a"]] * 50})
    scored = pd.DataFrame({"items": [["a"]] * 50, "candidates": 1, "novelty": 0.0, "diversity": 0.0, "popularity": 0.0})
    found = Judge(SOLUTION, SETTINGS, Schema(())).measure(rows, scored)
    assert "25 groups (50 rows)" in found.resampling.protocol


def test_ease_takes_no_more_memory_than_it_says():
    """12 n² bytes, and a block of rows."""
    random = np.random.default_rng(0)
    size = 1200
    rows = pairs(*{(f"u{user}", f"i{item}") for user, item in zip(*random.integers(0, size, (2, 20_000)), strict=True)})
    more = pairs(*[(f"v{number}", "i0") for number in range(100)])
    known = Known.of(SETTINGS, pd.concat([rows, more], ignore_index=True))
    assert len(known.users) > len(known.items) > 1100
    shown = offered(known)
    tracemalloc.start()
    found = ease.fit(known, shown, 100.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found["weights"].shape == (len(known.items),) * 2
    assert peak < 12 * size**2 + 3 * 8 * 512 * size


def test_ease_by_users_takes_no_more_memory_than_it_says_however_many_items_there_are():
    random = np.random.default_rng(0)
    users, items = 1000, 12_000
    rows = pairs(*{(f"u{user}", f"i{item}") for user, item in random.integers(0, (users, items), (30_000, 2))})
    known = Known.of(SETTINGS, rows)
    shown = offered(known)
    known.histories.matrix(len(known.items))
    tracemalloc.start()
    found = ease.fit(known, shown, 100.0, most=items)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found["inverse"].shape == (len(known.users),) * 2
    assert peak < 12 * users**2 + 3 * 8 * 512 * users + 100 * len(rows)


def test_ease_says_how_many_items_it_leaves_out():
    known = Known.of(SETTINGS, pairs(("u", "a"), ("v", "a"), ("v", "b"), ("w", "a")))
    (found,) = ease.left_out(known, 1)
    assert "the 1 commonest of 2 items, which are 75.0%" in found.message
    assert ease.left_out(known, 2) == ()


def test_no_network_is_trained_unless_it_is_named():
    assert Recommender().used == PARTS == ("popularity", "neighbours", "ease", "content")
    assert Scoring().seen is False
