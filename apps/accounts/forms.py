from __future__ import annotations

from typing import Any

from allauth.account import forms as allauth
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


class ResetPasswordForm(allauth.ResetPasswordForm):
    def clean_email(self) -> str:
        """A link goes to the address that somebody signs in with, never to one they only asked to change to."""
        email = super().clean_email()
        self.users = [user for user in self.users if user.email == email.lower()]
        return email


class ProfileForm(forms.ModelForm):
    class Meta:
        model = User
        fields = ["name"]
        help_texts = {"name": "What others see beside your work. Without one they see your email address."}
