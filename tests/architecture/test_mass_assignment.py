"""What may only be read is not written, whatever a caller sends along with what may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.core import signing
from django.db import models

from apps.core import tenancy
from apps.core.actors import Actor
from apps.organizations.models import Membership, Organization
from apps.ratelimits import checking
from tests.architecture.doors import OPERATIONS, operation_path, undone
from tests.factories import world
from tests.working import work_outside

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

Rows = dict[str, Any]

WRITING = [(path, method, operation) for path, method, operation in OPERATIONS if method in {"post", "put", "patch"}]
FORGED: dict[type[models.Field], Any] = {
    models.UUIDField: str(uuid4()),
    models.DateTimeField: "2001-01-01T00:00:00Z",
    models.IntegerField: 4242,
    models.FloatField: 4242.0,
    models.JSONField: {"forged": True},
    ArrayField: ["forged"],
}


def taken_nothing(row: Any) -> str:
    """A limiter's reservation without a rule."""
    return signing.dumps([str(row.organization_id), "", 0, [], [], False, []], salt=checking.SALT)


# The least that each operation takes; one that takes nothing is not named.
VALID: dict[tuple[str, str], Callable[[Rows], dict[str, Any]]] = {
    ("patch", "/api/v1/audit/retention/"): lambda rows: {"days": 400},
    ("post", "/api/v1/datasets/"): lambda rows: {"name": "new", "url": "https://example.com/new.csv"},
    ("patch", "/api/v1/datasets/{id}/"): lambda rows: {"name": "new"},
    ("post", "/api/v1/datasets/{id}/versions/"): lambda rows: {"url": "https://example.com/new.csv"},
    ("post", "/api/v1/deployments/"): lambda rows: {"name": "new", "model_version": str(rows["model_version_id"].pk)},
    ("patch", "/api/v1/deployments/{id}/"): lambda rows: {"replica_count": 2},
    ("post", "/api/v1/invitations/"): lambda rows: {"email": "new@example.test", "role": "analyst"},
    ("post", "/api/v1/jobs/claim/"): lambda rows: {"kinds": ["nightly"], "worker": "machine"},
    ("post", "/api/v1/jobs/start/"): lambda rows: {"kind": "nightly", "worker": "machine"},
    ("post", "/api/v1/jobs/{id}/heartbeat/"): lambda rows: {"attempt": 1},
    ("post", "/api/v1/jobs/{id}/log/"): lambda rows: {"attempt": 1, "lines": [{"text": "new"}]},
    ("post", "/api/v1/jobs/{id}/complete/"): lambda rows: {"attempt": 1},
    ("post", "/api/v1/jobs/{id}/fail/"): lambda rows: {"attempt": 1, "message": "new"},
    ("post", "/api/v1/jobs/{id}/release/"): lambda rows: {"attempt": 1},
    ("post", "/api/v1/jobs/"): lambda rows: {"kind": "new"},
    ("post", "/api/v1/jobs/discard-dead/"): lambda rows: {"kind": "new"},
    ("post", "/api/v1/jobs/retry-dead/"): lambda rows: {"kind": "new"},
    ("patch", "/api/v1/members/{id}/"): lambda rows: {"role": "developer"},
    ("patch", "/api/v1/models/{id}/"): lambda rows: {"description": "new"},
    ("patch", "/api/v1/notification-preferences/"): lambda rows: {
        "event": "job.failed",
        "channel": "mail",
        "is_on": False,
    },
    ("patch", "/api/v1/organization/"): lambda rows: {"name": "new"},
    ("post", "/api/v1/organization/deletion/"): lambda rows: {"confirmation": "Acme"},
    ("post", "/api/v1/organization/transfer/"): lambda rows: {"member": str(rows["other_member"].pk)},
    ("post", "/api/v1/projects/"): lambda rows: {"name": "new"},
    ("patch", "/api/v1/projects/{id}/"): lambda rows: {"name": "new"},
    ("post", "/api/v1/ratelimits/policies/"): lambda rows: {"name": "new", "limit": 100},
    ("patch", "/api/v1/ratelimits/policies/{id}/"): lambda rows: {"limit": 100},
    ("post", "/api/v1/ratelimits/entries/"): lambda rows: {"kind": "allow", "subject": "model", "value": "new"},
    ("patch", "/api/v1/ratelimits/entries/{id}/"): lambda rows: {"kind": "allow"},
    ("post", "/api/v1/ratelimits/check/"): lambda rows: {},
    ("post", "/api/v1/ratelimits/check/batch/"): lambda rows: {"calls": [{}]},
    ("post", "/api/v1/ratelimits/extend/"): lambda rows: {"reservation": taken_nothing(rows["token_id"])},
    ("post", "/api/v1/ratelimits/settle/"): lambda rows: {"reservation": taken_nothing(rows["token_id"])},
    ("post", "/api/v1/gateway/upstreams/"): lambda rows: {"name": "new", "kind": "openai"},
    ("patch", "/api/v1/gateway/upstreams/{id}/"): lambda rows: {"name": "new"},
    ("post", "/api/v1/gateway/upstream-keys/"): lambda rows: {
        "upstream": str(rows["upstream_id"].pk),
        "name": "new",
        "secret": "sk-new-key-of-ours",
    },
    ("patch", "/api/v1/gateway/upstream-keys/{id}/"): lambda rows: {"is_paused": True},
    ("post", "/api/v1/gateway/routes/"): lambda rows: {
        "name": "new",
        "targets": [{"upstream": str(rows["upstream_id"].pk), "model": "new"}],
    },
    ("patch", "/api/v1/gateway/routes/{id}/"): lambda rows: {"description": "new"},
    ("post", "/api/v1/gateway/keys/"): lambda rows: {"name": "new"},
    ("patch", "/api/v1/gateway/keys/{id}/"): lambda rows: {"tags": {"team": "new"}},
    ("post", "/api/v1/costs/overrides/"): lambda rows: {"provider": "openai", "model": "new", "output_price": 1},
    ("patch", "/api/v1/costs/overrides/{id}/"): lambda rows: {"output_price": 2},
    ("post", "/api/v1/webhooks/"): lambda rows: {"url": "https://example.com/new"},
    ("patch", "/api/v1/webhooks/{id}/"): lambda rows: {"description": "new"},
    ("post", "/api/v1/webhooks/{id}/rotate/"): lambda rows: {"overlap_hours": 1},
    ("post", "/api/v1/tokens/"): lambda rows: {"name": "new", "scopes": ["datasets.read"]},
    ("patch", "/api/v1/tokens/{id}/"): lambda rows: {"name": "new"},
    ("post", "/api/v1/tokens/{id}/rotate/"): lambda rows: {"overlap_hours": 1},
    ("post", "/api/v1/training-runs/"): lambda rows: {
        "name": "new",
        "dataset_version": str(rows["version_id"].pk),
        "target": "species",
    },
}

