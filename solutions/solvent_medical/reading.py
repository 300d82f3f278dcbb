"""The settings of reading DICOM: which grey levels are shown, which frame. Imports no keras, pandas or pydicom."""

import json
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import field_validator, model_validator

from solvent.solution import Decoder, Section

__all__ = ["METHOD", "MODALITIES", "Reading"]

# The modalities of today: DICOM PS3.3 C.7.3.1.1.1. What else stands in a file may be anything, so it is never shown.
_TERMS = """
ANN AR ASMT AU BDUS BI BMD CFM CR CT CTPROTOCOL DG DMS DOC DX ECG EEG EMG EOG EPS ES FID GM HC HD IO IOL IVOCT IVUS KER
KO LEN LS M3D MG MR NM OAM OCT OP OPM OPT OPTBSV OPTENF OPV OSS OT PA PLAN POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE
RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF STAIN TEXTUREMAP TG US VA XA XAPROTOCOL XC
"""
MODALITIES = frozenset(_TERMS.split())

METHOD = (
    "DICOM (2): modality LUT, VOI LUT or window to 0..255, MONOCHROME1 inverted, padding black, no overlays, pixels "
    "square"
)
WINDOWS = {"CT": (40.0, 400.0)}


class Reading(Section):
    """How a DICOM file becomes a picture. PNG, JPEG and TIFF files are read as they are.

    Args:
        window: which grey levels are black and white. `file`: as the file says, by its VOI LUT or its first window;
            where it says nothing, by `windows`; where these have no word for its modality either, from the least to
            the greatest value of the picture. `settings`: the other way round, `windows` before the file.
        windows: center and width for a modality, in its own units (CT: Hounsfield), such as CT: [-600, 1500] for lungs;
            those of modalities that are not named stay.
        frame: which frame of several: the `middle` one, or `refuse` such files.
    """

    window: Literal["file", "settings"] = "file"
    windows: dict[str, tuple[float, float]] = WINDOWS
    frame: Literal["middle", "refuse"] = "middle"

    @field_validator("windows", mode="before")
    @classmethod
    def _beside_the_usual(cls, given: Any) -> Any:
        return {**WINDOWS, **given} if isinstance(given, Mapping) else given

    @model_validator(mode="after")
    def _known_and_wide(self) -> Self:
        if unknown := sorted(set(self.windows) - MODALITIES):
            raise ValueError(f"windows: DICOM knows no modality {unknown[0]!r}; they are written as in CT, MR, DX, US")
        if narrow := [modality for modality, (_, width) in self.windows.items() if not width >= 1]:
            raise ValueError(f"windows.{narrow[0]}: expected [center, width] with a width of 1 or more")
        return self

    @property
    def decoder(self) -> Decoder:
        """What the column of images and everything that decodes one is given."""
        return Decoder(
            function="solvent_medical.dicom:picture",
            options=json.dumps(self.model_dump(mode="json"), sort_keys=True),
            formats="DICOM",
            method=METHOD,
        )
