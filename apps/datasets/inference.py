"""Decides what each column holds from all of its values, batch by batch, and turns text into that type.

Surrounding white space does not count. An empty cell is null in every column; words such as NA are null only in
a column whose other cells are numbers, dates or booleans, because they may be values elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import polars as pl

from apps.datasets.enums import ColumnKind

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
WIDER = {ColumnKind.INTEGER: ColumnKind.FLOAT}
TYPED_KINDS = (ColumnKind.BOOLEAN, ColumnKind.INTEGER, ColumnKind.FLOAT, ColumnKind.DATE, ColumnKind.DATETIME)


def cells(column: str | pl.Expr) -> pl.Expr:
    """The column's texts without surrounding white space; null where nothing is left."""
    text = (pl.col(column) if isinstance(column, str) else column).str.strip_chars()
    return pl.when(text != "").then(text)


def typed(name: str, kind: ColumnKind) -> pl.Expr:
    """The column of texts `name` as values of `kind`; null where a cell is empty or a null word."""
    return _parsed(cells(name), kind).alias(name)


def _parsed(text: pl.Expr, kind: ColumnKind) -> pl.Expr:
    match kind:
        case ColumnKind.BOOLEAN:
            return text.str.to_lowercase().replace_strict({"true": True, "false": False}, default=None)
        case ColumnKind.INTEGER:
            return pl.when(text.str.contains(INTEGER_PATTERN)).then(text).cast(pl.Int64, strict=False)
        case ColumnKind.FLOAT:
            number = pl.when(text.str.contains(FLOAT_PATTERN)).then(text).cast(pl.Float64, strict=False)
            return pl.when(number.is_finite()).then(number)
        case ColumnKind.DATE:
            return text.str.to_date(DATE_FORMAT, strict=False, exact=True)
        case ColumnKind.DATETIME:
            return _parsed_time(text)
        case _:
            return text


def _parsed_time(text: pl.Expr) -> pl.Expr:
    """ISO 8601 times; one with an offset is converted to UTC."""
    iso = text.str.replace(" ", "T", literal=True)
    local = [iso.str.to_datetime(form, strict=False, time_unit="us") for form in LOCAL_TIME_FORMATS]
    zoned = [
        iso.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC").dt.replace_time_zone(None)
        for form in ZONED_TIME_FORMATS
    ]
    return pl.coalesce(*local, *zoned)


class ColumnEvidence:
    """What the values seen so far allow a column to be."""

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

    def see(self, values: pl.Series) -> None:
        """Take one batch of raw texts into account."""
        text = values.to_frame("cell").select(cells("cell")).to_series()
        present = text.drop_nulls()
        self.count += len(present)
        self.missing += len(text) - len(present)
        if present.is_empty():
            return
        self._see_distinct(present)
        self._see_type(present.filter(~present.str.to_lowercase().is_in(NULL_WORDS)))

    def _see_distinct(self, present: pl.Series) -> None:
        unique = present.unique()
        self.has_repeats |= len(unique) < len(present)
        if self._distinct is not None:
            self._distinct.update(unique.head(CATEGORY_LIMIT + 1))
            if len(self._distinct) > CATEGORY_LIMIT:
                self._distinct = None
        self.longest = max(self.longest, int(unique.str.len_chars().max() or 0))  # type: ignore[arg-type]
        self.has_spaces = self.has_spaces or bool(unique.str.contains(r"\s").any())

    def _see_type(self, words: pl.Series) -> None:
        if words.is_empty() or self._is_text:
            return
        candidates: Iterable[ColumnKind | None] = TYPED_KINDS
        if self._typed is not None:
            candidates = (self._typed, WIDER.get(self._typed))
        self._typed = next((kind for kind in candidates if kind and _fits(words, kind)), None)
        self._is_text = self._typed is None

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


def _fits(words: pl.Series, kind: ColumnKind) -> bool:
    return words.to_frame("cell").select(_parsed(pl.col("cell"), kind).is_not_null().all()).item()


def identifies(evidence: ColumnEvidence, texts: pl.LazyFrame) -> bool:
    """Whether the column names its rows: all values differ and, if integers, it is named so or counts up by one."""
    if not evidence.may_be_id:
        return False
    values = typed(evidence.name, evidence.storage())
    if evidence.storage() is not ColumnKind.INTEGER:
        return texts.select(values.n_unique()).collect(engine="streaming").item() == evidence.count
    distinct, span = texts.select(
        values.n_unique().alias("distinct"), (values.max() - values.min() + 1).alias("span")
    ).collect(engine="streaming").row(0)
    return distinct == evidence.count and (span == distinct or ID_NAME.search(evidence.name) is not None)
