"""The installation's own probes, and the pages and numbers that tell what they saw."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from apps.console.models import ProbeHour, ProbeResult
from apps.console.status import metrics, probes, rounds, streams, views
from apps.console.status.components import COMPONENTS
from apps.console.status.queries import overview
from apps.console.status.rounds import Rounds, tick
from apps.core import dead_letters, entries, heartbeats, tenancy
from apps.core.heartbeats import Heartbeat
from apps.core.parallel import Parallel
from apps.jobs import dispatch, kinds
from apps.jobs.models import Job, Queue, Worker

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 5, 4, 12, 10, tzinfo=UTC)
SCRAPE = {"Authorization": "Bearer the-scrapers-own-token-of-some-length"}


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "remembered", views._overview)


@pytest.fixture
def valkey() -> Iterator[Any]:
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.flushdb()
    yield client
    client.flushdb()


def probed(component: str, at: datetime, *, is_ok: bool = True, latency_ms: float | None = 5.0, code: str = "") -> None:
    ProbeResult.objects.create(
        component=component, at=at, is_ok=is_ok, latency_ms=latency_ms if is_ok else None, error_code=code
    )


def all_probed(at: datetime) -> None:
    for component in COMPONENTS:
        probed(component.name, at)


def test_a_tick_is_written_down_once_however_many_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "probes", lambda: {"database": lambda: probes.Outcome(1.5)})
    at = tick(NOW + timedelta(seconds=7))
    for _ in range(2):
        Rounds().run(at)
    assert list(ProbeResult.objects.values_list("component", "at", "is_ok")) == [("database", NOW, True)]
    assert ProbeHour.objects.get().probe_count == 1


def test_what_the_database_did_not_take_is_written_down_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "probes", lambda: {"database": lambda: probes.Outcome(None, "unreachable")})
    writer = Rounds()

    def away(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("the connection is lost")

    with monkeypatch.context() as patched:
        patched.setattr(rounds, "sum_up", away)
        patched.setattr(rounds.connections, "close_all", lambda: None)
        writer.run(NOW)
        assert not ProbeResult.objects.exists()
    writer.run(NOW + rounds.INTERVAL)
    assert ProbeResult.objects.filter(error_code="unreachable").count() == 2
    assert (ProbeHour.objects.get().probe_count, ProbeHour.objects.get().ok_count) == (2, 0)


def test_probes_are_summed_up_by_the_hour_and_forgotten_in_time() -> None:
    probed("web", NOW - timedelta(days=3))
    rounds.sum_up(NOW - timedelta(days=3))
    probed("web", NOW)
    probed("web", NOW - timedelta(minutes=1), is_ok=False, code="timeout")
    for _ in range(2):
        rounds.sum_up(NOW)
    rounds.forget_old(NOW)
    assert ProbeResult.objects.count() == 2
    hours = list(ProbeHour.objects.order_by("hour").values_list("probe_count", "ok_count"))
    assert hours == [(1, 1), (2, 1)]
    rounds.forget_old(NOW + timedelta(days=36))
    assert not ProbeHour.objects.exists()


def test_a_probe_that_hangs_is_told_as_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(Parallel):
        def __call__(self, deadline_s: float) -> dict[str, Any]:
            return {"web": None}

    monkeypatch.setattr(rounds, "Parallel", Hanging)
    Rounds().run(NOW)
    assert ProbeResult.objects.get().error_code == "timeout"


@pytest.mark.parametrize(
    ("failing", "code", "state", "overall"),
    [
        ("", "", "operational", "operational"),
        ("storage", "failing", "failing", "degraded"),
        ("messages", "busy", "degraded", "degraded"),
        ("edge", "unreachable", "failing", "failing"),
    ],
)
def test_the_overall_state_follows_the_parts(failing: str, code: str, state: str, overall: str) -> None:
    all_probed(NOW - timedelta(seconds=40))
    if failing:
        probed(failing, NOW - timedelta(seconds=10), is_ok=False, code=code)
    found = overview(NOW)
    assert found.state == overall
    assert {one.state for one in found.components if one.component.name == (failing or "web")} == {state}


def test_a_component_that_was_taken_away_is_told_no_more() -> None:
    all_probed(NOW - timedelta(hours=1))
    for component in COMPONENTS[:-1]:
        probed(component.name, NOW)
    found = overview(NOW)
    assert found.state == "operational"
    assert COMPONENTS[-1] not in [one.component for one in found.components]


def test_probes_that_stopped_coming_are_unknown_and_not_well() -> None:
    all_probed(NOW - timedelta(minutes=10))
    found = overview(NOW)
    assert found.state == "unknown"
    assert {(one.state, one.checked_at) for one in found.components} == {("unknown", NOW - timedelta(minutes=10))}


def test_the_strips_show_when_something_failed() -> None:
    for minutes, is_ok in ((5, True), (4, False), (70, True)):
        probed("web", NOW - timedelta(minutes=minutes), is_ok=is_ok)
    rounds.sum_up(NOW - timedelta(hours=2))
    (web,) = overview(NOW).components
    assert [slot.share for slot in web.day if slot.share is not None] == [1.0, 0.5]
    assert web.month[-1].share == pytest.approx(2 / 3)
    assert web.uptime_day == pytest.approx(2 / 3)
    assert web.p50_latency_ms == 5.0
    assert len(web.day) == 48
    assert len(web.month) == 30


def test_the_page_and_the_json_tell_the_same_to_everybody(client: Client) -> None:
    all_probed(timezone.now())
    page = client.get("/status")
    assert page.status_code == 200
    assert "Everything works" in page.content.decode()
    told = client.get("/status.json").json()
    assert told["status"] == "operational"
    assert [one["name"] for one in told["components"]] == [one.name for one in COMPONENTS]


def test_the_page_tells_no_address_and_no_errors_text(client: Client) -> None:
    all_probed(timezone.now() - timedelta(seconds=30))
    probed("database", timezone.now(), is_ok=False, code="unreachable")
    for path in ("/status", "/status.json"):
        text = client.get(path).content.decode()
        for secret in ("127.0.0.1", "redis://", "postgres", "unreachable", "Valkey"):
            assert secret not in text, (path, secret)


def test_the_page_opens_without_any_probe(client: Client) -> None:
    assert "No probe has reported yet" in client.get("/status").content.decode()
    assert client.get("/status.json").json()["status"] == "unknown"


def test_the_page_opens_without_the_database(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(now: datetime) -> None:
        raise OperationalError("server closed the connection at 10.0.0.5")

    monkeypatch.setattr(views, "overview", lost)
    page = client.get("/status")
    assert page.status_code == 200
    assert "The state is unknown" in page.content.decode()
    assert "10.0.0.5" not in page.content.decode()


def test_each_probe_tells_what_is_there(valkey: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes.connections, "close_all", lambda: None)
    for process in ("sink", "scaler"):
        Heartbeat(valkey, process).beat()
    wanted = probes.probes()
    assert {name: wanted[name]().error_code for name in ("database", "redis", "storage", "usage", "scaler")} == {
        "database": "",
        "redis": "",
        "storage": "",
        "usage": "",
        "scaler": "",
    }


def test_each_probe_tells_what_is_away(valkey: Any, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr(probes.connections, "close_all", lambda: None)
    monkeypatch.setattr(probes, "ECHO_TIMEOUT_S", 1)
    settings.WEB_PROBE_URL = settings.EDGE_PROBE_URL = settings.LLM_URL = "http://127.0.0.1:1"
    valkey.xadd(streams.USAGE, {"e": "{}"}, id="1-1")
    wanted = probes.probes()
    assert {name: wanted[name]().error_code for name in wanted if name not in {"database", "redis", "storage"}} == {
        "web": "unreachable",
        "api": "unreachable",
        "edge": "unreachable",
        "models": "unreachable",
        "jobs": "silent",
        "messages": "silent",
        "usage": "lagging",
        "scaler": "silent",
    }
    Heartbeat(valkey, "worker").beat()
    assert wanted["messages"]().error_code == "busy"
    dispatch.sign_on("runner-1", kinds.queues()[1:], 1, 0)
    assert wanted["jobs"]().error_code == "silent"
    dispatch.sign_on("runner-2", kinds.queues()[:1], 1, 0)
    assert wanted["jobs"]().error_code == ""
    Worker.objects.filter(name="runner-1").update(heartbeat_at=timezone.now() - timedelta(minutes=1))
    assert wanted["jobs"]().error_code == "silent"


def test_an_echo_comes_back_through_a_worker(valkey: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.console.tasks import echo

    monkeypatch.setattr(probes.connections, "close_all", lambda: None)
    monkeypatch.setattr(echo, "apply_async", lambda args, **options: echo(*args))
    outcome = probes.probes()["messages"]()
    assert outcome.error_code == ""
    assert outcome.latency_ms is not None


def test_a_process_that_went_silent_is_not_alive(valkey: Any) -> None:
    assert not heartbeats.is_alive(valkey, "sink")
    Heartbeat(valkey, "sink").beat()
    assert heartbeats.is_alive(valkey, "sink")
    valkey.set(heartbeats.KEY.format(process="sink"), 1)
    assert not heartbeats.is_alive(valkey, "sink")


def scraped(client: Client) -> dict[str, dict[tuple[str, ...], float]]:
    answer = client.get("/metrics", headers=SCRAPE)
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.content.decode())
    return {
        sample.name: {
            tuple(other.labels.values()): other.value for other in family.samples if other.name == sample.name
        }
        for family in families
        for sample in family.samples
    }


@pytest.fixture
def _scraper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_TOKEN", SCRAPE["Authorization"].removeprefix("Bearer "))


@pytest.mark.usefixtures("_scraper")
def test_the_scrape_tells_jobs_streams_and_probes(client: Client, valkey: Any, in_acme: Any) -> None:
    now = timezone.now()
    made = {"kind": "console.sample_project", "label": "secret-project"}
    Job.objects.create(queue="data", ready_at=now - timedelta(minutes=5), **made)
    Job.objects.create(queue="data", run_at=now + timedelta(hours=1), **made)
    Job.objects.create(queue="llm", status="running", started_at=now, lease_until=now - timedelta(seconds=1), **made)
    Job.objects.create(queue="llm", status="dead", **made)
    Job.objects.create(queue="llm", status="dead", discarded_at=now, **made)
    dispatch.sign_on("runner-1", ["data"], 1, 0)
    probed("storage", timezone.now(), is_ok=False, code="failing")
    _, command = entries.appending([(streams.CALLS, b"{}")])
    valkey.execute_command(*command)
    with tenancy.no_scope():
        found = scraped(client)
    assert found["modelyard_jobs"] == {("data", "ready"): 1.0, ("data", "later"): 1.0, ("llm", "running"): 1.0}
    assert found["modelyard_jobs_oldest_seconds"]["data", "ready"] >= 300
    assert ("data", "later") not in found["modelyard_jobs_oldest_seconds"]
    assert found["modelyard_jobs_dead"] == found["modelyard_jobs_leases_expired"] == {(): 1.0}
    assert (found["modelyard_workers"][("data",)], found["modelyard_workers"][("training",)]) == (1.0, 0.0)
    waiting = {stream: float(stream == streams.CALLS) for stream in (*streams.WAITING, dead_letters.STREAM)}
    assert found["modelyard_stream_entries"] == {(stream,): count for stream, count in waiting.items()}
    assert found["modelyard_probe_ok"] == {("storage",): 0.0}
    assert set(found["modelyard_source_up"].values()) == {1.0}
    assert "process_resident_memory_bytes" in found
    assert "secret-project" not in client.get("/metrics", headers=SCRAPE).content.decode()


@pytest.mark.usefixtures("_scraper")
def test_a_source_that_is_away_leaves_the_others_readable(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    unreachable = redis.Redis(port=1)
    monkeypatch.setattr(metrics, "client", lambda: unreachable)
    found = scraped(client)
    sources = {("jobs",): 1, ("replicas",): 1, ("streams",): 0, ("ledger",): 1, ("probes",): 1}
    assert found["modelyard_source_up"] == sources
    assert "modelyard_stream_entries" not in found


@pytest.mark.usefixtures("_scraper")
def test_requests_are_counted_by_route_and_never_by_path(client: Client) -> None:
    for path in ("/nowhere/one/", "/nowhere/two/", "/status", "/api/v1/datasets/?name=hushed"):
        client.get(path)
    client.generic("BREW", "/status")
    found = scraped(client)["modelyard_http_requests_total"]
    assert found["GET", "web", "unmatched", "4xx"] >= 2
    assert found["GET", "web", "/status", "2xx"] >= 1
    assert found["OTHER", "web", "/status", "4xx"] >= 1
    assert not any("nowhere" in label or "hushed" in label for labels in found for label in labels)
    assert scraped(client)["modelyard_token_refusals_total"][("web",)] >= 1


@pytest.mark.parametrize(
    ("token", "header", "status"), [("", "", 404), ("t" * 32, "", 401), ("t" * 32, "Bearer x", 401)]
)
def test_the_scrape_is_for_the_scraper(
    token: str, header: str, status: int, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METRICS_TOKEN", token)
    answer = client.get("/metrics", headers={"Authorization": header})
    assert answer.status_code == status
    assert b"modelyard_" not in answer.content


def test_what_the_operator_holds_back_is_told_with_the_reason(client: Client) -> None:
    all_probed(timezone.now())
    Queue.objects.update_or_create(
        name="data", defaults={"drained_at": timezone.now(), "drained_because": "New disks come in."}
    )
    page = client.get("/status").content.decode()
    assert "Some jobs wait" in page
    assert "New disks come in." in page
    (told,) = client.get("/status.json").json()["drained_queues"]
    assert (told["queue"], told["because"]) == ("data", "New disks come in.")
