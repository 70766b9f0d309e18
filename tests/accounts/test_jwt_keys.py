"""The keys that sign tokens: sealed, published, rotated, and never chosen by a token."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from django.core.cache import cache
from django.core.management import call_command
from django.db import connections
from django.db.models.functions import Now
from django.test import Client

from apps.accounts import tasks
from apps.accounts.jwt import families, keys, tokens
from apps.accounts.models import RefreshFamily, SigningKey
from tests.accounts.signing import program, refresh, signed_in
from workers.schedules import schedules

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_attempts() -> None:
    cache.clear()


@pytest.fixture
def access(acme: Any, developer: Any) -> str:
    return families.start_family(developer).access


def status_of(text: str) -> int:
    return program(text).get("/api/v1/me/").status_code


def encoded(part: Any) -> str:
    content = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def claims_of(text: str) -> dict[str, Any]:
    return jwt.decode(text, options={"verify_signature": False})


def key_id_of(text: str) -> str:
    return jwt.get_unverified_header(text)["kid"]


def test_a_token_says_who_for_whom_and_until_when(access: str, developer: Any, settings: Any) -> None:
    claims = claims_of(access)
    assert claims["iss"] == settings.PUBLIC_URL
    assert claims["aud"] == f"{settings.PUBLIC_URL}/api/v1/"
    assert claims["sub"] == str(developer.pk)
    assert claims["sid"] == str(RefreshFamily.objects.get().pk)
    assert claims["exp"] - claims["iat"] == 300
    assert claims["token_type"] == "access"
    assert jwt.get_unverified_header(access) == {"alg": "ES256", "kid": SigningKey.objects.get().pk, "typ": "JWT"}


def test_s3_the_private_key_cannot_be_read_from_the_database_or_moved_to_another_row(access: str) -> None:
    row = SigningKey.objects.get()
    assert b"PRIVATE" not in bytes(row.sealed_private_key)
    assert "PRIVATE" not in row.public_key
    SigningKey.objects.update(id="moved")
    assert keys.signing_key()[0] != "moved", "what is not sealed for its row signs nothing"


def test_the_published_keys_verify_a_token_without_asking_us(access: str, client: Client, settings: Any) -> None:
    answer = client.get("/.well-known/jwks.json")
    assert answer["Cache-Control"] == "public, max-age=300"
    assert "Set-Cookie" not in answer.headers
    assert "Cookie" not in answer.get("Vary", "")
    published = jwt.PyJWKSet.from_dict(answer.json())
    claims = jwt.decode(
        access,
        published[key_id_of(access)].key,
        algorithms=["ES256"],
        audience=f"{settings.PUBLIC_URL}/api/v1/",
        issuer=settings.PUBLIC_URL,
    )
    assert claims == claims_of(access)
    assert {"d", "k", "p", "q"}.isdisjoint(answer.json()["keys"][0])


def test_nothing_is_made_by_looking_at_the_published_keys(client: Client) -> None:
    assert client.get("/.well-known/jwks.json").json() == {"keys": []}
    assert not SigningKey.objects.exists()


def test_after_a_rotation_the_new_key_signs_and_the_old_one_verifies(access: str, developer: Any) -> None:
    before = key_id_of(access)
    call_command("rotate_signing_key")
    newer = families.start_family(developer).access
    assert key_id_of(newer) != before
    assert status_of(access) == status_of(newer) == 200
    SigningKey.objects.filter(pk=before).update(retires_at=Now())
    assert (status_of(access), status_of(newer)) == (401, 200)
    keys.rotate()
    assert not SigningKey.objects.filter(pk=before).exists()


def test_an_old_key_verifies_until_the_last_refresh_token_that_it_signed_has_ended(access: str) -> None:
    keys.rotate()
    old = SigningKey.objects.get(pk=key_id_of(access))
    assert old.retires_at is not None
    assert old.retires_at > RefreshFamily.objects.get().expires_at


def test_after_a_leak_every_token_of_the_old_keys_is_refused(acme: Any, developer: Any) -> None:
    pair = signed_in(developer)
    call_command("rotate_signing_key", "--at-once")
    assert status_of(pair["access"]) == refresh(pair["refresh"]).status_code == 401
    assert status_of(signed_in(developer)["access"]) == 200


def test_a_key_is_rotated_when_it_is_a_month_old(access: str) -> None:
    assert keys.rotate_when_due() is None
    SigningKey.objects.update(created_at=Now() - keys.ROTATED_AFTER)
    assert keys.rotate_when_due() is not None
    assert keys.rotate_when_due() is None, "a second tick finds the new key"


def test_the_clock_rotates_keys_and_forgets_what_has_ended(access: str) -> None:
    SigningKey.objects.update(created_at=Now() - keys.ROTATED_AFTER)
    RefreshFamily.objects.update(expires_at=Now())
    assert schedules(None)["tend-signing"]["task"] == tasks.tend_signing.name
    tasks.tend_signing()
    assert SigningKey.objects.count() == 2
    assert not RefreshFamily.objects.exists()


def test_there_is_nothing_to_rotate_before_the_first_use() -> None:
    assert keys.rotate_when_due() is None
    assert not SigningKey.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_key_that_another_process_made_is_found_although_the_ring_is_remembered(acme: Any, developer: Any) -> None:
    assert keys.public_key(key_id_of(families.start_family(developer).access))
    remembered = keys._memory.ring
    keys.rotate()
    newer = families.start_family(developer).access
    keys._memory.ring = remembered  # as in a process that has not read since
    assert status_of(newer) == 200


@pytest.mark.django_db(transaction=True)
def test_of_ten_first_uses_at_once_one_makes_the_key() -> None:
    keys.forget()
    start, used = threading.Barrier(10), []

    def use() -> None:
        start.wait()
        used.append(keys.signing_key()[0])
        connections.close_all()

    threads = [threading.Thread(target=use) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(used) == 10
    assert set(used) == {SigningKey.objects.get().pk}


def forged_without_signature(access: str) -> str:
    return f"{encoded({'alg': 'none', 'typ': 'JWT', 'kid': key_id_of(access)})}.{encoded(claims_of(access))}."


def forged_with_the_public_key_as_secret(access: str) -> str:
    secret = SigningKey.objects.get().public_key.encode()
    signed = f"{encoded({'alg': 'HS256', 'typ': 'JWT', 'kid': key_id_of(access)})}.{encoded(claims_of(access))}"
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def forged_with_an_own_key_in_the_header(access: str) -> str:
    own = generate_private_key(SECP256R1())
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(own.public_key()))
    return jwt.encode(claims_of(access), own, algorithm="ES256", headers={"kid": key_id_of(access), "jwk": jwk})


def forged_with_an_own_key_at_an_address(access: str) -> str:
    headers = {"kid": key_id_of(access), "jku": "https://attacker.example/keys", "x5u": "https://attacker.example/x"}
    return jwt.encode(claims_of(access), generate_private_key(SECP256R1()), algorithm="ES256", headers=headers)


def forged_with_an_unknown_key(access: str) -> str:
    return jwt.encode(claims_of(access), generate_private_key(SECP256R1()), "ES256", headers={"kid": "../../dev/null"})


def forged_without_a_key_id(access: str) -> str:
    return jwt.encode(claims_of(access), generate_private_key(SECP256R1()), "ES256")


def changed_in_its_claims(access: str) -> str:
    header, _, signature = access.split(".")
    return f"{header}.{encoded({**claims_of(access), 'exp': int(time.time()) + 10**6})}.{signature}"


def signed_by_us(**changes: Any) -> Any:
    """A token with a genuine signature over other claims; those set to None are left out."""

    def forge(access: str) -> str:
        claims = {**claims_of(access), **changes}
        key_id, key = keys.signing_key()
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, key, algorithm="ES256", headers={"kid": key_id})

    return forge


FORGERIES = {
    "no signature": forged_without_signature,
    "public key as HMAC secret": forged_with_the_public_key_as_secret,
    "jwk header": forged_with_an_own_key_in_the_header,
    "jku header": forged_with_an_own_key_at_an_address,
    "unknown key": forged_with_an_unknown_key,
    "no key id": forged_without_a_key_id,
    "changed claims": changed_in_its_claims,
    "expired now": signed_by_us(exp=int(time.time())),
    "never expiring": signed_by_us(exp=None),
    "another audience": signed_by_us(aud="https://elsewhere.example/"),
    "no audience": signed_by_us(aud=None),
    "another issuer": signed_by_us(iss="https://elsewhere.example"),
    "no issuer": signed_by_us(iss=None),
    "no id": signed_by_us(jti=None),
    "another person": signed_by_us(sub="01900000-0000-7000-8000-000000000000"),
    "another family": signed_by_us(sid="01900000-0000-7000-8000-000000000000"),
    "another kind": signed_by_us(token_type="refresh"),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_token_is_refused(access: str, forge: Any) -> None:
    assert status_of(access) == 200
    answer = program(forge(access)).get("/api/v1/me/")
    assert (answer.status_code, answer.json()["code"]) == (401, "access_token_invalid")


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic YTpi", "Token abc", "Bearer a.b.c", "Bearer é.x.y"])
def test_any_other_authorization_is_refused(acme: Any, header: str) -> None:
    answer = program().get("/api/v1/me/", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_our_own_signature_over_the_same_claims_is_accepted(access: str) -> None:
    assert status_of(signed_by_us()(access)) == 200, "or the forgeries above prove nothing"
    assert tokens.AccessToken(access)["sid"] == claims_of(access)["sid"]  # type: ignore[arg-type]
