"""Pages and mails speak the person's zone, or else the organization's; the API and exports speak UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.template import Context, Template
from django.test import Client
from django.utils import timezone

from apps.accounts import mail, services
from apps.core import tenancy, time_zones
from apps.core.ids import uuid7
from apps.core.time_zones import UnknownTimeZone
from apps.jobs.models import Job
from apps.organizations.models import ApiToken
from apps.usage.services import record
from tests.factories import world

pytestmark = pytest.mark.django_db

AT = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
JOBS = "/o/acme/jobs/"
PROFILE = "/accounts/profile/"
TOLD = re.compile(r'title="\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (UTC\S*)\n\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"')


def put_into(organization: Any, zone: str) -> None:
    organization.time_zone = zone
    organization.save()


@pytest.fixture
def a_job(acme: Any, actor: Any) -> None:
    world.build(acme, actor)
    with tenancy.scope(acme.pk):
        Job.objects.update(created_at=AT)


def offsets_on(browser: Client, path: str = JOBS) -> set[str]:
    return set(TOLD.findall(browser.get(path).content.decode()))


def test_pages_show_the_organizations_time_and_leave_no_zone_behind(as_owner: Client, acme: Any, a_job: None) -> None:
    put_into(acme, "Asia/Kolkata")
    assert offsets_on(as_owner) == {"UTC+05:30"}
    assert timezone.get_current_timezone_name() == "UTC"


def test_a_persons_own_zone_comes_before_the_organizations(
    as_owner: Client, owner: Any, as_developer: Client, acme: Any, a_job: None
) -> None:
    put_into(acme, "Asia/Kolkata")
    services.choose_time_zone(owner, "America/St_Johns")
    assert offsets_on(as_owner) == {"UTC-02:30"}
    assert offsets_on(as_developer) == {"UTC+05:30"}


def test_outside_of_every_organization_a_page_keeps_to_the_person_or_utc(owner: Any, as_owner: Client) -> None:
    assert offsets_on(as_owner, "/accounts/sessions/") == {"UTC"}
    services.choose_time_zone(owner, "Asia/Kathmandu")
    assert offsets_on(as_owner, "/accounts/sessions/") == {"UTC+05:45"}


def test_the_console_speaks_the_operators_zone(owner: Any, as_owner: Client) -> None:
    owner.is_staff = owner.is_superuser = True
    owner.save()
    services.choose_time_zone(owner, "Asia/Kathmandu")
    assert "+0545" in as_owner.get(f"/admin/accounts/user/{owner.pk}/change/").content.decode()


def test_the_api_speaks_utc_whatever_the_zones(api_owner: Any, owner: Any, acme: Any, a_job: None) -> None:
    put_into(acme, "Asia/Kolkata")
    services.choose_time_zone(owner, "Asia/Kathmandu")
    first = api_owner.get("/api/v1/jobs/").json()["results"][0]
    assert first["created_at"] == "2026-07-01T22:30:00Z"


@pytest.mark.parametrize(
    "path", ["/o/acme/trail/export/", "/o/acme/trail/export/?format=jsonl", "/o/acme/usage/export/"]
)
def test_exports_speak_utc_whatever_the_zones(path: str, as_owner: Client, owner: Any, acme: Any, a_job: None) -> None:
    services.choose_time_zone(owner, "Asia/Kathmandu")
    with tenancy.scope(acme.pk):
        record("predictions", 5, event_id=uuid7())
    answer: Any = as_owner.get(f"/o/acme/{path}")
    text = b"".join(answer.streaming_content if answer.streaming else [answer.content]).decode()
    told = re.findall(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(Z|[+-]\d\d:\d\d)", text)
    assert told
    assert set(told) <= {"Z", "+00:00"}


def test_a_chosen_day_ends_at_the_persons_midnight(as_owner: Client, owner: Any, acme: Any) -> None:
    services.choose_time_zone(owner, "America/St_Johns")
    last_day = timezone.now().astimezone(ZoneInfo("America/St_Johns")).date() + timedelta(days=20)
    given = {"name": "nightly", "kind": "personal", "scopes": "jobs.read", "lifetime": "date"}
    assert as_owner.post("/o/acme/settings/tokens/new/", {**given, "expires_at": last_day}).status_code == 200
    with tenancy.scope(acme.pk):
        ends = ApiToken.objects.get(name="nightly").expires_at.astimezone(ZoneInfo("America/St_Johns"))
    assert (ends.date(), ends.hour, ends.minute) == (last_day + timedelta(days=1), 0, 0)


class TestMails:
    def test_a_mail_speaks_its_recipients_zone_and_names_it(self, owner: Any) -> None:
        services.choose_time_zone(owner, "Asia/Kathmandu")
        assert "until 2 July 2026, 04:15 Asia/Kathmandu (UTC+05:45)," in invitation_to(owner.email)

    def test_without_one_it_speaks_the_organizations(self, owner: Any) -> None:
        for address in (owner.email, "nobody@example.test"):
            assert "until 2 July 2026, 00:30 Europe/Rome (UTC+02:00)," in invitation_to(address)

    def test_a_mail_about_ones_account_says_when_in_ones_zone(self, owner: Any) -> None:
        services.choose_time_zone(owner, "Asia/Kathmandu")
        told = mail.render("account/email/password_changed", owner.email, {"timestamp": AT, "ip": "", "browser": "it"})
        assert "It was done on 2 July 2026, 04:15 Asia/Kathmandu (UTC+05:45) from" in told.body


def invitation_to(address: str) -> str:
    context = {"invitation": {"expires_at": AT}}
    return str(mail.render("organizations/email/invitation", address, context, time_zone="Europe/Rome").body)


class TestChoosing:
    def test_the_profile_takes_a_zone_by_its_name_or_its_place(self, as_owner: Client, owner: Any) -> None:
        for typed, name in [("Europe/Berlin", "Europe/Berlin"), ("new york", "America/New_York"), ("", "")]:
            assert as_owner.post(PROFILE, {"name": "Mara", "time_zone": typed}).status_code == 302
            owner.refresh_from_db()
            assert (owner.name, owner.time_zone) == ("Mara", name)

    def test_what_is_no_zone_is_refused_beside_the_field_and_nothing_is_kept(
        self, as_owner: Client, owner: Any
    ) -> None:
        answer = as_owner.post(PROFILE, {"name": "Mara", "time_zone": "Middle Earth"})
        assert answer.status_code == 422
        assert "There is no time zone <code>Middle Earth</code>." in answer.content.decode()
        owner.refresh_from_db()
        assert (owner.name, owner.time_zone) == ("", "")

    def test_every_zone_that_is_offered_can_be_chosen_and_says_its_offset(self, as_owner: Client) -> None:
        page = as_owner.get(PROFILE).content.decode()
        assert '<option value="Asia/Kathmandu">Kathmandu, UTC+05:45</option>' in page
        assert all(time_zones.exists(name) for name, _ in time_zones.offered(AT))

    def test_one_click_takes_the_browsers_zone_and_shows_the_page_again(self, as_owner: Client, owner: Any) -> None:
        answer = as_owner.post(
            "/accounts/profile/time-zone/", {"time_zone": "Asia/Kathmandu"}, headers={"HX-Request": "true"}
        )
        assert (answer.status_code, answer["HX-Refresh"]) == (204, "true")
        owner.refresh_from_db()
        assert owner.time_zone == "Asia/Kathmandu"

    def test_a_zone_that_no_machine_knows_is_refused(self, owner: Any) -> None:
        for name in ("Mars/Olympus", "localtime", "../../etc/passwd"):
            with pytest.raises(UnknownTimeZone):
                services.choose_time_zone(owner, name)

    def test_a_stranger_chooses_nothing(self, client: Client) -> None:
        answer = client.post("/accounts/profile/time-zone/", {"time_zone": "Asia/Kathmandu"})
        assert answer["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("europe/berlin", "Europe/Berlin"),
        ("St Johns", "America/St_Johns"),
        ("kathmandu ", "Asia/Kathmandu"),
        ("Asia/Calcutta", "Asia/Kolkata"),
        ("Asia/Katmandu", "Asia/Kathmandu"),
        ("Europe/Oslo", "Europe/Oslo"),
        ("utc", "UTC"),
        ("nowhere", "nowhere"),
    ],
)
def test_a_zone_is_found_by_what_somebody_types(typed: str, name: str) -> None:
    assert time_zones.named_like(typed) == name


def test_a_time_is_read_aloud_with_its_moment_and_not_with_the_words_that_change() -> None:
    with timezone.override("Asia/Kathmandu"):
        told = Template("{% load core %}{{ at|when }}").render(Context({"at": AT}))
    assert '<span class="visually-hidden">2026-07-02 04:15:00 UTC+05:45</span>' in told
    assert re.search(r'<span aria-hidden="true">[^<]+</span>', told)
    assert 'datetime="2026-07-01T22:30:00.000+00:00"' in told
