"""The OAuth dance with GitHub, GitHub Enterprise or whatever speaks like them at GITHUB_URL."""

from __future__ import annotations

from typing import Any

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialLogin, SocialToken
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2Adapter, OAuth2CallbackView, OAuth2LoginView
from django.conf import settings
from django.http import HttpRequest
from pydantic import BaseModel, TypeAdapter, ValidationError

from apps.core.errors import NotFound

GITHUB_COM = "https://github.com"


class Profile(BaseModel):
    """What we read of https://docs.github.com/rest/users/users#get-the-authenticated-user."""

    id: int
    login: str
    name: str | None = None
    html_url: str = ""


class Address(BaseModel):
    """https://docs.github.com/rest/users/emails#list-email-addresses-for-the-authenticated-user"""

    email: str
    primary: bool
    verified: bool


PROFILE, ADDRESSES = TypeAdapter(Profile), TypeAdapter(list[Address])


class GitHubAdapter(OAuth2Adapter):
    provider_id = "github"

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request)
        web = settings.GITHUB_URL
        self.api_url = "https://api.github.com" if web == GITHUB_COM else f"{web}/api/v3"
        self.authorize_url = f"{web}/login/oauth/authorize"
        self.access_token_url = f"{web}/login/oauth/access_token"

    def get_provider(self) -> Any:
        if not settings.GITHUB_CLIENT_ID:
            raise NotFound
        return super().get_provider()

    def complete_login(self, request: HttpRequest, app: Any, token: SocialToken, **kwargs: Any) -> SocialLogin:
        profile = self._read("/user", token, PROFILE)
        addresses = self._read("/user/emails", token, ADDRESSES)
        data = {**profile.model_dump(), "emails": [address.model_dump() for address in addresses]}
        return self.get_provider().sociallogin_from_response(request, data)

    def _read(self, path: str, token: SocialToken, shape: TypeAdapter[Any]) -> Any:
        headers = {"Authorization": f"Bearer {token.token}", "Accept": "application/vnd.github+json"}
        with get_adapter().get_requests_session() as session:
            response = session.get(self.api_url + path, headers=headers)
            response.raise_for_status()
        try:
            return shape.validate_json(response.content)
        except ValidationError as error:
            raise OAuth2Error(f"{path} is not of GitHub's form") from error


oauth2_login = OAuth2LoginView.adapter_view(GitHubAdapter)
oauth2_callback = OAuth2CallbackView.adapter_view(GitHubAdapter)
