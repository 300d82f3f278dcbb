"""Pairs that look wrong: counted before training, and left out of it."""

import numpy as np
import pandas as pd

from solvent import Finding, scripts
from solvent.words import words

from .settings import Translation

__all__ = ["checks", "suspects"]

RATIO, SLACK = 3.0, 5  # one side may be so many times as long as is usual, and so many characters longer
SHORT = 20  # of so few characters any may be
SAID = {
    "length_ratio": ("are more than 3 times as long or as short as their source would be", "cut or merged texts"),
    "untranslated": ("equal their source, which has several words", "texts that nobody translated"),
    "wrong_script": ("are written in another script than most of their side", "columns in the wrong order"),
}


def suspects(table: pd.DataFrame) -> pd.DataFrame:
    """Which pairs look wrong, a boolean column for each of `SAID`; same index."""
    source, target = (table[name].astype(str).str.strip() for name in ("source", "target"))
    ours, theirs = source.str.len(), target.str.len()
    usual = np.log((theirs + SLACK) / (ours + SLACK))
    apart = (usual - usual.median()).abs() > np.log(RATIO)
    several = source.map(lambda text: sum(1 for _ in words(text)) > 2)
    return pd.DataFrame(
        {
            "length_ratio": apart & (np.maximum(ours, theirs) > SHORT),
            "untranslated": (source == target) & several,
            "wrong_script": _foreign(source) | _foreign(target),
        },
        index=table.index,
    )


def _foreign(texts: pd.Series) -> pd.Series:
    found = pd.Series(scripts.main_script(list(texts)), index=texts.index)
    usual = found[found != scripts.NONE].mode()
    return (found != scripts.NONE) & (found != (usual.iloc[0] if len(usual) else scripts.NONE))


def checks(settings: Translation, table: pd.DataFrame) -> list[Finding]:
    """A finding for each way in which pairs look wrong, and one for sources that are translated in several ways.

    None of it is wrong with summaries, in the language of their texts and much shorter, nor with texts that go on.
    """
    if settings.task != "translate":
        return []
    found = []
    rows = suspects(table)
    what = "They are left out of training." if settings.clean else "They are trained on: settings.clean is false."
    for name, (said, looks) in SAID.items():
        if count := int(rows[name].sum()):
            first = table[rows[name]].iloc[0]
            found.append(
                Finding(
                    name=name,
                    severity="warning" if count > 0.01 * len(table) else "note",
                    message=f"{count:,} of {len(table):,} translations {said}, such as {first['source'][:60]!r}: "
                    f"{first['target'][:60]!r}. {what}",
                    cure=f"Look for {looks}.",
                    count=count,
                )
            )
    ways = table.groupby("source")["target"].nunique()
    if several := int((ways > 1).sum()):
        found.append(
            Finding(
                name="several_translations",
                severity="note",
                message=f"{several:,} sources have several translations; each is a pair of its own in training.",
                cure="Where they contradict each other, keep the approved one.",
                count=several,
            )
        )
    return found
