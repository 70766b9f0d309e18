"""The operator's view of the gateway tells no tenant's secrets, and nothing of what was said."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.core import tenancy
from apps.core.actors import Actor
from apps.gateway import services
from apps.gateway.models import ModelCall, ModelCallBody, Upstream, UpstreamKey

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "console"])


def test_an_operator_reads_no_key_header_or_body(acme: Any, actor: Actor) -> None:
    with tenancy.scope(acme.pk):
        upstream = services.create_upstream(
            name="Provider", kind="openai", headers={"x-pass": "let-me-in"}, secret="sk-of-acme-4711-0815", by=actor
        )
        key = upstream.keys.get()
    client = Client()
    client.force_login(User.objects.create_superuser("operator@modelyard.test", "a-password"))
    for row in (upstream, key):
        page = client.get(reverse(f"admin:gateway_{row._meta.model_name}_change", args=[row.pk])).content.decode()
        assert "Provider" in page
        assert "let-me-in" not in page
        assert str(bytes(key.sealed)) not in page
    lists = [reverse(f"admin:gateway_{model._meta.model_name}_changelist") for model in (Upstream, UpstreamKey)]
    assert all("Provider" in client.get(path).content.decode() for path in lists)
    assert admin.site.is_registered(ModelCall)
    assert not admin.site.is_registered(ModelCallBody)
