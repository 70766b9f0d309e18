"""Jobs in the API and on their pages."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core import tenancy
from apps.jobs.models import Job, JobLogLine

pytestmark = pytest.mark.django_db


def a_job(**fields: Any) -> Job:
    defaults = {"kind": "datasets.ingest", "queue": "data", "label": "Read customers.csv"}
    return Job.objects.create(**{**defaults, **fields})


@pytest.fixture
def job(acme: Any) -> Job:
    with tenancy.scope(acme.pk):
        failure = {"error_code": "not_a_csv", "error_message": "This is a picture.", "reason": "This is a picture."}
        job = a_job(status="failed", attempt=1, **failure)
        JobLogLine.objects.create(job=job, attempt=1, text="opening the file")
        return job


def test_the_list_filters_and_counts(as_owner: Any, job: Job, in_acme: Any) -> None:
    a_job(label="Train churn", kind="training.run")
    page = as_owner.get("/o/acme/jobs/?status=failed").content.decode()
    assert "Read customers.csv" in page
    assert "Train churn" not in page


def test_the_empty_list_says_what_jobs_are(as_owner: Any) -> None:
    assert "No jobs yet" in as_owner.get("/o/acme/jobs/").content.decode()


def test_a_jobs_page_shows_why_it_failed_its_log_and_history(as_owner: Any, job: Job) -> None:
    page = as_owner.get(f"/o/acme/jobs/{job.pk}/").content.decode()
    for text in ("This is a picture.", "not_a_csv", "opening the file", "Run again"):
        assert text in page


def test_a_viewer_sees_no_button_and_may_not_retry(as_viewer: Any, job: Job) -> None:
    assert "Run again" not in as_viewer.get(f"/o/acme/jobs/{job.pk}/").content.decode()
    assert as_viewer.post(f"/o/acme/jobs/{job.pk}/retry/").status_code == 403


def test_another_organizations_job_is_not_found(as_outsider: Any, api_outsider: Any, job: Job) -> None:
    assert as_outsider.get(f"/o/globex/jobs/{job.pk}/").status_code == 404
    assert as_outsider.get(f"/o/acme/jobs/{job.pk}/").status_code == 404
    for path in ("", "log/"):
        assert api_outsider.get(f"/api/v1/jobs/{job.pk}/{path}").status_code == 404
    for action in ("cancel", "retry"):
        assert api_outsider.post(f"/api/v1/jobs/{job.pk}/{action}/").status_code == 404


def test_the_api_tells_history_and_log(api_viewer: Any, job: Job) -> None:
    body = api_viewer.get(f"/api/v1/jobs/{job.pk}/").json()
    assert body["transitions"][0]["reason"] == "This is a picture."
    assert api_viewer.get(f"/api/v1/jobs/{job.pk}/log/").json()["results"][0]["text"] == "opening the file"


def test_cancelling_what_has_ended_is_a_conflict(api_owner: Any, job: Job) -> None:
    response = api_owner.post(f"/api/v1/jobs/{job.pk}/cancel/")
    assert (response.status_code, response.json()["code"]) == (409, "job_already_finished")


@pytest.mark.parametrize("path", ["/o/acme/jobs/", "/api/v1/jobs/"])
def test_a_longer_list_needs_no_more_queries(as_owner: Any, in_acme: Any, path: str) -> None:
    a_job()
    as_owner.get(path)
    with CaptureQueriesContext(connection) as one:
        as_owner.get(path)
    a_job(), a_job()
    with CaptureQueriesContext(connection) as three:
        as_owner.get(path)
    assert len(one) == len(three)
