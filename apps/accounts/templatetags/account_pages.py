"""The pages of one's own account, as tabs."""

from __future__ import annotations

from dataclasses import dataclass

from django import template
from django.template.context import Context
from django.urls import NoReverseMatch, reverse

register = template.Library()


@dataclass(frozen=True, slots=True)
class AccountPage:
    """One tab. `names` are how the addresses below it begin, for steps that are pages of their own."""

    label: str
    url_name: str
    names: tuple[str, ...]


PAGES = (
    AccountPage("Profile", "accounts:profile", ("accounts:profile",)),
    AccountPage("Email", "account_email", ("account_email",)),
    AccountPage("Password", "account_change_password", ("account_change_password", "account_set_password")),
    AccountPage("Two-factor", "mfa_index", ("mfa_",)),
    AccountPage("Connections", "socialaccount_connections", ("socialaccount_",)),
    AccountPage("Sessions", "accounts:session-list", ("accounts:session",)),
    AccountPage("Delete account", "start:account-delete", ("start:account-delete",)),
)


@register.inclusion_tag("accounts/tabs.html", takes_context=True)
def account_tabs(context: Context) -> dict[str, object]:
    match = context["request"].resolver_match
    here = match.view_name if match else ""
    found = [(page.label, _address(page), here.startswith(page.names)) for page in PAGES]
    return {"tabs": [tab for tab in found if tab[1]]}


def _address(page: AccountPage) -> str:
    try:
        return reverse(page.url_name)
    except NoReverseMatch:
        return ""
