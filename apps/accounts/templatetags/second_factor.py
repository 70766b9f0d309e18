"""What the pages of the second factor ask: where passkeys work, and whether recovery codes run out."""

from __future__ import annotations

from urllib.parse import urlsplit

from allauth.mfa.models import Authenticator
from django import template
from django.db.models import QuerySet
from django.template.context import Context

from apps.accounts import passkeys, second_factor
from apps.accounts.models import User

register = template.Library()


@register.simple_tag(takes_context=True)
def passkeys_work_here(context: Context) -> bool:
    return passkeys.work_here(context["request"])


@register.simple_tag(takes_context=True)
def passkeys_elsewhere(context: Context) -> str:
    """The address of this page where they work; empty where there is none."""
    return passkeys.same_page_elsewhere(context["request"])


@register.filter
def host_of(url: str) -> str:
    return urlsplit(url).netloc


@register.simple_tag
def passkeys_of(user: User) -> QuerySet[Authenticator]:
    return Authenticator.objects.filter(user=user, type=second_factor.WEBAUTHN).order_by("created_at")


@register.filter
def is_few(codes_left: int) -> bool:
    return codes_left <= second_factor.FEW_CODES


@register.filter
def is_last_factor(authenticator: Authenticator) -> bool:
    """Whether signing in takes the password alone without it."""
    return second_factor.is_last(authenticator)


@register.simple_tag(takes_context=True)
def page_behind_second_factor(context: Context) -> str:
    """The page that was asked for before a second factor was set up; told once."""
    return context["request"].session.pop(second_factor.WANTED_PAGE, "")
