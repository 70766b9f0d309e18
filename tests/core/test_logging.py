"""What is logged: the same keys by every process, one line a request, and never a secret."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from apps.core import tenancy, tokens
from apps.core.access_log import BatchedLines
from apps.core.actors import Actor
from apps.core.ids import uuid7
from apps.core.masking import MASK, is_secret_name, masked, masked_text
from apps.jobs.models import Job
from config.logging import SHARED

ROOT = Path(__file__).resolve().parents[2]
KEYS = {"timestamp", "level", "logger", "event"}
PASSWORD = "a-Password-nobody-may-read-17"
RESET_KEY = "c8p2f1-5f0a1b2c3d4e5f60718293a4b5c6d7e8"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Everything this process logs, as production writes it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(default=str),
            ],
            foreign_pre_chain=SHARED,
        )
    )
    root = logging.getLogger()
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


def events(lines: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def access(lines: io.StringIO) -> list[dict[str, Any]]:
    return [event for event in events(lines) if event["logger"] == "access"]


@pytest.mark.django_db
def test_a_request_is_one_line_that_says_who_did_what(lines: Any, as_owner: Client, acme: Any, owner: Any) -> None:
    answer = as_owner.get("/o/acme/data/?search=my-private-search")
    (line,) = access(lines)
    assert line.keys() >= KEYS
    assert (line["event"], line["method"], line["status"], line["plane"]) == ("request", "GET", 200, "web")
    assert (line["route"], line["path"]) == ("/o/<slug:organization_slug>/data/", "/o/acme/data/")
    assert (line["organization"], line["actor"]) == (str(acme.pk), str(owner.pk))
    assert line["request_id"] == answer["X-Request-Id"]
    assert line["duration_ms"] > 0
    assert "my-private-search" not in lines.getvalue()


@pytest.mark.django_db
def test_a_job_is_named_by_its_id(lines: Any, as_owner: Client, in_acme: Any) -> None:
    job = Job.objects.create(kind="console.sample_project", queue="data", label="a job")
    with tenancy.no_scope():
        as_owner.get(f"/o/acme/jobs/{job.pk}/")
    assert access(lines)[0]["path"] == f"/o/acme/jobs/{job.pk}/"


@pytest.mark.django_db
def test_s3_no_secret_of_a_request_reaches_the_log(lines: Any, acme: Any, actor: Actor, api_owner: Any) -> None:
    token = str(tokens.generate(acme.pk, uuid7()))
    browser = Client(headers={"Cookie": "sessionid=session-key-nobody-may-read"})
    for text in (api_owner.token, token, token[:-1] + "~"):
        browser.get("/api/v1/me/", headers={"Authorization": f"Bearer {text}"})
        browser.get(f"/o/acme/?token={text}")
        browser.get(f"/nowhere/{text}/")
    browser.post("/accounts/login/", {"login": "owner@acme.test", "password": PASSWORD})
    browser.get(f"/accounts/password/reset/key/{RESET_KEY}/")
    api_owner.post("/api/v1/tokens/", {"name": "ci", "password": PASSWORD})
    told = lines.getvalue()
    assert len(access(lines)) >= 12
    for secret in (PASSWORD, "session-key-nobody-may-read", api_owner.token.partition(".")[2], token.partition(".")[2]):
        assert secret not in told
    assert RESET_KEY not in told


def test_s3_what_code_logs_by_mistake_is_masked(lines: Any) -> None:
    token = str(tokens.generate(uuid7(), uuid7()))
    secret = token.partition(".")[2]
    try:
        raise ValueError(f"cannot parse {token} of postgresql://runtime:{PASSWORD}@db/x")
    except ValueError:
        logging.getLogger("somebody.else").exception("failed for %s", {"Authorization": f"Bearer {token}"})
    structlog.stdlib.get_logger("ours").warning(
        "mistake", password=PASSWORD, headers={"Cookie": PASSWORD, "X": [token]}, request={"token": PASSWORD}
    )
    assert PASSWORD not in lines.getvalue()
    assert secret not in lines.getvalue()
    assert len(events(lines)) == 2
    assert events(lines)[1]["headers"]["Cookie"] == MASK


@given(st.text(), st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ_-0123456789", min_size=32, max_size=60))
def test_a_token_is_masked_wherever_it_stands(around: str, secret: str) -> None:
    text = f"{around} my_{'0a' * 32}.{secret} {around}"
    assert f"my_{'0a' * 32}.{secret}" not in masked_text(text)
    assert secret not in json.dumps(masked({"list": [text], "dict": {"x": (text,)}}), ensure_ascii=False) or (
        secret in around
    )


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        *((name, True) for name in ("Authorization", "password", "new_password", "client_secret", "refresh_token")),
        *((name, True) for name in ("TOKEN_PEPPER", "SECRET_KEY", "Set-Cookie", "session_key", "csrfmiddlewaretoken")),
        *((name, False) for name in ("token_id", "organization", "key", "passed", "session", "tokens_used")),
    ],
)
def test_names_of_secrets_are_known(name: str, is_secret: bool) -> None:
    assert is_secret_name(name) is is_secret


def test_batched_lines_look_like_every_other_line() -> None:
    stream = io.StringIO()
    lines = BatchedLines(stream, is_json=True)
    lines.is_on = True
    lines.add(1_700_000_000.25, {"plane": "edge", "method": "POST", "route": "/v2", "status": 200})
    assert stream.getvalue() == ""
    lines.write()
    lines.write()
    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert line.keys() >= KEYS
    assert (line["timestamp"], line["logger"], line["level"]) == ("2023-11-14T22:13:20.250000Z", "access", "info")


SPEAK = """
import logging
from config.logging import configure
configure()
logging.getLogger("uvicorn.error").info("Started server process [%d]", 1)
logging.getLogger("celery.worker").warning("Connection to redis://:hush-hush-hush@127.0.0.1:1/0 lost")
logging.getLogger("workers.edge").info("plain")
logging.getLogger("uvicorn.access").info("GET /?token=hush-hush-hush")
"""


def spoken(**environ: str) -> str:
    env = {"PATH": os.environ["PATH"], **environ}
    result = subprocess.run(
        [sys.executable, "-c", SPEAK], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    return result.stderr


@pytest.mark.parametrize("environ", [{"LOG_FORMAT": "json"}, {"DJANGO_SETTINGS_MODULE": "config.settings.production"}])
def test_s3_processes_without_django_write_the_same_json_and_no_query_string(environ: dict[str, str]) -> None:
    found = [json.loads(line) for line in spoken(**environ).splitlines()]
    assert [line["logger"] for line in found] == ["uvicorn.error", "celery.worker", "workers.edge"]
    assert all(line.keys() >= KEYS for line in found)
    assert "hush" not in str(found)


def test_a_person_reads_lines_without_braces() -> None:
    assert not any(line.startswith("{") for line in spoken().splitlines())
