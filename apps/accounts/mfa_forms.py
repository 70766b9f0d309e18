"""The forms of allauth.mfa: codes are spent by `second_factor`; what an authenticator sends is checked for its form."""

from __future__ import annotations

from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.base import forms as base
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn import forms as webauthn
from django import forms
from fido2.webauthn import AuthenticationResponse, RegistrationResponse

from apps.accounts import second_factor

NAME_LENGTH = 60


class CredentialField(forms.JSONField):
    """What the browser's `navigator.credentials` gave, as `response_type` of WebAuthn."""

    widget = forms.HiddenInput

    def __init__(self, response_type: type[AuthenticationResponse] | type[RegistrationResponse]) -> None:
        super().__init__()
        self.response_type = response_type

    def clean(self, value: Any) -> Any:
        credential = super().clean(value)
        try:
            self.response_type.from_dict(credential)
        except (ValueError, TypeError, LookupError):  # all of which its parser raises for bytes that make no sense
            raise get_adapter().validation_error("incorrect_code") from None
        return credential


def _as_code(form: forms.Form, label: str) -> None:
    field = form.fields["code"]
    field.label = label
    field.widget.attrs = {"autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false"}


class SpendsCode(base.BaseAuthenticateForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _as_code(self, "Code of your app, or a recovery code")

    def clean_code(self) -> str:
        take_back = second_factor.count_try(self.user)
        code = self.cleaned_data["code"]
        authenticator = second_factor.spend(self.user, code)
        if authenticator is None:
            raise get_adapter().validation_error("incorrect_code")
        take_back()
        self.authenticator = authenticator
        return code


class AuthenticateForm(SpendsCode, base.AuthenticateForm):
    pass


class ReauthenticateForm(SpendsCode, base.ReauthenticateForm):
    pass


class ActivateAppForm(ActivateTOTPForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _as_code(self, "Code the app shows now")


class AddPasskeyForm(webauthn.AddWebAuthnForm):
    name = forms.CharField(
        max_length=NAME_LENGTH, required=False, help_text="Where it lives, such as “Laptop” or “Blue key”."
    )
    passwordless = forms.BooleanField(
        label="Sign in with it alone",
        required=False,
        initial=True,
        help_text="Asks for your fingerprint, face or PIN instead of a password. "
        "Otherwise it is a second step after your password.",
    )
    credential = CredentialField(RegistrationResponse)


class EditPasskeyForm(webauthn.EditWebAuthnForm):
    name = forms.CharField(max_length=NAME_LENGTH)


class AuthenticatePasskeyForm(webauthn.AuthenticateWebAuthnForm):
    credential = CredentialField(AuthenticationResponse)


class LoginPasskeyForm(webauthn.LoginWebAuthnForm):
    credential = CredentialField(AuthenticationResponse)


class ReauthenticatePasskeyForm(webauthn.ReauthenticateWebAuthnForm):
    credential = CredentialField(AuthenticationResponse)
