"""One request's id leads from the caller through the web, the trail and the worker."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from apps.audit.models import AuditEntry
from apps.core.request_ids import accept_or_make
from apps.jobs.models import Job
from tests.factories.tables import plants_csv
from tests.working import run_all

ID = "order-4711:upload"


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """What was logged with our id."""
    events = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    return [event for event in events if event.get("request_id") == ID]


@pytest.mark.django_db
def test_one_id_leads_from_the_call_to_the_worker(
    api_owner: Any, in_acme: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    file = SimpleUploadedFile("plants.csv", plants_csv().encode())
    answer = api_owner.post(
        "/api/v1/datasets/", {"name": "plants", "file": file}, format="multipart", headers={"X-Request-Id": ID}
    )
    assert (answer.status_code, answer["X-Request-Id"]) == (202, ID)
    (line,) = [event for event in told(caplog) if event["event"] == "request"]
    assert (line["status"], line["route"]) == (202, "/api/v1/datasets/")

    assert set(AuditEntry.objects.filter(request_id=ID).values_list("action", flat=True)) >= {"dataset.created"}
    job = Job.objects.get(pk=answer.json()["job"])
    assert job.request_id == ID
    caplog.clear()
    caplog.set_level("DEBUG", logger="apps.jobs.running")
    run_all("data")
    events = told(caplog)
    assert [event["event"] for event in events] == ["attempt_ended"]
    assert {event["job"] for event in events} == {str(job.pk)}
    assert {event["organization"] for event in events} == {str(in_acme.pk)}


@pytest.mark.parametrize("candidate", ["short", "x" * 65, "new\nline-in-it", "spaces in it", "", None, "ünïcödé-id"])
def test_an_id_that_could_spoil_a_log_is_replaced(candidate: str | None) -> None:
    assert accept_or_make(candidate) != candidate


@pytest.mark.django_db
def test_a_refusal_tells_the_id_that_its_log_line_has(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    answer = client.get("/api/v1/datasets/", headers={"X-Request-Id": ID})
    assert (answer.status_code, answer.json()["request_id"]) == (401, ID)
    assert [event["status"] for event in told(caplog)] == [401]
