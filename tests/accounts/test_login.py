"""Signing in."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from tests.factories.people import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(db: None) -> Any:
    cache.clear()
    return UserFactory(email="operator@modelyard.test", is_staff=True, is_superuser=True)


def test_s8_the_consoles_own_login_which_limits_nobody_is_closed(operator: Any, client: Client) -> None:
    operator.set_password("correct horse battery")
    operator.save()
    answer = client.post("/admin/login/", {"username": operator.email, "password": "correct horse battery"})
    assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, "/accounts/login/")
    assert "_auth_user_id" not in client.session


def test_s8_guessing_a_password_stops_the_right_one_too(operator: Any, client: Client) -> None:
    operator.set_password("correct horse battery")
    operator.save()
    for number in range(6):
        client.post("/accounts/login/", {"login": operator.email, "password": f"wrong {number}"})
    client.post("/accounts/login/", {"login": operator.email, "password": "correct horse battery"})
    assert "_auth_user_id" not in client.session


@pytest.mark.django_db(databases=["default", "console"])
def test_only_operators_enter_the_console(operator: Any, client: Client) -> None:
    client.force_login(UserFactory(email="somebody@modelyard.test"))
    assert client.get("/admin/", follow=True).status_code == 403
    client.force_login(operator)
    assert client.get("/admin/").status_code == 200
