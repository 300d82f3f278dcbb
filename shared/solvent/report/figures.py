"""The figures of the report: models side by side, training history, and the domain's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..solution import Figure, Texts
from . import drawing, metric_names, texts, wording

__all__ = ["Drawn", "Studio", "domain", "forest", "histories"]

JSON = Any


@dataclass(frozen=True)
class Drawn:
    """A figure of the page: its SVG, its words, and whether it takes the whole width."""

    key: str
    title: str
    caption: str
    svg: str
    wide: bool


class Studio:
    """Draws figure after figure and counts them, so that each has ids of its own."""

    def __init__(self) -> None:
        self._drawn = 0

    def draw(
        self,
        title: str,
        caption: str,
        paint: Callable[[Any], None],
        *,
        width: float = 5.0,
        height: float = 3.4,
    ) -> Drawn:
        self._drawn += 1
        key = f"figure-{self._drawn}"
        svg = drawing.inline(paint, key=key, title=title, description=caption, width=width, height=height)
        return Drawn(key, title, caption, svg, wide=width > 5.6)


def domain(studio: Studio, figures: Iterable[Figure | Texts], protocol: str) -> list[Drawn | texts.Block]:
    """The domain's own plots, each on axes in the report's style, and its texts, but for those that hold none."""

    def shown(figure: Figure | Texts) -> Drawn | texts.Block:
        caption = " ".join(filter(None, (figure.caption.strip(), protocol)))
        if isinstance(figure, Texts):
            return texts.block(figure, caption)
        return studio.draw(
            figure.title,
            caption,
            lambda canvas: figure.draw(canvas.add_subplot()),
            width=figure.width,
            height=figure.height,
        )

    return [shown(figure) for figure in figures if not isinstance(figure, Texts) or figure.items]


def forest(studio: Studio, bundle: Mapping[str, JSON], protocol: str) -> Drawn | None:
    """Every model's headline with its interval, and beside it the paired difference of ours to each."""
    test, rivals = bundle["test"], bundle["rivals"]
    if not test:
        return None
    metric = test["headline"]
    baseline = (test["baseline"] or {}).get("name")
    names = sorted(rivals, key=lambda name: name != baseline)
    found = [("ours", test["metrics"][metric], None)]
    found += [(name, rivals[name]["metrics"].get(metric), rivals[name]["difference"]) for name in names]
    if not any(wording.finite((headline or {}).get("value")) is not None for _, headline, _ in found):
        return None
    label = metric_names.metric_label(metric)
    rises = metric_names.metric_rises(metric, bundle["goal"], bundle.get("meanings", {}))
    better = "" if rises is None else ("   (higher is better →)" if rises else "   (← lower is better)")

    def paint(canvas: Any) -> None:
        both = canvas.subplots(1, 2, sharey=True, width_ratios=(1.25, 1)) if names else [canvas.add_subplot()]
        rows = range(len(found))
        for row, (name, headline, difference) in zip(rows, found, strict=True):
            colour, marker = _look(name, baseline)
            _interval(both[0], row, headline, colour, marker, wording.estimate(headline))
            if names:
                _interval(both[1], row, difference, drawing.INK, "D", wording.signed(difference))
        titles = ["ours", *(_rival_label(name, baseline) for name in names)]
        both[0].set_yticks(list(rows), titles)
        both[0].tick_params(axis="y", length=0, labelcolor=drawing.INK, labelsize=8.5)
        both[0].set_ylim(len(found) - 0.45, -0.7)
        both[0].set_xlabel(f"{label}{better}")
        both[0].set_title("Each model, 95 % interval")
        for axes in both:
            axes.grid(axis="y", visible=False)
            axes.spines["left"].set_visible(False)
            axes.margins(x=0.12)
            axes.locator_params(axis="x", nbins=6)
        if names:
            both[1].axvline(0, color=drawing.MUTED, linewidth=1, linestyle=(0, (4, 3)))
            both[1].tick_params(axis="y", length=0)
            both[1].set_xlabel(f"difference in {label}")
            both[1].set_title("Ours − theirs, paired, 95 % interval")

    caption = (
        f"{label} of every model on the test rows. Two intervals of the left side may overlap although the models "
        "differ: the paired difference on the right is the comparison. "
        if names
        else f"{label} on the test rows. "
    ) + protocol
    return studio.draw("All models on the same test rows", caption, paint, width=8.4, height=1.05 + 0.34 * len(found))


