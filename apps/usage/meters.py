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
# Each of a model's tokens is in one of these (apps/costs/pricing.py prices them so).
INPUT_TOKENS = Meter("input_tokens", "Input tokens", "tokens")
CACHED_TOKENS = Meter("cached_tokens", "Cached input tokens", "tokens")
CACHE_WRITE_TOKENS = Meter("cache_write_tokens", "Tokens written to a cache", "tokens")
OUTPUT_TOKENS = Meter("output_tokens", "Output tokens", "tokens")
TOKENS = (INPUT_TOKENS, CACHED_TOKENS, CACHE_WRITE_TOKENS, OUTPUT_TOKENS)

METERS = {meter.name: meter for meter in (PREDICTIONS, *TOKENS, TRAINING_MS, JOB_MS, STORED_BYTES)}
CHOICES = [(meter.name, meter.label) for meter in METERS.values()]


def named(name: str) -> Meter:
    """The meter of that name; one that the table does not know is a flow with a label made of its name."""
    return METERS.get(name) or Meter(name, name.replace("_", " ").capitalize(), "")
