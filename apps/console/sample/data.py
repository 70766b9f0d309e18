"""The dataset of the sample project: a summer of real bicycle rentals (see SOURCE.md)."""

from __future__ import annotations

import shutil
from pathlib import Path

NAME = "bike-rentals"
DESCRIPTION = "Bicycles rented in Washington, D.C., in each hour of a summer, and the weather of that hour."
TARGET = "bikers"
BUNDLED = Path(__file__).with_name("bike-rentals.csv")


def write_csv(path: Path) -> Path:
    """Copy the dataset to `path`, a file."""
    return Path(shutil.copyfile(BUNDLED, path))
