"""From a table's columns to the float32 matrix a model learns from: the part of preprocessing that is learnt.

Every step is arithmetic that ONNX repeats bit for bit in single precision, so the trained and the exported model
see the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from apps.datasets.enums import ColumnKind
from apps.training.planning import Feature

Matrix = NDArray[np.float32]
RARE_SHARE = 0.005
RARE_ROWS = 2
MAX_GROUPS = 200


@dataclass(frozen=True, slots=True)
class NumberColumn:
    """A numeric or boolean column: the median fills gaps; `flags_missing` adds a column that says where they were."""

    name: str
    median: np.float32
    flags_missing: bool


@dataclass(frozen=True, slots=True)
class CategoryColumn:
    """A one-hot column: one place for each common category, one for all rare ones, one for an empty cell.

    `places` maps each category to its place; a category it lacks goes to `rare_place`, or nowhere if that is None.
    """

    name: str
    places: dict[str, int]
    rare_place: int | None
    missing_place: int | None
    width: int


@dataclass(frozen=True, slots=True)
class Encoding:
    """The columns in the matrix's order: all numbers, then the missing flags, then the one-hot columns."""

    numbers: tuple[NumberColumn, ...]
    categories: tuple[CategoryColumn, ...]
    offset: Matrix | None = None
    scale: Matrix | None = None

    def sources(self) -> list[str]:
        """For each column of the matrix, the table's column it comes from."""
        flagged = [column.name for column in self.numbers if column.flags_missing]
        one_hot = [column.name for column in self.categories for _ in range(column.width)]
        return [column.name for column in self.numbers] + flagged + one_hot

    def encode(self, frame: pl.DataFrame) -> Matrix:
        """The matrix of `frame`, [rows, len(self.sources())]."""
        raw = raw_numbers(frame, [column.name for column in self.numbers])
        flagged = [index for index, column in enumerate(self.numbers) if column.flags_missing]
        blocks = [self._filled(raw), np.isnan(raw[:, flagged]).astype(np.float32)]
        blocks += [_one_hot(frame[column.name], column) for column in self.categories]
        return np.concatenate(blocks, axis=1)

    def _filled(self, raw: Matrix) -> Matrix:
        medians = np.array([column.median for column in self.numbers], dtype=np.float32)
        filled: Matrix = np.where(np.isnan(raw), medians, raw)
        return filled if self.offset is None or self.scale is None else (filled - self.offset) * self.scale


def learn_encoding(frame: pl.DataFrame, features: Sequence[Feature], standardize: bool) -> Encoding:
    """The encoding of these columns learnt from these rows; `standardize` centres and scales the numbers."""
    categories = [feature for feature in features if feature.kind is ColumnKind.CATEGORY]
    names = [feature.name for feature in features if feature.kind is not ColumnKind.CATEGORY]
    raw = raw_numbers(frame, names)
    numbers = tuple(_learn_number(name, raw[:, index]) for index, name in enumerate(names))
    encoding = Encoding(numbers, tuple(_learn_category(frame[feature.name]) for feature in categories))
    if not standardize:
        return encoding
    filled = encoding._filled(raw).astype(np.float64)
    offset = filled.mean(axis=0).astype(np.float32)
    spread = np.sqrt(np.mean((filled - offset) ** 2, axis=0))
    scale = (1 / np.where(spread > 0, spread, 1)).astype(np.float32)
    return Encoding(numbers, encoding.categories, offset, scale)


def raw_numbers(frame: pl.DataFrame, names: Sequence[str]) -> Matrix:
    """Numeric and boolean columns as float32 with NaN for null, [rows, names]."""
    columns = [frame[name].cast(pl.Float32).to_numpy() for name in names]
    return np.stack(columns, axis=1) if columns else np.empty((len(frame), 0), dtype=np.float32)


def _learn_number(name: str, values: Matrix) -> NumberColumn:
    is_missing = np.isnan(values)
    median = np.median(values[~is_missing]) if not is_missing.all() else 0
    return NumberColumn(name, np.float32(median), bool(is_missing.any()))


def _learn_category(values: pl.Series) -> CategoryColumn:
    """Categories in less than 0.5 % of the rows, or beyond the 200 most common, share one place."""
    name = values.name
    counts = values.drop_nulls().value_counts().sort(["count", name], descending=[True, False])
    least = max(RARE_ROWS, RARE_SHARE * len(values))
    common = counts.filter(pl.col("count") >= least)[name].head(MAX_GROUPS).to_list()
    width = len(common)
    rare_place = missing_place = None
    if len(common) < len(counts):
        rare_place, width = width, width + 1
    if values.null_count():
        missing_place, width = width, width + 1
    return CategoryColumn(name, {label: place for place, label in enumerate(common)}, rare_place, missing_place, width)


def _one_hot(values: pl.Series, column: CategoryColumn) -> Matrix:
    """A value without a place leaves its row at zero."""
    nowhere = column.width
    rare = nowhere if column.rare_place is None else column.rare_place
    missing = nowhere if column.missing_place is None else column.missing_place
    places = [missing if value is None else column.places.get(value, rare) for value in values]
    return np.eye(nowhere + 1, nowhere, dtype=np.float32)[places]
