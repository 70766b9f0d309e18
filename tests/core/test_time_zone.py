"""Times on pages are those of the organization's zone, the API's are UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from apps.core import formatting, tenancy
from apps.jobs.models import Job
from tests.factories import world

AT = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)


def put_into(organization: Any, zone: str) -> None:
    organization.time_zone = zone
    organization.save()


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("UTC", "2026-07-01 22:30:00 UTC"),
        ("Europe/Berlin", "2026-07-02 00:30:00 UTC+02:00"),
        ("Asia/Kolkata", "2026-07-02 04:00:00 UTC+05:30"),
        ("America/St_Johns", "2026-07-01 20:00:00 UTC-02:30"),
    ],
)
def test_a_moment_is_told_with_the_offset_of_its_zone(zone: str, text: str) -> None:
    assert formatting.format_moment(AT.astimezone(ZoneInfo(zone))) == text


@pytest.mark.django_db
def test_pages_show_the_organizations_time_and_leave_no_zone_behind(as_owner: Client, acme: Any, actor: Any) -> None:
    put_into(acme, "Asia/Kolkata")
    world.build(acme, actor)
    with tenancy.scope(acme.pk):
        Job.objects.update(created_at=AT)
    page = as_owner.get("/o/acme/jobs/").content.decode()
    assert re.search(r'title="\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\+05:30"', page)
    assert ' UTC"' not in page
    assert timezone.get_current_timezone_name() == "UTC"


@pytest.mark.django_db
def test_the_api_speaks_utc_whatever_the_zone(api_owner: Any, acme: Any, actor: Any) -> None:
    put_into(acme, "Asia/Kolkata")
    world.build(acme, actor)
    first = api_owner.get("/api/v1/jobs/").json()["results"][0]
    assert first["created_at"].endswith("Z")
