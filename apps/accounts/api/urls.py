from django.urls import path

from apps.accounts.api.views import RefreshApi, RevokeApi, TokenApi

paths = [
    path("auth/token/", TokenApi.as_view(), name="auth-token"),
    path("auth/refresh/", RefreshApi.as_view(), name="auth-refresh"),
    path("auth/revoke/", RevokeApi.as_view(), name="auth-revoke"),
]
