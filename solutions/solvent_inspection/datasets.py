"""Data sets that inspection can learn from. Imports neither keras nor pandas."""

from solvent import Dataset, later
from solvent.steel import HOME, LICENCE, PHOTOS

__all__ = ["DATASETS"]

DATASETS = (
    Dataset(
        name="drawn_parts",
        summary="1,200 metal parts of 24 lots, drawn and not photographed: four fifths good, the others with a small "
        "scratch, pit or stain",
        licence="Apache-2.0 (drawn by this package)",
        home="this package, sample.py",
        made=True,
        read=later("solvent_inspection.sample:drawn_parts"),
        config={
            "columns": {"image": "photo", "label": "state", "id": "part", "group": "lot"},
            "settings": {"backbone": "cnn", "size": 64},
        },
    ),
    Dataset(
        name="neu_scratches_unknown",
        summary="1,800 photos of hot-rolled steel strip: five kinds of surface that are usual here, and scratches, "
        "which are in the test part only",
        licence=LICENCE,
        home=HOME,
        files=(PHOTOS,),
        read=later("solvent_inspection.steel:scratches_unknown"),
        config={
            "columns": {"image": "image", "label": "label", "id": "id"},
            "split": {"by": "column", "column": "part"},
            "settings": {
                "backbone": "vgg16",
                "size": 128,
                "good": ["crazing", "inclusion", "patches", "pitted_surface", "rolled-in_scale"],
            },
        },
    ),
)
