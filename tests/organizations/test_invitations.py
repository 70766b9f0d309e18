"""Invitations: single use, for one address, for a week, never above the inviter."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.cache import cache
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.audit.models import AuditEntry
from apps.core import tenancy
from apps.core.actors import Actor
from apps.organizations import errors, invitations, queries, services
from apps.organizations.models import Invitation, Membership
from tests.conftest import actor_of
from tests.factories.people import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db

GUEST = "guest@elsewhere.test"


@pytest.fixture(autouse=True)
def no_tries_counted() -> None:
    """Limits of the sign-up page count in Redis, which outlives a test."""
    cache.clear()


@pytest.fixture
def invite(in_acme: Any, actor: Actor, django_capture_on_commit_callbacks: Any) -> Callable[..., str]:
    """Invite somebody; the token of the link in the mail."""

    def send(email: str = GUEST, role: str = "developer", by: Actor = actor) -> str:
        with django_capture_on_commit_callbacks(execute=True):
            services.invite_member(email, role, by=by)
        return token_in(mail.outbox[-1])

    return send


def token_in(message: Any) -> str:
    found = re.search(r"http\S+/invitations/(\S+)/", message.body)
    assert found
    return found.group(1)


def link(token: str) -> str:
    return f"/invitations/{token}/"


def browser_of(user: Any) -> Client:
    browser = Client()
    browser.force_login(user)
    return browser


def accept(token: str, user: Any) -> Membership:
    return services.accept_invitation(token, user, by=Actor("user", user.pk, user.email, user_id=user.pk))


def test_an_invited_person_becomes_a_member_once(invite: Callable[..., str], acme: Any) -> None:
    guest, token = UserFactory(email=GUEST), invite()
    browser = browser_of(guest)
    shown = browser.get(link(token))
    assert "Join Acme" in shown.content.decode()
    assert not queries.memberships_of(guest), "a link that is only opened changes nothing"
    assert browser.post(link(token))["Location"] == "/o/acme/"
    assert queries.membership_in(guest, "acme").role == "developer"
    again = browser.post(link(token))
    assert (again.status_code, errors.InvitationUsed.detail in again.content.decode()) == (410, True)
    actions = list(
        AuditEntry.objects.filter(action__startswith="invitation").order_by("id").values_list("action", flat=True)
    )
    assert actions == ["invitation.sent", "invitation.accepted"]


def test_the_mail_names_the_organization_and_the_database_cannot_open_the_link(
    invite: Callable[..., str], settings: Any
) -> None:
    token = invite()
    (message,) = mail.outbox
    assert message.to == [GUEST]
    assert f"{settings.PUBLIC_URL}/invitations/{token}/" in message.body
    assert "Acme" in message.subject
    assert any(kind == "text/html" and "Join Acme" in page for page, kind in message.alternatives)
    secret = token.partition(".")[2]
    assert secret not in str(list(Invitation.objects.values()))
    assert secret not in str(list(AuditEntry.objects.values()))


def test_inviting_tells_nobody_who_has_an_account(api_owner: Any, in_acme: Any) -> None:
    UserFactory(email="known@elsewhere.test")
    answers = [
        api_owner.post("/api/v1/invitations/", {"email": f"{name}@elsewhere.test", "role": "analyst"})
        for name in ("known", "nobody")
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json().keys() == answers[1].json().keys()


def test_somebody_else_is_told_for_which_address_it_is(invite: Callable[..., str]) -> None:
    stranger, token = UserFactory(email="stranger@elsewhere.test"), invite()
    browser = browser_of(stranger)
    for answer in (browser.get(link(token)), browser.post(link(token))):
        assert answer.status_code == 403
        page = answer.content.decode()
        assert "for another address" in page
        assert "/accounts/logout/" in page
        assert GUEST in page
    assert not queries.memberships_of(stranger)


def test_an_address_that_is_only_claimed_does_not_count(invite: Callable[..., str]) -> None:
    claimer, token = UserFactory(email="claimer@elsewhere.test"), invite()
    EmailAddress.objects.create(user=claimer, email=GUEST, verified=False)
    with pytest.raises(errors.InvitationForAnother):
        accept(token, claimer)
    EmailAddress.objects.filter(email=GUEST).update(verified=True)
    assert accept(token, claimer).role == "developer"


def test_who_is_not_signed_in_is_led_to_sign_up_and_comes_back(
    invite: Callable[..., str], client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    token = invite()
    page = client.get(link(token)).content.decode()
    assert "Acme" in page
    assert GUEST not in page
    address = re.search(r'href="(/accounts/signup/[^"]+)"', page)
    assert address
    sent = len(mail.outbox)
    with django_capture_on_commit_callbacks(execute=True):
        body = {"email": GUEST, "password1": "correct horse battery", "next": link(token)}
        answer = client.post(address.group(1), body)
    assert answer["Location"] == link(token)
    assert EmailAddress.objects.get(email=GUEST).verified, "the link came from that mailbox"
    assert len(mail.outbox) == sent, "so no other mail has to prove it"
    assert client.post(link(token))["Location"] == "/o/acme/"


def test_signing_up_by_the_link_with_another_address_proves_nothing(invite: Callable[..., str], client: Client) -> None:
    token = invite()
    client.get(link(token))
    client.post("/accounts/signup/", {"email": "thief@elsewhere.test", "password1": "correct horse battery"})
    assert not EmailAddress.objects.get(email="thief@elsewhere.test").verified
    assert not EmailAddress.objects.filter(email=GUEST).exists()


def test_who_signs_in_comes_back_to_the_invitation(invite: Callable[..., str], client: Client) -> None:
    guest, token = UserFactory(email=GUEST), invite()
    body = {"login": guest.email, "password": PASSWORD, "next": link(token)}
    assert client.post("/accounts/login/", body)["Location"] == link(token)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ("nonsense", "invitation_not_valid"),
        ("wrong secret", "invitation_not_valid"),
        ("other organization", "invitation_not_valid"),
        ("expired", "invitation_expired"),
        ("revoked", "invitation_revoked"),
        ("inviter removed", "inviter_lost"),
        ("inviter demoted", "inviter_lost"),
        ("inviter deactivated", "inviter_lost"),
        ("already a member", "already_member"),
    ],
)
def test_a_link_that_cannot_be_used_says_why_to_nobody_but_its_holder(
    spoil: str, code: str, invite: Callable[..., str], acme: Any, globex: Any, owner: Any, developer: Any, actor: Actor
) -> None:
    guest = UserFactory(email=GUEST)
    boss = UserFactory(email="boss@acme.test")
    Membership.objects.create(user=boss, role="admin")
    token = invite(by=actor_of(boss, "admin"))
    row, bosses = Invitation.objects.get(), Membership.objects.get(user=boss)
    match spoil:
        case "nonsense":
            token = "nonsense"
        case "wrong secret":
            token = token[:-4] + "aaaa"
        case "other organization":
            token = token.replace(acme.pk.hex, globex.pk.hex)
        case "expired":
            Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        case "revoked":
            services.revoke_invitation(row, by=actor)
        case "inviter removed":
            services.remove_member(bosses, by=actor)
        case "inviter demoted":
            services.change_role(bosses, "developer", by=actor)
        case "inviter deactivated":
            boss.is_active = False
            boss.save()
        case "already a member":
            Membership.objects.create(user=guest, role="analyst")
    before = queries.memberships_of(guest)
    with pytest.raises(errors.InvitationNotOpen) as refused:
        accept(token, guest)
    assert refused.value.code == code
    nobody = [] if code == "already_member" else [Client()]
    for browser in (browser_of(guest), *nobody):
        answer = browser.get(link(token))
        assert answer.status_code == refused.value.status
        assert refused.value.message in answer.content.decode()
        assert GUEST not in answer.content.decode()
    assert queries.memberships_of(guest) == before


def test_of_a_role_the_inviter_lost_nothing_is_given(invite: Callable[..., str], owner: Any, developer: Any) -> None:
    Membership.objects.filter(user=developer).update(role="owner")
    token = invite(role="owner", by=actor_of(developer, "owner"))
    Membership.objects.filter(user=developer).update(role="admin")
    with pytest.raises(errors.InviterLost):
        invitations.shown(token)


@pytest.mark.parametrize("role", ["owner", "admin"])
def test_nobody_invites_above_their_own_role(role: str, in_acme: Any, viewer: Any) -> None:
    Membership.objects.filter(user=viewer).update(role="admin")
    by = actor_of(viewer, "admin")
    if role == "owner":
        with pytest.raises(errors.RoleAboveOwn):
            services.invite_member(GUEST, role, by=by)
    else:
        assert services.invite_member(GUEST, role, by=by).role == role


def test_a_member_and_somebody_invited_are_not_invited_again(in_acme: Any, actor: Actor, viewer: Any) -> None:
    with pytest.raises(errors.MemberExists):
        services.invite_member(viewer.email.upper(), "analyst", by=actor)
    services.invite_member(GUEST, "analyst", by=actor)
    with pytest.raises(errors.InvitationPending):
        services.invite_member(GUEST.upper(), "developer", by=actor)


def test_after_an_invitation_expired_another_one_can_be_sent(invite: Callable[..., str]) -> None:
    invite()
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    token = invite()
    assert invitations.shown(token).email == GUEST
    assert [row.status for row in Invitation.objects.order_by("id")] == ["revoked", "open"]


def test_sending_again_ends_the_old_link_and_makes_the_sender_answer_for_it(
    invite: Callable[..., str], owner: Any, viewer: Any, actor: Actor, django_capture_on_commit_callbacks: Any
) -> None:
    Membership.objects.filter(user=viewer).update(role="admin")
    old = invite(by=actor_of(viewer, "admin"))
    with django_capture_on_commit_callbacks(execute=True):
        row = services.resend_invitation(Invitation.objects.get(), by=actor)
    assert row.invited_by.user_id == owner.pk
    with pytest.raises(errors.InvitationNotValid):
        invitations.shown(old)
    services.remove_member(Membership.objects.get(user=viewer), by=actor)
    assert invitations.shown(token_in(mail.outbox[-1])).sent_count == 2


def test_an_address_gets_few_mails_in_an_hour(in_acme: Any, actor: Actor) -> None:
    row = services.invite_member(GUEST, "analyst", by=actor)
    for _ in range(3):
        row = services.resend_invitation(row, by=actor)
    with pytest.raises(errors.InvitedTooOften):
        services.resend_invitation(row, by=actor)
    services.revoke_invitation(row, by=actor)
    with pytest.raises(errors.InvitedTooOften):
        services.invite_member(GUEST, "analyst", by=actor)
    Invitation.objects.update(sent_at=timezone.now() - timedelta(hours=1, seconds=1))
    assert services.invite_member(GUEST, "analyst", by=actor)


def fill(count: int, lasting: timedelta = timedelta(days=1)) -> None:
    now = timezone.now()
    Invitation.objects.bulk_create(
        Invitation(email=f"{number}@elsewhere.test", role="analyst", sent_at=now, expires_at=now + lasting)
        for number in range(count)
    )


@pytest.mark.django_db(transaction=True)
def test_s7_of_invitations_at_the_same_moment_as_many_pass_as_there_is_room_for(acme: Any, owner: Any) -> None:
    with tenancy.scope(acme.pk):
        fill(47)
    start = threading.Barrier(8)
    outcomes: list[str] = []

    def try_once(number: int) -> None:
        start.wait()
        with tenancy.scope(acme.pk):
            try:
                services.invite_member(f"late{number}@elsewhere.test", "analyst", by=actor_of(owner, "owner"))
                outcomes.append("sent")
            except errors.TooManyInvitations as error:
                outcomes.append(error.code)
        connections.close_all()

    threads = [threading.Thread(target=try_once, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [*["sent"] * 3, *["too_many_invitations"] * 5]


def test_fifty_invitations_are_open_at_most_and_revoking_makes_no_room(in_acme: Any, actor: Actor) -> None:
    now = timezone.now()
    fill(49)
    row = services.invite_member("last@elsewhere.test", "analyst", by=actor)
    with pytest.raises(errors.TooManyInvitations):
        services.invite_member(GUEST, "analyst", by=actor)
    services.revoke_invitation(row, by=actor)
    with pytest.raises(errors.TooManyInvitations):
        services.invite_member(GUEST, "analyst", by=actor)
    Invitation.objects.filter(pk=row.pk).update(revoked_at=now - timedelta(days=1, seconds=1))
    assert services.invite_member(GUEST, "analyst", by=actor)


def test_expired_invitations_leave_room(in_acme: Any, actor: Actor) -> None:
    fill(50, lasting=-timedelta(days=1))
    assert services.invite_member(GUEST, "analyst", by=actor)


@pytest.mark.parametrize("name", ["a" * 280, "a" * 250])
def test_an_address_that_is_too_long_is_refused_beside_its_field(name: str, api_owner: Any, as_owner: Client) -> None:
    body = {"email": f"{name}@elsewhere.test", "role": "analyst"}
    refused = api_owner.post("/api/v1/invitations/", body)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "email")
    assert as_owner.post("/o/acme/settings/invitations/", body).status_code == 422


def test_the_organizations_name_writes_no_line_of_the_mail(
    api_owner: Any, acme: Any, django_capture_on_commit_callbacks: Any
) -> None:
    name = "Acme\n\nSign in first: https://elsewhere.test/\n\nThanks"
    assert api_owner.patch("/api/v1/organization/", {"name": name}).json()["name"] == " ".join(name.split())
    with django_capture_on_commit_callbacks(execute=True):
        api_owner.post("/api/v1/invitations/", {"email": GUEST, "role": "analyst"})
    assert not re.search(r"^Sign in first", mail.outbox[-1].body, re.MULTILINE)


@pytest.mark.django_db(transaction=True)
def test_of_acceptances_at_the_same_moment_one_wins(acme: Any, owner: Any) -> None:
    guest = UserFactory(email=GUEST)
    with tenancy.scope(acme.pk):
        services.invite_member(GUEST, "developer", by=actor_of(owner, "owner"))
    token = token_in(mail.outbox[-1])
    start = threading.Barrier(6)
    outcomes: list[str] = []

    def try_once() -> None:
        start.wait()
        try:
            accept(token, guest)
            outcomes.append("in")
        except errors.InvitationNotOpen as error:
            outcomes.append(error.code)
        connections.close_all()

    threads = [threading.Thread(target=try_once) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["in", *["invitation_used"] * 5]


def test_the_api_invites_lists_sends_again_and_revokes(api_owner: Any, in_acme: Any) -> None:
    made = api_owner.post("/api/v1/invitations/", {"email": GUEST, "role": "developer"})
    assert made.status_code == 201
    row = made.json()
    assert made["Location"].endswith(f"/api/v1/invitations/{row['id']}/")
    assert (row["status"], row["invited_by"]) == ("open", "owner@acme.test")
    assert "secret" not in made.content.decode()
    address = f"/api/v1/invitations/{row['id']}/"
    assert api_owner.post(f"{address}resend/").json()["sent_count"] == 2
    assert api_owner.post(f"{address}revoke/").json()["status"] == "revoked"
    assert api_owner.post(f"{address}resend/").json()["code"] == "invitation_revoked"
    for status, count in (("open", 0), ("revoked", 1)):
        assert len(api_owner.get(f"/api/v1/invitations/?status={status}").json()["results"]) == count
    assert api_owner.get("/api/v1/invitations/?status=lost").status_code == 422


def test_the_api_takes_an_address_and_a_role_and_nothing_else(api_owner: Any, in_acme: Any) -> None:
    shown = api_owner.post("/api/v1/invitations/", {"email": "first@elsewhere.test", "role": "analyst"}).json()
    planted = {
        "id": "00000000-0000-0000-0000-000000000001",
        "status": "accepted",
        "invited_by": "somebody@else.test",
        "sent_at": "2001-01-01T00:00:00Z",
        "sent_count": 0,
        "expires_at": "2101-01-01T00:00:00Z",
        "accepted_at": "2001-01-01T00:00:00Z",
        "revoked_at": "2001-01-01T00:00:00Z",
        "created_at": "2001-01-01T00:00:00Z",
    }
    assert shown.keys() == planted.keys() | {"email", "role"}
    made = api_owner.post("/api/v1/invitations/", {**planted, "email": GUEST, "role": "analyst"}).json()
    assert {name for name in planted if made[name] == planted[name]} == set()
    assert (made["accepted_at"], made["revoked_at"], made["sent_count"]) == (None, None, 1)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "nobody", "role": "analyst"}, "email"),
        ({"email": GUEST, "role": "emperor"}, "role"),
        ({"role": "analyst"}, "email"),
        ({"email": "viewer@acme.test", "role": "analyst"}, "email"),
    ],
)
def test_a_wrong_invitation_is_told_beside_its_field(
    body: Any, field: str, api_owner: Any, as_owner: Client, in_acme: Any
) -> None:
    refused = api_owner.post("/api/v1/invitations/", body)
    assert refused.status_code in {409, 422}
    assert refused.json()["errors"][0]["field"] == field
    page = as_owner.post("/o/acme/settings/invitations/", body)
    assert page.status_code == 422
    assert f'id="id_{field}_error"' in page.content.decode()
    assert 'hx-get="/o/acme/settings/members/?"' in page.content.decode(), "kept live from the list, not the form"


def test_the_page_sends_again_and_revokes(as_owner: Client, in_acme: Any) -> None:
    assert as_owner.post("/o/acme/settings/invitations/", {"email": GUEST, "role": "analyst"}).status_code == 303
    row = Invitation.objects.get()
    page = as_owner.get("/o/acme/settings/members/").content.decode()
    assert GUEST in page
    for action in ("resend", "revoke"):
        assert f"/o/acme/settings/invitations/{row.pk}/{action}/" in page
        assert as_owner.post(f"/o/acme/settings/invitations/{row.pk}/{action}/").status_code == 303
    row.refresh_from_db()
    assert (row.sent_count, row.status) == (2, "revoked")


@pytest.mark.parametrize("role", ["analyst", "billing", "developer"])
def test_who_does_not_manage_invites_nobody(role: str, in_acme: Any, viewer: Any) -> None:
    Membership.objects.filter(user=viewer).update(role=role)
    browser = browser_of(viewer)
    assert browser.post("/o/acme/settings/invitations/", {"email": GUEST, "role": role}).status_code == 403
    assert browser.post("/api/v1/invitations/", {"email": GUEST, "role": role}).status_code == 403
    assert not Invitation.objects.exists()


def test_invitations_of_another_organization_are_not_found(api_outsider: Any, in_acme: Any, actor: Actor) -> None:
    row = services.invite_member(GUEST, "analyst", by=actor)
    assert api_outsider.get(f"/api/v1/invitations/{row.pk}/").status_code == 404
    for action in ("resend", "revoke"):
        assert api_outsider.post(f"/api/v1/invitations/{row.pk}/{action}/").status_code == 404
    assert api_outsider.get("/api/v1/invitations/").json()["results"] == []


@pytest.mark.parametrize("address", ["/o/acme/settings/members/", "/api/v1/invitations/"])
def test_three_invitations_cost_what_one_costs(address: str, as_owner: Client, in_acme: Any, actor: Actor) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert as_owner.get(address).status_code == 200
        return len(asked)

    services.invite_member(GUEST, "analyst", by=actor)
    cost()
    one = cost()
    for number in range(2):
        services.invite_member(f"{number}@elsewhere.test", "analyst", by=actor)
    assert cost() == one
