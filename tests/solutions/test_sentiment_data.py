"""Made reviews in other languages, and the readers of the public data sets on tiny files of the same format."""

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import solvent
from solvent import config, datasets
from solvent.score import score
from solvent_nlp.sentiment import public, sample, texts
from solvent_nlp.sentiment.datasets import DATASETS

KNOWN = {dataset.name: dataset for dataset in DATASETS}


@pytest.mark.parametrize("name", KNOWN)
def test_the_config_of_each_data_set_is_understood(name):
    run = config.load({"solution": "sentiment", "data": {"rows": {"dataset": name}, **KNOWN[name].config}})
    assert run.data.rows.dataset == name


# SST-2


def test_sentences_are_read_with_their_label_and_published_part(tmp_path):
    lines = {
        "train": "1 a 2nd film worth its 0 cost .\n0 1 star\n",
        "dev": "0 caf\u00e9 \u2028 noir\n",
        "test": "1 fun",
    }
    for ending, text in lines.items():
        (tmp_path / f"stsa.binary.{ending}").write_text(text, encoding="utf-8")
    table = public.sst2({path.name: path for path in tmp_path.iterdir()})
    assert table.to_dict("list") == {
        "id": ["train/0000", "train/0001", "valid/0000", "test/0000"],
        "text": ["a 2nd film worth its 0 cost .", "1 star", "caf\u00e9 \u2028 noir", "fun"],
        "label": ["positive", "negative", "negative", "positive"],
        "part": ["train", "train", "valid", "test"],
    }


@pytest.mark.data
@pytest.mark.skipif(
    "SOLVENT_DATA" not in os.environ,
    reason="stsa.binary.train is not here: export SOLVENT_DATA=FOLDER_THAT_HOLDS_IT",
)
def test_the_published_sentences_are_read():
    table = datasets.load(KNOWN["sst2"])
    assert table.groupby(["part", "label"]).size().to_dict() == {
        ("train", "negative"): 3310,
        ("train", "positive"): 3610,
        ("valid", "negative"): 428,
        ("valid", "positive"): 444,
        ("test", "negative"): 912,
        ("test", "positive"): 909,
    }
    assert table["id"].is_unique
    assert table["text"].iloc[6920] == "one long string of cliches ."


# IMDb


def archive(folder: Path, members: dict[str, str]) -> dict[str, Path]:
    path = folder / "aclImdb_v1.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        file.add(folder, "aclImdb/train/pos", recursive=False)
        for name, text in members.items():
            content = text.encode()
            described = tarfile.TarInfo(name)
            described.size = len(content)
            file.addfile(described, io.BytesIO(content))
    return {path.name: path}


def test_reviews_are_read_with_their_stars_and_the_last_fifth_of_each_class_is_for_validation(tmp_path):
    positive = {f"aclImdb/train/pos/{number}_{7 + number % 4}.txt": f"good {number}" for number in (11, 2, 0, 10, 9)}
    negative = {f"aclImdb/train/neg/{number}_1.txt": f"bad {number}" for number in range(4)}
    others = {
        "aclImdb/train/unsup/0_0.txt": "no label",
        "aclImdb/train/urls_pos.txt": "http",
        "aclImdb/imdb.vocab": "the",
        "../aclImdb/train/pos/99_9.txt": "outside",
    }
    tested = {"aclImdb/test/neg/3_4.txt": "Caf\u00e9.<br /><br />No."}
    table = public.imdb(archive(tmp_path, {**tested, **positive, **others, **negative}))
    assert list(table) == ["id", "text", "label", "stars", "part"]
    assert table["id"].is_unique and len(table) == 10
    found = table.set_index("id")
    assert found.loc["test/neg/00003"].to_dict() == {
        "text": "Caf\u00e9.<br /><br />No.",
        "label": "neg",
        "stars": 4,
        "part": "test",
    }
    # Of five the last one, 11 after 9 and 10; of four none.
    assert found.index[found["part"] == "valid"].tolist() == ["train/pos/00011"]
    assert found.loc["train/pos/00011", "stars"] == 10
    assert found["part"].value_counts().to_dict() == {"train": 8, "valid": 1, "test": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["aclImdb_v1.tar.gz"]


# Made reviews


@pytest.mark.parametrize("language", [*sample.TONGUES, "mixed"])
def test_made_reviews_follow_their_seed(language):
    first, again, other = (sample.tongues(seed, language) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert len(first) == 600 and first["opinion"].value_counts().min() > 250
    assert not first["review"].equals(other["review"])


def test_a_fifth_of_the_opinions_go_against_the_label_and_a_fifth_are_turned_round():
    made, tongue = sample.tongues(3, "chinese"), sample.TONGUES["chinese"]
    assert not made["review"].str.contains(r"\s").any()
    against, turned = [], []
    for review, label in made.itertuples(index=False):
        for opinion in review.split(tongue.comma):
            (word,) = [word for word in [*tongue.praise, *tongue.blame] if opinion.endswith(word)]
            negated = opinion.removesuffix(word).endswith(tongue.negation)
            praise = (word in tongue.praise) != negated
            against.append(praise != (label == "praise"))
            turned.append(negated)
    assert len(against) == 3000
    assert np.mean(against) == pytest.approx(0.2, abs=0.03)  # four standard errors
    assert np.mean(turned) == pytest.approx(0.2, abs=0.03)


def test_mixed_reviews_hold_several_scripts_remains_of_html_and_texts_of_any_length():
    made = sample.tongues(0, "mixed")["review"]
    for sign in ("[a-z]{4}", "[\u4e00-\u9fff]", "[\u0600-\u06ff]", "[\u0e00-\u0e7f]", "[\U0001f300-\U0001faff]"):
        assert made.str.contains(sign).mean() > 0.3
    assert made.str.contains("<br />|&nbsp;").mean() > 0.5
    assert made.str.len().max() > 4000 and (made.str.len() > 2000).sum() >= 15
    read = made.map(texts.cleaned)
    assert (read == "").any() and (read.str.len() <= 3).sum() >= 5


@pytest.mark.parametrize("language", ["chinese", "arabic", "mixed"])
def test_other_languages_train_report_and_score_with_no_setting_changed(language, tmp_path):
    table = pd.concat([sample.tongues(seed, language) for seed in (4, 14, 24)], ignore_index=True)
    table.to_csv(tmp_path / "reviews.csv", index=False)
    # 360 reviews to learn from, as of a small shop; 1,260 to measure on, or 0.02 would be within chance
    data = {
        "rows": str(tmp_path / "reviews.csv"),
        "columns": {"text": "review", "label": "opinion"},
        "split": {"fractions": [0.2, 0.1, 0.7]},
    }
    given = {"solution": "sentiment", "data": data}
    bundle = solvent.train(given, tmp_path / "bundle")
    test = bundle.facts["test"]
    ours, baseline = (found["accuracy"]["value"] for found in (test["metrics"], test["baseline"]))
    assert ours >= baseline - 0.02
    page = (bundle.path / "report.html").read_text(encoding="utf-8")
    assert {"chinese": "Han", "arabic": "Arabic", "mixed": "Thai"}[language] in page
    scored = score(bundle, tmp_path / "reviews.csv", tmp_path / "scores.csv")
    assert (scored["rows_scored"], scored["rows_set_aside"]) == (len(table), 0)
