"""Operators need a second factor where the installation asks for it, as it does in production."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.totp.internal import auth as totp
from django.test import Client

from apps.accounts.models import User

pytestmark = pytest.mark.django_db(databases=["default", "console"])


@pytest.fixture
def operator(client: Client) -> User:
    user = User.objects.create_superuser("operator@modelyard.test", "a-password")
    client.force_login(user)
    return user


@pytest.mark.parametrize("path", ["/admin/", "/admin/organizations/organization/"])
def test_an_operator_without_a_second_factor_sets_one_up_first(
    path: str, client: Client, operator: User, settings: Any
) -> None:
    settings.OPERATORS_NEED_SECOND_FACTOR = True
    assert client.get(path)["Location"] == "/accounts/2fa/"
    totp.TOTP.activate(operator, totp.generate_totp_secret())
    assert client.get(path).status_code == 200


def test_elsewhere_the_password_is_enough(client: Client, operator: User) -> None:
    assert client.get("/admin/").status_code == 200
