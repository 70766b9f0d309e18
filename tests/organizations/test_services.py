from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.audit.models import AuditEntry
from apps.core import tenancy, tokens
from apps.core.actors import Actor
from apps.core.errors import NotAuthenticated, NotFound
from apps.organizations import errors, queries, services
from apps.organizations.models import ApiToken, Membership
from apps.organizations.services import organizations
from apps.organizations.snapshot import compile_section
from tests.conftest import actor_of

pytestmark = pytest.mark.django_db


def test_founding_an_organization_makes_its_founder_an_owner(owner: Any) -> None:
    organization = services.create_organization("Blue Bakery", owner)
    assert organization.slug == "blue-bakery"
    assert queries.membership_in(owner, "blue-bakery").role == "owner"


def test_two_organizations_of_one_name_get_different_addresses(owner: Any) -> None:
    first, second = (services.create_organization("Blue Bakery", owner) for _ in range(2))
    assert first.slug != second.slug


def test_nobody_founds_organizations_without_end(owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(organizations, "OWNED_LIMIT", 2)
    for name in ("One", "Two"):
        services.create_organization(name, owner)
    with pytest.raises(errors.TooManyOrganizations):
        services.create_organization("Three", owner)


def test_a_taken_address_is_refused(acme: Any, outsider: Any) -> None:
    with pytest.raises(errors.SlugTaken):
        services.create_organization("Another", outsider, slug="acme")


def test_an_organization_one_does_not_belong_to_is_not_found(acme: Any, outsider: Any) -> None:
    with pytest.raises(NotFound):
        queries.membership_in(outsider, "acme")


def test_the_last_owner_keeps_the_role(in_acme: Any, actor: Actor) -> None:
    membership = Membership.objects.get(role="owner")
    with pytest.raises(errors.LastOwner):
        services.change_role(membership, "developer", by=actor)
    with pytest.raises(errors.LastOwner):
        services.remove_member(membership, by=actor)


def test_nobody_gives_a_role_above_their_own(in_acme: Any, developer: Any) -> None:
    with pytest.raises(errors.RoleAboveOwn):
        services.change_role(Membership.objects.get(user=developer), "owner", by=actor_of(developer, "developer"))


def test_a_token_cannot_do_more_than_its_maker(in_acme: Any, viewer: Any) -> None:
    with pytest.raises(errors.ScopeNotHeld):
        services.create_token("too much", ["datasets.write"], by=actor_of(viewer, "analyst"))
    with pytest.raises(errors.UnknownScope):
        services.create_token("wrong", ["everything"], by=actor_of(viewer, "analyst"))


def test_a_token_that_would_have_expired_is_refused(in_acme: Any, actor: Actor) -> None:
    with pytest.raises(errors.ExpiryPast):
        services.create_token("t", ["datasets.read"], by=actor, expires_at=timezone.now() - timedelta(seconds=1))


def test_a_tokens_secret_is_not_in_its_row(in_acme: Any, actor: Actor) -> None:
    row, text = services.create_token("t", ["datasets.read"], by=actor)
    parsed = tokens.parse(text)
    assert parsed
    assert parsed.secret not in row.secret_hash
    assert queries.token_for(text) == row


@pytest.mark.parametrize(
    "spoil",
    ["revoke", "expire", "remove the member", "deactivate the person", "change the secret", "change the tenant"],
)
def test_a_token_that_should_not_work_does_not(
    spoil: str, acme: Any, globex: Any, developer: Any, actor: Actor
) -> None:
    with tenancy.scope(acme.pk):
        row, text = services.create_token("t", ["datasets.read"], by=actor_of(developer, "developer"))
        match spoil:
            case "revoke":
                services.revoke_token(row, by=actor)
            case "expire":
                ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
            case "remove the member":
                services.remove_member(Membership.objects.get(user=developer), by=actor)
            case "deactivate the person":
                developer.is_active = False
                developer.save()
                assert compile_section() == {}
            case "change the secret":
                text = text[:-4] + "aaaa"
            case "change the tenant":
                text = text.replace(acme.pk.hex, globex.pk.hex)
    with pytest.raises(NotAuthenticated):
        queries.token_for(text)


def test_a_token_loses_what_its_maker_loses(acme: Any, developer: Any, actor: Actor, rf: Any) -> None:
    with tenancy.scope(acme.pk):
        _, text = services.create_token("t", ["datasets.write", "datasets.read"], by=actor_of(developer, "developer"))
        services.change_role(Membership.objects.get(user=developer), "analyst", by=actor)
    request = rf.get("/")
    request.id = "req"
    assert queries.actor_for_token(queries.token_for(text), request).permissions == {"datasets.read"}


def test_every_change_leaves_a_line_in_the_trail(in_acme: Any, actor: Actor) -> None:
    row, _ = services.create_token("t", ["datasets.read"], by=actor)
    services.revoke_token(row, by=actor)
    services.revoke_token(row, by=actor)
    actions = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
    assert actions == ["organization.created", "token.created", "token.revoked"]
    assert "my_" not in str(list(AuditEntry.objects.values()))
