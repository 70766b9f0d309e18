"""What access and refresh tokens look like: simplejwt's, signed with our key ring.

`sub` is the person, `sid` the refresh family. The algorithm is the setting's and the key is the ring's, whatever the
token's own header says; of that only `kid` is read, to choose among our keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jwt
from rest_framework_simplejwt import tokens
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.settings import api_settings

from apps.accounts.jwt import keys

FAMILY_CLAIM = "sid"


class KeyRingBackend(TokenBackend):
    def encode(self, payload: Mapping[str, Any]) -> str:
        key_id, private_key = keys.signing_key()
        claims = {**payload, "aud": self.audience, "iss": self.issuer}
        return jwt.encode(claims, private_key, algorithm=self.algorithm, headers={"kid": key_id})

    def get_verifying_key(self, token: Any) -> Any:
        key_id = jwt.get_unverified_header(token).get("kid")
        public_key = keys.public_key(key_id) if key_id else None
        if public_key is None:
            raise jwt.InvalidTokenError("signed with none of our keys")
        return public_key


BACKEND = KeyRingBackend(
    api_settings.ALGORITHM,
    audience=api_settings.AUDIENCE,
    issuer=api_settings.ISSUER,
    leeway=api_settings.LEEWAY,
)


class AccessToken(tokens.AccessToken):
    _token_backend = BACKEND


class RefreshToken(tokens.RefreshToken):
    _token_backend = BACKEND
    access_token_class = AccessToken