def _rival_label(name: str, baseline: str | None) -> str:
    return wording.shorten(name, 30) + (" (baseline)" if name == baseline else "")


def _look(name: str, baseline: str | None) -> tuple[str, str]:
    if name == "ours":
        return drawing.OURS, "o"
    return (drawing.BASELINE, "s") if name == baseline else (drawing.MUTED, "^")


def _interval(axes: Any, row: int, found: Mapping[str, JSON] | None, colour: str, marker: str, text: str) -> None:
    value, low, high = (wording.finite((found or {}).get(key)) for key in ("value", "low", "high"))
    if value is None:
        return
    if low is not None and high is not None:
        axes.plot([low, high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
    axes.plot([value], [row], marker, color=colour, markersize=6.5)
    axes.annotate(text, (value, row), (0, 6), textcoords="offset points", ha="center", fontsize=8, color=drawing.INK)


def histories(studio: Studio, training: Sequence[Mapping[str, JSON]], goal: Mapping[str, JSON]) -> list[Drawn]:
    """For each stage its losses and its monitored metrics over the epochs, the kept epoch marked."""
    drawn = []
    for stage in training:
        history = stage["history"]
        series = {name: values for name, values in history.items() if name not in ("epoch", "learning_rate")}
        losses = [name for name in series if name.endswith("loss")]
        others = [name for name in series if name not in losses]
        best = goal["metric"]
        # The headline alone if the stage followed it: six metrics on one scale say nothing.
        others = [name for name in others if name.removeprefix("val_") == best] or others[:3]
        name = wording.shorten(stage["stage"], 40)
        for kind, lines in (("loss", losses), ("monitored metric", others)):
            if lines:
                paint = _history_painter(history["epoch"], {line: series[line] for line in lines}, stage["best_epoch"])
                drawn.append(studio.draw(f"Stage {name}: {kind}", _history_caption(stage, lines), paint, height=2.7))
    return drawn


def _history_label(name: str) -> str:
    if name == "loss":
        return "loss, training rows"
    return f"{metric_names.metric_label(name.removeprefix('val_'))}, validation rows"


def _history_caption(stage: Mapping[str, JSON], lines: Sequence[str]) -> str:
    ended = {
        "patience": "it stopped getting better",
        "epochs": "all epochs were run",
        "max_minutes": "its time was over",
    }.get(stage["stopped"], wording.plain(stage["stopped"]))
    kept = "" if stage["best_epoch"] is None else f" The weights of epoch {stage['best_epoch']} were kept."
    return (
        f"{stage['epochs']} epochs; {ended}.{kept} "
        "Validation rows chose the epoch, so their curve flatters; no interval."
    )


def _history_painter(
    epochs: Sequence[JSON], lines: Mapping[str, Sequence[JSON]], best: int | None
) -> Callable[[Any], None]:
    def paint(canvas: Any) -> None:
        axes = canvas.add_subplot()
        for place, (name, values) in enumerate(lines.items()):
            known = [(epoch, wording.finite(value)) for epoch, value in zip(epochs, values, strict=False)]
            known = [(epoch, value) for epoch, value in known if value is not None]
            across, up = [epoch for epoch, _ in known], [value for _, value in known]
            colour = drawing.MUTED if name == "loss" else f"C{place if 'loss' not in lines else place - 1}"
            marker = "o" if len(across) < 3 else ""
            axes.plot(across, up, color=colour, marker=marker, label=wording.shorten(_history_label(name), 34))
            if best in across:
                axes.plot([best], [up[across.index(best)]], "o", color=colour, markeredgecolor=drawing.PAPER)
        if best is not None:
            axes.axvline(best, color=drawing.MUTED, linewidth=1, linestyle=(0, (2, 2)), label=f"kept epoch: {best}")
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()

    return paint
