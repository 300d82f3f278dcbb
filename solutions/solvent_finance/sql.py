"""The scorecard as one SQL statement: it gives each loan the points that Solvent gives it, in any of three engines.

What the engines do differently, and what is done about it:

- A quoted name that is no column is a string to SQLite: every name is qualified.
- DuckDB reads 1.5 as a decimal, and SQLite some decimals as the neighbouring double: numbers are written with an
  exponent, and the few that SQLite may get wrong as a quotient of whole numbers, which is exact (`_number`).
- NaN is missing here, and greater than all numbers to DuckDB and PostgreSQL. In SQLite a text in a column of numbers
  is greater than all numbers. So cells above the largest double are looked at as text.
- The collation of a SQLite column (NOCASE) follows its cells, also through a cast, but not through `|| ''`.
- SQLite nests expressions at most 1,000 deep, and computes a subquery's columns anew at each mention: sums are summed
  in portions, and what is mentioned often is MATERIALIZED.
"""

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from solvent.schema import Field, Schema
from solvent.schema.kinds import canonical

from .binning import MISSING, UNSEEN
from .scorecard import Scorecard, Term
from .settings import DECISIONS
from .sheets import Bin, cells_checked, limits, reachable, words_for_missing

__all__ = ["statement"]

LARGEST = sys.float_info.max
SAFE = Fraction(1, 2) - Fraction(1, 128)  # of the distance between two doubles: SQLite reads such a decimal as we do
PORTION = 20  # terms of a sum within one pair of brackets
BLANKS = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())  # what Python and Arrow take for blank
SHAPES = tuple(
    f"{sign}{digits}{exponent}"
    for sign in ("", "+", "-")
    for digits in ("0", "0.", "0.0", ".0")
    for exponent in ("", "e0", "e+0", "e-0")
)
RUNS = 9  # halvings of a run of digits: 512 in a row become one

HOW = """\
Points, probability of default and decision of each loan: the scorecard of this bundle as one SELECT.
It runs unchanged in SQLite (3.35 or later), DuckDB and PostgreSQL (12 or later), and gives the points that Solvent
gives. A loan that Solvent sets aside has no points: NULL.

Where the loans are is said once, in the line that ends with "<- your table". The table's columns:
{columns}

- Columns of numbers must hold numbers, not text (those of numbers and words may hold text). SQLite gives a loan whose
  text is no number no points; the other engines stop. Let them read CAST(NULLIF("column", '') AS DOUBLE PRECISION).
- Categories may be text, whole numbers or booleans. SQLite has no booleans: write them as 'true' and 'false' there.
  It writes numbers of more than 15 digits short, so such categories should be text. In DuckDB and PostgreSQL the column
  must have no collation that ignores case or accents.
- NaN, in a column whose categories are all numbers, is a missing cell.
- Rows come in no promised order: join them by the id.
- Of two loans with the same id Solvent sets the later one aside; here both have points.
- SQLite has EXP if it was built with its mathematical functions. Where it was not, delete the line of the probability:
  points and decision need no EXP.
- A loan with {highest_refused} points or fewer is refused. Another cut-off is another number in the last CASE."""


def statement(card: Scorecard, schema: Schema, highest_refused: int) -> str:
    """The SELECT that scores the table `loans`: ids, points, probability, decision, one row for each of its rows."""
    fields = cells_checked(card, schema)
    bins = [*card.bins, *(_no_bins(field) for field in fields[len(card.bins) :])]
    ids = [field.source for field in schema.by_role("id")]
    kept = [f"id_{number}" for number in range(1, len(ids) + 1)]
    entities = [field.source for field in schema.by_role("entity")]
    carried = [*kept, *(["entity"] if entities else [])]
    cells = [f"{_column(source)} AS {name}" for name, source in zip(kept, ids, strict=True)]
    cells += [f"CAST({_column(source)} AS VARCHAR) || '' AS entity" for source in entities]
    numbered = list(enumerate(zip(fields, bins, strict=True), start=1))
    cells += [line for number, (field, _) in numbered for line in _cells(number, field)]
    places = [line for number, (field, bin_) in numbered for line in _bin(number, field, bin_)]
    terms = [_term(number, term, card, schema) for number, term in enumerate(card.terms, start=1)]
    summed = [f"term_{number}" for number in range(1, len(card.terms) + 1)]
    unused = set(range(len(fields))) - {column for term in card.terms for column in term.columns}
    for column in sorted(unused):
        terms.append(f"CASE WHEN bin_{column + 1} IS NOT NULL THEN 0 END AS check_{column + 1}")
        summed.append(f"check_{column + 1}")
    points = "points"
    if entities:  # what is left of an entity is another one
        points = "CASE WHEN COUNT(*) OVER whole = COUNT(points) OVER whole THEN points END"
    factor = _number(card.scale.factor)
    odds = f"EXP((CAST(points AS DOUBLE PRECISION) - {_number(float(card.scale.base_points))}) / {factor})"
    passed, refused = map(_string, DECISIONS)
    final = [
        *(f"{name} AS {_name(source)}" for name, source in zip(kept, ids, strict=True)),
        "points",
        f"1e0 / (1e0 + {odds}) AS probability",
        f"CASE WHEN points <= {highest_refused} THEN {refused} WHEN points IS NOT NULL THEN {passed} END AS decision",
    ]
    steps = [
        f"known (largest, blanks) AS (\n  SELECT CAST({_number(LARGEST)} AS DOUBLE PRECISION), {_string(BLANKS)}\n)",
        _step("cells", cells, "loans AS loan CROSS JOIN known -- <- your table"),
        _step("bins", [*carried, *places], "cells CROSS JOIN known", materialized=True),
        _step("terms", [*carried, *terms], "bins"),
        _step("sums", [*carried, f"{card.start} + {_sum(summed)} AS points"], "terms", materialized=True),
        _step(
            "scores", [*kept, f"{points} AS points"], f"sums{' WINDOW whole AS (PARTITION BY entity)' * bool(entities)}"
        ),
    ]
    columns = "\n".join(f"  {_shown(field.source)}: {_about(field)}" for field in fields)
    comment = HOW.format(columns=columns, highest_refused=highest_refused)
    head = "\n".join(f"-- {line}".rstrip() for line in comment.split("\n"))
    return "\n".join([head, "", "WITH", ",\n".join(steps), f"{_select(final, 'scores', '')};", ""])


