"""An organization's name, address, time zone and security; handing it over."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from apps.audit.models import AuditEntry
from apps.core import tenancy, time_zones
from apps.core.actors import Actor
from apps.core.errors import NotFound, PermissionMissing
from apps.organizations import errors, services
from apps.organizations.models import Membership, Organization
from tests.conftest import actor_of

pytestmark = pytest.mark.django_db

SETTINGS = "/o/acme/settings/"
FORM = {"name": "Acme", "slug": "acme", "time_zone": "UTC"}


def of(user: Any) -> Membership:
    return Membership.objects.get(user=user)


def test_the_page_changes_name_and_time_zone(as_owner: Client, acme: Any) -> None:
    assert as_owner.post(SETTINGS, {**FORM, "name": "Acme Ltd", "time_zone": "Europe/Berlin"}).status_code == 303
    acme.refresh_from_db()
    assert (acme.name, acme.time_zone) == ("Acme Ltd", "Europe/Berlin")
    with tenancy.scope(acme.pk):
        told = AuditEntry.objects.get(action="organization.changed").changes
    assert told == {"name": ["Acme", "Acme Ltd"], "time_zone": ["UTC", "Europe/Berlin"]}


def test_a_new_address_takes_over_and_the_old_one_is_gone(as_owner: Client, acme: Any) -> None:
    answer = as_owner.post(SETTINGS, {**FORM, "slug": "acme-labs"})
    assert answer["Location"] == "/o/acme-labs/settings/"
    assert "The address changed" in as_owner.get("/o/acme-labs/settings/").content.decode()
    assert as_owner.get(SETTINGS).status_code == 404
    old, new = (as_owner.get("/api/v1/me/", headers={"Modelyard-Organization": slug}) for slug in ("acme", "acme-labs"))
    assert (old.status_code, new.status_code) == (404, 200)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("name", "", "required"),
        ("slug", "Acme Labs", "small letters"),
        ("slug", "-acme", "small letters"),
        ("slug", "a", "at least 2"),
        ("slug", "globex", "taken"),
        ("time_zone", "Mars/Olympus", "Mars/Olympus"),
        ("time_zone", "localtime", "localtime"),
    ],
)
def test_a_wrong_setting_is_told_beside_its_field(
    field: str, value: str, text: str, as_owner: Client, api_owner: Any, acme: Any, globex: Any
) -> None:
    page = as_owner.post(SETTINGS, {**FORM, field: value})
    assert page.status_code == 422
    assert f'id="id_{field}_error"' in page.content.decode()
    assert text in page.content.decode()
    refused = api_owner.patch("/api/v1/organization/", {field: value})
    assert refused.status_code in {409, 422}
    assert refused.json()["errors"][0]["field"] == field
    acme.refresh_from_db()
    assert {name: getattr(acme, name) for name in FORM} == FORM


@pytest.mark.parametrize("role", ["analyst", "billing", "developer"])
def test_who_does_not_manage_changes_nothing(role: str, acme: Any, in_acme: Any, viewer: Any) -> None:
    Membership.objects.filter(user=viewer).update(role=role)
    browser = Client()
    browser.force_login(viewer)
    page = browser.get(SETTINGS)
    assert page.status_code == 200
    assert b'name="slug"' not in page.content
    assert b"Hand over" not in page.content
    for path in ("", "transfer/"):
        assert browser.post(f"{SETTINGS}{path}", FORM).status_code == 403
    assert browser.patch("/api/v1/organization/", {"name": "x"}, "application/json").status_code == 403
    assert browser.post("/api/v1/organization/transfer/").status_code == 403


def test_whoever_saves_an_old_form_sees_what_changed_meanwhile(as_owner: Client, acme: Any, actor: Actor) -> None:
    page = as_owner.get(SETTINGS).context["form"]
    seen = page["seen"].value()
    with tenancy.scope(acme.pk):
        services.update_organization(acme, name="Acme & Sons", by=actor)
    refused = as_owner.post(SETTINGS, {**FORM, "name": "Acme Ltd", "seen": seen})
    assert refused.status_code == 422
    assert "Acme &amp; Sons" in refused.content.decode()
    acme.refresh_from_db()
    assert acme.name == "Acme & Sons"


def test_the_api_changes_what_is_given_in_the_state_that_was_seen(api_owner: Any, acme: Any) -> None:
    seen = api_owner.get("/api/v1/organization/")
    changed = api_owner.patch("/api/v1/organization/", {"name": "Acme Ltd"}, headers={"If-Match": seen["ETag"]})
    assert changed.json() == {**seen.json(), "name": "Acme Ltd"}
    late = api_owner.patch("/api/v1/organization/", {"name": "Late"}, headers={"If-Match": seen["ETag"]})
    assert late.status_code == 412
    assert api_owner.patch("/api/v1/organization/", {}).json()["name"] == "Acme Ltd"


def test_what_cannot_be_edited_is_ignored(api_owner: Any, acme: Any, globex: Any) -> None:
    shown = api_owner.get("/api/v1/organization/").json()
    planted = {"id": str(globex.pk), "created_at": "2001-01-01T00:00:00Z", "plan": "starter"}
    assert shown.keys() - planted.keys() == {"slug", "name", "time_zone", "requires_second_factor"}
    assert api_owner.patch("/api/v1/organization/", planted).json() == shown


def test_whether_an_address_is_free_is_told_while_typing(as_owner: Client, acme: Any, globex: Any) -> None:
    def told(**typed: str) -> str:
        return as_owner.get("/organizations/address/", typed).content.decode()

    assert "/o/<strong>blue-bakery</strong>/ is free" in told(name="Blue Bakery")
    assert "globex is taken." in told(slug="globex")
    assert "one that begins with it is made" in told(name="Globex")
    assert "small letters" in told(slug="Blue Bakery")
    assert told(slug="acme", current="acme").strip() == ""
    assert told(slug="").strip() == ""
    assert Client().get("/organizations/address/").status_code == 302


def test_a_founder_chooses_the_address_or_leaves_it_to_the_name(as_owner: Client, acme: Any) -> None:
    assert as_owner.post("/welcome/", {"name": "Blue Bakery", "slug": "bakery"})["Location"] == "/o/bakery/"
    assert as_owner.post("/welcome/", {"name": "Blue Bakery"})["Location"] == "/o/blue-bakery/"
    refused = as_owner.post("/welcome/", {"name": "Another", "slug": "acme"})
    assert refused.status_code == 422
    assert "taken" in refused.content.decode()
    switcher = as_owner.get(SETTINGS).content.decode()
    assert 'href="/o/bakery/"' in switcher
    assert 'href="/welcome/"' in switcher


def test_handing_over_makes_one_an_owner_and_the_other_an_admin(in_acme: Any, owner: Any, viewer: Any) -> None:
    services.transfer_ownership(of(viewer), by=actor_of(owner, "owner"))
    assert (of(viewer).role, of(owner).role) == ("owner", "admin")
    told = AuditEntry.objects.get(action="organization.transferred")
    assert told.told_changes == [("owner", f"{owner.email} → {viewer.email}")]


def test_nobody_hands_over_what_is_not_theirs(in_acme: Any, owner: Any, viewer: Any, developer: Any) -> None:
    Membership.objects.filter(user=developer).update(role="admin")
    with pytest.raises(PermissionMissing):
        services.transfer_ownership(of(viewer), by=actor_of(developer, "admin"))
    with pytest.raises(errors.AlreadyYours):
        services.transfer_ownership(of(owner), by=actor_of(owner, "owner"))
    with pytest.raises(errors.PersonNeeded):
        services.transfer_ownership(of(viewer), by=Actor("token", None, "of the organization"))


def test_handing_over_on_the_page_asks_for_the_name(as_owner: Client, in_acme: Any, owner: Any, viewer: Any) -> None:
    body = {"member": str(of(viewer).pk), "confirmation": "acme"}
    refused = as_owner.post(f"{SETTINGS}transfer/", body)
    assert (refused.status_code, of(owner).role) == (422, "owner")
    assert "Type <code>Acme</code> to confirm." in refused.content.decode()
    assert as_owner.post(f"{SETTINGS}transfer/", {**body, "confirmation": "Acme"}).status_code == 303
    assert (of(viewer).role, of(owner).role) == ("owner", "admin")


def test_handing_over_by_the_api(api_owner: Any, in_acme: Any, owner: Any, viewer: Any, globex: Any) -> None:
    answer = api_owner.post("/api/v1/organization/transfer/", {"member": str(of(viewer).pk)})
    assert (answer.json()["email"], answer.json()["role"]) == (viewer.email, "owner")
    assert of(owner).role == "admin"
    again = api_owner.post("/api/v1/organization/transfer/", {"member": str(of(viewer).pk)})
    assert again.status_code == 403


@pytest.mark.parametrize("body", [{}, {"member": "nobody"}, {"member": None}])
def test_handing_over_to_nobody_is_refused(body: Any, api_owner: Any) -> None:
    refused = api_owner.post("/api/v1/organization/transfer/", body)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "member")


@pytest.mark.django_db(transaction=True)
def test_handing_over_while_the_heir_leaves_ends_with_an_owner(acme: Any, owner: Any, viewer: Any) -> None:
    with tenancy.scope(acme.pk):
        heir = of(viewer)
    start = threading.Barrier(2)

    def hand_over() -> None:
        with tenancy.scope(acme.pk):
            services.transfer_ownership(heir, by=actor_of(owner, "owner"))

    def leave() -> None:
        with tenancy.scope(acme.pk):
            services.leave_organization(by=actor_of(viewer, "analyst"))

    def at_once(service: Any) -> None:
        start.wait()
        try:
            service()
        except (errors.LastOwner, NotFound):
            pass
        finally:
            connections.close_all()

    threads = [threading.Thread(target=at_once, args=[service]) for service in (hand_over, leave)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with tenancy.scope(acme.pk):
        assert Membership.objects.filter(role="owner").exists()
    assert Organization.objects.filter(pk=acme.pk).exists()


def test_each_place_is_offered_once_and_by_its_present_name() -> None:
    offered = [name for _, zones in time_zones.choices() for name, _ in zones]
    assert {"UTC", "Europe/Istanbul", "Europe/Oslo", "Asia/Kolkata"} <= set(offered)
    assert not {"Asia/Istanbul", "Asia/Calcutta", "America/Buenos_Aires", "Europe/Belfast"} & set(offered)
    assert time_zones.exists("Asia/Calcutta")
