"""Translation: texts in one language in; texts in another out, numbers and terms kept, with an estimate of quality."""

from solvent import Solution, later

from .columns import MEANINGS, columns, headline, rivals
from .datasets import DATASETS
from .settings import Translation, split

__all__ = ["SOLUTION"]

SOLUTION = Solution(
    name="translation",
    summary="Translates texts: subwords, Transformer, beam search; keeps numbers and terms, says what needs review.",
    settings=Translation,
    columns=columns,
    headline=headline,
    split=split,
    fit=later("solvent_nlp.translation.model:fit"),
    scorer=later("solvent_nlp.translation.model:scorer"),
    rivals=rivals,
    metrics=later("solvent_nlp.translation.outcome:metrics"),
    slices=later("solvent_nlp.translation.slices:slices"),
    checks=later("solvent_nlp.translation.cleaning:checks"),
    meanings=MEANINGS,
    figures=later("solvent_nlp.translation.figures:figures"),
    sample=later("solvent_nlp.translation.sample:pairs"),
    datasets=DATASETS,
)
