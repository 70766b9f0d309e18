"""What is counted. The ledger takes any meter; these have a name, a unit and amounts. Imports no Django."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from apps.core.formatting import format_bytes, format_count, format_duration


@dataclass(frozen=True, slots=True)
class Meter:
    """A flow is used up within a month and begins anew. A stock is what is there now: its events are changes of it."""

    name: str
    label: str
    unit: str
    text: Callable[[float | None], str] = format_count
    is_stock: bool = False

    def __str__(self) -> str:
        return self.name


PREDICTIONS = Meter("predictions", "Predictions", "rows")
TRAINING_MS = Meter("training_ms", "Training time", "ms", format_duration)
JOB_MS = Meter("job_ms", "Job time", "ms", format_duration)
STORED_BYTES = Meter("stored_bytes", "Stored data", "bytes", format_bytes, is_stock=True)

METERS = {meter.name: meter for meter in (PREDICTIONS, TRAINING_MS, JOB_MS, STORED_BYTES)}
CHOICES = [(meter.name, meter.label) for meter in METERS.values()]


def named(name: str) -> Meter:
    """The meter of that name; one that the table does not know is a flow with a label made of its name."""
    return METERS.get(name) or Meter(name, name.replace("_", " ").capitalize(), "")
