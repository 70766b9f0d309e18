"""What a token may do, from where, until when, and who is in charge of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import sleep
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from apps.audit.models import AuditEntry
from apps.core import tenancy, tokens
from apps.core.actors import Actor
from apps.core.errors import NotAuthenticated, PermissionMissing
from apps.organizations import errors, queries, services
from apps.organizations.enums import TokenKind
from apps.organizations.models import ApiToken, Membership
from tests.conftest import actor_of
from tests.factories.people import UserFactory

pytestmark = pytest.mark.django_db

HOME = {"address": "203.0.113.7", "agent": "test"}
SCOPES = ["datasets.read", "datasets.write"]


@pytest.fixture
def admin(in_acme: Any) -> Actor:
    user = UserFactory(email="admin@acme.test")
    Membership.objects.create(user=user, role="admin")
    return actor_of(user, "admin")


@pytest.fixture
def developers(in_acme: Any, developer: Any) -> Actor:
    return actor_of(developer, "developer")


def works(text: str, **shown: str) -> bool:
    try:
        services.admit_token(text, **{**HOME, **shown})
    except NotAuthenticated:
        return False
    return True


# Kinds


def test_a_token_of_the_organization_outlives_its_makers_membership(
    in_acme: Any, owner: Any, actor: Actor, admin: Actor
) -> None:
    _, text = services.create_token("nightly", SCOPES, by=admin, kind=TokenKind.ORGANIZATION)
    _, personal = services.create_token("mine", SCOPES, by=admin)
    services.remove_member(Membership.objects.get(user_id=admin.user_id), by=actor)
    assert works(text)
    assert not works(personal)


def test_a_token_of_the_organization_keeps_its_scopes_when_its_makers_role_shrinks(
    in_acme: Any, actor: Actor, admin: Actor, rf: Any
) -> None:
    _, text = services.create_token("nightly", SCOPES, by=admin, kind=TokenKind.ORGANIZATION)
    services.change_role(Membership.objects.get(user_id=admin.user_id), "analyst", by=actor)
    request = rf.get("/")
    request.id = "req"
    caller = queries.actor_for_token(queries.token_for(text), request)
    assert caller.permissions == set(SCOPES)
    assert caller.user_id is None


@pytest.mark.parametrize("kind", TokenKind.values)
def test_no_token_can_do_more_than_its_maker_may_when_it_is_made(kind: str, admin: Actor) -> None:
    with pytest.raises(errors.ScopeNotHeld):
        services.create_token("too much", ["organization.transfer"], by=admin, kind=kind)


def test_a_token_of_the_organization_needs_the_right_to_make_one(developers: Actor) -> None:
    with pytest.raises(PermissionMissing):
        services.create_token("t", ["datasets.read"], by=developers, kind=TokenKind.ORGANIZATION)


def test_a_token_of_the_organization_makes_no_personal_tokens(admin: Actor) -> None:
    own, _ = services.create_token("robot", sorted(admin.permissions), by=admin, kind=TokenKind.ORGANIZATION)
    robot = Actor("token", own.pk, "robot", admin.permissions)
    with pytest.raises(errors.MembershipNeeded):
        services.create_token("t", ["datasets.read"], by=robot)
    row, _ = services.create_token("t", ["datasets.read"], by=robot, kind=TokenKind.ORGANIZATION)
    assert row.membership is None


# Whose tokens one sees and changes


def test_people_see_their_own_tokens_and_managers_everybodys(
    in_acme: Any, actor: Actor, admin: Actor, developers: Actor
) -> None:
    mine, _ = services.create_token("mine", SCOPES, by=developers)
    theirs, _ = services.create_token("theirs", SCOPES, by=actor)
    common, _ = services.create_token("common", SCOPES, by=actor, kind=TokenKind.ORGANIZATION)
    assert set(queries.tokens_shown_to(developers)) == {mine}
    assert set(queries.tokens_shown_to(admin)) == {mine, theirs, common}
    assert set(queries.tokens_shown_to(Actor("token", None, "robot"))) == set()


def test_people_are_in_charge_of_their_own_tokens_and_managers_of_all(
    in_acme: Any, actor: Actor, admin: Actor, developers: Actor
) -> None:
    mine, _ = services.create_token("mine", SCOPES, by=developers)
    theirs, _ = services.create_token("theirs", SCOPES, by=actor)
    for change in (services.revoke_token, lambda token, by: services.edit_token(token, "x", [], by=by)):
        with pytest.raises(PermissionMissing):
            change(theirs, by=developers)
    assert services.edit_token(mine, "renamed", [], by=developers).name == "renamed"
    assert services.revoke_token(theirs, by=admin).status == "revoked"


def test_a_managers_rotation_never_shows_the_secret_of_anothers_token(in_acme: Any, actor: Actor, admin: Actor) -> None:
    theirs, text = services.create_token("theirs", ["datasets.read"], by=admin)
    with pytest.raises(errors.NotItsPerson):
        services.rotate_token(theirs, by=actor)
    assert works(text)


@pytest.mark.parametrize("kind", TokenKind.values)
def test_nobody_rotates_a_token_that_can_do_more_than_they(kind: str, in_acme: Any, actor: Actor, admin: Actor) -> None:
    wide, _ = services.create_token("wide", ["organization.transfer"], by=actor, kind=kind)
    narrow = Actor("token", None, "narrow", frozenset({"tokens.write", "organization_tokens.write"}), actor.user_id)
    for by in (narrow, admin):
        with pytest.raises(errors.ScopeNotHeld):
            services.rotate_token(wide, by=by)


# Rotation


def test_after_a_rotation_both_secrets_work_until_the_overlap_is_over(in_acme: Any, actor: Actor) -> None:
    token, first = services.create_token("t", SCOPES, by=actor)
    token, second = services.rotate_token(token, by=actor, overlap=timedelta(hours=1))
    assert works(first)
    assert works(second)
    assert token.overlaps_until
    ApiToken.objects.update(previous_expires_at=timezone.now())
    assert not works(first)
    assert works(second)


def test_a_second_rotation_ends_the_oldest_secret(in_acme: Any, actor: Actor) -> None:
    token, first = services.create_token("t", SCOPES, by=actor)
    token, second = services.rotate_token(token, by=actor)
    token, third = services.rotate_token(token, by=actor)
    assert [works(text) for text in (first, second, third)] == [False, True, True]


def test_a_rotation_without_overlap_ends_the_present_secret_at_once(in_acme: Any, actor: Actor) -> None:
    token, first = services.create_token("t", SCOPES, by=actor)
    token, second = services.rotate_token(token, by=actor, overlap=timedelta())
    assert [works(first), works(second)] == [False, True]
    assert token.overlaps_until is None


def test_a_rotation_keeps_the_end_unless_told_another(in_acme: Any, actor: Actor) -> None:
    token, _ = services.create_token("t", SCOPES, by=actor)
    ends_at = token.expires_at
    assert services.rotate_token(token, by=actor)[0].expires_at == ends_at
    later = timezone.now() + timedelta(days=200)
    assert services.rotate_token(token, by=actor, expires_at=later)[0].expires_at == later


def test_revoking_ends_both_secrets(in_acme: Any, actor: Actor) -> None:
    token, first = services.create_token("t", SCOPES, by=actor)
    token, second = services.rotate_token(token, by=actor)
    services.revoke_token(token, by=actor)
    assert not works(first)
    assert not works(second)
    with pytest.raises(errors.TokenEnded):
        services.rotate_token(token, by=actor)


def test_an_expired_token_stays_expired(in_acme: Any, actor: Actor) -> None:
    token, _ = services.create_token("t", SCOPES, by=actor)
    ApiToken.objects.update(expires_at=timezone.now())
    with pytest.raises(errors.TokenEnded):
        services.rotate_token(token, by=actor)


@pytest.mark.parametrize(
    ("days", "error"), [(-1, errors.ExpiryPast), (0, errors.ExpiryPast), (367, errors.ExpiryTooFar)]
)
def test_a_token_ends_within_a_year(days: int, error: type[Exception], in_acme: Any, actor: Actor) -> None:
    ends_at = timezone.now() + timedelta(days=days)
    with pytest.raises(error):
        services.create_token("t", SCOPES, by=actor, expires_at=ends_at)
    token, _ = services.create_token("t", SCOPES, by=actor)
    with pytest.raises(error):
        services.rotate_token(token, by=actor, expires_at=ends_at)


def test_a_token_ends_after_90_days_by_default(in_acme: Any, actor: Actor) -> None:
    token, _ = services.create_token("t", SCOPES, by=actor)
    assert abs(token.expires_at - token.created_at - timedelta(days=90)) < timedelta(minutes=1)


# Networks


def test_a_token_is_refused_from_elsewhere_only_once_its_secret_matched(in_acme: Any, actor: Actor) -> None:
    _, text = services.create_token("t", SCOPES, by=actor, allowed_networks=["203.0.113.9/24", "2001:db8::/32"])
    assert works(text)
    assert works(text, address="2001:db8::7")
    with pytest.raises(errors.AddressNotAllowed) as refused:
        services.admit_token(text, address="198.51.100.1", agent="")
    assert "198.51.100.1" in refused.value.message
    assert not works(text[:-4] + "aaaa", address="198.51.100.1")


@pytest.fixture
def bound(in_acme: Any, actor: Actor) -> tuple[ApiToken, Actor]:
    """A token for one network that ends in a month, and the actor it is."""
    ends_at = timezone.now() + timedelta(days=30)
    scopes = ["datasets.read", "tokens.write"]
    row, _ = services.create_token("t", scopes, by=actor, allowed_networks=["10.0.0.0/8"], expires_at=ends_at)
    return row, Actor("token", row.pk, row.name, frozenset(scopes), actor.user_id)


def test_a_token_makes_no_token_that_is_freer_than_itself(bound: tuple[ApiToken, Actor]) -> None:
    row, by = bound
    child, _ = services.create_token("child", ["datasets.read"], by=by)
    assert (child.allowed_networks, child.expires_at) == (row.allowed_networks, row.expires_at)
    narrow, _ = services.create_token("narrow", ["datasets.read"], by=by, allowed_networks=["10.1.0.0/16"])
    assert narrow.allowed_networks == ["10.1.0.0/16"]
    with pytest.raises(errors.NetworkNotHeld):
        services.create_token("wide", ["datasets.read"], by=by, allowed_networks=["10.1.0.0/16", "::/0"])
    with pytest.raises(errors.ExpiryTooFar):
        services.create_token("long", ["datasets.read"], by=by, expires_at=row.expires_at + timedelta(seconds=1))


def test_a_token_neither_frees_nor_prolongs_itself(bound: tuple[ApiToken, Actor]) -> None:
    row, by = bound
    assert services.edit_token(row, "t", [], by=by).allowed_networks == ["10.0.0.0/8"]
    with pytest.raises(errors.NetworkNotHeld):
        services.edit_token(row, "t", ["0.0.0.0/0"], by=by)
    with pytest.raises(errors.ExpiryTooFar):
        services.rotate_token(row, by=by, expires_at=row.expires_at + timedelta(days=1))
    rotated, _ = services.rotate_token(row, by=by)
    assert rotated.expires_at == row.expires_at


def test_s7_an_organization_has_so_many_usable_tokens(
    in_acme: Any, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.tokens, "USABLE_LIMIT", 2)
    first, _ = services.create_token("1", SCOPES, by=actor)
    services.create_token("2", SCOPES, by=actor)
    with pytest.raises(errors.TooManyTokens):
        services.create_token("3", SCOPES, by=actor)
    services.revoke_token(first, by=actor)
    services.create_token("3", SCOPES, by=actor)


def test_networks_change_at_the_next_call(in_acme: Any, actor: Actor) -> None:
    token, text = services.create_token("t", SCOPES, by=actor)
    services.edit_token(token, token.name, ["198.51.100.0/24"], by=actor)
    with pytest.raises(errors.AddressNotAllowed):
        services.admit_token(text, **HOME)
    services.edit_token(token, token.name, [], by=actor)
    assert works(text)


# Last use


def test_the_last_use_tells_when_from_where_and_by_what(in_acme: Any, actor: Actor) -> None:
    token, text = services.create_token("t", SCOPES, by=actor)
    services.admit_token(text, address="2001:db8::7", agent="curl/8.0\x00\n" + "x" * 300)
    token.refresh_from_db()
    assert token.last_used_at
    assert token.last_used_address == "2001:db8::7"
    assert token.last_used_agent == ("curl/8.0??" + "x" * 300)[:200]


def test_a_use_within_the_minute_is_not_noted(
    in_acme: Any, actor: Actor, django_assert_num_queries: Callable[..., Any]
) -> None:
    token, text = services.create_token("t", SCOPES, by=actor)
    for agent in ("first", "second"):
        services.admit_token(text, address="203.0.113.7", agent=agent)
    token.refresh_from_db()
    assert token.last_used_agent == "first"
    ApiToken.objects.update(last_used_at=timezone.now() - timedelta(minutes=1))
    services.admit_token(text, address="203.0.113.7", agent="third")
    token.refresh_from_db()
    assert token.last_used_agent == "third"


def test_a_refused_address_is_no_use(in_acme: Any, actor: Actor) -> None:
    token, text = services.create_token("t", SCOPES, by=actor, allowed_networks=["10.0.0.0/8"])
    with pytest.raises(errors.AddressNotAllowed):
        services.admit_token(text, **HOME)
    token.refresh_from_db()
    assert token.last_used_at is None


# Secrets


def test_s3_what_a_dump_shows_of_a_token_authenticates_nobody(in_acme: Any, actor: Actor) -> None:
    token, text = services.create_token("t", SCOPES, by=actor)
    token, _ = services.rotate_token(token, by=actor)
    row = ApiToken.objects.values().get(pk=token.pk)
    secret = text.partition(".")[2]
    assert secret not in str(row)
    prefix = text.partition(".")[0]
    for shown in (*row["secret_hash"].split("."), *row["previous_hash"].split("."), row["secret_hash"]):
        assert not works(f"{prefix}.{shown}")


def test_s3_the_trail_of_a_token_holds_no_secret(in_acme: Any, actor: Actor) -> None:
    token, text = services.create_token("t", SCOPES, by=actor)
    services.edit_token(token, "renamed", ["10.0.0.0/8"], by=actor)
    _, rotated = services.rotate_token(token, by=actor)
    services.revoke_token(token, by=actor)
    trail = AuditEntry.objects.filter(subject_id=token.pk).order_by("id")
    assert list(trail.values_list("action", flat=True)) == [
        "token.created",
        "token.edited",
        "token.rotated",
        "token.revoked",
    ]
    told = str(list(trail.values()))
    assert all(secret not in told for one in (text, rotated) for secret in one.split("."))


def test_an_edit_that_changes_nothing_leaves_no_line(in_acme: Any, actor: Actor) -> None:
    token, _ = services.create_token("t", SCOPES, by=actor)
    services.edit_token(token, token.name, token.allowed_networks, by=actor)
    assert not AuditEntry.objects.filter(action="token.edited").exists()


def test_a_token_keeps_working_while_the_pepper_changes(
    in_acme: Any, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN_PEPPER", "the old pepper")
    token, text = services.create_token("t", SCOPES, by=actor)
    monkeypatch.setenv("TOKEN_PEPPER", "the new pepper,the old pepper")
    assert works(text)
    monkeypatch.setenv("TOKEN_PEPPER", "the new pepper")
    assert works(text), "its digest was renewed when it was seen under both"
    token.refresh_from_db()
    assert tokens.is_current(token.secret_hash)


def test_a_token_that_was_not_seen_while_the_pepper_changed_is_lost(
    in_acme: Any, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN_PEPPER", "the old pepper")
    _, text = services.create_token("t", SCOPES, by=actor)
    monkeypatch.setenv("TOKEN_PEPPER", "the new pepper")
    assert not works(text)


def test_anothers_organization_in_the_text_finds_nothing(acme: Any, globex: Any, actor: Actor) -> None:
    with tenancy.scope(acme.pk):
        _, text = services.create_token("t", SCOPES, by=actor)
    assert not works(text.replace(acme.pk.hex, globex.pk.hex))


def is_waiting_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_a_token_made_while_its_person_is_removed_is_refused(acme: Any, developer: Any, actor: Actor) -> None:
    def make() -> None:
        try:
            with tenancy.scope(acme.pk):
                services.create_token("late", SCOPES, by=actor_of(developer, "developer"))
        finally:
            connection.close()

    with tenancy.scope(acme.pk), ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            services.remove_member(Membership.objects.get(user=developer), by=actor)
            made = pool.submit(make)
            while not is_waiting_for_a_lock() and not made.done():
                sleep(0.01)
        with pytest.raises(errors.MembershipNeeded):
            made.result()
        assert not ApiToken.objects.exists()


def test_the_form_tells_all_that_is_wrong_at_once(as_owner: Client, acme: Any) -> None:
    refused = as_owner.post("/o/acme/settings/tokens/new/", {"lifetime": "date", "allowed_networks": "home"})
    wrong = set(refused.context["form"].errors)
    assert wrong == {"name", "kind", "scopes", "expires_at", "allowed_networks"}
    assert "<code>home</code> is no network" in refused.content.decode()


def test_the_form_words_what_is_neither_read_nor_write(as_owner: Client, acme: Any) -> None:
    page = as_owner.get("/o/acme/settings/tokens/new/").content.decode()
    assert re.search(r'value="organization.transfer"[^>]*>hand over<', page)
