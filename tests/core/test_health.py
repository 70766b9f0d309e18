"""Whether the process answers, whether it should get requests, and what the answers keep to themselves."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.test import Client, override_settings

from apps.core import health
from apps.core.health import Readiness

NOWHERE = "redis://127.0.0.1:1/0"


def ok() -> None:
    return


def failing() -> None:
    raise health.Failing


def test_a_process_that_answers_is_healthy_without_a_database(client: Client) -> None:
    answer = client.get("/healthz", headers={"Host": "10.1.2.3:8000", "Cookie": "sessionid=somebody"})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert not answer.cookies


@pytest.mark.django_db(transaction=True)
def test_a_web_process_is_ready_while_only_soft_things_are_away(client: Client) -> None:
    # Nothing but the database and files is running beside this test.
    answer = client.get("/readyz", headers={"Host": "10.1.2.3"})
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    checks = answer.json()["checks"]
    assert {name: checks[name] for name in ("database", "migrations", "redis", "storage")} == dict.fromkeys(
        ("database", "migrations", "redis", "storage"), "ok"
    )
    assert checks["worker"] == checks["runner"] == checks["edge"] == "failing"


@pytest.mark.parametrize(
    ("hard", "soft", "status"),
    [(ok, ok, "ready"), (ok, failing, "degraded"), (failing, ok, "not_ready"), (failing, failing, "not_ready")],
)
def test_only_what_nothing_works_without_makes_it_not_ready(hard: Any, soft: Any, status: str) -> None:
    readiness = Readiness({"hard": hard}, {"soft": soft})
    assert readiness.status(readiness.results()) == status


def test_a_check_that_hangs_is_told_as_timeout_and_not_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "DEADLINE_S", 0.05)
    monkeypatch.setattr(health, "REMEMBERED_S", -1.0)
    release, starts = threading.Event(), []

    def hanging() -> None:
        starts.append(1)
        release.wait()

    readiness = Readiness({"hard": ok}, {"soft": hanging})
    assert readiness.results() == {"hard": "ok", "soft": "timeout"}
    assert readiness.results() == {"hard": "ok", "soft": "timeout"}
    assert len(starts) == 1
    release.set()


def test_a_lost_database_is_not_ready_and_tells_no_address(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> None:
        raise OSError("connection to server at 10.9.8.7, port 5432 failed: user runtime")

    monkeypatch.setattr(health, "readiness", Readiness({"database": lost}, {"redis": ok}))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "not_ready", "checks": {"database": "failing", "redis": "ok"}}


@override_settings(SECURE_SSL_REDIRECT=True)
@pytest.mark.parametrize("path", sorted(health.PATHS))
def test_probes_are_answered_over_plain_http_inside(path: str, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "readiness", Readiness({"database": ok}, {}))
    assert client.get(path).status_code in {200, 404}
    assert client.post(path).status_code == 405