def _no_bins(field: Field) -> dict[str, Any]:
    """What a column is read by that is no feature, only checked."""
    return {"codes": field.states, "edges": []} if field.kind == "number" else {"codes": [], "levels": []}


def _step(name: str, columns: Sequence[str], source: str, materialized: bool = False) -> str:
    return f"{name} AS {'MATERIALIZED ' * materialized}(\n{_select(columns, source, '  ')}\n)"


def _select(columns: Sequence[str], source: str, indent: str) -> str:
    listed = ",\n".join(f"{indent}  {column}" for column in columns)
    return f"{indent}SELECT\n{listed}\n{indent}FROM {source}"


# Cells


def _cells(number: int, field: Field) -> list[str]:
    """What the bins are found from: number_1, text_2."""
    cell = _column(field.source)
    text = f"CAST({cell} AS VARCHAR) || ''"
    if field.kind != "number":
        return [f"{text} AS text_{number}"]
    bare = f"TRIM(CAST({cell} AS VARCHAR), known.blanks)"
    if not words_for_missing(field):
        above_all = f"{cell} > known.largest"  # infinity, NaN, a text in SQLite
        kept = f"CASE WHEN LOWER({bare}) NOT IN ({_list(NOTHING)}) THEN {cell} END"
        return [f"CASE WHEN {above_all} THEN {kept} ELSE CAST({cell} AS DOUBLE PRECISION) END AS number_{number}"]
    read = f"CASE WHEN {bare} = {text} THEN CAST({cell} AS DOUBLE PRECISION) ELSE CAST({bare} AS DOUBLE PRECISION) END"
    return [
        f"{text} AS text_{number}",
        f"LOWER({bare}) AS bare_{number}",
        f"CASE WHEN {_shape(f'LOWER({bare})')} IN ({_list(SHAPES)}) THEN {read} END AS number_{number}",
    ]


NOTHING = ("", "nan", "+nan", "-nan")


def _shape(text: str) -> str:
    """A text with 0 for each run of digits: what is a number then has one of few shapes, which needs no regex."""
    for digit in "123456789":
        text = f"REPLACE({text}, '{digit}', '0')"
    for _ in range(RUNS):
        text = f"REPLACE({text}, '00', '0')"
    return text


# Bins


def _bin(number: int, field: Field, bin_: Mapping[str, Any]) -> list[str]:
    """The CASE of one column: the bin's number, NULL where the loan is set aside."""
    missing = "NULL" if field.required else str(MISSING)
    branches = _number_branches if field.kind == "number" else _text_branches
    lines = [f"CASE -- {_shown(field.source)}"]
    lines += [f"  {line}" for line in branches(number, field, reachable(bin_), missing)]
    return ["\n    ".join([*lines, f"END AS bin_{number}"])]


def _number_branches(number: int, field: Field, bins: Sequence[Bin], missing: str) -> Iterator[str]:
    x = f"number_{number}"
    if words := words_for_missing(field):
        yield f"WHEN bare_{number} IS NULL OR bare_{number} IN ({_list(NOTHING)}) THEN {missing}"
        yield f"WHEN {x} IS NULL THEN CASE WHEN text_{number} IN ({_list(words)}) THEN {MISSING} END"
    else:
        yield f"WHEN {x} IS NULL THEN {missing}"
    yield f"WHEN {x} > known.largest OR {x} < -known.largest THEN NULL"
    for bin_ in bins:
        if bin_.kind == "code":
            yield f"WHEN {x} = {_number(bin_.value)} THEN {bin_.number}"
    low, high = limits(field)
    if low is not None:
        yield f"WHEN {x} < {_number(low)} THEN NULL"
    if high is not None:
        yield f"WHEN {x} > {_number(high)} THEN NULL"
    for bin_ in bins:
        if bin_.kind == "range":
            yield (
                f"ELSE {bin_.number}" if bin_.up_to is None else f"WHEN {x} <= {_number(bin_.up_to)} THEN {bin_.number}"
            )


