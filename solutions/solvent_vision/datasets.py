"""Data sets that image classification can train on. Imports neither keras nor pandas."""

from solvent import Dataset, Remote, later
from solvent.steel import HOME, LICENCE, PHOTOS

__all__ = ["DATASETS"]

KERAS = "keras 3.15.1, keras/src/datasets/"
PARTS = "in their published parts, the last {} training images as validation rows"
BY_PART = {
    "columns": {"image": "image", "label": "label", "id": "id", "passthrough": ["part"]},
    "split": {"by": "column", "column": "part"},
    "settings": {"backbone": "cnn", "size": 32},
}

# What else keras.datasets names is left out: fashion_mnist has no sha256 there, the others hold no images.
DATASETS = (
    Dataset(
        name="drawn_surfaces",
        summary="1,200 metal surfaces, drawn and not photographed: scratch, pit, stain or clean; copies and 1 % wrong "
        "labels on purpose",
        licence="Apache-2.0 (drawn by this package)",
        home="this package, sample.py",
        made=True,
        read=later("solvent_vision.sample:drawn_surfaces"),
        config={
            "columns": {"image": "photo", "label": "defect", "id": "part"},
            "settings": {
                "backbone": "cnn",
                "size": 64,
                "augmentation": {"flip": "both", "brightness": 0.1},
                "check_labels": "always",
                "training": {"epochs": 14, "patience": 6, "batch_size": 32, "learning_rate": 0.003},
            },
        },
    ),
    Dataset(
        name="neu_surface_defects",
        summary="1,800 photos of hot-rolled steel strip, 300 of each of 6 kinds of defect",
        licence=LICENCE,
        home=HOME,
        files=(PHOTOS,),
        read=later("solvent.steel:photos"),
        config={
            "columns": {"image": "image", "label": "label", "id": "id"},
            "split": {"by": "stratified", "fractions": [0.64, 0.16, 0.2]},
            "settings": {"backbone": "vgg16", "size": 224},
        },
    ),
    Dataset(
        name="mnist",
        summary=f"70,000 handwritten digits of 28 pixels, {PARTS.format('10,000')}",
        licence="CC BY-SA 3.0",
        home="http://yann.lecun.com/exdb/mnist/",
        files=(
            Remote(
                name="mnist.npz",
                address="https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
                sha256="731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
                source=KERAS + "mnist.py",
            ),
        ),
        read=later("solvent_vision.public:mnist"),
        config=BY_PART,
    ),
    Dataset(
        name="cifar10",
        summary=f"60,000 photos of 32 pixels in 10 classes, {PARTS.format('10,000')}",
        licence="not stated; cite Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
        home="https://www.cs.toronto.edu/~kriz/cifar.html",
        files=(
            Remote(
                name="cifar-10-python.tar.gz",
                address="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
                source=KERAS + "cifar10.py",
            ),
        ),
        read=later("solvent_vision.public:cifar10"),
        config=BY_PART,
    ),
    Dataset(
        name="cifar100",
        summary=f"60,000 photos of 32 pixels in 100 classes, {PARTS.format('10,000')}",
        licence="not stated; cite Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
        home="https://www.cs.toronto.edu/~kriz/cifar.html",
        files=(
            Remote(
                name="cifar-100-python.tar.gz",
                address="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
                sha256="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
                source=KERAS + "cifar100.py",
            ),
        ),
        read=later("solvent_vision.public:cifar100"),
        config=BY_PART,
    ),
)
