"""Decides what each column holds from all of its values, batch by batch, and turns text into that type.

Surrounding white space does not count. An empty cell is null in every column; words such as NA are null only in
a column whose other cells are numbers, dates or booleans, because they may be values elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from apps.datasets.enums import ColumnKind

MAX_MAGNITUDE = 1e150  # so that squares and sums stay finite
NULL_WORDS = ("na", "n/a", "#n/a", "nan", "null", "none")
# No leading zeros: 007 is a code, not a number. No more digits than 64 bits hold.
INTEGER_PATTERN = r"^[+-]?(0|[1-9]\d{0,17})$"
FLOAT_PATTERN = r"^[+-]?((0|[1-9]\d{0,17})(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?$"
DATE_FORMAT = "%Y-%m-%d"
LOCAL_TIME_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")
ZONED_TIME_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z")
ID_NAME = re.compile(r"(?:^|[\s_.-])(?i:id|uuid|guid|key|index|no|nr|number)$|[a-z]I[dD]$")
CATEGORY_LIMIT = 1000
FEW_CATEGORIES = 20
CATEGORY_CHARS = 200
ID_CHARS = 64
COUNTER_ROWS = 20
WIDER = {ColumnKind.INTEGER: (ColumnKind.INTEGER, ColumnKind.FLOAT)}
TYPED_KINDS = (ColumnKind.BOOLEAN, ColumnKind.INTEGER, ColumnKind.FLOAT, ColumnKind.DATE, ColumnKind.DATETIME)


def cleaned(batch: pl.DataFrame) -> pl.DataFrame:
    """The texts without surrounding white space; null where nothing is left."""
    stripped = batch.select(pl.all().str.strip_chars())
    return stripped.select(pl.when(pl.all() != "").then(pl.all()))


def typed(name: str, kind: ColumnKind) -> pl.Expr:
    """The column of cleaned texts `name` as values of `kind`; null where a cell is empty or a null word."""
    return _parsed(pl.col(name), kind).alias(name)


def _parsed(text: pl.Expr, kind: ColumnKind) -> pl.Expr:
    match kind:
        case ColumnKind.BOOLEAN:
            return text.str.to_lowercase().replace_strict({"true": True, "false": False}, default=None)
        case ColumnKind.INTEGER:
            return pl.when(text.str.contains(INTEGER_PATTERN)).then(text).cast(pl.Int64, strict=False)
        case ColumnKind.FLOAT:
            number = pl.when(text.str.contains(FLOAT_PATTERN)).then(text).cast(pl.Float64, strict=False)
            return pl.when(number.abs() <= MAX_MAGNITUDE).then(number)
        case ColumnKind.DATE:
            return _in_calendar(text.str.to_date(DATE_FORMAT, strict=False, exact=True))
        case ColumnKind.DATETIME:
            return _in_calendar(_parsed_time(text))
        case _:
            return text


def _in_calendar(moment: pl.Expr) -> pl.Expr:
    """Null outside the years 1 to 9999, which Python's dates hold."""
    return pl.when(moment.dt.year().is_between(1, 9999)).then(moment)


def _parsed_time(text: pl.Expr) -> pl.Expr:
    """ISO 8601 times; one with an offset is converted to UTC."""
    iso = text.str.replace(" ", "T", literal=True)
    local = [iso.str.to_datetime(form, strict=False, time_unit="us") for form in LOCAL_TIME_FORMATS]
    zoned = [
        iso.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC").dt.replace_time_zone(None)
        for form in ZONED_TIME_FORMATS
    ]
    return pl.coalesce(*local, *zoned)


class TableEvidence:
    """What the rows seen so far allow each column to be."""

    def __init__(self) -> None:
        self.columns: dict[str, ColumnEvidence] = {}

    def see(self, batch: pl.DataFrame) -> None:
        """Take a batch of cleaned texts into account, with one query over all of its columns."""
        self.columns = self.columns or {name: ColumnEvidence(name) for name in batch.columns}
        queries = [query for evidence in self.columns.values() for query in evidence.queries()]
        facts = batch.lazy().select(queries).collect().row(0, named=True)
        for evidence in self.columns.values():
            evidence.see(facts)


