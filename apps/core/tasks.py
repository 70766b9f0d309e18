"""Celery tasks that belong to one organization."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery import Task

from apps.core import tenancy

HEADER = "organization"


class TenantTask(Task):
    """Runs in the tenant that was in scope when it was sent, which its message names in a header.

    For work that may be lost and repeated, such as cleaning up. What must not be lost is a job.
    """

    abstract = True

    def apply_async(self, args: Any = None, kwargs: Any = None, *positional: Any, **options: Any) -> Any:
        headers = {**(options.pop("headers", None) or {}), HEADER: str(tenancy.current_tenant_id())}
        return super().apply_async(args, kwargs, *positional, headers=headers, **options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with tenancy.scope(UUID((self.request.headers or {})[HEADER])):
            return super().__call__(*args, **kwargs)
