"""What every change of the gateway does: names taken once, the trail told, the data plane and open pages too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError, transaction

from apps.core import live, snapshots
from apps.core.tenancy import current_tenant_id
from apps.gateway import errors

TOPIC = "gateway"


@contextmanager
def unique_name(noun: str, name: str) -> Iterator[None]:
    """Raises `NameTaken`."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError:
        raise errors.NameTaken(field="name", noun=noun, name=name) from None


def publish() -> None:
    live.publish(TOPIC)
    snapshots.publish_on_commit(current_tenant_id())
