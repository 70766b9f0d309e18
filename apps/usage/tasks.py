"""Celery's entry points."""

from __future__ import annotations

from celery import shared_task


@shared_task(name="usage.restore_quotas")
def restore_quotas() -> None:
    """Make anew the counters that Redis lost, or that a new month begins with."""
    from apps.usage import counting

    counting.restore()


@shared_task(name="usage.correct_quotas")
def correct_quotas() -> None:
    """Make all counters anew: what a process died with before it could tell is in the ledger by now."""
    from apps.usage import counting

    counting.restore(only_unknown=False)


@shared_task(name="usage.tell_of_quotas")
def tell_of_quotas() -> None:
    from apps.usage import notices

    notices.tell_all()


@shared_task(name="usage.make_partitions")
def make_partitions() -> None:
    """Partitions for the next months, and for those of which the default one took events."""
    from apps.usage import partitions

    partitions.make()


@shared_task(name="usage.check_ledger")
def check_ledger() -> None:
    from apps.usage import checking

    checking.check_all()
