"""Matplotlib to inline SVG that follows the page: one drawing serves light, dark and paper.

Every colour of the report's style is a sentinel that becomes a CSS variable in the SVG. `C0` is ours,
`C1` the baseline, `C2` to `C5` whatever else a domain draws.
"""

from __future__ import annotations

import re
import warnings
from base64 import b64decode, b64encode
from collections.abc import Callable
from io import BytesIO, StringIO
from typing import Any
from xml.etree import ElementTree

__all__ = ["BAD", "BASELINE", "FAINT", "GRID", "INK", "MUTED", "OURS", "PAPER", "PHOTO", "inline"]

INK, MUTED, GRID, PAPER, FAINT = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04", "#0a0b05"
OURS, BASELINE, THIRD, FOURTH, FIFTH, BAD = "#0a0b06", "#0a0b07", "#0a0b08", "#0a0b09", "#0a0b0a", "#0a0b0b"

PHOTO = "photo"  # how the gid of an image begins that is a photo: it becomes a JPEG, a fifth of the PNG

_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    PAPER: "var(--panel)",
    FAINT: "var(--faint)",
    OURS: "var(--ours)",
    BASELINE: "var(--baseline)",
    THIRD: "var(--third)",
    FOURTH: "var(--fourth)",
    FIFTH: "var(--fifth)",
    BAD: "var(--bad)",
}
_SENTINEL = re.compile("|".join(_VARIABLES))
_REFERENCE = re.compile(r"(?<=url\(#)[^)]+(?=\))|(?<=^#).+")
_UNFIT_FOR_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_POWER = re.compile(r"^\$\\mathdefault\{(.*)\}\$$")
_RAISED = str.maketrans("0123456789-\u2212.", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻·")


def _style() -> Any:
    from cycler import cycler

    return {
        "figure.facecolor": "none",
        "figure.constrained_layout.use": True,
        "axes.facecolor": "none",
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "axes.titlesize": 9,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.prop_cycle": cycler(color=[OURS, BASELINE, THIRD, FOURTH, FIFTH, BAD]),
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "text.color": INK,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.major.width": 0.7,
        "ytick.major.width": 0.7,
        "xtick.major.size": 3,
        "ytick.major.size": 3,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 8.5,
        "lines.linewidth": 1.7,
        "lines.markersize": 4.5,
        "patch.edgecolor": PAPER,
        "boxplot.boxprops.color": MUTED,
        "boxplot.whiskerprops.color": MUTED,
        "boxplot.capprops.color": MUTED,
        "boxplot.flierprops.markeredgecolor": MUTED,
        "legend.frameon": False,
        "legend.fontsize": 8,
        "svg.fonttype": "none",
        "svg.hashsalt": "solvent",
        # A column may be called '$x$': no text of a user is ever read as mathematics.
        "text.parse_math": False,
    }


def inline(paint: Callable[[Any], None], *, key: str, title: str, description: str, width: float, height: float) -> str:
    """Draw on a new matplotlib figure and give back an `<svg>` element for the page.

    Args:
        paint: gets the matplotlib figure.
        key: goes before every id, so that no two figures of a page share one.
        title: read out by a screen reader, with `description`.
        width: inches at a font size of 8.5 points.
    """
    import matplotlib
    from matplotlib.figure import Figure

    text = StringIO()
    # A user's matplotlibrc must not change the report.
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_style())
        # The browser has fonts for scripts that matplotlib's own font lacks; only the measuring is off.
        warnings.filterwarnings("ignore", message="Glyph")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        figure = Figure(figsize=(width, height))
        paint(figure)
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(text, format="svg", metadata=nothing, transparent=True)
    return _adopt(text.getvalue(), key, title, description, width)


def _adopt(text: str, key: str, title: str, description: str, width: float) -> str:
    root = ElementTree.fromstring(_UNFIT_FOR_XML.sub(" ", text))
    elements = list(root.iter())
    used = {name for element in elements for value in element.attrib.values() for name in _REFERENCE.findall(value)}
    for element in elements:
        element.tag = element.tag.rpartition("}")[2]
        is_photo = element.tag == "image" and element.attrib["id"].startswith(PHOTO)
        element.attrib = {
            name.rpartition("}")[2]: _attribute(name, value, key, used)
            for name, value in element.attrib.items()
            if name != "id" or value in used
        }
        if is_photo:
            element.attrib["href"] = _jpeg(element.attrib["href"])
            del element.attrib["style"]  # which asks for hard pixels
        if element.text and (power := _POWER.match(element.text)):
            element.text = re.sub(r"\^\{(.*?)\}", lambda found: found[1].translate(_RAISED), power[1])
        # Matplotlib's style sheet speaks to every element of a page; the page's own has the same rule for figures.
        for child in [item for item in element if item.tag.rpartition("}")[2] in ("metadata", "style")]:
            element.remove(child)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib |= {
        "role": "img",
        "aria-labelledby": f"{key}-title {key}-description",
        "style": f"max-width: {width * 96 * 1.12:.0f}px",
    }
    for tag, content in (("desc", description), ("title", title)):
        child = ElementTree.Element(tag, id=f"{key}-{'description' if tag == 'desc' else 'title'}")
        child.text = _UNFIT_FOR_XML.sub(" ", content)
        root.insert(0, child)
    return ElementTree.tostring(root, encoding="unicode")


def _jpeg(address: str) -> str:
    """The same image, which is given as a PNG in a data URL, as JPEG in one."""
    from PIL import Image

    kept = BytesIO()
    with Image.open(BytesIO(b64decode(address.partition(",")[2]))) as image:
        image.convert("RGB").save(kept, "JPEG", quality=88, optimize=True)
    return "data:image/jpeg;base64," + b64encode(kept.getvalue()).decode()


def _attribute(name: str, value: str, key: str, used: set[str]) -> str:
    if name == "id":
        return f"{key}-{value}"
    value = _SENTINEL.sub(lambda found: _VARIABLES[found[0]], value)
    return _REFERENCE.sub(lambda found: f"{key}-{found[0]}" if found[0] in used else found[0], value)
