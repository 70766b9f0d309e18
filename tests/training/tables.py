"""Tables to learn from: scikit-learn's real ones as CSV files, and a made one with everything that can go wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn import datasets

from apps.datasets.enums import ColumnKind
from apps.datasets.reading import read_csv

Kinds = dict[str, ColumnKind]
LOADERS = {
    "breast_cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
    "iris": datasets.load_iris,
    "diabetes": datasets.load_diabetes,
}


def real(name: str, folder: Path) -> tuple[pl.DataFrame, Kinds]:
    """The real table `name` with its target in the column `target`, read from a CSV file as users' tables are."""
    bunch: Any = LOADERS[name]()
    target = bunch.target if name == "diabetes" else bunch.target_names[bunch.target]
    frame = pl.DataFrame(bunch.data, schema=list(bunch.feature_names)).with_columns(pl.Series("target", target))
    source = folder / f"{name}.csv"
    frame.write_csv(source)
    table = read_csv(source, folder / f"{name}.parquet")
    return pl.read_parquet(folder / f"{name}.parquet"), {column.name: column.kind for column in table.columns}


def mixed(rows: int = 400, seed: int = 0) -> tuple[pl.DataFrame, Kinds]:
    """Numbers of all sizes, categories, booleans, gaps, and columns that no model can use."""
    rng = np.random.default_rng(seed)
    size = rng.normal(70, 25, rows).round(1)
    rooms = rng.integers(1, 7, rows)
    area = rng.choice(["nörd", "süd ✓", "日本", "east, side", 'the "old" town'], rows, p=[0.4, 0.3, 0.2, 0.08, 0.02])
    garden = rng.random(rows) < 0.4
    price = 1e6 + 1e4 * size + 2e5 * (area == "süd ✓") + 5e4 * garden + rng.normal(0, 2e4, rows)
    frame = pl.DataFrame(
        {
            "size in m²": [
                None if gap else float(value) for gap, value in zip(rng.random(rows) < 0.1, size, strict=True)
            ],
            "rooms": rooms,
            "seconds": rng.normal(1.7e9, 1e4, rows),
            "label": [None if gap else str(value) for gap, value in zip(rng.random(rows) < 0.1, area, strict=True)],
            "garden": [None if gap else bool(value) for gap, value in zip(rng.random(rows) < 0.1, garden, strict=True)],
            "customer": [f"c{number}" for number in range(rows)],
            "remark": [f"remark number {number}" for number in range(rows)],
            "sold": pl.Series(np.arange(rows) % 300).cast(pl.Int32).cast(pl.Date),
            "empty": pl.Series([None] * rows, dtype=pl.String),
            "same": np.ones(rows, dtype=np.int64),
            "price": price,
            "is_dear": price > np.median(price),
            "stars": np.digitize(price, np.quantile(price, [0.3, 0.8])) + 1,
            "grade": np.where(price > np.quantile(price, 0.7), "gut ✓", "mäßig"),
        }
    )
    kinds = dict.fromkeys(["size in m²", "seconds", "price"], ColumnKind.FLOAT)
    kinds |= dict.fromkeys(["rooms", "same", "stars"], ColumnKind.INTEGER)
    kinds |= dict.fromkeys(["garden", "is_dear"], ColumnKind.BOOLEAN)
    kinds |= dict.fromkeys(["label", "grade"], ColumnKind.CATEGORY)
    kinds |= {
        "customer": ColumnKind.ID,
        "remark": ColumnKind.TEXT,
        "sold": ColumnKind.DATE,
        "empty": ColumnKind.TEXT,
    }
    return frame, kinds


TARGETS = ["price", "is_dear", "stars", "grade"]


def without_other_targets(frame: pl.DataFrame, target: str) -> pl.DataFrame:
    return frame.drop([other for other in TARGETS if other != target])
