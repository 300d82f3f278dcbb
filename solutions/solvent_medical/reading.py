"""The settings of reading DICOM: which grey levels are shown, which frame. Imports no keras, pandas or pydicom."""

import json
from typing import Literal, Self

from pydantic import Field, model_validator

from solvent.solution import Decoder, Section

__all__ = ["METHOD", "Reading"]

METHOD = "DICOM (1): modality LUT, VOI LUT or window to 0..255, MONOCHROME1 inverted, padding black, no overlays"


class Reading(Section):
    """How a DICOM file becomes a picture. PNG, JPEG and TIFF files are read as they are.

    Args:
        window: which grey levels are black and white. `file`: as the file says, by its VOI LUT or its first window;
            where it says nothing, by `windows`; where these have no word for its modality either, from the least to
            the greatest value of the picture. `settings`: the other way round, `windows` before the file.
        windows: center and width for a modality, in its own units (CT: Hounsfield), such as CT: [-600, 1500] for lungs.
        frame: which frame of several: the `middle` one, or `refuse` such files.
    """

    window: Literal["file", "settings"] = "file"
    windows: dict[str, tuple[float, float]] = Field({"CT": (40.0, 400.0)})
    frame: Literal["middle", "refuse"] = "middle"

    @model_validator(mode="after")
    def _wide(self) -> Self:
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