def _text_branches(number: int, field: Field, bins: Sequence[Bin], missing: str) -> Iterator[str]:
    text, values = f"text_{number}", [bin_ for bin_ in bins if bin_.value is not None]
    yield f"WHEN {text} IS NULL THEN {missing}"
    for bin_ in values:
        if "\0" not in bin_.value:  # no SQL text can hold it
            yield f"WHEN {_equals(text, bin_.value)} THEN {bin_.number}"
    yield f"WHEN TRIM({text}, known.blanks) = '' THEN {missing}"
    levels = [*(field.levels or ()), *(bin_.value for bin_ in values)]
    if field.role == "feature" and all(_is_number(level) for level in levels):
        yield f"WHEN LOWER({text}) IN ('nan', '-nan') THEN {missing}"
    yield f"ELSE {UNSEEN}"


def _equals(text: str, level: str) -> str:
    """Whether a cell's text is spelled as this level once both have one spelling: 1 and 1.0, true and TRUE."""
    if level in ("true", "false"):
        return f"LOWER({text}) = '{level}'"
    same = f"{text} = {_string(level)}"
    decimals = canonical(f"{level}.0") == level
    return f"{same} OR RTRIM({text}, '0') = {_string(f'{level}.')}" if decimals else same


def _is_number(level: str) -> bool:
    try:
        return math.isfinite(float(level))
    except ValueError:
        return False


# Points


def _term(number: int, term: Term, card: Scorecard, schema: Schema) -> str:
    """The CASE of one term: its points, NULL where a bin is."""
    names = " and ".join(_shown(schema.field(card.bins[column]["name"]).source) for column in term.columns)
    axes = [
        {bin_.number: int(group[bin_.number]) for bin_ in reachable(card.bins[column])}
        for column, group in zip(term.columns, term.groups, strict=True)
    ]
    bins = [f"bin_{column + 1}" for column in term.columns]
    if len(axes) == 1:
        by_bin = {bin_: str(int(term.points[place])) for bin_, place in axes[0].items()}
        case = _case(bins[0], by_bin, "    ")
    else:
        first, second = axes
        inner = {
            place: _case(
                bins[1], {bin_: str(int(term.points[place, other])) for bin_, other in second.items()}, "      "
            )
            for place in set(first.values())
        }
        case = _case(bins[0], {bin_: inner[place] for bin_, place in first.items()}, "    ")
    return f"{case.replace('CASE', f'CASE -- {names}', 1)} AS term_{number}"


def _case(column: str, results: Mapping[int, str], indent: str) -> str:
    """Bin -> result; bins with the same result stand together, and NULL has none."""
    together: dict[str, list[int]] = {}
    for bin_, result in sorted(results.items()):
        together.setdefault(result, []).append(bin_)
    lines = [
        f"{indent}  WHEN {column} IN ({', '.join(map(str, bins))}) THEN {result}" for result, bins in together.items()
    ]
    return "\n".join(["CASE", *lines, f"{indent}END"])


def _sum(names: Sequence[str]) -> str:
    portions = [" + ".join(names[start : start + PORTION]) for start in range(0, len(names), PORTION)]
    return "\n      + ".join(f"({portion})" for portion in portions) if portions else "0"


# Spelling


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _column(name: str) -> str:
    return f"loan.{_name(name)}"


def _string(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _list(texts: Sequence[str]) -> str:
    return ", ".join(map(_string, texts))


def _shown(name: str) -> str:
    """A name in a comment, which ends with its line."""
    return name if name.isprintable() else repr(name)


def _about(field: Field) -> str:
    kind = "numbers" if field.kind == "number" else "categories" if field.kind == "category" else str(field.kind)
    words = (
        f" and words ({', '.join(map(repr, words_for_missing(field)))})"
        if field.kind == "number" and field.words
        else ""
    )
    return f"{kind}{words}{', never missing' if field.required else ''}"


def _number(value: float) -> str:
    """A double, for engines that read decimals with an error of less than 1/128 of the distance to the next one."""
    text = repr(value + 0.0)
    if abs(Fraction(text) - Fraction(value)) < SAFE * Fraction(math.ulp(value)) and (abs(value) > 1e-250 or not value):
        return text if "e" in text else f"{text.removesuffix('.0')}e0"
    mantissa, power = math.frexp(value)
    whole, power = int(mantissa * 2**53), power - 53
    steps = [52] * (abs(power) // 52) + [abs(power) % 52]
    return f"CAST({whole} AS DOUBLE PRECISION)" + "".join(f" {'/' if power < 0 else '*'} {2**step}" for step in steps)
