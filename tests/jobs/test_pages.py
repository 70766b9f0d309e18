"""The pages of jobs: the list and its filters, one job, its log, the dead set, the queues, a new job."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.core import tenancy
from apps.jobs import listing, tail
from apps.jobs.models import Job, JobDependency, JobLogLine, JobTag, OutsideWorker, Queue, Worker
from apps.organizations.models import Organization

pytestmark = pytest.mark.django_db

LIST, DEAD, QUEUES, NEW = (f"/o/acme/jobs/{name}" for name in ("", "dead/", "queues/", "new/"))


def a_job(label: str = "Read customers.csv", tags: tuple[str, ...] = (), **fields: Any) -> Job:
    defaults = {"kind": "datasets.ingest", "queue": "data", "ready_at": timezone.now()}
    job: Job = Job.objects.create(label=label, **{**defaults, **fields})
    JobTag.objects.bulk_create([JobTag(job=job, tag=tag) for tag in tags])
    return job


def dead(label: str, **fields: Any) -> Job:
    told = {"error_code": "worker_lost", "error_message": "It went silent.", "finished_at": timezone.now()}
    return a_job(label, **{"status": "dead", "attempt": 3, **told, **fields})


def text_of(client: Any, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200, url
    return re.sub(r"\s+", " ", answer.content.decode())


def shown(page: str) -> set[str]:
    return set(re.findall(r"data-row-link>([^<]+)<", page))


def count_beside(page: str, label: str) -> str:
    found = re.search(rf'>{re.escape(label)}<span class="filter-count">([^<]+)<', page)
    return found[1] if found else ""


# The list


def test_several_filters_at_once_and_a_chip_for_each(as_owner: Any, in_acme: Any) -> None:
    a_job("one", kind="nightly", status="failed", tags=("gpu",))
    a_job("two", kind="nightly", status="succeeded", tags=("gpu",))
    a_job("three", kind="nightly", status="failed")
    page = text_of(as_owner, f"{LIST}?status=failed&kind=nightly&tag=gpu&age=1h")
    assert shown(page) == {"one"}
    for chip in ("Status: Failed", "Kind: nightly", "Tag: gpu", "Submitted: Last hour"):
        assert f"Take away {chip}" in page


def test_counts_say_what_a_choice_shows_beside_the_other_filters(as_owner: Any, in_acme: Any) -> None:
    for number in range(3):
        a_job(f"failed {number}", kind="nightly", status="failed", tags=("gpu",))
    a_job("succeeded", kind="nightly", status="succeeded")
    a_job("other", kind="hourly", status="failed")
    page = text_of(as_owner, f"{LIST}?kind=nightly")
    assert (count_beside(page, "Failed"), count_beside(page, "Succeeded")) == ("3", "1")
    assert count_beside(page, "hourly") == "1"
    assert count_beside(page, "gpu") == "3"
    assert count_beside(text_of(as_owner, f"{LIST}?status=succeeded"), "hourly") == ""


def test_what_was_not_looked_through_is_told_with_a_plus(
    as_owner: Any, in_acme: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "COUNTED", 2)
    for number in range(4):
        a_job(f"job {number}", kind="nightly", status="failed")
    assert count_beside(text_of(as_owner, LIST), "Failed") == "2+"


def test_ages_are_told_by_when_a_job_was_submitted(as_owner: Any, in_acme: Any) -> None:
    a_job("young")
    long_ago = int((timezone.now() - timedelta(days=9)).timestamp() * 1000)
    a_job("old", id=f"{long_ago >> 16:08x}-{long_ago & 0xFFFF:04x}-7000-8000-000000000000")
    assert shown(text_of(as_owner, f"{LIST}?age=older")) == {"old"}
    assert shown(text_of(as_owner, f"{LIST}?age=7d")) == {"young"}
    assert count_beside(text_of(as_owner, LIST), "Older than 7 days") == "1"


def test_an_address_that_asks_for_nonsense_shows_nothing_and_does_not_fail(as_owner: Any, in_acme: Any) -> None:
    a_job()
    assert "No job matches" in text_of(as_owner, f"{LIST}?status=flying&kind=%22&tag=%27")
    assert shown(text_of(as_owner, f"{LIST}?age=never")) == {"Read customers.csv"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"waits_for": 2, "ready_at": None}, "Waits for 2 jobs"),
        ({"waits_for": 1, "ready_at": None}, "Waits for 1 job"),
        ({"ready_at": None, "run_at": timezone.now() + timedelta(hours=3)}, "Starts <time"),
        (
            {"ready_at": None, "status": "retrying", "run_at": timezone.now() + timedelta(hours=3)},
            "Tried again <time",
        ),
        ({"kind": "nightly", "queue": "outside"}, "Waits for one of your own processes"),
        ({}, "Waits for a worker"),
        ({"doomed_by_id": uuid4(), "ready_at": None}, "one that it waits for did not succeed"),
    ],
)
def test_a_waiting_job_says_what_for(as_owner: Any, in_acme: Any, fields: dict[str, Any], words: str) -> None:
    job = a_job(**fields)
    assert words in text_of(as_owner, LIST)
    assert words in text_of(as_owner, f"{LIST}{job.pk}/")


def test_a_job_waits_for_a_free_slot_of_the_plan_or_for_its_queue(as_owner: Any, in_acme: Any) -> None:
    Organization.objects.filter(pk=in_acme.pk).update(plan="starter")
    lease = timezone.now() + timedelta(minutes=1)
    for number in range(2):
        a_job(f"running {number}", status="running", lease_until=lease, attempt=1, started_at=timezone.now())
    a_job("waiting")
    assert "Waits for a free slot: 2 of 2 are running" in text_of(as_owner, LIST)
    Queue.objects.update_or_create(name="data", defaults={"drained_at": timezone.now()})
    assert "its queue is stopped for maintenance" in text_of(as_owner, LIST)


def test_the_empty_list_explains_own_work(as_owner: Any) -> None:
    page = text_of(as_owner, LIST)
    for words in ("No jobs yet", "client.job(", "/clients/python/modelyard.py", "API token"):
        assert words in page


@pytest.mark.parametrize("path", [LIST, DEAD, QUEUES])
def test_more_jobs_need_no_more_queries(as_owner: Any, in_acme: Any, path: str) -> None:
    dead("first", tags=("gpu",))
    as_owner.get(path)
    with CaptureQueriesContext(connection) as one:
        as_owner.get(path)
    dead("second", tags=("gpu", "night")), dead("third")
    with CaptureQueriesContext(connection) as three:
        as_owner.get(path)
    assert len(one) == len(three)


# One job


def test_a_jobs_page_shows_what_it_waits_for_and_what_waits_for_it(as_owner: Any, in_acme: Any) -> None:
    first, job, last = a_job("first"), a_job("middle", waits_for=1, ready_at=None), a_job("last", waits_for=1)
    JobDependency.objects.create(job=job, needs=first)
    JobDependency.objects.create(job=last, needs=job)
    page = text_of(as_owner, f"{LIST}{job.pk}/")
    assert {"first", "last"} <= shown(page)
    assert f"job:{first.pk}" in page


def test_attempts_are_drawn_and_told_without_the_machine(as_owner: Any, in_acme: Any) -> None:
    job = a_job()
    for status, attempt in (("running", 1), ("retrying", 1), ("running", 2), ("succeeded", 2)):
        job.status, job.attempt, job.reason = status, attempt, "The network was away." if status == "retrying" else ""
        job.worker = "runner@secret-host-2:4711" if status == "running" else ""
        job.lease_until = timezone.now() if status == "running" else None
        job.save()
    page = text_of(as_owner, f"{LIST}{job.pk}/")
    for words in (
        "Attempt 1: running",
        "Attempt 2: backing off",
        "timeline-success",
        "The network was away.",
        "runner 2",
    ):
        assert words in page, words
    assert "secret-host" not in page


def test_a_job_that_is_asked_to_stop_says_until_when(as_owner: Any, in_acme: Any) -> None:
    lease = timezone.now() + timedelta(minutes=1)
    job = a_job(status="running", lease_until=lease, attempt=1, cancel_requested_at=timezone.now())
    page = text_of(as_owner, f"{LIST}{job.pk}/")
    assert "its process is ended" in page
    assert "Run again" not in page
    assert f"{job.pk}/cancel/" not in page


def test_a_dead_job_can_be_discarded_once(as_owner: Any, in_acme: Any) -> None:
    job = dead("gone")
    page = f"{LIST}{job.pk}/"
    assert "Discard" in text_of(as_owner, page)
    assert as_owner.post(f"{page}discard/").status_code == 303
    assert "Taken out of the dead set" in text_of(as_owner, page)
    assert as_owner.post(f"{page}discard/").status_code == 409


def test_one_like_this_is_submitted_from_the_page_only_where_that_is_allowed(as_owner: Any, in_acme: Any) -> None:
    own = a_job("nightly", kind="nightly", queue="outside", input={"epochs": 3}, tags=("gpu",))
    ours = a_job()
    page = text_of(as_owner, f"{LIST}{own.pk}/")
    assert "Submit one like this" in page
    assert "&quot;epochs&quot;: 3" in page
    assert "Submit one like this" not in text_of(as_owner, f"{LIST}{ours.pk}/")
    form = text_of(as_owner, f"{NEW}?like={own.pk}")
    assert 'value="nightly"' in form
    assert "&quot;epochs&quot;: 3" in form
    assert 'value="gpu"' in form


# The log


def write_lines(job: Job, count: int, level: str = "info", **fields: Any) -> None:
    lines = [JobLogLine(job=job, attempt=1, text=f"line {number}", level=level, **fields) for number in range(count)]
    JobLogLine.objects.bulk_create(lines)


def lines_of(page: str) -> list[str]:
    return re.findall(r'class="log-text">(line \d+)', page)


def test_the_log_is_read_backwards_in_pages(as_owner: Any, in_acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "PAGE", 3)
    job = a_job()
    write_lines(job, 7)
    page = text_of(as_owner, f"{LIST}{job.pk}/")
    seen = [lines_of(page)]
    while earlier := re.search(r'hx-get="([^"]+before=[^"]+)"', page):
        page = text_of(as_owner, earlier[1].replace("&amp;", "&"))
        seen.insert(0, lines_of(page))
    assert seen == [["line 0"], ["line 1", "line 2", "line 3"], ["line 4", "line 5", "line 6"]]


def test_the_log_goes_on_after_its_last_line(as_owner: Any, in_acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def tail_of(page: str) -> str:
        found = re.search(r'id="log-tail"[^>]* hx-get="([^"]+)" hx-trigger="([^"]+)"', page)
        assert found
        triggers.append(found[2])
        return found[1].replace("&amp;", "&")

    triggers: list[str] = []
    monkeypatch.setattr(tail, "PAGE", 3)
    job = a_job()
    page = text_of(as_owner, f"{LIST}{job.pk}/")
    assert "has written nothing" in page
    write_lines(job, 5)
    first = text_of(as_owner, tail_of(page))
    second = text_of(as_owner, tail_of(first))
    third = text_of(as_owner, tail_of(second))
    assert [lines_of(one) for one in (first, second, third)] == [
        ["line 0", "line 1", "line 2"],
        ["line 3", "line 4"],
        [],
    ]
    assert triggers == ["live", "load, live", "live"]
    assert "has written nothing" not in third
    assert tail_of(third) == tail_of(second)


def test_a_level_shows_what_is_at_least_as_bad(as_owner: Any, in_acme: Any) -> None:
    job = a_job()
    for level in ("debug", "info", "warning", "error"):
        JobLogLine.objects.create(job=job, attempt=1, level=level, text=f"a {level} line", fields={"fold": 3})
    page = text_of(as_owner, f"{LIST}{job.pk}/?level=warning")
    assert "a warning line" in page
    assert "a error line" in page
    assert "fold=3" in page
    assert "a info line" not in page
    assert "level=warning" in re.findall(r'id="log-tail"[^>]*', page)[0]


def test_a_line_that_nobody_wrote_is_no_address(as_owner: Any, in_acme: Any) -> None:
    job = a_job()
    assert as_owner.get(f"{LIST}{job.pk}/log/?before=x").status_code == 404


# The dead set


def test_picked_dead_jobs_are_retried_and_others_are_left(as_owner: Any, in_acme: Any) -> None:
    picked, left = dead("picked"), dead("left")
    page = text_of(as_owner, DEAD)
    assert shown(page) == {"picked", "left"}
    assert as_owner.post(f"{DEAD}retry/", {"job": [str(picked.pk)]}).status_code == 303
    picked.refresh_from_db(), left.refresh_from_db()
    assert (picked.status, left.status) == ("pending", "dead")
    assert "1 job will be tried again." in text_of(as_owner, DEAD)


def test_all_that_match_are_discarded_after_a_confirmation_that_says_how_many(as_owner: Any, in_acme: Any) -> None:
    dead("one", error_code="timeout"), dead("two", error_code="timeout"), dead("three")
    page = text_of(as_owner, f"{DEAD}?error_code=timeout")
    assert shown(page) == {"one", "two"}
    assert "Discard 2 dead jobs?" in page
    assert as_owner.post(f"{DEAD}discard/?error_code=timeout", {"all": "1"}).status_code == 303
    assert shown(text_of(as_owner, DEAD)) == {"three"}
    assert Job.objects.filter(status="dead", discarded_at=None).count() == 1


def test_nothing_picked_touches_nothing(as_owner: Any, in_acme: Any) -> None:
    dead("one")
    as_owner.post(f"{DEAD}discard/", {})
    assert Job.objects.dead().count() == 1
    assert as_owner.post(f"{DEAD}discard/", {"job": "x"}).status_code == 404


def test_an_analyst_sees_the_dead_and_no_way_to_change_them(as_viewer: Any, in_acme: Any) -> None:
    job = dead("one")
    for path in (DEAD, LIST, f"{LIST}{job.pk}/"):
        page = text_of(as_viewer, path)
        for words in ("Retry all", "Run again", "Discard", "New job", 'type="checkbox"'):
            assert words not in page, (path, words)
    for path in ("dead/retry/", "dead/discard/", f"{job.pk}/discard/", "new/"):
        assert as_viewer.post(f"{LIST}{path}").status_code == 403


# The queues


def test_queues_tell_depth_age_throughput_failures_and_the_plans_limit(as_owner: Any, in_acme: Any) -> None:
    a_job("waits", ready_at=timezone.now() - timedelta(minutes=5))
    a_job("later", ready_at=None, run_at=timezone.now() + timedelta(hours=1))
    ended = {"finished_at": timezone.now() - timedelta(minutes=10)}
    a_job("well", status="succeeded", **ended), a_job("badly", status="failed", **ended)
    page = text_of(as_owner, QUEUES)
    data = page[page.index("<h2>data</h2>") :][:4000]
    for words in (
        "<dt>Ready</dt><dd>1</dd>",
        "5 minutes ago",
        "<dt>Not yet</dt><dd>1</dd>",
        "<dt>Ended in the last hour</dt><dd>2</dd>",
        "<dt>Went wrong</dt><dd>50%</dd>",
        "Ended jobs of data",
    ):
        assert words in data, words
    assert "of 20 at once by your plan" in page
    assert "<h2>outside</h2>" not in page


def test_queues_name_workers_plainly_and_tell_who_is_silent(as_owner: Any, in_acme: Any) -> None:
    Worker.objects.create(name="runner@secret-host-1:4711", queues=["data"], slots=1)
    Worker.objects.create(
        name="runner@secret-host-spare:4712",
        queues=["data"],
        slots=1,
        heartbeat_at=timezone.now() - timedelta(minutes=2),
    )
    OutsideWorker.objects.create(name="gpu-1", kinds=["nightly"])
    page = text_of(as_owner, QUEUES)
    assert "secret-host" not in page
    for words in ("runner 1", "runner spare", "gpu-1", "<h2>outside</h2>"):
        assert words in page
    assert page.count("Silent") == 1


def test_a_stopped_queue_says_so_and_why(as_owner: Any, in_acme: Any) -> None:
    drained = {"drained_at": timezone.now(), "drained_because": "The disk is being replaced."}
    Queue.objects.update_or_create(name="data", defaults=drained)
    page = text_of(as_owner, QUEUES)
    assert "Stopped for maintenance" in page
    assert "The disk is being replaced." in page


def test_another_organizations_work_is_in_no_count(as_outsider: Any, as_owner: Any, acme: Any) -> None:
    with tenancy.scope(acme.pk):
        dead("secret", kind="secret-kind", tags=("secret-tag",))
        OutsideWorker.objects.create(name="secret-machine")
    for path in ("", "dead/", "queues/", "new/"):
        assert "secret" not in text_of(as_outsider, f"/o/globex/jobs/{path}")


# A new job


def test_a_job_is_submitted_from_the_page(as_owner: Any, in_acme: Any) -> None:
    given = {"kind": "nightly-train", "input": '{"epochs": 10}', "priority": "7", "tags": "gpu, night"}
    answer = as_owner.post(NEW, given)
    job = Job.objects.get(kind="nightly-train")
    assert (answer.status_code, answer["Location"]) == (303, f"/o/acme/jobs/{job.pk}/")
    assert (job.label, job.input, job.priority, job.queue) == ("nightly-train", {"epochs": 10}, 7, "outside")
    assert [mark.tag for mark in job.tags.all()] == ["gpu", "night"]
    assert 'value="nightly-train"' in text_of(as_owner, NEW)


def test_the_moment_is_the_persons_own(as_owner: Any, owner: Any, in_acme: Any) -> None:
    owner.time_zone = "Asia/Kathmandu"
    owner.save()
    tomorrow = f"{timezone.now() + timedelta(days=1):%Y-%m-%d}"
    as_owner.post(NEW, {"kind": "nightly", "priority": "5", "run_at": f"{tomorrow}T12:00:00"})
    assert f"{Job.objects.get().run_at:%Y-%m-%d %H:%M}" == f"{tomorrow} 06:15"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("input", '{"epochs": }', "Line 1, column 12"),
        ("input", "[1]", "Write a JSON object"),
        ("input", '{"text": "\\u0000"}', "U+0000"),
        ("kind", "Nightly Train", "Small letters"),
        ("kind", "datasets.ingest", "not submitted by themselves"),
        ("priority", "10", "less than or equal to 9"),
        ("tags", "GPU", "is no tag"),
        ("run_at", "2999-01-01T00:00", "days ahead at most"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(as_owner: Any, in_acme: Any, field: str, value: str, words: str) -> None:
    given = {"kind": "nightly", "input": "{}", "priority": "5", **{field: value}}
    answer = as_owner.post(NEW, given)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert words in page[page.index(f'id="id_{field}_error"') :][:600]
    assert not Job.objects.exists()


def test_counts_keep_to_a_queue_and_an_error_that_the_address_asks_for(as_owner: Any, in_acme: Any) -> None:
    a_job("one", kind="nightly", queue="outside", status="failed", error_code="boom")
    a_job("two", kind="nightly", queue="outside", status="failed", error_code="worker_lost")
    a_job("three", kind="hourly", queue="data", status="failed", error_code="boom")
    page = text_of(as_owner, f"{LIST}?queue=outside&error_code=boom")
    assert shown(page) == {"one"}
    assert (count_beside(page, "Failed"), count_beside(page, "Last hour")) == ("1", "1")
    assert "hourly" not in page


def test_a_program_to_copy_holds_nothing_of_an_address_but_a_kind(as_owner: Any) -> None:
    page = as_owner.get(NEW, {"kind": '")\nimport evil  # '}).content.decode()
    assert "@client.handles(&quot;nightly-train&quot;)" in page
    assert "import evil" not in page.partition("The same over the API")[2]
    assert "@client.handles(&quot;read&quot;)" in text_of(as_owner, f"{NEW}?kind=read")


def test_acting_on_some_of_the_dead_keeps_the_filters(as_owner: Any, in_acme: Any) -> None:
    job = dead("one", kind="nightly", queue="outside")
    assert f'formaction="{DEAD}discard/?kind=nightly"' in text_of(as_owner, f"{DEAD}?kind=nightly")
    answer = as_owner.post(f"{DEAD}discard/?kind=nightly", {"job": str(job.pk)})
    assert answer["Location"] == f"{DEAD}?kind=nightly"
    assert as_owner.post(f"{DEAD}discard/?kind=nightly", {"all": "1"})["Location"] == DEAD


def test_nothing_picked_is_no_success(as_owner: Any, in_acme: Any) -> None:
    dead("one")
    as_owner.post(f"{DEAD}retry/", {})
    page = text_of(as_owner, DEAD)
    assert "Select the jobs first." in page
    assert "0 jobs" not in page


def test_the_form_names_the_persons_zone(as_owner: Any, owner: Any, in_acme: Any) -> None:
    owner.time_zone = "Asia/Kathmandu"
    owner.save()
    assert "In your time zone, Asia/Kathmandu." in text_of(as_owner, NEW)


def test_who_cannot_submit_is_shown_no_form(as_viewer: Any) -> None:
    assert as_viewer.get(NEW).status_code == 403


def test_a_job_that_tells_no_step_is_starting_only_at_first(as_owner: Any, in_acme: Any) -> None:
    now = timezone.now()
    job = a_job(status="running", attempt=1, started_at=now, heartbeat_at=now, lease_until=now + timedelta(minutes=1))
    assert "Starting" in text_of(as_owner, f"{LIST}{job.pk}/")
    Job.objects.filter(pk=job.pk).update(progress=0.4)
    page = text_of(as_owner, f"{LIST}{job.pk}/")
    assert "40%" in page
    assert "Starting" not in page
