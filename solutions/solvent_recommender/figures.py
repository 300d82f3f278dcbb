"""What the report shows of lists: those of five users to judge by eye, and who is served how well."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from solvent import Figure, Fitted, Marked, Texts
from solvent.metrics import hits

from .catalogue import Catalogue
from .interactions import Known
from .settings import Recommender

__all__ = ["figures"]

USERS, LIKED, SHOWN = 5, 5, 10


def figures(
    settings: Recommender, fitted: Fitted, rows: pd.DataFrame, scored: pd.DataFrame
) -> Iterator[Texts | Figure]:
    """The lists of five users; NDCG by how much is known of a user; which items are shown how often."""
    known = Known.restored(fitted.assets["histories"])
    catalogue = Catalogue.of(settings, known.items, fitted.assets["items"])
    histories, _ = known.asked(rows[["user"]], catalogue.ids)
    yield _lists(settings, catalogue, histories.counts(), [histories.of(row) for row in range(len(rows))], rows, scored)
    yield _by_popularity(settings, known, rows, scored)


def _lists(
    settings: Recommender,
    catalogue: Catalogue,
    counts: np.ndarray,
    liked: list[np.ndarray],
    rows: pd.DataFrame,
    scored: pd.DataFrame,
) -> Texts:
    """One user of whom nothing is known and others from little to much; what they had later is marked."""
    order = np.argsort(counts, kind="stable")
    some = order[counts[order] > 0]
    cold = order[counts[order] == 0][: 1 if len(some) >= USERS - 1 else USERS - len(some)]
    left = min(USERS - len(cold), len(some))
    picked = np.concatenate([cold, some[np.linspace(0, len(some) - 1, left).astype(int)]])
    titles = dict(zip(catalogue.ids, catalogue.titles, strict=True))
    found = []
    for number, row in enumerate(picked):
        wanted = set(rows["item"].iloc[row])
        pieces: list[tuple[str, float]] = []
        reasons = scored["reasons"].iloc[row]
        for place, item in enumerate(scored["items"].iloc[row][:SHOWN]):
            why = f" ({reasons[place]})" if isinstance(reasons, list) else ""
            pieces += [
                (f"{place + 1}. ", 0.0),
                (titles.get(item, item), 1.0 if item in wanted else 0.0),
                (f"{why}\n", 0.0),
            ]
        last = "; ".join(catalogue.titles[place] for place in liked[row][::-1][:LIKED]) or "nothing yet"
        caption = f"user {number + 1} of {len(picked)}, {counts[row]} items liked, lately: {last}"  # never who it is
        found.append(Marked(pieces=tuple(pieces), caption=caption))
    return Texts(
        title="Lists to judge by eye",
        caption="Test users from one of whom little is known to the one of whom most is. Marked: what they liked "
        "in the held-out time.",
        items=tuple(found),
        unseen=True,
    )


def _by_popularity(settings: Recommender, known: Known, rows: pd.DataFrame, scored: pd.DataFrame) -> Figure:
    """How popular the recommended items are, beside what users had in the held-out rows."""
    events = known.histories
    counts = np.bincount(events.item[events.liked], minlength=len(known.items))
    rank = pd.Series(np.argsort(np.argsort(-counts, kind="stable")), index=known.items) / max(len(counts), 1)
    at = settings.at[0]
    shown = rank.reindex([item for items in scored["items"] for item in items[:at]]).dropna()
    wanted = rank.reindex([item for items in rows["item"] for item in items])
    held, new = wanted.dropna(), wanted.isna().mean()
    cold = (known.users.get_indexer(rows["user"]) < 0).mean()
    right = hits(list(rows["item"]), list(scored["items"]), at)

    def draw(axes: object) -> None:
        bins = np.linspace(0, 1, 21)
        for values, label in ((held, "held-out items"), (shown, f"first {at} of each list")):
            share = np.histogram(values, bins)[0] / max(len(values), 1)
            axes.stairs(share, 100 * bins, label=label)  # type: ignore[attr-defined]
        axes.set_xlabel("place of the item by popularity, % of the known items")  # type: ignore[attr-defined]
        axes.set_ylabel("share")  # type: ignore[attr-defined]
        axes.legend()  # type: ignore[attr-defined]

    return Figure(
        title="How popular the recommended items are",
        caption=f"Left are the most popular ones. {right.any(axis=1).mean():.0%} of the {len(rows):,} test users have "
        f"a held-out item among their first {at}. {cold:.0%} of these users are new, and {new:.0%} of the held-out "
        "items were had by nobody before.",
        draw=draw,
        unseen=True,
    )
