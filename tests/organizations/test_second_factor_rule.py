"""An organization that requires two-factor lets nobody in without it; API tokens are a factor of their own."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from asgiref.sync import sync_to_async
from django.test import Client

from apps.accounts.jwt import families
from apps.audit.models import AuditEntry
from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.consumers import COME_AGAIN
from apps.organizations import errors, queries, services
from apps.organizations.models import Membership
from apps.organizations.permissions import permissions_of
from apps.organizations.sockets import NOT_FOUND
from tests.conftest import actor_of
from tests.core.sockets import Socket
from tests.factories.people import PASSWORD

pytestmark = pytest.mark.django_db


def set_up(user: Any) -> None:
    totp.TOTP.activate(user, totp.generate_totp_secret())


@pytest.fixture
def strict_acme(acme: Any, owner: Any) -> Any:
    set_up(owner)
    with tenancy.scope(acme.pk):
        return services.update_organization(acme, requires_second_factor=True, by=actor_of(owner, "owner"))


def test_whoever_turns_it_on_has_it(acme: Any, in_acme: Any, owner: Any, actor: Actor) -> None:
    with pytest.raises(errors.SecondFactorMissing):
        services.update_organization(acme, requires_second_factor=True, by=actor)
    machine = Actor("token", None, "of the organization", permissions_of("owner"))
    with pytest.raises(errors.PersonNeeded):
        services.update_organization(acme, requires_second_factor=True, by=machine)
    set_up(owner)
    assert services.update_organization(acme, requires_second_factor=True, by=actor).requires_second_factor


def test_the_page_turns_it_on_and_off(as_owner: Client, acme: Any, owner: Any) -> None:
    form = {"name": "Acme", "slug": "acme", "time_zone": "UTC"}
    refused = as_owner.post("/o/acme/settings/", {**form, "name": "Acme Ltd", "requires_second_factor": "on"})
    assert refused.status_code == 422
    assert 'id="id_requires_second_factor_error"' in refused.content.decode()
    assert 'value="Acme Ltd"' in refused.content.decode()
    set_up(owner)
    for typed, wanted in (({"requires_second_factor": "on"}, True), ({}, False)):
        assert as_owner.post("/o/acme/settings/", {**form, **typed}).status_code == 303
        acme.refresh_from_db()
        assert acme.requires_second_factor is wanted


def test_every_page_leads_whoever_lacks_it_to_set_it_up(strict_acme: Any, as_viewer: Client, as_owner: Client) -> None:
    for path in ("/o/acme/", "/o/acme/data/", "/o/acme/settings/members/"):
        answer = as_viewer.get(path)
        assert answer.status_code == 403, path
        assert "Acme requires two-factor" in answer.content.decode()
        assert 'href="/accounts/2fa/"' in answer.content.decode()
        assert as_owner.get(path).status_code == 200
    assert as_viewer.post("/o/acme/settings/leave/").status_code == 403


def test_the_api_refuses_a_person_without_it_and_not_their_token(
    strict_acme: Any, as_viewer: Client, api_viewer: Any, viewer: Any
) -> None:
    bearer = {"Authorization": f"Bearer {families.start_family(viewer).access}"}
    for headers in ({}, bearer):
        refused = as_viewer.get("/api/v1/datasets/", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "second_factor_required")
    assert api_viewer.get("/api/v1/datasets/").status_code == 200


def test_setting_it_up_lets_one_in_and_taking_it_away_out(strict_acme: Any, as_viewer: Client, viewer: Any) -> None:
    set_up(viewer)
    assert as_viewer.get("/o/acme/data/").status_code == 200
    Authenticator.objects.filter(user=viewer).delete()
    assert as_viewer.get("/o/acme/data/").status_code == 403


def test_whoever_lacks_it_can_go_elsewhere(strict_acme: Any, globex: Any, as_viewer: Client, viewer: Any) -> None:
    with tenancy.scope(globex.pk):
        Membership.objects.create(user=viewer, role="analyst")
    page = as_viewer.get("/o/acme/data/").content.decode()
    for address in ('"/o/globex/"', '"/accounts/logout/"', '"/accounts/profile/"', '"/organizations/acme/leave/"'):
        assert address in page
    assert 'href="/"' not in page.partition("<footer")[2]


def test_whoever_lacks_it_can_leave(strict_acme: Any, as_viewer: Client, viewer: Any) -> None:
    assert as_viewer.get("/organizations/acme/leave/").status_code == 405
    assert as_viewer.post("/organizations/globex/leave/").status_code == 404
    assert as_viewer.post("/organizations/acme/leave/")["Location"] == "/"
    assert not queries.memberships_of(viewer)
    with tenancy.scope(strict_acme.pk):
        assert AuditEntry.objects.get(action="member.left").actor_label == viewer.email


def test_the_only_owner_cannot_leave_by_that_way_either(acme: Any, as_owner: Client, owner: Any) -> None:
    assert as_owner.post("/organizations/acme/leave/").status_code == 409
    assert queries.memberships_of(owner)


def test_setting_it_up_leads_to_the_page_that_was_wanted(strict_acme: Any, as_viewer: Client) -> None:
    as_viewer.get("/o/acme/data/?q=churn")
    as_viewer.post("/accounts/reauthenticate/", {"password": PASSWORD})
    secret = as_viewer.get("/accounts/2fa/totp/activate/").context["form"].secret
    step = max(totp.yield_hotp_counters_from_time()) - 1
    code = totp.format_hotp_value(totp.hotp_value(secret, step))
    codes = as_viewer.post("/accounts/2fa/totp/activate/", {"code": code}, follow=True).content.decode()
    assert 'href="/o/acme/data/?q=churn"' in codes
    assert as_viewer.get("/o/acme/data/?q=churn").status_code == 200


def test_members_without_it_are_told_by_mail_when_it_becomes_required(
    acme: Any, owner: Any, developer: Any, viewer: Any, django_capture_on_commit_callbacks: Any, mailoutbox: list[Any]
) -> None:
    set_up(owner)
    set_up(developer)
    with django_capture_on_commit_callbacks(execute=True), tenancy.scope(acme.pk):
        services.update_organization(acme, requires_second_factor=True, by=actor_of(owner, "owner"))
        services.update_organization(acme, requires_second_factor=False, by=actor_of(owner, "owner"))
    [message] = mailoutbox
    assert message.to == [viewer.email]
    assert "Acme requires two-factor" in message.subject
    assert "/accounts/2fa/" in message.body


def test_who_may_require_it_sees_who_has_it(acme: Any, as_owner: Client, as_viewer: Client, developer: Any) -> None:
    set_up(developer)
    page = as_owner.get("/o/acme/settings/members/")
    assert ">Two-factor<" in page.content.decode()
    assert page.context["with_second_factor"] == {developer.pk}
    assert ">Two-factor<" not in as_viewer.get("/o/acme/settings/members/").content.decode()


def test_taking_the_last_one_away_warns(strict_acme: Any, as_owner: Client, owner: Any) -> None:
    as_owner.post("/accounts/reauthenticate/", {"password": PASSWORD})
    warning = "Acme requires two-factor"
    assert warning in as_owner.get("/accounts/2fa/totp/deactivate/").content.decode()
    Authenticator.objects.create(user=owner, type=Authenticator.Type.WEBAUTHN, data={})
    assert warning not in as_owner.get("/accounts/2fa/totp/deactivate/").content.decode()


@pytest.mark.django_db(transaction=True)
async def test_turning_it_on_closes_the_open_pages_of_those_without(acme: Any, owner: Any, viewer: Any) -> None:
    def turn_on() -> None:
        set_up(owner)
        with tenancy.scope(acme.pk):
            services.update_organization(acme, requires_second_factor=True, by=actor_of(owner, "owner"))

    socket = Socket("acme", viewer)
    assert await socket.connect()
    await sync_to_async(turn_on)()
    assert await socket.closed_with() == COME_AGAIN
    again = Socket("acme", viewer)
    await again.connect()
    assert await again.closed_with() == NOT_FOUND
    with_it = Socket("acme", owner)
    assert await with_it.connect()
    await with_it.send({"subscribe": ["members"]})
    assert await with_it.receive() == {"subscribed": ["members"]}
    await with_it.close()
