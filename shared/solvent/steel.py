"""NEU surface defects: 1,800 photos of hot-rolled steel strip, 300 of each of six kinds of defect.

Several solutions show themselves on them. Imports neither keras nor pandas before they are read.

Source: Song and Yan, A noise robust method based on completed local binary patterns for hot-rolled steel strip surface
defects, Applied Surface Science 285, 2013.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .solution import Folder, Table

__all__ = ["HOME", "LICENCE", "PHOTOS", "photos"]

HOME = "http://faculty.neu.edu.cn/songkechen/zh_CN/zhym/263269/list/index.htm"
LICENCE = "not stated; cite Song and Yan, Applied Surface Science 285, 2013"
PHOTOS = Folder(
    name="neu-steel-surface",
    ending=".jpg",
    count=1800,
    sha256="9cdfa09048520123381d399ff734392ddc3b8fa6dfa8faef52d3b3cdebaadc71",
    source="computed from the photos in such folders by find . -name '*.jpg' -printf '%P\\n' | "
    "LC_ALL=C sort | xargs sha256sum | sha256sum",
    by_hand="Get NEU-DET (the photos are .jpg, 200 by 200) from the home page, and sort them by the first "
    "part of their names into neu-steel-surface/crazing, inclusion, patches, pitted_surface, "
    "rolled-in_scale and scratches, training and validation photos together.",
)


def photos(files: Mapping[str, Path]) -> Table:
    """The photos in their class folders; `id` is the path below the folder. Two of them are one file."""
    import pandas as pd

    top = files[PHOTOS.name].absolute()
    found = sorted(top.glob("*/*.jpg"))
    return pd.DataFrame(
        {
            "id": [photo.relative_to(top).as_posix() for photo in found],
            "image": [str(photo) for photo in found],
            "label": [photo.parent.name for photo in found],
        }
    )