# What a worker says of its job, which has to be one that runs outside.
OF_WORKERS = {("post", f"/api/v1/jobs/{{id}}/{what}/") for what in ("complete", "fail", "release")}
# These answer with less than a row.
OF_NO_ROW = {
    *(("post", f"/api/v1/jobs/{what}/") for what in ("claim", "{id}/heartbeat", "{id}/log")),
    *(("post", f"/api/v1/ratelimits/{what}/") for what in ("check", "check/batch", "extend", "settle")),
}
# These answer with numbers, because they are about many rows.
OF_MANY = {("post", "/api/v1/jobs/discard-dead/"), ("post", "/api/v1/jobs/retry-dead/")}


@pytest.fixture
def rows(acme: Any, globex: Any, actor: Actor, viewer: Any) -> Rows:
    built = world.build(acme, actor)
    with tenancy.scope(acme.pk):
        member = Membership.objects.get(user=viewer)
    return {**built, "membership_id": member, "other_member": member, "globex": globex}


def writable(path: str, method: str, operation: dict[str, Any], schema: dict[str, Any]) -> set[str]:
    """The members that the document says an operation takes."""
    content = operation.get("requestBody", {}).get("content", {})
    assert bool(content) == ((method, path) in VALID), f"say in VALID what {method} {path} takes"
    return {name for one in content.values() for name in members_of(one["schema"], schema)}


