"""What the report shows of translations: the worst ones, whether quality is known, where the network looked."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from solvent import Figure, Fitted, Marked, Texts, text

from .model import glossary
from .outcome import judged
from .overlap import signatures
from .reading import read
from .settings import WRITTEN, Translation

__all__ = ["alignment", "figures"]

SHOWN = 8
BANDS = 8


def figures(
    settings: Translation, fitted: Fitted, rows: pd.DataFrame, scored: pd.DataFrame
) -> Iterator[Figure | Texts]:
    """Examples, the worst first; estimated and reached quality; an alignment."""
    if settings.task == "generate":
        yield _expected(rows, scored)
        return
    name, metric = WRITTEN[settings.task], {"translate": "chrF", "summarise": "ROUGE-L"}[settings.task]
    reached = judged(settings)(scored[name].tolist(), rows["target"].tolist())
    ranked = np.argsort(reached, kind="stable")
    signed = "Metrics as rouge-score computes them, without stemming, on words of any script."
    if settings.task == "translate":
        signed = "; ".join(f"{name}: {signature}" for name, signature in signatures().items())
        signed = f"Metrics as sacreBLEU computes them: {signed}."
    many = {"translate": "translations", "summarise": "summaries"}[settings.task]
    for title, places, what in (
        (f"Worst {many}", ranked[:SHOWN], f"those of the lowest {metric}, which may be wrong references"),
        (f"Other {many}", ranked[len(ranked) // 2 :][:SHOWN], "those in the middle"),
    ):
        yield Texts(
            title=title,
            caption=f"{len(places)} of {len(rows)} test texts: {what}. {signed}",
            items=tuple(
                _shown(rows.iloc[at], scored.iloc[at], scored[name].iloc[at], metric, reached[at]) for at in places
            ),
            unseen=True,
        )
    yield _quality(scored, reached, metric)
    short = rows["source"].str.len().rank(method="first").sub(len(rows) / 2).abs().to_numpy().argmin()
    yield _aligned(settings, fitted, read(settings, rows["source"].iloc[short]), scored[name].iloc[short])


def _shown(row: pd.Series, scored: pd.Series, said: str, metric: str, reached: float) -> Marked:
    told = f"{metric} {reached:.0f}, estimated {scored['quality']:.0f}"
    told = f"{told} · source: {row['source']} · reference: {row['target']}"
    return Marked(pieces=((said, 0.0),), caption=told)


def _expected(rows: pd.DataFrame, scored: pd.DataFrame) -> Texts:
    """The texts that the network expected least."""
    known = scored["surprise"].notna().to_numpy()
    each = (scored["surprise"] / scored["subwords"].astype("float64")).to_numpy()[known]
    places = np.flatnonzero(known)[np.argsort(-each, kind="stable")][:SHOWN]
    items = []
    for at in places:
        begun = rows["source"].iloc[at] if "source" in rows and isinstance(rows["source"].iloc[at], str) else ""
        told = f"{scored['surprise'].iloc[at] / scored['subwords'].iloc[at]:.2f} nats a subword"
        told = f"{told} · begun: {begun or 'with nothing'} · the network goes on: {scored['text'].iloc[at]}"
        items.append(Marked(pieces=((str(rows["target"].iloc[at]), 0.0),), caption=told))
    caption = f"{len(items)} of {int(known.sum())} test texts: those that the network expected least."
    return Texts(title="Least expected texts", caption=caption, items=tuple(items), unseen=True)


def _quality(scored: pd.DataFrame, reached: np.ndarray, metric: str) -> Figure:
    """What rows of like estimated quality reached in the mean."""
    order = np.argsort(scored["quality"].to_numpy(), kind="stable")
    parts = [part for part in np.array_split(order, min(BANDS, len(order))) if len(part)]
    told = [scored["quality"].to_numpy()[part].mean() for part in parts]
    found = [reached[part].mean() for part in parts]
    flagged = scored["review"].to_numpy(bool)
    both = [f"{reached[which].mean():.1f}" if which.any() else "none there" for which in (flagged, ~flagged)]

    def draw(axes: Any) -> None:
        axes.plot([0, 100], [0, 100], color="C7", linewidth=0.8)
        axes.plot(told, found, marker="o")
        axes.set(xlabel="estimated quality", ylabel=f"mean {metric} of the texts", xlim=(0, 100), ylim=(0, 100))

    return Figure(
        title="Is the quality known?",
        caption=f"Test texts in {len(parts)} groups of like estimates. Mean {metric} of the {int(flagged.sum())} that "
        f"are to be reviewed: {both[0]}; of all others: {both[1]}.",
        draw=draw,
        unseen=True,
    )


def alignment(fitted: Fitted, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """How much each subword of a translation looked at each of the source, the mean over heads in the last layer.

    Args:
        source: its subwords, shape `(source,)`.
        target: those of the translation, shape `(target,)`.

    Returns:
        Shape `(target, source)`; each row sums to 1.
    """
    import keras

    from solvent.text import Vocabulary

    model = fitted.models["model"]
    parts = {layer.name: layer for layer in model.layers}
    last = max(number for number in range(len(parts)) if f"decoder_{number}_source" in parts)
    wanted = [parts[f"decoder_{last}_source_norm"].output, parts["encoder_norm"].output]
    begun = np.concatenate([[Vocabulary.start], target[:-1]]).astype(np.int32)[None]
    looking, seen = keras.Model(model.inputs, wanted)((source[None], begun), training=False)
    layer = parts[f"decoder_{last}_source"]
    weights = layer.weights_of(layer.queries(looking), layer.kept(seen)[0])
    return np.asarray(keras.ops.cast(weights, "float32"))[0].mean(axis=0)


def _aligned(settings: Translation, fitted: Fitted, source: str, translation: str) -> Figure:
    vocabulary = text.Vocabulary(bytes(fitted.assets["vocabulary"]))
    masked = glossary(settings, fitted.assets).masked(source).text
    # As it was read: what is kept stands as a mark. In the translation it stands as itself.
    ours, theirs = vocabulary.encode([masked, translation])
    ours, theirs = ours[: settings.longest - 1], theirs[: settings.longest]
    weights = alignment(fitted, np.append(ours, np.int32(vocabulary.end)), theirs)[:, :-1]

    def draw(axes: Any) -> None:
        axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(ours)), vocabulary.pieces(ours), rotation=90, fontsize=7)
        axes.set_yticks(range(len(theirs)), vocabulary.pieces(theirs), fontsize=7)
        axes.grid(False)

    return Figure(
        title="Where the network looked",
        caption="A test text of middle length: how much each subword of its translation (rows) looked at each of the "
        "source (columns), in the last layer, the mean over its heads.",
        draw=draw,
        width=7.0,
        height=5.0,
    )
