"""Which changes leave a diagnosis as it is, by what took the image. Imports no keras.

An augmented image must be one that the machine could have made of some patient. What is never allowed is said beside
each: it would teach the network that anatomy does not matter.
"""

from collections.abc import Mapping
from typing import Any, Literal

__all__ = ["PRESETS", "Modality"]

Modality = Literal[
    "ultrasound", "chest_xray", "mammography", "ct", "mri", "microscopy", "dermatoscopy", "fundus", "oct"
]

# By its name: the changes, and why these and no others.
PRESETS: Mapping[str, tuple[dict[str, Any], str]] = {
    "ultrasound": (
        {"flip": "horizontal", "translation": 0.05, "zoom": 0.1, "brightness": 0.1, "contrast": 0.2},
        "The probe may be turned left to right, and gain and depth are set by hand. Never upside down: sound comes "
        "from above, so that shadow and enhancement lie below a lesion. No large turns, for the same reason.",
    ),
    "chest_xray": (
        {"rotation": 5, "translation": 0.05, "zoom": 0.1, "brightness": 0.1, "contrast": 0.2},
        "Patients stand a little askew, and exposure differs. Never mirrored: the heart lies on the left, and a "
        "mirrored chest is another finding (situs inversus). Never upside down: fluid sinks.",
    ),
    "mammography": (
        {"flip": "horizontal", "rotation": 10, "translation": 0.05, "zoom": 0.1, "contrast": 0.1},
        "Left and right breast are each other's mirror images. Never upside down: the oblique view has the pectoral "
        "muscle above. Brightness tells density, so that only contrast is changed, and little.",
    ),
    "ct": (
        {"rotation": 10, "translation": 0.05, "zoom": 0.1},
        "Patients lie a little turned. Grey levels are Hounsfield units and mean tissue: none is changed. Never "
        "mirrored: the liver lies on the right.",
    ),
    "mri": (
        {"rotation": 10, "translation": 0.05, "zoom": 0.1, "brightness": 0.1, "contrast": 0.2},
        "Grey levels have no unit and differ from scanner to scanner. Never mirrored: sides are told apart.",
    ),
    "microscopy": (
        {"flip": "both", "rotation": 180, "zoom": 0.1, "brightness": 0.1, "contrast": 0.1},
        "A slide has no up and no left. Stains differ a little from laboratory to laboratory; size tells cells apart, "
        "so that the zoom is small.",
    ),
    "dermatoscopy": (
        {"flip": "both", "rotation": 180, "zoom": 0.15, "brightness": 0.1, "contrast": 0.1},
        "The instrument is laid on the skin at any angle. Colour tells melanoma, so that light is changed little.",
    ),
    "fundus": (
        {"flip": "horizontal", "rotation": 15, "zoom": 0.1, "brightness": 0.1, "contrast": 0.2},
        "Left and right eye are each other's mirror images, and heads are tilted. Never upside down: the vessels of "
        "the upper and the lower half differ.",
    ),
    "oct": (
        {"flip": "horizontal", "rotation": 5, "translation": 0.05, "brightness": 0.1, "contrast": 0.2},
        "Left and right eye are each other's mirror images. Never upside down: the layers of the retina have an order.",
    ),
}
