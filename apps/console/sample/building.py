"""The sample project: the main job on real data, by nothing but public API calls."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from apps.console.sample import data
from apps.console.sample.client import Client, Report, wait_until
from apps.core.actors import Actor
from apps.organizations import services as organizations
from apps.organizations.models import Membership

TOKEN_LIFETIME = timedelta(hours=1)
SCOPES = [
    *("datasets.read", "datasets.write", "training.read", "training.write", "models.read", "jobs.read"),
    *("deployments.read", "deployments.write", "predictions.create", "usage.read"),
]


def build(api: Client, edge: Client, report: Report) -> dict[str, Any]:
    """Upload, train, deploy, predict and see it metered. Returns the ids of what was made and one prediction."""
    dataset = _upload(api, report)
    version_id = _train(api, dataset["latest_version"]["id"], report)
    deployment = _deploy(api, version_id, report)
    request = example_request(api, dataset["latest_version"]["id"], version_id)
    path = f"/v2/models/{deployment['name']}/infer"
    report(0.92, "Asking the endpoint for a prediction")
    answer = edge.post(path, request)
    report(0.95, "Waiting until the prediction is in the ledger")
    metered = wait_until(lambda: _metered(api), seconds=30, reason="The prediction was not metered")
    report(1, f"Done: {metered} prediction{'s' if metered != 1 else ''} metered")
    return {
        "dataset": dataset["id"],
        "model_version": version_id,
        "deployment": deployment["id"],
        "path": path,
        "request": request,
        "answer": answer,
        "predictions": metered,
    }


def _upload(api: Client, report: Report) -> dict[str, Any]:
    for dataset in api.get("/api/v1/datasets/")["results"]:
        if dataset["name"] == data.NAME:
            return dataset
    with tempfile.TemporaryDirectory() as folder:
        file = data.write_csv(Path(folder) / f"{data.NAME}.csv")
        dataset = api.upload("/api/v1/datasets/", file, name=data.NAME, description=data.DESCRIPTION)
    api.wait_for_job(dataset["latest_version"]["job"], _part(report, 0.0, 0.15, "Upload"))
    return api.get(f"/api/v1/datasets/{dataset['id']}/")


def _train(api: Client, dataset_version_id: str, report: Report) -> str:
    run = api.post(
        "/api/v1/training-runs/",
        {"name": data.NAME, "dataset_version": dataset_version_id, "target": data.TARGET},
    )
    api.wait_for_job(run["job"], _part(report, 0.15, 0.75, "Train"))
    return api.get(f"/api/v1/training-runs/{run['id']}/")["model_version"]


def _deploy(api: Client, version_id: str, report: Report) -> dict[str, Any]:
    report(0.76, "Deploy: starting two replicas")
    for deployment in api.get("/api/v1/deployments/")["results"]:
        if deployment["name"] == data.NAME:
            api.patch(f"/api/v1/deployments/{deployment['id']}/", {"model_version": version_id})
            break
    else:
        body = {"name": data.NAME, "model_version": version_id, "replica_count": 2}
        deployment = api.post("/api/v1/deployments/", body)

    def ready() -> Any:
        shown = api.get(f"/api/v1/deployments/{deployment['id']}/")
        report(0.8, f"Deploy: {shown['status']}")
        return shown if shown["status"] == "ready" else None

    return wait_until(ready, seconds=120, reason="The deployment did not become ready")


def example_request(api: Client, dataset_version_id: str, version_id: str) -> dict[str, Any]:
    """An inference request (Open Inference Protocol) for the first row of the dataset version."""
    signature = api.get(f"/api/v1/model-versions/{version_id}/")["signature"]
    table = api.get(f"/api/v1/dataset-versions/{dataset_version_id}/rows/?limit=1")
    row = dict(zip(table["columns"], table["rows"][0], strict=True))
    inputs = [
        {"name": column["name"], "shape": [1], "datatype": column["datatype"], "data": [row[column["name"]]]}
        for column in signature["inputs"]
    ]
    return {"inputs": inputs}


def _metered(api: Client) -> int:
    meters = api.get("/api/v1/usage/?range=24h&meter=predictions")["meters"]
    return sum(meter["quantity"] for meter in meters)


def _part(report: Report, start: float, end: float, label: str) -> Report:
    """Report a step's own progress as its part of the whole."""
    return lambda share, step: report(start + (end - start) * share, f"{label}: {step}")


def build_as(user_id: UUID, report: Report) -> dict[str, Any]:
    """Build in the current organization with a token of this person that is revoked afterwards."""
    membership = Membership.objects.select_related("user").get(user_id=user_id)
    by = Actor("user", user_id, membership.user.email, membership.permissions, user_id)
    name, expires_at = "Sample project, revoked once it is built", timezone.now() + TOKEN_LIFETIME
    token, text = organizations.create_token(name, SCOPES, by=by, expires_at=expires_at)
    try:
        return build(Client(settings.PUBLIC_URL, text), Client(settings.EDGE_URL, text), report)
    finally:
        organizations.revoke_token(token, by=by)
