"""GitHub as a way in: a person is its numeric id there, which stays when name and address change."""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from allauth.socialaccount.providers.github import provider as allauth_github
from django.http import HttpRequest

from apps.accounts.github.views import GitHubAdapter

KEPT_FIELDS = ("login", "name", "html_url")


class GitHubProvider(allauth_github.GitHubProvider):
    oauth2_adapter_class = GitHubAdapter
    pkce_enabled_default = True

    def get_scope_from_request(self, request: HttpRequest) -> list[str]:
        """What we ask for; a link to us cannot ask for more."""
        return self.get_scope()

    def get_auth_params_from_request(self, request: HttpRequest, action: str) -> dict[str, str]:
        return self.get_auth_params()

    def get_scope(self) -> list[str]:
        return ["user:email"]

    def extract_common_fields(self, data: dict[str, Any]) -> dict[str, Any]:
        """Without the address of the public profile, which nobody has verified."""
        return {"name": data.get("name")}

    def extract_extra_data(self, data: dict[str, Any]) -> dict[str, Any]:
        return {field: data.get(field) for field in KEPT_FIELDS}

    def extract_email_addresses(self, data: dict[str, Any]) -> list[EmailAddress]:
        """The one primary address, if GitHub has verified it."""
        return [
            EmailAddress(email=address["email"].lower(), primary=True, verified=True)
            for address in data["emails"]
            if address["primary"] is True and address["verified"] is True
        ][:1]