class ColumnEvidence:
    """What the values seen so far allow one column to be."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.missing = 0
        self.longest = 0
        self.has_spaces = False
        self.has_repeats = False
        self._typed: ColumnKind | None = None
        self._is_text = False
        self._distinct: set[str] | None = set()

    def queries(self) -> list[pl.Expr]:
        """The facts of a batch that could still change the decision, each named after the column."""
        text = pl.col(self.name)
        unique = text.drop_nulls().unique()
        facts = {
            "count": text.count(),
            "missing": text.null_count(),
            "unique": unique.len(),
            "longest": text.str.len_chars().max(),
        }
        if not self.has_spaces:
            facts["has_spaces"] = text.str.contains(r"\s").any()
        if self._distinct is not None:
            facts["values"] = unique.head(CATEGORY_LIMIT + 1).implode()
        for kind in self._candidates():
            others = text.filter(_parsed(text, kind).is_null() & text.is_not_null())
            facts[f"other than {kind}"] = others.len()
            facts[f"{kind} fits"] = others.str.to_lowercase().is_in(NULL_WORDS).all()
        return [query.alias(self._fact(name)) for name, query in facts.items()]

    def _fact(self, name: str) -> str:
        return f"{name} of {self.name}"

    def see(self, batch_facts: Mapping[str, Any]) -> None:
        """Take the answers to `queries` for one batch into account."""

        def fact(name: str) -> Any:
            return batch_facts.get(self._fact(name))

        self.count += fact("count")
        self.missing += fact("missing")
        self.longest = max(self.longest, fact("longest") or 0)
        self.has_spaces = self.has_spaces or bool(fact("has_spaces"))
        self.has_repeats = self.has_repeats or fact("unique") < fact("count")
        self._see_distinct(fact("values"))
        self._see_type(fact)

    def _see_distinct(self, values: list[str] | None) -> None:
        if self._distinct is None or values is None:
            return
        self._distinct.update(values)
        if len(self._distinct) > CATEGORY_LIMIT:
            self._distinct = None

    def _see_type(self, fact: Callable[[str], Any]) -> None:
        """Keep, widen or give up the type; a batch of empty cells and null words tells nothing."""
        fitting = [kind for kind in self._candidates() if fact(f"{kind} fits")]
        if not fitting:
            self._typed, self._is_text = None, True
        elif any(fact(f"other than {kind}") < fact("count") for kind in fitting):
            self._typed = fitting[0]

    def _candidates(self) -> Sequence[ColumnKind]:
        if self._is_text:
            return ()
        if self._typed is None:
            return TYPED_KINDS
        return WIDER.get(self._typed, (self._typed,))

    @property
    def may_be_id(self) -> bool:
        """Whether only a look at all values together can tell that it is not an identifier."""
        if self.has_repeats or self.missing or not self.count:
            return False
        if self._typed is ColumnKind.INTEGER:
            return self.count >= COUNTER_ROWS
        return self._typed is None and not self.has_spaces and self.longest <= ID_CHARS

    def kind(self, identifying: bool) -> ColumnKind:
        """The decision; `identifying` says that all values differ (and count up, if they are unnamed integers)."""
        if identifying:
            return ColumnKind.ID
        if self._typed is not None:
            return self._typed
        return ColumnKind.CATEGORY if self._is_category() else ColumnKind.TEXT

    def storage(self) -> ColumnKind:
        """The kind as which the values are stored: identifiers keep their numbers or texts."""
        return self._typed or ColumnKind.TEXT

    def _is_category(self) -> bool:
        if self._distinct is None or not self._distinct or self.longest > CATEGORY_CHARS:
            return False
        distinct = len(self._distinct)
        return distinct * 2 <= self.count or (distinct <= FEW_CATEGORIES and distinct < self.count)


def identifies(evidence: ColumnEvidence, texts: pl.LazyFrame) -> bool:
    """Whether the column names its rows: all values differ and, if integers, it is named so or counts up by one."""
    if not evidence.may_be_id:
        return False
    values = typed(evidence.name, evidence.storage())
    if evidence.storage() is not ColumnKind.INTEGER:
        return texts.select(values.n_unique()).collect(engine="streaming").item() == evidence.count
    distinct, span = (
        texts.select(values.n_unique().alias("distinct"), (values.max() - values.min() + 1).alias("span"))
        .collect(engine="streaming")
        .row(0)
    )
    return distinct == evidence.count and (span == distinct or ID_NAME.search(evidence.name) is not None)
