"""What the data plane is told, and when."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis
from django.conf import settings

from apps.core import snapshots, tenancy
from apps.core.actors import Actor
from apps.organizations import services
from apps.organizations.models import ApiToken

pytestmark = pytest.mark.django_db(transaction=True)


def published(organization: Any) -> dict[str, Any]:
    return json.loads(redis.Redis.from_url(settings.REDIS_URL).get(f"snapshot:{organization.pk}") or "{}")


def test_a_new_token_is_published_when_its_transaction_commits(acme: Any, actor: Actor) -> None:
    with tenancy.scope(acme.pk):
        row, text = services.create_token("t", ["predictions.create"], by=actor)
    told = published(acme)["sections"]["tokens"][str(row.pk)]
    assert told["scopes"] == ["predictions.create"]
    assert told["hash"] == row.secret_hash
    assert text.split(".")[1] not in json.dumps(published(acme))


def test_a_revoked_token_disappears_and_the_version_grows(acme: Any, actor: Actor) -> None:
    with tenancy.scope(acme.pk):
        row, _ = services.create_token("t", ["predictions.create"], by=actor)
        before = published(acme)["version"]
        services.revoke_token(row, by=actor)
    assert str(row.pk) not in published(acme)["sections"]["tokens"]
    assert published(acme)["version"] > before


def test_the_same_content_is_not_published_twice(acme: Any) -> None:
    before = published(acme)
    snapshots.publish(acme.pk)
    assert published(acme) == before


def test_what_redis_lost_is_published_again_with_a_higher_version(acme: Any) -> None:
    before = published(acme)["version"]
    redis.Redis.from_url(settings.REDIS_URL).delete(f"snapshot:{acme.pk}")
    snapshots.publish(acme.pk)
    assert published(acme)["version"] > before


def test_only_what_redis_lost_is_missing(acme: Any, globex: Any) -> None:
    redis.Redis.from_url(settings.REDIS_URL).delete(f"snapshot:{acme.pk}")
    assert snapshots.missing([acme.pk, globex.pk]) == [acme.pk]


def test_a_snapshot_holds_nothing_of_another_organization(acme: Any, globex: Any, actor: Actor) -> None:
    with tenancy.scope(acme.pk):
        row, _ = services.create_token("t", ["predictions.create"], by=actor)
    snapshots.publish(globex.pk)
    assert str(row.pk) not in json.dumps(published(globex))
    with tenancy.scope(acme.pk):
        assert ApiToken.objects.filter(pk=row.pk).exists()
