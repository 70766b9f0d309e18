"""API tokens: `my_<organization id><token id>.<secret>`. Imports no Django: the data plane checks them too.

The organization stands in the token, so that its snapshot is found before anything else is known. Only a keyed
digest of the secret is ever stored: a database dump alone can neither be used nor be guessed against. Scanners for
leaked secrets find one by `my_[0-9a-f]{64}[.][A-Za-z0-9_-]{43}`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import uuid
from dataclasses import dataclass
from functools import cache

_FORMAT = re.compile(r"my_([0-9a-f]{32})([0-9a-f]{32})\.([A-Za-z0-9_-]{32,128})")


@dataclass(frozen=True, slots=True)
class Token:
    """A token as its holder sends it; ids in the canonical form with hyphens."""

    organization_id: str
    token_id: str
    secret: str

    def __str__(self) -> str:
        return f"my_{_digits(self.organization_id)}{_digits(self.token_id)}.{self.secret}"


def generate(organization_id: uuid.UUID, token_id: uuid.UUID) -> Token:
    """A new token with a secret of 256 random bits. `str(token)` is shown once; store `digest(token.secret)`."""
    return Token(str(organization_id), str(token_id), secrets.token_urlsafe(32))


def parse(text: str) -> Token | None:
    """The token in `text`, or None when it is not of our form."""
    found = _FORMAT.fullmatch(text)
    if found is None:
        return None
    organization, token, secret = found.groups()
    return Token(_hyphenated(organization), _hyphenated(token), secret)


def digest(secret: str, pepper: str | None = None) -> str:
    """`<pepper id>.<HMAC-SHA256 in hex>`, keyed by `pepper` or the first of TOKEN_PEPPER."""
    key = pepper or _peppers(os.environ["TOKEN_PEPPER"])[0]
    return f"{pepper_id(key)}.{_hmac(key, secret)}"


def matches(secret: str, stored: str) -> bool:
    """Whether `stored` is the digest of `secret` under any pepper in use, in time that tells nothing.

    TOKEN_PEPPER may hold several, separated by commas: the first signs, the others verify while tokens are rotated.
    """
    known, _, expected = stored.partition(".")
    for pepper in _peppers(os.environ["TOKEN_PEPPER"]):
        if pepper_id(pepper) == known:
            return hmac.compare_digest(_hmac(pepper, secret), expected)
    return False


def is_current(stored: str) -> bool:
    """Whether `stored` was made with the pepper that signs now."""
    return stored.partition(".")[0] == pepper_id(_peppers(os.environ["TOKEN_PEPPER"])[0])


@cache
def pepper_id(pepper: str) -> str:
    """Names a pepper without telling it."""
    return hashlib.sha256(b"modelyard pepper id:" + pepper.encode()).hexdigest()[:8]


@cache
def _peppers(setting: str) -> list[str]:
    return setting.split(",")


def _hmac(pepper: str, secret: str) -> str:
    return hmac.digest(pepper.encode(), secret.encode(), "sha256").hex()


def _digits(hyphenated: str) -> str:
    return hyphenated.replace("-", "")


def _hyphenated(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
