"""The Python client, in processes of its own, against a real server: what it starts is seen, and never lost."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client as Browser

from apps.core import held_calls
from apps.core.actors import Actor
from apps.jobs import services, sweeping
from apps.jobs.client import modelyard, wheel
from apps.jobs.models import Job, JobLogLine
from apps.jobs.services import Wishes
from tests.conftest import api_client
from tests.core.web_server import WebServer

pytestmark = pytest.mark.django_db(transaction=True)

DEADLINE_S = 30
KIND = "nightly-train"
FOLDER = Path(modelyard.__file__).parent
WORKER = """
    import sys, time
    from modelyard import Client

    client = Client()

    @client.handles("nightly-train")
    def train(job):
        {body}

    client.work(worker=sys.argv[1], lease_s=10)
"""


@pytest.fixture
def server() -> Iterator[WebServer]:
    started = WebServer()
    yield started
    started.stop()


@pytest.fixture
def token(acme: Any, actor: Actor) -> str:
    return str(api_client(acme, actor).token)


@pytest.fixture
def client(server: WebServer, token: str) -> modelyard.Client:
    return modelyard.Client(server.url, token, patience_s=DEADLINE_S)


@pytest.fixture
def run(server: WebServer, token: str, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a program that uses the client."""
    started: list[subprocess.Popen[str]] = []

    def _run(text: str, *arguments: str) -> subprocess.Popen[str]:
        script = tmp_path / f"script_{len(started)}.py"
        script.write_text(dedent(text))
        environment = {**os.environ, "PYTHONPATH": str(FOLDER), "MODELYARD_URL": server.url, "MODELYARD_TOKEN": token}
        started.append(
            subprocess.Popen(
                [sys.executable, str(script), *arguments],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        return started[-1]

    yield _run
    for process in started:
        process.kill()
        process.communicate()


def worker(body: str) -> str:
    return dedent(WORKER).replace("{body}", body.replace("\n", "\n    "))


def submit(actor: Actor, **wishes: Any) -> Job:
    return services.submit_job(KIND, {"epochs": 3}, by=actor, label="Nightly", wishes=Wishes(**wishes))


def becomes(job: Job, condition: Callable[[Job], bool]) -> Job:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        job.refresh_from_db()
        if condition(job):
            return job
        assert time.monotonic() < deadline, f"it stays {job.status} at {job.progress} {job.step}: {job.error_message}"
        time.sleep(0.02)


def ends(job: Job, status: str) -> Job:
    return becomes(job, lambda found: found.status == status)


def only_job() -> Job:
    deadline = time.monotonic() + DEADLINE_S
    while not Job.objects.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return Job.objects.get()


def end_lease(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(lease_until=Now() - timedelta(seconds=1))
    sweeping.sweep()


def test_a_script_shows_itself_in_the_tracker(in_acme: Any, run: Any) -> None:
    script = run("""
        from modelyard import Client
        with Client().job("nightly-train", name="Nightly", tags=["churn"], input={"epochs": 2}) as job:
            for epoch in range(job.input["epochs"]):
                job.progress((epoch + 1) / 4, f"epoch {epoch + 1}")
                job.log("done", epoch=epoch)
            job.result = {"auc": 0.93}
    """)
    assert script.wait(DEADLINE_S) == 0, script.stdout.read()
    job = Job.objects.get()
    assert (job.status, job.label, job.result, job.attempt) == ("succeeded", "Nightly", {"auc": 0.93}, 1)
    assert [(line.text, line.fields) for line in JobLogLine.objects.all()] == [
        ("done", {"epoch": 0}),
        ("done", {"epoch": 1}),
    ]


def test_a_scripts_error_fails_its_job_and_is_raised_on(in_acme: Any, run: Any) -> None:
    script = run("""
        from modelyard import Client
        with Client().job("nightly-train", max_attempts=1) as job:
            job.log("before")
            1 / 0
    """)
    assert script.wait(DEADLINE_S) == 1
    assert "ZeroDivisionError" in script.stdout.read()
    job = Job.objects.get()
    assert (job.status, job.error_class) == ("dead", "ZeroDivisionError")
    assert "1 / 0" in job.traceback
    assert JobLogLine.objects.get().text == "before"


def test_what_is_no_json_fails_the_job_in_words(in_acme: Any, client: modelyard.Client) -> None:
    with pytest.raises(TypeError), client.job(KIND) as job:
        job.result = {"model": object()}
    assert "not JSON serializable" in Job.objects.get().error_message


def test_a_script_that_is_killed_leaves_a_dead_job(in_acme: Any, run: Any) -> None:
    script = run("""
        import time
        from modelyard import Client
        with Client().job("nightly-train") as job:
            job.progress(0.5)
            time.sleep(600)
    """)
    job = becomes(only_job(), lambda found: found.progress == 0.5)
    script.kill()
    script.wait()
    end_lease(job)
    job.refresh_from_db()
    assert (job.status, job.error_code) == ("dead", "worker_lost")


def test_a_killed_workers_job_is_done_by_another_one(in_acme: Any, actor: Actor, run: Any) -> None:
    first = run(worker("job.progress(0.5, 'first'); time.sleep(600)"), "gpu-1")
    job = submit(actor)
    becomes(job, lambda found: found.step == "first")
    first.send_signal(signal.SIGSTOP)
    end_lease(job)
    run(worker("return {'by': 'gpu-2', 'attempt': job.attempt}"), "gpu-2")
    ends(job, "succeeded")
    first.kill()
    assert (job.result, job.worker) == ({"by": "gpu-2", "attempt": 2}, "gpu-2")


def test_who_was_stopped_too_long_is_told_that_the_job_is_lost(in_acme: Any, actor: Actor, run: Any) -> None:
    slow = worker("for n in range(6000):\n    job.progress(n / 6000, f'attempt {job.attempt}'); time.sleep(0.01)")
    first = run(slow, "gpu-1")
    job = submit(actor)
    becomes(job, lambda found: found.progress > 0)
    first.send_signal(signal.SIGSTOP)
    end_lease(job)
    taken = run(worker("return {'by': 'gpu-2'}"), "gpu-2")
    ends(job, "succeeded")
    taken.send_signal(signal.SIGTERM)
    again = submit(actor)  # also when this comes in the moment in which the worker leaves
    assert taken.wait(DEADLINE_S) == 0
    first.send_signal(signal.SIGCONT)
    becomes(again, lambda found: found.worker == "gpu-1")
    job.refresh_from_db()
    assert (job.status, job.result) == ("succeeded", {"by": "gpu-2"})


def test_a_worker_that_is_told_to_end_gives_its_job_back(in_acme: Any, actor: Actor, run: Any) -> None:
    process = run(worker("job.progress(0.5); time.sleep(600)"), "gpu-1")
    job = submit(actor, max_attempts=1)
    becomes(job, lambda found: found.progress == 0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE_S) == 0, process.stdout.read()
    job.refresh_from_db()
    assert (job.status, job.reason, job.max_attempts) == ("retrying", "Given back by gpu-1", 2)


def test_a_worker_that_waits_ends_at_once(in_acme: Any, run: Any) -> None:
    process = run(worker("pass"), "gpu-1")
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == 0


def test_cancel_stops_a_worker_at_its_next_step(in_acme: Any, actor: Actor, run: Any) -> None:
    process = run(worker("for n in range(6000):\n    job.progress(n / 6000); time.sleep(0.01)"), "gpu-1")
    job = submit(actor)
    becomes(job, lambda found: found.progress > 0)
    services.cancel_job(job, by=actor)
    ends(job, "cancelled")
    assert process.poll() is None


def test_a_failing_job_is_tried_again_and_does_not_end_its_worker(in_acme: Any, actor: Actor, run: Any) -> None:
    body = """
if job.attempt == 1:
    from modelyard import JobFailed
    raise JobFailed("busy", code="busy", final=False, retry_after_s=0)
return {"attempt": job.attempt}
"""
    run(worker(body), "gpu-1")
    job = ends(submit(actor), "succeeded")
    assert job.result == {"attempt": 2}


def test_a_server_that_restarts_in_the_middle_loses_nothing(
    in_acme: Any, server: WebServer, client: modelyard.Client
) -> None:
    with client.job(KIND) as running:
        running.progress(0.5)
        server.stop()
        for number in range(250):
            running.progress(0.6, f"line {number}")
            running.log(f"line {number}")
        running.result = {"done": True}
        with ThreadPoolExecutor(1) as later:
            later.submit(lambda: (time.sleep(1), server.start()))
            running.__exit__(None, None, None)
    job = Job.objects.get()
    assert (job.status, job.result, job.attempt) == ("succeeded", {"done": True}, 1)
    assert [line.text for line in job.log_lines.all()] == [f"line {number}" for number in range(250)]


def test_a_held_claim_is_answered_by_the_ring_of_a_submit(
    in_acme: Any, actor: Actor, client: modelyard.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_calls, "LOOK_EVERY_S", 3600.0)  # the clock finds nothing

    def claim() -> Any:
        return client._send("POST", "/api/v1/jobs/claim/", {"kinds": [KIND], "worker": "gpu-1", "wait_s": 20})

    with ThreadPoolExecutor(1) as caller:
        for _ in range(3):
            call = caller.submit(claim)
            time.sleep(1.5)
            job = submit(actor)
            assert call.result(DEADLINE_S)["id"] == str(job.pk)


def test_a_held_claim_ends_with_nothing(in_acme: Any, client: modelyard.Client) -> None:
    began = time.monotonic()
    body = {"kinds": [KIND], "worker": "gpu-1", "wait_s": 2}
    assert client._send("POST", "/api/v1/jobs/claim/", body) is None
    assert time.monotonic() - began > 1.9


def test_a_token_that_is_revoked_while_its_call_is_held_gets_nothing(
    in_acme: Any, actor: Actor, client: modelyard.Client
) -> None:
    from apps.organizations import services as organizations
    from apps.organizations.models import ApiToken

    with ThreadPoolExecutor(1) as caller:
        body = {"kinds": [KIND], "worker": "gpu-1", "wait_s": 20}
        call = caller.submit(lambda: client._send("POST", "/api/v1/jobs/claim/", body))
        time.sleep(1.5)
        organizations.revoke_token(ApiToken.objects.get(), by=actor)
        job = submit(actor)
        with pytest.raises(modelyard.ApiError) as refused:
            call.result(DEADLINE_S)
    assert refused.value.status == 401
    job.refresh_from_db()
    assert job.status == "pending"


def test_four_workers_share_a_hundred_jobs_and_none_is_done_twice(in_acme: Any, actor: Actor, run: Any) -> None:
    for number in range(4):
        run(worker("return {'pid': __import__('os').getpid()}"), f"gpu-{number}")
    jobs = [submit(actor) for _ in range(100)]
    deadline = time.monotonic() + 60
    while Job.objects.filter(status="succeeded").count() < 100 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert Job.objects.filter(status="succeeded", attempt=1).count() == len(jobs)
    assert len(set(Job.objects.values_list("worker", flat=True))) > 1
    for job in jobs:
        assert list(job.transitions.values_list("status", flat=True)) == ["pending", "running", "succeeded"]


def test_a_client_submits_waits_cancels_and_reads(in_acme: Any, client: modelyard.Client) -> None:
    job = client.submit(KIND, {"epochs": 1}, name="Tonight", priority=9, idempotency_key="tonight")
    assert client.submit(KIND, {"epochs": 1}, name="Tonight", priority=9, idempotency_key="tonight").id == job.id
    assert (job.status, job.name, job.data["priority"]) == ("pending", "Tonight", 9)
    with pytest.raises(TimeoutError):
        client.wait(job.id, timeout=0.2)
    assert client.cancel(job.id).status == "cancelled"
    ended = client.wait(job.id, timeout=5)
    assert (ended.has_ended, ended.has_succeeded) == (True, False)
    with pytest.raises(modelyard.ApiError) as refused:
        client.get("00000000-0000-0000-0000-000000000000")
    assert (refused.value.status, refused.value.code) == (404, "not_found")


def test_who_may_not_or_is_not_there_is_told_so(in_acme: Any, server: WebServer) -> None:
    with pytest.raises(modelyard.ApiError) as refused:
        modelyard.Client(server.url, "my_nonsense").get("1")
    assert refused.value.status == 401
    with pytest.raises(modelyard.Unreachable):
        modelyard.Client("http://127.0.0.1:1", "my_nonsense", patience_s=0.5).get("1")
    with pytest.raises(ValueError, match="http"):
        modelyard.Client("file:///etc/passwd", "my_nonsense")


def test_a_token_is_not_sent_where_a_server_points(in_acme: Any, server: WebServer, token: str) -> None:
    with pytest.raises(modelyard.ApiError) as refused:
        modelyard.Client(server.url, token)._send("GET", "/api/v1/jobs")
    assert refused.value.status == 301


def test_the_client_is_public_and_may_be_kept(db: None, client: Any) -> None:
    browser = Browser()
    source = browser.get("/clients/python/modelyard.py")
    assert (source.status_code, source.content) == (200, wheel.source())
    assert source["Cache-Control"] == "public, max-age=3600"
    assert "Cookie" not in source.get("Vary", "")
    assert browser.get("/clients/python/modelyard.py", headers={"If-None-Match": source["ETag"]}).status_code == 304
    assert browser.get(f"/clients/python/{wheel.WHEEL_NAME}").content == wheel.wheel()
    assert browser.get("/clients/python/modelyard-0.0.0-py3-none-any.whl").status_code == 404


def test_the_wheel_is_the_same_each_time_and_installs(tmp_path: Path) -> None:
    first = wheel.wheel()
    wheel.wheel.cache_clear()
    assert wheel.wheel() == first
    file = tmp_path / wheel.WHEEL_NAME
    file.write_bytes(first)
    assert zipfile.ZipFile(BytesIO(first)).testzip() is None
    install = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "-q", "--target", str(tmp_path), file]
    subprocess.run(install, check=True)
    said = subprocess.run(
        [sys.executable, "-c", "import modelyard; print(modelyard.__version__, modelyard.__file__)"],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == [modelyard.__version__, str(tmp_path / "modelyard" / "__init__.py")]
    assert (tmp_path / "modelyard" / "py.typed").exists()


def test_the_client_is_typed_and_reads_on_python_3_9(tmp_path: Path) -> None:
    ast.parse(wheel.source(), feature_version=(3, 9))
    program = tmp_path / "program.py"
    program.write_bytes(wheel.source())
    told = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, str(program)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout
