"""The report: one HTML file that loads nothing, for a manager to read and a statistician to check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import about_data, metric_names, sections, wording
from .templates import environment
from .verdict import tested, verdict

__all__ = ["html"]

JSON = Any


def html(
    bundle: Mapping[str, JSON], scores: Any = None, figures: Sequence[Any] = (), pictures: Sequence[bytes] = ()
) -> str:
    """Write the report of a bundle.

    Args:
        bundle: what bundle.json holds.
        scores: the table test_scores.parquet, or None where there is no test part: then no curves are drawn.
        figures: the domain's own plots and texts, `solvent.Figure` and `solvent.Texts`, in their order; `C0` is drawn
            in our colour, `C1` in the baseline's.
        pictures: a PNG for each of the bundle's findings, empty where one has none.

    Returns:
        A whole HTML document: no script, no address to load from; the same bundle gives the same bytes.
    """
    from markupsafe import Markup

    words = (
        wording.count,
        wording.duration,
        wording.estimate,
        wording.humane,
        wording.interval,
        metric_names.metric_label,
        wording.moment,
        wording.number,
        wording.percent,
        wording.plain,
        wording.share,
        wording.shorten,
        wording.signed,
        wording.tally,
        wording.tied,
    )
    page = environment(*words)
    page.filters["svg"] = lambda drawn: Markup(drawn.svg)  # drawing.inline has escaped its text
    return page.get_template("report.html.j2").render(context(bundle, scores, figures, pictures))


def context(
    bundle: Mapping[str, JSON], scores: Any, figures: Sequence[Any], pictures: Sequence[bytes] = ()
) -> dict[str, JSON]:
    """All that the template shows."""
    from ..record import SUITE
    from .class_table import class_table
    from .figures import Studio, domain, forest, histories
    from .outcomes import outcomes
    from .several_classes import class_by_class

    test, data, known, goal = bundle["test"], bundle["data"], bundle["facts"], bundle["goal"]
    studio, by_class = Studio(), class_table(bundle, scores)
    protocol = sections.protocol(bundle)
    rows, ignored = about_data.columns(bundle)
    baseline = (test or {}).get("baseline")
    rivals = bundle["rivals"]
    return {
        "bundle": bundle,
        "data": data,
        "test": test,
        "tested": tested(bundle) if test else "",
        "title": wording.humane(bundle["solution"]),
        "metric": goal["metric"],
        "higher": goal["higher"],
        "suite": bundle["versions"][SUITE],
        "protocol": protocol,
        "not_measured": sections.set_aside(bundle),
        "weighed": sections.weighed(bundle),
        "ours": "network" if bundle["parameters"] else "model",
        "verdict": verdict(bundle),
        "pressing": sections.pressing(bundle),
        "headline": test["metrics"][test["headline"]] if test else None,
        "baseline": baseline,
        "difference": rivals[baseline["name"]]["difference"] if baseline else None,
        "forest": forest(studio, bundle, protocol),
        "models": sections.models(bundle),
        "metrics": sections.metrics(bundle),
        "confusion": sections.confusion(bundle),
        "point": sections.facts(known.get("operating_point"), by_class.told if by_class else ()),
        "by_class": by_class,
        "lists": sections.lists(bundle),
        "calibration": sections.facts(known.get("calibration"), ("x", "y")),
        "classes": None if by_class else class_by_class(studio, bundle),
        "outcomes": outcomes(studio, bundle, scores),
        "slices": sections.slices(bundle),
        "fairness": sections.fairness(bundle),
        "domain": domain(studio, figures, f"{tested(bundle)}." if test else ""),
        "findings": sections.findings(bundle, pictures),
        "stages": sections.stages(bundle),
        "histories": histories(studio, bundle["training"], goal),
        "choices": sections.choices(bundle),
        "parts": about_data.parts(bundle),
        "aside": about_data.reasons(bundle),
        "split_facts": about_data.cut(bundle),
        "copies": about_data.copies(bundle),
        "columns": rows,
        "ignored": ignored,
        "known": sections.facts(known, ("choices", "operating_point", "calibration")),
        "config": sections.yaml_text(bundle["config"]),
        "settings": sections.yaml_text(bundle["settings"]),
        "versions": list(bundle["versions"].items()),
        "machine": sections.facts(bundle["machine"]),
    }
