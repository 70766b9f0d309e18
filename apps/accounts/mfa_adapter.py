"""How allauth.mfa keeps our secrets, names our keys and speaks to authenticators."""

from __future__ import annotations

import base64

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser

from apps.accounts import passkeys
from apps.core import sealing

PLACE = "accounts second factor"


class MFAAdapter(DefaultMFAAdapter):
    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "This did not work: it is wrong, expired or was used before. Try the next one.",
        "unverified_email": "Confirm your email address first; then you can set up a second factor.",
    }

    def encrypt(self, text: str) -> str:
        return base64.b64encode(sealing.seal(text.encode(), PLACE)).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return sealing.unseal(base64.b64decode(encrypted_text), PLACE).decode()

    def get_totp_issuer(self) -> str:
        return settings.SITE_NAME

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Authenticator.Type) -> str:
        number = Authenticator.objects.filter(user_id=user.pk, type=type).count() + 1
        return f"Passkey {number}"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        return {"id": passkeys.relying_party(), "name": settings.SITE_NAME}
