"""What is checked of medical images before anything is trained."""

import pandas as pd

from solvent import Finding, Refused
from solvent.wording import listed, many

from .identifying import identified
from .settings import Medical

__all__ = ["checks"]


def checks(settings: Medical, rows: pd.DataFrame) -> list[Finding]:
    """Labels that can't be what they should be, patients with two diagnoses, files that say whose they are.

    Raises:
        Refused: if the table has no column for a finding; or if files say whose they are, and settings.identifying does
            not allow that.
    """
    if missing := [name for name in settings.findings if name not in rows]:
        raise Refused(
            f"settings.findings: the table has no column for {listed(map(repr, missing))}. Name yours: "
            f"columns: {{{missing[0]}: YOUR_COLUMN}}; or take it out of settings.findings."
        )
    whose = identified(list(rows["image"]))
    if whose and settings.identifying == "refuse":  # no finding of `data.allow`: scoring has to know of it too
        raise Refused(f"{whose[0].message} {whose[0].cure}")
    found = [
        *whose,
        *(_findings(settings, rows) if settings.findings else _diagnoses(settings, rows)),
    ]
    if "weight" in rows:
        found.append(
            Finding(
                name="weights",
                severity="refusal",
                message="A column has the role weight, and what is promised here counts each patient once.",
                cure="Take weight out of data.columns.",
                count=len(rows),
            )
        )
    if settings.independent_rows:
        found.append(
            Finding(
                name="independent_rows",
                severity="note",
                message=f"Each image is taken for a patient of its own: {settings.independent_rows}",
                cure="Where patients have several images, give a patient column: else the intervals are too narrow.",
                count=len(rows),
            )
        )
    return found


def _findings(settings: Medical, rows: pd.DataFrame) -> list[Finding]:
    found = []
    for name in settings.findings:
        known = rows[name].dropna()
        odd = sorted(set(known) - {"0", "1"})
        if odd or not len(known):
            found.append(
                Finding(
                    name="finding_values",
                    severity="refusal",
                    message=f"Column {name} holds {listed(odd) if odd else 'nothing'}; expected 1 where the finding is "
                    "there, 0 where it is not, and empty cells where that is not known.",
                    cure="Write it so, or take the finding out of settings.findings.",
                    columns=(name,),
                    count=int((~known.isin(["0", "1"])).sum()),
                )
            )
        elif len(known) < len(rows):
            found.append(
                Finding(
                    name="unknown_findings",
                    severity="note",
                    message=f"{name} is not known for {many(len(rows) - len(known), 'image')} of {len(rows):,}. These "
                    "teach nothing about it, and are not measured for it.",
                    columns=(name,),
                    count=len(rows) - len(known),
                )
            )
    return found


def _diagnoses(settings: Medical, rows: pd.DataFrame) -> list[Finding]:
    levels = sorted(rows["label"].unique())
    if settings.positive is not None and settings.positive not in levels:
        return [
            Finding(
                name="no_positive",
                severity="refusal",
                message=f"settings.positive is {settings.positive!r}, and the diagnoses are {listed(levels)}.",
                cure="Name one of them; or, if it is right, give images that show it.",
            )
        ]
    if settings.positive is None and len(levels) == 2:
        return [
            Finding(
                name="no_positive",
                severity="refusal",
                message=f"There are two diagnoses, {listed(levels)}, and settings.positive does not say which of them "
                "is looked for. Sensitivity and specificity depend on that.",
                cure="Name it.",
            )
        ]
    found = []
    if settings.positive is not None and len(levels) > 2:
        counts = rows["label"][rows["label"] != settings.positive].value_counts()
        others = listed(f"{level} ({many(count, 'image')})" for level, count in counts.items())
        found.append(
            Finding(
                name="other_diagnoses",
                severity="warning",
                message=f"All that is not {settings.positive} counts as negative: {others}.",
                cure="Leave out rows whose diagnosis is not known.",
                count=int(counts.sum()),
            )
        )
    return found + _mixed(settings, rows)


def _mixed(settings: Medical, rows: pd.DataFrame) -> list[Finding]:
    """Patients whose images have several diagnoses."""
    if "patient" not in rows:
        return []
    truth = rows["label"] if settings.positive is None else rows["label"] == settings.positive
    several = truth.groupby(rows["patient"]).nunique() > 1
    if not several.any():
        return []
    count = int(several.sum())
    if settings.positive is not None:
        return [
            Finding(
                name="mixed_patients",
                severity="note",
                message=f"{many(count, 'patient')} of {len(several):,} have images with and without "
                f"{settings.positive}. They count as positive: one image that shows it is enough.",
                cure="With combine: worst the most suspicious image decides for a patient.",
                count=count,
            )
        ]
    return [
        Finding(
            name="mixed_patients",
            severity="refusal",
            message=f"{many(count, 'patient')} of {len(several):,} have images of several diagnoses, so that it is not "
            "known which is the patient's.",
            cure="Give each patient one diagnosis, or name the one that is looked for as settings.positive.",
            count=count,
        )
    ]
