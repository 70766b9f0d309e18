"""Submitting jobs by the API: what is accepted, what is refused and how, and that a repeated request makes one job."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from apps.audit.models import AuditEntry
from apps.core import tenancy
from apps.core.actors import Actor
from apps.jobs import kinds, services, submissions
from apps.jobs.models import Job, JobTag
from apps.jobs.services import Wishes
from tests.conftest import actor_of, api_client
from tests.working import take

pytestmark = pytest.mark.django_db

URL = "/api/v1/jobs/"


@pytest.fixture
def open_kind() -> Iterator[str]:
    kinds.kind("test.open", is_open=True, time_limit_s=60, max_attempts=2)(lambda job: None)
    yield "test.open"
    kinds._kinds.pop("test.open")


def code_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def fields_of(answer: Any) -> set[str]:
    assert answer.status_code == 422, answer.content
    return {error["field"] for error in answer.json()["errors"]}


def test_a_job_with_every_wish_is_accepted(api_developer: Any, in_acme: Any) -> None:
    at = timezone.now() + timedelta(hours=1)
    wishes = {
        "kind": "nightly-train",
        "name": "Train tonight",
        "input": {"epochs": 10, "text": "äöü \\u0000 is text here"},
        "priority": 9,
        "run_at": at.isoformat(),
        "timeout_s": 120,
        "max_attempts": 7,
        "tags": ["gpu", "team:a"],
    }
    answer = api_developer.post(URL, wishes)
    assert answer.status_code == 202, answer.content
    told = answer.json()
    assert answer["Location"].endswith(f"/api/v1/jobs/{told['id']}/")
    assert (told["status"], told["queue"], told["waits_for"]) == ("pending", "outside", 0)
    for name in ("kind", "name", "input", "priority", "timeout_s", "max_attempts", "tags"):
        assert told[name] == wishes[name], name
    job = Job.objects.get(pk=told["id"])
    assert (job.run_at, job.ready_at) == (at, None)
    assert api_developer.get(answer["Location"]).json()["id"] == told["id"]


def test_the_least_that_a_job_needs_is_its_kind(api_developer: Any, in_acme: Any) -> None:
    told = api_developer.post(URL, {"kind": "nobody-asked-for-this-yet"}).json()
    job = Job.objects.get(pk=told["id"])
    assert (job.label, job.input, job.priority, job.max_attempts) == (job.kind, {}, 5, 3)
    assert job.ready_at is not None
    assert job.created_by_label


def test_a_submission_leaves_a_line_in_the_trail(api_developer: Any, in_acme: Any) -> None:
    told = api_developer.post(URL, {"kind": "mine"}).json()
    line = AuditEntry.objects.get(action="job.submitted")
    assert (str(line.subject_id), line.changes) == (told["id"], {"kind": "mine"})


def test_an_open_kind_of_ours_is_run_by_our_workers(open_kind: str, api_developer: Any, in_acme: Any) -> None:
    told = api_developer.post(URL, {"kind": open_kind, "timeout_s": 5}).json()
    assert (told["queue"], told["timeout_s"], told["max_attempts"]) == ("default", 5, 2)
    claim = take()
    assert claim is not None
    assert str(claim.job_id) == told["id"]


def test_an_open_kind_of_ours_runs_no_longer_than_it_may(open_kind: str, api_developer: Any) -> None:
    answer = api_developer.post(URL, {"kind": open_kind, "timeout_s": 61})
    assert code_of(answer) == (422, "time_limit_too_long")


def test_a_kind_of_ours_that_is_not_open_says_how_it_begins(api_developer: Any, in_acme: Any) -> None:
    answer = api_developer.post(URL, {"kind": "training.run"})
    assert code_of(answer) == (422, "kind_not_open")
    assert "POST /api/v1/training-runs/" in answer.json()["detail"]
    assert fields_of(answer) == {"kind"}
    assert not Job.objects.exists()


def test_every_kind_of_ours_that_is_not_open_says_how_it_begins() -> None:
    assert [one.name for one in kinds._kinds.values() if not one.is_open and not one.started_by] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", ""),
        ("kind", "Nightly"),
        ("kind", "-x"),
        ("kind", "x" * 61),
        ("name", "n" * 201),
        ("input", []),
        ("input", {"text": "x" * 65_536}),
        ("input", {"text": "a\x00b"}),
        ("priority", 10),
        ("priority", -1),
        ("run_at", "tomorrow"),
        ("run_at", "2999-01-01T00:00:00Z"),
        ("depends_on", ["no id"]),
        ("depends_on", ["0196aaaa-0000-7000-8000-000000000000"] * 101),
        ("timeout_s", 0),
        ("timeout_s", 700_000),
        ("max_attempts", 0),
        ("max_attempts", 26),
        ("tags", ["Loud"]),
        ("tags", [f"t{n}" for n in range(21)]),
        ("tags", ["x" * 51]),
        ("callback_url", "ftp://example.com/"),
        ("callback_url", "http://10.0.0.1/"),
        ("callback_url", "http://127.0.0.1:9000/"),
        ("callback_url", "http://[::1]/"),
        ("callback_url", "https://user:secret@example.com/"),
    ],
)
def test_what_cannot_be_is_refused_beside_its_field(api_developer: Any, in_acme: Any, field: str, value: Any) -> None:
    answer = api_developer.post(URL, {"kind": "mine", field: value})
    assert {name.partition(".")[0] for name in fields_of(answer)} == {field}
    assert not Job.objects.exists()


@pytest.mark.parametrize("value", ["1e999", r'"half a pair \ud800"', r'{"\u0000": 1}'])
def test_what_no_database_keeps_is_refused(api_developer: Any, value: str) -> None:
    body = f'{{"kind": "mine", "input": {{"n": {value}}}}}'
    answer = api_developer.generic("POST", URL, body, content_type="application/json")
    assert fields_of(answer) == {"input"}


def test_a_time_that_is_over_means_now(api_developer: Any, in_acme: Any) -> None:
    told = api_developer.post(URL, {"kind": "mine", "run_at": "2001-01-01T00:00:00Z"}).json()
    assert Job.objects.get(pk=told["id"]).ready_at is not None


def test_tags_told_twice_are_one(api_developer: Any, in_acme: Any) -> None:
    assert api_developer.post(URL, {"kind": "mine", "tags": ["b", "a", "b"]}).json()["tags"] == ["a", "b"]
    assert JobTag.objects.count() == 2


def test_a_viewer_may_not_submit(api_viewer: Any, in_acme: Any) -> None:
    assert api_viewer.post(URL, {"kind": "mine"}).status_code == 403
    assert not Job.objects.exists()


def test_a_job_of_another_organization_is_not_waited_for(api_developer: Any, globex: Any, outsider: Any) -> None:
    with tenancy.scope(globex.pk):
        theirs = services.submit_job("theirs", {}, by=actor_of(outsider, "owner"), label="theirs")
    answer = api_developer.post(URL, {"kind": "mine", "depends_on": [str(theirs.pk)]})
    assert code_of(answer) == (400, "dependency_unknown")


def test_the_same_key_makes_one_job(api_developer: Any, in_acme: Any) -> None:
    first = api_developer.post(URL, {"kind": "mine"}, headers={"Idempotency-Key": "tonight"})
    again = api_developer.post(URL, {"kind": "mine"}, headers={"Idempotency-Key": "tonight"})
    assert (again.status_code, again.json(), again["Location"]) == (202, first.json(), first["Location"])
    assert again["Idempotency-Replayed"] == "true"
    other = api_developer.post(URL, {"kind": "other"}, headers={"Idempotency-Key": "tonight"})
    assert other.status_code == 422
    assert Job.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_p2_the_same_key_sent_twice_at_once_makes_one_job(
    acme: Any, developer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = api_client(acme, actor_of(developer, "developer"))
    submitted, may_go_on, answers = threading.Event(), threading.Event(), []
    submit = submissions.submit_open_job

    def submit_and_wait(*args: Any, **kwargs: Any) -> Job:
        job = submit(*args, **kwargs)
        submitted.set()
        assert may_go_on.wait(10)
        return job

    def post() -> None:
        answers.append(client.post(URL, {"kind": "mine"}, headers={"Idempotency-Key": "at-once"}))
        connections.close_all()

    monkeypatch.setattr(submissions, "submit_open_job", submit_and_wait)
    first = threading.Thread(target=post)
    first.start()
    assert submitted.wait(10)
    second = client.post(URL, {"kind": "mine"}, headers={"Idempotency-Key": "at-once"})
    may_go_on.set()
    first.join()
    third = client.post(URL, {"kind": "mine"}, headers={"Idempotency-Key": "at-once"})
    assert second.status_code == 409
    assert [answers[0].status_code, third.status_code] == [202, 202]
    assert third.json() == answers[0].json()
    with tenancy.scope(acme.pk):
        assert Job.objects.count() == 1


def test_the_service_takes_what_a_page_gives(in_acme: Any, actor: Actor) -> None:
    job = submissions.submit_open_job("mine", {}, by=actor, label="", wishes=Wishes(tags=["a"]))
    assert (job.label, [mark.tag for mark in job.tags.all()]) == ("mine", ["a"])


def test_a_member_that_nobody_knows_is_refused_by_its_name(api_developer: Any, in_acme: Any) -> None:
    body = {"kind": "nightly-train", "run_At": "2030-01-01T00:00:00Z"}
    answer = api_developer.post("/api/v1/jobs/", body, format="json")
    assert (answer.status_code, Job.objects.count()) == (422, 0)
    assert "run_At" in str(answer.json())
