"""Whoever steals a dump of the database can neither sign in with it nor read what was meant to be secret."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.contrib.auth import SESSION_KEY
from django.core import mail
from django.core.cache import cache
from django.test import Client
from psycopg import sql

from apps.accounts import mail as accounts_mail
from apps.accounts.jwt import keys
from apps.core import tenancy
from apps.core.actors import Actor
from apps.notifications.services import webhooks
from apps.organizations import services
from tests import database
from tests.accounts.browsers import link_in
from tests.accounts.signing import signed_in
from tests.factories.people import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_tries_counted() -> None:
    cache.clear()


def dump() -> str:
    """Every row of every table, as a superuser reads it."""
    with database.admin(database.DATABASE) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        return "\n".join(_rows_of(connection, table) for (table,) in tables)


def _rows_of(connection: Any, table: str) -> str:
    query = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT").format(sql.Identifier(table))
    with connection.cursor().copy(query) as rows:
        return b"".join(bytes(row) for row in rows).decode()


def forms_of(secret: str) -> set[str]:
    """The secret as a database may hold it: as it is, in hex (as `bytea` is told), in base64."""
    content = secret.encode()
    return {secret, content.hex(), base64.b64encode(content).decode().rstrip("="), base64.b32encode(content).decode()}


def test_s3_a_dump_holds_no_secret_that_works(acme: Any, owner: Any, developer: Any, actor: Actor) -> None:
    browser = Client()
    browser.post("/accounts/login/", {"login": owner.email, "password": PASSWORD})
    assert SESSION_KEY in browser.session
    pair = signed_in(developer)
    app_secret = totp.generate_totp_secret()
    totp.TOTP.activate(developer, app_secret)
    recovery_codes = RecoveryCodes.activate(developer).generate_codes()
    with tenancy.scope(acme.pk):
        token, first = services.create_token("ci", ["datasets.read"], by=actor)
        _, second = services.rotate_token(token, by=actor)
        services.invite_member("guest@example.test", "analyst", by=actor)
    invitation = link_in(mail.outbox[-1])
    accounts_mail.keep(mail.outbox[-1])
    made = browser.post(
        "/api/v1/tokens/",
        {"name": "by key", "scopes": ["datasets.read"]},
        content_type="application/json",
        headers={"Idempotency-Key": "a-key-of-mine", "Modelyard-Organization": "acme"},
    )
    assert made.status_code == 201, made.content
    _, signing_key = keys.signing_key()
    with tenancy.scope(acme.pk):
        endpoint = webhooks.create_endpoint("https://example.com/hook", by=actor)
        previous = webhooks.reveal_secret(endpoint, by=actor)
        current = webhooks.reveal_secret(webhooks.rotate_secret(endpoint, by=actor), by=actor)

    secrets = [
        PASSWORD,
        browser.cookies["sessionid"].value,
        *(text.rpartition(".")[2] for text in (first, second, made.json()["token"])),
        pair["access"],
        pair["refresh"],
        app_secret,
        *recovery_codes,
        *(text.removeprefix("whsec_") for text in (previous, current)),
        invitation,
        re.findall(r"[A-Za-z0-9_-]{32,}", invitation)[-1],
        f"{signing_key.private_numbers().private_value:x}",
    ]
    stolen = dump()
    assert "guest@example.test" in stolen, "the dump has rows in it"
    found = [secret for secret in secrets for form in forms_of(secret) if form in stolen]
    assert found == []
