from __future__ import annotations

from typing import Any

from allauth.account import forms as allauth
from allauth.account.adapter import get_adapter
from allauth.account.internal.flows import email_verification
from allauth.account.utils import has_verified_email
from django import forms
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from apps.accounts.models import User


class SignupForm(allauth.SignupForm):
    """Signing up costs and answers the same whether or not the address has an account."""

    account_already_exists: bool

    def validate_unique_email(self, value: str) -> str:
        """Only who signs in with an address has it: a change to it that was not confirmed keeps nobody out."""
        email = super().validate_unique_email(value)
        self.account_already_exists = User.objects.filter(email=email.lower()).exists()
        return email

    def try_save(self, request: HttpRequest) -> Any:
        if self.account_already_exists:
            make_password(self.cleaned_data["password1"])
            return super().try_save(request)
        try:
            with transaction.atomic():
                return super().try_save(request)
        except IntegrityError:
            # Somebody signed up with this address in the same moment.
            self.account_already_exists = True
            return super().try_save(request)


class LoginForm(allauth.LoginForm):
    user: User | None

    def clean(self) -> Any:
        """Before the address is proven, the right password is answered and counted as a wrong one; a link is mailed.

        Otherwise somebody who signs up with an address and then signs in would learn whether it had an account.
        """
        cleaned_data = super().clean()
        if self.user is not None and not has_verified_email(self.user, self._login.email):
            self._refuse_unproven()
        return cleaned_data

    def _refuse_unproven(self) -> None:
        adapter = get_adapter(self.request)
        adapter.pre_authenticate(self.request, **self.user_credentials())
        address = email_verification.get_address_for_login(self._login)
        if address and email_verification.consume_email_verification_rate_limit(self.request, address.email):
            address.send_confirmation(self.request)
        raise adapter.validation_error("email_password_mismatch")


class ResetPasswordForm(allauth.ResetPasswordForm):
    users: list[User]

    def clean_email(self) -> str:
        """A link goes to the address that somebody signs in with, never to one they only asked to change to."""
        email = super().clean_email()
        self.users = [user for user in self.users if user.email == email.lower()]
        return email


class SentenceCase(forms.Form):
    """Labels as everywhere here: only their first letter is a capital."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.label = str(field.label).capitalize()


class ChangePasswordForm(SentenceCase, allauth.ChangePasswordForm):
    pass


class ResetPasswordKeyForm(SentenceCase, allauth.ResetPasswordKeyForm):
    pass


class ProfileForm(forms.ModelForm):
    class Meta:
        model = User
        fields = ["name", "time_zone"]
        widgets = {"time_zone": forms.TextInput(attrs={"list": "time-zones", "autocomplete": "off"})}
        help_texts = {
            "name": "What others see beside your work. Without one they see your email address.",
            "time_zone": "A city or a zone, for pages, dates you give and mails. Without one it is the organization's.",
        }
