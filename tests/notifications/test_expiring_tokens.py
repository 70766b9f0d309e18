"""A token's end is told 7 days ahead, once, to whoever can do something about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from apps.core.actors import Actor
from apps.notifications.models import Notification
from apps.notifications.services.tokens import tell_of_expiring_tokens
from apps.organizations import services as organizations
from apps.organizations.enums import TokenKind
from apps.organizations.models import ApiToken
from tests.conftest import actor_of
from workers.schedules import schedules

pytestmark = pytest.mark.django_db


def token_ending_in(days: float, by: Actor, kind: str = TokenKind.PERSONAL) -> ApiToken:
    end = timezone.now() + timedelta(days=days)
    token, _ = organizations.create_token("nightly scoring", ["jobs.read"], by=by, kind=kind, expires_at=end)
    return token


def told(user: Any) -> int:
    return Notification.objects.of(user.pk).filter(event="token.expiring").count()


@pytest.fixture
def by_developer(in_acme: Any, developer: Any) -> Actor:
    return actor_of(developer, "developer")


def test_a_tokens_person_is_told_once_with_the_day(
    by_developer: Actor, developer: Any, owner: Any, django_capture_on_commit_callbacks: Any
) -> None:
    token = token_ending_in(6.9, by_developer)
    with django_capture_on_commit_callbacks(execute=True):
        tell_of_expiring_tokens()
        tell_of_expiring_tokens()
    row = Notification.objects.get(event="token.expiring")
    assert (row.user, row.subject_id) == (developer, token.pk)
    assert row.title == f"API token nightly scoring ends on {token.expires_at:%Y-%m-%d}"
    (warning,) = [one for one in mail.outbox if row.title in one.subject]
    assert warning.to == [developer.email]


def test_a_token_that_ends_later_or_was_revoked_is_not_told(by_developer: Actor, developer: Any) -> None:
    token_ending_in(7.1, by_developer)
    organizations.revoke_token(token_ending_in(3, by_developer), by=by_developer)
    tell_of_expiring_tokens()
    assert told(developer) == 0


def test_a_token_with_a_later_end_is_told_again_before_that(by_developer: Actor, developer: Any) -> None:
    token = token_ending_in(2, by_developer)
    tell_of_expiring_tokens()
    organizations.rotate_token(token, by=by_developer, expires_at=timezone.now() + timedelta(days=5))
    tell_of_expiring_tokens()
    assert told(developer) == 2


def test_a_token_of_the_organization_is_told_to_those_in_charge_of_them(
    in_acme: Any, actor: Actor, owner: Any, developer: Any
) -> None:
    token_ending_in(2, actor, TokenKind.ORGANIZATION)
    tell_of_expiring_tokens()
    assert (told(owner), told(developer)) == (1, 0)


def test_a_suspended_organization_is_told_when_it_is_resumed(
    by_developer: Actor, developer: Any, in_acme: Any, actor: Actor
) -> None:
    token_ending_in(2, by_developer)
    organizations.suspend_organization(in_acme, "Unpaid bills", by=actor)
    tell_of_expiring_tokens()
    assert told(developer) == 0
    organizations.resume_organization(in_acme, by=actor)
    tell_of_expiring_tokens()
    assert told(developer) == 1


def test_the_clock_asks_for_it(settings: Any) -> None:
    asked = {tick["task"] for tick in schedules(settings).values()}
    assert {"notifications.tell_of_expiring_tokens", "notifications.forget_old"} <= asked
