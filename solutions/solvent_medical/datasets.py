"""Data sets that medical imaging can train on. Imports neither keras nor pandas."""

from typing import Any

from solvent import Dataset, Remote, later

from .medmnist import FINDINGS

__all__ = ["DATASETS", "MEDMNIST"]

SOURCE = "medmnist 3.0.2, medmnist/info.py"
ADDRESS = "https://zenodo.org/records/10519652/files/{}.npz?download=1"

# name, summary, modality, licence, MD5: the 2-D sets at 28 pixels, as that package states them
MEDMNIST = (
    (
        "pathmnist",
        "107,180 patches of colorectal tissue, 9 kinds",
        "microscopy",
        "CC BY 4.0",
        "a8b06965200029087d5bd730944a56c1",
    ),
    (
        "chestmnist",
        "112,120 chest X-rays with up to 14 findings at once",
        "chest_xray",
        "CC BY 4.0",
        "02c8a6516a18b556561a56cbdd36c4a8",
    ),
    (
        "dermamnist",
        "10,015 dermatoscopic images of 7 kinds of skin lesions",
        "dermatoscopy",
        "CC BY-NC 4.0",
        "0744692d530f8e62ec473284d019b0c7",
    ),
    (
        "octmnist",
        "109,309 optical coherence tomographies of the retina, 3 diseases or none",
        "oct",
        "CC BY 4.0",
        "c68d92d5b585d8d81f7112f81e2d0842",
    ),
    (
        "pneumoniamnist",
        "5,856 children's chest X-rays, pneumonia or none",
        "chest_xray",
        "CC BY 4.0",
        "28209eda62fecd6e6a2d98b1501bb15f",
    ),
    (
        "retinamnist",
        "1,600 photos of the fundus, 5 grades of diabetic retinopathy",
        "fundus",
        "CC BY 4.0",
        "bd4c0672f1bba3e3a89f0e4e876791e4",
    ),
    (
        "breastmnist",
        "780 breast ultrasound images, malignant or not",
        "ultrasound",
        "CC BY 4.0",
        "750601b1f35ba3300ea97c75c52ff8f6",
    ),
    ("bloodmnist", "17,092 blood cells of 8 kinds", "microscopy", "CC BY 4.0", "7053d0359d879ad8a5505303e11de1dc"),
    ("tissuemnist", "236,386 kidney cells of 8 kinds", "microscopy", "CC BY 4.0", "ebe78ee8b05294063de985d821c1c34b"),
    ("organamnist", "58,830 axial CT slices of 11 organs", "ct", "CC BY 4.0", "68e3f8846a6bd62f0c9bf841c0d9eacc"),
    ("organcmnist", "23,583 coronal CT slices of 11 organs", "ct", "CC BY 4.0", "b9ceb9546e10131b32923c5bbeaea2b1"),
    ("organsmnist", "25,211 sagittal CT slices of 11 organs", "ct", "CC BY 4.0", "9ab87b696fb54e2a387ebe992d6ed5f1"),
)
LOOKED_FOR = {"breastmnist": "malignant", "pneumoniamnist": "pneumonia"}


def _settings(name: str, modality: str) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "independent_rows": "MedMNIST publishes no patients; its published parts are kept",
        "modality": modality,
        "backbone": "cnn",
        "size": 28,
    }
    if name in LOOKED_FOR:
        settings["positive"] = LOOKED_FOR[name]
    if name == "chestmnist":
        settings["findings"] = list(FINDINGS)
    if name in ("breastmnist", "chestmnist"):
        # breastmnist has 78 validation images, of which half calibrate; of chestmnist's 11,219 about 20 show a hernia,
        # the rarest finding: few promises can be made. These need 6 ill ones.
        settings |= {"operating_point": {"sensitivity": 0.75, "confidence": 0.8}, "deferral": {"coverage": 0.8}}
    return settings


def _medmnist(name: str, summary: str, modality: str, licence: str, md5: str) -> Dataset:
    label = {} if name == "chestmnist" else {"label": "label"}
    return Dataset(
        name=name,
        summary=f"{summary}; 28 pixels, in their published parts",
        licence=licence,
        home="https://medmnist.com",
        files=(Remote(name=f"{name}.npz", address=ADDRESS.format(name), md5=md5, source=SOURCE),),
        read=later("solvent_medical.medmnist:read"),
        config={
            "columns": {"image": "image", **label, "id": "id"},
            "split": {"by": "column", "column": "part"},
            # At 28 pixels images of different patients look like copies of each other; the report says how many.
            "allow": ["near_copies"],
            "settings": _settings(name, modality),
        },
    )


DATASETS = (
    Dataset(
        name="drawn_phantoms",
        summary="1,732 drawn images of 700 made patients, a little like breast ultrasound: benign or malignant",
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
    *(_medmnist(*about) for about in MEDMNIST),
)
