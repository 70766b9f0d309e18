"""A person's inbox: nobody else's, in every face."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.ids import uuid7
from apps.core.postgres import batches
from apps.notifications import services
from apps.notifications.errors import InboxNeedsPerson
from apps.notifications.models import Notification, Preference
from apps.notifications.services.inbox import forget_old
from apps.organizations import services as organizations
from apps.organizations.enums import TokenKind
from apps.organizations.models import Membership
from tests.conftest import actor_of

pytestmark = pytest.mark.django_db
HOME = "/o/acme/notifications/"


def line(user: Any, title: str = "Train churn failed", event: str = "job.failed") -> Notification:
    return Notification.objects.create(user=user, event=event, title=title, subject_id=uuid7())


@pytest.fixture
def mine(in_acme: Any, developer: Any) -> Notification:
    return line(developer)


@pytest.fixture
def of_owner(in_acme: Any, owner: Any) -> Notification:
    return line(owner, "Nobody else sees this")


def unread_in_bell(browser: Client) -> str:
    page = browser.get(f"{HOME}bell/").content.decode()
    return page.partition("Notifications")[2].partition("</span>")[0]


def test_the_inbox_shows_ones_own_lines_only(mine: Notification, of_owner: Any, as_developer: Client) -> None:
    page = as_developer.get(HOME).content.decode()
    assert mine.title in page
    assert of_owner.title not in page


def test_the_bell_counts_what_is_unread_on_every_page(mine: Notification, of_owner: Any, as_developer: Client) -> None:
    assert unread_in_bell(as_developer) == ", 1 unread"
    assert "1 unread" in as_developer.get("/o/acme/").content.decode()


def test_opening_a_line_reads_it_and_leads_to_what_it_is_about(mine: Notification, as_developer: Client) -> None:
    answer = as_developer.post(f"{HOME}{mine.pk}/open/")
    assert answer["Location"] == f"/o/acme/jobs/{mine.subject_id}/"
    assert unread_in_bell(as_developer) == ""


def test_reading_again_keeps_when_it_was_read_first(mine: Notification, developer: Any) -> None:
    by = Actor("user", developer.pk, developer.email, user_id=developer.pk)
    first = services.mark_read(mine, by=by).read_at
    assert services.mark_read(mine, by=by).read_at == first is not None


def test_reading_all_leaves_other_inboxes_alone(mine: Notification, of_owner: Any, as_developer: Client) -> None:
    as_developer.post(f"{HOME}read/")
    mine.refresh_from_db()
    of_owner.refresh_from_db()
    assert not mine.is_unread
    assert of_owner.is_unread


@pytest.mark.parametrize("action", ["open", "read"])
def test_s1_somebody_elses_line_is_not_found_on_pages(of_owner: Any, as_developer: Client, action: str) -> None:
    assert as_developer.post(f"{HOME}{of_owner.pk}/{action}/").status_code == 404
    of_owner.refresh_from_db()
    assert of_owner.is_unread


def test_s1_somebody_elses_line_is_not_found_in_the_api(of_owner: Any, mine: Any, api_developer: Any) -> None:
    assert api_developer.get(f"/api/v1/notifications/{of_owner.pk}/").status_code == 404
    assert api_developer.post(f"/api/v1/notifications/{of_owner.pk}/read/").status_code == 404
    listed = api_developer.get("/api/v1/notifications/").json()["results"]
    assert str(mine.pk) in {one["id"] for one in listed}
    assert str(of_owner.pk) not in {one["id"] for one in listed}


def test_the_filters_narrow_the_inbox(mine: Notification, developer: Any, as_developer: Client) -> None:
    done = line(developer, "Read churn finished", "job.succeeded")
    as_developer.post(f"{HOME}{done.pk}/read/")
    unread = as_developer.get(HOME, {"show": "unread"}).content.decode()
    assert mine.title in unread
    assert done.title not in unread
    one_event = as_developer.get(HOME, {"event": "job.succeeded"}).content.decode()
    assert mine.title not in one_event
    assert done.title in one_event


def test_the_api_lists_what_is_unread_and_reads_it(mine: Notification, developer: Any, api_developer: Any) -> None:
    unread = {"read_at__isnull": "true"}
    before = len(api_developer.get("/api/v1/notifications/", unread).json()["results"])
    assert api_developer.post(f"/api/v1/notifications/{mine.pk}/read/").json()["read_at"]
    assert len(api_developer.get("/api/v1/notifications/", unread).json()["results"]) == before - 1
    assert api_developer.post("/api/v1/notifications/read/").json() == {"read_count": before - 1}
    assert api_developer.get("/api/v1/notifications/", unread).json()["results"] == []


def test_an_empty_inbox_says_what_will_be_told(as_viewer: Client) -> None:
    page = as_viewer.get(HOME).content.decode()
    assert "Nothing yet" in page
    assert page.count(f'href="{HOME}preferences/"') == 2


def test_a_token_of_the_organization_has_no_inbox(mine: Notification, acme: Any, actor: Actor, client: Client) -> None:
    with tenancy.scope(acme.pk):
        _, text = organizations.create_token("ci", ["notifications.read"], by=actor, kind=TokenKind.ORGANIZATION)
    headers = {"Authorization": f"Bearer {text}"}
    assert client.get("/api/v1/notifications/", headers=headers).json()["results"] == []
    assert client.get("/api/v1/notification-preferences/", headers=headers).status_code == 403
    with pytest.raises(InboxNeedsPerson):
        services.mark_all_read(by=Actor("token", uuid7(), "ci"))


def test_one_and_three_lines_take_the_same_number_of_queries(
    mine: Notification,
    developer: Any,
    as_developer: Client,
    django_assert_max_num_queries: Any,
    django_assert_num_queries: Any,
) -> None:
    with django_assert_max_num_queries(20) as one:
        as_developer.get(HOME)
    line(developer)
    line(developer)
    with django_assert_max_num_queries(len(one)):
        as_developer.get(HOME)


def test_what_people_typed_is_escaped(in_acme: Any, developer: Any, as_developer: Client) -> None:
    line(developer, "<script>alert(1)</script> failed")
    page = as_developer.get(HOME).content.decode()
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_an_inbox_and_its_wishes_end_with_the_membership(
    in_acme: Any, viewer: Any, of_owner: Notification, actor: Actor
) -> None:
    line(viewer)
    services.set_preferences({("job.failed", "mail"): False}, by=actor_of(viewer, "analyst"))
    organizations.remove_member(Membership.objects.get(user=viewer), by=actor)
    assert list(Notification.objects.all()) == [of_owner]
    assert not Preference.objects.exists()


@pytest.mark.parametrize(
    ("read_days_ago", "made_days_ago", "is_kept"),
    [(89, 400, True), (91, 400, False), (None, 179, True), (None, 181, False)],
)
def test_a_line_is_kept_for_90_days_after_it_was_read_and_180_unread(
    mine: Notification, read_days_ago: int | None, made_days_ago: int, is_kept: bool
) -> None:
    now = timezone.now()
    read_at = None if read_days_ago is None else now - timedelta(days=read_days_ago)
    Notification.objects.update(read_at=read_at, created_at=now - timedelta(days=made_days_ago))
    forgotten = forget_old()
    assert (Notification.objects.exists(), forgotten) == (is_kept, 0 if is_kept else 1)


def test_what_is_old_is_deleted_in_batches_of_one_organization_only(
    mine: Notification, developer: Any, globex: Any, outsider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 2)
    with tenancy.scope(globex.pk):
        line(outsider)
        Notification.objects.update(created_at=timezone.now() - timedelta(days=200))
    for _ in range(4):
        line(developer)
    Notification.objects.update(created_at=timezone.now() - timedelta(days=200))
    fresh = line(developer)
    assert forget_old() == 5
    assert list(Notification.objects.all()) == [fresh]
    with tenancy.scope(globex.pk):
        assert Notification.objects.count() == 1


def test_reading_leads_back_to_the_list_as_it_was_filtered(mine: Notification, as_developer: Client) -> None:
    filtered = f"{HOME}?show=unread&event=job.failed"
    page = as_developer.get(filtered).content.decode()
    actions = [html.unescape(url) for url in re.findall(r'action="([^"]+)"', page) if "/read/" in url]
    assert [as_developer.post(url).headers["Location"] for url in actions] == [filtered, filtered]
