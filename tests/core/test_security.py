"""What every answer tells a browser, whoever made it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.core import tenancy
from apps.core.actors import Actor
from apps.datasets import services as datasets
from tests.factories.serving import make_model_version

pytestmark = pytest.mark.django_db

STRANGER = "https://evil.test"
EXPECTED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
ANYWHERE = ["/accounts/login/", "/nowhere/", "/status", "/status.json", "/healthz", "/api/v1/me/", "/api/schema/"]
SIGNED_IN = ["/o/acme/", "/o/acme/data/", "/o/acme/settings/", "/o/globex/", "/admin/login/"]
HOSTILE = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(document.cookie)</script></svg>"


@pytest.mark.parametrize("path", ANYWHERE + SIGNED_IN)
def test_s9_every_answer_carries_the_headers(path: str, as_owner: Client) -> None:
    answer = as_owner.get(path, headers={"Host": "testserver"})
    for name, value in EXPECTED.items():
        assert answer[name] == value, (path, name)
    assert "no-store" in answer["Cache-Control"]
    assert "camera=()" in answer["Permissions-Policy"]
    assert "publickey-credentials-get=(self)" in answer["Permissions-Policy"]


def policy(answer: Any) -> dict[str, list[str]]:
    parts = [part.split() for part in answer["Content-Security-Policy"].split(";")]
    return {name: values for name, *values in parts}


@pytest.mark.parametrize("path", ["/accounts/login/", "/o/acme/", "/nowhere/", "/status", "/api/v1/me/"])
def test_s9_our_own_pages_run_no_inline_script_and_no_inline_style(path: str, as_owner: Client) -> None:
    told = policy(as_owner.get(path))
    assert told["default-src"] == ["'self'"]
    assert told["style-src"] == ["'self'"]
    assert set(told["script-src"]) - {"'self'"} == {v for v in told["script-src"] if v.startswith("'nonce-")}
    assert told["frame-ancestors"] == told["base-uri"] == told["object-src"] == ["'none'"]


def test_s9_each_page_has_a_nonce_of_its_own(client: Client) -> None:
    first, second = (policy(client.get("/accounts/login/"))["script-src"] for _ in range(2))
    assert first != second


@pytest.mark.django_db(databases=["default", "console"])
@pytest.mark.parametrize("path", ["/admin/", "/api/docs/", "/api/redoc/"])
def test_s9_the_tools_have_a_policy_too(path: str, client: Client, django_user_model: Any) -> None:
    client.force_login(django_user_model.objects.create_superuser("operator@modelyard.test", "a-password"))
    answer = client.get(path)
    assert answer.status_code == 200
    told = policy(answer)
    assert "'unsafe-inline'" not in told["script-src"]
    assert told["frame-ancestors"] == told["base-uri"] == told["object-src"] == ["'none'"]
    assert "script>" not in re.sub(r"<script[^>]* src=[^>]*></script>", "", answer.content.decode())


@pytest.mark.parametrize("path", ["/o/acme/", "/api/v1/datasets/", "/api/v1/me/", "/healthz", "/status.json"])
@pytest.mark.parametrize("origin", [STRANGER, "null", "http://testserver.evil.test"])
def test_s9_no_other_origin_is_ever_let_in(path: str, origin: str, as_owner: Client) -> None:
    asked = as_owner.get(path, headers={"Origin": origin})
    preflight = as_owner.options(
        path, headers={"Origin": origin, "Access-Control-Request-Method": "POST", "Sec-Fetch-Mode": "cors"}
    )
    for answer in (asked, preflight):
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
        assert STRANGER.encode() not in answer.content


def test_static_files_are_kept_and_still_guarded(client: Client, tmp_path: Any, settings: Any) -> None:
    (tmp_path / "app.0123456789ab.css").write_text("a{}")
    settings.STATIC_ROOT = str(tmp_path)
    answer = Client().get("/static/app.0123456789ab.css")
    assert answer.status_code == 200
    assert "max-age=" in answer["Cache-Control"]
    assert "no-store" not in answer["Cache-Control"]
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_s9_an_uploaded_file_is_saved_and_never_shown(
    acme: Any, actor: Actor, as_owner: Client, api_owner: Any
) -> None:
    with tenancy.scope(acme.pk):
        file = SimpleUploadedFile("evil.svg", HOSTILE, content_type="image/svg+xml")
        version = datasets.create_dataset("<img src=x onerror=alert(1)>", file, by=actor)
        model_version = make_model_version(model_name="leaving")
    addresses = [
        f"/o/acme/data/versions/{version.pk}/source/",
        f"/api/v1/dataset-versions/{version.pk}/source/",
        f"/o/acme/models/versions/{model_version.pk}/artifact/",
        f"/api/v1/model-versions/{model_version.pk}/artifact/",
    ]
    for address in addresses:
        answer = (api_owner if address.startswith("/api/") else as_owner).get(address)
        assert answer.status_code == 200, address
        assert answer["Content-Disposition"].startswith("attachment"), address
        assert answer["Content-Security-Policy"] == "sandbox", address
        assert answer["X-Content-Type-Options"] == "nosniff", address
        assert answer["Content-Type"].partition(";")[0] in {"text/csv", "application/octet-stream"}, address
        assert answer["Cross-Origin-Resource-Policy"] == "same-origin", address
