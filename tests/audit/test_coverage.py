"""Every operation of the API that changes something leaves its line in the trail: who, what, to what, and no secret."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from apps.audit.models import AuditEntry
from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.masking import is_secret_name
from apps.deployments.models import Deployment
from apps.gateway import services as gateway
from apps.jobs.models import Job
from apps.notifications.services import webhooks
from apps.organizations import services as organizations
from apps.organizations.models import Membership
from tests.architecture.doors import OPERATIONS, operation_path, undone
from tests.architecture.test_mass_assignment import VALID
from tests.factories import world
from tests.factories.tables import plants_csv, ready_version
from tests.working import work_outside

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

Rows = dict[str, Any]
CHANGING = [(method, path) for path, method, _ in OPERATIONS if method not in {"get", "head"}]

# What only its person sees is nobody else's business.
SILENT = {
    ("patch", "/api/v1/notification-preferences/"),
    ("post", "/api/v1/notifications/{id}/read/"),
    ("post", "/api/v1/notifications/read/"),
}
# The history of the job tells it.
OUTSIDE_WORK = {
    ("post", f"/api/v1/jobs/{what}/")
    for what in ("claim", "{id}/heartbeat", "{id}/log", "{id}/complete", "{id}/fail", "{id}/release")
}
# Asking is no change, and what is counted is on the page of limits.
ASKED = {("post", f"/api/v1/ratelimits/{what}/") for what in ("check", "check/batch", "extend", "settle")}
# Two things happened at once: each has its line.
SEVERAL = {
    ("post", "/api/v1/datasets/"): {"dataset.created", "dataset.version_added"},
    ("post", "/api/v1/organization/deletion/"): {"organization.deletion_requested", "deployment.stopped"},
    ("post", "/api/v1/organization/transfer/"): {"organization.transferred", "member.role_changed"},
    ("post", "/api/v1/gateway/keys/"): {"token.created", "virtual_key.created"},
    ("delete", "/api/v1/gateway/keys/{id}/"): {"token.revoked", "virtual_key.deleted"},
    ("post", "/api/v1/webhooks/"): {"webhook.created", "webhook.secret_shown"},
    ("post", "/api/v1/webhooks/{id}/rotate/"): {"webhook.rotated", "webhook.secret_shown"},
}


def _with_unused_dataset(rows: Rows, by: Actor) -> Rows:
    return {**rows, "dataset_id": ready_version("unused", plants_csv(), by).dataset}


def _with_unused_upstream(rows: Rows, by: Actor) -> Rows:
    return {**rows, "upstream_id": gateway.create_upstream(name="unused", kind="openai", by=by)}


def _with_waiting_job(rows: Rows, by: Actor) -> Rows:
    Job.objects.filter(pk=rows["job_id"].pk).update(status="pending")
    return rows


def _with_job_outside(rows: Rows, by: Actor) -> Rows:
    work_outside(rows["job_id"])
    return rows


def _with_dead_job(rows: Rows, by: Actor) -> Rows:
    Job.objects.filter(pk=rows["job_id"].pk).update(status="dead", kind="new")
    return rows


def _with_stopped_deployment(rows: Rows, by: Actor) -> Rows:
    Deployment.objects.filter(pk=rows["deployment_id"].pk).update(is_stopped=True)
    return rows


def _with_second_owner(rows: Rows, by: Actor) -> Rows:
    Membership.objects.filter(pk=rows["membership_id"].pk).update(role="owner")
    return {**rows, "own": rows["token_id"].membership}


def _with_requested_deletion(rows: Rows, by: Actor) -> Rows:
    organizations.request_deletion(rows["token_id"].organization, "Acme", by=by)
    return rows


def _with_disabled_endpoint(rows: Rows, by: Actor) -> Rows:
    webhooks.disable_endpoint(rows["endpoint_id"], because="Tested", by=by)
    return rows


# What has to be so before an operation has an effect.
PREPARED: dict[tuple[str, str], Callable[[Rows, Actor], Rows]] = {
    ("delete", "/api/v1/gateway/upstreams/{id}/"): _with_unused_upstream,
    ("delete", "/api/v1/datasets/{id}/"): _with_unused_dataset,
    ("post", "/api/v1/jobs/{id}/cancel/"): _with_waiting_job,
    ("post", "/api/v1/jobs/{id}/discard/"): _with_dead_job,
    ("post", "/api/v1/jobs/discard-dead/"): _with_dead_job,
    ("post", "/api/v1/jobs/retry-dead/"): _with_dead_job,
    **{door: _with_job_outside for door in OUTSIDE_WORK if "{id}" in door[1]},
    ("post", "/api/v1/training-runs/{id}/cancel/"): _with_waiting_job,
    ("post", "/api/v1/deployments/{id}/start/"): _with_stopped_deployment,
    ("delete", "/api/v1/organization/deletion/"): _with_requested_deletion,
    ("post", "/api/v1/organization/leave/"): _with_second_owner,
    ("post", "/api/v1/webhooks/{id}/enable/"): _with_disabled_endpoint,
}


@pytest.fixture
def rows(acme: Any, globex: Any, actor: Actor, viewer: Any) -> Rows:
    built = world.build(acme, actor)
    with tenancy.scope(acme.pk):
        member = Membership.objects.get(user=viewer)
    return {**built, "membership_id": member, "other_member": member, "globex": globex}


def told_by(door: tuple[str, str], ready: Rows, client: Any) -> tuple[Any, list[AuditEntry]]:
    """What the operation answered, and the lines that it added."""
    method, path = door
    before = list(AuditEntry.objects.values_list("pk", flat=True))
    body = VALID.get(door, lambda _: {})(ready)
    answer = getattr(client, method)(operation_path(path, ready), body)
    return answer, list(AuditEntry.objects.exclude(pk__in=before))


def secrets_of(answer: Any, client: Any) -> set[str]:
    """The secrets that the call was made with, and those that it gave."""
    given = answer.json() if answer.content else {}
    return {client.token.partition(".")[2]} | {
        str(value) for name, value in given.items() if value and is_secret_name(name)
    }


@pytest.mark.parametrize("door", CHANGING, ids=" ".join)
def test_s3_an_operation_leaves_its_line_in_the_trail(
    door: tuple[str, str], rows: Rows, acme: Any, actor: Actor, api_owner: Any
) -> None:
    with undone(), tenancy.scope(acme.pk):
        ready = PREPARED.get(door, lambda rows, by: rows)(rows, actor)
        answer, lines = told_by(door, ready, api_owner)
    assert answer.status_code < 300, f"say in PREPARED what {door} needs: {answer.content!r}"
    if door in SILENT | OUTSIDE_WORK | ASKED:
        assert lines == []
        return
    actions = {line.action for line in lines}
    assert actions == SEVERAL.get(door, actions)
    assert len(lines) == 1 or door in SEVERAL, actions
    assert lines, f"{door} changed something and told nobody"
    subjects = {str(line.subject_id) for line in lines}
    known = {str(getattr(row, "pk", "")) for row in ready.values()} | {str(acme.pk), _id_of(answer)}
    assert subjects <= known or door in SEVERAL
    assert subjects & known
    for line in lines:
        assert (line.actor_kind, line.actor_label) == ("token", "owner@acme.test's token (owner@acme.test)")
        assert (line.request_id, line.address) == (answer["X-Request-Id"], "127.0.0.1")
        text = json.dumps([line.changes, line.subject_label, line.actor_label])
        assert not [secret for secret in secrets_of(answer, api_owner) if secret in text]


def _id_of(answer: Any) -> str:
    return str(answer.json().get("id", "")) if answer.content else ""


def test_an_operation_that_only_reads_leaves_none(rows: Rows, acme: Any, api_owner: Any) -> None:
    with tenancy.scope(acme.pk):
        before = AuditEntry.objects.count()
        for path, method, _ in OPERATIONS:
            if method == "get" and not path.endswith("/audit/export/"):
                api_owner.get(operation_path(path, rows))
        assert AuditEntry.objects.count() == before


def test_a_refused_operation_leaves_none(rows: Rows, acme: Any, api_viewer: Any) -> None:
    """Nothing changed, so there is nothing to tell."""
    with tenancy.scope(acme.pk):
        before = AuditEntry.objects.count()
        for method, path in CHANGING:
            if (method, path) not in SILENT | {("post", "/api/v1/organization/leave/")}:
                answer = getattr(api_viewer, method)(operation_path(path, rows), {})
                assert answer.status_code in {403, 422}, (method, path, answer.status_code)
        assert AuditEntry.objects.count() == before
