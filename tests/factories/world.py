"""One row of every kind in one organization, for tests that walk every door."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.db.models import Model
from django.utils import timezone

from apps.audit.models import AuditEntry
from apps.console.models import DataExport, StoppedDeployment
from apps.core import tenancy
from apps.core.actors import Actor
from apps.costs.models import PriceOverride
from apps.deployments.models import Deployment, Replica
from apps.gateway import services as gateway
from apps.gateway.models import ModelCall, ModelCallBody
from apps.jobs.models import Job, JobDependency, JobLogLine, JobTag, OutsideWorker
from apps.logs.models import CallRecord
from apps.notifications.models import DeliveryAttempt, Notification
from apps.notifications.services import webhooks
from apps.organizations import services
from apps.organizations.plans import LIMIT_CHOICES
from apps.ratelimits import services as limits
from apps.ratelimits.models import PlanLimitOverride
from apps.training.models import PlannedColumn, TrainingRun, Trial, TrialScore
from apps.usage.models import Override, QuotaNotice, UsageEvent
from tests.factories.serving import make_model_version
from tests.factories.tables import plants_csv, ready_version


def build(organization: Any, actor: Actor, mark: str = "walnut") -> dict[str, Model]:
    """Rows by the name that addresses use for them, such as `dataset_id`; `mark` stands in all that people named."""
    with tenancy.scope(organization.pk):
        dataset_version = ready_version(f"{mark}-data", plants_csv(), actor)
        dataset = dataset_version.dataset
        version = make_model_version(f"{mark}-model", dataset_version=dataset_version)
        job = Job.objects.create(kind="training.run", queue="training", label=f"Train {mark}-run", status="failed")
        other = Job.objects.create(kind="training.run", queue="training", label=f"After {mark}-run", waits_for=1)
        JobDependency.objects.create(job=other, needs=job)
        JobTag.objects.create(job=job, tag=mark)
        OutsideWorker.objects.create(name=f"{mark}-machine", kinds=["nightly"])
        JobLogLine.objects.create(job=job, attempt=1, text=f"a {mark} line")
        run = TrainingRun.objects.create(
            name=f"{mark}-run",
            model_name=f"{mark}-run",
            dataset_version=dataset_version,
            target="age",
            candidates=["linear"],
            folds=5,
            job=job,
        )
        PlannedColumn.objects.create(run=run, position=0, name="age", kind="integer", is_used=True)
        trial = Trial.objects.create(run=run, position=0, algorithm="logistic")
        TrialScore.objects.create(trial=trial, position=0, metric="roc_auc", folds=[0.5], mean=1, std=0, low=1, high=1)
        deployment = Deployment.objects.create(
            name=f"{mark}-endpoint", model_version=version, serving_version=version, status="ready"
        )
        replica = Replica.objects.create(
            deployment=deployment, model_version=version, index=0, status="ready", changed_at=timezone.now()
        )
        project = services.create_project(f"{mark}-project", by=actor)
        token, _ = services.create_token(f"{mark}-token", ["datasets.read"], by=actor)
        key, _ = gateway.create_key(f"{mark}-key", tags={"team": mark}, by=actor)
        invitation = services.invite_member(f"{mark}-guest@example.test", "analyst", by=actor)
        entry = AuditEntry.objects.filter(subject_id=token.pk).get()
        endpoint = webhooks.create_endpoint(f"https://{mark}.example.com/hook", by=actor, description=mark)
        delivery = webhooks.send_test(endpoint, by=actor)
        DeliveryAttempt.objects.create(
            delivery=delivery, number=1, url=endpoint.url, started_at=timezone.now(), response_body=mark
        )
        call = _call(mark)
        notification = Notification.objects.create(
            user_id=actor.user_id, event="job.failed", title=f"{mark}-run failed", text=mark, subject_id=job.pk
        )
        export = DataExport.objects.create(job=job)
        StoppedDeployment.objects.create(deployment=deployment)
        event = UsageEvent.objects.create(meter="predictions", quantity=1, occurred_at=timezone.now())
        soon = timezone.now() + timedelta(days=1)
        PlanLimitOverride.objects.create(plan_limit=LIMIT_CHOICES[0][0], limit=10**9, ends_at=soon, reason=mark)
        Override.objects.create(meter="predictions", included=10**9, ends_at=soon, reason=mark, operator_label=mark)
        QuotaNotice.objects.create(meter="predictions", period="2026-01", percent=80)
        policy = limits.create_policy(name=f"{mark}-policy", limit=1_000_000, by=actor)
        upstream = gateway.create_upstream(
            name=f"{mark}-upstream", kind="openai", headers={"x-team": mark}, secret=f"sk-{mark}-key", by=actor
        )
        route = gateway.create_route(name=f"{mark}-route", targets=[{"upstream": upstream, "model": mark}], by=actor)
        secret = upstream.keys.get()
        model_call = _model_call(mark)
        ModelCallBody.objects.create(id=model_call.pk, request=mark, response=mark, expires_at=soon)
        price = PriceOverride.objects.create(provider="openai", model=mark, effective_from=soon.date(), input_price=1)
        listed = limits.create_entry("deny", "header", f"{mark}-customer", header="x-customer", by=actor)
    return {
        "dataset_id": dataset,
        "version_id": dataset_version,
        "job_id": job,
        "run_id": run,
        "model_id": version.model,
        "model_version_id": version,
        "deployment_id": deployment,
        "replica_id": replica,
        "project_id": project,
        "token_id": token,
        "membership_id": token.membership,
        "invitation_id": invitation,
        "call_id": call,
        "notification_id": notification,
        "endpoint_id": endpoint,
        "delivery_id": delivery,
        "event_id": event,
        "entry_id": entry,
        "export_id": export,
        "policy_id": policy,
        "limit_entry_id": listed,
        "upstream_id": upstream,
        "secret_id": secret,
        "route_id": route,
        "key_id": key,
        "model_call_id": model_call,
        "price_id": price,
    }


def _call(mark: str) -> CallRecord:
    return CallRecord.objects.create(
        id=uuid4(),
        request_id="req_1",
        occurred_at=timezone.now(),
        method="POST",
        path=f"/v2/models/{mark}-endpoint/infer",
        route="infer",
        status=200,
        latency_us=1,
        request_bytes=1,
        response_bytes=1,
        model=f"{mark}-endpoint",
        error_code="",
        client="127.0.0.1",
    )


def _model_call(mark: str) -> ModelCall:
    return ModelCall.objects.create(
        id=uuid4(),
        request_id="req_2",
        occurred_at=timezone.now(),
        face="chat",
        route=f"{mark}-route",
        upstream=f"{mark}-upstream",
        model=mark,
        status=200,
        error_code="",
        error_class="",
        is_stream=False,
        latency_us=1,
        is_estimated=False,
        cache="",
        attempts=[],
        tags={"team": mark},
        client="127.0.0.1",
        experiment="",
        fault="",
        request_bytes=1,
        response_bytes=1,
    )
