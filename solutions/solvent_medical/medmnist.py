"""Readers of MedMNIST's 2-D sets: from the file of arrays as it is published to a table of images.

Labels are numbers there; what they mean is stated in medmnist 3.0.2, medmnist/info.py. There are no patients.
Source: Yang et al., MedMNIST v2, Scientific Data 10, 2023.
"""

import io
from collections.abc import Mapping
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DIAGNOSES", "FINDINGS", "read"]

PARTS = {"train": "train", "val": "valid", "test": "test"}
FINDINGS = (
    "atelectasis",
    "cardiomegaly",
    "effusion",
    "infiltration",
    "mass",
    "nodule",
    "pneumonia",
    "pneumothorax",
    "consolidation",
    "edema",
    "emphysema",
    "fibrosis",
    "pleural",
    "hernia",
)
ORGANS = (
    "bladder",
    "femur-left",
    "femur-right",
    "heart",
    "kidney-left",
    "kidney-right",
    "liver",
    "lung-left",
    "lung-right",
    "pancreas",
    "spleen",
)
DIAGNOSES: Mapping[str, tuple[str, ...]] = {
    "pathmnist": (
        "adipose",
        "background",
        "debris",
        "lymphocytes",
        "mucus",
        "smooth muscle",
        "normal colon mucosa",
        "cancer-associated stroma",
        "colorectal adenocarcinoma epithelium",
    ),
    "dermamnist": (
        "actinic keratoses and intraepithelial carcinoma",
        "basal cell carcinoma",
        "benign keratosis-like lesions",
        "dermatofibroma",
        "melanoma",
        "melanocytic nevi",
        "vascular lesions",
    ),
    "octmnist": ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal"),
    "pneumoniamnist": ("normal", "pneumonia"),
    "retinamnist": ("0", "1", "2", "3", "4"),
    "breastmnist": ("malignant", "normal, benign"),
    "bloodmnist": (
        "basophil",
        "eosinophil",
        "erythroblast",
        "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)",
        "lymphocyte",
        "monocyte",
        "neutrophil",
        "platelet",
    ),
    "tissuemnist": (
        "Collecting Duct, Connecting Tubule",
        "Distal Convoluted Tubule",
        "Glomerular endothelial cells",
        "Interstitial endothelial cells",
        "Leukocytes",
        "Podocytes",
        "Proximal Tubule Segments",
        "Thick Ascending Limb",
    ),
    "organamnist": ORGANS,
    "organcmnist": ORGANS,
    "organsmnist": ORGANS,
}


def read(files: Mapping[str, Path]) -> "pd.DataFrame":
    """A row for each image: `id`, `image` as PNG, `part` as published, and `label`, or 0 and 1 for each finding.

    Args:
        files: the file of one set, by its published name, which says what the labels mean.
    """
    import numpy as np
    import pandas as pd

    ((file, path),) = files.items()
    name = Path(file).stem
    tables = []
    with np.load(path, allow_pickle=False) as arrays:
        for theirs, ours in PARTS.items():
            images, labels = arrays[f"{theirs}_images"], arrays[f"{theirs}_labels"]
            labels = labels.reshape(len(images), -1)
            with ThreadPool() as threads:  # zlib works without Python's lock
                cells = threads.map(_png, images, chunksize=256)
            ids = [f"{ours}-{number}" for number in range(len(images))]
            table = pd.DataFrame({"id": ids, "image": cells, "part": ours})
            if name == "chestmnist":
                tables.append(table.assign(**dict(zip(FINDINGS, labels.T.astype(int), strict=True))))
            else:
                tables.append(table.assign(label=[DIAGNOSES[name][code] for code in labels[:, 0].tolist()]))
    return pd.concat(tables, ignore_index=True)


def _png(pixels: Any) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()