def members_of(shape: dict[str, Any], schema: dict[str, Any]) -> set[str]:
    if reference := shape.get("$ref"):
        shape = schema["components"]["schemas"][reference.rpartition("/")[2]]
    return set(shape.get("properties", {}))


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    from drf_spectacular.generators import SchemaGenerator

    return SchemaGenerator().get_schema(public=True)


def row_of(pk: str) -> Any:
    """The row with that id, whatever it is: ids are unique among all tables."""
    ours = [model for model in apps.get_models() if issubclass(model, tenancy.TenantModel) or model is Organization]
    return next((row for model in ours if (row := model._default_manager.filter(pk=pk).first())), None)


def forged(field: Any, row: Any, rows: Rows) -> Any:
    """Another value than the row's, of the column's own type; of a reference another row that there is."""
    current = getattr(row, field.attname)
    if field.is_relation:
        return forged_reference(field, current, rows)
    if field.choices:
        return next(value for value, _ in field.flatchoices if value != current)
    if isinstance(field, models.BooleanField):
        return not current
    return next((value for kind, value in FORGED.items() if isinstance(field, kind)), "forged")


def forged_reference(field: Any, current: Any, rows: Rows) -> str:
    if field.related_model is Organization:
        return str(rows["globex"].pk)
    others = field.related_model._default_manager.exclude(pk=current).values_list("pk", flat=True)
    return str(others.first() or uuid4())


def plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else value


def same(value: Any, forgery: Any) -> bool:
    return str(plain(value)) == str(forgery)


def forgeries(row: Any, shown: dict[str, Any], rows: Rows, taken: set[str]) -> dict[str, Any]:
    """A value for every column, and for everything else that is shown, that an operation does not take."""
    forged_values: dict[str, Any] = dict.fromkeys(shown, "forged")
    for field in row._meta.concrete_fields:
        if not getattr(field, "generated", False):
            forged_values[field.name] = forged_values[field.attname] = forged(field, row, rows)
    return {name: value for name, value in forged_values.items() if name not in taken}


def prepare(method: str, path: str, rows: Rows) -> None:
    if (method, path) in OF_WORKERS:
        work_outside(rows["job_id"])


# These name a member that they do not know instead of passing over it.
REFUSING = {("post", "/api/v1/jobs/"), ("post", "/api/v1/jobs/start/")}


def test_what_is_only_read_is_never_written(rows: Rows, acme: Any, api_owner: Any, schema: dict[str, Any]) -> None:
    tried: set[tuple[str, str]] = set()
    with tenancy.scope(acme.pk):
        for path, method, operation in WRITING:
            taken = writable(path, method, operation, schema)
            target, body = operation_path(path, rows), VALID.get((method, path), lambda _: {})(rows)
            with undone():
                prepare(method, path, rows)
                honest = getattr(api_owner, method)(target, body)
                if honest.status_code >= 300 or not honest.content or "id" not in honest.json():
                    continue
                sample = row_of(honest.json()["id"])
                sent = forgeries(sample, honest.json(), rows, taken)
            with undone():
                prepare(method, path, rows)
                answer = getattr(api_owner, method)(target, {**sent, **body})
                if (method, path) in REFUSING:
                    assert answer.status_code == 422, (method, path, answer.content)
                    tried.add((method, path))
                    continue
                assert answer.status_code == honest.status_code, (method, path, answer.content)
                row, shown = row_of(answer.json()["id"]), answer.json()
                written = [
                    name
                    for name, forgery in sent.items()
                    if (hasattr(row, name) and same(getattr(row, name), forgery)) or shown.get(name) == forgery
                ]
                assert written == [], (method, path)
                assert row._meta.model is Organization or row.organization_id == acme.pk
            tried.add((method, path))
    assert tried >= VALID.keys() - OF_MANY - OF_NO_ROW
