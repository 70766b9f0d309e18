"""A program that signs in as a person."""

from __future__ import annotations

from typing import Any

from rest_framework.test import APIClient

from tests.factories.people import PASSWORD

AUTH = "/api/v1/auth"


def program(access: str = "", **headers: str) -> APIClient:
    """A client without cookies, which enforces CSRF as for any stranger; with an access token it sends that."""
    client = APIClient(enforce_csrf_checks=True)
    client.default_format = "json"
    if access:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}", **headers)
    return client


def ask_token(email: str, password: str = PASSWORD, key: str = "", **body: str) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return program().post(f"{AUTH}/token/", {"email": email, "password": password, **body}, headers=headers)


def refresh(token: str, key: str = "") -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return program().post(f"{AUTH}/refresh/", {"refresh": token}, headers=headers)


def signed_in(user: Any) -> dict[str, Any]:
    """The pair of tokens of a new sign-in."""
    answer = ask_token(user.email)
    assert answer.status_code == 200, answer.content
    return answer.json()
