"""Images for the report: telling patients with their heat maps, and what training changes at random."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np
import pandas as pd
from PIL import Image

from solvent import Figure, Fitted, augment, imaging, saliency
from solvent.report import pictures

from .answers import truth_of
from .decision import REFER
from .made import SHEET, SIDE
from .patients import images_of
from .presets import PRESETS
from .settings import Medical

__all__ = ["augmented", "made_images", "photos"]

SHOWN, AUGMENTED = 8, 16


@dataclass(frozen=True)
class Answered:
    """How the test patients were answered, about the first question or their diagnosis; arrays of shape `(patients,)`.

    Args:
        number: the output of the network that the heat map explains.
        ill: whether they have what is looked for; all False where one of several diagnoses is named.
        truth: in words, for the captions.
    """

    what: str
    number: np.ndarray
    chance: np.ndarray
    confidence: np.ndarray
    decision: np.ndarray
    known: np.ndarray
    right: np.ndarray
    ill: np.ndarray
    truth: list[str]


def photos(settings: Medical, fitted: Fitted, rows: pd.DataFrame, scored: pd.DataFrame) -> Iterator[Figure]:
    """Patients answered rightly, wrongly and referred, the most confident first, with Grad-CAM overlays."""
    found = _answered(settings, fitted, rows, scored)
    ranked = np.argsort(-found.confidence, kind="stable")
    referred = found.decision == REFER
    for title, kept in (
        ("Answered and right", found.known & found.right & ~referred),
        ("Answered and wrong", found.known & ~found.right & ~referred),
        ("Referred", found.known & referred),
    ):
        order = ranked[kept[ranked]]
        ill, others = order[found.ill[order]], order[~found.ill[order]]
        by_turns = [place for place in chain.from_iterable(zip_longest(ill, others)) if place is not None]
        some = np.array(by_turns[:SHOWN], np.int64)
        yield pictures.figure(
            f"{title}: where it looked",
            f"Grad-CAM++ on the most suspicious image of {len(some)} of {int(kept.sum())} such test patients, the most "
            f"confident first. Warm: the evidence for {found.what}. Below: the decision, its probability, the truth.",
            _tiles(settings, fitted, rows, found, some) if len(some) else [],
        )


def augmented(settings: Medical, fitted: Fitted, rows: pd.DataFrame) -> Figure:
    """Test images as training would change them, and why these changes are allowed."""
    cells, _, _ = images_of(rows)
    some = [cells[place] for place in np.linspace(0, len(cells) - 1, AUGMENTED).astype(int).tolist()]
    changed = augment.examples(imaging.pixels(settings, fitted, some), settings.augmentation, fitted.facts["seed"])
    preset, why = PRESETS[settings.modality] if settings.modality is not None else ({}, "")
    own = settings.augmentation.model_dump(exclude_defaults=True) != preset
    return pictures.figure(
        "Augmented images",
        f"{len(changed)} test images as training would see them changed; in scoring nothing is changed."
        + ("" if own else f" What is admissible for {settings.modality}: {why}"),
        [pictures.Tile(image) for image in changed],
        columns=8,
    )


def made_images(fitted: Fitted) -> Iterator[Figure]:
    """What the autoencoder makes, and whether it helped; nothing where none was trained."""
    if SHEET not in fitted.files:
        return
    choice = fitted.facts["choices"][-1]
    without, beside = (tried[choice["metric"]] for tried in choice["tried"])
    helped = "They helped and were kept" if choice["won"] == "with" else "They did not help and were thrown away"
    sheet = np.asarray(Image.open(io.BytesIO(fitted.files[SHEET])))
    rows = len(sheet) // SIDE
    tiles = [
        pictures.Tile(sheet[row * SIDE : (row + 1) * SIDE, place * SIDE : (place + 1) * SIDE])
        for row in range(rows)
        for place in range(sheet.shape[1] // SIDE)
    ]
    yield pictures.figure(
        "Made images",
        "Drawn by an autoencoder of the training images, which may come close to a patient's own; a line for each "
        f"class. {choice['what']}: "
        f"{choice['metric']} on the choosing patients {without:.4f} without, {beside:.4f} with. {helped}.",
        tiles,
        columns=sheet.shape[1] // SIDE,
    )


def _answered(settings: Medical, fitted: Fitted, rows: pd.DataFrame, scored: pd.DataFrame) -> Answered:
    none = np.zeros(len(rows), bool)
    if not settings.questions:
        classes = list(fitted.facts["classes"])
        chance = scored[[f"probability_{name}" for name in classes]].to_numpy(np.float64)
        right, truth = (scored["class"] == rows["label"]).to_numpy(), rows["label"].tolist()
        about = "the most probable diagnosis", chance.argmax(axis=1), chance.max(axis=1)
        return Answered(*about, chance.max(axis=1), scored["decision"].to_numpy(), ~none, right, none, truth)
    name = settings.questions[0]
    end, truth_is = settings.ending(name), truth_of(settings, rows)[:, 0]
    chance, flagged = (scored[column + end].to_numpy(np.float64) for column in ("probability", "flagged"))
    words = (
        rows["label"].tolist() if not settings.findings else ["present" if yes == 1 else "absent" for yes in truth_is]
    )
    return Answered(
        name,
        none.astype(np.int64),
        chance,
        scored[f"confidence{end}"].to_numpy(np.float64),
        scored[f"decision{end}"].to_numpy(),
        ~np.isnan(truth_is),
        flagged == truth_is,
        truth_is == 1,
        words,
    )


def _tiles(
    settings: Medical, fitted: Fitted, rows: pd.DataFrame, found: Answered, some: np.ndarray
) -> list[pictures.Tile]:
    cells, patient, _ = images_of(rows.iloc[some])
    logits = imaging.logits(settings, fitted, cells, 0)[0][0]
    own = logits[np.arange(len(cells)), found.number[some][patient]]
    worst = [int(np.flatnonzero(patient == each)[own[patient == each].argmax()]) for each in range(len(some))]
    shown = imaging.pixels(settings, fitted, [cells[place] for place in worst])
    maps = imaging.heat_maps(settings, fitted, shown, found.number[some], several=bool(settings.questions))
    return [
        pictures.Tile(
            saliency.overlay(image, heat),
            f"{found.decision[place]} {found.chance[place]:.2f}\ntruth: {found.truth[place]}",
        )
        for place, image, heat in zip(some.tolist(), shown, maps, strict=True)
    ]
