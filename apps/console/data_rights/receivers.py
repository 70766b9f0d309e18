"""What lower apps tell the data rights (docs/signals.md)."""

from __future__ import annotations

from apps.console.data_rights import exports
from apps.jobs import kinds
from apps.jobs.models import Job


@kinds.at_end(exports.KIND)
def tell_end_of_export(job: Job) -> None:
    exports.tell_end(job)
