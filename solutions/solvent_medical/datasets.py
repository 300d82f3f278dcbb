"""Data sets that medical imaging can train on. Imports neither keras nor pandas."""

from solvent import Dataset, later

__all__ = ["DATASETS"]

DATASETS = (
    Dataset(
        name="drawn_phantoms",
        summary="1,732 drawn images of 700 made patients that look a little like breast ultrasound: benign or "
        "malignant",
        licence="Apache-2.0 (drawn by this package)",
        home="this package, sample.py",
        made=True,
        read=later("solvent_medical.sample:drawn_phantoms"),
        config={
            "columns": {"patient": "patient_id", "label": "diagnosis"},
            "split": {"by": "stratified", "fractions": [0.55, 0.25, 0.2]},
            "settings": {
                "positive": "malignant",
                "combine": "worst",
                "modality": "ultrasound",
                "backbone": "cnn",
                "size": 48,
                "operating_point": {"sensitivity": 0.9, "confidence": 0.9, "prevalence": 0.01},
                "training": {"epochs": 12, "patience": 5, "batch_size": 32, "learning_rate": 0.003},
            },
        },
    ),
)
