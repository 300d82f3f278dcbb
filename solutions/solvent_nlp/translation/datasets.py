"""Data sets that translation can train on. Imports neither keras nor pandas."""

from solvent import Dataset, Remote, later

__all__ = ["DATASETS"]

MULTI30K = "https://github.com/multi30k/dataset/raw/master/data/task1/raw/"
MULTI30K_SUMS = {
    "train.en.gz": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    "train.de.gz": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
    "val.en.gz": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
    "val.de.gz": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
    "test_2016_flickr.en.gz": "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
    "test_2016_flickr.de.gz": "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
}
COMPUTED = "computed from the file by sha256sum"
BY_PART = {"by": "column", "column": "part"}

DATASETS = (
    Dataset(
        name="made_business",
        summary="5,450 made business sentences, English to German: agreement, verbs that move, numbers and codes",
        licence="Apache-2.0, as Solvent",
        home="solvent_nlp.translation.grammar",
        made=True,
        read=later("solvent_nlp.translation.sample:business"),
        config={
            "columns": {"source": "english", "target": "german", "passthrough": ["length"]},
            "split": BY_PART,
            "settings": {
                "subword_sampling": None,
                "joined": 0.2,
                # Room for each word to be one token; small batches, since steps are what so few pairs lack.
                "network": {
                    "vocabulary": 1000,
                    "layers": 2,
                    "width": 128,
                    "inner": 256,
                    "heads": 4,
                    "dropout": 0.05,
                },
                "training": {"epochs": 9, "batch_size": 768, "patience": None, "ema": 0.99},
            },
        },
    ),
    Dataset(
        name="made_orders",
        summary="1,770 made business sentences of one clause, English to German: for a first look",
        licence="Apache-2.0, as Solvent",
        home="solvent_nlp.translation.grammar",
        made=True,
        read=later("solvent_nlp.translation.sample:orders"),
        config={
            "columns": {"source": "english", "target": "german"},
            "split": BY_PART,
            "settings": {
                "subword_sampling": None,
                "network": {"vocabulary": 700, "layers": 2, "width": 96, "inner": 192, "heads": 4, "dropout": 0.05},
                "training": {"epochs": 20, "batch_size": 512, "patience": None, "ema": 0.98},
            },
        },
    ),
    Dataset(
        name="multi30k",
        summary="31,014 captions of photos, English to German, in their published parts (Multi30k, task 1)",
        licence="research and education; cite Elliott et al., Multi30K: Multilingual English-German Image "
        "Descriptions, 2016",
        home="https://github.com/multi30k/dataset",
        files=tuple(
            Remote(name=name, address=MULTI30K + name, sha256=sha256, source=COMPUTED)
            for name, sha256 in MULTI30K_SUMS.items()
        ),
        read=later("solvent_nlp.translation.public:multi30k"),
        config={"columns": {"source": "english", "target": "german", "id": "id"}, "split": BY_PART},
    ),
    Dataset(
        name="tatoeba_spa_eng",
        summary="118,964 short sentences, English to Spanish, some with several translations (Tatoeba)",
        licence="CC BY 2.0 FR; attribution: www.manythings.org/anki and tatoeba.org",
        home="https://www.manythings.org/anki/",
        files=(
            Remote(
                name="spa-eng.zip",
                address="https://storage.googleapis.com/download.tensorflow.org/data/spa-eng.zip",
                sha256="f80e581ae291aa34dd3aba7bd98b5e9505234da4318e2f3295df70a1520c7f61",
                source=COMPUTED,
            ),
        ),
        read=later("solvent_nlp.translation.public:tatoeba"),
        # Copies of a source are kept on one side by the splitter, whatever translation they have.
        config={"columns": {"source": "english", "target": "spanish"}},
    ),
)
