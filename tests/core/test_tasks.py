"""A task that belongs to one organization."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery

from apps.core import tenancy
from apps.core.tasks import HEADER, TenantTask

app = Celery("test", broker="memory://", set_as_current=False)


@app.task(base=TenantTask)
def tenant_in_scope() -> str:
    return str(tenancy.current_tenant_id())


@pytest.mark.django_db
def test_a_task_runs_in_the_tenant_its_message_names(acme: Any) -> None:
    assert tenant_in_scope.apply(headers={HEADER: str(acme.pk)}).get() == str(acme.pk)
    with pytest.raises(tenancy.TenantNotSet):
        tenancy.current_tenant_id()


@pytest.mark.django_db
def test_a_message_names_the_tenant_in_scope(acme: Any) -> None:
    with tenancy.scope(acme.pk), app.connection_for_write() as connection:
        tenant_in_scope.apply_async(connection=connection)
        message = connection.SimpleQueue("celery").get(timeout=5)
    assert message.headers[HEADER] == str(acme.pk)


def test_without_a_tenant_nothing_is_sent_and_nothing_runs() -> None:
    with pytest.raises(tenancy.TenantNotSet):
        tenant_in_scope.delay()
    assert tenant_in_scope.apply().failed()
