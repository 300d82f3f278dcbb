"""What fitting notices: up to when the bundle knows what users had, and which of their items are not on offer."""

import pandas as pd

from solvent import Finding
from solvent.wording import listed

from .catalogue import Catalogue
from .interactions import Known

__all__ = ["CURE", "learnt_until", "never_on_offer", "newest"]

CURE = (
    "train again on all rows (data.split: {by: time, fractions: [0.9, 0.1, 0]}), or give each user's `history` in the "
    "table that is scored"
)
EXAMPLES = 5
MANY = 0.1  # of all interactions


def newest(rows: pd.DataFrame) -> str | None:
    """When the newest interaction was that is learnt; None where no times are known."""
    return str(rows["time"].max()) if "time" in rows and rows["time"].notna().any() else None


def learnt_until(newest: str | None) -> Finding:
    """That what is not learnt, such as the test part, is not known when lists are made."""
    since = (
        f"the newest of them is of {newest}. What users had since" if newest else "no other. What users had in those"
    )
    return Finding(
        name="learnt_until",
        severity="note",
        message=f"Lists leave out what a user had in the rows that are learnt, train and valid: {since}, such as in "
        "the test part, is not known to this bundle, and may be recommended again.",
        cure=f"For lists that people get, {CURE}.",
    )


def never_on_offer(known: Known, catalogue: Catalogue) -> tuple[Finding, ...]:
    """Items that users had and that the side table lacks, if any."""
    away = ~catalogue.offered[: catalogue.known]
    if not away.any():
        return ()
    rows = int(away[known.histories.item].sum())
    share = rows / max(len(known.histories.item), 1)
    examples = listed(map(repr, catalogue.ids[: catalogue.known][away][:EXAMPLES]))
    return (
        Finding(
            name="items_not_on_offer",
            severity="warning" if share > MANY else "note",
            message=f"{int(away.sum()):,} of the {catalogue.known:,} items that users had are not in the side table of "
            f"items, such as {examples}: {share:.1%} of what was had. They tell of the users, and are never "
            "recommended.",
            cure="Where they are on offer, give them a row there; spell ids alike in both tables.",
            count=int(away.sum()),
        ),
    )
