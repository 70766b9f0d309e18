"""Production settings: what they refuse to start with, and what they make of cookies, schemes and logs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from apps.core.secrets_strength import weakness
from workers.supervisor.checks import PRODUCTION

ROOT = Path(__file__).resolve().parents[2]
STRONG = "h3Kq9vTz-PwX4mB7cR_tY2nL6sJ8dF1gA5eU0oQiZb4Wc8Xd2Ye6Vf"
SECRETS = {"SECRET_KEY": STRONG, "TOKEN_PEPPER": STRONG[::-1], "DEBUG": "false"}

TELL_COOKIES = """
import django; django.setup()
from django.conf import settings
from django.test import Client
import json
settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
client = Client(SERVER_NAME="modelyard.test", REMOTE_ADDR=ADDRESS)
answer = client.get("/accounts/login/", headers={"X-Forwarded-Proto": "https"})
probe = client.get("/healthz")
print(json.dumps({
    "status": answer.status_code,
    "location": answer.get("Location", ""),
    "hsts": answer.get("Strict-Transport-Security", ""),
    "probe": probe.status_code,
    "cookies": {name: morsel.OutputString() for name, morsel in answer.cookies.items()},
    "session": [settings.SESSION_COOKIE_NAME, settings.SESSION_COOKIE_SECURE, settings.SESSION_COOKIE_HTTPONLY,
                settings.SESSION_COOKIE_SAMESITE, settings.SESSION_COOKIE_PATH, settings.SESSION_COOKIE_DOMAIN],
}))
"""


def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **PRODUCTION, **SECRETS, **changes}
    env.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)  # what a browser test before this one needs
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def visited(address: str) -> dict[str, object]:
    result = run("-c", TELL_COOKIES.replace("ADDRESS", repr(address)))
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_s9_the_deployment_check_is_clean() -> None:
    result = run("manage.py", "check", "--deploy", "--fail-level", "WARNING")
    assert result.returncode == 0, result.stderr
    assert "no issues" in result.stdout


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"PUBLIC_URL": "http://modelyard.test"}, "modelyard.E001"),
        ({"ALLOWED_HOSTS": "*"}, "modelyard.E002"),
        ({"METRICS_TOKEN": "short"}, "modelyard.E003"),
        ({"TOKEN_PEPPER": STRONG}, "modelyard.E004"),
        ({"TRUSTED_PROXIES": ""}, "modelyard.W001"),
        ({"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}, "modelyard.W002"),
    ],
)
def test_the_deployment_check_tells_what_is_wrong(changes: dict[str, str], complaint: str) -> None:
    result = run("manage.py", "check", "--deploy", "--tag", "security", "--fail-level", "WARNING", **changes)
    assert result.returncode == 1
    assert complaint in result.stderr


@pytest.mark.parametrize(
    "changes",
    [
        {"DEBUG": "true"},
        {"SECRET_KEY": "django-insecure-" + STRONG},
        {"SECRET_KEY": "short"},
        {"TOKEN_PEPPER": "x" * 64},
        {"TOKEN_PEPPER": f"{STRONG},short"},
    ],
)
def test_production_does_not_start_with_what_can_be_guessed(changes: dict[str, str]) -> None:
    result = run("manage.py", "check", **changes)
    assert result.returncode != 0
    assert "ImproperlyConfigured" in result.stderr
    assert STRONG not in result.stderr


def test_a_random_secret_is_strong_enough() -> None:
    assert weakness(STRONG) == ""


@pytest.mark.django_db
def test_s9_cookies_are_bound_to_the_host_and_to_tls() -> None:
    told = visited("10.1.2.3")
    assert told["status"] == 200
    assert told["session"] == ["__Host-session", True, True, "Lax", "/", None]
    cookie = str(told["cookies"]["__Host-csrf"])  # type: ignore[index]
    assert {"Path=/", "Secure", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert told["hsts"] == "max-age=31536000; includeSubDomains; preload"


@pytest.mark.django_db
def test_s9_only_a_trusted_proxy_says_that_it_was_tls() -> None:
    told = visited("203.0.113.7")
    assert (told["status"], told["location"]) == (301, "https://modelyard.test/accounts/login/")
    assert told["probe"] == 200
