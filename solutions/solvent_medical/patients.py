"""Patients: the rows that are scored and measured, one for each, and how several images make one answer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from solvent import Fitted

from .settings import Medical

__all__ = ["cases", "combined", "findings_of", "images_of"]


def cases(settings: Medical, rows: pd.DataFrame, fitted: Fitted | None = None) -> pd.DataFrame:
    """One row for each patient, at the place of the first image: `image` holds all, the labels are the patient's.

    A patient has what is looked for if one of the images has it; a finding that is known for no image is not known. Of
    several diagnoses, all images of a patient have one (`checks` sees to that). Everything else is the first row's.
    """
    if "patient" not in rows or rows.empty:
        return rows
    patient = pd.factorize(rows["patient"])[0]
    first = ~rows["patient"].duplicated().to_numpy()
    found = rows[first].copy()
    cells = np.empty(len(found), dtype=object)
    cells[:] = [list(part) for _, part in rows["image"].groupby(patient)]
    found["image"] = cells
    for name in settings.findings:
        found[name] = pd.Series(rows[name].to_numpy(), index=patient).groupby(level=0).max().to_numpy()
    if settings.positive is not None and "label" in rows:
        ill = (rows["label"] == settings.positive).groupby(patient).any().to_numpy()
        found["label"] = found["label"].where(~ill, settings.positive)
    return found


def images_of(table: pd.DataFrame) -> tuple[list[Any], np.ndarray, np.ndarray]:
    """All images of a table, whether its rows are images or cases.

    Returns:
        Their cells; for each of them the number of its patient; for each row of the table the number of its patient.
    """
    own = pd.factorize(table["patient"])[0] if "patient" in table else np.arange(len(table))
    cells: list[Any] = []
    patient: list[int] = []
    for cell, number in zip(table["image"], own.tolist(), strict=True):
        several = cell if isinstance(cell, list) else [cell]
        cells += several
        patient += [number] * len(several)
    return cells, np.array(patient, np.int64), own


def combined(settings: Medical, logits: np.ndarray, patient: np.ndarray) -> np.ndarray:
    """Bring the logits of images together to those of patients.

    Args:
        logits: shape `(images, outputs)`.
        patient: the number of each image's patient, from 0 without gaps, shape `(images,)`.

    Returns:
        shape `(patients, outputs)`: of each question the largest logit, or the mean.
    """
    count = int(patient.max(initial=-1)) + 1
    if settings.combine == "worst":
        found = np.full((count, logits.shape[1]), -np.inf)
        np.maximum.at(found, patient, logits)
        return found
    found = np.zeros((count, logits.shape[1]))
    np.add.at(found, patient, logits)
    return found / np.bincount(patient, minlength=count)[:, None]


def findings_of(rows: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Findings of rows as numbers: 1, 0, or NaN where it is not known; shape `(rows, findings)`."""
    return np.column_stack([pd.to_numeric(rows[name], errors="coerce").to_numpy(np.float64) for name in names])
