"""Virtual keys: API tokens with a budget, limits, routes and tags."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict, Unpack
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction

from apps.audit import services as audit
from apps.core.actors import Actor
from apps.core.changes import apply_changes
from apps.gateway import errors
from apps.gateway.edge import LONGEST_TAG, MOST_TAGS
from apps.gateway.models import Route, VirtualKey
from apps.gateway.services.changing import publish
from apps.organizations import services as organizations
from apps.organizations.enums import TokenKind
from apps.organizations.models import ApiToken

LARGEST_BUDGET = 10**15
UNWRITABLE = re.compile("[\x00\ud800-\udfff]")  # what PostgreSQL takes in no text


class KeyColumns(TypedDict, total=False):
    routes: Sequence[UUID] | None
    budget_micro_usd: int | None
    budget_period: str
    requests_per_minute: int | None
    tokens_per_minute: int | None
    tags: Mapping[str, str]


COLUMNS = tuple(KeyColumns.__annotations__)


@transaction.atomic
def create_key(
    name: str,
    *,
    by: Actor,
    kind: str = TokenKind.PERSONAL,
    expires_at: datetime | None = None,
    allowed_networks: Sequence[str] = (),
    **columns: Unpack[KeyColumns],
) -> tuple[VirtualKey, str]:
    """A new key and its text, which is shown this once.

    Raises what `organizations.services.create_token` raises, and `RouteUnknown`, `TagsInvalid`, `KeyInvalid`.
    """
    token, text = organizations.create_token(
        name, ["gateway.call"], by=by, kind=kind, allowed_networks=allowed_networks, expires_at=expires_at
    )
    key = _checked(VirtualKey(token=token, **columns))
    key.save()
    audit.record(by, "virtual_key.created", key, _told(key))
    publish()
    return key, text


@transaction.atomic
def update_key(key: VirtualKey, *, by: Actor, **wanted: Unpack[KeyColumns]) -> VirtualKey:
    """Change what a key may do, from its next call on. Raises `RouteUnknown`, `TagsInvalid`, `KeyInvalid`."""
    key = VirtualKey.objects.select_for_update(of=("self",)).select_related("token").get(pk=key.pk)
    before = key.routes
    changes = apply_changes(key, wanted)
    _checked(key, known=before or ())
    if changes:
        key.save(update_fields=COLUMNS)
        audit.record(by, "virtual_key.updated", key, changes)
        publish()
    return key


@transaction.atomic
def delete_key(key: VirtualKey, *, by: Actor) -> ApiToken:
    """Revoke the key. Raises what `organizations.services.revoke_token` raises."""
    audit.record(by, "virtual_key.deleted", key, _told(key))
    token = organizations.revoke_token(key.token, by=by)
    publish()
    return token


def _checked(key: VirtualKey, known: Sequence[UUID] = ()) -> VirtualKey:
    """`known` are routes that the key may name although they are gone."""
    if key.routes is not None:
        routes = key.routes = list(dict.fromkeys(key.routes))
        there = set(Route.objects.filter(pk__in=routes).values_list("pk", flat=True))
        if unknown := [one for one in routes if one not in there and one not in known]:
            raise errors.RouteUnknown(field="routes", name=str(unknown[0]))
    _require_tags(key.tags)
    try:
        key.clean_fields(exclude=["token", "routes", "tags"])
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise errors.KeyInvalid(field=field, reason=messages[0]) from None
    if key.budget_micro_usd is not None and not 0 <= key.budget_micro_usd <= LARGEST_BUDGET:
        raise errors.KeyInvalid(field="budget_micro_usd", reason="A budget is up to a billion dollars.")
    for name in ("requests_per_minute", "tokens_per_minute"):
        if getattr(key, name) == 0:
            raise errors.KeyInvalid(field=name, reason="Leave it empty for no limit, or revoke the key.")
    return key


def _require_tags(tags: Any) -> None:
    is_small = isinstance(tags, dict) and len(tags) <= MOST_TAGS
    if not is_small or not all(isinstance(value, str) and _is_short(name, value) for name, value in tags.items()):
        raise errors.TagsInvalid(field="tags", most=MOST_TAGS, longest=LONGEST_TAG)


def _is_short(name: str, value: str) -> bool:
    is_writable = not UNWRITABLE.search(name + value)
    return 0 < len(name) <= LONGEST_TAG and len(value) <= LONGEST_TAG and is_writable


def _told(key: VirtualKey) -> dict[str, Any]:
    told = {name: getattr(key, name) for name in COLUMNS}
    told["routes"] = None if key.routes is None else [str(one) for one in key.routes]
    return {name: value for name, value in told.items() if value not in (None, {})}
