"""Members and their roles: nobody above one's own role, never without an owner, gone with the next request."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from apps.accounts.jwt import families
from apps.accounts.models import RefreshFamily
from apps.audit.models import AuditEntry
from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.consumers import COME_AGAIN
from apps.core.errors import NotFound
from apps.organizations import errors, role_table, services
from apps.organizations.models import Invitation, Membership
from apps.organizations.permissions import TABLE, permissions_of
from apps.organizations.sockets import NOT_FOUND
from tests.conftest import actor_of
from tests.core.sockets import Socket
from tests.factories.people import UserFactory

pytestmark = pytest.mark.django_db


def of(user: Any) -> Membership:
    return Membership.objects.get(user=user)


@pytest.fixture
def admin(in_acme: Any) -> Any:
    user = UserFactory(email="admin@acme.test")
    Membership.objects.create(user=user, role="admin")
    return user


@pytest.mark.parametrize(
    "lose",
    [
        lambda own, by: services.change_role(own, "admin", by=by),
        lambda own, by: services.remove_member(own, by=by),
        lambda own, by: services.leave_organization(by=by),
    ],
    ids=["role", "removal", "leaving"],
)
def test_the_last_owner_stays_one(lose: Callable[..., Any], in_acme: Any, owner: Any, actor: Actor) -> None:
    with pytest.raises(errors.LastOwner):
        lose(of(owner), actor)
    assert of(owner).role == "owner"


def test_an_owner_whose_account_is_off_does_not_count(
    in_acme: Any, as_owner: Client, developer: Any, actor: Actor
) -> None:
    services.change_role(of(developer), "owner", by=actor)
    developer.is_active = False
    developer.save()
    with pytest.raises(errors.LastOwner):
        services.leave_organization(by=actor)
    with pytest.raises(errors.HeirInactive):
        services.transfer_ownership(of(developer), by=actor)
    assert str(of(developer).pk) not in as_owner.get("/o/acme/settings/").content.decode()


def test_one_of_two_owners_may_go(in_acme: Any, owner: Any, developer: Any, actor: Actor) -> None:
    services.change_role(of(developer), "owner", by=actor)
    services.leave_organization(by=actor)
    assert list(Membership.objects.filter(role="owner").values_list("user", flat=True)) == [developer.pk]


@pytest.mark.parametrize(("target", "role"), [("developer", "owner"), ("owner", "developer")])
def test_an_admin_neither_gives_nor_takes_the_role_above(
    target: str, role: str, in_acme: Any, admin: Any, request: pytest.FixtureRequest
) -> None:
    membership = of(request.getfixturevalue(target))
    with pytest.raises(errors.RoleAboveOwn):
        services.change_role(membership, role, by=actor_of(admin, "admin"))


def test_an_admin_does_not_remove_an_owner(in_acme: Any, admin: Any, owner: Any) -> None:
    with pytest.raises(errors.RoleAboveOwn):
        services.remove_member(of(owner), by=actor_of(admin, "admin"))


def test_a_token_gives_no_role_that_can_do_more_than_the_token(in_acme: Any, owner: Any, viewer: Any) -> None:
    narrow = Actor("token", owner.pk, "t", frozenset({"members.write"}), owner.pk)
    with pytest.raises(errors.RoleAboveOwn):
        services.change_role(of(viewer), "analyst", by=narrow)


def test_only_a_person_leaves(in_acme: Any) -> None:
    with pytest.raises(errors.PersonNeeded):
        services.leave_organization(by=Actor("token", None, "token of the organization", permissions_of("owner")))


def test_somebody_removed_meanwhile_is_not_found(in_acme: Any, viewer: Any, actor: Actor) -> None:
    membership = of(viewer)
    services.remove_member(membership, by=actor)
    membership = Membership(pk=membership.pk, organization=in_acme, user=viewer, role="analyst")
    with pytest.raises(NotFound):
        services.remove_member(membership, by=actor)


def test_every_way_out_ends_the_persons_programs_and_leaves_a_line(
    in_acme: Any, developer: Any, viewer: Any, actor: Actor
) -> None:
    for user in (developer, viewer):
        families.start_family(user)
    services.remove_member(of(developer), by=actor)
    services.leave_organization(by=actor_of(viewer, "analyst"))
    assert not RefreshFamily.objects.filter(revoked_at=None).exists()
    told = list(AuditEntry.objects.filter(action__startswith="member.").order_by("id").values_list("action", "changes"))
    assert told == [
        ("member.removed", {"email": developer.email, "role": "developer"}),
        ("member.left", {"email": viewer.email, "role": "analyst"}),
    ]


def test_a_member_removed_in_mid_session_is_out_with_the_next_request(
    as_viewer: Client, in_acme: Any, viewer: Any, actor: Actor
) -> None:
    assert as_viewer.get("/o/acme/data/").status_code == 200
    assert as_viewer.get("/api/v1/datasets/").status_code == 200
    services.remove_member(of(viewer), by=actor)
    assert as_viewer.get("/o/acme/data/").status_code == 404
    assert as_viewer.get("/api/v1/datasets/").status_code == 404
    assert as_viewer.get("/api/v1/datasets/", headers={"Modelyard-Organization": "acme"}).status_code == 404


def test_a_taken_role_is_gone_with_the_next_request(
    as_developer: Client, in_acme: Any, developer: Any, actor: Actor
) -> None:
    assert as_developer.get("/o/acme/data/").status_code == 200
    services.change_role(of(developer), "billing", by=actor)
    assert as_developer.get("/o/acme/data/").status_code == 403
    assert as_developer.get("/api/v1/datasets/").status_code == 403


@pytest.mark.django_db(transaction=True)
async def test_the_open_page_of_somebody_removed_hears_nothing_more(acme: Any, viewer: Any, owner: Any) -> None:
    def remove() -> None:
        with tenancy.scope(acme.pk):
            services.remove_member(of(viewer), by=actor_of(owner, "owner"))

    socket = Socket("acme", viewer)
    assert await socket.connect()
    await sync_to_async(remove)()
    assert await socket.closed_with() == COME_AGAIN
    again = Socket("acme", viewer)
    await again.connect()
    assert await again.closed_with() == NOT_FOUND


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["page", "api"])
def test_two_owners_who_remove_each_other_leave_one_owner(way: str, acme: Any, owner: Any, developer: Any) -> None:
    with tenancy.scope(acme.pk):
        Membership.objects.filter(user=developer).update(role="owner")
        ids = {user.pk: of(user).pk for user in (owner, developer)}
    start = threading.Barrier(2)
    answers: list[int] = []

    def remove(by: Any, other: Any) -> None:
        browser = Client()
        browser.force_login(by)
        start.wait()
        if way == "page":
            answer = browser.post(f"/o/acme/settings/members/{ids[other.pk]}/remove/")
        else:
            answer = browser.delete(f"/api/v1/members/{ids[other.pk]}/")
        answers.append(answer.status_code)
        connections.close_all()

    threads = [threading.Thread(target=remove, args=pair) for pair in ((owner, developer), (developer, owner))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with tenancy.scope(acme.pk):
        assert Membership.objects.filter(role="owner").count() == 1
    # The other one was the last owner, or out already.
    assert sorted(answers)[0] in {204, 303}
    assert sorted(answers)[1] in {404, 409}


def test_members_change_roles_on_the_page(as_owner: Client, in_acme: Any, viewer: Any) -> None:
    address = f"/o/acme/settings/members/{of(viewer).pk}/role/"
    assert as_owner.post(address, {"role": "developer"}).status_code == 303
    assert of(viewer).role == "developer"
    refused = as_owner.post(address, {"role": "emperor"})
    assert (refused.status_code, of(viewer).role) == (422, "developer")
    assert "not one of the available choices" in refused.content.decode()


def test_the_last_owner_is_told_on_the_page(as_owner: Client, in_acme: Any, owner: Any) -> None:
    refused = as_owner.post(f"/o/acme/settings/members/{of(owner).pk}/role/", {"role": "admin"})
    assert refused.status_code == 422
    assert errors.LastOwner.detail in refused.content.decode()
    assert as_owner.post("/o/acme/settings/leave/").status_code == 409


def test_the_only_owner_is_told_so_before_leaving(as_owner: Client, in_acme: Any, developer: Any, actor: Actor) -> None:
    alone = as_owner.get("/o/acme/settings/").content.decode()
    assert "You are the only owner" in alone
    assert "/settings/leave/" not in alone
    services.change_role(of(developer), "owner", by=actor)
    assert "/settings/leave/" in as_owner.get("/o/acme/settings/").content.decode()


def test_what_was_done_with_a_member_is_told(as_owner: Client, in_acme: Any, viewer: Any) -> None:
    def told(address: str, **body: str) -> str:
        return as_owner.get(as_owner.post(f"/o/acme/settings/{address}", body)["Location"]).content.decode()

    member = f"members/{of(viewer).pk}"
    assert "viewer@acme.test has the role Developer now." in told(f"{member}/role/", role="developer")
    assert "viewer@acme.test was removed." in told(f"{member}/remove/")
    assert "The invitation was sent to guest@x.test." in told("invitations/", email="guest@x.test", role="analyst")
    invitation = f"invitations/{Invitation.objects.get().pk}"
    assert "A new link was sent to guest@x.test." in told(f"{invitation}/resend/")
    assert "The invitation of guest@x.test was revoked." in told(f"{invitation}/revoke/")


def test_leaving_on_the_page_leads_out(as_viewer: Client, in_acme: Any, viewer: Any) -> None:
    assert "/settings/leave/" in as_viewer.get("/o/acme/settings/").content.decode()
    assert as_viewer.post("/o/acme/settings/leave/")["Location"] == "/"
    assert not Membership.objects.filter(user=viewer).exists()


def test_the_page_offers_no_role_above_ones_own(in_acme: Any, admin: Any) -> None:
    browser = Client()
    browser.force_login(admin)
    page = browser.get("/o/acme/settings/members/").content.decode()
    assert 'value="developer"' in page
    assert 'value="owner"' not in page


@pytest.mark.parametrize("role", ["analyst", "billing", "developer"])
def test_who_does_not_manage_changes_nobody(role: str, in_acme: Any, viewer: Any, owner: Any) -> None:
    Membership.objects.filter(user=viewer).update(role=role)
    browser = Client()
    browser.force_login(viewer)
    page = browser.get("/o/acme/settings/members/")
    assert page.status_code == 200
    assert b"/role/" not in page.content
    assert browser.post(f"/o/acme/settings/members/{of(owner).pk}/remove/").status_code == 403
    assert browser.patch(f"/api/v1/members/{of(owner).pk}/", {}, "application/json").status_code == 403


def test_the_api_changes_and_removes_in_the_state_that_was_seen(api_owner: Any, in_acme: Any, viewer: Any) -> None:
    address = f"/api/v1/members/{of(viewer).pk}/"
    seen = api_owner.get(address)["ETag"]
    assert api_owner.patch(address, {"role": "billing"}, headers={"If-Match": seen}).json()["role"] == "billing"
    assert api_owner.delete(address, headers={"If-Match": seen}).status_code == 412
    assert api_owner.patch(address, {"role": "emperor"}).json()["errors"][0]["field"] == "role"
    assert api_owner.delete(address).status_code == 204


def test_the_api_changes_nothing_but_the_role(api_owner: Any, in_acme: Any, viewer: Any, owner: Any) -> None:
    address = f"/api/v1/members/{of(viewer).pk}/"
    shown = api_owner.get(address).json()
    other = {
        "id": str(of(owner).pk),
        "email": owner.email,
        "name": "somebody else",
        "created_at": "2001-01-01T00:00:00Z",
        "user": str(owner.pk),
        "organization": str(owner.pk),
    }
    assert set(shown) - {"role"} <= set(other)
    changed = api_owner.patch(address, {**other, "role": "billing"}).json()
    assert changed == {**shown, "role": "billing"}
    assert of(viewer).user_id == viewer.pk


def test_leaving_and_the_last_owner_by_the_api(api_owner: Any, api_viewer: Any, in_acme: Any, viewer: Any) -> None:
    refused = api_owner.post("/api/v1/organization/leave/")
    assert (refused.status_code, refused.json()["code"]) == (409, "last_owner")
    assert api_viewer.post("/api/v1/organization/leave/").status_code == 204
    assert not Membership.objects.filter(user=viewer).exists()


def test_members_of_another_organization_are_not_found(api_outsider: Any, in_acme: Any, viewer: Any) -> None:
    address = f"/api/v1/members/{of(viewer).pk}/"
    for answer in (
        api_outsider.get(address),
        api_outsider.patch(address, {"role": "owner"}),
        api_outsider.delete(address),
    ):
        assert answer.status_code == 404
    transfer = api_outsider.post("/api/v1/organization/transfer/", {"member": str(of(viewer).pk)})
    assert transfer.status_code == 404


def test_the_page_costs_the_same_for_one_member_and_for_more(as_owner: Client, in_acme: Any) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert as_owner.get("/o/acme/settings/members/").status_code == 200
        return len(queries)

    cost()
    more = cost()
    Membership.objects.exclude(role="owner").delete()
    assert cost() == more


def test_the_table_of_roles_is_told_whole(api_viewer: Any, as_viewer: Client) -> None:
    body = api_viewer.get("/api/v1/roles/").json()
    told = {row["permission"]: set(row["roles"]) for area in body["areas"] for row in area["permissions"]}
    assert told == {permission: set(roles) for permission, roles in TABLE.items()}
    assert [row["role"] for row in body["roles"]] == ["owner", "admin", "developer", "analyst", "billing"]


def test_the_page_tells_the_table_of_roles_in_words(as_viewer: Client) -> None:
    rows = {area.name: area.verbs_by_role for area in role_table.areas()}
    owner, admin = "see, change, hand over, leave, export, delete", "see, change, leave, export"
    assert rows["organization"] == [owner, admin, *["see, leave"] * 3]
    assert rows["usage"] == ["see"] * 5
    assert rows["predictions"] == ["ask for", "ask for", "ask for", "", ""]
    page = as_viewer.get("/o/acme/settings/members/").content.decode()
    assert all(escape(area.description[1:]) in page for area in role_table.areas())


def test_whose_role_changed_is_told_by_mail(
    in_acme: Any, viewer: Any, actor: Actor, mailoutbox: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        services.change_role(of(viewer), "developer", by=actor)
    with django_capture_on_commit_callbacks(execute=True):
        services.transfer_ownership(of(viewer), by=actor)
    assert [message.to for message in mailoutbox] == [[viewer.email]] * 2
    assert mailoutbox[0].subject.endswith("Your role in Acme is Developer now")
    assert "owner@acme.test changed your role" in mailoutbox[0].body
    assert mailoutbox[1].subject.endswith("Your role in Acme is Owner now")
